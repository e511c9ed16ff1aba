"""What the sections of `doctor` share: the run, the store, and the accounts in it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from time import perf_counter

from orchestrator.cli import database
from orchestrator.cli.checks import Check, fail, ok, warn
from orchestrator.cli.doctor_clouds import Looked
from orchestrator.cli.errors import CliError, ExitCode
from orchestrator.cli.session import Session
from orchestrator.settings import Settings
from orchestrator.store import accounts, endpoints
from orchestrator.store.database import Database


@dataclass(frozen=True, slots=True)
class Opened:
    """The store as it was found: open where it can be used, with the check that says so."""

    store: Database | None
    check: Check
    absent: bool = False


class Exam:
    """One run of doctor. The store is looked at when the first section asks for it."""

    def __init__(self, run: Session, ends: ExitStack) -> None:
        self.run, self._ends = run, ends

    @property
    def settings(self) -> Settings:
        """Return the settings, which are known to be good."""
        return self.run.settings

    @property
    def now(self) -> datetime:
        """Return the instant of this clock."""
        return self.run.clock.now()

    @cached_property
    def opened(self) -> Opened:
        """Return the store, as far as it can be used."""
        began = perf_counter()
        try:
            state = database.check(self.settings)
            if state.present is None:
                check = warn("database", state.sentence, "`orchestrator serve` makes it")
                return Opened(None, check, absent=True)
            if not state.current:
                return Opened(None, fail("database", state.sentence, "orchestrator db upgrade"))
            store = self._ends.enter_context(database.opened(self.settings))
            told = f"{store.url_redacted}: {state.sentence}"
            return Opened(store, ok("database", told, since(began)))
        except CliError as error:
            return Opened(None, fail("database", str(error), error.remedy))

    @property
    def store(self) -> Database:
        """Return the store. Raises CliError where it cannot be used."""
        if self.opened.store is None:
            found = self.opened.check
            raise CliError(found.detail, ExitCode.FAILED, found.remedy)
        return self.opened.store

    @cached_property
    def looked(self) -> Sequence[Looked]:
        """Return the accounts of the store, each with its endpoints."""
        with self.store.read() as session:
            rows = endpoints.all_live(session)
            return [
                Looked(account, [row for row in rows if row.account_id == account.id], self.now)
                for account in accounts.live(session)
            ]


def since(began: float) -> int:
    """Return the milliseconds since an instant of `perf_counter`."""
    return round(1000 * (perf_counter() - began))
