"""Users of what is about to be taken back: endpoints in the consumers' accounts that run on the shared package.

An endpoint whose artifact, image or key can no longer be read goes on answering, and can no longer scale, be patched or be
updated. They are looked for in the consumer's deployer role, by reads alone. Where that is not possible it cannot be told, which is no
"no": it stands in the way until it is forced. An account that the config does not name has no role to look with, ever: that is said,
and stands in no way. Not here: what the endpoints lose (``revoke``).

Source: "Best practices for deploying models on SageMaker hosting services" in the SageMaker developer guide.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
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
        force: neither a live endpoint nor an account that cannot be looked into stands in the way.
    """
    accounts = {name: consumer.account for name, consumer in sharing.consumers.items()}
    findings = [
        finding
        for name, account in accounts.items()
        if leaving is None or account in leaving
        for finding in _of_consumer(sharing, name, version, force)
    ]
    return (*findings, *_of_unnamed(set(leaving or ()) - set(accounts.values())))


def _of_unnamed(accounts: Collection[str]) -> Iterator[Finding]:
    reason = "the config does not name it, so there is no role to look with"
    for account in sorted(accounts):
        yield Finding(Severity.WARNING, f"account {account}", f"{_UNKNOWN}: {reason}.")


def _of_consumer(sharing: Sharing, name: str, version: int | None, force: bool) -> Iterator[Finding]:
    subject = f"consumers.{name} (account {sharing.consumers[name].account})"
    try:
        using, unseen = endpoints_using(open_target(sharing, name), version)
    except (CrossAccountError, ClientError, BotoCoreError) as error:
        yield _unknown(sharing, name, f"{_UNKNOWN}: {first_line(error)}", force)
        return
    if using:
        yield Finding(
            Severity.WARNING if force else Severity.ERROR,
            subject,
            f"Endpoints there still run on it: {', '.join(using)}. Without access they can no longer scale, be patched or be updated.",
            "Delete them or move them to another model first; or add --force (force in a form).",
        )
    yield from _of_unseen(sharing, name, unseen, force)


def find_left_behind(
    sharing: Sharing, leaving: Collection[str], shared: Collection[int], force: bool = False
) -> tuple[Finding, ...]:
    """Findings about live endpoints on versions of the group that are no longer shared, for a share that prunes.

    Args:
        sharing: the config.
        leaving: the accounts that lose something.
        shared: the numbers of the versions that are shared, which lose nothing.
        force: neither a live endpoint nor an account that cannot be looked into stands in the way.
    """
    named = {consumer.account for consumer in sharing.consumers.values()}
    findings = [
        finding
        for name, consumer in sharing.consumers.items()
        if consumer.account in leaving
        for finding in _left_behind(sharing, name, shared, force)
    ]
    return (*findings, *_of_unnamed({each for each in leaving if each.isdigit()} - named))


def _left_behind(sharing: Sharing, name: str, shared: Collection[int], force: bool) -> Iterator[Finding]:
    subject = f"consumers.{name} (account {sharing.consumers[name].account})"
    try:
        running, unseen = _running(open_target(sharing, name))
    except (CrossAccountError, ClientError, BotoCoreError) as error:
        yield _unknown(sharing, name, f"{_UNKNOWN}: {first_line(error)}", force)
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
    yield from _of_unseen(sharing, name, unseen, force)


_UNKNOWN = "Whether live endpoints there use it cannot be told"


def _of_unseen(sharing: Sharing, name: str, unseen: Mapping[str, str], force: bool) -> Iterator[Finding]:
    if refused := [endpoint for endpoint, reason in unseen.items() if not reason]:
        may_not = f"these endpoints may not be looked at: {', '.join(refused)}"
        yield _unknown(sharing, name, f"{_UNKNOWN}: {may_not}", force)
    if lost := [f"{endpoint} ({reason})" for endpoint, reason in unseen.items() if reason]:
        yield _unknown(sharing, name, f"{_UNKNOWN}: what these run on is gone: {', '.join(lost)}", force)


def _unknown(sharing: Sharing, name: str, text: str, force: bool) -> Finding:
    """What cannot be told of a consumer: in the way, unless it is forced."""
    consumer = sharing.consumers[name]
    elsewhere = (
        f", for example where the workers of {consumer.run_deployment} run" if consumer.run_deployment else ""
    )
    way_out = f"Run this where its deployer role can look{elsewhere}; or ask account {consumer.account}, and add --force."
    severity = Severity.WARNING if force else Severity.ERROR
    return Finding(severity, f"consumers.{name} (account {consumer.account})", f"{text}.", way_out)


def endpoints_using(target: Target, version: int | None) -> tuple[list[str], dict[str, str]]:
    """The names of an account's endpoints that run on the group's versions; and of those of which it cannot be told.

    The latter with the reason: empty where AWS does not let them be looked at.

    Args:
        target: the account.
        version: the one version that counts; None is any.

    Raises:
        ClientError: when the endpoints may not be listed.
    """
    running, unseen = _running(target)
    return [name for name, numbers in running.items() if version is None or version in numbers], unseen


def _running(target: Target) -> tuple[dict[str, tuple[int, ...]], dict[str, str]]:
    """The versions of the group behind each endpoint of an account that runs on any; and the others, as in `endpoints_using`."""
    client = target.sagemaker
    running, unseen = dict[str, tuple[int, ...]](), dict[str, str]()
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
                unseen[name] = ""
                continue
            except _Lost as lost:
                if _described(client.describe_endpoint, EndpointName=name):  # it has not gone with it
                    unseen[name] = str(lost)
                continue
            if numbers:
                running[name] = numbers
    return running, unseen


class _Lost(Exception):
    """What an endpoint runs on was deleted: it goes on running, and what was in it cannot be told."""


def _versions(target: Target, endpoint: str) -> tuple[int, ...]:
    """The versions of the group behind an endpoint, in whatever part.

    Raises:
        _Lost: when none can be seen, and something that it runs on was deleted.
    """
    lost = list[str]()
    found = set().union(*_by_part(target, endpoint, lost.append).values())
    if lost and not found:
        raise _Lost(", ".join(dict.fromkeys(lost)))
    return tuple(sorted(found))


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


def _unnoted(what: str) -> None:
    """For whom it does not matter that something was deleted."""


def _by_part(target: Target, endpoint: str, note: Callable[[str], None] = _unnoted) -> dict[_Part, set[int]]:
    """The versions of the group behind an endpoint, by their part in it; none for an endpoint that has gone meanwhile.

    ``note`` is told of each endpoint config and model that the endpoint runs on and that was deleted.
    """
    package = package_arn(target.config, "").lower()  # SageMaker may write it either way
    found: dict[_Part, set[int]] = {part: set() for part in _Part}
    for part, model in _models(target.sagemaker, endpoint, note):
        for arn in _packages(target.sagemaker, model, note):
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


def _packages(client: Any, model: str, note: Callable[[str], None]) -> Iterator[str]:
    """The model packages of a model's containers."""
    described = _described(client.describe_model, ModelName=model)
    if not described:
        note(f"its model {model} was deleted")
    for container in [*described.get("Containers", []), described.get("PrimaryContainer", {})]:
        if "ModelPackageName" in container:
            yield container["ModelPackageName"]


def _models(client: Any, endpoint: str, note: Callable[[str], None]) -> Iterator[tuple[_Part, str]]:
    """The models of an endpoint's variants, and of the endpoint config that it moves to, each with its part.

    Where a variant has none, those of the inference components on its instances.
    """
    state = _described(client.describe_endpoint, EndpointName=endpoint)
    now, then = state.get("EndpointConfigName"), state.get("PendingDeploymentSummary") or {}
    if now is not None:
        yield from _models_of_config(client, endpoint, now, note)
    if (pending := then.get("EndpointConfigName")) not in (None, now):
        for _, model in _models_of_config(client, endpoint, pending, note):
            yield _Part.PENDING, model


def _models_of_config(
    client: Any, endpoint: str, config: str, note: Callable[[str], None]
) -> Iterator[tuple[_Part, str]]:
    described = _described(client.describe_endpoint_config, EndpointConfigName=config)
    if not described:
        note(f"its endpoint config {config} was deleted")
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
