"""All verbs, in the groups that ``simlora --help`` shows."""

from __future__ import annotations

import typer

from simlora.cli import (
    experiments,
    functions,
    importing,
    looking,
    machine,
    paper,
    policies,
    profile,
    traffic,
    validation,
    weights,
)

app = typer.Typer(
    name="simlora",
    help="Serverless inference of LoRA-based LLMs, simulated: latency, SLO attainment and cost.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

EXPERIMENTS = "Experiments"
LOOKING = "Looking at results"
TRAFFIC = "Traffic"
POLICIES = "Policies"
HARDWARE = "Hardware"
PAPER = "The paper"

app.command("init", rich_help_panel=EXPERIMENTS)(experiments.init)
app.command("run", rich_help_panel=EXPERIMENTS)(experiments.run)
app.command("list", rich_help_panel=EXPERIMENTS)(experiments.list_what)
app.command("compare", rich_help_panel=LOOKING)(looking.compare)
app.command("plot", rich_help_panel=LOOKING)(looking.plot)
app.command("cost", rich_help_panel=LOOKING)(looking.cost)
app.command("report", rich_help_panel=LOOKING)(looking.report)
app.command("explain", rich_help_panel=LOOKING)(looking.explain)
app.command("timeline", rich_help_panel=LOOKING)(looking.timeline)
app.add_typer(traffic.app, name="trace", rich_help_panel=TRAFFIC)
app.add_typer(functions.app, name="functions", rich_help_panel=TRAFFIC)
app.command("new-policy", rich_help_panel=POLICIES)(policies.new_policy)
app.command("gap", rich_help_panel=POLICIES)(policies.gap)
app.command(
    "arena",
    rich_help_panel=POLICIES,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)(policies.arena)
app.command("doctor", rich_help_panel=HARDWARE)(machine.doctor)
app.command("calibrate", rich_help_panel=HARDWARE)(machine.calibrate)
app.add_typer(profile.app, name="profile", rich_help_panel=HARDWARE)
app.add_typer(importing.app, name="import", rich_help_panel=HARDWARE)
app.command("validate", rich_help_panel=HARDWARE)(validation.validate)
app.command("make-model", rich_help_panel=HARDWARE)(weights.make_model)
app.command("make-adapter", rich_help_panel=HARDWARE)(weights.make_adapter)
app.command("claims", rich_help_panel=PAPER)(paper.claims)


@app.callback(invoke_without_command=True)
def options(version: bool = typer.Option(False, "--version", help="Say which version this is.")) -> None:
    """Options of simlora itself."""
    if version:
        from simlora import __version__

        typer.echo(f"simlora {__version__}")
        raise typer.Exit
