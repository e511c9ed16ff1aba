"""Overlapping stretches of time made one, with what holds in each part."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import pairwise

from orchestrator.domain.schedules.model import Interval


def unite(spans: Iterable[Interval]) -> list[Interval]:
    """Maximal stretches of one answer, in order; when each opens is left out."""
    changes: defaultdict[datetime, list[int]] = defaultdict(lambda: [0, 0])
    for span in spans:
        for instant, step in ((span.start, 1), (span.end, -1)):
            changes[instant][0] += step
            changes[instant][1] += step * span.keep_running
    return _pieces(sorted(changes.items()))


def cut(
    pieces: Iterable[Interval], whole: Sequence[Interval], start: datetime, end: datetime
) -> list[Interval]:
    """The parts of ``pieces`` in ``[start, end)``; ``whole`` is what they were united from."""
    parts = [
        Interval(max(piece.start, start), min(piece.end, end), piece.keep_running)
        for piece in pieces
        if piece.start < end and piece.end > start
    ]
    if all(span.opens_at is None for span in whole):
        return parts
    return _with_openings(parts, whole)


def _with_openings(parts: list[Interval], whole: Sequence[Interval]) -> list[Interval]:
    """The parts, each with when a window itself is open where that is not at its start."""
    proper = unite(
        Interval(one.opens_at or one.start, one.end, keep_running=False) for one in whole
    )
    result, place = [], 0
    for part in parts:
        while proper[place].end <= part.start:
            place += 1
        opens = proper[place].start
        result.append(replace(part, opens_at=opens) if opens > part.start else part)
    return result


def _pieces(changes: list[tuple[datetime, list[int]]]) -> list[Interval]:
    """Maximal stretches of one answer, from changes of (windows, keep-running windows)."""
    pieces: list[Interval] = []
    open_count = keep_count = 0
    for (start, (opened, kept)), (end, _) in pairwise(changes):
        open_count, keep_count = open_count + opened, keep_count + kept
        if open_count:
            _append(pieces, Interval(start, end, keep_count > 0))
    return pieces


def _append(pieces: list[Interval], piece: Interval) -> None:
    """Add a piece, or lengthen the last one if it ends here with the same answer."""
    last = pieces[-1] if pieces else None
    if last and last.end == piece.start and last.keep_running == piece.keep_running:
        pieces[-1] = Interval(last.start, piece.end, piece.keep_running)
    else:
        pieces.append(piece)
