"""Every error crosses between processes whole, and ends the command with its exit code."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace

import pytest

from crossaccount import errors
from crossaccount.errors import CrossAccountError, DoorName, Fault, Refusal

OWNER, CONSUMER = "111111111111", "222222222222"
DEPLOYER = f"arn:aws:iam::{CONSUMER}:role/crossaccount-deployer"
KEY = f"arn:aws:kms:us-east-1:{OWNER}:key/1234abcd"


REFUSAL = Refusal(
    DoorName.KEY, OWNER, "kms:Decrypt", KEY, DEPLOYER, "AccessDenied", "no", ("this", "that"), "Share."
)
FAULT = Fault("consumers.staging.account", 12, "1", "Twelve digits are needed.")
EXAMPLES: dict[type[CrossAccountError], CrossAccountError] = {
    CrossAccountError: CrossAccountError("where, what, what next"),
    errors.ConfigError: errors.ConfigError((FAULT, replace(FAULT, line=None)), "configs/x.yaml"),
    errors.InputError: errors.InputError("no such consumer"),
    errors.Refused: errors.Refused(REFUSAL),
    errors.AccessMissing: errors.AccessMissing(("staging: registry",), "a table", {"answers": []}),
    errors.PlanRefused: errors.PlanRefused(
        (errors.Finding(errors.Severity.ERROR, "policy of x", "It would allow everyone (*).", "Do not."),)
    ),
    errors.Obstacle: errors.Obstacle("bucket b", "It does not exist.", "Restore it."),
    errors.Conflict: errors.Conflict("someone was faster"),
    errors.Failed: errors.Failed("it is gone"),
    errors.PromotionFailed: errors.PromotionFailed(("staging: failed",), "a table", {"version": 2}),
    errors.VersionRecalled: errors.VersionRecalled(("staging: version 2",), "a table", {"recalled": []}),
    errors.NotReady: errors.NotReady("a role differs", "a table", {"roles": []}, 3),
    errors.NotLive: errors.NotLive("rolled-back", "trees", 1, "AWS rolled the endpoint back."),
}


def tree(root: type[CrossAccountError]) -> list[type[CrossAccountError]]:
    below = [one for child in root.__subclasses__() for one in tree(child)]
    return [root, *[one for one in below if one.__module__ == errors.__name__]]


@pytest.mark.parametrize("kind", tree(CrossAccountError), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_an_error_survives_pickling(kind: type[CrossAccountError], protocol: int) -> None:
    given = EXAMPLES[kind]
    pickled = pickle.loads(pickle.dumps(given, protocol))  # noqa: S301 - our own bytes
    for back in (pickled, copy.deepcopy(given)):
        assert type(back) is kind
        assert str(back) == str(given)
        assert (back.args, vars(back)) == (given.args, vars(given))
        assert back.exit_code == given.exit_code


def test_exit_codes() -> None:
    assert {kind.__name__: kind.exit_code for kind in tree(CrossAccountError)} == {
        "CrossAccountError": 1,
        "ConfigError": 2,
        "InputError": 2,
        "Refused": 3,
        "AccessMissing": 3,
        "PlanRefused": 1,
        "NotReady": 1,
        "Conflict": 1,
        "Failed": 1,
        "Obstacle": 1,
        "NotLive": 1,
        "PromotionFailed": 1,
        "VersionRecalled": 1,
    }


def test_the_doors_are_a_closed_set() -> None:
    assert {str(door) for door in DoorName} == {
        "registry",
        "repository",
        "bucket",
        "key",
        "role-trust",
        "caller-policy",
        "execution-role",
        "unknown",
    }
