"""The systems of an experiment, each resolved to all its keys and checked before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from simlora.cluster.machines import Machines, profiles_of
from simlora.errors import ConfigError, unknown_name
from simlora.latency import Profile, load_profile
from simlora.results.prices import Price, choose_prices, load_price
from simlora.study.document import Document, Key
from simlora.study.experiment import Experiment
from simlora.study.overrides import layered
from simlora.study.providers import Provider, load_provider
from simlora.systems import SystemConfig, build_policies, list_bounds, list_systems, load_system


class Resolved(NamedTuple):
    """A system with the latency profile it runs on, and whether it is also shown with the fewest GPUs that do."""

    config: SystemConfig
    profile: Profile
    fewest: bool


def resolve_systems(experiment: Experiment, document: Document) -> dict[str, Resolved]:
    """All systems and ablations by name, in the order of the file.

    Raises :class:`ConfigError` with file and line for a name, key or policy that does not exist or does not fit.
    """
    base_dir = document.path.parent
    prices, provider = load_prices(experiment, document), _provider(experiment, document)
    systems: dict[str, Resolved] = {}
    for name, (key, root, overrides) in _layers(experiment, document).items():
        with document.at(*key):
            there = {} if provider is None else provider.keys(load_system(root))
            config = load_system(root, layered(there, overrides), f'system "{name}"')
            build_policies(config, base_dir)
            with_files = load_profile(beside(experiment.profile, base_dir), beside(config.engine, base_dir))
            config.loads_with()
        with document.at("prices"):
            choose_prices(prices, config.billing)
        fewest = all(entry.fewest for entry in experiment.system if entry.called == name)
        systems[name] = Resolved(config, with_files, fewest and config.billing == "always-on")
    return systems


class _Layers(NamedTuple):
    """Where a system stands in the file, the shipped one at its root, and all that differs from that."""

    key: Key
    root: str
    differs: Mapping[str, Any]


def _layers(experiment: Experiment, document: Document) -> dict[str, _Layers]:
    found: dict[str, _Layers] = {}
    shipped = {**list_systems(), **list_bounds()}
    for index, entry in enumerate(experiment.system):
        if entry.use is not None:
            key = ("system", index, "use")
            if entry.use not in shipped:
                raise unknown_name("system", entry.use, shipped, document.where(key))
            found[entry.use] = _Layers(key, entry.use, {})
    derived = [(("system", i), s.name, s.base, s.overrides) for i, s in enumerate(experiment.system) if s.use is None]
    derived += [(("ablation", i), a.name, a.base, a.set) for i, a in enumerate(experiment.ablation)]
    for place, name, base, differs in derived:
        if base not in found and base not in shipped:
            raise unknown_name(
                "system", base, dict.fromkeys([*shipped, *found]), f"{document.where((*place, 'base'))}: base"
            )
        below = found.get(base, _Layers((), base, {}))
        named = layered(below.differs, differs, {"name": name, "title": name})
        found[name] = _Layers(place, below.root, named)
    in_file = [*(s.called for s in experiment.system), *(a.name for a in experiment.ablation)]
    return {name: found[name] for name in in_file}


def _provider(experiment: Experiment, document: Document) -> Provider | None:
    with document.at("provider"):
        return None if experiment.provider is None else load_provider(experiment.provider, document.path.parent)


def load_prices(experiment: Experiment, document: Document) -> list[Price]:
    """The price list of the experiment's provider, if it has one, before those that the experiment names."""
    provider = _provider(experiment, document)
    theirs = [provider.price] if provider is not None and provider.price is not None else []
    with document.at("prices"):
        return [load_price(name, document.path.parent) for name in [*theirs, *experiment.prices]]


def beside(name: str, base_dir: Path) -> str:
    """A name as it is, or the path of a file relative to the experiment's folder."""
    return str(base_dir / name) if name.endswith(".toml") else name


def check_rates(system: Resolved, machines: Sequence[Machines], experiment: Experiment, document: Document) -> None:
    """Raise :class:`ConfigError` if a price list that bills the system, or that it weighs, lacks one of the GPUs."""
    config = system.config
    gpus = [profile.kernels.gpu for profile in profiles_of(machines)]
    with document.at("prices"):
        for price in chain(*choose_prices(load_prices(experiment, document), config.billing)):
            price.rates(gpus)
    if config.price is not None:
        with document.at("system"):
            load_price(config.price, document.path.parent).rates(gpus)


def check_gpus(system: Resolved, gpus: int, where: str) -> None:
    """Raise :class:`ConfigError` if a system is limited to, or reserves, more GPUs than there are."""
    for key, number in (("limits.gpus", system.config.limits.gpus), ("reserved_gpus", system.config.reserved_gpus)):
        if number is not None and number > gpus:
            raise ConfigError(f"{where}: {key} = {number}, but the cluster has {gpus}")
