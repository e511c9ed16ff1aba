"""What people analyse elsewhere: documented columns, a stable order, exact money, no secrets."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, Literal

from orchestrator.domain.money import amount_for, to_dollars
from orchestrator.store import exports
from orchestrator.store.database import Database
from orchestrator.store.exports import Row

Format = Literal["jsonl", "csv"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a file: its name, what it means, and how it is read from a row."""

    name: str
    meaning: str
    read: Callable[[Row, datetime], Any]


@dataclass(frozen=True, slots=True)
class Sheet:
    """One file of an export."""

    name: str
    table: str
    order: tuple[str, ...]
    columns: tuple[Column, ...]


def export(database: Database, folder: Path, form: Format, now: datetime) -> dict[str, int]:
    """Write one file for each sheet, all of one instant; return the number of rows by file.

    Files that only their owner may read; `folder` is made, and must be empty. Raises OSError.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    counts = {}
    with exports.snapshot(database) as connection:
        for sheet in SHEETS:
            file = f"{sheet.name}.{form}"
            with _new(folder / file) as out:
                found = exports.rows(connection, sheet.table, sheet.order)
                counts[file] = _write(out, sheet, found, form, now)
    return counts


@contextmanager
def _new(path: Path) -> Iterator[IO[str]]:
    number = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(number, "w", encoding="utf-8", newline="") as file:
        yield file


def _write(out: IO[str], sheet: Sheet, rows: Iterable[Row], form: Format, now: datetime) -> int:
    names = [column.name for column in sheet.columns]
    writer = csv.writer(out, lineterminator="\n")
    if form == "csv":
        writer.writerow(names)
    count = 0
    for row in rows:
        values = [_plain(column.read(row, now)) for column in sheet.columns]
        if form == "csv":
            writer.writerow([_cell(value) for value in values])
        else:
            out.write(json.dumps(dict(zip(names, values, strict=True))) + "\n")
        count += 1
    return count


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: instants as text in UTC, decimals as text, exactly."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return f"{value:f}" if isinstance(value, Decimal) else value


def _cell(value: Any) -> Any:
    """Return a value for CSV; a text that a spreadsheet would run as a formula is quoted."""
    if isinstance(value, dict | list):
        return json.dumps(value, sort_keys=True)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return value


def _as(name: str, meaning: str, field: str = "") -> Column:
    key = field or name
    return Column(name, meaning, lambda row, _: row[key])


def _usd(name: str, meaning: str, field: str) -> Column:
    def read(row: Row, _: datetime) -> Decimal | None:
        return None if row[field] is None else to_dollars(row[field])

    return Column(name, meaning, read)


def _seconds(row: Row, now: datetime) -> int:
    end = row["ended_at"] or now
    return max(int((end - row["started_at"]).total_seconds()), 0)


def _cost(field: str) -> Callable[[Row, datetime], int | None]:
    def read(row: Row, now: datetime) -> int | None:
        return None if row[field] is None else amount_for(row[field], _seconds(row, now))

    return read


def _dollars(read: Callable[[Row, datetime], int | None]) -> Callable[[Row, datetime], Any]:
    def dollars(row: Row, now: datetime) -> Decimal | None:
        nano = read(row, now)
        return None if nano is None else to_dollars(nano)

    return dollars


def _costs() -> Iterator[Column]:
    meanings: Mapping[str, str] = {
        "burn": "as expected",
        "burn_low": "at least",
        "burn_high": "at most",
    }
    for field, meaning in meanings.items():
        name = field.replace("burn", "cost")
        read = _cost(field)
        yield Column(f"{name}_nano", f"what the stretch cost, {meaning}, in nano-dollars", read)
        yield Column(f"{name}_usd", f"the same in dollars, exactly, {meaning}", _dollars(read))


_ID = _as("id", "opaque; ids of one kind sort by the time of their making")
_ACCOUNT = (_as("account_id", "id of the account"), _as("account", "its name"))
_ENDPOINT = (_as("endpoint_id", "id in endpoints"), _as("endpoint", "its name"))
_RULE = (
    _as("selector", "which endpoints it covers"),
    _as("shadow", "whether it only records what it would do"),
    _as("enabled", "whether it is in force"),
    _as("created_at", "when it was made"),
    _as("created_by", "by whom"),
    _as("updated_at", "when it was changed last"),
    _as("version", "how often it was saved"),
    _as("removed_at", "when it was removed; empty while it is there"),
)

SHEETS = (
    Sheet(
        "endpoints",
        "endpoint",
        ("id",),
        (
            _ID,
            *_ACCOUNT,
            _as("name", "its name in its cloud"),
            _as("generation", "counts endpoints of one name that followed each other"),
            _as("managed", "whether rules act on it"),
            _as("protected", "whether rules only propose"),
            _as("owner", "whom it belongs to"),
            _as("status", "what the cloud last said, in this service's words"),
            _as("cloud_state", "the cloud's own word"),
            _as("status_since", "since when"),
            _as("hardware", "what it runs on", "hardware_key"),
            _as("repository", "the model"),
            _as("min_replicas", "lower bound of scaling"),
            _as("max_replicas", "upper bound of scaling"),
            _as("first_seen_at", "when it was first seen"),
            _as("deleted_at", "when it was found to be gone; empty while it is there"),
            _as("cloud_created_at", "when it was made, by the cloud's account"),
            _as("cloud_created_by", "by whom"),
            _as("cloud_updated_at", "when it was changed last, by the cloud's account"),
            _as("cloud_updated_by", "by whom"),
            _as("last_used_at", "the last request that is known"),
            _as("wish", "what a person last asked for"),
            _as("wish_actor", "who"),
            _as("decided_wish", "what the rules want now"),
            _as("decided_rule", "which rule"),
            _as("decided_reason", "why"),
        ),
    ),
    Sheet(
        "labels",
        "label",
        ("endpoint_id", "key"),
        (
            *_ENDPOINT,
            _as("key", "ours, or cloud:* for a tag of the cloud"),
            _as("value", "its value"),
            _as("source", "ours or cloud"),
        ),
    ),
    Sheet(
        "operations",
        "operation",
        ("id",),
        (
            _ID,
            *_ACCOUNT,
            _as("endpoint_id", "id in endpoints; empty for a create that made none"),
            _as("endpoint_name", "name of the endpoint when it was asked for"),
            _as("kind", "pause, resume, scale_to_zero, create, update or delete"),
            _as("status", "pending, running, confirming, or how it ended"),
            _as("actor", "who asked"),
            _as("rule", "which rule, where no person asked"),
            _as("reason", "why"),
            _as("attempts", "how often it was begun"),
            _as("created_at", "when it was asked for"),
            _as("started_at", "when it was begun"),
            _as("accepted_at", "when the cloud accepted it"),
            _as("finished_at", "when it ended"),
            _as("outcome", "what came of it"),
        ),
    ),
    Sheet(
        "events",
        "event",
        ("id",),
        (
            _as("id", "counts up"),
            _as("at", "when it happened"),
            _as("kind", "what, in the past tense"),
            *_ACCOUNT,
            *_ENDPOINT,
            _as("operation_id", "id in operations, which may be kept for a shorter time"),
            _as("actor", "who, or which part of this service"),
            _as("message", "what happened, in words"),
            _as("data", "particulars, as JSON"),
        ),
    ),
    Sheet(
        "meter_intervals",
        "meter_interval",
        ("started_at", "id"),
        (
            _as("id", "counts up"),
            *_ACCOUNT,
            *_ENDPOINT,
            _as("started_at", "when the stretch began"),
            _as("ended_at", "when it ended; empty while it lasts"),
            Column("seconds", "its length, up to the export while it lasts", _seconds),
            _as("status", "status of the endpoint"),
            _as("evidence", "observed, transition or unobserved: how well it is known"),
            _as("component", "compute, or what is billed beside it"),
            _as("units", "of each replica: gigabytes of a disk, 1 for compute"),
            _as("hardware", "what is billed", "hardware_key"),
            _as("rate_id", "id in rates; empty where no price was known"),
            _as("replicas_low", "billed replicas times units, at least"),
            _as("replicas", "as expected"),
            _as("replicas_high", "at most"),
            _as("burn_nano", "nano-dollars per hour; empty where no price is known", "burn"),
            _usd("burn_usd", "the same in dollars, exactly", "burn"),
            *_costs(),
            _as("rounding_nano", "what a bill in whole units may differ, either way"),
            _as("cause", "which rule or person made it run or sleep"),
        ),
    ),
    Sheet(
        "usage",
        "usage_sample",
        ("endpoint_id", "start"),
        (
            *_ENDPOINT,
            _as("start", "when the stretch began: ten minutes, or more where nothing came"),
            _as("requests", "as many were counted or seen"),
            _as("covered_s", "seconds of the stretch that are known"),
            _as("last_request_at", "the last request known in it"),
            _as("source", "counts, last_use, or both"),
        ),
    ),
    Sheet(
        "rates",
        "rate",
        ("effective_at", "id"),
        (
            _ID,
            *_ACCOUNT,
            _as("hardware", "what it is the price of", "hardware_key"),
            _as("nano_per_hour", "nano-dollars per replica-hour"),
            _usd("usd_per_hour", "the same in dollars, exactly", "nano_per_hour"),
            _as("effective_at", "from when on"),
            _as("source", "who said so"),
        ),
    ),
    Sheet(
        "holds",
        "hold",
        ("id",),
        (
            _ID,
            *_ENDPOINT,
            _as("wish", "how it is kept"),
            _as("starts_at", "from when"),
            _as("until", "until when"),
            _as("ended_at", "when it was ended before its time"),
            _as("ended_by", "by whom"),
            _as("actor", "whose it is"),
            _as("source", "what made it, such as a click"),
            _as("reason", "why"),
            _as("cost_nano", "what it was expected to cost, in nano-dollars"),
            _usd("cost_usd", "the same in dollars, exactly", "cost_nano"),
        ),
    ),
    Sheet(
        "schedules",
        "schedule",
        ("id",),
        (
            _ID,
            _as("name", "its name"),
            _as("timezone", "the zone of its windows"),
            _as("windows", "when its endpoints are up, as JSON"),
            _as("points", "its cron points, as JSON"),
            _as("dates", "its days off, extra and replaced days, as JSON"),
            _as("calendars", "the calendars whose days are off, as JSON"),
            _as("drain_minutes", "how long a window's end waits for requests"),
            *_RULE,
        ),
    ),
    Sheet(
        "calendars",
        "calendar",
        ("id",),
        (
            _ID,
            _as("name", "its name"),
            _as("source", "where its days come from: holidays, icalendar or dates"),
            _as("parameters", "of which country, or how its file is read, as JSON"),
            _as("dates", "its days off with what they are called, as JSON"),
            _as("covers_from", "the first date that it knows of"),
            _as("covers_to", "the last date that it knows of"),
            _as("extends", "whether later years follow by themselves"),
            _as("made_with", "the library that told its days"),
            _as("created_at", "when it was made"),
            _as("created_by", "by whom"),
            _as("updated_at", "when it was changed last"),
            _as("version", "how often it was saved"),
            _as("removed_at", "when it was removed; empty while it is there"),
        ),
    ),
    Sheet(
        "policies",
        "idle_policy",
        ("id",),
        (
            _ID,
            _as("name", "its name"),
            _as("timeout_minutes", "how long an endpoint has to be idle"),
            _as("min_awake_minutes", "how long it is left awake at least"),
            _as("action", "what is done then"),
            _as("quiet_timezone", "the zone of its quiet hours; empty without any"),
            _as("quiet_windows", "when it does not act, as JSON"),
            *_RULE,
        ),
    ),
    Sheet(
        "expiry_policies",
        "expiry_policy",
        ("id",),
        (
            _ID,
            _as("name", "its name"),
            _as("default_ttl", "how long new endpoints live"),
            _as("max_ttl", "how far ahead an end may be set"),
            _as("max_extension", "how long one extension may be"),
            _as("max_extensions", "how often an end may be put off"),
            _as("warn_before", "how long before people are warned, as JSON"),
            _as("delete_grace", "after how long paused it is deleted"),
            _as("timezone", "the zone of working days"),
            _as("calendars", "the calendars whose days off are no working days, as JSON"),
            *(one for one in _RULE if one.name != "shadow"),
        ),
    ),
)


def columns_text() -> Iterator[str]:
    """Yield the columns of all files as Markdown, for the documentation."""
    for sheet in SHEETS:
        yield f"### {sheet.name}\n"
        yield "| Column | Meaning |\n|---|---|"
        yield from (f"| `{column.name}` | {column.meaning} |" for column in sheet.columns)
        yield ""
