"""A small run on real processes, on the CPU: what is shared, what is isolated, and that nothing is left behind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simlora.backends.base import WorkFailedError
from simlora.backends.torch_gpu.process import Worker
from simlora.cluster.config import ClusterConfig
from simlora.engine import RunRecord
from simlora.entities import Backbone, Function
from simlora.latency import load_backbone
from simlora.systems.config import load_system
from simlora.testing.scenario import make_workload
from simlora.validate.real import RealRun

pytestmark = pytest.mark.torch

BACKBONE = load_backbone("tiny-llama")
RANKS = (8, 16, 8)
MODULES = (("q_proj", "v_proj"), ("q_proj", "k_proj", "v_proj", "o_proj"), ("gate_proj", "up_proj", "down_proj"))
FUNCTIONS = [Function(i, f"f{i}", BACKBONE, rank, MODULES[i], 2.5) for i, rank in enumerate(RANKS)]
PROMPT = [5, 99, 321, 7, 64, 1000, 3]
LIMIT_S = 120.0


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[Backbone, Path], dict[Function, Path]]:
    from simlora.backends.torch_gpu.folders import make_adapter, make_model

    root = tmp_path_factory.mktemp("models")
    adapters = {function: make_adapter(function, root / function.id) for function in FUNCTIONS}
    return {BACKBONE: make_model(BACKBONE, root / "tiny-llama")}, adapters


def children() -> list[int]:
    """Processes of ours that run workers."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            ours = f"PPid:\t{os.getpid()}\n" in (entry / "status").read_text()
            worker = b"torch_gpu.worker" in (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if entry.name.isdigit() and ours and worker:
            found.append(int(entry.name))
    return found


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker("cpu", "under test")
    for step in ("library", "context"):
        made.ask(step, LIMIT_S).result()
    yield made
    made.kill()


# ---------------------------------------------------------------------------------------------- sharing


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f"rank {f.rank}, {len(f.target_modules)} modules")
def test_a_function_over_the_shared_backbone_says_what_peft_says_with_its_own(
    function: Function, folders: tuple[dict[Backbone, Path], dict[Function, Path]], worker: Worker
) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    models, adapters = folders
    holder = Worker("cpu", "holder")
    try:
        holder.ask("library", LIMIT_S).result()
        holder.ask("load", LIMIT_S, folder=str(models[BACKBONE]), cold=True).result()
        handles = holder.ask("export", LIMIT_S).result()
        before = holder.ask("checksum", LIMIT_S).result()
        worker.ask("map", LIMIT_S, folder=str(models[BACKBONE]), handles=handles).result()
        base = torch.tensor(worker.ask("logits", LIMIT_S, ids=PROMPT, adapter="").result())
        worker.ask("adapter", LIMIT_S, name=function.id, folder=str(adapters[function])).result()
        said = torch.tensor(worker.ask("logits", LIMIT_S, ids=PROMPT, adapter=function.id).result())
        assert holder.ask("checksum", LIMIT_S).result() == before
    finally:
        holder.kill()
    own = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(models[BACKBONE]), adapters[function])
    with torch.inference_mode():
        expected = own(input_ids=torch.tensor([PROMPT])).logits[0, -1]
        merged = own.merge_and_unload()(input_ids=torch.tensor([PROMPT])).logits[0, -1]
    assert torch.allclose(said, expected, atol=1e-5)
    assert torch.allclose(said, merged, atol=1e-4)
    assert not torch.allclose(said, base, atol=1e-3)


# ---------------------------------------------------------------------------------------------- a whole run


def run(system: str, folders: Any, rows: Any, profile: Path, **overrides: Any) -> RunRecord:
    return RealRun(
        load_system(system, {"keepalive": {"policy": "fixed", "idle_s": 5.0}, **overrides}),
        functions=FUNCTIONS,
        workload=make_workload(rows),
        cluster=ClusterConfig(nodes=1, gpus_per_node=1),
        profile=str(profile),
        seed=0,
        models=folders[0],
        adapters=folders[1],
        device="cpu",
    ).run()


ROWS = [(0.0, 0, 20, 8), (0.1, 1, 30, 8), (0.2, 0, 9, 3), (0.3, 2, 20, 5)]


@pytest.mark.parametrize("system", ["serverless-lora", "serverless-llm"])
def test_every_request_is_served_by_a_process_of_its_function(system: str, folders: Any, cpu_profile: Path) -> None:
    record = run(system, folders, ROWS, cpu_profile)
    requests = record.requests.to_pandas()
    assert set(requests.outcome) == {"finished"}
    order = requests[["arrived_s", "bound_s", "ready_s", "started_s", "first_token_s", "finished_s"]]
    assert (order.diff(axis=1).iloc[:, 1:] >= 0).all().all()
    stages = record.events.to_pandas().query("kind == 'stage_finished'")
    assert (stages.groupby("instance").stage.count() == 7).all()
    assert (stages.seconds > 0).all()
    loads = (record.events.to_pandas().kind == "backbone_loaded").sum()
    assert loads == (1 if system == "serverless-lora" else 0)
    assert children() == []


# ---------------------------------------------------------------------------------------------- what goes wrong


def test_what_cannot_be_done_is_said_and_the_process_lives_on(worker: Worker, tmp_path: Path) -> None:
    with pytest.raises(WorkFailedError, match=r"under test: load: FileNotFoundError: .*no \*\.safetensors"):
        worker.ask("load", LIMIT_S, folder=str(tmp_path), cold=False).result()
    assert worker.ask("interpreter", LIMIT_S).result() is None


def test_a_process_that_dies_fails_what_it_was_asked(worker: Worker) -> None:
    future = worker.ask("library", LIMIT_S)
    os.kill(worker.pid, 9)
    with pytest.raises(WorkFailedError, match="its process ended"):
        future.result(10)


def test_a_process_that_hangs_is_killed_at_its_limit(worker: Worker) -> None:
    os.kill(worker.pid, 19)
    with pytest.raises(WorkFailedError, match="took too long and was killed"):
        worker.ask("interpreter", 0.5).result(10)
