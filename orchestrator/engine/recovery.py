"""Find what an earlier store has paused by deletion: no listing shows it any more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import structlog
from sqlmodel import Session

from orchestrator.domain.endpoints import LeftBehind
from orchestrator.engine.apply import ENGINE, Sight, discover_all
from orchestrator.providers.base import Listing, Provider, ProviderError, RefusedError
from orchestrator.store import events, observation
from orchestrator.store.tables import Account

log = structlog.get_logger(__name__)


def read_left(
    provider: Provider, account: Account, listing: Listing
) -> Sequence[LeftBehind] | None:
    """At the first whole look at an account, find what an earlier store has paused by deletion.

    None: not asked, or asked in vain; another look asks again.
    """
    if account.recovered_at is not None or not listing.complete:
        return None
    try:
        return provider.left_behind()
    except RefusedError as error:
        log.warning("what was paused earlier may not be looked for", error=str(error))
        return ()
    except ProviderError as error:
        log.warning("what was paused earlier cannot be found", error=str(error))
        return None


def store_left(
    session: Session, account: Account, left: Sequence[LeftBehind] | None, at: datetime
) -> None:
    """Store them as paused and only observed; a resume needs that somebody adopts them."""
    if left is None:
        return
    account.recovered_at = at
    known = observation.known_endpoints(session, account.id)
    for one in left:
        if one.snapshot.name in known:
            continue
        row = discover_all(session, account, [Sight(one.snapshot, "", at, at)])[0].endpoint
        row.kept, row.kept_at, row.stop_sent_at = dict(one.document), at, at
        events.record(
            session,
            at=at,
            kind="endpoint.recovered",
            actor=ENGINE,
            message=f"{row.name} was paused by deletion before this store knew of it; it can be "
            "resumed with the configuration that was retained, without its scaling and tags",
            account_id=account.id,
            endpoint_id=row.id,
        )
    session.flush()
