"""Policies of SageMaker model package groups. They are named by the group's name, in its own account, alone.

Source: GetModelPackageGroupPolicy, PutModelPackageGroupPolicy and DeleteModelPackageGroupPolicy in the SageMaker API
reference. No error is modelled for a group without a policy; its text is from public reports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from crossaccount.policies import Document, compact
from crossaccount.strict_json import parse_json

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient


def read(client: SageMakerClient, group: str, account: str) -> Document | None:
    """The group's policy; None when it has none. ``account`` is the caller's own: the API takes no other."""
    try:
        text = client.get_model_package_group_policy(ModelPackageGroupName=group)["ResourcePolicy"]
    except ClientError as error:
        said = error.response["Error"]
        if said["Code"] == "ValidationException" and said["Message"].startswith(
            "Cannot find resource policy for"
        ):
            return None
        raise
    document: dict[str, Any] = parse_json(text)
    return document


def write(client: SageMakerClient, group: str, document: Document, account: str) -> None:
    """Replace the group's policy."""
    client.put_model_package_group_policy(ModelPackageGroupName=group, ResourcePolicy=compact(document))


def clear(client: SageMakerClient, group: str, account: str) -> None:
    """Remove the group's policy."""
    client.delete_model_package_group_policy(ModelPackageGroupName=group)
