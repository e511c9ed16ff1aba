"""The price list of `GET /v2/provider` and its history.

Prices are those of the page `support/pricing` of the Inference Endpoints documentation, 2026-05.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from typing import Any

NANO = 1_000_000_000

# vendor | regions | instance type | architecture | status | GB per accelerator | size:price ...
_TABLE = """
aws   | us-east-1 eu-west-1 | intel-spr   | Intel Sapphire Rapids | available |
      | x1:.033 x2:.067 x4:.134 x8:.268 x16:.536
azure | eastus    | intel-xeon  | Intel Xeon | available | | x1:.06 x2:.12 x4:.24 x8:.48
gcp   | us-east4  | intel-spr   | Intel Sapphire Rapids | available | | x1:.05 x2:.1 x4:.2 x8:.4
aws   | us-east-1 eu-west-1 | intel-icl   | Intel Ice Lake | deprecated |
      | x1:.032 x2:.064 x4:.128 x8:.256
aws   | us-east-1 | nvidia-t4   | Nvidia T4   | available  | 14  | x1:.5 x4:3
aws   | us-east-1 eu-west-1 | nvidia-l4   | Nvidia L4   | available  | 24  | x1:.8 x4:3.8
aws   | us-east-1 eu-west-1 | nvidia-a10g | Nvidia A10G | available  | 24  | x1:1 x4:5
aws   | us-east-1 | nvidia-l40s | Nvidia L40S | available  | 48  | x1:1.8 x4:8.3 x8:23.5
aws   | us-east-1 | nvidia-a100 | Nvidia A100 | available  | 80  | x1:2.5 x2:5 x4:10 x8:20
aws   | us-east-1 | nvidia-h100 | Nvidia H100 | deprecated | 80  | x1:4.5 x2:9 x4:18 x8:36
aws   | us-west-2 | nvidia-h200 | Nvidia H200 | low_availability | 141 | x1:5 x2:10 x4:20 x8:40
aws   | us-east-1 | nvidia-b200 | Nvidia B200 | deprecated | 256 | x1:9.25 x2:18.5 x4:37 x8:74
aws   | us-east-2 | nvidia-rtx-pro-6000 | Nvidia RTX PRO 6000 | available | 96 | x1:2.75
gcp   | us-east4  | nvidia-t4   | Nvidia T4   | available  | 16  | x1:.5
gcp   | us-east4  | nvidia-l4   | Nvidia L4   | available  | 24  | x1:.7 x4:3.8
gcp   | us-east4  | nvidia-a100 | Nvidia A100 | reserved   | 80  | x1:3.6 x2:7.2 x4:14.4 x8:28.8
gcp   | us-east4  | nvidia-h100 | Nvidia H100 | not_available | 80 | x1:10 x2:20 x4:40 x8:80
aws   | us-east-1 | inf2        | AWS Inferentia2 | available | 32 | x1:.75 x12:12
"""


@dataclass(frozen=True, slots=True)
class Hardware:
    """One offer: `price` is USD per replica-hour, memory in GB; `status` is an open word."""

    vendor: str
    region: str
    accelerator: str
    instance_type: str
    size: str
    price: Decimal
    accelerators: int
    cpus: int | None
    memory_gb: float
    gpu_memory_gb: int | None
    architecture: str
    status: str

    @property
    def id(self) -> str:
        """`{vendor}-{region}-{instanceType}-{instanceSize}`."""
        return f"{self.vendor}-{self.region}-{self.instance_type}-{self.size}"

    @property
    def sku(self) -> str:
        """The product of a bill line; it names no region."""
        return f"endpoints/{self.vendor}/{self.instance_type}/{self.size}"


def price_list() -> Iterator[Hardware]:
    """Every offer of the price list, at its first price."""
    for row in _TABLE.replace("\n      |", "|").strip().splitlines():
        cells = [cell.strip() for cell in row.split("|")]
        for region in cells[1].split():
            for size in cells[6].split():
                yield _offer(cells, region, size)


def _offer(cells: list[str], region: str, sized: str) -> Hardware:
    vendor, _, kind, architecture, status, memory, _ = cells
    size, _, price = sized.partition(":")
    units = int(size.removeprefix("x"))
    cpu, neuron = kind.startswith("intel"), kind == "inf2"
    gpu_ram, neuron_ram = 30.0 * units, 14.5 if units == 1 else 760.0
    return Hardware(
        vendor=vendor,
        region=region,
        accelerator="cpu" if cpu else "neuron" if neuron else "gpu",
        instance_type=kind,
        size=size,
        price=Decimal(price),
        accelerators=1 if cpu else units,
        cpus=units if cpu else None if neuron else 7 * units,
        memory_gb=2.0 * units if cpu else neuron_ram if neuron else gpu_ram,
        gpu_memory_gb=None if cpu else int(memory) * units,
        architecture=architecture,
        status=status,
    )


class Catalog:
    """The offers, the instants at which their prices changed, and their present status."""

    def __init__(self) -> None:
        self._offers = {offer.id: offer for offer in price_list()}
        self._prices: dict[str, list[tuple[int, Decimal]]] = {}
        self._statuses: dict[str, str] = {}

    def find(self, vendor: str, region: str, instance_type: str, size: str) -> Hardware | None:
        """The offer, or None if the cloud has no such instance there."""
        return self._offers.get(f"{vendor}-{region}-{instance_type}-{size}")

    def offer(self, hardware_id: str) -> Hardware:
        """The offer with this id; raises KeyError."""
        return self._offers[hardware_id]

    def offers(self) -> list[Hardware]:
        """Every offer, at its first price."""
        return list(self._offers.values())

    def status(self, hardware_id: str) -> str:
        """The availability word shown for an offer."""
        return self._statuses.get(hardware_id) or self._offers[hardware_id].status

    def set_status(self, hardware_id: str, status: str) -> None:
        """Change the availability word of an offer; raises KeyError."""
        self._statuses[self.offer(hardware_id).id] = status

    def set_price(self, hardware_id: str, price: Decimal, at: int) -> None:
        """From the instant `at` on, this offer costs `price` USD per hour; raises KeyError."""
        insort(self._prices.setdefault(self.offer(hardware_id).id, []), (at, price))

    def price_at(self, hardware_id: str, at: int) -> Decimal:
        """USD per replica-hour at an instant."""
        changes = self._prices.get(hardware_id, [])
        after = bisect_right(changes, at, key=lambda change: change[0])
        return changes[after - 1][1] if after else self._offers[hardware_id].price

    def price_changes(self, hardware_id: str, start: int, end: int) -> list[int]:
        """The instants within (start, end) at which the price of an offer changes."""
        return sorted({at for at, _ in self._prices.get(hardware_id, []) if start < at < end})

    def vendors(self, at: int, quota: Callable[[Hardware], dict[str, int]]) -> list[dict[str, Any]]:
        """The `vendors` list of `GET /v2/provider[/{namespace}]`."""
        offers = sorted(self._offers.values(), key=lambda offer: (offer.vendor, offer.region))
        return [
            {"name": vendor, "status": "available", "regions": self._regions(list(rows), at, quota)}
            for vendor, rows in groupby(offers, key=lambda offer: offer.vendor)
        ]

    def _regions(
        self, offers: list[Hardware], at: int, quota: Callable[[Hardware], dict[str, int]]
    ) -> list[dict[str, Any]]:
        return [
            {
                "name": region,
                "label": _LABELS.get(region, region),
                "status": "available",
                "computes": [self._compute(offer, at, quota(offer)) for offer in rows],
            }
            for region, rows in groupby(offers, key=lambda offer: offer.region)
        ]

    def _compute(self, offer: Hardware, at: int, quota: dict[str, int]) -> dict[str, Any]:
        row: dict[str, Any] = {
            "id": offer.id,
            "accelerator": offer.accelerator,
            "numAccelerators": offer.accelerators,
            "memoryGb": offer.memory_gb,
            "gpuMemoryGb": offer.gpu_memory_gb,
            "instanceType": offer.instance_type,
            "instanceSize": offer.size,
            "architecture": offer.architecture,
            "status": self.status(offer.id),
            "pricePerHour": float(self.price_at(offer.id, at)),
            "quota": quota,
        }
        return row if offer.cpus is None else {**row, "numCpus": offer.cpus}

    def snapshot(self) -> dict[str, Any]:
        """The changes against the price list, as JSON values."""
        prices = {key: [[at, str(usd)] for at, usd in rows] for key, rows in self._prices.items()}
        return {"prices": prices, "statuses": self._statuses}

    def restore(self, state: dict[str, Any]) -> None:
        """Put back what `snapshot` gave."""
        self._prices = {
            key: [(at, Decimal(usd)) for at, usd in rows] for key, rows in state["prices"].items()
        }
        self._statuses = dict(state["statuses"])


_LABELS = {
    "us-east-1": "N. Virginia",
    "us-east-2": "Ohio",
    "us-west-2": "Oregon",
    "eu-west-1": "Ireland",
    "eastus": "East US",
    "us-east4": "Virginia",
}
