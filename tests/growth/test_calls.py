"""Whether two writers met is read from the calls rightly: what met is found, and what did not is not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import calls

DEPLOYER = "arn:aws:sts::1:assumed-role/crossaccount-deployer/crossaccount"


def made(session: str, *operations: tuple[int, str]) -> list[dict[str, str]]:
    """Calls of a session, each at a second."""
    common = {
        "service": "sagemaker",
        "caller": DEPLOYER,
        "account": "1",
        "resource": "arn",
        "session": session,
    }
    return [{**common, "operation": name, "time": f"{second:02}"} for second, name in operations]


BEGUN, ENDED, LOOKED = "CreateEndpoint", "DeleteEndpoint", "DescribeEndpoint"
READ, PUT = "GetBucketPolicy", "PutBucketPolicy"


@pytest.mark.parametrize(
    ("one", "two", "met"),
    [
        ([(1, BEGUN), (4, ENDED)], [(5, BEGUN), (6, ENDED)], 0),
        ([(1, BEGUN), (4, ENDED)], [(3, BEGUN), (6, ENDED)], 1),
        ([(1, BEGUN), (9, ENDED)], [(3, BEGUN), (6, ENDED)], 1),
        ([(1, BEGUN), (4, ENDED)], [(2, LOOKED), (3, LOOKED), (5, BEGUN)], 0),  # who looks is no writer
        ([(1, BEGUN), (4, LOOKED)], [(3, BEGUN)], 0),
    ],
)
def test_two_runs_at_one_endpoint(one: list[tuple[int, str]], two: list[tuple[int, str]], met: int) -> None:
    found = sorted([*made("a", *one), *made("b", *two)], key=lambda call: call["time"])
    assert len(calls.overlaps(calls.on_endpoints(found))) == met


@pytest.mark.parametrize(
    ("one", "two", "met"),
    [
        ([(1, READ), (2, PUT)], [(1, READ), (3, READ), (4, PUT)], 0),  # the last read before the put counts
        ([(1, READ), (3, PUT)], [(2, READ), (4, PUT)], 1),
        ([(1, READ), (3, PUT)], [(2, READ), (4, READ)], 0),
    ],
)
def test_two_writers_of_one_policy(one: list[tuple[int, str]], two: list[tuple[int, str]], met: int) -> None:
    found = sorted([*made("a", *one), *made("b", *two)], key=lambda call: call["time"])
    assert len(calls.overlaps(calls.on_documents(found))) == met
