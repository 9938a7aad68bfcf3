"""Every write and every removal of every command loses its answer once: the command ends well, and all is as without that.

The writes are those of an undisturbed run, from the sandbox's log. What was taken away is not granted again, and what was made is
not made twice.
"""

from __future__ import annotations

import json
import re
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from crossaccount.aws import sessions
from crossaccount.aws.access import Producer, Target, open_producer, open_target
from crossaccount.config.loading import load_config
from crossaccount.config.model import Sharing
from crossaccount.hosting import creation, preflight, removal, state, temporary
from crossaccount.hosting.gateway import Patience
from crossaccount.hosting.resources import HostedResource, deployment_name
from crossaccount.promotion import moving, records
from crossaccount.promotion.outcome import Result
from crossaccount.promotion.records import Record
from crossaccount.proof.proof import prove
from crossaccount.proof.questions import questions
from crossaccount.sharing import apply, gather, publish, revoke
from crossaccount.sharing.plan import plan_share

GROUP, BUCKET = "decision-trees-sample", "producer-models-111111111111"
QUICK = Patience(20, 0.06, 0.2)
WRITING = re.compile(r"(Create|Update|Delete|Put|Set|Add|Register|Deregister)[A-Z]\w*")
WHEN = datetime(2026, 11, 30, tzinfo=UTC)
Entry = dict[str, Any]


@dataclass
class Scene:
    """The sandbox's two accounts as the product sees them, without any of its retries' waits."""

    aws: Any
    sharing: Sharing
    producer: Producer
    target: Target
    log: list[Entry] = field(default_factory=list)

    def share(self) -> None:
        found = gather.gather(self.producer)
        plan = plan_share(self.sharing, found)
        prepared = [publish.prepare(self.producer, one, found, plan) for one in found.versions]
        apply.apply(self.producer, plan)
        for release, new in prepared:
            assert not new or publish.publish(self.producer, release) is release

    def revoke(self) -> None:
        revocation = revoke.choose(self.sharing, everything=True)
        apply.apply(
            self.producer, revoke.plan_revocation(self.sharing, revoke.gather(self.producer), revocation)
        )

    def deploy(self) -> None:
        target, made = self.target, list[HostedResource]()
        release = preflight.read_release(target, preflight.find_version(target, 1))
        name = deployment_name(target.consumer, 1)
        assert temporary.try_model(target, release).outcome in ("removed", "gone")
        try:
            made.append(creation.ensure_model(target, release, False, "a-run"))
            made.append(creation.ensure_endpoint_config(target, release, name, False, "a-run"))
            made.append(creation.ensure_endpoint(target, release, False, QUICK, "a-run"))
            creation.wait_in_service(target, name, QUICK)
            assert prove(target, release, name, questions(target, release)).verified
        finally:
            removals = removal.remove(target, made, QUICK)
        assert {each.outcome for each in removals} <= {"removed", "gone"}

    def promote(self) -> None:
        for version in (1, 2):
            release = preflight.read_release(self.target, preflight.find_version(self.target, version))
            outcome = moving.promote(self.target, release, QUICK, moving.Run(flow_run="a-run"))
            assert outcome.result is Result.PROMOTED, outcome.text
            assert not outcome.left
        previous = state.previous_config(self.target)
        assert previous is not None
        release = preflight.read_release(self.target, preflight.find_version(self.target, previous.version))
        back = moving.go_back(self.target, previous, release, QUICK)
        assert back.live == 1, back.text
        part = {"consumer": "staging", "result": "promoted"}
        times = {"started": WHEN, "ended": WHEN, "consumers": [part]}
        who = {"run": "a-run", "started_by": "a test", "model_package_group": GROUP}
        records.write(self.producer, Record(kind="promotion", version=2, outcome="succeeded", **who, **times))

    def standing(self) -> dict[str, Any]:
        """Everything that a command may change: policies, objects of the producer, what the consumer hosts and its tags."""
        s3, sm = self.aws.admin("producer", "s3"), self.aws.admin("staging", "sagemaker")
        listed = s3.list_objects_v2(Bucket=BUCKET, Prefix="releases/").get("Contents", [])
        arns = [one["EndpointArn"] for one in sm.list_endpoints()["Endpoints"]]
        arns += [one["EndpointConfigArn"] for one in sm.list_endpoint_configs()["EndpointConfigs"]]
        arns += [one["ModelArn"] for one in sm.list_models()["Models"]]
        tags = {
            arn: {each["Key"]: each["Value"] for each in sm.list_tags(ResourceArn=arn)["Tags"]}
            for arn in arns
        }
        for each in tags.values():
            each.pop("crossaccount:proven", None)
            each.pop("crossaccount:run-since", None)
        documents = json.dumps(self.aws.documents(), sort_keys=True)
        objects = sorted((each["Key"], each["ETag"]) for each in listed)
        return {"documents": documents, "objects": objects, "hosted": tags}

    def clear(self) -> None:
        """Take away everything that a command made."""
        sm, s3 = self.aws.admin("staging", "sagemaker"), self.aws.admin("producer", "s3")
        removal.end_trials(self.target, QUICK)
        removal.take_down(self.target, QUICK)
        name = self.target.consumer.endpoint.name
        if self.aws.hosted("staging")["endpoints"]:
            sm.delete_endpoint(EndpointName=name)
        for config in self.aws.hosted("staging")["configs"]:
            sm.delete_endpoint_config(EndpointConfigName=config)
        for model in self.aws.hosted("staging")["models"]:
            sm.delete_model(ModelName=model)
        for entry in s3.list_objects_v2(Bucket=BUCKET, Prefix="releases/_promotions/").get("Contents", []):
            s3.delete_object(Bucket=BUCKET, Key=entry["Key"])

    def faults(self, *rules: dict[str, Any]) -> list[dict[str, Any]]:
        """Put rules to work, or with none take all away; those that were at work."""
        at_work = json.loads(self._ask("GET"))["faults"]
        self._ask("DELETE")
        if rules:
            self._ask("PUT", json.dumps(rules).encode())
        return list(at_work)

    def _ask(self, method: str, body: bytes | None = None) -> Any:
        url = f"{self.aws.url}/_sandbox/faults"
        with urllib.request.urlopen(urllib.request.Request(url, method=method, data=body)) as answer:
            return answer.read()


BEFORE: dict[str, tuple[str, ...]] = {
    "share": (),
    "revoke": ("share",),
    "deploy": ("share",),
    "promote": ("share",),
}
# The writes of each command, in the order of their first calls.
WRITES = {
    "share": ["SetRepositoryPolicy", "PutBucketPolicy", "PutKeyPolicy", "PutModelPackageGroupPolicy", "PutObject"],
    "revoke": ["DeleteRepositoryPolicy", "DeleteBucketPolicy", "PutKeyPolicy", "DeleteModelPackageGroupPolicy"],
    "deploy": [
        *("CreateModel", "DeleteModel", "CreateEndpointConfig", "CreateEndpoint"),
        *("DeleteEndpoint", "DeleteEndpointConfig"),
    ],
    "promote": [
        *("CreateModel", "CreateEndpointConfig", "CreateEndpoint", "DeleteEndpoint", "DeleteEndpointConfig"),
        *("AddTags", "UpdateEndpoint", "DeleteTags", "PutObject"),
    ],
}  # fmt: skip
MADE = ("CreateModel", "CreateEndpointConfig", "CreateEndpoint", "PutObject", "UpdateEndpoint")
GRANTS = ("SetRepositoryPolicy", "PutBucketPolicy", "PutModelPackageGroupPolicy")


@pytest.fixture(scope="module", autouse=True)
def reused() -> Iterator[None]:
    """Both roles are assumed once for all tests: none of them is about that."""
    with sessions.reuse():
        yield


@pytest.fixture
def scene(aws: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    import time

    sleep = time.sleep
    monkeypatch.setattr("time.sleep", lambda seconds: sleep(min(seconds, 0.06)))
    monkeypatch.setattr("crossaccount.hosting.gateway.FIRST_SECONDS", 0.06)
    sharing = load_config(aws.config)
    with aws.restored():
        made = Scene(aws, sharing, open_producer(sharing), open_target(sharing, "staging"))
        yield made
        made.faults()
        made.clear()


def run(scene: Scene, command: str, *rules: dict[str, Any]) -> tuple[dict[str, Any], list[Entry]]:
    """Run a command in its setting; what stands then, and the writes in the log."""
    for before in BEFORE[command]:
        getattr(scene, before)()
    scene.faults(*rules)
    with scene.aws.calls() as calls:
        getattr(scene, command)()
    assert all(rule["done"] for rule in scene.faults() if not rule["skip"]), "a rule befell nothing"
    return scene.standing(), [each for each in calls if WRITING.fullmatch(each["operation"] or "")]


UNDISTURBED: dict[str, tuple[dict[str, Any], list[Entry]]] = {}


def undisturbed(scene: Scene, command: str) -> tuple[dict[str, Any], list[Entry]]:
    if command not in UNDISTURBED:
        with scene.aws.restored():
            UNDISTURBED[command] = run(scene, command)
        scene.clear()
    return UNDISTURBED[command]


def lost(operation: str, kind: str) -> list[dict[str, Any]]:
    """Rules by which every call of an operation loses its answer, and its repetition does not."""
    rule = {"kind": kind, "operation": operation, "when": "after", "times": 1}
    return [{**rule, "skip": skip} for skip in range(0, 20, 2)]


def effects(writes: list[Entry]) -> Counter[tuple[str, str]]:
    """How often each thing was made: an answer that was lost is one to a call that was carried out."""
    return Counter(
        (each["operation"], each["resource"])
        for each in writes
        if each["operation"] in MADE and each["status"] in (200, None, 500)
    )


@pytest.mark.parametrize("command", WRITES)
def test_the_writes_of_a_command_are_these(scene: Scene, command: str) -> None:
    _, writes = undisturbed(scene, command)
    assert list(dict.fromkeys(each["operation"] for each in writes)) == WRITES[command]


CASES = [
    *((command, (operation,), "drop") for command, operations in WRITES.items() for operation in operations),
    *((command, tuple(operations), "error") for command, operations in WRITES.items()),
]


@pytest.mark.parametrize(
    ("command", "operations", "kind"),
    CASES,
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_a_write_whose_answer_is_lost_is_made_once(
    scene: Scene, command: str, operations: tuple[str, ...], kind: str
) -> None:
    expected, usual = undisturbed(scene, command)
    standing, writes = run(scene, command, *(rule for each in operations for rule in lost(each, kind)))
    assert standing == expected
    assert effects(writes) == effects(usual)
    if command == "revoke":
        assert not [each for each in writes if each["operation"] in GRANTS], "granted again"
