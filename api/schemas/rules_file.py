"""Files of rules in requests and answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from orchestrator.api.schemas.base import Answer, Body, Reason
from orchestrator.services.rules_as_code import CHANGES, Applied, Item
from orchestrator.services.rules_yaml import LONGEST

_EXAMPLE = """\
version: 1
schedules:
  office-hours:
    timezone: Europe/Berlin
    windows: [mon-fri 08:00-19:00]
    selector: {labels: {team: search}}
"""


class RulesText(Answer):
    """The rules and endpoints that are, as one YAML file."""

    text: str = Field(examples=[_EXAMPLE])


class ApplyBody(Body):
    """A file of rules, and what of it was confirmed."""

    text: Annotated[str, Field(max_length=LONGEST)] = Field(examples=[_EXAMPLE])
    prune: bool = Field(
        default=False,
        description="Remove rules that a file of the same `set` made and this one does not have, "
        "in the sections that it has. Endpoints, and rules made or since changed by other means, "
        "are never removed.",
    )
    confirm: Annotated[str, Field(max_length=64)] = Field(
        "", description="Of a dry run: refuse if anything else would be changed than it told."
    )
    reason: Reason = ""


class FieldChangeOut(Answer):
    """A field with what it was and what it becomes; null where it was or is not there."""

    field: str = Field(examples=["drain_minutes"])
    old: Any = None
    new: Any = None


class ItemOut(Answer):
    """What becomes of one object."""

    section: Literal["calendars", "endpoints", "schedules", "policies", "expiry_policies"]
    name: str
    action: Literal["create", "change", "remove", "same", "left", "foreign", "under_way"] = Field(
        description="`left`: made by a file and not in this one; `foreign`: made by other means "
        "or by another set, and not in it; `under_way`: asked for already."
    )
    fields: list[FieldChangeOut]
    notes: list[str] = Field(examples=[["begins to cover search-prod, acts from …"]])
    operation: str | None = Field(None, description="The operation that carries it out.")


class AppliedOut(Answer):
    """What a file changes; `confirm` stands for exactly this."""

    changed: bool
    create: int
    change: int
    remove: int
    items: list[ItemOut]
    confirm: str


def applied_out(applied: Applied, *, rehearsal: bool) -> AppliedOut:
    """Return what a file changes, or would."""
    counts = {str(action): 0 for action in CHANGES}
    for item in applied.changed:
        counts[item.action] += 1
    return AppliedOut.model_validate(
        {
            "changed": bool(applied.changed),
            **counts,
            "items": [_item(item, rehearsal=rehearsal) for item in applied.items],
            "confirm": applied.confirm,
        }
    )


def _item(item: Item, *, rehearsal: bool) -> dict[str, Any]:
    is_real = bool(item.operation) and not (rehearsal and item.action in CHANGES)
    return {
        "section": item.section,
        "name": item.name,
        "action": item.action,
        "fields": [{"field": one.field, "old": one.old, "new": one.new} for one in item.fields],
        "notes": list(item.notes),
        "operation": item.operation if is_real else None,
    }
