"""What we write into policies: the statements of each door, for an audience, in one of the two presets.

Pure functions. Not here: how they get into a document that has others' statements (``policy``).

Source: "Deploy a Model Version from a Different Account" in the SageMaker developer guide; "Allowing users in other
accounts to use a KMS key" in the KMS developer guide; "Troubleshoot inference pipelines" in the SageMaker developer guide
(the service principal); aws:PrincipalOrgID, aws:PrincipalOrgPaths, aws:PrincipalArn and aws:CurrentTime in "AWS global
condition context keys".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from crossaccount.policy.documents import (
    BY_ORGANIZATION,
    BY_ROLE,
    BY_SOURCE,
    BY_SOURCE_ORGANIZATION,
    UNTIL,
    Statement,
    account_of,
    aws,
    scalar,
    sid_of,
)

PULL_ACTIONS = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
SERVICE = "sagemaker.amazonaws.com"


@dataclass(frozen=True)
class Organization:
    """A whole AWS organization, or what of it is let in.

    Args:
        id: as in ``o-a1b2c3d4e5``.
        paths: only accounts below one of these paths (``o-.../r-.../ou-.../``); empty is everywhere.
        roles: only roles whose ARN is like one of these; empty is every identity.
    """

    id: str
    paths: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Audience:
    """Whom statements let in, on the same terms.

    Args:
        roots: ARNs of accounts' roots; they stand for the whole accounts.
        roles: ARNs of roles; where there are any, only these of the accounts.
        organization: instead of accounts.
        until: when the access ends by itself, as ``2026-12-31T00:00:00Z``; None is never.
    """

    roots: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    organization: Organization | None = None
    until: str | None = field(default=None, kw_only=True)

    @property
    def members(self) -> tuple[str, ...]:
        """The accounts' numbers, or the organization's id."""
        if self.organization is not None:
            return (self.organization.id,)
        return tuple(str(account_of(root)) for root in self.roots)


def group_statements(group_arn: str, package_arns: Sequence[str], audience: Audience) -> list[Statement]:
    """What a consumer may do with the group itself, and with its versions."""
    read_group = ["sagemaker:DescribeModelPackageGroup", "sagemaker:ListModelPackages"]
    deploy = ["sagemaker:CreateModel", "sagemaker:DescribeModelPackage", "sagemaker:ListModelPackages"]
    return [
        _ours(group_arn, "Group", audience, Action=read_group, Resource=group_arn),
        _ours(group_arn, "Versions", audience, Action=deploy, Resource=scalar(package_arns)),
    ]


def repository_statements(group_arn: str, audience: Audience) -> list[Statement]:
    """Pulling the image. A repository policy has no Resource element."""
    return [_ours(group_arn, "Pull", audience, Action=list(PULL_ACTIONS))]


def service_statements(group_arn: str, audience: Audience) -> list[Statement]:
    """Pulling the image by SageMaker itself, on behalf of the audience's accounts alone."""
    where: dict[str, dict[str, Any]] = {}
    if audience.organization is not None:
        _put(where, BY_SOURCE_ORGANIZATION, audience.organization.id)
    else:
        _put(where, BY_SOURCE, scalar(sorted(audience.members)))
    if audience.until:
        _put(where, UNTIL, audience.until)
    return [_marked(group_arn, "Service", {"Service": SERVICE}, Action=list(PULL_ACTIONS), Condition=where)]


def bucket_statements(
    group_arn: str, bucket_arn: str, prefixes: Sequence[str], audience: Audience
) -> list[Statement]:
    """Reading what lies under the prefixes, and listing it: without listing, a missing object reads as a refusal."""
    patterns = [_literal(prefix) + ("*" if prefix.endswith("/") else "") for prefix in prefixes]
    objects = [f"{bucket_arn}/{pattern}" for pattern in patterns]
    where = {"StringLike": {"s3:prefix": scalar(patterns)}}
    return [
        _ours(group_arn, "Read", audience, Action="s3:GetObject", Resource=scalar(objects)),
        _ours(group_arn, "List", audience, Action="s3:ListBucket", Resource=bucket_arn, Condition=where),
    ]


def key_statements(group_arn: str, audience: Audience) -> list[Statement]:
    """Decrypting artifacts. In a key policy the resource ``*`` is the key itself."""
    return [_ours(group_arn, "Decrypt", audience, Action=["kms:Decrypt", "kms:DescribeKey"], Resource="*")]


def docs_group_statements(group_arn: str, audience: Audience) -> list[Statement]:
    """The AWS page's policy of a model package group."""
    versions = group_arn.replace(":model-package-group/", ":model-package/") + "/*"
    actions = ["DescribeModelPackage", "ListModelPackages", "UpdateModelPackage", "CreateModel"]
    return [
        {
            "Sid": "AddPermModelPackageGroup",
            "Effect": "Allow",
            "Principal": aws(audience.roots),
            "Action": ["sagemaker:DescribeModelPackageGroup"],
            "Resource": group_arn,
        },
        {
            "Sid": "AddPermModelPackageVersion",
            "Effect": "Allow",
            "Principal": aws(audience.roots),
            "Action": [f"sagemaker:{action}" for action in actions],
            "Resource": versions,
        },
    ]


def docs_repository_statements(audience: Audience) -> list[Statement]:
    """The AWS page's policy of an ECR repository."""
    return [{"Sid": "AddPerm", "Effect": "Allow", "Principal": aws(audience.roots), "Action": ["ecr:*"]}]


def docs_bucket_statements(bucket_arn: str, audience: Audience) -> list[Statement]:
    """The AWS page's policy of a bucket."""
    statement = {"Sid": "AddPerm", "Effect": "Allow", "Principal": aws(audience.roots), "Action": "s3:*"}
    return [{**statement, "Resource": f"{bucket_arn}/*"}]


def _ours(group_arn: str, word: str, audience: Audience, **terms: Any) -> Statement:
    where: dict[str, dict[str, Any]] = {
        operator: dict(keys) for operator, keys in terms.pop("Condition", {}).items()
    }
    principal: Any = "*"
    if audience.organization is None:
        principal = aws(audience.roots)
        if audience.roles:
            _put(where, BY_ROLE, scalar(sorted(audience.roles)))
    else:
        _put(where, BY_ORGANIZATION, audience.organization.id)
        if audience.organization.paths:
            paths = [f"{path}*" for path in sorted(audience.organization.paths)]
            _put(where, ("ForAnyValue:StringLike", "aws:PrincipalOrgPaths"), scalar(paths))
        if audience.organization.roles:
            _put(where, ("ArnLike", "aws:PrincipalArn"), scalar(sorted(audience.organization.roles)))
    if audience.until:
        _put(where, UNTIL, audience.until)
    return _marked(group_arn, word, principal, **terms, **({"Condition": where} if where else {}))


def _put(where: dict[str, dict[str, Any]], place: tuple[str, str], value: Any) -> None:
    where.setdefault(place[0], {})[place[1]] = value


def _marked(group_arn: str, word: str, principal: Any, **terms: Any) -> Statement:
    statement = {"Effect": "Allow", "Principal": principal, **terms}
    return {"Sid": sid_of(word, group_arn, statement), **statement}


def _literal(key: str) -> str:
    """A key as a policy writes it: a character of the key that is a wildcard there stands for itself alone."""
    return re.sub(r"[*?$]", lambda found: f"${{{found[0]}}}", key)
