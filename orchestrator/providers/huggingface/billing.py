"""Which replicas Hugging Face bills, with bounds where its documents leave it open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from orchestrator.domain.endpoints import NOT_BILLED, BilledReplicas, Rollout, Scaling
from orchestrator.domain.status import Status


class Billing(StrEnum):
    """Whether replicas in a state are billed; `unsure` widens the bounds instead of choosing."""

    BILLED = "billed"
    FREE = "free"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class BillingTerms:
    """What an account knows of its own bill about the states that the documents disagree on.

    The pricing page charges "while initializing and running", the FAQ only "running endpoints",
    so that initializing is unsure. Neither names pending or failed, so that these are free.
    """

    initializing: Billing = Billing.UNSURE
    pending: Billing = Billing.FREE
    failed: Billing = Billing.FREE


@dataclass(frozen=True, slots=True)
class _Counts:
    """Replicas as far as they are known: `floor` and `top` are the bounds of the scaling."""

    ready: int | None
    target: int | None
    floor: int
    top: int

    @property
    def up(self) -> int:
        return self.ready or 0

    @property
    def wanted(self) -> int:
        return self.target or 0

    @property
    def most(self) -> int:
        return max(self.up, self.wanted)

    @property
    def known(self) -> bool:
        return self.ready is not None and self.target is not None


def billed_replicas(
    status: Status,
    *,
    ready: int | None,
    target: int | None,
    scaling: Scaling | None,
    terms: BillingTerms,
) -> BilledReplicas:
    """Return the billed replicas of an endpoint; r = ready, t = target, M = max_replicas.

    | state | low | expected | high | why |
    |---|---|---|---|---|
    | running | min(r, t) | max(r, t), or r if starting is free | max(r, t) | pricing page: per \
replica while initializing and running; a replica being added or removed may count or not |
    | running, nothing known | 0 | max(1, min) | M | the state says that one replica is up |
    | initializing, unsure | 0 | max(r, t) | max(r, t), M if t is unknown | page against FAQ |
    | initializing, billed / free | max(r, t) / 0 | max(r, t) / r | as above / r | the account |
    | pending | 0 | r | r + t while r > 0 | not among the charged states; after an update old \
replicas may still serve |
    | updating | r | max(r, t) | r + t | a rolling update may run old and new: not documented |
    | updateFailed | min(r, t) | r | r + t | old replicas serve, failing ones may start anew |
    | failed | r | r | r | not operational; not among the charged states |
    | paused, scaledToZero | 0 | r | r | "cost nothing"; r > 0 are still stopping. t may stay \
above zero while paused, so it counts for nothing |
    | unknown word | 0 | r | r + max(r, t, M) | nothing can be excluded, not even an update |

    A count that is missing widens the bounds to 0 and M, never less.
    """
    return _RULES.get(status, _anything)(_counts(ready, target, scaling), terms)


def rollout_of(
    status: Status,
    billed: BilledReplicas,
    *,
    ready: int | None,
    target: int | None,
    scaling: Scaling | None,
) -> Rollout | None:
    """Return the new replicas of an update, as a part of `billed`; None where there is none.

    The settings that the cloud shows are already the new ones; what still serves it does not say.
    Under an unknown word the count that it tells may be of before an update.
    """
    if status not in _ROLLING:
        return None
    counts = _counts(ready, target, scaling)
    most = counts.top if target is None or status is Status.UNKNOWN else target
    expected = max(0, billed.expected - counts.up)
    high = min(billed.high, max(most, expected))
    return Rollout(BilledReplicas(0, expected, high)) if high else None


def _counts(ready: int | None, target: int | None, scaling: Scaling | None) -> _Counts:
    floor = max(1, scaling.min_replicas if scaling else 1)
    top = max(floor, scaling.max_replicas if scaling else 1, ready or 0, target or 0)
    return _Counts(ready, target, floor, top)


def _running(counts: _Counts, terms: BillingTerms) -> BilledReplicas:
    if not counts.most:
        return BilledReplicas(0, counts.floor, counts.top)
    expected = counts.up if terms.initializing is Billing.FREE else counts.most
    low = min(counts.up, counts.wanted)
    return BilledReplicas(low, expected, counts.most if counts.known else counts.top)


def _initializing(counts: _Counts, terms: BillingTerms) -> BilledReplicas:
    return _starting(counts, terms.initializing)


def _starting(counts: _Counts, billing: Billing) -> BilledReplicas:
    if billing is Billing.FREE:
        return BilledReplicas(0, counts.up, counts.up if counts.ready is not None else counts.top)
    expected = counts.most or counts.floor
    high = expected if counts.known and counts.wanted else counts.top
    return BilledReplicas(counts.most if billing is Billing.BILLED else 0, expected, high)


def _pending(counts: _Counts, terms: BillingTerms) -> BilledReplicas:
    if terms.pending is not Billing.FREE:
        return _starting(counts, terms.pending)
    return BilledReplicas(0, counts.up, 0 if counts.ready == 0 else _old_and_new(counts))


def _updating(counts: _Counts, terms: BillingTerms) -> BilledReplicas:
    expected = counts.up if terms.initializing is Billing.FREE else counts.most
    return BilledReplicas(counts.up, expected, _old_and_new(counts))


def _update_failed(counts: _Counts, _: BillingTerms) -> BilledReplicas:
    expected = counts.wanted if counts.ready is None else counts.up
    return BilledReplicas(min(counts.up, counts.wanted), expected, _old_and_new(counts))


def _old_and_new(counts: _Counts) -> int:
    old = counts.top if counts.ready is None else counts.ready
    new = counts.top if counts.target is None else counts.target
    return old + new or counts.top


def _failed(counts: _Counts, terms: BillingTerms) -> BilledReplicas:
    if terms.failed is Billing.FREE:
        return BilledReplicas(
            counts.up, counts.up, counts.top if counts.ready is None else counts.up
        )
    sure = counts.most if terms.failed is Billing.BILLED else counts.up
    return BilledReplicas(sure, sure, counts.most if counts.known else counts.top)


def _asleep(counts: _Counts, _: BillingTerms) -> BilledReplicas:
    if counts.ready == 0:
        return NOT_BILLED
    return BilledReplicas(0, counts.up, counts.up if counts.ready is not None else counts.top)


def _anything(counts: _Counts, _: BillingTerms) -> BilledReplicas:
    old = counts.top if counts.ready is None else counts.ready
    return BilledReplicas(0, counts.up, old + counts.top)


_ROLLING = frozenset({Status.UPDATING, Status.UPDATE_FAILED, Status.PENDING, Status.UNKNOWN})
_RULES: Mapping[Status, Callable[[_Counts, BillingTerms], BilledReplicas]] = {
    Status.RUNNING: _running,
    Status.INITIALIZING: _initializing,
    Status.PENDING: _pending,
    Status.UPDATING: _updating,
    Status.UPDATE_FAILED: _update_failed,
    Status.FAILED: _failed,
    Status.PAUSED: _asleep,
    Status.SCALED_TO_ZERO: _asleep,
}
