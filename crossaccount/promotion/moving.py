"""The move of one consumer's endpoint to a version: tried out, shifted to, proved, or taken back.

Not here: the endpoint's own steps (``hosting``), the questions to it (``proof``), the order of the consumers (the flows), and
the records (``history``, ``records``).
"""

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from crossaccount.aws.access import Target
from crossaccount.config.model import ConsumerConfig, Sharing
from crossaccount.errors import CrossAccountError, Failed, Refused
from crossaccount.hosting import creation, quotas, removal, requests, shift, state, temporary
from crossaccount.hosting.gateway import Patience, Progress
from crossaccount.hosting.outcome import Ending, accepted
from crossaccount.hosting.preflight import explained_creation
from crossaccount.hosting.resources import HostedResource, Removal, deployment_name
from crossaccount.hosting.state import LiveEndpoint, VersionConfig
from crossaccount.promotion import shadowing
from crossaccount.promotion.outcome import ROLLED_BACK, ConsumerOutcome, Result
from crossaccount.proof.proof import Proof, prove
from crossaccount.proof.questions import Question, questions
from crossaccount.release.manifest import Release

Step = Proof | Removal


def stages(sharing: Sharing) -> list[tuple[int, list[str]]]:
    """The consumers by stage, the first stage first."""
    by_stage: dict[int, list[str]] = {}
    for name, consumer in sharing.consumers.items():
        by_stage.setdefault(consumer.stage, []).append(name)
    return sorted(by_stage.items())


def serves_proven(live: LiveEndpoint | None, consumer: ConsumerConfig, release: Release) -> bool:
    """Whether the endpoint serves the version already, on the capacity asked for, and has proved it."""
    return (
        live is not None
        and live.status == "InService"
        and live.config == requests.config_name(consumer, release)
        and live.proven is not None
    )


@dataclass(frozen=True)
class Run:
    """The run that a move is part of, as far as the move knows it.

    ``report`` is called with a line for each step, and for each status of an endpoint; ``check`` at each look at an endpoint.
    An error of either ends the move; its trial is removed all the same. ``flow_run`` is for the tag of a trial's resources.
    """

    report: Callable[[str], None] = lambda line: None
    check: Callable[[], None] = lambda: None
    flow_run: str | None = None


def promote(target: Target, release: Release, patience: Patience, run: Run | None = None) -> ConsumerOutcome:
    """Bring one consumer's endpoint to a version, or leave it at the version that it had; errors are part of the outcome.

    Args:
        target: the consumer's account.
        release: of the version.
        patience: how long to wait for an endpoint, each time.
        run: the run that this is part of.
    """
    move, steps = _Move(target, release, patience, run or Run()), list[Step]()
    before: int | None = None
    try:
        live = move.look()
        before = move.version_before(live)
        goes_on = target.consumer.smoke_mode == "shadow" and before != release.version
        if live is not None and live.beside and not goes_on:
            steps += shadowing.clear(target, patience)
            live = move.look()
        if serves_proven(live, target.consumer, release):
            steps += move.retire(trials=False, live=live)
            text = f"The endpoint {move.endpoint} serves version {release.version} already."
            return move.outcome(Result.UNCHANGED, before, release.version, text, steps)
        move.check_before(live)
        for step in move.steps(absent=live is None):
            steps.append(step)  # a move that fails later has its earlier steps in its outcome
        text = f"The endpoint {move.endpoint} serves version {release.version}, and has proved it.{_doubts(steps)}"
        if target.consumer.smoke_mode == "shadow":
            text = f"{text} {shadowing.sentence(steps)}"
        return move.outcome(Result.PROMOTED, before, release.version, text, steps)
    except CrossAccountError as error:
        removals, seen = move.tidied()
        return move.failed(before, seen, error, [*steps, *removals])


def go_back(
    target: Target,
    to: VersionConfig,
    release: Release,
    patience: Patience,
    run: Run | None = None,
    before: int | None = None,
) -> ConsumerOutcome:
    """Move one consumer's endpoint back to an earlier endpoint config, and prove it there; errors are part of the outcome.

    Args:
        target: the consumer's account.
        to: the endpoint config, see `state.previous_config`.
        release: of that version.
        patience: how long to wait.
        run: as for `promote`.
        before: the version that a run which died has moved the endpoint away from, see `history.unrecorded_rollback`; None is
            the one that answers now.
    """
    move, steps = _Move(target, release, patience, run or Run()), list[Step]()
    live: LiveEndpoint | None = None
    try:
        payloads = questions(target, release)
        with target.explained("sagemaker:UpdateEndpoint", move.endpoint):
            live = state.look(target)
            begun = shift.roll_back(target, to.config, patience, move.progress(move.endpoint))
            live = begun.before or live  # an update that was under way may have ended meanwhile
            outcome = shift.settle(target, to.config, patience, move.progress(move.endpoint))
        accepted(outcome)
        seen = outcome.live
        proof = prove(target, release, move.endpoint, payloads, seen.deployed if seen else None)
        steps.append(proof)
        move.report_proof(proof)
        if not proof.verified:
            with target.explained("sagemaker:DeleteTags", to.config):
                state.withdraw_proof(target, to.config)
            raise Failed(f"{outcome.text} It does not answer as it should. {proof.faults}")
        with target.explained("sagemaker:AddTags", to.config):
            state.mark_proven(target, to.config, seen=seen)
        before = _answering(live) if before is None else before
        text = f"{ROLLED_BACK}{outcome.text}{_doubts(steps)}"
        return move.outcome(Result.PROMOTED, before, to.version, text, steps)
    except CrossAccountError as error:
        before = _answering(live) if before is None else before
        return move.failed(before, move.answering(), error, steps)


def _doubts(steps: Sequence[Step]) -> str:
    """What the last proof leaves open of the images, in a sentence; empty for nothing."""
    proofs = [step for step in steps if isinstance(step, Proof)]
    return f" {proofs[-1].doubts}." if proofs and proofs[-1].doubts else ""


def _answering(live: LiveEndpoint | None) -> int | None:
    return live.answering if live is not None else None


@dataclass(frozen=True)
class _Move:
    """One consumer's endpoint on its way to a version; a step yields its proofs and removals."""

    target: Target
    release: Release
    patience: Patience
    run: Run
    started: float = field(default_factory=time.monotonic)

    @property
    def endpoint(self) -> str:
        return self.target.consumer.endpoint.name

    @property
    def _config(self) -> str:
        return requests.config_name(self.target.consumer, self.release)

    def version_before(self, live: LiveEndpoint | None) -> int | None:
        """The version before this promotion, also when a run that died has moved the endpoint already."""
        if live is None or live.config != self._config or live.proven is not None or live.answering is None:
            return _answering(live)
        with self.target.explained("sagemaker:ListEndpointConfigs", "*"):
            configs = state.list_configs(self.target)
        return next(
            (config.version for config in configs if config.proven and config.config != live.config), None
        )

    def progress(self, endpoint: str) -> Progress:
        """Reports an endpoint's status, once each; the run is checked at every look."""
        last = ""

        def report(status: str, stages: tuple[str, ...], seconds: float) -> None:
            nonlocal last
            self.run.check()
            line = f"{endpoint} is {status}" + (f" ({', '.join(stages)})" if stages else "")
            if line != last:
                last = line
                self.run.report(line)

        return report

    def check_before(self, live: LiveEndpoint | None) -> None:
        """See that the endpoint keeps its kind and that the account's quotas reach, before anything is created.

        What cannot be told of the quotas is reported.

        Raises:
            Failed: when the endpoint is of another kind, or a quota does not reach.
        """
        with self.target.explained("sagemaker:DescribeEndpointConfig", self.endpoint):
            shift.check_kind(self.target, live)
            needs = quotas.of_promotion(self.target, self.release, live)
        for doubt in quotas.check(self.target, needs):
            self.run.report(doubt)

    def steps(self, absent: bool) -> Iterator[Step]:
        """Try the version out, shift to it, and prove it there, as far as the config asks for each.

        Args:
            absent: whether there was no endpoint just now.

        Raises:
            CrossAccountError: for the step that did not succeed.
        """
        payloads, mode = questions(self.target, self.release), self.target.consumer.smoke_mode
        model: HostedResource | None = None
        if mode in ("before", "both"):
            model = yield from self._try_out(payloads)
        if mode == "shadow" and not (yield from self._stand_beside(payloads)):
            model = yield from self._try_out(payloads)
        shifted, live = self._shift(model, absent)
        if mode in ("after", "both"):
            yield from self._prove_or_go_back(shifted.before, live, payloads)
        with self.target.explained("sagemaker:AddTags", shifted.config):
            live = state.mark_proven(self.target, shifted.config, seen=live)
        yield from self.retire(live=live)

    def retire(self, trials: bool = True, live: LiveEndpoint | None = None) -> tuple[Removal, ...]:
        """Remove the resources that the endpoint no longer needs, also those of a run that died."""
        with self.target.explained("sagemaker:ListEndpointConfigs", "*"):
            return removal.retire(self.target, self.patience, trials, live)

    def report_proof(self, proof: Proof) -> None:
        self.run.report(f"{proof.endpoint}: {proof.right} of {len(proof.answers)} answers are right")

    def _try_out(self, payloads: Sequence[Question]) -> Generator[Step, None, HostedResource]:
        """Prove the version on a temporary endpoint, before the endpoint itself is touched; the version's model.

        Raises:
            Failed: when it does not prove itself there.
        """
        target, release, trial = self.target, self.release, None
        try:
            with explained_creation(target, release):
                trial = temporary.begin_trial(target, release, self.patience, self.run.flow_run)
            name, begun = trial.served.name, not trial.served.reused
            self.run.report(f"trying version {release.version} out at {name}")
            with target.explained("sagemaker:DescribeEndpoint", name):
                progress = self.progress(name)
                seen = creation.wait_in_service(target, name, self.patience, progress, begun=begun)
            proof = prove(target, release, name, payloads, state.deployed_images(seen))
            yield proof
            self.report_proof(proof)
        finally:
            yield from self._end_trial(trial)
        if not proof.verified:
            after = yield from self._leave()
            raise Failed(
                f"Version {release.version} does not answer as it should on its trial endpoint. {proof.faults} {after}"
            )
        return trial.model

    def _stand_beside(self, payloads: Sequence[Question]) -> Generator[Step, None, bool]:
        def report(line: str) -> None:
            self.run.check()
            self.run.report(line)

        progress = self.progress(self.endpoint)
        return shadowing.stand_beside(self.target, self.release, payloads, self.patience, progress, report)

    def look(self) -> LiveEndpoint | None:
        """The endpoint as it is now."""
        with self.target.explained("sagemaker:DescribeEndpoint", self.endpoint):
            return state.look(self.target)

    def _end_trial(self, trial: temporary.Trial | None) -> Iterable[Removal]:
        """Remove the trial, or what is there of one that failed to begin; a failure to do so is a removal too, and hides no other error."""
        name = deployment_name(self.target.consumer, self.release.version)
        try:
            with self.target.explained("sagemaker:DeleteEndpoint", name):
                if trial is not None:
                    return temporary.end(self.target, trial, self.patience)
                return removal.end_trials(self.target, self.patience, only=self.release.version)
        except CrossAccountError as error:
            return [Removal("endpoint", name, "left", str(error))]

    def _leave(self) -> Generator[Step, None, str]:
        """Go back when a run that died has begun to move the endpoint to a version that answers wrong; the result in a sentence."""
        live = self.look()
        if live is None or self._config not in (live.pending, live.config if live.proven is None else None):
            return f"{self.endpoint} was not touched."
        return (yield from self._go_back(live))

    def _shift(self, model: HostedResource | None, absent: bool) -> tuple[shift.Shift, LiveEndpoint | None]:
        """Shift the endpoint to the version; how that began, and the endpoint as it serves it."""
        target, progress = self.target, self.progress(self.endpoint)
        self.run.check()  # the last moment at which a run that is to stop has moved nothing
        with explained_creation(target, self.release):
            begun = shift.shift(target, self.release, self.patience, progress, model, absent)
        self.run.report(f"{self.endpoint}: {begun.action} to {begun.config}")
        with target.explained("sagemaker:DescribeEndpoint", self.endpoint):
            outcome = shift.settle(target, begun.config, self.patience, self.progress(self.endpoint), begun)
        accepted(outcome)
        return begun, outcome.live

    def _prove_or_go_back(
        self, before: LiveEndpoint | None, live: LiveEndpoint | None, payloads: Sequence[Question]
    ) -> Iterator[Step]:
        """Prove the version on the endpoint itself; one that answers wrong does not stay.

        Args:
            before: the endpoint as it was before the shift; None for none.
            live: the endpoint as it came to serve the version.
            payloads: the questions.

        Raises:
            Failed: when it answers wrong, with where the endpoint is now.
        """
        try:
            images = live.deployed if live is not None else None
            proof = prove(self.target, self.release, self.endpoint, payloads, images)
        except CrossAccountError:
            yield from self._go_back(before)
            raise
        yield proof
        after = "" if proof.verified else (yield from self._go_back(before))
        self.report_proof(proof)
        if not proof.verified:
            raise Failed(
                f"Version {self.release.version} does not answer as it should at {self.endpoint}. {proof.faults} {after}"
            )

    def _go_back(self, before: LiveEndpoint | None) -> Generator[Step, None, str]:
        """Move the endpoint back to the version it served before, or remove it if there was none; the result in a sentence."""
        target, config = self.target, before.own_config if before is not None else None
        try:
            with target.explained("sagemaker:UpdateEndpoint", self.endpoint):
                if config in (None, self._config):
                    previous = state.previous_config(target)
                    config = previous.config if previous else None
                # Nothing is reported before it has begun: a run that is stopped then must not leave a wrong version live.
                if config is None:
                    taken = removal.take_down(target, self.patience)
                    yield taken
                    return f"There was no earlier version to go back to, so the endpoint was taken down ({taken.outcome})."
                shift.roll_back(target, config, self.patience)
                outcome = shift.settle(target, config, self.patience, self.progress(self.endpoint))
        except CrossAccountError as error:
            return f"It could not be rolled back: {error}"
        back = "Rolled back" if outcome.ending is Ending.LIVE else "It could not be rolled back"
        return f"{back}: {outcome.text}"

    def tidied(self) -> tuple[tuple[Removal, ...], int | None]:
        """Remove the resources of the failed move; the removals, and the version that answers, None when it cannot be seen."""
        removals: tuple[Removal, ...] = ()
        try:
            with self.target.explained("sagemaker:DescribeEndpoint", self.endpoint):
                removals = (
                    *shadowing.clear(self.target, self.patience),
                    *removal.discard(self.target, self.release, self.patience),
                )
                return removals, _answering(state.look(self.target))
        except CrossAccountError as error:
            self.run.report(f"the leftovers of the move could not be seen: {error}")
            return removals, None

    def answering(self) -> int | None:
        """The version that answers now; None also when that cannot be seen."""
        try:
            return _answering(self.look())
        except CrossAccountError:
            return None

    def failed(
        self, before: int | None, live: int | None, error: CrossAccountError, steps: Sequence[Step]
    ) -> ConsumerOutcome:
        outcome = self.outcome(Result.FAILED, before, live, str(error), steps)
        return replace(outcome, refused=isinstance(error, Refused))

    def outcome(
        self, result: Result, before: int | None, live: int | None, text: str, steps: Sequence[Step]
    ) -> ConsumerOutcome:
        return ConsumerOutcome(
            consumer=self.target.name,
            account=self.target.account,
            stage=self.target.consumer.stage,
            result=result,
            version=self.release.version,
            before=before,
            live=live,
            text=text,
            proofs=tuple(step for step in steps if isinstance(step, Proof)),
            removals=tuple(step for step in steps if isinstance(step, Removal)),
            seconds=round(time.monotonic() - self.started, 2),
        )
