"""What stands beside the four documents is read: the registry's policy, a key's second one, what S3 blocks; and the command says it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from crossaccount.audit.answers import combine
from crossaccount.audit.documents import read_documents
from crossaccount.config.loading import load_config
from crossaccount.errors import PlanRefused, Severity
from crossaccount.sharing import apply, gather, revoke
from crossaccount.sharing.changes import Plan
from crossaccount.show import plans

BUCKET, GROUP = "producer-models-111111111111", "decision-trees-sample"
STAGING, PRODUCTION = "222222222222", "333333333333"
DEPLOYER = f"arn:aws:iam::{STAGING}:role/crossaccount-deployer"
PULL = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
REGISTRY = {
    "Sid": "Replicas",
    "Effect": "Allow",
    "Principal": {"AWS": STAGING},
    "Action": PULL,
    "Resource": "arn:aws:ecr:us-east-1:111111111111:repository/*",
}
PUBLIC = {
    "Sid": "Open",
    "Effect": "Allow",
    "Principal": "*",
    "Action": "s3:GetObject",
    "Resource": f"arn:aws:s3:::{BUCKET}/models/*",
}


@contextlib.contextmanager
def registry_policy(aws: Any, *statements: dict[str, Any]) -> Iterator[None]:
    ecr = aws.admin("producer", "ecr")
    ecr.put_registry_policy(policyText=json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))
    try:
        yield
    finally:
        ecr.delete_registry_policy()


@contextlib.contextmanager
def blocked(aws: Any, *settings: str) -> Iterator[None]:
    """The bucket with these settings of Block Public Access and a public statement, put while that was allowed."""
    s3 = aws.admin("producer", "s3")
    names = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    block = {"Bucket": BUCKET}
    s3.put_public_access_block(**block, PublicAccessBlockConfiguration=dict.fromkeys(names, False))
    document = aws.documents()["bucket"] or {"Version": "2012-10-17", "Statement": []}
    aws.put("bucket", {**document, "Statement": [PUBLIC, *document["Statement"]]})
    on = dict.fromkeys(names, False) | dict.fromkeys(settings, True)
    s3.put_public_access_block(**block, PublicAccessBlockConfiguration=on)
    try:
        yield
    finally:
        s3.put_public_access_block(**block, PublicAccessBlockConfiguration=dict.fromkeys(names, False))
        aws.put("bucket", None)
        s3.put_public_access_block(**block, PublicAccessBlockConfiguration=dict.fromkeys(names, True))


def shared(desk: Any) -> None:
    desk.apply(desk.plan())


def revocation(path: Any, **what: Any) -> Plan:
    sharing = load_config(path)
    return revoke.make_plan(sharing, revoke.choose(sharing, **what))


def answers(plan: Plan, kind: str) -> dict[str, str]:
    return {each.member: str(each.answer) for each in plan.standing if each.resource.kind == kind}


def test_a_registry_policy_that_lets_an_account_in_survives_a_revoke_and_is_said(aws: Any, desk: Any) -> None:
    shared(desk)
    with registry_policy(aws, REGISTRY):
        made = revocation(aws.config, consumer="staging")
        planned = desk.plan()
    assert answers(made, "repository") == {STAGING: "still open", PRODUCTION: "shut"}
    shown = plans.text(made)
    assert f"keeps access: {STAGING} by Replicas of the registry policy (not ours)\n" in shown
    assert shown.count(f"loses access: {STAGING}") == 3
    text = f"{STAGING} also has access by a statement that is not ours: Replicas of the registry policy."
    assert [one.severity for one in planned.findings if one.text == text] == [Severity.NOTE]


def test_a_registry_policy_that_shuts_an_account_out_is_said(aws: Any, desk: Any) -> None:
    with registry_policy(aws, {**REGISTRY, "Effect": "Deny", "Sid": "Never"}):
        found = [one for one in desk.plan().findings if "denies" in one.text]
    assert [(one.severity, one.text) for one in found] == [
        (Severity.WARNING, f"The statement Never of the registry policy denies, and keeps {STAGING} out.")
    ]


@pytest.mark.parametrize(
    ("action", "more", "kind", "name"),
    [
        ("ecr:GetRegistryPolicy", {}, "repository", "registry policy"),
        (
            "kms:GetKeyPolicy",
            {"Condition": {"StringEquals": {"kms:PolicyName": "AWS_RAM"}}},
            "key",
            "AWS_RAM policy",
        ),
    ],
)
def test_what_may_not_be_read_beside_is_a_note_and_nobody_is_said_to_lose_access_there(
    aws: Any, desk: Any, action: str, more: dict[str, Any], kind: str, name: str
) -> None:
    shared(desk)
    with aws.denied("producer", "crossaccount-producer", action, **more):
        planned, made = desk.plan(), revocation(aws.config, everything=True)
    for plan in (planned, made):
        (found,) = [one for one in plan.findings if f"The {name} could not be read" in one.text]
        assert (found.severity, action in found.way_out) == (Severity.NOTE, True)
        assert "takes the Deny out" in found.way_out  # an Allow would do nothing
    assert planned.writes == 0
    assert answers(made, kind) == dict.fromkeys((STAGING, PRODUCTION), "cannot tell")
    shown = plans.text(made)
    assert f"cannot tell whether {STAGING} loses access: the {name} could not be read" in shown
    assert shown.count(f"  loses access: {STAGING}") == 3


def test_it_is_read_once_for_all_repositories_and_versions(aws: Any, desk: Any) -> None:
    with aws.calls() as calls:
        desk.plan()
    asked = [one["operation"] for one in calls]
    assert (asked.count("GetRegistryPolicy"), asked.count("GetKeyPolicy")) == (1, 2)


@pytest.mark.parametrize("settings", [("BlockPublicPolicy",), ("BlockPublicPolicy", "RestrictPublicBuckets")])
def test_a_revoke_that_s3_would_refuse_is_refused_before_anything_is_written(
    aws: Any, desk: Any, settings: tuple[str, ...]
) -> None:
    shared(desk)
    with blocked(aws, *settings), aws.calls() as calls:
        before = aws.documents()
        with pytest.raises(
            PlanRefused, match=r"The statement Open is public, .*BlockPublicPolicy.* refuses every change"
        ):
            revocation(aws.config, everything=True)
        assert aws.documents() == before
    assert not [
        one for one in calls if one["operation"].startswith(("Set", "DeleteRepo", "PutModelPackageGroup"))
    ]


def test_a_revoke_that_leaves_the_bucket_as_it_is_goes_on(aws: Any, desk: Any) -> None:
    with blocked(aws, "BlockPublicPolicy"):
        made = revocation(aws.config, everything=True)
    assert {change.verb for change in made.changes} == {"keep"}


def test_a_bucket_that_s3_shuts_to_all_others_is_lost_whatever_lets_them_in(aws: Any, desk: Any) -> None:
    """RestrictPublicBuckets stops a share, and not a revoke."""
    shared(desk)
    image = {"Bucket": BUCKET, "Key": f"models/{GROUP}/1/model.tar.gz"}
    reader = aws.admin("staging", "s3")
    with blocked(aws, "RestrictPublicBuckets"):
        made = revocation(aws.config, everything=True)
        apply.apply(desk.producer, made)
        with pytest.raises(reader.exceptions.ClientError):
            reader.get_object(**image)
        with pytest.raises(PlanRefused, match="shuts every other account out"):
            gather.make_plan(desk.sharing)
    assert answers(made, "bucket") == dict.fromkeys((STAGING, PRODUCTION), "shut")
    shared(desk)
    with blocked(aws):
        made = revocation(aws.config, everything=True)
        apply.apply(desk.producer, made)
        assert reader.get_object(**image)["ContentLength"]
    assert answers(made, "bucket") == dict.fromkeys((STAGING, PRODUCTION), "still open")


def test_the_command_says_who_keeps_access_and_changes_nothing_in_a_dry_run(aws: Any, desk: Any) -> None:
    shared(desk)
    document = aws.documents()["bucket"]
    theirs = {**PUBLIC, "Sid": "Theirs", "Principal": {"AWS": DEPLOYER}}
    organization = {
        **PUBLIC,
        "Sid": "",
        "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-sandbox0001"}},
    }
    del organization["Sid"]
    aws.put("bucket", {**document, "Statement": [theirs, organization, *document["Statement"]]})
    before = aws.documents()
    ran = aws.cli("revoke", str(aws.config), "--all", "--dry-run", "--json")
    told = json.loads(ran.stdout)
    assert (ran.returncode, told["ok"], told["revoked"], told["receipts"]) == (0, True, "everything", [])
    found = {(one["account"], one["door"]): one for one in told["standing"]}
    assert found[STAGING, "bucket"] == {
        "account": STAGING,
        "door": "bucket",
        "resource": BUCKET,
        "answer": "still open",
        "by": ["Theirs"],
        "reason": f"Theirs lets it in, as {DEPLOYER}, for s3:GetObject alone, for a part of the resources",
        "granted": False,
    }
    assert (found[PRODUCTION, "bucket"]["answer"], found[PRODUCTION, "bucket"]["by"]) == (
        "cannot tell",
        ["statement 2"],
    )
    assert {found[each, "registry"]["answer"] for each in (STAGING, PRODUCTION)} == {"shut"}
    shown = aws.cli("revoke", str(aws.config), "--all", "--dry-run").stdout
    assert f"  keeps access: {STAGING} (staging) by Theirs (not ours), as {DEPLOYER}" in shown
    assert (
        f"  cannot tell whether {PRODUCTION} (production) loses access: statement 2 lets in organization o-sandbox0001, "
        in shown
    )
    assert shown.count(f"  loses access: {STAGING} (staging)\n") == 3
    assert aws.documents() == before
    checked = json.loads(aws.cli("plan", str(aws.config), "--json").stdout)
    assert {(one["account"], one["door"]): one["answer"] for one in checked["standing"]}[
        STAGING, "bucket"
    ] == "still open"


def test_a_check_says_it_of_those_whom_the_config_names_and_of_those_whom_it_names_no_more(
    aws: Any, desk: Any, edited: Any
) -> None:
    shared(desk)
    sharing = load_config(edited(consumers__production=None))
    with registry_policy(aws, {**REGISTRY, "Principal": {"AWS": [STAGING, PRODUCTION]}}):
        evidence = read_documents(sharing, ["staging"])
    audit = combine(sharing, ["staging"], evidence, {}, False)
    found = {(one["account"], one["door"]): one["answer"] for one in audit.to_json()["standing"]}
    doors = ("repository", "bucket", "key", "registry")
    assert set(found) == {(account, door) for account in (STAGING, PRODUCTION) for door in doors}
    assert {key for key, answer in found.items() if answer == "still open"} == {
        (STAGING, "repository"),
        (PRODUCTION, "repository"),
    }
    said = f"{STAGING}, {PRODUCTION} also has access by a statement that is not ours: Replicas of the registry policy."
    assert said in audit.text()


def test_a_page_says_loses_access_only_of_those_who_do(aws: Any, desk: Any) -> None:
    shared(desk)
    with registry_policy(aws, REGISTRY):
        page = plans.markdown(revocation(aws.config, consumer="staging"))
    rows = {
        line.split("|")[1].split()[0]: line.split("|")[4].strip()
        for line in page.splitlines()
        if line.startswith("| ")
    }
    assert {kind: lost for kind, lost in rows.items() if kind != "policy"} == {
        "repository": "",
        "bucket": STAGING,
        "key": STAGING,
        "model-package-group": STAGING,
    }
    assert f"keeps access: {STAGING} by Replicas of the registry policy (not ours)" in page
