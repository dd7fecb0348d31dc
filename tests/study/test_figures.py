"""Which systems are drawn together, and what an always-on one with the fewest GPUs is called in a picture."""

from __future__ import annotations

import pandas as pd
import pytest

from simlora.plotting import styles
from simlora.plotting.style import in_order
from simlora.study.figures import drawn_systems
from simlora.study.run import run_experiment


@pytest.fixture
def drawn(folder, engine):
    """The experiment run on the fake engine: names of its pictures, and the systems in each."""
    ran = run_experiment(folder.file, folder.path / "out", jobs=0)
    return {path.stem: pd.read_csv(path) for path in (ran.out / "figures").glob("*.csv")}


def test_an_ablation_stands_beside_its_base_and_in_no_other_figure(drawn):
    for name, data in drawn.items():
        systems = set(data["system"])
        if name.startswith("ablations-of-mine-"):
            assert systems == {"mine", "no sharing"}
        else:
            assert systems == {"serverless-lora", "vllm", "vllm (1 GPU)", "mine"}, name
    both = ("ttft", "slo", "cost", "breakdown-calm")
    assert {name for name in drawn if name.startswith("ablations")} == {f"ablations-of-mine-{name}" for name in both}


def names(*systems):
    return list(drawn_systems(pd.DataFrame({"system": systems}))["system"])


def test_a_picture_uses_the_names_of_the_tables_and_a_range_where_they_differ():
    assert names("vllm", "vllm (2 GPUs)", "mine") == ["vllm", "vllm (2 GPUs)", "mine"]
    drawn = names("vllm (4 GPUs)", "mine (1 GPU)", "vllm (2 GPUs)")
    assert drawn == ["vllm (2 to 4 GPUs)", "mine (1 GPU)", "vllm (2 to 4 GPUs)"]


def test_a_system_keeps_its_place_and_style_whatever_number_its_name_states():
    forms = ("vllm (1 GPU)", "vllm (3 GPUs)", "vllm (2 to 4 GPUs)")
    look = styles([*forms, "vllm", "mine"])
    assert len({look[form] for form in forms}) == 1
    assert look["vllm"] != look["vllm (1 GPU)"]
    ordered = in_order(["mine", "vllm (3 GPUs)", "vllm"], ["vllm", "vllm (1 GPU)", "mine"])
    assert ordered == ["vllm", "vllm (3 GPUs)", "mine"]


def test_of_variations_the_file_s_own_values_are_drawn(folder, engine):
    variation = '[[variation]]\nof = "keep-alive"\nto = "long"\nset = { "system.keepalive" = "forever" }\n'
    folder.edit("experiment.toml", "[[scenario]]", f"{variation}[[scenario]]")
    ran = run_experiment(folder.file, folder.path / "out", jobs=0)
    stems = {path.stem for path in (ran.out / "figures").glob("*.csv")}
    assert {"ttft", "slo", "cost", "breakdown-calm", "ttft-cdf-calm"} <= stems
    assert not any("long" in stem for stem in stems)
