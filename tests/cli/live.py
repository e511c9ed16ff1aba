"""The command line over the real API, engine, driver and a simulated cloud."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI

from orchestrator import logs
from orchestrator.api.app import create_app
from orchestrator.cli.errors import ExitCode
from orchestrator.clock import SystemClock
from orchestrator.providers.base import Provider
from orchestrator.services import tokens
from orchestrator.services.context import Context, ProviderPool
from orchestrator.settings import Settings
from orchestrator.store.database import Database
from orchestrator.store.tables import Account
from tests.cli.conftest import Cli, Result
from tests.support.stage import Stage, open_stage


class Live:
    """A stage behind the real API, and the command line of its admin."""

    def __init__(self, stage: Stage, cli: Cli, url: str) -> None:
        self.stage = stage
        self.url = url
        self._cli = cli

    def __call__(self, *arguments: str) -> Result:
        return self._cli("--utc", "--server", self.url, *arguments, clock=self.stage.clock)

    def ok(self, *arguments: str) -> Result:
        result = self(*arguments)
        assert result.code == ExitCode.OK, result.err
        return result

    def json(self, *arguments: str) -> Any:
        return self.ok(*arguments, "-o", "json").json


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FastAPI, str]]:
    """Return the application and its address; making its routes takes longer than most tests."""
    settings = Settings(state_dir=tmp_path_factory.mktemp("house"))
    nobody = Context(
        Database(settings.database_url), SystemClock(), settings, ProviderPool(_no_driver)
    )
    app = create_app(nobody, settings)
    with serving(app) as url:
        yield app, url


def _no_driver(account: Account) -> Provider:
    raise AssertionError(f"nobody moved in, and {account.name} was asked for")


@pytest.fixture
def live(
    house: tuple[FastAPI, str], sqlite_database: Database, state_dir: Path, cli: Cli
) -> Iterator[Live]:
    app, url = house
    state_dir.mkdir(mode=0o700)
    logs.configure("error")
    stage = open_stage(sqlite_database)
    stage.add("search-api")
    stage.add("chat")
    stage.run(minutes=3)
    tokens.ensure_first_token(stage.database, stage.clock, state_dir)

    async def sleep(seconds: float) -> None:
        del seconds
        stage.run(seconds=30)

    app.state.context, app.state.sleep = stage.context, sleep
    yield Live(stage, cli, url)
    stage.context.providers.close()


class serving:  # noqa: N801 - reads as a statement
    """Serve an application on a free port while the block lasts."""

    def __init__(self, app: Any) -> None:
        config = uvicorn.Config(app, log_config=None, lifespan="off")
        self._server = uvicorn.Server(config)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = Thread(target=self._server.run, kwargs={"sockets": [self._socket]})

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __exit__(self, *exc: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()
