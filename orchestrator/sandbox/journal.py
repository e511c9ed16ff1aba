"""Keeps a world on disk: a snapshot, then every change with its virtual instant.

The file is JSON lines. The first holds the snapshot; the others are written and flushed as the
changes happen, so what a killed process had answered is there. A last line that was cut short is
dropped: its change had not been answered.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from orchestrator.sandbox.instants import to_datetime
from orchestrator.sandbox.record import Operation, replay
from orchestrator.sandbox.world import World


class Journal:
    """One world in one file; `attach` or `load` first, `compact` now and then."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._world: World | None = None

    def attach(self, world: World) -> None:
        """Write a snapshot of the world, and from now on its changes."""
        self._world = world
        self.compact()
        world.on_change = self._append

    def load(self) -> World:
        """The world as it was, and keep writing; raises FileNotFoundError, ValueError."""
        first, *changes = _whole_lines(self.path)
        world = World.restore(first)
        for change in changes:
            world.advance_to(to_datetime(change["at"]))
            if "op" in change:
                replay(world, change)
        self.attach(world)
        return world

    def mark(self) -> None:
        """Write down how far virtual time has come, so that `load` comes at least as far."""
        self._append({})

    def compact(self) -> None:
        """Replace the file by a snapshot of the present."""
        world = self._attached()
        fresh = self.path.with_suffix(".new")
        with world.lock:
            fresh.write_text(json.dumps(world.snapshot()) + "\n", encoding="utf-8")
            fresh.replace(self.path)

    def _append(self, change: Operation) -> None:
        world = self._attached()
        with world.lock, self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"at": world.instant, **change}) + "\n")

    def _attached(self) -> World:
        if self._world is None:
            raise ValueError("the journal has no world yet")
        return self._world


def _whole_lines(path: Path) -> list[dict[str, Any]]:
    text = path.read_text(encoding="utf-8")
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
