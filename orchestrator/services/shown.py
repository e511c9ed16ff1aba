"""A digest of what a person was shown of a schedule before it acts at once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from orchestrator.domain.schedules.model import Schedule as Windows
from orchestrator.domain.status import Wish
from orchestrator.services.errors import conflict
from orchestrator.services.windows import date_to_json, window_to_json
from orchestrator.store.tables import Endpoint, Schedule


def digest(
    row: Schedule, windows: Windows, covered: Sequence[Endpoint], wish_now: Wish | None
) -> str:
    """Return what stands for a schedule as it is shown: what it says, wants now, and covers.

    Its version counts too, so that what somebody else saved meanwhile is not overwritten unseen.
    """
    content = [
        *(row.version, row.timezone, row.drain_minutes, row.shadow, row.enabled, wish_now),
        [window_to_json(one) for one in windows.windows],
        [[one.expression, one.action] for one in windows.points],
        [date_to_json(one) for one in windows.dates],
        sorted(day.isoformat() for day in windows.days_off),
        sorted([one.id, one.name, one.managed, one.protected] for one in covered),
    ]
    return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()


def check(confirm: str, shown: str) -> None:
    """Raise ServiceError 409 where something else was confirmed than what would be done."""
    if confirm and confirm != shown:
        raise conflict(
            "changed_meanwhile",
            "What this schedule would do or cover is not what was confirmed.",
            remedy="Rehearse it again with dry_run=true, and confirm that.",
            field="confirm",
        )


def check_needed(apply_now: Sequence[str], confirm: str, above: int) -> None:
    """Raise ServiceError 409 where it acts at once on more than `above` endpoints, unconfirmed."""
    if confirm or len(apply_now) <= above:
        return
    raise conflict(
        "confirmation_needed",
        f"Acting at once on {len(apply_now)} endpoints needs a confirmed list: that is more "
        f"than {above}.",
        remedy="Rehearse it with dry_run=true and an empty apply_now, then send the `confirm` "
        "that it answers with.",
        field="confirm",
    )
