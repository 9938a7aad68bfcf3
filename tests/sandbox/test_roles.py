"""Roles: the trust policies that IAM takes, and the roles that AWS alone may change."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.iam.models import iam_backends

ACCOUNT = "111111111111"
USER = f"arn:aws:iam::{ACCOUNT}:user/administrator"
TRUST = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
NOTHING = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "ec2:*", "Resource": "*"}]}
)


def trust(**changes: Any) -> str:
    statement = {key: value for key, value in {**TRUST, **changes}.items() if value is not None}
    return json.dumps({"Version": "2012-10-17", "Statement": [TRUST, statement]})


def refused(call: Callable[[], Any]) -> dict[str, Any]:
    with pytest.raises(ClientError) as error:
        call()
    return dict(error.value.response["Error"])


@pytest.fixture(scope="module")
def iam(inner: Any) -> Any:
    client = inner.client("producer", "iam")
    client.create_role(RoleName="plain", AssumeRolePolicyDocument=trust())
    return client


REFUSED = [
    (trust(Principal=None, NotPrincipal={"AWS": USER}), "Has prohibited field NotPrincipal"),
    (trust(Principal=None, NotPrincipal={"AWS": USER}, Effect="Deny"), "Has prohibited field NotPrincipal"),
    (trust(Principal=None, NotPrincipal="*", Effect="Deny"), "Has prohibited field NotPrincipal"),
    (trust(Resource="*"), "Has prohibited field Resource"),
    (trust(NotResource="*"), "Has prohibited field NotResource"),
    (trust(Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:role/ghost"}), "Invalid principal in policy"),
    ("not json", "This policy contains invalid Json"),
    ("{", "This policy contains invalid Json"),
]


@pytest.mark.parametrize(
    ("document", "text"), REFUSED, ids=[f"{text} {i}" for i, (_, text) in enumerate(REFUSED)]
)
def test_a_trust_policy_that_iam_would_not_take(iam: Any, document: str, text: str) -> None:
    before = iam.get_role(RoleName="plain")["Role"]["AssumeRolePolicyDocument"]
    for call in (
        lambda: iam.create_role(RoleName="new", AssumeRolePolicyDocument=document),
        lambda: iam.update_assume_role_policy(RoleName="plain", PolicyDocument=document),
    ):
        said = refused(call)
        assert said["Code"] == "MalformedPolicyDocument"
        assert text in said["Message"]
    assert refused(lambda: iam.get_role(RoleName="new"))["Code"] == "NoSuchEntity"
    assert iam.get_role(RoleName="plain")["Role"]["AssumeRolePolicyDocument"] == before


@pytest.mark.parametrize(
    "path", ["/aws-reserved/", "/aws-reserved/sso.amazonaws.com/", "/aws-service-role/x.amazonaws.com/"]
)
def test_no_one_makes_a_role_under_a_path_that_aws_keeps(iam: Any, path: str) -> None:
    said = refused(lambda: iam.create_role(RoleName="new", Path=path, AssumeRolePolicyDocument=trust()))
    assert (said["Code"], path in said["Message"]) == ("InvalidInput", True)
    iam.create_role(RoleName="like-it", Path="/aws/reserved/", AssumeRolePolicyDocument=trust())
    iam.delete_role(RoleName="like-it")


@pytest.fixture(params=["/aws-reserved/sso.amazonaws.com/", "/aws-service-role/x.amazonaws.com/"])
def protected(request: pytest.FixtureRequest, iam: Any) -> Iterator[str]:
    """The name of a role that AWS made, as no call of a client can."""
    role = iam_backends[ACCOUNT]["aws"].create_role(
        "AWSReservedSSO_Admin_1", trust(), request.param, None, "", [], "3600"
    )
    yield role.name
    del iam_backends[ACCOUNT]["aws"].roles[role.id]


@pytest.mark.parametrize(
    "change",
    [
        lambda c, name: c.delete_role(RoleName=name),
        lambda c, name: c.tag_role(RoleName=name, Tags=[{"Key": "a", "Value": "b"}]),
        lambda c, name: c.untag_role(RoleName=name, TagKeys=["a"]),
        lambda c, name: c.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=NOTHING),
        lambda c, name: c.delete_role_policy(RoleName=name, PolicyName="p"),
        lambda c, name: c.attach_role_policy(RoleName=name, PolicyArn=f"arn:aws:iam::{ACCOUNT}:policy/x"),
        lambda c, name: c.detach_role_policy(RoleName=name, PolicyArn=f"arn:aws:iam::{ACCOUNT}:policy/x"),
        lambda c, name: c.update_assume_role_policy(RoleName=name, PolicyDocument=trust()),
        lambda c, name: c.update_role(RoleName=name, MaxSessionDuration=7200),
        lambda c, name: c.delete_role_permissions_boundary(RoleName=name),
    ],
)
def test_a_role_of_aws_s_own_is_changed_by_no_one(iam: Any, protected: str, change: Any) -> None:
    said = refused(lambda: change(iam, protected))
    text = f"Cannot perform the operation on the protected role '{protected}' - this role is only modifiable by AWS"
    assert said == {"Type": "Sender", "Code": "UnmodifiableEntity", "Message": text}
    assert iam.get_role(RoleName=protected)["Role"]["RoleName"] == protected


POLICY = f"arn:aws:iam::{ACCOUNT}:policy/versioned"
SENT = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::%7B+"}],
    }
)
DOCUMENTS = [
    ("list_roles", {}, "Roles", "AssumeRolePolicyDocument"),
    ("get_role", {"RoleName": "plain"}, "Role", "AssumeRolePolicyDocument"),
    ("get_policy_version", {"PolicyArn": POLICY, "VersionId": "v1"}, "PolicyVersion", "Document"),
    ("create_policy_version", {"PolicyArn": POLICY, "PolicyDocument": SENT}, "PolicyVersion", None),
    ("list_policy_versions", {"PolicyArn": POLICY}, "Versions", None),
]


@pytest.mark.parametrize(
    ("operation", "asked", "within", "field"), DOCUMENTS, ids=lambda value: str(value)[:20]
)
def test_a_document_is_url_encoded_in_each_answer_that_has_one(
    iam: Any, operation: str, asked: dict[str, str], within: str, field: str | None
) -> None:
    with suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_policy(PolicyName="versioned", PolicyDocument=SENT)
    answered: list[bytes] = []
    iam.meta.events.register_first(
        "before-parse.iam.*", lambda response_dict, **_: answered.append(response_dict["body"]), "look"
    )
    try:
        found = getattr(iam, operation)(**asked)[within]
    finally:
        iam.meta.events.unregister("before-parse.iam.*", unique_id="look")
    documents = re.findall(rb"<(?:AssumeRolePolicy)?Document>([^<]*)<", answered[-1])
    assert bool(documents) == bool(field)
    assert all(document.startswith(b"%7B%22Version%22") for document in documents)
    if field == "Document":
        assert found[field] == json.loads(SENT)
