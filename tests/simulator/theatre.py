"""Opens histories: one store file and one set of compiled statements for all of a process."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable
from contextlib import ExitStack
from functools import lru_cache
from hashlib import scrypt, sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio.to_thread
import pytest

from orchestrator.providers.sagemaker import session
from orchestrator.services import scheduling
from orchestrator.store import ids
from tests.simulator import menu
from tests.simulator.bystander import Bystander
from tests.simulator.deaths import MortalDatabase, Reaper
from tests.simulator.history import History
from tests.simulator.menu import Beginning
from tests.simulator.places import FLAVOURS, Template, build
from tests.simulator.shelf import Shelf
from tests.simulator.tally import TALLY
from tests.simulator.watch_rules import recorded

# Objects made between two searches for garbage; a history makes little that goes round in circles.
GARBAGE = 200_000


async def _here(work: Callable[..., Any], *args: Any, **_: object) -> Any:
    """Run a handler in the loop's own thread: one request is served at a time here."""
    return work(*args)


class Theatre:
    """Where histories are played, one after the other."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._templates: dict[str, Template] = {}
        self._store = folder / "history.db"
        self._database: MortalDatabase | None = None
        self._book: Bystander | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Theatre:
        self._rules = self._stack.enter_context(recorded())
        self._patch = self._stack.enter_context(pytest.MonkeyPatch.context())
        self._patch.setattr(anyio.to_thread, "run_sync", _here)
        self._patch.setattr(session, "Clients", Shelf().clients)
        changes = SimpleNamespace(scrypt=lru_cache(maxsize=None)(scrypt), sha256=sha256)
        self._patch.setattr("orchestrator.api.changes.hashlib", changes)
        # Remarks on schedules are words that change nothing; tests of their own hold them.
        self._patch.setattr(scheduling, "findings_beside", lambda *_: ())
        self._stack.callback(gc.set_threshold, *gc.get_threshold())
        gc.set_threshold(GARBAGE)
        gc.collect()
        gc.freeze()  # what is loaded by now stays, and need not be looked through again and again
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        self._close()

    def open(self, flavour: str, drawn: Beginning) -> History:
        """Return a new history; ids are drawn from its seed, so that it can be played again."""
        self._roll(0)
        template = self._template(flavour)
        self._roll(drawn.seed)
        self._rules.begin()
        database = self._fresh(template)
        for name in menu.in_force(drawn, template.clouds):
            TALLY.add("switches", name)
        TALLY.add("flavours", flavour)
        world = template.new_world(drawn.seed, drawn.switches, drawn.aws)
        self._book = Bystander(self._store)
        return History(template, database, self._book, world, self._rules)

    def _roll(self, seed: int) -> None:
        dice = random.Random(seed)
        self._patch.setattr(ids, "secrets", SimpleNamespace(randbits=dice.getrandbits))

    def _template(self, flavour: str) -> Template:
        if flavour not in self._templates:
            self._templates[flavour] = build(self._folder, FLAVOURS[flavour])
        return self._templates[flavour]

    def _fresh(self, template: Template) -> MortalDatabase:
        self._close()
        # A connection that a death left behind keeps the old file, not the new one of that name.
        for suffix in ("", "-wal", "-shm"):
            self._store.with_name(self._store.name + suffix).unlink(missing_ok=True)
        url = template.store_at(self._store)
        if self._database is None:
            self._database = MortalDatabase(url, Reaper())
        self._database.reaper = Reaper()
        return self._database

    def _close(self) -> None:
        if self._book is not None:
            self._book.close()
            self._book = None
        if self._database is not None:
            self._database.dispose()
