"""Lists that reach back beyond what is kept say so."""

from __future__ import annotations

from datetime import timedelta

from orchestrator.store import retention
from tests.api.site import Site

CASES = (("/v1/events", "event", "since"), ("/v1/costs", "meter_interval", "from"))


def test_a_list_that_reaches_back_beyond_what_is_kept_says_so(site: Site) -> None:
    before = site.context.clock.now() - timedelta(days=400)
    younger = (before + timedelta(days=1)).isoformat()
    for path, table, since in CASES:
        older = {since: (before - timedelta(days=1)).isoformat()}
        assert site.get(path, **older)["dropped_before"] is None
        with site.context.database.write() as session:
            retention.note_dropped(session, table, before, site.context.clock.now())
        assert site.get(path, **older)["dropped_before"] is not None
        assert site.get(path, **{since: younger})["dropped_before"] is None
