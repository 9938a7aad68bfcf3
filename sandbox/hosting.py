"""Endpoints over time: they are created, come into service with a real process behind them, change, and end.

Not here: the API around them (``sagemaker``) and the processes (``containers``).

Source: "EndpointStatus" in the SageMaker API reference; failure reasons are quotes from public reports.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from sandbox.callers import Key
from sandbox.containers import Answer, Container, Containers, NoAnswer, NotStarted
from sandbox.principals import find_role
from sandbox.sagemaker import artifact_locations, execution_session, image_digest, parse_image
from sandbox.training import tar_gz
from sandbox.wire import AwsError, Response

if TYPE_CHECKING:
    from sandbox.world import World

Place = tuple[str, str]
Record = dict[str, Any]
logger = logging.getLogger("sandbox")
_IN_PROGRESS = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")


class _Unhealthy(Exception):
    """Why an endpoint cannot come into service, in AWS's words."""


class Hosting:
    """All endpoints of the sandbox.

    Args:
        world: keys and clock.
        containers: where processes are started.
        seconds: how long an endpoint stays Creating or Updating, at least.
    """

    def __init__(self, world: World, containers: Containers, seconds: float):
        self._world = world
        self._containers = containers
        self._seconds = seconds
        self._endpoints: dict[tuple[Place, str], Record] = {}
        self._lock = threading.RLock()
        self.endpoint_url = ""

    def find(self, place: Place, name: str) -> Record | None:
        """The endpoint's record as it is now; None when there is none. Names ignore case."""
        with self._lock:
            return self._endpoints.get((place, name.lower()))

    def all(self, place: Place) -> list[Record]:
        """The endpoints of an account and region."""
        with self._lock:
            return [record for (of, _), record in self._endpoints.items() if of == place]

    def create(self, place: Place, name: str, arn: str, config: Record, models: dict[str, Record]) -> None:
        """Begin an endpoint: it is Creating when this returns."""
        now = self._world.clock()
        record: Record = {
            "EndpointName": name,
            "EndpointArn": arn,
            "EndpointConfigName": config["EndpointConfigName"],
            "EndpointStatus": "Creating",
            "CreationTime": now,
            "LastModifiedTime": now,
            "process": None,
        }
        with self._lock:
            self._endpoints[place, name.lower()] = record
        self._later(lambda: self._bring_up(record, config, models, failed="Failed"))

    def update(self, place: Place, name: str, config: Record, models: dict[str, Record]) -> bool:
        """Begin to move an endpoint to another configuration; False while it is in the middle of a change."""
        with self._lock:
            record = self._endpoints[place, name.lower()]
            if record["EndpointStatus"] in _IN_PROGRESS:
                return False
            record.update(EndpointStatus="Updating", LastModifiedTime=self._world.clock())
        self._later(lambda: self._bring_up(record, config, models, failed="InService"))
        return True

    def delete(self, place: Place, name: str) -> bool:
        """Begin to delete an endpoint; False while it is in the middle of a change."""
        with self._lock:
            record = self._endpoints[place, name.lower()]
            if record["EndpointStatus"] in _IN_PROGRESS:
                return False
            record.update(EndpointStatus="Deleting", LastModifiedTime=self._world.clock())
        self._later(lambda: self._take_down(place, name, record))
        return True

    def invoke(self, endpoint: Record, body: bytes, content_type: str, accept: str) -> Response:
        """The container's answer to one request.

        Raises:
            AwsError: ``ValidationError`` while no process serves it, ``ModelError`` (424) for an error of the container.
        """
        process: Container | None = endpoint["process"]
        if process is None or endpoint["EndpointStatus"] in ("Creating", "Failed", "Deleting"):
            account = endpoint["EndpointArn"].split(":")[4]
            raise AwsError(
                "ValidationError", f"Endpoint {endpoint['EndpointName']} of account {account} not found."
            )
        try:
            answer = process.invoke(body, content_type, accept, timeout=60)
        except NoAnswer as error:
            answer = Answer(500, "text/plain", str(error).encode())
        variant = endpoint["ProductionVariants"][0]["VariantName"]
        if answer.status != 200:
            said = answer.body.decode("utf-8", "replace")
            text = (
                f"Received {'client' if answer.status < 500 else 'server'} error ({answer.status}) from primary with "
                f'message "{said}".'
            )
            extra = {"OriginalStatusCode": answer.status, "OriginalMessage": said, "LogStreamArn": ""}
            raise AwsError("ModelError", text, 424, extra)
        headers = (("Content-Type", answer.content_type), ("x-Amzn-Invoked-Production-Variant", variant))
        return Response(200, answer.body, headers)

    def _later(self, work: Callable[[], None]) -> None:
        threading.Thread(target=work, name="endpoint", daemon=True).start()

    def _bring_up(self, record: Record, config: Record, models: dict[str, Record], failed: str) -> None:
        ready_at = time.monotonic() + self._seconds
        try:
            process, variants = self._start(config, models)
            reason = None
        except _Unhealthy as error:
            process, variants, reason = None, None, str(error)
        time.sleep(max(0.0, ready_at - time.monotonic()))
        with self._lock:
            before = record["process"]
            record["LastModifiedTime"] = self._world.clock()
            if process is None:
                record.update(EndpointStatus=failed, FailureReason=reason)
                return
            record.pop("FailureReason", None)
            record.update(
                EndpointStatus="InService",
                EndpointConfigName=config["EndpointConfigName"],
                ProductionVariants=variants,
                process=process,
            )
        if before is not None:
            self._containers.stop(before)

    def _take_down(self, place: Place, name: str, record: Record) -> None:
        if record["process"] is not None:
            self._containers.stop(record["process"])
        time.sleep(min(self._seconds, 0.3))
        with self._lock:
            self._endpoints.pop((place, name.lower()), None)

    def _start(self, config: Record, models: dict[str, Record]) -> tuple[Container, list[Record]]:
        """The process of the first variant's first container, and all variants as DescribeEndpoint shows them."""
        variants = [
            self._variant(variant, models[variant["VariantName"]]) for variant in config["ProductionVariants"]
        ]
        first = config["ProductionVariants"][0]
        model = models[first["VariantName"]]
        archive = self._download(model["ExecutionRoleArn"], model["Resolved"][0])
        try:
            process = self._containers.start(archive)
        except NotStarted as error:
            logger.info("container: %s", error)
            raise self._unhealthy(first["VariantName"]) from None
        if not process.wait(timeout=30):
            self._containers.stop(process)
            raise self._unhealthy(first["VariantName"])
        return process, variants

    @staticmethod
    def _unhealthy(variant: str) -> _Unhealthy:
        return _Unhealthy(
            f"The primary container for production variant {variant} did not pass the ping health check. Please check "
            "CloudWatch logs for this endpoint."
        )

    def _variant(self, variant: Record, model: Record) -> Record:
        images = []
        for container in model["Resolved"]:
            image = container["Image"]
            parsed, digest = parse_image(image), image_digest(image)
            if parsed is None or digest is None:
                raise _Unhealthy(
                    f"The role '{model['ExecutionRoleArn']}' does not have BatchGetImage permission for the image: '{image}'."
                )
            repository = f"{parsed[0]}.dkr.ecr.{parsed[1]}.amazonaws.com/{parsed[2]}"
            images.append(
                {
                    "SpecifiedImage": image,
                    "ResolvedImage": f"{repository}@{digest}",
                    "ResolutionTime": self._world.clock(),
                }
            )
        weight, count = variant.get("InitialVariantWeight", 1.0), variant["InitialInstanceCount"]
        return {
            "VariantName": variant["VariantName"],
            "DeployedImages": images,
            "CurrentWeight": weight,
            "DesiredWeight": weight,
            "CurrentInstanceCount": count,
            "DesiredInstanceCount": count,
        }

    def _download(self, role_arn: str, container: Record) -> bytes:
        """The container's artifact as a model.tar.gz, fetched over S3 as the execution role."""
        location = next(artifact_locations(container), None)
        if location is None:
            raise _Unhealthy("The container has no model data.")
        bucket, key, is_prefix = location
        try:
            s3 = self._client(role_arn)
            if not is_prefix:
                return bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
            pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key)
            names = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
            files = {
                name[len(key) :]: s3.get_object(Bucket=bucket, Key=name)["Body"].read() for name in names
            }
            return tar_gz({name: data for name, data in files.items() if name})
        except (ClientError, BotoCoreError) as error:
            logger.info("model data: %s", error)
            raise _Unhealthy(
                f'Failed to download model data for container "container_1" from URL: "s3://{bucket}/{key}". Please '
                "ensure that there is an object located at the URL and that the role passed to CreateModel has "
                "permissions to download the object."
            ) from None

    def _client(self, role_arn: str) -> Any:
        """An S3 client that acts in a session of the execution role, through the sandbox's own door."""
        role = find_role(role_arn)
        if role is None:
            raise _Unhealthy(f'The execution role ARN "{role_arn}" is invalid.')
        session = execution_session(role)
        expires = self._world.clock() + timedelta(hours=1)
        key_id, secret, token = (
            "ASIA" + secrets.token_hex(8).upper(),
            secrets.token_hex(20),
            secrets.token_hex(64),
        )
        self._world.keys.add_session(key_id, Key(session.until(expires), secret, token))
        return boto3.session.Session().client(
            "s3",
            region_name="us-east-1",
            endpoint_url=self.endpoint_url,
            aws_access_key_id=key_id,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=Config(retries={"total_max_attempts": 1}),
        )
