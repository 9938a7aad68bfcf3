"""Users of what is about to be taken back: endpoints in the consumers' accounts that run on the shared package.

An endpoint whose artifact, image or key can no longer be read goes on answering, and can no longer scale, be patched or be
updated. They are looked for in the consumer's deployer role, by reads alone; where that is not possible, a finding says so. Not
here: what the endpoints lose (``revoke``).

Source: "Best practices for deploying models on SageMaker hosting services" in the SageMaker developer guide.
"""

from collections.abc import Collection, Iterator
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from crossaccount.arns import package_arn
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
            "Delete them or move them to another model first; or add --force.",
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
    client = target.sagemaker
    package = package_arn(target.config, version or "").lower()  # SageMaker may write it either way
    using, unseen = [], []
    for page in client.get_paginator("list_endpoints").paginate(PaginationConfig={"PageSize": 100}):
        for summary in page["Endpoints"]:
            if summary["EndpointStatus"] in GONE:
                continue
            name = summary["EndpointName"]
            try:
                packages = _packages(client, name)
            except ClientError as error:
                if error.response["Error"]["Code"] not in ("AccessDenied", "AccessDeniedException"):
                    raise
                unseen.append(name)
                continue
            if any(
                arn == package or (version is None and arn.startswith(package))
                for arn in map(str.lower, packages)
            ):
                using.append(name)
    return using, unseen


def _packages(client: Any, endpoint: str) -> set[str]:
    """The model packages behind an endpoint; none for one that has gone meanwhile."""
    try:
        config = client.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
        variants = client.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
        names = [variant["ModelName"] for variant in variants if "ModelName" in variant]
        models = [client.describe_model(ModelName=name) for name in names]
    except ClientError as error:
        if error.response["Error"]["Message"].startswith("Could not find"):
            return set()
        raise
    return {
        container["ModelPackageName"]
        for model in models
        for container in [*model.get("Containers", []), model.get("PrimaryContainer", {})]
        if "ModelPackageName" in container
    }
