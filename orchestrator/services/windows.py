"""Weekly windows between their stored form and the domain's."""

from __future__ import annotations

from datetime import time
from typing import Any

from orchestrator.domain.schedules.model import Schedule as Windows
from orchestrator.domain.schedules.model import Window
from orchestrator.store.tables import Schedule


def windows_of(row: Schedule) -> Windows:
    """Return the windows of a stored schedule."""
    return Windows(
        row.timezone, tuple(window_from_json(item) for item in row.windows), row.drain_minutes
    )


def window_from_json(item: dict[str, Any]) -> Window:
    """Return a window from `{"days": [0..6], "start": "08:00", "end": …, "keep_running": …}`."""
    return Window(
        days=frozenset(item["days"]),
        start=time.fromisoformat(item["start"]),
        end=time.fromisoformat(item["end"]),
        keep_running=bool(item.get("keep_running", False)),
    )


def window_to_json(window: Window) -> dict[str, Any]:
    """Return the stored form of a window; days count from Monday, 0."""
    return {
        "days": sorted(window.days),
        "start": f"{window.start:%H:%M}",
        "end": f"{window.end:%H:%M}",
        "keep_running": window.keep_running,
    }
