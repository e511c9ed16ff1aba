"""What a scrape costs the store, and what a worker serves by itself."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from starlette.testclient import TestClient

from orchestrator.api.own_metrics import create_own_metrics_app
from orchestrator.services.metrics import StoreGauges
from orchestrator.store.database import Database
from tests.api.site import ORIGIN, Site, endpoint, problem
from tests.support import rows


class TestReading:
    def test_scrapes_share_a_reading_and_statements_do_not_grow(self, lab: Site) -> None:
        now = [0.0]
        gauges = StoreGauges(lab.context, lambda: now[0])
        first = self.statements(lab.database, gauges)
        assert self.statements(lab.database, gauges) == 0
        lab.seed(*(endpoint(f"more-{number}") for number in range(30)))
        lab.seed(*(rows.account(f"acc{number}") for number in range(10)))
        now[0] += 4.9
        assert self.statements(lab.database, gauges) == 0
        now[0] += 0.2
        assert self.statements(lab.database, gauges) == first
        assert 0 < first < 25

    def test_slow_readings_are_kept_for_longer(self, lab: Site) -> None:
        """A reading of three seconds may be made at most once a minute."""
        now = [0.0]

        def ticks() -> float:
            now[0] += 1.0
            return now[0]

        gauges = StoreGauges(lab.context, ticks)
        list(gauges.collect())
        for _ in range(30):
            assert self.statements(lab.database, gauges) == 0

    def test_a_store_that_is_away_is_a_metric_and_no_error(
        self, lab: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(database: Database) -> None:
            del database
            raise OperationalError("connect", {}, Exception("no route"))

        monkeypatch.setattr(Database, "read", refuse)
        lines = {
            sample.name: sample.value
            for family in StoreGauges(lab.context).collect()
            for sample in family.samples
        }
        assert lines == {"orchestrator_database_up": 0}

    def statements(self, database: Database, gauges: StoreGauges) -> int:
        seen: list[str] = []

        def note(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
            del conn, cursor, rest
            seen.append(statement)

        event.listen(database.engine, "before_cursor_execute", note)
        list(gauges.collect())
        event.remove(database.engine, "before_cursor_execute", note)
        return len([one for one in seen if not one.startswith("BEGIN")])


def test_a_worker_serves_its_own_metrics_and_probes_alone(lab: Site) -> None:
    app = create_own_metrics_app(lab.context, lambda: True)
    with TestClient(app, base_url=ORIGIN, raise_server_exceptions=False) as client:
        problem(client.get("/metrics"), 401, "unauthenticated")
        head = {"Authorization": f"Bearer {lab.secrets['read']}"}
        text = client.get("/metrics", headers=head).text
        assert "orchestrator_build_info" in text
        assert "orchestrator_cost_month_dollars" not in text
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").json()["engine"] == "ok"
        assert client.get("/v1/me", headers=head).status_code == 404
