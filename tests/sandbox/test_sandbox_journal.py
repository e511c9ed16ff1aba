"""What survives: snapshots, and the journal of a process that was killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.sandbox.fleet import demo_world
from orchestrator.sandbox.journal import Journal
from orchestrator.sandbox.messages import ApiError
from orchestrator.sandbox.payloads import endpoint_payload
from orchestrator.sandbox.record import replay
from orchestrator.sandbox.traffic import Traffic
from orchestrator.sandbox.world import World
from tests.sandbox.scene import START, Scene

_NAMES = st.sampled_from(["a", "b"])
_VERBS = st.sampled_from(["pause", "resume", "scale-to-zero", "delete"])
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.floats(0, 900)),
        st.tuples(st.just("create"), _NAMES),
        st.tuples(st.just("act"), st.tuples(_NAMES, _VERBS)),
        st.tuples(st.just("update"), _NAMES),
        st.tuples(st.just("call"), _NAMES),
        st.tuples(st.just("read"), st.none()),
        st.tuples(st.just("world"), st.integers(0, 7)),
    ),
    max_size=15,
)


def _take(scene: Scene, step: tuple[str, Any]) -> None:
    world = scene.world
    match step:
        case "wait", seconds:
            scene.pass_time(seconds=seconds)
        case "create", name:
            payload = endpoint_payload(name, min_replica=0, max_replica=2, timeout_minutes=10)
            scene.http.post("/v2/endpoint/acme", json=payload)
        case "act", (name, "delete"):
            scene.http.delete(f"/v2/endpoint/acme/{name}")
        case "act", (name, verb):
            scene.post(verb, name)
        case "update", name:
            scene.http.put(f"/v2/endpoint/acme/{name}", json={"model": {"task": "t"}})
        case "call", name:
            found = world.shelf.find("acme", name)
            if found:
                scene.http.post(f"{world.renderer.url(found)}/generate")
        case "read", _:
            scene.http.get("/v2/endpoint/acme")
        case "world", number:
            _disturb(world, number)


def _disturb(world: World, number: int) -> None:
    match number:
        case 0:
            world.exhaust_capacity("nvidia-l4", until=world.now + timedelta(minutes=7))
        case 1:
            world.restore_capacity("nvidia-l4")
        case 2:
            world.break_starts("acme", "a", "fail")
        case 3:
            world.set_price("aws-us-east-1-nvidia-l4-x1", Decimal("0.91"), at=world.now)
        case 4:
            world.skew_clock(timedelta(seconds=90))
        case 5:
            world.set_payment("acme", can_pay=False)
        case 6:
            world.set_payment("acme", can_pay=True)
        case 7:
            payload = endpoint_payload("c", min_replica=0, timeout_minutes=15)
            world.add_endpoint("acme", payload, traffic=Traffic.recorded("m-mid-098", seed=3))


def _state(world: World) -> str:
    return json.dumps(world.snapshot(), sort_keys=True)


@given(_STEPS)
def test_snapshot_restores_the_same_world(steps: list[tuple[str, Any]]) -> None:
    scene = Scene()
    for step in steps:
        with suppress(ApiError):
            _take(scene, step)
    copy = World.restore(json.loads(_state(scene.world)))
    assert _state(copy) == _state(scene.world)
    later = scene.world.now + timedelta(hours=5)
    copy.advance_to(later)
    scene.world.advance_to(later)
    assert _state(copy) == _state(scene.world)
    assert copy.bill("acme") == scene.world.bill("acme")


@given(_STEPS, st.data())
def test_journal_replays_to_the_same_world_wherever_it_was_cut(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, Any]], data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("journal") / "world.jsonl"
    scene = Scene()
    Journal(path).attach(scene.world)
    cut = data.draw(st.integers(0, len(steps)))
    for step in steps[:cut]:
        with suppress(ApiError):
            _take(scene, step)
    torn = data.draw(st.sampled_from(["", '{"at": 17', '{"at": 1, "op": "act", "args": [']))
    with path.open("a") as file:
        file.write(torn)
    copy = Journal(path).load()
    copy.advance_to(scene.world.now)
    assert _state(copy) == _state(scene.world)


_VICTIM = """
    import sys, time
    from datetime import UTC, datetime, timedelta
    from pathlib import Path
    from orchestrator.sandbox.fleet import demo_world
    from orchestrator.sandbox.journal import Journal

    world = demo_world(datetime(2026, 3, 2, tzinfo=UTC))
    journal = Journal(Path(sys.argv[1]))
    journal.attach(world)
    names = [found.name for found in world.shelf.live("acme")]
    for number, name in enumerate(names):
        world.advance_to(world.now + timedelta(minutes=11))
        if world.endpoint("acme", name).state == "running":
            world.act("acme", name, "pause", by="maria")
    journal.mark()
    print(world.instant, flush=True)
    time.sleep(600)
"""


def test_nothing_is_lost_when_the_process_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "world.jsonl"
    victim = subprocess.Popen(
        [sys.executable, "-c", dedent(_VICTIM), str(path)], stdout=subprocess.PIPE, text=True
    )
    with victim:
        assert victim.stdout is not None
        instant = int(victim.stdout.readline())
        victim.send_signal(signal.SIGKILL)
    world = Journal(path).load()
    assert world.instant == instant
    twin = demo_world(START)
    for name in [found.name for found in twin.shelf.live("acme")]:
        twin.advance_to(twin.now + timedelta(minutes=11))
        if twin.endpoint("acme", name).state == "running":
            twin.act("acme", name, "pause", by="maria")
    assert _state(world) == _state(twin)


class TestJournal:
    def test_goes_on_after_a_load(self, tmp_path: Path, scene: Scene) -> None:
        path = tmp_path / "world.jsonl"
        Journal(path).attach(scene.world)
        scene.add()
        second = Journal(path).load()
        second.act("acme", "chat-8b", "pause")
        assert Journal(path).load().endpoint("acme", "chat-8b").state == "paused"

    def test_writes_changes_that_were_made_and_no_others(
        self, tmp_path: Path, scene: Scene
    ) -> None:
        path = tmp_path / "world.jsonl"
        Journal(path).attach(scene.world)
        scene.add()
        scene.http.get("/v2/endpoint/acme")
        scene.post("resume")  # refused: it runs
        scene.post("pause", "nobody")
        scene.post("pause")
        lines = [json.loads(line) for line in path.read_text().splitlines()[1:]]
        assert [line["op"] for line in lines] == ["add_endpoint", "act"]

    def test_is_short_again_after_compact(self, tmp_path: Path, scene: Scene) -> None:
        path = tmp_path / "world.jsonl"
        journal = Journal(path)
        journal.attach(scene.world)
        scene.add()
        journal.compact()
        assert len(path.read_text().splitlines()) == 1
        assert Journal(path).load().endpoint("acme", "chat-8b").state == "running"

    def test_mark_keeps_the_time(self, tmp_path: Path, scene: Scene) -> None:
        path = tmp_path / "world.jsonl"
        journal = Journal(path)
        journal.attach(scene.world)
        scene.pass_time(days=2)
        journal.mark()
        assert Journal(path).load().now == START + timedelta(days=2)

    def test_of_nothing_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            Journal(tmp_path / "none").load()
        with pytest.raises(ValueError, match="no world"):
            Journal(tmp_path / "none").mark()


def test_replay_calls_nothing_but_recorded_changes(scene: Scene) -> None:
    with pytest.raises(ValueError, match="not a recorded change"):
        replay(scene.world, {"op": "snapshot", "args": [], "with": {}})


def test_a_snapshot_of_another_format_is_refused(scene: Scene) -> None:
    with pytest.raises(ValueError, match="format 99"):
        World.restore({**scene.world.snapshot(), "format": 99})
