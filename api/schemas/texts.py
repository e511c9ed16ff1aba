"""Texts of a given form, and what is told of one that has another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

_WORDS: dict[str, str] = {}


def known(pattern: str, words: str) -> str:
    """Return a pattern, which is said in `words` with an example to whom it refuses."""
    _WORDS[pattern] = words
    return pattern


def like(pattern: str, words: str, **given: Any) -> Any:
    """Return a field for texts of a pattern, said in `words` with an example."""
    return Field(pattern=known(pattern, words), **given)


def message_of(item: Mapping[str, Any]) -> str:
    """Return what is wrong with a value, in words where pydantic tells a bare pattern."""
    pattern = item.get("ctx", {}).get("pattern")
    if item.get("type") == "string_pattern_mismatch" and pattern in _WORDS:
        return _WORDS[pattern]
    return str(item["msg"]).removeprefix("Value error, ")
