from __future__ import annotations

from datetime import timedelta

import pytest

from orchestrator.api.pages import words
from orchestrator.costs import report
from orchestrator.domain.money import format_dollars
from orchestrator.store import freeze
from orchestrator.store.freeze import Freeze
from orchestrator.store.tables import Account
from tests.pages.fleet_seed import HOUR, Seed, office
from tests.pages.visit import NOW, Dashboard


def test_the_overview_shows_what_the_ledger_says(fleet: Dashboard) -> None:
    with fleet.database.read() as session:
        burn = report.burn_now(session).total
        month = report.month_to_date(session, NOW)
    fleet.go()
    assert fleet.text("[data-figure=burn]").startswith(f"{format_dollars(burn.nano)} ")
    shown = fleet.text("[data-figure=month]")
    assert shown == str(words.money(month.total)) == "$3,373.32 −5.46 +5.44 + unpriced"  # noqa: RUF001 - a minus sign
    assert fleet.page.get_attribute("[data-figure=month] span", "title") == (
        "Between $3,367.85 and $3,378.76. 5 h without a known price are not in it."
    )


def test_each_row_shows_its_part_of_the_ledger(fleet: Dashboard) -> None:
    with fleet.database.read() as session:
        spent = report.month_to_date(session, NOW).endpoints
    fleet.go()
    for name in ("llama-3-70b-chat", "mixtral-8x7b-trials", "legacy-classifier"):
        figure = words.money(spent[fleet.endpoint(name).id])
        assert fleet.text(f"{fleet.row(name)} .c-month") == str(figure)
    assert fleet.text(f"{fleet.row('llama-3-70b-chat')} .c-burn") == "$8.00"
    assert fleet.text(f"{fleet.row('legacy-classifier')} .c-burn") == "$0.134"


def test_an_unknown_price_is_never_zero(fleet: Dashboard) -> None:
    fleet.go()
    row = fleet.row("qwen2-vl-7b")
    assert fleet.text(f"{row} .c-burn") == "unpriced"
    assert fleet.text(f"{row} .c-month") == "unpriced"
    assert "1 running endpoint has no known price" in fleet.text("#banners")
    assert "over" in fleet.text("#figures > div:first-child .figure-note >> nth=0")


def test_what_sleeps_burns_nothing(fleet: Dashboard) -> None:
    fleet.go()
    assert fleet.text(f"{fleet.row('mixtral-8x7b-trials')} .c-burn") == "–"  # noqa: RUF001 - a dash


def test_days_and_teams_add_up_to_the_total(fleet: Dashboard) -> None:
    page = fleet.go()
    page.click("#days-table summary")
    last = page.locator("#days-table tbody tr").first.locator("td").all_inner_texts()
    amounts = [_cents(text) for text in last]
    assert abs(sum(amounts[:-1]) - amounts[-1]) <= len(amounts)
    months = page.locator("#teams tbody td:last-child").all_inner_texts()
    assert abs(sum(map(_cents, months)) - _cents(fleet.text("[data-figure=month]"))) <= len(months)


def _cents(text: str) -> int:
    return int(text.split(maxsplit=1)[0].removeprefix("$").replace(",", "").replace(".", ""))


def test_columns_are_as_tall_as_their_days_are_dear(fleet: Dashboard) -> None:
    page = fleet.go()
    tall = fleet.run(
        """() => [...document.querySelectorAll('#days .wide g.bar')].map(bar =>
            [...bar.querySelectorAll('rect:not(.hit)')]
                .reduce((sum, one) => sum + Number(one.getAttribute('height')), 0))"""
    )
    titles = page.locator("#days .wide g.bar title").all_text_contents()
    assert len(tall) == len(titles) == 30
    spent = [_cents(title.split("\n")[0].split(": ")[1]) for title in titles]
    scale = max(tall) / max(spent)
    assert all(abs(height - cents * scale) < 0.2 for height, cents in zip(tall, spent, strict=True))


def test_old_figures_say_their_age(fleet: Dashboard) -> None:
    fleet.clock.set(NOW + timedelta(minutes=9))
    fleet.go()
    assert "Figures of account acme are old." in fleet.text("#banners")
    assert "endpoints was 9 min ago" in fleet.text("#banners")
    assert "seen 9 min ago" in fleet.text(f"{fleet.row('reranker-v2')} .c-state")


def test_fresh_figures_do_not(fleet: Dashboard) -> None:
    fleet.go()
    assert "old" not in fleet.text("#banners")
    assert "seen" not in fleet.text(f"{fleet.row('reranker-v2')} .c-state")


@pytest.mark.parametrize(
    ("health", "said"),
    [("unreachable", "cannot be reached"), ("no_access", "refuses our credentials")],
)
def test_an_account_in_trouble_is_named(dashboard: Dashboard, health: str, said: str) -> None:
    with dashboard.database.write() as session:
        seed = Seed(session, NOW)
        seen = NOW - HOUR
        account = seed.account("acme", health=health, health_detail="401", confirmed_at=seen)
        seed.endpoint(account, "chat", confirmed_at=seen)
    dashboard.sign_in()
    dashboard.go()
    assert f"Account acme {said}. 401." in dashboard.text("#banners")
    assert "from 60 min ago" in dashboard.text("#banners") or "1 h ago" in dashboard.text(
        "#banners"
    )


def test_a_freeze_is_said_on_top(fleet: Dashboard) -> None:
    with fleet.database.write() as session:
        freeze.set_everywhere(session, Freeze(NOW - HOUR, "ada", "incident 4711"))
    fleet.go()
    banner = fleet.page.locator("#banners .banner").first
    assert "Frozen." in banner.inner_text()
    assert "ada: incident 4711" in banner.inner_text()


def test_without_an_account_the_page_teaches_how_to_connect_one(dashboard: Dashboard) -> None:
    dashboard.sign_in()
    dashboard.go()
    assert "orchestrator accounts add" in dashboard.text("pre.command")
    with dashboard.database.write() as session:
        office(session, NOW)
    dashboard.page.wait_for_selector(dashboard.row("llama-3-70b-chat"))


def test_a_new_account_waits_for_its_first_look(dashboard: Dashboard) -> None:
    with dashboard.database.write() as session:
        account = Account(
            **Seed(session, NOW)
            .account("old")
            .model_dump(exclude={"id", "name", "confirmed_at", "created_at"}),
            id="acc_new",
            name="new",
            created_at=NOW - timedelta(seconds=30),
        )
        session.add(account)
    dashboard.sign_in()
    dashboard.go()
    assert "Nothing has been seen yet" in dashboard.text("#fleet")
    assert "new" not in dashboard.text("#banners")


def test_the_page_refreshes_itself_in_place(fleet: Dashboard) -> None:
    page = fleet.go()
    page.evaluate("document.querySelector('#days-table').open = true; scrollTo(0, 300)")
    page.focus("#filters [name=q]")
    with fleet.database.write() as session:
        endpoint = session.merge(fleet.endpoint("llama-3-70b-chat"))
        endpoint.status = "updating"
    page.wait_for_selector(f"{fleet.row('llama-3-70b-chat')} .chip:has-text('Updating')")
    assert fleet.run("document.activeElement.name") == "q"
    assert fleet.run("scrollY") == 300
    assert fleet.run("document.querySelector('#days-table').open")


def test_a_server_that_is_gone_is_said_and_found_again(fleet: Dashboard) -> None:
    page = fleet.go()
    page.route("**/*", lambda route: route.abort())
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_selector("#link-lost:has-text('No answer')")
    page.unroute("**/*")
    page.wait_for_selector("#link-lost", state="hidden")


def test_times_are_those_of_the_reader(fleet: Dashboard) -> None:
    page = fleet.go()
    cell = f"{fleet.row('llama-3-70b-chat')} .c-why"
    assert "sleeps 18:02 today" in fleet.text(cell)
    assert page.get_attribute(f"{cell} time", "title") == "2026-11-19 17:02 UTC"
