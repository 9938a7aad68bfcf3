"""What the measurements stand on: a sandbox with a call log, a Prefect server, and this process's environment for both.

Not here: what is measured.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
import urllib.request
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import yaml

from crossaccount.stage import processes

LATENCY = 0.04  # seconds that a call to AWS takes longer than one to the sandbox
GROUP, BUCKET, REGION = "decision-trees-sample", "producer-models-111111111111", "us-east-1"
_WRITES = ("Put", "Set", "Delete", "Create", "Update", "Attach", "Tag")
_ABSENT = ("NoSuchBucketPolicy", "RepositoryPolicyNotFoundException", "ValidationException")


@dataclass
class Stage:
    """A sandbox that runs, and a folder that ends with it.

    Args:
        ready: what the sandbox announced.
        folder: for configs and profiles.
        log: of the calls.
    """

    ready: Mapping[str, Any]
    folder: Path
    log: Path
    _session: Any = field(default_factory=boto3.session.Session)
    _made: dict[tuple[str, str], Any] = field(default_factory=dict)

    def id(self, account: str) -> str:
        """The account's twelve digits."""
        return str(self.ready["accounts"][account]["id"])

    def key(self, account: str) -> dict[str, str]:
        """The key of the account's administrator, as boto3 takes it."""
        found = self.ready["accounts"][account]
        return {
            "aws_access_key_id": found["access_key_id"],
            "aws_secret_access_key": found["secret_access_key"],
        }

    def session(self, account: str) -> Any:
        """A session of the account's administrator."""
        more: Any = {"region_name": REGION, **self.key(account)}
        return boto3.session.Session(**more)

    def admin(self, account: str, service: str) -> Any:
        """A client of the account's administrator; each is made once."""
        if (account, service) not in self._made:
            more: Any = {"region_name": REGION, "endpoint_url": self.ready["endpoint_url"]}
            self._made[account, service] = self._session.client(service, **more, **self.key(account))
        return self._made[account, service]

    def config(self, name: str, consumers: Collection[str], **changes: Any) -> str:
        """Write a config as the sandbox's own, for these consumers, each with an endpoint as staging's; its path."""
        whole = yaml.safe_load(Path(self.ready["config"]).read_text())
        found = {one: self._consumer(whole["consumers"]["staging"], one) for one in consumers}
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump({**whole, "consumers": found, **changes}, sort_keys=False))
        return str(path)

    def _consumer(self, like: Mapping[str, Any], name: str) -> dict[str, Any]:
        account = self.id(name)
        return {
            **like,
            "account": account,
            "role": f"arn:aws:iam::{account}:role/crossaccount-deployer",
            "external_id": f"sandbox-{name}",
            "profile": name,
            "execution_role": f"arn:aws:iam::{account}:role/crossaccount-execution",
            "endpoint": {"name": f"decision-trees-{name}", "instance_type": "ml.m5.large"},
        }

    @contextmanager
    def calls(self) -> Iterator[list[dict[str, Any]]]:
        """The calls made within this, filled in at the end; without those that endpoints make for themselves."""
        start, found = self.log.stat().st_size if self.log.exists() else 0, list[dict[str, Any]]()
        yield found
        with self.log.open() as file:
            file.seek(start)
            found += [one for one in map(json.loads, file) if not str(one["caller"]).endswith("/SageMaker")]

    @contextmanager
    def slow(self) -> Iterator[None]:
        """Within this, every call takes 40 ms longer."""
        self._faults("PUT", json.dumps({"kind": "latency", "seconds": LATENCY}).encode())
        try:
            yield
        finally:
            self._faults("DELETE")

    def _faults(self, method: str, body: bytes | None = None) -> None:
        where = f"{self.ready['endpoint_url']}/_sandbox/faults"
        request = urllib.request.Request(where, body, method=method)  # noqa: S310 - our own sandbox
        with urllib.request.urlopen(request, timeout=30):  # noqa: S310
            pass

    def forget(self, group: str = GROUP, repository: str = GROUP, bucket: str = BUCKET) -> None:
        """Take away the policies of a group, its repository and its bucket, and its Releases, as before any share."""
        s3, ecr, sagemaker = (self.admin("producer", name) for name in ("s3", "ecr", "sagemaker"))
        _if_there(lambda: s3.delete_bucket_policy(Bucket=bucket))
        _if_there(lambda: ecr.delete_repository_policy(repositoryName=repository))
        _if_there(lambda: sagemaker.delete_model_package_group_policy(ModelPackageGroupName=group))
        for one in s3.list_objects_v2(Bucket=bucket, Prefix="releases/").get("Contents", []):
            s3.delete_object(Bucket=bucket, Key=one["Key"])

    def clear(self, accounts: Collection[str]) -> None:
        """Remove what these accounts host; all their endpoints go down at the same time."""
        clients = [self.admin(account, "sagemaker") for account in accounts]
        for one in clients:
            for endpoint in one.list_endpoints()["Endpoints"]:
                one.delete_endpoint(EndpointName=endpoint["EndpointName"])
        for one in clients:
            while one.list_endpoints()["Endpoints"]:
                time.sleep(0.1)
            for config in one.list_endpoint_configs(MaxResults=100)["EndpointConfigs"]:
                one.delete_endpoint_config(EndpointConfigName=config["EndpointConfigName"])
            for model in one.list_models(MaxResults=100)["Models"]:
                one.delete_model(ModelName=model["ModelName"])


def _if_there(remove: Callable[[], Any]) -> None:
    from botocore.exceptions import ClientError

    try:
        remove()
    except ClientError as error:
        if error.response["Error"]["Code"] not in _ABSENT:
            raise


@contextmanager
def running(*arguments: str, prefect: bool = True) -> Iterator[Stage]:
    """A sandbox, and with ``prefect`` a real server on SQLite without its UI, for this process and those it starts.

    Prefect must not have been imported before: it reads its settings then.

    Args:
        arguments: as for ``crossaccount sandbox``.
        prefect: whether there is a server.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="crossaccount-bench-")))
        if prefect:
            port = processes.free_port()
            os.environ.update(processes.prefect_settings(folder, port), PREFECT_LOGGING_LEVEL="CRITICAL")
            settings = {"PREFECT_SERVER_UI_ENABLED": "false"}
            stack.enter_context(processes.prefect_server(folder, port, settings))
        log = folder / "calls.jsonl"
        ready = stack.enter_context(processes.sandbox("--control", "--log", str(log), *arguments))
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            del os.environ[name]
        os.environ.update(ready["env"])
        if prefect:
            processes.wait_for(f"{os.environ['PREFECT_API_URL']}/health", "The Prefect server")
        yield Stage(ready, folder, log)


def consumers(count: int) -> list[str]:
    """The sandbox's names of so many further consumers."""
    return [f"consumer-{number:02}" for number in range(1, count + 1)]


def timed(do: Callable[[], Any]) -> float:
    """The seconds that something takes."""
    started = time.perf_counter()
    do()
    return time.perf_counter() - started


def writes(calls: Collection[Mapping[str, Any]]) -> tuple[int, int]:
    """How many of these calls wrote a policy, and how many wrote anything else; those that were refused count as well."""
    changing = [str(one["operation"]) for one in calls if str(one["operation"]).startswith(_WRITES)]
    policies = sum(name.endswith("Policy") for name in changing)
    return policies, len(changing) - policies
