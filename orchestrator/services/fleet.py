"""Endpoints and their labels as selectors look at them, read once for many rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlmodel import Session

from orchestrator.store import endpoints
from orchestrator.store.tables import Endpoint, Label

_KEPT = "fleet"


@dataclass(slots=True)
class Fleet:
    """What a session sees of all endpoints; each part is read when it is first asked for."""

    session: Session
    _live: Sequence[Endpoint] | None = None
    _managed: Sequence[Endpoint] | None = None
    _labels: Mapping[str, Sequence[Label]] | None = field(default=None)

    def live(self) -> Sequence[Endpoint]:
        """Return every endpoint that was not deleted, by name."""
        if self._live is None:
            self._live = endpoints.all_live(self.session)
        return self._live

    def managed(self) -> Sequence[Endpoint]:
        """Return the managed ones, by name."""
        if self._managed is None:
            self._managed = endpoints.managed(self.session)
        return self._managed

    def labels(self) -> Mapping[str, Sequence[Label]]:
        """Return the labels of all, by endpoint."""
        if self._labels is None:
            self._labels = endpoints.all_labels(self.session)
        return self._labels


def of(session: Session) -> Fleet:
    """Return the endpoints: those that are kept for the session, or what is there now."""
    kept = session.info.get(_KEPT)
    return kept if isinstance(kept, Fleet) else Fleet(session)


@contextmanager
def kept(session: Session) -> Iterator[None]:
    """Read them once only until this ends; for work that changes no endpoint and no label."""
    session.info[_KEPT] = Fleet(session)
    try:
        yield
    finally:
        del session.info[_KEPT]
