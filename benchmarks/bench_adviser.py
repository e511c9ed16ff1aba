"""How far the adviser's intervals are right: inside of the first week, then on the second.

Inside of the first week it learns from its first four or five days and foretells the others, and
the same backwards, over all endpoints and over halves of them. Whatever is tuned is tuned on that
(`--first-week` stops there), so that the second week is a test. Learnt windows have no part in it.
Small fleets, drawn from those endpoints at random, are judged in the same way.
`--traffic FILE` takes another trace than that of forty clients which comes with the package.
"""

from __future__ import annotations

import argparse
import gzip
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})

import numpy as np

from orchestrator.domain.backtest.advice import Prices
from orchestrator.domain.backtest.calibrate import Verdict, calibrate, first_week, unsure_inside
from orchestrator.domain.backtest.days import GRID, HOURS, Setting, table
from orchestrator.domain.backtest.forecast import Expected, priced
from orchestrator.domain.backtest.pool import Pool
from orchestrator.domain.backtest.traffic import SECOND, Fleet, Floats, Traffic, read_csv

HOUR_PRICE = 800_000_000
MINUTES = (10_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000, 30_000_000, 100_000_000)
SEEDS = (0, 1, 2)
SIZES = (2, 3, 5, 8, 12, 20, 40)
STARTUP = 300 * SECOND
MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
ALWAYS = len(GRID) - 1
_WEEK_S = 7 * 86400
Many = np.ndarray[tuple[int], np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class Split:
    """A pool, the endpoints that it learnt from, those judged, and their days known and left."""

    who: str
    seed: int
    pool: Pool
    learnt: Many
    judged: Many
    known: Floats
    rest: Floats


@dataclass(frozen=True, slots=True)
class Tried:
    """One run inside of the first week; `unsure` endpoints are not always on."""

    who: str
    minute: int
    error: float
    low: float
    high: float
    unsure: int
    unsure_inside: int
    off: float  # hours a day, the mean over endpoints of what came more or less than promised

    @property
    def inside(self) -> bool:
        """Return whether the fleet's cost lies in its interval."""
        return self.low <= self.error <= self.high


def splits(week: Floats, seed: int) -> Iterator[Split]:
    """Return how the days and the endpoints of the first week are parted."""
    for back, whole in enumerate((week, week[:, :, ::-1])):
        for cut in (4, 5):
            known, rest = whole[:, :, :cut], whole[:, :, cut:]
            used = np.flatnonzero(known[:, 0, :, HOURS].any(1))
            everyone = np.arange(len(week))
            yield Split("all", seed, Pool(known[used]), used, everyone, known, rest)
            order = np.random.default_rng([seed, back, cut]).permutation(len(week))
            for half in (order, order[::-1]):
                judged, learnt = np.sort(half[: len(week) // 2]), half[len(week) // 2 :]
                learnt = np.intersect1d(learnt, used)
                pool = Pool(known[learnt])
                for who, days in (("unseen, own days", cut), ("unseen, a day", 1), ("unseen", 0)):
                    past = known[:, :, cut - days :]
                    yield Split(who, seed, pool, learnt, judged, past, rest)


def small(week: Floats, seed: int, size: int) -> Iterator[Split]:
    """Return fleets of some endpoints, and how their first week is parted."""
    for draw in range(len(week) // size):
        dice = np.random.default_rng([seed, size, draw])
        some = week[np.sort(dice.permutation(len(week))[:size])]
        for whole in (some, some[:, :, ::-1]):
            for cut in (4, 5):
                known, rest = whole[:, :, :cut], whole[:, :, cut:]
                used = np.flatnonzero(known[:, 0, :, HOURS].any(1))
                if len(used):
                    everyone = np.arange(size)
                    yield Split(str(size), seed, Pool(known[used]), used, everyone, known, rest)


def foretold(split: Split) -> list[Expected]:
    """Return what is expected of the endpoints that are judged."""
    pool = split.pool
    places = {int(one): place for place, one in enumerate(split.learnt)}
    found = []
    for one in split.judged:
        past, place = split.known[one], places.get(int(one))
        if not past.shape[1]:
            found.append(pool.unknown(new=False))
        elif place is None and not past[0, :, HOURS].any():
            found.append(pool.unknown(new=True))
        else:
            found.append(pool.expect(past, without=place))
    return found


def judge(expected: Sequence[Expected], split: Split, minute: int) -> Tried:
    """Hold what the advice promises, at one price, against the days left out."""
    worth = minute / HOUR_PRICE
    chosen = [int(priced(one.reckoned, worth).argmin()) for one in expected]
    mean = np.array([one.mean[rule, HOURS] for one, rule in zip(expected, chosen, strict=True)])
    came = split.rest[split.judged, chosen].mean(1)[:, HOURS]
    draws = split.pool.draw(expected, chosen, split.seed)
    hours, on = draws.hours, draws.on[:, 0]
    whole = hours.sum(1)
    low, high = np.quantile(whole - whole.mean() + mean.sum(), (0.1, 0.9))
    low, high = min(low, on.sum()), max(high, on.sum())
    ends = np.stack([*np.quantile(np.clip(hours, 0, 24), (0.1, 0.9), axis=0), mean, on])
    inside = (ends.min(0) - 1e-6 <= came) & (came <= ends.max(0) + 1e-6)
    unsure = np.array(chosen) != ALWAYS
    total = float(mean.sum())
    return Tried(
        split.who,
        minute,
        float(came.sum()) / total - 1,
        min(float(low) / total - 1, 0.0) - 1e-9,
        max(min(float(high), 24.0 * len(mean)) / total - 1, 0.0) + 1e-9,
        int(unsure.sum()),
        int(inside[unsure].sum()),
        float(np.abs(came - mean).mean()),
    )


def within(first: Sequence[Traffic], setting: Setting) -> list[Tried]:
    """Return the runs inside of the first week, of the endpoints that were used in it."""
    used = [one for one in first if len(one.requests)]
    found = []
    for seed in SEEDS:
        week = np.stack([table(one, seed, GRID, setting) for one in used])
        for split in splits(week, seed):
            expected = foretold(split)
            found += [judge(expected, split, minute) for minute in MINUTES]
    return found


def among_few(first: Sequence[Traffic], setting: Setting) -> list[Tried]:
    """Return the runs of small fleets inside of the first week."""
    used = [one for one in first if len(one.requests)]
    found = []
    for seed in SEEDS:
        week = np.stack([table(one, seed, GRID, setting) for one in used])
        for split in (one for size in SIZES if size < len(week) for one in small(week, seed, size)):
            expected = foretold(split)
            found += [judge(expected, split, minute) for minute in MINUTES]
    return found


def show_few(runs: Sequence[Tried]) -> None:
    """Print how far small fleets are foretold inside of the first week."""
    print("| Endpoints in a fleet | Each off by, hours a day | Fleets inside | Endpoints inside |")
    print("|---|---|---|---|")
    for size in dict.fromkeys(one.who for one in runs):
        some = [one for one in runs if one.who == size]
        inside = np.mean([one.inside for one in some])
        own = sum(one.unsure_inside for one in some) / max(sum(one.unsure for one in some), 1)
        off = np.mean([one.off for one in some])
        print(f"| {size} | {off:.1f} | {inside:.0%} of {len(some):,} | {own:.0%} |")


def show_within(runs: Sequence[Tried]) -> None:
    """Print how often intervals held inside of the first week."""
    print(
        "| Inside of the first week | A minute | Cost, % (rms) | Interval, % | Inside | Endpoints |"
    )
    print("|---|---|---|---|---|---|")
    for who in dict.fromkeys(one.who for one in runs):
        for minute in (*MINUTES, None):
            some = [one for one in runs if one.who == who and minute in (None, one.minute)]
            low, high = (np.mean([getattr(one, end) for one in some]) for end in ("low", "high"))
            rms = np.sqrt(np.mean([one.error**2 for one in some]))
            inside = sum(one.inside for one in some)
            count = sum(one.unsure for one in some)
            own = f"{sum(one.unsure_inside for one in some) / count:.0%}" if count else "-"
            price = f"${minute / 1e9:g}" if minute else "all"
            print(
                f"| {who} | {price} | {rms:.1%} | {low:+.1%} to {high:+.1%} | "
                f"{inside} of {len(some)} | {own} |"
            )


def show_second(verdicts: Sequence[Verdict]) -> None:
    """Print which bars hold in the second week, and whose costs lie in their own intervals."""
    whole = list(dict.fromkeys(one.who for one in verdicts))
    bars: tuple[tuple[str, Callable[[Verdict], bool]], ...] = (
        ("cost within 10 %", lambda one: abs(one.error) <= 0.1),
        ("inside the interval", lambda one: one.inside),
        ("beyond the best single rule by at most 1 %", lambda one: one.beyond <= 0.01),
        ("beyond the best single timeout by at most 1 %", lambda one: one.beyond_timeout <= 0.01),
    )
    print(f"| Second week, runs that hold | {' | '.join(whole)} |")
    print("|---" * (len(whole) + 1) + "|")
    for name, holds in bars:
        held = [[holds(one) for one in verdicts if one.who == who] for who in whole]
        print(f"| {name} | {' | '.join(f'{sum(one)} of {len(one)}' for one in held)} |")
    for minute in (*MINUTES, None):
        price = f"at ${minute / 1e9:g}" if minute else "at all prices"
        cells = []
        for who in whole:
            some = [one for one in verdicts if one.who == who and minute in (None, one.minute)]
            count = sum(one.unsure for one in some)
            cells.append(f"{unsure_inside(some):.0%} of {count:,}" if count else "-")
        print(f"| own costs inside, of endpoints not always on, {price} | {' | '.join(cells)} |")
    print(f"all of them together: {unsure_inside(verdicts):.1%} (80 % is meant)")


def read(file: str | None) -> Fleet:
    """Return a trace."""
    if file is None:
        raw = files("orchestrator.sandbox").joinpath("data/llm-traffic-sample.csv.gz").read_bytes()
    else:
        raw = Path(file).read_bytes()
    return read_csv((gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode().splitlines())


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traffic", metavar="FILE", help="a trace of two weeks; gzip or plain")
    parser.add_argument("--first-week", action="store_true", help="do not look at the second")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, help="of the second week")
    given = parser.parse_args()
    fleet = read(given.traffic)
    setting = first_week(Setting(MONDAY, fleet.length, STARTUP))
    before = time.process_time()
    first = [one.part(0, _WEEK_S) for one in fleet.endpoints]
    show_within(within(first, setting))
    show_few(among_few(first, setting))
    print(f"{time.process_time() - before:.0f} s of CPU")
    if given.first_week:
        return
    before = time.process_time()
    grid = [Prices(HOUR_PRICE, minute) for minute in MINUTES]
    show_second(list(calibrate(fleet.endpoints, setting, grid, given.seeds)))
    print(f"{time.process_time() - before:.0f} s of CPU")


if __name__ == "__main__":
    main()
