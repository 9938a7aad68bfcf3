"""What an endpoint of each kind cannot have, with AWS's reason: one table that the checks of a config and the docs share.

Not here: keys against each other within one kind (``hosting_agreement``).

Source: beside each row; "Serverless Inference" (feature exclusions), "Asynchronous inference" and "Deployment guardrails" in the
SageMaker developer guide, CreateEndpointConfig and ProductionVariant in the API reference.
"""

from dataclasses import dataclass

SERVERLESS, ASYNCHRONOUS, COMPONENTS, REAL_TIME = (
    "serverless",
    "asynchronous",
    "inference-components",
    "real-time",
)


@dataclass(frozen=True)
class Exclusion:
    """A key that an endpoint of one kind cannot have.

    ``key`` is the key's path below ``endpoint``, or below the consumer where it begins with ``consumer.``; a ``*`` in it is each item
    of a list. ``value`` is the one value of it that is excluded, with ``*`` at its end whatever begins so, None is any; ``why`` goes
    on the sentence "because a KIND endpoint ...".
    """

    kind: str
    key: str
    why: str
    value: object = None


EXCLUSIONS: tuple[Exclusion, ...] = (
    Exclusion(SERVERLESS, "instance_type", "has no instances"),
    Exclusion(SERVERLESS, "instance_pools", "has no instances"),
    Exclusion(SERVERLESS, "managed_scaling", "has no instances"),
    Exclusion(SERVERLESS, "capacity_reservation", "has no instances"),
    Exclusion(SERVERLESS, "provision_seconds", "has no instances"),
    Exclusion(SERVERLESS, "volume_size_gb", "has no instances"),
    Exclusion(SERVERLESS, "inference_ami", "has no instances"),
    Exclusion(SERVERLESS, "routing", "has no instances"),
    Exclusion(SERVERLESS, "prefix_routing", "has no instances"),
    # CreateEndpointConfig's own text, as reports of 2026 quote it (hashicorp/terraform-provider-aws, pull request 45926):
    # "ManagedInstanceScaling is only supported for inference component endpoints."
    Exclusion(REAL_TIME, "managed_scaling", "is scaled by Application Auto Scaling, outside this config"),
    Exclusion(ASYNCHRONOUS, "managed_scaling", "is scaled by Application Auto Scaling, outside this config"),
    Exclusion(SERVERLESS, "vpc", "runs in no VPC"),
    Exclusion(SERVERLESS, "network_isolation", "knows no network isolation"),
    Exclusion(SERVERLESS, "data_capture", "captures no data"),
    Exclusion(SERVERLESS, "kms_key", "has no storage of its own to encrypt"),
    Exclusion(SERVERLESS, "container_mode", "takes one container", "direct"),
    Exclusion(SERVERLESS, "consumer.smoke.*.stream", "does not stream its answers", True),
    Exclusion(SERVERLESS, "consumer.smoke_mode", "has no shadow variants", "shadow"),
    # InvokeEndpointAsync takes no TargetContainerHostname, and its answer is an object.
    Exclusion(ASYNCHRONOUS, "container_mode", "is asked without naming a container", "direct"),
    Exclusion(ASYNCHRONOUS, "consumer.smoke.*.stream", "writes its answers to S3", True),
    # "Exclusions" of shadow tests in the developer guide.
    Exclusion(ASYNCHRONOUS, "consumer.smoke_mode", "has no shadow variants", "shadow"),
    # "Asynchronous inference" in the developer guide: nothing that the exclusions of deployment guardrails name.
    Exclusion(ASYNCHRONOUS, "instance_type", "does not run on Inf1 instances", "ml.inf1.*"),
    Exclusion(ASYNCHRONOUS, "instance_pools.*.instance_type", "does not run on Inf1 instances", "ml.inf1.*"),
    Exclusion(COMPONENTS, "consumer.smoke_mode", "has no shadow variants", "shadow"),
    # UpdateInferenceComponent in the API reference: its DeploymentConfig has a RollingUpdatePolicy, which it requires, and no
    # BlueGreenUpdatePolicy; alarms and waits are of that policy. Without one SageMaker brings all new copies up beside the old.
    Exclusion(COMPONENTS, "deployment.type", "moves all at once or rolling", "canary"),
    Exclusion(COMPONENTS, "deployment.type", "moves all at once or rolling", "linear"),
    Exclusion(
        COMPONENTS, "deployment.termination_wait_seconds", "has no instances of the old version to keep"
    ),
    # DescribeInferenceComponent in the API reference: Specification.Container is one container with one image.
    Exclusion(COMPONENTS, "container_mode", "takes one container", "direct"),
)

# The key that says what an endpoint of a kind is, and that no other kind has.
OF_KIND = {SERVERLESS: "serverless", ASYNCHRONOUS: "asynchronous", COMPONENTS: "inference_component"}


def article(kind: str) -> str:
    """The kind with its article, for a sentence: ``an asynchronous endpoint``."""
    noun = "endpoint with inference components" if kind == COMPONENTS else f"{kind} endpoint"
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
