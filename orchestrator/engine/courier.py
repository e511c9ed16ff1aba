"""Takes notices to their targets: `run(now)`, at least once, in the order of events.

Nothing is sent inside a transaction. A process that dies between sending and noting that it has
sent sends again, under the same id. One process sends to a target at a time.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlmodel import Session

from orchestrator.channels.message import Message, Outcome
from orchestrator.domain.notices import DELETION_WARNINGS
from orchestrator.services import messages
from orchestrator.services.context import Context
from orchestrator.services.dispatch import APPRISE, Send, Sender
from orchestrator.services.notifications import FAILING, Facts, concerns
from orchestrator.store import endpoints, events
from orchestrator.store import notifications as rows
from orchestrator.store.ids import new_id
from orchestrator.store.notifications import Queued
from orchestrator.store.tables import Delivery, Notice, NotificationTarget

log = structlog.get_logger(__name__)

COURIER = "courier"
AT_ONCE = 500
MOST_IN_SUMMARY = 5000
MINUTE = timedelta(minutes=1)
LEASE = timedelta(minutes=5)
FIRST_BACK_OFF, LONGEST_BACK_OFF = timedelta(seconds=10), timedelta(minutes=30)
GIVE_UP_AFTER = timedelta(days=3)
TOLD_AFTER = 3
KEPT_FOR, FORGET_EVERY = timedelta(days=30), timedelta(hours=1)
_MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message and the deliveries that it settles."""

    message: Message
    deliveries: Sequence[Delivery]
    summary: str = ""


@dataclass(frozen=True, slots=True)
class Round:
    """One stretch of sending to a target that this process has leased."""

    target: NotificationTarget
    holder: str


class Courier:
    """Turns notices into deliveries and sends these; `chance` spreads retries, from 0 to 1."""

    def __init__(
        self,
        context: Context,
        send: Send | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._context = context
        self._send = send or Sender(private=context.settings.allow_private_webhooks)
        self._chance = chance
        self._forgot_at: datetime | None = None
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Begin to send nothing further; safe to call from any thread."""
        self._stopping.set()

    def run(self, now: datetime) -> None:
        """Do all that is due, one target after the other."""
        self.expand(now)
        for target_id in self.due(now):
            self.work(target_id, now)

    def due(self, now: datetime) -> Sequence[str]:
        """Return the targets for which something is due."""
        with self._context.database.read() as session:
            return rows.due_targets(session, now)

    def expand(self, now: datetime) -> None:
        """Turn each waiting notice into one delivery for each target that it concerns."""
        self._forget(now)
        require = self._context.settings.require_delivered_warnings
        after = 0
        while self._any_waiting(after):
            with self._context.database.write() as session:
                notices = rows.waiting(session, after, AT_ONCE)
                _expand(session, notices, now, require=require)
            if not notices:
                return  # another process has them
            after = notices[-1].seq or 0

    def work(self, target_id: str, now: datetime) -> None:
        """Send what is due to one target, unless another process does."""
        holder = new_id("lse", now)
        with self._context.database.write() as session:
            target = rows.lease(session, target_id, holder, now, now + LEASE)
        if target is None:
            return
        fault: Outcome | None = None
        try:
            self._work(Round(target, holder), now)
        except Exception as error:
            log.exception("notifications could not be sent", target=target.name)
            fault = Outcome(f"an error of our own ({type(error).__name__}), see the log")
        with self._context.database.write() as session:
            row = rows.held(session, target_id, holder)
            if row is not None:
                row.lease, row.leased_until = "", None
                if fault is not None:
                    self._failed(session, row, fault, now)
                session.add(row)

    def _any_waiting(self, after: int) -> bool:
        with self._context.database.read() as session:
            return rows.any_waiting(session, after)

    def _work(self, leased: Round, now: datetime) -> None:
        late: set[str] = set()
        for parcel in self._parcels(leased, now):
            subjects = {one.subject for one in parcel.deliveries}
            if self._stopping.is_set():
                return
            if subjects & late:
                continue
            outcome = self._send(leased.target, parcel.message)
            if not self._settle(leased, parcel, outcome):
                return
            if not outcome.delivered:
                late |= subjects

    def _parcels(self, leased: Round, now: datetime) -> Sequence[Parcel]:
        target = leased.target
        people = target.kind == APPRISE
        with self._context.database.read() as session:
            found = rows.queue(session, target.id, now, MOST_IN_SUMMARY if people else AT_ONCE)
            sent = rows.sent_since(session, target.id, now - MINUTE) if people else ()
            base = self._context.settings.public_url
            names = messages.names_of(session, [notice for _, notice in found], base)
        free = target.per_minute - len(sent) if people else len(found)
        if found and free <= 0:
            self._wait(leased, sent[0] + MINUTE)
            return ()
        singly = found if len(found) <= free else found[: free - 1]
        parcels = [Parcel(messages.of_notice(notice, names), (one,)) for one, notice in singly]
        rest = _summed_up(found[len(singly) :])
        if rest:
            made = messages.summary(new_id("sum", now), [notice for _, notice in rest], names)
            parcels.append(Parcel(made, [one for one, _ in rest], made.id))
        return parcels

    def _wait(self, leased: Round, until: datetime) -> None:
        """Let a target rest that has had its messages of this minute."""
        with self._context.database.write() as session:
            row = rows.held(session, leased.target.id, leased.holder)
            if row is not None:
                row.blocked_until = until
                session.add(row)

    def _settle(self, leased: Round, parcel: Parcel, outcome: Outcome) -> bool:
        """Note what became of a message; False where nothing more is to be sent now."""
        now = self._context.clock.now()
        with self._context.database.write() as session:
            target = rows.held(session, leased.target.id, leased.holder)
            ids = [one.id for one in parcel.deliveries]
            for delivery in rows.of_ids(session, ids):
                self._note(delivery, outcome, parcel.summary, now)
                session.add(delivery)
            if target is None:
                return False  # it took longer than the lease: another process goes on
            target.leased_until = now + LEASE
            if outcome.delivered:
                _recovered(session, target, now)
            else:
                self._failed(session, target, outcome, now)
            session.add(target)
            return target.enabled and (outcome.delivered or outcome.refused)

    def _note(self, delivery: Delivery, outcome: Outcome, summary: str, now: datetime) -> None:
        delivery.attempts += 1
        delivery.last_error = outcome.error
        if outcome.delivered:
            delivery.status, delivery.delivered_at = rows.DELIVERED, now
            delivery.summary = summary
        else:
            delivery.next_attempt_at = now + self._back_off(delivery.attempts, outcome)

    def _failed(
        self, session: Session, target: NotificationTarget, outcome: Outcome, now: datetime
    ) -> None:
        target.last_error = outcome.error
        if not outcome.refused:
            target.failures += 1
            target.failing_since = target.failing_since or now
            target.blocked_until = now + self._back_off(target.failures, outcome)
            if target.failures == TOLD_AFTER:
                why = f"{target.name} cannot be notified: {outcome.error}"
                _tell(session, target, FAILING, why, at=now)
        _give_up(session, target, now)

    def _back_off(self, attempts: int, outcome: Outcome) -> timedelta:
        usual = min(FIRST_BACK_OFF * (1 << min(attempts - 1, 10)), LONGEST_BACK_OFF)
        spread = usual * (0.75 + self._chance() / 2)
        return max(spread, outcome.retry_after or spread)

    def _forget(self, now: datetime) -> None:
        if self._forgot_at is not None and self._forgot_at <= now < self._forgot_at + FORGET_EVERY:
            return
        self._forgot_at = now
        with self._context.database.write() as session:
            rows.forget(session, now - KEPT_FOR, DELETION_WARNINGS)


def _expand(session: Session, notices: Sequence[Notice], now: datetime, *, require: bool) -> None:
    """Write the deliveries of some notices; a warning that must be told waits for a target."""
    targets = rows.targets(session, enabled=True) if notices else ()
    ids = {one.endpoint_id for one in notices if one.endpoint_id} if targets or require else set()
    about = endpoints.by_ids(session, ids)
    labels = endpoints.labels_of(session, ids)
    for notice in notices:
        key = notice.endpoint_id or ""
        facts = Facts(about.get(key), labels.get(key, ()))
        wanted = [target for target in targets if concerns(target, notice, facts)]
        session.add_all(_delivery(notice, target, now) for target in wanted)
        if not wanted and not messages.is_warning(notice):
            session.delete(notice)  # its event stays
        elif wanted or not require or _is_past(notice, facts, now):
            notice.expanded_at = now
            session.add(notice)


def _is_past(notice: Notice, facts: Facts, now: datetime) -> bool:
    """Tell whether no deletion waits for a warning: it is done, or was called off long ago."""
    endpoint = facts.endpoint
    if endpoint is None or endpoint.deleted_at is not None:
        return True
    return endpoint.delete_after is None and notice.at < now - KEPT_FOR


def _delivery(notice: Notice, target: NotificationTarget, now: datetime) -> Delivery:
    return Delivery(
        id=new_id("dlv", now),
        notice_seq=notice.seq or 0,
        target_id=target.id,
        subject=notice.endpoint_id or notice.account_id or "",
        created_at=now,
        next_attempt_at=now,
    )


def _summed_up(rest: Sequence[Queued]) -> Sequence[Queued]:
    """Return what one summary tells; deletions that it has no room to name wait for the next."""
    warnings = [one for one in rest if messages.is_warning(one[1])]
    later = {id(one) for one in warnings[messages.MOST_NAMED :]}
    return [one for one in rest if id(one) not in later]


def _recovered(session: Session, target: NotificationTarget, now: datetime) -> None:
    if target.failures >= TOLD_AFTER:
        why = f"{target.name} can be notified again"
        _tell(session, target, "notification.target_recovered", why, at=now)
    target.delivered_at, target.failures, target.last_error = now, 0, ""
    target.failing_since = target.blocked_until = None


def _give_up(session: Session, target: NotificationTarget, now: datetime) -> None:
    """End what has been tried for long enough; a person may still ask for it again."""
    old = rows.pending_since(session, target.id, now - GIVE_UP_AFTER)
    if not old:
        return
    for delivery in old:
        delivery.status = rows.FAILED
        delivery.last_error = delivery.last_error or target.last_error
        session.add(delivery)
    days = GIVE_UP_AFTER.days
    why = f"{len(old)} not delivered to {target.name} within {days} days: {target.last_error}"
    ids = [one.id for one in old[:_MOST_NAMED]]
    _tell(session, target, "notification.failed", why, at=now, count=len(old), ids=ids)


def _tell(
    session: Session, target: NotificationTarget, kind: str, message: str, **more: Any
) -> None:
    at = more.pop("at")
    data = {"target": target.id, **more}
    events.record(session, at=at, kind=kind, actor=COURIER, message=message, data=data)
