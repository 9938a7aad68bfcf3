"""The consumer's steps: each opens the deployer's session, calls the library, logs one line, returns plain data."""

from __future__ import annotations

from collections.abc import Sequence

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.runtime import flow_run

from crossaccount import preflight, serving, smoke
from crossaccount.arns import package_arn
from crossaccount.aws import sessions
from crossaccount.config.model import ConsumerConfig, Sharing
from crossaccount.errors import DoorName, Failed
from crossaccount.packages import ModelVersion
from crossaccount.release import Release
from crossaccount.serving import EndpointState, Made, Proof, Removal
from tasks import runs

ENDPOINT_SECONDS = (
    3600.0  # an endpoint that is not up by then does not come up: boto's own waiter gives up then too
)


@runs.step("assume {consumer.role}")
def assume_deployer(sharing: Sharing, name: str, consumer: ConsumerConfig) -> str:
    """Assume the deployer role, with its external id; the session refreshes itself. Returns the role's ARN."""
    sessions.consumer_session(sharing, name, consumer)
    get_run_logger().info("assumed %s", consumer.role)
    return consumer.role


@runs.step("find the version for {name}")
def find_version(sharing: Sharing, name: str, consumer: ConsumerConfig, version: int | None) -> ModelVersion:
    """Find the version in the producer's registry: the one asked for, or the newest approved one."""
    session = sessions.consumer_session(sharing, name, consumer)
    asked = ("sagemaker:DescribeModelPackage", package_arn(sharing, version or "*"))
    with preflight.explained(session, sharing, name, consumer, DoorName.REGISTRY, asked):
        found = preflight.find_version(session, sharing, version)
    get_run_logger().info("%s is %s and %s", found.arn, found.status, found.approval)
    return found


@runs.step("read the Release of version {version.version}")
def read_release(sharing: Sharing, name: str, consumer: ConsumerConfig, version: ModelVersion) -> Release:
    """Read the version's Release, hold it against the registry, and see that there is something to ask."""
    session = sessions.consumer_session(sharing, name, consumer)
    asked = preflight.reading_release(sharing, version.version)
    with preflight.explained(session, sharing, name, consumer, DoorName.BUCKET, asked):
        found = preflight.read_release(session, sharing, version)
    smoke.check_questions(name, consumer, found)
    get_run_logger().info("the Release of version %d agrees with the registry", found.version)
    return found


@runs.step("check the artifacts of version {release.version}")
def check_artifacts(sharing: Sharing, name: str, consumer: ConsumerConfig, release: Release) -> int:
    """See that every artifact is the one that was shared."""
    session = sessions.consumer_session(sharing, name, consumer)
    asked = preflight.reading_artifacts(sharing, release)
    with preflight.explained(session, sharing, name, consumer, DoorName.BUCKET, asked):
        count = preflight.check_artifacts(session, sharing, release)
    get_run_logger().info("%d artifacts are what the Release says", count)
    return count


@runs.step("create the model of version {release.version} in {consumer.account}")
def create_model(sharing: Sharing, name: str, consumer: ConsumerConfig, release: Release, keep: bool) -> Made:
    """Create the model from the shared package."""
    session = sessions.consumer_session(sharing, name, consumer)
    with preflight.explained_creation(session, sharing, name, consumer, release):
        made = serving.ensure_model(session, consumer, release, keep, flow_run.get_id())
    return _logged(made)


@runs.step("create the endpoint config of version {release.version} in {consumer.account}")
def create_endpoint_config(
    sharing: Sharing, name: str, consumer: ConsumerConfig, release: Release, keep: bool
) -> Made:
    """Create the endpoint config."""
    session = sessions.consumer_session(sharing, name, consumer)
    asked = ("sagemaker:CreateEndpointConfig", serving.deployment_name(consumer, release.version))
    with preflight.explained(session, sharing, name, consumer, DoorName.CALLER_POLICY, asked):
        made = serving.ensure_endpoint_config(session, consumer, release, keep, flow_run.get_id())
    return _logged(made)


@runs.step("create the endpoint of version {release.version} in {consumer.account}")
def create_endpoint(
    sharing: Sharing, name: str, consumer: ConsumerConfig, release: Release, keep: bool
) -> Made:
    """Create the endpoint."""
    session = sessions.consumer_session(sharing, name, consumer)
    asked = ("sagemaker:CreateEndpoint", serving.deployment_name(consumer, release.version))
    with preflight.explained(session, sharing, name, consumer, DoorName.CALLER_POLICY, asked):
        made = serving.ensure_endpoint(session, consumer, release, keep, ENDPOINT_SECONDS, flow_run.get_id())
    return _logged(made)


def _logged(made: Made) -> Made:
    get_run_logger().info("%s %s %s", "found" if made.reused else "created", made.kind, made.arn)
    return made


@runs.step("wait for {endpoint}")
def wait_for_endpoint(sharing: Sharing, name: str, consumer: ConsumerConfig, endpoint: str) -> EndpointState:
    """Wait until the endpoint serves, with AWS's own status as progress."""
    logger = get_run_logger()
    session = sessions.consumer_session(sharing, name, consumer)
    progress = runs.Progress(endpoint)

    def tell(status: str, seconds: float) -> None:
        if progress.tell(status, 100.0 if status == "InService" else 50.0):
            logger.info("%s is %s after %.0f s", endpoint, status, seconds)

    asked = ("sagemaker:DescribeEndpoint", endpoint)
    with preflight.explained(session, sharing, name, consumer, DoorName.CALLER_POLICY, asked):
        return serving.wait_in_service(session, sharing.region, endpoint, ENDPOINT_SECONDS, tell)


@runs.step("ask {endpoint}")
def ask_endpoint(
    sharing: Sharing, name: str, consumer: ConsumerConfig, release: Release, endpoint: str
) -> Proof:
    """Put the smoke payloads to the endpoint and compare images and answers with the Release."""
    session = sessions.consumer_session(sharing, name, consumer)
    asked = ("s3:GetObject", "the objects of smoke.body_s3_uri")
    with preflight.explained(session, sharing, name, consumer, DoorName.CALLER_POLICY, asked):
        questions = smoke.questions(session, sharing, name, consumer, release)
    asked = ("sagemaker:InvokeEndpoint", endpoint)
    with preflight.explained(session, sharing, name, consumer, DoorName.CALLER_POLICY, asked):
        proof = serving.prove(session, sharing.region, name, consumer, release, endpoint, questions)
    right = sum(answer.ok for answer in proof.answers)
    get_run_logger().info(
        "%d of %d answers are as expected, median %.1f ms",
        right,
        len(proof.answers),
        proof.median_latency_ms,
    )
    return proof


@runs.step("publish the proof of {proof.endpoint}")
def publish_proof(proof: Proof) -> None:
    """Put the proof into an artifact of the run."""
    create_markdown_artifact(
        key=runs.key_of("proof", proof.endpoint),
        markdown=serving.proof_markdown(proof),
        description=f"Version {proof.version} in account {proof.account}",
    )


@runs.step("take down version {release.version} in {consumer.account}")
def tear_down(
    sharing: Sharing, name: str, consumer: ConsumerConfig, release: Release, made: Sequence[Made]
) -> tuple[Removal, ...]:
    """Remove what the run made, unless it is tagged to stay, and see it gone.

    A creation that ended in an error may have taken effect all the same: it is looked for.
    """
    session = sessions.consumer_session(sharing, name, consumer)
    logger = get_run_logger()
    left: Made | None = None
    if len(made) < len(serving.KINDS):
        kind = serving.KINDS[len(made)]
        try:
            left = serving.find_left(session, consumer, release, kind)
        except Failed as error:
            logger.warning("%s", error)
    removals = serving.remove(session, sharing.region, [*made, *([left] if left else [])], ENDPOINT_SECONDS)
    for removal in removals:
        level = logger.error if removal.outcome == "left" else logger.info
        level("%s %s: %s %s", removal.kind, removal.name, removal.outcome, removal.reason)
    return removals
