"""Virtual time: the same calls give the same world, however time was cut."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.sandbox.fleet import demo_world
from orchestrator.sandbox.world import World
from tests.sandbox.scene import START, Scene


def _state(world: World) -> str:
    return json.dumps(world.snapshot(), sort_keys=True)


@settings(max_examples=15)
@given(st.lists(st.integers(0, 2 * 86_400_000), max_size=30), st.integers(0, 5))
def test_one_step_or_many_lead_to_the_same_world(steps: list[int], seed: int) -> None:
    walked, jumped = demo_world(START, seed=seed), demo_world(START, seed=seed)
    for step in sorted(steps):
        walked.advance_to(START + timedelta(milliseconds=step))
    for world in (walked, jumped):
        world.advance_to(START + timedelta(days=2))
    assert _state(walked) == _state(jumped)


def test_seeds_make_different_worlds() -> None:
    one, other = demo_world(START, seed=1), demo_world(START, seed=2)
    for world in (one, other):
        world.advance_to(START + timedelta(days=1))
    assert _state(one) != _state(other)


def test_time_does_not_go_back(scene: Scene) -> None:
    scene.add()
    scene.pass_time(hours=1)
    scene.world.advance_to(START)
    assert scene.world.now == START + timedelta(hours=1)


def test_a_datetime_without_a_zone_is_refused(scene: Scene) -> None:
    with pytest.raises(ValueError, match="time zone"):
        scene.world.advance_to(datetime(2026, 3, 2))  # noqa: DTZ001 - what is refused


def test_reading_changes_nothing(scene: Scene) -> None:
    scene.add(min_replica=0, timeout_minutes=15)
    before = _state(scene.world)
    for path in ("", "/chat-8b", "/chat-8b/replica"):
        assert scene.http.get(f"/v2/endpoint/acme{path}").status_code == 200
    assert _state(scene.world) == before
