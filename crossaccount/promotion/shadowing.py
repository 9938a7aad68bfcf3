"""The time that a version stands as shadow variant beside the live one, as a step of a promotion: proved there, and taken away again.

Not here: the endpoint's own steps (``hosting.shadow``), the questions (``proof.beside``), and the shift (``moving``).
"""

from collections.abc import Callable, Generator, Sequence

from crossaccount.aws.access import Target
from crossaccount.errors import CrossAccountError, Failed
from crossaccount.hosting import shadow
from crossaccount.hosting.gateway import Patience, Progress
from crossaccount.hosting.preflight import explained_creation
from crossaccount.hosting.resources import Removal
from crossaccount.proof.beside import check_captures, prove_beside
from crossaccount.proof.proof import Proof
from crossaccount.proof.questions import Question
from crossaccount.release.manifest import Release


def stand_beside(
    target: Target,
    release: Release,
    payloads: Sequence[Question],
    patience: Patience,
    progress: Progress,
    report: Callable[[str], None],
) -> Generator[Proof | Removal, None, bool]:
    """Prove the version beside the live one; False when no other version is live. The shadow is gone at the end of any way.

    Args:
        target: the consumer's account.
        release: of the version.
        payloads: the questions.
        patience: how long to wait, each time.
        progress: as for `Gateway.watch`.
        report: is called with a line for each step; its errors end it.

    Raises:
        Failed: when it does not answer as it should, with what is live.
        CrossAccountError: for a step that did not succeed.
    """
    endpoint = target.consumer.endpoint.name
    with explained_creation(target, release):
        live = shadow.live_beside(target, release, patience, progress)
    if live is None or live.answering is None:
        report(f"no other version is live at {endpoint} to stand beside")
        yield from clear(target, patience)
        return False
    shadow.check(release)
    check_captures(target)
    try:
        with explained_creation(target, release):
            config = shadow.begin(target, release, live, patience, progress)
        report(f"version {release.version} stands beside version {live.answering} ({config})")
        proof = prove_beside(target, release, live.answering, payloads, patience, report)
        yield proof
        report(
            f"{endpoint}: {proof.right} of {len(proof.answers)} answers beside version {proof.beside} are right"
        )
    finally:
        yield from clear(target, patience)
    if not proof.verified:
        raise Failed(
            f"Version {release.version} does not answer as it should beside version {proof.beside}, which stays live. {proof.faults}"
        )
    return True


def clear(target: Target, patience: Patience) -> Sequence[Removal]:
    """Take a shadow variant away; a failure to do so is a removal too, and hides no error that ended its time.

    Nothing is reported meanwhile: a run that is stopped must not leave the shadow.
    """
    endpoint = target.consumer.endpoint.name
    try:
        with target.explained("sagemaker:UpdateEndpoint", endpoint):
            return shadow.clear(target, patience)
    except CrossAccountError as error:
        return [Removal("endpoint", endpoint, "left", f"with a shadow variant: {error}")]


def sentence(steps: Sequence[Proof | Removal]) -> str:
    """How a version with ``smoke_mode: shadow`` proved itself, in a sentence."""
    proof = next((step for step in steps if isinstance(step, Proof) and step.beside is not None), None)
    if proof is None:
        return "No other version was live for it to stand beside, so it was tried out first, as with smoke_mode: before."
    return (
        f"It stood beside version {proof.beside} before: {proof.different} of its {len(proof.compared)} answers differ from that "
        "version's."
    )
