"""Each version of a rule is kept as it was saved, in the transaction that saves it."""

from __future__ import annotations

from datetime import date, datetime

from sqlmodel import Session

from orchestrator.services.remembered import IDLE, SCHEDULE, digest_of, rule_body
from orchestrator.services.windows import full
from orchestrator.store import history
from orchestrator.store.tables import IdlePolicy, RuleRevision, Schedule


def keep(session: Session, rule: Schedule | IdlePolicy, now: datetime) -> None:
    """Keep a rule as it is now, with the days off of its calendars, unless it is kept so."""
    named = full(session, rule, now).days_off if isinstance(rule, Schedule) else ()
    made = revision(rule, frozenset(named), now)
    is_new = rule.version == 1
    if is_new or (made.rule_id, made.digest) not in history.kept_revisions(session, [rule.id]):
        history.put(session, [], [made])


def revision(
    rule: Schedule | IdlePolicy, days_off: frozenset[date], now: datetime, digest: str = ""
) -> RuleRevision:
    """Return a rule as it is kept; `digest` is that of its body, where it is known."""
    body = rule_body(rule, days_off)
    return RuleRevision(
        rule_id=rule.id,
        kind=SCHEDULE if isinstance(rule, Schedule) else IDLE,
        version=rule.version,
        digest=digest or digest_of(body),
        at=now,
        body=body,
    )
