"""IAM's answers to simulations, in both forms: yes, no with who forbids it, or cannot tell.

The answers are as AWS gives them: of earlier years one result for each resource, now one for an action, with the decision on
each resource beside it and a template of an ARN for its name.
"""

from __future__ import annotations

from typing import Any

import pytest

from crossaccount.aws.simulation import Simulated, read_answer
from crossaccount.errors import Denial

KEY = "arn:aws:kms:us-east-1:111111111111:key/1234abcd"
OTHER = KEY.replace("1234", "5678")
TEMPLATE = "arn:${Partition}:kms:${Region}:${Account}:key/${KeyId}"
YES, LACKS, DENIES = "allowed", "implicitDeny", "explicitDeny"
ORGANIZATION, NO_ORGANIZATION = (
    {"OrganizationsDecisionDetail": {"AllowedByOrganizations": allowed}} for allowed in (True, False)
)
BOUNDED, UNBOUNDED = (
    {"PermissionsBoundaryDecisionDetail": {"AllowedByPermissionsBoundary": allowed}}
    for allowed in (True, False)
)
REGION = {"MissingContextValues": ["aws:RequestedRegion"]}
SCP, BOUNDARY, IDENTITY = (
    Denial(kind) for kind in ("service control policy", "permissions boundary", "identity-based policy")
)


def old(decision: str, **more: Any) -> dict[str, Any]:
    """A result of earlier years: about one resource."""
    return {"EvalActionName": "kms:Decrypt", "EvalResourceName": KEY, "EvalDecision": decision, **more}


def new(whole: str, *single: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A result of an action, with the decisions on single resources."""
    return {
        "EvalActionName": "kms:Decrypt",
        "EvalResourceName": TEMPLATE,
        "EvalDecision": whole,
        "ResourceSpecificResults": list(single),
        **more,
    }


def one(decision: str, resource: str = KEY, **more: Any) -> dict[str, Any]:
    return {"EvalResourceName": resource, "EvalResourceDecision": decision, **more}


CASES = [
    ("yes", [old(YES)], True, None),
    ("yes, and the organization and the boundary too", [old(YES, **ORGANIZATION, **BOUNDED)], True, None),
    ("a lack", [old(LACKS)], False, None),
    ("a deny", [old(DENIES)], False, IDENTITY),
    ("a lack, for want of a value", [old(LACKS, **REGION)], None, None),
    ("a deny, for want of a value", [old(DENIES, **REGION)], None, None),
    ("a yes that a value may turn", [old(YES, **REGION)], None, None),
    ("the organization forbids", [old(LACKS, **NO_ORGANIZATION)], False, SCP),
    ("the organization forbids what the role allows", [old(YES, **NO_ORGANIZATION)], False, SCP),
    ("the organization forbids by a deny", [old(DENIES, **NO_ORGANIZATION)], False, SCP),
    ("the boundary lacks it", [old(LACKS, **UNBOUNDED)], False, None),
    ("the boundary denies it", [old(DENIES, **UNBOUNDED)], False, BOUNDARY),
    ("no result", [], None, None),
    ("new: yes", [new(YES, one(YES))], True, None),
    ("new: a lack", [new(LACKS, one(LACKS))], False, None),
    ("new: a deny", [new(DENIES, one(DENIES))], False, IDENTITY),
    ("new: another resource's deny", [new(DENIES, one(YES), one(DENIES, OTHER))], True, None),
    ("new: another resource's yes", [new(LACKS, one(LACKS), one(YES, OTHER))], False, None),
    ("new: a value that the resource's decision lacks", [new(LACKS, one(LACKS, **REGION))], None, None),
    ("new: a value that the whole lacks", [new(LACKS, one(LACKS), **REGION)], None, None),
    ("new: the organization", [new(LACKS, one(LACKS), **NO_ORGANIZATION)], False, SCP),
    ("new: the organization allows", [new(LACKS, one(LACKS), **ORGANIZATION)], False, None),
    ("new: the resource's boundary", [new(DENIES, one(DENIES, **UNBOUNDED))], False, BOUNDARY),
    ("new: the whole's boundary", [new(DENIES, one(DENIES), **UNBOUNDED)], False, BOUNDARY),
    ("new: by a template alone", [new(LACKS, one(LACKS, TEMPLATE))], False, None),
    ("new: no single decision", [new(YES)], True, None),
    (
        "across accounts: the role's side",
        [new(LACKS, one(LACKS, EvalDecisionDetails={"IAM Policy": YES, "Resource Policy": LACKS}))],
        True,
        None,
    ),
    (
        "across accounts: the role lacks it",
        [new(LACKS, one(LACKS, EvalDecisionDetails={"IAM Policy": LACKS, "Resource Policy": YES}))],
        False,
        None,
    ),
    ("across accounts: no details", [new(LACKS, one(LACKS, EvalDecisionDetails={}))], False, None),
]


@pytest.mark.parametrize(
    ("results", "allowed", "denial"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_an_answer_of_iam_is_read_in_either_form(
    results: list[dict[str, Any]], allowed: bool | None, denial: Denial | None
) -> None:
    found = read_answer({"EvaluationResults": results}, KEY)
    assert (found.allowed, found.denial) == (allowed, denial)
    assert bool(found.doubt) == (allowed is None)
    assert found.by_organization == (denial == SCP)


def test_a_missing_value_is_named() -> None:
    found = read_answer(
        {"EvaluationResults": [old(LACKS, MissingContextValues=["aws:SourceVpce", "aws:A"])]}, KEY
    )
    assert "aws:A, aws:SourceVpce" in found.doubt


def test_a_boundary_that_lacks_an_allow_denies_nothing() -> None:
    assert read_answer({"EvaluationResults": [old(LACKS, **UNBOUNDED)]}, KEY) == Simulated(
        False, lacks="permissions boundary"
    )
