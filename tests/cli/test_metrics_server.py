"""A worker's own metrics, over a real socket."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from orchestrator.cli.errors import CliError
from orchestrator.cli.metrics_server import serving_metrics
from orchestrator.cli.runtime import listen
from orchestrator.clock import SystemClock
from orchestrator.services.context import Context, ProviderPool
from orchestrator.settings import Settings
from orchestrator.store.database import Database


@pytest.fixture
def context(sqlite_database: Database, tmp_path: Path) -> Context:
    def make(account: object) -> object:
        raise AssertionError(account)

    settings = Settings(state_dir=tmp_path, metrics_public=True)
    pool = ProviderPool(make)  # type: ignore[arg-type] # no cloud is asked
    return Context(sqlite_database, SystemClock(), settings, pool)


def test_it_is_served_for_the_length_of_the_block(context: Context) -> None:
    listener = listen("127.0.0.1", 0)
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with serving_metrics(context, listener):
        answer = httpx2.get(f"{address}/metrics", timeout=10)
        assert answer.status_code == 200
        assert "orchestrator_build_info" in answer.text
    with pytest.raises(httpx2.TransportError):
        httpx2.get(f"{address}/metrics", timeout=10)


def test_without_a_port_nothing_is_served(context: Context) -> None:
    with serving_metrics(context, None):
        assert context.instruments.engine_ok is None


def test_a_port_that_is_taken_is_refused() -> None:
    with listen("127.0.0.1", 0) as taken, pytest.raises(CliError, match="cannot listen"):
        listen("127.0.0.1", taken.getsockname()[1])
