"""Engine profiles: what a serving engine adds to the kernels, and how its process starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from simlora.entities import ArtifactKind
from simlora.errors import unknown_name
from simlora.latency.sources import Sourced, checked, read_toml

HERE = Path(__file__).parent / "engines"


class HostTime(Sourced):
    """Host seconds in which the GPU of a step stands idle.

    step_s + layer_s layers + sequence_s batch, in every step.
    """

    step_s: float = Field(ge=0)
    layer_s: float = Field(ge=0)
    sequence_s: float = Field(ge=0)


class PrefillHostTime(Sourced):
    """Host seconds that a step which starts requests takes beyond those of any step."""

    dispatch_s: float = Field(ge=0, description="once per such step: hand-over, set-up of the call")
    request_s: float = Field(ge=0, description="per request started in it")


class LoraOverhead(Sourced):
    """Host seconds that unmerged LoRA adds to a step beyond its kernels, once an adapter is in use.

    step_s + slot_s slots + adapter_s (distinct adapters - 1) + sequence_s batch + token_s new tokens
    + assist_layer_s layers.
    """

    step_s: float = Field(ge=0)
    slot_s: float = Field(ge=0)
    adapter_s: float = Field(ge=0)
    sequence_s: float = Field(ge=0)
    token_s: float = Field(default=0.0, ge=0, description="per token prefilled, beyond the kernels of one adapter")
    assist_layer_s: float = Field(
        default=0.0, ge=0, description="in a step, per layer, while the LoRA of some rows is computed on the host"
    )
    slot_bytes: int = Field(ge=0, description="device bytes of one slot beyond its adapter's own")
    switch_s: float = Field(default=0.0, ge=0, description="merging an adapter into the weights, or taking it out")


class Batching(Sourced):
    """How the engine forms and bounds a step."""

    padded: bool = Field(description="prompts of one prefill are padded to the longest")
    prefill_alone: bool = Field(
        default=False, description="a step that prefills decodes nothing: decoding stands still"
    )
    step_tokens: int | None = Field(default=None, gt=0, description="token budget of a step; none: no chunked prefill")
    max_loras: int | None = Field(default=None, gt=0, description="adapter slots; none: one process per function")
    max_cpu_loras: int | None = Field(default=None, gt=0, description="adapters kept in host memory; none: no bound")
    host_adapters: Literal["loaded", "all"] = Field(
        default="loaded", description="adapters in host memory: those loaded before, or all from the start"
    )


class KvMemory(Sourced):
    """Device memory the engine may fill with weights, activations and KV, and the grain of KV."""

    usable_fraction: float = Field(gt=0, le=1)
    block_tokens: int = Field(ge=1)


class Hops(Sourced):
    """What a pipeline adds to each step, whose parts run on several nodes, for every node but the first."""

    hop_s: float = Field(ge=0)


class Stage(Sourced):
    """One step of a cold start.

    ``moves``: its time is ``seconds`` plus the move of the artifact's bytes to the device; ``shared_s`` is its time
    where a shared copy of the artifact is resident already and only has to be mapped.
    """

    name: str
    after: tuple[str, ...] = ()
    artifact: ArtifactKind | None = None
    place: Literal["host", "device"]
    seconds: float = Field(ge=0, description="median; of the fixed part if it moves bytes")
    sigma: float = Field(default=0.0, ge=0, le=2, description="log-normal spread of the seconds")
    moves: bool = False
    fetch: Literal["in-turn", "at-start"] = Field(
        default="in-turn",
        description="when an artifact that must come from the remote store first begins to: as its stage begins, or "
        "with the whole start, beside the stages before it",
    )
    shared_s: float | None = Field(default=None, ge=0)
    host_bytes: int = Field(default=0, ge=0)
    device_bytes: int = Field(default=0, ge=0)
    preloadable: bool
    shareable: bool


class EngineProfile(Sourced):
    """One version of one serving engine. With ``base`` a file states only what differs; stages replace by name."""

    schema_version: int = Field(ge=1, le=1)
    base: str | None = None
    name: str
    title: str
    default_loader: str
    adapter_loader: str
    host: HostTime
    prefill_host: PrefillHostTime
    lora: LoraOverhead
    batching: Batching
    kv: KvMemory
    pipeline: Hops | None = Field(default=None, description="none: it can't run a part of a model")
    stage: tuple[Stage, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _graph_in_order(self) -> EngineProfile:
        seen: list[str] = []
        for stage in self.stage:
            for name in stage.after:
                if name not in seen:
                    raise ValueError(f'stage "{stage.name}" comes after "{name}", which is not a stage before it')
            if stage.name in seen:
                raise ValueError(f'two stages are named "{stage.name}"')
            seen.append(stage.name)
        return self


def list_engines() -> list[str]:
    """Names of the shipped engine profiles."""
    return sorted(path.stem for path in HERE.glob("*.toml"))


def load_engine(name: str) -> EngineProfile:
    """A shipped engine profile, or one's own from the path of a TOML file.

    Raises :class:`ConfigError` for an unknown name, or naming the file and the key that does not fit.
    """
    path = Path(name) if name.endswith(".toml") else _shipped(name)
    table: dict[str, Any] = read_toml(path, dict)
    if "base" not in table:
        return read_toml(path, EngineProfile)
    below = read_toml(_shipped(table["base"], str(path)), dict)
    own = {stage.get("name"): stage for stage in table.get("stage", ())}
    stages = [own.get(stage["name"], stage) for stage in below["stage"]]
    known = [stage["name"] for stage in below["stage"]]
    for stage in own:
        if stage not in known:
            raise unknown_name("stage", str(stage), known, str(path))
    return checked(path, EngineProfile, {**below, **table, "stage": stages})


def _shipped(name: str, where: str = "") -> Path:
    if name not in list_engines():
        raise unknown_name("engine", name, list_engines(), where)
    return HERE / f"{name}.toml"
