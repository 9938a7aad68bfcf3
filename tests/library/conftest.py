"""The producer's desk: its clients and its config, without Prefect."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from crossaccount.aws.access import open_producer
from crossaccount.config.loading import load_config
from crossaccount.config.model import Sharing
from crossaccount.sharing import apply, gather
from crossaccount.sharing.changes import Plan
from crossaccount.sharing.gather import Gathered
from crossaccount.sharing.plan import plan_share

PUTS = {
    "repository": ("ecr", "SetRepositoryPolicy"),
    "bucket": ("s3", "PutBucketPolicy"),
    "key": ("kms", "PutKeyPolicy"),
    "group": ("sagemaker", "PutModelPackageGroupPolicy"),
}


class Desk:
    """The producer's desk: its clients, and a plan to apply."""

    def __init__(self, aws: Any, path: str | Path) -> None:
        self.aws = aws
        self.sharing: Sharing = load_config(path)
        self.producer = open_producer(self.sharing)
        self.told: list[str] = []

    def gather(self) -> Gathered:
        return gather.gather(self.producer)

    def plan(self) -> Plan:
        return plan_share(self.sharing, self.gather())

    def apply(self, plan: Plan, **more: Any) -> Any:
        return apply.apply(self.producer, plan, self.told.append, **more)

    def at_call(self, kind: str, act: Callable[[], None], when: str = "before-call") -> None:
        """Do something at each put of a policy, just before it is sent or after it was answered."""
        service, operation = PUTS[kind]
        client = getattr(self.producer, service)
        client.meta.events.register(
            f"{when}.{client.meta.service_model.service_id.hyphenize()}.{operation}", lambda **_: act()
        )


@pytest.fixture
def desk(aws: Any) -> Iterator[Desk]:
    with aws.restored():
        yield Desk(aws, aws.config)


@pytest.fixture
def administrator(aws: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The sandbox, with the producer's administrator as the ambient credentials."""
    key = aws.ready["accounts"]["producer"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["access_key_id"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["secret_access_key"])
    return aws


@contextlib.contextmanager
def _registered(aws: Any, *before: dict[str, Any], **container: Any) -> Iterator[int]:
    client = aws.admin("producer", "sagemaker")
    made = client.create_model_package(
        ModelPackageGroupName="decision-trees-sample",
        ModelApprovalStatus="Approved",
        InferenceSpecification={
            "Containers": [*before, container],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
    )["ModelPackageArn"]
    try:
        yield int(made.rpartition("/")[2])
    finally:
        client.delete_model_package(ModelPackageName=made)


@pytest.fixture
def registered() -> Any:
    """Registers a further approved version of one container for a while, and gives its number."""
    return _registered
