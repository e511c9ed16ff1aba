from __future__ import annotations

import csv
import io
from datetime import timedelta
from decimal import Decimal

import pytest

from orchestrator.api.pages import words
from orchestrator.api.pages.costs import to_csv
from orchestrator.costs import report
from orchestrator.costs.figures import Figure
from orchestrator.costs.report import CostLine, CostReport
from orchestrator.domain.money import NANO
from orchestrator.services.overview import month_bounds
from orchestrator.store.ledger_reads import SpanFilter
from tests.pages.visit import NOW, Dashboard
from tests.support import rows


def test_the_table_and_the_file_say_what_the_report_says(fleet: Dashboard) -> None:
    start, _ = month_bounds(NOW)
    with fleet.database.read() as session:
        wanted = report.cost_report(session, start=start, end=NOW, now=NOW, group_by="label:team")
    page = fleet.go("/costs?group_by=label:team")
    assert fleet.text("[data-figure=total]") == str(words.money(wanted.total))
    shown = page.locator(".costs tbody tr").all_inner_texts()
    assert [text.split()[0] for text in shown] == ["search", "research", "media", "without"]
    assert str(words.money(wanted.items[0].figure)) in " ".join(shown[0].split())
    with page.expect_download() as download:
        page.click("a[download]")
    assert download.value.suggested_filename == "costs-2026-11-01-2026-11-19-by-label-team.csv"
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text(encoding="utf-8"))))
    amounts = {row["key"]: Decimal(row["cost_usd"]) * NANO for row in rows}
    assert amounts == {line.key: line.figure.nano for line in wanted.items}
    assert sum(amounts.values()) == wanted.total.nano


def test_any_grouping_adds_up_to_the_same_total(fleet: Dashboard) -> None:
    for group_by in ("endpoint", "account", "hardware", "component", "day"):
        page = fleet.go(f"/costs?from=2026-11-10&to=2026-11-12&group_by={group_by}")
        assert fleet.text("[data-figure=total]") == "$562.57 ±0.92"
        amounts = page.locator(".costs tbody td:last-child").all_inner_texts()
        total = sum(Decimal(text.split()[0].lstrip("$").replace(",", "")) for text in amounts)
        assert abs(total - Decimal("562.57")) <= Decimal("0.01") * len(amounts)


def test_another_label_is_chosen_in_the_page(fleet: Dashboard) -> None:
    page = fleet.go("/costs")
    page.select_option("[name=group_by]", "label")
    page.fill("[name=key]", "stage")
    page.wait_for_url("**key=stage**")
    assert "without the label" in fleet.text(".costs tbody")


def test_what_has_no_price_is_listed(fleet: Dashboard) -> None:
    fleet.go("/costs")
    assert "Incomplete." in fleet.text(".total")
    assert "qwen2-vl-7b on aws/us-east-1/inferentia9/x4, 5 h" in fleet.text(".total")


def test_one_account_and_one_endpoint(fleet: Dashboard) -> None:
    fleet.go("/costs?account=acme-lab")
    names = fleet.page.locator(".costs tbody th").all_inner_texts()
    assert set(names) == {"mixtral-8x7b-trials", "whisper-large-v3"}
    fleet.go(f"/costs?endpoint={fleet.endpoint('reranker-v2').id}")
    assert fleet.text("h1") == "Costs of reranker-v2"
    assert fleet.page.locator(".costs tbody th").all_inner_texts() == ["reranker-v2"]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("from=2026-11-12&to=2026-11-10", "before the first"),
        ("from=yesterday", "no date"),
        ("group_by=mood", "group_by"),
    ],
)
def test_what_cannot_be_asked_is_said(fleet: Dashboard, query: str, said: str) -> None:
    fleet.expected = {422}
    fleet.go(f"/costs?{query}")
    assert said in fleet.text("main")


def test_days_without_costs_teach(fleet: Dashboard) -> None:
    fleet.go("/costs?from=2020-01-01&to=2020-01-03")
    assert "Nothing was metered in these days" in fleet.text("#report")


def test_no_cell_of_the_file_is_a_formula() -> None:
    figure = Figure(NANO, NANO, NANO)
    names = ("=1+1", "+1", "-1", "@sum", "\tx", "plain")
    lines = tuple(CostLine(name, name, figure, 3600, 3600) for name in names)
    rows = list(csv.reader(io.StringIO(to_csv(CostReport(NOW, NOW, "", figure, None, lines)))))
    assert [row[1] for row in rows[1:]] == ["'=1+1", "'+1", "'-1", "'@sum", "'\tx", "plain"]


def test_a_page_of_an_endpoint_shows_its_disk_apart(fleet: Dashboard) -> None:
    endpoint = fleet.endpoint("llama-3-70b-chat")
    amounts = {"burn_low": NANO // 10, "burn": NANO // 10, "burn_high": NANO // 10}
    size = {"units": 100, "replicas_low": 100, "replicas": 100, "replicas_high": 100}
    disk = {"component": "disk", "hardware_key": "aws/us-east-1/ssd/gb", **size}
    whose = {"endpoint_id": endpoint.id, "account_id": endpoint.account_id}
    with fleet.database.write() as session:
        before = report.burn_now(session).endpoints[endpoint.id].nano
        last = report.cost_report(
            session, start=NOW, end=NOW, now=NOW, filters=SpanFilter(endpoint_ids=[endpoint.id])
        ).measured_until
        assert last is not None
        start = last - timedelta(hours=20)
        session.add(rows.interval(started_at=start, **whose, **disk, **amounts))
    fleet.go(f"/endpoints/{endpoint.id}")
    assert fleet.text("[data-figure=burn]") == f"{words.price(before + NANO // 10)} / h"
    line = fleet.text("#components tr[data-component=disk]")
    assert line.split() == ["disk", "100", "GB", "per", "replica", "$0.10", "/", "h", "$2.00"]
    assert words.price(before) in fleet.text("#components tr[data-component=compute]")
    fleet.go("/costs?group_by=component")
    shown = fleet.text(".costs tbody")
    assert "compute" in shown
    assert "disk" in shown
