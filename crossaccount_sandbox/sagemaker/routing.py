"""Which process answers which request.

Not here: what a fleet is (``fleets``), and when its share changes (``rollouts``).

Source: "UpdateEndpoint" in the SageMaker API reference: a change costs no availability, so what a fleet was asked before it
lost its share it still answers.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from crossaccount_sandbox.sagemaker.fleets import Fleet
from crossaccount_sandbox.sagemaker.pipelines import Pipeline


@dataclass(frozen=True)
class Turn:
    """One request's turn.

    Args:
        fleet: who answers.
        variant: which of the fleet's variants.
        pipeline: that variant's containers.
    """

    fleet: Fleet
    variant: str
    pipeline: Pipeline

    def end(self) -> None:
        """The request is answered."""
        self.fleet.underway.end()


def fair(weights: Sequence[float | Fraction], served: Sequence[int]) -> int:
    """Whose turn it is: the one furthest behind its share. Deterministic, and exact over every round.

    Args:
        weights: any numbers, not all 0 unless it does not matter.
        served: how often each had its turn.
    """
    total, turn = sum(weights) or 1, sum(served) + 1
    behind = [weight * turn / total - done for weight, done in zip(weights, served, strict=True)]
    return behind.index(max(behind))


class Router:
    """Which process answers the next request: first the fleets by their shares, then the variants by their weights."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shares: list[tuple[Fleet, Fraction]] = []
        self._fleets_served: list[int] = []
        self._variants_served: dict[tuple[int, str], int] = {}

    @property
    def shares(self) -> list[tuple[Fleet, Fraction]]:
        """The fleets that serve, with their shares of the traffic."""
        with self._lock:
            return list(self._shares)

    def point(self, shares: Sequence[tuple[Fleet, Fraction]]) -> None:
        """Send requests by these shares from now on; counting begins anew."""
        with self._lock:
            self._shares = [(fleet, share) for fleet, share in shares if share > 0]
            self._fleets_served = [0] * len(self._shares)
            self._variants_served.clear()

    def next(self, variant: str | None = None) -> Turn | None:
        """Whose turn the next request is; None when nothing serves, or not this variant.

        The request is underway in that fleet until ``Turn.end`` is called.
        """
        with self._lock:
            if not self._shares:
                return None
            index = fair([share for _, share in self._shares], self._fleets_served)
            fleet = self._shares[index][0]
            name = variant or self._pick(fleet)
            if name not in fleet.processes:
                return None
            self._fleets_served[index] += 1
            key = (id(fleet), name)
            self._variants_served[key] = self._variants_served.get(key, 0) + 1
            fleet.underway.begin()
            return Turn(fleet, name, fleet.processes[name])

    def _pick(self, fleet: Fleet) -> str:
        names = [variant["VariantName"] for variant in fleet.variants]
        served = [self._variants_served.get((id(fleet), name), 0) for name in names]
        return str(names[fair([variant["CurrentWeight"] for variant in fleet.variants], served)])
