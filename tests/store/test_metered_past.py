"""Which metered stretches a span of the past is run again from."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orchestrator.store.database import Database
from orchestrator.store.retrospect import metered
from tests.support import rows
from tests.support.rows import NOON

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("hours", "meets"), [((0, 1), False), ((0, 2), True), ((0, None), True), ((3, None), False)]
)
def test_a_stretch_counts_where_it_meets_the_span(
    database: Database, hours: tuple[int, int | None], *, meets: bool
) -> None:
    start, end = hours
    ended = None if end is None else NOON + end * HOUR
    with database.write() as session:
        session.add(rows.account())
        session.flush()
        session.add(rows.endpoint())
        session.flush()
        session.add(rows.interval(started_at=NOON + start * HOUR, ended_at=ended))
    with database.read() as session:
        found = metered(session, "ep_search", NOON + HOUR, NOON + 3 * HOUR)
    assert bool(found) is meets
