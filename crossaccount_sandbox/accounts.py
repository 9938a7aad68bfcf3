"""Who lives in the sandbox and what they own: a producer, two consumers, and an outsider that no config names.

The roles are made by deploying the CloudFormation templates given, so the permissions that a project documents are the
ones that are enforced here. Everything but each account's first administrator is made with ordinary, judged AWS calls, in the
producer's account and the first consumer's; the other consumers are copies of that one.

Not here: the server (``server``), how an account is copied (``alike``) and the trees that are trained (``training``).
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from moto.iam.models import iam_backends

from crossaccount_sandbox.alike import Likeness
from crossaccount_sandbox.cloudformation.records import Stacks
from crossaccount_sandbox.principals import Account, user_id
from crossaccount_sandbox.training import TrainedModel, tar_gz, train_all

REGION = "us-east-1"
ORGANIZATION = "o-sandbox0001"
PRODUCER = Account("producer", "111111111111", ORGANIZATION, f"{ORGANIZATION}/r-sb01/ou-sb01-models000/")
STAGING = Account("staging", "222222222222", ORGANIZATION, f"{ORGANIZATION}/r-sb01/ou-sb01-staging00/")
PRODUCTION = Account("production", "333333333333", ORGANIZATION, f"{ORGANIZATION}/r-sb01/ou-sb01-product00/")
OUTSIDER = Account("outsider", "444444444444", None)
ACCOUNTS = [PRODUCER, STAGING, PRODUCTION, OUTSIDER]


def further(count: int) -> list[Account]:
    """More consumers, ``consumer-01`` and so on, of the same organization."""
    unit = f"{ORGANIZATION}/r-sb01/ou-sb01-further00/"
    return [
        Account(f"consumer-{number:02}", str(500_000_000_000 + number), ORGANIZATION, unit)
        for number in range(1, count + 1)
    ]


def bare(count: int) -> list[Account]:
    """Accounts that hold nothing but an administrator, ``bare-01`` and so on, of an organization of their own."""
    organization = "o-sandbox0002"
    unit = f"{organization}/r-sb02/ou-sb02-bare0000/"
    return [
        Account(f"bare-{number:02}", str(700_000_000_000 + number), organization, unit)
        for number in range(1, count + 1)
    ]


GROUP = "decision-trees-sample"
BUCKET = f"producer-models-{PRODUCER.id}"
REPOSITORY = GROUP
RELEASES = "releases/"
ARTIFACTS = f"models/{GROUP}/"
# What the sharing role may tell the registry of a version: stages and statuses as the registry's own examples have them.
STAGES = ("Development", "QA", "PreProduction", "Staging", "Production", "Archived")
STATUSES = ("PendingApproval", "InProgress", "OnHold", "Approved", "Rejected", "Deployed")


@dataclass(frozen=True)
class Credentials:
    """An access key of a sandbox user; the secret shows in no text."""

    access_key_id: str
    secret_access_key: str = field(repr=False)


@dataclass(frozen=True)
class Residents:
    """The keys of each account, by the account's name: its administrator's, and its operator's.

    An operator may only assume the roles of its own account's template; that of a bare account is its administrator.
    """

    administrators: dict[str, Credentials]
    operators: dict[str, Credentials]


def settle(
    url: str,
    templates: Path,
    accounts: list[Account] = ACCOUNTS,
    trained: Callable[[], list[TrainedModel]] = train_all,
    stacks: Stacks | None = None,
    empty: Sequence[Account] = (),
) -> Residents:
    """Move everyone in: keys, roles, a key, a bucket, a repository with an image, and a group with three versions.

    Args:
        url: where the sandbox serves.
        templates: the folder with ``producer.yaml`` and ``consumer.yaml``.
        accounts: all that exist; all but the producer get a consumer's roles. The outsider's wait for a consent that no
            config gives.
        trained: gives the models of the group's versions, or waits for them.
        empty: accounts that get an administrator and nothing else, who is their operator too.
        stacks: the sandbox's, to which those of all consumers but the first are added as copies; None deploys every one.
    """
    # One session: each would read AWS's service descriptions anew.
    session: Any = boto3.session.Session(region_name=REGION)
    administrators: dict[str, Credentials] = {}

    def client(name: str, service: str) -> Any:
        key = administrators[name]
        return session.client(
            service,
            endpoint_url=url,
            aws_access_key_id=key.access_key_id,
            aws_secret_access_key=key.secret_access_key,
            config=Config(proxies={}),  # the machine's proxy does not lead here
        )

    consumers = [account for account in accounts if account is not PRODUCER]
    deployed = consumers if stacks is None else consumers[:1]
    for account in (PRODUCER, *deployed):
        administrators[account.name] = _administrator(account)
    key = client("producer", "kms").create_key(Description="Encrypts model artifacts")["KeyMetadata"]["Arn"]
    _bucket(client("producer", "s3"))
    image = _image(client("producer", "ecr"))

    shared = {"ModelPackageGroupName": GROUP, "ArtifactBucket": BUCKET, "ReleasesBucket": BUCKET}
    shared |= {"ReleasesPrefix": RELEASES, "RepositoryName": REPOSITORY, "KeyArn": key}
    lifecycle = {"LifecycleStages": ",".join(STAGES), "LifecycleStatuses": ",".join(STATUSES)}
    given = {**shared, "ExternalId": _external_id(PRODUCER), "Discoverable": "true", **lifecycle}
    _stack(client("producer", "cloudformation"), templates / "producer.yaml", given)
    template = templates / "consumer.yaml"
    shared |= {"ProducerAccount": PRODUCER.id, "ArtifactPrefix": ARTIFACTS, **_further(template)}
    for account in deployed:
        given = {**shared, "ExternalId": _external_id(account), "EndpointName": _endpoint_name(account)}
        _stack(client(account.name, "cloudformation"), template, given)
    operators = {
        account.name: _operator(client(account.name, "iam"), account) for account in (PRODUCER, *deployed)
    }
    if stacks is not None and consumers:
        _copy(consumers[0], consumers[1:], stacks, key)
        for account in consumers[1:]:
            administrators[account.name] = _key_of(account, "administrator")
            operators[account.name] = _key_of(account, "operator")
    for account in empty:
        administrators[account.name] = operators[account.name] = _administrator(account)
    # Last, because training takes as long as everything before.
    _versions(client("producer", "s3"), client("producer", "sagemaker"), image, key, trained())
    return Residents(administrators, operators)


def _external_id(account: Account) -> str:
    return f"sandbox-{account.name}"


def _endpoint_name(account: Account) -> str:
    return f"decision-trees-{account.name}"


def _copy(first: Account, others: list[Account], stacks: Stacks, key: str) -> None:
    # The key is the producer's in every account: its id is a UUID that stays.
    likeness = Likeness(first.id, stacks, (_external_id(first), _endpoint_name(first), key))
    for account in others:
        likeness.copy_to(account.id, (_external_id(account), _endpoint_name(account), key))


def _key_of(account: Account, user: str) -> Credentials:
    key = iam_backends[account.id]["aws"].users[user].access_keys[0]
    return Credentials(key.access_key_id, key.secret_access_key)


def _further(template: Path) -> dict[str, str]:
    """What the consumers' roles are told besides, as far as their template asks: every kind of endpoint can be tried here."""
    text, further = template.read_text(), {"InferenceComponents": "true"}
    return {name: value for name, value in further.items() if f"\n  {name}:\n" in text}


def _administrator(account: Account) -> Credentials:
    """The one identity that no AWS call can make: the first of its account."""
    backend = iam_backends[account.id]["aws"]
    user = backend.create_user(region_name=REGION, user_name="administrator")
    user.id = user_id(user)
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    backend.put_user_policy("administrator", "administrator", json.dumps(everything))
    key = backend.create_access_key("administrator")
    return Credentials(key.access_key_id, key.secret_access_key)


def _operator(iam: Any, account: Account) -> Credentials:
    side = "producer" if account is PRODUCER else "consumer"
    iam.create_user(UserName="operator")
    arn = f"arn:aws:iam::{account.id}:policy/crossaccount-{side}-operator"
    iam.attach_user_policy(UserName="operator", PolicyArn=arn)
    key = iam.create_access_key(UserName="operator")["AccessKey"]
    return Credentials(key["AccessKeyId"], key["SecretAccessKey"])


def _stack(cloudformation: Any, template: Path, parameters: dict[str, str]) -> None:
    cloudformation.create_stack(
        StackName="crossaccount",
        TemplateBody=template.read_text(),
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    status = cloudformation.describe_stacks(StackName="crossaccount")["Stacks"][0]["StackStatus"]
    if status != "CREATE_COMPLETE":
        raise RuntimeError(f"The stack of {template.name} is {status}")


def _bucket(s3: Any) -> None:
    s3.create_bucket(Bucket=BUCKET)
    controls = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    s3.put_bucket_ownership_controls(Bucket=BUCKET, OwnershipControls=controls)


def _image(ecr: Any) -> str:
    """Push an image to the producer's repository; its URI, by tag."""
    ecr.create_repository(repositoryName=REPOSITORY)
    push_image(ecr, REPOSITORY, "1")
    return f"{PRODUCER.id}.dkr.ecr.{REGION}.amazonaws.com/{REPOSITORY}:1"


def push_image(ecr: Any, repository: str, tag: str, content: Mapping[str, bytes] | None = None) -> str:
    """Push an image of one layer, as a client does: what it is made of first. Its manifest is returned.

    Args:
        ecr: a client that may.
        repository: its name; it exists.
        tag: the image's.
        content: the layer's files; none makes the same image each time.
    """
    docker = "application/vnd.docker"
    parts = [_push_layer(ecr, repository, part) for part in (_CONFIG, tar_gz(content or {}))]
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{docker}.distribution.manifest.v2+json",
        "config": {"mediaType": f"{docker}.container.image.v1+json", **parts[0]},
        "layers": [{"mediaType": f"{docker}.image.rootfs.diff.tar.gzip", **parts[1]}],
    }
    text = json.dumps(manifest)
    ecr.put_image(repositoryName=repository, imageManifest=text, imageTag=tag)
    return text


_CONFIG = b'{"architecture": "amd64", "os": "linux", "config": {}}'


def _push_layer(ecr: Any, repository: str, content: bytes) -> dict[str, Any]:
    """Upload a layer that is not there yet; what a manifest says of it."""
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    at = {"repositoryName": repository}
    if not ecr.batch_check_layer_availability(**at, layerDigests=[digest])["layers"]:
        at["uploadId"] = ecr.initiate_layer_upload(**at)["uploadId"]
        ecr.upload_layer_part(**at, partFirstByte=0, partLastByte=len(content) - 1, layerPartBlob=content)
        ecr.complete_layer_upload(**at, layerDigests=[digest])
    return {"size": len(content), "digest": digest}


_INSTANCE_TYPES = [
    *("ml.m5.large", "ml.m5.xlarge", "ml.m5.2xlarge", "ml.c5.large", "ml.c5.xlarge", "ml.t2.medium"),
    *("ml.g4dn.xlarge", "ml.g5.xlarge", "ml.g5.2xlarge", "ml.g6.xlarge"),
]


def _versions(s3: Any, sagemaker: Any, image: str, key: str, trained: list[TrainedModel]) -> None:
    """Three versions: 1 and 2 approved, 3 waiting for it; the artifact of version 2 is encrypted under the key."""
    group = {"ModelPackageGroupName": GROUP, "ModelPackageGroupDescription": "Iris decision trees"}
    sagemaker.create_model_package_group(**group)
    approvals = ("Approved", "Approved", "PendingManualApproval")
    for version, (model, approval) in enumerate(zip(trained, approvals, strict=True), 1):
        folder = f"{ARTIFACTS}{version}/"
        encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key} if version == 2 else {}
        s3.put_object(Bucket=BUCKET, Key=f"{folder}model.tar.gz", Body=model.archive, **encryption)
        s3.put_object(Bucket=BUCKET, Key=f"{folder}samples.tar.gz", Body=model.samples, **encryption)
        sagemaker.create_model_package(
            ModelPackageGroupName=GROUP,
            ModelPackageDescription=f"Decision tree of depth {version}",
            ModelApprovalStatus=approval,
            SamplePayloadUrl=f"s3://{BUCKET}/{folder}samples.tar.gz",
            InferenceSpecification={
                "Containers": [{"Image": image, "ModelDataUrl": f"s3://{BUCKET}/{folder}model.tar.gz"}],
                "SupportedContentTypes": list(model.content_types),
                "SupportedResponseMIMETypes": list(model.content_types),
                "SupportedRealtimeInferenceInstanceTypes": _INSTANCE_TYPES,
                "SupportedTransformInstanceTypes": ["ml.m5.large"],
            },
        )
