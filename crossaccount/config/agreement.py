"""Keys of a config against each other, as plain data: contradictions are said beside the faults that the models find.

Not here: single values (``values``, ``identifiers``).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from crossaccount.config import identifiers
from crossaccount.config.hosting_agreement import hosting_disagreements
from crossaccount.config.lifecycle import lifecycle_disagreements
from crossaccount.config.question_agreement import smoke_disagreements
from crossaccount.config.smoke import spelled_out
from crossaccount.config.values import Complaint, KeyPath, sound
from crossaccount.regions import partitions
from crossaccount.text import quote


def disagreements(data: Mapping[str, Any]) -> Iterator[Complaint]:
    """Everything in a config, as plain data that may be unsound, that contradicts something else in it."""
    producer, consumers = data.get("producer"), data.get("consumers")
    region = sound(data, "region", identifiers.check_region)
    owner = sound(producer, "account", identifiers.check_account)
    duty = "the producer's role must stand in the producer's account"
    yield from _role_disagreements(("producer", "role"), producer, owner, region, duty)
    external_id = producer.get("external_id") if isinstance(producer, Mapping) else None
    if isinstance(producer, Mapping) and external_id is not None and producer.get("role") is None:
        sentence = f"{quote(external_id)} is an external id without a role to assume with it. Add producer.role, or delete external_id."
        yield ("producer", "external_id"), external_id, sentence
    yield from _key_disagreements(producer, owner, region)
    yield from _scope_disagreements(data)
    yield from lifecycle_disagreements(data)
    consumers = consumers if isinstance(consumers, Mapping) else {}
    for name, written in consumers.items():
        consumer = spelled_out(written)
        if isinstance(consumer, Mapping):
            path = ("consumers", name)
            yield from _account_disagreements(path, consumer, owner, region)
            yield from smoke_disagreements(path, consumer)
            yield from hosting_disagreements(path, consumer, data.get("versions"))
    yield from _name_disagreements(consumers)


def _key_disagreements(producer: object, owner: str | None, region: str | None) -> Iterator[Complaint]:
    arn = sound(producer, "releases_kms_key", identifiers.check_key_arn)
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
    account = sound(consumer, "account", identifiers.check_account)
    if account is not None and account == owner:
        sentence = f"{quote(account)} is the producer's own account, which needs no grant. Name the account that deploys, or delete this consumer."
        yield (*path, "account"), account, sentence
    for key, duty in _ROLE_DUTIES.items():
        yield from _role_disagreements((*path, key), consumer, account, region, duty)


def _name_disagreements(consumers: Mapping[str, Any]) -> Iterator[Complaint]:
    seen: dict[tuple[str, str], str] = {}
    for name, consumer in consumers.items():
        account = sound(consumer, "account", identifiers.check_account)
        endpoint = account and sound(consumer.get("endpoint"), "name", identifiers.check_endpoint_name)
        if account is None or endpoint is None:
            continue
        # CreateEndpoint takes names that differ only in case for the same name (botocore, sagemaker: CreateEndpointInput).
        other = seen.setdefault((account, endpoint.lower()), name)
        if other != name:
            sentence = f"{quote(endpoint)} is also the endpoint of consumer {other} in the same account {account}. Give each its own endpoint name."
            yield ("consumers", name, "endpoint", "name"), endpoint, sentence


_ROLE_DUTIES = {
    "role": "a role that deploys must stand in the consumer's account",
    "execution_role": "a role that SageMaker may be passed must stand in the consumer's account",
}


def _role_disagreements(
    path: KeyPath, data: object, account: str | None, region: str | None, duty: str
) -> Iterator[Complaint]:
    arn = sound(data, str(path[-1]), identifiers.check_role)
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
        scope = sound(organization, "id", identifiers.check_organization_id)
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
