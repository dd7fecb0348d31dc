"""What ``simlora init`` writes: an experiment to change, with a policy and a test of it."""

from __future__ import annotations

from pathlib import Path

from simlora.errors import ConfigError
from simlora.study.store import one_message

FILES = Path(__file__).parent / "files"


def write_template(folder: Path) -> list[Path]:
    """Write the files into a new or empty folder; :class:`ConfigError` rather than touch what is there."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder}: there is something there already; init writes a new folder, or into an empty one")
    written = []
    with one_message(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for source in sorted(FILES.iterdir()):
            target = folder / source.name.removesuffix(".txt")
            target.write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
            written.append(target)
    return written
