"""A file of many schedules: the linter is asked before the transaction, for what changes."""

from __future__ import annotations

from orchestrator.services.linting import findings
from tests.api.rule_files import actions, apply, exported, file
from tests.api.site import Site

CALENDAR = {"dates": {"2026-12-24": "Christmas Eve", "2020-01-01": "Long ago"}}


def _schedules(count: int) -> dict[str, object]:
    return {
        f"shift {hour}": {
            "timezone": "Europe/Berlin",
            "windows": [f"mon-fri {hour:02}:00-19:00", "1st sat,last 20:00-23:00 ready-by"],
            "points": ["stop 0 22 * * *"],
            "dates": ["2026-12-25 off", "2026-12-27 extra 10:00-16:00 # sale"],
            "calendars": ["ours"],
            "selector": {"labels": {"team": "search"}},
        }
        for hour in range(count)
    }


def test_the_transaction_finds_each_schedule_linted(site: Site) -> None:
    text = file(calendars={"ours": CALENDAR}, schedules=_schedules(5))
    findings.cache_clear()
    apply(site, text)
    first = findings.cache_info()
    assert (first.misses, first.hits) == (5, 5)


def test_what_is_so_already_is_not_linted_again(site: Site) -> None:
    apply(site, file(calendars={"ours": CALENDAR}, schedules=_schedules(3)))
    findings.cache_clear()
    again = apply(site, exported(site))
    assert set(actions(again).values()) <= {"same"}
    assert findings.cache_info().misses == 0
