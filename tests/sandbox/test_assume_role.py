"""AssumeRole: what narrows a session, what it brings with it, and what is asked and refused on the way."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

ACCOUNT = "111111111111"
STS = ("sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity")
EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}
LIST_KEYS = {"Effect": "Allow", "Action": "kms:ListKeys", "Resource": "*"}
LIST_BUCKETS = {"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}
TEAM = [{"Key": "team", "Value": "a"}]
NUMBERS = itertools.count()


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def trust(*actions: str, condition: dict[str, Any] | None = None) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": list(actions)}
    return {**statement, "Condition": condition} if condition else statement


def refused(call: Callable[[], Any]) -> dict[str, Any]:
    with pytest.raises(ClientError) as error:
        call()
    response = error.value.response
    return {**response["Error"], "Status": response["ResponseMetadata"]["HTTPStatusCode"]}


class Roles:
    """Roles of the producer's account, each with everything allowed, and sessions of them."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.iam, self.sts = inner.client("producer", "iam"), inner.client("producer", "sts")

    def role(self, *trusted: dict[str, Any], allowed: dict[str, Any] = EVERYTHING, **more: Any) -> str:
        name = f"role-{next(NUMBERS)}"
        made = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(*trusted), **more)[
            "Role"
        ]
        self.iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document(allowed))
        return str(made["Arn"])

    def policy(self, *statements: dict[str, Any]) -> str:
        name = f"policy-{next(NUMBERS)}"
        return str(
            self.iam.create_policy(PolicyName=name, PolicyDocument=document(*statements))["Policy"]["Arn"]
        )

    def assume(self, role: str, sts: Any = None, **more: Any) -> Callable[[str], Any]:
        key = (sts or self.sts).assume_role(RoleArn=role, RoleSessionName="s-1", **more)["Credentials"]
        given = (key["AccessKeyId"], key["SecretAccessKey"], key["SessionToken"])
        return lambda service: self.inner.keyed(service, *given)


@pytest.fixture(scope="module")
def roles(inner: Any) -> Roles:
    return Roles(inner)


@pytest.mark.parametrize(
    ("inline", "managed", "keys", "buckets"),
    [
        ([], [[LIST_KEYS]], True, False),
        ([], [[LIST_KEYS], [LIST_BUCKETS]], True, True),
        ([LIST_BUCKETS], [[LIST_KEYS]], True, True),
        ([LIST_BUCKETS], [], False, True),
        ([EVERYTHING], [[{**LIST_KEYS, "Effect": "Deny"}]], False, True),
        ([], [[{**LIST_KEYS, "Action": "iam:*"}]], False, False),
        ([], [], True, True),
    ],
)
def test_inline_and_managed_session_policies_limit_a_session_together(
    roles: Roles, inline: list[Any], managed: list[Any], keys: bool, buckets: bool
) -> None:
    given: dict[str, Any] = {"Policy": document(*inline)} if inline else {}
    if managed:
        given["PolicyArns"] = [{"arn": roles.policy(*statements)} for statements in managed]
    session = roles.assume(roles.role(trust("sts:AssumeRole")), **given)
    for may, call in ((keys, session("kms").list_keys), (buckets, session("s3").list_buckets)):
        if may:
            call()
        else:
            assert refused(call)["Code"] in ("AccessDenied", "AccessDeniedException")


def test_a_managed_session_policy_of_aws_limits_a_session(roles: Roles) -> None:
    given = [{"arn": "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"}]
    session = roles.assume(roles.role(trust("sts:AssumeRole")), PolicyArns=given)
    assert "no session policy allows" in refused(session("kms").list_keys)["Message"]


def test_a_session_may_do_nothing_once_its_managed_policy_is_gone(roles: Roles) -> None:
    policy = roles.policy(LIST_KEYS)
    session = roles.assume(roles.role(trust("sts:AssumeRole")), PolicyArns=[{"arn": policy}])
    session("kms").list_keys()
    roles.iam.delete_policy(PolicyArn=policy)
    assert refused(session("kms").list_keys)["Code"] == "AccessDeniedException"


@pytest.mark.parametrize(
    "arn",
    [
        f"arn:aws:iam::{ACCOUNT}:policy/nobody-wrote-this",
        "arn:aws:iam::aws:policy/NobodyWroteThis",
        "a word of twenty letters",
    ],
)
def test_a_managed_session_policy_that_is_not_there_is_refused(roles: Roles, arn: str) -> None:
    role = roles.role(trust("sts:AssumeRole"))
    said = refused(lambda: roles.assume(role, PolicyArns=[{"arn": arn}]))
    assert (said["Code"], said["Status"]) == ("MalformedPolicyDocument", 400)
    assert arn in said["Message"]


def test_another_account_s_managed_policy_is_no_session_policy(inner: Any, roles: Roles) -> None:
    foreign = inner.client("staging", "iam").create_policy(
        PolicyName="foreign", PolicyDocument=document(EVERYTHING)
    )
    given = [{"arn": foreign["Policy"]["Arn"]}]
    said = refused(lambda: roles.assume(roles.role(trust("sts:AssumeRole")), PolicyArns=given))
    assert said["Code"] == "MalformedPolicyDocument"


def test_ten_managed_session_policies_are_the_most(roles: Roles) -> None:
    policy, role = {"arn": roles.policy(LIST_KEYS)}, roles.role(trust("sts:AssumeRole"))
    roles.assume(role, PolicyArns=[policy] * 10)
    assert refused(lambda: roles.assume(role, PolicyArns=[policy] * 11))["Code"] == "ValidationError"


@pytest.mark.parametrize(
    ("given", "trusted", "action"),
    [
        ({"Tags": TEAM}, STS[:1], "sts:TagSession"),
        ({"Tags": TEAM}, STS[:2], None),
        ({"SourceIdentity": "ana"}, STS[:1], "sts:SetSourceIdentity"),
        ({"SourceIdentity": "ana"}, (STS[0], STS[2]), None),
        ({"Tags": TEAM, "SourceIdentity": "ana"}, STS[:2], "sts:SetSourceIdentity"),
        ({"Tags": TEAM, "SourceIdentity": "ana"}, STS, None),
        ({}, STS[:1], None),
        ({"Tags": TEAM}, STS[1:], "sts:AssumeRole"),
    ],
)
def test_tags_and_source_identity_are_asked_of_the_trust_policy(
    roles: Roles, given: dict[str, Any], trusted: tuple[str, ...], action: str | None
) -> None:
    role = roles.role(trust(*trusted))
    if action is None:
        roles.assume(role, **given)
        return
    said = refused(lambda: roles.assume(role, **given))
    assert (said["Code"], said["Status"]) == ("AccessDenied", 403)
    assert f"is not authorized to perform: {action} on resource: {role}" in said["Message"]


def equals(key: str, value: Any) -> dict[str, Any]:
    return {"StringEquals": {key: value}}


def any_value(key: str, value: Any) -> dict[str, Any]:
    return {"ForAnyValue:StringEquals": {key: value}}


@pytest.mark.parametrize(
    ("condition", "given", "may"),
    [
        (equals("aws:RequestTag/team", "a"), {"Tags": TEAM}, True),
        (equals("aws:RequestTag/team", "b"), {"Tags": TEAM}, False),
        (any_value("aws:TagKeys", "team"), {"Tags": TEAM}, True),
        (any_value("aws:TagKeys", "cost"), {"Tags": TEAM}, False),
        (any_value("sts:TransitiveTagKeys", "team"), {"Tags": TEAM, "TransitiveTagKeys": ["team"]}, True),
        (any_value("sts:TransitiveTagKeys", "team"), {"Tags": TEAM}, False),
        (equals("sts:SourceIdentity", "ana"), {"SourceIdentity": "ana"}, True),
        (equals("sts:SourceIdentity", "ana"), {"SourceIdentity": "bob"}, False),
        (equals("sts:SourceIdentity", "ana"), {}, False),
        (equals("sts:RoleSessionName", "s-1"), {}, True),
        (equals("sts:RoleSessionName", "s-2"), {}, False),
        (equals("aws:ResourceTag/kind", "open"), {}, True),
        (equals("aws:ResourceTag/kind", "shut"), {}, False),
        (equals("iam:ResourceTag/kind", "open"), {}, True),
    ],
)
def test_a_trust_policy_sees_what_the_session_is_to_have(
    roles: Roles, condition: dict[str, Any], given: dict[str, Any], may: bool
) -> None:
    role = roles.role(
        trust("sts:AssumeRole", condition=condition), trust(*STS[1:]), Tags=[{"Key": "kind", "Value": "open"}]
    )
    if may:
        roles.assume(role, **given)
    else:
        assert (
            "no role trust policy allows the sts:AssumeRole"
            in refused(lambda: roles.assume(role, **given))["Message"]
        )


@pytest.mark.parametrize(
    ("role_tags", "given", "condition", "may"),
    [
        ({}, {"Tags": TEAM}, equals("aws:PrincipalTag/team", "a"), True),
        ({}, {"Tags": TEAM}, equals("aws:PrincipalTag/TEAM", "a"), True),
        ({}, {"Tags": TEAM}, equals("aws:PrincipalTag/team", "b"), False),
        ({}, {}, equals("aws:PrincipalTag/team", "a"), False),
        ({"team": "a"}, {}, equals("aws:PrincipalTag/team", "a"), True),
        ({"Team": "b"}, {"Tags": TEAM}, equals("aws:PrincipalTag/team", "a"), True),
        ({"Team": "b"}, {"Tags": TEAM}, equals("aws:PrincipalTag/team", "b"), False),
        ({}, {"SourceIdentity": "ana"}, equals("aws:SourceIdentity", "ana"), True),
        ({}, {"SourceIdentity": "bob"}, equals("aws:SourceIdentity", "ana"), False),
        ({}, {}, {"DateGreaterThan": {"aws:TokenIssueTime": "2020-01-01T00:00:00Z"}}, True),
        ({}, {}, {"DateLessThan": {"aws:TokenIssueTime": "2020-01-01T00:00:00Z"}}, False),
    ],
)
def test_a_session_s_requests_carry_its_tags(
    roles: Roles, role_tags: dict[str, str], given: dict[str, Any], condition: dict[str, Any], may: bool
) -> None:
    role = roles.role(
        trust(*STS),
        allowed={**LIST_KEYS, "Condition": condition},
        Tags=[{"Key": key, "Value": value} for key, value in role_tags.items()],
    )
    keys = roles.assume(role, **given)("kms").list_keys
    if may:
        keys()
    else:
        assert refused(keys)["Code"] == "AccessDeniedException"


@pytest.mark.parametrize(("team", "may"), [("a", True), ("b", False)])
def test_a_user_s_requests_carry_its_tags(roles: Roles, team: str, may: bool) -> None:
    name = f"user-{next(NUMBERS)}"
    roles.iam.create_user(UserName=name, Tags=TEAM)
    narrowed = document({**LIST_KEYS, "Condition": equals("aws:PrincipalTag/team", team)})
    roles.iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=narrowed)
    key = roles.iam.create_access_key(UserName=name)["AccessKey"]
    keys = roles.inner.keyed("kms", key["AccessKeyId"], key["SecretAccessKey"]).list_keys
    if may:
        keys()
    else:
        assert refused(keys)["Code"] == "AccessDeniedException"


@pytest.mark.parametrize(
    ("transitive", "trusted", "may"),
    [
        ({"TransitiveTagKeys": ["TEAM"]}, STS[:2], True),
        ({"TransitiveTagKeys": ["team"]}, STS[:1], False),
        ({}, STS[:1], True),
    ],
)
def test_the_next_role_in_a_chain_is_asked_for_the_tags_it_inherits(
    roles: Roles, transitive: dict[str, Any], trusted: tuple[str, ...], may: bool
) -> None:
    first = roles.assume(roles.role(trust(*STS)), Tags=TEAM, **transitive)
    reading = {**LIST_KEYS, "Condition": equals("aws:PrincipalTag/team", "a")}
    second = roles.role(trust(*trusted), allowed=reading)
    if not may:
        assert "sts:TagSession" in refused(lambda: roles.assume(second, first("sts")))["Message"]
        return
    session = roles.assume(second, first("sts"))
    if transitive:
        session("kms").list_keys()
    else:
        assert refused(session("kms").list_keys)["Code"] == "AccessDeniedException"


def test_a_source_identity_stays_along_a_chain(roles: Roles) -> None:
    first = roles.assume(roles.role(trust(*STS)), SourceIdentity="ana")
    shut, second = roles.role(trust(STS[0])), roles.role(trust(*STS))
    assert "sts:SetSourceIdentity" in refused(lambda: roles.assume(shut, first("sts")))["Message"]
    assert refused(lambda: roles.assume(second, first("sts"), SourceIdentity="bob"))["Code"] == "AccessDenied"
    answer = first("sts").assume_role(RoleArn=second, RoleSessionName="s-1", SourceIdentity="ana")
    assert answer["SourceIdentity"] == "ana"
    assert first("sts").assume_role(RoleArn=second, RoleSessionName="s-1")["SourceIdentity"] == "ana"


DUPLICATE = "Duplicate tag keys found. Please note that Tag keys are case insensitive."
MISSING = "The specified transitive tag key must be included in the requested tags."
CONFLICT = (
    "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key"
)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"Tags": [*TEAM, {"Key": "Team", "Value": "b"}]}, DUPLICATE),
        ({"Tags": TEAM, "TransitiveTagKeys": ["team", "cost"]}, MISSING),
        ({"TransitiveTagKeys": ["team"]}, MISSING),
    ],
)
def test_tags_that_sts_does_not_take(roles: Roles, given: dict[str, Any], text: str) -> None:
    role = roles.role(trust(*STS))
    said = refused(lambda: roles.assume(role, **given))
    assert (said["Code"], said["Message"], said["Status"]) == ("InvalidParameterValue", text, 400)


def test_an_inherited_tag_cannot_be_set_again(roles: Roles) -> None:
    role = roles.role(trust(*STS))
    first = roles.assume(role, Tags=TEAM, TransitiveTagKeys=["team"])
    said = refused(lambda: roles.assume(role, first("sts"), Tags=[{"Key": "TEAM", "Value": "b"}]))
    assert said["Code"] == "InvalidParameterValue"
    assert said["Message"].startswith(CONFLICT)


@pytest.mark.parametrize(
    "arn",
    [
        "nothing-valid-in-here",
        "arn::b:::something/test-role",
        "arn:a::::something/test-role",
        "arn:aws:iam:::role/without-an-account",
        "arn:aws:s3:::a-bucket-and-no-role",
    ],
)
def test_a_role_that_is_named_by_no_arn_is_refused(roles: Roles, arn: str) -> None:
    said = refused(lambda: roles.assume(arn))
    assert (said["Code"], said["Message"], said["Status"]) == ("ValidationError", f"{arn} is invalid", 400)


@pytest.mark.parametrize(
    ("given", "packed"), [({}, False), ({"Tags": TEAM}, True), ({"Policy": document(EVERYTHING)}, True)]
)
def test_the_packed_size_is_told_where_something_was_packed(
    roles: Roles, given: dict[str, Any], packed: bool
) -> None:
    answer = roles.sts.assume_role(RoleArn=roles.role(trust(*STS)), RoleSessionName="s-1", **given)
    assert ("PackedPolicySize" in answer, "SourceIdentity" in answer) == (packed, False)
