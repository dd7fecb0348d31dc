"""Where in the user's own code something happened: the innermost line of it among simlora's and SimPy's."""

from __future__ import annotations

import traceback
from pathlib import Path
from types import FrameType

import simpy.core

import simlora

LIBRARIES = "site-packages"
PACKAGE = Path(simlora.__file__).parent


def blame(error: BaseException, base_dir: Path) -> str:
    """The error with the line it is from: the innermost of the user's own, if it passed through there."""
    while error.__cause__ is not None and _raised_by_simpy(error):
        error = error.__cause__
    frames = list(traceback.extract_tb(error.__traceback__))
    frame = _own(frames, base_dir) or frames[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}: {type(error).__name__}: {error} (in {frame.line!r})"


def place(frame: FrameType, base_dir: Path) -> str:
    """``file:line, in function`` of the user's own code that runs there; empty if none does."""
    frames = traceback.StackSummary.extract(traceback.walk_stack(frame), lookup_lines=False)
    own = _own(frames[::-1], base_dir)
    return f"{Path(own.filename).name}:{own.lineno}, in {own.name}" if own else ""


def _own(frames: list[traceback.FrameSummary], base_dir: Path) -> traceback.FrameSummary | None:
    """The innermost frame in a file of the experiment's folder or of the working directory."""
    folders = (base_dir.resolve(), Path.cwd())
    for frame in reversed(frames):
        path = Path(frame.filename).resolve()
        theirs = LIBRARIES in path.parts or PACKAGE in path.parents or not path.is_file()
        if not theirs and any(folder in path.parents for folder in folders):
            return frame
    return None


def _raised_by_simpy(error: BaseException) -> bool:
    """SimPy raises a copy of what a process failed with, from a line of its own; the copy's cause is what failed."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and frames[-1].filename == simpy.core.__file__
