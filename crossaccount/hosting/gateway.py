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
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from crossaccount.aws.endpoint_status import IN_PROGRESS
from crossaccount.aws.retries import passes
from crossaccount.errors import Failed
from crossaccount.hosting import standing
from crossaccount.hosting.resources import RUN_TAG, SINCE_TAG, HostingKind, is_temporary
from crossaccount.hosting.standing import Standing
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
    """How long to wait for an endpoint, and how often to look: first after `first` seconds, then ever less often.

    An endpoint of AWS takes minutes to come up: see `look_pause`. What is ready sooner is waited for by `pause`.
    """

    seconds: float = HOST_SECONDS
    first: float = field(default_factory=lambda: FIRST_SECONDS)
    longest: float = 15.0

    def pause(self, waited: float) -> float:
        """Seconds until the next look: a tenth of the wait, so that a change is noticed late by a tenth at most."""
        return min(max(self.first, waited / 10), self.longest)

    def look_pause(self, waited: float) -> float:
        """Seconds until the next look at an endpoint: `first` before the first one, then twice that or a fifth of the wait."""
        return min(max(self.first if waited < self.first else 2 * self.first, waited / 5), self.longest)


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
        made = Standing(kind, request[f"{word}Name"], flow_run=tags.get(RUN_TAG))
        if is_temporary(tags):
            standing.note(self._client, made)
        try:
            answer = getattr(self._client, f"create_{call}")(**request, Tags=_tag_list(tags))
        except ClientError:
            standing.forget(self._client, kind, made.name)
            raise
        arn = str(answer[f"{word}Arn"])
        if is_temporary(tags):
            standing.note(self._client, replace(made, arn=arn))
        return arn

    def take_over(self, kind: HostingKind, name: str, arn: str, flow_run: str, since: str) -> None:
        """Have a temporary resource that another run made carry this run's tags."""
        standing.note(self._client, Standing(kind, name, arn, flow_run))
        self.add_tags(arn, {RUN_TAG: flow_run, SINCE_TAG: since})

    def create_or_find(
        self, kind: HostingKind, request: Mapping[str, Any], tags: Mapping[str, str]
    ) -> tuple[str, Description | None]:
        """Create a resource unless it exists; its ARN, and its description if it existed.

        It is looked for only where AWS says that it exists, or that a quota does not reach, which one that exists may have used
        up. Where an answer is lost botocore asks again, and the second time AWS says that it exists.
        """
        try:
            return self.create(kind, request, tags), None
        except ClientError as error:
            if not _may_exist(error):
                raise
            description = self.describe(kind, request[f"{_WORDS[kind][1]}Name"])
            if description is None:  # it never was, or is gone again
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
        found = absent(lambda: getattr(self._client, f"delete_{call}")(**{f"{word}Name": name})) is not None
        standing.gone(self._client, kind, name)
        return found

    def watch(
        self,
        endpoint: str,
        patience: Patience,
        progress: Progress = silent,
        kind: HostingKind = "endpoint",
        begun: bool = False,
    ) -> Iterator[tuple[Description | None, float]]:
        """An endpoint's descriptions, ever less often, with the seconds waited; the last one at the end of the patience.

        A disturbance, during which AWS cannot be asked, is waited out as long as the patience lasts.

        Args:
            endpoint: its name.
            patience: how long to wait, and how often to look.
            progress: is called with AWS's status, the variants' stages and the seconds waited, at every look.
            kind: ``inference-component`` for the descriptions of one of these.
            begun: whether the change has just begun, so that there is nothing to see yet: the first look comes after a pause.

        Raises:
            ClientError, BotoCoreError: when AWS refuses to be asked, or cannot be asked at the end of the patience.
        """
        started = time.monotonic()
        if begun:
            time.sleep(max(0.0, min(patience.look_pause(0.0), patience.seconds)))
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
            time.sleep(max(0.0, min(patience.look_pause(waited), patience.seconds - waited)))

    def delete_endpoint(
        self,
        endpoint: str,
        patience: Patience,
        check: Callable[[], None] = lambda: None,
        kind: HostingKind = "endpoint",
    ) -> bool:
        """As `request_deletion`, and see it gone.

        Raises:
            Failed: when it cannot be deleted, or is not gone, in time.
        """
        requested = self.request_deletion(endpoint, patience, check, kind)
        if requested:
            self.see_gone(endpoint, patience, kind)
        return requested

    def request_deletion(
        self,
        endpoint: str,
        patience: Patience,
        check: Callable[[], None] = lambda: None,
        kind: HostingKind = "endpoint",
    ) -> bool:
        """Ask for the deletion of an endpoint, or an inference component, once it is in no change; False when there is none.

        AWS refuses to delete an endpoint that is in a change, so that is looked at only then. What it does to an inference
        component in one is not documented: that is looked at before.

        Args:
            endpoint: its name.
            patience: how long to wait for it to be deletable.
            check: is called just before the deletion; its errors are raised.
            kind: of the two.

        Raises:
            Failed: when it is still in a change at the end of the patience.
        """
        deadline, looks = time.monotonic() + patience.seconds, kind != "endpoint"
        refused = False
        while True:
            rest = _sooner(replace(patience, seconds=deadline - time.monotonic()))
            if looks:
                status = self._status_at_rest(endpoint, rest, kind, begun=refused)
                if status in (None, "Deleting"):
                    return status is not None
            check()
            deleted = self._delete_at_rest(kind, endpoint)
            if deleted is not None:
                return deleted
            looks = refused = True

    def _status_at_rest(
        self, endpoint: str, patience: Patience, kind: HostingKind, begun: bool
    ) -> str | None:
        """The status once there is no change under way but a deletion; None when it is gone."""
        for description, _ in self.watch(endpoint, patience, kind=kind, begun=begun):
            status = status_of(description)
            if status is None or status == "Deleting" or status not in IN_PROGRESS:
                return status
        raise Failed(f"the {kind.replace('-', ' ')} is still {status} after {patience.seconds:.0f} s")

    def see_gone(self, endpoint: str, patience: Patience, kind: HostingKind = "endpoint") -> None:
        """See an endpoint, or an inference component, gone whose deletion was just asked for.

        Raises:
            Failed: when it is not, in time.
        """
        for description, _ in self.watch(endpoint, _sooner(patience), kind=kind, begun=True):
            if description is None:
                return
        raise Failed(
            f"the {kind.replace('-', ' ')} is still {status_of(description)} after {patience.seconds:.0f} s"
        )

    def _delete_at_rest(self, kind: HostingKind, name: str) -> bool | None:
        """The deletion, as `delete`; None when there is a change under way, a deletion too: botocore asks again for a lost answer.

        What AWS says of an inference component then is not documented, so that is looked at again.
        """
        try:
            return self.delete(kind, name)
        except ClientError as error:
            if _message(error).startswith("Cannot update in-progress"):
                return None
            if kind == "inference-component" and is_invalid(error):
                status = status_of(self.describe(kind, name))
                if status is None or status in IN_PROGRESS:
                    return None
            raise


def _sooner(patience: Patience) -> Patience:
    """For what goes: an endpoint is gone sooner than one comes up."""
    return replace(patience, first=patience.first / 4)


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


def _may_exist(error: ClientError) -> bool:
    exists = _message(error).startswith("Cannot create already existing")
    return exists or error.response["Error"]["Code"] == "ResourceLimitExceeded"


def _message(error: ClientError) -> str:
    return str(error.response["Error"].get("Message", ""))


def _tag_list(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in values.items()]
