"""Endpoints over time: they are created, come into service with real processes behind them, change, and end.

So do inference components, which are a table of their own. Not here: the API around them (``endpoints``, ``components``), how a
change goes (``rollouts``) and the processes (``fleets``).

Source: "EndpointStatus" in the SageMaker API reference; failure reasons are quotes from public reports.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from fractions import Fraction

from crossaccount_sandbox.sagemaker.captures import Captures
from crossaccount_sandbox.sagemaker.deployments import Unhealthy, Wanted
from crossaccount_sandbox.sagemaker.event_streams import events
from crossaccount_sandbox.sagemaker.fleets import Fleet, Fleets
from crossaccount_sandbox.sagemaker.invocations import (
    invalid,
    note_sessions,
    refuse_container,
    refuse_session,
)
from crossaccount_sandbox.sagemaker.logs import log_group
from crossaccount_sandbox.sagemaker.outcomes import Outcome, Outcomes, Pace
from crossaccount_sandbox.sagemaker.pipelines import INVOKE_SECONDS, Refused, Request
from crossaccount_sandbox.sagemaker.rollouts import Rollout, become
from crossaccount_sandbox.sagemaker.routing import Router, Turn
from crossaccount_sandbox.wire import AwsError, Response
from crossaccount_sandbox.world import Place, Record, World

_IN_PROGRESS = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")
_SILENT = ("Creating", "Failed", "Deleting", "OutOfService")


class Hosting:
    """All endpoints of the sandbox.

    Args:
        world: the clock.
        fleets: starts and stops processes.
        outcomes: what was arranged for endpoints.
        pace: how long things take.
        captures: keeps requests and answers where an endpoint captures data.
        table: where they are kept; left out for the endpoints themselves.
    """

    def __init__(
        self,
        world: World,
        fleets: Fleets,
        outcomes: Outcomes,
        pace: Pace,
        captures: Captures,
        table: dict[tuple[Place, str], Record] | None = None,
    ):
        self._world = world
        self._fleets = fleets
        self._outcomes = outcomes
        self._pace = pace
        self._captures = captures
        self._table = world.endpoints if table is None else table
        self._holds = table is None  # AWS holds endpoints in a state, and nothing else
        self._lock = threading.RLock()

    def find(self, place: Place, name: str) -> Record | None:
        """The endpoint's record as it is now; None when there is none. Names ignore case."""
        with self._lock:
            record = self._table.get((place, name.lower()))
            return None if record is None else self._seen(place, record)

    def all(self, place: Place) -> list[Record]:
        """The endpoints of an account and region."""
        with self._lock:
            return [self._seen(place, record) for (of, _), record in self._table.items() if of == place]

    def _seen(self, place: Place, record: Record) -> Record:
        held = self._outcomes.held(place[0], record["EndpointName"]) if self._holds else None
        if held is not None and record["EndpointStatus"] == "InService":
            return {**record, "EndpointStatus": held}
        return dict(record)

    def outcome(self, place: Place, name: str) -> Outcome:
        """What was arranged for the next change of this endpoint; it is used up."""
        return self._outcomes.take(place[0], name)

    def create(self, place: Place, name: str, arn: str, wanted: Wanted, more: Record | None = None) -> None:
        """Begin an endpoint: it is Creating when this returns; ``more`` is what its record has besides."""
        record: Record = {
            "EndpointName": name,
            "EndpointArn": arn,
            "EndpointConfigName": wanted.config["EndpointConfigName"],
            "AsyncInferenceConfig": wanted.config.get("AsyncInferenceConfig"),
            "CreationTime": self._world.clock(),
            "Statuses": [],
            "router": Router(),
            "fleets": [],
            "sessions": {},
            **(more or {}),
        }
        rollout = self._rollout(record, wanted)
        rollout.begin("Creating")
        with self._lock:
            self._table[place, name.lower()] = record
        self._later(rollout.create)

    def update(self, place: Place, name: str, wanted: Wanted, deployment: Record | None) -> bool:
        """Begin to move an endpoint to another configuration; False while it is in the middle of a change.

        Args:
            place: account and region.
            name: the endpoint's.
            wanted: what it shall become.
            deployment: the DeploymentConfig that it then shows as its last; None keeps the one before.
        """
        with self._lock:
            record = self._free(place, name)
            if record is None:
                return False
            if deployment:
                record["LastDeploymentConfig"] = deployment
            rollout = self._rollout(record, wanted)
            rollout.begin("Updating")
        self._later(rollout.update)
        return True

    def rescale(self, place: Place, name: str, desired: Mapping[str, Record], outcome: Outcome) -> bool:
        """Begin to change weights and instance counts; False while the endpoint is in the middle of a change.

        Args:
            place: account and region.
            name: the endpoint's.
            desired: by variant, its new DesiredWeight and DesiredInstanceCount, either or both.
            outcome: what was arranged; any but a healthy one rolls the change back.
        """
        with self._lock:
            record = self._free(place, name)
            if record is None:
                return False
            record.pop("FailureReason", None)
            become(record, "Updating", self._world.clock())
        self._later(lambda: self._rescale(record, desired, outcome))
        return True

    def rest(self, place: Place, name: str, config: Record) -> bool:
        """Begin to stop all processes of what stays in service with none; False while it is in the middle of a change.

        Args:
            place: account and region.
            name: the name.
            config: what it stands for meanwhile.
        """
        with self._lock:
            record = self._free(place, name)
            if record is None:
                return False
            record.pop("FailureReason", None)
            become(record, "Updating", self._world.clock())
        self._later(lambda: self._rest(record, config))
        return True

    def resize(self, place: Place, name: str, count: int) -> None:
        """Show so many instances of an endpoint's first variant from now on."""
        with self._lock:
            record = self._table[place, name.lower()]
            first, *others = record["ProductionVariants"]
            counts = {"CurrentInstanceCount": count, "DesiredInstanceCount": count}
            record["ProductionVariants"] = [{**first, **counts}, *others]

    def delete(self, place: Place, name: str) -> bool:
        """Begin to delete an endpoint; False while it is in the middle of a change."""
        with self._lock:
            record = self._free(place, name)
            if record is None:
                return False
            become(record, "Deleting", self._world.clock())
        self._later(lambda: self._take_down(place, name, record))
        return True

    def _free(self, place: Place, name: str) -> Record | None:
        """The endpoint, if it is in no change and not held in one; what it was held in otherwise ends here."""
        record = self._table[place, name.lower()]
        if self._seen(place, record)["EndpointStatus"] in _IN_PROGRESS:
            return None
        self._outcomes.release(place[0], name)
        return record

    def invoke(self, endpoint: Record, request: Request, timeout: float = INVOKE_SECONDS) -> Response:
        """The answer to one request.

        Args:
            endpoint: as ``find`` gave it.
            request: what is asked.
            timeout: seconds that each container has for its answer.

        Raises:
            AwsError: ``ValidationError`` while no process serves it, or for a container or session that is none;
                ``ModelError`` (424) for an error of a container.
        """
        with self._asked(endpoint, request) as turn:
            self._captures.copy(endpoint, turn.fleet, request)
            try:
                answer = turn.pipeline.invoke(request, timeout)
            except Refused as refused:
                raise _model_error(refused, endpoint) from None
        self._captures.keep(endpoint, turn.fleet, turn.variant, request, answer)
        note_sessions(request, answer.headers, endpoint["sessions"])
        kind = {"Content-Type": answer.content_type} if answer.content_type else {}
        headers = {**kind, "x-Amzn-Invoked-Production-Variant": turn.variant, **answer.headers}
        return Response(200, answer.body, tuple(headers.items()))

    def stream(self, endpoint: Record, request: Request) -> Response:
        """The answer to one request as a stream of events, each sent when the container gives its part; as ``invoke`` for the rest."""
        with ExitStack() as until_the_end:
            turn = until_the_end.enter_context(self._asked(endpoint, request))
            try:
                container, reply = turn.pipeline.stream(request)
            except Refused as refused:
                raise _model_error(refused, endpoint) from None
            parts = _within(until_the_end.pop_all(), events(reply.pieces, container))
        note_sessions(request, reply.headers, endpoint["sessions"])
        kind = {"X-Amzn-SageMaker-Content-Type": reply.content_type} if reply.content_type else {}
        headers = {**kind, "x-Amzn-Invoked-Production-Variant": turn.variant, **reply.headers}
        events_type = ("Content-Type", "application/vnd.amazon.eventstream")
        return Response(200, b"", (events_type, *headers.items()), parts=parts)

    @contextmanager
    def _asked(self, endpoint: Record, request: Request) -> Iterator[Turn]:
        """Whose turn it is, once nothing about the request is to be refused; it ends with the context."""
        turn = self._turn(endpoint, request.variant)
        try:
            refuse_container(request, turn.pipeline, endpoint["EndpointName"])
            refuse_session(request, endpoint["sessions"], self._world.clock())
            yield turn
        finally:
            turn.end()

    @staticmethod
    def _turn(endpoint: Record, variant: str | None) -> Turn:
        """Whose turn it is."""
        silent = endpoint["EndpointStatus"] in _SILENT
        turn: Turn | None = None if silent else endpoint["router"].next(variant)
        if turn is None:
            account = endpoint["EndpointArn"].split(":")[4]
            kind = f"Variant {variant} of endpoint" if variant and not silent else "Endpoint"
            raise invalid(f"{kind} {endpoint['EndpointName']} of account {account} not found.")
        return turn

    def _rollout(self, record: Record, wanted: Wanted) -> Rollout:
        return Rollout(record, wanted, self._fleets, self._pace, self._world.clock)

    def _later(self, work: Callable[[], None]) -> None:
        threading.Thread(target=work, name="endpoint", daemon=True).start()

    def _rescale(self, record: Record, desired: Mapping[str, Record], outcome: Outcome) -> None:
        time.sleep(max(self._pace.endpoint_seconds, self._pace.real(outcome.seconds)))
        if outcome.kind != "healthy":
            become(record, "RollingBack", self._world.clock())
            if not outcome.silent:
                record["FailureReason"] = str(Unhealthy.of(outcome.kind, next(iter(desired))))
            become(record, "InService", self._world.clock())
            return
        fleet: Fleet = record["fleets"][0]
        fleet.variants = [_scaled(variant, desired) for variant in fleet.variants]
        record["ProductionVariants"] = fleet.variants
        record["router"].point([(fleet, Fraction(1))])
        become(record, "InService", self._world.clock())

    def _rest(self, record: Record, config: Record) -> None:
        time.sleep(self._pace.endpoint_seconds)
        record["router"].point([])
        for fleet in record["fleets"]:
            self._fleets.stop(fleet)
        none = {"CurrentInstanceCount": 0, "DesiredInstanceCount": 0}
        shown = [{**variant, **none} for variant in record.get("ProductionVariants", [])]
        record.update(
            fleets=[],
            resting=config,
            ProductionVariants=shown,
            EndpointConfigName=config["EndpointConfigName"],
        )
        become(record, "InService", self._world.clock())

    def _take_down(self, place: Place, name: str, record: Record) -> None:
        record["router"].point([])
        for fleet in record["fleets"]:
            self._fleets.stop(fleet)
        time.sleep(min(self._pace.endpoint_seconds, 0.3))
        with self._lock:
            self._table.pop((place, name.lower()), None)


def _within(held: ExitStack, parts: Iterator[bytes]) -> Iterator[bytes]:
    """The parts, and what is held until the last of them was taken."""
    with held:
        yield from parts


def _scaled(variant: Record, desired: Mapping[str, Record]) -> Record:
    wanted = desired.get(variant["VariantName"], {})
    for name in ("Weight", "InstanceCount"):
        if (value := wanted.get(f"Desired{name}")) is not None:
            variant = {**variant, f"Desired{name}": value, f"Current{name}": value}
    if pools := variant.get("InstancePools"):
        counts = [variant["CurrentInstanceCount"] if pool["CurrentInstanceCount"] else 0 for pool in pools]
        shown = [{**pool, "CurrentInstanceCount": each} for pool, each in zip(pools, counts, strict=True)]
        return {**variant, "InstancePools": shown}
    return variant


def _model_error(refused: Refused, endpoint: Record) -> AwsError:
    answer = refused.answer
    said = answer.body.decode("utf-8", "replace")
    side = "client" if 400 <= answer.status < 500 else "server"
    _, _, _, region, account, resource = endpoint["EndpointArn"].split(":", 5)
    group = log_group(resource, endpoint["EndpointName"])
    text = (
        f'Received {side} error ({answer.status}) from {refused.container} with message "{said}". See '
        f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}#logEventViewer:group={group} in account "
        f"{account} for more information."
    )
    extra = {
        "ErrorCode": f"{side.upper()}_ERROR_FROM_MODEL",
        "OriginalStatusCode": answer.status,
        "OriginalMessage": said,
        "LogStreamArn": f"arn:aws:logs:{region}:{account}:log-group:{group}",
    }
    return AwsError("ModelError", text, 424, extra)
