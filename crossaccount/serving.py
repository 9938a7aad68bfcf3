"""The consumer's half in the target account: a model from the shared package, an endpoint, real questions, teardown.

Model, endpoint config and endpoint go through the resource layer of sagemaker-core. Everything made carries one name,
derived from the consumer's endpoint and the version, and tags that say whose it is, so a rerun finds its own work and
nothing else is ever removed. Not here: whether the version may be deployed (``preflight``), the Release (``release``), what
is asked and which answer is right (``smoke``), and an endpoint that stays and changes (``rollout``).

Source: CreateModel, CreateEndpointConfig, CreateEndpoint, DescribeEndpoint and InvokeEndpoint in the SageMaker API reference.
"""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError
from urllib3.exceptions import HTTPError
from urllib3.response import HTTPResponse

from crossaccount import smoke
from crossaccount.arns import console_url
from crossaccount.errors import Conflict, Failed
from crossaccount.show import charts, markdown
from crossaccount.smoke import Answer, Question, Speed
from crossaccount.text import harmless

if TYPE_CHECKING:
    import boto3

    from crossaccount.config.model import ConsumerConfig
    from crossaccount.config.smoke import Latency
    from crossaccount.release import Release, Sample


Kind = Literal["model", "endpoint-config", "endpoint"]
KINDS: tuple[Kind, ...] = ("model", "endpoint-config", "endpoint")  # in the order they are made
VARIANT = "AllTraffic"
OWNER_TAG, PACKAGE_TAG, KEEP_TAG = (
    "crossaccount:managed-by",
    "crossaccount:model-package",
    "crossaccount:keep",
)
RUN_TAG, SINCE_TAG = "crossaccount:flow-run", "crossaccount:taken-over"
OWNER = "crossaccount"
_FIRST_POLL, _LONGEST_POLL = 1.0, 15.0
_ENOUGH = 5  # latencies for a picture
# SageMaker gives a container 60 s to answer; whatever comes later, or never ends, is no answer.
ASK_SECONDS = 75.0
_MOST_KEPT, _MOST_SHOWN = 20_000, 300  # characters of an answer, in a proof and in a line


@dataclass(frozen=True)
class Made:
    """A resource of this deployment: what it is, and whether it stays when the run ends."""

    kind: Kind
    name: str
    arn: str
    reused: bool
    keep: bool


@dataclass(frozen=True)
class EndpointState:
    """What DescribeEndpoint says: status, why it failed, and the images it runs, by digest."""

    status: str
    failure_reason: str | None
    config_name: str | None
    images: tuple[str, ...]


@dataclass(frozen=True)
class Removal:
    """What became of a resource at the end: removed, kept, already gone, or left with the reason."""

    kind: Kind
    name: str
    outcome: Literal["removed", "kept", "gone", "left"]
    reason: str = ""


@dataclass(frozen=True)
class Proof:
    """What was observed of one deployment, end to end.

    ``verified`` is true only when every image has the digest of the Release, every answer is a right one, and they came as
    fast as the config asks, where it does.
    """

    consumer: str
    account: str
    model_package_arn: str
    version: int
    endpoint: str
    images: tuple[str, ...]
    images_match: bool
    answers: tuple[Answer, ...]
    verified: bool
    speed: Speed | None = None

    def to_json(self) -> dict[str, Any]:
        """The proof as plain data."""
        return asdict(self)

    @property
    def median_latency_ms(self) -> float:
        """The median latency of the answers, in milliseconds; 0 without answers."""
        ordered = sorted(answer.latency_ms for answer in self.answers)
        return ordered[len(ordered) // 2] if ordered else 0.0


def proof_text(proof: Proof, removals: Sequence[Removal]) -> str:
    """The proof, and what became of everything that was made, for a terminal."""
    verdict = "verified" if proof.verified else "NOT VERIFIED"
    lines = [
        f"{verdict}: version {proof.version} in account {proof.account} ({proof.consumer}), endpoint {proof.endpoint}",
        f"images {'are' if proof.images_match else 'ARE NOT'} those of the Release: {', '.join(proof.images) or 'none'}",
    ]
    lines += [
        f"{'ok   ' if answer.ok else 'WRONG'} {answer.latency_ms:7.1f} ms  {_line(answer.content_type)}  expected {_line(answer.expected)}  got {_line(answer.got)}"
        for answer in proof.answers
    ]
    lines += [f"{'ok   ' if proof.speed.ok else 'SLOW '} {_speed_text(proof.speed)}"] if proof.speed else []
    lines += [
        f"{removal.kind} {removal.name}: {removal.outcome} {removal.reason}".rstrip() for removal in removals
    ]
    return "\n".join(lines)


def _line(value: Any) -> str:
    """What a model or another account says, in one line of a terminal."""
    line = " ".join(harmless(str(value)).split("\n"))
    return line if len(line) <= _MOST_SHOWN else f"{line[:_MOST_SHOWN]}..."


def _speed_text(speed: Speed) -> str:
    limits = {"median": (speed.p50_ms, speed.p50_limit_ms), "95 of 100": (speed.p95_ms, speed.p95_limit_ms)}
    seen = [
        f"{what} below {value:.1f} ms" + (f" (limit {limit:g} ms)" if limit is not None else "")
        for what, (value, limit) in limits.items()
    ]
    return f"{speed.calls} calls: {', '.join(seen)}"


def proof_markdown(proof: Proof) -> str:
    """The proof for a Prefect artifact."""
    verdict = "Verified" if proof.verified else "**Not verified**"
    rows = ["| answer | latency | content type | expected | got |", "|---|---|---|---|---|"]
    rows += [
        f"| {'as expected' if one.ok else '**wrong**'} | {one.latency_ms:.1f} ms | {markdown.code(one.content_type)} | {markdown.code(str(one.expected))} | {markdown.code(str(one.got))} |"
        for one in proof.answers
    ]
    images = f"Images {'are' if proof.images_match else '**are not**'} those of the Release."
    if proof.speed:
        images += f" {'In time' if proof.speed.ok else '**Too slow**'}: {_speed_text(proof.speed)}."
    data = ["", "```json", json.dumps(proof.to_json(), indent=1), "```"]
    where = f"`{proof.endpoint}` of account {proof.account}"
    if url := console_url(endpoint_arn_of(proof)):
        where = f"[{where}]({url})"
    head = f"{verdict}: `{proof.model_package_arn}` at {where}. {images}"
    return "\n".join([head, "", *rows, *_picture(proof), *data])


def _picture(proof: Proof) -> list[str]:
    """The latencies drawn, where there are enough for a picture to say more than the table."""
    speed = proof.speed
    measured = speed.measured_ms if speed else tuple(answer.latency_ms for answer in proof.answers)
    if len(measured) < _ENOUGH:
        return []
    limits = {"median": speed.p50_limit_ms, "95 of 100": speed.p95_limit_ms} if speed else {}
    return ["", charts.latencies(measured, limits)]


def endpoint_arn_of(proof: Proof) -> str:
    """The ARN of the endpoint that a proof is of."""
    _, partition, service, region, *_ = proof.model_package_arn.split(":")
    return f"arn:{partition}:{service}:{region}:{proof.account}:endpoint/{proof.endpoint}"


def client_of(session: boto3.Session, region: str) -> Any:
    """The client with which sagemaker-core's resources are read, kept where it keeps it; throttled calls are tried again.

    What is made is made with it, rather than by the resources' own ``create``: that asks for the new resource at once, and
    fills in what a ``config.yaml`` of the SDK on this machine may say.
    """
    from sagemaker.core.utils.utils import SageMakerClient

    return SageMakerClient(session=session, region_name=region).sagemaker_client


def deployment_name(consumer: ConsumerConfig, version: int) -> str:
    """The name of model, endpoint config and endpoint of one version: at most 63 characters."""
    return f"{consumer.endpoint.name}-v{version}"


def ensure_model(
    session: boto3.Session,
    consumer: ConsumerConfig,
    release: Release,
    keep: bool,
    flow_run: str | None = None,
) -> Made:
    """The model made from the shared package: found from an earlier run, or created.

    Args:
        session: in the deployer role.
        consumer: the consumer.
        release: of the version.
        keep: whether it stays when the run ends.
        flow_run: the run that makes it, for the tag of what does not stay; what is found from a run that died is taken over.

    Raises:
        Conflict: when a model of that name was made from something else, or by someone else.
        ClientError: AWS's refusal, to be classified by whoever knows what was tried.
    """
    from sagemaker.core.resources import Model

    name = deployment_name(consumer, release.version)

    def look() -> Any:
        return Model.get(model_name=name, session=session, region=release.region)

    arn, found = None, _find(look)
    if found is None:
        arn, found = made_or_found(
            lambda: _create_model(session, consumer, release, name, keep, flow_run), look
        )
    if found is not None:
        container = _value(found.primary_container)
        package = _value(container.model_package_name) if container is not None else None
        made = _reused(session, "model", name, found.model_arn, package, release, keep, flow_run)
        _check_settings(name, found, consumer)
        return made
    return Made("model", name, str(arn), False, keep)


def _check_settings(name: str, found: Any, consumer: ConsumerConfig) -> None:
    """See that a model is what the config asks for, beyond its package: a model cannot be changed.

    Raises:
        Conflict: with the first setting that differs.
    """
    network, vpc = _value(found.vpc_config), consumer.endpoint.vpc
    has = {
        "execution role": _value(found.execution_role_arn),
        "network isolation": bool(_value(found.enable_network_isolation)),
        "security groups": sorted(_value(network.security_group_ids)) if network is not None else [],
        "subnets": sorted(_value(network.subnets)) if network is not None else [],
    }
    wanted = {
        "execution role": consumer.execution_role,
        "network isolation": consumer.endpoint.network_isolation,
        "security groups": sorted(vpc.security_group_ids) if vpc else [],
        "subnets": sorted(vpc.subnet_ids) if vpc else [],
    }
    for what, value in wanted.items():
        if has[what] != value:
            raise Conflict(
                f"The model {name} exists with {what} {has[what] or 'none'}, not with {value or 'none'}. Delete it once no endpoint uses "
                "it, or deploy another version."
            )


def _create_model(
    session: boto3.Session,
    consumer: ConsumerConfig,
    release: Release,
    name: str,
    keep: bool,
    flow_run: str | None = None,
) -> str:
    endpoint, more = consumer.endpoint, dict[str, Any]()
    if endpoint.vpc is not None:
        groups, subnets = list(endpoint.vpc.security_group_ids), list(endpoint.vpc.subnet_ids)
        more["VpcConfig"] = {"SecurityGroupIds": groups, "Subnets": subnets}
    if endpoint.network_isolation:
        more["EnableNetworkIsolation"] = True
    made = client_of(session, release.region).create_model(
        ModelName=name,
        PrimaryContainer={"ModelPackageName": release.model_package_arn},
        ExecutionRoleArn=consumer.execution_role,
        Tags=_tags(release, keep, flow_run),
        **more,
    )
    return str(made["ModelArn"])


def try_model(session: boto3.Session, consumer: ConsumerConfig, release: Release) -> Removal:
    """Create a model from the shared package and delete it at once, and say what became of it.

    CreateModel reads the artifact and the image's permission with the execution role before it answers, so this proves
    every door in seconds, without an endpoint and without cost. The name is the one of version 0, which no group has: what
    a killed run left of it is cleared away first.

    Raises:
        Conflict: when a model of that name was made by someone else.
        ClientError: AWS's refusal.
    """
    name = deployment_name(consumer, 0)
    client = client_of(session, release.region)
    left = _find(lambda: client.describe_model(ModelName=name))
    if left is not None:
        arn = left["ModelArn"]
        tags = {tag["Key"]: tag["Value"] for tag in client.list_tags(ResourceArn=arn)["Tags"]}
        if tags.get(OWNER_TAG) != OWNER:
            raise Conflict(f"The model {name} exists and was not made by this tool. Delete or rename it.")
        client.delete_model(ModelName=name)
    arn = _create_model(session, consumer, release, name, keep=False)
    return _remove(session, release.region, Made("model", name, arn, False, False), timeout=0.0)


def ensure_endpoint_config(
    session: boto3.Session,
    consumer: ConsumerConfig,
    release: Release,
    keep: bool,
    flow_run: str | None = None,
) -> Made:
    """The endpoint config with one variant of the capacity that the config asks for; takes and raises as `ensure_model` does."""
    from sagemaker.core.resources import EndpointConfig

    name = deployment_name(consumer, release.version)

    def look() -> Any:
        return EndpointConfig.get(endpoint_config_name=name, session=session, region=release.region)

    def create() -> Any:
        kms_key = consumer.endpoint.kms_key
        return client_of(session, release.region).create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[{"VariantName": VARIANT, "ModelName": name, **_capacity(consumer)}],
            Tags=_tags(release, keep, flow_run),
            **({"KmsKeyId": kms_key} if kms_key else {}),
        )

    made, found = dict[str, str](), _find(look)
    if found is None:
        made, found = made_or_found(create, look)
    if found is not None:
        _check_capacity(name, found, consumer)
        return _reused(
            session,
            "endpoint-config",
            name,
            found.endpoint_config_arn,
            release.model_package_arn,
            release,
            keep,
            flow_run,
        )
    return Made("endpoint-config", name, made["EndpointConfigArn"], False, keep)


def _capacity(consumer: ConsumerConfig) -> dict[str, Any]:
    wanted = consumer.endpoint
    if wanted.serverless is None:
        return {"InstanceType": wanted.instance_type, "InitialInstanceCount": wanted.instance_count}
    size, most = wanted.serverless.memory_mb, wanted.serverless.max_concurrency
    return {"ServerlessConfig": {"MemorySizeInMB": size, "MaxConcurrency": most}}


def _check_capacity(name: str, found: Any, consumer: ConsumerConfig) -> None:
    """See that an endpoint config has the model, capacity and key that the config asks for.

    Raises:
        Conflict: with what differs.
    """
    variant, wanted = found.production_variants[0], consumer.endpoint
    serverless = _value(variant.serverless_config)
    has: list[Any] = [_value(variant.model_name), _value(found.kms_key_id)]
    if serverless is None:
        has.append(f"{_value(variant.initial_instance_count)} x {_value(variant.instance_type)}")
    else:
        has.append(f"{serverless.memory_size_in_mb} MB x {serverless.max_concurrency}")
    capacity = (
        f"{wanted.instance_count} x {wanted.instance_type}"
        if wanted.serverless is None
        else f"{wanted.serverless.memory_mb} MB x {wanted.serverless.max_concurrency}"
    )
    if has != [name, wanted.kms_key, capacity]:
        raise Conflict(
            f"The endpoint config {name} exists with model {has[0]}, {has[2]}, key {has[1] or 'none'}, not with {capacity}, key "
            f"{wanted.kms_key or 'none'}. Delete it, or choose another endpoint.name."
        )


def ensure_endpoint(
    session: boto3.Session,
    consumer: ConsumerConfig,
    release: Release,
    keep: bool,
    timeout: float,
    flow_run: str | None = None,
) -> Made:
    """The endpoint: found from an earlier run, or created; it may still be Creating.

    One that an earlier run left Failed or Deleting is cleared away first, within ``timeout`` seconds. Takes and raises as
    `ensure_model` does.
    """
    from sagemaker.core.resources import Endpoint

    name = deployment_name(consumer, release.version)
    region = release.region

    def look() -> Any:
        return Endpoint.get(endpoint_name=name, session=session, region=region)

    def create() -> Any:
        return client_of(session, region).create_endpoint(
            EndpointName=name, EndpointConfigName=name, Tags=_tags(release, keep, flow_run)
        )

    made, found = dict[str, str](), _find(look)
    if found is not None and found.endpoint_status in ("Failed", "Deleting"):
        _reused(session, "endpoint", name, found.endpoint_arn, release.model_package_arn, release, keep)
        delete_endpoint(session, region, name, timeout)
        found = None
    if found is None:
        made, found = made_or_found(create, look)
    if found is not None:
        return _reused(
            session, "endpoint", name, found.endpoint_arn, release.model_package_arn, release, keep, flow_run
        )
    return Made("endpoint", name, made["EndpointArn"], False, keep)


def _reused(
    session: boto3.Session,
    kind: Kind,
    name: str,
    arn: str,
    package: str | None,
    release: Release,
    keep: bool,
    flow_run: str | None = None,
) -> Made:
    """An earlier run's resource, after making sure that it is an earlier run's.

    It gets the tag of this run, so that what cleans up after the earlier one does not take it away from under this one.
    """
    client = client_of(session, release.region)
    tags = {tag["Key"]: tag["Value"] for tag in client.list_tags(ResourceArn=arn)["Tags"]}
    if (
        tags.get(OWNER_TAG) != OWNER
        or package != release.model_package_arn
        or tags.get(PACKAGE_TAG) != package
    ):
        raise Conflict(
            f"The {kind} {name} exists and was not made by this tool from {release.model_package_arn}. Delete or rename it, "
            "or choose another endpoint.name."
        )
    kept = tags.get(KEEP_TAG) == "true"
    if keep and not kept:
        client.add_tags(ResourceArn=arn, Tags=[{"Key": KEEP_TAG, "Value": "true"}])
    if flow_run is not None and not keep and not kept:
        taken = {RUN_TAG: flow_run, SINCE_TAG: datetime.now(UTC).isoformat(timespec="seconds")}
        client.add_tags(ResourceArn=arn, Tags=[{"Key": key, "Value": one} for key, one in taken.items()])
    return Made(kind, name, arn, True, keep or kept)


def tag_values(package: str, keep: bool, flow_run: str | None = None) -> dict[str, str]:
    """The tags of everything that is made from a package: whose it is, of which package, and whether it stays.

    What does not stay has the flow run that made it, where it was made in one: see ``reaper``.
    """
    run = {RUN_TAG: flow_run} if flow_run is not None and not keep else {}
    return {OWNER_TAG: OWNER, PACKAGE_TAG: package, KEEP_TAG: str(keep).lower(), **run}


def _tags(release: Release, keep: bool, flow_run: str | None) -> list[dict[str, str]]:
    values = tag_values(release.model_package_arn, keep, flow_run)
    return [{"Key": key, "Value": value} for key, value in values.items()]


def describe_endpoint(session: boto3.Session, region: str, name: str) -> EndpointState | None:
    """The endpoint as it is now; None when there is none."""
    from sagemaker.core.resources import Endpoint

    found = _find(lambda: Endpoint.get(endpoint_name=name, session=session, region=region))
    if found is None:
        return None
    variants = _value(found.production_variants) or []
    images = tuple(
        _value(image.resolved_image) or ""
        for variant in variants
        for image in (_value(variant.deployed_images) or [])
    )
    return EndpointState(
        found.endpoint_status, _value(found.failure_reason), _value(found.endpoint_config_name), images
    )


def wait_in_service(
    session: boto3.Session,
    region: str,
    name: str,
    timeout: float,
    progress: Callable[[str, float], None] = lambda status, seconds: None,
) -> EndpointState:
    """Wait until an endpoint serves, asking ever less often.

    Args:
        session: of the account it lies in.
        region: where.
        name: the endpoint.
        timeout: seconds to wait at most.
        progress: is told AWS's status and the seconds waited, at every look.

    Raises:
        Failed: when it failed, with AWS's reason; when it is gone; or when the time is up.
    """
    started = time.monotonic()
    while True:
        state = describe_endpoint(session, region, name)
        waited = time.monotonic() - started
        if state is None:
            raise Failed(f"The endpoint {name} is gone: someone deleted it while it was being waited for.")
        progress(state.status, waited)
        if state.status == "InService":
            return state
        if state.status not in ("Creating", "Updating", "SystemUpdating", "RollingBack"):
            reason = state.failure_reason or "AWS gives no reason"
            raise Failed(f"The endpoint {name} is {state.status}: {reason}")
        if waited >= timeout:
            raise Failed(
                f"The endpoint {name} is still {state.status} after {waited:.0f} s. Its container may be crash-looping: look at the "
                f"log group /aws/sagemaker/Endpoints/{name}."
            )
        time.sleep(min(pause(waited, _FIRST_POLL, _LONGEST_POLL), max(timeout - waited, 0.05)))


def pause(waited: float, first: float, longest: float) -> float:
    """Seconds until the next look: a tenth of what was waited, so that what is noticed late is late by a tenth at most.

    Args:
        waited: seconds waited until now.
        first: the shortest.
        longest: the longest.
    """
    return min(max(first, waited / 10), longest)


def images_match(state: EndpointState, release: Release) -> bool:
    """True when the endpoint runs exactly the images of the Release, by digest."""
    expected = sorted(container.image_digest or "" for container in release.deployed_containers)
    return (
        all(expected)
        and bool(expected)
        and sorted(image.rpartition("@")[2] for image in state.images) == expected
    )


def ask(
    session: boto3.Session, region: str, name: str, asked: Iterable[Question | Sample]
) -> tuple[Answer, ...]:
    """Put every question to the endpoint.

    An answer that is an error of the container is an answer too: it is not a right one.

    Raises:
        ClientError: when AWS refuses the call itself.
    """
    from sagemaker.core.resources import Endpoint

    _bound_answers(
        Endpoint.get_sagemaker_client(session=session, region_name=region, service_name="sagemaker-runtime")
    )
    invoke = partial(Endpoint(endpoint_name=name).invoke, session=session, region=region)
    return tuple(_ask(invoke, one) for one in asked)


def measure(
    session: boto3.Session, region: str, name: str, asked: Sequence[Question], limits: Latency
) -> tuple[tuple[Answer, ...], Speed]:
    """Put the questions to the endpoint in turn, as often as the limits say, and see how fast the answers come.

    The answers are given too: a container that quickly answers wrong is not fast.

    Raises:
        ClientError: when AWS refuses the call itself.
    """
    turns = (asked[number % len(asked)] for number in range(limits.calls))
    answers = ask(session, region, name, turns)
    return answers, smoke.speed([answer.latency_ms for answer in answers], limits)


def _ask(invoke: Callable[..., Any], asked: Question | Sample) -> Answer:
    question = asked if isinstance(asked, Question) else smoke.of_sample(asked)

    def answer() -> Any:
        output = invoke(body=question.body, content_type=question.content_type, accept=question.accept)
        return smoke.read_answer(output.body.read(smoke.BODY_LIMIT + 1), _value(output.content_type) or "")

    started = time.perf_counter()
    try:
        got = _in_time(answer)
        ok = question.right(got)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ModelError":
            raise
        got, ok = f"ModelError: {error.response['Error'].get('Message')}", False
    except ValueError as error:
        got, ok = f"unreadable answer: {error}", False
    latency = (time.perf_counter() - started) * 1000
    return Answer(question.content_type, question.shown, question.expected, _kept(got), ok, round(latency, 2))


def _kept(got: Any) -> Any:
    """An answer as a proof keeps it; of one that is very long, its beginning as text."""
    text = got if isinstance(got, str) else json.dumps(got)
    return got if len(text) <= _MOST_KEPT else f"{text[:_MOST_KEPT]}... ({len(text)} characters)"


_Result = TypeVar("_Result")
_ASKING = threading.local()


def _in_time(call: Callable[[], _Result]) -> _Result:
    """What a call gives, unless it takes longer than `ASK_SECONDS` in all.

    A socket's own timeout is for each piece that comes: one byte a second keeps it content for ever. So the call is made in
    a thread of its own, which is left to itself when the time is up, and which does not keep the process from ending.

    Raises:
        ValueError: when the time is up; beside whatever the call raises.
    """
    made: Future[_Result] = Future()

    def run() -> None:
        _ASKING.deadline = time.monotonic() + ASK_SECONDS
        try:
            made.set_result(call())
        except BaseException as error:
            made.set_exception(error)  # it is raised where the result is waited for

    threading.Thread(target=run, daemon=True, name="asking an endpoint").start()
    try:
        return made.result(ASK_SECONDS)
    except FutureTimeout:
        raise ValueError(f"it did not come whole within {ASK_SECONDS:g} s") from None


def _bound_answers(client: Any) -> None:
    """Have a client of the runtime take no more of an answer than an endpoint may give, be it an error, and no longer than it may take.

    botocore itself reads an error to its end, whatever its length. Source: the event before-send of botocore.
    """
    http = client._endpoint.http_session

    def send(request: Any, **_: Any) -> Any:
        answer = http.send(request)
        body = HTTPResponse(io.BytesIO(_bytes_of(answer.raw)), preload_content=False)
        return AWSResponse(answer.url, answer.status_code, answer.headers, body)

    client.meta.events.register(
        "before-send.sagemaker-runtime.InvokeEndpoint", send, unique_id="bounded answers"
    )


def _bytes_of(raw: Any) -> bytes:
    """The body of an answer, to one byte more than it may have: then it is refused by whoever reads it.

    Raises:
        ValueError: when it breaks off, or does not end in time.
    """
    content, whole = bytearray(), False
    try:
        while len(content) <= smoke.BODY_LIMIT and not whole:
            piece = raw.read1(65_536)
            content += piece
            whole = not piece
            if time.monotonic() >= _ASKING.deadline:
                raise ValueError(f"it did not come whole within {ASK_SECONDS:g} s")
    except (HTTPError, OSError) as error:
        raise ValueError(f"it broke off after {len(content)} bytes ({type(error).__name__})") from None
    finally:
        if not whole:
            raw.close()  # what still comes on this connection is no answer to anything
    announced = str(raw.headers.get("Content-Length", ""))
    if whole and announced.isdecimal() and len(content) < int(announced[:20]):
        raise ValueError(f"it broke off after {len(content)} of {announced[:20]} bytes")
    return bytes(content[: smoke.BODY_LIMIT + 1])


def prove(
    session: boto3.Session,
    region: str,
    name: str,
    consumer: ConsumerConfig,
    release: Release,
    endpoint: str,
    asked: Sequence[Question],
) -> Proof:
    """Ask an endpoint everything, and hold its images, its answers and its speed against what they should be.

    Args:
        session: in the deployer role.
        region: where the endpoint is.
        name: the consumer's name in the config.
        consumer: the consumer; its limits on latency are measured too.
        release: of the version that the endpoint should run.
        endpoint: its name.
        asked: the questions, see `smoke.questions`.

    Raises:
        Failed: when the endpoint is gone.
        ClientError: when AWS refuses.
    """
    state = describe_endpoint(session, region, endpoint)
    if state is None:
        raise Failed(f"The endpoint {endpoint} is gone: someone deleted it before it could be asked.")
    answers, speed = ask(session, region, endpoint, asked), None
    match = images_match(state, release)
    repeated: tuple[Answer, ...] = ()
    if consumer.latency is not None:
        repeated, speed = measure(session, region, endpoint, asked, consumer.latency)
    # Of the repeated ones only those that went wrong say anything new.
    answers += tuple(answer for answer in repeated if not answer.ok)
    right = bool(answers) and all(answer.ok for answer in answers)
    return Proof(
        consumer=name,
        account=consumer.account,
        model_package_arn=release.model_package_arn,
        version=release.version,
        endpoint=endpoint,
        images=state.images,
        images_match=match,
        answers=answers,
        verified=match and right and (speed is None or speed.ok),
        speed=speed,
    )


def _nothing_against(made: Made) -> None:
    """What a run made is its own to remove."""


def remove(
    session: boto3.Session,
    region: str,
    made: Sequence[Made],
    timeout: float,
    check: Callable[[Made], None] = _nothing_against,
) -> tuple[Removal, ...]:
    """Take down what a run made, newest first, and say what became of each.

    What is tagged to stay stays. One failure does not stop the rest; what could not be removed is reported as left.

    Args:
        session: of the account they lie in.
        region: where.
        made: in the order they were made.
        timeout: seconds to wait for an endpoint to be deletable and to be gone.
        check: is called with each just before it is deleted; what it raises is raised.
    """
    return tuple(_remove(session, region, one, timeout, check) for one in reversed(made))


def find_left(session: boto3.Session, consumer: ConsumerConfig, release: Release, kind: Kind) -> Made | None:
    """What a creation that ended in an error may have left behind; None when there is nothing of ours.

    Raises:
        Failed: when AWS refuses to be asked.
    """
    from sagemaker.core.resources import Endpoint, EndpointConfig, Model

    name, where = deployment_name(consumer, release.version), {"session": session, "region": release.region}
    get: dict[Kind, tuple[Callable[[], Any], str]] = {
        "model": (lambda: Model.get(model_name=name, **where), "model_arn"),
        "endpoint-config": (
            lambda: EndpointConfig.get(endpoint_config_name=name, **where),
            "endpoint_config_arn",
        ),
        "endpoint": (lambda: Endpoint.get(endpoint_name=name, **where), "endpoint_arn"),
    }
    try:
        found = _find(get[kind][0])
        if found is None:
            return None
        arn = getattr(found, get[kind][1])
        return _reused(session, kind, name, arn, release.model_package_arn, release, keep=False)
    except Conflict:
        return None
    except ClientError as error:
        raise Failed(f"Whether the {kind} {name} was made cannot be seen: {error}") from None


def _remove(
    session: boto3.Session,
    region: str,
    made: Made,
    timeout: float,
    check: Callable[[Made], None] = _nothing_against,
) -> Removal:
    if made.keep:
        return Removal(made.kind, made.name, "kept")
    client = client_of(session, region)
    try:
        if made.kind == "endpoint":
            gone = not delete_endpoint(session, region, made.name, timeout, lambda: check(made))
            return Removal(made.kind, made.name, "gone" if gone else "removed")

        def delete() -> Any:
            check(made)
            if made.kind == "model":
                return client.delete_model(ModelName=made.name)
            return client.delete_endpoint_config(EndpointConfigName=made.name)

        deleted = _find(delete)
        # Who else removes it may have been faster.
        return Removal(made.kind, made.name, "gone" if deleted is None else "removed")
    except (ClientError, Failed) as error:
        return Removal(made.kind, made.name, "left", str(error))


def delete_endpoint(
    session: boto3.Session,
    region: str,
    name: str,
    timeout: float,
    check: Callable[[], None] = lambda: None,
) -> bool:
    """Delete an endpoint and see it gone; False when it was not there. ``check`` is called just before it is deleted.

    Raises:
        Failed: when it cannot be deleted, or is not gone, in time.
    """
    started, asked = time.monotonic(), False
    while (state := describe_endpoint(session, region, name)) is not None:
        if not asked and state.status not in (
            "Creating",
            "Updating",
            "SystemUpdating",
            "RollingBack",
            "Deleting",
        ):
            check()
            asked = _ask_to_delete(client_of(session, region), name)
            if asked:
                continue  # it may be gone at once
        waited = time.monotonic() - started
        if waited >= timeout:
            raise Failed(f"the endpoint is still {state.status} after {timeout:.0f} s")
        time.sleep(pause(waited, _FIRST_POLL / 4, _LONGEST_POLL))
        asked = asked or state.status == "Deleting"
    return asked


def _ask_to_delete(client: Any, name: str) -> bool:
    """DeleteEndpoint; False when the endpoint is in a change: of its own, or in its deletion, as botocore asks again for a lost answer."""
    try:
        client.delete_endpoint(EndpointName=name)
    except ClientError as error:
        said = error.response["Error"].get("Message", "")
        if said.startswith("Cannot update in-progress endpoint"):
            return False
        if not said.startswith("Could not find"):
            raise
    return True


def made_or_found(create: Callable[[], Any], look: Callable[[], Any]) -> tuple[Any, Any]:
    """What was created and None, or None and what is there already.

    Where an answer is lost botocore asks again, and the second time AWS says that it exists.

    Raises:
        ClientError: AWS's refusal.
    """
    try:
        return create(), None
    except ClientError as error:
        if not error.response["Error"].get("Message", "").startswith("Cannot create already existing"):
            raise
        found = _find(look)
        if found is None:  # and it is gone again
            raise
        return None, found


def _find(get: Callable[[], Any]) -> Any | None:
    """What ``get`` finds; None for SageMaker's way of saying that there is no such thing."""
    try:
        return get()
    except ClientError as error:
        said = error.response["Error"]
        if said["Code"] == "ValidationException" and said["Message"].startswith("Could not find"):
            return None
        raise


def _value(attribute: Any) -> Any:
    """sagemaker-core marks what a response did not have with an object of its own; here it is None."""
    from sagemaker.core.utils.utils import Unassigned

    return None if isinstance(attribute, Unassigned) else attribute
