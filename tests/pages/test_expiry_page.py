"""Expiry on the page of an endpoint: set, shown, extended, and said when it has come."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.pages.visit import Dashboard
from tests.support.stage import Stage


def test_it_is_set_and_extended_where_it_is_shown(stage: Stage, staged: Dashboard) -> None:
    page = staged.go(f"/endpoints/{staged.endpoint('chat').id}")
    page.click(".row-actions [data-menu]")
    page.click("#menu [data-act=expire]")
    page.fill("#ask [name=expires]", "5h")
    page.fill("#ask [name=grace]", "7d")
    page.wait_for_selector("#ask .will:has-text('and deleted 7 days later')")
    page.fill("#ask [name=reason]", "a trial")
    page.click("#ask button.main")
    expect(page.locator("#expiry")).to_contain_text("set by mia: a trial")
    expect(page.locator("#expiry")).to_contain_text("deleted 7 days later")
    before = staged.endpoint("chat").expires_at
    page.click("#expiry [data-act=extend]")
    page.fill("#ask [name=by]", "2h")
    page.wait_for_selector("#ask .will:has-text('Expires')")
    page.click("#ask button.main")
    expect(page.locator("#expiry")).to_contain_text("extended 1 time")
    after = staged.endpoint("chat").expires_at
    assert before is not None
    assert after is not None
    assert (after - before).total_seconds() == 7200

    stage.run(hours=8)
    page = staged.go(f"/endpoints/{staged.endpoint('chat').id}")
    assert "To be deleted" in staged.text("#deletion")
    expect(page.locator(".row-actions [data-act=extend]")).to_be_visible()
    assert page.locator("[data-act=resume]").count() == 0
