"""Faults on demand: what AWS does to its callers on a bad day, done to the calls that a rule picks. Off by default.

A rule says which calls (by service, operation, account), how many of them and what befalls them. Whatever is left undone
by a fault was not done: a call that is dropped, throttled or failed *before* has no effect, *after* it has its effect and
only the answer is lost. No rule changes what the judge decides, but for when a changed policy begins to count.

Not here: who is let in (``guard``), how the next endpoint fares (``control``).

Sources: "Common errors" and "Error responses" of each service's API reference; "Amazon S3 data consistency model" and the
IAM user guide's "Changes that I make are not always immediately visible" for policies that are felt later; InvokeEndpoint for
ModelNotReadyException.
"""

import random
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from fnmatch import fnmatchcase
from typing import Any

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.refusals import expired, failed
from crossaccount_sandbox.sagemaker.outcomes import Outcome, Outcomes
from crossaccount_sandbox.wire import AwsError, Response
from crossaccount_sandbox.world import World

KINDS = (
    *("throttle", "error", "latency", "drop", "hold", "conflict"),
    *("expire-session", "slow-policy", "show-ids", "no-capacity", "model-not-ready"),
)
_POLICY_WRITES = frozenset(
    f"{verb}{what}Policy"
    for verb in ("Put", "Set", "Delete")
    for what in ("Repository", "Bucket", "Key", "ModelPackageGroup")
)


@dataclass(frozen=True)
class Rule:
    """Which calls something befalls, and what.

    Args:
        kind: ``throttle``: told to slow down. ``error``: an error of AWS's own (``status``). ``latency``: takes
            ``seconds`` longer. ``drop``: the connection is closed without an answer. ``hold``: the call waits until it is
            released, and is dropped then. ``conflict``: another call is busy with the resource (S3, which names it after the
            condition of a conditional write, and SageMaker).
            ``expire-session``: the caller's session is over from this call on. ``slow-policy``: a policy that this call
            writes is felt ``seconds`` later, though it reads back at once. ``show-ids``: for ``seconds`` after this write
            the policy reads back with unique ids in place of ARNs. ``no-capacity``: this CreateEndpoint or
            UpdateEndpoint finds none. ``model-not-ready``: the endpoint has not loaded the model that this
            InvokeEndpoint asks.
        service: the service's name in botocore, a pattern: ``s3``, ``sagemaker*``.
        operation: AWS's name of the operation, a pattern: ``PutBucketPolicy``, ``Put*``.
        account: of the caller; None for any.
        when: ``before`` the call has its effect, or ``after``; for ``throttle``, ``error``, ``drop`` and ``hold``.
        skip: how many of the calls that fit go by first.
        times: how many it befalls; None for all.
        rate: the share of them that it befalls, 0 to 1.
        seconds: of ``latency``, ``slow-policy`` and ``show-ids``.
        status: 500 or 503, of ``error``.
    """

    kind: str
    service: str = "*"
    operation: str = "*"
    account: str | None = None
    when: str = "before"
    skip: int = 0
    times: int | None = None
    rate: float = 1.0
    seconds: float = 0.0
    status: int = 500

    def __post_init__(self) -> None:
        """Refuse what no call could be given, with a ValueError that names the member."""
        for member in fields(self):
            value, kind = getattr(self, member.name), member.type
            if isinstance(value, bool) or not isinstance(value, float | int if kind is float else kind):  # type: ignore[arg-type]
                raise ValueError(f"{member.name} is {_SAID[kind]}, not {value!r}")
        _one_of("kind", self.kind, KINDS)
        _one_of("when", self.when, ("before", "after"))
        _one_of("status", self.status, (500, 503))
        if not 0 <= self.rate <= 1:
            raise ValueError(f"rate is from 0 to 1, not {self.rate!r}")
        if self.seconds < 0 or self.skip < 0 or (self.times is not None and self.times < 0):
            raise ValueError("seconds, skip and times are not negative")

    def fits(self, call: Call) -> bool:
        """Whether the rule is about this call."""
        return (
            fnmatchcase(call.service, self.service)
            and fnmatchcase(call.operation, self.operation)
            and self.account in (None, call.account)
            and (self.kind not in ("slow-policy", "show-ids") or call.operation in _POLICY_WRITES)
            and (self.kind != "no-capacity" or call.operation in ("CreateEndpoint", "UpdateEndpoint"))
            and (self.kind != "model-not-ready" or call.operation == "InvokeEndpoint")
            and (self.kind != "conflict" or call.service in _BUSY)
            and (self.kind != "expire-session" or call.caller.chained)
        )


_NUMBER = "a whole number"
_SAID: Mapping[Any, str] = {
    str: "a text",
    str | None: "a text",
    int: _NUMBER,
    int | None: _NUMBER,
    float: "a number",
}


def _one_of(name: str, value: object, known: Iterable[object]) -> None:
    if value not in tuple(known):
        raise ValueError(f"{name} is one of {', '.join(map(str, known))}, not {value!r}")


def rules(given: Any) -> list[Rule]:
    """Rules as JSON has them: a list of objects with the members of `Rule`, or one such object.

    Raises:
        ValueError: for anything else, naming it.
    """
    entries = given if isinstance(given, list) else [given]
    known = {member.name for member in fields(Rule)}
    for entry in entries:
        if not isinstance(entry, dict) or "kind" not in entry:
            raise ValueError(f"a fault is an object with a kind, not {entry!r}")
        if unknown := set(entry) - known:
            raise ValueError(
                f"a fault has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(known))}"
            )
    return [Rule(**entry) for entry in entries]


class Dropped(Exception):
    """The connection is to be closed without an answer."""


@dataclass
class _Armed:
    """A rule at work, and how many calls fitted it and were befallen."""

    rule: Rule
    seen: int = 0
    done: int = 0


class Faults:
    """The rules at work. Several threads may use it.

    Args:
        world: whose policies are felt late and whose sessions end.
        outcomes: where an endpoint without capacity is arranged.
        seed: of the dice that ``rate`` throws: the same calls in the same order fare the same.
    """

    def __init__(self, world: World, outcomes: Outcomes, seed: int = 0):
        self._world = world
        self._outcomes = outcomes
        self._dice = random.Random(seed)  # noqa: S311 - no secret
        self._changed = threading.Condition()
        self._armed: list[_Armed] = []
        self._held: list[dict[str, Any]] = []

    def add(self, *given: Rule) -> None:
        """Put rules to work, after those that are at work."""
        with self._changed:
            self._armed += [_Armed(rule) for rule in given]

    def arrange(self, given: Any) -> None:
        """Put rules to work that are given as JSON has them; raises as `rules` does, and then none is at work."""
        self.add(*rules(given))

    def clear(self) -> None:
        """Take every rule away, and let go of every call that is held."""
        with self._changed:
            self._armed.clear()
            self._held.clear()
            self._changed.notify_all()

    def state(self) -> dict[str, Any]:
        """The rules with how many calls they ``seen`` and ``done``, and the calls that are ``held`` now."""
        with self._changed:
            at_work = [{**asdict(each.rule), "seen": each.seen, "done": each.done} for each in self._armed]
            return {"faults": at_work, "held": [dict(call) for call in self._held]}

    def wait_held(self, seconds: float) -> dict[str, Any] | None:
        """The first call that is held, waiting so long for one; None when there is none."""
        with self._changed:
            self._changed.wait_for(lambda: self._held, seconds)
            return dict(self._held[0]) if self._held else None

    def around(self, call: Call, serve: Callable[[], Response]) -> Response:
        """Answer a call, with whatever befalls it.

        Args:
            call: the call.
            serve: judges it and gives it its effect.

        Raises:
            AwsError: the fault, in the service's own form, or what ``serve`` raises.
            Dropped: when there is to be no answer.
        """
        if not self._armed:
            return serve()
        befalls = self._pick(call)
        for rule in befalls:
            self._before(rule, call)
        changes = [rule for rule in befalls if rule.kind in ("slow-policy", "show-ids")]
        before = self._world.attached.snapshot() if changes else {}
        response = serve()
        for rule in changes:
            self._world.attached.lag(before, rule.seconds, show_ids=rule.kind == "show-ids")
        for rule in befalls:
            if rule.when == "after":
                self._strike(rule, call)
        return response

    def _pick(self, call: Call) -> list[Rule]:
        with self._changed:
            befalling = []
            for armed in self._armed:
                if not armed.rule.fits(call):
                    continue
                armed.seen += 1
                left = armed.rule.times is None or armed.done < armed.rule.times
                if armed.seen > armed.rule.skip and left and self._dice.random() < armed.rule.rate:
                    armed.done += 1
                    befalling.append(armed.rule)
            return befalling

    def _before(self, rule: Rule, call: Call) -> None:
        match rule.kind:
            case "latency":
                time.sleep(rule.seconds)
            case "expire-session":
                self._world.keys.expire(call.caller, self._world.clock())
                raise expired(call.spoken)
            case "no-capacity":
                name = call.params.get("EndpointName")
                self._outcomes.next_endpoint(Outcome("no-capacity"), call.account, name)
            case _ if rule.when == "before":
                self._strike(rule, call)

    def _strike(self, rule: Rule, call: Call) -> None:
        match rule.kind:
            case "throttle":
                raise AwsError(*_THROTTLED.get(call.service, _THROTTLED["*"]))
            case "error":
                raise _error(call, rule.status)
            case "conflict":
                conditional = call.service == "s3" and call.operation in _CONDITIONAL
                raise AwsError(
                    *(_CONFLICTING if conditional and _has_condition(call) else _BUSY[call.service])
                )
            case "model-not-ready":
                raise AwsError("ModelNotReadyException", _NOT_READY, 429)
            case "drop":
                raise Dropped
            case "hold":
                self._hold(rule, call)
                raise Dropped
            case _:  # struck where the rule is chosen
                pass

    def _hold(self, rule: Rule, call: Call) -> None:
        entry = {"service": call.service, "operation": call.operation, "when": rule.when}
        with self._changed:
            self._held.append(entry)
            self._changed.notify_all()
            self._changed.wait_for(lambda: not any(held is entry for held in self._held))


_NOT_READY = "The model is not ready for inference yet. Please try your request again."
_Error = tuple[str, str, int]
_THROTTLED: Mapping[str, _Error] = {
    "s3": ("SlowDown", "Please reduce your request rate.", 503),
    "s3control": ("SlowDown", "Please reduce your request rate.", 503),
    "sts": ("Throttling", "Rate exceeded", 400),
    "iam": ("Throttling", "Rate exceeded", 400),
    "cloudformation": ("Throttling", "Rate exceeded", 400),
    "cloudwatch": ("Throttling", "Rate exceeded", 400),
    "sagemaker-runtime": ("ThrottlingException", "Rate exceeded", 429),
    "*": ("ThrottlingException", "Rate exceeded", 400),
}
_BUSY: Mapping[str, _Error] = {
    "s3": (
        "OperationAborted",
        "A conflicting conditional operation is currently in progress against this resource. Please try again.",
        409,
    ),
    "sagemaker": (
        "ConflictException",
        "There was a conflict when you attempted to modify a SageMaker entity.",
        400,
    ),
}
# A conditional write while another one of the same key goes on. Source: "Add preconditions to S3 operations with conditional
# requests" in the S3 user guide; the text as recorded from AWS.
_CONFLICTING: _Error = (
    "ConditionalRequestConflict",
    "The conditional request cannot succeed due to a conflicting operation against this resource.",
    409,
)
_CONDITIONAL = frozenset(("PutObject", "CopyObject", "CompleteMultipartUpload"))


def _has_condition(call: Call) -> bool:
    return any(call.headers.get(name) for name in ("If-None-Match", "If-Match"))


def _error(call: Call, status: int) -> AwsError:
    """AWS's error of its own, as the service names it."""
    if status == 503:
        return AwsError("ServiceUnavailable", "Service is unable to handle request.", 503)
    return failed(call.spoken, "We encountered an internal error. Please try again.")


def drop(environ: Mapping[str, Any]) -> None:
    """Close the request's connection: the client sees it end without an answer."""
    connection: socket.socket = environ["werkzeug.socket"]
    with suppress(OSError):  # the client has closed it already
        connection.shutdown(socket.SHUT_RDWR)
