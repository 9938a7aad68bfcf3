"""Writers on machines of their own: each shares a config whenever it is told to, with no lock and no Prefect."""

from __future__ import annotations

import multiprocessing
import sys
from multiprocessing.connection import Connection

from crossaccount.aws.access import open_producer
from crossaccount.config.loading import load_config
from crossaccount.sharing import apply, gather
from crossaccount.sharing.plan import plan_share


def write(told: Connection, path: str, settle_seconds: float) -> None:
    """A writer: says that it is ready, then at each word shares, and says how often it was overwritten."""
    sharing = load_config(path)
    producer = open_producer(sharing)
    told.send("ready")
    while told.recv():
        found = gather.gather(producer)
        lines: list[str] = []
        apply.apply(producer, plan_share(sharing, found), lines.append, settle_seconds=settle_seconds)
        told.send(sum("overwritten" in line for line in lines))


def main(settle_seconds: float, *paths: str) -> None:
    """Writers of all these configs, each its own process; forked, as each would import the same for seconds."""
    forking, writers = multiprocessing.get_context("fork"), []
    for path in paths:
        ours, theirs = forking.Pipe()
        forking.Process(target=write, args=(theirs, path, settle_seconds), daemon=True).start()
        theirs.close()
        writers.append(ours)
    print(*(writer.recv() for writer in writers), flush=True)
    for _ in sys.stdin:
        for writer in writers:
            writer.send(True)
        print(*(writer.recv() for writer in writers), flush=True)


if __name__ == "__main__":
    main(float(sys.argv[1]), *sys.argv[2:])
