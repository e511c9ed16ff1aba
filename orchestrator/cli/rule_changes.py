"""One field of a file of rules, before and after, so that the change itself is always in sight."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import takewhile, zip_longest
from typing import Any

from orchestrator.cli import formats

LONGEST_SHOWN = 200
# So much of what stays is shown before and after a change that is cut out of a long text.
AROUND = 40
NOTHING = "(none)"


def created(field: str, value: Any) -> Iterator[str]:
    """Yield the lines of a field of something new; a long list has a line for each entry."""
    shown = _text(value)
    if isinstance(value, list) and len(shown) > LONGEST_SHOWN:
        yield f"{field}:"
        yield from (f"  + {_cut(_text(entry))}" for entry in value)
    else:
        yield f"{field}: {_cut(shown)}"


def changed(field: str, old: Any, new: Any) -> Iterator[str]:
    """Yield the lines of a field that changes; a list is told by what goes and what comes."""
    lists = [[] if value is None else value for value in (old, new)]
    if all(isinstance(value, list) for value in lists) and max(map(len, lists)) > 1:
        yield f"{field}:"
        yield from (f"  {line}" for line in _entries(*lists))
        return
    before, after = _around(old, new)
    yield f"{field}: {before} -> {after}"


def _entries(old: Sequence[Any], new: Sequence[Any]) -> Iterator[str]:
    """Yield what goes and what comes, in the order of the lists."""
    before, after = ([_key(entry) for entry in entries] for entries in (old, new))
    for what, low, high, first, last in SequenceMatcher(
        None, before, after, autojunk=False
    ).get_opcodes():
        if what == "equal":
            continue
        absent = object()
        for gone, come in zip_longest(old[low:high], new[first:last], fillvalue=absent):
            if come is absent:
                yield f"- {_cut(_text(gone))}"
            elif gone is absent:
                yield f"+ {_cut(_text(come))}"
            else:
                less, more = _around(gone, come)
                yield f"- {less}"
                yield f"+ {more}"


def _around(old: Any, new: Any) -> tuple[str, str]:
    """Return both in words; long ones are cut around what differs."""
    before, after = _text(old), _text(new)
    if before == after:  # what differs cannot be seen in words: control characters, or the kind
        before, after = json.dumps(old), json.dumps(new)
    if max(len(before), len(after)) <= LONGEST_SHOWN:
        return before, after
    alike = (one == other for one, other in zip(before, after, strict=False))
    start = max(0, sum(1 for _ in takewhile(bool, alike)) - AROUND)
    return _cut(before, start), _cut(after, start)


def _cut(text: str, start: int = 0) -> str:
    if len(text) <= LONGEST_SHOWN:
        return text
    shown = text[start : start + LONGEST_SHOWN]
    lead, tail = "..." if start else "", "..." if start + LONGEST_SHOWN < len(text) else ""
    return f"{lead}{shown}{tail} ({len(text)} characters)"


def _key(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _text(value: Any) -> str:
    if value is None:
        return NOTHING
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return formats.plain(text.replace("\n", "\\n"))
