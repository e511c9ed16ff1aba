"""The page of an endpoint in time, and that of rules in shadow."""

from __future__ import annotations

from datetime import timedelta

from playwright.sync_api import expect

from tests.pages.visit import Dashboard
from tests.support.stage import Stage


def test_an_endpoint_in_time_and_why_not(stage: Stage, staged: Dashboard) -> None:
    stage.run(minutes=20)
    before = stage.clock.now()
    stage.schedule(name="Office")
    stage.run(minutes=20)
    page = staged.page
    staged.go("/endpoints/acme/chat")
    page.click("text=History and outlook")
    expect(page.locator("h1")).to_have_text("History and outlook")
    expect(page.locator("#strip .wide rect.ahead").first).to_be_attached()
    expect(page.locator("#list tbody tr").first).to_contain_text("expected")
    page.select_option("#why select", "running")
    page.click("#why button:has-text('Ask')")
    expect(page.locator("#why-not")).to_contain_text("outside the windows of Office")
    expect(page.locator("#why-not")).to_contain_text("orchestrator hold chat running")
    expect(page.locator("#inputs")).to_contain_text("Office")
    page.fill("#why input[type=datetime-local]", f"{before:%Y-%m-%dT%H:%M}")
    page.select_option("#why select", "")
    page.click("#why button:has-text('Ask')")
    expect(page.locator("#why-title")).to_have_text("Why it was so")
    expect(page.locator("#why .rules")).to_contain_text("as it was when adopted")
    old = before - timedelta(days=900)
    staged.go(f"/history/acme/chat?at={old:%Y-%m-%dT%H:%M}")
    expect(page.locator("#unknown")).to_contain_text("first seen")


def test_rules_in_shadow_have_a_page(stage: Stage, staged: Dashboard) -> None:
    stage.schedule(name="Quiet", shadow=True)
    stage.run(minutes=40)
    staged.go("/policies")
    staged.page.click("text=What rules in shadow would have done")
    row = staged.page.locator("#shadow tbody tr")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("Quiet")
    expect(row).to_contain_text("chat")
    row.locator("summary").click()
    expect(row).to_contain_text("paused")
