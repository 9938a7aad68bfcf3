"""Denies of others, held against what the producer is about to write: refused for sure, perhaps, or not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from crossaccount.policy.standing import Clause
from crossaccount.policy.uploads import Request, Requester, refusing, upload_of

NOW = datetime(2026, 11, 30, tzinfo=UTC)
OWNER, ROLE = "111111111111", "arn:aws:iam::111111111111:role/sharing"
KEY, OTHER = (f"arn:aws:kms:us-east-1:{OWNER}:key/{name}" for name in ("one", "two"))
RELEASE = "arn:aws:s3:::models/releases/churn/1.json"
PLAIN, ENCRYPTED = upload_of(RELEASE, None), upload_of(RELEASE, KEY)
SSE, SSE_KEY = "s3:x-amz-server-side-encryption", "s3:x-amz-server-side-encryption-aws-kms-key-id"
SURE, PERHAPS, NOT = True, None, False


def deny(**more: Any) -> dict[str, Any]:
    return {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::models/*",
        **more,
    }


def when(operator: str, key: str, value: Any) -> dict[str, Any]:
    return deny(Condition={operator: {key: value}})


def verdict(statement: dict[str, Any], request: Request, role: str | None = ROLE) -> bool | None:
    requester = Requester(OWNER, "aws", "us-east-1", role, "crossaccount-model-deployment")
    found = list(refusing([Clause("Sid", statement)], request, requester, NOW))
    return found[0][1] if found else False


# A statement, and what it does to an upload that names no encryption, and to one under a key.
UPLOADS: dict[str, tuple[dict[str, Any], bool | None, bool | None]] = {
    "aws:kms or nothing": (when("StringNotEquals", SSE, "aws:kms"), SURE, NOT),
    "aws:kms or nothing, another case of the key": (when("StringNotEquals", SSE.upper(), "aws:kms"), SURE, NOT),
    "aws:kms or dsse": (when("StringNotEquals", SSE, ["aws:kms", "aws:kms:dsse"]), SURE, NOT),
    "like aws:kms*": (when("StringNotLike", SSE, "aws:kms*"), SURE, NOT),
    "AES256 or nothing": (when("StringNotEquals", SSE, "AES256"), SURE, SURE),
    "no header": (when("Null", SSE, "true"), SURE, NOT),
    "no header, as a truth": (when("Null", SSE, True), SURE, NOT),
    "another than aws:kms, where one is named": (when("StringNotEqualsIfExists", SSE, "aws:kms"), SURE, NOT),
    "aws:kms itself": (when("StringEquals", SSE, "aws:kms"), NOT, SURE),
    "another key": (when("StringNotEquals", SSE_KEY, OTHER), SURE, SURE),
    "this key or nothing": (when("StringNotEquals", SSE_KEY, KEY), SURE, NOT),
    "a key of the account": (when("StringNotLike", SSE_KEY, f"arn:aws:kms:*:{OWNER}:key/*"), SURE, NOT),
    "an ARN of a key": (when("ArnNotEqualsIfExists", SSE_KEY, KEY), SURE, NOT),
    "no key": (when("Null", SSE_KEY, "true"), SURE, NOT),
    "both": (deny(Condition={"Null": {SSE: "false"}, "StringNotEquals": {SSE: "aws:kms"}}), NOT, NOT),
    "everything": (deny(), SURE, SURE),
    "every action on objects": (deny(Action="s3:Put*"), SURE, SURE),
    "all but reading": (deny(Action=None, NotAction="s3:Get*"), SURE, SURE),
    "another action": (deny(Action="s3:DeleteObject"), NOT, NOT),
    "another prefix": (deny(Resource="arn:aws:s3:::models/hr/*"), NOT, NOT),
    "all but the prefix": (deny(Resource=None, NotResource="arn:aws:s3:::models/releases/*"), NOT, NOT),
    "plain HTTP": (when("Bool", "aws:SecureTransport", "false"), NOT, NOT),
    "old TLS": (when("NumericLessThan", "s3:TlsVersion", "1.2"), NOT, NOT),
    "new objects alone": (when("Null", "s3:if-none-match", "true"), NOT, NOT),
    "no list of access": (when("StringNotEquals", "s3:x-amz-acl", "bucket-owner-full-control"), SURE, SURE),
    "this role": (deny(Principal={"AWS": ROLE}), SURE, SURE),
    "this account": (deny(Principal={"AWS": OWNER}), SURE, SURE),
    "another role": (deny(Principal={"AWS": f"{ROLE}-2"}), NOT, NOT),
    "another account": (deny(Principal={"AWS": "222222222222"}), NOT, NOT),
    "a service": (deny(Principal={"Service": "logging.s3.amazonaws.com"}), NOT, NOT),
    "all but this role": (when("ArnNotEquals", "aws:PrincipalArn", ROLE), NOT, NOT),
    "all but another role": (when("ArnNotLike", "aws:PrincipalArn", "arn:aws:iam::*:role/ci"), SURE, SURE),
    "others' accounts": (when("StringNotEquals", "aws:PrincipalAccount", OWNER), NOT, NOT),
    "an address": (when("NotIpAddress", "aws:SourceIp", "10.0.0.0/8"), PERHAPS, PERHAPS),
    "a network": (when("StringNotEquals", "aws:SourceVpce", "vpce-1"), PERHAPS, PERHAPS),
    "an organization": (when("StringNotEquals", "aws:PrincipalOrgID", "o-1234567890"), PERHAPS, PERHAPS),
    "a tag of the role": (when("StringNotEquals", "aws:PrincipalTag/team", "ml"), PERHAPS, PERHAPS),
    "a network, where encrypted": (
        deny(Condition={"StringEquals": {SSE: "aws:kms"}, "StringNotEquals": {"aws:SourceVpce": "v"}}), NOT, PERHAPS
    ),
    "an Allow": (deny(Effect="Allow"), NOT, NOT),
}  # fmt: skip


@pytest.mark.parametrize("what", UPLOADS)
def test_what_a_deny_does_to_an_upload(what: str) -> None:
    statement, plain, encrypted = UPLOADS[what]
    given = {key: value for key, value in statement.items() if value is not None}
    assert (verdict(given, PLAIN), verdict(given, ENCRYPTED)) == (plain, encrypted)


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        (deny(), SURE),
        (deny(Principal={"AWS": OWNER}), SURE),
        (deny(Principal={"AWS": ROLE}), PERHAPS),
        (when("ArnNotEquals", "aws:PrincipalArn", ROLE), PERHAPS),
        (deny(Principal={"AWS": "222222222222"}), NOT),
    ],
)
def test_without_a_role_nobody_knows_as_whom_the_producer_asks(
    statement: dict[str, Any], found: bool | None
) -> None:
    assert verdict(statement, PLAIN, role=None) is found


BUCKET = "arn:aws:s3:::models"
CHANGE = Request("s3:PutBucketPolicy", BUCKET, done="s3:GetBucketPolicy")


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        (deny(Action="s3:PutBucketPolicy", Resource=BUCKET), SURE),
        (deny(Action="s3:PutBucket*", Resource=BUCKET), SURE),
        (deny(Action="s3:PutBucketPolicy", Resource=BUCKET, Condition={"Bool": {"aws:MultiFactorAuthPresent": "false"}}), PERHAPS),
        (deny(Action="s3:PutBucketPolicy", Resource=f"{BUCKET}/*"), NOT),
        # It would have kept the producer from reading the policy a moment ago.
        (deny(Action="s3:*", Resource=BUCKET), NOT),
        (deny(Action="s3:*", Resource=BUCKET, Condition={"StringNotEquals": {"aws:PrincipalOrgID": "o-1"}}), NOT),
        (deny(Action="s3:*", Resource=BUCKET, Condition={"NumericGreaterThan": {"s3:signatureAge": "1"}}), PERHAPS),
    ],
)  # fmt: skip
def test_what_a_deny_does_to_the_change_of_a_policy(statement: dict[str, Any], found: bool | None) -> None:
    assert verdict(statement, CHANGE) is found
