"""Artifacts and images as they are kept: every key of a prefix, archives, what another ETag says, keys that changed in place."""

from __future__ import annotations

import contextlib
import json
import shlex
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from crossaccount.audit.answers import Audit, Verdict, combine
from crossaccount.audit.documents import read_documents
from crossaccount.audit.probe import try_doors
from crossaccount.aws.access import open_producer, open_target, producing
from crossaccount.config.loading import load_config
from crossaccount.errors import Conflict, Finding, Obstacle, PlanRefused, Refused, Severity
from crossaccount.hosting import preflight
from crossaccount.registry.storage import Stored, is_other, stored
from crossaccount.sharing import apply, artifacts, gather, publish, revoke
from crossaccount.sharing.changes import Plan
from crossaccount.sharing.opened import read_opened
from crossaccount.sharing.plan import plan_share
from crossaccount_sandbox.accounts import push_image

BUCKET, GROUP = "producer-models-111111111111", "decision-trees-sample"
IMAGE = f"111111111111.dkr.ecr.us-east-1.amazonaws.com/{GROUP}:1"
FOLDER = f"models/{GROUP}/kept/"
KEY = f"{FOLDER}model.tar.gz"
URI = f"s3://{BUCKET}/{KEY}"
STAGING = "222222222222"
QUESTION = {"content_type": "text/csv", "body": "1,2", "expect": [0]}
ASKED = {f"consumers__{name}__smoke": [QUESTION] for name in ("staging", "production")}
AS_ADMINISTRATOR = {**ASKED, "producer__role": None, "producer__external_id": None, "producer__profile": None}
MODEL = {"Image": IMAGE, "ModelDataUrl": URI}
UNCOMPRESSED = {
    "Image": IMAGE,
    "ModelDataSource": {
        "S3DataSource": {
            "S3Uri": f"s3://{BUCKET}/{FOLDER}",
            "S3DataType": "S3Prefix",
            "CompressionType": "None",
        }
    },
}


class Scene:
    """The producer's administrator at work on one version, whose artifact a test puts there as it likes."""

    def __init__(self, aws: Any, edited: Any, number: int) -> None:
        self.aws, self.number = aws, number
        self.s3, self.kms = (aws.admin("producer", service) for service in ("s3", "kms"))
        self.path = edited(**AS_ADMINISTRATOR, versions=[number])
        self.as_role = edited(**ASKED, versions=[number])

    def put(self, key: str = KEY, under: str | None = None, body: bytes = b"x", **more: Any) -> str:
        if under is not None:
            more |= {"ServerSideEncryption": "aws:kms", **({"SSEKMSKeyId": under} if under else {})}
        return str(self.s3.put_object(Bucket=BUCKET, Key=key, Body=body, **more)["ETag"]).strip('"')

    def key(self) -> str:
        return str(self.kms.create_key()["KeyMetadata"]["Arn"])

    def policy(self, key: str) -> str:
        return str(self.kms.get_key_policy(KeyId=key)["Policy"])

    def findings(self, path: str = "") -> tuple[Finding, ...]:
        try:
            return gather.make_plan(load_config(path or self.path)).findings
        except PlanRefused as refused:
            return refused.findings

    def errors(self, path: str = "") -> list[Finding]:
        return [one for one in self.findings(path) if one.severity is Severity.ERROR]

    def share(self, prune: bool = False, path: str = "") -> Plan:
        sharing = load_config(path or self.path)
        producer = open_producer(sharing)
        with producer.explained():
            found = gather.gather(producer)
            plan = plan_share(sharing, found, prune)
            prepared = [publish.prepare(producer, version, found, plan) for version in found.versions]
            apply.apply(producer, plan)
        for made, new in prepared:
            if new:
                publish.publish(producer, made)
        return plan

    def take_back(self, path: str = "", **what: Any) -> Plan:
        sharing = load_config(path or self.path)
        plan = revoke.make_plan(sharing, revoke.choose(sharing, **what), force=True)
        apply.apply(open_producer(sharing), plan)
        return plan

    def audit(self, probe: bool = True) -> Audit:
        sharing = load_config(self.path)
        found = read_documents(sharing, ("staging",))
        tried = {"staging": try_doors(sharing, "staging", found.versions, probe)}
        return combine(sharing, ("staging",), found, tried, False)

    def reads(self, key: str) -> bool:
        """Whether the consumer's deployer reads an object."""
        client = self.aws.role("staging", "crossaccount-deployer", "s3")
        try:
            client.get_object(Bucket=BUCKET, Key=key, Range="bytes=0-0")
        except ClientError:
            return False
        return True


@pytest.fixture
def folder(administrator: Any) -> Iterator[Any]:
    """The sandbox, and a folder of its artifacts that is emptied again."""
    yield administrator
    s3 = administrator.admin("producer", "s3")
    for entry in s3.list_objects_v2(Bucket=BUCKET, Prefix=FOLDER).get("Contents", []):
        s3.delete_object(Bucket=BUCKET, Key=entry["Key"])


@pytest.fixture
def scene(folder: Any, edited: Any, registered: Any) -> Iterator[Scene]:
    with folder.restored(), registered(folder, **MODEL) as number:
        yield Scene(folder, edited, number)


@pytest.fixture
def uncompressed(folder: Any, edited: Any, registered: Any) -> Iterator[Scene]:
    with folder.restored(), registered(folder, **UNCOMPRESSED) as number:
        yield Scene(folder, edited, number)


@contextlib.contextmanager
def may_decrypt(aws: Any) -> Iterator[None]:
    """The consumer's deployer may decrypt under any key: whether it does is then the keys' policies' to say."""
    iam = aws.admin("staging", "iam")
    allow = {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    iam.put_role_policy(RoleName="crossaccount-deployer", PolicyName="keys", PolicyDocument=document)
    try:
        yield
    finally:
        iam.delete_role_policy(RoleName="crossaccount-deployer", PolicyName="keys")


# Every object under a prefix counts: each with the key that it lies under, - for none.
PREFIXES: dict[str, list[tuple[str, str]]] = {
    "the first has none": [("a-config.json", "-"), ("b-model.joblib", "one")],
    "the last has none": [("a-config.json", "one"), ("b-model.joblib", "-")],
    "two keys": [("a", "one"), ("b", "two")],
    "one key for all": [("a", "one"), ("b", "one"), ("code/c.py", "one")],
    "a key deep in it": [("a", "-"), ("code/deep/er/b", "two")],
    "no key": [("a", "-"), ("b", "-")],
    "markers of folders first": [*((f"{number:02}/", "-") for number in range(12)), ("model", "one")],
    "a marker under a key": [("0/", "two"), ("model", "one")],
}


@pytest.mark.parametrize("what", PREFIXES)
def test_every_key_under_a_prefix_is_opened_and_no_other(uncompressed: Scene, what: str) -> None:
    keys = {"one": uncompressed.key(), "two": uncompressed.key()}
    for name, under in PREFIXES[what]:
        uncompressed.put(f"{FOLDER}{name}", keys.get(under), b"" if name.endswith("/") else b"x")
    plan = uncompressed.share()
    opened = {change.resource.name for change in plan.changes if change.resource.kind == "key"}
    assert opened == {keys[under] for name, under in PREFIXES[what] if under in keys and name[-1] != "/"}
    with may_decrypt(uncompressed.aws):
        for name, _ in PREFIXES[what]:
            assert uncompressed.reads(f"{FOLDER}{name}") or name.endswith("/")


@pytest.mark.parametrize("names", [[], ["0/"], [f"{number:02}/" for number in range(12)]])
def test_nothing_but_markers_is_nothing(uncompressed: Scene, names: list[str]) -> None:
    for name in names:
        uncompressed.put(f"{FOLDER}{name}", body=b"")
    (found,) = uncompressed.errors()
    assert "nothing under it" in found.text


def test_of_many_objects_as_many_are_looked_at_as_it_says(
    uncompressed: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifacts, "_MOST", 3)
    for number in range(5):
        uncompressed.put(f"{FOLDER}{number}", StorageClass="GLACIER" if number == 4 else "STANDARD")
    found = uncompressed.findings()
    assert [one.subject for one in found if "is archived" in one.text] == [f"s3://{BUCKET}/{FOLDER}4"]
    assert [one.text for one in found if "5 objects, of which 3 were looked at" in one.text]


# Archives.


def move(aws: Any, key: str, tier: str) -> None:
    body = json.dumps({"bucket": BUCKET, "key": key, "tier": tier}).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{aws.url}/_sandbox/tiers", method="PUT", data=body)):
        pass


def archive(scene: Scene, kept: str, key: str = KEY) -> None:
    tier = "ACCESS" in kept
    scene.put(key, StorageClass="INTELLIGENT_TIERING" if tier else kept)
    if tier:
        move(scene.aws, key, kept)


def run(scene: Scene, command: str) -> Any:
    """Do what a command of the AWS CLI says, as far as it begins the text."""
    words = shlex.split(command)
    given = dict(zip(words[3::2], words[4::2], strict=False))
    assert words[:3] == ["aws", "s3api", "restore-object"], command
    return scene.s3.restore_object(
        Bucket=given["--bucket"], Key=given["--key"], RestoreRequest=json.loads(given["--restore-request"])
    )


def command(finding: Finding) -> str:
    return finding.way_out[finding.way_out.index("aws s3api") :]


ARCHIVES = ("GLACIER", "DEEP_ARCHIVE", "ARCHIVE_ACCESS", "DEEP_ARCHIVE_ACCESS")


@pytest.mark.parametrize("kept", ARCHIVES)
@pytest.mark.parametrize("key", [KEY, f"{FOLDER}a part's name"])
def test_an_archived_artifact_is_refused_with_the_command_that_restores_it(
    scene: Scene, uncompressed: Scene, kept: str, key: str
) -> None:
    one = scene if key == KEY else uncompressed
    one.put(f"{FOLDER}0")
    archive(one, kept, key)
    (found,) = one.errors()
    assert found.subject == f"s3://{BUCKET}/{key}"
    assert "nobody can read it until it is restored" in found.text
    run(one, command(found))
    (found,) = one.errors()
    assert "being restored" in found.text
    assert "head-object" in found.way_out


@pytest.mark.parametrize(
    "kept", ["STANDARD", "STANDARD_IA", "ONEZONE_IA", "GLACIER_IR", "INTELLIGENT_TIERING"]
)
def test_what_is_in_no_archive_stands_in_nobody_s_way(scene: Scene, kept: str) -> None:
    scene.put(StorageClass=kept)
    assert scene.findings() == ()


@pytest.mark.parametrize(("kept", "warned"), [("GLACIER", True), ("ARCHIVE_ACCESS", False)])
def test_a_restored_copy_is_shared_with_a_warning_until_when(scene: Scene, kept: str, warned: bool) -> None:
    archive(scene, kept)
    request = {"GlacierJobParameters": {"Tier": "Expedited"}} | ({"Days": 3} if warned else {})
    scene.s3.restore_object(Bucket=BUCKET, Key=KEY, RestoreRequest=request)
    time.sleep(0.4)  # five minutes at the sandbox's speed
    found = scene.share().findings
    assert [(one.severity, one.subject) for one in found] == ([(Severity.WARNING, URI)] if warned else [])
    assert not warned or "can be read until" in found[0].text


@pytest.mark.parametrize(
    ("kept", "shape"),
    [
        ("GLACIER", "object"),
        ("DEEP_ARCHIVE", "prefix"),
        ("ARCHIVE_ACCESS", "prefix"),
        ("DEEP_ARCHIVE_ACCESS", "object"),
    ],
)
def test_what_was_archived_after_it_was_shared_is_no_yes_and_not_deployed(
    scene: Scene, uncompressed: Scene, kept: str, shape: str
) -> None:
    one = scene if shape == "object" else uncompressed
    tier = "ACCESS" in kept
    one.put(StorageClass="INTELLIGENT_TIERING" if tier else "STANDARD")
    one.share()
    archive(one, kept)
    target = open_target(load_config(one.path), "staging")
    release = preflight.read_release(target, preflight.find_version(target, one.number))
    with pytest.raises(Obstacle, match="aws s3api restore-object"):
        preflight.check_artifacts(target, release)
    found = one.audit(probe=False)
    assert {each.verdict for each in found.answers if each.resource == BUCKET} == {Verdict.NO}
    assert any(URI in each for each in found.missing)
    # Where no role of the consumer's can try, the documents do not say yes either.
    documents = read_documents(load_config(one.path), ("staging",))
    assert {each.verdict for each in documents.answers if each.resource == BUCKET} == {Verdict.CANNOT_TELL}


# Images.


@contextlib.contextmanager
def image(aws: Any, tag: str) -> Iterator[str]:
    """An image of its own, by its tag."""
    ecr = aws.admin("producer", "ecr")
    push_image(ecr, GROUP, tag, {"its": b"own"})
    digest = ecr.batch_get_image(repositoryName=GROUP, imageIds=[{"imageTag": tag}])["images"][0]["imageId"]
    try:
        yield str(digest["imageDigest"])
    finally:
        with contextlib.suppress(ClientError):
            ecr.batch_delete_image(repositoryName=GROUP, imageIds=[{"imageDigest": digest["imageDigest"]}])


@pytest.mark.parametrize("pinned", ["tag", "digest", "both"])
@pytest.mark.parametrize("what", ["gone", "archived"])
def test_an_image_that_is_gone_or_archived_was_not_replaced(
    folder: Any, edited: Any, registered: Any, what: str, pinned: str
) -> None:
    ecr, repository = folder.admin("producer", "ecr"), IMAGE.rpartition(":")[0]
    with folder.restored(), image(folder, "kept") as digest:
        named = {"tag": ":kept", "digest": f"@{digest}", "both": f":kept@{digest}"}[pinned]
        with registered(folder, Image=f"{repository}{named}", ModelDataUrl=URI) as number:
            scene = Scene(folder, edited, number)
            scene.put()
            scene.share()
            if what == "gone":
                ecr.batch_delete_image(repositoryName=GROUP, imageIds=[{"imageDigest": digest}])
            else:
                ecr.update_image_storage_class(
                    repositoryName=GROUP, imageId={"imageDigest": digest}, targetStorageClass="ARCHIVE"
                )
            (found,) = scene.errors()
            assert found.subject == f"repository {GROUP}"
            assert ("is archived" if what == "archived" else "is not in it") in found.text
            audit = scene.audit(probe=False)
            assert not [one for one in audit.findings if "replaced" in one.text]
            assert audit.missing
            if what == "archived":
                assert "aws ecr update-image-storage-class" in found.way_out
                words = shlex.split(found.way_out[found.way_out.index("aws ecr") :])
                name, _, value = words[words.index("--image-id") + 1].partition("=")
                ecr.update_image_storage_class(
                    repositoryName=words[words.index("--repository-name") + 1],
                    imageId={name: value},
                    targetStorageClass=words[-1],
                )
                assert scene.errors() == []


# Other accounts' buckets.


@contextlib.contextmanager
def bucket_of(aws: Any, account: str, name: str) -> Iterator[None]:
    s3 = aws.admin(account, "s3")
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="m/model.tar.gz", Body=b"x")
    try:
        yield
    finally:
        s3.delete_object(Bucket=name, Key="m/model.tar.gz")
        s3.delete_bucket(Bucket=name)


@pytest.mark.parametrize(
    ("account", "name", "says"),
    [
        ("staging", "private-of-someone", "another account than the producer, 111111111111."),
        ("staging", "models-222222222222-us-east-1-an", "its name says 222222222222"),
        ("outsider", "sagemaker-us-east-1-444444444444", "its name says 444444444444"),
        ("outsider", "jumpstart-cache-prod-us-east-1", "a bucket of AWS"),
    ],
)
@pytest.mark.parametrize("acting", ["role", "administrator"])
def test_a_bucket_that_is_not_the_producer_s_is_named_and_the_rest_is_found_too(
    folder: Any, edited: Any, registered: Any, account: str, name: str, says: str, acting: str
) -> None:
    ghost = f"111111111111.dkr.ecr.us-east-1.amazonaws.com/{GROUP}:ghost"
    with (
        bucket_of(folder, account, name),
        registered(folder, Image=IMAGE, ModelDataUrl=f"s3://{name}/m/model.tar.gz") as theirs,
        registered(folder, Image=ghost, ModelDataUrl=f"s3://{BUCKET}/models/{GROUP}/1/model.tar.gz") as other,
    ):
        scene = Scene(folder, edited, theirs)
        both = edited(
            versions=[theirs, other],
            **(ASKED if acting == "role" else AS_ADMINISTRATOR),
        )
        found = scene.findings(both)
    (error,) = [one for one in found if one.severity is Severity.ERROR]
    assert error.subject == f"bucket {name}"
    assert says in error.text
    assert [one for one in found if ghost in str(one)]


def test_a_producer_that_may_not_look_into_its_own_bucket_is_told_the_permission(
    scene: Scene, aws: Any
) -> None:
    iam = aws.admin("producer", "iam")
    deny = {"Effect": "Deny", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{BUCKET}"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    iam.put_role_policy(RoleName="crossaccount-producer", PolicyName="test", PolicyDocument=document)
    scene.put()
    try:
        with pytest.raises(Exception, match=rf"s3:ListBucket on arn:aws:s3:::{BUCKET}") as refused:
            gather.make_plan(load_config(scene.as_role))
        assert "an AWS call" not in str(refused.value)
    finally:
        iam.delete_role_policy(RoleName="crossaccount-producer", PolicyName="test")


# What a refused call was about, where the answer does not say it.
CALLS: dict[str, Callable[[Any], Any]] = {
    "s3:GetObject on arn:aws:s3:::theirs/k": lambda one: one.s3.get_object(Bucket="theirs", Key="k"),
    "s3:GetObject on arn:aws:s3:::theirs/k/k": lambda one: one.s3.head_object(Bucket="theirs", Key="k/k"),
    "s3:ListBucket on arn:aws:s3:::theirs": lambda one: one.s3.list_objects_v2(Bucket="theirs"),
    "s3:GetBucketPublicAccessBlock on arn:aws:s3:::theirs": (
        lambda one: one.s3.get_public_access_block(Bucket="theirs")
    ),
    "s3:GetBucketPolicy on arn:aws:s3:::theirs": lambda one: one.s3.get_bucket_policy(Bucket="theirs"),
}


@pytest.mark.parametrize("what", CALLS)
def test_a_refused_call_of_the_producer_s_says_what_it_was_about(folder: Any, edited: Any, what: str) -> None:
    s3 = folder.admin("outsider", "s3")
    s3.create_bucket(Bucket="theirs")
    try:
        with (
            pytest.raises(Refused, match=rf"may not {what.replace('.', '[.]')}:"),
            producing(load_config(edited())) as producer,
        ):
            CALLS[what](producer)
    finally:
        s3.delete_bucket(Bucket="theirs")


# Keys that no share can open.


def key_of(scene: Scene, account: str, user: str = "111111111111") -> str:
    """A key of an account, which lets another use it in S3 and tells it nothing."""
    kms = scene.aws.admin(account, "kms")
    arn = str(kms.create_key()["KeyMetadata"]["Arn"])
    document = json.loads(kms.get_key_policy(KeyId=arn)["Policy"])
    use = ["kms:GenerateDataKey", "kms:Decrypt"]
    document["Statement"].append(
        {"Effect": "Allow", "Principal": {"AWS": user}, "Action": use, "Resource": "*"}
    )
    kms.put_key_policy(KeyId=arn, PolicyName="default", Policy=json.dumps(document))
    return arn


@pytest.mark.parametrize("acting", ["role", "administrator"])
@pytest.mark.parametrize("shape", ["object", "prefix"])
@pytest.mark.parametrize(
    ("whose", "says"),
    [
        ("aws", "the key that AWS manages for S3"),
        ("staging", "a key of account 222222222222"),
        ("outsider", "a key of account 444444444444"),
    ],
)
def test_a_key_that_the_producer_cannot_share_is_a_finding_beside_others(
    scene: Scene,
    uncompressed: Scene,
    registered: Any,
    edited: Any,
    whose: str,
    says: str,
    shape: str,
    acting: str,
) -> None:
    one = scene if shape == "object" else uncompressed
    one.put(under="" if whose == "aws" else key_of(one, whose))
    ghost = f"111111111111.dkr.ecr.us-east-1.amazonaws.com/{GROUP}:ghost"
    with registered(
        one.aws, Image=ghost, ModelDataUrl=f"s3://{BUCKET}/models/{GROUP}/1/model.tar.gz"
    ) as other:
        more = ASKED if acting == "role" else AS_ADMINISTRATOR
        found = one.findings(edited(versions=[one.number, other], **more))
    (error,) = [each for each in found if each.severity is Severity.ERROR]
    assert error.subject == URI
    assert says in error.text
    assert [each for each in found if ghost in str(each)]


def test_a_key_that_may_not_be_looked_at_is_a_finding_beside_others(scene: Scene, aws: Any) -> None:
    iam, key = aws.admin("producer", "iam"), scene.key()
    scene.put(under=key)
    allow = {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": key}
    deny = {"Effect": "Deny", "Action": "kms:DescribeKey", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow, deny]})
    iam.put_role_policy(RoleName="crossaccount-producer", PolicyName="test", PolicyDocument=document)
    try:
        (found,) = scene.errors(scene.as_role)
    finally:
        iam.delete_role_policy(RoleName="crossaccount-producer", PolicyName="test")
    assert (found.subject, key in found.text) == (URI, True)
    assert "kms:DescribeKey is refused" in found.text
    assert "cannot be told" in found.text


# Keys that changed in place.


def by_copy(scene: Scene, key: str) -> None:
    scene.s3.copy_object(
        Bucket=BUCKET, Key=KEY, CopySource=f"{BUCKET}/{KEY}", ServerSideEncryption="aws:kms", SSEKMSKeyId=key
    )


def in_place(scene: Scene, key: str) -> None:
    scene.s3.update_object_encryption(Bucket=BUCKET, Key=KEY, ObjectEncryption={"SSEKMS": {"KMSKeyArn": key}})


def named(scene: Scene, *keys: str) -> list[bool]:
    """Whether the policies of keys let the consumer in."""
    return [STAGING in scene.policy(key) for key in keys]


@pytest.fixture
def changed(scene: Scene) -> tuple[Scene, str, str]:
    """A version that was shared, whose artifact's key has changed in place since, and both keys, the old one first."""
    old, new = scene.key(), scene.key()
    scene.put(under=old)
    scene.share()
    in_place(scene, new)
    return scene, old, new


def test_a_share_after_a_key_changed_opens_the_new_one_and_names_the_old_one(
    changed: tuple[Scene, str, str],
) -> None:
    scene, old, new = changed
    (warning,) = scene.findings()
    assert (warning.severity, old in warning.subject) == (Severity.WARNING, True)
    assert (
        f"nothing that is shared needs it any more: it was opened for version {scene.number}" in warning.text
    )
    assert scene.share().findings == (warning,)
    assert named(scene, old, new) == [True, True], "sharing adds, and takes nothing away"
    with may_decrypt(scene.aws):
        audit = scene.audit(probe=False)
    assert [one for one in audit.findings if one == warning]
    assert not audit.missing


def test_pruning_takes_out_what_nothing_needs(changed: tuple[Scene, str, str]) -> None:
    scene, old, new = changed
    scene.share(prune=True)
    assert named(scene, old, new) == [False, True]
    assert scene.findings() == ()


@pytest.mark.parametrize("shared_again", [True, False])
@pytest.mark.parametrize(
    "what",
    [{"everything": True}, {"account": STAGING}, {"consumer": "staging"}],
    ids=["all", "account", "consumer"],
)
def test_a_revoke_takes_the_old_key_too(
    changed: tuple[Scene, str, str], what: dict[str, Any], shared_again: bool
) -> None:
    scene, old, new = changed
    if shared_again:
        scene.share()
    assert scene.take_back(**what).findings == ()
    assert named(scene, old, new) == [False, False]
    assert "333333333333" not in scene.policy(old) or "everything" not in what


@pytest.mark.parametrize("what", ["gone", "archived"])
def test_a_revoke_takes_the_key_of_an_artifact_that_is_archived_or_gone(scene: Scene, what: str) -> None:
    key = scene.key()
    scene.put(under=key, StorageClass="INTELLIGENT_TIERING")
    scene.share()
    assert named(scene, key) == [True]
    if what == "gone":
        scene.s3.delete_object(Bucket=BUCKET, Key=KEY)
    else:
        move(scene.aws, KEY, "DEEP_ARCHIVE_ACCESS")
    scene.take_back(everything=True)
    assert named(scene, key) == [False]


def test_a_revoke_takes_a_key_that_is_disabled(scene: Scene) -> None:
    key = scene.key()
    scene.put(under=key)
    scene.share()
    scene.kms.disable_key(KeyId=key)
    scene.take_back(everything=True)
    assert named(scene, key) == [False]


def test_a_version_s_revoke_takes_its_old_key_too_and_leaves_the_others(
    changed: tuple[Scene, str, str], registered: Any, edited: Any
) -> None:
    scene, old, new = changed
    kept, other = scene.key(), f"{FOLDER}other.tar.gz"
    scene.put(other, kept)
    with registered(scene.aws, Image=IMAGE, ModelDataUrl=f"s3://{BUCKET}/{other}") as number:
        both = edited(**AS_ADMINISTRATOR, versions=[scene.number, number])
        scene.share(path=both)
        assert named(scene, old, new, kept) == [True, True, True]
        scene.take_back(both, version=scene.number)
        assert named(scene, old, new, kept) == [False, False, True]


def test_a_release_names_the_keys_of_its_own_artifacts(scene: Scene, registered: Any, edited: Any) -> None:
    key, other = scene.key(), f"{FOLDER}other.tar.gz"
    scene.put()
    scene.put(other, key)
    with registered(scene.aws, Image=IMAGE, ModelDataUrl=f"s3://{BUCKET}/{other}") as number:
        both = edited(**AS_ADMINISTRATOR, versions=[scene.number, number])
        scene.share(path=both)
        releases = read_opened(open_producer(load_config(both))).releases
    assert releases[scene.number].contents.keys == ()
    assert releases[number].contents.keys == (key,)


def test_a_revoke_finds_a_key_that_no_release_names(changed: tuple[Scene, str, str]) -> None:
    scene, old, between = changed
    scene.share()
    new = scene.key()
    in_place(scene, new)
    scene.share()
    assert named(scene, old, between, new) == [True, True, True]
    scene.take_back(everything=True)
    assert named(scene, old, between, new) == [False, False, False]


def test_a_revoke_that_may_not_look_for_such_a_key_says_so(changed: tuple[Scene, str, str], aws: Any) -> None:
    scene, old, new = changed
    scene.share()
    iam = aws.admin("producer", "iam")
    use = ["kms:Decrypt", "kms:DescribeKey", "kms:GetKeyPolicy", "kms:PutKeyPolicy"]
    allow = {"Effect": "Allow", "Action": use, "Resource": [old, new]}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    iam.put_role_policy(RoleName="crossaccount-producer", PolicyName="test", PolicyDocument=document)
    try:
        (warning,) = scene.take_back(scene.as_role, everything=True).findings
    finally:
        iam.delete_role_policy(RoleName="crossaccount-producer", PolicyName="test")
    assert warning.severity is Severity.WARNING
    assert "kms:ListKeys" in warning.way_out
    assert named(scene, old, new) == [False, False]


# What another ETag says about the bytes.


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        pytest.param("-", "-", "someone replaced it", id="other bytes, no key"),
        pytest.param("one", "two", "cannot be told", id="the same bytes under another key"),
        pytest.param("one", "one", "cannot be told", id="the same bytes again under a key"),
        pytest.param("one", "-", "cannot be told", id="the same bytes under no key any more"),
        pytest.param("-", "one", "cannot be told", id="the same bytes now under a key"),
    ],
)
def test_another_etag_blames_nobody_where_it_cannot_tell(
    scene: Scene, before: str, after: str, says: str
) -> None:
    # The consumer may use both: that the bytes cannot be told is no matter of access.
    keys = {name: key_of(scene, "producer", STAGING) for name in ("one", "two")}
    scene.put(under=keys.get(before))
    scene.share()
    if after in keys:
        by_copy(scene, keys[after])
    else:
        scene.put(body=b"x" if before in keys else b"another")
    with pytest.raises(Conflict, match=says) as conflict:
        scene.share()
    assert ("someone replaced" in str(conflict.value)) == ("someone replaced" in says)
    target = open_target(load_config(scene.path), "staging")
    release = preflight.read_release(target, preflight.find_version(target, scene.number))
    expected = "was replaced after" if "replaced" in says else "cannot be told"
    with may_decrypt(scene.aws), pytest.raises(Obstacle, match=expected):
        preflight.check_artifacts(target, release)
    documents = read_documents(load_config(scene.path), ("staging",))
    (error,) = [one for one in documents.findings if "published with another" in one.text]
    assert says in error.text


@pytest.mark.parametrize("under", [True, False])
def test_an_etag_that_the_registry_recorded_is_compared_in_the_same_way(
    folder: Any, edited: Any, registered: Any, under: bool
) -> None:
    kms = folder.admin("producer", "kms")
    key = str(kms.create_key()["KeyMetadata"]["Arn"]) if under else None
    with (
        folder.restored(),
        registered(folder, **MODEL, ModelDataETag='"0123456789abcdef0123456789abcdef"') as number,
    ):
        scene = Scene(folder, edited, number)
        scene.put(under=key)
        (found,) = scene.errors()
    assert "since it was registered" in found.text
    assert "cannot be told" in found.text


MD5, OTHER, PARTS = "0" * 32, "1" * 32, "1" * 32 + "-2"


@pytest.mark.parametrize(
    ("recorded", "now", "was_plain", "other"),
    [
        (MD5, Stored(MD5, None), False, False),
        (MD5, Stored(OTHER, None), True, None),
        (MD5, Stored(OTHER, OTHER), True, True),
        (MD5, Stored(OTHER, OTHER), False, None),
        (MD5, Stored(PARTS, None), True, None),
        (MD5, Stored(PARTS, MD5), False, False),
        (MD5, Stored(OTHER, MD5), False, False),
        (PARTS, Stored(MD5, MD5), True, None),
        (PARTS, Stored(PARTS, None), True, False),
    ],
)
def test_what_an_etag_and_a_digest_tell(
    recorded: str, now: Stored, was_plain: bool, other: bool | None
) -> None:
    assert is_other(recorded, now, was_plain) is other


@pytest.mark.parametrize(
    ("head", "digest"),
    [
        ({"ETag": f'"{MD5}"'}, MD5),
        ({"ETag": f'"{MD5}"', "ServerSideEncryption": "AES256"}, MD5),
        ({"ETag": f'"{MD5}"', "ServerSideEncryption": "aws:kms"}, None),
        ({"ETag": f'"{MD5}"', "ServerSideEncryption": "aws:kms:dsse"}, None),
        ({"ETag": f'"{MD5}"', "SSECustomerAlgorithm": "AES256"}, None),
        ({"ETag": f'"{PARTS}"'}, None),
        ({"ETag": f'"{PARTS}"', "ChecksumMD5": "AAAAAAAAAAAAAAAAAAAAAA=="}, MD5),
        ({"ETag": '"k"', "ServerSideEncryption": "aws:kms", "ChecksumMD5": "AAAAAAAAAAAAAAAAAAAAAA=="}, MD5),
        ({"ETag": '"k"', "ChecksumMD5": "AAAAAAAAAAAAAAAAAAAAAA==", "ChecksumType": "COMPOSITE"}, None),
        ({"ETag": '"k"', "ChecksumCRC64NVME": "AAAAAAAAAAA="}, None),
    ],
)
def test_the_digest_that_head_tells(head: dict[str, str], digest: str | None) -> None:
    assert stored(head).digest == digest


def test_an_artifact_under_a_key_that_was_deleted_is_not_said_to_be_missing_itself(desk: Any) -> None:
    """KMS answers so once a scheduled deletion is over; here it is asked about a key that never was."""
    never = "arn:aws:kms:us-east-1:111111111111:key/00000000-0000-0000-0000-000000000000"
    events = desk.producer.kms.meta.events
    events.register("provide-client-params.kms.DescribeKey", lambda params, **_: {**params, "KeyId": never})
    gathered = desk.gather()
    assert set(gathered.left_out) == {2}
    assert "which does not exist: nobody can ever read it" in gathered.left_out[2].text
