"""A share and a deployment on AWS's bad days: they come about all the same, or all is as it was."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from crossaccount.aws.access import open_target, producing
from crossaccount.config.loading import load_config
from crossaccount.hosting import creation, preflight, removal
from crossaccount.hosting.gateway import Patience
from crossaccount.hosting.resources import HostedResource, deployment_name
from crossaccount.proof.proof import prove
from crossaccount.proof.questions import questions
from crossaccount.release import store
from crossaccount.sharing import publish, revoke
from crossaccount.sharing.plan import plan_share

NAME = "decision-trees-staging"
KINDS = ("repository", "bucket", "key", "group")
GRANTS = ("SetRepositoryPolicy", "PutBucketPolicy", "PutModelPackageGroupPolicy")
Arrange = Callable[..., None]


@pytest.fixture
def befall(aws: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Arrange]:
    """Arranges what befalls calls until the end of the test."""
    monkeypatch.setattr("crossaccount.sharing.apply._BUSY_PAUSES", (0.05,) * 4)
    monkeypatch.setattr("crossaccount.sharing.apply._SHOWN_PAUSES", (0.05,) * 5)
    monkeypatch.setattr("crossaccount.hosting.gateway.FIRST_SECONDS", 0.05)
    monkeypatch.setattr("time.sleep", _briefly())

    def arrange(**rule: Any) -> None:
        ask(aws, "PUT", json.dumps(rule).encode())

    yield arrange
    calm(aws)


def ask(aws: Any, method: str, body: bytes | None = None) -> Any:
    path = f"{aws.url}/_sandbox/faults"
    with urllib.request.urlopen(urllib.request.Request(path, method=method, data=body)) as answer:
        return answer.read()


def calm(aws: Any) -> None:
    """Take away every rule; each befell something."""
    seen = json.loads(ask(aws, "GET"))["faults"]
    ask(aws, "DELETE")
    assert all(one["done"] for one in seen), "a rule befell nothing"


def _briefly() -> Callable[[float], None]:
    """Retries wait for seconds; here they hardly wait. What waits for a tenth of a second does so."""
    import time

    sleep = time.sleep
    return lambda seconds: sleep(seconds if seconds <= 0.1 else 0.02)


def share(desk: Any) -> None:
    """A share, as the flow makes it."""
    with producing(desk.sharing):
        found = desk.gather()
        plan = plan_share(desk.sharing, found)
        prepared = [publish.prepare(desk.producer, one, found, plan) for one in found.versions]
        desk.apply(plan)
        for made, new in prepared:
            if new:
                publish.publish(desk.producer, made)


def deploy(desk: Any) -> bool:
    """A deployment of version 1, as the flow makes it, taken down again; whether it was proved."""
    target, patience = open_target(load_config(desk.aws.config), "staging"), Patience(10)
    version = preflight.find_version(target, 1)
    found = preflight.read_release(target, version)
    preflight.check_artifacts(target, found)
    name, made = deployment_name(target.consumer, 1), list[HostedResource]()
    try:
        made.append(creation.ensure_model(target, found, False))
        made.append(creation.ensure_endpoint_config(target, found, name, False))
        made.append(creation.ensure_endpoint(target, found, False, patience))
        creation.wait_in_service(target, name, patience)
        return prove(target, found, name, questions(target, found)).verified
    finally:
        removals = removal.remove(target, made, patience)
        assert {one.outcome for one in removals} <= {"removed", "gone"}, removals


# What passes by itself, at each policy's write and at each step of a deployment.
PASSES: list[dict[str, Any]] = [
    {"kind": "throttle", "rate": 0.25},
    {"kind": "error", "status": 503, "rate": 0.2},
    {"kind": "drop", "rate": 0.15},
    *(
        {"kind": kind, "operation": "PutBucketPolicy", "times": 2, "when": when}
        for kind, when in (
            ("conflict", "before"),
            ("throttle", "before"),
            ("drop", "after"),
            ("error", "after"),
        )
    ),
    {"kind": "conflict", "operation": "PutObject", "times": 4},
    {"kind": "drop", "operation": "SetRepositoryPolicy", "times": 2, "when": "after"},
    {"kind": "drop", "operation": "PutKeyPolicy", "times": 2, "when": "after"},
    {"kind": "show-ids", "seconds": 0.3},
]


@pytest.mark.parametrize("rule", PASSES, ids=lambda rule: "-".join(map(str, rule.values())))
def test_a_share_comes_about_all_the_same(desk: Any, befall: Arrange, rule: dict[str, Any]) -> None:
    befall(**rule)
    share(desk)
    assert desk.plan().writes == 0
    assert desk.aws.releases() >= {f"releases/decision-trees-sample/{version}.json" for version in (1, 2)}


@pytest.mark.parametrize(
    ("operation", "kind", "when"),
    [
        ("SetRepositoryPolicy", "throttle", "before"),
        ("PutBucketPolicy", "drop", "after"),
        ("PutKeyPolicy", "error", "after"),
        ("PutModel*Policy", "drop", "before"),
        ("PutModel*Policy", "drop", "after"),
    ],
)
def test_a_write_that_keeps_failing_leaves_all_as_it_was(
    desk: Any, befall: Arrange, operation: str, kind: str, when: str
) -> None:
    before = desk.aws.documents()
    plan = desk.plan()
    befall(kind=kind, operation=operation, when=when, times=21)  # as often as a call is made
    with pytest.raises((ClientError, BotoCoreError)) as caught:
        desk.apply(plan)
    assert caught.value.__notes__
    assert desk.aws.documents() == before


def revoke_all(desk: Any) -> None:
    revocation = revoke.choose(desk.sharing, everything=True)
    desk.apply(revoke.plan_revocation(desk.sharing, revoke.gather(desk.producer), revocation))


REMOVALS = ("DeleteRepositoryPolicy", "DeleteBucketPolicy", "PutKeyPolicy", "DeleteModelPackageGroupPolicy")


@pytest.mark.parametrize(
    ("operation", "rule"),
    [
        *((operation, rule) for operation in REMOVALS for rule in (
            {"kind": "throttle"}, {"kind": "error"}, {"kind": "drop"},
        )),
        # Of the others AWS says at the second time that there is none.
        *((operation, {"kind": kind, "when": "after"}) for operation in REMOVALS[1:3] for kind in ("error", "drop")),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value.values()),
)  # fmt: skip
def test_access_that_was_taken_away_is_not_granted_again_for_want_of_an_answer(
    desk: Any, befall: Arrange, operation: str, rule: dict[str, Any]
) -> None:
    before = desk.aws.documents()
    share(desk)
    granted = desk.aws.documents()
    befall(**rule, operation=operation)
    with desk.aws.calls() as calls, pytest.raises((ClientError, BotoCoreError)) as caught:
        revoke_all(desk)
    made = [each["operation"] for each in calls if each["operation"] in (*REMOVALS, *GRANTS)]
    taken = REMOVALS.index(operation)
    assert list(dict.fromkeys(made)) == list(REMOVALS[: taken + 1]), "nothing is granted again"
    assert len(caught.value.__notes__) == taken + 1
    assert all("no access is granted again" in note for note in caught.value.__notes__)
    after = desk.aws.documents()
    for kind in KINDS[:taken]:
        assert after[kind] == before[kind]
    for kind in KINDS[taken + 1 :]:
        assert after[kind] == granted[kind]


@pytest.mark.parametrize("refused", range(1, 4))
def test_a_revoke_that_is_refused_in_the_middle_leaves_all_as_it_was(desk: Any, refused: int) -> None:
    share(desk)
    granted = desk.aws.documents()
    operation = REMOVALS[refused]
    service = {"DeleteBucketPolicy": "s3", "PutKeyPolicy": "kms"}.get(operation, "sagemaker")
    client, calls = getattr(desk.producer, service), []

    def refuse(**_: Any) -> None:
        calls.append(operation)
        if len(calls) == 1:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, operation)

    event = f"before-call.{client.meta.service_model.service_id.hyphenize()}.{operation}"
    client.meta.events.register(event, refuse)
    with pytest.raises(ClientError, match="AccessDenied"):
        revoke_all(desk)
    assert desk.aws.documents() == granted


KEY, BODY = "releases/_promotions/decision-trees-sample/conflict.json", b"{}"


@pytest.mark.parametrize(
    ("there", "stored"), [(BODY, True), (b"{ }", False), (BODY + b"\n", False), (None, None)]
)
def test_a_write_that_stays_in_conflict_is_looked_at(
    desk: Any, befall: Arrange, there: bytes | None, stored: bool | None
) -> None:
    s3 = desk.aws.admin("producer", "s3")
    bucket = desk.sharing.producer.releases_bucket
    if there is not None:
        s3.put_object(Bucket=bucket, Key=KEY, Body=there)
    befall(kind="conflict", operation="PutObject")
    if stored is None:
        with pytest.raises(ClientError, match="ConditionalRequestConflict"):
            store.write_once(desk.producer, KEY, BODY)
    else:
        assert store.write_once(desk.producer, KEY, BODY) is stored


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "throttle", "rate": 0.25, "service": "sagemaker*"},
        {"kind": "error", "rate": 0.2, "service": "sagemaker*"},
        *(
            {"kind": "drop", "operation": operation, "when": "after", "times": 1}
            for operation in ("CreateModel", "CreateEndpointConfig", "CreateEndpoint", "DeleteEndpoint")
        ),
        *({"kind": "drop", "operation": one, "when": "after", "times": 1} for one in ("DeleteModel", "DeleteEndpointConfig")),
    ],
    ids=lambda rule: "-".join(map(str, rule.values())),
)  # fmt: skip
def test_a_deployment_comes_about_all_the_same(desk: Any, befall: Arrange, rule: dict[str, Any]) -> None:
    share(desk)
    befall(**rule)
    assert deploy(desk)
    calm(desk.aws)
    assert not any(desk.aws.hosted("staging").values())
