"""The capacity of an endpoint as CreateEndpointConfig is asked for it: instances or none, pools, time-outs, routing, metrics.

Not here: whether the keys may stand beside each other (``config.capacity_agreement``), and what the account's quotas allow
(``quotas``).

Source: ProductionVariant and MetricsConfig in the SageMaker API reference; "Deploy to multiple instance types with instance pools"
and "SageMaker AI endpoint parameters for large model inference" in the developer guide.
"""

from typing import Any

from crossaccount.config.endpoint import Endpoint

# Members of a variant that AWS has none of where nobody asked for them.
OPTIONAL = (
    "InstancePools",
    "VariantInstanceProvisionTimeoutInSeconds",
    "ManagedInstanceScaling",
    "CapacityReservationConfig",
    "ContainerStartupHealthCheckTimeoutInSeconds",
    "ModelDataDownloadTimeoutInSeconds",
    "VolumeSizeInGB",
    "InferenceAmiVersion",
    "RoutingConfig",
)


def slow_seconds(endpoint: Endpoint) -> int:
    """The seconds that an endpoint may take to come up beyond AWS's own limits, as far as the config says."""
    given = (endpoint.provision_seconds, endpoint.model_download_seconds, endpoint.container_startup_seconds)
    return sum(filter(None, given))


def requested(endpoint: Endpoint) -> dict[str, Any]:
    """The members of a variant that say on what it runs, and how it comes up."""
    given = {
        "ContainerStartupHealthCheckTimeoutInSeconds": endpoint.container_startup_seconds,
        "ModelDataDownloadTimeoutInSeconds": endpoint.model_download_seconds,
        **(_serverless(endpoint) if endpoint.serverless is not None else _instances(endpoint)),
    }
    return {name: value for name, value in given.items() if value is not None}


def _serverless(endpoint: Endpoint) -> dict[str, Any]:
    assert endpoint.serverless is not None
    memory, concurrency = endpoint.serverless.memory_mb, endpoint.serverless.max_concurrency
    return {"ServerlessConfig": {"MemorySizeInMB": memory, "MaxConcurrency": concurrency}}


def _instances(endpoint: Endpoint) -> dict[str, Any]:
    pools = [
        {"InstanceType": pool.instance_type, "Priority": pool.priority} for pool in endpoint.instance_pools
    ]
    return {
        "InitialInstanceCount": endpoint.instance_count,
        **({"InstancePools": pools} if pools else {"InstanceType": endpoint.instance_type}),
        "VariantInstanceProvisionTimeoutInSeconds": endpoint.provision_seconds,
        "VolumeSizeInGB": endpoint.volume_size_gb,
        "InferenceAmiVersion": endpoint.inference_ami,
        "RoutingConfig": _routing(endpoint),
        "CapacityReservationConfig": _reservation(endpoint),
        "ManagedInstanceScaling": _scaling(endpoint),
    }


def _routing(endpoint: Endpoint) -> dict[str, Any] | None:
    if endpoint.routing is None:
        return None
    strategy = {"RoutingStrategy": endpoint.routing.upper().replace("-", "_")}
    if (prefix := endpoint.prefix_routing) is None:
        return strategy
    given = {"PrefixLength": prefix.length, "ConcurrencyThreshold": prefix.concurrency}
    return {**strategy, "PrefixAwareRoutingConfig": given}


def _reservation(endpoint: Endpoint) -> dict[str, Any] | None:
    if endpoint.capacity_reservation is None:
        return None
    preference = "capacity-reservations-only"  # the only one that AWS has
    return {"CapacityReservationPreference": preference, "MlReservationArn": endpoint.capacity_reservation}


def _scaling(endpoint: Endpoint) -> dict[str, Any] | None:
    if (scaling := endpoint.managed_scaling) is None:
        return None
    bounds = {"MinInstanceCount": scaling.minimum, "MaxInstanceCount": scaling.maximum}
    return {"Status": "ENABLED", **bounds}


def metrics(endpoint: Endpoint) -> dict[str, Any] | None:
    """The endpoint config's MetricsConfig; None leaves it to AWS, whose default for new ones is detailed observability."""
    if (wanted := endpoint.metrics) is None:
        return None
    given = {"EnableDetailedObservability": wanted.detailed, "EnableEnhancedMetrics": wanted.enhanced}
    often = {"MetricPublishFrequencyInSeconds": wanted.publish_seconds} if wanted.publish_seconds else {}
    return {**given, **often}
