"""Plays the steps of one history and checks the promises after each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from orchestrator.sandbox.world import World
from tests.simulator import menu
from tests.simulator.bystander import Bystander, Row
from tests.simulator.deaths import MortalDatabase
from tests.simulator.hands import Hands
from tests.simulator.lasting import LastingRequests
from tests.simulator.menu import Planned
from tests.simulator.person import Answer, Asked
from tests.simulator.places import SAGEMAKER, Cloud, Template
from tests.simulator.tally import TALLY
from tests.simulator.universe import Universe
from tests.simulator.watch_calls import CallWatch
from tests.simulator.watch_edges import check_edges
from tests.simulator.watch_money import check_bill
from tests.simulator.watch_rest import Rest
from tests.simulator.watch_rules import RuleWatch
from tests.simulator.watch_store import StoreWatch

# The whole bill is compared so often, and at rest.
BILL_EVERY = 8
OK, CONFLICT, UNPROCESSABLE = 200, 409, 422
# Points that every pass comes to.
ALWAYS_MET = ("call before", "call middle", "call after", "commit before", "commit after")
# From this step on, what has not come yet of the fault and the death is made to come soon.
HURRY = 14
_CLASSIC = "SELECT * FROM endpoint WHERE name = ? AND deleted_at IS NULL"
# The longest life, an extension of it, the notice, the grace and the notice before its end.
RIPE = timedelta(hours=8)


class History:
    """One history over one store and one world."""

    def __init__(
        self,
        template: Template,
        database: MortalDatabase,
        book: Bystander,
        world: World,
        rules: RuleWatch,
    ) -> None:
        self.clouds = template.clouds
        self.book, self.world, self.rules = book, world, rules
        self.calls = CallWatch(world, book)
        self.store = StoreWatch(book)
        self.universe = Universe(template, database, world, self.calls)
        self.calls.clock = self._wall
        self.calls.passes = lambda: self.universe.passes
        self.requests = LastingRequests(self.universe, self.clouds, book)
        self.hands = Hands(self.universe, self.calls.removed_by_hand)
        self.asked: list[tuple[Asked, Answer | None]] = []
        self.steps = 0
        self.heard = 0
        self.faults: list[Any] = []
        self.universe.reaper.touched = rules.touch
        self.store.check(heard=True)

    def cloud(self, place: int) -> Cloud:
        """Return one of the clouds of this history."""
        return self.clouds[place % len(self.clouds)]

    def _wall(self) -> datetime:
        return self.universe.true.now() + self.universe.wall.ahead

    def check(self) -> None:
        """Fail unless everything holds that holds at any time."""
        self.calls.check()
        self.store.check(heard=self.calls.delivered > self.heard)
        self.heard = self.calls.delivered
        self.rules.check()
        self.calls.updates.check(self.universe.true.now())
        if self.steps % BILL_EVERY == 0:
            check_bill(self.universe, self.clouds)

    def stepped(self) -> None:
        """End a step with its checks."""
        self.steps += 1
        if self.steps == HURRY:
            self._hurry()
        self.check()

    # Time

    def look(self) -> None:
        self.universe.nudged()

    def wait(self, span: timedelta, most: int) -> None:
        self.universe.run(span, most)

    def downtime(self, span: timedelta) -> None:
        TALLY.add("clock", "downtime")
        self.universe.let_pass(span.total_seconds())
        self.universe.start()
        self.universe.nudged()

    def set_clock(self, ahead: timedelta) -> None:
        universe = self.universe
        if universe.wall.ahead != ahead:
            TALLY.add("clock", "set forward" if ahead > universe.wall.ahead else "set back")
            universe.wrong += abs(universe.wall.ahead - ahead)
            universe.wall.ahead = ahead
        universe.step()

    # What goes wrong

    def fault(self, wanted: Planned) -> None:
        self.faults.append(
            self.world.faults.add(
                wanted.fault,
                method=wanted.method,
                path=wanted.path,
                count=wanted.count,
                nth=wanted.nth,
            )
        )

    def arm(self, point: str, number: int) -> None:
        self.universe.reaper.arm(point, number)
        self.universe.step()

    def plan_hand_over(self, number: int, *, flying: bool) -> None:
        """Another worker takes over at a call: before its permit is asked for, or after."""
        place = self.universe.wire if flying else self.universe.book
        place.arm(number, self.universe.hand_over)
        self.universe.nudged()
        place.disarm()

    def late(self, number: int, span: timedelta) -> None:
        """Let a change be answered by a time-out, and land when nobody waits for it any more."""
        self.universe.delay(number, span)
        self.universe.step()

    def meanwhile(self, call: int, act: Callable[[], None]) -> None:
        self.universe.wire.arm(call, act)
        self.universe.nudged()
        self.universe.wire.disarm()

    # Other hands

    def by_hand(self, place: int, which: int, verb: str, number: int) -> None:
        cloud = self.cloud(place)
        names = cloud.names
        self.universe.let_pass(1)  # not in the same instant: no time of change would tell of it
        if self.hands.act(cloud, names[which % len(names)], verb, number):
            self._see()

    def contradict(self, place: int, which: int) -> None:
        """Somebody undoes in the console what a schedule has done."""
        found = self._endpoint(place, which)
        if found is None or found[0] is SAGEMAKER:
            return
        self.universe.let_pass(2)
        if self.hands.undo(found[0], found[1], self.book):
            self.universe.step()

    def _see(self) -> None:
        """Look, undisturbed, at what nobody could have known."""
        self.world.faults.clear()
        self.universe.calm()
        for _ in range(2):
            self.universe.nudged()

    def invoke(self, place: int, which: int) -> None:
        cloud = self.cloud(place)
        self.hands.invoke(cloud, cloud.names[which % len(cloud.names)])
        self.universe.step()

    # People

    def send(self, asked: Asked | None) -> Answer | None:
        """Send a request; a refusal for the state of things is on record."""
        if asked is None:
            return None
        answer = self._ask(asked)
        self.asked.append((asked, answer))
        what = f"{asked.method} {asked.kind}"
        TALLY.add("requests", f"{what} {'died' if answer is None else answer.status}")
        if answer is not None:
            assert answer.status in (200, 201, 202, 204, 404, 409, 422, 503), (asked, answer)
            if answer.status == CONFLICT and asked.method != "GET":
                self._refusal_is_told(asked, answer)
        return answer

    def do(self, asked: Asked | None) -> None:
        """Send a request; the engine looks at once, or first at what comes next beside it."""
        self.send(asked)
        if len(self.asked) % 2:
            self.universe.step()

    def _ask(self, asked: Asked) -> Answer | None:
        before = self._wall()
        answer = self.universe.ask(asked)
        self.calls.deletions.hear(asked, answer, before)
        return answer

    def _refusal_is_told(self, asked: Asked, answer: Answer) -> None:
        told = self.book.rows("SELECT * FROM event ORDER BY id DESC LIMIT 1")[0]
        assert told["kind"] == "request.refused", (asked, answer, told)
        assert told["actor"], told

    def _endpoint(self, place: int, which: int) -> tuple[Cloud, Row] | None:
        cloud = self.cloud(place)
        row = self.requests.endpoint(cloud, which)
        return None if row is None else (cloud, row)

    def click(self, place: int, which: int, verb: str, hours: int) -> None:
        found = self._endpoint(place, which)
        if found is not None:
            self.send(self.requests.click(found[1], verb, hours))

    def on_endpoint(self, place: int, which: int, what: str, *given: Any, **named: Any) -> None:
        found = self._endpoint(place, which)
        if found is not None:
            self.do(getattr(self.requests, what)(found[1], *given, **named))

    def leave(self, *, again: bool) -> None:
        """Take the leave to stop an endpoint by deleting it, and give it over its card."""
        for row in self.book.rows(_CLASSIC, SAGEMAKER.managed[0]):
            if row["allow_recreate"]:
                self.do(self.requests.no_leave(row))
            card = self.send(self.requests.contract(row)) if again else None
            if card is not None and card.status == OK:
                self.do(self.requests.leave(row, card.body["digest"]))

    def undelete(self, place: int, which: int) -> None:
        """Call off a deletion that waits for its grace, where there is one."""
        waiting = self.book.rows("SELECT * FROM endpoint WHERE delete_after IS NOT NULL")
        found = self._endpoint(place, which)
        rows = waiting or ([found[1]] if found else [])
        if rows:
            self.do(self.requests.undelete(rows[which % len(rows)]))

    def on_managed(
        self, place: int, which: int, what: str, *given: Any, expiring: bool = False
    ) -> None:
        row = self.requests.managed(self.cloud(place), which, expiring=expiring)
        if row is not None:
            self.do(getattr(self.requests, what)(row, *given))

    def adopt(self, place: int, which: int) -> None:
        """Adopting changes nothing: the pass after it asks for nothing."""
        found = self._endpoint(place, which)
        if found is None:
            return
        answer = self.send(self.requests.adopt(found[1]))
        if answer is None or answer.status != 200 or found[1]["managed"]:
            return
        query = "SELECT count(*) FROM operation WHERE endpoint_id = ?"
        before = self.book.value(query, found[1]["id"])
        self.universe.nudged()
        assert self.book.value(query, found[1]["id"]) == before, "adopting changed something"
        self.check()

    def move(self, place: int, which: int, number: int) -> None:
        found = self._endpoint(place, which)
        if found is not None:
            self.do(self.requests.move(found[1], found[0], number))

    def create(self, place: int, number: int) -> None:
        self.do(self.requests.create(self.cloud(place), number))

    def take_back(self, what: str) -> None:
        self.do(getattr(self.requests, what)())

    def freeze(self, place: int | None) -> None:
        self.do(self.requests.freeze(None if place is None else self.cloud(place)))

    def thaw(self, place: int | None) -> None:
        self.do(self.requests.thaw(None if place is None else self.cloud(place)))

    def bulk(self, place: int, number: int, action: str) -> None:
        """Ask for a change of many: a rehearsal, which must change nothing, then with its word."""
        wanted = self.requests.bulk(self.cloud(place), number, action)
        if wanted is None:
            return
        events = self.book.value("SELECT count(*) FROM operation")
        rehearsed = self._ask(replace(wanted, query=(("dry_run", "true"),), key=""))
        assert self.book.value("SELECT count(*) FROM operation") == events, "a rehearsal acted"
        if rehearsed is not None and rehearsed.status == 200:
            body = {**wanted.body, "confirm": rehearsed.body["would"]["confirm"]}
            self.do(replace(wanted, body=body))

    def day_off(self, place: int, which: int, number: int, *, now: bool) -> None:
        """Say which days are off, and let a schedule heed it."""
        self.send(self.requests.calendar(number))
        self.on_endpoint(place, which, "days_off", number, now=now)

    def drop_rule(self, number: int) -> None:
        self.do(self.requests.drop_rule(number))

    def repeat(self, number: int, *, other: bool) -> None:
        """I6: the same key gives the same answer and does nothing more; another body is refused."""
        keyed = [pair for pair in self.asked if pair[0].key]
        if not keyed:
            return
        asked, first = keyed[-1 - number % len(keyed)]
        if other:
            changed = replace(asked, query=(*asked.query, ("dry_run", "false")))
            answer = self._ask(changed)
            if answer is not None and first is not None and first.status < CONFLICT - 9:
                assert answer.status == UNPROCESSABLE, (asked, first, answer)
                assert answer.code == "idempotency_conflict", (asked, first, answer)
        else:
            self._again(asked, first)

    def _again(self, asked: Asked, first: Answer | None) -> None:
        query = "SELECT count(*) FROM operation WHERE idempotency_key = ?"
        answer = self._ask(asked)
        most = 1 if not asked.path.endswith("/bulk") else len(asked.body["selector"]["ids"])
        assert self.book.value(query, asked.key) <= most, asked
        if answer is None or first is None or first.status >= CONFLICT - 9:
            return
        TALLY.add("keys", "same answer")
        assert answer.replayed, (asked, first, answer)
        assert (answer.status, answer.body) == (first.status, first.body), (asked, first, answer)

    # The end

    def end(self) -> None:
        """Let the faults and the death that a history must have happen, then come to rest."""
        try:
            self._force()
            self._rest()
            self._count()
        finally:
            self.universe.process.context.providers.close()
            self.universe.process.context.database.engine.dispose()

    def _hurry(self) -> None:
        seed, reaper = self.world.seed, self.universe.reaper
        if not self._struck():
            wanted = menu.EVERYWHERE[seed % len(menu.EVERYWHERE)]
            self.faults.append(self.world.faults.add(wanted, count=1))
        if not reaper.deaths:
            reaper.disarm()
            reaper.arm(ALWAYS_MET[seed % len(ALWAYS_MET)], 1)

    def _force(self) -> None:
        """Bring about, after the last step, the fault and the death that have not come yet."""
        reaper = self.universe.reaper
        missing = [("fault", self._struck), ("death", lambda: bool(reaper.deaths))]
        for what, come in missing:
            if not come():
                TALLY.add("after the last step", what)
                self._hurry()
                self.universe.look_until(come)
        self.check()

    def _struck(self) -> bool:
        return any(fault.fired for fault in self.faults)

    def _rest(self) -> None:
        universe = self.universe
        self.world.faults.clear()
        universe.calm()
        self.set_clock(timedelta(0))
        for cloud in self._frozen():
            self.send(self.requests.thaw(cloud))
        self._ripen()
        rest = Rest(universe, self.clouds, self.book)
        rest.reach()
        self.check()
        rest.check()
        rest.check_claims(self.calls.created)
        if not universe.wrong:
            check_edges(self.book)
            self.calls.ends.check_rest(self._wall())
        self.calls.ends.check_points()
        check_bill(universe, self.clouds)

    def _ripen(self) -> None:
        """Live on until what is to be deleted after it has expired is gone."""
        query = (
            "SELECT count(*) FROM endpoint WHERE managed AND deleted_at IS NULL"
            " AND json_extract(expiry, '$.grace_s') IS NOT NULL"
        )
        self.universe.ripen(RIPE, enough=lambda: not self.book.value(query))

    def _frozen(self) -> list[Cloud | None]:
        """Return what people have frozen: accounts, or everything (None)."""
        rows = self.book.rows("SELECT name FROM account WHERE frozen_at IS NOT NULL")
        names = {row["name"] for row in rows}
        found: list[Cloud | None] = [cloud for cloud in self.clouds if cloud.account in names]
        value = self.book.value("SELECT value FROM setting WHERE key = 'freeze'")
        return [*found, None] if value and value != "{}" else found

    def _count(self) -> None:
        assert self._struck(), "no fault struck"
        assert self.universe.reaper.deaths, "nobody died"
        TALLY.add("histories", "all")
        self.store.count()
        self.calls.ends.count()
        TALLY.add("steps", str(self.steps))
        for fault in self.faults:
            TALLY.add("faults", fault.fault.kind, fault.fired)
