"""How much of an endpoint's instances its inference components take, and how many instances it has then.

Not here: the components (``components``). Placement is by sums: what does not fit because of where copies lie is not seen, nor the
room that both versions need side by side during an update. Instances of a type that is not below are taken to be large enough.

Source: "Amazon EC2 instance types" (processors, memory, accelerators) in the EC2 user guide; "Scale an endpoint to zero instances" in
the SageMaker developer guide.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

Given = Mapping[str, Any]


@dataclass(frozen=True)
class Size:
    """What an instance has, or a copy takes: processor cores, megabytes of memory, accelerators."""

    cores: float = 0.0
    memory: float = 0.0
    accelerators: float = 0.0

    def parts(self) -> tuple[tuple[str, float], ...]:
        """Each resource by its name."""
        return (
            ("NumberOfCpuCoresRequired", self.cores),
            ("MinMemoryRequiredInMb", self.memory),
            ("NumberOfAcceleratorDevicesRequired", self.accelerators),
        )


_GIB = 1024
INSTANCES: dict[str, Size] = {
    "ml.t2.medium": Size(2, 4 * _GIB),
    "ml.t2.large": Size(2, 8 * _GIB),
    "ml.c5.large": Size(2, 4 * _GIB),
    "ml.c5.xlarge": Size(4, 8 * _GIB),
    "ml.m5.large": Size(2, 8 * _GIB),
    "ml.m5.xlarge": Size(4, 16 * _GIB),
    "ml.m5.2xlarge": Size(8, 32 * _GIB),
    "ml.m5.4xlarge": Size(16, 64 * _GIB),
    "ml.r5.large": Size(2, 16 * _GIB),
    "ml.r5.xlarge": Size(4, 32 * _GIB),
    "ml.g4dn.xlarge": Size(4, 16 * _GIB, 1),
    "ml.g5.xlarge": Size(4, 16 * _GIB, 1),
    "ml.g5.2xlarge": Size(8, 32 * _GIB, 1),
    "ml.g5.12xlarge": Size(48, 192 * _GIB, 4),
    "ml.g6.xlarge": Size(4, 16 * _GIB, 1),
    "ml.p4d.24xlarge": Size(96, 1152 * _GIB, 8),
    "ml.p5.48xlarge": Size(192, 2048 * _GIB, 8),
}


def size_of(requirements: Given) -> Size:
    """What one copy takes, from its ComputeResourceRequirements."""
    cores, memory, accelerators = (requirements.get(name) or 0 for name, _ in Size().parts())
    return Size(float(cores), float(memory), float(accelerators))


def shortages(variant: Given, asked: Sequence[tuple[Size, int]]) -> Iterator[str]:
    """Which resources the instances of a variant do not have for so many copies of these sizes.

    Args:
        variant: of the endpoint configuration.
        asked: the size of a copy and the number of copies, for each component of the variant.
    """
    instance = INSTANCES.get(str(variant.get("InstanceType")))
    if instance is None:
        return
    count = most_instances(variant)
    for number, (name, has) in enumerate(instance.parts()):
        needs = [(Fraction(size.parts()[number][1]), copies) for size, copies in asked]
        if (
            any(each > has for each, copies in needs if copies)
            or sum(each * copies for each, copies in needs) > Fraction(has) * count
        ):
            yield name


def most_instances(variant: Given) -> int:
    """The number of instances that a variant may have at most."""
    scaling = variant.get("ManagedInstanceScaling") or {}
    first = int(variant.get("InitialInstanceCount") or 1)
    if scaling.get("Status") != "ENABLED":
        return first
    return max(first, int(scaling.get("MaxInstanceCount") or first))


def instances_for(variant: Given, copies: int) -> int:
    """The number of instances that a variant has for so many copies in all: none for none, where its scaling allows that."""
    scaling = variant.get("ManagedInstanceScaling") or {}
    first = int(variant.get("InitialInstanceCount") or 1)
    to_zero = scaling.get("Status") == "ENABLED" and scaling.get("MinInstanceCount") == 0
    return 0 if to_zero and copies == 0 else first
