"""What the plan is given of each endpoint; quotas and use are read only where something starts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from orchestrator.domain.decide import Decision, Rule
from orchestrator.domain.endpoints import BilledReplicas
from orchestrator.domain.plan import STARTS, Limits, Wanted, needed
from orchestrator.domain.quotas import Limit, QuotaBook, quota_book
from orchestrator.domain.stagger import Quota, StartLimits
from orchestrator.domain.status import Status, Wish
from orchestrator.engine.observe import Pass
from orchestrator.providers.base import ProviderError
from orchestrator.services.rulebook import means_of
from orchestrator.services.storms import (
    USED_WITHIN,
    kept_replicas,
    paced_starts,
    with_use,
    zero_holds_quota,
)
from orchestrator.store import quotas, usage
from orchestrator.store.observation import ManagedRow
from orchestrator.store.tables import Operation

# The cloud is asked again for its quotas after so long, while something starts.
QUOTAS_FOR = timedelta(minutes=1)

Judged = tuple[ManagedRow, Decision]


class Wants:
    """Prepares one account's plan; keeps the cloud's quotas for a moment."""

    def __init__(self) -> None:
        self._read_at: datetime | None = None
        self._limits: list[Limit] = []

    def gather(
        self,
        work: Pass,
        judged: Sequence[Judged],
        burns: Mapping[str, int],
        active: Iterable[Operation],
        now: datetime,
    ) -> tuple[list[Wanted], Mapping[str, Quota]]:
        """Return what is wanted of each endpoint, and the quotas that starts have to fit into."""
        wanted = [_wanted(row, decision, burns.get(row.id)) for row, decision in judged]
        if not any(_kind(item) in STARTS for item in wanted):
            return wanted, {}
        ids = [item.endpoint_id for item in wanted]
        with work.context.database.read() as session:
            used = usage.totals(session, ids, now - USED_WITHIN, now)
            stored = quotas.limits(session, work.account.id)
            kept = kept_replicas(work.account)
            holders = quotas.holders(session, work.account.id, kept)
        zero_counts = zero_holds_quota(work.account)
        busy = list(active)
        limits = self._told(work, stored, now, moving=bool(busy))
        book = quota_book(limits, holders, zero_counts=zero_counts)
        starting = {op.endpoint_id for op in busy if _is_unsent_start(op)}
        full = [
            with_use(
                replace(item, starting=item.endpoint_id in starting),
                book,
                used.get(item.endpoint_id),
                now,
            )
            for item in wanted
        ]
        return full, _reserved(book, busy)

    def _told(self, work: Pass, stored: list[Limit], now: datetime, *, moving: bool) -> list[Limit]:
        """Return the limits, read anew where the cloud tells what is used and it may have moved."""
        if all(one.used is None for one in stored):
            return stored
        fresh = self._read_at is not None and now - self._read_at < QUOTAS_FOR
        if fresh and not moving:
            return self._limits
        try:
            offers = work.provider.hardware()
        except ProviderError:
            return stored  # not known now: what was told last, and the cloud itself refuses
        self._read_at = now
        self._limits = [
            Limit(o.hardware.key, o.quota_each or o.accelerators, o.quota_max, o.quota_used)
            for o in offers
        ]
        return self._limits


def paced(limits: Limits, work: Pass) -> Limits:
    """Return the limits with no more starts than the pace of the account's calls lets through."""
    report = work.context.providers.pacing_report()
    pace = paced_starts(StartLimits(limits.starts, limits.start_every), report, work.account)
    return replace(limits, starts=pace.per_pass, start_every=pace.every)


def _kind(item: Wanted) -> str | None:
    return needed(item.status, item.decision, item.billed)


def _wanted(row: ManagedRow, decision: Decision, burn: int | None) -> Wanted:
    return Wanted(
        endpoint_id=row.id,
        status=Status(row.status),
        billed=BilledReplicas(row.billed_low, row.billed_expected, row.billed_high),
        decision=decision,
        burn=burn,
        last_used_at=row.last_used_at,
        not_before=row.not_before,
        means=means_of(row),
        name=row.name,
        protected=row.protected,
        since=max(row.status_since, row.managed_since or row.status_since),
        gave_way=_gave_way(row, decision),
        gave_way_at=row.asleep_since if row.asleep_rule == Rule.QUOTA else None,
    )


def _gave_way(row: ManagedRow, decision: Decision) -> bool:
    """Tell whether it sleeps for another's sake, and nobody has asked for it since."""
    if row.asleep_rule != Rule.QUOTA or decision.wish is not Wish.AVAILABLE:
        return False
    asked_at, since = row.wish_at, row.asleep_since
    asked = asked_at is not None and since is not None and asked_at > since
    return not asked and decision.rule is not Rule.HOLD


def _is_unsent_start(operation: Operation) -> bool:
    return operation.status in ("pending", "running") and operation.kind in STARTS


def _reserved(book: QuotaBook, active: Iterable[Operation]) -> Mapping[str, Quota]:
    """Return the quotas less what starts will add that were written down and not sent yet."""
    found = dict(book.quotas)
    for operation in active:
        name, adds = book.added_by(operation.endpoint_id or "")
        if _is_unsent_start(operation) and name in found:
            found[name] = replace(found[name], used=found[name].used + adds)
    return found
