"""The page of coming starts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from playwright.sync_api import BrowserContext, expect

from orchestrator.store.database import Database
from tests.pages.visit import Dashboard
from tests.support.crowd import giving_way


@pytest.fixture
def crowded(
    sqlite_database: Database, server: tuple[FastAPI, str], screen: BrowserContext
) -> Iterator[Dashboard]:
    """Return the dashboard before a crowded morning, with an admin signed in."""
    made = Dashboard.open(giving_way(sqlite_database).context, server, screen)
    made.sign_in()
    yield made
    made.check_quiet()


def test_coming_starts_are_told_with_what_is_late_and_why(crowded: Dashboard) -> None:
    page = crowded.go("/schedules")
    page.click("text=Coming starts")
    expect(page.locator("h1")).to_have_text("Coming starts")
    expect(page.locator(".morning")).to_have_count(5)
    first = page.locator(".morning").first
    expect(first.locator("header")).to_contain_text("2 starts")
    expect(first.locator("header")).to_contain_text("1 late")
    expect(first.locator("header")).to_contain_text("1 without room")
    expect(first.locator(".yielding")).to_contain_text("spare")
    third, other = first.locator("tbody tr").all()
    expect(third).to_contain_text("does not start")
    expect(third).to_contain_text("is used up: 2 of 2 in use")
    expect(other).to_contain_text("10 s later")
    first.locator("summary").click()
    expect(first.locator(".plain-list")).to_contain_text("hours of third")
    page.fill("[name=days]", "1")
    page.click("text=Show")
    expect(page.locator(".morning")).to_have_count(1)
    page.set_viewport_size({"width": 390, "height": 844})
    assert crowded.overflow() <= 0
    page.click("a.name:text-is('third')")
    expect(page.locator("#list")).to_contain_text("start waits")


def test_a_house_where_nothing_starts_says_so(fleet: Dashboard) -> None:
    fleet.go("/starts?days=1")
    assert "Assumed" in fleet.text("#starts")
    fleet.expected |= {422}
    fleet.go("/starts?days=400")
    assert "Not valid" in fleet.text("main")
