"""A write whose answer was lost is made once, and is no failure: what stands is what would stand without that."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import commands
from tables import rows
from worlds import BUCKET, control

from crossaccount.aws.access import producing
from crossaccount.config.loading import load_config
from crossaccount.sharing import apply
from crossaccount.sharing import revoke as revoking


@dataclass(frozen=True)
class Row:
    """The write whose answer is lost (service, operation), and the command that makes it."""

    state: str
    command: str
    loses: list[str]


TABLE = rows("losing.yaml", Row)


@contextmanager
def lost(aws: Any, service: str, operation: str) -> Iterator[None]:
    """The next answer of an operation is lost, after it had its effect."""
    rule = {"kind": "drop", "service": service, "operation": operation, "when": "after", "times": 1}
    control(aws, "faults", "PUT", rule)
    try:
        yield
    finally:
        control(aws, "faults", "DELETE")


def take_back(config: Any) -> None:
    sharing = load_config(config)
    plan = revoking.make_plan(sharing, revoking.choose(sharing, everything=True))
    with producing(sharing) as producer:
        apply.apply(producer, plan)


def standing(aws: Any) -> Any:
    return aws.documents(), aws.releases()


@pytest.mark.parametrize("row", TABLE, ids=[f"{row.command}: {row.state}" for row in TABLE])
def test_a_lost_answer_changes_nothing(shared: Any, row: Row) -> None:
    with shared.restored():
        after_share = standing(shared)
        take_back(shared.config)
        after_revoke = shared.documents()
        for key in shared.releases():
            shared.admin("producer", "s3").delete_object(Bucket=BUCKET, Key=key)
        if row.command == "share":
            with lost(shared, *row.loses):
                assert commands.share(shared.config).ending == "shared"
            assert standing(shared) == after_share
            return
        assert commands.share(shared.config).ending == "shared"
        if row.command == "deploy":
            with lost(shared, *row.loses):
                assert commands.deploy(shared.config).ending == "made"
            assert not any(shared.hosted("staging").values())
            return
        with lost(shared, *row.loses):
            take_back(shared.config)
        assert shared.documents() == after_revoke
