"""What is opened of a bucket: folders and keys, whatever characters are in them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from crossaccount import doors
from crossaccount.config.loading import load_config
from crossaccount.config.model import Sharing
from crossaccount.doors.base import Resource
from crossaccount.errors import PlanRefused
from crossaccount.registry.versions import Contents
from crossaccount.sharing import plan
from crossaccount_sandbox.judging.decision import Result, judge
from crossaccount_sandbox.judging.request import Policies, Request

SHARING = load_config(Path(__file__).parents[2] / "configs" / "sandbox.yaml")
OWNER, STAGING = "111111111111", "222222222222"
NOW = datetime(2026, 11, 24, tzinfo=UTC)
KEY_ARN = f"arn:aws:kms:us-east-1:{OWNER}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
NEEDS = doors.needs(SHARING, Contents(keys=(KEY_ARN,))) | {
    "repository": {"decision-trees-sample": ()},
    "bucket": {"models": ("churn/", "releases/")},
}
REPOSITORY, BUCKET, KEY, REGISTRY = doors.resources(SHARING, NEEDS)


def shared(
    sharing: Sharing, existing: dict[Resource, Any], needs: doors.Needs = NEEDS
) -> dict[Resource, Any]:
    return {one.resource: one.desired for one in plan.share_plan(sharing, needs, existing, NOW).changes}


FILLER = {"Sid": "Theirs", "Effect": "Deny", "Principal": {"AWS": "999999999999"}, "Action": "x:Y"}


ROOT, ROLE = f"arn:aws:iam::{STAGING}:root", f"arn:aws:iam::{STAGING}:role/team/run"


def reads(document: dict[str, Any], key: str) -> bool:
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    request = Request(ROLE, "s3:GetObject", f"arn:aws:s3:::models/{key}", OWNER)
    return judge(request, Policies([everything], document)).result is Result.ALLOWED


OPENED = [
    ("a*/", "a*/m", "ab/m"),
    ("a?/", "a?/m", "ab/m"),
    ("${aws:userid}/", "${aws:userid}/m", "x/m"),
]


def opened(version: str, prefix: str, keys: tuple[str, str]) -> tuple[bool, bool]:
    stranger = {"Version": version, "Statement": [{**FILLER, "Resource": "*"}]}
    document = shared(SHARING, {BUCKET: stranger}, {"bucket": {"models": (prefix,)}})[BUCKET]
    return reads(document, keys[0]), reads(document, keys[1])


@pytest.mark.parametrize(("prefix", "key", "other"), [*OPENED, ("m", "m", "m2"), ("m/", "m/m", "m2/m")])
def test_a_key_is_opened_whatever_characters_are_in_it(prefix: str, key: str, other: str) -> None:
    assert opened("2012-10-17", prefix, (key, other)) == (True, False)


@pytest.mark.parametrize(("prefix", "key", "other"), OPENED)
def test_such_a_key_is_refused_in_a_document_of_2008(prefix: str, key: str, other: str) -> None:
    """Source: "IAM policy elements: Variables and tags" (variables need Version 2012-10-17)."""
    with pytest.raises(PlanRefused, match=r"Its Version is 2008-10-17.*Set its Version to 2012-10-17"):
        opened("2008-10-17", prefix, (key, other))
