"""What carries a version at an endpoint that stays, by the kind of endpoint: its endpoint config, or an inference component on it.

The one place where the kinds part: `shift` and `removal` are the same for both. Not here: when a version moves (``shift``).

Source: UpdateEndpoint and DescribeEndpoint in the SageMaker API reference.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, Protocol

from botocore.exceptions import ClientError

from crossaccount.aws.access import Target
from crossaccount.config.kinds import COMPONENTS
from crossaccount.errors import Failed
from crossaccount.hosting import creation, requests
from crossaccount.hosting.components import ComponentCarrier
from crossaccount.hosting.gateway import Gateway, Patience, Progress, came_between
from crossaccount.hosting.resources import HostedResource, HostingKind, deployment_name, tag_values
from crossaccount.release.manifest import Release

Pointed = Literal["created", "updated"]


class Carrier(Protocol):
    """The steps of a move that differ by the kind of endpoint.

    ``now`` is the endpoint config that an endpoint serves, or the model in its place; None when there is no endpoint.
    """

    def endpoint_config(self, now: str | None) -> str | None:
        """The endpoint config that the endpoint has; None for none."""

    def guard(self) -> Mapping[str, Any] | None:
        """The guardrails that the config asks for, as AWS takes them; None for AWS's own default."""

    def ensure(
        self, release: Release, wanted: str, patience: Patience, progress: Progress
    ) -> tuple[HostedResource, ...]:
        """What a move to the wanted one needs; the last resource is that one itself. Takes and raises as `shift.shift`."""

    def model_of(self, config: str, version: int) -> str:
        """The name of the model behind an endpoint config of a version."""

    def point(
        self,
        exists: bool,
        now: str | None,
        wanted: str,
        package: str,
        guard: Mapping[str, Any] | None,
        patience: Patience,
    ) -> Pointed:
        """Ask AWS for the move.

        Raises:
            Failed: when something that it needs is gone.
            ClientError: AWS's refusal; see `came_between`.
        """

    def came_between(self, error: ClientError) -> bool:
        """Whether somebody else, or AWS itself, changed something between a look and the call."""

    def clear_failed(self, patience: Patience) -> None:
        """Remove what has failed, and nothing that serves.

        Raises:
            Failed, ClientError: as `Gateway.delete_endpoint`.
        """

    def is_idle(self) -> bool:
        """Whether the endpoint is seen to serve nothing although it has not failed."""

    def unused(self) -> Iterator[tuple[HostingKind, str]]:
        """What no version is in and the endpoint does not need."""


def carrier(target: Target, model: HostedResource | None = None) -> Carrier:
    """The carrier of versions for the kind of endpoint that the config asks for.

    Args:
        target: the consumer's account.
        model: that of the version to move to, NAME-vN, if this run has just made or found it; a component has models of other names.
    """
    if target.consumer.endpoint.hosting_kind == COMPONENTS:
        return ComponentCarrier(target)
    return EndpointCarrier(target, model)


class EndpointCarrier:
    """Versions are carried by the endpoint's own endpoint config, see `Carrier`."""

    def __init__(self, target: Target, model: HostedResource | None = None) -> None:
        self._target = target
        self._model = model
        self._gateway = Gateway(target.sagemaker)
        self._name = target.consumer.endpoint.name

    def endpoint_config(self, now: str | None) -> str | None:
        """The endpoint config that the endpoint has, see `Carrier.endpoint_config`."""
        return now

    def guard(self) -> Mapping[str, Any] | None:
        """The guardrails of the config, see `Carrier.guard`."""
        return requests.deployment_config(self._target.consumer.endpoint)

    def ensure(
        self, release: Release, wanted: str, patience: Patience, progress: Progress
    ) -> tuple[HostedResource, ...]:
        """What a move needs, see `Carrier.ensure`."""
        model = self._model or creation.ensure_model(self._target, release, keep=True)
        return model, creation.ensure_endpoint_config(self._target, release, wanted, keep=True)

    def model_of(self, config: str, version: int) -> str:
        """The model behind one, see `Carrier.model_of`."""
        return deployment_name(self._target.consumer, version)

    def point(
        self,
        exists: bool,
        now: str | None,
        wanted: str,
        package: str,
        guard: Mapping[str, Any] | None,
        patience: Patience,
    ) -> Pointed:
        """Ask AWS for the move, see `Carrier.point`."""
        if exists:
            self._update(now, wanted, guard)
            return "updated"
        request = {"EndpointName": self._name, "EndpointConfigName": wanted}
        try:
            self._gateway.create("endpoint", request, tag_values(package, keep=True))
        except ClientError as error:
            if came_between(error) and self._gateway.describe("endpoint-config", wanted) is None:
                raise Failed(f"The endpoint config {wanted} was deleted. Run this again.") from None
            raise
        return "created"

    def _update(self, now: str | None, wanted: str, guard: Mapping[str, Any] | None) -> None:
        old = self._gateway.describe("endpoint-config", now or "")
        new = self._gateway.describe("endpoint-config", wanted)
        if old is None or new is None:
            missing = now if old is None else wanted
            raise Failed(
                f"The endpoint {self._name} cannot be updated: the endpoint config {missing} was deleted, and AWS wants both the old and "
                "the new one. Create it again under that name, or delete the endpoint."
            )
        self._gateway.update_endpoint(requests.update(self._target.consumer.endpoint, old, new, guard))

    def came_between(self, error: ClientError) -> bool:
        """Whether a look is out of date, see `Carrier.came_between`."""
        return came_between(error)

    def clear_failed(self, patience: Patience) -> None:
        """Remove what has failed, see `Carrier.clear_failed`."""
        self._gateway.delete_endpoint(self._name, patience)

    def is_idle(self) -> bool:
        """An endpoint in service serves its model, see `Carrier.is_idle`."""
        return False

    def unused(self) -> Iterator[tuple[HostingKind, str]]:
        """What is of no use, see `Carrier.unused`."""
        return iter(())
