"""How long things are kept: what is older is dropped at a low pace, and that is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from orchestrator.services.context import Context
from orchestrator.settings import Settings
from orchestrator.store import events, idempotency, retention, tokens
from orchestrator.store.retention import Dropper, Limits

BATCH = 500
# So many rows of one table in one round, so that an old store is not emptied in one go.
MOST_ROWS = 20_000
ACTOR = "engine:retention"


@dataclass(frozen=True, slots=True)
class Rule:
    """How long the rows of one table are kept."""

    table: str
    days: int
    drop: Dropper


def rules(settings: Settings) -> Iterator[Rule]:
    """Yield what is dropped after a time; 0 days keep a table for ever."""
    every = (
        Rule("event", settings.keep_events_days, retention.drop_events),
        Rule("hold", settings.keep_events_days, retention.drop_holds),
        Rule("endpoint_facts", settings.keep_events_days, retention.drop_facts),
        Rule("operation", settings.keep_operations_days, retention.drop_operations),
        Rule("meter_interval", settings.keep_meter_days, retention.drop_intervals),
        Rule("usage_sample", settings.keep_usage_days, retention.drop_usage),
    )
    return (rule for rule in every if rule.days)


def drop_old(context: Context, now: datetime, pause: Callable[[], bool]) -> dict[str, int]:
    """Drop what is too old, in short transactions; return the rows dropped by table.

    `pause` is called between two of them, and ends the round by returning True.
    """
    with context.database.write() as session:
        idempotency.forget_before(session, now - _key_span(context.settings))
        tokens.forget_expired_sessions(session, now)
    return {rule.table: _drop(context, rule, now, pause) for rule in rules(context.settings)}


def _key_span(settings: Settings) -> timedelta:
    return timedelta(days=settings.keep_answers_days)


def _drop(context: Context, rule: Rule, now: datetime, pause: Callable[[], bool]) -> int:
    """Drop the old rows of one table; whole days, so that a quiet store is told of once a day."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    limits = Limits(today - timedelta(days=rule.days), now - _key_span(context.settings))
    after, total = None, 0
    while total < MOST_ROWS:
        with context.database.write() as session:
            if not retention.is_my_turn(session):
                break
            step = rule.drop(session, limits, after, BATCH)
            if step.dropped:
                retention.note_dropped(session, rule.table, limits.before, now)
        after, total = step.after, total + step.dropped
        if step.done or pause():
            break
    if total:
        _tell(context, rule, limits.before, total, now)
    return total


def _tell(context: Context, rule: Rule, before: datetime, rows: int, now: datetime) -> None:
    with context.database.write() as session:
        events.record(
            session,
            at=now,
            kind="retention.dropped",
            actor=ACTOR,
            message=f"{rows} rows of {rule.table} from before {before:%Y-%m-%d} were dropped: they "
            f"are kept for {rule.days} days",
            data={"table": rule.table, "rows": rows, "before": before.isoformat()},
        )
