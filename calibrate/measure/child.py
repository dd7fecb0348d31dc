"""Fresh processes: run a snippet in one, and read the JSON that it prints last."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LIMIT_S = 240


def run(code: str, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What the snippet printed, and ``wall_s`` from the start of the process to its end; ``error`` if it failed."""
    began = time.perf_counter()
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            cwd=ROOT,
            env={**os.environ, **(env or {})},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"not done after {LIMIT_S} s"}
    wall_s = time.perf_counter() - began
    if done.returncode:
        return {"error": (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]}
    said = json.loads(done.stdout.strip().splitlines()[-1]) if done.stdout.strip() else {}
    return {"wall_s": wall_s, **said}
