"""What Prometheus is served, to whom, and that it says what the API says."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as open_metrics_families,
)
from prometheus_client.parser import text_string_to_metric_families

from orchestrator.store import freeze
from orchestrator.store.tables import (
    Binding,
    Delivery,
    IdlePolicy,
    Notice,
    NotificationTarget,
)
from tests.api.site import L4, NOON, Site, endpoint, opened, problem, rate
from tests.support import rows

HOUR = timedelta(hours=1)
Values = dict[tuple[str, frozenset[tuple[str, str]]], float]


def families(site: Site, **given: Any) -> list[Metric]:
    response = site.ask("GET", "/metrics", scope="read", **given)
    assert response.status_code == 200, response.text
    parse: Callable[[str], Iterable[Metric]] = text_string_to_metric_families
    return list(parse(response.text))


def scrape(site: Site) -> Values:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families(site)
        for sample in family.samples
    }


def value(values: Values, name: str, **labels: str) -> float:
    return values["orchestrator_" + name, frozenset(labels.items())]


def fill(site: Site) -> None:
    """One account with an endpoint at $0.80, one without a price, and a pause under way."""
    burn = 800_000_000
    site.seed(
        rows.account(health="ok", observed_at=NOON, confirmed_at=NOON + HOUR, rates_at=NOON),
        rate(),
        endpoint(),
        endpoint("dear", hardware_key="none/x1", managed=False),
        rows.interval(hardware_key=L4, rate_id="rat_l4", burn_low=0, burn=burn, burn_high=burn),
        rows.interval(endpoint_id="ep_dear"),
        rows.operation(status="running", stuck_since=NOON),
    )
    site.clock.set(NOON + HOUR)


class TestAccess:
    def test_it_is_as_sensitive_as_reading(self, lab: Site) -> None:
        refused = lab.client.get("/metrics")
        problem(refused, 401, "unauthenticated")
        assert refused.headers["www-authenticate"] == "Bearer"
        problem(
            lab.client.get("/metrics", headers={"Authorization": "Bearer orc_wrong"}),
            401,
            "unauthenticated",
        )
        assert lab.ask("GET", "/metrics", scope="read").status_code == 200

    def test_a_setting_opens_it(self, sqlite_url: str, tmp_path: Path) -> None:
        for site in opened(sqlite_url, tmp_path, metrics_public=True):
            assert site.client.get("/metrics").status_code == 200
            problem(site.client.get("/v1/me"), 401, "unauthenticated")

    def test_a_scraper_may_use_any_host_name(self, lab: Site) -> None:
        answer = lab.ask("GET", "/metrics", scope="read", headers={"Host": "10.1.2.3:8080"})
        assert answer.status_code == 200

    def test_the_format_is_the_one_that_is_accepted(self, lab: Site) -> None:
        plain = lab.ask("GET", "/metrics")
        assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        modern = lab.ask(
            "GET", "/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}
        )
        assert modern.headers["content-type"].startswith("application/openmetrics-text")
        assert modern.text.endswith("# EOF\n")
        parse: Callable[[str], Iterable[Metric]] = open_metrics_families
        assert len(list(parse(modern.text))) > 40


class TestNames:
    def test_they_follow_the_conventions(self, site: Site) -> None:
        fill(site)
        found = families(site)
        assert len(found) > 40
        for family in found:
            name = family.name
            assert re.fullmatch(r"orchestrator_[a-z0-9_]+", name), name
            assert len(family.documentation) > 10, name
            assert not re.search(r"_(ms|millis|minutes|hours|kb|mb|nano|usd|percent)(_|$)", name)
            assert (family.type == "counter") or not name.endswith("_total"), name
            samples = {sample.name for sample in family.samples}
            if family.type == "counter":
                assert samples <= {f"{name}_total"}, name
            if "duration" in name or name.endswith(("_age", "_lag")):
                assert name.endswith("_seconds"), name

    def test_labels_have_few_values(self, lab: Site) -> None:
        """Ten endpoints more make no series more, and no label bears an endpoint's name."""
        before = sum(len(family.samples) for family in families(lab))
        lab.seed(*(endpoint(f"more-{number}") for number in range(10)))
        lab.context.instruments = type(lab.context.instruments)()
        found = families(lab)
        assert sum(len(family.samples) for family in found) == before
        text = {str(sample.labels) for family in found for sample in family.samples}
        assert not any("more-3" in one or "search" in one for one in text)

    def test_endpoints_are_named_only_where_a_setting_asks_for_it(
        self, sqlite_url: str, tmp_path: Path
    ) -> None:
        for site in opened(sqlite_url, tmp_path, metrics_per_endpoint=True):
            fill(site)
            values = scrape(site)
            where = {"account": "lab", "endpoint": "search"}
            assert value(values, "endpoint_billed_replicas", **where) == 1
            assert value(values, "endpoint_burn_dollars_per_hour", **where) == 0.8


class TestAgreement:
    """What is scraped is what the API answers."""

    def test_costs(self, site: Site) -> None:
        fill(site)
        values, costs = scrape(site), site.get("/v1/costs")
        assert Decimal(costs["total"]["amount"]) > 0
        for name, key in (("", "amount"), ("low_", "low"), ("high_", "high")):
            shown = value(values, f"cost_month_{name}dollars", account="lab")
            assert shown == float(costs["total"][key])
            assert value(values, f"cost_today_{name}dollars", account="lab") == shown
        assert value(values, "cost_month_unpriced_seconds", account="lab") == 3600

    def test_burn(self, site: Site) -> None:
        fill(site)
        values, money = scrape(site), site.get("/v1/overview")["burn_per_hour"]
        burn = value(values, "burn_dollars_per_hour", account="lab")
        assert burn == float(money["amount"]) == 0.8
        assert value(values, "burn_low_dollars_per_hour", account="lab") == 0
        assert value(values, "burn_unpriced_endpoints", account="lab") == 1

    def test_operations(self, site: Site) -> None:
        fill(site)
        (listed,) = site.get("/v1/operations")["items"]
        values = scrape(site)
        labels = {"account": "lab", "kind": listed["kind"]}
        assert value(values, "operations_active", status=listed["status"], **labels) == 1
        assert value(values, "operations_stuck", **labels) == 1
        assert value(values, "operations_oldest_active_seconds", account="lab") == 3600

    def test_endpoints(self, site: Site) -> None:
        fill(site)
        values = scrape(site)
        labels = {"account": "lab", "cloud": "huggingface", "status": "running"}
        for managed in ("true", "false"):
            assert value(values, "endpoints", managed=managed, **labels) == 1

    def test_accounts_and_freezes(self, site: Site) -> None:
        fill(site)
        site.seed(rows.account("acme", health="no_access", failures=3, frozen_at=NOON))
        with site.database.write() as session:
            freeze.set_everywhere(session, freeze.Freeze(NOON, "ada", "test"))
        values = scrape(site)
        assert value(values, "frozen") == 1
        assert value(values, "account_frozen", account="acme") == 1
        assert value(values, "account_frozen", account="lab") == 0
        assert value(values, "account_health", account="acme", health="no_access") == 1
        assert value(values, "account_health", account="acme", health="ok") == 0
        assert value(values, "account_failed_looks", account="acme") == 3
        assert value(values, "account_look_age_seconds", account="acme") == 3600
        assert value(values, "account_look_age_seconds", account="lab") == 0
        assert value(values, "account_price_list_age_seconds", account="lab") == 3600

    def test_what_is_late(self, site: Site) -> None:
        fill(site)
        site.seed(
            endpoint("late", next_edge_at=NOON, wish="running"),
            endpoint("kept", delete_after=NOON + HOUR / 2),
            endpoint("soon", next_edge_at=NOON + 2 * HOUR, delete_after=NOON + 2 * HOUR),
        )
        values = scrape(site)
        assert value(values, "edge_overdue_seconds", account="lab") == 3600
        assert value(values, "deletions_overdue_endpoints", account="lab") == 1
        assert value(values, "deletions_overdue_seconds", account="lab") == 1800

    def test_the_database(self, site: Site) -> None:
        values = scrape(site)
        assert value(values, "database_up") == 1
        assert value(values, "schema_current") == 1
        assert value(values, "database_size_bytes") > 10_000
        assert value(values, "frozen") == 0


def test_both_databases_tell_the_same(sqlite_url: str, postgres_url: str, tmp_path: Path) -> None:
    told = []
    for url in (sqlite_url, postgres_url):
        for site in opened(url, tmp_path):
            fill(site)
            told.append(scrape(site))
    sqlite, postgres = told
    own = ("database", "claim", "worker", "account_owned", "build_info")
    shared = {key for key in sqlite if not key[0].removeprefix("orchestrator_").startswith(own)}
    assert len(shared) > 40
    assert {key: sqlite[key] for key in shared} == {key: postgres[key] for key in shared}
    extra = {name.removeprefix("orchestrator_") for name, _ in postgres.keys() - sqlite.keys()}
    assert all(name.startswith(own) for name in extra)


class TestNets:
    def net_of(self, site: Site, *more: Any, **changes: Any) -> str:
        site.seed(rows.account(), endpoint(**changes), *more)
        (found,) = [
            dict(labels)["net"]
            for (name, labels), number in scrape(site).items()
            if name == "orchestrator_net_endpoints" and number
        ]
        return found

    def policy(self, **changes: Any) -> tuple[IdlePolicy, Binding]:
        given = {"id": "pol_1", "name": "nap", "timeout_minutes": 15, "effective_from": NOON}
        made = {"created_at": NOON, "updated_at": NOON, "created_by": "ada"}
        bound = Binding(rule_id="pol_1", endpoint_id="ep_search", rule_kind="idle", matched_at=NOON)
        return IdlePolicy(**{**given, **made, **changes}), bound

    def test_nothing_stops_it(self, site: Site) -> None:
        assert self.net_of(site) == "none"

    @pytest.mark.parametrize("minimum", [0, 1])
    def test_its_cloud_stops_it(self, site: Site, minimum: int) -> None:
        """A timer counts only where the cloud may go to zero."""
        net = self.net_of(site, min_replicas=minimum, scale_to_zero_minutes=15)
        assert net == ("cloud" if minimum == 0 else "none")

    def test_a_rule_stops_it_while_we_run(self, site: Site) -> None:
        assert self.net_of(site, *self.policy()) == "ours"

    @pytest.mark.parametrize(
        "changes", [{"shadow": True}, {"enabled": False}, {"removed_at": NOON}]
    )
    def test_a_rule_that_does_nothing_is_no_net(self, site: Site, changes: dict[str, Any]) -> None:
        assert self.net_of(site, *self.policy(**changes)) == "none"

    def test_a_protected_one_is_only_proposed(self, site: Site) -> None:
        assert self.net_of(site, *self.policy(), protected=True) == "none"

    def test_a_policy_that_cannot_stop_it_is_no_net(self, site: Site) -> None:
        assert self.net_of(site, *self.policy(), to_zero=False) == "none"

    def test_a_wish_to_sleep_ends_a_hold(self, site: Site) -> None:
        assert self.net_of(site, wish="paused") == "ours"


def test_claims_are_told_by_the_databases_clock(postgres_url: str, tmp_path: Path) -> None:
    for site in opened(postgres_url, tmp_path):
        site.seed(rows.account(), rows.account("acme"))
        with site.database.engine.begin() as connection:
            connection.exec_driver_sql(
                "INSERT INTO worker VALUES ('w1', 'host', 1, '9.9', now(), now(), false)"
            )
            connection.exec_driver_sql(
                "INSERT INTO claim (account_id, owner, epoch, taken_at, expires_at)"
                " VALUES ('acc_lab', 'w1', 7, now(), now() + interval '1 hour'),"
                " ('acc_acme', 'w1', 3, now(), now() - interval '1 second')"
            )
        values = scrape(site)
        assert value(values, "account_owned", account="lab") == 1
        assert value(values, "account_owned", account="acme") == 0
        assert value(values, "claim_epoch", account="lab") == 7
        assert 3000 < value(values, "claim_lease_seconds", account="lab") <= 3600
        assert value(values, "worker_accounts", worker="w1", version="9.9") == 2


def test_notifications(site: Site) -> None:
    fill(site)
    site.seed(
        NotificationTarget(
            id="tgt_1",
            name="on-call",
            kind="webhook",
            address="https://example.org",
            least_severity="info",
            per_minute=10,
            created_at=NOON,
            updated_at=NOON,
            created_by="ada",
            failing_since=NOON,
        ),
        Notice(
            seq=9_000,
            id="ntc_1",
            at=NOON,
            kind="x",
            severity="info",
            actor="ada",
            message="m",
            expanded_at=NOON,
        ),
    )
    for number, status in enumerate(("pending", "failed", "delivered")):
        site.seed(
            Notice(
                seq=9_100 + number,
                id=f"ntc_{status}",
                at=NOON,
                kind="x",
                severity="info",
                actor="ada",
                message="m",
                expanded_at=NOON,
            ),
            Delivery(
                id=f"dlv_{status}",
                notice_seq=9_100 + number,
                target_id="tgt_1",
                subject="ep_search",
                status=status,
                created_at=NOON,
                next_attempt_at=NOON,
            ),
        )
    values = scrape(site)
    assert value(values, "notification_target_failing", target="on-call") == 1
    assert value(values, "notification_pending_deliveries", target="on-call") == 1
    assert value(values, "notification_pending_age_seconds", target="on-call") == 3600
    assert value(values, "notification_failed_deliveries", target="on-call") == 1
