"""Any file of rules, applied twice, changes nothing the second time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.rule_files import FILE, actions, apply, exported, file
from tests.api.site import L4, NOON, Site, endpoint, opened, rate
from tests.support import rows

TEAMS = st.sampled_from(["search", "ads", "no", "08:00", "1"])
SELECTORS = st.one_of(
    st.just({"account": "lab"}),
    st.just({"endpoint": "lab/search"}),
    st.builds(lambda team: {"labels": {"team": team}}, TEAMS),
)
WINDOWS = st.lists(
    st.sampled_from(
        ["mon-fri 08:00-19:00", "sat,sun 22:00-06:00 keep-running", "last fri 20:00-24:00"]
    ),
    unique=True,
    min_size=1,
    max_size=3,
)
SCHEDULES = st.fixed_dictionaries(
    {"timezone": st.sampled_from(["UTC", "Asia/Tokyo"]), "windows": WINDOWS, "selector": SELECTORS},
    optional={
        "drain_minutes": st.integers(0, 60),
        "shadow": st.booleans(),
        "enabled": st.booleans(),
        "calendars": st.just(["ours"]),
        "points": st.just(["stop 0 22 * * *"]),
    },
)
POLICIES = st.fixed_dictionaries(
    {"timeout_minutes": st.integers(1, 90), "selector": SELECTORS},
    optional={"action": st.sampled_from(["pause", "scale_to_zero"]), "shadow": st.booleans()},
)
OURS = st.fixed_dictionaries(
    {},
    optional={
        "labels": st.dictionaries(st.sampled_from(["team", "on", "y"]), TEAMS, max_size=2),
        "owner": st.sampled_from(["", "ada", "no"]),
        "protected": st.booleans(),
    },
)
NAMES = st.sampled_from(["a", "b", "no", "2026-12-24"])
FILES = st.fixed_dictionaries(
    {"calendars": st.just({"ours": {"dates": {"2026-12-24": "Eve"}}})},
    optional={
        "schedules": st.dictionaries(NAMES, SCHEDULES, max_size=3),
        "policies": st.dictionaries(NAMES, POLICIES, max_size=2),
        "endpoints": st.builds(lambda ours: {"lab/search": ours}, OURS),
    },
)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sections=FILES, prune=st.booleans())
def test_any_file_applied_twice_changes_nothing_the_second_time(
    lab: Site, sections: dict[str, Any], prune: bool
) -> None:
    text = file(**sections)
    would = apply(lab, text, dry_run=True, prune=prune)
    done = apply(lab, text, prune=prune, confirm=would["confirm"])
    assert actions(done) == actions(would)
    count = len(lab.events())
    written = exported(lab)
    again = apply(lab, text, prune=prune)
    assert not again["changed"]
    assert not apply(lab, written, prune=prune)["changed"]
    assert (len(lab.events()), exported(lab)) == (count, written)


@pytest.fixture
def on_postgres(postgres_url: str, tmp_path: Path) -> Iterator[Site]:
    yield from opened(postgres_url, tmp_path)


def test_so_it_is_on_postgres(on_postgres: Site) -> None:
    on_postgres.seed(rows.account(health="ok", observed_at=NOON), rate(), endpoint(hardware_key=L4))
    assert apply(on_postgres, FILE)["create"] == 5
    count, written = len(on_postgres.events()), exported(on_postgres)
    assert set(actions(apply(on_postgres, FILE)).values()) == {"same"}
    assert (len(on_postgres.events()), exported(on_postgres)) == (count, written)
    pruned = file(schedules={}, policies={}, expiry_policies={}, calendars={})
    assert apply(on_postgres, pruned, prune=True)["remove"] == 5
