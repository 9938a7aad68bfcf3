"""``python -m benchmarks.measure NAME PAIRS FILE``: one measurement, in a process of its own, as JSON into a file."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks import groups, handoff, processes, pure, start, throughput

MEASUREMENTS: Mapping[str, Callable[[int], dict[str, Any]]] = {
    "hand_off": handoff.hand_off,
    "groups": groups.groups,
    "promotion": handoff.promotion,
    "notice": handoff.notice,
    "cold_start": processes.cold_start,
    "plan_command": processes.plan_command,
    "memory": processes.memory,
    "judge": pure.judge_cases,
    "throughput": throughput.throughput,
    "sandbox_start": start.sandbox_start,
    "sandbox_start_before": start.sandbox_start_before,
    "plan_size": pure.plan_size,
}


def main(name: str, pairs: int, file: Path) -> None:
    """Measure and write what was found."""
    file.write_text(json.dumps(MEASUREMENTS[name](pairs)))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
