"""An audience, and the statements of ours that let it in.

Pure functions. Not here: what a statement allows (``doors``), and how it gets into a document that has others' (``documents``).

Source: "Troubleshoot inference pipelines" in the SageMaker developer guide (the service principal); aws:PrincipalOrgID,
aws:PrincipalOrgPaths, aws:PrincipalArn and aws:CurrentTime in "AWS global condition context keys".
"""

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

SERVICE = "sagemaker.amazonaws.com"


@dataclass(frozen=True)
class Organization:
    """An AWS organization, or the units and roles of it that are let in.

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
    """The accounts, or the organization, that statements let in on the same terms.

    Args:
        roots: ARNs of accounts' roots; they stand for the whole accounts.
        roles: ARNs of roles; where there are any, only these of the accounts.
        organization: let in instead of accounts.
        until: the time at which the access ends by itself, as ``2026-12-31T00:00:00Z``; None is never.
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


def statement(group_arn: str, word: str, audience: Audience, **terms: Any) -> Statement:
    """A statement of ours for an audience.

    Args:
        group_arn: of the group whose statement it is.
        word: its purpose, a capitalized word of its Sid.
        audience: its members.
        terms: its other elements: Action, Resource, Condition.
    """
    where = {operator: dict(keys) for operator, keys in terms.pop("Condition", {}).items()}
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
    return _marked(group_arn, word, principal, terms, where)


def service_statement(group_arn: str, word: str, audience: Audience, **terms: Any) -> Statement:
    """A statement of ours for SageMaker itself, on behalf of the audience's accounts alone; arguments as for `statement`."""
    where: dict[str, dict[str, Any]] = {}
    if audience.organization is not None:
        _put(where, BY_SOURCE_ORGANIZATION, audience.organization.id)
    else:
        _put(where, BY_SOURCE, scalar(sorted(audience.members)))
    if audience.until:
        _put(where, UNTIL, audience.until)
    return _marked(group_arn, word, {"Service": SERVICE}, terms, where)


def page_statement(sid: str, audience: Audience, **terms: Any) -> Statement:
    """A statement of the AWS page, under the page's own Sid."""
    return {"Sid": sid, "Effect": "Allow", "Principal": aws(audience.roots), **terms}


def _put(where: dict[str, dict[str, Any]], place: tuple[str, str], value: Any) -> None:
    where.setdefault(place[0], {})[place[1]] = value


def _marked(
    group_arn: str, word: str, principal: Any, terms: dict[str, Any], where: dict[str, Any]
) -> Statement:
    unnamed = {"Effect": "Allow", "Principal": principal, **terms, **({"Condition": where} if where else {})}
    return {"Sid": sid_of(word, group_arn, unnamed), **unnamed}
