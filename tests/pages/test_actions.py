from __future__ import annotations

from datetime import timedelta

import httpx2
import pytest
from playwright.sync_api import expect
from sqlmodel import select

from orchestrator.api.deps import COOKIE, CSRF_HEADER
from orchestrator.services.tokens import Scope
from orchestrator.store import freeze
from orchestrator.store.tables import Hold
from tests.pages.visit import NOW, Dashboard
from tests.support.stage import Stage


def test_a_pause_goes_from_the_click_to_the_cloud_and_back(stage: Stage, staged: Dashboard) -> None:
    page = staged.go()
    row = staged.row("chat")
    assert "Running" in staged.text(f"{row} .c-state")
    page.click(f"{row} [data-act=pause]")
    page.wait_for_selector("#ask .will dl")
    assert staged.text("#ask h2") == "Pause chat?"
    page.fill("#ask [name=reason]", "tests are over")
    page.click("#ask button.main")
    expect(page.locator(f"{row} .doing")).to_have_text("Pausing…")
    (operation,) = staged.operations("chat")
    assert (operation.kind, operation.actor) == ("pause", "mia")
    assert operation.reason == "tests are over"
    stage.run(minutes=10)
    assert stage.state("chat") == "paused"
    expect(page.locator(f"{row} .chip")).to_have_text("Paused")
    expect(page.locator(f"{row} .doing")).to_have_count(0)
    expect(page.locator(f"{row} [data-act=resume]")).to_be_visible()
    assert staged.text(f"{row} .c-burn") == "–"  # noqa: RUF001 - a dash stands for nothing


def test_without_the_csrf_token_nothing_is_done(fleet: Dashboard) -> None:
    endpoint = fleet.endpoint("qwen2-vl-7b")
    cookies = {one["name"]: one["value"] for one in fleet.screen.cookies()}
    address = f"{fleet.url}/v1/endpoints/{endpoint.id}/pause"
    for headers in ({}, {CSRF_HEADER: "0" * 64}):
        with httpx2.Client(cookies={COOKIE: cookies[COOKIE]}, headers=headers) as client:
            answer = client.post(address, json={})
        assert answer.status_code == 403
        assert answer.json()["code"] == "csrf"
    assert fleet.operations("qwen2-vl-7b") == []


def test_a_page_whose_token_is_wrong_is_refused_in_place(fleet: Dashboard) -> None:
    fleet.expected = {403}
    page = fleet.go()
    fleet.run("document.querySelector('meta[name=csrf-token]').content = 'forged'")
    page.click(f"{fleet.row('qwen2-vl-7b')} [data-act=pause]")
    page.wait_for_selector("#ask .problem:has-text('CSRF token')")
    assert "Reload the page" in fleet.text("#ask .problem")
    assert page.is_disabled("#ask button.main")
    assert fleet.operations("qwen2-vl-7b") == []


def test_the_dialog_says_until_when_and_for_how_much(fleet: Dashboard) -> None:
    page = fleet.go()
    row = fleet.row("mixtral-8x7b-trials")
    page.click(f"{row} [data-act=resume]")
    page.wait_for_selector("#ask .will dl")
    page.select_option("#ask [name=until]", "2")
    page.wait_for_selector("#ask .will:has-text('Held until')")
    assert "about $16.00" in fleet.text("#ask .will")
    assert "18:02 today" in fleet.text("#ask .will")
    page.click("#ask button.main")
    expect(page.locator(f"{row} .doing")).to_have_text("Resuming…")
    with fleet.database.read() as session:
        wanted = fleet.endpoint("mixtral-8x7b-trials").id
        (hold,) = session.exec(select(Hold).where(Hold.endpoint_id == wanted)).all()
    assert abs(hold.until - NOW - timedelta(hours=2)) < timedelta(minutes=1)
    assert "held" in fleet.text(f"{row} .c-why")


def test_a_rehearsal_changes_nothing(fleet: Dashboard) -> None:
    page = fleet.go()
    page.click(f"{fleet.row('qwen2-vl-7b')} [data-act=pause]")
    page.wait_for_selector("#ask .will dl")
    page.click("#ask button:has-text('Cancel')")
    assert page.locator("#ask[open]").count() == 0
    assert fleet.operations("qwen2-vl-7b") == []
    assert fleet.run("document.activeElement.dataset.act") == "pause"


def test_a_refusal_is_shown_with_its_remedy(fleet: Dashboard) -> None:
    fleet.expected = {409}
    with fleet.database.write() as session:
        freeze.set_everywhere(session, freeze.Freeze(NOW, "ada", "incident 4711"))
    page = fleet.go()
    page.click(f"{fleet.row('qwen2-vl-7b')} [data-act=pause]")
    page.wait_for_selector("#ask .problem")
    assert "frozen by ada: incident 4711" in fleet.text("#ask .problem")
    assert "End the freeze first" in fleet.text("#ask .problem")


def test_a_lost_answer_is_repeated_under_the_same_key(fleet: Dashboard) -> None:
    page = fleet.go()
    page.click(f"{fleet.row('qwen2-vl-7b')} [data-act=pause]")
    page.wait_for_selector("#ask .will dl")
    lost = []

    def lose(route: object) -> None:
        lost.append(route)
        route.fetch()  # type: ignore[attr-defined] # the server does it, and the answer is lost
        route.abort()  # type: ignore[attr-defined] # as above

    page.route("**/pause", lose)
    page.click("#ask button.main")
    page.wait_for_selector("#ask .problem:has-text('does not answer')")
    page.unroute("**/pause")
    page.click("#ask button.main")
    expect(page.locator("#ask[open]")).to_have_count(0)
    assert len(lost) == 1
    assert len(fleet.operations("qwen2-vl-7b")) == 1


def test_deleting_asks_for_the_name(fleet: Dashboard) -> None:
    page = fleet.go()
    page.click(f"{fleet.row('sdxl-thumbnails')} [data-menu]")
    page.click("#menu [data-act=delete]")
    assert page.is_disabled("#ask button.danger")
    page.fill("#ask [name=name]", "sdxl")
    assert page.is_disabled("#ask button.danger")
    page.fill("#ask [name=name]", "sdxl-thumbnails")
    page.click("#ask button.danger")
    expect(page.locator("#ask[open]")).to_have_count(0)
    (operation,) = fleet.operations("sdxl-thumbnails")
    assert operation.kind == "pause"


def test_adopting_gives_a_team_and_changes_nothing(fleet: Dashboard) -> None:
    page = fleet.go()
    row = fleet.row("legacy-classifier")
    page.click(f"{row} [data-act=adopt]")
    page.fill("#ask [name=team]", "search")
    page.click("#ask button.main")
    expect(page.locator(f"{row} .c-team")).to_have_text("search")
    expect(page.locator(f"{row} [data-act=pause]")).to_be_visible()
    adopted = fleet.endpoint("legacy-classifier")
    assert (adopted.managed, adopted.wish) == (True, "running")
    assert fleet.operations("legacy-classifier") == []


def test_all_of_an_account_are_adopted_at_once(fleet: Dashboard) -> None:
    with fleet.database.write() as session:
        odd = session.merge(fleet.endpoint("qwen2-vl-7b"))
        odd.managed, odd.observe_only = False, "it is serverless"
    page = fleet.go("/accounts")
    page.click("[data-act=adopt-all]")
    page.wait_for_selector("#ask .will:has-text('Left as observed: qwen2-vl-7b (')")
    page.click("#ask button.main")
    page.wait_for_selector("[data-act=adopt-all]:has-text('Adopt 1 observed endpoint')")
    assert fleet.endpoint("legacy-classifier").managed
    assert not fleet.endpoint("qwen2-vl-7b").managed


def test_labels_owner_and_protection_are_edited(fleet: Dashboard) -> None:
    page = fleet.go("/endpoints/acme/bge-large-embeddings")
    page.click("[data-act=edit]")
    assert page.input_value("#ask [name=labels]") == "team=search"
    page.fill("#ask [name=labels]", "team=ads, stage=test")
    page.fill("#ask [name=owner]", "jo@example.org")
    page.check("#ask [name=protected]")
    page.click("#ask button.main")
    page.wait_for_selector("#facts .tag:has-text('stage=test')")
    assert "jo@example.org" in fleet.text("#facts")
    assert "protected" in fleet.text("#head")
    assert "Office hours" not in fleet.text("#holds")


def test_freezing_needs_a_reason_and_can_be_undone(fleet: Dashboard) -> None:
    page = fleet.go()
    page.click("[data-act=freeze]")
    page.click("#ask button.danger")
    assert page.locator("#ask[open]").count() == 1
    page.fill("#ask [name=reason]", "incident 4711")
    page.click("#ask button.danger")
    page.wait_for_selector("#banners:has-text('incident 4711')")
    with fleet.database.read() as session:
        assert freeze.everywhere(session) is not None
    page.click("[data-act=unfreeze]")
    page.click("#ask button.main")
    page.wait_for_selector("[data-act=freeze]")
    with fleet.database.read() as session:
        assert freeze.everywhere(session) is None


def test_a_hold_is_ended_on_the_endpoints_page(fleet: Dashboard) -> None:
    page = fleet.go("/endpoints/acme/bge-large-embeddings")
    assert "Held running until 20:02 today by mia: load test" in fleet.text("#holds")
    page.click("[data-act=end-hold]")
    page.click("#ask button.main")
    expect(page.locator("#holds [data-act=end-hold]")).to_have_count(0)
    with fleet.database.read() as session:
        assert session.exec(select(Hold)).one().ended_by == "mia"


def test_who_may_only_read_is_offered_no_actions(fleet: Dashboard) -> None:
    fleet.sign_in(Scope.READ, "eva")
    page = fleet.go()
    assert page.locator("[data-act], [data-menu]").count() == 0
    fleet.go("/endpoints/acme/bge-large-embeddings")
    assert page.locator("[data-act], [data-menu]").count() == 0
    fleet.go("/schedules")
    assert page.locator("a[href='/schedules/new']").count() == 0


@pytest.mark.parametrize("key", ["Escape", "Tab"])
def test_the_menu_works_from_the_keyboard(fleet: Dashboard, key: str) -> None:
    page = fleet.go()
    button = page.locator(f"{fleet.row('qwen2-vl-7b')} [data-menu]")
    button.focus()
    page.keyboard.press("Enter")
    assert button.get_attribute("aria-expanded") == "true"
    page.keyboard.press("ArrowDown")
    assert fleet.run("document.activeElement.dataset.act") == "scale-to-zero"
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    assert fleet.run("document.activeElement.tagName") == "A"
    page.keyboard.press(key)
    assert page.locator("#menu:popover-open").count() == 0
    expect(button).not_to_have_attribute("aria-expanded", "true")


def test_a_refresh_leaves_an_open_menu_alone(fleet: Dashboard) -> None:
    page = fleet.go()
    page.click(f"{fleet.row('qwen2-vl-7b')} [data-menu]")
    page.evaluate(
        """() => new Promise(done => {
            document.addEventListener('refreshed', done, {once: true});
            document.dispatchEvent(new Event('visibilitychange'));
        })"""
    )
    page.click("#menu [data-act=release]")
    assert fleet.text("#ask h2") == "Release qwen2-vl-7b?"
