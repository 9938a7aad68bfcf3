"""Whom an audience lets in: by the sandbox's judge, which knows nothing of the product."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crossaccount.arns import group_arn
from crossaccount.config.loading import load_config
from crossaccount.doors import key, repository
from crossaccount.policy import documents
from crossaccount.policy.audience import Audience, Organization
from crossaccount_sandbox.judging.decision import Result, judge
from crossaccount_sandbox.judging.request import Policies, Request

SHARING = load_config(Path(__file__).parents[2] / "configs" / "sandbox.yaml")
OWNER, STAGING = "111111111111", "222222222222"
GROUP = group_arn(SHARING)


ROOT, ROLE = f"arn:aws:iam::{STAGING}:root", f"arn:aws:iam::{STAGING}:role/team/run"
UNIT = "o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/"
UNTIL = "2026-12-31T00:00:00Z"
IN = {"aws:PrincipalOrgID": "o-a1b2c3d4e5", "aws:PrincipalOrgPaths": [UNIT]}
BELOW = {**IN, "aws:PrincipalOrgPaths": [f"{UNIT}ou-ab12-22222222/"]}
BESIDE = {**IN, "aws:PrincipalOrgPaths": ["o-a1b2c3d4e5/r-ab12/ou-ab12-111111112/"]}
LIKE = "arn:aws:iam::*:role/team/run"
OUT_OF_TIME = {"aws:CurrentTime": UNTIL}


def pull(document: dict[str, Any], role: str, context: dict[str, Any]) -> bool:
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    given = {"aws:CurrentTime": "2026-11-24T00:00:00Z", "aws:PrincipalArn": role, **context}
    request = Request(role, "ecr:BatchGetImage", f"arn:aws:ecr:us-east-1:{OWNER}:repository/x", OWNER, given)
    return judge(request, Policies([everything], document)).result is Result.ALLOWED


@pytest.mark.parametrize(
    ("audience", "role", "context", "allowed"),
    [
        (Audience((ROOT,)), ROLE, {}, True),
        (Audience((ROOT,)), "arn:aws:iam::333333333333:role/team/run", {}, False),
        (Audience((ROOT,), until=UNTIL), ROLE, {"aws:CurrentTime": "2026-12-30T23:59:59Z"}, True),
        (Audience((ROOT,), until=UNTIL), ROLE, OUT_OF_TIME, False),
        (Audience((ROOT,), (ROLE,)), ROLE, {}, True),
        (Audience((ROOT,), (ROLE,)), f"arn:aws:iam::{STAGING}:role/run", {}, False),
        (Audience((ROOT,), (ROLE,)), f"{ROLE}2", {}, False),
        (Audience((ROOT,), (ROLE,)), "arn:aws:iam::333333333333:role/team/run", {}, False),
        (Audience((ROOT,), (ROLE,), until=UNTIL), ROLE, OUT_OF_TIME, False),
        (Audience(organization=Organization("o-a1b2c3d4e5")), ROLE, IN, True),
        (Audience(organization=Organization("o-a1b2c3d4e5")), ROLE, {}, False),
        (Audience(organization=Organization("o-a1b2c3d4e5")), ROLE, {"aws:PrincipalOrgID": "o-a1b2c3d4e55"}, False),
        (Audience(organization=Organization("o-a1b2c3d4e5", (UNIT,))), ROLE, IN, True),
        (Audience(organization=Organization("o-a1b2c3d4e5", (UNIT,))), ROLE, BELOW, True),
        (Audience(organization=Organization("o-a1b2c3d4e5", (UNIT,))), ROLE, BESIDE, False),
        (Audience(organization=Organization("o-a1b2c3d4e5", roles=(LIKE,))), ROLE, IN, True),
        (Audience(organization=Organization("o-a1b2c3d4e5", roles=(LIKE,))), f"{ROLE}2", IN, False),
        (Audience(organization=Organization("o-a1b2c3d4e5", roles=(LIKE,))), ROLE, {}, False),
        (Audience(organization=Organization("o-a1b2c3d4e5"), until=UNTIL), ROLE, {**IN, **OUT_OF_TIME}, False),
    ],
)  # fmt: skip
def test_whom_an_audience_lets_in(
    audience: Audience, role: str, context: dict[str, Any], allowed: bool
) -> None:
    document = documents.granted(None, repository.least_privilege(GROUP, audience), GROUP)
    assert document is not None
    assert pull(document, role, context) is allowed


@pytest.mark.parametrize(
    ("audience", "members"),
    [
        (Audience((ROOT, "arn:aws:iam::333333333333:root")), ("222222222222", "333333333333")),
        (Audience((ROOT,), (ROLE,)), ("222222222222",)),
        (Audience(organization=Organization("o-a1b2c3d4e5")), ("o-a1b2c3d4e5",)),
        (Audience(), ()),
    ],
)
def test_the_members_of_an_audience(audience: Audience, members: tuple[str, ...]) -> None:
    assert audience.members == members
    for one in [
        *repository.least_privilege(GROUP, audience),
        *repository.service_principal(GROUP, audience),
        *key.least_privilege(GROUP, audience),
    ]:
        assert tuple(documents.members(one)) == members
