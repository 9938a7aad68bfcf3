from __future__ import annotations

import copy
import itertools
import json
from typing import Any

import pytest

from crossaccount.doors import bucket, registry, repository
from crossaccount.doors import key as keys
from crossaccount.policy import documents, strangers
from crossaccount.policy.audience import Audience, Organization
from crossaccount.policy.documents import (
    canonical,
    collisions,
    compact,
    granted,
    is_owned,
    revoked,
    same,
    size,
)
from crossaccount_sandbox.public import is_public as sandbox_is_public

OWNER, STAGING, PRODUCTION, OUTSIDER = "111111111111", "222222222222", "333333333333", "444444444444"
GROUP = f"arn:aws:sagemaker:us-east-1:{OWNER}:model-package-group/decision-trees-sample"
OTHER_GROUP = f"arn:aws:sagemaker:us-east-1:{OWNER}:model-package-group/churn"
VERSIONS = f"arn:aws:sagemaker:us-east-1:{OWNER}:model-package/decision-trees-sample/*"
BUCKET = "arn:aws:s3:::models"


def root(account: str) -> str:
    return f"arn:aws:iam::{account}:root"


CONSUMERS = [root(STAGING), root(PRODUCTION)]
LEAVING = [STAGING, PRODUCTION]


def ours_of(door: str, names: list[str], group: str = GROUP) -> list[dict[str, Any]]:
    let_in = Audience(tuple(names))
    match door:
        case "group":
            versions = group.replace("package-group", "package") + "/*"
            return registry.least_privilege(group, [versions], let_in)
        case "repository":
            return repository.least_privilege(group, let_in)
        case "bucket":
            return bucket.least_privilege(group, BUCKET, ["churn/", "releases/churn/"], let_in)
        case "key":
            return keys.least_privilege(group, let_in)
        case "docs group":
            return registry.page(group, let_in)
        case "docs repository":
            return repository.page(let_in)
        case _:
            return bucket.page(BUCKET, let_in)


MARKED = ["group", "repository", "bucket", "key"]
PAGES = ["docs group", "docs repository", "docs bucket"]
DOORS = MARKED + PAGES

MARK = ours_of("key", CONSUMERS)[0]["Sid"][-16:-8]

# What others write into a policy. Nothing here is ours, however much some of it looks like it.
STRANGE: dict[str, dict[str, Any]] = {
    "without a Sid": {"Effect": "Allow", "Principal": {"AWS": root(OUTSIDER)}, "Action": "s3:*"},
    "a Deny of everyone": {"Sid": "Tls", "Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"},
    "a Deny of NotPrincipal": {
        "Effect": "Deny",
        "NotPrincipal": {"AWS": [root(OWNER), root(STAGING)]},
        "Action": "s3:*",
        "Resource": [f"{BUCKET}/*", BUCKET],
    },
    "a service": {
        "Effect": "Allow",
        "Principal": {"Service": "logging.s3.amazonaws.com"},
        "Action": "s3:PutObject",
    },
    "several services": {
        "Effect": "Allow",
        "Principal": {"Service": ["sagemaker.amazonaws.com", "delivery.logs.amazonaws.com"]},
        "Action": ["s3:GetObject"],
    },
    "accounts beside a service": {
        "Sid": "Mixed",
        "Effect": "Allow",
        "Principal": {"AWS": [STAGING, root(PRODUCTION)], "Service": "lambda.amazonaws.com"},
        "Action": "ecr:*",
    },
    "everyone, as AWS": {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": ["s3:GetObject"]},
    "everyone of an organization": {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"{BUCKET}/public/*",
        "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1234567890"}},
    },
    "a canonical user": {
        "Effect": "Allow",
        "Principal": {"CanonicalUser": "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"},
        "Action": "s3:GetObject",
    },
    "a federation": {
        "Effect": "Allow",
        "Principal": {"Federated": "cognito-identity.amazonaws.com"},
        "Action": "x",
    },
    "a consumer, with more": {
        "Sid": "ByHand",
        "Effect": "Allow",
        "Principal": {"AWS": root(STAGING)},
        "Action": "s3:*",
    },
    "a consumer, by its number": {"Effect": "Allow", "Principal": {"AWS": STAGING}, "Action": "s3:GetObject"},
    "a role that is gone": {
        "Effect": "Allow",
        "Principal": {"AWS": ["AROAEXAMPLEEXAMPLE", "AIDAX"]},
        "Action": "x",
    },
    "NotAction and NotResource": {
        "Effect": "Deny",
        "Principal": {"AWS": "*"},
        "NotAction": ["s3:Get*"],
        "NotResource": f"{BUCKET}/open/*",
    },
    "many conditions": {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Condition": {
            "Bool": {"aws:SecureTransport": "false"},
            "NumericLessThan": {"s3:TlsVersion": 1.2},
            "ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": ["o-1/r-1/*", "o-2/*"]},
            "Null": {"aws:sourceVpce": True},
        },
    },
    "our prefix alone": {"Sid": "CrossAccount", "Effect": "Allow", "Principal": {"AWS": root(STAGING)}},
    "our prefix, another mark": {
        "Sid": "CrossAccountRead0123456789abcdef",
        "Effect": "Allow",
        "Principal": {"AWS": root(STAGING)},
        "Action": "s3:GetObject",
    },
    "our mark, another prefix": {
        "Sid": f"Foreign{MARK}00000000",
        "Effect": "Allow",
        "Principal": {"AWS": root(STAGING)},
        "Action": "s3:GetObject",
    },
    "our mark in another place": {
        "Sid": f"CrossAccount{MARK}Read00000000",
        "Effect": "Allow",
        "Principal": {"AWS": root(STAGING)},
        "Action": "s3:GetObject",
    },
    "our mark in lower case letters": {
        "Sid": f"crossaccountRead{MARK}00000000",
        "Effect": "Allow",
        "Principal": {"AWS": root(STAGING)},
        "Action": "s3:GetObject",
    },
    "a Deny with our mark": {
        "Sid": f"CrossAccountRead{MARK}00000000",
        "Effect": "Deny",
        "Principal": {"AWS": root(STAGING)},
        "Action": "s3:GetObject",
    },
    "another group's": ours_of("bucket", [root(STAGING)], OTHER_GROUP)[0],
}

EVERYTHING = list(STRANGE.values())
DOCUMENTS: dict[str, dict[str, Any]] = {
    **{name: {"Version": "2012-10-17", "Statement": [one]} for name, one in STRANGE.items()},
    **{f"alone: {name}": {"Version": "2012-10-17", "Statement": one} for name, one in STRANGE.items()},
    "all of them": {"Version": "2012-10-17", "Statement": EVERYTHING},
    "all of them, backwards": {"Id": "theirs", "Statement": EVERYTHING[::-1], "Version": "2008-10-17"},
    "twice the same": {"Version": "2012-10-17", "Statement": [EVERYTHING[0], EVERYTHING[0]]},
    "without a Version": {"Statement": EVERYTHING[:3]},
    "with an Id": {"Version": "2012-10-17", "Id": "__default_policy_ID", "Statement": EVERYTHING[3:6]},
}


def statements_of(document: Any) -> list[dict[str, Any]]:
    found = document["Statement"]
    return [found] if isinstance(found, dict) else found


def text(value: Any) -> str:
    """Key order included: unchanged is unchanged to the byte."""
    return json.dumps(value)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("name", DOCUMENTS)
def test_strangers_survive_a_grant_and_its_revocation(name: str, door: str) -> None:
    before, ours = copy.deepcopy(DOCUMENTS[name]), ours_of(door, CONSUMERS)
    after = granted(before, ours, GROUP)
    assert text(before) == text(DOCUMENTS[name]), "what was read was written to"
    theirs = statements_of(before)
    assert text(after["Statement"]) == text([*theirs, *ours])
    assert {k: v for k, v in after.items() if k != "Statement"} == {
        k: v for k, v in before.items() if k != "Statement"
    }
    assert text(granted(after, ours, GROUP)) == text(after)
    back = revoked(after, ours, GROUP, LEAVING)
    assert back is not None
    assert text(back) == text({**before, "Statement": theirs})
    assert same(back, before)


@pytest.mark.parametrize("door", DOORS)
def test_a_first_grant_is_revoked_to_nothing(door: str) -> None:
    ours = ours_of(door, CONSUMERS)
    document = granted(None, ours, GROUP)
    assert text(document) == text({"Version": "2012-10-17", "Statement": ours})
    assert revoked(document, ours, GROUP, LEAVING) is None
    assert revoked(None, ours, GROUP, LEAVING) is None


@pytest.mark.parametrize("door", DOORS)
def test_strangers_between_ours_keep_their_places(door: str) -> None:
    ours = ours_of(door, CONSUMERS)
    a, b = STRANGE["a Deny of everyone"], STRANGE["a service"]
    document = {"Version": "2012-10-17", "Statement": [a, *ours, b]}
    assert text(granted(document, ours, GROUP)) == text(document)
    assert revoked(document, ours, GROUP, LEAVING) == {"Version": "2012-10-17", "Statement": [a, b]}


@pytest.mark.parametrize("door", DOORS)
def test_a_second_grant_changes_nothing_however_the_first_is_written(door: str) -> None:
    ours = ours_of(door, [root(STAGING)])
    document = granted(None, ours, GROUP)
    rewritten = copy.deepcopy(document)
    for statement in rewritten["Statement"]:
        statement["Principal"] = {"AWS": [STAGING]}
        statement["Action"] = (
            statement["Action"]
            if isinstance(statement["Action"], str)
            else ([action.upper() for action in reversed(statement["Action"])])
        )
        if "Resource" in statement and isinstance(statement["Resource"], str):
            statement["Resource"] = [statement["Resource"]]
    assert same(rewritten, document)
    assert text(granted(rewritten, ours, GROUP)) == text(rewritten)


@pytest.mark.parametrize("door", DOORS)
def test_consumers_come_and_go_one_by_one(door: str) -> None:
    first = granted(None, ours_of(door, [root(STAGING)]), GROUP)
    both = granted(first, ours_of(door, [root(PRODUCTION)]), GROUP)
    assert all(one["Principal"] == {"AWS": CONSUMERS} for one in both["Statement"])
    assert len(both["Statement"]) == len(first["Statement"])
    left = revoked(both, ours_of(door, CONSUMERS), GROUP, [PRODUCTION])
    assert text(left) == text(first)
    assert same(revoked(both, ours_of(door, CONSUMERS), GROUP, [OUTSIDER]), both)


@pytest.mark.parametrize("door", MARKED)
def test_another_consumer_of_the_same_terms_survives_in_both_directions(door: str) -> None:
    theirs = granted(None, ours_of(door, [root(OUTSIDER)]), GROUP)
    ours = ours_of(door, CONSUMERS)
    together = granted(theirs, ours, GROUP)
    assert all(one["Principal"]["AWS"] == [*CONSUMERS, root(OUTSIDER)] for one in together["Statement"])
    assert text(revoked(together, ours, GROUP, LEAVING)) == text(theirs)


# Changed terms: a consumer is in one statement of a kind at a time.


def of_versions(numbers: list[str], names: list[str]) -> list[dict[str, Any]]:
    return registry.least_privilege(
        GROUP, [VERSIONS[:-1] + number for number in numbers], Audience(tuple(names))
    )


def test_changed_terms_move_a_consumer_and_leave_the_others() -> None:
    both = granted(None, of_versions(["*"], CONSUMERS), GROUP)
    moved = granted(both, of_versions(["7"], [root(STAGING)]), GROUP)
    who = {text(one["Resource"]): one["Principal"]["AWS"] for one in moved["Statement"]}
    assert who == {
        text(GROUP): CONSUMERS,
        text(VERSIONS): root(PRODUCTION),
        text(VERSIONS[:-1] + "7"): root(STAGING),
    }
    assert text(granted(moved, of_versions(["7"], [root(STAGING)]), GROUP)) == text(moved)


def test_changed_terms_leave_no_statement_behind() -> None:
    wide = granted(None, of_versions(["*"], CONSUMERS), GROUP)
    narrow = granted(wide, of_versions(["1", "2"], CONSUMERS), GROUP)
    assert [one["Resource"] for one in narrow["Statement"]] == [GROUP, [VERSIONS[:-1] + n for n in "12"]]
    assert same(granted(narrow, of_versions(["*"], CONSUMERS), GROUP), wide)


def test_a_revoke_finds_terms_of_before() -> None:
    before = granted(None, of_versions(["1"], CONSUMERS), GROUP)
    assert revoked(before, of_versions(["*"], CONSUMERS), GROUP, LEAVING) is None


def test_a_hand_that_widened_our_statement_is_undone() -> None:
    ours = ours_of("bucket", CONSUMERS)
    document = granted(None, ours, GROUP)
    for key, value in [("Action", "s3:*"), ("Resource", "*"), ("Condition", {"Bool": {"a:b": "true"}})]:
        edited = copy.deepcopy(document)
        edited["Statement"][0][key] = value
        assert same(granted(edited, ours, GROUP), document), key


def test_the_page_s_preset_takes_the_place_of_the_least_privilege() -> None:
    before = granted(None, ours_of("bucket", CONSUMERS), GROUP)
    pages = ours_of("docs bucket", CONSUMERS)
    assert granted(before, pages, GROUP) == {"Version": "2012-10-17", "Statement": pages}


# The mark.


def test_marks_of_two_groups_never_meet() -> None:
    arns = [
        f"arn:aws:sagemaker:{region}:{account}:model-package-group/{name}"
        for region, account, name in itertools.product(
            ("us-east-1", "eu-west-1"), (OWNER, OUTSIDER), ("a", "b", "a-b", "churn", "decision-trees-sample")
        )
    ]
    for one, other in itertools.permutations(arns, 2):
        for door in MARKED:
            assert not any(is_owned(statement, other) for statement in ours_of(door, CONSUMERS, one))


@pytest.mark.parametrize("door", MARKED)
def test_two_groups_in_one_policy_leave_each_other_alone(door: str) -> None:
    mine, yours = ours_of(door, CONSUMERS), ours_of(door, CONSUMERS, OTHER_GROUP)
    document = granted(granted(None, mine, GROUP), yours, OTHER_GROUP)
    assert document["Statement"] == [*mine, *yours]
    assert revoked(document, mine, GROUP, LEAVING) == {"Version": "2012-10-17", "Statement": yours}
    assert revoked(document, yours, OTHER_GROUP, LEAVING) == {"Version": "2012-10-17", "Statement": mine}


@pytest.mark.parametrize("door", MARKED)
def test_a_sid_is_one_that_every_service_takes(door: str) -> None:
    sids = [statement["Sid"] for statement in ours_of(door, CONSUMERS)]
    assert all(sid.isalnum() and sid.isascii() and sid.startswith("CrossAccount") for sid in sids)
    assert len(set(sids)) == len(sids)
    assert all(is_owned(statement, GROUP) for statement in ours_of(door, CONSUMERS))


# The AWS page's documents, key for key and in the page's order.


def page_repository(principal: Any) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "AddPerm", "Effect": "Allow", "Principal": {"AWS": principal}, "Action": ["ecr:*"]}
        ],
    }


def page_bucket(principal: Any) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "AddPerm",
                "Effect": "Allow",
                "Principal": {"AWS": principal},
                "Action": "s3:*",
                "Resource": "arn:aws:s3:::models/*",
            }
        ],
    }


def page_group(principal: Any) -> dict[str, Any]:
    arn = f"arn:aws:sagemaker:us-east-1:{OWNER}"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "AddPermModelPackageGroup",
                "Effect": "Allow",
                "Principal": {"AWS": principal},
                "Action": ["sagemaker:DescribeModelPackageGroup"],
                "Resource": f"{arn}:model-package-group/decision-trees-sample",
            },
            {
                "Sid": "AddPermModelPackageVersion",
                "Effect": "Allow",
                "Principal": {"AWS": principal},
                "Action": [
                    "sagemaker:DescribeModelPackage",
                    "sagemaker:ListModelPackages",
                    "sagemaker:UpdateModelPackage",
                    "sagemaker:CreateModel",
                ],
                "Resource": f"{arn}:model-package/decision-trees-sample/*",
            },
        ],
    }


@pytest.mark.parametrize(
    ("door", "page"),
    [("docs repository", page_repository), ("docs bucket", page_bucket), ("docs group", page_group)],
)
def test_the_page_s_documents_to_the_byte(door: str, page: Any) -> None:
    assert text(granted(None, ours_of(door, [root(STAGING)]), GROUP)) == text(page(root(STAGING)))
    assert text(granted(None, ours_of(door, CONSUMERS), GROUP)) == text(page(CONSUMERS))


@pytest.mark.parametrize("door", PAGES)
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("Effect", "Deny"),
        ("Action", ["s3:GetObject"]),
        ("Resource", "arn:aws:s3:::elsewhere/*"),
        ("Condition", {"Bool": {"aws:SecureTransport": "true"}}),
        ("Principal", "*"),
        ("Principal", {"Service": "sagemaker.amazonaws.com"}),
        ("Principal", {"AWS": root(STAGING), "Service": "sagemaker.amazonaws.com"}),
        ("NotPrincipal", {"AWS": root(OUTSIDER)}),
    ],
)
def test_a_page_s_sid_over_another_body_stands_in_the_way(door: str, key: str, value: Any) -> None:
    ours = ours_of(door, CONSUMERS)
    foreign = {**ours[0], key: value}
    if key == "NotPrincipal":
        del foreign["Principal"]
    document = {"Version": "2012-10-17", "Statement": [foreign]}
    assert collisions(document, ours, GROUP) == [ours[0]["Sid"]]
    assert collisions({"Statement": foreign}, ours, GROUP) == [ours[0]["Sid"]]
    assert revoked(document, ours, GROUP, LEAVING) == document


@pytest.mark.parametrize("door", DOORS)
def test_our_own_statements_do_not_stand_in_our_way(door: str) -> None:
    ours = ours_of(door, CONSUMERS)
    assert collisions(granted(None, ours_of(door, [root(OUTSIDER)]), GROUP), ours, GROUP) == []
    assert collisions(None, ours, GROUP) == []
    # Names near our own do not collide either.
    near = [one for one in EVERYTHING if one.get("Sid") not in {statement["Sid"] for statement in ours}]
    assert collisions({"Statement": near}, ours, GROUP) == []


# What the statements open: exactly so much.


@pytest.mark.parametrize(
    ("door", "opened"),
    [
        (
            "group",
            [
                (["sagemaker:DescribeModelPackageGroup", "sagemaker:ListModelPackages"], GROUP),
                (
                    [
                        "sagemaker:CreateModel",
                        "sagemaker:DescribeModelPackage",
                        "sagemaker:ListModelPackages",
                    ],
                    VERSIONS,
                ),
            ],
        ),
        (
            "repository",
            [(["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"], None)],
        ),
        (
            "bucket",
            [
                ("s3:GetObject", [f"{BUCKET}/churn/*", f"{BUCKET}/releases/churn/*"]),
                ("s3:ListBucket", BUCKET),
            ],
        ),
        ("key", [(["kms:Decrypt", "kms:DescribeKey"], "*")]),
    ],
)
def test_what_least_privilege_opens(door: str, opened: list[tuple[Any, Any]]) -> None:
    found = ours_of(door, CONSUMERS)
    assert [(one["Action"], one.get("Resource")) for one in found] == opened
    assert {one["Effect"] for one in found} == {"Allow"}
    assert not {"NotAction", "NotResource", "NotPrincipal"} & {key for one in found for key in one}


def test_listing_is_bounded_by_the_prefixes() -> None:
    prefixes = ["a/", "b/c/", "object.tar.gz"]
    listed = bucket.least_privilege(GROUP, BUCKET, prefixes, Audience(tuple(CONSUMERS)))[1]
    assert listed["Condition"] == {"StringLike": {"s3:prefix": ["a/*", "b/c/*", "object.tar.gz"]}}


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ([root(STAGING)], root(STAGING)),
        ([root(STAGING), root(STAGING)], root(STAGING)),
        ([STAGING, root(STAGING)], root(STAGING)),
        ([root(PRODUCTION), root(STAGING)], CONSUMERS),
        ([root(PRODUCTION), STAGING, root(STAGING)], CONSUMERS),
    ],
)
def test_a_principal_is_named_once(given: list[str], written: Any) -> None:
    """SageMaker refuses a statement that names one twice."""
    assert keys.least_privilege(GROUP, Audience(tuple(given)))[0]["Principal"] == {"AWS": written}


# Equal in meaning.


def one(**changed: Any) -> dict[str, Any]:
    statement = {
        "Sid": "A",
        "Effect": "Allow",
        "Principal": {"AWS": [root(STAGING), root(PRODUCTION)]},
        "Action": ["s3:GetObject", "s3:ListBucket"],
        "Resource": [BUCKET, f"{BUCKET}/*"],
        "Condition": {"StringLike": {"s3:prefix": ["a/*", "b/*"]}},
        **changed,
    }
    kept = {key: value for key, value in statement.items() if value is not None}
    return {"Version": "2012-10-17", "Statement": [kept]}


BASE = one()
SECOND = STRANGE["a service"]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        pytest.param(
            BASE, {"Statement": BASE["Statement"][0], "Version": "2012-10-17"}, id="a lone statement"
        ),
        pytest.param(
            {**BASE, "Statement": [*BASE["Statement"], SECOND]},
            {**BASE, "Statement": [SECOND, *BASE["Statement"]]},
            id="order of statements",
        ),
        pytest.param(BASE, one(Action=["s3:ListBucket", "s3:GetObject"]), id="order of actions"),
        pytest.param(BASE, one(Action=["S3:getobject", "s3:LISTBUCKET"]), id="case of actions"),
        pytest.param(BASE, one(Resource=[f"{BUCKET}/*", BUCKET]), id="order of resources"),
        pytest.param(BASE, one(Principal={"AWS": CONSUMERS[::-1]}), id="order of principals"),
        pytest.param(BASE, one(Principal={"AWS": [PRODUCTION, STAGING]}), id="accounts by number"),
        pytest.param(BASE, one(Principal={"AWS": [*CONSUMERS, STAGING]}), id="one account named twice"),
        pytest.param(
            BASE, one(Condition={"StringLike": {"S3:Prefix": ["a/*", "b/*"]}}), id="case of condition keys"
        ),
        pytest.param(
            BASE, one(Condition={"StringLike": {"s3:prefix": ["b/*", "a/*"]}}), id="order of condition values"
        ),
        pytest.param(one(Action="s3:GetObject"), one(Action=["s3:GetObject"]), id="scalar or list: action"),
        pytest.param(one(Resource=BUCKET), one(Resource=[BUCKET]), id="scalar or list: resource"),
        pytest.param(
            one(Principal={"AWS": STAGING}), one(Principal={"AWS": [root(STAGING)]}), id="scalar or list: AWS"
        ),
        pytest.param(
            one(Condition={"Bool": {"a:b": "true"}}),
            one(Condition={"Bool": {"a:b": ["true"]}}),
            id="scalar or list: condition value",
        ),
        pytest.param(
            one(Condition={"NumericEquals": {"a:b": 1}}),
            one(Condition={"NumericEquals": {"a:b": "1"}}),
            id="a number or its digits",
        ),
        pytest.param(one(Principal="*"), one(Principal={"AWS": "*"}), id="everyone"),
        pytest.param(
            one(Principal=None, NotPrincipal={"AWS": STAGING}),
            one(Principal=None, NotPrincipal={"AWS": [root(STAGING)]}),
            id="NotPrincipal by number",
        ),
        pytest.param(
            one(Action=None, NotAction="s3:get*"), one(Action=None, NotAction=["s3:Get*"]), id="NotAction"
        ),
        pytest.param(
            {"Statement": []}, {"Version": "2008-10-17", "Statement": []}, id="the version by default"
        ),
        pytest.param(None, None, id="no document"),
    ],
)
def test_equal_in_meaning(left: Any, right: Any) -> None:
    assert same(left, right)
    assert same(right, left)
    assert canonical(left) == canonical(copy.deepcopy(left))


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(None, id="no document"),
        pytest.param({"Version": "2012-10-17", "Statement": []}, id="no statement"),
        pytest.param(one(Sid="B"), id="Sid"),
        pytest.param(one(Sid="a"), id="case of the Sid"),
        pytest.param(one(Sid=None), id="no Sid"),
        pytest.param(one(Effect="Deny"), id="Effect"),
        pytest.param({**BASE, "Version": "2008-10-17"}, id="Version"),
        pytest.param({"Statement": BASE["Statement"]}, id="no Version"),
        pytest.param({**BASE, "Statement": [*BASE["Statement"], SECOND]}, id="one statement more"),
        pytest.param(one(Action="s3:GetObject"), id="an action less"),
        pytest.param(one(Action=["s3:GetObject", "s3:ListBucket", "s3:*"]), id="an action more"),
        pytest.param(one(Action=None, NotAction=["s3:GetObject", "s3:ListBucket"]), id="NotAction"),
        pytest.param(one(Resource=BUCKET), id="a resource less"),
        pytest.param(one(Resource=[BUCKET, f"{BUCKET}/A*"]), id="another resource"),
        pytest.param(one(Resource=[BUCKET.upper(), f"{BUCKET}/*"]), id="case of a resource"),
        pytest.param(one(Resource=None, NotResource=[BUCKET, f"{BUCKET}/*"]), id="NotResource"),
        pytest.param(one(Resource=None), id="no resource"),
        pytest.param(one(Principal={"AWS": root(STAGING)}), id="a principal less"),
        pytest.param(one(Principal={"AWS": [*CONSUMERS, root(OUTSIDER)]}), id="a principal more"),
        pytest.param(one(Principal={"Service": CONSUMERS}), id="the kind of principal"),
        pytest.param(one(Principal={"AWS": CONSUMERS, "Service": "s3.amazonaws.com"}), id="a service beside"),
        pytest.param(one(Principal="*"), id="everyone"),
        pytest.param(one(Principal=None, NotPrincipal={"AWS": CONSUMERS}), id="NotPrincipal"),
        pytest.param(one(Principal=None), id="no principal"),
        pytest.param(
            one(Principal={"AWS": [f"arn:aws:iam::{STAGING}:role/r", root(PRODUCTION)]}),
            id="a role of the account",
        ),
        pytest.param(one(Condition=None), id="no condition"),
        pytest.param(one(Condition={"StringLike": {"s3:prefix": ["a/*", "B/*"]}}), id="a condition's value"),
        pytest.param(one(Condition={"StringLike": {"s3:prefix": ["a/*"]}}), id="a value less"),
        pytest.param(
            one(Condition={"StringEquals": {"s3:prefix": ["a/*", "b/*"]}}), id="a condition's operator"
        ),
        pytest.param(one(Condition={"StringLike": {"s3:delimiter": ["a/*", "b/*"]}}), id="a condition's key"),
    ],
)
def test_different_in_meaning(other: Any) -> None:
    assert not same(BASE, other)
    assert not same(other, BASE)


# As it is sent.


def test_what_is_sent_is_one_line_and_is_measured_in_bytes() -> None:
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Sid": "Zeilen\numbruch \u00e4 \U0001f600", "Effect": "Deny"}],
    }
    sent = compact(document)
    assert "\n" not in sent
    assert ": " not in sent
    assert json.loads(sent) == document
    assert size(document) == len(sent.encode())


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ({"Principal": "*"}, ["*"]),
        ({"Principal": {"AWS": "*"}}, ["*"]),
        ({"Principal": {"AWS": STAGING}}, [STAGING]),
        ({"Principal": {"AWS": CONSUMERS}}, CONSUMERS),
        ({"Principal": {"Service": "s3.amazonaws.com"}}, []),
        ({"NotPrincipal": {"AWS": STAGING}}, []),
        ({}, []),
    ],
)
def test_the_accounts_that_a_statement_names(statement: dict[str, Any], named: list[str]) -> None:
    assert documents.principals(statement) == named


@pytest.mark.parametrize(
    ("name", "key"),
    [
        (root(STAGING), STAGING),
        (f"arn:aws-us-gov:iam::{STAGING}:root", STAGING),
        (STAGING, STAGING),
        (f"arn:aws:iam::{STAGING}:role/root", f"arn:aws:iam::{STAGING}:role/root"),
        (f"arn:aws:iam::{STAGING}:root/x", f"arn:aws:iam::{STAGING}:root/x"),
        (f" {root(STAGING)}", f" {root(STAGING)}"),
        (f"{root(STAGING)}\n", f"{root(STAGING)}\n"),
        ("arn:aws:iam::22222222222:root", "arn:aws:iam::22222222222:root"),
        ("*", "*"),
    ],
)
def test_an_account_and_its_root_are_one(name: str, key: str) -> None:
    assert documents.principal_key(name) == key


def test_conditions_compare_by_their_texts() -> None:
    def c(v):
        return one(Condition={"StringEquals": {"aws:PrincipalArn": v}})

    assert not documents.same(c(root(STAGING)), c(STAGING))

    def b(v):
        return one(Condition={"Bool": {"aws:SecureTransport": v}})

    assert documents.same(b(False), b("false"))


# Roles and users by the id that AWS shows once they are gone, or for a moment after a put.

ROLE, ROLE_ID = f"arn:aws:iam::{STAGING}:role/run", "AROAEXAMPLEEXAMPLE"
USER, USER_ID = f"arn:aws:iam::{STAGING}:user/me", "AIDAEXAMPLEEXAMPLE"


def named(*names: str, **more: Any) -> dict[str, Any]:
    return one(Principal={"AWS": list(names)}, **more)


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        pytest.param(named(ROLE), named(ROLE_ID), True, id="a role or its id"),
        pytest.param(named(USER), named(USER_ID), True, id="a user or its id"),
        pytest.param(named(ROLE, STAGING), named(STAGING, ROLE_ID), True, id="beside an account"),
        pytest.param(named(ROLE, USER), named(USER_ID, ROLE_ID), True, id="a role and a user"),
        pytest.param(named(ROLE), named(USER_ID), False, id="a role is no user"),
        pytest.param(named(STAGING), named(ROLE_ID), False, id="an account is no role"),
        pytest.param(named(ROLE), named(ROLE_ID, "AROAOTHEROTHEROTHER"), False, id="one id too many"),
        pytest.param(named(ROLE), named(ROLE_ID, Action="s3:*"), False, id="other actions"),
        pytest.param(named(ROLE_ID), named("AROAOTHEROTHEROTHER"), False, id="two ids"),
        pytest.param(named(ROLE), None, False, id="no document"),
        pytest.param(named("*"), named(ROLE_ID), False, id="everyone"),
        pytest.param(
            {"Statement": [*named(ROLE)["Statement"], *named(f"{ROLE}2", Sid="B")["Statement"]]},
            {"Statement": [*named(ROLE_ID)["Statement"], *named(ROLE_ID, Sid="B")["Statement"]]},
            False,
            id="one id for two roles",
        ),
        pytest.param(
            {"Statement": [*named(ROLE)["Statement"], *named(ROLE, Sid="B")["Statement"]]},
            {"Statement": [*named(ROLE_ID)["Statement"], *named(ROLE, Sid="B")["Statement"]]},
            True,
            id="shown in both ways at once",
        ),
    ],
)
def test_a_role_is_the_same_by_its_id(left: Any, right: Any, equal: bool) -> None:
    assert same(left, right) is equal
    assert same(right, left) is equal


@pytest.mark.parametrize(
    ("document", "ids"),
    [
        (None, []),
        (named(ROLE, STAGING), []),
        (named(ROLE_ID, STAGING, USER_ID), [USER_ID, ROLE_ID]),
        (one(Principal=None, NotPrincipal={"AWS": ROLE_ID}), [ROLE_ID]),
        (one(Condition={"StringLike": {"aws:userid": f"{ROLE_ID}:*"}}), []),
        (one(Principal={"Service": "AROA.amazonaws.com"}), []),
    ],
)
def test_ids_of_what_is_gone_are_found(document: Any, ids: list[str]) -> None:
    assert documents.unique_ids(document) == ids


# What S3 Block Public Access calls public.


def public(**changed: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*", **changed}


def when(operator: str, key: str, value: Any) -> dict[str, Any]:
    return public(Condition={operator: {key: value}})


@pytest.mark.parametrize(
    ("statement", "is_public"),
    [
        (public(), True),
        (public(Principal={"AWS": "*"}), True),
        (public(Principal={"AWS": [STAGING, "*"]}), True),
        (public(Effect="Deny"), False),
        (public(Principal={"AWS": STAGING}), False),
        (public(Principal={"Service": "s3.amazonaws.com"}), False),
        (when("StringEquals", "aws:PrincipalOrgID", "o-a1b2c3d4e5"), False),
        (when("StringEquals", "aws:principalorgid", ["o-a1b2c3d4e5", "o-b1b2c3d4e5"]), False),
        (when("StringLike", "aws:PrincipalOrgID", "o-*"), True),
        (when("StringLike", "aws:PrincipalOrgID", ["o-a1b2c3d4e5", "*"]), True),
        (when("StringNotEquals", "aws:PrincipalOrgID", "o-a1b2c3d4e5"), True),
        (when("StringEqualsIfExists", "aws:PrincipalOrgID", "o-a1b2c3d4e5"), True),
        (when("ArnEquals", "aws:PrincipalArn", ROLE), False),
        (when("ArnLike", "aws:PrincipalArn", f"{ROLE}*"), True),
        (when("StringEquals", "aws:SourceVpce", "vpce-1a2b3c4d"), False),
        (when("IpAddress", "aws:SourceIp", "203.0.113.0/24"), False),
        (when("NotIpAddress", "aws:SourceIp", "203.0.113.0/24"), True),
        (when("IpAddress", "aws:SourceIp", "10.0.0.0/8"), False),
        (when("IpAddress", "aws:SourceIp", "203.0.113.7"), False),
        (when("IpAddress", "aws:SourceIp", "0.0.0.0/1"), True),
        (when("IpAddress", "aws:SourceIp", ["203.0.113.0/24", "8.0.0.0/7"]), True),
        (when("IpAddress", "aws:SourceIp", "2001:db8::/32"), False),
        (when("IpAddress", "aws:SourceIp", "2001:d00::/24"), True),
        (when("IpAddress", "aws:SourceIp", "anywhere"), True),
        (when("IpAddressIfExists", "aws:SourceIp", "203.0.113.0/24"), True),
        (when("StringEquals", "aws:PrincipalAccount", "${aws:username}"), True),
        (when("ForAnyValue:StringEquals", "aws:PrincipalOrgPaths", "o-a/r-b/ou-c/"), False),
        (when("ForAllValues:StringEquals", "aws:PrincipalOrgPaths", "o-a/r-b/ou-c/"), True),
        (when("StringLike", "s3:DataAccessPointArn", f"arn:aws:s3:us-west-2:{OWNER}:accesspoint/*"), False),
        (when("ArnLike", "s3:dataaccesspointarn", f"arn:aws:s3:*:{OWNER}:accesspoint/*"), False),
        (when("StringLike", "s3:DataAccessPointArn", "arn:aws:s3:us-west-2:*:accesspoint/x"), True),
        (when("StringLike", "s3:DataAccessPointAccount", "1111*"), True),
        (when("StringLike", "aws:userid", "AROAEXAMPLEEXAMPLE:*"), True),
        (when("StringEquals", "aws:userid", "AROAEXAMPLEEXAMPLE:me"), False),
        (when("StringLike", "aws:SourceVpc", "vpc-*"), True),
        (public(Principal={"Federated": "graph.facebook.com"}), True),
        (public(Principal={"Federated": ["cognito-identity.amazonaws.com"], "AWS": STAGING}), True),
        (public(Principal={"Federated": f"arn:aws:iam::{OWNER}:saml-provider/x"}), False),
        (public(Principal={"CanonicalUser": "79a59df900b949e55d96a1e698fbaced"}), False),
        (
            public(Principal={"AWS": "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity E1"}),
            False,
        ),
        (public(Principal=None, NotPrincipal={"AWS": STAGING}), True),
        (when("StringEquals", "aws:UserAgent", "secret"), True),
        (when("StringLike", "aws:Referer", "https://example.com/*"), True),
        (when("Bool", "aws:SecureTransport", "true"), True),
        (when("DateLessThan", "aws:CurrentTime", "2026-12-31T00:00:00Z"), True),
    ],
)
def test_what_is_public(statement: dict[str, Any], is_public: bool) -> None:
    """Source: 'The meaning of "public"' in the S3 user guide."""
    statement = {key: value for key, value in statement.items() if value is not None}
    assert strangers.is_public(statement) is is_public
    assert sandbox_is_public({"Statement": [statement]}) is is_public, "by the sandbox's reading"


@pytest.mark.parametrize("door", MARKED)
def test_what_is_granted_to_an_organization_is_not_public(door: str) -> None:
    organization = Audience(organization=Organization("o-a1b2c3d4e5", roles=("arn:aws:iam::*:role/r",)))
    found = {
        "group": registry.least_privilege(GROUP, [VERSIONS], organization),
        "repository": repository.least_privilege(GROUP, organization),
        "bucket": bucket.least_privilege(GROUP, BUCKET, ["a/"], organization),
        "key": keys.least_privilege(GROUP, organization),
    }[door]
    assert [strangers.is_public(statement) for statement in found] == [False] * len(found)
    assert {name for statement in found for name in documents.beneficiaries(statement)} == {
        "organization o-a1b2c3d4e5"
    }


@pytest.mark.parametrize(
    ("condition", "ends"),
    [
        ({}, None),
        ({"DateLessThan": {"aws:CurrentTime": "2026-12-31T00:00:00Z"}}, "2026-12-31T00:00:00+00:00"),
        ({"DateLessThan": {"aws:CurrentTime": ["2026-12-31T00:00:00Z"]}}, "2026-12-31T00:00:00+00:00"),
        ({"DateLessThan": {"aws:CurrentTime": "2026-12-31"}}, "2026-12-31T00:00:00+00:00"),
        ({"DateLessThan": {"aws:CurrentTime": ["2026-12-31", "2027-12-31"]}}, None),
        ({"DateLessThan": {"aws:CurrentTime": "1798675200"}}, None),
        ({"DateLessThan": {"aws:EpochTime": "2026-12-31"}}, None),
        ({"DateGreaterThan": {"aws:CurrentTime": "2026-12-31"}}, None),
    ],
)
def test_when_a_statement_ends(condition: dict[str, Any], ends: str | None) -> None:
    found = documents.expires(public(Condition=condition))
    assert (found.isoformat() if found else None) == ends


@pytest.mark.parametrize(
    ("statement", "administered"),
    [
        ({"Principal": {"AWS": root(OWNER)}, "Action": "kms:*"}, True),
        ({"Principal": {"AWS": OWNER}, "Action": ["kms:Put*", "kms:Get*"]}, True),
        ({"Principal": {"AWS": f"arn:aws:iam::{OWNER}:role/admin"}, "Action": "KMS:putkeypolicy"}, True),
        ({"Principal": "*", "Action": "*"}, True),
        ({"Principal": {"AWS": root(STAGING)}, "Action": "kms:*"}, False),
        ({"Principal": {"AWS": root(OWNER)}, "Action": ["kms:Decrypt", "kms:DescribeKey"]}, False),
        ({"Principal": {"AWS": root(OWNER)}, "Action": "kms:*", "Effect": "Deny"}, False),
        ({"Principal": {"Service": "kms.amazonaws.com"}, "Action": "kms:*"}, False),
    ],
)
def test_who_administers_a_key(statement: dict[str, Any], administered: bool) -> None:
    assert strangers.administered({"Statement": {"Effect": "Allow", **statement}}, OWNER) is administered
    assert not strangers.administered(None, OWNER)
