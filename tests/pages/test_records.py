from __future__ import annotations

from datetime import timedelta

from playwright.sync_api import expect

from orchestrator.store import events
from tests.pages.visit import NOW, Dashboard
from tests.support import rows


def _record(dashboard: Dashboard, count: int, kind: str = "hold.started") -> None:
    endpoint = dashboard.endpoint("reranker-v2")
    with dashboard.database.write() as session:
        for number in range(count):
            events.record(
                session,
                at=NOW - timedelta(minutes=count - number),
                kind=kind,
                actor="mia",
                message=f"{kind} number {number}",
                account_id=endpoint.account_id,
                endpoint_id=endpoint.id,
            )


def test_events_are_paged_and_filtered(fleet: Dashboard) -> None:
    _record(fleet, 70)
    _record(fleet, 2, "operation.failed")
    page = fleet.go("/events")
    assert page.locator("#events .log li").count() == 60
    page.click(".pager a:has-text('Older')")
    page.wait_for_url("**before=**")
    assert "hold.started number 0" in fleet.text("#events")
    page.click(".pager a:has-text('Newest')")
    page.wait_for_url("**/events")
    page.select_option("[name=kind]", "operation.*")
    expect(page.locator("#events .log li")).to_have_count(2)
    fleet.go(f"/events?endpoint={fleet.endpoint('sdxl-thumbnails').id}")
    assert "No such event" in fleet.text("#events")


def test_an_endpoint_shows_what_happened_and_why(fleet: Dashboard) -> None:
    _record(fleet, 3)
    page = fleet.go("/endpoints/acme/reranker-v2")
    assert page.locator("#events .log li").count() == 3
    rules = page.locator("#why .rules li").all_inner_texts()
    assert [text.split()[0] for text in rules] == ["1", "2", "3", "Standing"] or len(rules) == 4
    assert "Standing wish decides" in fleet.text("#why")
    assert "acts now" in fleet.text("#holds li:has-text('Idle half an hour')")


def test_who_waits_is_told_what_is_usual(fleet: Dashboard) -> None:
    row = fleet.endpoint("reranker-v2")
    of_it = {"endpoint_id": row.id, "account_id": row.account_id, "kind": "resume"}
    times = {"started_at": rows.NOON, "accepted_at": rows.NOON}
    said = {"name": "cloud", "at": rows.NOON.isoformat(), "state": "initializing", "detail": ""}
    ended = {"status": "succeeded", "finished_at": rows.NOON + timedelta(minutes=7)}
    created = {"created_at": NOW - timedelta(days=1)}
    with fleet.database.write() as session:
        for number in range(1, 7):
            session.add(rows.operation(number, **of_it, **times, **ended, **created, steps=[said]))
        session.add(rows.operation(7, **of_it, **times, **created, status="confirming"))
    fleet.go("/endpoints/acme/reranker-v2")
    assert "usually 7 min" in fleet.text("#head")


def test_the_timeline_is_in_proportion(fleet: Dashboard) -> None:
    page = fleet.go("/endpoints/acme/llama-3-70b-chat")
    script = """() => [...document.querySelectorAll('#timeline .wide .tint-on')]
        .map(one => Number(one.getAttribute('width')))"""
    long = [wide for wide in fleet.run(script) if wide > 10]
    ten_hours = 1340 * 10 / (7 * 24)
    assert sum(abs(wide - ten_hours) < 0.1 for wide in long) == 6
    page.click("#timeline-table summary")
    assert "Running for 10 h from 2026-11-18 08:00 UTC" in fleet.text("#timeline-table")


def test_secrets_of_a_specification_stay_hidden(fleet: Dashboard) -> None:
    page = fleet.go("/endpoints/acme/reranker-v2")
    page.click("#spec summary")
    assert '"HF_KEY": "[redacted]"' in fleet.text("#spec pre")


def test_accounts_show_age_cost_and_reference(fleet: Dashboard) -> None:
    fleet.go("/accounts")
    card = fleet.text("#accounts li:has(h2:text-is('acme-lab'))")
    assert "read well" in card
    assert "$1,442.42" in card
    assert "2 endpoints" in card
    assert "env:HF_TOKEN" in card


def test_an_account_is_frozen_by_itself(fleet: Dashboard) -> None:
    page = fleet.go("/accounts")
    card = "#accounts li:has(h2:text-is('acme-lab'))"
    page.click(f"{card} [data-act=freeze-account]")
    page.fill("#ask [name=reason]", "migration")
    page.click("#ask button.danger")
    page.wait_for_selector(f"{card} .chip:has-text('frozen')")
    assert "migration" in fleet.text(card)
    fleet.go()
    assert "Account acme-lab is frozen." in fleet.text("#banners")
    assert page.locator("[data-act=freeze]").count() == 1
