"""Recorded traffic of forty clients, which comes with the package, and smaller made-up ones."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

import numpy as np
import pytest

from orchestrator.domain.backtest.traffic import Fleet, Traffic, read_csv


@cache
def _recorded() -> Fleet:
    packed = files("orchestrator.sandbox").joinpath("data/llm-traffic-sample.csv.gz").read_bytes()
    return read_csv(gzip.decompress(packed).decode().splitlines())


@pytest.fixture
def recorded() -> Fleet:
    return _recorded()


@pytest.fixture
def client(recorded: Fleet) -> dict[str, Traffic]:
    return {one.name: one for one in recorded.endpoints}


def made(name: str, stretches: Sequence[tuple[int, int]], cv: float = 1.0) -> Traffic:
    """Traffic of ten-minute stretches, given as (seconds from the start, requests)."""
    count = len(stretches)
    return Traffic(
        name,
        np.array([start for start, _ in stretches], np.int64),
        np.array([requests for _, requests in stretches], np.int64),
        np.full(count, cv),
        np.full(count, 600.0),
        np.zeros(count, np.bool_),
    )
