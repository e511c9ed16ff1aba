"""Tables in the documents that name tests stay true."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
CHANGES = {"create", "update", "pause", "resume", "scale to zero", "delete"}
CALLS = CHANGES | {"read", "listing", "restore", "every call"}


def rows_of(document: str) -> list[list[str]]:
    lines = (ROOT / "docs" / document).read_text().splitlines()
    table = [line for line in lines if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table[1:]]


def test_every_test_that_holds_a_fault_exists() -> None:
    sources = [path.read_text() for path in (ROOT / "tests").rglob("test_*.py")]
    defined = set(re.findall(r"def (test_\w+)\(", "\n".join(sources)))
    named = set()
    for row in rows_of("ambiguity.md"):
        found = re.findall(r"`(test_\w+)`", row[-1])
        assert found, row
        named.update(found)
    assert named - defined == set()


def test_every_kind_of_call_and_both_clouds_are_treated() -> None:
    rows = rows_of("ambiguity.md")
    assert all(len(row) == 5 and all(row) for row in rows)
    told = {call for row in rows for call in row[1].split(", ")}
    assert told == CALLS


def test_what_is_played_at_every_change_is_told_of_every_change() -> None:
    played = {
        "test_a_change_that_meets_a_fault_is_made_once",
        "test_a_refusal_ends_the_operation_and_a_wish_is_tried_anew",
    }
    rows = rows_of("ambiguity.md")
    held = [row for row in rows if played & set(re.findall(r"`(test_\w+)`", row[-1]))]
    assert len(held) > len(CHANGES)
    for row in held:
        assert row[1] == "every call" or set(row[1].split(", ")) >= CHANGES, row


def test_the_time_budget_knows_every_area_and_adds_up() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    told = re.search(r"Together they are ([0-9,]+), which", text)
    table = text[text.index("| Area | Budget |") :].splitlines()[2:]
    cells = [cell.strip() for line in table for cell in line.strip("|").split("|")]
    assert told is not None
    assert sum(int(cell) for cell in cells if cell.isdigit()) == int(told[1].replace(",", ""))
    areas = {path.parent for path in (ROOT / "tests").glob("*/**/test_*.py")}
    tops = {path.relative_to(ROOT / "tests").parts[0] for path in areas}
    assert {f"tests/{area}" for area in tops} == set(re.findall(r"`(tests/\w+)`", str(table)))
