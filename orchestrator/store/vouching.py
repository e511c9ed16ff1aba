"""Until when what is stored of an endpoint is known to have held."""

from __future__ import annotations

from datetime import datetime


def vouched_until(whole: datetime | None, own: datetime, *, unsure: bool) -> datetime:
    """Return the later of its own last look and of the last one at its `whole` account.

    A listing vouches neither for what it does not show nor for what it does not tell (`unsure`):
    there it is its own last look.
    """
    return own if unsure or whole is None else max(own, whole)
