"""The grid: what is in it, what is paired, and what each key on the way sets."""

from __future__ import annotations

import pickle
import re

import pytest

from simlora.cluster.machines import parts_of
from simlora.errors import ConfigError, SimloraError
from simlora.latency import fit_ttft_line, load_profile
from simlora.study.experiment import read_study
from simlora.study.grid import build_grid
from simlora.study.overrides import layered, parse_setting
from simlora.study.regime import regimes, survey
from simlora.study.workloads import workload_of


def cells(folder, *settings):
    return build_grid(read_study(folder.file, [parse_setting(text) for text in settings])).cells


def test_systems_by_scenarios_by_points_by_seeds(folder):
    found = cells(folder, "cluster.nodes=1,2,4", "seeds=5,7")
    assert len(found) == 4 * 1 * 3 * 2
    assert len({cell.folder for cell in found}) == len(found)
    assert {cell.seed for cell in found} == {5, 7}
    assert {cell.point: cell.cluster.nodes for cell in found} == {
        "cluster.nodes=1": 1,
        "cluster.nodes=2": 2,
        "cluster.nodes=4": 4,
    }


def test_variations_are_the_file_with_a_few_keys_set_otherwise(folder):
    variations = [("nodes", "four", '"cluster.nodes" = 4'), ("keep-alive", "long", '"system.keepalive" = "forever"')]
    text = [f'[[variation]]\nof = "{of}"\nto = "{to}"\nset = {{ {key} }}\n' for of, to, key in variations]
    folder.edit("experiment.toml", "[[scenario]]", f"{''.join(text)}[[scenario]]")
    found = {cell.point: cell for cell in cells(folder, "cluster.nodes=3") if cell.system == "mine" and cell.seed == 1}
    assert {point: cell.cluster.nodes for point, cell in found.items()} == {
        "base": 3,
        "nodes=four": 4,
        "keep-alive=long": 3,
    }
    kept = {point: cell.config.keepalive["policy"] for point, cell in found.items()}
    assert kept == {"base": "fixed", "nodes=four": "fixed", "keep-alive=long": "forever"}


def test_cells_travel_between_processes(folder):
    for cell in cells(folder):
        assert pickle.loads(pickle.dumps(cell)) == cell


def test_seeds_are_paired_across_systems_and_built_once(folder):
    found = cells(folder)
    for seed in (0, 1):
        same = [workload_of(c.settings["workload"], c.base_dir) for c in found if c.seed == seed]
        assert all(workload is same[0] for workload in same)
    first, second = (workload_of(c.settings["workload"], c.base_dir) for c in found[:5:4])
    assert first.arrived_s.tolist() != second.arrived_s.tolist()


def test_keys_of_one_system_and_of_all(folder):
    by_name = {c.system: c.config for c in cells(folder, "system.mine.preloading.depth=7", "system.keepalive=forever")}
    assert by_name["mine"].preloading == {"policy": "study_policies:Mine", "depth": 7}
    assert by_name["no sharing"].preloading["depth"] == 7
    assert by_name["serverless-lora"].preloading["policy"] == "pckp"
    assert {config.keepalive["policy"] for config in by_name.values()} == {"forever"}


def test_an_ablation_differs_from_its_base_by_what_it_sets(folder):
    by_name = {c.system: c.config for c in cells(folder)}
    changed = {key for key, value in by_name["mine"] if getattr(by_name["no sharing"], key) != value}
    assert changed == {"name", "title", "sharing"}


def test_systems_stand_in_the_order_of_the_file(folder):
    text = folder.file.read_text()
    first, rest = text.split("[[system]]\n", 1)
    used, mine = rest.rsplit("[[system]]\n", 1)
    folder.file.write_text(f"{first}[[system]]\n{mine.partition('[[abl')[0]}[[system]]\n{used}")
    assert list(dict.fromkeys(cell.system for cell in cells(folder))) == ["mine", "serverless-lora", "vllm"]


def test_a_used_system_can_be_changed_from_the_command_line(folder):
    by_name = {c.system: c.config for c in cells(folder, "system.vllm.limits.gpus=3")}
    assert by_name["vllm"].limits.gpus == 3


def test_a_scenario_has_its_own_cluster_and_functions(folder):
    (folder.path / "one.csv").write_text((folder.path / "functions.csv").read_text().rpartition("b,llama")[0])
    folder.edit(
        "experiment.toml", "duration_s = 600", 'duration_s = 600\ncluster = { nodes = 1 }\nfunctions = "one.csv"'
    )
    cell = cells(folder)[0]
    assert (cell.cluster.nodes, cell.cluster.gpus_per_node) == (1, 2)
    assert [function.id for function in cell.functions] == ["a"]
    assert cell.settings["workload"]["functions"] == ["a"]


def test_keys_of_a_trace_given_by_name(folder):
    folder.edit("experiment.toml", '{ name = "poisson", rate_per_s = 0.05 }', '"poisson"')
    cell = cells(folder, "scenario.trace.rate_per_s=0.2")[0]
    assert cell.settings["workload"]["trace"] == {"name": "poisson", "rate_per_s": 0.2}


def test_warm_5x_is_five_times_the_systems_own_warm_ttft(folder):
    folder.edit("functions.csv", ",2.5,\n", ",,\n")
    by_name = {c.system: c.functions[0] for c in cells(folder, "slo=warm-5x")}
    for name, engine in (("serverless-lora", "hf-eager"), ("vllm", "vllm-0.8.5")):
        function = by_name[name]
        model = load_profile("l40s", engine).model(function.backbone, function.target_modules)
        assert function.slo_ttft_s == pytest.approx(5 * fit_ttft_line(model, rank=16)[0])
    assert by_name["vllm"].slo_ttft_s != by_name["serverless-lora"].slo_ttft_s


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("k=1", (1,)),
        ("k=1,2.5", (1, 2.5)),
        ("k=pckp,none", ("pckp", "none")),
        ("k=true", (True,)),
        ('k={policy="none"}', ({"policy": "none"},)),
        ("k=[1,2],[3]", ([1, 2], [3])),
    ],
)
def test_settings_are_toml_or_words(text, values):
    assert parse_setting(text).values == values


def test_layers_merge_while_they_name_one_policy():
    below = {"preloading": {"policy": "x", "depth": 1}}
    assert layered(below, {"preloading.depth": 2}) == {"preloading": {"policy": "x", "depth": 2}}
    assert layered(below, {"preloading": {"policy": "y"}}) == {"preloading": {"policy": "y"}}
    assert below == {"preloading": {"policy": "x", "depth": 1}}


def test_a_system_with_fewer_gpus_stands_behind_itself(folder):
    grid = build_grid(read_study(folder.file))
    vllm = [cell for cell in grid.cells if cell.system == "vllm"]
    fewer = [cell.with_gpus(2) for cell in vllm]
    names = [cell.system for cell in grid.in_order([*grid.cells, *fewer]) if cell.seed == 0]
    assert names == ["serverless-lora", "vllm", "vllm (2 GPUs)", "mine", "no sharing"]
    assert {cell.config.limits.gpus for cell in fewer} == {2}
    assert vllm[0].config.limits.gpus is None


GROUPS = """[[cluster.group]]
nodes = 1
gpus_per_node = 2

[[cluster.group]]
nodes = 1
gpus_per_node = 1
node_type = "p5.48xlarge"
profile = "h100-sxm"
"""
ALIKE = "[cluster]\nnodes = 2\ngpus_per_node = 2\n"


def test_a_cluster_of_several_kinds_says_what_there_is(folder):
    folder.edit("experiment.toml", ALIKE, GROUPS)
    folder.edit("experiment.toml", '"alibaba-fc-2024-08", "ec2-on-demand-2026"', '"runpod-2026", "ec2-on-demand-2026"')
    grid = build_grid(read_study(folder.file))
    assert {cell.cluster.gpus for cell in grid.cells} == {3}
    [regime] = regimes(grid, survey(grid))
    capacity = [load_profile(name).gpu.usable_bytes for name in ("l40s", "h100-sxm")]
    assert (regime.gpus, regime.there_bytes) == ("2 l40s + 1 h100-sxm", 2 * capacity[0] + capacity[1])
    parts = [part.part for part in parts_of(grid.cells[0].machines, "sllm")]
    assert {"gpu l40s", "gpu h100-sxm"} <= {*parts}
    assert len(parts) == len({*parts})


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"h100-sxm"', '"h100"', 'no profile named "h100"'),
        ('"p5.48xlarge"', '"p5"', ':12: cluster.group[2].node_type: no node type named "p5"'),
        (
            "gpus_per_node = 1\n",
            "gpus_per = 1\n",
            ':11: no key "cluster.group[2].gpus_per"; did you mean "gpus_per_node"',
        ),
        (
            "[[cluster.group]]\nnodes = 1\ngpus_per_node = 2\n",
            "[cluster]\nnodes = 3\n",
            "nodes goes with nodes that are",
        ),
        ('profile = "h100-sxm"', 'profile = "h200-sxm"', 'no price for GPU "h200-sxm"'),
    ],
)
def test_what_is_wrong_with_a_group_is_said(folder, old, new, said):
    folder.edit("experiment.toml", ALIKE, GROUPS)
    folder.edit("experiment.toml", old, new)
    with pytest.raises(ConfigError, match=re.escape(said)):
        build_grid(read_study(folder.file))


def test_a_model_that_fits_no_gpu_is_told_once_with_the_largest(folder):
    folder.edit("experiment.toml", ALIKE, GROUPS)
    folder.edit("experiment.toml", '"alibaba-fc-2024-08", "ec2-on-demand-2026"', '"runpod-2026", "ec2-on-demand-2026"')
    folder.edit("functions.csv", "a,llama-2-7b", "a,llama-2-70b")
    with pytest.raises(ConfigError, match=r'function "a": llama-2-70b fits no GPU: it needs 1.* and NVIDIA H100'):
        build_grid(read_study(folder.file))


def split_over(folder, number):
    folder.edit("functions.csv", "slo_tpot_s\n", "slo_tpot_s,tensor_parallel\n")
    folder.edit("functions.csv", "2.5,\n", f"2.5,,{number}\n")
    folder.edit("functions.csv", "0.1\n", f"0.1,{number}\n")


def test_a_column_splits_a_backbone(folder):
    split_over(folder, 2)
    grid = build_grid(read_study(folder.file))
    assert {f.backbone.tensor_parallel for cell in grid.cells for f in cell.functions} == {2}
    [regime] = regimes(grid, survey(grid))
    a, b = grid.cells[0].functions
    assert regime.unshared_bytes - regime.shared_bytes == a.backbone.weights_bytes
    assert a.backbone is b.backbone


@pytest.mark.parametrize(
    ("number", "said"),
    [
        ("4", "llama-2-7b goes on 4 GPUs of one node, and no node has more than 2"),
        ("3", ":2: llama-2-7b: tensor_parallel must divide heads = 32 (found 3)"),
        ("x", ":2: tensor_parallel must be a positive integer (found 'x')"),
    ],
)
def test_a_backbone_that_cannot_be_split_so_is_refused(folder, number, said):
    split_over(folder, number)
    with pytest.raises(SimloraError, match=re.escape(said)):
        build_grid(read_study(folder.file))


def test_one_backbone_is_split_in_one_way(folder):
    split_over(folder, 2)
    folder.edit("functions.csv", "0.1,2", "0.1,1")
    with pytest.raises(SimloraError, match=r"must be the same for all functions of llama-2-7b .found 2 and 1"):
        build_grid(read_study(folder.file))
