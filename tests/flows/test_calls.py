"""The calls that a deployment and a promoted consumer make: each of these and no other, so that nobody adds one unseen.

How often an endpoint is looked at while it comes up or goes is up to the time that it takes: looks that follow each other count
once. What endpoints do for themselves, with their execution role, is not counted. Calls made at once stand in one row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import yaml

from flows.consumer import deploy_model
from flows.producer import share_models
from flows.promotion import promote_model

VERSION = 1
QUESTIONS = ("InvokeEndpoint",) * 4
FOUND = [
    ("AssumeRole",),
    ("DescribeModelPackage",),
    ("GetObject",),  # the Release
]
DEPLOYMENT = [
    *FOUND,
    # There is no endpoint, and it may be looked at; a byte of the artifact.
    ("DescribeEndpoint", "GetObject", "ListEndpoints", "ListServiceQuotas"),
    ("CreateModel",),
    ("CreateEndpointConfig",),
    ("CreateEndpoint",),
    ("DescribeEndpoint",),
    QUESTIONS,
    ("DeleteEndpoint",),
    ("DeleteEndpointConfig",),
    ("DeleteModel",),
    ("DescribeEndpoint",),  # it is gone
]
BEGUN = [
    *FOUND,
    ("GetObject",),  # a byte of the artifact
    ("DescribeEndpoint",),  # there is none
    ("ListEndpoints", "ListServiceQuotas"),
]
TRIED_OUT = [
    ("CreateModel",),
    ("CreateEndpointConfig",),
    ("CreateEndpoint",),
    ("DescribeEndpoint",),
    QUESTIONS,
    ("DeleteEndpoint",),
    ("DeleteEndpointConfig",),
    ("DescribeEndpoint",),  # it is gone
]
SHIFTED = [("CreateEndpointConfig",), ("CreateEndpoint",), ("DescribeEndpoint",)]
MARKED = [("AddTags",)]  # the proof
RETIRED = [("ListEndpointConfigs",), ("ListModels",), ("ListTags",)]
PROMOTIONS = {
    "before": [*BEGUN, *TRIED_OUT, *SHIFTED, *MARKED, *RETIRED],
    # It is looked at once more after the questions: it may have been moved meanwhile.
    "both": [*BEGUN, *TRIED_OUT, *SHIFTED, QUESTIONS, ("DescribeEndpoint",), *MARKED, *RETIRED],
    "after": [*BEGUN, ("CreateModel",), *SHIFTED, QUESTIONS, ("DescribeEndpoint",), *MARKED, *RETIRED],
}


@pytest.fixture
def shared(aws: Any, tmp_path: Any) -> Iterator[Callable[..., str]]:
    """A share of one version to one consumer; gives a config with these changes of the consumer."""

    def config(**changes: Any) -> str:
        whole: dict[str, Any] = yaml.safe_load(aws.config.read_text())
        staging = {**whole["consumers"]["staging"], **changes}
        path = tmp_path / "one.yaml"
        path.write_text(
            yaml.safe_dump(
                {**whole, "versions": [VERSION], "consumers": {"staging": staging}}, sort_keys=False
            )
        )
        return str(path)

    with aws.restored():
        share_models(config())
        yield config
    aws.clear(["staging"])


def asked(aws: Any, calls: Sequence[dict[str, Any]]) -> list[str]:
    """The consumer's calls in their order; looks that follow each other count once."""
    mine = [
        (one["operation"], one["resource"])
        for one in calls
        if one["account"] == aws.id("staging") and not str(one["caller"]).endswith("/SageMaker")
    ]
    looks = [
        each == before and each[0] == "DescribeEndpoint"
        for each, before in zip(mine[1:], mine[:-1], strict=True)
    ]
    return [mine[0][0], *(name for (name, _), look in zip(mine[1:], looks, strict=True) if not look)]


def in_rows(operations: Sequence[str], rows: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """The operations in rows as long as these, each in the order of the alphabet; those that are left over in a last one."""
    rest, found = list(operations), list[tuple[str, ...]]()
    for row in rows:
        found.append(tuple(sorted(rest[: len(row)])))
        rest = rest[len(row) :]
    return [*found, *([tuple(rest)] if rest else [])]


def test_a_deployment_asks_for_nothing_twice(aws: Any, shared: Callable[..., str]) -> None:
    with aws.calls() as calls:
        assert deploy_model(shared(), "staging", VERSION).proof.verified
    assert in_rows(asked(aws, calls), DEPLOYMENT) == DEPLOYMENT


@pytest.mark.parametrize("mode", PROMOTIONS)
def test_a_promoted_consumer_is_asked_for_nothing_twice(
    aws: Any, shared: Callable[..., str], mode: str
) -> None:
    with aws.calls() as calls:
        promote_model(shared(smoke_mode=mode), VERSION)
    assert in_rows(asked(aws, calls), PROMOTIONS[mode]) == PROMOTIONS[mode]


def test_the_bounds_of_a_hand_off_and_of_a_promotion() -> None:
    """With three looks at an endpoint that comes up in five seconds, and two at one that goes."""
    assert sum(map(len, DEPLOYMENT)) + 2 + 1 <= 22
    assert sum(map(len, PROMOTIONS["before"])) + 2 + 2 + 1 <= 37
