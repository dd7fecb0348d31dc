"""What a run was and what it rests on: set-up, provenance, trust, assumptions, how to run it again."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator
from html import escape
from typing import Any, NamedTuple

from simlora.cluster.failures import Failure
from simlora.policies.base import ROLES
from simlora.report.assumptions import assumptions, concerns, setting
from simlora.report.markup import folded, listing_html, rows_html, table_html
from simlora.report.recorded import Recorded
from simlora.results.summary import KEYS
from simlora.study.run import validation_of
from simlora.study.trust import trust_box

KNOBS = ("title", "engine", "loader", "sharing", "containers", "billing")
"""Keys of a system that say most about it, beside its policies."""
FUNCTIONS_SHOWN = 40


class Ran(NamedTuple):
    """A run as the trust box asks for it."""

    system: str
    scenario: str
    failures: list[Failure]


def setup_html(run: Recorded) -> str:
    """Machines, software, scenarios, systems, functions."""
    parts = [rows_html("", ("", ""), _facts(run))]
    resolved = run.resolved
    if resolved:
        scenarios = [
            (one["name"], _named(one["trace"]), _named(one["lengths"]), f"{one['duration_s']:,.0f} s")
            for one in resolved["scenario"]
        ]
        parts.append(rows_html("Scenarios", ("scenario", "trace", "token lengths", "duration"), scenarios))
        systems = [
            (
                one["name"],
                *(str(one.get(key, "")) for key in KNOBS),
                *(one.get(role, {}).get("policy", "") for role in ROLES),
            )
            for one in resolved["system"]
        ]
        parts.append(folded("Systems and their policies", rows_html("", ("system", *KNOBS, *ROLES), systems)))
        parts.append(folded("Functions", _functions(resolved)))
    return "".join(parts)


def trust_html(run: Recorded) -> str:
    """The trust box, and where each part of the latency and engine profiles is from."""
    facts = [cell.facts for cell in run.cells]
    parts = {part["part"]: part for one in facts for part in one["trust"]}
    names = ("part", "label", "source", "error", "valid")
    rows = [tuple(str(part[name]) for name in names) for part in parts.values()]
    sources = folded(f"The {len(rows)} parts of the profiles, each with its source, error and valid range",
                     rows_html("", ("part", "trust", *names[2:]), rows))  # fmt: skip
    failing = {
        one["name"]: [Failure.model_validate(failure) for failure in one.get("failure", ())]
        for one in run.resolved.get("scenario", ())
    }
    runs = [Ran(cell.system, cell.scenario, failing.get(cell.scenario, [])) for cell in run.cells]
    return table_html(trust_box(runs, facts, validation_of(run.folder))) + (sources if rows else "")


def assumptions_html(run: Recorded) -> str:
    """The numbered assumptions that concern these systems: first those that the experiment sets, then the others."""
    if not run.resolved:
        return "<p>None of the simulator's: these runs are measurements, or their settings were not recorded.</p>"
    every = assumptions()
    mine = [one for one in every if concerns(one, run.resolved)]
    values = {one.number: setting(one, run.resolved) for one in mine}
    names = ("", "assumption", "value", "key")
    held = [(one.number, one.text, values[one.number], one.key) for one in mine if values[one.number]]
    fixed = [(one.number, one.text, one.value, one.key) for one in mine if not values[one.number]]
    others = len(every) - len(mine)
    note = f"Left out: {others} that are about policies, systems or engine profiles that do not occur here."
    return (
        rows_html("Set in this experiment", (*names[:2], "here", "key"), held)
        + folded(f"{len(fixed)} more, which hold where what they speak of is used", rows_html("", names, fixed))
        + f'<p class="note">{note}</p>'
    )


def again_html(run: Recorded) -> str:
    """The commands, and the files that they need."""
    folder, cell = shlex.quote(run.folder.as_posix()), run.cells[0]
    which = [f"--{key}={shlex.quote(str(getattr(cell, key)))}" for key in KEYS]
    lines = [
        *([f"{run.command}    # simlora {run.environment.get('simlora')}"] if run.experiment else []),
        f"simlora compare {folder}",
        f"simlora explain {folder} --request 0 {' '.join(which)}",
        f"simlora timeline {folder} {' '.join(which)} --out trace.json",
        f"simlora report {folder}",
    ]
    parts = [listing_html("\n".join(lines))]
    if run.experiment:
        parts.append(folded("experiment.toml, as it was run", listing_html(run.experiment)))
        parts.append(folded("resolved.toml: every key, defaults included", listing_html(run.resolved_text)))
    return "".join(parts)


def _facts(run: Recorded) -> Iterator[tuple[str, str]]:
    facts = run.cells[0].facts
    models = Counter(facts["gpu_models"])
    yield "GPUs", ", ".join(f"{count} {model}" for model, count in models.items())
    resolved, software = run.resolved, run.environment
    if resolved:
        cluster = resolved["cluster"]
        yield "machines", f"{cluster['nodes']} x {cluster['node_type']}"
        yield "prices", ", ".join(resolved["prices"]) or str(resolved.get("provider"))
        yield "SLOs", resolved["slo"]
    yield "latency profile", str(facts["profile"])
    yield "seeds", ", ".join(str(seed) for seed in sorted({cell.seed for cell in run.cells}))
    if software:
        packages = ", ".join(f"{name} {version}" for name, version in software["packages"].items())
        yield "software", f"simlora {software['simlora']}, Python {software['python']}, {software['system']}"
        yield "packages", packages
        yield "simulator's source", f"`{software['simulator'][:16]}`"


def _functions(resolved: dict[str, Any]) -> str:
    """The table of the first system; the others may state other SLOs alone."""
    first = resolved["system"][0]["name"]
    every = [one for one in resolved["function"] if one["system"] == first]
    names = [name for name in every[0] if name != "system"] if every else []
    rows = [tuple(str(one.get(name, "")) for name in names) for one in every[:FUNCTIONS_SHOWN]]
    left = len(every) - len(rows)
    return rows_html("", names, rows, f"and {left:,} more, in resolved.toml" if left else "")


def _named(value: Any) -> str:
    """A trace or a sampler of lengths: its name, and what it is given."""
    if not isinstance(value, dict):
        return str(value)
    return ", ".join(f"{key} {inner}" if key != "name" else str(inner) for key, inner in value.items())


def heading_html(run: Recorded) -> str:
    """What was asked, and how much was run for it."""
    systems, variants = len(run.systems) - len(run.variants), len(run.variants)
    requests = sum(int(row["requests"]) for row in run.rows)
    points = len({point for _, point in run.scenes})
    counts = [
        _counted(len(run.cells), "run"),
        " and ".join([_counted(systems, "system"), *([_counted(variants, "variant")] if variants else [])]),
        _counted(len({scenario for scenario, _ in run.scenes}), "scenario"),
        *([_counted(points, "sweep point")] if points > 1 else []),
        _counted(len({cell.seed for cell in run.cells}), "seed"),
        _counted(requests, "request"),
    ]
    question = f'<p class="question">{escape(run.question)}</p>' if run.question else ""
    return f'{question}<p class="counts">{" · ".join(counts)}</p>'


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
