"""A schedule's edge acts once: whoever moves the endpoint after it is not moved back by it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from tests.simulator.bystander import Bystander, Row, instant

_MINUTE = timedelta(minutes=1)
# What lets a rule act again between two edges: it was saved, or what kept it back has ended.
_AGAIN_FOR_ALL = ("schedule.saved", "calendar.saved", "freeze.off")
_AGAIN = (
    "endpoint.adopted",
    "endpoint.undeleted",
    "endpoint.changed",
    "endpoint.expiry_set",
    "endpoint.expiry_extended",
    "endpoint.expiry_cleared",
    "endpoint.recreate_allowed",
)


def check_edges(book: Bystander) -> None:
    """Fail where one rule did the same twice without an edge, or anything new, between."""
    done: dict[tuple[str, str, str], list[Row]] = {}
    query = (
        "SELECT * FROM operation WHERE rule LIKE 'schedule:%' AND status = 'succeeded'"
        " ORDER BY (SELECT min(event.id) FROM event WHERE operation_id = operation.id)"
    )
    for row in book.rows(query):
        done.setdefault((row["endpoint_id"], row["rule"], row["kind"]), []).append(row)
    for (_, rule, _), rows in done.items():
        for first, second in pairwise(rows):
            since, until = instant(first["created_at"]), instant(second["created_at"])
            assert _edge_between(book, rule, since, until) or _news(book, first, second), (
                "an edge acted twice",
                first,
                second,
            )


def _edge_between(book: Bystander, rule: str, since: datetime, until: datetime) -> bool:
    found = book.rows("SELECT * FROM schedule WHERE id = ?", rule.partition(":")[2])[0]
    if instant(found["updated_at"]) > since:
        return True  # what its windows were then is not known any more
    zone = ZoneInfo(found["timezone"])
    edges = {window[end] for window in json.loads(found["windows"]) for end in ("start", "end")}
    drain = timedelta(minutes=found["drain_minutes"])
    at, late = since + _MINUTE - drain, 0
    while at <= until:
        if f"{at.astimezone(zone):%H:%M}" in edges:
            # Of the edges just before the first act one was its own; a drain made it wait.
            late += at <= since
            if at > since or late > 1:
                return True
        at += _MINUTE
    return False


def _news(book: Bystander, first: Row, second: Row) -> bool:
    own, of_all = (", ".join(f"'{kind}'" for kind in kinds) for kinds in (_AGAIN, _AGAIN_FOR_ALL))
    ids = "SELECT min(id) FROM event WHERE operation_id = ?"
    query = (
        f"SELECT count(*) FROM event WHERE (kind IN ({of_all})"  # noqa: S608 - fixed names
        f" OR (kind IN ({own}) AND endpoint_id = ?)) AND id > ({ids}) AND id < ({ids})"
    )
    held = (
        "SELECT count(*) FROM hold WHERE endpoint_id = ? AND starts_at <= ?"
        " AND coalesce(ended_at, until) >= ?"
    )
    owner = first["endpoint_id"]
    return bool(
        book.value(query, owner, first["id"], second["id"])
        or book.value(held, owner, second["created_at"], first["created_at"])
    )
