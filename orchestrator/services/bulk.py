"""One change of many endpoints: each has an outcome of its own, all of it is one transaction.

A rehearsal is the same work, rolled back, so that its list is exact. Every endpoint is changed
inside a savepoint: a refusal undoes that endpoint alone, a crash undoes all of them, and nothing
is sent to a cloud before the commit.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import inspect
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from orchestrator.services import bulk_acts
from orchestrator.services.bulk_acts import Action, Order, Outcome, Verdict
from orchestrator.services.bulk_costs import Effect, Effects
from orchestrator.services.bulk_selection import Selection, as_json, selected
from orchestrator.services.errors import ServiceError, conflict
from orchestrator.services.requests import Asked
from orchestrator.services.rulebook import Rulebook
from orchestrator.settings import Settings
from orchestrator.store import accounts, bulk, endpoints, events, holds, locks, operations
from orchestrator.store.database import Database
from orchestrator.store.ids import new_id
from orchestrator.store.tables import Endpoint

_TOLD = 10
# So many endpoints are rehearsed in one transaction.
_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Item:
    """One endpoint of the list: what becomes of it, and what that changes of the cost."""

    endpoint: Endpoint
    account: str
    outcome: Outcome
    effect: Effect


@dataclass(frozen=True, slots=True)
class Blast:
    """How much a bulk request changes; costs are nano-dollars per hour.

    `share` is the part of the managed endpoints, `share_awake` of those that have replicas, in
    per cent. `unpriced` counts endpoints whose cost or part of it has no known price.
    """

    changed: int
    changed_managed: int
    awake: int
    managed: int
    managed_awake: int
    stopped: int
    started: int
    unpriced: int

    @property
    def share(self) -> int:
        """Return the changed part of the managed endpoints in per cent, rounded up."""
        return _percent(self.changed_managed, self.managed)

    @property
    def share_awake(self) -> int:
        """Return the changed part of the managed ones that are awake in per cent, rounded up."""
        return _percent(self.awake, self.managed_awake)


@dataclass(frozen=True, slots=True)
class Done:
    """A bulk request with its outcomes; `confirm` is the digest of the list.

    `why_confirm` says why it needs to be confirmed, empty where it does not. `listed` is what is
    confirmed: endpoint id and name, outcome, and why one is refused.
    """

    id: str
    order: Order
    items: tuple[Item, ...]
    blast: Blast
    confirm: str
    why_confirm: str
    listed: tuple[tuple[str, ...], ...]

    def count(self, verdict: Verdict) -> int:
        """Return how many endpoints have this outcome."""
        return sum(1 for item in self.items if item.outcome.verdict is verdict)


def run(
    session: Session,
    selection: Selection,
    order: Order,
    asked: Asked,
    settings: Settings,
    *,
    confirm: str = "",
) -> Done:
    """Change what `selection` names, each endpoint by itself, and say what became of each.

    Raises ServiceError 422 for a selection that names nothing, 409 for a list that has to be
    confirmed, or that is not the one which was.
    """
    bulk_acts.check(order)
    rows = selected(session, selection, settings)
    managed = endpoints.managed_counts(session)
    bulk_id = new_id("blk", asked.now)
    books = _books(session, rows, order, asked.now)
    items = _items(session, rows, order, asked, bulk_id, books=books)
    done = _done(bulk_id, order, items, managed, settings)
    _check_confirmed(session, done, confirm)
    _record(session, done, selection, asked)
    return done


def rehearse(
    database: Database, selection: Selection, order: Order, asked: Asked, settings: Settings
) -> Done:
    """Return what `run` would do; remember the list, to tell later what has changed of it.

    A part of the list at a time, so that no writer waits for all of it. Raises ServiceError 422.
    """
    bulk_acts.check(order)
    with database.read() as session:
        rows = selected(session, selection, settings)
        books = _books(session, rows, order, asked.now)
        managed = endpoints.managed_counts(session)
    bulk_id = new_id("blk", asked.now)
    items: list[Item] = []
    for start in range(0, len(rows), _AT_ONCE):
        part = [row.id for row in rows[start : start + _AT_ONCE]]
        with database.write() as session:
            items += _rehearsed(session, part, order, asked, bulk_id, books=books)
    done = _done(bulk_id, order, tuple(items), managed, settings)
    with database.write() as session:
        bulk.keep_preview(session, done.confirm, done.listed, asked.now)
    return done


def _rehearsed(
    session: Session,
    refs: Sequence[str],
    order: Order,
    asked: Asked,
    bulk_id: str,
    *,
    books: Mapping[str, Rulebook],
) -> tuple[Item, ...]:
    """Do it to some endpoints, and take it back; what is returned stays readable."""
    known = endpoints.by_ids(session, refs)
    rows = [known[ref] for ref in refs if ref in known]
    items = _items(session, rows, order, asked, bulk_id, books=books)
    session.flush()
    for row in rows:
        if inspect(row).expired_attributes:  # those that were refused
            session.refresh(row)
    session.expunge_all()
    session.rollback()
    return items


def _items(
    session: Session,
    rows: Sequence[Endpoint],
    order: Order,
    asked: Asked,
    bulk_id: str,
    *,
    books: Mapping[str, Rulebook],
) -> tuple[Item, ...]:
    ids = [row.id for row in rows]
    locks.endpoints(session, ids)  # all at once and in one order, so that no two lists cross
    owners = accounts.by_ids(session, {row.account_id for row in rows})
    effects = Effects.load(session, rows)
    holding = holds.active_of(session, ids, asked.now)
    active = operations.active_of(session, ids)
    labels = endpoints.labels_of(session, ids)
    items = []
    for row in rows:
        around = bulk_acts.Around(
            held=bool(holding.get(row.id)),
            active=active.get(row.id),
            labels=labels.get(row.id, ()),
            bulk_id=bulk_id,
            book=books.get(row.account_id),
        )
        effect = effects.of(row, order.action)
        outcome = _one(session, row, order, asked, around)
        name = owners[row.account_id].name
        items.append(Item(row, name, outcome, effect.only_if(outcome.changes)))
    return tuple(items)


def _books(
    session: Session, rows: Sequence[Endpoint], order: Order, now: datetime
) -> dict[str, Rulebook]:
    """Read the rules once per account, where clicks have to agree with them."""
    if order.action not in bulk_acts.CLICKS:
        return {}
    owners = accounts.by_ids(session, {row.account_id for row in rows})
    return {ref: Rulebook.load(session, account, now) for ref, account in owners.items()}


def _one(
    session: Session, row: Endpoint, order: Order, asked: Asked, around: bulk_acts.Around
) -> Outcome:
    """Change one endpoint inside a savepoint; a refusal is its outcome and leaves no trace."""
    mine = replace(asked, key=None if asked.key is None else f"{asked.key}/{row.id}")
    try:
        with session.begin_nested():
            return bulk_acts.act(session, row, order, mine, around)
    except ServiceError as refused:
        error = refused
    except DBAPIError as lost:
        if not bulk.is_conflict(lost) or not session.is_active:
            raise
        error = conflict(
            "changed_meanwhile",
            f"{row.name} was being changed by somebody else at the same time.",
            remedy="Look at its present state, and ask for it alone.",
        )
    return Outcome(Verdict.REFUSED, error.detail, error.code, error.remedy or "")


def _done(
    bulk_id: str,
    order: Order,
    items: tuple[Item, ...],
    managed: tuple[int, int],
    settings: Settings,
) -> Done:
    changed = [item for item in items if item.outcome.changes]
    amounts = [item.effect.nano for item in changed if item.effect.nano is not None]
    blast = Blast(
        changed=len(changed),
        changed_managed=sum(1 for item in changed if item.endpoint.managed),
        awake=sum(1 for item in changed if item.effect.awake and item.endpoint.managed),
        managed=managed[0],
        managed_awake=managed[1],
        stopped=-sum(amount for amount in amounts if amount < 0),
        started=sum(amount for amount in amounts if amount > 0),
        unpriced=sum(1 for item in changed if item.effect.incomplete),
    )
    why = _why_confirm(order, blast, settings)
    listed = _listed(items)
    return Done(bulk_id, order, items, blast, _digest(order, listed), why, listed)


def _why_confirm(order: Order, blast: Blast, settings: Settings) -> str:
    """Return why a list has to be confirmed; empty where it is small enough."""
    if not blast.changed:
        return ""
    if order.action is Action.DELETE:
        return "a deletion always does"
    if blast.changed > settings.bulk_confirm_above:
        return f"that is more than {settings.bulk_confirm_above}"
    share = blast.share_awake if order.stops else blast.share
    if blast.changed > 1 and order.power and share > settings.bulk_confirm_percent:
        of = "managed endpoints that are awake" if order.stops else "managed endpoints"
        return f"that is {share} % of the {of}, more than {settings.bulk_confirm_percent} %"
    return ""


def _check_confirmed(session: Session, done: Done, confirm: str) -> None:
    if confirm and confirm != done.confirm:
        raise _changed(session, done, confirm)
    if confirm or not done.why_confirm:
        return
    raise conflict(
        "confirmation_needed",
        f"{done.order.action.words} of {done.blast.changed} endpoints needs a confirmed list: "
        f"{done.why_confirm}.",
        remedy="Preview the list with dry_run=true, then repeat the request with the `confirm` "
        "of that answer.",
    )


def _changed(session: Session, done: Done, confirm: str) -> ServiceError:
    """Return the refusal of a list that is not the one which was confirmed, and what differs."""
    known = bulk.preview(session, confirm)
    if known is None:
        differs = "no preview of the last day has this `confirm`"
    else:
        differs = _differences(known.items, done.listed) or "what is asked for differs"
    return conflict(
        "list_changed",
        f"This is not the list that was confirmed: {differs}.",
        remedy="Preview it again with dry_run=true, and confirm that list.",
        field="confirm",
    )


def _differences(before: Sequence[Sequence[str]], after: Sequence[Sequence[str]]) -> str:
    old, new = ({item[0]: item for item in items} for items in (before, after))
    found = [f"{item[1]} is new ({_words(item)})" for ref, item in new.items() if ref not in old]
    found += [f"{item[1]} is gone" for ref, item in old.items() if ref not in new]
    found += [
        f"{item[1]} was {_words(old[ref])} and is {_words(item)}"
        for ref, item in new.items()
        if ref in old and list(old[ref][2:]) != list(item[2:])
    ]
    more = f", and {len(found) - _TOLD} more" if len(found) > _TOLD else ""
    return "; ".join(found[:_TOLD]) + more


def _words(item: Sequence[str]) -> str:
    return f"{item[2]}, {item[3]}" if item[3] else item[2]


def _listed(items: Sequence[Item]) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (one.endpoint.id, one.endpoint.name, one.outcome.verdict.value, one.outcome.code)
        for one in items
    )


def _digest(order: Order, listed: Sequence[Sequence[str]]) -> str:
    """Return what stands for a list: a rename does not change it."""
    content = json.dumps(
        [order.as_json(), sorted([ref, *what] for ref, _, *what in listed)],
        sort_keys=True,
        separators=(",", ":"),
    )
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def _record(session: Session, done: Done, selection: Selection, asked: Asked) -> None:
    """Write the event of the request, and one for each refusal."""
    counts = {verdict.value: done.count(verdict) for verdict in Verdict}
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    data = {"bulk": done.id, "selector": as_json(selection), "outcomes": counts}
    events.record(
        session,
        at=asked.now,
        kind="bulk.requested",
        actor=asked.actor,
        message=f"{asked.actor} asked for {done.order.action} of {len(done.items)} endpoints: "
        f"{told}; {asked.why}",
        data=data | done.order.as_json() | {"confirmed": bool(done.why_confirm)},
    )
    for item in done.items:
        if item.outcome.verdict is Verdict.REFUSED:
            _record_refusal(session, done, item, asked)


def _record_refusal(session: Session, done: Done, item: Item, asked: Asked) -> None:
    events.record(
        session,
        at=asked.now,
        kind="bulk.refused",
        actor=asked.actor,
        message=f"{asked.actor} was refused {done.order.action} of {item.endpoint.name}: "
        f"{item.outcome.detail}",
        account_id=item.endpoint.account_id,
        endpoint_id=item.endpoint.id,
        data={"bulk": done.id, "code": item.outcome.code},
    )


def _percent(part: int, whole: int) -> int:
    return min(100, -(-100 * part // whole)) if whole else 0
