"""Until when what is stored of an endpoint is known to have held."""

from __future__ import annotations

from datetime import datetime

from orchestrator.store.tables import Account, Endpoint


def vouched_until(whole: datetime | None, own: datetime, *, unsure: bool) -> datetime:
    """Return the later of its own last look and of the last one at its `whole` account.

    A listing vouches neither for what it does not show nor for what it does not tell (`unsure`):
    there it is its own last look.
    """
    return own if unsure or whole is None else max(own, whole)


def vouched_for(account: Account | None, endpoint: Endpoint) -> datetime:
    """Return until when an endpoint is known to be as stored; of a deleted one, its last look."""
    unsure = endpoint.missing_since is not None or endpoint.restless
    gone = endpoint.deleted_at is not None
    whole = None if account is None else account.confirmed_at
    return vouched_until(whole, endpoint.confirmed_at, unsure=unsure or gone)
