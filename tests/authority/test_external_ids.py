"""A role of the product is assumed by its own account's people, with its own external id, and by nobody else."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from crossaccount.audit.answers import Verdict
from crossaccount.audit.documents import read_documents
from crossaccount.audit.probe import try_doors
from crossaccount.aws import sessions
from crossaccount.aws.access import open_producer
from crossaccount.config.model import Sharing
from crossaccount.errors import DoorName, Refused
from crossaccount.promotion import records
from crossaccount.sharing import gather, revoke, usage
from crossaccount_sandbox import accounts

NUMBERS = {one.name: one.id for one in accounts.ACCOUNTS}
ROLES = {"crossaccount-producer": "producer", "crossaccount-deployer": "staging"}
IDS = [
    None,
    "wrong-id",
    "sandbox-outsider",
    "sandbox-production",
    "Sandbox-staging",
    "SANDBOX-PRODUCER",
    "sandbox-stagin",
    "sandbox-producer1",
    "sandbox",
]


def assume(scene: Any, who: Any, account: str, role: str, external_id: str | None) -> tuple[str, str]:
    asked = {"RoleArn": f"arn:aws:iam::{NUMBERS[account]}:role/{role}", "RoleSessionName": "attempt"}
    given = {"ExternalId": external_id} if external_id is not None else {}
    return scene.hand.attempt(who, "sts", "AssumeRole", {**asked, **given})  # type: ignore[no-any-return]


@pytest.mark.parametrize("external_id", IDS)
@pytest.mark.parametrize("role", ROLES)
def test_without_its_external_id_nobody_assumes_a_role(
    scene: Any, role: str, external_id: str | None
) -> None:
    account = ROLES[role]
    for who in (scene.operator(account), scene.administrator(account), scene.administrator("outsider")):
        code, text = assume(scene, who, account, role, external_id)
        assert (code, "sts:AssumeRole" in text) == ("AccessDenied", True)
    assert assume(scene, scene.operator(account), account, role, f"sandbox-{account}") == ("done", "")


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("account", ["producer", "staging", "outsider"])
def test_who_knows_the_external_id_of_another_account_s_role_gains_nothing(
    scene: Any, account: str, role: str
) -> None:
    owner = ROLES[role]
    for who in (scene.administrator(account), scene.operator(account)):
        code, _ = assume(scene, who, owner, role, f"sandbox-{owner}")
        assert code == ("done" if account == owner else "AccessDenied")


@pytest.mark.parametrize("external_id", [None, "sandbox-staging", "wrong-id"])
@pytest.mark.parametrize("account", ["staging", "producer", "outsider"])
def test_nobody_but_sagemaker_assumes_the_execution_role(
    scene: Any, account: str, external_id: str | None
) -> None:
    for who in (scene.administrator(account), scene.operator(account)):
        assert assume(scene, who, "staging", "crossaccount-execution", external_id)[0] == "AccessDenied"


def test_a_deployer_that_trusts_one_operator_is_closed_to_a_role_that_may_do_everything(scene: Any) -> None:
    """The template's default trusts the account, so its own policies decide; TrustedPrincipalArn narrows it to one identity."""
    given = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    statement = {"Effect": "Allow", "Principal": {"AWS": NUMBERS["staging"]}, "Action": "sts:AssumeRole"}
    trust = {"Version": "2012-10-17", "Statement": [statement]}
    asked = {"RoleName": "bystander", "AssumeRolePolicyDocument": json.dumps(trust)}
    scene.admin("staging", "iam", "CreateRole", **asked)
    text = json.dumps(given)
    scene.admin(
        "staging", "iam", "PutRolePolicy", RoleName="bystander", PolicyName="all", PolicyDocument=text
    )
    bystander = scene.assumed("staging", f"arn:aws:iam::{NUMBERS['staging']}:role/bystander")
    try_it = partial(assume, scene, account="staging", role="crossaccount-deployer")
    assert try_it(bystander, external_id=None)[0] == "AccessDenied"
    assert try_it(bystander, external_id="sandbox-staging")[0] == "done"
    narrowed = template(f"arn:aws:iam::{NUMBERS['staging']}:user/operator")
    scene.admin("staging", "cloudformation", "CreateStack", **narrowed)
    try_it = partial(assume, scene, account="staging", role="narrowed-deployer")
    for external_id in (None, "sandbox-staging"):
        assert try_it(bystander, external_id=external_id)[0] == "AccessDenied"
    assert try_it(scene.operator("outsider"), external_id="sandbox-staging")[0] == "AccessDenied"
    scene.admin(
        "staging",
        "iam",
        "AttachUserPolicy",
        UserName="operator",
        PolicyArn=f"arn:aws:iam::{NUMBERS['staging']}:policy/narrowed-consumer-operator",
    )
    assert try_it(scene.operator("staging"), external_id="sandbox-staging")[0] == "done"


def template(trusted: str) -> dict[str, Any]:
    given = {
        "NamePrefix": "narrowed",
        "ProducerAccount": NUMBERS["producer"],
        "ModelPackageGroupName": accounts.GROUP,
        "ArtifactBucket": accounts.BUCKET,
        "ReleasesBucket": "releases-elsewhere",
        "ReleasesPrefix": accounts.RELEASES,
        "RepositoryName": accounts.REPOSITORY,
        "KeyArn": f"arn:aws:kms:{accounts.REGION}:{NUMBERS['producer']}:key/11111111-2222-3333-4444-555555555555",
        "EndpointName": "decision-trees-narrowed",
        "ExternalId": "sandbox-staging",
        "TrustedPrincipalArn": trusted,
    }
    listed = [{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()]
    text = (Path(__file__).parents[2] / "deployments" / "iam" / "consumer.yaml").read_text()
    made = {"StackName": "narrowed", "TemplateBody": text, "Parameters": listed}
    return {**made, "Capabilities": ["CAPABILITY_NAMED_IAM"]}


def test_a_deployer_lists_the_releases_also_where_they_lie_in_a_bucket_of_their_own(scene: Any) -> None:
    """The hand-off looks there for what is new; the stack is that of the test before, or made here."""
    stacks = scene.admin("staging", "cloudformation", "DescribeStacks")["Stacks"]
    if "narrowed" not in [one["StackName"] for one in stacks]:
        scene.admin("staging", "cloudformation", "CreateStack", **template(""))
    asked = {"ActionNames": ["s3:ListBucket"]}
    asked["PolicySourceArn"] = f"arn:aws:iam::{NUMBERS['staging']}:role/narrowed-deployer"  # type: ignore[assignment]
    buckets = {"releases-elsewhere": "allowed", accounts.BUCKET: "allowed", "another": "implicitDeny"}
    for bucket, wanted in buckets.items():
        asked["ResourceArns"] = [f"arn:aws:s3:::{bucket}"]
        found = scene.admin("staging", "iam", "SimulatePrincipalPolicy", **asked)
        assert found["EvaluationResults"][0]["EvalDecision"] == wanted, bucket


# The product itself. Each command's work on a side begins with that side's session, so these are all ways in.


def consumer(sharing: Sharing) -> Any:
    return sessions.consumer_session(sharing, "staging", sharing.consumers["staging"])


WAYS_IN: Mapping[str, tuple[str, Callable[[Sharing], Any]]] = {
    "plan and share": ("producer__external_id", gather.make_plan),
    "revoke": (
        "producer__external_id",
        lambda sharing: revoke.make_plan(sharing, revoke.choose(sharing, everything=True)),
    ),
    "history and the held": (
        "producer__external_id",
        lambda sharing: records.read(open_producer(sharing), 5),
    ),
    "deploy, promote, rollback, reap, hand-off": ("external_id", consumer),
}


@pytest.mark.parametrize("external_id", [None, "wrong-id"])
@pytest.mark.parametrize("way", WAYS_IN)
def test_the_product_is_refused_at_the_role_s_trust_and_has_changed_nothing(
    scene: Any, way: str, external_id: str | None
) -> None:
    key, begin = WAYS_IN[way]
    begin(scene.variant())
    before, start = scene.state(), len(scene.calls)
    with pytest.raises(Refused) as refused:
        begin(scene.variant(**{key: external_id}))
    assert refused.value.refusal.door is DoorName.ROLE_TRUST
    assert (refused.value.exit_code, refused.value.refusal.aws_code) == (3, "AccessDenied")
    assert [one["operation"] for one in scene.calls[start:]] == ["AssumeRole"]
    assert scene.state() == before


@pytest.mark.parametrize("external_id", [None, "wrong-id"])
def test_what_goes_on_past_a_shut_door_says_that_it_is_shut(scene: Any, external_id: str | None) -> None:
    """A check tells every door, and a revoke cannot tell who still runs on it: neither changes anything."""
    before, start = scene.state(), len(scene.calls)
    sharing = scene.variant(external_id=external_id)
    met = try_doors(sharing, "staging", (), probe=True)
    assert [(one.door, one.verdict) for one in met.answers] == [(DoorName.ROLE_TRUST, Verdict.NO)]
    (found,) = usage.find_users(sharing, None)
    assert "cannot be told" in found.text
    assert {one["operation"] for one in scene.calls[start:]} == {"AssumeRole"}
    assert scene.state() == before
    answers = read_documents(scene.variant(producer__external_id=external_id), ["staging"])
    assert "crossaccount-producer" in str(answers.findings)
    assert not answers.versions
    assert {one["operation"] for one in scene.calls[start:]} == {"AssumeRole"}
