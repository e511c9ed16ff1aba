"""What every command starts from: global options, settings, the client, and the output."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from functools import cached_property
from typing import TYPE_CHECKING, Any

import typer

from orchestrator.cli import formats
from orchestrator.cli.errors import CliError, ExitCode
from orchestrator.cli.output import Format, Output
from orchestrator.clock import Clock, SystemClock

if TYPE_CHECKING:
    from orchestrator.cli.client import ApiClient
    from orchestrator.settings import Settings


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a run takes from the world around it; tests give their own."""

    clock: Clock = field(default_factory=SystemClock)
    sleep: Callable[[float], None] = time.sleep


@dataclass
class Session:
    """One run of the command line; settings and connections are made at first use."""

    server: str | None = None
    form: Format = "table"
    quiet: bool = False
    utc: bool = False
    colour: bool = True
    around: Surroundings = field(default_factory=Surroundings)

    @property
    def clock(self) -> Clock:
        """Return the clock of this run."""
        return self.around.clock

    @cached_property
    def settings(self) -> Settings:
        """Return the settings. Raises CliError when they cannot be used."""
        from orchestrator import settings  # noqa: PLC0415 - keeps `--help` quick

        try:
            return settings.load().with_overrides(server_url=self.server)
        except settings.SettingsError as error:
            raise CliError("; ".join(error.problems), ExitCode.USAGE) from None

    @cached_property
    def api(self) -> ApiClient:
        """Return the client of the server, with the token that belongs to it."""
        from orchestrator.cli import client  # noqa: PLC0415 - keeps `--help` quick

        return client.ApiClient(self.settings.api_url, client.stored_token(self.settings))

    @cached_property
    def out(self) -> Output:
        """Return where results go."""
        return Output(self.form, self.quiet, self.zone, self.present, self.colour)

    def present(self) -> datetime:
        """Return the server's time, once it has answered, else this machine's."""
        told = self.api.server_time if "api" in self.__dict__ else None
        return told or self.clock.now()

    @property
    def zone(self) -> tzinfo | None:
        """Return the zone that instants are read and shown in; None is the local one."""
        return UTC if self.utc else None

    def instant(self, text: str | None) -> str | None:
        """Return what a person wrote as an instant for the API. Raises CliError."""
        moment = self.moment(text)
        return formats.rfc3339(moment) if moment else None

    def moment(self, text: str | None) -> datetime | None:
        """Return what a person wrote as an instant. Raises CliError."""
        try:
            return formats.parse_instant(text, self.clock.now(), self.zone) if text else None
        except ValueError as error:
            raise CliError(str(error), ExitCode.USAGE) from None

    def confirm(self, question: str, *, yes: bool, instead: str = "--yes") -> None:
        """Ask before a step that is hard to undo; without a terminal `instead` is needed."""
        if yes:
            return
        if not sys.stdin.isatty():
            raise CliError(f"{question} needs a yes", ExitCode.USAGE, f"add {instead}")
        if self.ask(f"{question} [y/N]").lower() not in ("y", "yes"):
            raise typer.Abort

    def ask(self, question: str) -> str:
        """Return what a person types; standard output stays free for results."""
        sys.stderr.write(f"{formats.plain(question)}: ")
        sys.stderr.flush()
        return sys.stdin.readline().strip()

    def close(self) -> None:
        """Release connections."""
        if "api" in self.__dict__:
            self.api.close()


def session(ctx: typer.Context) -> Session:
    """Return the run that a command belongs to."""
    found: Any = ctx.find_object(Session)
    if not isinstance(found, Session):
        raise TypeError("a command ran outside of the command line")
    return found
