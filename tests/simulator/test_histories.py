"""Random histories of the whole service over both simulated clouds; see docs/simulator.md."""

from __future__ import annotations

import os
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import seed as seeded
from hypothesis.internal.conjecture.engine import ConjectureRunner
from hypothesis.stateful import run_state_machine_as_test

from tests.simulator import menu
from tests.simulator.floors import CHUNKS, HISTORIES
from tests.simulator.machine import Histories
from tests.simulator.tally import TALLY
from tests.simulator.theatre import Theatre

# Of twenty histories so many are of each cloud, or of both; those of SageMaker take longer.
SHARES = ("huggingface",) * 18 + ("sagemaker", "both")
EACH = HISTORIES // CHUNKS
MORE = 10  # chunks that are left to `make soak`
STEPS = 20
# In CI a failure is told as it was found; elsewhere it is made as short as possible.
PHASES = (Phase.generate,) if os.environ.get("CI") else (Phase.generate, Phase.shrink)
PLAYED = settings(
    max_examples=EACH,
    stateful_step_count=STEPS,
    deadline=None,
    database=None,
    derandomize=False,
    print_blob=True,
    report_multiple_bugs=False,
    phases=PHASES,
    suppress_health_check=list(HealthCheck),
)


def play(theatre: Theatre, seed: int, shares: tuple[str, ...], how: settings = PLAYED) -> None:
    """Play histories drawn from a seed, each over a cloud of `shares`."""
    found = {"flavours": shares, "open": staticmethod(theatre.open)}
    with patch.object(ConjectureRunner, "generate_mutations_from", _leave):
        run_state_machine_as_test(
            seeded(seed)(type("Histories", (Histories,), found)), settings=how
        )


def _leave(*_: object) -> None:
    """Hypothesis varies what it has just tried; of histories that makes much the same ones."""


@pytest.mark.parametrize(
    "number",
    [
        *range(CHUNKS),
        *(pytest.param(CHUNKS + number, marks=pytest.mark.soak) for number in range(MORE)),
    ],
)
def test_promises_hold_in_any_history(theatre: Theatre, number: int) -> None:
    play(theatre, number, SHARES)
    TALLY.add("chunks", "played")


def test_every_kind_of_fault_and_every_billing_switch_is_drawn() -> None:
    menu.check_known()
