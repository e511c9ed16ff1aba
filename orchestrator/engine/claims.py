"""Which accounts this process may work: all of them on SQLite, those it has claimed on Postgres."""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from orchestrator.providers.permit import NotPermittedError
from orchestrator.store.database import Database


def new_worker_id() -> str:
    """Return a name for this process that no other one has; Postgres keeps 63 characters."""
    host = socket.gethostname().encode("ascii", "replace").decode()[:30]
    return f"{host}:{os.getpid()}:{secrets.token_hex(4)}"


class Claim(Protocol):
    """The ownership of one account, for the length of one pass."""

    def check(self) -> None:
        """Raise NotPermittedError when no further call may be started for this account."""
        ...

    def fenced(self, database: Database) -> Database:
        """Return the store as this pass may use it: a write fails once the claim is lost."""
        ...

    def close(self) -> None:
        """Tell that the pass has ended, so that the account may be given back."""
        ...


class Claims(Protocol):
    """The claims of this process."""

    def of(self, account_ids: Sequence[str]) -> Collection[str]:
        """Return which of these accounts this process may work now."""
        ...

    def claim(self, account_id: str) -> Claim:
        """Return the claim of an account. Raises NotPermittedError when it is not ours."""
        ...

    def start(self, *, changed: Callable[[], None], nudged: Callable[[], None]) -> None:
        """Begin to claim; tell when accounts came or went, and when somebody nudged the engines."""
        ...

    def well(self) -> bool:
        """Tell whether claims can be had and kept: the store answers."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait between two calls; the end of this process ends it early."""
        ...

    def stop(self) -> None:
        """Let no further call begin; passes under way end at their next call."""
        ...

    def release(self) -> None:
        """Give everything back; the end of the process does so too, later."""
        ...


class SoleOwner:
    """All accounts belong to this process, because no other one can work on the store."""

    def __init__(self) -> None:
        self._stopping = threading.Event()

    def of(self, account_ids: Sequence[str]) -> Collection[str]:
        """Return all of them."""
        return () if self._stopping.is_set() else account_ids

    def claim(self, account_id: str) -> Claim:
        """Return a claim that ends only with this process."""
        del account_id
        return _SoleClaim(self._stopping)

    def start(self, *, changed: Callable[[], None], nudged: Callable[[], None]) -> None:
        """Nothing changes, and nobody else nudges."""

    def well(self) -> bool:
        """Nothing can be lost."""
        return True

    def sleep(self, seconds: float) -> None:
        """Wait, but not beyond the end of this process."""
        self._stopping.wait(seconds)

    def stop(self) -> None:
        """Let no further call begin."""
        self._stopping.set()

    def release(self) -> None:
        """Nothing is held that others could take."""


class _SoleClaim:
    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping

    def check(self) -> None:
        if self._stopping.is_set():
            raise NotPermittedError("this process is stopping")

    def fenced(self, database: Database) -> Database:
        return database

    def close(self) -> None:
        """Nothing waits for it."""
