"""The pages of the systems and the table of assumptions in DESIGN.md say the same: numbers, names and keys."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from simlora.cluster.config import ClusterConfig
from simlora.policies.base import ROLES
from simlora.policies.registry import policy_class
from simlora.systems.config import Limits, SystemConfig, list_systems, load_system

DESIGN = Path(__file__).parents[2] / "DESIGN.md"
KEY = re.compile(r"`([^`]+)`")
NAMED = re.compile(r"\*\*([a-z0-9-]+)\*\* \(A(\d+)((?:[;,] `[\w.]+`)*)\)")


class Row(NamedTuple):
    """Of the table: what its key column names, and the names that it has on pages."""

    keys: list[str]
    names: list[str]


def rows_of(text: str) -> list[tuple[int, Row]]:
    """All rows in their order, by number."""
    cells = [line.strip("|").split(" | ") for line in text.splitlines() if re.match(r"\| A\d+ \|", line)]
    return [
        (int(number.strip(" A")), Row(KEY.findall(keys), [name.strip() for name in names.split(",") if name.strip()]))
        for number, _, _, keys, names in cells
    ]


def bullets_of(system: str) -> list[str]:
    text = list_systems()[system].with_suffix(".md").read_text(encoding="utf-8")
    section = text.partition("\n## Assumptions\n")[2].partition("\n## ")[0]
    return [" ".join(bullet.split()) for bullet in re.split(r"^\* ", section, flags=re.MULTILINE)[1:]]


def named_on(system: str) -> Iterator[tuple[str, int, list[str]]]:
    """Each assumption of a page: its name, its number, its keys."""
    for bullet in bullets_of(system):
        for name, number, keys in NAMED.findall(bullet):
            yield name, int(number), KEY.findall(keys)


def is_key(key: str, system: SystemConfig) -> bool:
    """Whether it can be set for that system, or for the cluster it runs on."""
    head, _, rest = key.partition(".")
    if head == "cluster":
        return rest in ClusterConfig.model_fields
    if head == "limits":
        return rest in Limits.model_fields
    if head in ROLES and rest not in ("", "policy"):
        policy = policy_class(head, getattr(system, head)["policy"], Path())
        return rest in {field.name for field in dataclasses.fields(policy) if field.init}
    return head in SystemConfig.model_fields


ROWS = dict(rows_of(DESIGN.read_text(encoding="utf-8")))


def test_no_two_rows_share_a_number_and_none_is_left_out() -> None:
    numbers = [number for number, _ in rows_of(DESIGN.read_text(encoding="utf-8"))]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("system", list_systems())
def test_every_assumption_of_a_page_has_its_number(system: str) -> None:
    bullets = bullets_of(system)
    assert bullets
    assert [bullet for bullet in bullets if not NAMED.match(bullet)] == []
    assert [name for bullet in bullets for name in re.findall(r"\*\*([a-z0-9-]+)\*\*(?! \(A)", bullet)] == []


@pytest.mark.parametrize("system", list_systems())
def test_its_row_has_its_name_and_its_keys(system: str) -> None:
    for name, number, keys in named_on(system):
        assert name in ROWS[number].names, f"{name} is not in row A{number}"
        assert set(keys) <= set(ROWS[number].keys), f"{name}: row A{number} lacks a key of {keys}"


@pytest.mark.parametrize("system", list_systems())
def test_its_keys_can_be_set(system: str) -> None:
    config = load_system(system)
    assert [key for _, _, keys in named_on(system) for key in keys if not is_key(key, config)] == []


def test_every_name_in_the_table_is_on_a_page() -> None:
    on_pages = {(name, number) for system in list_systems() for name, number, _ in named_on(system)}
    assert {(name, number) for number, row in ROWS.items() for name in row.names} == on_pages
