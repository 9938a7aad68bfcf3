"""The door of a SageMaker model package group: a consumer sees the versions, and makes models from them.

Source: GetModelPackageGroupPolicy, PutModelPackageGroupPolicy and DeleteModelPackageGroupPolicy in the SageMaker API reference; the
policy's size in botocore's model of SageMaker; "Deploy a Model Version from a Different Account" in the SageMaker developer guide. No
error is modelled for a group without a policy; its text is from public reports.
"""

import re
from collections.abc import Mapping, Sequence

from botocore.exceptions import ClientError

from crossaccount.arns import group_arn, package_arn
from crossaccount.aws.access import Producer
from crossaccount.config.choice import VersionRule
from crossaccount.config.model import Sharing
from crossaccount.doors.base import Door, Parts, Token
from crossaccount.errors import DoorName
from crossaccount.policy import audience as audiences
from crossaccount.policy.audience import Audience
from crossaccount.policy.documents import Document, Statement, compact, listed, scalar
from crossaccount.registry.versions import Contents
from crossaccount.strict_json import parse_json


class RegistryDoor(Door):
    """Model package groups, named by their names: only the group's own account reads and writes its policy."""

    kind = "model-package-group"
    name = DoorName.REGISTRY
    limit = 20_480
    place = re.compile(r"arn:[a-z-]+:sagemaker:.*:model-package(?:-group)?/([^/]+).*")
    missing_code = "ValidationException"
    reads, writes, clears = (
        "sagemaker:GetModelPackageGroupPolicy",
        "sagemaker:PutModelPackageGroupPolicy",
        "sagemaker:DeleteModelPackageGroupPolicy",
    )
    missing_texts = ("Cannot find Model Package Group", "ModelPackageGroup")

    def arn(self, config: Sharing, name: str) -> str:
        return group_arn(config)

    def is_right(self, config: Sharing, name: str) -> bool:
        return name == config.model_package_group

    def needed(self, config: Sharing, contents: Contents) -> Mapping[str, Parts]:
        """The shared group, whatever its versions are made of; with the numbers of those that a rule has chosen."""
        chosen = contents.versions if config.rule != VersionRule() else ()
        return {config.model_package_group: tuple(map(str, chosen))}

    def statements(self, config: Sharing, name: str, parts: Parts, audience: Audience) -> list[Statement]:
        """Seeing the group, and deploying the versions that the config shares, and those of the parts."""
        group = group_arn(config)
        if config.preset == "aws-docs":
            return page(group, audience)
        versions: list[int | str] = ["*"]
        if config.versions != "approved" and "*" not in parts:
            versions = sorted({*(config.listed or ()), *map(int, parts)})
        statements = least_privilege(group, [package_arn(config, version) for version in versions], audience)
        if config.rule == VersionRule() or "*" in versions:
            return statements
        # Whether the rule chooses a version stands in its description alone: both sides read it of all.
        actions = ["sagemaker:DescribeModelPackage", "sagemaker:ListModelPackages"]
        every = audiences.statement(
            group, "Describe", audience, Action=actions, Resource=package_arn(config, "*")
        )
        return [*statements, every]

    def parts_of(self, config: Sharing, name: str, statement: Statement) -> Parts:
        """The numbers of the versions that may be deployed; ``*`` for all."""
        if "sagemaker:CreateModel" not in listed(statement.get("Action", [])):
            return ()
        start = package_arn(config, "")
        arns = [str(each) for each in listed(statement.get("Resource", []))]
        numbers = [arn.removeprefix(start) for arn in arns if arn.startswith(start)]
        return tuple(number for number in numbers if re.fullmatch(r"[1-9]\d{0,8}|\*", number))

    def covers(self, part: str, other: str) -> bool:
        """Whether the one is the other, or every version."""
        return part in ("*", other)

    def read(self, producer: Producer, name: str) -> tuple[Document | None, Token]:
        try:
            answer = producer.sagemaker.get_model_package_group_policy(ModelPackageGroupName=name)
        except ClientError as error:
            if not _has_none(error):
                raise
            return None, None
        return parse_json(answer["ResourcePolicy"]), None

    def write(self, producer: Producer, name: str, document: Document, token: Token) -> None:
        producer.sagemaker.put_model_package_group_policy(
            ModelPackageGroupName=name, ResourcePolicy=compact(document)
        )

    def clear(self, producer: Producer, name: str, token: Token) -> None:
        try:
            producer.sagemaker.delete_model_package_group_policy(ModelPackageGroupName=name)
        except ClientError as error:
            if not _has_none(error):
                raise


def _has_none(error: ClientError) -> bool:
    answer = error.response["Error"]
    text = answer.get("Message", "")
    return answer["Code"] == "ValidationException" and text.startswith("Cannot find resource policy for")


def least_privilege(group_arn: str, package_arns: Sequence[str], audience: Audience) -> list[Statement]:
    """Seeing the group itself, and deploying these of its versions."""
    see = ["sagemaker:DescribeModelPackageGroup", "sagemaker:ListModelPackages"]
    deploy = ["sagemaker:CreateModel", "sagemaker:DescribeModelPackage", "sagemaker:ListModelPackages"]
    group = audiences.statement(group_arn, "Group", audience, Action=see, Resource=group_arn)
    if not package_arns:
        return [group]
    return [
        group,
        audiences.statement(group_arn, "Versions", audience, Action=deploy, Resource=scalar(package_arns)),
    ]


def page(group_arn: str, audience: Audience) -> list[Statement]:
    """The AWS page's policy of a model package group."""
    versions = group_arn.replace(":model-package-group/", ":model-package/") + "/*"
    actions = ["DescribeModelPackage", "ListModelPackages", "UpdateModelPackage", "CreateModel"]
    see, deploy = ["sagemaker:DescribeModelPackageGroup"], [f"sagemaker:{action}" for action in actions]
    return [
        audiences.page_statement("AddPermModelPackageGroup", audience, Action=see, Resource=group_arn),
        audiences.page_statement("AddPermModelPackageVersion", audience, Action=deploy, Resource=versions),
    ]


REGISTRY = RegistryDoor()
