"""What counts against a cloud's quotas, as far as is known. Pure.

Hugging Face counts accelerators by namespace and instance type, those of endpoints at zero too,
and does not say by which number of replicas: that is found out by what it says is used. AWS counts
instances by region and type, those of an update's second fleet too, and says only the limit: what
is used is added up from the instances that endpoints have or are asked to have.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from orchestrator.domain.stagger import Quota
from orchestrator.domain.status import Status

_NOT_COUNTED = frozenset({Status.PAUSED, Status.DELETED})
_COMING = frozenset({Status.PENDING, Status.INITIALIZING})


class Basis(StrEnum):
    """The number of replicas of an endpoint that a quota counts."""

    MOST = "most"
    TARGET = "target"
    LEAST = "least"


@dataclass(frozen=True, slots=True)
class Limit:
    """One row of a price list: what a replica takes of the quota, and what is told of it."""

    hardware_key: str
    each: int
    most: int | None
    used: int | None


@dataclass(frozen=True, slots=True)
class Holder:
    """An endpoint as far as quotas look at it.

    `billed_high` are the most replicas that it may have now. `starts_with` are those with which it
    is made again where it was deleted in order to pause it, None where that is not known. What is
    `absent` was deleted so and is not there yet.
    """

    id: str
    hardware_key: str
    status: str
    min_replicas: int | None
    max_replicas: int | None
    target_replicas: int | None
    billed_high: int = 0
    starts_with: int | None = None
    absent: bool = False


@dataclass(frozen=True, slots=True)
class QuotaBook:
    """The quotas of an account by name, what each endpoint takes of which, and what it holds."""

    quotas: Mapping[str, Quota]
    takes: Mapping[str, tuple[str, int]]
    holds: Mapping[str, int]

    def of(self, endpoint_id: str) -> tuple[str, int]:
        """Return the quota of an endpoint and what it takes; no name where none is known."""
        return self.takes.get(endpoint_id, ("", 0))

    def added_by(self, endpoint_id: str) -> tuple[str, int]:
        """Return the quota of an endpoint and what its start adds to what it holds already."""
        name, takes = self.of(endpoint_id)
        return name, max(takes - self.holds.get(endpoint_id, 0), 0)

    def freed_by(self, endpoint_id: str) -> tuple[str, int]:
        """Return the quota that a pause of an endpoint gives back, and how much; no name for 0."""
        held = self.holds.get(endpoint_id, 0)
        return (self.of(endpoint_id)[0], held) if held else ("", 0)


def quota_name(hardware_key: str) -> str:
    """Return what a quota is called: the vendor and the type of machine, of any size."""
    vendor, _, kind, _ = hardware_key.split("/")
    return f"{vendor}/{kind}"


def quota_book(
    limits: Sequence[Limit],
    holders: Sequence[Holder],
    *,
    zero_counts: bool,
    but: Collection[str] = (),
    stale: bool = False,
) -> QuotaBook:
    """Return the quotas with what is used of them now, without what the endpoints `but` hold.

    Where what was told of use is `stale`, it is what the endpoints hold.
    """
    known = {one.hardware_key: one for one in limits if one.most is not None}
    basis = _basis(known, holders, zero_counts=zero_counts, stale=stale)
    takes = {
        one.id: (quota_name(one.hardware_key), _units(one, known[one.hardware_key].each, basis))
        for one in holders
        if one.hardware_key in known
    }
    holds = {
        one.id: _holding(one, takes[one.id][1], known[one.hardware_key].each, zero_counts)
        for one in holders
        if one.id in takes
    }
    held = _sums(holds, takes)
    spared = _sums({key: units for key, units in holds.items() if key in but}, takes)
    quotas = {}
    for one in known.values():
        name, most = quota_name(one.hardware_key), one.most
        if most is not None and name in held:
            used = held[name] if one.used is None or stale else one.used
            quotas[name] = Quota(most, max(used - spared.get(name, 0), 0))
    return QuotaBook(quotas, takes, holds)


def counts(status: str, *, zero_counts: bool) -> bool:
    """Tell whether an endpoint of this status holds its quota."""
    return status not in _NOT_COUNTED and (zero_counts or status != Status.SCALED_TO_ZERO)


def _holding(holder: Holder, takes: int, each: int, zero_counts: bool) -> int:
    """Return what an endpoint holds: where zero is free, the replicas that are there or asked for.

    What failed holds nothing that is known, so that it keeps no start back.
    """
    if holder.absent:
        return 0
    if zero_counts:
        return takes if counts(holder.status, zero_counts=True) else 0
    if holder.status == Status.FAILED:
        return 0
    here = holder.billed_high * each
    there = counts(holder.status, zero_counts=False)
    if holder.status in _COMING or (holder.starts_with and there):
        return max(here, takes)  # what comes back gets its other instances once it serves
    if here:
        return here
    return takes if there else 0


def _sums(holds: Mapping[str, int], takes: Mapping[str, tuple[str, int]]) -> dict[str, int]:
    found: defaultdict[str, int] = defaultdict(int)
    for key, units in holds.items():
        found[takes[key][0]] += units
    return dict(found)


def _basis(
    known: Mapping[str, Limit], holders: Sequence[Holder], *, zero_counts: bool, stale: bool
) -> Basis:
    """Return the number of replicas by which the told use adds up; the most where none does."""
    told = {quota_name(key): one.used for key, one in known.items() if one.used is not None}
    if not told:
        return Basis.TARGET
    for basis in () if stale else Basis:
        sums: defaultdict[str, int] = defaultdict(int)
        for one in holders:
            limit = known.get(one.hardware_key)
            if limit is not None and counts(one.status, zero_counts=zero_counts):
                sums[quota_name(one.hardware_key)] += _units(one, limit.each, basis)
        if sums and all(told.get(name) == units for name, units in sums.items()):
            return basis
    return Basis.MOST


def _units(holder: Holder, each: int, basis: Basis) -> int:
    if basis is Basis.TARGET and (holder.starts_with or holder.billed_high):
        # Copies of a component are no instances: what is there says more than what was asked for.
        return max(holder.starts_with or holder.billed_high, 1) * each
    replicas = {
        Basis.MOST: holder.max_replicas,
        Basis.TARGET: holder.target_replicas or holder.min_replicas,
        Basis.LEAST: holder.min_replicas,
    }[basis]
    return max(replicas or 1, 1) * each
