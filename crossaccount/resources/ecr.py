"""ECR repository policies.

Source: GetRepositoryPolicy, SetRepositoryPolicy and DeleteRepositoryPolicy in the Amazon ECR API reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from crossaccount.policies import Document, compact
from crossaccount.strict_json import parse_json

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient


def read(client: ECRClient, repository: str, account: str) -> Document | None:
    """The repository's policy; None when it has none. ``account`` is the registry."""
    try:
        text = client.get_repository_policy(registryId=account, repositoryName=repository)["policyText"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "RepositoryPolicyNotFoundException":
            return None
        raise
    document: dict[str, Any] = parse_json(text)
    return document


def write(client: ECRClient, repository: str, document: Document, account: str) -> None:
    """Replace the repository's policy."""
    client.set_repository_policy(registryId=account, repositoryName=repository, policyText=compact(document))


def clear(client: ECRClient, repository: str, account: str) -> None:
    """Remove the repository's policy."""
    client.delete_repository_policy(registryId=account, repositoryName=repository)
