"""Users of what is about to be taken back: endpoints in the consumers' accounts that run on the shared package.

An endpoint whose artifact, image or key can no longer be read goes on answering, and can no longer scale, be patched or be
updated. They are looked for in the consumer's deployer role, by reads alone; where that is not possible, a finding says so. Not
here: what the endpoints lose (``revoke``).

Source: "Best practices for deploying models on SageMaker hosting services" in the SageMaker developer guide.
"""

import re
from collections.abc import Callable, Collection, Iterator
from enum import Enum, auto
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from crossaccount.arns import package_arn, version_of
from crossaccount.aws.access import Target, open_target
from crossaccount.aws.endpoint_status import GONE
from crossaccount.config.model import Sharing
from crossaccount.errors import CrossAccountError, Finding, Severity
from crossaccount.text import first_line


def find_users(
    sharing: Sharing, leaving: Collection[str] | None, version: int | None = None, force: bool = False
) -> tuple[Finding, ...]:
    """Findings about live endpoints for a revoke.

    Args:
        sharing: the config.
        leaving: the accounts that lose access; None is everyone.
        version: the version that they lose; None is all.
        force: a live endpoint does not stand in the way.
    """
    accounts = {name: consumer.account for name, consumer in sharing.consumers.items()}
    findings = [
        finding
        for name, account in accounts.items()
        if leaving is None or account in leaving
        for finding in _of_consumer(sharing, name, version, force)
    ]
    reason = "the config does not name it, so there is no role to look with"
    unnamed = sorted(set(leaving or ()) - set(accounts.values()))
    return (*findings, *(_unknown(f"account {account}", reason) for account in unnamed))


def _of_consumer(sharing: Sharing, name: str, version: int | None, force: bool) -> Iterator[Finding]:
    subject = f"consumers.{name} (account {sharing.consumers[name].account})"
    try:
        using, unseen = endpoints_using(open_target(sharing, name), version)
    except (CrossAccountError, ClientError, BotoCoreError) as error:
        yield _unknown(subject, first_line(error))
        return
    if using:
        yield Finding(
            Severity.WARNING if force else Severity.ERROR,
            subject,
            f"Endpoints there still run on it: {', '.join(using)}. Without access they can no longer scale, be patched or be updated.",
            "Delete them or move them to another model first; or add --force (force in a form).",
        )
    if unseen:
        yield _unknown(subject, f"these endpoints may not be looked at: {', '.join(unseen)}")


def find_left_behind(
    sharing: Sharing, leaving: Collection[str], shared: Collection[int], force: bool = False
) -> tuple[Finding, ...]:
    """Findings about live endpoints on versions of the group that are no longer shared, for a share that prunes.

    Args:
        sharing: the config.
        leaving: the accounts that lose something.
        shared: the numbers of the versions that are shared, which lose nothing.
        force: a live endpoint does not stand in the way.
    """
    return tuple(
        finding
        for name, consumer in sharing.consumers.items()
        if consumer.account in leaving
        for finding in _left_behind(sharing, name, shared, force)
    )


def _left_behind(sharing: Sharing, name: str, shared: Collection[int], force: bool) -> Iterator[Finding]:
    subject = f"consumers.{name} (account {sharing.consumers[name].account})"
    try:
        running, unseen = _running(open_target(sharing, name))
    except (CrossAccountError, ClientError, BotoCoreError) as error:
        yield _unknown(subject, first_line(error))
        return
    using = [
        f"{endpoint} (version {number})"
        for endpoint, numbers in running.items()
        for number in numbers
        if number not in shared
    ]
    if using:
        yield Finding(
            Severity.WARNING if force else Severity.ERROR,
            subject,
            f"Endpoints there still run on versions that are no longer shared: {', '.join(using)}. Without access they can no longer scale, be "
            "patched or be updated.",
            "Move them to a shared version first, or delete them; or add --force (force in a form).",
        )
    if unseen:
        yield _unknown(subject, f"these endpoints may not be looked at: {', '.join(unseen)}")


def _unknown(subject: str, reason: str) -> Finding:
    return Finding(
        Severity.WARNING, subject, f"Whether live endpoints there use it cannot be told: {reason}."
    )


def endpoints_using(target: Target, version: int | None) -> tuple[list[str], list[str]]:
    """The names of an account's endpoints that run on the group's versions; and of those that may not be looked at.

    Args:
        target: the account.
        version: the one version that counts; None is any.

    Raises:
        ClientError: when the endpoints may not be listed.
    """
    running, unseen = _running(target)
    return [name for name, numbers in running.items() if version is None or version in numbers], unseen


def _running(target: Target) -> tuple[dict[str, tuple[int, ...]], list[str]]:
    """The versions of the group behind each endpoint of an account that runs on any; and the endpoints that may not be looked at."""
    client = target.sagemaker
    running, unseen = dict[str, tuple[int, ...]](), list[str]()
    for page in client.get_paginator("list_endpoints").paginate(PaginationConfig={"PageSize": 100}):
        for summary in page["Endpoints"]:
            if summary["EndpointStatus"] in GONE:
                continue
            name = summary["EndpointName"]
            try:
                numbers = _versions(target, name)
            except ClientError as error:
                if error.response["Error"]["Code"] not in ("AccessDenied", "AccessDeniedException"):
                    raise
                unseen.append(name)
                continue
            if numbers:
                running[name] = numbers
    return running, unseen


def _versions(target: Target, endpoint: str) -> tuple[int, ...]:
    """The versions of the group behind an endpoint, in whatever part."""
    return tuple(sorted(set().union(*_by_part(target, endpoint).values())))


def own_endpoints(target: Target) -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
    """The versions of the group that a consumer's own endpoints serve, and those that stand there as shadow variants alone.

    Its own are the one that its config names, and those that `deploy` has kept.

    Raises:
        ClientError: when AWS refuses.
    """
    client, own = target.sagemaker, target.consumer.endpoint.name
    running: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {}
    for page in client.get_paginator("list_endpoints").paginate(NameContains=own):
        for summary in page["Endpoints"]:
            name = summary["EndpointName"]
            is_own = re.fullmatch(f"{re.escape(own)}(-v[0-9]+)?", name, re.IGNORECASE)
            if is_own and summary["EndpointStatus"] not in GONE:
                parts = _by_part(target, name)
                serving, beside = parts[_Part.SERVING], parts[_Part.SHADOW]
                running[name] = tuple(sorted(serving)), tuple(sorted(beside - serving))
    return running


class _Part(Enum):
    """What a model is to an endpoint: it answers, it is a shadow variant's, or the endpoint moves to it."""

    SERVING = auto()
    SHADOW = auto()
    PENDING = auto()


def _by_part(target: Target, endpoint: str) -> dict[_Part, set[int]]:
    """The versions of the group behind an endpoint, by their part in it; none for an endpoint that has gone meanwhile."""
    package = package_arn(target.config, "").lower()  # SageMaker may write it either way
    found: dict[_Part, set[int]] = {part: set() for part in _Part}
    for part, model in _models(target.sagemaker, endpoint):
        for arn in _packages(target.sagemaker, model):
            if arn.lower().startswith(package):
                found[part].add(version_of(arn))
    return found


def _described(describe: Callable[..., Any], **named: str) -> dict[str, Any]:
    """What AWS says of something; nothing where it has gone meanwhile.

    Raises:
        ClientError: for any other error.
    """
    try:
        return dict(describe(**named))
    except ClientError as error:
        if error.response["Error"]["Message"].startswith("Could not find"):
            return {}
        raise


def _packages(client: Any, model: str) -> Iterator[str]:
    """The model packages of a model's containers."""
    described = _described(client.describe_model, ModelName=model)
    for container in [*described.get("Containers", []), described.get("PrimaryContainer", {})]:
        if "ModelPackageName" in container:
            yield container["ModelPackageName"]


def _models(client: Any, endpoint: str) -> Iterator[tuple[_Part, str]]:
    """The models of an endpoint's variants, and of the endpoint config that it moves to, each with its part.

    Where a variant has none, those of the inference components on its instances.
    """
    state = _described(client.describe_endpoint, EndpointName=endpoint)
    now, then = state.get("EndpointConfigName"), state.get("PendingDeploymentSummary") or {}
    if now is not None:
        yield from _models_of_config(client, endpoint, now)
    if (pending := then.get("EndpointConfigName")) not in (None, now):
        for _, model in _models_of_config(client, endpoint, pending):
            yield _Part.PENDING, model


def _models_of_config(client: Any, endpoint: str, config: str) -> Iterator[tuple[_Part, str]]:
    described = _described(client.describe_endpoint_config, EndpointConfigName=config)
    holds_components = False
    for part, key in ((_Part.SERVING, "ProductionVariants"), (_Part.SHADOW, "ShadowProductionVariants")):
        for variant in described.get(key) or ():
            if variant.get("ModelName"):
                yield part, variant["ModelName"]
            else:
                holds_components = True
    if holds_components:
        yield from ((_Part.SERVING, model) for model in _models_of_components(client, endpoint))


def _models_of_components(client: Any, endpoint: str) -> Iterator[str]:
    pages = client.get_paginator("list_inference_components").paginate(EndpointNameEquals=endpoint)
    for summary in (each for page in pages for each in page["InferenceComponents"]):
        described = _described(
            client.describe_inference_component, InferenceComponentName=summary["InferenceComponentName"]
        )
        specifications = [described.get("Specification") or {}, *(described.get("Specifications") or ())]
        yield from (each["ModelName"] for each in specifications if each.get("ModelName"))
