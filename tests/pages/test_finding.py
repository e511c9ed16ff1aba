from __future__ import annotations

import pytest

from tests.pages.fleet_seed import Seed
from tests.pages.visit import NOW, Dashboard

ALL = 8


def test_typing_narrows_the_table_and_the_address(fleet: Dashboard) -> None:
    page = fleet.go()
    page.fill("#filters [name=q]", "whisper")
    page.wait_for_url("**/?q=whisper")
    fleet.wait_for_rows(1)
    assert fleet.names() == ["whisper-large-v3"]
    assert "1 of 8" in fleet.text("#result")
    assert fleet.run("document.activeElement.name") == "q"


SELECTIONS = {
    "q=nvidia-a100": {"llama-3-70b-chat", "mixtral-8x7b-trials"},
    "q=acme/bge": {"bge-large-embeddings"},
    "status=paused&status=failed": {"mixtral-8x7b-trials", "sdxl-thumbnails"},
    "team=research": {"mixtral-8x7b-trials"},
    "team=-": {"legacy-classifier"},
    "account=acme-lab": {"mixtral-8x7b-trials", "whisper-large-v3"},
    "account=acme-lab&team=media": {"whisper-large-v3"},
}


def test_the_address_alone_selects(fleet: Dashboard) -> None:
    for query, found in SELECTIONS.items():
        fleet.go(f"/?{query}")
        assert set(fleet.names()) == found, query
    fleet.go("/?status=nonsense&sort=nonsense")
    assert len(fleet.names()) == ALL
    fleet.go("/?q=%25")
    assert "No endpoint matches" in fleet.text("#fleet")


def test_a_state_chip_filters_and_the_back_button_undoes_it(fleet: Dashboard) -> None:
    page = fleet.go()
    page.click(".states a:has-text('Paused')")
    fleet.wait_for_rows(1)
    assert page.input_value("#filters [name=status]") == "paused"
    assert page.get_attribute(".states a:has-text('Paused')", "aria-current") == "true"
    page.go_back()
    fleet.wait_for_rows(8)
    assert page.input_value("#filters [name=status]") == ""


def test_choosing_a_team_keeps_the_order(fleet: Dashboard) -> None:
    page = fleet.go("/?sort=name")
    page.select_option("#filters [name=team]", "search")
    fleet.wait_for_rows(3)
    assert fleet.names() == ["bge-large-embeddings", "llama-3-70b-chat", "reranker-v2"]
    assert "sort=name" in page.url


@pytest.mark.parametrize(
    ("heading", "first", "then"),
    [
        ("Endpoint", "bge-large-embeddings", "whisper-large-v3"),
        ("November", "llama-3-70b-chat", "qwen2-vl-7b"),
    ],
)
def test_headings_sort_and_sort_the_other_way(
    fleet: Dashboard, heading: str, first: str, then: str
) -> None:
    page = fleet.go()
    page.click(f"#fleet th a:has-text('{heading}')")
    page.wait_for_selector(f"#fleet th[aria-sort]:has-text('{heading}')")
    assert fleet.names()[0] == first
    way = page.get_attribute(f"#fleet th:has-text('{heading}')", "aria-sort")
    page.click(f"#fleet th a:has-text('{heading}')")
    other = "ascending" if way == "descending" else "descending"
    page.wait_for_selector(f"#fleet th[aria-sort={other}]:has-text('{heading}')")
    assert fleet.names()[0] == then


def test_the_dearest_come_first_and_the_unpriced_before_them(fleet: Dashboard) -> None:
    fleet.go()
    assert fleet.names()[:2] == ["qwen2-vl-7b", "llama-3-70b-chat"]


def test_many_endpoints_are_paged(dashboard: Dashboard) -> None:
    with dashboard.database.write() as session:
        seed = Seed(session, NOW)
        account = seed.account("acme")
        for number in range(230):
            seed.endpoint(account, f"model-{number:03d}", "paused")
    dashboard.sign_in()
    page = dashboard.go("/?sort=name")
    assert len(dashboard.names()) == 100
    page.click(".pager a:has-text('Next')")
    page.wait_for_selector(".pager:has-text('Page 2 of 3')")
    assert dashboard.names()[0] == "model-100"
    dashboard.go("/?sort=name&page=99")
    assert dashboard.names() == [f"model-{number:03d}" for number in range(200, 230)]
