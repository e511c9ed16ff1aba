"""The real application behind a real server, and a browser that looks at it."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from orchestrator.api.app import create_app
from orchestrator.clock import ManualClock
from orchestrator.services.context import Context, ProviderPool
from orchestrator.settings import Settings
from orchestrator.store.database import Database
from tests.pages.fleet_seed import office
from tests.pages.visit import NOW, Dashboard
from tests.support.stage import Stage, open_stage

CHROMIUM_ARGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@pytest.fixture(scope="module")
def browser(browser_path: Path) -> Iterator[Browser]:
    """Return one browser for a file; its event loop must not run while other tests do."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=browser_path, args=CHROMIUM_ARGS)
        yield started
        started.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FastAPI, str]]:
    """Return the application, whose context each test replaces, and its address."""
    folder = tmp_path_factory.mktemp("server")
    settings = Settings(state_dir=folder)
    unused = Database(f"sqlite:///{folder}/unused.db")
    app = create_app(Context(unused, ManualClock(NOW), settings, no_clouds()), settings)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none")
        running = uvicorn.Server(config)
        thread = threading.Thread(target=running.run, args=([listener],), daemon=True)
        thread.start()
        yield app, f"http://127.0.0.1:{listener.getsockname()[1]}"
        running.should_exit = True
        thread.join(timeout=20)
    unused.dispose()


def no_clouds() -> ProviderPool:
    """Return a pool for tests in which no cloud is spoken to."""

    def refuse(account: object) -> None:
        raise AssertionError(f"no test of a page speaks to a cloud: {account}")

    return ProviderPool(refuse)  # type: ignore[arg-type] # it never returns


@pytest.fixture
def screen(browser: Browser, server: tuple[FastAPI, str]) -> Iterator[BrowserContext]:
    """Return a fresh browser profile, 1440 pixels wide, in the zone of Berlin."""
    size = {"width": 1440, "height": 900}
    context = browser.new_context(
        base_url=server[1],
        viewport=size,  # type: ignore[arg-type] # a plain dictionary serves
        timezone_id="Europe/Berlin",
        color_scheme="light",
    )
    context.set_default_timeout(15_000)
    yield context
    context.close()


@pytest.fixture
def dashboard(
    sqlite_database: Database, server: tuple[FastAPI, str], screen: BrowserContext
) -> Iterator[Dashboard]:
    """Return the dashboard over an empty store; its pages must not complain."""
    context = Context(sqlite_database, ManualClock(NOW), Settings(), no_clouds())
    made = Dashboard.open(context, server, screen)
    yield made
    made.check_quiet()


@pytest.fixture(scope="session")
def office_template(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store with a small fleet, to be copied."""
    path = tmp_path_factory.mktemp("office") / "store.db"
    shutil.copyfile(sqlite_template, path)
    database = Database(f"sqlite:///{path}")
    with database.write() as session:
        office(session, NOW)
    database.dispose()
    return path


@pytest.fixture
def fleet(
    office_template: Path, tmp_path: Path, server: tuple[FastAPI, str], screen: BrowserContext
) -> Iterator[Dashboard]:
    """Return the dashboard over a small fleet, with an admin signed in."""
    path = tmp_path / "office.db"
    shutil.copyfile(office_template, path)
    database = Database(f"sqlite:///{path}")
    context = Context(database, ManualClock(NOW), Settings(), no_clouds())
    made = Dashboard.open(context, server, screen)
    made.sign_in()
    yield made
    made.check_quiet()
    database.dispose()


@pytest.fixture
def stage(sqlite_database: Database) -> Stage:
    """Return a simulated cloud with one endpoint, adopted, and the engine over it."""
    staged = open_stage(sqlite_database)
    staged.add("chat")
    staged.run(minutes=10)
    staged.adopt("chat")
    staged.run(minutes=2)
    return staged


@pytest.fixture
def staged(
    stage: Stage, server: tuple[FastAPI, str], screen: BrowserContext
) -> Iterator[Dashboard]:
    """Return the dashboard over the simulated cloud, with an admin signed in."""
    made = Dashboard.open(stage.context, server, screen)
    made.sign_in()
    yield made
    made.check_quiet()
