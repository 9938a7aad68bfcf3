"""Copies of requests for shadow variants, and captured data: requests and answers in S3, written with their execution roles.

One object holds one request and its answer, and is written at once; AWS collects some for minutes. Whether AWS captures answers
that are errors is not documented: here none is. Whether the configuration says so is the endpoint's business (``endpoint_configs``).

Source: "Shadow variants", "Capture data from real-time endpoint" and "Interpret captured data" in the SageMaker developer guide,
DataCaptureConfig in the API reference. How often a shadow variant gets a copy is its weight by that of the production variant.
"""

import base64
import json
import logging
import threading
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from crossaccount_sandbox.sagemaker.artifacts import Artifacts
from crossaccount_sandbox.sagemaker.containers import Answer
from crossaccount_sandbox.sagemaker.deployments import Unhealthy
from crossaccount_sandbox.sagemaker.execution import split_uri
from crossaccount_sandbox.sagemaker.fleets import Fleet
from crossaccount_sandbox.sagemaker.pipelines import Refused, Request
from crossaccount_sandbox.world import Record, World

logger = logging.getLogger("sandbox")


class Captures:
    """Copies requests to shadow variants, and keeps what endpoints capture.

    Args:
        world: the clock.
        artifacts: makes clients for S3 that act in an execution role.
    """

    def __init__(self, world: World, artifacts: Artifacts):
        self._world = world
        self._artifacts = artifacts
        self._lock = threading.Lock()
        self._counted: dict[tuple[str, str, str], int] = {}

    def copy(self, endpoint: Record, fleet: Fleet, request: Request) -> None:
        """Send a copy of a request to the fleet's shadow variants; nobody waits for their answers."""
        weight = float(fleet.variants[0].get("CurrentWeight") or 0) or 1.0
        for shadow in fleet.shadows:
            name = shadow["VariantName"]
            share = min(1.0, float(shadow["CurrentWeight"]) / weight)
            if self._is_its_turn(("copies", endpoint["EndpointArn"], name), share):
                work = (endpoint, fleet, name, request)
                threading.Thread(target=self._ask, args=work, name="shadow", daemon=True).start()

    def keep(self, endpoint: Record, fleet: Fleet, variant: str, request: Request, answer: Answer) -> None:
        """Keep a request and its answer, if the endpoint captures data, and this one."""
        capture = endpoint.get("DataCaptureConfig") or {}
        share = float(capture.get("CurrentSamplingPercentage", 0)) / 100
        key = ("captures", endpoint["EndpointArn"], variant)
        if capture.get("EnableCapture") and self._is_its_turn(key, share):
            work = (endpoint, fleet, variant, request, answer, self._world.clock())
            threading.Thread(target=self._write, args=work, name="capture", daemon=True).start()

    def _is_its_turn(self, key: tuple[str, str, str], share: float) -> bool:
        """Whether this one is among the share of all; exact over time."""
        with self._lock:
            number = self._counted[key] = self._counted.get(key, 0) + 1
        return int(number * share) > int((number - 1) * share)

    def _ask(self, endpoint: Record, fleet: Fleet, variant: str, request: Request) -> None:
        try:
            answer = fleet.copies[variant].invoke(request)
        except Refused as refused:
            logger.info(
                "shadow variant %s: %s answered %s", variant, refused.container, refused.answer.status
            )
            return
        self.keep(endpoint, fleet, variant, request, answer)

    def _write(
        self, endpoint: Record, fleet: Fleet, variant: str, request: Request, answer: Answer, when: datetime
    ) -> None:
        capture = endpoint["DataCaptureConfig"]
        bucket, prefix = split_uri(capture["DestinationS3Uri"])
        folder = "/".join(part for part in (prefix.strip("/"), endpoint["EndpointName"], variant) if part)
        key = f"{folder}/{when:%Y/%m/%d/%H/%M-%S}-{when.microsecond // 1000:03}-{uuid.uuid4()}.jsonl"
        line = json.dumps(captured(fleet.config, request, answer, when)) + "\n"
        encrypted = (
            {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": capture["KmsKeyId"]}
            if capture.get("KmsKeyId")
            else {}
        )
        try:
            s3 = self._artifacts.client(fleet.roles[variant])
            s3.put_object(Bucket=bucket, Key=key, Body=line.encode(), **encrypted)
        except (ClientError, BotoCoreError, Unhealthy) as error:
            logger.info("captured data of %s is lost: %s", endpoint["EndpointName"], error)


def captured(config: Mapping[str, Any], request: Request, answer: Answer, when: datetime) -> dict[str, Any]:
    """A request and its answer, as a line of captured data.

    Args:
        config: the endpoint configuration, which says what of both is captured and how.
        request: what was asked.
        answer: what the containers answered.
        when: the time.
    """
    given = config.get("DataCaptureConfig") or {}
    modes = {option["CaptureMode"] for option in given.get("CaptureOptions") or ()}
    kinds = given.get("CaptureContentTypeHeader") or {}
    sides = (
        ("endpointInput", "Input", request.content_type, request.body),
        ("endpointOutput", "Output", answer.content_type, answer.body),
    )
    data = {
        name: {"observedContentType": kind, "mode": mode.upper(), **_encoded(kinds, kind, body)}
        for name, mode, kind, body in sides
        if modes & {mode, "InputAndOutput"}
    }
    inference = request.headers.get("X-Amzn-SageMaker-Inference-Id")
    known = {"inferenceId": inference} if inference else {}
    stamp = when.strftime("%Y-%m-%dT%H:%M:%SZ")
    metadata = {"eventId": str(uuid.uuid4()), **known, "inferenceTime": stamp}
    return {"captureData": data, "eventMetadata": metadata, "eventVersion": "0"}


def _encoded(kinds: Mapping[str, Any], content_type: str, body: bytes) -> dict[str, str]:
    """Data as it is captured: text for the content types that the configuration names, base64 otherwise."""
    for encoding, member in (("CSV", "CsvContentTypes"), ("JSON", "JsonContentTypes")):
        if content_type in (kinds.get(member) or ()):
            return {"data": body.decode("utf-8", "replace"), "encoding": encoding}
    return {"data": base64.b64encode(body).decode(), "encoding": "BASE64"}
