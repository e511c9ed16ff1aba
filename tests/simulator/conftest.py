"""The simulator's fixtures."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulator.counting import FOLDER
from tests.simulator.tally import TALLY
from tests.simulator.theatre import Theatre


@pytest.fixture(scope="session")
def counters() -> Iterator[Path]:
    """Return the folder in which every worker leaves what it has counted."""
    yield Path(os.environ[FOLDER])
    TALLY.save(Path(os.environ[FOLDER]))


@pytest.fixture(scope="module")  # what it patches is for histories alone
def theatre(tmp_path_factory: pytest.TempPathFactory, counters: Path) -> Iterator[Theatre]:
    """Return where histories are played."""
    del counters
    with Theatre(tmp_path_factory.mktemp("theatre")) as made:
        yield made
