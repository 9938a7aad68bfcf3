"""Flow runs as tasks of Amazon ECS, by a worker of prefect-aws: a share and a promotion; and one whose task is stopped."""

from __future__ import annotations

import time
from typing import Any

import pytest

pytestmark = (
    pytest.mark.growth
)  # a server, two workers and a process for each run take too long for every run

ENDPOINT = "decision-trees-staging"


def served(ecs: Any) -> tuple[str, str]:
    """How the consumer's endpoint is, and the version that it serves."""
    client = ecs.client("staging", "sagemaker")
    endpoint = client.describe_endpoint(EndpointName=ENDPOINT)
    config = client.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
    model = client.describe_model(ModelName=config["ProductionVariants"][0]["ModelName"])
    return endpoint["EndpointStatus"], model["PrimaryContainer"]["ModelPackageName"].rpartition("/")[2]


def held(ecs: Any) -> dict[str, list[str]]:
    """All that the consumer's account hosts."""
    client = ecs.client("staging", "sagemaker")
    return {
        "endpoints": [each["EndpointName"] for each in client.list_endpoints()["Endpoints"]],
        "configs": [each["EndpointConfigName"] for each in client.list_endpoint_configs()["EndpointConfigs"]],
        "models": [each["ModelName"] for each in client.list_models()["Models"]],
    }


def child_of(ecs: Any, promotion: str) -> str | None:
    """The run that a promotion has started for its consumer."""
    query = {"flow_runs": {"parent_flow_run_id": {"any_": [promotion]}}}
    found = ecs.ask("/flow_runs/filter", query)
    return str(found[0]["id"]) if found else None


@pytest.fixture(scope="module")
def promoted(ecs: Any) -> str:
    """Version 1 shared and promoted; the promotion's run."""
    shared = ecs.ended(ecs.start("share-models/share"))
    assert shared["state_type"] == "COMPLETED", (shared["state"], ecs.printed("producer"))
    run = ecs.start("promote-model/promote", version=1)
    over = ecs.ended(run)
    assert over["state_type"] == "COMPLETED", (
        over["state"],
        ecs.printed("producer"),
        ecs.printed("staging"),
    )
    return run


def test_a_promotion_is_tasks_in_both_accounts(ecs: Any, promoted: str) -> None:
    assert served(ecs) == ("InService", "1")
    moved = child_of(ecs, promoted)
    assert moved is not None
    for account, run in (("producer", promoted), ("staging", moved)):
        task = ecs.task_of(account, run)
        assert task is not None
        while task["lastStatus"] != "STOPPED":
            time.sleep(0.2)
            task = ecs.task_of(account, run)
        assert task["stopCode"] == "EssentialContainerExited"
        assert [each["exitCode"] for each in task["containers"]] == [0]


def test_each_task_came_with_its_task_role_and_assumed_the_configs(ecs: Any, promoted: str) -> None:
    """No other credential was used by a flow: not the operators', and each side's task only its own side's role."""
    calls = ecs.calls()
    assumed = {
        (entry["caller"].split("/")[1], entry["account"], entry["resource"])
        for entry in calls
        if entry["operation"] == "AssumeRole" and entry["code"] is None
    }
    roles = {"111111111111": "crossaccount-producer", "222222222222": "crossaccount-deployer"}
    assert assumed == {
        ("crossaccount-flows", account, f"arn:aws:iam::{account}:role/{role}")
        for account, role in roles.items()
    }
    assert not [entry for entry in calls if str(entry["caller"]).endswith("user/operator")]
    ran = {entry["account"] for entry in calls if entry["operation"] == "RunTask" and entry["code"] is None}
    assert ran == set(roles)
    who = {entry["caller"].rpartition("/")[2] for entry in calls if entry["operation"] == "RunTask"}
    assert who == {"prefect-worker"}


def test_a_task_that_is_stopped_in_the_middle_leaves_nothing(ecs: Any, promoted: str) -> None:
    """The consumer's part of a promotion loses its task while the endpoint moves; the next run ends with nothing left over."""
    before = held(ecs)
    run = ecs.start("promote-model/promote", version=2)
    moving = ecs.until("the part begins", lambda: child_of(ecs, run))
    client = ecs.client("staging", "sagemaker")
    ecs.until(
        "the endpoint moves",
        lambda: client.describe_endpoint(EndpointName=ENDPOINT)["EndpointStatus"] == "Updating",
    )
    task = ecs.task_of("staging", moving)
    assert task is not None
    ecs.client("staging", "ecs").stop_task(cluster="prefect", task=task["taskArn"], reason="in the middle")
    stopped = ecs.until(
        "the task stops",
        lambda: (found := ecs.task_of("staging", moving))["lastStatus"] == "STOPPED" and found,
    )
    assert (stopped["stopCode"], stopped["stoppedReason"]) == ("UserInitiated", "in the middle")
    producers = ecs.task_of("producer", run)
    if producers["lastStatus"] != "STOPPED":
        ecs.client("producer", "ecs").stop_task(cluster="prefect", task=producers["taskArn"])
        ecs.until("the promotion stops", lambda: ecs.task_of("producer", run)["lastStatus"] == "STOPPED")
    print(f"\nafter the stop: {ecs.run(moving)['state_type']}, {held(ecs)}")
    ecs.until(
        "the endpoint rests",
        lambda: client.describe_endpoint(EndpointName=ENDPOINT)["EndpointStatus"] == "InService",
    )
    again = ecs.ended(ecs.start("promote-model/promote", version=2))
    assert again["state_type"] == "COMPLETED", (again["state"], ecs.printed("staging")[-3000:])
    assert served(ecs) == ("InService", "2")
    after = held(ecs)
    assert after["endpoints"] == before["endpoints"] == [ENDPOINT]
    serving = client.describe_endpoint(EndpointName=ENDPOINT)["EndpointConfigName"]
    assert serving in after["configs"]
    reaped = ecs.ended(ecs.start("reap-leftovers/reap", older_than_minutes=90))
    assert reaped["state_type"] == "COMPLETED", (reaped["state"], ecs.printed("staging")[-3000:])
    print(f"after the next run and reap: {held(ecs)}; before: {before}")
    # What stands is what a promotion from 1 to 2 that nobody stopped leaves: the version that serves, and the one before it.
    assert len(held(ecs)["models"]) <= 2
    assert len(held(ecs)["configs"]) <= 2
