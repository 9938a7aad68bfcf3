"""What AWS answered to calls of STS."""

import re

from facts import ACCOUNT, CUSTODIAN, EVERYTHING, LOCALSTACK_IAM, LOCALSTACK_STS, OTHER, Fact

FACTS: dict[str, Fact] = {
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
