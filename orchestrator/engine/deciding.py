"""Decide and plan one account: from the rules and the evidence to operations written down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from orchestrator.domain.decide import DRAINING, Decision, Proposal, Rule, decide
from orchestrator.domain.endpoints import BilledReplicas, Usage
from orchestrator.domain.idle import Activity
from orchestrator.domain.plan import Action, Kind, Limits, needed, plan
from orchestrator.domain.status import Status
from orchestrator.engine import idle_budget, points, tombstones
from orchestrator.engine.announcing import (
    changed_event,
    deferral_key,
    gave_way_event,
    gives_way,
    is_stale,
    kept,
    overtaken_event,
    proposed,
    refused,
)
from orchestrator.engine.apply import ENGINE
from orchestrator.engine.counting import Counting
from orchestrator.engine.evidence import (
    NoReadingError,
    UsageReader,
    merge_usage,
)
from orchestrator.engine.observe import Look, Pass
from orchestrator.engine.remembering import Memory
from orchestrator.engine.steps import supersede
from orchestrator.engine.wanting import Wants, paced
from orchestrator.services.context import Context
from orchestrator.services.requests import told_of
from orchestrator.services.rulebook import Rulebook, listed_activity, means_of
from orchestrator.store import events, freeze, holds, locks, observation, operations
from orchestrator.store.ids import new_id
from orchestrator.store.observation import ManagedRow
from orchestrator.store.tables import Account, Endpoint, Json, Operation

# What a person may have changed since it was read.
_ASKED = ("wish", "wish_at", "protected", "delete_after", "expires_at")
# Long enough for the cloud's counts to have a point, where no policy asks for a longer span.
SHORTEST_SPAN = timedelta(minutes=10)


@dataclass(slots=True)
class Verdicts:
    """The outcome of one account's decisions.

    `lags` are how late edges were noticed, `evidence` how old what idle rules used is, or None.
    """

    next_edge: datetime | None = None
    lags: tuple[timedelta, ...] = ()
    evidence: tuple[timedelta | None, ...] = ()


@dataclass(frozen=True, slots=True)
class _Judged:
    row: ManagedRow
    decision: Decision
    next_wish: str
    activity: Activity


@dataclass(frozen=True, slots=True)
class _Reading:
    """What was read before deciding; what is written is checked against it."""

    book: Rulebook
    rows: list[ManagedRow]
    active: dict[str, Operation]
    burns: dict[str, int]


class Decider:
    """Decides for one account.

    Keeps, between passes, only what saves calls: readings of usage and what was announced.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._usage = UsageReader()
        self._counting = Counting(self._usage)
        self._wants = Wants()
        self._announced: set[tuple[str, str]] = set()
        self._memory = Memory()

    def run(self, work: Pass, now: datetime) -> Verdicts:
        """Decide for every managed endpoint of the account and write the operations needed."""
        context, account, look = work.context, work.account, work.look
        reading = _read(context, account, now)
        if points.act(context, account, reading.book, reading.rows, now):
            reading = _read(context, account, now)
        self._usage.begin_pass()
        self._budget = idle_budget.IdleBudget(work, reading.rows, now)
        self._read_usage(work, reading, now)
        judged = [self._judge(work, reading.book, row, now) for row in reading.rows]
        pairs = [(item.row, item.decision) for item in judged]
        active = reading.active.values()
        wanted, quotas = self._wants.gather(work, pairs, reading.burns, active, now)
        # An endpoint that this pass did not see is left to the next one that does.
        seen = [item for item in wanted if item.endpoint_id in look.seen]
        seen = idle_budget.not_under_way(seen, reading.active)
        todo = plan(seen, self._budget.of(paced(self._limits, work), seen), now, quotas)
        under_way = reading.active
        stale = [
            each for each in judged if is_stale(each.row, each.decision, under_way.get(each.row.id))
        ]
        changed = [item for item in judged if _differs(item)]
        said = self._new_proposals(judged) | self._new_deferrals(todo.deferred)
        ending = [row for row in reading.rows if tombstones.is_near(row, now)]
        news = self._memory.news(context.database, account.id, reading.book, reading.rows)
        if changed or todo.actions or stale or said or ending or news:
            touched = [item.row.id for item in (*changed, *stale)] + [row.id for row in ending]
            touched += [action.endpoint_id for action in todo.actions]
            with context.database.write() as session:
                locks.endpoints(session, touched)
                self._memory.keep(session, news, now)
                self._write_decisions(session, changed, now)
                tombstones.announce(session, ending, now)
                for event in said.values():
                    events.record(session, at=now, actor=ENGINE, account_id=account.id, **event)
                if not freeze.is_on(session, account.id):
                    for item in stale:
                        self._end_stale(session, reading, item, now)
                    for action in todo.actions:
                        self._begin(session, account, reading, action, now)
            self._announced.update(said)
            self._memory.kept(news)
        self._forget(judged, todo.deferred)
        edges = [item.decision.next_edge for item in judged if item.decision.next_edge is not None]
        soon = reading.book.timetable.next_point_at(now)
        edges += [soon] if soon is not None else []
        evidence = tuple(_age(item, now) for item in judged if _watched(reading.book, item.row))
        return Verdicts(min(edges, default=None), _lags(changed, now), evidence)

    def count_for_record(self, work: Pass) -> None:
        """Read what nothing is decided by."""
        if work.look.retry_after is None:
            self._counting.record(work, work.context.clock.now())

    @property
    def counted(self) -> Mapping[str, Usage]:
        """Return all counts that this pass has read, by endpoint."""
        return self._usage.fresh

    def _judge(self, work: Pass, book: Rulebook, row: ManagedRow, now: datetime) -> _Judged:
        activity = _listed(work.look, row)
        key, span = (row.id, row.name), book.longest_idle_timeout(row.id)
        if _watched(book, row) and activity.covered_to is None:
            usage = self._usage.held(key)
            activity = merge_usage(activity, usage) if usage is not None else activity
        decision = decide(book.facts(row, activity, now), now)
        acts = _would_act(row, decision, now) and _rests_on_use(book, row, decision, now)
        if acts and not (decision.rule is Rule.IDLE and self._budget.spent(self._limits)):
            # Nobody is stopped on a reading that is not of this moment, or in mid-request.
            span = max(span, SHORTEST_SPAN)
            activity = self._look_again(work, key, span, row)
            decision = decide(book.facts(row, activity, now), now)
        return _Judged(row, decision, _next_wish(book, row, decision), activity)

    def _read_usage(self, work: Pass, reading: _Reading, now: datetime) -> None:
        """Read the counts that idle rules want, and those that are only recorded.

        A listing that tells the last use makes counting needless until a stop is at hand.
        """
        untold = [row for row in reading.rows if row.id not in work.look.tells_use]
        wanted = {
            (row.id, row.name): reading.book.longest_idle_timeout(row.id)
            for row in untold
            if _watched(reading.book, row)
        }
        self._counting.read(work, wanted, untold, now)

    def _look_again(
        self, work: Pass, key: tuple[str, str], span: timedelta, row: ManagedRow
    ) -> Activity:
        listed, now = _listed(work.look, row), work.context.clock.now()
        try:
            usage = self._usage.read_anew(work.provider, key, span, now)
        except NoReadingError:
            return listed_activity(row, None)  # unknown for now: idleness is not proven
        return listed if usage is None else merge_usage(listed, usage)

    def _write_decisions(self, session: Session, changed: list[_Judged], now: datetime) -> None:
        rows = observation.endpoints_by_id(session, [item.row.id for item in changed])
        for item in changed:
            endpoint, decision = rows[item.row.id], item.decision
            if _is_news(item):
                told = changed_event(endpoint, decision, item.activity)
                events.record(session, at=now, kind="decision.changed", actor=ENGINE, **told)
            endpoint.decided_wish, endpoint.decided_rule = _key(decision)
            endpoint.decided_reason = decision.reason
            endpoint.next_edge_at = _next_change(item)
            endpoint.next_edge_wish = item.next_wish
            session.add(endpoint)

    def _begin(
        self, session: Session, account: Account, reading: _Reading, action: Action, now: datetime
    ) -> None:
        endpoint = _unchanged(session, reading, action.endpoint_id, now)
        if endpoint is None:
            return  # a person was quicker; the next pass decides on what is then
        active = operations.lock_active(session, endpoint.id)
        if active is not None and not gives_way(active, endpoint, action.kind, now):
            return
        decision = action.decision
        yields = decision.rule is Rule.QUOTA
        if yields and endpoint.status != Status.SCALED_TO_ZERO:
            return  # it has been woken since it was read
        operation = Operation(
            id=new_id("op", now),
            account_id=account.id,
            endpoint_id=endpoint.id,
            endpoint_name=endpoint.name,
            kind=action.kind,
            status="pending",
            actor=ENGINE,
            rule=f"{decision.rule}:{decision.rule_id}".rstrip(":"),
            reason=decision.reason,
            created_at=now,
        )
        if active is not None:
            why = f"{operation.rule} wants {action.kind}: {decision.reason}; {told_of(active)}"
            if active.kind == Kind.UPDATE and active.status != "confirming":
                lost = overtaken_event(active, decision, operation.id)
                events.record(session, at=now, kind="operation.overtaken", actor=ENGINE, **lost)
            supersede(session, active, why, now, by=operation.id)
            session.flush()
        session.add(operation)
        events.record(
            session,
            at=now,
            kind="operation.requested",
            actor=ENGINE,
            message=f"{action.kind} of {endpoint.name}: {decision.reason}",
            account_id=account.id,
            endpoint_id=endpoint.id,
            operation_id=operation.id,
            data={"rule": decision.rule, "id": decision.rule_id, **kept(decision.evidence)},
        )
        if yields:
            told = gave_way_event(endpoint, decision)
            gave = "endpoint.gave_way"
            events.record(
                session, at=now, kind=gave, actor=ENGINE, operation_id=operation.id, **told
            )

    def _end_stale(self, session: Session, reading: _Reading, item: _Judged, now: datetime) -> None:
        """End an operation whose reason has gone before it was carried out."""
        if _unchanged(session, reading, item.row.id, now) is None:
            return
        active = operations.lock(session, reading.active[item.row.id].id)
        if active is not None and is_stale(item.row, item.decision, active):
            supersede(session, active, f"no longer wanted: {item.decision.reason}", now)

    def _new_proposals(self, judged: list[_Judged]) -> dict[tuple[str, str], Json]:
        found = {}
        for item in judged:
            for proposal in item.decision.proposals:
                key = _proposal_key(item, proposal)
                if key not in self._announced:
                    found[key] = proposed(item.row, proposal)
        return found

    def _new_deferrals(
        self, deferred: tuple[tuple[Action, str], ...]
    ) -> dict[tuple[str, str], Json]:
        return {
            deferral_key(action): refused(action, why)
            for action, why in deferred
            if deferral_key(action) not in self._announced
        }

    def _forget(self, judged: list[_Judged], deferred: tuple[tuple[Action, str], ...]) -> None:
        """Forget what was announced and has passed, so that it is told again when it returns."""
        current = {_proposal_key(i, p) for i in judged for p in i.decision.proposals}
        current |= {deferral_key(action) for action, _ in deferred}
        ours = {item.row.id for item in judged}
        self._announced = {k for k in self._announced if k[0] not in ours or k in current}


def _read(context: Context, account: Account, now: datetime) -> _Reading:
    require = context.settings.require_delivered_warnings
    with context.database.read() as session:
        active = operations.active_in_account(session, account.id)
        row = observation.account_by_id(session, account.id)
        return _Reading(
            book=Rulebook.load(session, row, now, require_warned=require),
            rows=observation.managed(session, account.id),
            active={op.endpoint_id: op for op in active if op.endpoint_id is not None},
            burns=observation.burns(session, account.id),
        )


def _listed(look: Look, row: ManagedRow) -> Activity:
    return listed_activity(row, look.asked_at if row.id in look.tells_use else None)


def _unchanged(
    session: Session, reading: _Reading, endpoint_id: str, now: datetime
) -> Endpoint | None:
    """Return the endpoint, locked, when nobody changed what the decision rested on."""
    endpoint = locks.endpoint(session, endpoint_id)
    row = next(row for row in reading.rows if row.id == endpoint_id)
    if endpoint is None or not endpoint.managed or endpoint.deleted_at is not None:
        return None
    if any(getattr(endpoint, name) != getattr(row, name) for name in _ASKED):
        return None
    held = {hold.id for hold in holds.active_of(session, [endpoint_id], now).get(endpoint_id, ())}
    if held != {hold.id for hold in reading.book.holds.get(endpoint_id, ())}:
        return None
    active, before = operations.active_for(session, endpoint_id), reading.active.get(endpoint_id)
    same = (active.id if active else None) == (before.id if before else None)
    return endpoint if same else None


def _rests_on_use(book: Rulebook, row: ManagedRow, decision: Decision, now: datetime) -> bool:
    """Tell whether what is decided depends on whether requests come: idleness, or a drain."""
    if decision.rule is Rule.IDLE:
        return True
    if decision.rule is not Rule.SCHEDULE or row.status != Status.RUNNING:
        return False
    facts = book.facts(row, Activity(), now)
    return any(f.ended_at is not None and f.ended_at + f.drain > now for f in facts.schedules)


def _would_act(row: ManagedRow, decision: Decision, now: datetime) -> bool:
    if row.not_before is not None and row.not_before > now:
        return False
    billed = BilledReplicas(row.billed_low, row.billed_expected, row.billed_high)
    kind = needed(Status(row.status), decision, billed)
    return kind is not None and not means_of(row).barrier(kind)


def _key(decision: Decision) -> tuple[str, str]:
    return str(decision.wish or ""), f"{decision.rule}:{decision.rule_id}".rstrip(":")


def _differs(item: _Judged) -> bool:
    row = item.row
    moved = (row.next_edge_wish, row.next_edge_at) != (item.next_wish, _next_change(item))
    return _is_news(item) or moved


def _is_news(item: _Judged) -> bool:
    """Tell whether another rule or another wish decides now, or a drain has begun or ended."""
    row, decision = item.row, item.decision
    drained = row.decided_reason.startswith(DRAINING)
    return (row.decided_wish, row.decided_rule) != _key(decision) or drained != decision.draining


def _next_change(item: _Judged) -> datetime | None:
    """Return when the wish changes next, as far as holds and schedules tell."""
    return item.decision.next_rule_edge if item.next_wish else None


def _next_wish(book: Rulebook, row: ManagedRow, decision: Decision) -> str:
    """Return what will be wanted at the next edge if nothing else happens; no idling assumed."""
    if decision.next_rule_edge is None:
        return ""
    edge = decision.next_rule_edge
    facts = book.facts(row, Activity(), edge)
    wish = decide(facts, edge).wish
    return "" if wish is None or wish is decision.wish else str(wish)


def _lags(changed: list[_Judged], now: datetime) -> tuple[timedelta, ...]:
    """Return how late each edge that was due and changed a decision was noticed."""
    due = [item.row.next_edge_at for item in changed if _is_news(item)]
    return tuple(now - at for at in due if at is not None and at <= now)


def _age(item: _Judged, now: datetime) -> timedelta | None:
    covered = item.activity.covered_to
    return None if covered is None else max(now - covered, timedelta(0))


def _watched(book: Rulebook, row: ManagedRow) -> bool:
    """Tell whether an idle rule wants the counts of an endpoint."""
    return row.status == Status.RUNNING and book.has_idle_rule(row.id)


def _proposal_key(item: _Judged, proposal: Proposal) -> tuple[str, str]:
    return item.row.id, f"proposal:{proposal.rule_id}:{proposal.wish}"
