"""What a paper states, and where to look for it here: a line of ``expected.csv``."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from simlora.errors import ConfigError, unknown_name

FILE, FOLDERS = "expected.csv", "paper-*"
SCALES = {
    "": 1.0,
    "x": 1.0,
    "s": 1.0,
    "ms": 1e3,
    "%": 1e2,
    "MB": 1e-6,
    "USD": 1.0,
    "tokens/s": 1.0,
    "requests": 1.0,
    "1/(s USD)": 1.0,
}
"""What a figure in SI units is multiplied by to be one in this unit."""
PAIRED = ("ratio", "less", "more")
COMPARED = ("above", "below", *PAIRED)


class Claim(BaseModel):
    """One claim. ``folder``: that of the ``expected.csv`` it is in, whose page shows the evidence.

    ``source``: the experiment beside that folder whose results tell; empty where none can. ``metric``: as in
    :mod:`simlora.claims.measures`. ``form``: its ``value`` in the system ``of``; the same where it should lie ``above``
    or ``below`` that of the system ``over``; or ``of`` / ``over`` as a ``ratio``, as 1 - ratio (``less``) or as
    ratio - 1 (``more``). ``scenarios``: of several the one with the largest figure counts, as for a claim of "up to".
    "more than" is for a direction without a figure.
    ``tolerance``: how far the figure may be from ``paper`` to be called the same, as a share of it. ``ours`` and
    ``verdict`` are what was found when the page was written, ``why`` is the reason.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: Path
    claim: str
    view: str
    source: str
    metric: str
    of: str
    over: str
    form: Literal["value", "above", "below", "ratio", "less", "more"]
    scenarios: tuple[str, ...]
    says: Literal["", "up to", "at most", "more than"]
    paper: float | None
    unit: str
    tolerance: float | None
    where: str
    ours: float | None
    verdict: str
    why: str

    @model_validator(mode="after")
    def _fits(self) -> Claim:
        if self.unit not in SCALES:
            raise ValueError(f"unit: one of {', '.join(filter(None, SCALES))} (found {self.unit!r})")
        if self.form in COMPARED and not self.over:
            raise ValueError(f'over: the system to compare with is missing, which the form "{self.form}" needs')
        if self.source and not (self.metric and self.of):
            raise ValueError("metric, of: a claim with a source needs both")
        if self.paper is not None and self.source and self.tolerance is None:
            raise ValueError("tolerance: a published value needs one")
        return self

    @property
    def scale(self) -> float:
        """From SI units to its own."""
        return SCALES[self.unit]


COLUMNS = tuple(name if name != "scenarios" else "scenario" for name in Claim.model_fields if name != "folder")


def read_claims(where: Path, only: Sequence[str] = ()) -> list[Claim]:
    """The claims in all ``paper-*`` folders of ``where``, or in those that ``only`` names with or without ``paper-``.

    Raises :class:`ConfigError` naming file, line and column for anything that does not fit.
    """
    folders = {path.parent.name.removeprefix("paper-"): path for path in sorted(where.glob(f"{FOLDERS}/{FILE}"))}
    if not folders:
        raise ConfigError(f"{where}: no folder {FOLDERS} with an {FILE}; name the one that has them with --from")
    for name in only:
        if name.removeprefix("paper-") not in folders:
            raise unknown_name("experiment of the paper", name, folders)
    wanted = [name.removeprefix("paper-") for name in only] or list(folders)
    return [claim for name in wanted for claim in read_file(folders[name])]


def read_file(path: Path) -> list[Claim]:
    """The claims of one file, in its order; see :func:`read_claims`."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise ConfigError(f"{path}: columns must be {', '.join(COLUMNS)} (found {reader.fieldnames})")
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from None
    claims = []
    for line, row in rows:
        scenarios = tuple(filter(None, (row.pop("scenario") or "").split(";")))
        numbers = {name: row[name] or None for name in ("paper", "tolerance", "ours")}
        try:
            claims.append(Claim.model_validate({**row, **numbers, "scenarios": scenarios, "folder": path.parent}))
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"])) + ": " if first["loc"] else ""
            raise ConfigError(f"{path}:{line}: {key}{first['msg'].removeprefix('Value error, ')}") from None
    return claims


def write_file(path: Path, claims: Sequence[Claim]) -> None:
    """Write them as :func:`read_file` reads them."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for claim in claims:
            cells = {**claim.model_dump(), "scenario": ";".join(claim.scenarios)}
            writer.writerow([_cell(cells[name]) for name in COLUMNS])


def _cell(value: str | float | None) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else value
