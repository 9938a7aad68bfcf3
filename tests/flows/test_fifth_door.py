"""A fifth door is one object: registered, it is planned, opened, read back, audited, explained and closed like the four."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from crossaccount import doors
from crossaccount.arns import group_arn
from crossaccount.audit.answers import Audit, Verdict, combine
from crossaccount.audit.documents import read_documents
from crossaccount.audit.probe import shut, try_doors
from crossaccount.aws.access import Producer, open_producer, open_target
from crossaccount.aws.refusals import classify
from crossaccount.config.loading import load_config
from crossaccount.doors.base import Door, Resource
from crossaccount.errors import Conflict, Obstacle, PlanRefused, Refused
from crossaccount.policy import documents
from crossaccount.policy.audience import statement
from crossaccount.release import store
from crossaccount.sharing import apply, gather, plan_file, publish, revoke
from crossaccount.sharing.changes import Plan
from crossaccount.sharing.opened import read_opened
from crossaccount.sharing.plan import plan_share
from crossaccount.show import plans

NAME = "models/decision-trees-sample"
ARN = f"arn:aws:ssm:us-east-1:111111111111:parameter/{NAME}"
STAGING, PRODUCTION = "222222222222", "333333333333"
THEIRS = {
    "Sid": "Theirs",
    "Effect": "Deny",
    "Principal": "*",
    "Action": "ssm:DeleteParameter",
    "Resource": ARN,
}


def refusal(code: str) -> ClientError:
    text = f"User is not authorized to perform: ssm:GetParameter on resource: {ARN}"
    return ClientError({"Error": {"Code": code, "Message": text}}, "GetParameter")


class ParameterDoor(Door):
    """A parameter with a policy and a conditional put; the service is a few lines of memory."""

    kind = "parameter"
    name = "parameter"
    limit = 4_096
    place = re.compile(r"arn:[a-z-]+:ssm:.*:parameter/(.+)")
    missing_code = "ParameterNotFound"
    busy_codes = ("ResourcePolicyConflictException",)

    def __init__(self) -> None:
        self.text: str | None = None
        self.version = 0
        self.meddler: dict[str, Any] | None = None
        self.gone = False

    def arn(self, config: Any, name: str) -> str:
        return f"arn:{config.partition}:ssm:{config.region}:{config.producer.account}:parameter/{name}"

    def is_right(self, config: Any, name: str) -> bool:
        return name == f"models/{config.model_package_group}"

    def needed(self, config: Any, contents: Any) -> dict[str, tuple[str, ...]]:
        return {f"models/{config.model_package_group}": ()}

    def statements(self, config: Any, name: str, parts: Any, audience: Any) -> list[dict[str, Any]]:
        terms = {"Action": "ssm:GetParameter", "Resource": self.arn(config, name)}
        return [statement(group_arn(config), "Parameter", audience, **terms)]

    def read(self, producer: Producer, name: str) -> tuple[Any, str]:
        if self.gone:
            raise refusal("ParameterNotFound")
        return None if self.text is None else json.loads(self.text), str(self.version)

    def write(self, producer: Producer, name: str, document: Any, token: str | None) -> None:
        if self.meddler is not None:
            self._keep(json.dumps({"Version": "2012-10-17", "Statement": [self.meddler]}))
            self.meddler = None
        if token != str(self.version):
            raise refusal("ResourcePolicyConflictException")
        self._keep(documents.compact(document))

    def clear(self, producer: Producer, name: str, token: str | None) -> None:
        assert token == str(self.version)
        self._keep(None)

    def _keep(self, text: str | None) -> None:
        self.text, self.version = text, self.version + 1


@pytest.fixture
def door() -> Iterator[ParameterDoor]:
    fifth = ParameterDoor()
    doors.DOORS.insert(-1, fifth)
    yield fifth
    doors.DOORS.remove(fifth)


class Desk:
    """The producer's desk, with everything shared and published."""

    def __init__(self, path: Any) -> None:
        self.path, self.config = path, load_config(path)
        self.producer = open_producer(self.config)

    def plan(self) -> Plan:
        return plan_share(self.config, gather.gather(self.producer))

    def share(self) -> None:
        gathered = gather.gather(self.producer)
        plan = plan_share(self.config, gathered)
        apply.apply(self.producer, plan)
        for version in gathered.versions:
            made, new = publish.prepare(self.producer, version, gathered, plan)
            if new:
                publish.publish(self.producer, made)

    def revoke(self, **which: Any) -> None:
        plan = revoke.make_plan(self.config, revoke.choose(self.config, **which), force=True)
        apply.apply(self.producer, plan)

    def audit(self) -> Audit:
        names = ("staging", "production")
        producer = read_documents(self.config, names)
        consumers = {name: try_doors(self.config, name, producer.versions, True) for name in names}
        return combine(self.config, names, producer, consumers, repair=True)


@pytest.fixture
def desk(aws: Any, door: ParameterDoor) -> Iterator[Desk]:
    with aws.restored():
        yield Desk(aws.config)


def members(door: ParameterDoor) -> set[str]:
    return {
        member
        for each in documents.statements(json.loads(door.text or "{}"))
        for member in documents.members(each)
    }


def test_it_is_planned_before_the_registry_and_shown(desk: Desk) -> None:
    plan = desk.plan()
    assert [change.resource.kind for change in plan.changes] == [
        "repository",
        "bucket",
        "key",
        "parameter",
        "model-package-group",
    ]
    (change,) = [change for change in plan.changes if change.resource.kind == "parameter"]
    assert (change.verb, change.gained) == ("create", (STAGING, PRODUCTION))
    (shown,) = [each for each in plan_file.to_json(plan)["changes"] if each["kind"] == "parameter"]
    assert (shown["resource"], shown["limit"]) == (NAME, 4_096)
    assert f"create: policy of parameter {NAME} (account 111111111111)" in plans.text(plan)


def test_it_is_opened_read_back_and_published(desk: Desk, door: ParameterDoor) -> None:
    desk.share()
    assert members(door) == {STAGING, PRODUCTION}
    assert desk.plan().writes == 0
    published = store.read(open_target(desk.config, "staging"), 1)
    assert [(grant.resource, grant.actions) for grant in published.grants if grant.door == "parameter"] == [
        (NAME, ["ssm:GetParameter"])
    ]


def test_its_conditional_put_keeps_what_another_wrote_meanwhile(desk: Desk, door: ParameterDoor) -> None:
    door.meddler = THEIRS
    desk.share()
    first, *ours = json.loads(door.text or "")["Statement"]
    assert (first, len(ours)) == (THEIRS, 1)


def test_a_document_past_its_own_limit_is_refused(desk: Desk, door: ParameterDoor) -> None:
    statements = [{**THEIRS, "Sid": "x" * 4_000}]
    door.text = json.dumps({"Version": "2012-10-17", "Statement": statements})
    with pytest.raises(PlanRefused, match=r"policy of parameter .*AWS takes 4096"):
        desk.plan()


def test_one_that_is_gone_or_in_the_way_is_a_finding(desk: Desk, door: ParameterDoor) -> None:
    door.gone = True
    with pytest.raises(PlanRefused, match=rf"parameter {NAME}: It does not exist"):
        desk.plan()
    door.gone = False

    def obstacles(producer: Producer, resource: Resource, contents: Any) -> list[Any]:
        raise Obstacle(f"parameter {resource.name}", "It is a basic parameter.", "Make it an advanced one.")

    door.obstacles = obstacles  # type: ignore[method-assign]
    with pytest.raises(PlanRefused, match="Make it an advanced one"):
        desk.plan()


def test_it_is_audited(desk: Desk, door: ParameterDoor) -> None:
    desk.share()
    found = desk.audit()
    answers = {
        (each.consumer, each.resource): each.verdict for each in found.answers if each.door == "parameter"
    }
    assert answers == {(name, NAME): Verdict.YES for name in ("staging", "production")}
    assert found.missing == ()
    door.text = None
    found = desk.audit()
    assert found.missing == (f"staging: parameter {NAME}", f"production: parameter {NAME}")
    assert found.repair is not None
    assert found.repair.writes == 1


def test_it_is_closed_for_one_and_then_for_all(desk: Desk, door: ParameterDoor) -> None:
    desk.share()
    desk.revoke(consumer="staging")
    assert members(door) == {PRODUCTION}
    desk.revoke(everything=True)
    assert door.text is None


def test_it_is_closed_for_a_version_that_only_its_release_remembers(desk: Desk, door: ParameterDoor) -> None:
    desk.share()
    opened = read_opened(desk.producer).resources("111111111111")
    assert Resource("parameter", NAME, "111111111111") in opened


def test_a_refusal_there_says_whose_door_it_is_and_who_opens_it(desk: Desk, door: ParameterDoor) -> None:
    target, error = open_target(desk.config, "staging"), refusal("AccessDenied")
    refused = classify(error, target.attempt(door.name, "ssm:GetParameter", ARN))
    assert isinstance(refused, Refused)
    assert f"may not ssm:GetParameter on {ARN}: the parameter door of account 111111111111 is shut" in str(
        refused
    )
    assert "Account 111111111111 opens it: crossaccount share CONFIG" in str(refused)
    answer = shut("staging", target.account, refused)
    assert (answer.door, answer.resource) == ("parameter", NAME)
    # The deployer's own policies have no such action in the sandbox, and that is asked about at this door too.
    with (
        pytest.raises(Refused, match=r"the policies of .* must allow ssm:GetParameter"),
        target.explained("ssm:GetParameter", ARN, door.name),
    ):
        raise error


def test_the_flows_write_it_under_its_lock_and_take_it_back(desk: Desk, door: ParameterDoor) -> None:
    from flows.producer import revoke_access, share_models

    shared = share_models(str(desk.path))
    assert [receipt.resource.kind for receipt in shared.receipts][-2:] == ["parameter", "model-package-group"]
    assert members(door) == {STAGING, PRODUCTION}
    revoke_access(str(desk.path), everything=True, force=True)
    assert members(door) == set()


def test_a_write_without_effect_is_said_and_nobody_else_is_blamed(
    desk: Desk, door: ParameterDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apply, "_SHOWN_PAUSES", (0.01,) * 5)
    monkeypatch.setattr(door, "write", lambda *_: None)
    before = desk.plan()
    with pytest.raises(
        Conflict, match=r"parameter .* was written 3 times .* the\s+write has no effect"
    ) as conflict:
        desk.share()
    assert "overwritten" not in str(conflict.value)
    assert desk.plan().digest == before.digest
