"""What the scripts beside the paper's experiments make of a summary."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

Script = Callable[[str], ModuleType]


def test_a_scenario_of_scaling_is_its_kind_and_its_gpus(script: Script) -> None:
    summary = pd.DataFrame({"scenario": ["strong, 2 GPUs", "weak, 16 GPUs"], "system": "a", "point": "base"})
    found = script("paper-scaling/scaling.py").by_gpus(summary)
    assert found["scenario"].tolist() == ["strong", "weak"]
    assert found["GPUs"].tolist() == [2, 16]
    assert found["point"].tolist() == ["GPUs=2", "GPUs=16"]


def test_the_fewest_gpus_have_one_name_whatever_their_number(script: Script) -> None:
    names = ["vllm", "vllm (1 GPU)", "vllm (4 GPUs)", "serverless-lora"]
    found = script("paper-comparison/comparison.py").named(pd.DataFrame({"system": names, "slo_attainment": 0.75}))
    assert found["system"].tolist() == ["vllm", "vllm (fewest)", "vllm (fewest)", "serverless-lora"]
    assert found["slo_violations"].unique().tolist() == [25.0]


def test_a_variation_stands_beside_what_it_is_as_configured(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    """ServerlessLLM takes 4 s as configured and 8 s under the variation, ServerlessLoRA 2 s in both."""
    tornado = script("paper-assumptions/tornado.py")
    seconds = {"serverless-llm": {"base": 4.0, "A1=slices": 8.0}}

    def draws(_: object, metric: str, system: str, scenario: str, point: str) -> pd.Series:
        return pd.Series(np.full(6, seconds.get(system, {}).get(point, 2.0)))

    class Cell:
        def __init__(self, point: str) -> None:
            self.point = point

    class Runs:
        cells = (Cell("base"), Cell("A1=slices"))

    monkeypatch.setattr(tornado, "draws", draws)
    found = tornado.ratios(Runs()).set_index("panel").loc["TTFT, ServerlessLLM / ServerlessLoRA"]
    assert (found["of"], found["to"], found["base"], found["estimate"]) == ("A1", "slices", 2.0, 4.0)
    assert "| A1: slices | 4 (4 to 4) |" in "\n".join(tornado.report(Runs()))
