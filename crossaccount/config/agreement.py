"""Keys of a config against each other, as plain data: contradictions are said beside the faults that the models find.

Not here: single values (``values``, ``identifiers``).
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic_core import PydanticCustomError

from crossaccount.config import identifiers
from crossaccount.config.endpoint import DEPLOYMENT_TYPES, Deployment, Endpoint
from crossaccount.config.smoke import Smoke
from crossaccount.config.values import KeyPath, missing
from crossaccount.regions import partitions
from crossaccount.text import quote

# The key's path, the value that stands there, and a sentence that ends in the way out.
Complaint = tuple[KeyPath, object, str]


def disagreements(data: Mapping[str, Any]) -> Iterator[Complaint]:
    """Everything in a config, as plain data that may be unsound, that contradicts something else in it."""
    producer, consumers = data.get("producer"), data.get("consumers")
    region = _sound(data, "region", identifiers.check_region)
    owner = _sound(producer, "account", identifiers.check_account)
    duty = "the producer's role must stand in the producer's account"
    yield from _role_disagreements(("producer", "role"), producer, owner, region, duty)
    external_id = producer.get("external_id") if isinstance(producer, Mapping) else None
    if isinstance(producer, Mapping) and external_id is not None and producer.get("role") is None:
        sentence = f"{quote(external_id)} is an external id without a role to assume with it. Add producer.role, or delete external_id."
        yield ("producer", "external_id"), external_id, sentence
    yield from _key_disagreements(producer, owner, region)
    yield from _scope_disagreements(data)
    consumers = consumers if isinstance(consumers, Mapping) else {}
    for name, consumer in consumers.items():
        if isinstance(consumer, Mapping):
            path = ("consumers", name)
            yield from _account_disagreements(path, consumer, owner, region)
            yield from _smoke_disagreements(path, consumer)
            endpoint = consumer.get("endpoint")
            yield from _hosting_disagreements((*path, "endpoint"), endpoint, data.get("versions"))
    yield from _name_disagreements(consumers)


def _key_disagreements(producer: object, owner: str | None, region: str | None) -> Iterator[Complaint]:
    arn = _sound(producer, "releases_kms_key", identifiers.check_key_arn)
    if arn is None:
        return
    path = ("producer", "releases_kms_key")
    _, partition, _, of_region, account, _ = arn.split(":", 5)
    if owner is not None and account != owner:
        sentence = f"{quote(arn)} is a key of account {account}, whose policy the producer {owner} cannot change. Name a key of {owner}."
        yield path, arn, sentence
    if region is not None and (partition, of_region) != (partitions()[region], region):
        sentence = f"{quote(arn)} lies in {of_region}, and S3 in {region} encrypts with keys of its own region alone. Name a key in {region}."
        yield path, arn, sentence


def _account_disagreements(
    path: KeyPath, consumer: Mapping[str, Any], owner: str | None, region: str | None
) -> Iterator[Complaint]:
    account = _sound(consumer, "account", identifiers.check_account)
    if account is not None and account == owner:
        sentence = f"{quote(account)} is the producer's own account, which needs no grant. Name the account that deploys, or delete this consumer."
        yield (*path, "account"), account, sentence
    for key, duty in _ROLE_DUTIES.items():
        yield from _role_disagreements((*path, key), consumer, account, region, duty)


def _name_disagreements(consumers: Mapping[str, Any]) -> Iterator[Complaint]:
    seen: dict[tuple[str, str], str] = {}
    for name, consumer in consumers.items():
        account = _sound(consumer, "account", identifiers.check_account)
        endpoint = account and _sound(consumer.get("endpoint"), "name", identifiers.check_endpoint_name)
        if account is None or endpoint is None:
            continue
        # CreateEndpoint takes names that differ only in case for the same name (botocore, sagemaker: CreateEndpointInput).
        other = seen.setdefault((account, endpoint.lower()), name)
        if other != name:
            sentence = f"{quote(endpoint)} is also the endpoint of consumer {other} in the same account {account}. Give each its own endpoint name."
            yield ("consumers", name, "endpoint", "name"), endpoint, sentence


def _sound(data: object, key: str, check: Callable[[object], str]) -> str | None:
    """Return the value of `key` where it is sound by itself; a value that is not has its own complaint."""
    if not isinstance(data, Mapping) or data.get(key) is None:
        return None
    try:
        return str(check(data[key]))
    except PydanticCustomError:
        return None


_ROLE_DUTIES = {
    "role": "a role that deploys must stand in the consumer's account",
    "execution_role": "a role that SageMaker may be passed must stand in the consumer's account",
}


def _role_disagreements(
    path: KeyPath, data: object, account: str | None, region: str | None, duty: str
) -> Iterator[Complaint]:
    arn = _sound(data, str(path[-1]), identifiers.check_role)
    if arn is None:
        return
    partition, owner = arn.split(":")[1], arn.split(":")[4]
    if account is not None and owner != account:
        way_out = f"Name a role of {account}."
        yield path, arn, f"{quote(arn)} is a role of account {owner}, but {duty} {account}. {way_out}"
    if region is not None and partition != partitions()[region]:
        wanted = partitions()[region]
        sentence = (
            f"{quote(arn)} is in partition {partition}, but region {region} is in {wanted}, and no access crosses "
            f"partitions. Name a role whose ARN begins with arn:{wanted}:, or correct the region."
        )
        yield path, arn, sentence


def _scope_disagreements(data: Mapping[str, Any]) -> Iterator[Complaint]:
    principals, organization = data.get("principals"), data.get("organization")
    consumers = data.get("consumers")
    entries = consumers.items() if isinstance(consumers, Mapping) else ()
    ending: list[tuple[KeyPath, object]] = [
        (("consumers", name, "expires"), entry["expires"])
        for name, entry in entries
        if isinstance(entry, Mapping) and entry.get("expires") is not None
    ]
    if principals == "organization" and organization is None:
        sentence = '"organization" needs to know which one. Add organization: {id: o-...}.'
        yield ("principals",), principals, sentence
    if principals != "organization" and organization is not None:
        sentence = (
            "names an organization that nothing is given to. Write principals: organization, or delete it."
        )
        yield ("organization",), "", sentence
    if principals == "organization":
        for path, value in ending:
            sentence = "cannot end one consumer's access to what a whole organization has. Delete it, or choose other principals."
            yield path, value, sentence
    if isinstance(organization, Mapping):
        scope = _sound(organization, "id", identifiers.check_organization_id)
        paths = organization.get("paths")
        for place, path in enumerate(paths if isinstance(paths, list | tuple) else ()):
            if scope and isinstance(path, str) and path.startswith("o-") and path.split("/")[0] != scope:
                sentence = (
                    f"{quote(path)} is a path of another organization than {scope}. Write a path of {scope}."
                )
                yield ("organization", "paths", place), path, sentence
    if data.get("preset") == "aws-docs":
        ways = list(ending)
        if principals in ("roles", "organization"):
            ways.append((("principals",), principals))
        if data.get("sagemaker_service_principal") is True:
            ways.append((("sagemaker_service_principal",), True))
        for way, value in ways:
            sentence = "is not in the AWS page's policies, which the preset aws-docs keeps to. Delete it, or use least-privilege."
            yield way, value, sentence


_SIZE_KEYS = {"canary": "canary_percent", "linear": "linear_percent", "rolling": "batch_percent"}
_NOT_SERVERLESS = {
    "instance_type": "has no instances",
    "vpc": "runs in no VPC",
    "network_isolation": "knows no network isolation",
    "data_capture": "captures no data",
    "kms_key": "has no storage of its own to encrypt",
}
_MAX_NAME = 63  # botocore, sagemaker: EndpointConfigName
_ENDLESS = 10**9  # what is more has its own complaint, and may have more digits than Python writes


def _hosting_disagreements(path: KeyPath, endpoint: object, versions: object) -> Iterator[Complaint]:
    if not isinstance(endpoint, Mapping):
        return
    serverless = endpoint.get("serverless") is not None
    if not serverless and endpoint.get("instance_type") is None:
        yield (*path, "instance_type"), "", missing(Endpoint, "instance_type", ", or serverless.")
    deployment: Any = endpoint.get("deployment")
    deployment = deployment if isinstance(deployment, Mapping) else {}
    kind = deployment.get("type") or "all-at-once"
    if kind in DEPLOYMENT_TYPES:
        yield from _size_disagreements((*path, "deployment"), deployment, str(kind))
    if serverless:
        yield from _serverless_disagreements(path, endpoint, deployment, kind)
    if str(endpoint.get("instance_type")).startswith("ml.inf1."):
        yield from _inf1_disagreements((*path, "deployment"), endpoint["instance_type"], deployment, kind)
    name = _sound(endpoint, "name", identifiers.check_endpoint_name)
    for version in versions if isinstance(versions, list | tuple) else ():
        if name and isinstance(version, int) and len(f"{name}-v{version}-0000") > _MAX_NAME:
            sentence = (
                f"{quote(name)} with version {version} makes the name of an endpoint config longer than {_MAX_NAME} "
                "characters. Choose a shorter name."
            )
            yield (*path, "name"), name, sentence


def _size_disagreements(path: KeyPath, deployment: Mapping[str, Any], kind: str) -> Iterator[Complaint]:
    for of, key in _SIZE_KEYS.items():
        value = deployment.get(key)
        if of == kind and value is None:
            yield (*path, key), "", missing(Deployment, key)
        elif of != kind and value is not None:
            sentence = f"{quote(value)} is a key of type {of}, and the type is {kind}. Delete it, or write type: {of}."
            yield (*path, key), value, sentence
    termination = deployment.get("termination_wait_seconds")
    if kind == "rolling" and termination:
        sentence = f"{quote(termination)} makes old instances wait, which a rolling deployment ends batch by batch. Delete it, or choose another type."
        yield (*path, "termination_wait_seconds"), termination, sentence
    seconds, limit = _waits(deployment, kind), deployment.get("maximum_seconds")
    if seconds is not None and isinstance(limit, int) and limit < seconds < _ENDLESS:
        sentence = (
            f"{limit} seconds are less than the {seconds} that the waits alone take, so every update would be rolled back. "
            "Write more, or wait less."
        )
        yield (*path, "maximum_seconds"), limit, sentence


def _waits(deployment: Mapping[str, Any], kind: str) -> int | None:
    """The seconds that a blue/green deployment waits in all; None where they depend on the instances, or are unsound."""
    wait, end = deployment.get("wait_seconds") or 0, deployment.get("termination_wait_seconds") or 0
    size = deployment.get("linear_percent")
    if not isinstance(wait, int) or not isinstance(end, int) or kind == "rolling":
        return None
    if kind == "linear":
        return math.ceil(100 / size) * wait + end if isinstance(size, int) and size > 0 else None
    return (2 if kind == "canary" else 1) * wait + end


def _serverless_disagreements(
    path: KeyPath, endpoint: Mapping[str, Any], deployment: Mapping[str, Any], kind: object
) -> Iterator[Complaint]:
    for key, why in _NOT_SERVERLESS.items():
        if endpoint.get(key):
            sentence = f"{quote(endpoint[key])} cannot be had, because a serverless endpoint {why}. Delete it, or serverless."
            yield (*path, key), endpoint[key], sentence
    count = endpoint.get("instance_count")
    if isinstance(count, int) and count > 1:
        sentence = f"{count} instances cannot be had, because a serverless endpoint has none. Delete it, or serverless."
        yield (*path, "instance_count"), count, sentence
    if kind != "all-at-once" and kind in DEPLOYMENT_TYPES:
        sentence = f"{quote(kind)} moves instances, and a serverless endpoint has none. Write all-at-once, or delete serverless."
        yield (*path, "deployment", "type"), kind, sentence
    if deployment.get("alarms"):
        sentence = "are not watched while a serverless endpoint is updated. Delete them, or serverless."
        yield (*path, "deployment", "alarms"), deployment["alarms"], sentence


def _inf1_disagreements(
    path: KeyPath, instance_type: object, deployment: Mapping[str, Any], kind: object
) -> Iterator[Complaint]:
    ways = {"type": kind != "all-at-once" and kind in DEPLOYMENT_TYPES}
    ways |= {key: bool(deployment.get(key)) for key in ("wait_seconds", "alarms")}
    for key, is_set in ways.items():
        if is_set:
            sentence = (
                f"{quote(deployment[key])} would be ignored: AWS moves endpoints on {quote(instance_type)} all at once and "
                "unwatched. Delete it, or choose another instance type."
            )
            yield (*path, key), deployment[key], sentence


_EXPECTATIONS = ("expect", "expect_within", "expect_json_path", "expect_schema", "expect_label")


def _smoke_disagreements(path: KeyPath, consumer: Mapping[str, Any]) -> Iterator[Complaint]:
    questions = consumer.get("smoke")
    for place, question in enumerate(questions if isinstance(questions, list | tuple) else ()):
        if isinstance(question, Mapping):
            yield from _question_disagreements((*path, "smoke", place), question)
    latency = consumer.get("latency")
    if isinstance(latency, Mapping):
        limits = [latency.get(key) for key in ("p50_ms", "p95_ms")]
        if limits == [None, None]:
            yield (*path, "latency"), "", "limits nothing. Add p50_ms, p95_ms, or both, in milliseconds."
        p50, p95 = limits
        if isinstance(p50, int | float) and isinstance(p95, int | float) and p50 > p95:
            sentence = f"{p50} is more than the p95_ms of {p95}, which no measurement can meet. Write less."
            yield (*path, "latency", "p50_ms"), p50, sentence


def _question_disagreements(path: KeyPath, question: Mapping[str, Any]) -> Iterator[Complaint]:
    bodies = [key for key in ("body", "body_s3_uri") if question.get(key) is not None]
    expectations = [
        key for key in _EXPECTATIONS if question.get(key) is not None or (key == "expect" and key in question)
    ]
    for keys, key, others in (
        (bodies, "body", "body_s3_uri"),
        (expectations, "expect", "one of " + ", ".join(_EXPECTATIONS[1:])),
    ):
        if not keys:
            yield (*path, key), "", missing(Smoke, key, f", or {others}.")
        for extra in keys[1:]:
            sentence = f"stands beside {keys[0]}, and a question has one of them only. Keep one of the two."
            yield (*path, extra), "", sentence
    for key in ("expect_within", "expect_json_path"):
        inner = question.get(key)
        tolerance = inner.get("tolerance") if isinstance(inner, Mapping) else None
        if isinstance(tolerance, Mapping):
            measures = [name for name in ("absolute", "relative") if tolerance.get(name) is not None]
            if len(measures) != 1:
                sentence = "needs one measure, and one only. Write {absolute: 0.01} or {relative: 0.05}."
                yield (*path, key, "tolerance"), "", sentence
