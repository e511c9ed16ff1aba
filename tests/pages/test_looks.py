from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.pages.fleet_seed import HOUR, L4, Seed
from tests.pages.visit import NOW, Dashboard

PAGES = (
    "/",
    "/endpoints/acme/llama-3-70b-chat",
    "/costs",
    "/costs?group_by=label:team",
    "/schedules",
    "/schedules/Office hours",
    "/starts",
    "/policies",
    "/policies/Idle half an hour",
    "/events",
    "/accounts",
    "/login?next=/",
)
CONTRAST = Path(__file__).with_name("contrast.js").read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [320, pytest.param(390, marks=pytest.mark.soak), 700, 1024])
def test_nothing_is_wider_than_a_narrow_window(fleet: Dashboard, width: int) -> None:
    fleet.page.set_viewport_size({"width": width, "height": 844})
    for path in PAGES:
        fleet.go(path)
        assert fleet.overflow() <= 0, path


def test_long_names_do_not_widen_a_phone(dashboard: Dashboard) -> None:
    with dashboard.database.write() as session:
        seed = Seed(session, NOW)
        account = seed.account("a" * 60)
        endpoint = seed.endpoint(account, "n" * 90, team="t" * 100, message="m" * 400)
        seed.metered(endpoint, NOW - 5 * HOUR, None)
        seed.schedule("s" * 60, endpoint, selector={"labels": {"team": "t" * 100}})
    dashboard.sign_in()
    dashboard.page.set_viewport_size({"width": 390, "height": 844})
    for path in ("/", f"/endpoints/{endpoint.id}", "/costs", "/schedules", "/accounts", "/events"):
        dashboard.go(path)
        assert dashboard.overflow() <= 0, path


def test_on_a_phone_rows_are_cards_and_figures_have_names(fleet: Dashboard) -> None:
    fleet.page.set_viewport_size({"width": 390, "height": 844})
    fleet.go()
    row = fleet.row("llama-3-70b-chat")
    assert fleet.run("() => getComputedStyle(document.querySelector('#fleet tr[id]')).display") == (
        "grid"
    )
    before = fleet.run(
        "() => getComputedStyle(document.querySelector('.c-burn[data-name]'), '::before').content"
    )
    assert before == '"Per hour"'
    assert fleet.page.is_visible(f"{row} [data-act=pause]")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast(fleet: Dashboard, scheme: str) -> None:
    fleet.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type] # one of its words
    weak = {}
    for path in PAGES:
        fleet.go(path)
        found = fleet.run(CONTRAST)
        assert found["checked"] > 5, path
        if found["weak"]:
            weak[path] = found["weak"]
    fleet.go()
    fleet.page.click(f"{fleet.row('qwen2-vl-7b')} [data-menu]")
    fleet.page.click("#menu [data-act=delete]")
    found = fleet.run(CONTRAST)
    assert weak == {}
    assert found["weak"] == []


def test_the_dark_theme_is_dark_and_can_be_chosen(fleet: Dashboard) -> None:
    page = fleet.go()
    light = _ground(page)
    page.click("#theme")
    page.click("#theme")
    assert page.get_attribute("#theme", "aria-label") == "Theme: dark"
    dark = _ground(page)
    assert sum(dark) < 150
    assert sum(light) > 600
    page.reload()
    assert _ground(page) == dark


def _ground(page: Page) -> list[int]:
    script = "() => getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
    found: list[int] = page.evaluate(script)
    return found


def test_focus_is_visible_on_every_control(fleet: Dashboard) -> None:
    page = fleet.go()
    for _ in range(14):
        page.keyboard.press("Tab")
        outline = fleet.run("() => getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", fleet.run("() => document.activeElement.outerHTML")


def test_the_first_tab_offers_to_skip_to_the_content(fleet: Dashboard) -> None:
    page = fleet.go()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert fleet.run("document.activeElement.id") == "main"


def test_controls_have_names_and_ids_are_unique(fleet: Dashboard) -> None:
    script = """() => {
        const label = one => one.labels && one.labels.length && one.labels[0].innerText;
        const named = one => (one.getAttribute('aria-label') || one.innerText || label(one)
            || one.title || '').trim();
        const controls = 'button, a[href], input:not([type=hidden]), select';
        const shown = [...document.querySelectorAll(controls)]
            .filter(one => one.checkVisibility());
        const ids = [...document.querySelectorAll('[id]')].map(one => one.id);
        return {
            nameless: shown.filter(one => !named(one)).map(one => one.outerHTML.slice(0, 120)),
            twice: ids.filter((one, at) => ids.indexOf(one) !== at),
        };
    }"""
    for path in PAGES:
        fleet.go(path)
        assert fleet.run(script) == {"nameless": [], "twice": []}, path


def test_state_is_told_by_more_than_colour(fleet: Dashboard) -> None:
    page = fleet.go()
    for chip in page.locator("#fleet .chip").all():
        assert chip.inner_text().strip()
        assert chip.locator("svg use").count() == 1
    assert page.locator("#fleet .chip[title*='The cloud says: scaled to zero']").count() == 1


def test_without_scripts_everything_can_be_read(
    fleet: Dashboard, browser: Browser, server: tuple[object, str]
) -> None:
    plain = browser.new_context(base_url=server[1], java_script_enabled=False)
    plain.add_cookies(fleet.screen.cookies())  # type: ignore[arg-type] # what one profile gives, another takes
    page = plain.new_page()
    page.goto("/?q=llama")
    assert page.locator("#fleet a.name").all_inner_texts() == ["llama-3-70b-chat"]
    assert "17:02 UTC today" in page.inner_text("#fleet")
    assert page.locator("#filters button:has-text('Apply')").is_visible()
    assert page.locator("[data-act]:visible").count() == 0
    page.fill("#filters [name=q]", "whisper")
    with page.expect_navigation():
        page.click("#filters button:has-text('Apply')")
    assert page.locator("#fleet a.name").all_inner_texts() == ["whisper-large-v3"]
    plain.close()


HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


def test_hostile_names_and_messages_are_inert(dashboard: Dashboard) -> None:
    with dashboard.database.write() as session:
        seed = Seed(session, NOW)
        account = seed.account(f"a{HOSTILE}", health="unreachable", health_detail=HOSTILE)
        endpoint = seed.endpoint(
            account,
            HOSTILE,
            hardware=L4,
            team=HOSTILE,
            message=HOSTILE,
            cloud_state=HOSTILE,
            decided_reason=HOSTILE,
            owner=HOSTILE,
            repository=HOSTILE,
            url="javascript:document.title='owned'",
            spec={"x": HOSTILE},
        )
        seed.metered(endpoint, NOW - 5 * HOUR, None)
        seed.hold(endpoint, "running", HOUR, reason=HOSTILE, actor=HOSTILE)
        seed.schedule(HOSTILE, endpoint, selector={"labels": {"team": HOSTILE}})
        seed.policy(HOSTILE, endpoint, selector={"labels": {"team": HOSTILE}})
        seed.operation(endpoint, "pause")
    dashboard.sign_in()
    schedule = "/schedules"
    for path in ("/", f"/endpoints/{endpoint.id}", "/costs", schedule, "/policies", "/accounts"):
        page = dashboard.go(path)
        assert page.locator("img[src=x], main script").count() == 0, path
        assert page.locator("a[href^='javascript:']").count() == 0, path
        assert page.title() != "owned"
        assert "onerror" in page.inner_text("main"), path
    page = dashboard.go("/")
    page.click("#fleet [data-menu]")
    page.click("#menu [data-act=resume], #menu [data-act=pause]")
    assert HOSTILE in page.inner_text("#ask h2")
    page.wait_for_selector("#ask .will dl")
    assert page.locator("#ask img, #menu img").count() == 0
    assert page.title() != "owned"
