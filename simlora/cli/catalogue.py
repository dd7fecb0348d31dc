"""Tables of what ships with simlora."""

from __future__ import annotations

import dataclasses

from rich.table import Table

from simlora.study.console import listing


def systems() -> Table:
    """The shipped systems and what sets them apart."""
    from simlora.systems import list_bounds, list_systems, load_system

    table = listing("system", "engine", "loader", "sharing", "billing", "batching", "preloading")
    for name in (*list_systems(), *list_bounds()):
        s = load_system(name)
        table.add_row(name, s.engine, s.loader, s.sharing, s.billing, s.batching["policy"], s.preloading["policy"])
    return table


def policies() -> Table:
    """The built-in policies with their roles, keys and defaults."""
    from simlora.policies.base import ROLES
    from simlora.policies.registry import policies_of

    table = listing("role", "policy", "keys", "what it does")
    roles_of: dict[int, list[str]] = {}
    for role in ROLES:
        roles_of.setdefault(id(policies_of(role)), []).append(role)
    for roles in roles_of.values():
        for name, policy in policies_of(roles[0]).items():
            fields = [field for field in dataclasses.fields(policy) if field.init]
            keys = ", ".join(
                field.name if field.default is dataclasses.MISSING else f"{field.name} = {field.default}"
                for field in fields
            )
            table.add_row(" or ".join(roles), name, keys, (policy.__doc__ or "").strip().partition("\n")[0])
    return table


def profiles() -> Table:
    """The shipped latency profiles and how many of their parts come from where."""
    from simlora.latency import Label, list_profiles, load_profile

    table = listing("profile", "GPU", "memory", *Label)
    for name in list_profiles():
        profile = load_profile(name)
        labels = [part.label for part in profile.describe()]
        counts = [str(labels.count(label) or "") for label in Label]
        table.add_row(name, profile.gpu.title, f"{profile.gpu.usable_bytes / 1e9:.1f} GB", *counts)
    return table


def traces() -> Table:
    """The named traces, and whether each can be used here."""
    from simlora.study.workloads import DATA_VARIABLE, data_dir
    from simlora.workload import list_traces

    table = listing("trace", "kind", "here", "what it is")
    for trace in list_traces(data_dir()):
        table.add_row(trace.name, trace.kind, "yes" if trace.available else "no", trace.description)
    table.caption = (
        f"real traces are read from the folder that {DATA_VARIABLE} names; a .csv or .parquet file works too"
    )
    return table


def prices() -> Table:
    """The shipped price lists."""
    from simlora.results.prices import list_prices

    table = listing("price list", "kind", "unit", "date", "region", "GPUs")
    for name, price in list_prices().items():
        table.add_row(name, price.kind, price.unit, price.date, price.region, ", ".join(sorted(price.gpus)))
    return table


def providers() -> Table:
    """The shipped platforms: what an experiment's ``provider`` sets."""
    from simlora.study.providers import list_providers

    table = listing("provider", "price list", "idle time-out", "workers of an endpoint", "source", "holds for")
    for name, one in list_providers().items():
        idle = "-" if one.idle_timeout_s is None else f"{one.idle_timeout_s:g} s"
        table.add_row(name, one.price or "-", idle, str(one.workers or "-"), one.source, one.valid)
    return table


def failures() -> Table:
    """What can fail in a scenario, and the keys of each kind."""
    from simlora.cluster.failures import EFFECTS, KEYS, WHEN

    table = listing("what", "keys", "what it does")
    for what, keys in KEYS.items():
        table.add_row(what, ", ".join(keys), EFFECTS[what])
    table.caption = f"tables scenario.failure of an experiment file, each with {' or '.join(WHEN)}"
    return table
