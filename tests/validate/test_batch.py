"""The real batch: whoever joins, leaves or pauses, a request's tokens are those it would produce alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from simlora.entities import Function
from simlora.latency import load_backbone

pytestmark = pytest.mark.torch

BACKBONE = load_backbone("tiny-llama")
FUNCTIONS = [Function(i, f"f{i}", BACKBONE, 8, ("q_proj", "v_proj"), 2.5) for i in range(2)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from simlora.backends.torch_gpu.folders import make_adapter, make_model

    root: Path = tmp_path_factory.mktemp("models")
    base = AutoModelForCausalLM.from_pretrained(make_model(BACKBONE, root / "tiny"))
    first, second = (make_adapter(function, root / function.id) for function in FUNCTIONS)
    found = PeftModel.from_pretrained(base, first, adapter_name="f0").eval()
    found.load_adapter(second, adapter_name="f1")
    for name, weights in found.named_parameters():
        if "norm" not in name:
            # Random models repeat themselves; larger weights make what they say depend on all they were told.
            weights.data *= 4
    return found


class Traced:
    """A batch that remembers the tokens of each request."""

    def __init__(self, model: Any):
        import torch

        from simlora.backends.torch_gpu.batch import Batch

        self.batch = Batch(model, torch.device("cpu"), mixed=True)
        self.tokens: dict[int, list[int]] = {}

    def prefill(self, *chunks: tuple[int, str, int, int, bool]) -> None:
        from simlora.backends.torch_gpu.batch import Chunk

        self.batch.prefill([Chunk(*chunk) for chunk in chunks])
        self._note({chunk[0] for chunk in chunks if chunk[4]})

    def decode(self, steps: int) -> None:
        for _ in range(steps):
            self.batch.decode()
            self._note({row.request for row in self.batch.rows})

    def _note(self, requests: set[int]) -> None:
        for row in self.batch.rows:
            if row.request in requests:
                self.tokens.setdefault(row.request, []).append(row.token)


def alone(model: Any, request: int, adapter: str, prompt: int, steps: int) -> list[int]:
    traced = Traced(model)
    traced.prefill((request, adapter, prompt, 0, True))
    traced.decode(steps)
    return traced.tokens[request]


def test_requests_that_join_and_leave_do_not_change_each_others_tokens(model: Any) -> None:
    traced = Traced(model)
    traced.prefill((1, "f0", 30, 0, True), (2, "f1", 11, 0, True))
    traced.decode(4)
    traced.prefill((3, "f0", 50, 0, True))
    traced.decode(3)
    traced.batch.leave([1])
    traced.decode(5)
    assert traced.tokens[1] == alone(model, 1, "f0", 30, 7)
    assert traced.tokens[2] == alone(model, 2, "f1", 11, 12)
    assert traced.tokens[3] == alone(model, 3, "f0", 50, 8)


def test_a_prompt_in_chunks_yields_what_it_yields_whole(model: Any) -> None:
    traced = Traced(model)
    traced.prefill((1, "f0", 12, 0, True), (2, "f1", 16, 0, False))
    traced.decode(1)
    traced.prefill((2, "f1", 16, 16, False))
    traced.prefill((2, "f1", 8, 32, True))
    traced.decode(4)
    assert traced.tokens[2] == alone(model, 2, "f1", 40, 4)


def test_requests_that_pause_go_on_where_they_were(model: Any) -> None:
    traced = Traced(model)
    traced.prefill((1, "f0", 20, 0, True), (2, "f1", 33, 0, True))
    traced.decode(2)
    traced.batch.serve_only("f0")
    traced.decode(6)
    traced.batch.serve_only(None)
    traced.decode(3)
    assert traced.tokens[1] == alone(model, 1, "f0", 20, 11)
    assert traced.tokens[2] == alone(model, 2, "f1", 33, 5)


def test_adapters_and_prompts_make_a_difference(model: Any) -> None:
    said = [alone(model, request, adapter, 24, 12) for request in (1, 2) for adapter in ("f0", "f1")]
    assert len({tuple(tokens) for tokens in said}) == 4
