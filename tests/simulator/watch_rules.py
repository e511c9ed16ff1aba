"""I4: what `decide` and `plan` were asked, they answer the same later, and they touch nothing."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from orchestrator.domain.decide import decide
from orchestrator.domain.plan import plan
from orchestrator.engine import deciding
from orchestrator.services import clicks
from tests.simulator.tally import TALLY

MOST = 400
# Of so many questions these are kept; a pass asks two or three, so that each has its turn.
ROUND, KEPT = 5, (0, 2)


class RuleWatch:
    """Records what the pure functions are asked in a step, and asks it again after the step.

    Of what they touch nothing escapes it; of the questions it keeps some, chosen by their number.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[Callable[..., Any], tuple[Any, ...], bytes, Any]] = []
        self.inside = False
        self.touched: list[str] = []
        self.number = 0

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with its questions and answers recorded."""

        def watched(*args: Any) -> Any:
            self.inside = True
            try:
                return function(*args)
            finally:
                self.inside = False

        def recorded(*args: Any) -> Any:
            self.number += 1
            if self.number % ROUND not in KEPT:
                return watched(*args)
            before = pickle.dumps(args)
            answer = watched(*args)
            if pickle.dumps(args) != before:
                self.touched.append(f"what {function.__name__} was given")
            if len(self.asked) < MOST:
                self.asked.append((function, args, before, answer))
            return answer

        return recorded

    def begin(self) -> None:
        """Watch another history."""
        self.asked.clear()
        self.number = 0

    def touch(self, what: str) -> None:
        """Note that the store, a cloud or the clock was used; rules may do none of it."""
        if self.inside:
            self.touched.append(what)

    def check(self) -> None:
        """Ask everything once more, from copies, in the opposite order."""
        assert not self.touched, f"a rule touched {self.touched}"
        TALLY.add("rules asked again", "all", len(self.asked))
        for function, _, given, answer in reversed(self.asked):
            again = function(*pickle.loads(given))  # noqa: S301 - our own bytes
            assert again == answer, (function.__name__, again, answer)
        self.asked.clear()


@contextmanager
def recorded() -> Iterator[RuleWatch]:
    """Yield a watch over the pure functions as the engine and the services use them."""
    watch = RuleWatch()
    with pytest.MonkeyPatch.context() as patch:
        for module in (deciding, clicks):
            patch.setattr(module, "decide", watch.wrap(decide))
        patch.setattr(deciding, "plan", watch.wrap(plan))
        yield watch
