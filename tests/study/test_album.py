"""A run takes away the pictures that runs drew, and no other."""

from __future__ import annotations

import pandas as pd

from simlora.study.album import KINDS, Album
from simlora.study.run import run_experiment


class Drawn:
    def save(self, stem):
        for kind in KINDS:
            (stem.parent / f"{stem.name}.{kind}").write_text("")


def test_only_pictures_that_were_added_go(tmp_path):
    album = Album(tmp_path / "figures")
    album.clear()
    album.add(Drawn(), "ttft-k=0.5")
    (album.folder / "mine.png").write_text("")
    album.clear()
    assert [path.name for path in album.folder.iterdir()] == ["mine.png"]
    album.add(Drawn(), "cost")
    assert {path.name for path in album.folder.glob("cost.*")} == {f"cost.{kind}" for kind in KINDS}


def test_a_list_that_was_tampered_with_reaches_no_other_folder(tmp_path):
    album = Album(tmp_path / "figures")
    album.add(Drawn(), "cost")
    (tmp_path / "a.csv").write_text("")
    (album.folder / "drawn.txt").write_text("../a\n")
    album.clear()
    assert (tmp_path / "a.csv").exists()


def test_a_run_that_served_nothing_has_its_figures(folder):
    too_long = "scenario.lengths={name='fixed',prompt_tokens=10000000,output_tokens=10}"
    ran = run_experiment(folder.file, folder.path / "out", sets=["seeds=1", too_long], jobs=0)
    assert ran.failed == ()
    assert (ran.out / "figures" / "ttft.png").exists()
    assert set(pd.read_csv(ran.out / "summary.csv")["finished"]) == {0}
