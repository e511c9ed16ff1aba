"""Which events people are told of, and how grave each kind is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """How much an event matters to those who are told of it."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """Return its place in the order, from 0 for the least."""
        return list(Severity).index(self)


# Deletions wait until somebody was told of them: see `services.warnings`.
DELETION_WARNINGS = ("endpoint.deletion_announced", "endpoint.deletion_due")
STATUS_CHANGED = "endpoint.status_changed"
FAILED_STATUSES = frozenset({"failed", "update_failed"})

# A kind that ends in `*` stands for all that begin so; an exact kind goes before it.
NOTIFIABLE: Mapping[str, Severity] = {
    "account.changed": Severity.INFO,
    "account.connected": Severity.INFO,
    "account.ok": Severity.INFO,
    "account.removed": Severity.WARNING,
    "account.partial": Severity.WARNING,
    "account.throttled": Severity.WARNING,
    "account.doubted": Severity.WARNING,
    "account.listing_doubted": Severity.WARNING,
    "account.*": Severity.CRITICAL,
    "calendar.differs": Severity.WARNING,
    "claim.*": Severity.WARNING,
    "decision.proposed": Severity.INFO,
    "decision.refused": Severity.WARNING,
    "endpoint.deleted": Severity.CRITICAL,
    "endpoint.deletion_announced": Severity.WARNING,
    "endpoint.deletion_due": Severity.CRITICAL,
    "endpoint.deletion_*": Severity.WARNING,
    "endpoint.expired": Severity.WARNING,
    "endpoint.expiry_extended": Severity.INFO,
    "endpoint.expiry_refused": Severity.WARNING,
    "endpoint.expiry_warned": Severity.WARNING,
    "endpoint.differs": Severity.WARNING,
    "endpoint.gave_way": Severity.WARNING,
    "endpoint.held_awake": Severity.WARNING,
    "endpoint.recovered": Severity.INFO,
    "endpoint.stood_down": Severity.WARNING,
    "endpoint.undeleted": Severity.INFO,
    "freeze.off": Severity.WARNING,
    "freeze.on": Severity.CRITICAL,
    "meter.*": Severity.WARNING,
    "notification.target_failing": Severity.WARNING,
    "operation.failed": Severity.CRITICAL,
    "operation.in_doubt": Severity.WARNING,
    "operation.overtaken": Severity.WARNING,
    "operation.stuck": Severity.WARNING,
    "operation.waiting_for_capacity": Severity.WARNING,
    "operation.withdrawn": Severity.WARNING,
    "rate.changed": Severity.INFO,
    "store.*": Severity.CRITICAL,
    "token.*": Severity.INFO,
    "worker.*": Severity.INFO,
}


def severity_of(kind: str, data: Mapping[str, Any]) -> Severity | None:
    """Return how grave an event is; None where nobody is told of its kind."""
    if kind == STATUS_CHANGED:
        return Severity.CRITICAL if data.get("to") in FAILED_STATUSES else None
    if kind in NOTIFIABLE:
        return NOTIFIABLE[kind]
    fitting = [pattern for pattern in NOTIFIABLE if fits(kind, pattern)]
    return NOTIFIABLE[max(fitting, key=len)] if fitting else None


def fits(kind: str, pattern: str) -> bool:
    """Tell whether a kind is meant by an exact name, or by a beginning that ends in `*`."""
    return kind.startswith(pattern[:-1]) if pattern.endswith("*") else kind == pattern


def can_fit(pattern: str) -> bool:
    """Tell whether a pattern means any kind of event that people are told of."""
    known = (*NOTIFIABLE, STATUS_CHANGED)
    return any(fits(one.rstrip("*"), pattern) or fits(pattern.rstrip("*"), one) for one in known)


def wanted(kind: str, patterns: Sequence[str]) -> bool:
    """Tell whether a kind is meant by any pattern; none at all means every kind."""
    return not patterns or any(fits(kind, pattern) for pattern in patterns)
