"""Idle policies: saving, binding, removing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import Session

from orchestrator.domain.plan import Kind
from orchestrator.domain.schedules.errors import ScheduleError
from orchestrator.domain.schedules.model import Schedule as Windows
from orchestrator.domain.schedules.model import Window
from orchestrator.services import bindings, revisions, selectors
from orchestrator.services.errors import invalid
from orchestrator.services.named_rules import Register, renewed
from orchestrator.services.requests import Asked
from orchestrator.services.scheduling import (
    Covered,
    Remark,
    cannot,
    of_schedule_error,
    remarks_on_cover,
)
from orchestrator.services.selectors import Selector
from orchestrator.services.windows import window_to_json
from orchestrator.store import policies as rows
from orchestrator.store import schedules
from orchestrator.store.ids import new_id
from orchestrator.store.tables import Binding, Endpoint, IdlePolicy, Json

SCALE_TO_ZERO = "scale_to_zero"
PAUSE = "pause"


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Windows on the clocks of a zone in which a policy does not act."""

    timezone: str
    windows: tuple[Window, ...]


@dataclass(frozen=True, slots=True)
class Draft:
    """An idle policy as a person wants it; in its quiet hours it does not act."""

    name: str
    timeout_minutes: int
    min_awake_minutes: int
    action: str
    selector: Selector
    quiet: QuietHours | None = None
    shadow: bool = False
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Described:
    """A policy with what it covers, and what is odd about that."""

    policy: IdlePolicy
    covered: Sequence[Covered]

    @property
    def remarks(self) -> Sequence[Remark]:
        """Return what a person should know of what it covers."""
        return remarks_on_cover(self.covered, Kind(self.policy.action))

    def cannot(self, endpoint: Endpoint) -> bool:
        """Tell whether it can never put a managed endpoint to sleep."""
        return cannot(Kind(self.policy.action), endpoint)


REGISTER = Register(
    "idle policy", "policy", "/v1/policies", "policy", rows.get, rows.by_name, rows.name_taken
)
find = REGISTER.find


def create(session: Session, draft: Draft, asked: Asked) -> Described:
    """Store a new policy; its idle clocks start now. Raises ServiceError 409 for a taken name."""
    policy = IdlePolicy(
        id=new_id("pol", asked.now),
        name=draft.name,
        timeout_minutes=draft.timeout_minutes,
        effective_from=asked.now,
        created_at=asked.now,
        created_by=asked.actor,
        updated_at=asked.now,
    )
    return _store(session, policy, draft, asked)


def replace(session: Session, policy: IdlePolicy, draft: Draft, asked: Asked) -> Described:
    """Store a policy in place of its former version; idle clocks start anew.

    Raises ServiceError 409 for a taken name.
    """
    renewed(policy, asked.now)
    policy.effective_from = asked.now
    return _store(session, policy, draft, asked)


def remove(session: Session, policy: IdlePolicy, asked: Asked) -> None:
    """Remove a policy."""
    schedules.unbind(session, policy.id)
    REGISTER.remove(session, policy, asked)


def describe(session: Session, policy: IdlePolicy) -> Described:
    """Return a policy with what it covers."""
    bound = schedules.bindings_of_rule(session, policy.id)
    return Described(policy, _covered(session, policy, bound))


def _store(session: Session, policy: IdlePolicy, draft: Draft, asked: Asked) -> Described:
    REGISTER.check_name(session, draft.name, policy.id)
    if draft.action not in (SCALE_TO_ZERO, PAUSE):
        raise invalid("action", f"{draft.action!r} is no action.", remedy="scale_to_zero or pause.")
    policy.name, policy.timeout_minutes = draft.name, draft.timeout_minutes
    policy.min_awake_minutes, policy.action = draft.min_awake_minutes, draft.action
    policy.quiet_timezone, policy.quiet_windows = quiet_fields(draft.quiet)
    policy.selector = draft.selector.to_json()
    policy.shadow, policy.enabled = draft.shadow, draft.enabled
    session.add(policy)
    session.flush()
    bound = bindings.sync_rule(session, policy, asked.now)
    REGISTER.saved(session, policy, asked)
    revisions.keep(session, policy, asked.now)
    by_endpoint = {binding.endpoint_id: binding for binding in bound}
    return Described(policy, _covered(session, policy, by_endpoint))


def quiet_fields(hours: QuietHours | None) -> tuple[str, list[Json]]:
    """Return quiet hours as they are stored. Raises ServiceError 422."""
    if hours is None:
        return "", []
    if not hours.windows:
        raise invalid(
            "quiet_hours.windows",
            "Quiet hours have at least one window.",
            remedy="Such as mon-fri 09:00-18:00; leave quiet_hours out to have none.",
        )
    try:
        Windows(hours.timezone, hours.windows, 0)
    except ScheduleError as error:
        raise of_schedule_error(error, "quiet_hours") from error
    return hours.timezone, [window_to_json(window) for window in hours.windows]


def _covered(session: Session, policy: IdlePolicy, bound: dict[str, Binding]) -> list[Covered]:
    selector = selectors.from_json(policy.selector)
    return [Covered(row, bound.get(row.id)) for row in selectors.covered(session, selector)]
