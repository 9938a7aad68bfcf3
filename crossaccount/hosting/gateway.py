"""The gateway to SageMaker's hosting API: the one hand on models, endpoint configs, endpoints and inference components.

Calls are made with a boto3 client rather than by the resources of sagemaker-core: their ``create`` asks for the new resource
at once, and fills in defaults from a ``config.yaml`` of the SDK on this machine. Not here: the parameters (``requests``), and
the order of the calls (``creation``, ``shift``, ``removal``).

Source: the Create, Describe, List and Delete calls of Model, EndpointConfig, Endpoint and InferenceComponent, UpdateEndpoint,
UpdateInferenceComponent, AddTags, ListTags and DeleteTags in the SageMaker API reference.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from crossaccount.aws.endpoint_status import IN_PROGRESS
from crossaccount.aws.retries import passes
from crossaccount.errors import Failed
from crossaccount.hosting.resources import HostingKind
from crossaccount.text import first_line

FIRST_SECONDS = 1.0
MOST_LISTED = (
    100  # the most that a page of SageMaker's lists has; of endpoints it has ten unless asked otherwise
)
HOST_SECONDS = 3600.0  # for instances to come up and go: an instance that is not up by then does not come up
# Ends of names that `Gateway.list` looks for; an endpoint config NAME-vN or NAME-vN-HHHH has the model NAME-vN.
VERSION, VERSION_AND_HASH, VERSION_AND_ANY_HASH = "", "-[0-9a-f]{4}", "(?:-[0-9a-f]{4})?"
_WORDS: dict[HostingKind, tuple[str, str]] = {
    "model": ("model", "Model"),
    "endpoint-config": ("endpoint_config", "EndpointConfig"),
    "endpoint": ("endpoint", "Endpoint"),
    "inference-component": ("inference_component", "InferenceComponent"),
}
Description = Mapping[str, Any]
Progress = Callable[[str, tuple[str, ...], float], None]


def silent(status: str, stages: tuple[str, ...], seconds: float) -> None:
    """Progress that nobody is told of."""


@dataclass(frozen=True)
class Patience:
    """How long to wait for an endpoint, and how often to look: first after `first` seconds, then ever less often."""

    seconds: float = HOST_SECONDS
    first: float = field(default_factory=lambda: FIRST_SECONDS)
    longest: float = 15.0

    def pause(self, waited: float) -> float:
        """Seconds until the next look: a tenth of the wait, so that a change is noticed late by a tenth at most."""
        return min(max(self.first, waited / 10), self.longest)


@dataclass(frozen=True)
class Listed:
    """A resource as AWS lists it under an endpoint's names, NAME-vN and an end."""

    name: str
    version: int
    arn: str
    created: datetime


class Gateway:
    """SageMaker's hosting API in one account. Every call raises ClientError for AWS's refusal.

    ``record`` is the kind of resource that stands for a version on an endpoint that stays, with its proof in a tag.
    """

    record: HostingKind = "endpoint-config"

    def __init__(self, client: Any) -> None:
        self._client = client

    def describe(self, kind: HostingKind, name: str) -> Description | None:
        """A resource as it is now; None when there is none."""
        call, word = _WORDS[kind]
        return absent(lambda: getattr(self._client, f"describe_{call}")(**{f"{word}Name": name}))

    def arn(self, kind: HostingKind, description: Description) -> str:
        """The ARN in a description."""
        return str(description[f"{_WORDS[kind][1]}Arn"])

    def tags(self, arn: str) -> dict[str, str]:
        """A resource's tags."""
        pages = self._client.get_paginator("list_tags").paginate(ResourceArn=arn)
        return {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}

    def add_tags(self, arn: str, values: Mapping[str, str]) -> None:
        """Add tags to a resource, or change them."""
        self._client.add_tags(ResourceArn=arn, Tags=_tag_list(values))

    def remove_tag(self, arn: str, key: str) -> None:
        """Take a tag from a resource; one that it does not have is no error."""
        self._client.delete_tags(ResourceArn=arn, TagKeys=[key])

    def list(self, kind: HostingKind, endpoint: str, end: str) -> Iterator[Listed]:
        """The resources that are called ENDPOINT-vN and then ``end``, a pattern."""
        call, word = _WORDS[kind]
        pattern = re.compile(rf"{re.escape(endpoint)}-v([0-9]{{1,9}}){end}")
        # AWS cuts the pages before it looks at the names, so a page may be empty and not the last one.
        given = {"NameContains": f"{endpoint}-v", "PaginationConfig": {"PageSize": MOST_LISTED}}
        for page in self._client.get_paginator(f"list_{call}s").paginate(**given):
            for summary in page[f"{word}s"]:
                if match := pattern.fullmatch(summary[f"{word}Name"]):
                    yield Listed(match[0], int(match[1]), summary[f"{word}Arn"], summary["CreationTime"])

    def create(self, kind: HostingKind, request: Mapping[str, Any], tags: Mapping[str, str]) -> str:
        """Create a resource; its ARN."""
        call, word = _WORDS[kind]
        answer = getattr(self._client, f"create_{call}")(**request, Tags=_tag_list(tags))
        return str(answer[f"{word}Arn"])

    def create_or_find(
        self, kind: HostingKind, request: Mapping[str, Any], tags: Mapping[str, str]
    ) -> tuple[str, Description | None]:
        """Create a resource unless it exists; its ARN, and its description if it existed."""
        description = self.describe(kind, request[f"{_WORDS[kind][1]}Name"])
        if description is None:
            return self.create_new(kind, request, tags)
        return self.arn(kind, description), description

    def create_new(
        self, kind: HostingKind, request: Mapping[str, Any], tags: Mapping[str, str]
    ) -> tuple[str, Description | None]:
        """Create a resource that was not there just now; its ARN, and its description if AWS says that it exists.

        Where an answer is lost botocore asks again, and the second time AWS says that it exists. So it does when another run was
        faster.
        """
        try:
            return self.create(kind, request, tags), None
        except ClientError as error:
            if not _message(error).startswith("Cannot create already existing"):
                raise
            description = self.describe(kind, request[f"{_WORDS[kind][1]}Name"])
            if description is None:  # and it is gone again
                raise
            return self.arn(kind, description), description

    def update_endpoint(self, request: Mapping[str, Any]) -> None:
        """UpdateEndpoint."""
        self._client.update_endpoint(**request)

    def update_component(self, request: Mapping[str, Any]) -> None:
        """UpdateInferenceComponent."""
        self._client.update_inference_component(**request)

    def delete(self, kind: HostingKind, name: str) -> bool:
        """Delete a resource; False when there is none."""
        call, word = _WORDS[kind]
        return absent(lambda: getattr(self._client, f"delete_{call}")(**{f"{word}Name": name})) is not None

    def watch(
        self,
        endpoint: str,
        patience: Patience,
        progress: Progress = silent,
        kind: HostingKind = "endpoint",
    ) -> Iterator[tuple[Description | None, float]]:
        """An endpoint's descriptions, ever less often, with the seconds waited; the last one at the end of the patience.

        A disturbance, during which AWS cannot be asked, is waited out as long as the patience lasts.

        Args:
            endpoint: its name.
            patience: how long to wait, and how often to look.
            progress: is called with AWS's status, the variants' stages and the seconds waited, at every look.
            kind: ``inference-component`` for the descriptions of one of these.

        Raises:
            ClientError, BotoCoreError: when AWS refuses to be asked, or cannot be asked at the end of the patience.
        """
        started = time.monotonic()
        while True:
            try:
                description = self.describe(kind, endpoint)
            except (ClientError, BotoCoreError) as error:
                waited = time.monotonic() - started
                if waited >= patience.seconds or not passes(error):
                    raise
                progress(f"not seen, AWS cannot be asked: {first_line(error)}", (), waited)
            else:
                waited = time.monotonic() - started
                progress(status_of(description) or "gone", stages(description), waited)
                yield description, waited
                if waited >= patience.seconds:
                    return
            time.sleep(max(0.0, min(patience.pause(waited), patience.seconds - waited)))

    def delete_endpoint(
        self,
        endpoint: str,
        patience: Patience,
        check: Callable[[], None] = lambda: None,
        kind: HostingKind = "endpoint",
    ) -> bool:
        """Delete an endpoint, or an inference component, once it is in no change, and see it gone; False when there was none.

        Args:
            endpoint: its name.
            patience: how long to wait for it to be deletable and to be gone.
            check: is called just before the deletion; its errors are raised.
            kind: of the two.

        Raises:
            Failed: when it cannot be deleted, or is not gone, in time.
        """
        deadline, requested = time.monotonic() + patience.seconds, False
        while True:
            rest = Patience(deadline - time.monotonic(), patience.first / 4, patience.longest)
            for description, _ in self.watch(endpoint, rest, kind=kind):
                if description is None:
                    return requested
                status = status_of(description)
                requested = requested or status == "Deleting"
                if not requested and status not in IN_PROGRESS:
                    break
            else:
                raise Failed(f"the {kind.replace('-', ' ')} is still {status} after {patience.seconds:.0f} s")
            check()
            requested = self._request_deletion(kind, endpoint)
            if not requested:
                time.sleep(rest.first)

    def _request_deletion(self, kind: HostingKind, name: str) -> bool:
        """The deletion; False when there is a change under way, a deletion too: botocore asks again for a lost answer.

        What AWS says of an inference component then is not documented, so that is looked at again.
        """
        try:
            self.delete(kind, name)
        except ClientError as error:
            if _message(error).startswith("Cannot update in-progress"):
                return False
            if kind == "inference-component" and is_invalid(error):
                status = status_of(self.describe(kind, name))
                if status is None or status in IN_PROGRESS:
                    return False
            raise
        return True


def absent(call: Callable[[], Any]) -> Any | None:
    """The answer to a call; None when SageMaker says, as a ValidationException, that there is no such resource."""
    try:
        return call()
    except ClientError as error:
        if is_invalid(error) and _message(error).startswith("Could not find"):
            return None
        raise


def is_invalid(error: ClientError) -> bool:
    """Whether SageMaker refuses a call for what it asks, and not for who asks."""
    return bool(error.response["Error"]["Code"] == "ValidationException")


def status_of(description: Description | None) -> str | None:
    """The status in the description of an endpoint or an inference component; None for no description."""
    found = description or {}
    status = found.get("EndpointStatus") or found.get("InferenceComponentStatus")
    return None if status is None else str(status)


def came_between(error: ClientError) -> bool:
    """Whether somebody else, or AWS itself, changed the endpoint between a look and the call.

    CreateEndpoint may also not see yet an endpoint config that was just described: its reads lag behind.
    """
    busy, exists = "Cannot update in-progress endpoint", "Cannot create already existing endpoint"
    return _message(error).startswith((busy, exists, "Could not find endpoint configuration"))


def pending_config(description: Description | None) -> str | None:
    """The endpoint config that an endpoint moves to, from its description."""
    return ((description or {}).get("PendingDeploymentSummary") or {}).get("EndpointConfigName")


def stages(description: Description | None) -> tuple[str, ...]:
    """How far each variant of an endpoint has moved, as ``VARIANT STATUS``, from its description."""
    variants = ((description or {}).get("PendingDeploymentSummary") or {}).get("ProductionVariants") or []
    return tuple(
        f"{variant['VariantName']} {stage['Status']}"
        for variant in variants
        for stage in (variant.get("VariantStatus") or [])[-1:]
    )


def _message(error: ClientError) -> str:
    return str(error.response["Error"].get("Message", ""))


def _tag_list(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in values.items()]
