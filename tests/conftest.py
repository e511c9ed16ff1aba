"""Fixtures for all tests: both databases with the migrated schema, a browser, no network."""

from __future__ import annotations

import logging
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import settings

from orchestrator.store import migrate
from orchestrator.store.database import Database
from tests.support.browser import find_browser
from tests.support.isolation import isolate
from tests.support.postgres import PostgresServer
from tests.support.sharing import (
    leave_what_is_loaded_alone,
    remember_user_agents,
    share_compiled_statements,
)
from tests.support.spreading import spread

# The plugins import them, so it is said before.
pytest.register_assert_rewrite(
    "tests.engine.plays", "tests.providers.conformance", "tests.providers.wire", "tests.simulator"
)
pytest_plugins = ["tests.support.no_skips", "tests.simulator.counting"]

FOLDER = "TEST_POSTGRES_FOLDER"
BOTH = ("sqlite", "postgres")

settings.register_profile("dev", deadline=None)
# The same examples at every run, so that a red build can be run again.
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


def pytest_configure(config: pytest.Config) -> None:
    """Choose, before workers are started, the folder of the one Postgres that they share."""
    if not hasattr(config, "workerinput"):
        server = PostgresServer.at_new_folder()
        os.environ[FOLDER] = str(server.folder)
        config.add_cleanup(server.stop)
        # Whoever ends the run, end it as Ctrl+C does, so that the server ends with it.
        signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let each of several workers begin with its share of what takes long."""
    told = getattr(config, "workerinput", None)
    if told is not None:
        items[:] = spread(items, lambda item: item.nodeid, told["workercount"])


def pytest_collection_finish() -> None:
    """Start the tests with nothing to look through that is not their own."""
    leave_what_is_loaded_alone()


@pytest.fixture(scope="session", autouse=True)
def _isolated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        isolate(patch, tmp_path_factory.mktemp("home"))
        share_compiled_statements(patch)
        remember_user_agents(patch)
        yield


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """Undo what a test configures of logging, as the command line does in this process."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    if root.handlers != handlers or root.level != level:
        root.handlers[:], root.level = handlers, level
        structlog.reset_defaults()


@pytest.fixture(scope="session")
def browser_path() -> Path:
    """Return a Chromium for Playwright's `executable_path`."""
    found = find_browser()
    if found is None:
        pytest.skip(
            "the dashboard's tests need a browser, which takes root to install here: "
            "install chromium (`make browser` does, as root); where CI is set this is a failure"
        )
    return found


@pytest.fixture(scope="session")
def postgres_server() -> PostgresServer:
    """Return the running server of this test run."""
    server = PostgresServer(Path(os.environ[FOLDER]))
    server.ensure_started()
    return server


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a SQLite file with the migrated schema, to be copied."""
    path = tmp_path_factory.mktemp("template") / "store.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_server: PostgresServer) -> str:
    """Return the name of a database with the migrated schema, to be copied."""
    name = postgres_server.create()
    _migrate(postgres_server.url(name))
    return name


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """Return the address of a fresh SQLite store with the migrated schema."""
    path = tmp_path / "store.db"
    shutil.copyfile(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def postgres_url(postgres_server: PostgresServer, postgres_template: str) -> Iterator[str]:
    """Return the address of a fresh Postgres store with the migrated schema."""
    with postgres_server.copy_of(postgres_template) as url:
        yield url


@pytest.fixture
def empty_postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """Return the address of a Postgres database without any table."""
    with postgres_server.copy_of("template0") as url:
        yield url


@pytest.fixture(params=BOTH)
def database_url(request: pytest.FixtureRequest) -> str:
    """Return the address of a fresh migrated store, on SQLite and on Postgres in turn."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture(params=BOTH)
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the address of a store without any table, on SQLite and on Postgres in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/empty.db"
    return str(request.getfixturevalue("empty_postgres_url"))


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """Return a fresh migrated store, on SQLite and on Postgres in turn."""
    yield from _opened(database_url)


@pytest.fixture
def sqlite_database(sqlite_url: str) -> Iterator[Database]:
    """Return a fresh migrated SQLite store."""
    yield from _opened(sqlite_url)


@pytest.fixture
def postgres_database(postgres_url: str) -> Iterator[Database]:
    """Return a fresh migrated Postgres store."""
    yield from _opened(postgres_url)


@pytest.fixture
def empty_database(empty_database_url: str) -> Iterator[Database]:
    """Return a store without any table, on SQLite and on Postgres in turn."""
    yield from _opened(empty_database_url)


def _opened(url: str) -> Iterator[Database]:
    database = Database(url, durable=False)  # no test cuts the power
    yield database
    database.dispose()


def _migrate(url: str) -> None:
    database = Database(url)
    migrate.upgrade(database)
    database.dispose()
