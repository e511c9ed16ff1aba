from __future__ import annotations

import pytest
from playwright.sync_api import expect
from sqlmodel import select

from orchestrator.services.tokens import Scope
from orchestrator.store.tables import Binding, IdlePolicy, Schedule
from tests.pages.visit import Dashboard


def _schedules(dashboard: Dashboard) -> dict[str, Schedule]:
    with dashboard.database.read() as session:
        return {one.name: one for one in session.exec(select(Schedule)).all()}


def _policies(dashboard: Dashboard) -> dict[str, IdlePolicy]:
    with dashboard.database.read() as session:
        return {one.name: one for one in session.exec(select(IdlePolicy)).all()}


def test_a_schedule_is_previewed_while_it_is_typed_and_then_made(fleet: Dashboard) -> None:
    page = fleet.go("/schedules/new")
    assert page.input_value("[name=timezone]") == "Europe/Berlin"
    page.fill("[name=name]", "Late shift")
    page.fill("[name=labels]", "team=media")
    page.fill(".window-row [name=start]", "20:00")
    page.fill(".window-row [name=end]", "04:00")
    page.wait_for_selector("#preview-hours:has-text('40 h a week, 24 % of it')")
    assert "sdxl-thumbnails" in fleet.text("#preview .effects")
    assert "unpriced" in fleet.text("#preview .effects tr:has-text('qwen2-vl-7b')")
    assert page.locator("#preview .week rect.up").count() == 10
    assert "Late shift" not in _schedules(fleet)
    page.click("#rule button.main")
    page.wait_for_url("**/schedules")
    made = _schedules(fleet)["Late shift"]
    assert made.timezone == "Europe/Berlin"
    assert made.windows == [
        {"days": [0, 1, 2, 3, 4], "start": "20:00", "end": "04:00", "keep_running": False}
    ]
    assert made.selector == {"labels": {"team": "media"}}
    assert "Late shift" in fleet.text("#schedules")


def test_nothing_acts_before_its_edge_unless_that_is_asked_for(fleet: Dashboard) -> None:
    for name, apply in (("later", False), ("now", True)):
        page = fleet.go("/schedules/new")
        page.fill("[name=name]", name)
        page.fill("[name=labels]", "team=research")
        expect(page.locator("#apply-now-row")).to_contain_text("1 managed endpoint")
        page.set_checked("#apply-now", apply)
        page.click("#rule button.main")
        page.wait_for_url("**/schedules")
    ids = {one.id: name for name, one in _schedules(fleet).items()}
    with fleet.database.read() as session:
        found = {ids[b.rule_id]: b for b in session.exec(select(Binding)) if b.rule_id in ids}
    assert found["now"].acts_from is None
    assert found["later"].acts_from is not None


def test_windows_come_and_go_and_findings_are_said(fleet: Dashboard) -> None:
    page = fleet.go("/schedules/Office hours")
    page.click("#add-window")
    expect(page.locator(".window-row")).to_have_count(2)
    expect(page.locator("#preview .findings li")).to_have_count(2)
    page.click(".window-row >> nth=1 >> [data-remove-window]")
    expect(page.locator("#preview .findings li")).to_have_count(1)


def test_what_a_rule_may_not_act_on_saves_nothing(fleet: Dashboard) -> None:
    page = fleet.go("/schedules/Office hours")
    page.wait_for_selector("#preview .effects")
    row = "#preview .effects tr:has-text('llama-3-70b-chat')"
    assert "protected: only proposes" in fleet.text(row)
    assert "A month costs about $383 instead of $191" in fleet.text("#preview")


def test_a_schedule_is_changed_in_place(fleet: Dashboard) -> None:
    page = fleet.go("/schedules/Office hours")
    assert "Mon-Fri 08:00-19:00, Europe/Berlin" in fleet.text(".page-head")
    page.set_checked(".window-row [value=sat]", checked=True, force=True)
    page.set_checked("[name=shadow]", checked=True)
    page.click("#rule button.main")
    page.wait_for_url("**/schedules")
    changed = _schedules(fleet)["Office hours"]
    assert changed.windows[0]["days"] == [0, 1, 2, 3, 4, 5]
    assert (changed.shadow, changed.version) == (True, 2)
    assert "shadow" in fleet.text("#schedules")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("timezone", "Mars/Olympus", "Mars/Olympus"),
        ("labels", "cloud:team=x", "comes from the cloud"),
    ],
)
def test_what_cannot_be_is_refused_in_place(
    fleet: Dashboard, field: str, value: str, said: str
) -> None:
    fleet.expected = {422}
    page = fleet.go("/schedules/new")
    page.fill("[name=name]", "odd")
    page.fill("[name=labels]", "team=media")
    page.fill(f"[name={field}]", value)
    page.wait_for_selector(f"#problem:has-text('{said}')")
    assert "odd" not in _schedules(fleet)


def test_a_rule_over_everything_is_not_sent(fleet: Dashboard) -> None:
    page = fleet.go("/policies/new")
    page.fill("[name=name]", "all")
    page.click("#rule button.main")
    assert "would cover everything" in fleet.text("#problem")
    assert "all" not in _policies(fleet)


def test_a_schedule_is_removed_after_a_question(fleet: Dashboard) -> None:
    page = fleet.go("/schedules/Office hours")
    page.wait_for_selector("#preview-hours:has-text('h a week')")  # it has been previewed by then
    page.click("[data-act=remove-schedule]")
    page.click("#ask button.danger")
    page.wait_for_url("**/schedules")
    (gone,) = _schedules(fleet).values()
    assert gone.removed_at is not None
    assert "No schedule yet" in fleet.text("main")


def test_a_policy_is_made_and_changed(fleet: Dashboard) -> None:
    page = fleet.go("/policies/new")
    page.fill("[name=name]", "Night")
    page.fill("[name=timeout_minutes]", "90")
    page.check("[name=action][value=pause]")
    page.select_option("[name=account]", "acme-lab")
    page.wait_for_selector("#preview:has-text('whisper-large-v3')")
    page.click("#rule button.main")
    page.wait_for_url("**/policies")
    assert "1.5 h without use" in fleet.text("#policies tr:has-text('Night')")
    made = _policies(fleet)["Night"]
    assert (made.timeout_minutes, made.action) == (90, "pause")
    fleet.go(f"/policies/{made.id}")
    assert page.input_value("[name=account]") == "acme-lab"
    page.set_checked("[name=enabled]", checked=False)
    page.click("#rule button.main")
    page.wait_for_url("**/policies")
    assert "switched off" in fleet.text("#policies tr:has-text('Night')")


def test_one_endpoint_is_chosen_by_its_name(fleet: Dashboard) -> None:
    page = fleet.go("/policies/new")
    page.fill("[name=name]", "One")
    page.fill("[name=endpoint]", "acme/reranker-v2")
    page.wait_for_selector("#preview:has-text('reranker-v2')")
    page.click("#rule button.main")
    page.wait_for_url("**/policies")
    made = _policies(fleet)["One"]
    assert made.selector == {"endpoint": fleet.endpoint("reranker-v2").id}
    fleet.go(f"/policies/{made.id}")
    assert page.input_value("[name=endpoint]") == "acme/reranker-v2"


def test_a_reader_sees_the_preview_and_no_button(fleet: Dashboard) -> None:
    fleet.sign_in(Scope.READ, "eva")
    page = fleet.go("/schedules/Office hours")
    page.wait_for_selector("#preview-hours:has-text('55 h a week')")
    assert page.locator("#rule button.main").count() == 0
    assert "instead of" not in fleet.text("#preview")
