"""The seal of a prediction: what it was, and when, before the first real request."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

SEAL = "prediction.json"


def seal(predicted: Path, out: Path) -> Path:
    """Write digests of all predicted tables and the present time; one that holds the same digests is kept."""
    digests = {
        str(path.relative_to(predicted)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(predicted.glob("cells/**/*.parquet"))
    }
    path = out / SEAL
    if path.is_file() and read_seal(out)["sha256"] == digests:
        return path
    sealed = {"sealed_at": datetime.now(UTC).isoformat(timespec="seconds"), "sha256": digests}
    path.write_text(json.dumps(sealed, indent=1) + "\n", encoding="utf-8")
    return path


def read_seal(out: Path) -> dict[str, Any]:
    """When, and what."""
    sealed: dict[str, Any] = json.loads((out / SEAL).read_text(encoding="utf-8"))
    return sealed


def broken(predicted: Path, out: Path) -> list[str]:
    """Predicted tables that are not what was sealed."""
    sealed = read_seal(out)["sha256"]
    return [
        name
        for name, digest in sealed.items()
        if not (predicted / name).is_file() or hashlib.sha256((predicted / name).read_bytes()).hexdigest() != digest
    ]
