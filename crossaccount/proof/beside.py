"""The proof of a version that stands as shadow variant beside the live one: its answers, held against the Release and the live one's.

The questions are put to the endpoint, where the live version answers them; what the shadow answers is in the captured data alone:
TargetVariant names production variants. Not here: that data (``captures``), and how the shadow came there (``hosting.shadow``).

Source: "Safely validate models in production" in the SageMaker developer guide: a shadow's responses are logged, not returned;
TargetVariant of InvokeEndpoint in the API reference. Whether AWS captures answers that are errors is not documented.
"""

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from crossaccount.aws.access import Target
from crossaccount.config.capacity import Shadow
from crossaccount.errors import Failed
from crossaccount.hosting.gateway import Gateway, Patience
from crossaccount.hosting.resources import SHADOW, gone
from crossaccount.hosting.state import deployed_images
from crossaccount.proof.asking import MOST_KEPT, Answer, ask, captured_answer, no_answer
from crossaccount.proof.captures import Captured, Captures
from crossaccount.proof.images import held_against
from crossaccount.proof.proof import Comparison, Proof
from crossaccount.proof.questions import Question
from crossaccount.release.manifest import Release

_GLANCE_SECONDS = 5.0  # between two words of how long it still stands there


def check_captures(target: Target) -> None:
    """See that the captured data of a shadow variant may be listed, before anything is changed.

    Raises:
        Refused: when AWS refuses.
        Failed: when there is no such bucket.
    """
    captures = _captures(target)
    with target.explained("s3:ListBucket", captures.place):
        captures.check()


def prove_beside(
    target: Target,
    release: Release,
    live: int,
    questions: Sequence[Question],
    patience: Patience,
    progress: Callable[[str], None] = lambda line: None,
) -> Proof:
    """Put every question to an endpoint with a shadow variant, and hold the shadow's images and answers against the Release.

    It takes as long as the config lets the shadow stand there, and longer until its answers are captured. A question for a stream is
    asked for the whole answer: that AWS captures streams is not documented.

    Args:
        target: the consumer's account.
        release: of the version that is the shadow.
        live: the version that answers.
        questions: see `questions.questions`.
        patience: how often to look.
        progress: is called with a line every few seconds; its errors are raised.

    Raises:
        Failed: when the endpoint is gone, or has no shadow variant.
        Refused: when AWS refuses.
    """
    endpoint, wanted = target.consumer.endpoint.name, target.consumer.shadow or Shadow()
    captures, started = _captures(target), time.monotonic()
    questions = [replace(question, stream=False) for question in questions]
    with target.explained("sagemaker:InvokeEndpoint", endpoint):
        description = Gateway(target.sagemaker).describe("endpoint", endpoint)
        if description is None:
            raise Failed(gone(endpoint, "before it could be asked"))
        images = deployed_images(description, "ShadowProductionVariants")
        names = [str(uuid.uuid4()) for _ in questions]
        answered = ask(target, endpoint, questions, inference_ids=names)
    while (rest := wanted.seconds - (time.monotonic() - started)) > 0:
        progress(f"version {release.version} gets a copy of the live traffic for {rest:.0f} s more")
        time.sleep(min(rest, _GLANCE_SECONDS))
    found = _wait_for(target, captures, names, Patience(wanted.capture_seconds, patience.first), progress)
    why = (
        f"no captured answer within {wanted.capture_seconds} s below {captures.place}: its container answered with an error, see the log "
        f"group /aws/sagemaker/Endpoints/{endpoint}, or nothing was captured, which execution_role must be allowed to write"
    )
    answers = tuple(
        _answer(question, found.get(name), live_answer.latency_ms, why)
        for question, name, live_answer in zip(questions, names, answered, strict=True)
    )
    compared = tuple(
        _compared(of_live, of_shadow, name in found)
        for of_live, of_shadow, name in zip(answered, answers, names, strict=True)
    )
    proved, all_right = held_against(images, release), bool(answers) and all(answer.ok for answer in answers)
    return Proof(
        consumer=target.name,
        account=target.account,
        model_package_arn=release.model_package_arn,
        version=release.version,
        endpoint=endpoint,
        images=tuple(image.resolved for image in images if image.resolved),
        images_match=proved.match,
        answers=answers,
        verified=proved.acceptable and all_right,
        by_tag=proved.by_tag,
        moved=proved.moved,
        unprovable=proved.unprovable,
        beside=live,
        compared=compared,
    )


def _captures(target: Target) -> Captures:
    return Captures(target, target.consumer.endpoint.name, SHADOW, datetime.now(UTC))


def _wait_for(
    target: Target,
    captures: Captures,
    names: Sequence[str],
    patience: Patience,
    progress: Callable[[str], None],
) -> dict[str, Captured]:
    """The captured answers by their names, as far as they are there at the end of the patience."""
    found, started = dict[str, Captured](), time.monotonic()
    while True:
        with target.explained("s3:GetObject", captures.place):
            found |= captures.find(set(names) - set(found))
        waited = time.monotonic() - started
        if len(found) == len(names) or waited >= patience.seconds:
            return found
        progress(f"{len(found)} of {len(names)} answers of the shadow variant are captured")
        time.sleep(min(patience.pause(waited), patience.seconds - waited))


def _answer(question: Question, captured: Captured | None, latency: float, why: str) -> Answer:
    if captured is None or captured.fault:
        return no_answer(question, captured.fault if captured else why, latency)
    return captured_answer(question, captured.content, captured.content_type, latency)


def _compared(live: Answer, shadow: Answer, came: bool) -> Comparison:
    whole = all(not isinstance(answer.got, str) or len(answer.got) <= MOST_KEPT for answer in (live, shadow))
    same = live.got == shadow.got if came and whole else None
    return Comparison(live.content_type, live.body, live.got, shadow.got, same)
