"""The model, endpoint config and endpoint of one version: found from an earlier run, or created.

Not here: whether the version may be deployed (``preflight``), the parameters (``requests``), removal (``removal``), and an
endpoint that stays and changes (``shift``).

Source: CreateModel, CreateEndpointConfig, CreateEndpoint and DescribeEndpoint in the SageMaker API reference.
"""

from datetime import UTC, datetime

from crossaccount.aws.access import Target
from crossaccount.aws.endpoint_status import COMING_UP, GONE
from crossaccount.errors import Conflict, Failed
from crossaccount.hosting import requests
from crossaccount.hosting.gateway import Description, Gateway, Patience, Progress, silent
from crossaccount.hosting.gateways import open_gateway
from crossaccount.hosting.resources import (
    KEEP_TAG,
    OWNER,
    OWNER_TAG,
    PACKAGE_TAG,
    HostedResource,
    HostingKind,
    deployment_name,
    gone,
    log_group,
    tag_values,
)
from crossaccount.release.manifest import Release


def ensure_model(target: Target, release: Release, keep: bool, flow_run: str | None = None) -> HostedResource:
    """The model made from the shared package. Its removal: `removal.remove`, `removal.discard`, `removal.retire`.

    Args:
        target: the consumer's account.
        release: of the version.
        keep: whether it stays when the run ends.
        flow_run: the run that makes it, for the tag of a model that does not stay; one that a dead run left is taken over.

    Raises:
        Failed: as `requests.check`.
        Conflict: when a model of that name was made from another package, with other settings, or by someone else.
        ClientError: AWS's refusal.
    """
    requests.check(target.consumer, release)
    gateway, name = Gateway(target.sagemaker), deployment_name(target.consumer, release.version)
    request = requests.model(target.consumer, release, name)
    tags = tag_values(release.model_package_arn, keep, flow_run)
    arn, description = gateway.create_or_find("model", request, tags)
    if description is None:
        return HostedResource("model", name, arn, False, keep)
    differs = requests.difference(description, requests.expected_model(request))
    return take_over(target, "model", name, arn, release, keep, flow_run, differs)


def ensure_endpoint_config(
    target: Target, release: Release, name: str, keep: bool, flow_run: str | None = None
) -> HostedResource:
    """The endpoint config with one variant, as the consumer asks for it; takes and raises as `ensure_model` does.

    One that does not stay captures no calls, and tells no topic of its answers: they are only the proof's.
    """
    consumer = target.consumer if keep else requests.for_a_trial(target.consumer)
    request = requests.endpoint_config(consumer, release, name)
    tags = tag_values(release.model_package_arn, keep, flow_run)
    arn, description = Gateway(target.sagemaker).create_or_find("endpoint-config", request, tags)
    if description is None:
        return HostedResource("endpoint-config", name, arn, False, keep)
    differs = requests.difference(description, requests.with_unasked(request, keep))
    return take_over(target, "endpoint-config", name, arn, release, keep, flow_run, differs)


def look(target: Target, release: Release) -> Description | None:
    """The endpoint NAME-vN of a version as it is now; None when there is none.

    Raises:
        Refused: for a role that may not look at it.
    """
    name = deployment_name(target.consumer, release.version)
    with target.explained("sagemaker:DescribeEndpoint", name):
        return Gateway(target.sagemaker).describe("endpoint", name)


def ensure_endpoint(
    target: Target, release: Release, keep: bool, patience: Patience, flow_run: str | None = None
) -> HostedResource:
    """The endpoint NAME-vN, which may still be Creating; takes and raises as `ensure_model` does.

    One that an earlier run left Failed or Deleting is removed first, within this patience.
    """
    gateway, name = Gateway(target.sagemaker), deployment_name(target.consumer, release.version)
    request = {"EndpointName": name, "EndpointConfigName": name}
    tags = tag_values(release.model_package_arn, keep, flow_run)
    arn, description = gateway.create_or_find("endpoint", request, tags)
    if description is not None and description["EndpointStatus"] in GONE:
        take_over(target, "endpoint", name, arn, release, keep)
        open_gateway(target).delete_endpoint(name, patience)
        arn, description = gateway.create_or_find("endpoint", request, tags)
    if description is not None:
        return take_over(target, "endpoint", name, arn, release, keep, flow_run)
    return HostedResource("endpoint", name, arn, False, keep)


def take_over(
    target: Target,
    kind: HostingKind,
    name: str,
    arn: str,
    release: Release,
    keep: bool,
    flow_run: str | None = None,
    differs: str | None = None,
) -> HostedResource:
    """An earlier run's resource, once it is seen to be one and as requested; takes and raises as `ensure_model` does.

    It gets the tag of this run, so that the cleaning up after the earlier run leaves it.
    """
    gateway = Gateway(target.sagemaker)
    tags, resource = gateway.tags(arn), f"{kind.replace('-', ' ')} {name}"
    if (tags.get(OWNER_TAG), tags.get(PACKAGE_TAG)) != (OWNER, release.model_package_arn):
        raise Conflict(
            f"The {resource} exists and was not made by this tool from {release.model_package_arn}. Delete or rename it, "
            "or choose another endpoint.name."
        )
    if differs is not None:  # and neither a model nor an endpoint config can be changed
        raise Conflict(
            f"The {resource} exists with {differs}. Delete it once nothing uses it, or choose another endpoint.name."
        )
    if tags.get(KEEP_TAG) == "true":
        return HostedResource(kind, name, arn, True, True)
    if keep:
        gateway.add_tags(arn, {KEEP_TAG: "true"})
    elif flow_run is not None:
        since = datetime.now(UTC).isoformat(timespec="seconds")
        gateway.take_over(kind, name, arn, flow_run, since)
    return HostedResource(kind, name, arn, True, keep)


def wait_in_service(
    target: Target,
    endpoint: str,
    patience: Patience,
    progress: Progress = silent,
    gateway: Gateway | None = None,
    begun: bool = False,
) -> Description:
    """Wait until an endpoint serves, asking ever less often; its description then.

    Args:
        target: the consumer's account.
        endpoint: its name.
        patience: how long to wait.
        progress: as for `Gateway.watch`.
        gateway: what shows it; that of the consumer's kind of endpoint when it is left out, see `gateways`.
        begun: as for `Gateway.watch`.

    Raises:
        Failed: when it failed, with AWS's reason; when it is gone; or when the patience is over.
    """
    watched = gateway or open_gateway(target)
    for description, _ in watched.watch(endpoint, patience, progress, begun=begun):
        if description is None:
            raise Failed(gone(endpoint, "while it was being waited for"))
        status = description["EndpointStatus"]
        if status == "InService":
            return description
        if status not in COMING_UP:
            reason = (description.get("FailureReason") or "").strip() or "AWS gives no reason"
            raise Failed(f"The endpoint {endpoint} is {status}: {reason}")
    raise Failed(
        f"The endpoint {endpoint} is still {status} after {patience.seconds:.0f} s. Its container may be crash-looping: look at "
        f"{log_group(endpoint, (description or {}).get('InferenceComponentName'))}."
    )
