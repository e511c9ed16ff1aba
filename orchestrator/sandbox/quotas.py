"""Accelerators in use against the limits of a namespace."""

from __future__ import annotations

from collections import Counter
from typing import Any

from orchestrator.sandbox.accounts import Accounts
from orchestrator.sandbox.catalog import Catalog, Hardware
from orchestrator.sandbox.endpoint import Endpoint, Spec
from orchestrator.sandbox.messages import ApiError
from orchestrator.sandbox.shelf import Shelf
from orchestrator.sandbox.switches import Switches

NO_LIMIT = 10_000


class Quotas:
    """Paused endpoints use nothing; all others, also those scaled to zero, use their share."""

    def __init__(
        self, accounts: Accounts, catalog: Catalog, shelf: Shelf, switches: Switches
    ) -> None:
        self._accounts = accounts
        self._catalog = catalog
        self._shelf = shelf
        self._switches = switches

    def require(
        self, namespace: str, spec: Spec, hardware: Hardware, endpoint: Endpoint | None = None
    ) -> None:
        """Raises ApiError if these settings do not fit beside all other endpoints."""
        limits = self._accounts.namespaces[namespace].quotas
        limit = None if limits is None else limits.get(hardware.instance_type)
        if limit is None:
            return
        others = sum(
            self._share(other.spec, other.target)
            for other in self._shelf.live(namespace)
            if other is not endpoint and _counts(other, hardware.instance_type)
        )
        wanted = self._share(spec, endpoint.target if endpoint else 1)
        if others + wanted > limit:
            text = f"Quota exceeded for {hardware.instance_type}: {others} of {limit} in use"
            raise ApiError(self._switches.no_quota_status, text)

    def used(self, namespace: str) -> Counter[str]:
        """Accelerators in use by instance type."""
        used: Counter[str] = Counter()
        for endpoint in self._shelf.live(namespace):
            kind = endpoint.spec["compute"]["instanceType"]
            if _counts(endpoint, kind):
                used[kind] += self._share(endpoint.spec, endpoint.target)
        return used

    def limit(self, namespace: str, instance_type: str) -> int:
        """The limit as the API shows it."""
        limits = self._accounts.namespaces[namespace].quotas or {}
        return limits.get(instance_type, NO_LIMIT)

    def listing(self, namespace: str) -> list[dict[str, Any]]:
        """The `vendors` of `GET /v2/provider/quotas/{namespace}`."""
        used = self.used(namespace)
        rows: dict[str, dict[str, dict[str, Any]]] = {}
        for offer in self._catalog.offers():
            kind = offer.instance_type
            rows.setdefault(offer.vendor, {})[kind] = {
                "instanceType": kind,
                "architecture": offer.architecture,
                "maxAccelerators": self.limit(namespace, kind),
                "usedAccelerators": used[kind],
            }
        return [{"name": name, "quotas": list(kinds.values())} for name, kinds in rows.items()]

    def _share(self, spec: Spec, target: int) -> int:
        scaling = spec["compute"]["scaling"]
        replicas = {
            "max": scaling["maxReplica"],
            "target": max(target, 1),
            "min": max(scaling["minReplica"], 1),
        }[self._switches.quota_counts]
        accelerators = self._catalog.offer(spec["compute"]["id"]).accelerators
        return int(replicas) * accelerators


def _counts(endpoint: Endpoint, instance_type: str) -> bool:
    same: bool = endpoint.spec["compute"]["instanceType"] == instance_type
    return same and endpoint.state != "paused"
