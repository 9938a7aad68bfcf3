"""Sharing adds, revoking takes away: what a version was opened stays open when the version is no longer shared."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from crossaccount import doors
from crossaccount.arns import package_arn
from crossaccount.aws.access import open_producer
from crossaccount.config.loading import load_config
from crossaccount.config.model import OrganizationScope, Sharing
from crossaccount.doors.bucket import BUCKET as DOOR
from crossaccount.doors.registry import REGISTRY
from crossaccount.policy.audience import Audience
from crossaccount.policy.documents import listed
from crossaccount.registry.artifacts import artifact_at
from crossaccount.registry.versions import Contents
from crossaccount.sharing import apply, gather, plan, publish
from crossaccount.sharing.changes import Basis, Plan
from crossaccount.sharing.revoke import choose
from crossaccount.sharing.revoke import make_plan as plan_revocation

SHARING = load_config(Path(__file__).parents[2] / "configs" / "sandbox.yaml")
GROUP, BUCKET = SHARING.model_package_group, "models"
STAGING, PRODUCTION = "222222222222", "333333333333"
NOW = datetime(2026, 11, 24, tzinfo=UTC)


def sharing(**changes: Any) -> Sharing:
    return SHARING.model_copy(update=changes)


def basis(config: Sharing, *keys: str, existing: Any = None, now: datetime = NOW) -> Basis:
    """What a share of versions with artifacts at these keys would read, where these policies stand."""
    needs = doors.needs(
        config, Contents(artifacts=tuple(artifact_at(f"s3://{BUCKET}/{key}", False) for key in keys))
    )
    return Basis(needs, {each: (existing or {}).get(each) for each in doors.resources(config, needs)}, now)


def shared(config: Sharing, *keys: str, after: Plan | None = None, **more: Any) -> Plan:
    standing = {change.resource: change.desired for change in after.changes} if after else None
    return plan.plan_share(config, basis(config, *keys, existing=standing), **more)


def opened(made: Plan, member: str = STAGING) -> set[str]:
    """Every resource of objects and versions that a plan's documents let a member in to."""
    return {
        resource
        for change in made.changes
        for statement in (change.desired or {}).get("Statement", [])
        if member in json.dumps(statement)
        for resource in listed(statement.get("Resource", "*"))
        if ":s3:::" not in resource or "/" in resource
    }


LISTED = sharing(versions=(1, 2))
# The config and the artifacts before, then after.
LESS: dict[str, tuple[Sharing, list[str], Sharing, list[str]]] = {
    "a folder for each version": (SHARING, ["a/1/m", "b/2/m"], SHARING, ["a/1/m"]),
    "folders in the group's": (SHARING, [f"{GROUP}/1/m", f"{GROUP}/2/m"], SHARING, [f"{GROUP}/1/m"]),
    "the group's folder, then another": (SHARING, [f"{GROUP}/1/m", f"{GROUP}/2/m"], SHARING, ["new/3/m"]),
    "keys at the root": (SHARING, ["one", "two"], SHARING, ["one"]),
    "keys with a policy's wildcards": (SHARING, ["o*e", "t?o/$x/m", "m"], SHARING, ["m"]),
    "a listed version less": (LISTED, ["a/1/m", "b/2/m"], sharing(versions=(1,)), ["a/1/m"]),
    "other listed versions": (LISTED, ["a/1/m", "b/2/m"], sharing(versions=(3,)), ["c/3/m"]),
    "all approved, then a list": (SHARING, ["a/1/m", "b/2/m"], LISTED, ["a/1/m", "b/2/m"]),
    "roles": (sharing(principals="roles"), ["a/1/m", "b/2/m"], sharing(principals="roles"), ["a/1/m"]),
    "an organization": (
        sharing(principals="organization", organization=OrganizationScope(id="o-sandbox0001")), ["a/1/m", "b/2/m"],
        sharing(principals="organization", organization=OrganizationScope(id="o-sandbox0001")), ["a/1/m"],
    ),
    "Releases elsewhere": (
        SHARING, ["a/1/m"],
        sharing(producer=SHARING.producer.model_copy(update={"releases": f"{SHARING.producer.releases}new/"})), ["a/1/m"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", LESS)
def test_a_share_of_less_takes_nothing_away_and_a_second_one_writes_nothing(what: str) -> None:
    before, keys, config, left = LESS[what]
    member = "o-sandbox0001" if before.organization else STAGING
    first = shared(before, *keys)
    again = shared(config, *left, after=first)
    assert not [change.lost for change in again.changes if change.lost and change.verb == "delete"]
    assert _covered(opened(first, member), opened(again, member)) == set()
    assert [finding.severity for finding in again.findings] == ["note"] * len(again.findings)
    assert any("stays open" in finding.text and "--prune" in finding.way_out for finding in again.findings)
    once_more = shared(config, *left, after=again)
    assert once_more.writes == 0
    assert once_more.findings == again.findings


def _covered(wanted: set[str], given: set[str]) -> set[str]:
    """Those of the patterns that none of the others covers."""
    return {
        one
        for one in wanted
        if not any(one == other or (other.endswith("*") and one.startswith(other[:-1])) for other in given)
    }


@pytest.mark.parametrize("what", LESS)
def test_pruning_leaves_what_the_config_needs_and_no_more(what: str) -> None:
    before, keys, config, left = LESS[what]
    member = "o-sandbox0001" if before.organization else STAGING
    first = shared(before, *keys)
    pruned = shared(config, *left, after=first, prune=True)
    assert opened(pruned, member) == opened(shared(config, *left), member)
    assert not any("stays open" in finding.text for finding in pruned.findings)
    assert shared(config, *left, after=pruned, prune=True).writes == 0


def test_a_new_consumer_gets_what_is_shared_now_and_no_more() -> None:
    """What stays open stays for those who have it: a rejected version is given to nobody anew."""
    alone = sharing(consumers={"staging": SHARING.consumers["staging"]})
    first = shared(alone, "a/1/m", "b/2/m")
    again = shared(SHARING, "a/1/m", after=first)
    assert "arn:aws:s3:::models/b/2/*" in opened(again, STAGING)
    assert "arn:aws:s3:::models/b/2/*" not in opened(again, PRODUCTION)
    assert "arn:aws:s3:::models/a/1/*" in opened(again, PRODUCTION)
    assert shared(SHARING, "a/1/m", after=again).writes == 0


@pytest.mark.parametrize("principals", ["accounts", "roles"])
def test_what_is_said_to_all_stays_one_statement_where_their_parts_differ(principals: str) -> None:
    """Seeing the group has no parts: it is one statement for both, though one of them may deploy more versions."""
    alone = sharing(consumers={"staging": SHARING.consumers["staging"]}, principals=principals)
    listed = sharing(versions=(1,), principals=principals)
    again = shared(listed, "a/1/m", after=shared(alone, "a/1/m", "b/2/m"))
    for change in again.changes:
        sids = [one["Sid"] for one in (change.desired or {})["Statement"]]
        assert len(sids) == len(set(sids))
    group = next(change for change in again.changes if change.resource.kind == "model-package-group")
    seeing = [one for one in (group.desired or {})["Statement"] if "Group" in one["Sid"]]
    assert [STAGING in json.dumps(one) and PRODUCTION in json.dumps(one) for one in seeing] == [True]
    assert opened(again, PRODUCTION) < opened(again, STAGING) | opened(again, PRODUCTION)
    assert shared(listed, "a/1/m", after=again).writes == 0


def test_what_stays_keeps_to_the_config_s_terms() -> None:
    """Roles instead of accounts narrow what stays too: who is let in is the config's to say."""
    first = shared(SHARING, "a/1/m", "b/2/m")
    again = shared(sharing(principals="roles"), "a/1/m", after=first)
    reading = [one for one in again.changes[0].desired["Statement"] if one["Action"] == "s3:GetObject"]  # type: ignore[index]
    assert all("aws:PrincipalArn" in json.dumps(one["Condition"]) for one in reading)
    assert _covered(opened(first), opened(again)) == set()


def test_what_has_expired_does_not_stay() -> None:
    ending = {
        name: consumer.model_copy(update={"expires": NOW + timedelta(days=30)})
        for name, consumer in SHARING.consumers.items()
    }
    first = shared(sharing(consumers=ending), "a/1/m", "b/2/m")
    standing = {change.resource: change.desired for change in first.changes}
    later = replace(basis(SHARING, "a/1/m", existing=standing), now=NOW + timedelta(days=31))
    assert "arn:aws:s3:::models/b/2/*" not in opened(plan.plan_share(SHARING, later))


@pytest.mark.parametrize(
    "parts", [("a/b/",), ("k",), ("o*e", "t?o/$x/", "${x}/"), (f"{GROUP}/", "z"), ("a/*",), ("ä ö/",)]
)
def test_the_parts_of_a_statement_are_those_that_it_was_made_of(parts: tuple[str, ...]) -> None:
    made = DOOR.statements(SHARING, BUCKET, parts, Audience(roots=("arn:aws:iam::222222222222:root",)))
    assert sum((DOOR.parts_of(SHARING, BUCKET, one) for one in made), ()) == parts


def test_the_versions_of_a_statement_are_those_that_it_was_made_of() -> None:
    audience = Audience(roots=("arn:aws:iam::222222222222:root",))
    for config, numbers in ((SHARING, ("*",)), (LISTED, ("1", "2"))):
        made = REGISTRY.statements(config, GROUP, (), audience)
        assert sum((REGISTRY.parts_of(config, GROUP, one) for one in made), ()) == numbers
    wider = REGISTRY.statements(LISTED, GROUP, ("10",), audience)[1]["Resource"]
    assert wider == [package_arn(LISTED, number) for number in (1, 2, 10)]


# Against the sandbox: what a live endpoint's account can read.


def as_administrator(edited: Any, **changes: Any) -> str:
    path: str = edited(producer__role=None, producer__external_id=None, producer__profile=None, **changes)
    return path


def share(config: Sharing, prune: bool = False) -> Plan:
    """Share as the flow does; the plan."""
    producer = open_producer(config)
    gathered = gather.gather(producer)
    made = plan.plan_share(config, gathered, prune)
    apply.apply(producer, made)
    for version in gathered.versions:
        release, is_new = publish.prepare(producer, version, gathered, made)
        if is_new:
            publish.publish(producer, release)
    return made


def may_read(aws: Any, key: str) -> bool:
    client = aws.role("staging", "crossaccount-deployer", "s3")
    try:
        client.get_object(Bucket="producer-models-111111111111", Key=key)
    except ClientError:
        return False
    return True


@pytest.mark.parametrize(
    ("becomes", "folder"),
    [
        ("Rejected", "live/"),
        ("Rejected", "of/its/own/"),
        ("PendingManualApproval", "live/"),
        ("deleted", "of/its/own/"),
    ],
)
def test_a_live_version_that_is_rejected_or_deleted_stays_readable_until_it_is_pruned(
    administrator: Any, edited: Any, becomes: str, folder: str
) -> None:
    s3, sagemaker = (administrator.admin("producer", service) for service in ("s3", "sagemaker"))
    bucket, image = "producer-models-111111111111", f"111111111111.dkr.ecr.us-east-1.amazonaws.com/{GROUP}:1"
    key = f"models/{GROUP}/{folder}model.tar.gz"
    s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    container = {"Image": image, "ModelDataUrl": f"s3://{bucket}/{key}"}
    arn = sagemaker.create_model_package(
        ModelPackageGroupName=GROUP,
        ModelApprovalStatus="Approved",
        InferenceSpecification={"Containers": [container], "SupportedContentTypes": ["text/csv"]},
    )["ModelPackageArn"]
    config = load_config(as_administrator(edited))
    with administrator.restored():
        share(config)
        assert may_read(administrator, key)
        if becomes == "deleted":
            sagemaker.delete_model_package(ModelPackageName=arn)
        else:
            sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus=becomes)
        try:
            share(config)
            assert may_read(administrator, key)
            approve(
                sagemaker, config, 2, "Rejected"
            )  # down to one version, whose folder is all that is needed
            again = share(config)
            assert may_read(administrator, key)
            told = [one for one in again.findings if "stays open" in one.text]
            assert [f"version {arn.rpartition('/')[2]} ({becomes})" in one.text for one in told] == [True]
            assert share(config).writes == 0
            assert share(config, prune=True).writes == 2  # the folder, and the key of version 2
            assert not may_read(administrator, key)
        finally:
            approve(sagemaker, config, 2, "Approved")
            if becomes != "deleted":
                sagemaker.delete_model_package(ModelPackageName=arn)


def approve(sagemaker: Any, config: Sharing, number: int, status: str) -> None:
    sagemaker.update_model_package(ModelPackageArn=package_arn(config, number), ModelApprovalStatus=status)


def test_a_revoked_version_is_not_opened_again_by_a_share_without_it(administrator: Any, edited: Any) -> None:
    both, one = (load_config(as_administrator(edited, versions=versions)) for versions in ([1, 2], [1]))
    with administrator.restored():
        share(both)
        assert "stays open" in "".join(finding.text for finding in share(one).findings)
        assert may_read(administrator, f"models/{GROUP}/2/model.tar.gz")
        made = plan_revocation(both, choose(both, version=2))
        apply.apply(open_producer(both), made)
        assert not may_read(administrator, f"models/{GROUP}/2/model.tar.gz")
        assert share(one).writes == 0
        assert not may_read(administrator, f"models/{GROUP}/2/model.tar.gz")
