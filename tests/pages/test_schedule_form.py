"""The form of a schedule: dates that differ, cron points, and what they come to."""

from __future__ import annotations

from playwright.sync_api import expect
from sqlmodel import select

from orchestrator.store.tables import Schedule
from tests.pages.visit import Dashboard


def stored(dashboard: Dashboard, name: str) -> Schedule:
    with dashboard.database.read() as session:
        return session.exec(select(Schedule).where(Schedule.name == name)).one()


def test_dates_points_and_other_days_are_typed_previewed_and_kept(fleet: Dashboard) -> None:
    page = fleet.go("/schedules/new")
    page.fill("[name=name]", "Month end")
    page.fill("[name=labels]", "team=media")
    page.fill(".window-row [name=also]", "1st sat, last")
    page.set_checked(".window-row [name=ready_by]", checked=True)
    page.click("#add-points")
    page.fill("[name=point_expression]", "0 22 * * *")
    page.click("#add-dates")
    page.fill("[name=date_day]", "2030-12-24")
    page.fill("[name=date_note]", "Christmas Eve")
    page.click("#add-dates")
    page.click("#dates .part-row >> nth=1 >> [data-remove-row]")
    expect(page.locator("#dates .part-row")).to_have_count(1)
    page.wait_for_selector("#preview .findings li:has-text('minutes early')")
    page.click("details.coming summary")
    expect(page.locator("details.coming tbody tr", has_text="stop point").first).to_be_visible()
    expect(page.locator("#apply-now-names")).to_contain_text("sdxl-thumbnails")
    page.click("#rule button.main")
    page.wait_for_url("**/schedules")
    row = stored(fleet, "Month end")
    (window,) = row.windows
    assert (window["days"], window["month_days"]) == ([0, 1, 2, 3, 4], [-1])
    assert (window["nth_weekdays"], window["ready_by"]) == ([[1, 5]], True)
    assert [(one["action"], one["expression"]) for one in row.points] == [("stop", "0 22 * * *")]
    assert row.dates == [
        {"day": "2030-12-24", "kind": "off", "windows": [], "note": "Christmas Eve"}
    ]
    page = fleet.go("/schedules/Month end")
    assert page.input_value(".window-row [name=also]") == "last,1st Sat"
    assert page.input_value("[name=date_note]") == "Christmas Eve"
    page.click("#rule button.main")
    page.wait_for_url("**/schedules")
    again = stored(fleet, "Month end")
    assert (again.windows, again.dates) == (row.windows, row.dates)
    assert again.points == row.points


def test_a_change_is_compared_with_what_is_saved(fleet: Dashboard) -> None:
    page = fleet.go("/schedules/Office hours")
    shown = page.locator("#preview")
    row = shown.locator("tr", has_text="bge-large-embeddings")
    expect(row).to_have_text("bge-large-embeddings239$191$191")
    page.fill(".window-row >> nth=0 >> [name=end]", "10:45")
    # A quarter of the hours, from 08:00 to 19:00 before.
    expect(page.locator("#preview-hours")).to_have_text("13.75 h a week, 8 % of it")
    expect(row).to_have_text("bge-large-embeddings60$48$191")
    expect(shown).to_contain_text("A month costs about $96 instead of $191 as it is today")
    page.set_checked("[name=shadow]", checked=True)
    expect(shown).to_contain_text("If it acted, a month would cost about $96 instead of $191")
    page.fill("[name=labels]", "team=media")
    expect(row).to_contain_text("covered no more")


def test_a_point_that_never_fires_is_said_in_place(fleet: Dashboard) -> None:
    fleet.expected = {422}
    page = fleet.go("/schedules/new")
    page.fill("[name=name]", "odd")
    page.fill("[name=labels]", "team=media")
    page.click("#add-points")
    page.fill("[name=point_expression]", "0 19 30 2 *")
    page.wait_for_selector("#problem:has-text('never fires')")
