"""Instance types of SageMaker hosting: accelerators, cores and memory."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache

import botocore.session

_FORM = re.compile(r"ml\.[a-z0-9-]+\.[a-z0-9-]+")
_NEURON = re.compile(r"ml\.(inf|trn)\d")
_GPU = re.compile(r"ml\.(g|p)\d")


@dataclass(frozen=True, slots=True)
class Instance:
    """What one instance has: `devices` are chips or GPUs, `cores` NeuronCores; 0 is not known.

    Memory is in GiB: `device_memory` of all devices together, `host_memory` of the machine.
    """

    accelerator: str
    devices: int = 0
    cores: int = 0
    device_memory: int = 0
    host_memory: int = 0


def _neuron(devices: int, cores: int, device_memory: int, host_memory: int) -> Instance:
    return Instance("neuron", devices, cores, device_memory, host_memory)


def _gpu(devices: int, device_memory: int, host_memory: int) -> Instance:
    return Instance("gpu", devices, 0, device_memory, host_memory)


# EC2 DescribeInstanceTypes; trn2 counts logical cores, four of each chip.
INSTANCES = {
    "ml.inf2.xlarge": _neuron(1, 2, 32, 16),
    "ml.inf2.8xlarge": _neuron(1, 2, 32, 128),
    "ml.inf2.24xlarge": _neuron(6, 12, 192, 384),
    "ml.inf2.48xlarge": _neuron(12, 24, 384, 768),
    "ml.trn1.2xlarge": _neuron(1, 2, 32, 32),
    "ml.trn1.32xlarge": _neuron(16, 32, 512, 512),
    "ml.trn1n.32xlarge": _neuron(16, 32, 512, 512),
    "ml.trn2.48xlarge": _neuron(16, 64, 1536, 2048),
    "ml.g4dn.xlarge": _gpu(1, 16, 16),
    "ml.g4dn.2xlarge": _gpu(1, 16, 32),
    "ml.g4dn.4xlarge": _gpu(1, 16, 64),
    "ml.g4dn.8xlarge": _gpu(1, 16, 128),
    "ml.g4dn.12xlarge": _gpu(4, 64, 192),
    "ml.g4dn.16xlarge": _gpu(1, 16, 256),
    "ml.g5.xlarge": _gpu(1, 24, 16),
    "ml.g5.2xlarge": _gpu(1, 24, 32),
    "ml.g5.4xlarge": _gpu(1, 24, 64),
    "ml.g5.8xlarge": _gpu(1, 24, 128),
    "ml.g5.12xlarge": _gpu(4, 96, 192),
    "ml.g5.16xlarge": _gpu(1, 24, 256),
    "ml.g5.24xlarge": _gpu(4, 96, 384),
    "ml.g5.48xlarge": _gpu(8, 192, 768),
    "ml.g6.xlarge": _gpu(1, 24, 16),
    "ml.g6.2xlarge": _gpu(1, 24, 32),
    "ml.g6.4xlarge": _gpu(1, 24, 64),
    "ml.g6.8xlarge": _gpu(1, 24, 128),
    "ml.g6.12xlarge": _gpu(4, 96, 192),
    "ml.g6.16xlarge": _gpu(1, 24, 256),
    "ml.g6.24xlarge": _gpu(4, 96, 384),
    "ml.g6.48xlarge": _gpu(8, 192, 768),
    "ml.g6e.xlarge": _gpu(1, 48, 32),
    "ml.g6e.2xlarge": _gpu(1, 48, 64),
    "ml.g6e.4xlarge": _gpu(1, 48, 128),
    "ml.g6e.8xlarge": _gpu(1, 48, 256),
    "ml.g6e.12xlarge": _gpu(4, 192, 384),
    "ml.g6e.16xlarge": _gpu(1, 48, 512),
    "ml.g6e.24xlarge": _gpu(4, 192, 768),
    "ml.g6e.48xlarge": _gpu(8, 384, 1536),
    "ml.p4d.24xlarge": _gpu(8, 320, 1152),
    "ml.p4de.24xlarge": _gpu(8, 640, 1152),
    "ml.p5.4xlarge": _gpu(1, 80, 256),
    "ml.p5.48xlarge": _gpu(8, 640, 2048),
    "ml.p5en.48xlarge": _gpu(8, 1128, 2048),
}


def instance_of(instance_type: str) -> Instance:
    """Return what is known of a type: by its family alone where it is not in the table."""
    return INSTANCES.get(instance_type) or Instance(accelerator_of(instance_type))


def accelerator_of(instance_type: str) -> str:
    """Return `neuron`, `gpu` or `cpu`."""
    if _NEURON.match(instance_type):
        return "neuron"
    return "gpu" if _GPU.match(instance_type) else "cpu"


def is_of_the_form(instance_type: str) -> bool:
    """Return whether a text has the form of an instance type for hosting."""
    return bool(_FORM.fullmatch(instance_type))


@cache
def known_types() -> frozenset[str]:
    """Return the types that a production variant may have, by AWS's own service model."""
    model = botocore.session.get_session().get_service_model("sagemaker")
    return frozenset(model.shape_for("ProductionVariantInstanceType").enum)


def similar_types(instance_type: str) -> list[str]:
    """Return known types that are spelt like one that is not known."""
    return get_close_matches(instance_type, sorted(known_types()), n=3)
