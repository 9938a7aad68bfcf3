"""Which actions on which resources AWS checks for each operation the sandbox knows.

An operation without a row in its service's file is refused. Not here: the checks that SageMaker makes with an execution
role while it creates a model (``sagemaker.execution``), and the decision (``decisions``).

Source: the Service Authorization Reference of each service.
"""

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks import (
    cloudformation,
    ec2,
    ecr,
    ecs,
    identity,
    kms,
    logs,
    organizations,
    quotas,
    ram,
    s3,
    sagemaker,
)
from crossaccount_sandbox.checks.check import Check, Rule, unknown

_RULES: dict[str, dict[str, Rule]] = {
    "application-autoscaling": sagemaker.SCALING_RULES,
    "cloudformation": cloudformation.RULES,
    "cloudwatch": sagemaker.ALARM_RULES,
    "ec2": ec2.RULES,
    "ecr": ecr.RULES,
    "ecs": ecs.RULES,
    "iam": identity.IAM_RULES,
    "kms": kms.RULES,
    "logs": logs.RULES,
    "organizations": organizations.RULES,
    "ram": ram.RULES,
    "s3": s3.RULES,
    "s3control": s3.CONTROL_RULES,
    "sagemaker": sagemaker.RULES,
    "sagemaker-runtime": sagemaker.RUNTIME_RULES,
    "service-quotas": quotas.RULES,
    "sts": identity.STS_RULES,
}


def checks_of(call: Call) -> tuple[Check, ...]:
    """What AWS checks before it does this.

    Args:
        call: the request.

    Raises:
        AwsError: for an operation that is in no row: it is refused, and says so.
    """
    rule = _RULES[call.service].get(call.operation)
    if rule is None:
        raise unknown(call)
    return tuple(rule(call))


def known_operations() -> dict[str, tuple[str, ...]]:
    """The operations that have a row, by service."""
    return {service: tuple(rules) for service, rules in _RULES.items()}
