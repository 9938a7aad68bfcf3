"""The sandbox, which authenticates and judges every call, beside a plain moto server that serves whatever it is asked."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import boto3

from benchmarks.stage import REGION, running
from crossaccount.stage import processes

_SECONDS = 3.0
_SERVICES = ("s3", "ecr", "kms", "iam", "sts")
_NAME = "throughput"
_POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Sid": "Read", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::222222222222:root"}},
    ],
}


def throughput(pairs: int, seconds: float = _SECONDS) -> dict[str, Any]:
    """Ask both the same, in turn, with one thread and with four.

    Returns:
        ``pairs``: the ``threads``, and the calls a second of ``sandbox`` and ``moto``.
    """
    found = []
    with running(prefect=False) as stage, _moto() as plain:
        sides = {
            "sandbox": _questions(str(stage.ready["endpoint_url"]), stage.key("producer")),
            "moto": _questions(plain, {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}),
        }
        for ask in sides.values():
            _rate(ask, 1, 0.5)
        for threads in (1, 4):
            for _ in range(pairs):
                rates = {name: _rate(ask, threads, seconds) for name, ask in sides.items()}
                found.append({"threads": threads, **rates})
    return {"pairs": found}


@contextmanager
def _moto() -> Iterator[str]:
    """A moto server as its own command starts it; its address."""
    port = processes.free_port()
    command = [sys.executable, "-m", "moto.server", "-p", str(port)]
    with processes.tied(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        url = f"http://127.0.0.1:{port}"
        processes.wait_for(f"{url}/moto-api/", "The moto server")
        yield url


def _questions(url: str, key: dict[str, str]) -> list[Callable[[], Any]]:
    """Make what is asked about, and the questions: what both sides serve of what the product asks most."""
    session: Any = boto3.session.Session(region_name=REGION)
    made = {name: session.client(name, endpoint_url=url, **key) for name in _SERVICES}
    s3, ecr, kms, iam, sts = made.values()
    s3.create_bucket(Bucket=_NAME)
    s3.put_object(Bucket=_NAME, Key="object", Body=b"x" * 2000)
    s3.put_bucket_policy(Bucket=_NAME, Policy=_policy("s3:GetObject", Resource=f"arn:aws:s3:::{_NAME}/*"))
    ecr.create_repository(repositoryName=_NAME)
    ecr.set_repository_policy(repositoryName=_NAME, policyText=_policy("ecr:BatchGetImage"))
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    trust = _policy("sts:AssumeRole")
    iam.create_role(RoleName=_NAME, AssumeRolePolicyDocument=trust)
    return [
        lambda: s3.head_bucket(Bucket=_NAME),
        lambda: s3.get_object(Bucket=_NAME, Key="object")["Body"].read(),
        lambda: s3.get_bucket_policy(Bucket=_NAME),
        lambda: ecr.get_repository_policy(repositoryName=_NAME),
        lambda: kms.describe_key(KeyId=key_id),
        lambda: kms.get_key_policy(KeyId=key_id, PolicyName="default"),
        lambda: iam.get_role(RoleName=_NAME),
        lambda: sts.get_caller_identity(),
    ]


def _policy(action: str, **more: Any) -> str:
    (statement,) = _POLICY["Statement"]
    assert isinstance(statement, dict)
    return json.dumps({**_POLICY, "Statement": [{**statement, "Action": action, **more}]})


def _rate(ask: list[Callable[[], Any]], threads: int, seconds: float) -> float:
    """Calls a second of so many threads, each asking one question after the other."""
    started = time.perf_counter()

    def work(first: int) -> int:
        for number, one in enumerate(itertools.cycle(ask[first:] + ask[:first]), 1):
            one()
            if time.perf_counter() - started >= seconds:
                return number
        raise AssertionError("the cycle has no end")

    with ThreadPoolExecutor(threads) as pool:
        done = sum(pool.map(work, range(threads)))
    return done / (time.perf_counter() - started)
