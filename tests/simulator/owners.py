"""A scripted ownership of all accounts: at a chosen call another worker takes them over."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager

from sqlmodel import Session

from orchestrator.engine.claims import Claim, SoleOwner
from orchestrator.providers.permit import NotPermittedError
from orchestrator.store.database import Database

Hook = Callable[[], None]


class Book:
    """Who owns the accounts now: the worker with the highest epoch."""

    def __init__(self) -> None:
        self.epoch = 0
        self._armed: tuple[int, Hook] | None = None

    def enter(self) -> ScriptedClaims:
        """Return the claims of a new worker, which takes everything from the one before."""
        self.epoch += 1
        return ScriptedClaims(self, self.epoch)

    def arm(self, number: int, hook: Hook) -> None:
        """Let `hook` run when a claim is checked for the `number`-th time from now on."""
        self._armed = (number, hook)

    def disarm(self) -> None:
        """Let nobody take over."""
        self._armed = None

    def asked(self) -> None:
        """Count a check of a claim before a call."""
        if self._armed is None:
            return
        left, hook = self._armed
        self._armed = (left - 1, hook) if left > 1 else None
        if left == 1:
            hook()


class ScriptedClaims(SoleOwner):
    """The claims of one worker: all accounts, until another one takes them."""

    def __init__(self, book: Book, epoch: int) -> None:
        super().__init__()
        self._book, self._epoch = book, epoch

    def of(self, account_ids: Sequence[str]) -> Collection[str]:
        return account_ids if self._book.epoch == self._epoch else ()

    def claim(self, account_id: str) -> Claim:
        del account_id
        found = _ScriptedClaim(self._book, self._epoch)
        found.require()
        return found


class _ScriptedClaim:
    def __init__(self, book: Book, epoch: int) -> None:
        self._book, self._epoch = book, epoch

    def check(self) -> None:
        self._book.asked()
        self.require()

    def require(self) -> None:
        if self._book.epoch != self._epoch:
            raise NotPermittedError("another worker has taken the account")

    def fenced(self, database: Database) -> Database:
        return _Fenced(database, self.require)

    def close(self) -> None:
        """Nothing is held that others wait for."""


class _Fenced(Database):
    """The store as a claim lets it be used: what is written after its loss is rolled back."""

    def __init__(self, inner: Database, require: Hook) -> None:
        vars(self).update(vars(inner))
        self._inner, self._require = inner, require

    @contextmanager
    def write(self) -> Iterator[Session]:
        with self._inner.write() as session:
            self._require()
            yield session
