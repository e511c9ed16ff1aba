"""What was read of requests, kept in stretches of ten minutes (see `UsageSample`).

Stretches in which nothing came are kept as one row as long as they follow each other; `samples`
takes these rows apart again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Table, bindparam, delete, func, insert
from sqlmodel import Session, SQLModel, col, select

from orchestrator.domain.endpoints import Stretch
from orchestrator.domain.usage import STRETCH, STRETCH_S, merged, stretch_of
from orchestrator.store.tables import UsageSample

__all__ = (
    "LONGEST_RUN",
    "STRETCH",
    "STRETCH_S",
    "apart",
    "ends",
    "joined",
    "put",
    "replace",
    "rows_since",
    "samples",
    "stretch_of",
    "totals",
)

# The longest time without requests that one row stands for.
LONGEST_RUN = timedelta(days=1)
_CHUNK = 500
_TABLE: Table = SQLModel.metadata.tables["usage_sample"]
_ROWS = (
    select(UsageSample)
    .where(
        col(UsageSample.endpoint_id).in_(bindparam("ids", expanding=True)),
        col(UsageSample.start) > bindparam("since"),
    )
    .order_by(col(UsageSample.endpoint_id), col(UsageSample.start))
)


def samples(
    session: Session, endpoint_ids: Collection[str], start: datetime, end: datetime
) -> dict[str, list[UsageSample]]:
    """Return what is known of the stretches that meet `[start, end)`, by endpoint, in order.

    One for each stretch; a stretch that is missing is unknown.
    """
    found: dict[str, list[UsageSample]] = defaultdict(list)
    for row in _rows(session, endpoint_ids, start - LONGEST_RUN, end):
        found[row.endpoint_id] += [
            one for one in apart(row) if start - STRETCH < one.start and one.start < end
        ]
    return {key: rows for key, rows in found.items() if rows}


def rows_since(
    session: Session, endpoint_ids: Collection[str], since: datetime
) -> dict[str, list[UsageSample]]:
    """Return the rows as they are kept that may reach beyond `since`, by endpoint, in order."""
    found: dict[str, list[UsageSample]] = defaultdict(list)
    for row in _rows(session, endpoint_ids, since - LONGEST_RUN, None):
        if ends(row) > since:
            found[row.endpoint_id].append(row)
    return found


def apart(row: UsageSample) -> Iterator[UsageSample]:
    """Yield a row as one for each stretch, never longer than a stretch."""
    if row.covered_s <= STRETCH_S:
        yield row
        return
    for number in range(row.covered_s // STRETCH_S):
        yield UsageSample(
            endpoint_id=row.endpoint_id,
            start=row.start + number * STRETCH,
            requests=0,
            covered_s=STRETCH_S,
            source=row.source,
        )


def ends(row: UsageSample) -> datetime:
    """Return the end of the last stretch that a row stands for."""
    return row.start + max(timedelta(seconds=row.covered_s), STRETCH)


def totals(
    session: Session, endpoint_ids: Collection[str], start: datetime, end: datetime
) -> dict[str, int]:
    """Return the requests recorded in stretches that begin in `[start, end)`, where any were."""
    found: dict[str, int] = {}
    for chunk in _chunks(endpoint_ids):
        query = (
            select(UsageSample.endpoint_id, func.sum(UsageSample.requests))
            .where(
                col(UsageSample.endpoint_id).in_(chunk),
                col(UsageSample.start) >= start,
                col(UsageSample.start) < end,
            )
            .group_by(col(UsageSample.endpoint_id))
        )
        found.update((key, int(total)) for key, total in session.exec(query))
    return found


@dataclass(frozen=True, slots=True)
class Changed:
    """Rows to store, and the keys of those that they take the place of."""

    rows: list[UsageSample]
    gone: list[tuple[str, datetime]]


def joined(held: Sequence[UsageSample], told: Sequence[UsageSample]) -> Changed:
    """Return what changes when stretches of one endpoint are added to rows that are kept.

    Two readings of a stretch are merged, never added; quiet stretches on end become one row.
    """
    known = {row.start: row for row in held}
    told = sorted(told, key=lambda row: row.start)
    first, last = told[0].start, told[-1].start
    touched = [row for row in held if ends(row) >= first and row.start <= last + STRETCH]
    stretches = {one.start: one for row in touched for one in apart(row)}
    for row in told:
        before = stretches.get(row.start)
        stretches[row.start] = row if before is None else _merged(before, row)
    packed = list(_packed(stretches[start] for start in sorted(stretches)))
    same = {row.start for row in packed if _is_same(known.get(row.start), row)}
    return Changed(
        [row for row in packed if row.start not in same],
        [(row.endpoint_id, row.start) for row in touched if row.start not in same],
    )


def _merged(one: UsageSample, other: UsageSample) -> UsageSample:
    both = merged(_stretch(one), _stretch(other))
    return UsageSample(
        endpoint_id=one.endpoint_id,
        start=one.start,
        requests=both.requests,
        covered_s=both.covered_s,
        last_request_at=both.last_request_at,
        source=one.source if one.source == other.source else "both",
    )


def _stretch(row: UsageSample) -> Stretch:
    return Stretch(row.start, row.requests, row.covered_s, row.last_request_at)


def _packed(stretches: Iterable[UsageSample]) -> Iterator[UsageSample]:
    """Yield stretches with those of a quiet time as one, by source, within a day of UTC."""
    run: UsageSample | None = None
    for one in stretches:
        if run is not None and _continues(run, one):
            run.covered_s += STRETCH_S
            continue
        if run is not None:
            yield run
        run = UsageSample(**one.model_dump())
    if run is not None:
        yield run


def _continues(run: UsageSample, one: UsageSample) -> bool:
    return (
        _is_quiet(run)
        and _is_quiet(one)
        and run.source == one.source
        and ends(run) == one.start
        and one.start.date() == run.start.date()
    )


def _is_quiet(row: UsageSample) -> bool:
    whole = row.covered_s >= STRETCH_S and row.covered_s % STRETCH_S == 0
    return row.requests == 0 and whole and row.last_request_at is None


def _is_same(held: UsageSample | None, row: UsageSample) -> bool:
    return held is not None and held.model_dump() == row.model_dump()


def put(session: Session, rows: Sequence[UsageSample]) -> None:
    """Store stretches, in place of what was known of them."""
    for row in rows:
        session.merge(row)


def replace(
    session: Session, rows: Sequence[UsageSample], gone: Sequence[tuple[str, datetime]]
) -> None:
    """Store rows and drop those of these keys, in few statements."""
    connection = session.connection()
    keys = {(row.endpoint_id, row.start) for row in rows} | set(gone)
    if keys:
        both = (_TABLE.c.endpoint_id == bindparam("id"), _TABLE.c.start == bindparam("at"))
        connection.execute(
            delete(_TABLE).where(*both), [{"id": key, "at": at} for key, at in sorted(keys)]
        )
    if rows:
        connection.execute(insert(_TABLE), [row.model_dump() for row in rows])


def _rows(
    session: Session, endpoint_ids: Collection[str], since: datetime, end: datetime | None
) -> Iterator[UsageSample]:
    query = _ROWS if end is None else _ROWS.where(col(UsageSample.start) < end)
    for chunk in _chunks(endpoint_ids):
        yield from session.exec(query, params={"ids": chunk, "since": since})


def _chunks(ids: Collection[str]) -> Iterator[list[str]]:
    wanted = list(ids)
    for first in range(0, len(wanted), _CHUNK):
        yield wanted[first : first + _CHUNK]
