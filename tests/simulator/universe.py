"""One history's world: clouds, store, clocks, and the processes that live and die in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import httpx2

from orchestrator.clock import ManualClock
from orchestrator.engine.engine import Cadence, Engine
from orchestrator.sandbox.transport import InProcessTransport
from orchestrator.sandbox.world import World
from orchestrator.services.context import Context
from tests.simulator.deaths import MortalDatabase, Reaper, Watch, Wire
from tests.simulator.owners import Book
from tests.simulator.person import Answer, Asked, Person
from tests.simulator.places import CADENCE, SELDOM, Template, context_of
from tests.simulator.tally import TALLY
from tests.support.stage import Killed

# A pass that is due at once comes a second later, as a busy machine would have it.
SHORTEST_REST = timedelta(seconds=1)
# So long a driver waits for the answer to a change.
PATIENCE_S = 30.0
MOST_LOOKS = 20


class WallClock:
    """The clock of our machine: the true time, and by how much it is wrong."""

    def __init__(self, true: ManualClock, reaper: Reaper) -> None:
        self.true, self._reaper = true, reaper
        self.ahead = timedelta(0)

    def now(self) -> datetime:
        self._reaper.touched("the clock")
        return self.true.now() + self.ahead


@dataclass
class Process:
    """A service: API and engine with nothing in memory but what they have learned since."""

    context: Context
    engine: Engine


@dataclass
class Universe:
    """What a history is played in; `watch` sees every call to a cloud."""

    template: Template
    database: MortalDatabase
    world: World
    watch: Watch
    true: ManualClock = field(init=False)
    wall: WallClock = field(init=False)
    reaper: Reaper = field(init=False)
    wire: Wire = field(init=False)
    book: Book = field(init=False)
    process: Process = field(init=False)
    person: Person = field(init=False)
    passes: int = 0
    hand_overs: int = 0
    wrong: timedelta = timedelta(0)
    _landing: datetime | None = None
    _under_way: list[tuple[datetime, httpx2.Request]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.true = ManualClock(self.template.now)
        self.reaper = self.database.reaper
        self.wall = WallClock(self.true, self.reaper)
        inner = InProcessTransport(self.world, clock=self._cloud_now, sleep=self.let_pass)
        self.wire = Wire(inner, self.reaper, self.watch)
        self.book = Book()
        self.person = Person(self.template.secret)
        self.start()

    def start(self, cadence: Cadence = CADENCE) -> None:
        """Start a new process, which takes all accounts over."""
        context = context_of(self.database, self.wall, self.wire, self.let_pass)
        engine = Engine(context, cadence, claims=self.book.enter())
        context.nudge = engine.nudge
        self.process = Process(context, engine)

    def let_pass(self, seconds: float) -> None:
        """Let time pass; the clouds notice when they are next spoken to."""
        self.true.set(self.true.now() + timedelta(seconds=seconds))

    def _cloud_now(self) -> datetime:
        return self.true.now() if self._landing is None else self._landing

    def delay(self, number: int, span: timedelta) -> None:
        """Let the `number`-th change from now on have no answer, and its effect so much later."""

        def lose(request: httpx2.Request) -> None:
            self._under_way.append((self.true.now() + span, request))
            self.let_pass(PATIENCE_S)

        self.wire.delay(number, lose)

    def advance(self) -> None:
        """Let the clouds live until now; what is late lands at its instant."""
        now = self.true.now()
        due = [pair for pair in self._under_way if pair[0] <= now]
        self._under_way = [pair for pair in self._under_way if pair[0] > now]
        for at, request in due:
            self._landing = max(at, self.world.now)
            try:
                self.wire.land(request)
            finally:
                self._landing = None
            TALLY.add("late", "landed")
        self.world.advance_to(now)

    def step(self) -> datetime:
        """Let the engine do what is due; return when it wants to be called again."""
        while True:
            now = self.wall.now()
            try:
                self.advance()
                self.passes += 1
                return self.process.engine.step(now)
            except Killed:
                self.start()

    def nudged(self) -> datetime:
        """Let the engine make a pass of every account now."""
        self.process.engine.nudge()
        return self.step()

    def look_until(self, come: Callable[[], bool]) -> None:
        """Let the engine look again and again: after a throttling it waits before it calls."""
        for _ in range(MOST_LOOKS):
            self.nudged()
            if come():
                return
            self.let_pass(60)

    def run(self, span: timedelta, most: int, enough: Callable[[], bool] = lambda: False) -> None:
        """Let the engine work for a span of time, in `most` passes or fewer; then time is up.

        Once there is `enough`, it stops before that.
        """
        end = self.true.now() + span
        for _ in range(most):
            if enough():
                return
            if self.true.now() >= end:
                break
            next_at = self.step() - self.wall.ahead
            self.true.set(
                min(max(next_at, self.true.now() + SHORTEST_REST), max(end, self.true.now()))
            )
        self.true.set(max(end, self.true.now()))
        self.advance()

    def ripen(self, span: timedelta, enough: Callable[[], bool]) -> None:
        """Let a process that looks less often work until there is `enough`, then another one."""
        if not enough():
            self.start(SELDOM)
            self.run(span, most=30, enough=enough)
            self.start()

    def ask(self, asked: Asked) -> Answer | None:
        """Send a person's request; None when the process died over it."""
        try:
            return self.person.send(self.process.context, asked)
        except Killed:
            self.start()
            return None

    def hand_over(self) -> None:
        """Let another worker take everything and make a pass, whatever the old one is doing."""
        self.hand_overs += 1
        TALLY.add("hand-overs", "taken")
        self.start()
        self.nudged()

    def calm(self) -> None:
        """Let nobody die or take over any more, what is late land, and what starts come up."""
        if self._under_way:
            last = max(at for at, _ in self._under_way)
            self.true.set(max(self.true.now(), last))
        self.advance()
        for broken in (self.world.conditions, self.world.aws.core.conditions):
            broken.broken_starts.clear()
        self.reaper.disarm()
        self.wire.disarm()
        self.book.disarm()
