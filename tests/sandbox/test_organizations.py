"""Policies that name organizational units let in who is in them, and no one from beside, above or outside."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

IDS = {
    "producer": "111111111111",
    "staging": "222222222222",
    "production": "333333333333",
    "outsider": "444444444444",
}
ORGANIZATION = "o-sandbox0001"
MODELS, STAGING, PRODUCTION = (
    f"{ORGANIZATION}/r-sb01/ou-sb01-{unit}/" for unit in ("models000", "staging00", "product00")
)


def policy(**statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


@pytest.fixture(scope="module", autouse=True)
def repositories(inner: Any) -> None:
    """Each account has one; those of production and of the outsider are open to everyone."""
    everyone = policy(Principal="*", Action="ecr:DescribeImages")
    for account in IDS:
        ecr = inner.client(account, "ecr")
        ecr.create_repository(repositoryName="models")
        if account in ("production", "outsider"):
            ecr.set_repository_policy(repositoryName="models", policyText=everyone)


def reached(clients: dict[str, Any], owners: list[str]) -> set[str]:
    """The names of the clients, or of the owners when there is one client, that could look into the repositories."""
    found = set()
    for name, client in clients.items():
        for owner in owners:
            try:
                client.describe_images(registryId=IDS[owner], repositoryName="models")
            except ClientError as error:
                assert error.response["Error"]["Code"] == "AccessDeniedException"  # noqa: PT017 - one of two outcomes
            else:
                found.add(name if len(owners) == 1 else owner)
    return found


@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        ("ForAnyValue:StringLike", STAGING, {"staging"}),
        ("ForAnyValue:StringLike", f"{STAGING}*", {"staging"}),
        ("ForAnyValue:StringEquals", PRODUCTION, {"production"}),
        ("ForAnyValue:StringLike", [STAGING, PRODUCTION], {"staging", "production"}),
        ("ForAnyValue:StringLike", f"{ORGANIZATION}/*", {"staging", "production"}),
        ("ForAnyValue:StringLike", f"{ORGANIZATION}/r-sb01/*", {"staging", "production"}),
        ("ForAnyValue:StringLike", f"{ORGANIZATION}/*/ou-sb01-product00/*", {"production"}),
        ("ForAnyValue:StringLike", STAGING.removesuffix("/"), set()),
        ("ForAnyValue:StringLike", f"{STAGING}ou-sb01-below0000/*", set()),
        ("ForAnyValue:StringLike", MODELS, set()),
        ("ForAnyValue:StringLike", "o-another00/*", set()),
        ("ForAnyValue:StringLike", ORGANIZATION, set()),
        ("ForAnyValue:StringEquals", f"{STAGING}*", set()),
        ("ForAnyValue:StringNotLike", f"{ORGANIZATION}/*", set()),
        # Whoever has no path at all passes this one: AWS warns of it.
        ("ForAllValues:StringLike", STAGING, {"staging", "outsider"}),
        ("Null", "true", {"outsider"}),
        ("Null", "false", {"staging", "production"}),
    ],
)
def test_who_a_repository_lets_in_by_its_organizational_unit(
    inner: Any, operator: str, value: Any, expected: set[str]
) -> None:
    text = policy(
        Principal="*", Action="ecr:DescribeImages", Condition={operator: {"aws:PrincipalOrgPaths": value}}
    )
    inner.client("producer", "ecr").set_repository_policy(repositoryName="models", policyText=text)
    clients = {name: inner.client(name, "ecr") for name in ("staging", "production", "outsider")}
    assert reached(clients, ["producer"]) == expected


@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        ("ForAnyValue:StringLike", PRODUCTION, {"production"}),
        ("ForAnyValue:StringLike", f"{STAGING}*", {"staging"}),
        ("ForAnyValue:StringLike", f"{ORGANIZATION}/*", {"staging", "production"}),
        ("ForAnyValue:StringLike", MODELS, set()),
        ("ForAnyValue:StringLike", "o-another00/*", set()),
        ("Null", "true", {"outsider"}),
    ],
)
def test_which_resources_an_identity_reaches_by_their_organizational_unit(
    inner: Any, operator: str, value: str, expected: set[str]
) -> None:
    text = policy(
        Action="ecr:DescribeImages", Resource="*", Condition={operator: {"aws:ResourceOrgPaths": value}}
    )
    client = inner.session("staging", "ecr", text)
    assert reached({"staging": client}, ["staging", "production", "outsider"]) == expected
