"""What a revoke says of each account is what the account's principals can then do, tried with their own credentials."""

from __future__ import annotations

import contextlib
import json
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from crossaccount import doors
from crossaccount.aws.access import Producer, open_producer
from crossaccount.config.loading import load_config
from crossaccount.config.model import Sharing
from crossaccount.doors.base import Resource
from crossaccount.sharing import plan_file, revoke
from crossaccount.sharing.gather import Gathered
from crossaccount.sharing.plan import plan_revoke, plan_share
from crossaccount.show import plans

A, PRODUCTION, OUTSIDER = "222222222222", "333333333333", "444444444444"
GROUP, BUCKET = "decision-trees-sample", "producer-models-111111111111"
ONE, TWO = f"arn:aws:iam::{A}:role/team/one", f"arn:aws:iam::{A}:role/two"
SESSION = f"arn:aws:sts::{A}:assumed-role/one/afternoon"
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
OPEN, SHUT, CANNOT_TELL = "still open", "shut", "cannot tell"


def when(operator: str, key: str, value: Any, principal: Any = "*") -> dict[str, Any]:
    return {"Principal": principal, "Condition": {operator: {key: value}}}


# Principals in every form, and the answer about account A. USER stands for the ARN of its administrator.
FORMS: dict[str, tuple[dict[str, Any], str]] = {
    "number": ({"Principal": {"AWS": A}}, OPEN),
    "root": ({"Principal": {"AWS": f"arn:aws:iam::{A}:root"}}, OPEN),
    "among others": ({"Principal": {"AWS": [OUTSIDER, A]}}, OPEN),
    "role": ({"Principal": {"AWS": ONE}}, OPEN),
    "session": ({"Principal": {"AWS": SESSION}}, OPEN),
    "another session": ({"Principal": {"AWS": f"arn:aws:sts::{A}:assumed-role/two/nobody"}}, OPEN),
    "user": ({"Principal": {"AWS": "USER"}}, OPEN),
    "anyone": ({"Principal": "*"}, OPEN),
    "anyone, in a list": ({"Principal": {"AWS": ["*"]}}, OPEN),
    "another account": ({"Principal": {"AWS": OUTSIDER}}, SHUT),
    "another account's role": (
        {"Principal": {"AWS": f"arn:aws:iam::{PRODUCTION}:role/crossaccount-deployer"}},
        SHUT,
    ),
    "a service": ({"Principal": {"Service": "cloudtrail.amazonaws.com"}}, SHUT),
    "all but it": ({"NotPrincipal": {"AWS": A}}, SHUT),
    "all but another": ({"NotPrincipal": {"AWS": OUTSIDER}}, OPEN),
    "organization": (when("StringEquals", "aws:PrincipalOrgID", "o-sandbox0001"), CANNOT_TELL),
    "another organization": (when("StringEquals", "aws:PrincipalOrgID", "o-other00000"), CANNOT_TELL),
    "paths": (when("ForAnyValue:StringLike", "aws:PrincipalOrgPaths", "o-sandbox0001/*"), CANNOT_TELL),
    "account key": (when("StringEquals", "aws:PrincipalAccount", A), OPEN),
    "account key, another case": (when("StringEquals", "AWS:principalaccount", [A, OUTSIDER]), OPEN),
    "account key, another's": (when("StringEquals", "aws:PrincipalAccount", OUTSIDER), SHUT),
    "account key, a pattern": (when("StringLike", "aws:PrincipalAccount", "2222*"), OPEN),
    "account key, not": (when("StringNotEquals", "aws:PrincipalAccount", A), SHUT),
    "account key, of a set": (when("ForAnyValue:StringEquals", "aws:PrincipalAccount", [A]), OPEN),
    "account key, all of a set": (when("ForAllValues:StringEquals", "aws:PrincipalAccount", OUTSIDER), SHUT),
    "account key, where there is one": (when("StringEqualsIfExists", "aws:PrincipalAccount", A), OPEN),
    "no account key": (when("Null", "aws:PrincipalAccount", "true"), SHUT),
    "role key": (when("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:role/team/*"), OPEN),
    "role key, equal": (when("ArnEquals", "aws:PrincipalArn", ONE), OPEN),
    "role key, as a text": (when("StringEquals", "aws:PrincipalArn", [TWO]), OPEN),
    "role key, whatever the case": (when("StringEqualsIgnoreCase", "aws:PrincipalArn", ONE.upper()), OPEN),
    "role key, a variable": (
        when("ArnLike", "aws:PrincipalArn", "arn:aws:iam::${aws:PrincipalAccount}:role/two"),
        OPEN,
    ),
    "role key, another's": (when("ArnLike", "aws:PrincipalArn", f"arn:aws:iam::{OUTSIDER}:role/*"), SHUT),
    "role key, not its": (when("ArnNotLike", "aws:PrincipalArn", f"arn:aws:*::{A}:*"), SHUT),
    "role key, not one": (when("ArnNotEquals", "aws:PrincipalArn", ONE), OPEN),
    "kind": (when("StringEquals", "aws:PrincipalType", "User"), OPEN),
    "service key": (when("StringEquals", "aws:PrincipalServiceName", "sagemaker.amazonaws.com"), SHUT),
    "for a source": (when("StringEquals", "aws:SourceAccount", PRODUCTION), SHUT),
    "until last year": (when("DateLessThan", "aws:CurrentTime", "2020-01-01T00:00:00Z", {"AWS": A}), SHUT),
    "for years": (when("DateLessThan", "aws:CurrentTime", "2099-01-01T00:00:00Z", {"AWS": A}), OPEN),
    "from a year on": (when("DateGreaterThan", "aws:EpochTime", "4102444800", {"AWS": A}), CANNOT_TELL),
    "an address": (when("IpAddress", "aws:SourceIp", "127.0.0.0/8", {"AWS": A}), CANNOT_TELL),
    "a tag": (when("StringEquals", "aws:PrincipalTag/team", "x", {"AWS": A}), CANNOT_TELL),
    "an address of another account": (
        {
            "Principal": "*",
            "Condition": {
                "IpAddress": {"aws:SourceIp": "127.0.0.0/8"},
                "StringEquals": {"aws:PrincipalAccount": OUTSIDER},
            },
        },
        SHUT,
    ),
    "over TLS": (when("Bool", "aws:SecureTransport", "true", {"AWS": A}), OPEN),
}
DENY_ALL = {"Effect": "Deny", "Principal": "*"}
# A Deny beside an Allow of the account or of one of its roles.
DENIALS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "all": ({"AWS": A}, {"Principal": "*"}, SHUT),
    "the account": ({"AWS": ONE}, {"Principal": {"AWS": A}}, SHUT),
    "the role": ({"AWS": ONE}, {"Principal": {"AWS": ONE}}, SHUT),
    "another role": ({"AWS": ONE}, {"Principal": {"AWS": TWO}}, OPEN),
    "one of its roles": ({"AWS": A}, {"Principal": {"AWS": ONE}}, OPEN),
    "another account": ({"AWS": A}, {"Principal": {"AWS": OUTSIDER}}, OPEN),
    "roles like it": (
        {"AWS": ONE},
        when("ArnLike", "aws:PrincipalArn", f"arn:aws:iam::{A}:role/team/*"),
        SHUT,
    ),
    "all but roles like it": (
        {"AWS": A},
        when("ArnNotLike", "aws:PrincipalArn", "arn:aws:iam::*:role/team/*"),
        OPEN,
    ),
    "all but an account": ({"AWS": A}, when("StringNotEquals", "aws:PrincipalAccount", [OUTSIDER]), SHUT),
    "all but an organization": (
        {"AWS": A},
        when("StringNotEquals", "aws:PrincipalOrgID", "o-sandbox0001"),
        CANNOT_TELL,
    ),
    "without TLS": ({"AWS": A}, when("BoolIfExists", "aws:securetransport", "false"), OPEN),
    "old TLS": ({"AWS": A}, when("NumericLessThan", "s3:TlsVersion", "1.2"), OPEN),
    "until last year": ({"AWS": A}, when("DateLessThan", "aws:CurrentTime", "2020-01-01"), OPEN),
    "an address": ({"AWS": A}, when("NotIpAddress", "aws:SourceIp", "127.0.0.0/8"), CANNOT_TELL),
}

# Each document, with the actions of its door, and the resource that a statement there names (None: it names none).
GROUP_ARN = f"arn:aws:sagemaker:us-east-1:111111111111:model-package-group/{GROUP}"
VERSIONS = GROUP_ARN.replace("-group/", "/") + "/*"
PULL = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
DOCUMENTS: dict[str, tuple[str, Any]] = {
    "bucket": ("bucket", {"Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/*"}),
    "repository": ("repository", {"Action": PULL}),
    "registry policy": (
        "repository",
        {"Action": PULL, "Resource": "arn:aws:ecr:us-east-1:111111111111:repository/*"},
    ),
    "key": ("key", {"Action": "kms:Decrypt", "Resource": "*"}),
    "AWS_RAM policy": ("key", {"Action": "kms:Decrypt", "Resource": "*"}),
    "group": (
        "model-package-group",
        {"Action": "sagemaker:DescribeModelPackage", "Resource": VERSIONS},
    ),
}


@dataclass
class Place:
    """The producer's accounts and documents, and those of account A who try the doors."""

    aws: Any
    sharing: Sharing
    producer: Producer
    gathered: Gathered
    bare: dict[str, Any]
    granted: dict[str, Any]
    tries: dict[str, Callable[[str], None]]
    user: str

    def resource(self, kind: str) -> Resource:
        return next(each for each in self.gathered.existing if each.kind == kind)

    def comes_through(self, kind: str) -> bool:
        """Whether anybody of the account does."""
        for who in ("one", "two", "user"):
            try:
                self.tries[kind](who)
            except ClientError as error:
                assert error.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException")  # noqa: PT017
            else:
                return True
        return False

    def put(self, kind: str, document: dict[str, Any] | None) -> None:
        if kind != "key":
            self.aws.put("group" if kind == "model-package-group" else kind, document)
            return
        kms, key = self.aws.admin("producer", "kms"), self.resource("key").name
        kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(document))

    def put_beside(self, name: str, document: dict[str, Any] | None) -> None:
        if name == "AWS_RAM policy":
            body = json.dumps({"key": self.resource("key").name, "policy": document}).encode()
            request = urllib.request.Request(f"{self.aws.url}/_sandbox/shares", body, method="PUT")
            urllib.request.urlopen(request).close()
        elif document is None:
            self.aws.admin("producer", "ecr").delete_registry_policy()
        else:
            self.aws.admin("producer", "ecr").put_registry_policy(policyText=json.dumps(document))

    def revoked(self, name: str, *statements: dict[str, Any]) -> tuple[dict[str, Any], bool, str]:
        """What a revoke says with these statements in a document, what the account can do after it, and the plan's text."""
        kind, _ = DOCUMENTS[name]
        resource = self.resource(kind)
        own = {**self.granted[kind]}
        beside = name not in ("bucket", "repository", "key", "group")
        with contextlib.ExitStack() as stack:
            if beside:
                self.put_beside(name, {"Version": "2012-10-17", "Statement": list(statements)})
                stack.callback(self.put_beside, name, None)
            else:
                own["Statement"] = [*statements, *own["Statement"]]
            around = doors.surroundings(self.producer, {resource: own})
            basis = replace(self.gathered, existing={resource: own}, beside=around)
            made = plan_revoke(self.sharing, basis, [A, PRODUCTION])
            self.put(kind, made.changes[0].desired)
            stack.callback(self.put, kind, self.bare[kind])
            able = self.comes_through(kind)
        (said,) = [each for each in plan_file.standing_json(made.standing) if each["account"] == A]
        return said, able, plans.text(made)


def assumed(aws: Any, role: str, session: str, service: str) -> Any:
    given = {"RoleArn": role, "RoleSessionName": session}
    key = aws.admin("staging", "sts").assume_role(**given)["Credentials"]
    return aws.client(service, key["AccessKeyId"], key["SecretAccessKey"], key["SessionToken"])


def roles(aws: Any) -> None:
    iam = aws.admin("staging", "iam")
    trust = {"Effect": "Allow", "Principal": {"AWS": A}, "Action": "sts:AssumeRole"}
    for path, name in (("/team/", "one"), ("/", "two")):
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
            iam.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=document)
        iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=json.dumps(EVERYTHING))


def attempts(aws: Any, sealed: bytes, key: str) -> dict[str, Callable[[str], None]]:
    made: dict[tuple[str, str], Any] = {}

    def client(who: str, service: str) -> Any:
        if (who, service) not in made:
            made[who, service] = (
                aws.admin("staging", service)
                if who == "user"
                else assumed(aws, {"one": ONE, "two": TWO}[who], "afternoon", service)
            )
        return made[who, service]

    image = {"registryId": "111111111111", "repositoryName": GROUP, "imageIds": [{"imageTag": "1"}]}
    artifact = {"Bucket": BUCKET, "Key": f"models/{GROUP}/1/model.tar.gz"}
    package = VERSIONS.replace("*", "1")
    return {
        "bucket": lambda who: client(who, "s3").get_object(**artifact),
        "repository": lambda who: client(who, "ecr").batch_get_image(**image),
        "key": lambda who: client(who, "kms").decrypt(CiphertextBlob=sealed, KeyId=key),
        "model-package-group": lambda who: client(who, "sagemaker").describe_model_package(
            ModelPackageName=package
        ),
    }


@pytest.fixture(scope="module")
def place(sandbox: Any) -> Iterator[Place]:
    with pytest.MonkeyPatch.context() as patch, sandbox.restored():
        for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
            patch.delenv(name, raising=False)
        for name, value in sandbox.ready["env"].items():
            patch.setenv(name, value)
        s3 = sandbox.admin("producer", "s3")
        block = s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"]
        s3.put_public_access_block(Bucket=BUCKET, PublicAccessBlockConfiguration=dict.fromkeys(block, False))
        roles(sandbox)
        sharing = load_config(sandbox.config)
        producer = open_producer(sharing)
        gathered = revoke.gather(producer)
        granted = plan_share(sharing, gathered)
        sealed = sandbox.admin("producer", "kms").encrypt(KeyId=sandbox.key, Plaintext=b"x")["CiphertextBlob"]
        yield Place(
            sandbox,
            sharing,
            producer,
            gathered,
            {resource.kind: document for resource, document in gathered.existing.items()},
            {change.resource.kind: change.desired for change in granted.changes},
            attempts(sandbox, sealed, sandbox.key),
            sandbox.admin("staging", "sts").get_caller_identity()["Arn"],
        )
        s3.put_public_access_block(Bucket=BUCKET, PublicAccessBlockConfiguration=block)


def with_user(statement: dict[str, Any], user: str) -> dict[str, Any]:
    changed: dict[str, Any] = json.loads(json.dumps(statement).replace('"USER"', json.dumps(user)))
    return changed


def see(place: Place, name: str, answer: str, *statements: dict[str, Any]) -> None:
    said, able, text = place.revoked(name, *statements)
    assert said["answer"] == answer, said
    kind, _ = DOCUMENTS[name]
    loses, keeps = f"loses access: {A}\n", f"keeps access: {A} by "
    if answer == OPEN:
        assert said["by"] == ["Theirs"]
        assert keeps in text
        assert loses not in text.replace("cannot tell whether", "")
    elif answer == SHUT:
        assert loses in f"{text}\n"
        assert keeps not in text
    else:
        assert f"cannot tell whether {A} loses access: " in text
        assert f"  {loses}" not in text
    nobody_s = "assumed-role/two/nobody" in json.dumps(statements)  # a session that nobody has now
    if answer != CANNOT_TELL and not nobody_s:
        assert able is (answer == OPEN), (said, kind)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_revoke_says_who_keeps_access_by_a_statement_of_others(place: Place, name: str, form: str) -> None:
    statement, answer = FORMS[form]
    if form == "service key" and DOCUMENTS[name][0] == "repository":
        answer = CANNOT_TELL  # SageMaker pulls on behalf of accounts, and whether anyone is a service too is not documented
    theirs = {"Sid": "Theirs", "Effect": "Allow", **DOCUMENTS[name][1], **with_user(statement, place.user)}
    see(place, name, answer, theirs)


@pytest.mark.parametrize("form", DENIALS)
@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_revoke_says_whom_a_deny_of_others_shuts_out(place: Place, name: str, form: str) -> None:
    principal, deny, answer = DENIALS[form]
    terms = DOCUMENTS[name][1]
    theirs = {"Sid": "Theirs", "Effect": "Allow", **terms, "Principal": principal}
    see(place, name, answer, theirs, {"Sid": "Never", "Effect": "Deny", **terms, **deny})
