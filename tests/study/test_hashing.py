"""Keys: a change runs again exactly the cells it concerns."""

from __future__ import annotations

import pytest

from simlora.study import hashing
from simlora.study.experiment import read_study
from simlora.study.grid import build_grid
from simlora.study.hashing import cell_key
from simlora.study.overrides import parse_setting

SERVERLESS = {"serverless-lora", "mine", "no sharing"}
OWN = {"mine", "no sharing"}


def keys(folder, *settings, traffic="t"):
    grid = build_grid(read_study(folder.file, [parse_setting(text) for text in settings]))
    return {cell.folder: cell_key(cell, traffic) for cell in grid.cells}


def changed(before, after):
    assert before.keys() == after.keys()
    return {folder.parts[0] for folder in before if before[folder] != after[folder]}


def test_nothing_changed_nothing_runs(folder):
    assert changed(keys(folder), keys(folder)) == set()
    assert len(set(keys(folder).values())) == len(keys(folder))


@pytest.mark.parametrize("file", ["study_policies.py", "study_helper.py"])
def test_one_line_of_a_policy_or_of_what_it_imports(folder, file):
    before = keys(folder)
    with (folder.path / file).open("a") as source:
        source.write("CHANGED = True\n")
    assert changed(before, keys(folder)) == OWN


def test_a_file_beside_the_policies_that_they_do_not_import(folder):
    before = keys(folder)
    (folder.path / "notes.py").write_text("x = 1\n")
    assert changed(before, keys(folder)) == set()


def test_a_key_of_one_system(folder):
    assert changed(keys(folder), keys(folder, "system.mine.keepalive.idle_s=7")) == OWN


def test_prices_change_no_run(folder):
    assert changed(keys(folder), keys(folder, "prices=modal-2026-05,ec2-on-demand-2026")) == set()


def test_a_slo_that_policies_see(folder):
    before = keys(folder)
    folder.edit("functions.csv", "a,llama-2-7b,16,q_proj;v_proj,2.5", "a,llama-2-7b,16,q_proj;v_proj,3")
    assert changed(before, keys(folder)) == SERVERLESS | {"vllm"}


def test_the_content_of_a_trace(folder):
    assert changed(keys(folder), keys(folder, traffic="u")) == SERVERLESS | {"vllm"}


def test_the_experiments_folder_is_no_part_of_it(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    before = keys(folder)
    for path in folder.path.glob("*.*"):
        (elsewhere / path.name).write_text(path.read_text())
    assert changed(before, keys(type(folder)(elsewhere))) == set()


def test_simlora_itself(folder, monkeypatch):
    before = keys(folder)
    monkeypatch.setattr(hashing, "simulator_digest", lambda: "another")
    assert changed(before, keys(folder)) == SERVERLESS | {"vllm"}


def test_ones_own_profile_counts_by_content_not_by_name(folder):
    shipped = hashing.PROFILES / "l40s.toml"
    own = folder.path / "own.toml"
    own.write_text(shipped.read_text().replace('name = "l40s"', 'name = "own"'))
    before = keys(folder, "profile=own.toml")
    own.write_text(own.read_text() + "\n# measured again\n")
    assert changed(before, keys(folder, "profile=own.toml")) == SERVERLESS | {"vllm"}


def test_a_broken_module_that_is_not_imported_yet_counts_by_its_bytes(folder):
    (folder.path / "study_helper.py").write_text("ANSWER = (\n")
    folder.edit("study_policies.py", "import study_helper\n", "")
    folder.edit("study_policies.py", "        return Plan()", "        import study_helper\n\n        return Plan()")
    before = keys(folder)
    folder.edit("study_helper.py", "(", "((")
    assert keys(folder) != before
