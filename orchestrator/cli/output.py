"""The one place that prints: tables for people, the API's JSON for programs, ids when quiet."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.cli import formats

if TYPE_CHECKING:
    from rich.console import Console

Format = Literal["table", "json"]
_WIDE = 500
_GAP = 2
_NARROWEST = 6


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: its heading and how to read it from an item of the API.

    `optional` ones give way on a narrow terminal; right-aligned ones, numbers, are never cut.
    """

    title: str
    read: Callable[[Any], str]
    right: bool = False
    style: Callable[[Any], str] | None = None
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Output:
    """Prints results to standard output, and notes to standard error.

    With `json` nothing but the API's answer reaches standard output.
    """

    form: Format
    quiet: bool
    zone: tzinfo | None
    now: Callable[[], datetime]
    colour: bool = True

    def items(
        self,
        payload: Any,
        columns: Sequence[Column],
        *,
        rows: Sequence[Any] | None = None,
        key: str = "id",
        empty: str = "nothing to show",
    ) -> None:
        """Print a list; `payload` is what the API answered, `rows` what the table shows of it."""
        shown: Sequence[Any] = payload["items"] if rows is None else rows
        if self.form == "json":
            self.json(payload)
        elif self.quiet:
            self.lines(str(row[key]) for row in shown)
        elif not shown:
            self.note(empty)
        else:
            self._table(columns, shown)

    def record(self, payload: Any, pairs: Iterable[tuple[str, str]], *, key: str = "id") -> None:
        """Print one object as `name  value` lines."""
        if self.form == "json":
            self.json(payload)
        elif self.quiet:
            self.lines([str(payload[key])])
        else:
            kept = [(name, value) for name, value in pairs if value not in ("", formats.NOTHING)]
            width = max((len(name) for name, _ in kept), default=0)
            self.lines(f"{name:<{width}}  {formats.plain(value)}" for name, value in kept)

    def json(self, payload: Any) -> None:
        """Print `payload` as JSON."""
        sys.stdout.write(json.dumps(payload, indent=2) + "\n")

    def lines(self, lines: Iterable[str]) -> None:
        """Print plain lines to standard output."""
        for line in lines:
            sys.stdout.write(line + "\n")

    def say(self, text: str) -> None:
        """Print a sentence for people; programs and quiet users do not see it."""
        if self.form == "table" and not self.quiet:
            self.lines([formats.plain(text)])

    def note(self, text: str) -> None:
        """Print a hint to standard error, unless quiet."""
        if not self.quiet:
            sys.stderr.write(formats.plain(text) + "\n")

    def warn(self, text: str) -> None:
        """Print a warning to standard error, always."""
        sys.stderr.write(f"warning: {formats.plain(text)}\n")

    def at(self, text: str | None) -> str:
        """Return an instant in the zone that the person chose."""
        return formats.instant(text, self.zone)

    def ago(self, text: str | None) -> str:
        """Return how long ago an instant was."""
        return formats.ago(text, self.now())

    def _table(self, columns: Sequence[Column], rows: Sequence[Any]) -> None:
        from rich.table import Table  # noqa: PLC0415 - loaded only where a table is drawn
        from rich.text import Text  # noqa: PLC0415 - as above

        console = self._console()
        filled = [_Filled(column, rows) for column in columns]
        shown = _fitting(filled, console.width)
        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, _GAP, 0, 0))
        for each in shown:
            table.add_column(
                each.column.title,
                justify="right" if each.column.right else "left",
                no_wrap=True,
                overflow="ellipsis",
                width=each.width,
            )
        for number in range(len(rows)):
            table.add_row(*(Text(each.cells[number], each.styles[number]) for each in shown))
        console.print(table)
        left_out = [each.column.title for each in filled if each not in shown]
        if left_out:
            self.note(f"no room for: {', '.join(left_out)}; all is in a wider window or -o json")

    def _console(self) -> Console:
        from rich.console import Console  # noqa: PLC0415 - loaded only where a table is drawn

        terminal = sys.stdout.isatty()
        colour = self.colour and terminal and "NO_COLOR" not in os.environ
        return Console(
            file=sys.stdout,
            width=None if terminal else _WIDE,
            no_color=not colour,
            color_system="auto" if colour else None,
            highlight=False,
            legacy_windows=False,
        )


class _Filled:
    """A column with its cells."""

    def __init__(self, column: Column, rows: Sequence[Any]) -> None:
        from rich.cells import cell_len  # noqa: PLC0415 - loaded only where a table is drawn

        self.column = column
        self.cells = [formats.plain(column.read(row)) for row in rows]
        self.styles = [column.style(row) if column.style else "" for row in rows]
        self.width = max(map(cell_len, (column.title, *self.cells)))


def _fitting(columns: Sequence[_Filled], room: int) -> list[_Filled]:
    """Return the columns for which there is room: optional ones go, the last first.

    If that is not enough, texts are cut, the longest first; numbers never are.
    """
    kept = list(columns)
    for each in reversed(columns):
        if _excess(kept, room) <= 0:
            break
        if each.column.optional:
            kept.remove(each)
    texts = [each for each in kept if not each.column.right]
    while _excess(kept, room) > 0:
        longest = max(texts, key=lambda each: each.width, default=None)
        if longest is None or longest.width <= _NARROWEST:
            break
        longest.width -= 1
    return kept


def _excess(columns: Sequence[_Filled], room: int) -> int:
    return sum(each.width + _GAP for each in columns) - _GAP - room


STATUS_STYLES = {
    "running": "green",
    "failed": "bold red",
    "update_failed": "bold red",
    "paused": "dim",
    "scaled_to_zero": "dim",
    "deleted": "dim",
    "succeeded": "green",
    "superseded": "dim",
    "cancelled": "dim",
}


def status_style(row: Any) -> str:
    """Return the colour of a row's status; the word itself always says it too."""
    return STATUS_STYLES.get(str(row.get("status")), "yellow")
