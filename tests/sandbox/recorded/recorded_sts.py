"""What AWS answered to calls of STS."""

import re
from collections.abc import Callable
from typing import Any

from facts import ACCOUNT, CUSTODIAN, EVERYTHING, LOCALSTACK_IAM, LOCALSTACK_STS, OTHER, Fact, Setting

ORACLE = "a public test of the query protocol that runs against AWS's STS"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/facts"
PATTERN = r"[\u0009\u000A\u000D\u0020-\u007E\u0085\u00A0-\uD7FF\uE000-\uFFFD\u10000-\u10FFFF]+"


def constraint(value: str, member: str, rule: str) -> str:
    """The whole text of one broken constraint, as a pattern."""
    said = f"Value '{value}' at '{member}' failed to satisfy constraint: Member must {rule}"
    return re.escape(f"1 validation error detected: {said}")


def assumed(arn: str) -> Callable[[Setting], Any]:
    return lambda setting: setting.assume(arn)


OVERRIDES = (
    r"One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling "
    r"session\."
)


def overriding(setting: Setting, key: str) -> Any:
    tags = [{"Key": "k1", "Value": "v"}]
    first = setting.assume(f"arn:aws:iam::{ACCOUNT}:role/tagging", Tags=tags, TransitiveTagKeys=["k1"])[
        "Credentials"
    ]
    given = (first["AccessKeyId"], first["SecretAccessKey"], first["SessionToken"])
    again = [{"Key": key, "Value": "w"}]
    return setting.inner.keyed("sts", *given).assume_role(
        RoleArn=f"arn:aws:iam::{ACCOUNT}:role/tagging", RoleSessionName="sess", Tags=again
    )


def chained(setting: Setting, **more: Any) -> Any:
    """A role assumed in the session of another one that may assume it."""
    key = setting.assume(f"arn:aws:iam::{ACCOUNT}:role/tagging")["Credentials"]
    given = (key["AccessKeyId"], key["SecretAccessKey"], key["SessionToken"])
    return setting.inner.keyed("sts", *given).assume_role(RoleArn=ROLE, RoleSessionName="sess", **more)


FACTS: dict[str, Fact] = {
    **{
        f"a role named by {arn}": Fact(
            assumed(arn), f"{LOCALSTACK_STS}, test_sts_invalid_parameters",
            "ValidationError", re.escape(f"{arn} is invalid"), 400,
        )
        for arn in ("arn:a::::something/test-role", "arn:a:::something/test-role", "arn:a:a::aaaaaaaaaa:", "x" * 20, "x" * 2048)
    },
    "a role named by too much": Fact(
        lambda s: s.assume("x" * 2049), ORACLE,
        "ValidationError", constraint("x" * 2049, "roleArn", "have length less than or equal to 2048"), 400,
    ),
    "a role named by characters that no ARN has": Fact(
        lambda s: s.assume("\U0001f600" * 2048), ORACLE, "ValidationError",
        constraint("\U0001f600" * 2048, "roleArn", f"satisfy regular expression pattern: {PATTERN}"), 400,
    ),
    "a role named by too many characters that no ARN has": Fact(
        lambda s: s.assume("\U0001f600" * 2049), ORACLE, "ValidationError",
        "2 validation errors detected: Value '.*' at 'roleArn' failed to satisfy constraint: Member must satisfy regular "
        "expression pattern: .*; Value '.*' at 'roleArn' failed to satisfy constraint: Member must have length less than or "
        "equal to 2048", 400,
    ),
    "a role that is not there": Fact(
        lambda s: s.assume(f"{ROLE}-missing"), ORACLE, "AccessDenied",
        rf"User: \S+ is not authorized to perform: sts:AssumeRole on resource: {ROLE}-missing", 403,
    ),
    "a session's name that is too long": Fact(
        lambda s: s.assume(name="s" * 65), f"{LOCALSTACK_STS}, test_assume_role_session_name_too_long",
        "ValidationError", constraint("s" * 65, "roleSessionName", "have length less than or equal to 64"), 400,
    ),
    "a session's name with a slash": Fact(
        lambda s: s.assume(name="bad/name"), ORACLE, "ValidationError",
        constraint("bad/name", "roleSessionName", r"satisfy regular expression pattern: [\w+=,.@-]*"), 400,
    ),
    "a session that is too long for every role": Fact(
        lambda s: s.assume(DurationSeconds=43_201), ORACLE, "ValidationError",
        constraint("43201", "durationSeconds", "have value less than or equal to 43200"), 400,
    ),
    "a session that is too long for its role": Fact(
        lambda s: s.assume(DurationSeconds=3601), ORACLE,
        "ValidationError", r"The requested DurationSeconds exceeds the MaxSessionDuration set for this role\.", 400,
    ),
    "a session in a chain that is too long": Fact(
        lambda s: chained(s, DurationSeconds=3601), "a public record of probes of STS", "ValidationError",
        r"The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining\.", 400,
    ),
    "a transitive tag of the calling session set again": Fact(
        lambda s: overriding(s, "k1"), f"{LOCALSTACK_STS}, test_iam_role_chaining_override_transitive_tags",
        "InvalidParameterValue", OVERRIDES, 400,
    ),
    "a transitive tag of the calling session set again in another case": Fact(
        lambda s: overriding(s, "K1"), f"{LOCALSTACK_STS}, test_iam_role_chaining_override_transitive_tags",
        "InvalidParameterValue", OVERRIDES, 400,
    ),
    "a federated user": Fact(
        lambda s: s.sts.get_federation_token(Name="facts"), f"{LOCALSTACK_STS}, test_get_federation_token",
        fields={
            "FederatedUser/Arn": f"arn:aws:sts::{ACCOUNT}:federated-user/facts",
            "FederatedUser/FederatedUserId": f"{ACCOUNT}:facts",
            "PackedPolicySize": 0,
        },
    ),
    "a session's key": Fact(
        lambda s: s.assume(), ORACLE,
        fields={
            "Credentials/AccessKeyId": re.compile("[A-Z0-9]{20}"),
            "Credentials/SecretAccessKey": re.compile("[A-Za-z0-9+/=]{40}"),
            "Credentials/SessionToken": re.compile("[A-Za-z0-9+/=]{100,}"),
            "AssumedRoleUser/AssumedRoleId": re.compile("AROA[A-Z0-9]{17}:sess"),
        },
    ),
    "who a session is": Fact(
        lambda s: s.powerless("sts").get_caller_identity(),
        f"{LOCALSTACK_STS}, test_get_caller_identity_with_assumed_role_credentials",
        fields={"Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/powerless/sess", "Account": ACCOUNT,
                "UserId": re.compile("AROA[A-Z0-9]{17}:sess")},
    ),
    "a user's session that asks for another": Fact(
        lambda s: s.powerless("sts").get_session_token(), "the README of a public MFA script",
        "AccessDenied", "Cannot call GetSessionToken with session credentials", 403,
    ),
    "a message that is none": Fact(
        lambda s: s.sts.decode_authorization_message(EncodedMessage="none"), "the STS API reference",
        "InvalidAuthorizationMessageException", status=400,
    ),
    "a role named by a word": Fact(
        lambda s: s.assume("nothing-valid-in-here"), LOCALSTACK_STS,
        "ValidationError", "nothing-valid-in-here is invalid", 400,
    ),
    "a role named by an ARN without a partition": Fact(
        lambda s: s.assume("arn::b:::something/test-role"), LOCALSTACK_STS,
        "ValidationError", "arn::b:::something/test-role is invalid", 400,
    ),
    "a colon in the session's name": Fact(
        lambda s: s.assume(name="Session1:2"), LOCALSTACK_STS, "ValidationError",
        r"1 validation error detected: Value 'Session1:2' at 'roleSessionName' failed to satisfy constraint: Member must "
        r"satisfy regular expression pattern: \[\\w\+=,\.@-\]\*", 400,
    ),
    "a role assumed by an administrator of its account": Fact(
        lambda s: s.assume(), LOCALSTACK_STS,
        fields={
            "AssumedRoleUser/Arn": re.compile(f"arn:aws:sts::{ACCOUNT}:assumed-role/facts/sess"),
            "AssumedRoleUser/AssumedRoleId": re.compile("AROA[A-Z0-9]{12,17}:sess"),
            "Credentials/AccessKeyId": re.compile("ASIA[A-Z0-9]+"),
            "Credentials/SessionToken": re.compile(".+"),
        },
        absent=("PackedPolicySize", "SourceIdentity"),
    ),
    "a session with a policy of its own": Fact(
        lambda s: s.assume(Policy=EVERYTHING), f"{CUSTODIAN}/test_session_policy_assumed_session",
        fields={"PackedPolicySize": re.compile(r"\d+")},
    ),
    "a transitive tag that is none of the tags": Fact(
        lambda s: s.assume(Tags=[{"Key": "a", "Value": "b"}], TransitiveTagKeys=["c"]), LOCALSTACK_STS,
        "InvalidParameterValue", r"The specified transitive tag key must be included in the requested tags\.", 400,
    ),
    "two tags whose keys differ in case alone": Fact(
        lambda s: s.assume(Tags=[{"Key": "a", "Value": "b"}, {"Key": "A", "Value": "b"}]), LOCALSTACK_STS,
        "InvalidParameterValue", r"Duplicate tag keys found\. Please note that Tag keys are case insensitive\.", 400,
    ),
    "who a user is": Fact(
        lambda s: s.sts.get_caller_identity(), f"{CUSTODIAN}/s3_access_point_query",
        fields={"UserId": re.compile("AIDA[A-Z0-9]{17}"), "Arn": re.compile(f"arn:aws:iam::{ACCOUNT}:user/.+"),
                "Account": ACCOUNT},
    ),
    "a session of a role under a path": Fact(
        lambda s: s.assume(f"arn:aws:iam::{ACCOUNT}:role/a/path/pathed"), LOCALSTACK_IAM,
        fields={"AssumedRoleUser/Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/pathed/sess"},
    ),
    "another account's role with a wrong external id": Fact(
        lambda s: s.assume(f"arn:aws:iam::{OTHER}:role/facts", ExternalId="mine"), "a public test log",
        "AccessDenied", rf"User: \S+ is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::{OTHER}:role/facts",
        403,
    ),
}  # fmt: skip
