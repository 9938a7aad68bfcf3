"""The parameters of both templates of ``deployments/iam``, from a config and from what the group's versions are made of.

Pure. One source for whoever writes parameters files, compares deployed stacks, or generates another form of the roles. Parameters that
a config says nothing of (``TrustedPrincipalArn``, ``SeesAllEndpoints``) are left to whoever deploys the stack: ``aws cloudformation
deploy`` keeps their value. All others are always named, also where they are empty, so that an earlier value does not stay.

Not here: how versions are read, and how files are written.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from crossaccount.config.model import ConsumerConfig, Sharing
from crossaccount.errors import InputError
from crossaccount.text import quote

_DEFAULT_PREFIX = "crossaccount"
_PRODUCER, _DEPLOYER, _EXECUTION = "producer", "deployer", "execution"


@dataclass(frozen=True)
class Holdings:
    """What the producer owns of the versions that a config shares, as the templates name it.

    ``artifact_prefix`` is the folder that all artifacts lie in, ending in a slash, or empty for the whole bucket; ``key_arn`` is the key
    that they are encrypted under, ``releases_key_arn`` the default key of the Releases' bucket where the config names none;
    ``aws_repositories`` are the ARNs of AWS's own repositories that images come from.
    """

    artifact_bucket: str
    repository: str
    artifact_prefix: str = ""
    key_arn: str = ""
    releases_key_arn: str = ""
    aws_repositories: tuple[str, ...] = ()


def of_producer(sharing: Sharing, holdings: Holdings) -> dict[str, str]:
    """The parameters of ``producer.yaml``.

    Raises:
        InputError: the producer has no role, no external id, or a role that the template does not make.
    """
    producer = sharing.producer
    if producer.role is None:
        raise _lacking("producer.role", "the stack makes it", f"arn:...:role/{_DEFAULT_PREFIX}-{_PRODUCER}")
    tells = sharing.lifecycle.values()
    return {
        "NamePrefix": _prefix("producer.role", producer.role, _PRODUCER),
        "ModelPackageGroupName": sharing.model_package_group,
        "ArtifactBucket": holdings.artifact_bucket,
        "ReleasesBucket": producer.releases_bucket,
        "ReleasesPrefix": producer.releases_prefix,
        "RepositoryName": holdings.repository,
        **_keys(sharing, holdings),
        "LifecycleStages": ",".join(dict.fromkeys(each.stage for each in tells)),
        "LifecycleStatuses": ",".join(dict.fromkeys(each.status for each in tells)) or "Approved",
        "Discoverable": _flag(sharing.producer.discoverable),
        "ExternalId": _external_id("producer", producer.external_id),
    }


def of_consumer(sharing: Sharing, holdings: Holdings, name: str) -> dict[str, str]:
    """The parameters of ``consumer.yaml`` for one consumer of the config.

    Raises:
        InputError: there is no such consumer; it has no external id, roles that the template does not make, a key that is named by no
            ARN, or questions in several buckets.
    """
    consumer, key = sharing.consumer(name), f"consumers.{name}"
    endpoint, queue = consumer.endpoint, consumer.endpoint.asynchronous
    prefix = _prefix(f"{key}.role", consumer.role, _DEPLOYER)
    if _prefix(f"{key}.execution_role", consumer.execution_role, _EXECUTION) != prefix:
        raise InputError(
            f"{key}.execution_role: the template makes both roles with one beginning, and that of {key}.role is {quote(prefix)}. "
            f"Name the role {prefix}-{_EXECUTION}."
        )
    captured = "" if endpoint.data_capture is None else _location(endpoint.data_capture.s3_uri)
    topics = () if queue is None else (queue.success_topic, queue.error_topic)
    return {
        "NamePrefix": prefix,
        "ProducerAccount": sharing.producer.account,
        "ModelPackageGroupName": sharing.model_package_group,
        "ArtifactBucket": holdings.artifact_bucket,
        "ArtifactPrefix": holdings.artifact_prefix,
        "ReleasesBucket": sharing.producer.releases_bucket,
        "ReleasesPrefix": sharing.producer.releases_prefix,
        "RepositoryName": holdings.repository,
        **_keys(sharing, holdings),
        "EndpointName": endpoint.name.lower(),
        "ExternalId": _external_id(key, consumer.external_id),
        "EndpointKeyArn": _key_arn(sharing, consumer, f"{key}.endpoint.kms_key", endpoint.kms_key),
        "CaptureLocation": captured,
        "AnswersLocation": "" if queue is None else _location(queue.s3_output),
        "FailuresLocation": "" if queue is None else _location(queue.s3_failures),
        "AnswersKeyArn": _key_arn(
            sharing, consumer, f"{key}.endpoint.asynchronous.kms_key", queue.kms_key if queue else None
        ),
        "AnswersTopics": ",".join(dict.fromkeys(topic for topic in topics if topic)),
        "AwsRepositories": ",".join(holdings.aws_repositories),
        "ShadowBucket": captured.partition("/")[0] if consumer.smoke_mode == "shadow" else "",
        "SmokeObjects": _questions(key, consumer),
        "InVpc": _flag(endpoint.vpc is not None),
        "InferenceComponents": _flag(endpoint.hosting_kind == "inference-components"),
    }


def as_list(parameters: Mapping[str, str]) -> list[dict[str, str]]:
    """The parameters as CreateStack, UpdateStack and CreateStackSet take them."""
    return [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()]


def as_overrides(parameters: Mapping[str, str]) -> list[str]:
    """The parameters as ``aws cloudformation deploy --parameter-overrides file://FILE`` takes them from a file of JSON.

    Version 1 of the AWS CLI refuses the objects that CreateStack takes; versions 1 and 2 take these texts.

    Source: "deploy" in the AWS CLI command reference (--parameter-overrides).
    """
    return [f"{name}={value}" for name, value in parameters.items()]


def common_folder(keys: Iterable[str]) -> str:
    """The folder that all keys of S3 lie in, ending in a slash; empty where they have none in common. A key's own folder is one."""
    folders = [key.rpartition("/")[0].split("/") if "/" in key else [] for key in keys]
    shared: list[str] = []
    for parts in zip(*folders, strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    return "".join(f"{part}/" for part in shared)


def _keys(sharing: Sharing, holdings: Holdings) -> dict[str, str]:
    releases = sharing.producer.releases_kms_key or holdings.releases_key_arn
    another = "" if releases == holdings.key_arn else releases
    return {"KeyArn": holdings.key_arn, "ReleasesKeyArn": another}


def _prefix(key: str, role: str, what: str) -> str:
    """The NamePrefix with which the template makes a role."""
    name = role.partition(":role/")[2]
    prefix = name.removesuffix(f"-{what}")
    if "/" in name or prefix in ("", name):
        raise InputError(
            f"{key}: the template makes roles without a path that are called PREFIX-{what}, and this one is {quote(name)}. "
            f"Name it so, for example {_DEFAULT_PREFIX}-{what}; or keep a role of your own without the stack."
        )
    return prefix


def _external_id(key: str, external_id: str | None) -> str:
    if external_id is None:
        raise _lacking(f"{key}.external_id", "the stack's role asks for one", "team-churn-2026")
    return external_id


def _lacking(key: str, why: str, example: str) -> InputError:
    return InputError(f"{key}: is not in the config, and {why}. Write it, for example {example}.")


def _key_arn(sharing: Sharing, consumer: ConsumerConfig, key: str, kms_key: str | None) -> str:
    """A key of the consumer's by its ARN: a policy knows keys alone."""
    if kms_key is None or ":key/" in kms_key:
        return kms_key or ""
    if "alias/" in kms_key:
        raise InputError(
            f"{key}: {quote(kms_key)} is an alias, and a policy knows keys alone. Write the ARN of its key: aws kms describe-key --key-id "
            "ALIAS --query KeyMetadata.Arn."
        )
    return (
        f"arn:{sharing.partition}:kms:{sharing.region}:{consumer.account}:key/{kms_key.removeprefix('key/')}"
    )


def _location(uri: str | None) -> str:
    """An S3 prefix as BUCKET/PREFIX/, as the templates name it; empty for none."""
    if not uri:
        return ""
    place = uri.removeprefix("s3://")
    return place if place.endswith("/") else f"{place}/"


def _questions(key: str, consumer: ConsumerConfig) -> str:
    """Where the objects of a consumer's questions lie, as BUCKET/PREFIX/; empty where there are none."""
    places = [each.body_s3_uri.removeprefix("s3://") for each in consumer.smoke if each.body_s3_uri]
    buckets = {place.partition("/")[0] for place in places}
    if len(buckets) > 1:
        raise InputError(
            f"{key}.smoke: body_s3_uri names objects in {len(buckets)} buckets ({', '.join(sorted(buckets))}), and the stack lets the "
            "roles read one. Put them in one bucket."
        )
    return common_folder(places)


def _flag(value: bool) -> str:
    return "true" if value else "false"
