"""Find what an earlier store has paused by deletion: no listing shows it any more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlmodel import Session

from orchestrator.domain.endpoints import LeftBehind
from orchestrator.engine.apply import ENGINE, Sight, discover_all
from orchestrator.providers.base import Listing, Provider, ProviderError, RefusedError
from orchestrator.store import events, observation
from orchestrator.store.tables import Account, Endpoint

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Left:
    """What was left behind; None where it was not asked, or asked in vain.

    `owed` says that it has to be asked again before anything is taken for deleted.
    """

    found: Sequence[LeftBehind] | None
    owed: bool = False


def read_left(
    provider: Provider, account: Account, listing: Listing, *, missed: bool = False
) -> Left:
    """Find what an earlier store, or a later state of this one, has paused by deletion.

    Asked at the first whole look at an account, after a restore, and when something is `missed`.
    """
    if not listing.complete or (account.recovered_at is not None and not missed):
        return Left(None)
    try:
        return Left(provider.left_behind())
    except RefusedError as error:
        log.warning("what was paused earlier may not be looked for", error=str(error))
        return Left(())
    except ProviderError as error:
        log.warning("what was paused earlier cannot be found", error=str(error))
        return Left(None, owed=True)


def store_left(session: Session, account: Account, left: Left, at: datetime) -> list[str]:
    """Store them as paused: new ones only observed, known ones as they were managed.

    Returns the names of those that this store knew, but not that we have paused them.
    """
    if left.found is None:
        return []
    account.recovered_at = at
    known = observation.known_endpoints(session, account.id)
    forgotten = []
    for one in left.found:
        held = known.get(one.snapshot.name)
        if held is None:
            row = discover_all(session, account, [Sight(one.snapshot, "", at, at)])[0].endpoint
            how = "before this store knew of it"
        elif held.stop_sent_at is None:
            row = session.get_one(Endpoint, held.id)
            how = "after all that this store knows of it"
            forgotten.append(row.name)
        else:
            continue
        row.kept, row.kept_at, row.stop_sent_at = dict(one.document), at, at
        session.add(row)
        events.record(
            session,
            at=at,
            kind="endpoint.recovered",
            actor=ENGINE,
            message=f"{row.name} was paused by deletion {how}; it can be resumed with the "
            "configuration that was retained, without its scaling and tags",
            account_id=account.id,
            endpoint_id=row.id,
        )
    session.flush()
    return forgotten
