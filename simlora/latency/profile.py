"""A profile: one GPU's kernels under one engine, and all it can be asked."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from simlora.entities import PROJECTIONS, Backbone, Tier
from simlora.errors import ConfigError, unknown_name
from simlora.latency.engines import EngineProfile, Stage, load_engine
from simlora.latency.hardware import Gpu, NodeType, load_gpu
from simlora.latency.kernels import KernelProfile
from simlora.latency.loaders import Loader, load_loader
from simlora.latency.models import load_backbone
from simlora.latency.sources import Label, Sourced, read_toml
from simlora.latency.steps import ModelLatency

HERE = Path(__file__).parent / "profiles"


class Part(NamedTuple):
    """One line of the trust box."""

    part: str
    label: Label
    source: str
    error: str
    valid: str


class Profile:
    """Kernels x engine. ``model`` hands out one :class:`ModelLatency` per backbone, always the same object."""

    def __init__(self, kernels: KernelProfile, engine: EngineProfile):
        self.name = kernels.name
        self.kernels = kernels if kernels.all_reduce is not None else _with_sums_of_another(kernels)
        self.engine = engine
        self.gpu: Gpu = kernels.device or load_gpu(kernels.gpu)
        self._models: dict[tuple[Backbone, tuple[str, ...], int | None], ModelLatency] = {}

    @property
    def startup(self) -> tuple[Stage, ...]:
        """The engine's cold-start stages in an order that respects precedence."""
        return self.engine.stage

    def model(
        self,
        backbone: str | Backbone,
        target_modules: tuple[str, ...] = PROJECTIONS,
        adapter_slots: int | None = None,
    ) -> ModelLatency:
        """The clock of a backbone; ``target_modules``: the projections its adapters change."""
        found = load_backbone(backbone) if isinstance(backbone, str) else backbone
        key = (found, target_modules, adapter_slots)
        if key not in self._models:
            for module in target_modules:
                if module not in PROJECTIONS:
                    raise unknown_name("target module", module, PROJECTIONS)
            self._models[key] = ModelLatency(found, self.kernels, self.engine, target_modules, adapter_slots)
        return self._models[key]

    def load_s(
        self,
        size_bytes: int,
        path: tuple[str, str],
        loader: str | Loader | None = None,
        node: NodeType | None = None,
        gpus: int = 1,
    ) -> float:
        """Seconds to move ``size_bytes`` alone along ``path`` = (from tier, to tier) with ``loader``.

        Equal parts go to ``gpus`` devices at once, each at its own pace, from one storage. The rate is the least of the
        loader's cap, the GPU's copy rate where the path ends on the device and, with ``node``, of its storage or remote
        store where the path starts there.
        """
        source, to = (self._tier(name) for name in path)
        way = self._loader(loader).between(source, to)
        rate = way.bytes_per_s
        if to is Tier.DEVICE:
            rate = min(rate, self.gpu.pcie_bytes_per_s) * gpus
        if node is not None and source is Tier.SSD:
            rate = min(rate, node.ssd_bytes_per_s)
        if node is not None and source is Tier.REMOTE:
            rate = min(rate, node.remote_bytes_per_s, node.nic_bytes_per_s)
        return way.fixed_s + size_bytes / rate

    def _loader(self, which: str | Loader | None) -> Loader:
        return which if isinstance(which, Loader) else load_loader(which or self.engine.default_loader)

    @staticmethod
    def _tier(name: str) -> Tier:
        try:
            return Tier(name)
        except ValueError:
            raise unknown_name("tier", name, list(Tier)) from None

    @property
    def _sums(self) -> bool:
        """Whether a backbone that it was asked for is split over several GPUs."""
        return any(backbone.tensor_parallel > 1 for backbone, *_ in self._models)

    def describe(self, loader: str | Loader | None = None, node: NodeType | None = None) -> list[Part]:
        """(part, label, source, error, valid range) of all that a run rests on, with this loader and kind of node."""
        kernels, engine = self.kernels, self.engine
        named: list[tuple[str, Sourced]] = [(f"gpu {kernels.gpu}", self.gpu)]
        named += [
            (f"kernels of {kernels.name}: {name}", part)
            for name, part in kernels
            if isinstance(part, Sourced) and part is not self.gpu and (part is not kernels.all_reduce or self._sums)
        ]
        named += [(f"{engine.name}: {name}", part) for name, part in engine if isinstance(part, Sourced)]
        named += [(f"{engine.name} start-up: {stage.name}", stage) for stage in engine.stage]
        for of in dict.fromkeys((self._loader(loader), self._loader(engine.adapter_loader))):
            named += [(f"{of.name}: {way.source_tier} to {way.to_tier}", way) for way in of.path]
        if node is not None:
            named.append((f"{node.title}: storage, network, remote store", node))
        return [Part(name, part.label, part.source, part.error, part.valid) for name, part in named]

    def out_of_range(self) -> dict[str, int]:
        """Calls beyond the measured range so far, over all models: {"prefill": n, "decode": n}."""
        counters = [model.out_of_range for model in self._models.values()]
        return {"prefill": sum(c.prefill for c in counters), "decode": sum(c.decode for c in counters)}


def _with_sums_of_another(kernels: KernelProfile) -> KernelProfile:
    """Sums over several GPUs as measured on the shipped profile of the same GPU, else on L40S, the slowest of them."""
    name = kernels.gpu if kernels.gpu in list_profiles() else "l40s"
    other = read_toml(HERE / f"{name}.toml", KernelProfile).all_reduce
    if other is None:
        return kernels
    source = {"label": Label.TRANSFERRED, "source": f"as of {name}: {other.source}"}
    return kernels.model_copy(update={"all_reduce": other.model_copy(update=source)})


def list_profiles() -> list[str]:
    """Names of the shipped kernel profiles."""
    return sorted(path.stem for path in HERE.glob("*.toml"))


def load_profile(name: str, engine: str = "hf-eager") -> Profile:
    """A shipped kernel profile (or one's own from the path of a TOML file) under an engine.

    Raises :class:`ConfigError` for an unknown name, or a file that does not state what the schema wants.
    """
    path = Path(name) if name.endswith(".toml") else HERE / f"{name}.toml"
    if path.parent == HERE and path.stem not in list_profiles():
        raise unknown_name("profile", name, list_profiles())
    kernels = read_toml(path, KernelProfile)
    if kernels.name != path.stem:
        raise ConfigError(f'{path}: name: must be the file\'s name "{path.stem}" (found "{kernels.name}")')
    return Profile(kernels, load_engine(engine))
