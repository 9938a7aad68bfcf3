"""What can be broken in a world, by name: each change is made with an administrator's ordinary calls, and taken back.

A change is written in a table as ``[NAME, ARGUMENT, ...]``. Not here: what is to be said of a world (the tables), and who says it
(``commands``).
"""

from __future__ import annotations

import copy
import io
import json
import tarfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

from botocore.exceptions import ClientError

from crossaccount.aws import sessions
from crossaccount_sandbox.accounts import push_image

PRODUCER, STAGING, PRODUCTION, OUTSIDER = "111111111111", "222222222222", "333333333333", "444444444444"
GROUP, BUCKET, REGION = "decision-trees-sample", "producer-models-111111111111", "us-east-1"
ARNS = f"arn:aws:sagemaker:{REGION}:{PRODUCER}:model-package"
IMAGE = f"{PRODUCER}.dkr.ecr.{REGION}.amazonaws.com/{GROUP}:1"
DEPLOYER, EXECUTION, SHARER = "crossaccount-deployer", "crossaccount-execution", "crossaccount-producer"
WORDS = ("Group", "Versions", "Pull", "Read", "List", "Decrypt")  # of the Sids of our statements
DOORS = {"bucket": "bucket", "repository": "repository", "key": "key", "group": "registry"}
# The policies that stand beside one of the four documents, and which.
BESIDE = {"registry": "repository", "ram": "key"}

# What a statement of others is about where a table does not say: all that a consumer needs at that door.
ACTIONS = {
    "bucket": ["s3:GetObject", "s3:ListBucket"],
    "repository": ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
    "key": ["kms:Decrypt", "kms:DescribeKey"],
    "group": [
        *("sagemaker:DescribeModelPackageGroup", "sagemaker:ListModelPackages"),
        *("sagemaker:DescribeModelPackage", "sagemaker:CreateModel"),
    ],
}
RESOURCES = {
    "bucket": [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"],
    "key": "*",
    "group": [f"{ARNS}-group/{GROUP}", f"{ARNS}/{GROUP}/*"],
}
NAMES = {
    "{producer}": PRODUCER,
    "{staging}": STAGING,
    "{production}": PRODUCTION,
    "{outsider}": OUTSIDER,
    "{bucket}": BUCKET,
    "{group}": GROUP,
    "{organization}": "o-sandbox0001",
    "{path}": "o-sandbox0001/r-sb01/ou-sb01-staging00/",
    "{image}": IMAGE,
}

Change = Callable[..., AbstractContextManager[None]]
CHANGES: dict[str, Change] = {}


def named(value: Any) -> Any:
    """A table's value with the sandbox's names in it."""
    if isinstance(value, str):
        for name, real in NAMES.items():
            value = value.replace(name, real)
        return value
    if isinstance(value, list):
        return [named(each) for each in value]
    return {named(key): named(each) for key, each in value.items()} if isinstance(value, dict) else value


@contextmanager
def changed(aws: Any, world: list[list[Any]]) -> Iterator[None]:
    """The sandbox within these changes, made in their order. Where a role trusts another, each role is assumed anew."""
    with ExitStack() as stack:
        if any(name == "role trusts" for name, *_ in world):
            stack.enter_context(sessions.reuse())
        for name, *arguments in world:
            stack.enter_context(CHANGES[name](aws, *named(arguments)))
        yield


def change(function: Callable[..., Iterator[None]]) -> Change:
    made = contextmanager(function)
    CHANGES[function.__name__.replace("_", " ")] = made
    return made


# The four documents.


@contextmanager
def documents_kept(aws: Any, *kinds: str) -> Iterator[None]:
    """Only the documents that change are read and put back: a table has hundreds of rows."""
    before = {kind: read(aws, kind) for kind in kinds}
    try:
        yield
    finally:
        for kind, document in before.items():
            aws.put(kind, document)


def read(aws: Any, kind: str) -> dict[str, Any] | None:
    """One of the producer's documents."""
    client = {"bucket": "s3", "repository": "ecr", "group": "sagemaker", "key": "kms"}
    of = aws.admin("producer", client[kind])
    try:
        match kind:
            case "bucket":
                text = of.get_bucket_policy(Bucket=BUCKET)["Policy"]
            case "repository":
                text = of.get_repository_policy(repositoryName=GROUP)["policyText"]
            case "group":
                text = of.get_model_package_group_policy(ModelPackageGroupName=GROUP)["ResourcePolicy"]
            case _:
                text = of.get_key_policy(KeyId=aws.key, PolicyName="default")["Policy"]
    except ClientError as error:
        known = ("NoSuchBucketPolicy", "RepositoryPolicyNotFoundException", "ValidationException")
        if error.response["Error"]["Code"] in known:
            return None
        raise
    document: dict[str, Any] = json.loads(text)
    return document


def word_of(statement: dict[str, Any]) -> str:
    """The word of one of our Sids: CrossAccountReadxxxxxxxxyyyyyyyy is Read. Of a stranger's, nothing."""
    sid = str(statement.get("Sid", ""))
    word = sid.removeprefix("CrossAccount")[:-16]
    return word if sid.startswith("CrossAccount") and word in WORDS else ""


def rewritten(
    aws: Any, kind: str, rewrite: Callable[[dict[str, Any]], dict[str, Any] | None]
) -> AbstractContextManager[None]:
    """A document with each of its statements rewritten, or left out where the rewriting gives None."""

    @contextmanager
    def within() -> Iterator[None]:
        with documents_kept(aws, kind):
            document = read(aws, kind)
            assert document is not None, f"{kind} has no policy to change"
            kept = [new for each in document["Statement"] if (new := rewrite(copy.deepcopy(each)))]
            assert kept != document["Statement"], f"{kind}: nothing was changed"
            aws.put(kind, {**document, "Statement": kept} if kept else None)
            yield

    return within()


@change
def statement_out(aws: Any, kind: str, word: str) -> Iterator[None]:
    """One of our statements taken out."""
    with rewritten(aws, kind, lambda each: None if word_of(each) == word else each):
        yield


@change
def action_out(aws: Any, kind: str, action: str) -> Iterator[None]:
    """One action taken out of our statements."""

    def without(each: dict[str, Any]) -> dict[str, Any] | None:
        actions = [each["Action"]] if isinstance(each["Action"], str) else each["Action"]
        if not word_of(each) or action not in actions:
            return each
        left = [one for one in actions if one != action]
        return {**each, "Action": left} if left else None

    with rewritten(aws, kind, without):
        yield


@change
def resource_out(aws: Any, kind: str, word: str, part: str) -> Iterator[None]:
    """The resources that have ``part`` in them taken out of one of our statements."""
    with rewritten(
        aws,
        kind,
        lambda each: (
            {**each, "Resource": [one for one in each["Resource"] if part not in one]}
            if word_of(each) == word
            else each
        ),
    ):
        yield


@change
def account_out(aws: Any, kind: str, account: str) -> Iterator[None]:
    """One account taken out of our statements."""

    def without(each: dict[str, Any]) -> dict[str, Any] | None:
        if not word_of(each):
            return each
        listed = each["Principal"]["AWS"]
        left = [one for one in ([listed] if isinstance(listed, str) else listed) if account not in one]
        return {**each, "Principal": {"AWS": left}} if left else None

    with rewritten(aws, kind, without):
        yield


@change
def ended(aws: Any, kind: str) -> Iterator[None]:
    """Our statements as they are once their time is over."""
    over = {"DateLessThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}
    with rewritten(
        aws,
        kind,
        lambda each: {**each, "Condition": {**each.get("Condition", {}), **over}} if word_of(each) else each,
    ):
        yield


def theirs_of(kind: str, statement: dict[str, Any]) -> dict[str, Any]:
    """A stranger's whole statement, from what a table says of it."""
    whole: dict[str, Any] = {"Sid": "Theirs", "Effect": "Allow"}
    if not {"Action", "NotAction"} & statement.keys():
        whole["Action"] = ACTIONS[kind]
    if kind in RESOURCES and not {"Resource", "NotResource"} & statement.keys():
        whole["Resource"] = RESOURCES[kind]
    return {**whole, **statement}


@change
def theirs(aws: Any, kind: str, *written: dict[str, Any]) -> Iterator[None]:
    """Statements of a stranger's beside ours."""
    with documents_kept(aws, kind):
        document = read(aws, kind) or {"Version": "2012-10-17", "Statement": []}
        more = [
            {**theirs_of(kind, each), "Sid": each.get("Sid", f"Theirs{number or ''}")}
            for number, each in enumerate(written)
        ]
        aws.put(kind, {**document, "Statement": [*document["Statement"], *more]})
        yield


def theirs_in(place: str, statements: list[dict[str, Any]]) -> list[Any]:
    """The change that gives a document, or a policy beside one, statements of a stranger's."""
    if place in BESIDE and not statements:
        return [
            "public access unblocked"
        ]  # which the table has already: a policy without a statement is none
    return (
        [{"registry": "registry policy", "ram": "shared by ram"}[place], *statements]
        if place in BESIDE
        else ["theirs", place, *statements]
    )


@change
def deny(aws: Any, kind: str, account: str, *actions: str) -> Iterator[None]:
    """A stranger's Deny for an account, of all that the door is for or of these actions."""
    whole: dict[str, Any] = {"Sid": "Frozen", "Effect": "Deny", "Principal": {"AWS": account}}
    statement = {**whole, "Action": list(actions)} if actions else whole
    if actions and kind == "bucket":
        statement["Resource"] = f"arn:aws:s3:::{BUCKET}/*"
    with CHANGES["theirs"](aws, kind, statement):
        yield


@change
def public_access_blocked(aws: Any, *settings: str) -> Iterator[None]:
    """The bucket's Block Public Access, with these settings on."""
    s3 = aws.admin("producer", "s3")
    before = s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"]
    every = dict.fromkeys(before, False) | dict.fromkeys(settings, True)
    s3.put_public_access_block(Bucket=BUCKET, PublicAccessBlockConfiguration=every)
    try:
        yield
    finally:
        s3.put_public_access_block(Bucket=BUCKET, PublicAccessBlockConfiguration=before)


@change
def public_access_unblocked(aws: Any) -> Iterator[None]:
    """The bucket's Block Public Access, off."""
    with CHANGES["public access blocked"](aws):
        yield


@change
def registry_policy(aws: Any, *written: dict[str, Any]) -> Iterator[None]:
    """The policy of the producer's whole ECR registry, which since scope V2 is asked by every call."""
    ecr, everything = aws.admin("producer", "ecr"), f"arn:aws:ecr:{REGION}:{PRODUCER}:repository/*"
    document = {
        "Version": "2012-10-17",
        "Statement": [
            {"Resource": everything, **theirs_of("repository", each), "Sid": f"Registry{number}"}
            for number, each in enumerate(written)
        ],
    }
    ecr.put_registry_policy(policyText=json.dumps(document))
    try:
        yield
    finally:
        ecr.delete_registry_policy()


# Keys.


@change
def key_disabled(aws: Any) -> Iterator[None]:
    kms, key = aws.admin("producer", "kms"), aws.key
    kms.disable_key(KeyId=key)
    try:
        yield
    finally:
        kms.enable_key(KeyId=key)


@change
def key_scheduled_for_deletion(aws: Any) -> Iterator[None]:
    kms, key = aws.admin("producer", "kms"), aws.key
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    try:
        yield
    finally:
        kms.cancel_key_deletion(KeyId=key)
        kms.enable_key(KeyId=key)


@change
def default_key(aws: Any, which: str) -> Iterator[None]:
    """Default encryption of the Releases' bucket: under ``another`` key of the producer, or ``managed`` by AWS."""
    s3 = aws.admin("producer", "s3")
    rule = {"SSEAlgorithm": "aws:kms"}
    if which == "another":
        rule["KMSMasterKeyID"] = another_key(aws)
    configuration = {"Rules": [{"ApplyServerSideEncryptionByDefault": rule}]}
    s3.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration=configuration)
    try:
        yield
    finally:
        s3.delete_bucket_encryption(Bucket=BUCKET)


def another_key(aws: Any) -> str:
    """A further key of the producer, made once."""
    kms = aws.admin("producer", "kms")
    for each in kms.list_keys()["Keys"]:
        found = kms.describe_key(KeyId=each["KeyArn"])["KeyMetadata"]
        if found["Description"] == "Another":
            return str(found["Arn"])
    return str(kms.create_key(Description="Another")["KeyMetadata"]["Arn"])


@contextmanager
def another_key_usable(aws: Any) -> Iterator[None]:
    """Everybody's own policies let them use the further key as the first: what then keeps them out is its policy."""
    use = {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": another_key(aws)}
    keep = ["kms:DescribeKey", "kms:GetKeyPolicy", "kms:PutKeyPolicy", "kms:GenerateDataKey", "kms:Decrypt"]
    with ExitStack() as stack:
        for role in (SHARER, DEPLOYER, EXECUTION):
            statement = {**use, "Action": keep} if role == SHARER else use
            stack.enter_context(role_policy(aws, role, statement, name="another-key"))
        yield


# Artifacts.


def artifact(version: int) -> dict[str, str]:
    return {"Bucket": BUCKET, "Key": f"models/{GROUP}/{version}/model.tar.gz"}


@contextmanager
def object_kept(aws: Any, key: str) -> Iterator[Any]:
    """An object's bytes and encryption, put back at the end.

    Under SSE-KMS the same bytes have another ETag, which the Release is then to have: nothing else is to differ.
    """
    s3 = aws.admin("producer", "s3")
    before = s3.get_object(Bucket=BUCKET, Key=key)
    body, under = before["Body"].read(), before.get("SSEKMSKeyId")
    encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": under} if under else {}
    try:
        yield s3
    finally:
        put = s3.put_object(Bucket=BUCKET, Key=key, Body=body, **encryption)
        released = f"releases/{GROUP}/{key.split('/')[2]}.json"
        if put["ETag"] != before["ETag"] and released in aws.releases():
            text = s3.get_object(Bucket=BUCKET, Key=released)["Body"].read().decode()
            etags = (each["ETag"].strip('"') for each in (before, put))
            s3.put_object(Bucket=BUCKET, Key=released, Body=text.replace(*etags).encode())


@change
def artifact_deleted(aws: Any, version: int) -> Iterator[None]:
    with object_kept(aws, artifact(version)["Key"]) as s3:
        s3.delete_object(**artifact(version))
        yield


@change
def artifact_replaced(aws: Any, version: int) -> Iterator[None]:
    with object_kept(aws, artifact(version)["Key"]) as s3:
        s3.put_object(**artifact(version), Body=b"another model")
        yield


@change
def artifact_archived(aws: Any, version: int, storage_class: str) -> Iterator[None]:
    with object_kept(aws, artifact(version)["Key"]) as s3:
        before = s3.get_object(**artifact(version))
        under = before.get("SSEKMSKeyId")
        encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": under} if under else {}
        s3.put_object(
            **artifact(version), Body=before["Body"].read(), StorageClass=storage_class, **encryption
        )
        yield


@change
def artifact_under_another_key(aws: Any, version: int) -> Iterator[None]:
    """An artifact whose key was changed in place: it keeps its ETag and its dates."""
    with object_kept(aws, artifact(version)["Key"]) as s3:
        before = s3.head_object(**artifact(version))["ETag"]
        under = {"SSEKMS": {"KMSKeyArn": another_key(aws), "BucketKeyEnabled": False}}
        s3.update_object_encryption(**artifact(version), ObjectEncryption=under)
        assert s3.head_object(**artifact(version))["ETag"] == before
        yield


@change
def artifact_under_the_managed_key(aws: Any, version: int) -> Iterator[None]:
    with object_kept(aws, artifact(version)["Key"]) as s3:
        body = s3.get_object(**artifact(version))["Body"].read()
        s3.put_object(**artifact(version), Body=body, ServerSideEncryption="aws:kms")
        yield


# Images.


@contextmanager
def images_kept(aws: Any) -> Iterator[Any]:
    """The repository's image, pushed again at the end."""
    ecr = aws.admin("producer", "ecr")
    ids = [{"imageTag": "1"}]
    manifest = ecr.batch_get_image(repositoryName=GROUP, imageIds=ids)["images"][0]["imageManifest"]
    try:
        yield ecr
    finally:
        ecr.batch_delete_image(repositoryName=GROUP, imageIds=ids)
        ecr.put_image(repositoryName=GROUP, imageManifest=manifest, imageTag="1")


@change
def image_deleted(aws: Any) -> Iterator[None]:
    with images_kept(aws) as ecr:
        ecr.batch_delete_image(repositoryName=GROUP, imageIds=[{"imageTag": "1"}])
        yield


@change
def image_moved(aws: Any) -> Iterator[None]:
    """The tag on another image."""
    with images_kept(aws) as ecr:
        push_image(ecr, GROUP, "1", {"another": b"image"})
        yield


@change
def image_archived(aws: Any) -> Iterator[None]:
    ecr = aws.admin("producer", "ecr")
    given = {"repositoryName": GROUP, "imageId": {"imageTag": "1"}}
    ecr.update_image_storage_class(**given, targetStorageClass="ARCHIVE")
    try:
        yield
    finally:
        ecr.update_image_storage_class(**given, targetStorageClass="STANDARD")


# Versions and Releases.


@change
def version_rejected(aws: Any, version: int) -> Iterator[None]:
    sagemaker, arn = aws.admin("producer", "sagemaker"), f"{ARNS}/{GROUP}/{version}"
    before = sagemaker.describe_model_package(ModelPackageName=arn)["ModelApprovalStatus"]
    sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Rejected")
    try:
        yield
    finally:
        sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus=before)


@change
def version_registered(aws: Any, *containers: dict[str, Any]) -> Iterator[None]:
    """A further approved version of these containers; without any, one that has none."""
    more: dict[str, Any] = {"SourceUri": "s3://elsewhere/experiment"}
    if containers:
        types = {"SupportedContentTypes": ["text/csv"], "SupportedResponseMIMETypes": ["text/csv"]}
        more = {"InferenceSpecification": {"Containers": list(containers), **types}}
    with registered(aws, **more):
        yield


@contextmanager
def registered(aws: Any, **more: Any) -> Iterator[None]:
    sagemaker = aws.admin("producer", "sagemaker")
    given = {"ModelPackageGroupName": GROUP, "ModelApprovalStatus": "Approved"}
    arn = sagemaker.create_model_package(**given, **more)["ModelPackageArn"]
    try:
        yield
    finally:
        sagemaker.delete_model_package(ModelPackageName=arn)


@change
def version_with_samples(aws: Any, key: str, body: str) -> Iterator[None]:
    """A further approved version whose SamplePayloadUrl names this object."""
    s3 = aws.admin("producer", "s3")
    s3.put_object(Bucket=BUCKET, Key=key, Body=body.encode())
    types = {"SupportedContentTypes": ["text/csv"], "SupportedResponseMIMETypes": ["text/csv"]}
    url = f"s3://{BUCKET}/models/{GROUP}/1/model.tar.gz"
    specification = {"Containers": [{"Image": IMAGE, "ModelDataUrl": url}], **types}
    with registered(aws, InferenceSpecification=specification, SamplePayloadUrl=f"s3://{BUCKET}/{key}"):
        yield
    s3.delete_object(Bucket=BUCKET, Key=key)


@change
def version_of_a_kind(aws: Any, more: dict[str, Any]) -> Iterator[None]:
    """A further approved version, else as version 1 is, with these members of CreateModelPackage."""
    types = {"SupportedContentTypes": ["text/csv"], "SupportedResponseMIMETypes": ["text/csv"]}
    url = f"s3://{BUCKET}/models/{GROUP}/1/model.tar.gz"
    specification = {"Containers": [{"Image": IMAGE, "ModelDataUrl": url}], **types}
    with registered(aws, InferenceSpecification=specification, **more):
        yield


@change
def version_with_another_specification(aws: Any, version: int) -> Iterator[None]:
    """An additional inference specification, added after the version was shared."""
    sagemaker, arn = aws.admin("producer", "sagemaker"), f"{ARNS}/{GROUP}/{version}"
    url = f"s3://{BUCKET}/models/{GROUP}/{version}/model.tar.gz"
    more = {"Name": "batch", "Containers": [{"Image": IMAGE, "ModelDataUrl": url}]}
    sagemaker.update_model_package(ModelPackageArn=arn, AdditionalInferenceSpecificationsToAdd=[more])
    yield  # it cannot be taken back: a world of this kind is the last of its module


@change
def elsewhere(aws: Any, account: str) -> Iterator[None]:
    """A bucket of another account, with a model in it."""
    s3, name = aws.admin(account, "s3"), f"elsewhere-{account}"
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="model.tar.gz", Body=b"theirs")
    try:
        yield
    finally:
        s3.delete_object(Bucket=name, Key="model.tar.gz")
        s3.delete_bucket(Bucket=name)


@change
def objects(aws: Any, *written: list[str]) -> Iterator[None]:
    """Objects of the producer's bucket: a key, and optionally the word of the key they are encrypted under."""
    s3 = aws.admin("producer", "s3")
    for key, *under in written:
        arn = another_key(aws) if under == ["another"] else aws.key
        encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": arn} if under else {}
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"part of a model", **encryption)
    try:
        yield
    finally:
        for key, *_ in written:
            s3.delete_object(Bucket=BUCKET, Key=key)


@change
def release_deleted(aws: Any, version: int) -> Iterator[None]:
    key = f"releases/{GROUP}/{version}.json"
    with object_kept(aws, key) as s3:
        s3.delete_object(Bucket=BUCKET, Key=key)
        yield


@change
def release_tampered(aws: Any, version: int, was: str, now: str) -> Iterator[None]:
    """A Release with one text in it exchanged for another."""
    key = f"releases/{GROUP}/{version}.json"
    with object_kept(aws, key) as s3:
        body = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode()
        assert was in body, f"the Release has no {was!r}"
        s3.put_object(Bucket=BUCKET, Key=key, Body=body.replace(was, now).encode())
        yield


# Roles, and what stands over them.


def account_of(role: str) -> str:
    return "producer" if role == SHARER else "staging"


@change
def role_denies(aws: Any, role: str, *actions: str) -> Iterator[None]:
    """An explicit Deny among a role's own policies."""
    statement = {"Effect": "Deny", "Action": list(actions), "Resource": "*"}
    with role_policy(aws, role, statement):
        yield


@contextmanager
def role_policy(aws: Any, role: str, *statements: dict[str, Any], name: str = "verdicts") -> Iterator[None]:
    iam = aws.admin(account_of(role), "iam")
    text = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=text)
    try:
        yield
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName=name)


@change
def role_lacks(aws: Any, role: str, policy: str, *sids: str) -> Iterator[None]:
    """A role without statements of one of its policies."""
    iam = aws.admin(account_of(role), "iam")
    before = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
    left = [each for each in before["Statement"] if each["Sid"] not in sids]
    assert len(left) == len(before["Statement"]) - len(sids), f"{policy} of {role} has no {sids}"
    if left:
        text = json.dumps({**before, "Statement": left})
        iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=text)
    else:
        iam.delete_role_policy(RoleName=role, PolicyName=policy)
    try:
        yield
    finally:
        iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(before))


@change
def role_conditioned(aws: Any, role: str, condition: dict[str, Any]) -> Iterator[None]:
    """Every Allow of a role's own policies under a further condition, which holds."""
    iam = aws.admin(account_of(role), "iam")
    names = iam.list_role_policies(RoleName=role)["PolicyNames"]
    before = {name: iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names}
    for name, document in before.items():
        changed_ = [
            {**each, "Condition": {**each.get("Condition", {}), **condition}}
            for each in document["Statement"]
        ]
        text = json.dumps({**document, "Statement": changed_})
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=text)
    try:
        yield
    finally:
        for name, document in before.items():
            iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))


@change
def role_bounded(aws: Any, role: str, statement: dict[str, Any]) -> Iterator[None]:
    """A permissions boundary: everything, and this statement."""
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [everything, statement]}
    if statement["Effect"] == "Allow":
        document["Statement"] = [statement]
    account = account_of(role)
    iam, text = aws.admin(account, "iam"), json.dumps(document)
    arn = iam.create_policy(PolicyName="verdicts-boundary", PolicyDocument=text)["Policy"]["Arn"]
    iam.put_role_permissions_boundary(RoleName=role, PermissionsBoundary=arn)
    try:
        yield
    finally:
        iam.delete_role_permissions_boundary(RoleName=role)
        iam.delete_policy(PolicyArn=arn)


@change
def role_trusts(aws: Any, role: str, principal: dict[str, str]) -> Iterator[None]:
    """Another trust policy."""
    iam = aws.admin(account_of(role), "iam")
    before = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=text)
    try:
        yield
    finally:
        iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(before))


@change
def role_gone_from(aws: Any, kind: str) -> Iterator[None]:
    """A stranger's statement for a role of the consumer's that was deleted since: AWS keeps its id."""
    iam = aws.admin("staging", "iam")
    trust = {"Effect": "Allow", "Principal": {"AWS": STAGING}, "Action": "sts:AssumeRole"}
    text = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    arn = iam.create_role(RoleName="verdicts-gone", AssumeRolePolicyDocument=text)["Role"]["Arn"]
    with CHANGES["theirs"](aws, kind, {"Principal": {"AWS": arn}}):
        iam.delete_role(RoleName="verdicts-gone")
        yield


@change
def model_of_strangers(aws: Any, name: str) -> Iterator[None]:
    """A model under the name that a probe uses, which somebody else made."""
    sagemaker = aws.admin("staging", "sagemaker")
    sagemaker.create_model(
        ModelName=name,
        PrimaryContainer={"ModelPackageName": f"{ARNS}/{GROUP}/1"},
        ExecutionRoleArn=f"arn:aws:iam::{STAGING}:role/{EXECUTION}",
    )
    try:
        yield
    finally:
        sagemaker.delete_model(ModelName=name)


@change
def key_of_one_administrator(aws: Any) -> Iterator[None]:
    """A key policy without IAM's policies: one administrator, and ours."""
    administrator = f"arn:aws:iam::{PRODUCER}:user/administrator"

    def narrowed(each: dict[str, Any]) -> dict[str, Any]:
        return each if word_of(each) else {**each, "Principal": {"AWS": administrator}}

    with rewritten(aws, "key", narrowed):
        yield


@change
def version_with_packed_samples(aws: Any, member: str, body: str) -> Iterator[None]:
    """A further approved version whose SamplePayloadUrl names a .tar.gz of one member."""
    packed, content = io.BytesIO(), body.encode()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        info = tarfile.TarInfo(member)
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    s3, key = aws.admin("producer", "s3"), f"models/{GROUP}/packed/samples.tar.gz"
    s3.put_object(Bucket=BUCKET, Key=key, Body=packed.getvalue())
    with CHANGES["version of a kind"](aws, {"SamplePayloadUrl": f"s3://{BUCKET}/{key}"}):
        yield
    s3.delete_object(Bucket=BUCKET, Key=key)


@change
def release_written_anew(aws: Any, version: int) -> Iterator[None]:
    """A Release uploaded again as it was: the bucket's default key encrypts it."""
    key = f"releases/{GROUP}/{version}.json"
    with object_kept(aws, key) as s3:
        body = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        s3.delete_object(Bucket=BUCKET, Key=key)
        s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        yield
        s3.delete_bucket_encryption(Bucket=BUCKET)  # what is put back has none


@change
def service_control_policy(aws: Any, account: str, statement: dict[str, Any]) -> Iterator[None]:
    """A service control policy of an account's organization, beside the one that allows everything."""
    with organization_policy(aws, account, "service_control", statement):
        yield


@change
def resource_control_policy(aws: Any, account: str, statement: dict[str, Any]) -> Iterator[None]:
    """A resource control policy of an account's organization, beside the one that allows everything."""
    with organization_policy(aws, account, "resource_control", {"Principal": "*", **statement}):
        yield


@contextmanager
def organization_policy(aws: Any, account: str, kind: str, statement: dict[str, Any]) -> Iterator[None]:
    everything: dict[str, Any] = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    everything |= {"Principal": "*"} if kind == "resource_control" else {}
    document = {"Version": "2012-10-17", "Statement": [everything, statement]}
    control(aws, "organizations", "PUT", {"account": aws.id(account), kind: [document]})
    try:
        yield
    finally:
        control(aws, "organizations", "DELETE")


@change
def shared_by_ram(aws: Any, *written: dict[str, Any]) -> Iterator[None]:
    """The key's second policy, which AWS RAM writes and PutKeyPolicy does not."""
    statements = [{**theirs_of("key", each), "Sid": f"Ram{number}"} for number, each in enumerate(written)]
    document = {"Version": "2012-10-17", "Statement": statements}
    control(aws, "shares", "PUT", {"key": aws.key, "policy": document})
    try:
        yield
    finally:
        control(aws, "shares", "PUT", {"key": aws.key, "policy": None})


@change
def artifact_in_a_tier(aws: Any, version: int, tier: str) -> Iterator[None]:
    """An artifact of Intelligent-Tiering that S3 has moved into one of its archive tiers."""
    with CHANGES["artifact archived"](aws, version, "INTELLIGENT_TIERING"):
        control(aws, "tiers", "PUT", {"bucket": BUCKET, "key": artifact(version)["Key"], "tier": tier})
        yield


def control(aws: Any, what: str, method: str, body: Any = None) -> None:
    """Ask the sandbox's control for something that no AWS call of these accounts can make."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{aws.url}/_sandbox/{what}", method=method, data=data)
    with urllib.request.urlopen(request) as answer:
        answer.read()
