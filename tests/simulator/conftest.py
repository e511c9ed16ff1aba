"""The simulator's fixtures, and its counters at the end of a run, summed over all workers."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulator.floors import ORDER, shortfalls
from tests.simulator.tally import TALLY, lines, load
from tests.simulator.theatre import Theatre

FOLDER = "SIMULATOR_FOLDER"


@pytest.fixture(scope="session")
def counters() -> Iterator[Path]:
    """Return the folder in which every worker leaves what it has counted."""
    yield Path(os.environ[FOLDER])
    TALLY.save(Path(os.environ[FOLDER]))


@pytest.fixture(scope="session")
def theatre(tmp_path_factory: pytest.TempPathFactory, counters: Path) -> Iterator[Theatre]:
    """Return where histories are played."""
    del counters
    with Theatre(tmp_path_factory.mktemp("theatre")) as made:
        yield made


def pytest_configure(config: pytest.Config) -> None:
    """Choose, before workers are started, the folder that they share."""
    if not hasattr(config, "workerinput"):
        folder = tempfile.TemporaryDirectory(prefix="simulator-")
        os.environ[FOLDER] = folder.name
        config.add_cleanup(folder.cleanup)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the counters."""
    if hasattr(config, "workerinput"):
        return
    whole = load(Path(os.environ[FOLDER]))
    if not whole.groups:
        return
    terminalreporter.section("simulated histories")
    for line in lines(whole, ORDER):
        terminalreporter.write_line(line)
    for text in shortfalls(whole):
        terminalreporter.write_line(f"short of its floor: {text}", red=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a whole run that played less than it promises."""
    if hasattr(session.config, "workerinput") or os.environ.get(FOLDER) is None:
        return
    whole = load(Path(os.environ[FOLDER]))
    if whole.number("chunks", "played") and shortfalls(whole) and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
