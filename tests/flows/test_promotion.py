"""Promotion as its operators run it: stage by stage, all consumers of a stage at once, asked, recorded, taken back."""

from __future__ import annotations

import contextlib
import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from httpx import HTTPStatusError
from prefect.client.orchestration import get_client
from prefect.client.schemas.sorting import FlowRunSort

from crossaccount import arns
from crossaccount.aws.access import open_producer
from crossaccount.config.loading import load_config
from crossaccount.errors import Failed, InputError, PromotionFailed
from crossaccount.promotion import records
from crossaccount.promotion.outcome import Result
from crossaccount.sharing import gather
from flows import approval
from flows.consumer import deploy_model
from flows.producer import share_models
from flows.promotion import move_endpoint, promote_model, rollback_model
from tasks import locks

FURTHER = [f"consumer-{number:02}" for number in range(1, 5)]


def document(aws: Any, **consumers: Any) -> dict[str, Any]:
    """The sandbox's config with these consumers, each as staging but for what is said."""
    whole: dict[str, Any] = yaml.safe_load(aws.config.read_text())
    staging = whole["consumers"]["staging"]
    found = {}
    for name, changes in consumers.items():
        name = name.replace("_", "-")
        account = aws.id(name)
        found[name] = {
            **staging,
            "account": account,
            "role": f"arn:aws:iam::{account}:role/crossaccount-deployer",
            "external_id": f"sandbox-{name}",
            "profile": name,
            "execution_role": f"arn:aws:iam::{account}:role/crossaccount-execution",
            "endpoint": {"name": f"decision-trees-{name}", "instance_type": "ml.m5.large"},
            **changes,
        }
    return {**whole, "consumers": found}


@pytest.fixture
def written(aws: Any, tmp_path: Any) -> Any:
    """Writes a config; afterwards nothing is hosted anywhere, and the policies are as they were."""

    used: set[str] = set()

    def write(**consumers: Any) -> str:
        used.update(name.replace("_", "-") for name in consumers)
        path = tmp_path / "promotion.yaml"
        path.write_text(yaml.safe_dump(document(aws, **consumers), sort_keys=False))
        return str(path)

    with aws.restored():
        yield write
    aws.clear(used)


def remembered(path: str) -> list[records.Record]:
    sharing = load_config(path)
    producer = open_producer(sharing)
    return list(records.read(producer, 50))


def live(aws: Any, account: str) -> str | None:
    """The version that an account's endpoint serves, by its endpoint config's name."""
    sm = aws.admin(account, "sagemaker")
    try:
        found = sm.describe_endpoint(EndpointName=f"decision-trees-{account}")
    except sm.exceptions.ClientError:
        return None
    return str(found["EndpointConfigName"]).split("-v")[-1].split("-")[0]


def arranged(aws: Any, account: str, **outcome: Any) -> None:
    """What becomes of the next change of the account's endpoint."""
    where = {"account": aws.id(account), "endpoint": f"decision-trees-{account}"}
    body = json.dumps({**where, "outcome": outcome}).encode()
    request = urllib.request.Request(f"{aws.url}/_sandbox/outcomes", body, method="PUT")
    with urllib.request.urlopen(request, timeout=10):
        pass


def test_six_consumers_in_three_stages_stop_at_the_stage_that_fails(aws: Any, written: Any) -> None:
    names = ["staging", "production", *FURTHER]
    stages = dict(zip(names, (1, 1, 2, 2, 2, 3), strict=True))
    consumers = {name: {"stage": stage, "smoke_mode": "after"} for name, stage in stages.items()}
    consumers["consumer-02"]["external_id"] = "wrong"
    path = written(**consumers)
    with aws.calls() as calls, pytest.raises(PromotionFailed, match="consumer-02: failed") as error:
        promote_model(path)
    told = {one["consumer"]: one for one in error.value.promotion["consumers"]}
    assert list(told) == names, "every consumer's outcome is reported"
    results = [told[name]["result"] for name in names]
    assert results == ["promoted"] * 2 + ["promoted", "failed", "promoted"] + ["skipped"]
    assert "role-trust" in told["consumer-02"]["text"]
    assert told["consumer-04"]["text"] == "Stage 2 did not succeed."

    # The third stage's accounts were not even asked.
    third = {aws.id(name) for name in names[5:]}
    assert not [one for one in calls if one["account"] in third]
    for stage in (names[:2], names[2:5]):
        # All at once: every one of them had begun before any of them was done.
        spans = [
            [
                one["time"]
                for one in calls
                if one["account"] == aws.id(name) and "deployer" in str(one["caller"])
            ]
            for name in stage
        ]
        spans = [span for span in spans if span]
        assert max(span[0] for span in spans) < min(span[-1] for span in spans)
    found = remembered(path)[0]
    assert (found.kind, found.outcome, found.version, len(found.consumers)) == ("promotion", "failed", 2, 6)
    assert {live(aws, name) for name in names[:2]} == {"2"}
    assert {live(aws, name) for name in names[5:]} == {None}

    # The next run goes on where this one ended, and touches nothing that stands.
    consumers["consumer-02"]["external_id"] = "sandbox-consumer-02"
    path = written(**consumers)
    done = promote_model(path)
    assert [one.result for one in done.consumers] == [
        *[Result.UNCHANGED] * 3,
        Result.PROMOTED,
        Result.UNCHANGED,
        Result.PROMOTED,
    ]


def test_nothing_to_do_is_quick_and_quiet(aws: Any, written: Any) -> None:
    path = written(staging={})
    promote_model(path)
    before = len(remembered(path))
    with aws.calls() as calls:
        done = promote_model(path)
    assert [one.result for one in done.consumers] == [Result.UNCHANGED]
    assert done.record == ""
    assert len(remembered(path)) == before
    writes = ("Put", "Set", "Create", "Update", "Delete", "AddTags", "Invoke")
    assert [one["operation"] for one in calls if one["operation"].startswith(writes)] == []


SAYS = {
    99: "decision-trees-sample has no version 99. It has: 3 (PendingManualApproval), 2 (Approved), 1 (Approved).",
    3: "Version 3 of decision-trees-sample is PendingManualApproval, not Approved.",
}


@pytest.mark.parametrize("version", SAYS)
def test_every_flow_says_the_same_of_a_version_that_cannot_be_had(
    aws: Any, written: Any, version: int
) -> None:
    path = written(staging={})
    share_models(path)
    promote_model(path, 1)
    before = aws.documents()
    found = {}
    for name, ask in {
        "promote": lambda: promote_model(path, version),
        "its dry run": lambda: promote_model(path, version, dry_run=True),
        "deploy": lambda: deploy_model(path, "staging", version),
        "its dry run too": lambda: deploy_model(path, "staging", version, dry_run=True),
        "rollback": lambda: rollback_model(path, "staging", "it drifted", version),
        "a part of a promotion": lambda: move_endpoint(path, "staging", version),
        "a part of a rollback": lambda: move_endpoint(path, "staging", version, back=True),
    }.items():
        with pytest.raises((Failed, PromotionFailed)) as error:
            ask()
        found[name] = str(error.value)
        assert error.value.exit_code == 1
    assert {name: text for name, text in found.items() if SAYS[version] not in text} == {}
    assert aws.documents() == before
    with pytest.raises(Failed, match=r"no version 2 that proved itself and is still kept \(kept: 1\)"):
        rollback_model(path, "staging", "it drifted", 2)


def test_a_version_is_pinned_once_and_an_unshared_one_is_refused(aws: Any, written: Any) -> None:
    path, before = written(staging={}), aws.documents()
    with pytest.raises(
        Failed, match="Version 3 of decision-trees-sample is PendingManualApproval, not Approved"
    ):
        promote_model(path, version=3)
    assert aws.documents() == before, "nothing is shared for a version that cannot be promoted"
    done = promote_model(path, version=1)
    assert (done.version, live(aws, "staging")) == (1, "1")
    with open(path) as file:
        listed = {**yaml.safe_load(file), "versions": [1]}
    with open(path, "w") as file:
        yaml.safe_dump(listed, file)
    with pytest.raises(InputError, match="does not share version 2"):
        promote_model(path, version=2)


BUCKET, GROUP = "producer-models-111111111111", "decision-trees-sample"
IMAGE = f"111111111111.dkr.ecr.us-east-1.amazonaws.com/{GROUP}:1"


@contextlib.contextmanager
def registered(aws: Any, uri: str, **container: Any) -> Iterator[int]:
    """A further approved version for a while; its number."""
    sagemaker = aws.admin("producer", "sagemaker")
    made = sagemaker.create_model_package(
        ModelPackageGroupName=GROUP,
        ModelApprovalStatus="Approved",
        InferenceSpecification={
            "Containers": [{"ModelDataUrl": uri, **container}],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["application/json"],
            "SupportedRealtimeInferenceInstanceTypes": ["ml.m5.large"],
        },
    )["ModelPackageArn"]
    try:
        yield int(made.rpartition("/")[2])
    finally:
        sagemaker.delete_model_package(ModelPackageName=made)


def test_a_version_is_promoted_beside_newer_ones_that_cannot_be(aws: Any, written: Any) -> None:
    path, s3 = written(staging={}), aws.admin("producer", "s3")
    here, gone = (f"models/{GROUP}/{name}/model.tar.gz" for name in ("1", "expired"))
    base = {"HubContentName": "base", "HubContentVersion": "1.0.0"}
    with registered(aws, f"s3://{BUCKET}/{here}", BaseModel=base) as without_image:
        assert (promote_model(path).version, live(aws, "staging")) == (2, "2"), "the newest with an image"
        with pytest.raises(Failed, match="no image of its own"):
            promote_model(path, version=without_image)
        with registered(aws, f"s3://{BUCKET}/{gone}", Image=IMAGE) as expired:
            assert (promote_model(path, version=1).version, live(aws, "staging")) == (1, "1")
            for version in (None, expired):  # an older one instead could be a step back
                with pytest.raises(Failed, match=f"version {expired} of {GROUP}.*The artifact is missing"):
                    promote_model(path, version=version)
            s3.copy_object(Bucket=BUCKET, Key=gone, CopySource={"Bucket": BUCKET, "Key": here})
            share_models(path)
            s3.delete_object(Bucket=BUCKET, Key=gone)  # its Release stays
            assert (promote_model(path, version=2).version, live(aws, "staging")) == (2, "2")


def test_what_aws_rolls_back_is_a_failure_that_names_the_live_version(aws: Any, written: Any) -> None:
    path = written(staging={"smoke_mode": "after"})
    promote_model(path, version=1)
    arranged(aws, "staging", kind="unhealthy")
    with pytest.raises(PromotionFailed, match=r"version 1 is live \(decision-trees-staging-v1-") as error:
        promote_model(path, version=2)
    assert "did not pass the ping health check" in str(error.value)
    assert ":  The primary" not in str(error.value)  # as AWS's own text begins with a blank
    assert live(aws, "staging") == "1"
    hosted = aws.hosted("staging")
    assert [name for names in hosted.values() for name in names if "-v2" in name] == []
    found = remembered(path)[0]
    assert (found.outcome, found.consumers[0]["live"], found.consumers[0]["before"]) == ("failed", 1, 1)


def test_what_was_rolled_back_is_held_until_somebody_names_the_version(aws: Any, written: Any) -> None:
    path = written(staging={}, production={"stage": 2})
    promote_model(path, version=1)
    promote_model(path, version=2)
    back = rollback_model(path, "staging", "answers drifted")
    assert (back.version, live(aws, "staging"), live(aws, "production")) == (1, "1", "2")
    assert back.consumers[0].proofs[0].verified
    nightly = promote_model(path)
    assert [one.result for one in nightly.consumers] == [Result.HELD, Result.UNCHANGED]
    assert "answers drifted" in nightly.consumers[0].text
    assert live(aws, "staging") == "1"
    asked = promote_model(path, version=2)
    assert [one.result for one in asked.consumers] == [Result.PROMOTED, Result.UNCHANGED]
    kinds = [(one.kind, one.outcome, one.reason) for one in remembered(path)[:2]]
    assert kinds == [("promotion", "succeeded", ""), ("rollback", "succeeded", "answers drifted")]


@pytest.mark.parametrize(
    ("what", "says"), [({"reason": " "}, "say why"), ({"consumer": "ghost"}, "not a consumer")]
)
def test_a_rollback_needs_a_consumer_and_a_reason(aws: Any, written: Any, what: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        rollback_model(**{"config": written(staging={}), "consumer": "staging", "reason": "x", **what})


@contextlib.contextmanager
def running(path: str, **more: Any) -> Iterator[list[Any]]:
    """A promotion in a thread of its own; what it gave, or raised, at the end."""
    ended: list[Any] = []

    def run() -> None:
        try:
            ended.append(promote_model(path, approve=True, **more))
        except Exception as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    yield ended
    thread.join(60)
    assert ended


def answered(known: set[Any], decision: str) -> str:
    """Wait until the run waits, then answer; what it was asked."""
    with get_client(sync_client=True) as client:
        for _ in range(200):
            runs = [
                one
                for one in client.read_flow_runs(limit=20, sort=FlowRunSort.START_TIME_DESC)
                if one.id not in known
            ]
            waiting = [one for one in runs if one.state and one.state.name == "Paused"]
            if waiting:
                found = waiting[0]
                keys = found.state.state_details.run_input_keyset
                try:
                    asked = client.read_flow_run_input(found.id, keys["description"])
                except HTTPStatusError:  # the state comes first, and then what is asked
                    time.sleep(0.1)
                    continue
                client.resume_flow_run(found.id, run_input={"decision": decision, "reason": "seen"})
                return str(asked)
            time.sleep(0.1)
    raise AssertionError("nobody waits for an answer")


def known() -> set[Any]:
    with get_client(sync_client=True) as client:
        return {one.id for one in client.read_flow_runs(limit=20, sort=FlowRunSort.START_TIME_DESC)}


@pytest.mark.parametrize(("decision", "second"), [("approve", Result.PROMOTED), ("stop", Result.SKIPPED)])
def test_a_person_is_asked_between_stages(
    aws: Any, written: Any, monkeypatch: pytest.MonkeyPatch, decision: str, second: Result
) -> None:
    monkeypatch.setattr(approval, "_LOOK_SECONDS", 0.2)
    path, before = written(staging={}, production={"stage": 2}), known()
    with running(path) as ended:
        asked = answered(before, decision)
    asked = json.loads(asked)
    assert asked.startswith("**Promote version 2 to stage 2: production?** Resume goes on.")
    assert len(asked) < 1200, "the question is seen whole; the proof is behind a link"
    assert "4 of 4 as expected" in asked
    assert "/artifacts/key/proof-decision-trees-staging-v2" in asked
    (end,) = ended
    found = end.promotion["consumers"] if isinstance(end, PromotionFailed) else end.to_json()["consumers"]
    assert [one["result"] for one in found] == ["promoted", str(second)]
    assert live(aws, "production") == ("2" if second is Result.PROMOTED else None)
    assert remembered(path)[0].outcome == ("succeeded" if second is Result.PROMOTED else "stopped")


def test_without_an_answer_in_time_the_later_stages_stay_as_they_are(
    aws: Any, written: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(approval, "_LOOK_SECONDS", 0.2)
    path = written(staging={}, production={"stage": 2})
    with running(path, approval_seconds=1) as ended:
        pass
    assert isinstance(ended[0], PromotionFailed)
    assert "Nobody approved stage 2 within 1 s" in str(ended[0])
    assert (live(aws, "staging"), live(aws, "production")) == ("2", None)


def test_a_plan_that_was_not_agreed_to_promotes_nothing(aws: Any, written: Any) -> None:
    path = written(staging={})
    with pytest.raises(Exception, match="no longer the one that was agreed to"):
        promote_model(path, agreed="0" * 16)
    assert live(aws, "staging") is None
    agreed = gather.make_plan(load_config(path)).digest
    assert promote_model(path, agreed=agreed).consumers[0].result is Result.PROMOTED
    # What was agreed to stands: a run that begins anew after an approval has no other plan.
    assert promote_model(path, agreed=agreed).consumers[0].result is Result.UNCHANGED


def test_another_run_that_holds_the_endpoint_is_waited_for_and_then_named(
    aws: Any, written: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "_WAIT_SECONDS", 1.0)
    path = written(staging={})
    arn = arns.endpoint_arn(load_config(path), load_config(path).consumers["staging"])
    with (
        locks.writing([arn]),
        pytest.raises(PromotionFailed, match=r"Other runs have been writing to .*endpoint/"),
    ):
        promote_model(path)
    assert live(aws, "staging") is None
    assert promote_model(path).consumers[0].result is Result.PROMOTED
