"""What advice consists of: prices, what is expected of a week under a rule, and the rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from orchestrator.domain.backtest.days import REFUSED
from orchestrator.domain.backtest.forecast import priced
from orchestrator.domain.backtest.policies import Policy
from orchestrator.domain.backtest.traffic import Floats

# Without a price of its own a refused request counts as so much waiting, or as an hour awake where
# that is more: so that refusing it never pays where waking for it would do.
_REFUSED_AS_MINUTES = 1440


@dataclass(frozen=True, slots=True)
class Prices:
    """Nano-dollars: `hour` of being awake, `minute` of one request's waiting, a `refused` request.

    `hours` has the endpoints for which an hour costs something else. `refused` is by default
    a day of waiting or an hour of being awake, whichever is dearer.
    """

    hour: int
    minute: int
    hours: Mapping[str, int] = field(default_factory=dict)
    refused: int | None = None

    def of(self, endpoint: str) -> Prices:
        """Return the prices of one endpoint."""
        return replace(self, hour=self.hours.get(endpoint, self.hour), hours={})

    @property
    def worth(self) -> float:
        """Return how many hours of being awake a minute of waiting is worth."""
        return self.minute / self.hour

    @property
    def refusal(self) -> int:
        """Return what one refused request costs."""
        if self.refused is not None:
            return self.refused
        return max(_REFUSED_AS_MINUTES * self.minute, self.hour)

    def priced(self, figures: Floats) -> Floats:
        """Return hours of being awake that stand for costs, waiting and refused requests."""
        found: Floats = priced(figures, self.worth)
        return found + self.refusal / self.hour * figures[..., REFUSED]


@dataclass(frozen=True, slots=True)
class Range:
    """What is expected, and the interval in which it lies with 80 %."""

    low: float
    mean: float
    high: float


@dataclass(frozen=True, slots=True)
class Week:
    """The next week under a rule: hours, nano-dollars, starts that a request meets, and waiting.

    `certain` are the hours that it is awake whatever comes; `refused` requests meet it paused.
    """

    hours: Range
    cost: tuple[int, int, int]
    starts: Range
    waiting_minutes: float
    certain: float
    refused: float


@dataclass(frozen=True, slots=True)
class Advice:
    """The rule for one endpoint; `instead` is the best rule of the other sort.

    By `saved_hours` a week one of both is awake less than the other, and requests wait at most
    `reckoned_waiting` minutes, as was reckoned in the choice. `tested` is by how many hours a day
    learnt windows did better than `instead` on days left out. `no_zero` ones no request could wake.
    """

    endpoint: str
    policy: Policy
    week: Week
    instead: Policy
    saved_hours: float
    reckoned_waiting: float
    seen: bool
    tested: float | None = None
    no_zero: bool = False


@dataclass(frozen=True, slots=True)
class Fleetwide:
    """The advice for all endpoints, and what they cost together."""

    advice: tuple[Advice, ...]
    cost: tuple[int, int, int]
    starts: Range
