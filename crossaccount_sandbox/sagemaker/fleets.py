"""The instances behind an endpoint: real processes, one for each container of a variant, that fetched what they serve.

A variant of several instances is one process for each container; its instances are numbers. What a process prints is plain
text in a file of its own: ``World.outputs`` names them all, under the names of CloudWatch's log streams.

Not here: which fleet is asked when (``rollouts``, ``hosting``), how several containers answer as one (``pipelines``) and what
a process is (``containers``).

Source: failure reasons are quotes from public reports; "Log groups and streams that Amazon SageMaker AI sends to Amazon
CloudWatch Logs" in the developer guide.
"""

import logging
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from crossaccount_sandbox.images import image_digest, parse_image
from crossaccount_sandbox.sagemaker.artifacts import Artifacts, not_downloaded
from crossaccount_sandbox.sagemaker.containers import Container, Containers, NotStarted
from crossaccount_sandbox.sagemaker.deployments import Unhealthy, Wanted
from crossaccount_sandbox.sagemaker.image_commands import ImageCommand, ImageCommands
from crossaccount_sandbox.sagemaker.model_server import JSON
from crossaccount_sandbox.sagemaker.outcomes import Outcome, Pace
from crossaccount_sandbox.sagemaker.pipelines import Pipeline
from crossaccount_sandbox.sagemaker.variants import pools_of, summary
from crossaccount_sandbox.world import ContainerOutput, Record, World

Given = Mapping[str, Any]
logger = logging.getLogger("sandbox")
_RESTARTS = 3
_DEFAULT_ACCEPT = "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT"  # what AWS's scikit-learn container reads
_HEALTH_CHECK_SECONDS = (
    480  # of AWS's seconds, where a variant says nothing of ContainerStartupHealthCheckTimeoutInSeconds
)
_DOWNLOAD_SECONDS = (
    3600  # likewise, of ModelDataDownloadTimeoutInSeconds; what AWS's staff say of it in public
)
# Real seconds that a command has for its start at least, however fast AWS's seconds pass; and where a variant gives a limit.
_START_SECONDS, _LIMIT_SECONDS = 60.0, 10.0
_DRAIN_SECONDS = 5.0  # real ones too; how long AWS waits is not documented


class Underway:
    """How many requests a fleet is answering. Several threads may use it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._count = 0

    def begin(self) -> None:
        """One more is asked of it."""
        with self._changed:
            self._count += 1

    def end(self) -> None:
        """One is answered."""
        with self._changed:
            self._count -= 1
            self._changed.notify_all()

    def wait(self, seconds: float) -> bool:
        """Whether all are answered, now or within so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._count, seconds)


@dataclass
class Fleet:
    """Running instances of one endpoint configuration.

    Args:
        config: the configuration.
        variants: as DescribeEndpoint shows them; replaced, never changed.
        processes: by variant.
        endpoint: the endpoint's ARN.
        instances: by variant, the id of its one instance that runs.
        roles: by variant, the execution role.
        data_log: of asynchronous endpoints: why requests came to no answer, a line each, in the log stream ``data-log``.
        shadows: the shadow variants as DescribeEndpoint shows them.
        copies: the processes of shadow variants, by variant: they get copies of requests, and answer nobody.
        underway: the requests that it is answering.
    """

    config: Given
    variants: list[Record]
    processes: dict[str, Pipeline]
    endpoint: str
    instances: dict[str, str]
    roles: dict[str, str] = field(default_factory=dict)
    data_log: Path | None = None
    shadows: list[Record] = field(default_factory=list)
    copies: dict[str, Pipeline] = field(default_factory=dict)
    underway: Underway = field(default_factory=Underway)


def named_containers(model: Given) -> Iterator[tuple[str, Given]]:
    """The containers of a model by their names: ``primary`` for a single one.

    Source: "Log groups and streams ..." in the SageMaker developer guide for containers without a hostname.
    """
    containers = model["Resolved"]
    if len(containers) == 1 and model.get("PrimaryContainer"):
        yield "primary", containers[0]  # whatever its hostname is
        return
    for number, container in enumerate(containers, start=1):
        yield container.get("ContainerHostname") or f"container-{number}", container


class Fleets:
    """Starts and stops fleets.

    Args:
        world: clock, and where outputs are noted.
        containers: where processes are started.
        pace: how fast AWS's seconds pass.
        commands: which images run a command.
        artifacts: fetches what is served.
    """

    def __init__(
        self,
        world: World,
        containers: Containers,
        pace: Pace,
        commands: ImageCommands,
        artifacts: Artifacts,
    ):
        self._world = world
        self._containers = containers
        self._pace = pace
        self._commands = commands
        self._artifacts = artifacts
        self._lock = threading.Lock()
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def start(self, endpoint: str, wanted: Wanted, outcome: Outcome) -> Fleet:
        """Bring a fleet up: every variant's processes run and answer the ping.

        Args:
            endpoint: the endpoint's ARN.
            wanted: what it shall serve.
            outcome: what was arranged for it.

        Raises:
            Unhealthy: when it cannot; nothing of it is left running.
        """
        given = wanted.config["ProductionVariants"]
        shadows = wanted.config.get("ShadowProductionVariants") or []
        wanted.check()
        types = {variant["VariantName"]: self._provision(variant, outcome) for variant in (*given, *shadows)}
        variants, beside = (
            [self._variant(variant, wanted, types[variant["VariantName"]]) for variant in each]
            for each in (given, shadows)
        )
        instances = {variant["VariantName"]: f"i-0{secrets.token_hex(8)}" for variant in (*given, *shadows)}
        roles = {name: str(model["ExecutionRoleArn"]) for name, model in wanted.models.items()}
        fleet = Fleet(wanted.config, variants, {}, endpoint, instances, roles, shadows=beside)
        if wanted.config.get("AsyncInferenceConfig"):
            first = given[0]["VariantName"]
            fleet.data_log = self._output(fleet, first, roles[first], "data-log")
        try:
            for variant in given:
                if model := wanted.models.get(variant["VariantName"]):  # none: instances for components
                    self._bring_up(fleet, variant, model, outcome)
            for variant in shadows:
                name = variant["VariantName"]
                self._bring_up(fleet, variant, wanted.models[name], outcome)
                fleet.copies[name] = fleet.processes.pop(name)
        except Unhealthy:
            self.stop(fleet)
            raise
        return fleet

    def _provision(self, variant: Given, outcome: Outcome) -> str | None:
        """The instance type that a variant gets, the first of its pools that there is capacity of; None for a serverless one.

        Raises:
            Unhealthy: when there is none of any.
        """
        pools = pools_of(variant)
        if outcome.kind != "no-capacity":
            return pools[0] if pools else None
        left = [each for each in pools if outcome.types and each not in outcome.types]
        time.sleep(self._pace.real(outcome.seconds))
        if not left:
            raise Unhealthy.of(outcome.kind, variant["VariantName"])
        return left[0]

    def retire(self, fleet: Fleet) -> None:
        """Stop a fleet that is asked nothing more, once it has answered what it was asked, or `_DRAIN_SECONDS` are over."""
        fleet.underway.wait(_DRAIN_SECONDS)
        self.stop(fleet)

    def stop(self, fleet: Fleet) -> None:
        """End the fleet's processes and wait until they are gone."""
        for pipeline in (*fleet.processes.values(), *fleet.copies.values()):
            self._stop(pipeline)

    def close(self) -> None:
        """Remove what the processes have printed; none of them runs any more."""
        if self._folder is not None:
            self._folder.cleanup()

    def _stop(self, pipeline: Pipeline) -> None:
        for process in pipeline.containers.values():
            self._containers.stop(process)

    def _bring_up(self, fleet: Fleet, variant: Given, model: Given, outcome: Outcome) -> None:
        """The processes of one variant, in the fleet as soon as they are started."""
        name = variant["VariantName"]
        begin = self._starts(fleet, variant, model)
        if outcome.kind == "crash-loop":
            for _ in range(_RESTARTS):
                self._stop(self._run(name, model, begin))
                time.sleep(self._pace.real(outcome.seconds) / _RESTARTS)
            raise Unhealthy.of("unhealthy", name)
        pipeline = fleet.processes[name] = self._run(name, model, begin)
        if outcome.kind == "unhealthy":
            time.sleep(self._pace.real(outcome.seconds))
            raise Unhealthy.of("unhealthy", name)
        for container, process in pipeline.containers.items():
            if not self._starts_in_time(variant, model, container) or not process.wait(
                self._patience(variant, model, container)
            ):
                raise Unhealthy.of("unhealthy", name, container)

    def _starts_in_time(self, variant: Given, model: Given, container: str) -> bool:
        """Whether a container whose start takes long by what its command says is within the variant's limit; once that time has passed."""
        command = self._commands.find(dict(named_containers(model))[container]["Image"])
        needs = (command and command.slow_start_seconds) or 0
        limit = variant.get("ContainerStartupHealthCheckTimeoutInSeconds") or _HEALTH_CHECK_SECONDS
        time.sleep(self._pace.real(min(needs, limit)))
        return needs <= limit

    def _fetch(self, variant: Given, role: str, container: Given, number: int) -> bytes:
        """The model data of a container, within the variant's limit for its download.

        Raises:
            Unhealthy: also when the limit is reached.
        """
        limit = variant.get("ModelDataDownloadTimeoutInSeconds") or _DOWNLOAD_SECONDS
        command = self._commands.find(container["Image"])
        needs = (command and command.slow_download_seconds) or 0
        begun = time.monotonic()
        archive = self._artifacts.fetch(role, container, number)
        time.sleep(self._pace.real(min(needs, limit)))
        if needs > limit or time.monotonic() - begun > max(self._pace.real(limit), _LIMIT_SECONDS):
            raise not_downloaded(container, number)
        return archive

    def _starts(self, fleet: Fleet, given: Given, model: Given) -> dict[str, Callable[[], Container]]:
        """How each container of the model is started, by their names; what they serve was fetched."""
        role, variant = model["ExecutionRoleArn"], given["VariantName"]
        starts: dict[str, Callable[[], Container]] = {}
        for number, (name, container) in enumerate(named_containers(model), start=1):
            archive = self._fetch(given, role, container, number)
            output = self._output(fleet, variant, role, name if len(model["Resolved"]) > 1 else None)
            command = self._commands.find(container["Image"])
            if command is None:
                accept = (container.get("Environment") or {}).get(_DEFAULT_ACCEPT, JSON)
                starts[name] = partial(Container.start, archive, output=output, accept=accept)
                continue
            starts[name] = partial(
                Container.run,
                command.command,
                archive,
                self._environment(fleet, command, container),
                command.directory,
                output=output,
            )
        return starts

    def _environment(self, fleet: Fleet, command: ImageCommand, container: Given) -> dict[str, str]:
        region = fleet.endpoint.split(":")[3]
        own = container.get("Environment") or {}
        return {**command.environment, "AWS_REGION": region, "AWS_DEFAULT_REGION": region, **own}

    def _patience(self, variant: Given, model: Given, container: str) -> float:
        """How many real seconds a container has until its ping must be answered with 200."""
        command = self._commands.find(dict(named_containers(model))[container]["Image"])
        if command is None:
            return 30
        if command.start_seconds is not None:
            return command.start_seconds
        limit = variant.get("ContainerStartupHealthCheckTimeoutInSeconds")
        if limit is not None:
            return max(self._pace.real(limit), _LIMIT_SECONDS)
        return max(self._pace.real(_HEALTH_CHECK_SECONDS), _START_SECONDS)

    def _output(self, fleet: Fleet, variant: str, role: str, container: str | None) -> Path:
        """A new file for what a container prints; noted under the name of its log stream."""
        with self._lock:
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="crossaccount-output-")
        path = Path(self._folder.name) / f"{secrets.token_hex(8)}.log"
        path.touch(0o600)
        stream = "/".join(part for part in (variant, fleet.instances[variant], container) if part)
        self._world.outputs.append(ContainerOutput(fleet.endpoint, stream, path, self._world.clock(), role))
        return path

    def _run(self, variant: str, model: Given, starts: Mapping[str, Callable[[], Container]]) -> Pipeline:
        running: dict[str, Container] = {}
        direct = (model.get("InferenceExecutionConfig") or {}).get("Mode") == "Direct"
        for name, begin in starts.items():
            try:
                running[name] = self._containers.start(begin)
            except NotStarted as error:
                logger.info("container: %s", error)
                self._stop(Pipeline(running))
                raise Unhealthy.of("unhealthy", variant, name) from None
        return Pipeline(running, direct)

    def _variant(self, variant: Given, wanted: Wanted, instance_type: str | None) -> Record:
        """A variant as DescribeEndpoint shows it."""
        model, kept = wanted.models.get(variant["VariantName"]), wanted.kept.get(variant["VariantName"], {})
        images = (
            [self._image(model["ExecutionRoleArn"], one["Image"]) for one in model["Resolved"]]
            if model
            else []
        )
        weight = kept.get("DesiredWeight", variant.get("InitialVariantWeight", 1.0))
        shown = {
            "VariantName": variant["VariantName"],
            **({"DeployedImages": images} if model else {}),
            "CurrentWeight": weight,
            "DesiredWeight": weight,
        }
        if serverless := variant.get("ServerlessConfig"):
            both = {"CurrentServerlessConfig": serverless, "DesiredServerlessConfig": serverless}
            return {**shown, "CurrentInstanceCount": 0, "DesiredInstanceCount": 0, **both}
        count = kept.get("DesiredInstanceCount", variant["InitialInstanceCount"])
        counts = {"CurrentInstanceCount": count, "DesiredInstanceCount": count}
        return {**shown, **counts, **summary(variant, count, instance_type)}

    def _image(self, role: str, image: str) -> Record:
        parsed, digest = parse_image(image), image_digest(image)
        if parsed is None or digest is None or (*parsed[:3], digest) in self._world.archived_images:
            text = f"The role '{role}' does not have BatchGetImage permission for the image: '{image}'."
            raise Unhealthy(text)
        resolved = f"{parsed[0]}.dkr.ecr.{parsed[1]}.amazonaws.com/{parsed[2]}@{digest}"
        return {"SpecifiedImage": image, "ResolvedImage": resolved, "ResolutionTime": self._world.clock()}
