"""How long things take in the simulated SageMaker: seeded, in seconds.

Fitted to published observations of 2024 to 2026: a small endpoint is in service after 3 to 4
minutes, Llama 3 70B on ml.inf2.48xlarge after 30 to 40, an 8B model on ml.g6.2xlarge after 6 to 9;
an idle component gives up its instance 10 to 12 minutes after its last copy; a container that
crashes again and again was given up after 24 minutes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Protocol

from orchestrator.sandbox.aws.hardware import Instance
from orchestrator.sandbox.instants import between, draw

DEFAULT_HEALTH_TIMEOUT_S = 600
_BILLIONS = re.compile(r"(\d+(?:\.\d+)?)b\b", re.IGNORECASE)
_SECONDS_PER_GB = {"neuron": 12.0, "gpu": 10.0, "cpu": 6.0}
_REPOSITORY = ("HF_MODEL_ID", "SM_ON_MODEL", "SM_VLLM_MODEL", "OPTION_MODEL_ID")


class Started(Protocol):
    """What is started now and then: its number and how often are part of the draw."""

    number: int
    starts: int


def repository(environment: Mapping[str, Any]) -> str:
    """The model that a container's environment names, empty if none."""
    found = (str(environment[key]) for key in _REPOSITORY if environment.get(key))
    return next(found, "")


def model_gb(environment: Mapping[str, Any]) -> float:
    """Weights of the model: two bytes per parameter, read from the name of the repository."""
    found = _BILLIONS.search(repository(environment))
    return 2 * float(found.group(1)) if found else 0.5


class Timing:
    """Durations of one simulated cloud."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def boot(self, item: Started) -> float:
        """Until an instance is there: 60 to 110 seconds."""
        return self._span(item, "boot", 60, 110)

    def load(self, item: Started, machine: Instance, environment: Mapping[str, Any]) -> float:
        """From an instance to a container that passes its health check."""
        jitter = self._span(item, "load", 0.97, 1.2)
        return (110 + _SECONDS_PER_GB[machine.kind] * model_gb(environment)) * jitter

    def delete(self, item: Started) -> float:
        """From DeleteEndpoint until the endpoint is gone."""
        return self._span(item, "delete", 90, 240)

    def give_up(self, item: Started) -> float:
        """Until a container that crashes is given up, within its health check timeout."""
        return self._span(item, "give-up", 1260, 1500)

    def no_capacity(self, item: Started) -> float:
        """Until a request for instances without capacity fails."""
        return self._span(item, "capacity", 200, 480)

    def roll_back(self, item: Started) -> float:
        """RollingBack after an update that failed."""
        return self._span(item, "rollback", 60, 180)

    def shrink(self, item: Started) -> float:
        """Until a smaller number of instances is reached."""
        return self._span(item, "shrink", 60, 120)

    def release(self, item: Started) -> float:
        """Until instances that no component needs are released."""
        return self._span(item, "release", 560, 700)

    def place_copy(self, item: Started) -> float:
        """Until copies of a component are stopped."""
        return self._span(item, "copies", 20, 60)

    def alarm(self, item: Started) -> float:
        """From the first failed request to the alarm."""
        return self._span(item, "alarm", 60, 75)

    def react(self, item: Started) -> float:
        """From the alarm to the action of its scaling policy."""
        return self._span(item, "react", 25, 45)

    def _span(self, item: Started, purpose: str, low: float, high: float) -> float:
        return between(low, high, draw(self._seed, "aws", purpose, item.number, item.starts))
