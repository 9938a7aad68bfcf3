"""Consumers whose part of a promotion is done by runs of a deployment, in work pools of their own.

A worker is played by a thread that takes the deployment's runs and runs them in this process, as a worker's subprocess would.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import yaml
from prefect import flow as prefect_flow
from prefect.artifacts import create_table_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateName,
)
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import UnfinishedRun
from prefect.flow_engine import run_flow
from prefect.states import Cancelled, Crashed, Pending

from crossaccount.aws.access import open_producer
from crossaccount.config.loading import load_config
from crossaccount.errors import Failed, InputError, PlanRefused, PromotionFailed
from crossaccount.promotion import moving, records
from crossaccount.promotion.outcome import ConsumerOutcome, Result, mismatch, not_moved, read_outcome
from flows.audit import check_access
from flows.consumer import deploy_model
from flows.producer import revoke_access, share_models
from flows.promotion import move_endpoint, promote_model, rollback_model
from tasks import delegation, reviewed
from tasks import promotion as steps

ALL = ("staging", "production")
Job = Callable[[FlowRun], None]


def runs_of(deployment: UUID, *names: str) -> list[FlowRun]:
    """The deployment's runs, the oldest first; of these state names, if any are given."""
    wanted = FlowRunFilter(
        state=FlowRunFilterState(name=FlowRunFilterStateName(any_=list(names))) if names else None
    )
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(
            flow_run_filter=wanted,
            deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment])),
        )
    return sorted(found, key=lambda one: one.created or one.updated)


def set_state(run: FlowRun, state: Any) -> None:
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run.id, state, force=True)


def work(run: FlowRun) -> None:
    """What a worker's subprocess does; a run that fails says so in its own state."""
    with contextlib.suppress(PromotionFailed, InputError):
        run_flow(move_endpoint, flow_run=run)


class Worker(threading.Thread):
    """Takes the runs of a deployment, one after the other, with an AWS config file of its own if it is given one."""

    def __init__(self, deployment: UUID, job: Job = work, profiles: str | None = None) -> None:
        super().__init__(daemon=True)
        self.deployment, self.job, self.profiles = deployment, job, profiles
        self.done: list[FlowRun] = []
        self.broken: BaseException | None = None
        self.over = threading.Event()
        self.busy = threading.Lock()

    def run(self) -> None:
        while not self.over.wait(0.05):
            for run in runs_of(self.deployment, "Scheduled", "Late"):
                set_state(run, Pending())
                self._with_its_own(run)
                self.done.append(run)

    def _with_its_own(self, run: FlowRun) -> None:
        with self.busy:
            self._do(run)

    def _do(self, run: FlowRun) -> None:
        before = os.environ["AWS_CONFIG_FILE"]
        os.environ["AWS_CONFIG_FILE"] = self.profiles or before
        try:
            self.job(run)
        except BaseException as error:
            self.broken = error  # the test fails with it; the promotion must not wait for this thread
            set_state(run, Crashed())
        finally:
            os.environ["AWS_CONFIG_FILE"] = before

    def __enter__(self) -> Worker:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.join(60)
        assert not self.is_alive()
        assert self.broken is None, repr(self.broken)


@pytest.fixture(scope="module")
def deployment(prefect: None) -> UUID:
    # These tests write configs as they go, which no form offers.
    made = move_endpoint.to_deployment("consumers", enforce_parameter_schema=False)
    return UUID(str(made.apply()))


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delegation, "_FIRST_ASK", 0.05)
    monkeypatch.setattr(delegation, "_LONGEST_ASK", 0.1)


@pytest.fixture
def written(aws: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Writes the sandbox's config, production in the second stage; a keyword for each consumer has what else it is given."""
    counted = iter(range(100))
    monkeypatch.setattr(reviewed, "FOLDER", tmp_path)

    def write(**changes: dict[str, Any]) -> str:
        whole = yaml.safe_load(aws.config.read_text())
        whole["consumers"]["production"]["stage"] = 2
        for name in ALL:
            whole["consumers"][name].update({"smoke_mode": "after", "smoke": []} | changes.get(name, {}))
        path = tmp_path / f"fan-out-{next(counted)}.yaml"
        path.write_text(yaml.safe_dump(whole, sort_keys=False))
        return str(path)

    with aws.restored():
        yield write
    for account in ALL:
        sm, hosted = aws.admin(account, "sagemaker"), aws.hosted(account)
        for name in hosted["endpoints"]:
            sm.delete_endpoint(EndpointName=name)
        while sm.list_endpoints()["Endpoints"]:
            time.sleep(0.05)
        for name in hosted["configs"]:
            sm.delete_endpoint_config(EndpointConfigName=name)
        for name in hosted["models"]:
            sm.delete_model(ModelName=name)


ELSEWHERE = {"run_deployment": "move-endpoint/consumers"}


def live(aws: Any, account: str) -> str | None:
    configs = [
        aws.admin(account, "sagemaker").describe_endpoint(EndpointName=name)["EndpointConfigName"]
        for name in aws.hosted(account)["endpoints"]
    ]
    return configs[0].split("-v")[-1].split("-")[0] if configs else None


def remembered(path: str) -> list[records.Record]:
    sharing = load_config(path)
    return list(records.read(open_producer(sharing), 50))


def only(aws: Any, folder: Path, *profiles: str) -> str:
    """An AWS config file with these profiles of the sandbox's alone, their keys in it."""
    whole = Path(aws.ready["env"]["AWS_SHARED_CREDENTIALS_FILE"]).read_text()
    kept = [part for part in whole.split("[") if part.partition("]")[0] in profiles]
    assert len(kept) == len(profiles)
    path = folder / f"{'-'.join(profiles)}.ini"
    path.write_text("".join(f"[profile {part}" for part in kept))
    return str(path)


@contextlib.contextmanager
def ctrl_c_arrives() -> Iterator[None]:
    """Take SIGINT as usual: whoever is started in the background by a script inherits that it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def failure(call: Callable[[], Any], name: str = "staging") -> dict[str, Any]:
    """What a promotion that fails says of a consumer."""
    with pytest.raises(PromotionFailed) as caught:
        call()
    return next(one for one in caught.value.promotion["consumers"] if one["consumer"] == name)


def test_each_side_has_its_own_credentials_alone(
    aws: Any, written: Any, deployment: UUID, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = dict.fromkeys(ALL, ELSEWHERE)
    path = written(**both)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    consumers = only(aws, tmp_path, *ALL)
    monkeypatch.setenv("AWS_CONFIG_FILE", only(aws, tmp_path, "producer"))
    with Worker(deployment, profiles=consumers) as worker:
        believed = delegation._outcome_of

        def once_the_environment_is_this_sides_again(*given: Any) -> Any:
            with worker.busy:
                return believed(*given)

        monkeypatch.setattr(delegation, "_outcome_of", once_the_environment_is_this_sides_again)
        promote_model(path, version=1)
        done = promote_model(path)
        back = rollback_model(path, "production", "answers drifted")
        again = promote_model(path)
    assert [[str(one.result) for one in run.consumers] for run in (done, back, again)] == [
        ["promoted"] * 2,
        ["promoted"],
        ["unchanged", "held"],
    ]
    assert again.record == "", "a rerun changes nothing, and leaves nothing on record"
    assert (live(aws, "staging"), live(aws, "production"), back.version) == ("2", "1", 1)
    assert all(proof.verified for one in (*done.consumers, *back.consumers) for proof in one.proofs)
    kinds = [(one.kind, one.outcome, one.version) for one in remembered(path)[:3]]
    assert kinds == [
        ("rollback", "succeeded", 1),
        ("promotion", "succeeded", 2),
        ("promotion", "succeeded", 1),
    ]
    said = [(one.parameters["consumer"], one.parameters.get("version")) for one in worker.done]
    whole = [(name, version) for version in (1, 2) for name in ALL]
    assert said == [*whole, ("production", None), ("staging", 2)]
    assert all(one.parent_task_run_id for one in worker.done), "each is seen below the run that asked for it"


def test_threads_and_deployments_go_through_the_stages_together(
    aws: Any, written: Any, deployment: UUID
) -> None:
    path = written(staging=ELSEWHERE, production={"stage": 1})
    with Worker(deployment) as worker:
        done = promote_model(path)
    assert [(one.consumer, str(one.result)) for one in done.consumers] == [(name, "promoted") for name in ALL]
    assert [run.parameters["consumer"] for run in worker.done] == ["staging"]
    assert steps.has_work.fn(load_config(path), ALL, [_release(2)], 2), "it cannot be looked at from here"


def _release(version: int) -> Any:
    class Known:
        pass

    found = Known()
    found.version = version  # type: ignore[attr-defined]
    return found


def test_a_part_that_fails_elsewhere_stops_the_promotion_with_its_own_words(
    aws: Any, written: Any, deployment: UUID
) -> None:
    path = written(staging={**ELSEWHERE, "external_id": "wrong"}, production=ELSEWHERE)
    with Worker(deployment) as worker:
        told = failure(lambda: promote_model(path))
    assert (told["result"], "role-trust" in told["text"]) == ("failed", True)
    assert [run.parameters["consumer"] for run in worker.done] == ["staging"], "the next stage was not begun"
    assert runs_of(deployment)[-1].state_name == "Failed"
    found = remembered(path)[0]
    assert [(one["consumer"], one["result"]) for one in found.consumers] == [
        ("staging", "failed"),
        ("production", "skipped"),
    ]


def test_a_rollback_with_nothing_to_go_back_to_fails_with_its_own_words(
    aws: Any, written: Any, deployment: UUID
) -> None:
    path = written(staging=ELSEWHERE)
    with Worker(deployment):
        told = failure(lambda: rollback_model(path, "staging", "drifted"))
    assert "no earlier version that proved itself" in told["text"]
    assert (remembered(path)[0].kind, remembered(path)[0].outcome) == ("rollback", "failed")


def crash(run: FlowRun) -> None:
    set_state(run, Crashed(message="the host went away"))


def claimed(sharing: Any, name: str, number: int, **changes: Any) -> dict[str, Any]:
    """An outcome that says that the consumer served the version already, but for what is changed."""
    honest = not_moved(sharing, name, number, Result.UNCHANGED, "It is there.").to_json()
    return {**honest, "live": number, "proofs": [], "removals": [], **changes}


def forged(**changes: Any) -> Job:
    """A run that claims so without having done anything."""

    def job(run: FlowRun) -> None:
        name, version = run.parameters["consumer"], run.parameters["version"]
        sharing = load_config(reviewed.FOLDER / run.parameters["config"])
        claim = claimed(sharing, name, version, **changes)

        @prefect_flow(name="forger")
        def forge(config: str, consumer: str, back: bool, version: int | None = None) -> None:
            create_table_artifact(key=f"outcome-{consumer}", table=[claim])

        run_flow(forge, flow_run=run)

    return job


PROOF = {
    "consumer": "staging",
    "account": "222222222222",
    "model_package_arn": "arn:aws:sagemaker:us-east-1:111111111111:model-package/decision-trees-sample/1",
    "version": 1,
    "endpoint": "e",
    "images": [],
    "images_match": True,
    "answers": [],
    "verified": True,
    "speed": None,
}
NONE, OTHER = "left an outcome that cannot be read", "not believed"
STRANGE: list[tuple[str, Job, tuple[str, ...]]] = [
    ("crashed", crash, ("ended Crashed and left no outcome: the host went away", "move-endpoint/consumers")),
    ("cancelled", lambda run: set_state(run, Cancelled(message="not today")), ("ended Cancelled", "not today")),
    ("another consumer", forged(consumer="production"), (OTHER, "it is of production")),
    ("another version", forged(version=1, live=1), (OTHER, "it is of version 1")),
    ("no outcome", forged(result="done"), (NONE,)),
]  # fmt: skip


@pytest.mark.parametrize(("job", "says"), [(job, says) for _, job, says in STRANGE], ids=[one for one, _, _ in STRANGE])  # fmt: skip
def test_what_a_run_elsewhere_says_is_held_against_what_was_asked(
    written: Any, deployment: UUID, job: Job, says: tuple[str, ...]
) -> None:
    path = written(staging=ELSEWHERE)
    found = moved(load_config(path), path, deployment, job)
    assert (found.result, found.version, found.live) == (Result.FAILED, 2, None)
    for words in says:
        assert words in found.text


UNLIKE: list[tuple[dict[str, Any], int | None, bool, str]] = [
    ({"account": "333333333333"}, 2, False, "account 333333333333"),
    ({"stage": 7}, 2, False, "stage 7"),
    ({"version": 1, "result": "failed"}, 2, False, "it is of version 1"),
    ({"live": 1}, 2, False, "with 1 live"),
    ({"result": "held"}, 2, False, "its result cannot be held"),
    ({"result": "skipped"}, 2, False, "its result cannot be skipped"),
    ({"result": "promoted"}, 2, False, "no proof of that version"),
    ({"result": "promoted", "proofs": [PROOF]}, 2, False, "no proof of that version"),
    ({"result": "promoted", "proofs": [{**PROOF, "verified": False}], "version": 1, "live": 1}, 1, False, "no proof"),
    ({}, None, True, "its result cannot be unchanged"),
    ({}, 2, False, None),
    ({"result": "failed", "live": None}, None, True, None),
    ({"result": "promoted", "proofs": [PROOF], "version": 1, "live": 1}, None, True, None),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "version", "back", "says"), UNLIKE)
def test_an_outcome_is_of_what_was_asked_or_is_not_believed(
    aws: Any, changes: dict[str, Any], version: int | None, back: bool, says: str | None
) -> None:
    sharing = load_config(aws.config)
    found = read_outcome(json.loads(json.dumps(claimed(sharing, "staging", 2, **changes))))
    why = mismatch(found, sharing, "staging", version, back)
    assert why is says or (says is not None and why is not None and says in why)


@pytest.mark.parametrize(
    "changes",
    [
        {"stage": "1"},
        {"stage": True},
        {"more": 1},
        {"left": ["endpoint e"]},
        {"proofs": [{**PROOF, "more": 1}]},
        {"removals": [{"kind": "bucket", "name": "b", "outcome": "removed", "reason": ""}]},
        {"seconds": float("nan")},
    ],
)
def test_what_is_no_outcome_is_not_made_one(aws: Any, changes: dict[str, Any]) -> None:
    sharing = load_config(aws.config)
    whole = claimed(sharing, "staging", 2)
    assert read_outcome(json.loads(json.dumps(whole))).to_json()["live"] == 2
    for bad in ({**whole, **changes}, [whole], None, {key: whole[key] for key in list(whole)[1:]}):
        with pytest.raises(ValueError, match=r".+"):
            read_outcome(bad)


def moved(sharing: Any, path: str, deployment: UUID, job: Job, run: str | None = None) -> ConsumerOutcome:
    """One consumer's part, asked for by itself: no share before, no record after."""

    @prefect_flow(name="asks")
    def ask() -> ConsumerOutcome:
        return delegation.move_elsewhere(sharing, path, "staging", 2, run or str(uuid4()))

    with Worker(deployment, job):
        return ask()


def test_what_is_under_way_is_waited_for_and_what_has_ended_is_asked_anew(
    aws: Any, written: Any, deployment: UUID
) -> None:
    path, run, before = written(staging=ELSEWHERE), str(uuid4()), len(runs_of(deployment))
    sharing = load_config(path)
    first = moved(sharing, path, deployment, crash, run)
    assert first.result is Result.FAILED
    honest = moved(sharing, path, deployment, forged(), run)
    assert (honest.result, honest.live) == (Result.UNCHANGED, 2), (
        "a run that is tried again is not told of the crash"
    )
    assert len(runs_of(deployment)) == before + 2


def test_a_deployment_that_is_not_there_or_is_of_another_flow(
    aws: Any, written: Any, deployment: UUID
) -> None:
    rollback_model.to_deployment("other").apply()
    for name, says in (
        ("move-endpoint/ghost", "There is no deployment move-endpoint/ghost"),
        ("rollback-model/other", "takes no run of rollback-model/other"),
    ):
        path = written(staging={"run_deployment": name})
        told = moved(load_config(path), path, deployment, crash)
        assert (told.result, says in told.text) == (Result.FAILED, True), told.text


def test_a_run_that_nobody_takes_is_cancelled(
    aws: Any, written: Any, deployment: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delegation, "_PICKUP_SECONDS", 0.3)
    path = written(staging=ELSEWHERE)
    told = failure(lambda: promote_model(path))
    assert "no worker took it" in told["text"]
    assert "Start one: " in told["text"]
    assert runs_of(deployment)[-1].state_name == "Cancelled"

    def brings_nothing_up(run: FlowRun) -> None:
        while not any(one.id == run.id for one in runs_of(deployment, "Cancelling")):
            time.sleep(0.05)
        set_state(run, Cancelled())

    assert "no worker took it" in moved(load_config(path), path, deployment, brings_nothing_up).text


def test_a_cancelled_promotion_cancels_the_runs_elsewhere_and_tells_of_them(
    aws: Any, written: Any, deployment: UUID
) -> None:
    path = written(staging=ELSEWHERE, production=ELSEWHERE)

    def until_cancelled(run: FlowRun) -> None:
        """A worker: the part begins, the promotion is cancelled, the worker is told and ends the part."""
        aws_calls = threading.Event()
        original = moving.promote

        def slow(target: Any, release: Any, patience: Any, run: Any) -> Any:
            aws_calls.set()
            while True:  # as long as an endpoint takes: a run that is stopped says so at a look
                try:
                    run.check()
                except delegation.Stopped:
                    return original(target, release, patience, run)
                time.sleep(0.02)

        with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(1) as process:
            patch.setattr(moving, "promote", slow)
            part = process.submit(work, run)
            assert aws_calls.wait(20)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            while not any(one.id == run.id for one in runs_of(deployment, "Cancelling")):
                time.sleep(0.05)
            delegation.stop_of(str(run.id)).set()
            with pytest.raises(UnfinishedRun, match="CANCELLING"):  # only its worker may say that it is over
                part.result(30)
        set_state(run, Cancelled())

    with ctrl_c_arrives(), Worker(deployment, until_cancelled) as worker, pytest.raises(KeyboardInterrupt):
        promote_model(path)
    assert [run.parameters["consumer"] for run in worker.done] == ["staging"]
    assert runs_of(deployment)[-1].state_name == "Cancelled"
    (told,) = remembered(path)[0].consumers
    assert (told["consumer"], told["result"], "cancelled" in told["text"]) == ("staging", "failed", True)
    assert live(aws, "staging") is None


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ({"consumer": "ghost", "version": 2}, "not a consumer"),
        ({"consumer": "staging", "version": None}, "name the version"),
    ],
)
def test_a_part_is_checked_before_anything_is_done(aws: Any, written: Any, what: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        move_endpoint(written(), **what)


def test_one_sides_credentials_tell_what_they_can_and_say_what_they_cannot(
    aws: Any, written: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written()
    share_models(path)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    files = {name: only(aws, tmp_path, name) for name in ("producer", "staging")}

    monkeypatch.setenv("AWS_CONFIG_FILE", files["producer"])
    found = check_access(path)
    verdicts = {(one.consumer, str(one.door)): str(one.verdict) for one in found.answers}
    for name in ALL:
        assert verdicts[name, "registry"] == "yes", "the documents say so"
        assert verdicts[name, "execution-role"] == verdicts[name, "role-trust"] == "cannot tell"
        assert any(
            one.subject == f"consumers.{name}" and "no AWS profile" in one.text for one in found.findings
        )
    with pytest.raises(InputError, match=r"consumers\.staging\.profile: this machine has no AWS profile"):
        deploy_model(path, "staging")

    monkeypatch.setenv("AWS_CONFIG_FILE", files["staging"])
    found = check_access(path)
    verdicts = {(one.consumer, str(one.door)): str(one.verdict) for one in found.answers}
    assert verdicts["staging", "execution-role"] == "yes"
    assert {verdict for (name, _), verdict in verdicts.items() if name == "production"} == {"cannot tell"}
    assert any(one.subject == "producer" and "no AWS profile" in one.text for one in found.findings)
    with pytest.raises(InputError, match=r"producer\.profile: this machine has no AWS profile"):
        share_models(path)
    with pytest.raises(Failed, match="Nothing could be told"):
        check_access(path, consumer="production")

    monkeypatch.setenv("AWS_CONFIG_FILE", files["producer"])
    with pytest.raises(PlanRefused, match=r"consumers\.staging .*cannot be told.*--force"):
        revoke_access(path, everything=True)
    revoked = revoke_access(path, everything=True, force=True)
    unknown = [str(one) for one in revoked.plan.findings if "cannot be told" in one.text]
    assert [name for name in ALL if any(f"consumers.{name} " in one for one in unknown)] == list(ALL)
