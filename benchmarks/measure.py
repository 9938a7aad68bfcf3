"""``python -m benchmarks.measure NAME PAIRS FILE``: one measurement, in a process of its own, as JSON into a file."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import builds, groups, handoff, plan, processes, promotions, pure, start, throughput


class Measurement(NamedTuple):
    """What measures, and how many pairs (or rounds) of it are made where nobody says: fewer where one takes minutes."""

    do: Callable[[int], dict[str, Any]]
    pairs: int = 5


MEASUREMENTS: Mapping[str, Measurement] = {
    "hand_off": Measurement(handoff.hand_off),
    "groups": Measurement(groups.groups, 2),
    "scale_groups": Measurement(groups.scale_groups, 2),
    "promotion": Measurement(promotions.promotion),
    "promotion_processor": Measurement(promotions.promotion_processor, 3),
    "scale_consumers": Measurement(promotions.scale_consumers, 2),
    "notice": Measurement(handoff.notice),
    "cold_start": Measurement(processes.cold_start),
    "plan_command": Measurement(plan.plan_command),
    "memory": Measurement(processes.memory),
    "judge": Measurement(pure.judge_cases),
    "throughput": Measurement(throughput.throughput),
    "sandbox_start": Measurement(start.sandbox_start),
    "sandbox_start_before": Measurement(start.sandbox_start_before),
    "sandbox_accounts": Measurement(start.sandbox_accounts),
    "plan_size": Measurement(pure.plan_size),
    "test_wall": Measurement(builds.test_wall, 1),
    "demo_wall": Measurement(builds.demo_wall, 2),
}


def main(name: str, pairs: int | None, file: Path) -> None:
    """Measure and write what was found; None for the usual number of pairs."""
    measurement = MEASUREMENTS[name]
    file.write_text(json.dumps(measurement.do(pairs or measurement.pairs)))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) or None, Path(sys.argv[3]))
