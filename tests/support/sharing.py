"""Work that a long process does once and tests would do anew, such as compiled statements."""

from __future__ import annotations

import gc
from functools import cache
from typing import Any

import pytest
from botocore import useragent
from sqlalchemy import Connection, Engine
from sqlalchemy.util import LRUCache
from sqlmodel import create_engine

CREATE_ENGINE = "orchestrator.store.database.create_engine"
STATEMENTS = 2_000
# How many new objects, and then how many rounds over them, make Python look for cycles.
ROUNDS = (20_000, 20, 20)


class PlainConnection(Connection):
    """A connection with no listeners but those of its engine: they are not looked up anew."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine, _has_events=False)
        self.dispatch = engine.dispatch


def share_compiled_statements(patch: pytest.MonkeyPatch) -> None:
    """Let all stores of one kind use the statements that one of them compiled."""
    first: dict[str, Engine] = {}
    compiled: LRUCache[Any, Any] = LRUCache(STATEMENTS)

    def made(*args: Any, **options: Any) -> Engine:
        engine = create_engine(*args, **options)
        known = first.setdefault(engine.dialect.name, engine)
        if known.dialect.server_version_info is None:  # it was never connected
            first[engine.dialect.name] = engine
        elif known is not engine:
            engine.dialect = known.dialect  # it is a part of what statements are found by
        vars(engine)["_connection_cls"] = PlainConnection
        engine.update_execution_options(compiled_cache=compiled)
        return engine

    patch.setattr(CREATE_ENGINE, made)


def remember_user_agents(patch: pytest.MonkeyPatch) -> None:
    """Clean each part of what botocore calls itself once; it does so anew for each call."""
    name = "sanitize_user_agent_string_component"
    patch.setattr(useragent, name, cache(getattr(useragent, name)))


def leave_what_is_loaded_alone() -> None:
    """Spare modules and collected tests, which stay to the end, from each search for cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*ROUNDS)
