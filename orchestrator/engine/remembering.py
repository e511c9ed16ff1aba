"""Keeps what was known of endpoints when they were decided: a row for each change of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from operator import attrgetter
from typing import Any

from sqlmodel import Session

from orchestrator.services import revisions
from orchestrator.services.remembered import (
    KEPT,
    digest_of,
    digest_of_facts,
    facts_body,
    keys_of,
    rule_body,
)
from orchestrator.services.rulebook import Rulebook
from orchestrator.store import history
from orchestrator.store.database import Database
from orchestrator.store.holds import LEASE
from orchestrator.store.observation import ManagedRow
from orchestrator.store.tables import EndpointFacts, IdlePolicy, Json, Schedule

Rule = Schedule | IdlePolicy
_KEPT = attrgetter(*KEPT)


@dataclass(frozen=True, slots=True)
class News:
    """What an endpoint is known by now, where that has changed."""

    endpoint_id: str
    seen: tuple[Any, ...]
    body: Json
    digest: str
    rules: tuple[tuple[Rule, frozenset[date]], ...]


@dataclass(slots=True)
class Memory:
    """What is kept of the endpoints of one account, so that only changes are written.

    It lives as long as the claim on the account: nobody else writes for it meanwhile.
    """

    _seen: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    _digests: dict[str, str] | None = None
    _revisions: dict[tuple[Any, ...], str] = field(default_factory=dict)

    def news(
        self, database: Database, account_id: str, book: Rulebook, rows: Sequence[ManagedRow]
    ) -> list[News]:
        """Return the endpoints of which something else is known than what is kept."""
        if self._digests is None:
            with database.read() as session:
                self._digests = history.newest_digests(session, account_id)
        revision = {rule.id: self._revision(rule, book) for rule in _rules(book)}
        found = []
        for row in rows:
            seen = _seen(row, book, revision)
            if self._seen.get(row.id) == seen:
                continue
            body = facts_body(row, book, revision)
            rules = tuple(_bound(row, book))
            found.append(News(row.id, seen, body, digest_of_facts(body), rules))
        return [one for one in found if not self._is_kept(one)]

    def keep(self, session: Session, news: Sequence[News], now: datetime) -> None:
        """Write what has changed, and the revisions of rules that it names."""
        rules = {
            key: made
            for one in news
            for key, made in zip(keys_of(one.body), one.rules, strict=True)
        }
        kept = history.kept_revisions(session, {rule_id for rule_id, _ in rules})
        missing = [
            revisions.revision(rule, days_off, now, key[1])
            for key, (rule, days_off) in rules.items()
            if key not in kept
        ]
        facts = [
            EndpointFacts(endpoint_id=one.endpoint_id, at=now, digest=one.digest, body=one.body)
            for one in news
        ]
        history.put(session, facts, missing)

    def kept(self, news: Sequence[News]) -> None:
        """Note that what has changed was committed."""
        for one in news:
            self._seen[one.endpoint_id] = one.seen
            if self._digests is not None:
                self._digests[one.endpoint_id] = one.digest

    def _is_kept(self, one: News) -> bool:
        if (self._digests or {}).get(one.endpoint_id) != one.digest:
            return False
        self._seen[one.endpoint_id] = one.seen
        return True

    def _revision(self, rule: Rule, book: Rulebook) -> str:
        days_off = _days_off(rule, book)
        key = (rule.id, rule.version, rule.updated_at, rule.shadow, days_off)
        if key not in self._revisions:
            self._revisions[key] = digest_of(rule_body(rule, days_off))
        return self._revisions[key]


def _rules(book: Rulebook) -> list[Rule]:
    return [*book.schedules.values(), *book.policies.values()]


def _bound(row: ManagedRow, book: Rulebook) -> list[tuple[Rule, frozenset[date]]]:
    found: list[tuple[Rule, frozenset[date]]] = []
    for binding in book.bound.get(row.id, ()):
        rule = book.schedules.get(binding.rule_id) or book.policies.get(binding.rule_id)
        if rule is not None:
            found.append((rule, _days_off(rule, book)))
    return found


def _days_off(rule: Rule, book: Rulebook) -> frozenset[date]:
    if isinstance(rule, Schedule):
        return frozenset(book.timetable.windows[rule.id].days_off)
    return frozenset()


def _seen(row: ManagedRow, book: Rulebook, revision: Mapping[str, str]) -> tuple[Any, ...]:
    """Return all that is kept of an endpoint as a value that is quick to make and to compare."""
    return (
        book.frozen,
        book.held_back.get(row.id),
        book.leased.get(row.id),
        _KEPT(row),
        [
            (hold.id, hold.wish, hold.reason, None if hold.source == LEASE else hold.until)
            for hold in book.holds.get(row.id, ())
        ],
        [
            (one.rule_id, one.matched_at, one.acts_from, revision.get(one.rule_id))
            for one in book.bound.get(row.id, ())
        ],
    )
