"""Promotions and rollbacks of endpoints of other kinds than real-time: what each adds to the config, and needs in staging's account.

Not here: how they are killed (``everywhere``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from world import World

_BUCKET = "answers-of-staging"


@dataclass(frozen=True)
class Kind:
    """A kind of endpoint.

    Args:
        endpoint: the keys of ``endpoint`` that it adds.
        prepare: sets staging's account up for it; may be called again.
    """

    endpoint: Mapping[str, Any]
    prepare: Callable[[World], None]


def _queues(world: World) -> None:
    """A bucket for the answers, and roles that may write and read there, as the template has it."""
    s3, cloudformation = world.admin("staging", "s3"), world.admin("staging", "cloudformation")
    with suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket=_BUCKET)
    (stack,) = cloudformation.describe_stacks(StackName="crossaccount")["Stacks"]
    given = {one["ParameterKey"]: one["ParameterValue"] for one in stack["Parameters"]}
    given |= {"AnswersLocation": f"{_BUCKET}/answers/", "FailuresLocation": f"{_BUCKET}/failures/"}
    cloudformation.update_stack(
        StackName="crossaccount",
        UsePreviousTemplate=True,
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )


KINDS = {
    "asynchronous": Kind(
        {
            "kind": "asynchronous",
            "asynchronous": {
                "s3_output": f"s3://{_BUCKET}/answers/",
                "s3_failures": f"s3://{_BUCKET}/failures/",
            },
        },
        _queues,
    ),
    "inference-components": Kind(
        {"kind": "inference-components", "inference_component": {"memory_mb": 1024}},
        lambda world: None,  # the sandbox's stacks are told of components
    ),
}
