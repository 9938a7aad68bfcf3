"""A writer on a machine of its own: shares a config whenever it is told to, with no lock and no Prefect."""

from __future__ import annotations

import sys

from crossaccount import apply, config, gather, sessions
from crossaccount.gather import Clients


def main(path: str, settle_seconds: float) -> None:
    sharing = config.load(path)
    clients = Clients.of(sessions.producer_session(sharing), sharing.region)
    print("ready", flush=True)
    for line in sys.stdin:
        if line.strip() == "share":
            found = gather.gather(clients, sharing)
            told: list[str] = []
            apply.apply(clients, gather.planned(sharing, found), told.append, settle_seconds=settle_seconds)
            print("shared", sum("overwritten" in text for text in told), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
