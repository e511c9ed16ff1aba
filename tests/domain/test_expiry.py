"""Times to live as people write them, and when what has one is warned of and paused."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from orchestrator.domain.asked import HoldFact, Standing, foremost
from orchestrator.domain.decide import Facts, Rule, decide
from orchestrator.domain.expiry import Expiry, TtlError, parse_ttl
from orchestrator.domain.schedules.zones import zone
from orchestrator.domain.status import Status, Wish

BERLIN = "Europe/Berlin"
HOUR = timedelta(hours=1)
AT = datetime(2026, 3, 2, 12, tzinfo=UTC)  # a Monday


def none(first: date, after: date) -> Collection[date]:
    del first, after
    return ()


def end(text: str, start: str, name: str = BERLIN, off: Collection[str] = ()) -> str:
    free = [date.fromisoformat(one) for one in off]
    found = parse_ttl(text).end(datetime.fromisoformat(start), zone(name), lambda *_: free)
    return found.astimezone(zone(name)).isoformat()


@pytest.mark.parametrize(
    ("text", "start", "expected"),
    [
        ("1d12h", "2026-03-02T12:00Z", "2026-03-04T01:00:00+01:00"),
        ("2w", "2026-03-02T12:00Z", "2026-03-16T13:00:00+01:00"),
        ("5wd", "2026-03-02T12:00+01:00", "2026-03-09T12:00:00+01:00"),
        ("1wd", "2026-03-06T18:00+01:00", "2026-03-09T18:00:00+01:00"),
        ("1wd", "2026-03-07T09:00+01:00", "2026-03-09T09:00:00+01:00"),
        # The same wall-clock time on the far side of the change to summer time.
        ("1wd", "2026-03-27T12:00+01:00", "2026-03-30T12:00:00+02:00"),
        # A date lasts to its end, which is a midnight of 23 hours on the day of the change.
        ("2026-03-29", "2026-03-02T12:00Z", "2026-03-30T00:00:00+02:00"),
        ("2026-12-24T18:00+01:00", "2026-03-02T12:00Z", "2026-12-24T18:00:00+01:00"),
    ],
)
def test_when_it_is_over(text: str, start: str, expected: str) -> None:
    assert end(text, start) == expected


def test_days_off_are_no_working_days() -> None:
    easter = ["2026-04-03", "2026-04-06"]
    assert end("2wd", "2026-04-01T10:00+02:00", off=easter) == "2026-04-07T10:00:00+02:00"


def test_a_time_that_the_clocks_skip_is_the_first_after_it() -> None:
    """Cairo's clocks skip the first hour of Friday 24 April 2026, which is a working day there."""
    found = end("1wd", "2026-04-23T00:30+02:00", "Africa/Cairo")
    assert found == "2026-04-24T01:00:00+03:00"


def test_calendars_that_leave_no_days_are_refused() -> None:
    def always(first: date, after: date) -> list[date]:
        return [first + timedelta(days=number) for number in range((after - first).days)]

    with pytest.raises(TtlError, match="leave no 3 working days"):
        parse_ttl("3wd").end(AT, zone("UTC"), always)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "0d",
        "0wd",
        "-1d",
        "3",
        "2026-02-30",
        "2026-03-01T10:00",
        "9999d",
        "2000wd",
        "9999-12-31",
    ],
)
def test_what_is_no_time_to_live(text: str) -> None:
    with pytest.raises(TtlError):
        parse_ttl(text)


def expiry(hours: float, *warn: float, set_before: float = 100) -> Expiry:
    before = tuple(one * HOUR for one in warn)
    return Expiry(AT + hours * HOUR, AT - set_before * HOUR, "bo", "a trial", before)


def test_warnings_come_in_order_and_each_once() -> None:
    one = expiry(10, 72, 24, 1)
    assert [int((at - one.at) / HOUR) for at in one.warnings()] == [-72, -24, -1]
    # Two are owed at once: people are told once, of both.
    owed = one.next_warning(AT)
    assert owed == AT - 14 * HOUR
    told = one.warned(AT)
    assert told.next_warning(AT) == one.at - HOUR
    assert told.warned(one.at).next_warning(one.at) is None


def test_it_is_not_paused_before_the_promised_notice() -> None:
    one = expiry(0, 24, 2)
    assert one.pauses_at() is None
    assert one.warned(AT - 24 * HOUR).pauses_at() is None
    assert one.warned(AT - 24 * HOUR).warned(AT - 2 * HOUR).pauses_at() == AT
    assert one.warned(AT - 24 * HOUR).warned(AT - HOUR).pauses_at() == AT + HOUR
    assert one.warned(AT + HOUR).pauses_at() == AT + 3 * HOUR
    short = expiry(1, 24, set_before=1)
    assert short.warnings() == (AT,)
    assert short.warned(AT).pauses_at() == short.at


def test_an_end_that_has_come_stays_so() -> None:
    """Once the first warning alone was waited for; what was paused after it is not woken."""
    early = expiry(0, 24, 2).warned(AT - 24 * HOUR)
    over = replace(early, expired_at=AT)
    assert (early.pauses_at(), over.pauses_at()) == (None, AT)
    assert (early.next_warning(AT), over.next_warning(AT)) == (AT - 2 * HOUR, None)
    assert over.assuming_warned(AT + HOUR) == over
    late = replace(early.warned(AT - HOUR), expired_at=AT)
    assert late.pauses_at() == AT
    assert decide(facts(over), AT).rule is Rule.EXPIRED


def facts(held: Expiry, *holds: HoldFact, protected: bool = False) -> Facts:
    standing = Standing(Wish.RUNNING, "ada", "asked", AT)
    return Facts(
        status=Status.RUNNING,
        managed=True,
        standing=standing,
        protected=protected,
        holds=holds,
        expiry=held,
    )


def test_expired_comes_after_holds_and_before_all_others() -> None:
    over = expiry(0, 1).warned(AT - HOUR)
    found = decide(facts(over), AT)
    assert (found.wish, found.rule, "bo set it: a trial" in found.reason) == (
        Wish.PAUSED,
        Rule.EXPIRED,
        True,
    )
    held = HoldFact(Wish.RUNNING, AT + HOUR, "ada", "demo")
    assert decide(facts(over, held), AT).rule is Rule.HOLD
    shielded = decide(facts(over, protected=True), AT)
    assert (shielded.rule, shielded.proposals[0].rule) == (Rule.STANDING, Rule.EXPIRED)


def test_what_is_to_come_is_an_edge_and_is_told() -> None:
    ahead = expiry(5, 1)
    found = decide(facts(ahead), AT)
    assert (found.wish, found.next_edge) == (Wish.RUNNING, ahead.at)
    (told,) = [one for one in found.considered if one.rule is Rule.EXPIRED]
    assert (told.outcome, told.detail) == ("not_yet", "it expires at 2026-03-02 17:00 UTC")
    unwarned = decide(facts(expiry(-1, 1)), AT)
    assert (unwarned.wish, unwarned.considered[1].detail.endswith("nobody was warned")) == (
        Wish.RUNNING,
        True,
    )


def hold(wish: Wish, hours: float = 1, *, program: bool = False) -> HoldFact:
    return HoldFact(wish, AT + hours * HOUR, "bot" if program else "ada", "why", program)


@pytest.mark.parametrize(
    ("holds", "first"),
    [
        ((hold(Wish.PAUSED), hold(Wish.RUNNING, program=True)), 0),
        ((hold(Wish.PAUSED), hold(Wish.AVAILABLE)), 1),
        ((hold(Wish.AVAILABLE), hold(Wish.RUNNING)), 1),
        ((hold(Wish.AVAILABLE), hold(Wish.RUNNING, program=True)), 1),
        ((hold(Wish.RUNNING), hold(Wish.RUNNING, 2)), 1),
        ((hold(Wish.AVAILABLE, program=True), hold(Wish.PAUSED, program=True)), 0),
    ],
)
def test_which_of_several_holds_counts(holds: tuple[HoldFact, ...], first: int) -> None:
    assert foremost(holds) is holds[first]
