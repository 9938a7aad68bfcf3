"""``python -m benchmarks.alone empty|deploy|promote [CONFIG]``: one flow in this process; its peak memory on stdout."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")


def main(what: str, config: str = "") -> None:
    """Run the flow, imports included as its own start has them, and print the peak in megabytes."""
    match what:
        case "empty":
            from benchmarks.empty import nothing

            nothing()
        case "deploy":
            from flows.consumer import deploy_model

            deploy_model(config, "staging", 1)
        case "promote":
            from flows.promotion import promote_model

            promote_model(config, 1)
        case _:
            raise SystemExit(f"{what} is none of empty, deploy, promote")
    print(f"{peak():.1f}")  # noqa: T201 - the command's result


def peak() -> float:
    """The most memory that this process had, in megabytes.

    On Linux ``ru_maxrss`` begins with what the process had that started this one, so the kernel's own mark is read there.
    """
    if _STATUS.exists():
        fields = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
        return int(fields["VmHWM"].split()[0]) / 1024
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / (1024**2 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main(*sys.argv[1:])
