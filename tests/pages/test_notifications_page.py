"""The page of notifications: who is told, how that goes, what did not arrive."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from orchestrator.store.tables import Delivery, Notice, NotificationTarget
from tests.pages.visit import NOW, Dashboard

HOUR = timedelta(hours=1)


def target(name: str, **values: Any) -> NotificationTarget:
    given: dict[str, Any] = {
        "kind": "webhook",
        "address": "https://hooks.example.org/in",
        "least_severity": "warning",
        "per_minute": 10,
        "created_at": NOW,
        "created_by": "ada",
        "updated_at": NOW,
    }
    return NotificationTarget(id=f"tgt_{name}", name=name, **{**given, **values})


def seed(dashboard: Dashboard) -> None:
    broken = {"failing_since": NOW - HOUR, "last_error": "HTTP 500", "kinds": ["freeze.*"]}
    with dashboard.database.write() as session:
        session.add_all([target("ops", **broken), target("chat", delivered_at=NOW, owner="ada")])
        session.flush()
        for number, status in enumerate(("pending", "failed", "delivered"), 1):
            notice = Notice(
                id=f"msg_{number}",
                at=NOW - HOUR,
                kind="freeze.on",
                severity="critical",
                actor="ada",
                message=f"number {number} <b>",
                expanded_at=NOW,
            )
            session.add(notice)
            session.flush()
            session.add(
                Delivery(
                    id=f"dlv_{number}",
                    notice_seq=notice.seq or 0,
                    target_id="tgt_ops",
                    subject="",
                    status=status,
                    attempts=2,
                    created_at=NOW - HOUR,
                    next_attempt_at=NOW + HOUR,
                    last_error="HTTP 500" if status != "delivered" else "",
                )
            )


def test_health_and_what_did_not_arrive_are_shown(dashboard: Dashboard) -> None:
    seed(dashboard)
    dashboard.sign_in()
    dashboard.go("/notifications")
    text = dashboard.text("#notifications")
    for part in ("ops", "failing", "HTTP 500", "freeze.*", "works", "owner ada"):
        assert part in text
    assert "number 1 <b>" in text
    assert "number 2 <b>" in text
    assert "number 3" not in text
    dashboard.go("/notifications?status=failed")
    failed = dashboard.text("#notifications")
    assert "number 2" in failed
    assert "number 1" not in failed
    assert "dlv_2" in failed


def test_without_a_target_the_page_says_how_to_add_one(dashboard: Dashboard) -> None:
    dashboard.sign_in()
    dashboard.go("/notifications")
    assert "orchestrator notifications add ops --webhook" in dashboard.text("#notifications")
