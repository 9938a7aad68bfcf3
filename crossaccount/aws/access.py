"""Producer and Target: an account of the config with its session and clients, and how a refusal there is explained.

Not here: assuming a role (``sessions``), and the meaning of an error of AWS (``refusals``, ``diagnosis``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from crossaccount.aws import diagnosis, sessions, ways_out
from crossaccount.aws.operations import action_of, resource_of
from crossaccount.aws.refusals import Attempt, classify, hides_key, says_why, unreachable
from crossaccount.aws.simulation import Simulator
from crossaccount.config.model import ConsumerConfig, Sharing
from crossaccount.errors import CrossAccountError, DoorName, Refused

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3control import S3ControlClient
    from mypy_boto3_sagemaker import SageMakerClient


class Account:
    """An account with a session: one client of each service, made when it is first asked for."""

    config: Sharing
    session: boto3.Session

    @property
    def region(self) -> str:
        """The config's region."""
        return self.config.region

    @property
    def s3(self) -> S3Client:
        """Amazon S3."""
        return self.session.client("s3", self.region)

    @property
    def sagemaker(self) -> SageMakerClient:
        """Amazon SageMaker."""
        return self.session.client("sagemaker", self.region)

    def client(self, service: str) -> Any:
        """Any other service's client in the config's region."""
        return self.session.client(service, self.region)  # type: ignore[call-overload]


@dataclass(frozen=True)
class Producer(Account):
    """The account that shares: the config, and a session in the producer's role or credentials."""

    config: Sharing
    session: boto3.Session

    @property
    def account(self) -> str:
        """The producer's account id."""
        return self.config.producer.account

    @property
    def s3control(self) -> S3ControlClient:
        """Amazon S3 Control."""
        return self.session.client("s3control", self.region)

    @property
    def ecr(self) -> ECRClient:
        """Amazon ECR."""
        return self.session.client("ecr", self.region)

    @property
    def ram(self) -> Any:
        """AWS Resource Access Manager."""
        return self.session.client("ram", self.region)

    @property
    def kms(self) -> KMSClient:
        """AWS KMS."""
        return self.session.client("kms", self.region)

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Within this, AWS's errors become the product's: the producer is refused by its own policies.

        Raises:
            Refused: for an access-denied error.
            Failed: for any other.
        """
        try:
            yield
        except ClientError as error:
            raise _with_notes(self.explain(error), error) from None
        except BotoCoreError as error:
            raise _with_notes(unreachable(error, "producer"), error) from None

    def explain(self, error: ClientError) -> CrossAccountError:
        """The product's error for one of AWS's: a `Refused` for access that is denied, else a `Failed`."""
        producer = self.config.producer
        profile = f"profile {producer.profile}" if producer.profile else "the ambient credentials"
        resource = resource_of(error, self.config.partition) or self.config.model_package_group
        attempt = Attempt(
            producer.role or profile,
            self.account,
            self.account,
            DoorName.CALLER_POLICY,
            action_of(error),
            resource,
            "producer",
        )
        return _likely_first(classify(error, attempt), self.config)

    def way_out(self, error: ClientError, otherwise: str) -> str:
        """The way out of a refusal that stands in no door's way: whoever keeps the policy that AWS names; ``otherwise`` where it names none."""
        explained = self.explain(error)
        return (
            explained.refusal.next_step if isinstance(explained, Refused) and says_why(error) else otherwise
        )


@dataclass(frozen=True)
class Target(Account):
    """A consumer's account: the config, the consumer's name in it, the consumer, and a session in its deployer role."""

    config: Sharing
    name: str
    consumer: ConsumerConfig
    session: boto3.Session

    @property
    def account(self) -> str:
        """The consumer's account id."""
        return self.consumer.account

    def attempt(self, door: str, action: str, resource: str) -> Attempt:
        """An attempt of the deployer role at one of the producer's doors."""
        owner, key = self.config.producer.account, f"consumers.{self.name}"
        return Attempt(self.consumer.role, self.account, owner, door, action, resource, key)

    @property
    def simulator(self) -> Simulator:
        """What IAM can be asked about the deployer role."""
        return Simulator(self.session, self.consumer.role, self.region, self.config.producer.account)

    @contextmanager
    def explained(self, action: str, resource: str, door: str = DoorName.CALLER_POLICY) -> Iterator[None]:
        """Within this, AWS's errors become the product's, once IAM was asked about the deployer role's own policies.

        Args:
            action: the permission that is needed, for an error that names none: S3 gives no reason to another organization.
            resource: the resource that it is needed on.
            door: the producer's door that is being passed; by default only the role's own policies count.

        Raises:
            Refused: for an access-denied error, narrowed down.
            Failed: for any other.
        """
        try:
            yield
        except ClientError as error:
            attempt = self.attempt(door, action, resource)
            if hides_key(error):
                attempt = replace(attempt, key=self._key_of(resource))
            failure = classify(error, attempt)
            if isinstance(failure, Refused):
                failure = diagnosis.narrow(failure, self.simulator)
            raise _likely_first(failure, self.config) from None
        except BotoCoreError as error:
            raise unreachable(error, f"consumers.{self.name}") from None

    def _key_of(self, resource: str) -> str:
        """The KMS key of an object, by its ARN; empty when it cannot be found out. Reading it asks nothing of KMS."""
        _, is_object, place = resource.partition(":s3:::")
        bucket, _, key = place.partition("/")
        if not (is_object and key):
            return ""
        try:
            head = self.s3.head_object(
                Bucket=bucket, Key=key, ExpectedBucketOwner=self.config.producer.account
            )
        except (ClientError, BotoCoreError):
            return ""
        return str(head.get("SSEKMSKeyId", ""))


def open_producer(config: Sharing) -> Producer:
    """The producer's account, with its role assumed; raises as `sessions.producer_session` does."""
    return Producer(config, sessions.producer_session(config))


def open_target(config: Sharing, name: str) -> Target:
    """A consumer's account, with its deployer role assumed; raises as `sessions.consumer_session` does."""
    consumer = config.consumers[name]
    return Target(config, name, consumer, sessions.consumer_session(config, name, consumer))


@contextmanager
def producing(config: Sharing) -> Iterator[Producer]:
    """The producer's account for a few calls, whose errors are explained; raises as `open_producer` and `Producer.explained` do."""
    producer = open_producer(config)
    with producer.explained():
        yield producer


def _likely_first(failure: CrossAccountError, config: Sharing) -> CrossAccountError:
    """A refusal by the caller's own policies, with a misspelt name of the config as the first cause where it is about such a name."""
    if not isinstance(failure, Refused) or not failure.refusal.next_step.endswith(ways_out.TEMPLATES):
        return failure
    named = {
        "model_package_group": config.model_package_group,
        "producer.releases": config.producer.releases_bucket,
    }
    parts = re.split("[:/]", failure.refusal.resource)
    for key, name in named.items():
        if name in parts:
            beside = f"region, {config.region}" if key == "model_package_group" else ""
            step = ways_out.misnamed(key, name, failure.refusal.next_step, beside)
            return Refused(replace(failure.refusal, next_step=step), failure.findings)
    return failure


def _with_notes(failure: CrossAccountError, error: Exception) -> CrossAccountError:
    """The failure, with what was noted on AWS's error."""
    for note in getattr(error, "__notes__", ()):
        failure.add_note(note)
    return failure
