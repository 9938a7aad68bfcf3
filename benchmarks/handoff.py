"""Share and deploy beside the AWS page's own script, and how soon a run notices that an endpoint is ready.

Every call takes 40 ms longer than the sandbox does where the two sides are compared by time or calls.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import boto3

from benchmarks import baseline
from benchmarks.stage import BUCKET, GROUP, REGION, Stage, running, timed

_VERSION = 1
_FLOWERS = "5.1,3.5,1.4,0.2\n4.9,3.0,1.4,0.2"  # one row of CSV is no table to AWS's container
_LOOK_SECONDS = 0.1


def hand_off(pairs: int) -> dict[str, Any]:
    """Share and deploy with the two flows, and the same with the script, in turn.

    Returns:
        ``pairs``: for each, the seconds and the calls of ``product`` and ``script``; ``operations`` of the last pair.
    """
    with running("--endpoint-seconds", "5") as stage:
        config = stage.config("one", ["staging"], versions=[_VERSION])
        script = _script(stage)
        made = baseline.clients(script)
        product = _product(config)

        def plain() -> None:
            baseline.grant(script, made)
            baseline.deploy(script, _VERSION, "decision-trees-staging-v9", _FLOWERS)

        found, calls = [], dict[str, list[dict[str, Any]]]()
        for _ in range(pairs + 1):  # the first is there to warm everything
            pair: dict[str, float] = {}
            for name, do in (("product", product), ("script", plain)):
                stage.forget()
                with stage.slow(), stage.calls() as calls[name]:
                    pair[name] = timed(do)
                pair[f"{name}_calls"] = len(calls[name])
            found.append(pair)
    operations = {name: [one["operation"] for one in made] for name, made in calls.items()}
    return {"pairs": found[1:], "operations": operations}


def _product(config: str) -> Callable[[], None]:
    from flows.consumer import deploy_model
    from flows.producer import share_models

    def run() -> None:
        share_models(config)
        deploy_model(config, "staging", _VERSION)

    return run


def _script(stage: Stage) -> baseline.Run:
    other = stage.id("staging")
    return baseline.Run(
        producer=stage.session("producer"),
        consumer=boto3.session.Session(profile_name="staging"),
        role=f"arn:aws:iam::{other}:role/crossaccount-deployer",
        external_id="sandbox-staging",
        execution_role=f"arn:aws:iam::{other}:role/crossaccount-execution",
        group=GROUP,
        bucket=BUCKET,
        account=stage.id("producer"),
        other=other,
        region=REGION,
    )


def notice(pairs: int) -> dict[str, Any]:
    """Deploy to endpoints that take 5 s, and to one that takes 30 s, while an administrator looks when they become ready.

    Returns:
        ``waits``: for each, ``late`` (from becoming InService to the run's look that found it so), ``pause`` (between that
        look and the one before) and ``pauses`` (all of them).
    """
    with running("--endpoint-seconds", "5") as stage:
        waits = _waits(stage, pairs)
        with running("--endpoint-seconds", "30", prefect=False) as slower:  # with the same server
            waits += _waits(slower, 1)
    return {"waits": waits}


def _waits(stage: Stage, count: int) -> list[dict[str, Any]]:
    from flows.consumer import deploy_model
    from flows.producer import share_models

    config, found = stage.config("one", ["staging"], versions=[_VERSION]), []
    share_models(config)
    for _ in range(count):
        with stage.calls() as calls, _looking(stage) as ready:
            deploy_model(config, "staging", _VERSION)
        found.append(_wait(calls, ready[0]))
    return found


@contextmanager
def _looking(stage: Stage) -> Iterator[list[float]]:
    """When the account's endpoint came InService, by its LastModifiedTime, as an administrator's looks found it."""
    client, ready, over = stage.admin("staging", "sagemaker"), list[float](), threading.Event()

    def look() -> None:
        while not ready and not over.wait(_LOOK_SECONDS):
            for one in client.list_endpoints()["Endpoints"]:
                if one["EndpointStatus"] == "InService":
                    ready.append(one["LastModifiedTime"].timestamp())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield ready
    finally:
        over.set()
        thread.join()


def _wait(calls: list[dict[str, Any]], ready: float) -> dict[str, Any]:
    """The run's looks between making the endpoint and asking it, and how late the last of them was."""
    mine = [one for one in calls if "crossaccount-deployer" in str(one["caller"])]
    names = [one["operation"] for one in mine]
    waiting = mine[names.index("CreateEndpoint") : names.index("InvokeEndpoint")]
    looks = [_instant(one["time"]) for one in waiting if one["operation"] == "DescribeEndpoint"]
    noticed = next(number for number, instant in enumerate(looks) if instant >= ready)
    pauses = [later - earlier for earlier, later in itertools.pairwise(looks)][:noticed]
    return {"late": looks[noticed] - ready, "pause": pauses[-1], "pauses": pauses}


def _instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
