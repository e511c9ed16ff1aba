"""What differs between two documents of a file of rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from orchestrator.store.tables import Json


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field by its dotted name, with what it was and what it becomes; None where absent."""

    field: str
    old: Any
    new: Any


def differences(old: Json, new: Json) -> list[FieldChange]:
    """Return the fields that differ, by dotted name; lists count as one value."""
    before, after = _flat(old), _flat(new)
    return [
        FieldChange(name, before.get(name), after.get(name))
        for name in dict.fromkeys((*before, *after))
        if before.get(name) != after.get(name)
    ]


def _flat(value: Json, prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, item in value.items():
        name = f"{prefix}{key}"
        if isinstance(item, dict) and item:
            found |= _flat(item, f"{name}.")
        else:
            found[name] = item
    return found
