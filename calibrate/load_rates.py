"""``python -m calibrate.load_rates FOLDER``: how fast whole checkpoints reached the device in the cold starts measured.

Prints the ``loader_bytes_per_s`` of an experiment's systems.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from calibrate.measured import read_part
from simlora.errors import ConfigError

WAYS = {"ssd-to-device": "storage", "host-to-device": "page-cache"}
"""Ways of a loader, and where the weights were when they were loaded."""


def load_rates(folder: Path) -> dict[str, float]:
    """Bytes per second by way, the median of the loads; :class:`ConfigError` if no cold start was measured."""
    starts = read_part(folder, "cold_start")
    rates = starts.bytes / starts.load_s
    return {way: float(rates[starts.weights == weights].median()) for way, weights in WAYS.items()}


def stated(rates: dict[str, float]) -> str:
    """As TOML."""
    return "{ " + ", ".join(f"{way} = {rate:.4g}" for way, rate in rates.items()) + " }"


def main() -> None:
    """Print them."""
    parser = argparse.ArgumentParser(prog="python -m calibrate.load_rates", description=__doc__)
    parser.add_argument("folder", type=Path, help="what calibrate.measure wrote")
    asked = parser.parse_args()
    try:
        print(f"loader_bytes_per_s = {stated(load_rates(asked.folder))}")
    except ConfigError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
