"""Decide and plan one account: from the rules and the evidence to operations written down."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlmodel import Session

from orchestrator.domain.decide import Decision, Proposal, Rule, decide
from orchestrator.domain.endpoints import BilledReplicas, Usage
from orchestrator.domain.idle import Activity
from orchestrator.domain.plan import Action, Limits, Wanted, plan
from orchestrator.domain.status import Status
from orchestrator.engine.apply import ENGINE
from orchestrator.engine.observe import Look
from orchestrator.engine.operate import finish
from orchestrator.providers.base import Provider, ProviderError
from orchestrator.services.context import Context
from orchestrator.services.rulebook import Rulebook, listed_activity
from orchestrator.store import events, observation, operations
from orchestrator.store.ids import new_id
from orchestrator.store.observation import ManagedRow
from orchestrator.store.tables import Account, Endpoint, Operation

# How often the cloud's request counts are read again for an endpoint that a rule watches.
USAGE_EVERY = timedelta(minutes=5)


@dataclass(slots=True)
class Verdicts:
    """The outcome of one account's decisions."""

    next_edge: datetime | None = None
    frozen: bool = False


@dataclass(frozen=True, slots=True)
class _Judged:
    row: ManagedRow
    decision: Decision
    next_wish: str


class Decider:
    """Keeps, between passes, only what saves calls: readings of usage and what was announced."""

    def __init__(self, context: Context, limits: Limits) -> None:
        self._context = context
        self._limits = limits
        self._usage: dict[str, tuple[datetime, Usage | None]] = {}
        self._announced: dict[tuple[str, str], str] = {}

    def run(self, account: Account, provider: Provider, look: Look, now: datetime) -> Verdicts:
        """Decide for every managed endpoint of the account and write the operations needed."""
        with self._context.database.read() as session:
            book = Rulebook.load(session, account, now)
            rows = observation.managed(session, account.id)
            burns = observation.burns(session, account.id)
        judged = [self._judge(provider, book, row, look, now) for row in rows]
        wanted = [_wanted(item, burns.get(item.row.id)) for item in judged]
        # An endpoint that this pass did not see is left to the next one that does.
        todo = plan([w for w in wanted if w.endpoint_id in look.seen], self._limits, now)
        changed = [item for item in judged if _differs(item)]
        proposals = self._new_proposals(judged)
        deferred = self._new_deferrals(todo.deferred)
        if changed or todo.actions or proposals or deferred:
            with self._context.database.write() as session:
                self._write_decisions(session, changed, now)
                for row, proposal in proposals:
                    _record_proposal(session, account, row, proposal, now)
                for action, why in deferred:
                    _record_deferral(session, account, action, why, now)
                for action in todo.actions:
                    self._begin(session, account, action, now)
        edges = [item.decision.next_edge for item in judged if item.decision.next_edge is not None]
        return Verdicts(min(edges, default=None), book.frozen is not None)

    def _judge(
        self, provider: Provider, book: Rulebook, row: ManagedRow, look: Look, now: datetime
    ) -> _Judged:
        read_at = look.asked_at if row.id in look.tells_use else None
        activity = listed_activity(row, read_at)
        facts = book.facts(row, activity, now)
        decision = decide(facts, now)
        if self._wants_usage(book, row, activity, decision):
            span = book.longest_idle_timeout(row.id)
            veto = activity.covered_to is not None
            usage = self._read_usage(provider, row, span, now, veto=veto)
            if usage is not None:
                facts = replace(facts, activity=merge_usage(activity, usage))
                decision = decide(facts, now)
        return _Judged(row, decision, _next_wish(book, row, decision))

    @staticmethod
    def _wants_usage(
        book: Rulebook, row: ManagedRow, activity: Activity, decision: Decision
    ) -> bool:
        """Counts are read where the listing tells nothing, and as a veto before an idle stop."""
        if row.status != Status.RUNNING or not book.has_idle_rule(row.id):
            return False
        return activity.covered_to is None or decision.rule is Rule.IDLE

    def _read_usage(
        self, provider: Provider, row: ManagedRow, span: timedelta, now: datetime, *, veto: bool
    ) -> Usage | None:
        """Read the request counts; a veto is read anew, a watch every few minutes."""
        held = self._usage.get(row.id)
        if held is not None and now - held[0] < USAGE_EVERY and not veto:
            return held[1]
        try:
            usage = provider.usage(row.name, now - span, now)
        except ProviderError:
            usage = None  # unknown: it can veto nothing and prove nothing
        self._usage[row.id] = (now, usage)
        return usage

    def _write_decisions(self, session: Session, changed: list[_Judged], now: datetime) -> None:
        rows = observation.endpoints_by_id(session, [item.row.id for item in changed])
        for item in changed:
            endpoint, decision = rows[item.row.id], item.decision
            if (endpoint.decided_wish, endpoint.decided_rule) != _key(decision):
                events.record(
                    session,
                    at=now,
                    kind="decision.changed",
                    actor=ENGINE,
                    message=f"{endpoint.name}: {decision.wish or 'nothing'} wanted, "
                    f"{decision.reason}",
                    account_id=endpoint.account_id,
                    endpoint_id=endpoint.id,
                    data={"wish": decision.wish, "rule": decision.rule, "id": decision.rule_id},
                )
            endpoint.decided_wish, endpoint.decided_rule = _key(decision)
            endpoint.decided_reason = decision.reason
            endpoint.next_edge_at, endpoint.next_edge_wish = decision.next_edge, item.next_wish
            session.add(endpoint)

    def _begin(self, session: Session, account: Account, action: Action, now: datetime) -> None:
        endpoint = session.get_one(Endpoint, action.endpoint_id)
        active = operations.active_for(session, endpoint.id)
        if active is not None and (active.kind == action.kind or _must_finish(active)):
            return
        decision = action.decision
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
            finish(active, "superseded", f"a newer wish: {action.kind}", now)
            active.superseded_by = operation.id
            session.add(active)
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
            data={"rule": decision.rule, "id": decision.rule_id},
        )

    def _new_proposals(self, judged: list[_Judged]) -> list[tuple[ManagedRow, Proposal]]:
        found = []
        for item in judged:
            for proposal in item.decision.proposals:
                key = (item.row.id, f"proposal:{proposal.rule_id}")
                if self._announced.get(key) != proposal.wish:
                    self._announced[key] = proposal.wish
                    found.append((item.row, proposal))
        return found

    def _new_deferrals(self, deferred: tuple[tuple[Action, str], ...]) -> list[tuple[Action, str]]:
        """Return what is put off now and was not put off for the same kind of reason before."""
        current = {(action.endpoint_id, f"deferred:{action.kind}") for action, _ in deferred}
        stale = [key for key in self._announced if key[1].startswith("deferred:")]
        for key in stale:
            if key not in current:
                del self._announced[key]
        found = []
        for action, why in deferred:
            key = (action.endpoint_id, f"deferred:{action.kind}")
            if key not in self._announced:
                self._announced[key] = why
                found.append((action, why))
        return found


def merge_usage(activity: Activity, usage: Usage) -> Activity:
    """Join what the listing tells with the cloud's request counts; either may say "active"."""
    latest = [t for t in (activity.last_request_at, usage.last_request_at) if t is not None]
    if activity.covered_to is not None:
        return replace(
            activity, last_request_at=max(latest, default=None), in_flight=usage.in_flight
        )
    whole = usage.covered_seconds >= (usage.end - usage.start).total_seconds()
    return replace(
        activity,
        last_request_at=max(latest, default=None),
        covered_from=usage.start if whole else None,
        covered_to=usage.end if whole else None,
        in_flight=usage.in_flight,
        source="the cloud's request counts",
    )


def _must_finish(active: Operation) -> bool:
    """A create or update that may have been sent is settled before anything else is done."""
    return active.kind in ("create", "update") and active.status == "running"


def _key(decision: Decision) -> tuple[str, str]:
    return str(decision.wish or ""), f"{decision.rule}:{decision.rule_id}".rstrip(":")


def _differs(item: _Judged) -> bool:
    row, decision = item.row, item.decision
    held = (row.decided_wish, row.decided_rule, row.next_edge_wish)
    if held != (*_key(decision), item.next_wish):
        return True
    # The idle clock moves with every request; its edge is not worth a write each time.
    moved = row.next_edge_at != decision.next_edge
    return moved and (decision.rule is not Rule.IDLE or row.next_edge_at is None)


def _next_wish(book: Rulebook, row: ManagedRow, decision: Decision) -> str:
    """Return what will be wanted at the next edge if nothing else happens; no idling assumed."""
    if decision.next_edge is None:
        return ""
    edge = decision.next_edge
    facts = book.facts(row, Activity(), edge)
    return str(decide(facts, edge).wish or "")


def _wanted(item: _Judged, burn_nano: int | None) -> Wanted:
    row = item.row
    return Wanted(
        endpoint_id=row.id,
        status=Status(row.status),
        billed=BilledReplicas(row.billed_low, row.billed_expected, row.billed_high),
        decision=item.decision,
        burn=burn_nano,
        last_used_at=row.last_used_at,
        not_before=row.not_before,
    )


def _record_proposal(
    session: Session, account: Account, row: ManagedRow, proposal: Proposal, now: datetime
) -> None:
    events.record(
        session,
        at=now,
        kind="decision.proposed",
        actor=ENGINE,
        message=f"{row.name} would be {proposal.wish}: {proposal.reason}",
        account_id=account.id,
        endpoint_id=row.id,
        data={"rule": proposal.rule, "id": proposal.rule_id, "to_zero": proposal.to_zero},
    )


def _record_deferral(
    session: Session, account: Account, action: Action, why: str, now: datetime
) -> None:
    events.record(
        session,
        at=now,
        kind="decision.refused",
        actor=ENGINE,
        message=f"{action.kind} put off: {why}",
        account_id=account.id,
        endpoint_id=action.endpoint_id,
        data={"rule": action.decision.rule, "reason": action.decision.reason},
    )
