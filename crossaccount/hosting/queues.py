"""The access that an asynchronous endpoint needs on the consumer's side: to its answers in S3, their key, its topics and its input.

Each need is asked about at IAM; policies of buckets, keys and topics are not read, so that a role's own policies alone are told. Not
here: the request for such an endpoint (``requests``), and asking it (``proof.asynchronous``).

Source: "Asynchronous inference" in the SageMaker developer guide (prerequisites; "Check prediction results"); "Protecting data using
server-side encryption with AWS KMS" in the S3 user guide: a write asks for kms:GenerateDataKey, a read for kms:Decrypt.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

from crossaccount.arns import parse_s3
from crossaccount.aws.access import Target
from crossaccount.aws.simulation import Simulated
from crossaccount.parallel import run_all

FOLDER = "crossaccount-proofs"  # below the output path: answers to questions, apart from those to the endpoint's callers


@dataclass(frozen=True)
class Need:
    """An action that a role needs on a resource, an ARN."""

    role: str
    action: str
    resource: str

    def __str__(self) -> str:
        """The need as a sentence has it."""
        return f"{self.role} may {self.action} on {self.resource}"


def needs(target: Target) -> list[Need]:
    """What the execution role and the deployer need for the consumer's asynchronous endpoint; nothing for any other."""
    return [] if target.consumer.endpoint.asynchronous is None else list(_needs(target))


def _needs(target: Target) -> Iterator[Need]:
    consumer, queue = target.consumer, target.consumer.endpoint.asynchronous
    assert queue is not None
    execution, deployer = partial(Need, consumer.execution_role), partial(Need, consumer.role)
    endpoint = consumer.endpoint.name.lower()
    place = f"arn:{target.config.partition}:sagemaker:{target.region}:{target.account}:endpoint/{endpoint}"
    yield execution("s3:PutObject", _object(target, _below(queue.s3_output, "answer.out")))
    yield deployer("s3:GetObject", _object(target, _below(queue.s3_output, f"{FOLDER}/answer.out")))
    if queue.s3_failures is not None:
        yield execution("s3:PutObject", _object(target, _below(queue.s3_failures, "answer-error.out")))
        yield deployer("s3:GetObject", _object(target, _below(queue.s3_failures, "answer-error.out")))
    for topic in filter(None, (queue.success_topic, queue.error_topic)):
        yield execution("sns:Publish", topic)
    if queue.kms_key is not None and ":key/" in queue.kms_key:  # of an alias, or an id, IAM cannot be asked
        yield execution("kms:GenerateDataKey", queue.kms_key)
        yield deployer("kms:Decrypt", queue.kms_key)
    for uri in sorted({each.body_s3_uri for each in consumer.smoke if each.body_s3_uri is not None}):
        yield execution("s3:GetObject", _object(target, uri))
    yield deployer("sagemaker:InvokeEndpointAsync", place)


def _below(prefix: str, name: str) -> str:
    """The URI of an object below a prefix, which may lack the slash at its end."""
    return f"{prefix.rstrip('/')}/{name}"


def _object(target: Target, uri: str) -> str:
    return f"arn:{target.config.partition}:s3:::{'/'.join(parse_s3(uri))}"


def lacking(target: Target) -> list[tuple[Need, Simulated]]:
    """The needs that a role's own side does not allow, each with IAM's answer; what cannot be told is left out.

    Args:
        target: the consumer's account.
    """
    asked = needs(target)
    simulators = {
        role: replace(target.simulator, role=role, owner=target.account)
        for role in {need.role for need in asked}
    }
    answers = run_all([partial(simulators[need.role].simulate, need.action, need.resource) for need in asked])
    return [(need, said) for need, said in zip(asked, answers, strict=True) if said.allowed is False]
