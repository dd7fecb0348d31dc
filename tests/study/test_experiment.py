"""Bad experiment files: where, what was found, what is allowed, and never a traceback."""

from __future__ import annotations

import pytest

from simlora.errors import SimloraError
from simlora.study.experiment import read_study
from simlora.study.grid import build_grid
from simlora.study.overrides import parse_setting

VARIATION = '[[variation]]\nof = "nodes"\nto = "four"\nset = { "cluster.nodes" = 4 }'
BAD = [
    ("seeds = 2", "seeds = 0", ["experiment.toml:1", "seeds", "at least one seed"]),
    ("seeds = 2", "seeds = [1, 1]", ["experiment.toml:1", 'seed "1"', "once"]),
    ("seeds = 2", "seeds = [1, -1]", ["experiment.toml:1", "seeds[2]", "-1"]),
    ("seeds = 2", "sedes = 2", ["experiment.toml:1", 'no key "sedes"', 'did you mean "seeds"']),
    ("seeds = 2", "seeds = 2 2", ["experiment.toml:1", "not a TOML file", "seeds = 2 2"]),
    ("nodes = 2\n", "nodes = 0\n", ["experiment.toml:6", "cluster.nodes", "found 0"]),
    ("nodes = 2\n", "nodez = 2\n", ["experiment.toml:6", 'no key "cluster.nodez"', 'did you mean "nodes"']),
    ("nodes = 2\n", 'nodes = 2\nnode_type = "g6e.24x"\n', ["experiment.toml:7", "g6e.24x", 'mean "g6e.24xlarge"']),
    ("nodes = 2\n", "nodes = 2\nssd_bytes_per_s = -1.0\n", ["experiment.toml:7", "ssd_bytes_per_s", "found -1.0"]),
    ("nodes = 2\n", "nodes = 2\nnic_bytes_per_s = nan\n", ["experiment.toml:7", "nic_bytes_per_s", "found nan"]),
    ("nodes = 2\n", "nodes = 2\nremote_bytes = 1e9\n", ['mean "remote_bytes_per_s"']),
    (
        "depth = 2 }",
        "depth = 2 }\nloader_bytes_per_s = { ssd-device = 1e9 }",
        ["experiment.toml:20", 'mean "ssd-to-device"'],
    ),
    ("depth = 2 }", "depth = 2 }\nloader_bytes_per_s = { ssd-to-device = 0 }", ["ssd-to-device", "found 0"]),
    ("nodes = 2\n", 'nodes = 2\ncontention = "mps"\n', ["experiment.toml:7", "'time-slice'", "'mps'"]),
    ("duration_s = 600", "duration_s = -1", ["experiment.toml:12", "scenario[1].duration_s", "-1"]),
    ("duration_s = 600", "", ["experiment.toml:9", 'key "scenario[1].duration_s" is missing']),
    ("duration_s = 600", "duration_s = 600\ncluster = { nodez = 1 }", [":13", "calm", "nodez", 'mean "nodes"']),
    ('name = "calm"', 'name = "a/b"', ["experiment.toml:10", "a name is a folder's name", "'a/b'"]),
    ('use = "vllm"', 'use = "vlm"', ["experiment.toml:18", '"vlm"', 'did you mean "vllm"']),
    ('use = "vllm"', 'use = "vllm"\nsharing = "none"', ["experiment.toml:17", "sharing", "name and base"]),
    ('use = "vllm"', 'use = "serverless-lora"', ['2 times system or ablation "serverless-lora"']),
    ('base = "serverless-lora"', 'base = "serverless-lra"', ["experiment.toml:22", 'did you mean "serverless-lora"']),
    ("depth = 2", "dept = 2", ["experiment.toml:20", 'no key "dept"', 'did you mean "depth"']),
    ("study_policies:Mine", "study_policies:Mien", ['no class in study_policies named "Mien"', 'did you mean "Mine"']),
    ("study_policies:Mine", "study_policies:Q", ['no class in study_policies named "Q"; allowed: Mine']),
    ("study_policies:Mine", "study_polices:Mine", ['no module "study_polices"', 'did you mean "study_policies"']),
    ('sharing = "none"', 'sharin = "none"', ["experiment.toml:25", 'no key "sharin"', 'did you mean "sharing"']),
    ('sharing = "none"', 'sharing = "all"', ["experiment.toml:25", "sharing", "'all'"]),
    ('base = "mine"', 'base = "mime"', ["experiment.toml:27", 'did you mean "mine"']),
    ('"alibaba-fc-2024-08"', '"alibaba"', ["experiment.toml:3", "price list", '"alibaba"']),
    ('"alibaba-fc-2024-08", ', "", ["experiment.toml:3", "serverless systems need"]),
    (
        '"functions.csv"',
        '"function.csv"',
        ["experiment.toml:2", "function.csv", "No such file", 'mean "functions.csv"'],
    ),
    ("[cluster]", 'profile = "l4"\n[cluster]', ["profile", '"l4"', 'did you mean "l40s"']),
    ("[cluster]", 'slo = "warm"\n[cluster]', ["experiment.toml:5", "slo", "'published' or 'warm-5x'"]),
    ("seeds = 2", "seeds = true", ["experiment.toml:1", "seeds", "True"]),
    ("seeds = 2", 'seeds = "3"', ["experiment.toml:1", "seeds", "'3'"]),
    ("gpus_per_node = 2", "gpus_per_node = true", ["experiment.toml:7", "gpus_per_node", "True"]),
    ("duration_s = 600", "duration_s = true", ["experiment.toml:12", "duration_s", "True"]),
    ("duration_s = 600", "duration_s = 600\nrate_per_s = 3", ['trace = { name = "poisson", rate_per_s = 3 }']),
    ('use = "vllm"', 'use = "serverless-lora"', ['experiment.toml: 2 times system or ablation "serverless-lora"']),
    ("[cluster]", '[sweep]\n"cluster.node" = [1]\n[cluster]', [":6", "cluster.node", 'did you mean "cluster.nodes"']),
    ("[cluster]", '[sweep]\n"cluster.nodes" = []\n[cluster]', [":6", "lists no value"]),
    ("[cluster]", "[sweep]\nseeds = [1, 2]\n[cluster]", [":6", "can't be swept"]),
    ("[cluster]", '[sweep]\n"cluster.nodes" = [1, 1]\n[cluster]', ["cluster.nodes=1", "twice"]),
    ("[cluster]", '[sweep]\n"system.mine.dept" = [1]\n[cluster]', ["dept", "neither a name nor a key"]),
    ("[cluster]", '[sweep]\n"scenario.rate_scal" = [1]\n[cluster]', ['did you mean "rate_scale"']),
    (
        "[cluster]",
        f"{VARIATION}\n[cluster]".replace("nodes", "node"),
        [":8: variation", 'did you mean "cluster.nodes"'],
    ),
    ("[cluster]", f"{VARIATION}\n[cluster]".replace("four", "a,b"), [":7", "neither has a comma"]),
    ("[cluster]", f"{VARIATION}\n{VARIATION}\n[cluster]", ["2 times variation", "nodes=four"]),
    ("[cluster]", f'[sweep]\n"cluster.nodes" = [1]\n{VARIATION}\n[cluster]', ["a sweep or variations"]),
]


@pytest.mark.parametrize(("old", "new", "fragments"), BAD, ids=[new or f"no {old}" for old, new, _ in BAD])
def test_bad_files_are_named(folder, old, new, fragments):
    folder.edit("experiment.toml", old, new)
    with pytest.raises(SimloraError) as found:
        build_grid(read_study(folder.file))
    for fragment in fragments:
        assert fragment in str(found.value)


BAD_FUNCTIONS = [
    ("a,llama-2-7b", "a,lama-2-7b", ["functions.csv:2", "lama-2-7b", 'did you mean "llama-2-7b"']),
    ("b,llama-2-7b", "a,llama-2-7b", ["functions.csv:3", 'function "a" is on line 2 already']),
    (",16,", ",0,", ["functions.csv:2", "rank", "'0'"]),
    (",16,", ",sixteen,", ["functions.csv:2", "rank", "'sixteen'"]),
    ("q_proj;v_proj", "q_proj;w_proj", ["functions.csv:2", "target module", "w_proj"]),
    ("q_proj;v_proj", "q_proj q_proj", ["functions.csv:2", "twice"]),
    (",2.5,\n", ",nan,\n", ["functions.csv:2", "slo_ttft_s", "'nan'"]),
    (",2.5,\n", ",,\n", ["experiment.toml", 'function "a"', "slo_ttft_s", "warm-5x"]),
    ("rank,", "ranks,", ["functions.csv:1", '"ranks"', 'did you mean "rank"']),
    ("slo_ttft_s,slo_tpot_s", "slo_tpot_s", ["functions.csv:1", '"slo_ttft_s" is missing']),
    (",2.5,0.1", ",2.5,0.1,7", ["functions.csv:3", "more cells than columns"]),
    ("a,llama-2-7b", ",llama-2-7b", ["functions.csv:2", "function is empty"]),
]


@pytest.mark.parametrize(("old", "new", "fragments"), BAD_FUNCTIONS, ids=[new for _, new, _ in BAD_FUNCTIONS])
def test_bad_functions_tables_are_named(folder, old, new, fragments):
    folder.edit("functions.csv", old, new)
    with pytest.raises(SimloraError) as found:
        build_grid(read_study(folder.file))
    for fragment in fragments:
        assert fragment in str(found.value)


@pytest.mark.parametrize("text", ["", "function,backbone,rank,target_modules,slo_ttft_s\n"])
def test_an_empty_functions_table_is_refused(folder, text):
    (folder.path / "functions.csv").write_text(text)
    with pytest.raises(SimloraError, match="functions table is empty"):
        build_grid(read_study(folder.file))


def test_a_model_that_fits_no_gpu_is_refused_with_its_bytes(folder):
    config = {
        "hidden_size": 8192,
        "num_hidden_layers": 80,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
        "intermediate_size": 28672,
        "vocab_size": 32000,
    }
    (folder.path / "large").mkdir()
    (folder.path / "large" / "config.json").write_text(str(config).replace("'", '"'))
    folder.edit("functions.csv", "a,llama-2-7b", "a,large/config.json")
    with pytest.raises(SimloraError, match=r'function "a": large \(large/config.json\) fits no GPU: it needs 138.* GB'):
        build_grid(read_study(folder.file))


BAD_SETTINGS = [
    ("seeds", ["--set seeds", "expected key=value"]),
    ("cluster.node=1", ["--set", 'did you mean "cluster.nodes"']),
    ("system.vllm.batching.max_num_seq=1", ["max_num_seq", 'did you mean "max_num_seqs"']),
    ("scenario.calm.duration=1", ["duration", 'did you mean "duration_s"']),
    ("cluster.remote_bytes=1", ["--set", 'did you mean "cluster.remote_bytes_per_s"']),
    ("system.mine.loader_bytes_per_s.ssd-to-devise=1", ['no way of loader pinned-streams named "ssd-to-devise"']),
    ("cluster.nodes=many", ["cluster.nodes", "'many'"]),
]


@pytest.mark.parametrize(("text", "fragments"), BAD_SETTINGS, ids=[text for text, _ in BAD_SETTINGS])
def test_bad_settings_are_named(folder, text, fragments):
    with pytest.raises(SimloraError) as found:
        build_grid(read_study(folder.file, [parse_setting(text)]))
    for fragment in fragments:
        assert fragment in str(found.value)
