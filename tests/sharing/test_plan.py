from __future__ import annotations

import copy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from crossaccount import doors
from crossaccount.arns import group_arn, package_arn, root_arn
from crossaccount.config.loading import load_config
from crossaccount.config.model import OrganizationScope
from crossaccount.doors import door_of
from crossaccount.doors.base import Resource
from crossaccount.errors import InputError, PlanRefused
from crossaccount.policy import documents
from crossaccount.registry.versions import Contents
from crossaccount.sharing import plan, publish
from crossaccount.sharing.capacity import room
from crossaccount.sharing.changes import Basis, Change, Plan
from crossaccount.sharing.findings import find_objections
from crossaccount.sharing.revoke import accounts_of, without_version

SHARING = load_config(Path(__file__).parents[2] / "configs" / "sandbox.yaml")
DOCS = SHARING.model_copy(update={"preset": "aws-docs"})
OWNER, STAGING, PRODUCTION, OUTSIDER = "111111111111", "222222222222", "333333333333", "444444444444"
GROUP = group_arn(SHARING)
NAMED = [root_arn("aws", STAGING), root_arn("aws", PRODUCTION)]
KEY_ARN = f"arn:aws:kms:us-east-1:{OWNER}:key/1234abcd-12ab-34cd-56ef-1234567890ab"

NOW = datetime(2026, 11, 24, tzinfo=UTC)

NEEDS = doors.needs(SHARING, Contents(keys=(KEY_ARN,))) | {
    "repository": {"trees": ()},
    "bucket": {"models": ("churn/",), SHARING.producer.releases_bucket: ("releases/",)},
}
ALL = doors.resources(SHARING, NEEDS)
REPOSITORY, BUCKET, RELEASES, KEY, REGISTRY = ALL
ADMIN = {
    "Sid": "Admin",
    "Effect": "Allow",
    "Principal": {"AWS": root_arn("aws", OWNER)},
    "Action": "kms:*",
    "Resource": "*",
}
KEY_POLICY = {"Version": "2012-10-17", "Id": "key", "Statement": [ADMIN]}
DENY = {"Sid": "Tls", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*"}
THEIRS = {"Effect": "Allow", "Principal": {"AWS": root_arn("aws", OUTSIDER)}, "Action": "s3:GetObject"}

FRESH: dict[Resource, Any] = {**dict.fromkeys(ALL), KEY: KEY_POLICY}


def shared(existing: dict[Resource, Any], sharing: Any = SHARING) -> Plan:
    return plan.plan_share(sharing, Basis(NEEDS, existing, NOW))


def revoked(existing: dict[Resource, Any], *leaving: str, sharing: Any = SHARING) -> Plan:
    return plan.plan_revoke(sharing, Basis(NEEDS, existing, NOW), leaving)


def after(made: Plan) -> dict[Resource, Any]:
    return {change.resource: change.desired for change in made.changes}


def verbs(made: Plan) -> list[str]:
    return [change.verb for change in made.changes]


# Verbs.


@pytest.mark.parametrize(
    ("existing", "desired", "verb"),
    [
        (None, None, "keep"),
        (None, KEY_POLICY, "create"),
        (KEY_POLICY, None, "delete"),
        (KEY_POLICY, copy.deepcopy(KEY_POLICY), "keep"),
        (KEY_POLICY, {**KEY_POLICY, "Statement": ADMIN}, "keep"),
        (KEY_POLICY, {**KEY_POLICY, "Statement": [{**ADMIN, "Principal": {"AWS": [OWNER]}}]}, "keep"),
        (KEY_POLICY, {**KEY_POLICY, "Statement": [ADMIN, DENY]}, "update"),
        (KEY_POLICY, {**KEY_POLICY, "Statement": []}, "update"),
        (KEY_POLICY, {**KEY_POLICY, "Version": "2008-10-17"}, "update"),
        ({"Statement": []}, None, "delete"),
    ],
)
def test_the_verb_follows_from_the_documents(existing: Any, desired: Any, verb: str) -> None:
    change = Change(KEY, existing, desired)
    assert change.verb == verb
    assert Plan((change,)).writes == (verb != "keep")


# Gained and lost.


def allow(names: Any, **changed: Any) -> dict[str, Any]:
    return {
        "Effect": "Allow",
        "Principal": {"AWS": names},
        "Action": ["s3:GetObject", "s3:ListBucket"],
        **changed,
    }


@pytest.mark.parametrize(
    ("before", "then", "gained", "lost"),
    [
        pytest.param([], [allow(STAGING)], [STAGING], [], id="a new one"),
        pytest.param([allow(STAGING)], [], [], [STAGING], id="one less"),
        pytest.param([allow(STAGING)], [allow(NAMED[0])], [], [], id="the same, by its root"),
        pytest.param([allow(STAGING)], [allow([STAGING], Sid="x")], [], [], id="the same, another Sid"),
        pytest.param(
            [allow(STAGING)],
            [allow(STAGING, Action=["S3:listbucket", "s3:getobject"])],
            [],
            [],
            id="the same, other letters",
        ),
        pytest.param(
            [allow(STAGING)], [allow([STAGING, PRODUCTION])], [PRODUCTION], [], id="one beside another"
        ),
        pytest.param([allow(STAGING)], [allow(PRODUCTION)], [PRODUCTION], [STAGING], id="one for another"),
        pytest.param(
            [allow(STAGING)], [allow(STAGING, Action="s3:*")], [STAGING], [STAGING], id="other terms: both"
        ),
        pytest.param(
            [allow(STAGING)], [allow(STAGING), allow(STAGING, Action="x")], [STAGING], [], id="more terms"
        ),
        pytest.param([], [allow("*")], ["*"], [], id="everyone"),
        pytest.param([], [{**allow(STAGING), "Principal": "*"}], ["*"], [], id="everyone, as a word"),
        pytest.param([], [{**allow(STAGING), "Effect": "Deny"}], [], [], id="a Deny gives nothing"),
        pytest.param(
            [], [allow(f"arn:aws:iam::{STAGING}:role/r")], [f"arn:aws:iam::{STAGING}:role/r"], [], id="a role"
        ),
        pytest.param(
            [], [allow([PRODUCTION, OUTSIDER, STAGING])], [STAGING, PRODUCTION, OUTSIDER], [], id="in order"
        ),
    ],
)
def test_who_gains_and_who_loses(
    before: list[Any], then: list[Any], gained: list[str], lost: list[str]
) -> None:
    change = Change(BUCKET, {"Statement": before}, {"Statement": then})
    assert (list(change.gained), list(change.lost)) == (gained, lost)
    back = Change(BUCKET, {"Statement": then}, {"Statement": before})
    assert (list(back.gained), list(back.lost)) == (lost, gained)


# A share and a revoke as a whole.


def test_the_registry_comes_last() -> None:
    assert [resource.kind for resource in ALL] == [
        "repository",
        "bucket",
        "bucket",
        "key",
        "model-package-group",
    ]
    assert {resource.account for resource in ALL} == {OWNER}
    assert doors.resources(SHARING, {"model-package-group": NEEDS["model-package-group"]}) == (REGISTRY,)


@pytest.mark.parametrize("sharing", [SHARING, DOCS], ids=["least-privilege", "aws-docs"])
def test_a_second_share_writes_nothing_and_a_revoke_of_all_restores(sharing: Any) -> None:
    stranger = {"Version": "2012-10-17", "Statement": [DENY, THEIRS]}
    for start in (FRESH, {**FRESH, BUCKET: stranger, REPOSITORY: {"Statement": THEIRS}}):
        first = shared(start, sharing)
        assert all(
            set(change.gained) == {STAGING, PRODUCTION} and not change.lost for change in first.changes
        )
        again = shared(after(first), sharing)
        assert verbs(again) == ["keep"] * len(ALL)
        assert again.writes == 0
        less = revoked(after(first), STAGING, sharing=sharing)
        assert all(change.lost == (STAGING,) and not change.gained for change in less.changes)
        none = revoked(after(less), PRODUCTION, sharing=sharing)
        assert all(documents.same(none_left, start[one]) for one, none_left in after(none).items())
        assert verbs(revoked(after(none), PRODUCTION, sharing=sharing)) == ["keep"] * len(ALL)


def test_the_verbs_of_a_first_share_and_a_last_revoke() -> None:
    first = shared(FRESH)
    assert verbs(first) == ["create", "create", "create", "update", "create"]
    one = SHARING.model_copy(update={"consumers": {"staging": SHARING.consumers["staging"]}})
    last = revoked(after(shared(FRESH, one)), STAGING, sharing=one)
    assert verbs(last) == ["delete", "delete", "delete", "update", "delete"]
    assert after(last)[KEY] == KEY_POLICY


def test_listed_versions_are_granted_one_by_one_and_in_order() -> None:
    listed = SHARING.model_copy(update={"versions": (11, 2)})
    versions = after(shared({REGISTRY: None}, listed))[REGISTRY]["Statement"][1]
    assert versions["Resource"] == [package_arn(SHARING, 2), package_arn(SHARING, 11)]


def test_a_key_is_decrypted_under_either_preset() -> None:
    for sharing in (SHARING, DOCS):
        added = after(shared(FRESH, sharing))[KEY]["Statement"][1:]
        assert [one["Action"] for one in added] == [["kms:Decrypt", "kms:DescribeKey"]]


def test_accounts_of_one_group_in_another_config_survive() -> None:
    one = SHARING.model_copy(update={"consumers": {"staging": SHARING.consumers["staging"]}})
    two = SHARING.model_copy(update={"consumers": {"production": SHARING.consumers["production"]}})
    both = after(shared(after(shared(FRESH, one)), two))
    assert all(
        documents.same(document, after(shared(FRESH))[resource]) for resource, document in both.items()
    )
    left = after(revoked(both, STAGING, sharing=one))
    assert all(
        documents.same(document, after(shared(FRESH, two))[resource]) for resource, document in left.items()
    )


def test_an_account_that_another_consumer_shares_is_not_revoked() -> None:
    twin = SHARING.consumers["staging"].model_copy(
        update={"endpoint": SHARING.consumers["production"].endpoint}
    )
    twins = SHARING.model_copy(update={"consumers": {**SHARING.consumers, "twin": twin}})
    with pytest.raises(InputError, match=r"222222222222 of staging.*twin.*Take staging out"):
        accounts_of(twins, "staging")


def test_every_sid_in_the_way_is_told_at_once() -> None:
    way = {"Version": "2012-10-17", "Statement": [{**THEIRS, "Sid": "AddPerm"}]}
    with pytest.raises(PlanRefused) as refused:
        shared({REPOSITORY: way, BUCKET: way, REGISTRY: None}, DOCS)
    assert [reason.count("AddPerm") for reason in refused.value.reasons] == [1, 1]
    assert all("Rename" in reason and "least-privilege" in reason for reason in refused.value.reasons)
    assert "models" in str(refused.value)
    assert "trees" in str(refused.value)


# What is never right, whatever computed it: plans made wrong by hand.

GRANTED = after(shared(FRESH))
OURS = {
    change.resource: [s for s in change.desired["Statement"] if s != ADMIN]
    for change in shared(FRESH).changes
    if change.desired
}


def check(resource: Resource, existing: Any, desired: Any) -> tuple[str, ...]:
    """The reasons against a change; none when it is let through."""
    made = Plan((Change(resource, existing, desired),))
    return tuple(str(one) for one in find_objections(made, {resource: OURS[resource]}, SHARING))


@pytest.mark.parametrize("resource", ALL, ids=[str(one.kind) + one.name[:3] for one in ALL])
def test_the_right_change_is_let_through_in_both_directions(resource: Resource) -> None:
    assert check(resource, FRESH[resource], GRANTED[resource]) == ()
    assert check(resource, GRANTED[resource], FRESH[resource]) == ()


def with_first(document: Any, **changed: Any) -> Any:
    """The document with its first statement of ours changed."""
    made = copy.deepcopy(document)
    index = next(n for n, one in enumerate(made["Statement"]) if documents.is_owned(one, GROUP))
    made["Statement"][index].update(changed)
    return made


def plus(document: Any, *more: Any) -> Any:
    return {**document, "Statement": [*document["Statement"], *more]}


STRANGERS = {"Version": "2012-10-17", "Statement": [DENY, THEIRS]}


@pytest.mark.parametrize(
    ("resource", "existing", "desired", "words"),
    [
        pytest.param(
            BUCKET,
            None,
            with_first(GRANTED[BUCKET], Principal={"AWS": [*NAMED, root_arn("aws", OUTSIDER)]}),
            ["would allow 444444444444"],
            id="an account that the config does not name",
        ),
        pytest.param(
            BUCKET,
            None,
            with_first(GRANTED[BUCKET], Principal={"AWS": f"arn:aws:iam::{STAGING}:role/r"}),
            [f"would allow arn:aws:iam::{STAGING}:role/r"],
            id="a role instead of its account",
        ),
        pytest.param(
            BUCKET, None, with_first(GRANTED[BUCKET], Principal="*"), ["everyone (*)"], id="everyone"
        ),
        pytest.param(
            BUCKET,
            None,
            with_first(GRANTED[BUCKET], Principal={"AWS": [*NAMED, "*"]}),
            ["everyone (*)"],
            id="everyone beside the named",
        ),
        pytest.param(
            BUCKET,
            with_first(GRANTED[BUCKET], Principal="*"),
            with_first(GRANTED[BUCKET], Principal="*"),
            ["allows everyone (*) in a statement of ours"],
            id="everyone, there already under our Sid",
        ),
        pytest.param(
            BUCKET, STRANGERS, {**STRANGERS, "Statement": [THEIRS]}, ["not ours"], id="a Deny dropped"
        ),
        pytest.param(
            BUCKET, STRANGERS, {**STRANGERS, "Statement": [DENY]}, ["not ours"], id="a stranger dropped"
        ),
        pytest.param(BUCKET, STRANGERS, None, ["not ours"], id="all strangers dropped"),
        pytest.param(
            BUCKET,
            STRANGERS,
            {**STRANGERS, "Statement": [THEIRS, DENY]},
            ["not ours"],
            id="strangers in another order",
        ),
        pytest.param(
            BUCKET,
            STRANGERS,
            {**STRANGERS, "Statement": [{**DENY, "Effect": "Allow"}, THEIRS]},
            ["everyone (*)", "not ours"],
            id="a Deny made an Allow",
        ),
        pytest.param(
            BUCKET,
            STRANGERS,
            {**STRANGERS, "Statement": [{**DENY, "Condition": {"Bool": {"a:b": "true"}}}, THEIRS]},
            ["not ours"],
            id="a Deny narrowed",
        ),
        pytest.param(
            BUCKET,
            STRANGERS,
            {**STRANGERS, "Statement": [DENY, {**THEIRS, "Principal": {"AWS": OUTSIDER}}]},
            ["not ours"],
            id="a stranger rewritten",
        ),
        pytest.param(
            BUCKET,
            STRANGERS,
            plus(STRANGERS, {**THEIRS, "Principal": {"AWS": NAMED[0]}}),
            ["not ours"],
            id="a statement that nobody knows, added",
        ),
        pytest.param(
            BUCKET,
            None,
            plus(GRANTED[BUCKET], {**THEIRS, "Sid": "CrossAccountRead0123456789ab"}),
            ["would allow 444444444444", "not ours"],
            id="a statement with another group's mark, added",
        ),
        pytest.param(
            KEY, KEY_POLICY, None, ["a key without a policy is lost", "not ours"], id="a key's policy"
        ),
        pytest.param(
            KEY,
            GRANTED[KEY],
            {**KEY_POLICY, "Statement": []},
            ["could change it any more", "not ours"],
            id="a key's administrators",
        ),
    ],
)
def test_a_wrong_plan_is_refused(resource: Resource, existing: Any, desired: Any, words: list[str]) -> None:
    reasons = check(resource, existing, desired)
    assert len(reasons) == len(words)
    for reason, word in zip(reasons, words, strict=True):
        assert word in reason
        assert str(resource) in reason


def test_a_key_without_a_stranger_in_it_is_not_cleared_either() -> None:
    lone = {"Version": "2012-10-17", "Statement": OURS[KEY]}
    assert [reason for reason in check(KEY, lone, None) if "lost" in reason]
    with pytest.raises(PlanRefused, match="lost"):
        revoked({KEY: with_first(lone, Principal={"AWS": NAMED[0]})}, STAGING)


def test_every_reason_of_every_change_is_told_at_once() -> None:
    wrong = Plan(
        (
            Change(BUCKET, STRANGERS, with_first(GRANTED[BUCKET], Principal="*")),
            Change(KEY, KEY_POLICY, None),
            Change(REPOSITORY, None, GRANTED[REPOSITORY]),
        )
    )
    found = tuple(find_objections(wrong, OURS, SHARING))
    with pytest.raises(PlanRefused) as refused:
        plan.accepted(Plan((), found))
    assert len(refused.value.reasons) == len(found)
    assert str(refused.value).count("\n") == len(found) - 1


def before_of(resource: Resource, length: int) -> Any:
    """A policy of strangers that has exactly so many bytes once our statements are in it."""
    filler = {"Sid": "", "Effect": "Deny", "Principal": "*", "Action": "x:Y"}
    bare = KEY_POLICY if resource is KEY else {"Version": "2012-10-17", "Statement": []}
    room = length - documents.size(documents.granted(plus(bare, filler), OURS[resource], GROUP))
    return plus(bare, {**filler, "Sid": "x" * room})


@pytest.mark.parametrize(
    ("resource", "limit"),
    [(REPOSITORY, 10_240), (BUCKET, 20_480), (KEY, 32_768), (REGISTRY, 20_480)],
    ids=lambda one: str(getattr(one, "kind", "")),
)
def test_the_limit_of_a_document_to_the_byte(resource: Resource, limit: int) -> None:
    assert door_of(resource.kind).limit == limit
    full = after(shared({resource: before_of(resource, limit)}))[resource]
    assert documents.size(full) == limit
    with pytest.raises(PlanRefused) as refused:
        shared({resource: before_of(resource, limit + 1)})
    (reason,) = refused.value.reasons
    assert f"{limit + 1} bytes, and AWS takes {limit}" in reason
    assert "fewer consumers or versions" in reason


def test_a_document_past_the_limit_is_no_reason_while_it_stays_as_it_is() -> None:
    large = plus(GRANTED[BUCKET], {**DENY, "Sid": "x" * 30_000})
    assert verbs(shared({BUCKET: large})) == ["keep"]
    with pytest.raises(PlanRefused, match="AWS takes 20480"):
        shared({BUCKET: with_first(large, Principal={"AWS": NAMED[0]})})


@pytest.mark.parametrize(
    "changed",
    [
        {"Principal": {"Service": "lambda.amazonaws.com"}},
        {"Principal": {"Federated": "x"}},
        {"Principal": {"CanonicalUser": "x"}},
        {"NotPrincipal": {"AWS": OUTSIDER}},
        {"NotPrincipal": {"AWS": NAMED}},
    ],
)
def test_principals_of_other_kinds_are_not_let_in(changed: Any) -> None:
    d = with_first(GRANTED[BUCKET], **changed)
    if "NotPrincipal" in changed:
        d["Statement"][0].pop("Principal")
    assert len(check(BUCKET, None, d)) == 1


def test_grants_read_a_statement_without_actions() -> None:
    d = copy.deepcopy(GRANTED[BUCKET])
    d["Statement"][0]["NotAction"] = d["Statement"][0].pop("Action")
    assert publish.grants_of(Plan((Change(BUCKET, d, d),)), GROUP)


# Fewer versions, and who is meant.

LISTED = SHARING.model_copy(update={"versions": (1, 2)})
EVERYONE = SHARING.model_copy(
    update={"principals": "organization", "organization": OrganizationScope(id="o-a1b2c3d4e5")}
)


def narrowed(existing: dict[Resource, Any], sharing: Any = SHARING) -> Plan:
    return plan.plan_narrower(without_version(sharing, 2), Basis(NEEDS, existing, NOW))


def test_those_who_have_access_keep_it_to_the_versions_that_stay() -> None:
    one = LISTED.model_copy(update={"consumers": {"staging": SHARING.consumers["staging"]}})
    left = after(narrowed(after(shared(FRESH, one)), LISTED))
    versions = left[REGISTRY]["Statement"][1]
    assert versions["Resource"] == package_arn(SHARING, 1)
    assert all(documents.members(each) == [STAGING] for each in left[REGISTRY]["Statement"])


def test_a_version_less_lets_in_nobody_who_had_no_access() -> None:
    assert verbs(narrowed(FRESH, LISTED)) == ["keep"] * len(ALL)


def test_a_version_less_lets_in_no_organization_that_had_no_access() -> None:
    listed = EVERYONE.model_copy(update={"versions": (1, 2)})
    assert verbs(narrowed(FRESH, listed)) == ["keep"] * len(ALL)


@pytest.mark.parametrize(
    ("sharing", "version", "words"),
    [
        (SHARING, 1, "every version .* Reject the version in the registry"),
        (DOCS.model_copy(update={"versions": (1, 2)}), 1, "every version .* list the versions"),
        (LISTED, 3, "does not share version 3: versions has 1, 2"),
        (SHARING.model_copy(update={"versions": (1,)}), 1, "Version 1 is the only one .* --all"),
    ],
)
def test_a_version_that_cannot_be_taken_out_of_the_config(sharing: Any, version: int, words: str) -> None:
    with pytest.raises(InputError, match=words):
        without_version(sharing, version)


def test_a_consumer_of_an_organization_cannot_be_revoked_alone() -> None:
    with pytest.raises(InputError, match=r"whole organization o-a1b2c3d4e5, not to staging alone.*--all"):
        accounts_of(EVERYONE, "staging")


# How much room is left.


def consumers(count: int, first: int = 0) -> dict[str, Any]:
    found = {}
    for number in range(first, first + count):
        account = str(600_000_000_000 + number)
        role = f"arn:aws:iam::{account}:role/run"
        update = {"account": account, "role": role, "execution_role": f"{role}2"}
        found[f"c{number}"] = SHARING.consumers["staging"].model_copy(update=update)
    return found


ROOM_IN_ROLES = pytest.param(
    REPOSITORY,
    "roles",
    id="repository, roles",
)


@pytest.mark.parametrize(
    ("resource", "mode"),
    [
        *(pytest.param(one, "accounts", id=str(one.kind)) for one in (REPOSITORY, BUCKET, KEY, REGISTRY)),
        ROOM_IN_ROLES,
    ],
)
def test_as_many_more_consumers_fit_as_there_is_said_to_be_room_for(resource: Resource, mode: str) -> None:
    few = SHARING.model_copy(update={"consumers": consumers(2), "principals": mode})
    made = shared({resource: FRESH[resource]}, few).changes[0]
    more = room(made, GROUP)
    assert more
    full = few.model_copy(update={"consumers": consumers(more, 2)})
    assert verbs(shared({resource: made.desired}, full)) == ["update"]
    with pytest.raises(PlanRefused, match="AWS takes"):
        shared({resource: made.desired}, few.model_copy(update={"consumers": consumers(more + 1, 2)}))


# One consumer of the config alone.


@pytest.mark.parametrize(("only", "other"), [("staging", PRODUCTION), ("production", STAGING)])
def test_a_share_for_one_consumer_lets_in_that_one_and_leaves_the_others_as_they_are(
    only: str, other: str
) -> None:
    account = SHARING.consumers[only].account
    alone = plan.plan_share(SHARING, Basis(NEEDS, FRESH, NOW), only=only)
    assert {change.gained for change in alone.changes} == {(account,)}
    both = plan.plan_share(SHARING, Basis(NEEDS, after(alone), NOW))
    assert {change.gained for change in both.changes} == {(other,)}
    again = plan.plan_share(SHARING, Basis(NEEDS, after(both), NOW), only=only)
    assert (again.writes, [change.lost for change in again.changes]) == (0, [()] * len(ALL))
    # The others are of this config: nobody is told to take them out.
    assert [finding for finding in again.findings if "does not name it" in finding.text] == []


def test_a_share_for_one_consumer_takes_out_whose_access_has_ended() -> None:
    both = plan.plan_share(SHARING, Basis(NEEDS, FRESH, NOW))
    ended = SHARING.consumers["production"].model_copy(update={"expires": NOW})
    sharing = SHARING.model_copy(update={"consumers": {**SHARING.consumers, "production": ended}})
    alone = plan.plan_share(sharing, Basis(NEEDS, after(both), NOW), only="staging")
    assert {change.lost for change in alone.changes} == {(PRODUCTION,)}
