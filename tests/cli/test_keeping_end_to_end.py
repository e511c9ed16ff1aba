"""Holds, leases and expiry from the command line and the Python client to a simulated cloud."""

from __future__ import annotations

from orchestrator.cli.errors import ExitCode
from orchestrator.client import Client
from tests.cli.live import Live, house, live

__all__ = ["house", "live"]


class TestKeeping:
    def test_a_hold_says_its_cost_first_and_is_ended_by_its_id(self, live: Live) -> None:
        live.ok("endpoints", "adopt", "chat")
        why = ("--reason", "load test")
        unsaid = live("hold", "chat", "running", "--for", "3h", *why)
        assert unsaid.code == ExitCode.USAGE
        assert "Hold it running until 2026-11-16 03:03 UTC, costs $" in unsaid.err
        told = live.ok("hold", "chat", "paused", "--for", "3h", "--dry-run", *why).out
        assert "it would be held paused until 2026-11-16 03:03 UTC, costs nothing" in told
        assert live.json("holds", "list")["items"] == []
        made = live.ok("hold", "chat", "paused", "--for", "3h", "--yes", "--wait", *why).out
        assert "pause of chat: succeeded" in made
        (held,) = live.json("holds", "list", "--endpoint", "chat")["items"]
        live.ok("holds", "end", held["id"])
        assert live.json("holds", "list")["items"] == []
        assert live("hold", "chat", "running", *why).code == ExitCode.USAGE
        unasked = live("hold", "chat", "running", "--for", "3h", "--yes")
        assert (unasked.code, "--reason" in unasked.err) == (ExitCode.USAGE, True)

    def test_a_life_is_set_extended_and_found(self, live: Live) -> None:
        live.ok("endpoints", "adopt", "chat")
        told = live.ok("endpoints", "expire", "chat", "--in", "5h", "--then-delete", "7d")
        assert "acme/chat expires at 2026-11-16 05:03 UTC: it is paused then" in told.out
        assert "deleted 7 d after that" in told.out
        assert "people are warned at 2026-11-16 04:03 UTC" in told.err
        assert "set by" in live.ok("endpoints", "show", "chat").out
        found = live.json("endpoints", "list", "--expiring-before", "1d")["items"]
        assert [one["name"] for one in found] == ["chat"]
        live.stage.run(hours=6)
        assert live.stage.state("chat") == "paused"
        refused = live("endpoints", "resume", "chat")
        assert (refused.code, "endpoints extend chat" in refused.err) == (ExitCode.REFUSED, True)
        back = live.ok("endpoints", "extend", "chat", "--for", "3d", "--reason", "a review").out
        assert "resume of chat: pending" in back
        live.ok("endpoints", "expire", "chat", "--never")
        limits = ("--longest", "2d", "--extension", "1d", "--times", "1", "--account", "acme")
        live.ok("expiry-policies", "create", "short", *limits)
        assert "policy short: 2d" in live("endpoints", "expire", "chat", "--in", "3d").err
        assert "short" in live.ok("expiry-policies", "list").out
        live.ok("expiry-policies", "delete", "short", "--yes")

    def test_a_program_leases_what_sleeps(self, live: Live) -> None:
        live.ok("endpoints", "adopt", "chat")
        live.ok("endpoints", "pause", "chat", "--wait")
        secret = (live.stage.context.settings.state_dir / "admin-token").read_text().strip()
        with (
            Client(live.url, secret) as client,
            client.lease("acme/chat", ttl="30m", reason="evaluation") as lease,
        ):
            assert live.stage.state("chat") == "running"
            assert lease.url == live.stage.endpoint("chat").url != ""
            assert "serving" in live.ok("leases", "list").out
        assert live.json("leases", "list")["items"] == []
        live.stage.run(minutes=30)
        assert live.stage.state("chat") == "paused"
