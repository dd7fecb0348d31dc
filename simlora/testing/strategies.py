"""Hypothesis strategies for whole runs: small traffic, clusters, functions and variations of the shipped systems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from simlora.cluster.config import ClusterConfig, Group
from simlora.cluster.failures import KEYS as FAILURE_KEYS
from simlora.cluster.failures import Failure
from simlora.entities import Function
from simlora.latency.models import load_backbone
from simlora.systems.config import list_systems, load_system
from simlora.testing.scenario import ROW, Scenario, make_functions, make_workload

GAPS_S = (0.0, 0.003, 0.06, 0.4, 2.0, 11.0, 45.0, 130.0)
"""Between arrivals: at one instant, within a step, within a batch, during a start, while kept alive, after its end."""

SERVERLESS: dict[str, Sequence[Any]] = {
    "sharing": ("none", "ipc"),
    "containers": ("dedicated", "shared", "packed"),
    "completion": ("own_end", "batch_end"),
    "host_cache_fraction": (0.0, 0.1),
    "storage": ("fair", "fifo"),
    "backbone_keepalive_s": (0.0, 20.0),
    "plan_interval_s": (0.5, 5.0),
    "preloading": ("none", "pckp", "opportunistic", {"policy": "hybrid-histogram", "bin_s": 2.0, "bins": 30}),
    "offloading": ("none", "lru", "value-density", "faascache"),
    "keepalive": (
        "none",
        {"policy": "fixed", "idle_s": 8.0},
        "forever",
        {"policy": "rainbowcake", "min_s": 3.0},
        {"policy": "hybrid-histogram", "bin_s": 2.0, "bins": 30},
    ),
    "limits.container_bytes": (1_500_000_000, 32_000_000_000),
    "limits.instances_per_function": (1, 2),
    "limits.queue_timeout_s": (4.0, 30.0),
}
BATCHES: dict[str, Sequence[Any]] = {
    "batching": (
        {"policy": "fifo", "size": 1},
        {"policy": "fixed", "size": 3, "delay_s": 0.3},
        {"policy": "fill-or-expire", "delay_rule": "clamped"},
        {"policy": "fill-or-expire", "max_batch": 2},
    ),
    "routing": ({"policy": "best-preloaded", "starting_bound": 2}, "idle-or-start"),
    "placement": ("backbone-affinity", "idle-container-first", "most-free"),
}
ENGINES: dict[str, Sequence[Any]] = {
    "engine": ("vllm-0.8.5", "vllm-0.8.5-snapshot"),
    "reserve": ("prompt", "max_new_tokens"),
    "routing": ({"policy": "fill-up", "target": 2, "most": 3}, "least-loaded", "best-preloaded", "idle-or-start"),
    "placement": ("most-free", {"policy": "storage-aware", "headroom_bytes": 0}),
    "scaling": ("on-demand", {"policy": "ongoing", "target": 1, "step": 3}),
    "limits.queue_timeout_s": (4.0, 30.0),
}
KEYS: dict[str, dict[str, Sequence[Any]]] = {
    "serverless-lora": SERVERLESS | BATCHES,
    "insta-infer": SERVERLESS | BATCHES,
    "plain-serverless": SERVERLESS | BATCHES,
    "clairvoyant-lora": SERVERLESS | BATCHES,
    "torpor": {
        "completion": ("own_end", "batch_end"),
        "host_copies": ("used", "all"),
        "host_cache_fraction": (0.01, 0.1),
        "batching": ({"policy": "slo-classes", "threshold": 0.0},),
        "offloading": ("lru", "faascache"),
        "keepalive": ("none", {"policy": "fixed", "idle_s": 8.0}),
    },
    "serverless-llm": {key: SERVERLESS[key] for key in ("completion", "host_cache_fraction", "storage")}
    | {
        "keepalive": ({"policy": "fixed", "idle_s": 8.0}, "forever"),
        "routing": ({"policy": "round-robin", "target": 2},),
        "scaling": ({"policy": "ongoing", "target": 2, "max_instances": 2},),
        "limits.instances_per_gpu": (2,),
    },
    "hydraserve": {key: SERVERLESS[key] for key in ("sharing", "host_cache_fraction", "storage")}
    | {
        "placement": ({"policy": "nic-aware", "most": 1}, {"policy": "nic-aware", "setup_s": 0.0}, "most-free"),
        "keepalive": ("none", {"policy": "fixed", "idle_s": 8.0}),
        "limits.queue_timeout_s": (4.0, 30.0),
    },
    "serverless-vllm": ENGINES | {"keepalive": ("none", {"policy": "fixed", "idle_s": 8.0})},
    "reserved-plus-burst": ENGINES
    | {
        "reserved_gpus": (1, 2),
        "keepalive": ({"policy": "unless-reserved", "idle_s": 8.0},),
    },
    "dlora": {
        "reserve": ("prompt", "max_new_tokens"),
        "batching": (
            {"policy": "dlora", "max_num_seqs": 2, "chunk_tokens": 64, "look_steps": 3},
            {"policy": "dlora", "max_num_seqs": 32, "chunk_tokens": 256, "merged_s": 0.01},
        ),
        "routing": ("least-loaded", {"policy": "least-cost", "batch": 2}),
        "rebalancing": ("none", {"policy": "dlora-migration", "interval_s": 0.7, "overload": 1, "kv_share": 0.01}),
    },
    "peft": {
        "batching": ({"policy": "one-adapter", "size": 1}, {"policy": "one-adapter", "size": 3}),
        "completion": ("own_end", "batch_end"),
    },
    "vllm-packed": {
        "storage": ("fair", "fifo"),
        "host_cache_fraction": (0.0, 0.1),
        "batching": ({"policy": "vllm-merged", "max_num_seqs": 2, "chunk_tokens": 64},),
        "keepalive": ("none", {"policy": "fixed", "idle_s": 8.0}),
    },
    "s-lora": {
        "reserve": ("prompt", "max_new_tokens"),
        "adapter_memory": ("slots", "paged"),
        "adapter_loading": ("blocking", "overlapped", "cpu-assisted"),
        "adapters": ("lru", "drop-unused"),
        "batching": (
            {"policy": "memory-look-ahead", "prefetch_steps": [5, 7]},
            {"policy": "memory-look-ahead", "try_every_steps": 3, "max_requests": 2, "prefetch_steps": [1]},
        ),
        "predictor": ("max-new-tokens", {"policy": "clairvoyant-length", "accuracy": 0.8}),
    },
    "punica": ENGINES
    | {
        "routing": ({"policy": "busiest", "most": 2, "headroom_steps": 4}, "least-loaded"),
        "keepalive": ("none", {"policy": "fixed", "idle_s": 8.0}),
        "scaling": ("on-demand", {"policy": "one-light", "light": 1}),
        "preemption": ({"policy": "newest", "anew": True}, "newest"),
        "adapter_memory": ("slots", "paged"),
    },
    "chameleon": {
        "adapter_memory": ("slots", "paged"),
        "adapter_loading": ("blocking", "overlapped", "cpu-assisted"),
        "adapters": ("lru", "drop-unused"),
        "batching": (
            {"policy": "weighted-queues", "lines": 2, "period_s": 20.0},
            {"policy": "weighted-queues", "try_every_steps": 3, "period_s": 5.0, "prefetch": False},
        ),
        "predictor": ("max-new-tokens",),
    },
    "predictive-lora": {
        "adapter_memory": ("slots", "paged"),
        "adapter_loading": ("blocking", "overlapped", "cpu-assisted"),
        "adapters": ("lru", "drop-unused"),
        "rebalancing": ({"policy": "prefetch-likely", "threshold": 0.01, "horizon_s": 20.0},),
        "forecast": ("ewma", "sliding-window", {"policy": "clairvoyant-noisy-rate", "accuracy": 0.7}),
    },
    "toppings": {
        "adapter_memory": ("slots", "paged"),
        "adapters": ("lru", "drop-unused"),
        "routing": ({"policy": "rank-aware", "mean_response_tokens": 20.0}, "least-loaded"),
    },
    "vllm": {
        "routing": ("lora-affinity", "residency-affinity", "rendezvous", "power-of-two"),
        "reserve": ("prompt", "max_new_tokens"),
        "adapter_memory": ("slots", "paged"),
        "adapter_loading": ("blocking", "overlapped", "cpu-assisted"),
        "adapters": ("lru", "drop-unused"),
        "batching": (
            {"policy": "vllm", "max_num_seqs": 2, "chunk_tokens": 64},
            {"policy": "vllm", "max_num_seqs": 32, "chunk_tokens": 256, "watermark": 0.2},
        ),
    },
}


def variations(system: str) -> st.SearchStrategy[dict[str, Any]]:
    """Some keys of a shipped system overridden, each with a value that makes sense for it; often none at all.

    What nobody ever moves out and what stays for ever don't come together: others would find no place and stall.
    """
    optional = {key: st.sampled_from(values) for key, values in KEYS[system].items()}
    varied = st.fixed_dictionaries({}, optional=optional)
    return st.just({}) | varied.filter(
        lambda keys: (keys.get("offloading"), keys.get("keepalive")) != ("none", "forever")
    )


def function_tables(most: int = 6) -> st.SearchStrategy[list[Function]]:
    """Up to ``most`` functions of up to three backbones, one of them over two GPUs, and of two ranks."""
    backbone = st.builds(load_backbone, st.sampled_from(("llama-2-7b", "llama-2-13b")))
    split = st.builds(load_backbone, st.just("llama-3.1-8b"), st.just(2))
    backbones = st.lists(backbone, min_size=1, max_size=most) | st.lists(backbone | split, min_size=1, max_size=most)
    return st.builds(lambda kinds, rank: make_functions(*kinds, rank=rank), backbones, st.sampled_from((8, 64)))


@st.composite
def traffic(draw: st.DrawFn, functions: int, most: int = 14, longest: int = 300) -> list[ROW]:
    """Up to ``most`` rows for :func:`~simlora.testing.scenario.make_workload`, in order, with bursts and silences."""
    gaps = draw(st.lists(st.sampled_from(GAPS_S), min_size=1, max_size=most))
    at_s, rows = 0.0, []
    for gap_s in gaps:
        at_s += gap_s
        prompt, output = draw(st.integers(1, 1500)), draw(st.sampled_from((1, 2, 7)) | st.integers(1, longest))
        rows.append((at_s, draw(st.integers(0, functions - 1)), prompt, output))
    return rows


@st.composite
def clusters(draw: st.DrawFn) -> ClusterConfig:
    """One or two nodes of one or two GPUs that are alike, or two nodes of different GPUs."""
    shape = {"nodes": st.integers(1, 2), "gpus_per_node": st.integers(1, 2)}
    alike = st.fixed_dictionaries({**shape, "node_type": st.sampled_from(("g6e.24xlarge", "l40s-pairs"))})
    groups = st.tuples(
        st.builds(Group, nodes=st.just(1), gpus_per_node=st.integers(1, 2), node_type=st.just("l40s-pairs")),
        st.builds(
            Group,
            nodes=st.just(1),
            gpus_per_node=st.integers(1, 2),
            node_type=st.just("p5.48xlarge"),
            profile=st.sampled_from(("a100-sxm-80gb", "h100-sxm")),
        ),
    )
    return ClusterConfig(
        **draw(alike | st.fixed_dictionaries({"group": groups})),
        contention=draw(st.sampled_from(("time-slice", "gpu-share"))),
        checkpoints=draw(st.sampled_from(("ssd", "remote"))),
    )


@st.composite
def scenarios(draw: st.DrawFn, systems: Sequence[str] = tuple(list_systems()), longest: int = 300) -> Scenario:
    """One of the systems, varied or as it is, on a small cluster with a little traffic of up to ``longest`` tokens."""
    system = draw(st.sampled_from(systems))
    functions = draw(function_tables())
    cluster = draw(clusters())
    stands = load_system(system).preloading["policy"] == "always-on"
    if any(function.backbone.tensor_parallel > 1 for function in functions):
        # What stands for ever on one GPU of the only two of a node would leave a split backbone no place.
        if stands or all(group.gpus_per_node < 2 for group in cluster.groups):
            cluster = ClusterConfig(nodes=2, gpus_per_node=4 if stands else 2, checkpoints=cluster.checkpoints)
    elif stands and cluster.gpus < 2:
        cluster = cluster.model_copy(update={"gpus_per_node": 2})
    rows = draw(traffic(len(functions), longest=longest))
    overrides = draw(variations(system))
    return Scenario(system, functions, make_workload(rows), overrides, cluster, seed=draw(st.integers(0, 3)))


@st.composite
def failures(draw: st.DrawFn, gpus: int, functions: Sequence[Function]) -> Failure:
    """Of any kind, at a time within a small run or at a rate that strikes such a run."""
    what = draw(st.sampled_from(list(FAILURE_KEYS)))
    once = what == "adapter" and draw(st.booleans())
    values = {
        "for_s": None if once else draw(st.sampled_from((30.0, 1.0, 200.0, *(() if what == "remote" else (None,))))),
        "gpu": draw(st.none() | st.integers(0, gpus - 1)),
        "node": draw(st.sampled_from((None, 0))),
        "function": draw(st.none() | st.sampled_from([function.id for function in functions])),
        "during": draw(st.sampled_from((None, "batch", "start"))),
        "factor": draw(st.sampled_from((0.0, 0.05))),
        "once": once,
    }
    at = st.fixed_dictionaries({"at_s": st.sampled_from((0.0, 1.22, 3.0, 9.8, 40.0))})
    often = st.fixed_dictionaries({"rate_per_hour": st.sampled_from((60.0,) if what == "remote" else (60.0, 720.0))})
    return Failure.model_validate(
        {"what": what, **{key: values[key] for key in FAILURE_KEYS[what]}, **draw(at | often)}
    )


@st.composite
def troubled(draw: st.DrawFn, systems: Sequence[str] = tuple(list_systems()), most: int = 3) -> Scenario:
    """A scenario in which up to ``most`` things fail, and some reaction of its system."""
    scenario = draw(scenarios(systems))
    reaction = {
        "on_failure": draw(st.sampled_from(("retry", "reject", "fail"))),
        "limits.retries": draw(st.integers(0, 3)),
    }
    found = draw(st.lists(failures(scenario.cluster.gpus, scenario.functions), min_size=1, max_size=most))
    return replace(scenario, overrides={**scenario.overrides, **reaction}, failures=found)
