"""The world that commands are killed in: a sandbox in this process, and what of it can be seen and put back.

What is looked at is the sandbox's own state, not what the product says of it. Not here: what ought to be (``promises``).
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.s3.models import s3_backends

from crossaccount_sandbox.accounts import ACCOUNTS, BUCKET, GROUP, REGION, settle
from crossaccount_sandbox.command import environment
from crossaccount_sandbox.faults import Rule
from crossaccount_sandbox.server import Server

ROOT = Path(__file__).parents[2]
PRODUCER, STAGING, PRODUCTION, OUTSIDER = (account.id for account in ACCOUNTS)
CONSUMERS = {"staging": STAGING, "production": PRODUCTION}
KINDS = ("bucket", "repository", "group", "key")
Document = dict[str, Any]


@dataclass(frozen=True)
class OfCommand(Rule):
    """A rule about the calls of a command alone: not about the containers' own, nor about those of who looks on."""

    def fits(self, call: Any) -> bool:
        return super().fits(call) and is_of_command(call.caller.arn)


def is_of_command(caller: str | None) -> bool:
    """Whether a caller is an operator, or in a role that an operator assumes."""
    return (
        bool(caller) and "/administrator" not in str(caller) and "/crossaccount-execution" not in str(caller)
    )


@dataclass(frozen=True)
class State:
    """What stands in all accounts, put so that it compares: no times, no ids of runs.

    Args:
        documents: the four policies, by kind, in a form in which equal meaning is equal text; None for none.
        releases: the bytes of every version of every object under the Releases' folder, records apart, by key.
        records: promotions and rollbacks on record, the oldest first.
        hosted: for each consumer, models, endpoint configs and endpoints with what they are made of and their tags.
        processes: how many inference processes run.
    """

    documents: Mapping[str, str | None]
    releases: Mapping[str, tuple[str, ...]]
    records: tuple[Mapping[str, Any], ...]
    hosted: Mapping[str, Mapping[str, Any]]
    processes: int


@dataclass(frozen=True)
class Kept:
    """What `World.kept` took down, for `World.restore`."""

    policies: dict[Any, str]
    objects: dict[str, list[Any]]
    hosted: dict[str, dict[str, dict[str, Any]]]


def canonical(document: Document | None) -> str | None:
    """A policy in a form in which equal meaning is equal text: the order of statements and of members says nothing."""
    if document is None:
        return None
    statements = document["Statement"]
    listed = statements if isinstance(statements, list) else [statements]
    return json.dumps(sorted((_sorted(one) for one in listed), key=json.dumps), sort_keys=True)


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(one) for key, one in sorted(value.items())}
    if isinstance(value, list):
        return _sorted(value[0]) if len(value) == 1 else sorted(map(_sorted, value), key=json.dumps)
    return value


class World:
    """A sandbox with its accounts settled, and statements of strangers in every policy."""

    def __init__(self, folder: Path) -> None:
        self.entries: list[dict[str, Any]] = []
        pace = {"endpoint_seconds": 0.2, "speed": 1000.0}
        self.server = Server(ACCOUNTS, log=self.entries.append, **pace)
        self.server.start()
        residents = settle(self.server.url, ROOT / "deployments" / "iam", ACCOUNTS)
        self.environment = environment(self.server.url, residents, folder)
        self._keys = residents.administrators
        self._session: Any = boto3.session.Session(region_name=REGION)
        self._clients: dict[tuple[str, str], Any] = {}
        self._bucket = s3_backends[PRODUCER]["aws"].buckets[BUCKET]
        # From now on each object is a version of its own: what is written twice shows.
        self._bucket.versioning_status = "Enabled"
        head = self.admin("producer", "s3").head_object(Bucket=BUCKET, Key=f"models/{GROUP}/2/model.tar.gz")
        self.key = str(head["SSEKMSKeyId"])
        self.resources = {
            "bucket": ("bucket", f"arn:aws:s3:::{BUCKET}"),
            "repository": ("repository", f"arn:aws:ecr:{REGION}:{PRODUCER}:repository/{GROUP}"),
            "group": ("group", f"arn:aws:sagemaker:{REGION}:{PRODUCER}:model-package-group/{GROUP}"),
            "key": ("key", self.key),
        }
        self._put_strangers()

    def admin(self, account: str, service: str) -> Any:
        """A client of the account's administrator, which asks once."""
        if (account, service) not in self._clients:
            key = self._keys[account]
            self._clients[account, service] = self._session.client(
                service,
                endpoint_url=self.server.url,
                aws_access_key_id=key.access_key_id,
                aws_secret_access_key=key.secret_access_key,
                config=Config(retries={"total_max_attempts": 1}),
            )
        return self._clients[account, service]

    def _put_strangers(self) -> None:
        def stranger(action: str, resource: str | None) -> Document:
            where = {"Resource": resource} if resource else {}
            return {
                "Sid": "Stranger",
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{OUTSIDER}:root"},
                "Action": action,
                **where,
            }

        def document(action: str, resource: str | None) -> str:
            return json.dumps({"Version": "2012-10-17", "Statement": [stranger(action, resource)]})

        arns = {kind: arn for kind, (_, arn) in self.resources.items()}
        self.admin("producer", "s3").put_bucket_policy(
            Bucket=BUCKET, Policy=document("s3:ListBucket", arns["bucket"])
        )
        self.admin("producer", "ecr").set_repository_policy(
            repositoryName=GROUP, policyText=document("ecr:DescribeImages", None)
        )
        self.admin("producer", "sagemaker").put_model_package_group_policy(
            ModelPackageGroupName=GROUP, ResourcePolicy=document("sagemaker:ListModelPackages", arns["group"])
        )
        kms = self.admin("producer", "kms")
        own = json.loads(kms.get_key_policy(KeyId=self.key)["Policy"])
        own["Statement"].append(stranger("kms:DescribeKey", "*"))
        kms.put_key_policy(KeyId=self.key, PolicyName="default", Policy=json.dumps(own))
        self.strangers = {kind: self.document(kind) for kind in KINDS}

    # Looking.

    def document(self, kind: str) -> Document | None:
        """A policy as it stands."""
        return self.server.world.attached.get(self.resources[kind])

    def documents(self) -> dict[str, str | None]:
        """The four policies, so that equal meaning is equal text."""
        return {kind: canonical(self.document(kind)) for kind in KINDS}

    def state(self) -> State:
        """What stands everywhere."""
        written = {
            key: tuple(bytes(one.value).decode() for one in versions if hasattr(one, "value"))
            for key, versions in self._releases()
        }
        return State(
            documents=self.documents(),
            releases={key: found for key, found in written.items() if "/_promotions/" not in key},
            records=tuple(
                json.loads(text)
                for key, found in sorted(written.items())
                if "/_promotions/" in key
                for text in found
            ),
            hosted={name: self._comparable(name) for name in CONSUMERS},
            processes=inference_processes(),
        )

    def _releases(self) -> Iterator[tuple[str, list[Any]]]:
        return (
            (key, list(found)) for key, found in self._bucket.keys._iterlists() if key.startswith("releases/")
        )

    def _hosted(self, account: str) -> dict[str, dict[str, Any]]:
        """Everything that the account hosts: what it was made of, its tags, and for an endpoint its status."""
        sm = self.admin(account, "sagemaker")
        found: dict[str, dict[str, Any]] = {"models": {}, "configs": {}, "endpoints": {}, "components": {}}
        for one in sm.list_models()["Models"]:
            given = sm.describe_model(ModelName=one["ModelName"])
            found["models"][one["ModelName"]] = _made_of(sm, given, "ModelArn")
        for one in sm.list_endpoint_configs()["EndpointConfigs"]:
            given = sm.describe_endpoint_config(EndpointConfigName=one["EndpointConfigName"])
            found["configs"][one["EndpointConfigName"]] = _made_of(sm, given, "EndpointConfigArn")
        for one in sm.list_endpoints()["Endpoints"]:
            given = sm.describe_endpoint(EndpointName=one["EndpointName"])
            tags = _tags(sm, given["EndpointArn"])
            found["endpoints"][one["EndpointName"]] = {
                "status": given["EndpointStatus"],
                "config": given["EndpointConfigName"],
                "tags": tags,
            }
        for one in sm.list_inference_components()["InferenceComponents"]:
            given = sm.describe_inference_component(InferenceComponentName=one["InferenceComponentName"])
            found["components"][one["InferenceComponentName"]] = {
                "status": given["InferenceComponentStatus"],
                "given": _component_of(given),
                "tags": _tags(sm, given["InferenceComponentArn"]),
            }
        return found

    def _comparable(self, account: str) -> dict[str, Any]:
        """What is hosted, with every tag's value that differs from run to run replaced by a word."""
        return {
            kind: {name: {**one, "tags": _without_stamps(one["tags"])} for name, one in sorted(those.items())}
            for kind, those in self._hosted(account).items()
        }

    # Putting back.

    def kept(self) -> Kept:
        """Take down what stands, for `restore`."""
        return Kept(
            policies=self.server.world.attached.snapshot(),
            objects=dict(self._releases()),
            hosted={name: self._hosted(name) for name in CONSUMERS},
        )

    def restore(self, kept: Kept) -> None:
        """Put everything back, whatever has become of it."""
        self.server.faults.clear()
        stored = self.server.world.attached._stored
        stored.clear()
        stored.update(kept.policies)
        for key, _ in list(self._releases()):
            dict.pop(self._bucket.keys, key)
        for key, versions in kept.objects.items():
            dict.__setitem__(self._bucket.keys, key, list(versions))
        for name in CONSUMERS:
            self._restore_hosted(name, kept.hosted[name])
        self.entries.clear()

    def _restore_hosted(self, account: str, wanted: dict[str, dict[str, Any]]) -> None:
        sm, now = self.admin(account, "sagemaker"), self._hosted(account)
        stale = {
            name
            for name, one in now["endpoints"].items()
            if one != wanted["endpoints"].get(name) or one["config"] not in wanted["configs"]
        }
        for name, one in now["components"].items():
            if one != wanted["components"].get(name) or one["given"]["EndpointName"] in stale:
                _delete_component(sm, name)
        for name in stale:
            _delete_endpoint(sm, name)
        for name, one in now["configs"].items():
            if one != wanted["configs"].get(name):
                sm.delete_endpoint_config(EndpointConfigName=name)
        for name, one in now["models"].items():
            if one != wanted["models"].get(name):
                sm.delete_model(ModelName=name)
        now = self._hosted(account)
        for name, one in wanted["models"].items():
            if name not in now["models"]:
                sm.create_model(**one["given"], Tags=_listed(one["tags"]))
        for name, one in wanted["configs"].items():
            if name not in now["configs"]:
                sm.create_endpoint_config(**one["given"], Tags=_listed(one["tags"]))
        for name, one in wanted["endpoints"].items():
            if name not in now["endpoints"]:
                sm.create_endpoint(
                    EndpointName=name, EndpointConfigName=one["config"], Tags=_listed(one["tags"])
                )
        for name in wanted["endpoints"]:
            until(f"{name} serves", lambda at=name: _status(sm, at) == "InService")
        for name, one in wanted["components"].items():
            if name not in now["components"]:
                sm.create_inference_component(**one["given"], Tags=_listed(one["tags"]))
        for name in wanted["components"]:
            until(f"{name} serves", lambda at=name: _component_status(sm, at) == "InService")

    def stop(self) -> None:
        """Stop serving, and every inference process."""
        self.server.stop()


def _made_of(sm: Any, given: Mapping[str, Any], arn: str) -> dict[str, Any]:
    passed = (arn, "CreationTime", "ResponseMetadata", "Resolved")
    made_of = {key: value for key, value in given.items() if key not in passed and value not in (None, False)}
    return {"given": made_of, "tags": _tags(sm, given[arn])}


def _tags(sm: Any, arn: str) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in sm.list_tags(ResourceArn=arn)["Tags"]}


def _listed(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


_STAMPED = ("crossaccount:flow-run", "crossaccount:proven", "crossaccount:since")


def _without_stamps(tags: Mapping[str, str]) -> dict[str, str]:
    return {key: "some" if key in _STAMPED else value for key, value in sorted(tags.items())}


def _status(sm: Any, name: str) -> str | None:
    try:
        return str(sm.describe_endpoint(EndpointName=name)["EndpointStatus"])
    except ClientError as error:
        if not error.response["Error"]["Message"].startswith("Could not find"):
            raise
        return None


def _component_of(described: Mapping[str, Any]) -> dict[str, Any]:
    """What an inference component would be created with, from its description."""
    specification = {key: value for key, value in described["Specification"].items() if key != "Container"}
    given = {key: described[key] for key in ("InferenceComponentName", "EndpointName", "VariantName")}
    copies = {"CopyCount": described["RuntimeConfig"]["DesiredCopyCount"]}
    return {**given, "Specification": specification, "RuntimeConfig": copies}


def _component_status(sm: Any, name: str) -> str | None:
    try:
        answer = sm.describe_inference_component(InferenceComponentName=name)
    except ClientError as error:
        if not error.response["Error"]["Message"].startswith("Could not find"):
            raise
        return None
    return str(answer["InferenceComponentStatus"])


def _delete_component(sm: Any, name: str) -> None:
    def gone() -> bool:
        status = _component_status(sm, name)
        if status not in (None, "Creating", "Updating", "Deleting"):
            sm.delete_inference_component(InferenceComponentName=name)
        return status is None

    until(f"the component {name} is gone", gone)


def _delete_endpoint(sm: Any, name: str) -> None:
    def gone() -> bool:
        status = _status(sm, name)
        if status not in (None, "Creating", "Updating", "RollingBack", "Deleting"):
            sm.delete_endpoint(EndpointName=name)
        return status is None

    until(f"{name} is gone", gone)


def until(what: str, look: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until it is so.

    Raises:
        AssertionError: when it does not come to be.
    """
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.02)


def inference_processes() -> int:
    """How many processes the process that forks the containers has, as the system counts them."""
    parent = forkserver._forkserver._forkserver_pid
    count = 0
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with suppress(OSError):  # it has just ended
                fields = Path(entry.path, "stat").read_text().rpartition(")")[2].split()
                count += fields[1] == str(parent) and fields[0] != "Z"
    return count


@dataclass
class Timed:
    """How long parts of the work take, in all."""

    seconds: dict[str, float] = field(default_factory=dict)

    def __call__(self, what: str, started: float) -> float:
        now = time.monotonic()
        self.seconds[what] = self.seconds.get(what, 0.0) + now - started
        return now
