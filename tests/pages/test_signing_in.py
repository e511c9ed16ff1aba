from __future__ import annotations

from tests.pages.visit import Dashboard


def test_a_stranger_is_sent_to_the_login_page_and_back(dashboard: Dashboard) -> None:
    secret = dashboard.token()
    page = dashboard.go("/costs?group_by=account")
    assert page.url.startswith(f"{dashboard.url}/login?next=")
    page.fill("#token", secret)
    page.click("button.main")
    page.wait_for_url("**/costs?group_by=account")
    assert dashboard.text("h1") == "Costs"
    assert dashboard.text(".who") == "mia"


def test_a_wrong_token_is_refused_in_place_with_the_remedy(dashboard: Dashboard) -> None:
    dashboard.expected = {401}
    page = dashboard.go("/login")
    page.fill("#token", "orc_wrong")
    page.click("button.main")
    said = dashboard.text(".problem")
    assert "unknown, revoked or expired" in said
    assert "copied whole" in said
    assert page.input_value("#token") == ""


def test_signing_out_ends_the_session(fleet: Dashboard) -> None:
    page = fleet.go()
    page.click("form[action='/logout'] button")
    page.wait_for_url("**/login")
    fleet.go("/")
    assert page.url.endswith("/login")


def test_who_is_signed_in_needs_no_login_page(fleet: Dashboard) -> None:
    assert fleet.go("/login").url == f"{fleet.url}/"


def test_the_cookie_is_out_of_reach_of_scripts(dashboard: Dashboard) -> None:
    secret = dashboard.token()
    page = dashboard.go("/login")
    page.fill("#token", secret)
    page.click("button.main")
    page.wait_for_url(f"{dashboard.url}/")
    assert dashboard.run("document.cookie") == ""
    cookie = dashboard.screen.cookies()[0]
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    assert secret not in cookie["value"]


def test_a_session_that_ends_meanwhile_leads_to_the_login_page(fleet: Dashboard) -> None:
    fleet.expected = {401}
    page = fleet.go()
    fleet.screen.clear_cookies()
    page.click("th a:has-text('Endpoint')")
    page.wait_for_url("**/login**")


def test_a_page_that_does_not_exist_says_so_as_a_page(fleet: Dashboard) -> None:
    fleet.expected = {404}
    fleet.go("/endpoints/ep_nothing")
    assert fleet.text("h1") == "No such endpoint"
    assert fleet.page.locator("a[href='/']").count() == 1
