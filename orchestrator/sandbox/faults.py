"""Faults of the cloud's answers, and the rules that say when they happen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from orchestrator.sandbox.instants import draw, to_instant

Kind = Literal[
    "timeout_before",
    "timeout_after",
    "drop_before",
    "drop_after",
    "error",
    "page",
    "truncate",
    "slow",
    "stale_read",
    "partial_listing",
    "empty_listing",
    "repeated_row",
    "shifting_pages",
    "unknown_state",
    "missing_field",
    "extra_field",
    "wrong_type",
]


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong; make one with the functions of this module."""

    kind: Kind
    status: int = 0
    text: str = ""
    after_commit: bool = False
    retry_after: int | None = None
    seconds: float = 0.0
    items: int = 0
    lose_cursor: bool = False
    field: str = ""
    value: Any = None
    name: str | None = None
    code: str = ""


def timeout_before() -> Fault:
    """The call never reaches the cloud, and no answer comes."""
    return Fault("timeout_before")


def timeout_after() -> Fault:
    """The cloud does what was asked, and no answer comes."""
    return Fault("timeout_after")


def drop_before() -> Fault:
    """The connection is closed before the call reaches the cloud."""
    return Fault("drop_before")


def drop_after() -> Fault:
    """The cloud does what was asked, then the connection is closed without an answer."""
    return Fault("drop_after")


def error(
    status: int,
    text: str = "Internal Server Error",
    *,
    after_commit: bool = False,
    retry_after: int | None = None,
) -> Fault:
    """This status, before or after the change; a 429 has rate-limit headers, times in seconds."""
    return Fault("error", status, text, after_commit, retry_after)


def aws_error(code: str, text: str = "", *, status: int = 400, after_commit: bool = False) -> Fault:
    """An error of AWS by its code, such as ThrottlingException, before or after the change."""
    return Fault("error", status, text, after_commit, code=code)


def page(status: int = 200, *, after_commit: bool = False) -> Fault:
    """A proxy answers in the cloud's place, in HTML; a status of 3xx leads to another host."""
    return Fault("page", status, after_commit=after_commit)


def truncate() -> Fault:
    """The cloud does what was asked, and the answer breaks off half-way."""
    return Fault("truncate")


def slow(seconds: float) -> Fault:
    """The answer takes this many virtual seconds."""
    return Fault("slow", seconds=seconds)


def stale_read(seconds: float) -> Fault:
    """A read shows what was so many seconds ago."""
    return Fault("stale_read", seconds=seconds)


def partial_listing(items: int = 1, *, lose_cursor: bool = False) -> Fault:
    """A page lacks its last items; with `lose_cursor` it also claims to be the last page."""
    return Fault("partial_listing", items=items, lose_cursor=lose_cursor)


def empty_listing() -> Fault:
    """A listing is empty."""
    return Fault("empty_listing")


def repeated_row() -> Fault:
    """The first row of a page comes once more at its end."""
    return Fault("repeated_row")


def shifting_pages(*, repeat: bool = False) -> Fault:
    """Pages after the first have moved by one: an item falls between two pages, or is on both."""
    return Fault("shifting_pages", items=-1 if repeat else 1)


def unknown_state(word: str = "hibernating", *, name: str | None = None) -> Fault:
    """The state (`status.state`, `EndpointStatus`) is a new word; of one endpoint, or of all."""
    return Fault("unknown_state", value=word, name=name)


def missing_field(field: str, *, name: str | None = None) -> Fault:
    """A field (dotted path) is absent."""
    return Fault("missing_field", field=field, name=name)


def extra_field(field: str, value: Any = "new", *, name: str | None = None) -> Fault:
    """A field (dotted path) that nobody knows is present."""
    return Fault("extra_field", field=field, value=value, name=name)


def wrong_type(field: str, value: Any = "7", *, name: str | None = None) -> Fault:
    """A field (dotted path) holds something of another type."""
    return Fault("wrong_type", field=field, value=value, name=name)


@dataclass(slots=True)
class Rule:
    """When a fault happens: every condition that is given must hold.

    `path` is a regular expression searched in the path, which for a call of AWS is
    `/aws/{account}/{region}/{service}/{operation}` with method POST; `nth` is the one matching
    call (from 1) that is hit; `count` is the most times; `probability` is per matching call,
    seeded; the window
    is [after, until) in virtual time.
    """

    fault: Fault
    number: int
    method: str | None = None
    path: str | None = None
    nth: int | None = None
    count: int | None = None
    probability: float | None = None
    after: datetime | None = None
    until: datetime | None = None
    seen: int = 0
    fired: int = 0

    def hits(self, method: str, path: str, now: int, seed: int) -> bool:
        """Whether this call is hit; counts the call if it matches."""
        if not self._matches(method, path, now):
            return False
        self.seen += 1
        if self.nth is not None and self.seen != self.nth:
            return False
        if self.count is not None and self.fired >= self.count:
            return False
        chance = draw(seed, "fault", self.number, self.seen)
        if self.probability is not None and chance >= self.probability:
            return False
        self.fired += 1
        return True

    def _matches(self, method: str, path: str, now: int) -> bool:
        return (
            (self.method is None or self.method == method)
            and (self.path is None or re.search(self.path, path) is not None)
            and (self.after is None or to_instant(self.after) <= now)
            and (self.until is None or now < to_instant(self.until))
        )


class FaultPlan:
    """The rules in force; several may hit one call."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._rules: list[Rule] = []
        self._made = 0

    def add(
        self,
        fault: Fault,
        *,
        method: str | None = None,
        path: str | None = None,
        nth: int | None = None,
        count: int | None = None,
        probability: float | None = None,
        after: datetime | None = None,
        until: datetime | None = None,
    ) -> Rule:
        """Put a rule in force; without conditions it hits every call."""
        self._made += 1
        rule = Rule(fault, self._made, method, path, nth, count, probability, after, until)
        self._rules.append(rule)
        return rule

    def remove(self, rule: Rule) -> None:
        """Take a rule out of force; raises ValueError if it is not in force."""
        self._rules.remove(rule)

    def clear(self) -> None:
        """Take all rules out of force."""
        self._rules.clear()

    def __iter__(self) -> Iterator[Rule]:
        return iter(self._rules)

    def hits(self, method: str, path: str, now: int) -> list[Fault]:
        """The faults of a call at an instant, in order of their rules."""
        return [rule.fault for rule in self._rules if rule.hits(method, path, now, self._seed)]
