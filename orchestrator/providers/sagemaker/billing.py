"""Which instances SageMaker bills, with bounds where its documents leave it open.

The one hard fact is of the API's text: "The endpoint must be deleted in order to stop incurring
charges". No document says per status when the meter runs, and reports contradict each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from orchestrator.domain.endpoints import NOT_BILLED, BilledReplicas


class Billing(StrEnum):
    """Whether instances in a state are billed; `unsure` widens the bounds instead of choosing."""

    BILLED = "billed"
    FREE = "free"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class BillingTerms:
    """What an account knows of its own bill about the states that no document of AWS settles."""

    creating: Billing = Billing.UNSURE
    failed: Billing = Billing.UNSURE
    deleting: Billing = Billing.UNSURE


@dataclass(frozen=True, slots=True)
class Instances:
    """Counts of instances over all variants, None where AWS did not tell.

    `pending` are those of a deployment under way beside the fleet that serves, 0 without one.
    `top` is the most that the endpoint may have by its configuration and scaling.
    """

    current: int | None
    desired: int | None
    top: int
    pending: int | None = 0
    pending_desired: int | None = 0

    @property
    def up(self) -> int:
        """Return the instances that are there, as far as is known."""
        return self.current or 0

    @property
    def most(self) -> int:
        """Return the most instances that can be there in a steady state."""
        told = [count for count in (self.current, self.desired) if count is not None]
        return max(told) if len(told) == 2 else max([self.top, *told])

    @property
    def least(self) -> int:
        """Return the fewest instances that are certainly there."""
        return 0 if self.desired is None else min(self.up, self.desired)


def billed_instances(
    cloud_state: str, counts: Instances, terms: BillingTerms | None = None
) -> BilledReplicas:
    """Return the billed instances; c = current, d = desired, p, q = the same of a deployment.

    | state | low | expected | high | why |
    |---|---|---|---|---|
    | Creating, unsure | 0 | c | max(c, d) | from CreateEndpoint or from InService: reports differ |
    | Creating, billed / free | max(c, d) / 0 | max(c, d) / 0 | max(c, d) / 0 | the account |
    | InService, OutOfService, SystemUpdating, UpdateRollbackFailed | min(c, d) | c | max(c, d) | \
billed until deleted; an instance being added or removed may count or not |
    | Updating, RollingBack | min(c, d) | c + p | max(c, d) + max(p, q) | a blue/green deployment \
runs both fleets |
    | Failed, unsure | 0 | c | max(c, d) | a failed create leaves none, a failed update the old |
    | Failed, billed / free | c / 0 | c / 0 | max(c, d) / 0 | the account |
    | Deleting, unsure | 0 | 0 | max(c, d) | a tail of minutes at most |
    | Deleting, billed / free | c / 0 | c / 0 | max(c, d) / 0 | the account |
    | unknown word | 0 | c + p | max(c, d, top) + max(p, q) | nothing can be excluded |

    A count that is missing widens the bounds to 0 and `top`, never less. An endpoint with
    inference components and no instance costs nothing.
    """
    terms = terms or BillingTerms()
    return _RULES.get(cloud_state, _anything)(counts, terms)


def beside(cloud_state: str, counts: Instances) -> BilledReplicas:
    """Return the instances of a deployment under way, as a part of `billed_instances`."""
    if _RULES.get(cloud_state, _anything) not in (_updating, _anything):
        return NOT_BILLED
    return BilledReplicas(0, counts.pending or 0, _most_beside(counts))


def _creating(counts: Instances, terms: BillingTerms) -> BilledReplicas:
    if terms.creating is Billing.FREE:
        return NOT_BILLED
    if terms.creating is Billing.BILLED:
        return BilledReplicas(counts.most, counts.most, counts.most)
    return BilledReplicas(0, counts.up, counts.most)


def _serving(counts: Instances, _: BillingTerms) -> BilledReplicas:
    if counts.current is None:
        return BilledReplicas(0, counts.most, counts.most)
    return BilledReplicas(counts.least, counts.up, counts.most)


def _updating(counts: Instances, _: BillingTerms) -> BilledReplicas:
    expected = counts.up + (counts.pending or 0)
    return BilledReplicas(counts.least, expected, counts.most + _most_beside(counts))


def _anything(counts: Instances, _: BillingTerms) -> BilledReplicas:
    expected = counts.up + (counts.pending or 0)
    return BilledReplicas(0, expected, max(counts.most, counts.top) + _most_beside(counts))


def _most_beside(counts: Instances) -> int:
    told = [count for count in (counts.pending, counts.pending_desired) if count is not None]
    return max(told) if len(told) == 2 else max([counts.top, *told])


def _failed(counts: Instances, terms: BillingTerms) -> BilledReplicas:
    return _left(counts, terms.failed, expected=counts.up)


def _deleting(counts: Instances, terms: BillingTerms) -> BilledReplicas:
    return _left(counts, terms.deleting, expected=0)


def _left(counts: Instances, billing: Billing, *, expected: int) -> BilledReplicas:
    if billing is Billing.FREE:
        return NOT_BILLED
    if billing is Billing.BILLED:
        return BilledReplicas(counts.up, counts.up, counts.most)
    return BilledReplicas(0, expected, counts.most)


_RULES: Mapping[str, Callable[[Instances, BillingTerms], BilledReplicas]] = {
    "Creating": _creating,
    "InService": _serving,
    "OutOfService": _serving,
    "SystemUpdating": _serving,
    "UpdateRollbackFailed": _serving,
    "Updating": _updating,
    "RollingBack": _updating,
    "Failed": _failed,
    "Deleting": _deleting,
}
