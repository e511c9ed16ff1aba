"""Instance types for hosting: chips, memory, and the first known price in us-east-1.

USD per hour after a copy of the AmazonSageMaker offer file of 2026-09-27. The price of
ml.trn2.48xlarge is not published in that copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

# type | kind | NeuronCores or GPUs | GB of device memory | GiB of memory of the host | USD per hour
_TABLE = """
inf2.xlarge   neuron 2   32   16   0.99
inf2.8xlarge  neuron 2   32   128  2.36
inf2.24xlarge neuron 12  192  384  7.79
inf2.48xlarge neuron 24  384  768  15.58
trn1.2xlarge  neuron 2   32   32   1.54
trn1.32xlarge neuron 32  512  512  24.73
trn1n.32xlarge neuron 32 512  512  -
trn2.48xlarge neuron 64  1536 2048 -
inf1.xlarge   neuron 4   8    8    -
g4dn.xlarge   gpu    1   16   16   0.7364
g4dn.2xlarge  gpu    1   16   32   0.94
g4dn.12xlarge gpu    4   64   192  4.89
g5.xlarge     gpu    1   24   16   1.41
g5.2xlarge    gpu    1   24   32   1.52
g5.4xlarge    gpu    1   24   64   2.03
g5.8xlarge    gpu    1   24   128  3.06
g5.12xlarge   gpu    4   96   192  7.09
g5.16xlarge   gpu    1   24   256  5.12
g5.24xlarge   gpu    4   96   384  10.18
g5.48xlarge   gpu    8   192  768  20.36
g6.xlarge     gpu    1   24   16   1.127
g6.2xlarge    gpu    1   24   32   1.222
g6.4xlarge    gpu    1   24   64   1.654
g6.8xlarge    gpu    1   24   128  2.518
g6.12xlarge   gpu    4   96   192  5.752
g6.16xlarge   gpu    1   24   256  4.246
g6.24xlarge   gpu    4   96   384  8.344
g6.48xlarge   gpu    8   192  768  16.688
g6e.xlarge    gpu    1   48   32   2.61
g6e.2xlarge   gpu    1   48   64   2.80
g6e.4xlarge   gpu    1   48   128  3.76
g6e.8xlarge   gpu    1   48   256  5.66
g6e.12xlarge  gpu    4   192  384  13.12
g6e.16xlarge  gpu    1   48   512  9.47
g6e.24xlarge  gpu    4   192  768  18.83
g6e.48xlarge  gpu    8   384  1536 37.66
p4d.24xlarge  gpu    8   320  1152 25.2513
p4de.24xlarge gpu    8   640  1152 31.5641
p5.4xlarge    gpu    1   80   256  7.912
p5.48xlarge   gpu    8   640  2048 63.296
m5.large      cpu    0   0    8    0.115
m5.xlarge     cpu    0   0    16   0.23
c5.xlarge     cpu    0   0    8    0.204
"""


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance type; `devices` are NeuronCores or GPUs, `usd` is None where it is unknown."""

    name: str
    kind: str
    devices: int
    device_gb: int
    host_gib: int
    usd: Decimal | None

    @property
    def component_mb(self) -> int:
        """Memory that inference components may ask for: some 14 GiB stay with the system.

        Observed in 2026: a ml.g5.xlarge with 16 GiB takes 1024 MB and refuses 4096.
        """
        return max(self.host_gib - 14, 2) * 1024


def _read(row: str) -> Instance:
    name, kind, devices, device_gb, host, usd = row.split()
    price = None if usd == "-" else Decimal(usd)
    return Instance(f"ml.{name}", kind, int(devices), int(device_gb), int(host), price)


INSTANCES = {one.name: one for one in map(_read, _TABLE.strip().splitlines())}


def instance(name: str) -> Instance:
    """The type with this name; one that is not in the table counts as a small machine."""
    return INSTANCES.get(name) or Instance(name, "cpu", 0, 0, 16, None)
