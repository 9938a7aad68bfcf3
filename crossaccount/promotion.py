"""One version, moved into the consumers' endpoints: tried out, shifted to, proved, or taken back.

What is done for one consumer is here, and the order of consumers. Not here: the endpoint's own steps (``rollout``), what is
asked of it (``smoke``), who runs it all (the flows), and what is remembered of it (``records``).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from crossaccount import arns, preflight, rollout, serving, smoke
from crossaccount.errors import CrossAccountError, DoorName, Failed, Refused
from crossaccount.rollout import Live, Patience, Shift
from crossaccount.serving import Proof, Removal

if TYPE_CHECKING:
    import boto3

    from crossaccount.config.model import ConsumerConfig, Sharing
    from crossaccount.records import Record
    from crossaccount.release import Release


Tell = Callable[[str], None]
_ANSWERING_NOTHING = ("Creating", "Failed", "Deleting", "OutOfService", "UpdateRollbackFailed")


class Result(StrEnum):
    """What became of one consumer: its endpoint serves the version now, or did before; or it does not, or it was not its turn.

    Held is one that was rolled back from this version: only a promotion that names the version brings it there again.
    """

    PROMOTED = "promoted"
    UNCHANGED = "unchanged"
    HELD = "held"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Promoted:
    """One consumer's part of a promotion.

    ``before`` and ``live`` are the versions that its endpoint served before and after, None for nothing, or for a mix of two;
    ``refused`` is True when AWS said no; ``left`` names what could not be removed.
    """

    consumer: str
    account: str
    stage: int
    result: Result
    version: int
    before: int | None
    live: int | None
    text: str
    refused: bool = False
    proofs: tuple[Proof, ...] = ()
    removals: tuple[Removal, ...] = ()
    seconds: float = 0.0

    @property
    def left(self) -> tuple[str, ...]:
        """What could not be removed."""
        return tuple(f"{one.kind} {one.name}" for one in self.removals if one.outcome == "left")

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {**asdict(self), "left": list(self.left)}


def from_json(data: object) -> Promoted:
    """The outcome that `Promoted.to_json` wrote; whether it is the one that was asked for says `unlike`.

    Raises:
        ValueError: for anything that `Promoted.to_json` does not write.
        RecursionError: when it is nested too deep.
    """
    if not isinstance(data, dict):
        raise ValueError("it is no outcome")
    text = json.dumps({key: value for key, value in data.items() if key != "left"}, allow_nan=False)
    found: Promoted = TypeAdapter(Promoted).validate_json(text, strict=True)
    # A key that no outcome has, at whatever depth, is dropped by the line above: so the way back must give all of it again.
    if json.loads(json.dumps(found.to_json())) != data:
        raise ValueError("it has more in it than an outcome")
    return found


def unlike(found: Promoted, sharing: Sharing, name: str, version: int | None, back: bool) -> str:
    """What of an outcome that others wrote down cannot be that of what was asked for, in a few words; empty when all can.

    Args:
        found: the outcome.
        sharing: the config.
        name: the consumer.
        version: the version that was asked for; None with ``back`` is any earlier one.
        back: whether a rollback was asked for.
    """
    consumer = sharing.consumers[name]
    if (found.consumer, found.account, found.stage) != (name, consumer.account, consumer.stage):
        return f"it is of {found.consumer} (account {found.account}, stage {found.stage})"
    if found.result is Result.FAILED:
        return "" if version in (None, found.version) else f"it is of version {found.version}"
    if version not in (None, found.version) or found.live != found.version:
        return f"it is of version {found.version}, with {found.live} live"
    if found.result is Result.UNCHANGED and not back:
        return ""
    if found.result is not Result.PROMOTED:
        return f"nobody asked for {found.result}"
    of_it = (name, consumer.account, arns.package_arn(sharing, found.version), found.version)
    proved = [(one.consumer, one.account, one.model_package_arn, one.version) for one in found.proofs]
    if not found.proofs or proved != [of_it] * len(proved) or not all(one.verified for one in found.proofs):
        return "it has no proof of that version there"
    return ""


def stages(sharing: Sharing) -> list[tuple[int, list[str]]]:
    """The consumers by stage, the first stage first."""
    found: dict[int, list[str]] = {}
    for name, consumer in sharing.consumers.items():
        found.setdefault(consumer.stage, []).append(name)
    return sorted(found.items())


def untouched(sharing: Sharing, name: str, version: int, result: Result, why: str) -> Promoted:
    """A consumer for whom nothing was done."""
    consumer = sharing.consumers[name]
    return Promoted(name, consumer.account, consumer.stage, result, version, None, None, why)


def held(records: Iterable[Record], version: int) -> dict[str, str]:
    """The consumers that were rolled back from this version and have not been promoted to any since, and why.

    A further rollback, from what the first one went back to, does not let this version in again.

    Args:
        records: of earlier promotions and rollbacks, the newest first.
        version: the version.
    """
    found: dict[str, str] = {}
    settled: set[str] = set()
    for record in records:
        for one in record.consumers:
            name = str(one.get("consumer"))
            if name in settled or not (
                one.get("result") == Result.PROMOTED or (record.version == version and _found(record, one))
            ):
                continue
            if record.kind == "promotion" or one.get("before") == version:
                settled.add(name)
            if record.kind == "rollback" and one.get("before") == version:
                when = record.started.strftime("%Y-%m-%d %H:%MZ")
                found[name] = (
                    f"It was rolled back from version {version} at {when}: {record.reason}. To promote it there again, name the version."
                )
    return found


def _found(record: Record, one: Mapping[str, Any]) -> bool:
    """Whether a promotion found the endpoint at its version: moved there by a run that died before it could say so."""
    unchanged = record.kind == "promotion" and one.get("result") == Result.UNCHANGED
    return unchanged and one.get("live") == record.version


@dataclass(frozen=True)
class Move:
    """The last that the history says of where a consumer's endpoint came to: ``live`` is the version, ``before`` the one before.

    ``kind`` and ``reason`` are the record's.
    """

    kind: str
    reason: str
    before: int | None
    live: int | None


def last_move(records: Iterable[Record], name: str) -> Move | None:
    """How a consumer's endpoint came to serve what the history says that it serves; None when that says nothing of it.

    Args:
        records: of earlier promotions and rollbacks, the newest first.
        name: the consumer.
    """
    for record in records:
        for one in record.consumers:
            came = one.get("result") == Result.PROMOTED or _found(record, one)
            if came and one.get("consumer") == name:
                return Move(record.kind, record.reason, one.get("before"), one.get("live"))
    return None


def is_back(live: Live | None, last: Move | None, version: int | None, reason: str) -> bool:
    """Whether a rollback has been made and put on record already: its run died after that, or somebody asks twice.

    Whoever gives another reason asks for another one.

    Args:
        live: the endpoint.
        last: what the history says last.
        version: where it shall go back to; None is the version before.
        reason: why.
    """
    asked = last is not None and last.kind == "rollback" and last.reason == reason
    at_rest = live is not None and live.status == "InService" and live.proven is not None
    return bool(
        asked and at_rest and live and last and live.version == last.live and version in (None, last.live)
    )


def left(live: Live | None, known: Sequence[rollout.Earlier], last: Move | None) -> int | None:
    """The version that a rollback has moved the endpoint away from without putting it on record: its run died. Else None.

    The history says that version, and what it was served by has lost its proof: that is how a rollback begins.

    Args:
        live: the endpoint.
        known: its endpoint configs.
        last: what the history says last.
    """
    if live is None or last is None or last.live in (None, live.version):
        return None
    of_it = [one for one in known if one.version == last.live]
    withdrawn = bool(of_it) and not any(one.proven for one in of_it)
    return last.live if withdrawn and any(one.config == live.config for one in known) else None


def stands(live: Live | None, consumer: ConsumerConfig, release: Release) -> bool:
    """Whether the endpoint serves the version already, on the capacity asked for, and has proved it."""
    return (
        live is not None
        and live.status == "InService"
        and live.config == rollout.config_name(consumer, release)
        and live.proven is not None
    )


def answering(live: Live | None) -> int | None:
    """The version that answers at an endpoint, as it was seen; None when none does, or a mix of two."""
    return live.version if live is not None and live.status not in _ANSWERING_NOTHING else None


def promote(
    session: boto3.Session,
    sharing: Sharing,
    name: str,
    release: Release,
    patience: Patience,
    tell: Tell = lambda text: None,
    flow_run: str | None = None,
) -> Promoted:
    """Bring one consumer's endpoint to a version, or leave it at the version that it had.

    Args:
        session: in the consumer's deployer role.
        sharing: the config.
        name: the consumer.
        release: of the version.
        patience: how long to wait for an endpoint, each time.
        tell: is given a line for each step, and for each status of an endpoint; what it raises ends the promotion, and what
            this made for a trial is removed all the same.
        flow_run: the run that this is part of, for the tag of what it makes for a trial.
    """
    started, consumer = time.monotonic(), sharing.consumers[name]
    work = _Work(session, sharing, name, consumer, release, patience, tell, flow_run)
    before: int | None = None
    try:
        with work.explained("sagemaker:DescribeEndpoint", consumer.endpoint.name):
            found = rollout.look(session, sharing, consumer)
        before = work.before(found)
        if stands(found, consumer, release):
            text = f"The endpoint {consumer.endpoint.name} serves version {release.version} already."
            work.retire(trials=False)
            return work.ended(Result.UNCHANGED, before, release.version, text, started)
        work.move()
        text = f"The endpoint {consumer.endpoint.name} serves version {release.version}, and has proved it."
        return work.ended(Result.PROMOTED, before, release.version, text, started)
    except CrossAccountError as error:
        live = work.tidied()
        return work.ended(Result.FAILED, before, live, str(error), started, isinstance(error, Refused))


@dataclass
class _Work:
    """What is at hand while one consumer's endpoint is moved, and what has come of it so far."""

    session: boto3.Session
    sharing: Sharing
    name: str
    consumer: ConsumerConfig
    release: Release
    patience: Patience
    tell: Tell
    flow_run: str | None = None

    def __post_init__(self) -> None:
        self.proofs: list[Proof] = []
        self.removals: list[Removal] = []
        self.shifted = False

    def before(self, found: Live | None) -> int | None:
        """The version before this promotion, also where a run that died has brought the endpoint to its version already."""
        wanted = rollout.config_name(self.consumer, self.release)
        if found is None or found.config != wanted or found.proven is not None or answering(found) is None:
            return answering(found)
        with self.explained("sagemaker:ListEndpointConfigs", "*"):
            known = rollout.earlier(self.session, self.sharing, self.consumer)
        return next((one.version for one in known if one.proven and one.config != wanted), None)

    @contextmanager
    def explained(self, action: str, resource: str) -> Iterator[None]:
        asked = (action, resource)
        with preflight.explained(
            self.session, self.sharing, self.name, self.consumer, DoorName.CALLER_POLICY, asked
        ):
            yield

    @contextmanager
    def creating(self) -> Iterator[None]:
        with preflight.explained_creation(self.session, self.sharing, self.name, self.consumer, self.release):
            yield

    def progress(self, what: str) -> Callable[..., None]:
        """Tells of an endpoint's status, once each."""
        last: list[str] = []

        def hear(status: str, stages: Any, seconds: float | None = None) -> None:
            line = f"{what} is {status}" + (
                f" ({', '.join(stages)})" if isinstance(stages, tuple) and stages else ""
            )
            if last != [line]:
                last[:] = [line]
                self.tell(line)
            else:
                self.tell("")  # the promotion may have been told to end

        return hear

    def move(self) -> None:
        """Try the version out, shift to it, and prove it there, as far as the config asks for each."""
        asked = self._questions()
        mode = self.consumer.smoke_mode
        if mode in ("before", "both"):
            self._try_out(asked)
        shift = self._shift()
        if mode in ("after", "both"):
            self._prove_or_go_back(shift, asked)
        with self.explained("sagemaker:AddTags", shift.config):
            rollout.mark_proven(self.session, self.sharing, self.consumer, shift.config)
        self.retire()

    def retire(self, trials: bool = True) -> None:
        """Remove what the endpoint no longer needs: also after a run that died before it came to that."""
        with self.explained("sagemaker:ListEndpointConfigs", "*"):
            self.removals += rollout.retire(self.session, self.sharing, self.consumer, self.patience, trials)

    def _questions(self) -> list[smoke.Question]:
        with self.explained("s3:GetObject", "the objects of smoke.body_s3_uri"):
            return smoke.questions(self.session, self.sharing, self.name, self.consumer, self.release)

    def _proved(self, endpoint: str, asked: Sequence[smoke.Question]) -> Proof:
        with self.explained("sagemaker:InvokeEndpoint", endpoint):
            proof = serving.prove(
                self.session, self.sharing.region, self.name, self.consumer, self.release, endpoint, asked
            )
        self.proofs.append(proof)
        return proof

    def _tell_of(self, proof: Proof) -> None:
        right = sum(answer.ok for answer in proof.answers)
        self.tell(f"{proof.endpoint}: {right} of {len(proof.answers)} answers are right")

    def _try_out(self, asked: Sequence[smoke.Question]) -> None:
        """The version on a temporary endpoint, before the endpoint itself is touched.

        Raises:
            Failed: when it does not prove itself there.
        """
        session, sharing, consumer, release = self.session, self.sharing, self.consumer, self.release
        try:
            with self.creating():
                made = rollout.begin_trial(session, sharing, consumer, release, self.patience, self.flow_run)
            self.tell(f"trying version {release.version} out at {made.name}")
            with self.explained("sagemaker:DescribeEndpoint", made.name):
                serving.wait_in_service(
                    session, sharing.region, made.name, self.patience.seconds, self.progress(made.name)
                )
            proof = self._proved(made.name, asked)
            self._tell_of(proof)
        finally:
            self._end_trial()
        if not proof.verified:
            after = self._leave()
            raise Failed(
                f"Version {release.version} does not answer as it should on its trial endpoint. {wrong(proof)} {after}"
            )

    def _end_trial(self) -> None:
        """Remove the trial; what stands in the way of that is reported, and hides no error that ended the trial."""
        name = serving.deployment_name(self.consumer, self.release.version)
        try:
            with self.explained("sagemaker:DeleteEndpoint", name):
                self.removals += rollout.end_trial(
                    self.session, self.sharing, self.consumer, self.release, self.patience
                )
        except CrossAccountError as error:
            self.removals.append(Removal("endpoint", name, "left", str(error)))

    def _leave(self) -> str:
        """Go back where a run that died has begun to bring the endpoint to what answers wrong; in a sentence."""
        endpoint = self.consumer.endpoint.name
        wanted = rollout.config_name(self.consumer, self.release)
        with self.explained("sagemaker:DescribeEndpoint", endpoint):
            now = rollout.look(self.session, self.sharing, self.consumer)
        on_it = now is not None and now.config == wanted and now.proven is None
        if now is not None and (on_it or now.pending == wanted):
            return self._go_back(now)
        return f"{endpoint} was not touched."

    def _shift(self) -> Shift:
        session, sharing, consumer = self.session, self.sharing, self.consumer
        endpoint = consumer.endpoint.name
        with self.creating():
            shift = rollout.shift(
                session, sharing, consumer, self.release, self.patience, self.progress(endpoint)
            )
        self.shifted = True
        self.tell(f"{endpoint}: {shift.action} to {shift.config}")
        with self.explained("sagemaker:DescribeEndpoint", endpoint):
            outcome = rollout.settle(
                session, sharing, consumer, shift.config, self.patience, self.progress(endpoint)
            )
        rollout.accepted(outcome)
        return shift

    def _prove_or_go_back(self, shift: Shift, asked: Sequence[smoke.Question]) -> None:
        """The version on the endpoint itself; one that answers wrong does not stay.

        Raises:
            Failed: when it answers wrong, with what became of the endpoint.
        """
        endpoint = self.consumer.endpoint.name
        try:
            proof = self._proved(endpoint, asked)
        except CrossAccountError:
            self._go_back(shift.before)
            raise
        if not proof.verified:
            after = self._go_back(shift.before)
        self._tell_of(proof)
        if not proof.verified:
            raise Failed(
                f"Version {self.release.version} does not answer as it should at {endpoint}. {wrong(proof)} {after}"
            )

    def _go_back(self, before: Live | None) -> str:
        """Move the endpoint back to what it served before, or remove it if that was nothing; in a sentence."""
        try:
            with self.explained("sagemaker:UpdateEndpoint", self.consumer.endpoint.name):
                return self._gone_back(self._earlier(before))
        except CrossAccountError as error:
            return f"It could not be rolled back: {error}"

    def _gone_back(self, to: str | None) -> str:
        session, sharing, consumer = self.session, self.sharing, self.consumer
        # Nobody is told before it has begun: a run that is stopped then must not leave what answers wrong.
        if to is None:
            removal = rollout.take_down(session, sharing, consumer, self.patience)
            self.removals.append(removal)
            return f"There was no earlier version to go back to, so the endpoint was taken down ({removal.outcome})."
        rollout.roll_back(session, sharing, consumer, to, self.patience)
        hear = self.progress(consumer.endpoint.name)
        outcome = rollout.settle(session, sharing, consumer, to, self.patience, hear)
        back = "Rolled back" if outcome.ending is rollout.Ending.LIVE else "It could not be rolled back"
        return f"{back}: {outcome.text}"

    def _earlier(self, before: Live | None) -> str | None:
        wanted = rollout.config_name(self.consumer, self.release)
        if before is not None and before.config not in (None, wanted):
            return before.config
        found = rollout.previous(self.session, self.sharing, self.consumer)
        return found.config if found else None

    def tidied(self) -> int | None:
        """Remove what came to nothing; the version that is live. What cannot be removed, or seen, is told."""
        try:
            with self.explained("sagemaker:DescribeEndpoint", self.consumer.endpoint.name):
                self.removals += rollout.discard(
                    self.session, self.sharing, self.consumer, self.release, self.patience
                )
                live = rollout.look(self.session, self.sharing, self.consumer)
        except CrossAccountError as error:
            self.tell(f"what is left could not be seen: {error}")
            return None
        return answering(live)

    def ended(
        self,
        result: Result,
        before: int | None,
        live: int | None,
        text: str,
        started: float,
        refused: bool = False,
    ) -> Promoted:
        return Promoted(
            consumer=self.name,
            account=self.consumer.account,
            stage=self.consumer.stage,
            result=result,
            version=self.release.version,
            before=before,
            live=live,
            text=text,
            refused=refused,
            proofs=tuple(self.proofs),
            removals=tuple(self.removals),
            seconds=round(time.monotonic() - started, 2),
        )


def wrong(proof: Proof) -> str:
    """What of a proof is not as it should be."""
    answers = [
        f"{one.content_type} {one.body[:80]!r}: expected {one.expected}, got {one.got}"
        for one in proof.answers
        if not one.ok
    ]
    images = (
        [] if proof.images_match else [f"it runs {', '.join(proof.images) or 'no image'}, not the Release's"]
    )
    slow = ["it is slower than the config allows"] if proof.speed and not proof.speed.ok else []
    return f"{'; '.join([*answers[:3], *images, *slow])}."


def go_back(
    session: boto3.Session,
    sharing: Sharing,
    name: str,
    to: rollout.Earlier,
    release: Release,
    patience: Patience,
    tell: Tell = lambda text: None,
    left: int | None = None,
) -> Promoted:
    """Move one consumer's endpoint back to an earlier endpoint config, and prove it there.

    Args:
        session: in the consumer's deployer role.
        sharing: the config.
        name: the consumer.
        to: where to, see `rollout.previous`.
        release: of that version.
        patience: how long to wait.
        tell: as for `promote`.
        left: the version that a run which died has moved the endpoint away from, see `left`: what was before is that.
    """
    started, consumer = time.monotonic(), sharing.consumers[name]
    work = _Work(session, sharing, name, consumer, release, patience, tell)
    before: Live | None = None
    endpoint = consumer.endpoint.name
    try:
        asked = work._questions()
        with work.explained("sagemaker:UpdateEndpoint", endpoint):
            before = rollout.look(session, sharing, consumer)
            shift = rollout.roll_back(
                session, sharing, consumer, to.config, patience, work.progress(endpoint)
            )
            before = shift.before or before  # an update that was under way may have come to its end meanwhile
            outcome = rollout.settle(session, sharing, consumer, to.config, patience, work.progress(endpoint))
        rollout.accepted(outcome)
        proof = work._proved(endpoint, asked)
        work._tell_of(proof)
        if not proof.verified:
            with work.explained("sagemaker:DeleteTags", to.config):
                rollout.withdraw(session, sharing, to.config)
            raise Failed(f"{outcome.text} It does not answer as it should. {wrong(proof)}")
        with work.explained("sagemaker:AddTags", to.config):
            rollout.mark_proven(session, sharing, consumer, to.config)
        was = answering(before) if left is None else left
        return work.ended(Result.PROMOTED, was, to.version, f"Rolled back: {outcome.text}", started)
    except CrossAccountError as error:
        live, was = _seen(work), answering(before) if left is None else left
        return work.ended(Result.FAILED, was, live, str(error), started, isinstance(error, Refused))


def _seen(work: _Work) -> int | None:
    try:
        with work.explained("sagemaker:DescribeEndpoint", work.consumer.endpoint.name):
            live = rollout.look(work.session, work.sharing, work.consumer)
    except CrossAccountError:
        return None
    return answering(live)
