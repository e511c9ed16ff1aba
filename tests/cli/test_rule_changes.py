"""The difference that `apply` shows always shows what differs."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.cli import rule_changes

WINDOWS = [f"mon {hour:02d}:00-{hour:02d}:30" for hour in range(6, 18)]


def test_of_a_long_list_only_what_goes_and_comes_is_told() -> None:
    later = [*WINDOWS[:3], *WINDOWS[4:-1], "mon 17:00-17:59", "tue 08:00-09:00"]
    assert list(rule_changes.changed("windows", WINDOWS, later)) == [
        "windows:",
        "  - mon 09:00-09:30",
        "  - mon 17:00-17:30",
        "  + mon 17:00-17:59",
        "  + tue 08:00-09:00",
    ]


def test_entries_that_change_places_are_told() -> None:
    turned = list(rule_changes.changed("arguments", ["--a", "--b"], ["--b", "--a"]))
    assert turned == ["arguments:", "  + --b", "  - --b"]


@pytest.mark.parametrize(
    ("old", "new", "gone", "come"),
    [
        ("a" * 500 + "17:30" + "b" * 500, "a" * 500 + "17:59" + "b" * 500, "17:30", "17:59"),
        ("a" * 500, "a" * 500 + " and more", "a", "a and more"),
        ("one\ntwo", "one two", "one\\ntwo", "one two"),
        ("a\x0cb", "a\x0bb", "\\f", "\\u000b"),
        ("5", 5, '"5"', "-> 5"),
        (None, "set", "(none)", "set"),
    ],
)
def test_what_differs_is_in_sight(old: Any, new: Any, gone: str, come: str) -> None:
    (line,) = rule_changes.changed("field", old, new)
    before, after = line.split(" -> ", 1)
    assert before != f"field: {after}"
    assert gone in before
    assert come in f"-> {after}"
    assert len(line) < 520


def test_a_long_entry_of_a_list_is_cut_around_its_change() -> None:
    old, new = ["--x", "p" * 300 + "A" + "s" * 300], ["--x", "p" * 300 + "B" + "s" * 300]
    less, more = list(rule_changes.changed("arguments", old, new))[1:]
    assert ("pA" in less, "pB" in more) == (True, True)


def test_all_of_a_long_new_list_is_told() -> None:
    assert list(rule_changes.created("windows", WINDOWS)) == [
        "windows:",
        *(f"  + {window}" for window in WINDOWS),
    ]
    assert list(rule_changes.created("windows", WINDOWS[:1])) == ['windows: ["mon 06:00-06:30"]']
