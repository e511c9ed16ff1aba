"""Calendars, expiry policies and what-if as pages: forms, previews, refusals beside fields."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect
from sqlmodel import select

from orchestrator.services import calendar_sources, calendars
from orchestrator.services.requests import Asked
from orchestrator.services.tokens import Scope
from orchestrator.store.tables import Calendar, ExpiryPolicy
from tests.pages.visit import Dashboard
from tests.support.stage import Stage

CONTRAST = Path(__file__).with_name("contrast.js").read_text(encoding="utf-8")
FILE = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//example//days//EN
BEGIN:VEVENT
UID:1@example.org
DTSTAMP:20260101T000000Z
DTSTART;VALUE=DATE:20261224
DTEND;VALUE=DATE:20261225
SUMMARY:Christmas Eve
END:VEVENT
END:VCALENDAR
""".replace("\n", "\r\n")


def _calendars(dashboard: Dashboard) -> dict[str, Calendar]:
    with dashboard.database.read() as session:
        return {one.name: one for one in session.exec(select(Calendar)).all()}


def _calendar(dashboard: Dashboard, name: str) -> None:
    now = dashboard.clock.now()
    source = calendar_sources.of_dates({"2026-12-24": "Christmas Eve"})
    made = calendar_sources.make(source, now.date())
    with dashboard.database.write() as session:
        calendars.create(session, calendars.Draft(name, source, made), Asked("mia", now))


def test_a_calendar_of_holidays_is_previewed_made_and_shown_by_year(fleet: Dashboard) -> None:
    page = fleet.go("/calendars/new")
    page.fill("[name=name]", "bavaria")
    page.select_option("[name=country]", label="Germany")
    page.select_option("[name=subdivision]", "BY")
    expect(page.locator("#preview")).to_contain_text("Days off:")
    assert _calendars(fleet) == {}
    page.click("#calendar button.main")
    page.wait_for_url("**/calendars")
    made = _calendars(fleet)["bavaria"]
    assert made.parameters["subdivision"] == "BY"
    assert "holidays of DE-BY" in fleet.text("#calendars tr:has-text('bavaria')")
    fleet.go("/calendars/bavaria?year=2027")
    assert "Epiphany" in fleet.text("#days")
    assert page.locator("#days rect.off-day").count() == page.locator("#days li").count()
    page.click("[data-act=refresh-calendar]")
    expect(page.locator("#ask .will")).to_contain_text("Its days stay as they are")


def test_a_file_and_dates_of_ones_own_make_calendars(fleet: Dashboard) -> None:
    fleet.expected = {422}
    page = fleet.go("/calendars/new")
    page.fill("[name=name]", "ours")
    page.check("[name=kind][value=icalendar]")
    given = {"name": "ours.ics", "mimeType": "text/calendar", "buffer": FILE.encode()}
    page.set_input_files("[name=file]", given)  # type: ignore[arg-type] # a payload of playwright
    expect(page.locator("#preview")).to_contain_text("Christmas Eve")
    page.check("[name=kind][value=dates]")
    page.fill("[name=dates]", "2026-12-24 Christmas Eve\n2026-13-01 nothing")
    expect(page.locator(".field:has([name=dates]) .wrong")).to_contain_text("is no date")
    page.fill("[name=dates]", "2026-12-24 Christmas Eve\n2026-12-31")
    expect(page.locator("#preview")).to_contain_text("day off")
    page.click("#calendar button.main")
    page.wait_for_url("**/calendars")
    assert _calendars(fleet)["ours"].dates == {
        "2026-12-24": "Christmas Eve",
        "2026-12-31": "day off",
    }


def test_a_calendar_that_is_used_says_by_what_and_stays(fleet: Dashboard) -> None:
    fleet.expected = {409}
    _calendar(fleet, "ours")
    page = fleet.go("/schedules/Office hours")
    page.check("[name=calendar][value=ours]")
    page.click("#rule button.main")
    page.wait_for_url("**/schedules")
    fleet.go("/calendars/ours")
    assert "Office hours" in fleet.text("#users")
    page.fill("[name=dates]", "2026-12-24 Christmas Eve\n2026-11-20 Closed")
    expect(page.locator("#preview")).to_contain_text("Office hours")
    expect(page.locator("#preview")).to_contain_text("-11 h in a year")
    page.click("[data-act=remove-calendar]")
    expect(page.locator("#ask")).to_contain_text("is used by")
    expect(page.locator("#ask button.danger")).to_be_disabled()
    assert _calendars(fleet)["ours"].removed_at is None


def test_an_expiry_policy_is_made_refused_beside_its_field_and_changed(fleet: Dashboard) -> None:
    fleet.expected = {422}
    page = fleet.go("/expiry-policies/new")
    page.fill("[name=name]", "Trials")
    page.fill("[name=labels]", "team=media")
    page.fill("[name=max_ttl]", "30d")
    page.fill("[name=default_ttl]", "40d")
    wrong = page.locator(".field:has([name=default_ttl]) .wrong")
    expect(wrong).to_contain_text("longer than max_ttl allows")
    assert page.get_attribute("[name=default_ttl]", "aria-invalid") == "true"
    page.fill("[name=default_ttl]", "14d")
    expect(wrong).to_have_count(0)
    expect(page.locator("#preview")).to_contain_text("sdxl-thumbnails")
    page.fill("[name=warn_before]", "2d, 1h")
    page.click("#rule button.main")
    page.wait_for_url("**/policies")
    assert "warned 2d, 1h before" in fleet.text("#expiry-policies tr:has-text('Trials')")
    with fleet.database.read() as session:
        made = session.exec(select(ExpiryPolicy)).one()
    assert (made.default_ttl, made.max_extensions, made.warn_before) == ("14d", None, ["2d", "1h"])
    fleet.go(f"/expiry-policies/{made.id}")
    assert "never expires" in fleet.text("#covered")
    page.click("[data-act=remove-expiry-policy]")
    page.click("#ask button.danger")
    page.wait_for_url("**/policies")
    assert "No expiry policy yet" in fleet.text("#expiry-policies")


def test_other_rules_are_compared_with_what_was_metered(stage: Stage, staged: Dashboard) -> None:
    staged.expected = {422}
    stage.run(hours=4)
    page = staged.go("/what-if")
    page.fill("[name=endpoint]", "acme/chat")
    page.fill("[name=windows]", "mon-fri 08-09")
    page.click("#what-if button.main")
    expect(page.locator(".field:has([name=windows]) .wrong")).to_be_visible()
    page.fill("[name=windows]", "")
    page.fill("[name=from]", "2026-11-01")
    page.click("[data-draft=expiry] summary")
    page.fill("[name=ttl]", "2026-11-02")
    page.click("#what-if button.main")
    expect(page.locator("#answer")).to_contain_text("nobody would have put it off")
    assert "less" in staged.text("#answer .saved")
    assert "chat" in staged.text("#answer tbody")


def test_the_pages_of_rules_fit_a_phone_and_are_legible_in_the_dark(fleet: Dashboard) -> None:
    _calendar(fleet, "c" * 60)
    fleet.page.set_viewport_size({"width": 390, "height": 844})
    fleet.page.emulate_media(color_scheme="dark")
    for path in ("/calendars", "/calendars/" + "c" * 60, "/expiry-policies/new", "/what-if"):
        fleet.go(path)
        assert fleet.overflow() <= 0, path
        assert fleet.run(CONTRAST)["weak"] == [], path
    fleet.sign_in(Scope.READ, "eva")
    fleet.go("/calendars/" + "c" * 60)
    assert fleet.page.locator("#calendar, .row-actions button").count() == 0
