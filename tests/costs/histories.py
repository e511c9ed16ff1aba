"""Strategies for random true histories and random looks at them."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from orchestrator.domain.status import Status
from tests.costs.reference_cloud import MINUTE_MS, Change, Disks, LookAt, Scenario

GAP_LIMIT_S = 180
# Long enough that a look and the one after it see at most one change of this kind.
SLOW_MS = (GAP_LIMIT_S + 30) * 1000
MAX_REPLICAS = 3
ASLEEP = (Status.PAUSED, Status.SCALED_TO_ZERO)


@st.composite
def looks(draw: st.DrawFn, *, downtime: bool, least: int = 2) -> tuple[LookAt, ...]:
    """Looks that follow one another; with `downtime` some gaps are long and some looks are lost."""
    at, out = 0, []
    span = draw(st.sampled_from([50, 3_000, 20_000]))
    for _ in range(draw(st.integers(least, 24))):
        down = downtime and draw(st.integers(0, 9)) == 9
        at += draw(st.integers(GAP_LIMIT_S * 1000, 1_000_000) if down else st.integers(1, 100_000))
        seen = at + draw(st.integers(0, span))
        answered = seen + draw(st.integers(0, span))
        lost = downtime and draw(st.integers(0, 9)) == 9
        out.append(LookAt(at, seen, answered, lost, draw(st.booleans())))
        at = answered
    return tuple(out)


@st.composite
def changes(draw: st.DrawFn, *, start: int, end: int, dwell_ms: int) -> tuple[Change, ...]:
    """A true history: each state lasts at least `dwell_ms`, longer beside untraced changes."""
    at = start
    out: list[Change] = []
    rarely = draw(st.sampled_from([0, 5, 10]))
    longest = draw(st.sampled_from([30_000, 400_000])) + dwell_ms
    most = draw(st.sampled_from([1, 3, 20]))
    while at < end and len(out) < most:
        traced = not out or draw(st.integers(1, 10)) > rarely
        status = draw(st.sampled_from([Status.RUNNING, Status.INITIALIZING, *ASLEEP]))
        replicas = 0 if status in ASLEEP else draw(st.integers(1, MAX_REPLICAS))
        if out and Status.PAUSED in (status, out[-1].status):
            traced = True
        if out and not traced:
            at += SLOW_MS
        out.append(Change(at, status, replicas, out[-1].hardware if out else "a", traced))
        at += draw(st.integers(dwell_ms, longest)) + (0 if traced else SLOW_MS)
    return _with_new_hardware(out, draw(st.integers(0, 6)))


def _with_new_hardware(history: list[Change], since: int) -> tuple[Change, ...]:
    """Other hardware from one traced change on, at most once."""
    moved = any(each.traced for each in history[since : since + 1])
    return tuple(
        Change(
            each.at, each.status, each.replicas, "b" if moved and i >= since else "a", each.traced
        )
        for i, each in enumerate(history)
    )


@st.composite
def price_lists(draw: st.DrawFn, end: int) -> dict[str, tuple[tuple[int, int], ...]]:
    """Prices of two hardware types; a price changes at most once."""
    nano = st.sampled_from([33_000_000, 800_000_001, 40_000_000_000])
    out = {}
    for hardware in "ab":
        prices = [(-10_000_000, draw(nano))]
        if draw(st.booleans()):
            prices.append((draw(st.integers(1, max(2, end))), draw(nano)))
        out[hardware] = tuple(prices)
    return out


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    """Anything that a sane clock can live through."""
    seen = draw(looks(downtime=True))
    end = seen[-1].answered
    rounding = draw(st.sampled_from(["none", "up", "down", "nearest"]))
    start = draw(st.integers(-500_000, max(1, end // 2)))
    dwell = 1 if rounding == "none" else MINUTE_MS
    history = draw(changes(start=start, end=end, dwell_ms=dwell))
    # Hardware that no look ever saw cannot be priced: what is new is neither changed nor deleted.
    if start > min(each.seen for each in seen if not each.lost or each is seen[-1]):
        history = tuple(replace(each, hardware="a") for each in history)
    gone = history[-1].at + draw(st.integers(SLOW_MS, 500_000))
    seen = settled_looks(seen, history)
    return Scenario(
        changes=history,
        looks=seen,
        prices=draw(price_lists(end)),
        deleted=None if _two_kinds(history) else draw(st.none() | st.just(gone)),
        readings=_between(seen, sorted(draw(st.lists(st.integers(0, end), max_size=6)))),
        rounding=rounding,
        max_replicas=MAX_REPLICAS,
        gap_limit_s=GAP_LIMIT_S,
        starting_is_billed=draw(st.booleans()),
        cloud_skew_ms=draw(st.integers(-50_000, 50_000)),
    )


def disks() -> st.SearchStrategy[Disks]:
    """Disks of a few gigabytes; other hardware may have larger or smaller ones, or none."""
    size = st.integers(0, 3)
    sizes = st.fixed_dictionaries({"a": size, "b": size}).filter(lambda each: any(each.values()))
    return st.builds(Disks, sizes=sizes, alike=st.booleans())


@st.composite
def set_clocks(draw: st.DrawFn) -> Scenario:
    """A clock that is set forward once and back once, looks without downtime, one price."""
    seen = draw(looks(downtime=False, least=4))
    end = seen[-1].answered
    instants = [draw(st.integers(1, end)) for _ in range(2)]
    by = (draw(st.integers(0, 7_200_000)), -draw(st.integers(0, 7_200_000)))
    return Scenario(
        changes=draw(changes(start=-1_000, end=end, dwell_ms=1_000)),
        looks=seen,
        prices={"a": ((-10_000_000, 800_000_000),), "b": ((-10_000_000, 3_800_000_000),)},
        readings=(0,),
        max_replicas=MAX_REPLICAS,
        gap_limit_s=GAP_LIMIT_S,
        steps=tuple(zip(instants, by, strict=True)),
    )


def settled_looks(seen: tuple[LookAt, ...], history: tuple[Change, ...]) -> tuple[LookAt, ...]:
    """Two more looks after the last change, so that the last interval has begun to be measured."""
    at = max(seen[-1].answered, history[-1].at)
    return (*seen, *(LookAt(at + wait, at + wait, at + wait) for wait in (9_000, 19_000)))


def _two_kinds(history: tuple[Change, ...]) -> bool:
    return len({each.hardware for each in history}) > 1


def _between(seen: tuple[LookAt, ...], instants: list[int]) -> tuple[int, ...]:
    """Price lists are read before the first look, never during one, and before the last two."""
    busy = [(each.asked, each.answered) for each in seen]
    free = [at for at in instants if not any(a <= at <= b for a, b in busy)]
    return (0, *(at for at in free if at > 0), seen[-2].asked - 1_000)
