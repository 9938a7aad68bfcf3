"""Whose door: a refusal names the shut door and who keeps the policy, or says that it cannot tell, and blames nobody else.

Each world has one thing broken with an ordinary call of an administrator, or a policy of an organization attached. Then the
deployer goes the way of a deployment up to the model.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import pytest

from crossaccount.audit.answers import Verdict
from crossaccount.audit.probe import try_doors
from crossaccount.aws import sessions
from crossaccount.aws.access import Target, open_producer, open_target
from crossaccount.config.loading import load_config
from crossaccount.errors import DoorName, Failed, Refusal, Refused
from crossaccount.hosting import preflight, removal, temporary
from crossaccount.hosting.gateway import Patience
from crossaccount.policy import documents
from crossaccount.release.manifest import Release
from crossaccount.sharing import apply, gather, publish
from crossaccount.sharing.plan import plan_share

PRODUCER, STAGING = "111111111111", "222222222222"
BUCKET, GROUP, ORGANIZATION = "producer-models-111111111111", "decision-trees-sample", "o-sandbox0001"
DEPLOYER, EXECUTION = "crossaccount-deployer", "crossaccount-execution"
MANAGEMENT = "999999999999"
World = Callable[[Any], AbstractContextManager[None]]


@pytest.fixture(scope="module")
def shared(sandbox: Any) -> Iterator[Any]:
    """The sandbox with everything shared and published; a test that breaks something mends it."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in sandbox.ready["env"].items():
            patch.setenv(name, value)
        with sandbox.restored(), sessions.reuse():
            sharing = load_config(sandbox.config)
            producer = open_producer(sharing)
            found = gather.gather(producer)
            plan = plan_share(sharing, found)
            apply.apply(producer, plan)
            for version in found.versions:
                made, new = publish.prepare(producer, version, found, plan)
                if new:
                    publish.publish(producer, made)
            yield sandbox


def deploy(aws: Any) -> None:
    """The way of a deployment up to a model, which is removed."""
    target = open_target(load_config(aws.config), "staging")
    release = preflight.read_release(target, preflight.find_version(target, None))
    preflight.check_artifacts(target, release)
    create(target, release)


def create(target: Target, release: Release) -> None:
    with preflight.explained_creation(target, release):
        temporary.try_model(target, release)


def refusal(aws: Any) -> Refusal:
    with pytest.raises(Refused) as error:
        deploy(aws)
    assert not any(aws.hosted("staging").values())
    return error.value.refusal


# Worlds.


def open_(kind: str) -> World:
    """Nothing broken in a document."""

    @contextmanager
    def world(aws: Any) -> Iterator[None]:
        yield

    return world


def shut(kind: str) -> World:
    """Our statements taken out of one of the producer's documents."""

    @contextmanager
    def world(aws: Any) -> Iterator[None]:
        with aws.restored():
            document = aws.documents()[kind]
            kept = [
                one for one in document["Statement"] if not str(one.get("Sid", "")).startswith("CrossAccount")
            ]
            aws.put(kind, {**document, "Statement": kept} if kept else None)
            yield

    return world


def denying(kind: str, action: str, principal: Any = STAGING) -> World:
    """A Deny for the consumer put into one of the producer's documents."""
    places = {
        "group": f"arn:aws:sagemaker:us-east-1:{PRODUCER}:model-package-group/{GROUP}",
        "bucket": f"arn:aws:s3:::{BUCKET}/*",
        "key": "*",
    }

    @contextmanager
    def world(aws: Any) -> Iterator[None]:
        with aws.restored():
            document = aws.documents()[kind]
            deny = {"Sid": "Theirs", "Effect": "Deny", "Principal": {"AWS": principal}, "Action": action}
            deny |= {"Resource": places[kind]} if kind in places else {}
            aws.put(kind, {**document, "Statement": [*documents.statements(document), deny]})
            yield

    return world


@contextmanager
def put_boundary(aws: Any, role: str, *statements: dict[str, Any]) -> Iterator[str]:
    iam = aws.admin("staging", "iam")
    text = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    arn = iam.create_policy(PolicyName="whose-door", PolicyDocument=text)["Policy"]["Arn"]
    iam.put_role_permissions_boundary(RoleName=role, PermissionsBoundary=arn)
    try:
        yield arn
    finally:
        iam.delete_role_permissions_boundary(RoleName=role)
        iam.delete_policy(PolicyArn=arn)


ALL = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def bounded(role: str, *statements: dict[str, Any]) -> World:
    """A permissions boundary on one of the consumer's roles."""

    @contextmanager
    def world(aws: Any) -> Iterator[None]:
        with put_boundary(aws, role, *statements):
            yield

    return world


def inline(role: str, action: str) -> World:
    """A Deny in a policy of its own on one of the consumer's roles."""

    @contextmanager
    def world(aws: Any) -> Iterator[None]:
        iam = aws.admin("staging", "iam")
        text = json.dumps(
            {"Version": "2012-10-17", "Statement": [{**ALL, "Effect": "Deny", "Action": action}]}
        )
        iam.put_role_policy(RoleName=role, PolicyName="not-now", PolicyDocument=text)
        try:
            yield
        finally:
            iam.delete_role_policy(RoleName=role, PolicyName="not-now")

    return world


def managed(role: str, action: str) -> World:
    """A managed policy with a Deny, attached to one of the consumer's roles."""

    @contextmanager
    def world(aws: Any) -> Iterator[None]:
        iam = aws.admin("staging", "iam")
        text = json.dumps(
            {"Version": "2012-10-17", "Statement": [{**ALL, "Effect": "Deny", "Action": action}]}
        )
        arn = iam.create_policy(PolicyName="deny-it", PolicyDocument=text)["Policy"]["Arn"]
        iam.attach_role_policy(RoleName=role, PolicyArn=arn)
        try:
            yield
        finally:
            iam.detach_role_policy(RoleName=role, PolicyArn=arn)
            iam.delete_policy(PolicyArn=arn)

    return world


@contextmanager
def arranged(aws: Any, what: str, body: Any) -> Iterator[None]:
    """Something that the sandbox was told over HTTP, until the end of this."""
    url = f"{aws.url}/_sandbox/{what}"

    def ask(method: str) -> None:
        request = urllib.request.Request(url, json.dumps(body).encode(), method=method)
        with urllib.request.urlopen(request):
            pass

    ask("PUT")
    try:
        yield
    finally:
        ask("DELETE")


def organization(account: str, **policies: list[dict[str, Any]]) -> World:
    """Policies of its organization attached to an account."""

    @contextmanager
    def world(aws: Any) -> Iterator[None]:
        with arranged(aws, "organizations", {"account": account, **policies}):
            yield

    return world


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def deny(action: str) -> dict[str, Any]:
    return {**ALL, "Effect": "Deny", "Action": action}


def rcp(action: str) -> dict[str, Any]:
    return policy(
        {**deny(action), "Principal": "*", "Condition": {"StringEquals": {"aws:PrincipalAccount": STAGING}}}
    )


# A shut door is named, with its owner, whatever is asked of IAM meanwhile.

DESCRIBE, READ = "sagemaker:DescribeModelPackageGroup", "s3:GetObject"
DOORS = [
    ("group", DoorName.REGISTRY, DESCRIBE),
    ("bucket", DoorName.BUCKET, READ),
    ("key", DoorName.KEY, "kms:Decrypt"),
    ("repository", DoorName.REPOSITORY, "ecr:BatchGetImage"),
]
# Each holds in the calls that are made; what of it IAM can be told is in the words beside it.
CONDITIONS = {
    "no condition": ({}, True),
    "the region": ({"StringEquals": {"aws:RequestedRegion": "us-east-1"}}, True),
    "the resource's account": ({"StringEquals": {"aws:ResourceAccount": [PRODUCER, STAGING]}}, True),
    "the principal's account": ({"StringEquals": {"aws:PrincipalAccount": STAGING}}, True),
    "the role": ({"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{STAGING}:role/*"}}, True),
    "TLS": ({"Bool": {"aws:SecureTransport": "true"}}, True),
    "the hour": ({"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}, True),
    "the organization": ({"StringEquals": {"aws:PrincipalOrgID": ORGANIZATION}}, False),
    "a VPC endpoint, if there is one": ({"StringEqualsIfExists": {"aws:SourceVpce": "vpce-1"}}, False),
    "an address": ({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, False),
    "a tag, if there is one": ({"StringEqualsIfExists": {"aws:PrincipalTag/team": "models"}}, False),
}


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize(("kind", "door", "action"), DOORS, ids=[row[0] for row in DOORS])
def test_a_condition_on_the_role_leaves_the_blame_at_the_shut_door(
    shared: Any, kind: str, door: DoorName, action: str, condition: str
) -> None:
    block, known = CONDITIONS[condition]
    role = EXECUTION if kind == "repository" else DEPLOYER
    allow = {**ALL, "Condition": block} if block else ALL
    with shut(kind)(shared), put_boundary(shared, role, allow):
        found = refusal(shared)
    assert (found.door, found.account, found.action, found.denied_by) == (door, PRODUCER, action, None)
    assert "crossaccount share" in found.next_step
    allowed = [cause for cause in found.ruled_out if "allow" in cause]
    assert bool(allowed) == known, (found.ruled_out, found.next_step)
    assert ("cannot tell" in found.next_step) == (not known)
    assert not known or "aws:" not in found.next_step
    if kind == "key":
        assert found.resource == shared.key
        assert not [cause for cause in found.ruled_out if "key" in cause.split(":")[0]]


def test_a_condition_that_holds_for_nobody_is_not_the_door_s(shared: Any) -> None:
    """The other way round: every door is open, and the boundary keeps the deployer in another region."""
    allow = {**ALL, "Condition": {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}}
    with put_boundary(shared, DEPLOYER, allow):
        found = refusal(shared)
    assert (found.door, found.account) == (DoorName.CALLER_POLICY, STAGING)
    assert "permissions boundary" in found.next_step


# Explicit denies: who keeps the policy, its ARN where AWS names it, and no advice that does nothing.

SCP = [policy(ALL, deny(READ))]
DENIES = {
    "inline on the deployer": (inline(DEPLOYER, DESCRIBE), DoorName.CALLER_POLICY, STAGING, "identity-based policy", ""),
    "managed on the deployer": (
        managed(DEPLOYER, READ), DoorName.CALLER_POLICY, STAGING, "identity-based policy",
        f"arn:aws:iam::{STAGING}:policy/deny-it",
    ),
    "managed on the deployer, the key": (
        managed(DEPLOYER, "kms:Decrypt"), DoorName.CALLER_POLICY, STAGING, "identity-based policy",
        f"arn:aws:iam::{STAGING}:policy/deny-it",
    ),
    "the deployer's boundary": (
        bounded(DEPLOYER, ALL, deny(DESCRIBE)), DoorName.CALLER_POLICY, STAGING, "permissions boundary",
        f"arn:aws:iam::{STAGING}:policy/whose-door",
    ),
    "the consumer's organization": (
        organization(STAGING, service_control=SCP), DoorName.CALLER_POLICY, STAGING, "service control policy",
        f"arn:aws:organizations::{MANAGEMENT}:policy/{ORGANIZATION}/service_control_policy/p-{STAGING}-0",
    ),
    "the producer's organization": (
        organization(PRODUCER, resource_control=[rcp(READ)]), DoorName.BUCKET, PRODUCER, "resource control policy",
        f"arn:aws:organizations::{MANAGEMENT}:policy/{ORGANIZATION}/resource_control_policy/p-{PRODUCER}-0",
    ),
    "the group's policy": (denying("group", DESCRIBE), DoorName.REGISTRY, PRODUCER, "resource-based policy", ""),
    "the bucket's policy": (denying("bucket", READ), DoorName.BUCKET, PRODUCER, "resource-based policy", ""),
    "inline on the execution role": (
        inline(EXECUTION, READ), DoorName.EXECUTION_ROLE, STAGING, "identity-based policy", "",
    ),
    "the execution role's boundary": (
        bounded(EXECUTION, ALL, deny("kms:Decrypt")), DoorName.EXECUTION_ROLE, STAGING, "permissions boundary", "",
    ),
    "the consumer's organization, for pulling": (
        organization(STAGING, service_control=[policy(ALL, deny("ecr:BatchGetImage"))]),
        DoorName.EXECUTION_ROLE, STAGING, "service control policy", "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", DENIES)
def test_a_deny_is_told_with_its_policy_and_whoever_keeps_it(shared: Any, case: str) -> None:
    world, door, account, kind, arn = DENIES[case]
    with world(shared):
        found = refusal(shared)
    assert (found.door, found.account) == (door, account), found
    assert found.denied_by is not None
    assert (found.denied_by.kind, found.denied_by.arn) == (kind, arn)
    assert kind in found.next_step
    assert arn in found.next_step
    assert "must allow" not in found.next_step
    assert "crossaccount share" not in found.next_step


def test_a_deny_in_a_key_s_policy_is_the_key_s_and_a_share_is_no_sure_way_out(shared: Any) -> None:
    """KMS tells another account no more than that the key's side may deny it."""
    with denying("key", "kms:Decrypt")(shared):
        found = refusal(shared)
    assert (found.door, found.account, found.resource) == (DoorName.KEY, PRODUCER, shared.key)
    assert "if it shows none, a Deny in the resource's own policy" in found.next_step


def test_a_lack_in_an_organization_is_the_organization_s(shared: Any) -> None:
    with organization(
        STAGING, service_control=[policy({**ALL, "Action": ["sts:*", "sagemaker:*", "iam:*"]})]
    )(shared):
        found = refusal(shared)
    assert (found.door, found.account) == (DoorName.CALLER_POLICY, STAGING)
    assert "organization" in found.next_step


# The execution role alone is shut out: nothing of its own lacks.


@pytest.mark.parametrize("kind", ["bucket", "key"])
def test_a_door_that_lets_the_deployer_in_and_not_the_execution_role_cannot_be_told(
    shared: Any, kind: str
) -> None:
    role = f"arn:aws:iam::{STAGING}:role/{EXECUTION}"
    with denying(kind, {"bucket": READ, "key": "kms:Decrypt"}[kind], role)(shared):
        found = refusal(shared)
    assert (found.door, found.account) == (DoorName.UNKNOWN, PRODUCER)
    assert "crossaccount share" not in found.next_step
    assert BUCKET in found.next_step
    assert any("they allow everything" in cause for cause in found.ruled_out)


@pytest.mark.parametrize("block", [CONDITIONS["the organization"][0], CONDITIONS["an address"][0]])
def test_what_the_execution_role_may_is_not_ruled_out_where_iam_lacks_a_value(
    shared: Any, block: Any
) -> None:
    role = f"arn:aws:iam::{STAGING}:role/{EXECUTION}"
    with ExitStack() as stack:
        stack.enter_context(denying("bucket", READ, role)(shared))
        stack.enter_context(put_boundary(shared, EXECUTION, {**ALL, "Condition": block}))
        found = refusal(shared)
    assert found.door == DoorName.UNKNOWN
    assert "cannot tell" in found.next_step
    assert not [cause for cause in found.ruled_out if "they allow everything" in cause]


# What was read, and what was not.


@pytest.fixture
def target(shared: Any) -> Target:
    return open_target(load_config(shared.config), "staging")


@pytest.fixture
def release(target: Target) -> Release:
    return preflight.read_release(target, preflight.find_version(target, None))


def renamed(release: Release, uri: str, etag: str | None) -> Release:
    """The Release with another artifact."""
    (container,) = release.deployed_containers
    (artifact,) = container.artifacts
    changed = container.model_copy(
        update={"artifacts": [artifact.model_copy(update={"uri": uri, "etag": etag})]}
    )
    return release.model_copy(update={"containers": [changed]})


@contextmanager
def objects(aws: Any, **bodies: tuple[bytes, dict[str, Any]]) -> Iterator[dict[str, str]]:
    """Objects under a prefix of the group's artifacts; their ETags."""
    s3, prefix = aws.admin("producer", "s3"), f"models/{GROUP}/unpacked/"
    put = {
        name: s3.put_object(Bucket=BUCKET, Key=prefix + name, Body=body, **how)["ETag"].strip('"')
        for name, (body, how) in bodies.items()
    }
    try:
        yield put
    finally:
        for name in bodies:
            s3.delete_object(Bucket=BUCKET, Key=prefix + name)


PREFIX = f"s3://{BUCKET}/models/{GROUP}/unpacked/"


def under(aws: Any) -> dict[str, str]:
    return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": aws.key}


def test_every_object_under_a_prefix_is_read_and_its_key_named(
    shared: Any, target: Target, release: Release
) -> None:
    prefix = renamed(release, PREFIX, None)
    with objects(shared, a=(b"{}", {}), b=(b"x", under(shared)), empty=(b"", {})):
        read = preflight.check_artifacts(target, prefix)
        assert (read.count, read.buckets, read.keys, read.unread) == (
            1,
            {BUCKET},
            {f"{PREFIX}b": shared.key},
            {},
        )
        with shut("key")(shared), pytest.raises(Refused) as error:
            preflight.check_artifacts(target, prefix)
    found = error.value.refusal
    assert (found.door, found.account, found.resource) == (DoorName.KEY, PRODUCER, shared.key)
    with pytest.raises(Failed, match="is missing"):
        preflight.check_artifacts(target, prefix)


def test_what_could_not_be_read_under_a_prefix_rules_nothing_out(
    shared: Any, target: Target, release: Release
) -> None:
    prefix = renamed(release, PREFIX, None)
    with objects(shared, a=(b"{}", {}), b=(b"x", under(shared))):
        for action, why in (("s3:ListBucket", "may not list"), ("kms:Decrypt", "itself may not read")):
            with inline(DEPLOYER, action)(shared):
                read = preflight.check_artifacts(target, prefix)
                assert read.buckets == frozenset()
                assert read.keys == {}
                assert [why in doubt for doubt in read.unread.values()] == [True]
        many = {f"n{number:02}": (b"x", {}) for number in range(52)}
        with objects(shared, **many):
            read = preflight.check_artifacts(target, prefix)
        assert read.unread == {PREFIX: "only the first 50 objects were read"}


@pytest.mark.parametrize("encrypted", [False, True])
def test_an_empty_object_has_no_first_byte_and_is_read_all_the_same(
    shared: Any, target: Target, release: Release, encrypted: bool
) -> None:
    with objects(shared, empty=(b"", under(shared) if encrypted else {})) as etags:
        empty = renamed(release, f"{PREFIX}empty", etags["empty"])
        read = preflight.check_artifacts(target, empty)
        assert set(read.keys.values()) == ({shared.key} if encrypted else set())
        if encrypted:
            with shut("key")(shared), pytest.raises(Refused) as error:
                preflight.check_artifacts(target, empty)
            assert error.value.refusal.door == DoorName.KEY


def test_an_audit_says_yes_of_a_key_only_where_a_byte_was_read_under_it(shared: Any) -> None:
    sharing = load_config(shared.config)
    for world, verdict in ((open_("key"), Verdict.YES), (shut("key"), Verdict.NO)):
        with world(shared):
            found = try_doors(sharing, "staging", (), probe=False)
        answers = {str(one.door): one for one in found.answers if one.door == DoorName.KEY}
        assert {one.verdict for one in answers.values()} == {verdict}
        assert answers["key"].resource == shared.key


@contextmanager
def encrypted_release(aws: Any) -> Iterator[None]:
    """The newest Release encrypted under the artifacts' key."""
    s3, key = aws.admin("producer", "s3"), f"releases/{GROUP}/2.json"
    body = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    s3.put_object(Bucket=BUCKET, Key=key, Body=body, **under(aws))
    try:
        yield
    finally:
        s3.put_object(Bucket=BUCKET, Key=key, Body=body)


def test_a_release_under_a_shut_key_is_the_key_s(shared: Any) -> None:
    with encrypted_release(shared):
        deploy(shared)
        with shut("key")(shared):
            found = refusal(shared)
    assert (found.door, found.account, found.resource) == (DoorName.KEY, PRODUCER, shared.key)
    assert "associated with this ciphertext" in found.aws_message


@pytest.mark.parametrize("operation", ["CreateModel", "CreateEndpointConfig", "CreateEndpoint"])
def test_what_fails_names_the_call_that_failed(
    shared: Any, target: Target, release: Release, operation: str
) -> None:
    try:
        with (
            arranged(shared, "faults", {"kind": "conflict", "service": "sagemaker", "operation": operation}),
            pytest.raises(Failed) as error,
            preflight.explained_creation(target, release),
        ):
            temporary.begin_trial(target, release, Patience(seconds=10, first=0.03, longest=0.2))
    finally:
        removal.end_trials(target, Patience(seconds=10, first=0.03, longest=0.2))
        removal.discard(target, release, Patience(seconds=10, first=0.03, longest=0.2))
    assert str(error.value).startswith(f"sagemaker:{operation} ")
    assert ("CreateModel" in str(error.value)) == (operation == "CreateModel")
    assert not any(shared.hosted("staging").values())
