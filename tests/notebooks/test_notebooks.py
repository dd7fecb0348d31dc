"""The notebooks run from a clean kernel, with small settings; nothing that they printed is kept in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
SMALL = {
    "1-first-replay": "HOURS = 0.5",
    "2-your-own-policy": "SEEDS, HOURS, JOBS = 2, 0.5, 0",
    "3-calibrate-and-validate": "SECONDS = 20.0",
    "4-paper-and-simulation": "SEEDS, HOURS, JOBS = 2, 0.1, 0",
    "5-capacity-planning": "SEEDS, HOURS, RATES, JOBS = 2, 0.1, [0.2, 1], 0",
}
TORCH = ("3-calibrate-and-validate",)
LIMIT_S = 900


def cells(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return found


def settings(path: Path) -> list[int]:
    """Places of the cells that hold settings."""
    return [at for at, cell in enumerate(cells(path)) if "parameters" in cell["metadata"].get("tags", ())]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_text_and_code_alone_with_its_settings_in_one_cell(path: Path) -> None:
    code = [cell for cell in cells(path) if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert len(settings(path)) == 1
    assert cells(path)[0]["cell_type"] == "markdown"
    own = "".join(cells(path)[settings(path)[0]]["source"])
    assert all(name.strip() in own for name in SMALL[path.stem].partition("=")[0].split(","))


def test_every_notebook_is_run() -> None:
    assert SMALL.keys() == {path.stem for path in NOTEBOOKS}


def marked(path: Path) -> Any:
    return pytest.param(path, marks=pytest.mark.torch if path.stem in TORCH else pytest.mark.slow, id=path.stem)


@pytest.mark.parametrize("path", [marked(path) for path in NOTEBOOKS])
def test_a_notebook_runs_from_a_clean_kernel(path: Path, tmp_path: Path) -> None:
    reading, running = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = reading.read(path, as_version=4)
    small = reading.v4.new_code_cell(SMALL[path.stem])
    notebook.cells.insert(settings(path)[0] + 1, small)
    client = running.NotebookClient(notebook, timeout=LIMIT_S, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    shown = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in shown)
