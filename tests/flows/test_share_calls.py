"""What a share asks of AWS, call by call: whoever adds one changes a list here."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from crossaccount.sharing import apply
from flows.producer import share_models

READS = [
    "AssumeRole",
    "BatchGetImage",
    "DescribeModelPackage",
    "GetBucketOwnershipControls",
    "GetBucketPolicy",
    "GetModelPackageGroupPolicy",
    "GetRegistryPolicy",
    "GetRepositoryPolicy",
    "HeadObject",
    "ListObjectsV2",
]
POLICIES = ["GetBucketPolicy", "GetModelPackageGroupPolicy", "GetRepositoryPolicy"]
# A version without a Release: its samples, and the key that the Release will lie under.
UNPUBLISHED = ["GetObject", "GetBucketEncryption"]
WRITES = ["PutBucketPolicy", "PutModelPackageGroupPolicy", "SetRepositoryPolicy", "PutObject"]


def test_a_first_share_looks_at_each_policy_before_and_after_its_write_and_asks_all_else_once(
    aws: Any, edited: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a busy machine a look may have become old by the time of its write, and then there is one more.
    monkeypatch.setattr(apply, "_FRESH_SECONDS", 60.0)
    path = edited(versions=[1], consumers__production=None)
    with aws.restored():
        with aws.calls() as calls:
            assert share_models(path).plan.writes == 3
        first = Counter(one["operation"] for one in calls)
        with aws.calls() as calls:
            assert share_models(path).plan.writes == 0
        again = Counter(one["operation"] for one in calls)
        with aws.calls() as calls:
            share_models(path, dry_run=True)
        dry = Counter(one["operation"] for one in calls)
    assert first == Counter([*READS, *UNPUBLISHED, *POLICIES, *WRITES, *POLICIES])
    assert first.total() == 22
    assert again == dry == Counter([*READS, "GetObject"]), "the Release that stands is read"
