"""The instances behind an endpoint: real processes, one for each variant, that fetched what they serve.

A variant of several instances is one process; its instances are numbers. Not here: which fleet is asked when
(``rollouts``, ``hosting``) and what a process is (``containers``).

Source: failure reasons are quotes from public reports.
"""

import logging
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from crossaccount_sandbox.callers import Key
from crossaccount_sandbox.images import image_digest, parse_image
from crossaccount_sandbox.principals import find_role
from crossaccount_sandbox.sagemaker.containers import Container, Containers, NotStarted
from crossaccount_sandbox.sagemaker.deployments import Unhealthy, Wanted
from crossaccount_sandbox.sagemaker.execution import artifact_locations, execution_session
from crossaccount_sandbox.sagemaker.outcomes import Outcome, Pace
from crossaccount_sandbox.training import tar_gz
from crossaccount_sandbox.world import Record, World

Given = Mapping[str, Any]
logger = logging.getLogger("sandbox")
_RESTARTS = 3


@dataclass
class Fleet:
    """Running instances of one endpoint configuration.

    Args:
        config: the configuration.
        variants: as DescribeEndpoint shows them; replaced, never changed.
        processes: by variant.
    """

    config: Given
    variants: list[Record]
    processes: dict[str, Container]


def fair(weights: Sequence[float | Fraction], served: Sequence[int]) -> int:
    """Whose turn it is: the one furthest behind its share. Deterministic, and exact over every round.

    Args:
        weights: any numbers, not all 0 unless it does not matter.
        served: how often each had its turn.
    """
    total, turn = sum(weights) or 1, sum(served) + 1
    behind = [weight * turn / total - done for weight, done in zip(weights, served, strict=True)]
    return behind.index(max(behind))


class Router:
    """Which process answers the next request: first the fleets by their shares, then the variants by their weights."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shares: list[tuple[Fleet, Fraction]] = []
        self._fleets_served: list[int] = []
        self._variants_served: dict[tuple[int, str], int] = {}

    @property
    def shares(self) -> list[tuple[Fleet, Fraction]]:
        """The fleets that serve, with their shares of the traffic."""
        with self._lock:
            return list(self._shares)

    def point(self, shares: Sequence[tuple[Fleet, Fraction]]) -> None:
        """Send requests by these shares from now on; counting begins anew."""
        with self._lock:
            self._shares = [(fleet, share) for fleet, share in shares if share > 0]
            self._fleets_served = [0] * len(self._shares)
            self._variants_served.clear()

    def next(self, variant: str | None = None) -> tuple[str, Container] | None:
        """The variant and process for the next request; None when nothing serves, or not this variant."""
        with self._lock:
            if not self._shares:
                return None
            index = fair([share for _, share in self._shares], self._fleets_served)
            fleet = self._shares[index][0]
            name = variant or self._pick(fleet)
            if name not in fleet.processes:
                return None
            self._fleets_served[index] += 1
            key = (id(fleet), name)
            self._variants_served[key] = self._variants_served.get(key, 0) + 1
            return name, fleet.processes[name]

    def _pick(self, fleet: Fleet) -> str:
        names = [variant["VariantName"] for variant in fleet.variants]
        served = [self._variants_served.get((id(fleet), name), 0) for name in names]
        return str(names[fair([variant["CurrentWeight"] for variant in fleet.variants], served)])


class Fleets:
    """Starts and stops fleets.

    Args:
        world: keys and clock.
        containers: where processes are started.
        pace: how fast AWS's seconds pass.
    """

    def __init__(self, world: World, containers: Containers, pace: Pace):
        self._world = world
        self._containers = containers
        self._pace = pace
        self._session: Any = boto3.session.Session()
        self._lock = threading.Lock()
        self.endpoint_url = ""

    def start(self, wanted: Wanted, outcome: Outcome) -> Fleet:
        """Bring a fleet up: every variant's process runs and answers the ping.

        Args:
            wanted: what it shall serve.
            outcome: what was arranged for it.

        Raises:
            Unhealthy: when it cannot; nothing of it is left running.
        """
        given = wanted.config["ProductionVariants"]
        if outcome.kind == "no-capacity":
            time.sleep(self._pace.real(outcome.seconds))
            raise Unhealthy.of(outcome.kind, given[0]["VariantName"])
        fleet = Fleet(wanted.config, [self._variant(variant, wanted) for variant in given], {})
        try:
            for variant in given:
                name = variant["VariantName"]
                fleet.processes[name] = self._process(name, wanted.models[name], outcome)
        except Unhealthy:
            self.stop(fleet)
            raise
        return fleet

    def stop(self, fleet: Fleet) -> None:
        """End the fleet's processes and wait until they are gone."""
        for process in fleet.processes.values():
            self._containers.stop(process)

    def _process(self, variant: str, model: Given, outcome: Outcome) -> Container:
        archive = self._download(model["ExecutionRoleArn"], model["Resolved"][0])
        if outcome.kind == "crash-loop":
            for _ in range(_RESTARTS):
                self._containers.stop(self._run(variant, archive))
                time.sleep(self._pace.real(outcome.seconds) / _RESTARTS)
            raise Unhealthy.of("unhealthy", variant)
        process = self._run(variant, archive)
        if outcome.kind == "unhealthy":
            time.sleep(self._pace.real(outcome.seconds))
        elif process.wait(timeout=30):
            return process
        self._containers.stop(process)
        raise Unhealthy.of("unhealthy", variant)

    def _run(self, variant: str, archive: bytes) -> Container:
        try:
            return self._containers.start(archive)
        except NotStarted as error:
            logger.info("container: %s", error)
            raise Unhealthy.of("unhealthy", variant) from None

    def _variant(self, variant: Given, wanted: Wanted) -> Record:
        """A variant as DescribeEndpoint shows it."""
        model, kept = wanted.models[variant["VariantName"]], wanted.kept.get(variant["VariantName"], {})
        role = model["ExecutionRoleArn"]
        images = [self._image(role, container["Image"]) for container in model["Resolved"]]
        weight = kept.get("DesiredWeight", variant.get("InitialVariantWeight", 1.0))
        shown = {
            "VariantName": variant["VariantName"],
            "DeployedImages": images,
            "CurrentWeight": weight,
            "DesiredWeight": weight,
        }
        if serverless := variant.get("ServerlessConfig"):
            both = {"CurrentServerlessConfig": serverless, "DesiredServerlessConfig": serverless}
            return {**shown, "CurrentInstanceCount": 0, "DesiredInstanceCount": 0, **both}
        count = kept.get("DesiredInstanceCount", variant["InitialInstanceCount"])
        return {**shown, "CurrentInstanceCount": count, "DesiredInstanceCount": count}

    def _image(self, role: str, image: str) -> Record:
        parsed, digest = parse_image(image), image_digest(image)
        if parsed is None or digest is None or (*parsed[:3], digest) in self._world.archived_images:
            text = f"The role '{role}' does not have BatchGetImage permission for the image: '{image}'."
            raise Unhealthy(text)
        resolved = f"{parsed[0]}.dkr.ecr.{parsed[1]}.amazonaws.com/{parsed[2]}@{digest}"
        return {"SpecifiedImage": image, "ResolvedImage": resolved, "ResolutionTime": self._world.clock()}

    def _download(self, role_arn: str, container: Given) -> bytes:
        """The container's artifact as a model.tar.gz, fetched over S3 as the execution role."""
        location = next(artifact_locations(container), None)
        if location is None:
            raise Unhealthy("The container has no model data.")
        bucket, key, is_prefix = location
        try:
            s3 = self._client(role_arn)
            if not is_prefix:
                return bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
            pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key)
            names = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
            files = {name: s3.get_object(Bucket=bucket, Key=name)["Body"].read() for name in names}
            return tar_gz({name[len(key) :]: data for name, data in files.items() if name != key})
        except (ClientError, BotoCoreError) as error:
            logger.info("model data: %s", error)
            raise Unhealthy(
                f'Failed to download model data for container "container_1" from URL: "s3://{bucket}/{key}". Please '
                "ensure that there is an object located at the URL and that the role passed to CreateModel has "
                "permissions to download the object."
            ) from None

    def _client(self, role_arn: str) -> Any:
        """An S3 client that acts in a session of the execution role, through the sandbox's own door."""
        role = find_role(role_arn)
        if role is None:
            raise Unhealthy(f'The execution role ARN "{role_arn}" is invalid.')
        session = execution_session(role)
        expires = self._world.clock() + timedelta(hours=1)
        key_id, secret, token = (
            f"ASIA{secrets.token_hex(8).upper()}",
            secrets.token_hex(20),
            secrets.token_hex(64),
        )
        self._world.keys.add_session(key_id, Key(session.until(expires), secret, token))
        with self._lock:  # sessions may not make clients in two threads at once
            return self._session.client(
                "s3",
                region_name="us-east-1",
                endpoint_url=self.endpoint_url,
                aws_access_key_id=key_id,
                aws_secret_access_key=secret,
                aws_session_token=token,
                config=Config(retries={"total_max_attempts": 1}),
            )
