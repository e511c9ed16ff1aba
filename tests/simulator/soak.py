"""Plays random histories for as long as asked: python -m tests.simulator.soak --minutes 60."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
import traceback
from pathlib import Path

import structlog
from hypothesis import Phase, settings

from tests.simulator.floors import ORDER
from tests.simulator.places import FLAVOURS
from tests.simulator.tally import TALLY, lines
from tests.simulator.test_histories import PLAYED, SHARES, play
from tests.simulator.theatre import Theatre

SILENT = 50
MOST_SEED = 2**32


def main() -> int:
    """Play until time is up; a failure is made short, printed, and the next seed is played."""
    wanted = _wanted()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(SILENT))
    end = time.monotonic() + wanted.minutes * 60
    dice = random.Random()
    failed = []
    with tempfile.TemporaryDirectory() as folder, Theatre(Path(folder)) as theatre:
        while True:
            seed = dice.randrange(MOST_SEED) if wanted.seed is None else wanted.seed
            if not _played(theatre, seed, wanted):
                failed.append(seed)
            if wanted.seed is not None or time.monotonic() >= end:
                break
    print("\n".join(lines(TALLY, ORDER)))
    print(f"failed seeds: {failed}" if failed else "every promise held")
    return 1 if failed else 0


def _wanted() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, help="play the histories of this seed alone")
    parser.add_argument("--histories", type=int, default=200, help="histories of each seed")
    parser.add_argument("--cloud", choices=sorted(FLAVOURS), help="of one cloud alone")
    return parser.parse_args()


def _played(theatre: Theatre, seed: int, wanted: argparse.Namespace) -> bool:
    how = settings(PLAYED, max_examples=wanted.histories, phases=(Phase.generate, Phase.shrink))
    shares = (wanted.cloud,) if wanted.cloud else SHARES
    print(f"seed {seed}: {wanted.histories} histories", flush=True)
    try:
        play(theatre, seed, shares, how)
    except Exception:  # noqa: BLE001 - whatever broke is told, and the next seed is played
        traceback.print_exc()
        again = f"make soak SEED={seed} HISTORIES={wanted.histories}"
        print(
            f"\nA promise was broken. The same once more: {again}"
            + (f" CLOUD={wanted.cloud}" if wanted.cloud else ""),
            file=sys.stderr,
            flush=True,
        )
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
