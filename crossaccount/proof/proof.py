"""The proof of a deployment: its images, its answers and their speed, held against the Release and the config.

Not here: the proof as a person sees it (``show.proofs``).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from crossaccount.aws.access import Target
from crossaccount.errors import Failed
from crossaccount.hosting.gateways import open_gateway
from crossaccount.hosting.resources import gone
from crossaccount.hosting.state import DeployedImage, deployed_images
from crossaccount.proof.asking import Answer, Speed, ask, measure
from crossaccount.proof.images import MovedImage, held_against
from crossaccount.proof.questions import Question
from crossaccount.release.manifest import Release


@dataclass(frozen=True)
class Comparison:
    """What the live version and a shadow variant beside it answered to the same question.

    ``same`` is None where it cannot be told: of an answer that did not come, or is kept in part.
    """

    content_type: str
    body: str
    live: Any
    shadow: Any
    same: bool | None


@dataclass(frozen=True)
class Proof:
    """The observations of one deployment, end to end.

    ``verified`` is True only when every image is the Release's, every answer is right, and the answers came within the consumer's
    limits on latency. An image is the Release's by its digest; those of ``by_tag``, of AWS's own registries, by their tag alone, and
    those of ``moved`` by a tag that AWS has moved since. With ``unprovable`` it is not known whether the images match, which is no
    fault where they are all AWS's own; see `images.ImagesProof`.
    Of a shadow variant ``beside`` is the live version, ``compared`` has the answers of both, and an answer's latency is that of the
    call, which the live version answered.
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
    by_tag: tuple[str, ...] = ()
    moved: tuple[MovedImage, ...] = ()
    unprovable: tuple[str, ...] = ()
    beside: int | None = None
    compared: tuple[Comparison, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The proof as plain data."""
        return asdict(self)

    @property
    def right(self) -> int:
        """The number of right answers."""
        return sum(answer.ok for answer in self.answers)

    @property
    def median_latency_ms(self) -> float:
        """The median latency of the answers, in milliseconds; 0 without answers."""
        ordered = sorted(answer.latency_ms for answer in self.answers)
        return ordered[len(ordered) // 2] if ordered else 0.0

    @property
    def doubts(self) -> str:
        """What is not proved of the images by a digest that the registry recorded, and is no fault by itself; empty for nothing."""
        doubts = [
            f"AWS has moved its own tag {each.image} since it was registered: from {each.recorded} to {each.running}"
            for each in self.moved
        ]
        if self.unprovable:
            images = ", ".join(self.unprovable)
            doubts.append(f"whether it runs {images} cannot be proved: AWS says no digest of it")
        return "; ".join(doubts)

    @property
    def different(self) -> int:
        """The number of answers that differ from those of the live version."""
        return sum(each.same is False for each in self.compared)

    @property
    def faults(self) -> str:
        """The faults that keep it from being verified, in a sentence: at most three answers, the images, the speed."""
        faults = [
            f"{answer.content_type} {answer.body[:80]!r}: expected {answer.expected}, got {answer.got}{answer.reason}"
            for answer in self.answers
            if not answer.ok
        ][:3]
        if self.unprovable:
            faults.append(self.doubts)
        elif not self.images_match:
            faults.append(f"it runs {', '.join(self.images) or 'no image'}, not the Release's")
        if self.speed and not self.speed.ok:
            faults.append("it is slower than the config allows")
        return f"{'; '.join(faults)}."


def prove(
    target: Target,
    release: Release,
    endpoint: str,
    questions: Sequence[Question],
    images: Sequence[DeployedImage] | None = None,
) -> Proof:
    """Put every question to an endpoint, and hold its images, answers and speed against the Release and the config.

    Args:
        target: the consumer's account; where the consumer has limits on latency, the speed is measured.
        release: of the version that the endpoint should run.
        endpoint: its name.
        questions: see `questions.questions`.
        images: those that it was seen to run as it came into service; they are looked at when they are left out.

    Raises:
        Failed: when the endpoint is gone.
        Refused: when AWS refuses.
    """
    with target.explained("sagemaker:InvokeEndpoint", endpoint):
        if images is None:
            images = _images_of(target, endpoint)
        answers, speed = ask(target, endpoint, questions), None
        if target.consumer.latency is not None:
            repeated, speed = measure(target, endpoint, questions, target.consumer.latency)
            # Of the repeated answers only the wrong ones say anything new.
            answers += tuple(answer for answer in repeated if not answer.ok)
    found, all_right = held_against(images, release), bool(answers) and all(answer.ok for answer in answers)
    return Proof(
        consumer=target.name,
        account=target.account,
        model_package_arn=release.model_package_arn,
        version=release.version,
        endpoint=endpoint,
        images=tuple(image.resolved for image in images if image.resolved),
        images_match=found.match,
        answers=answers,
        verified=found.acceptable and all_right and (speed is None or speed.ok),
        speed=speed,
        by_tag=found.by_tag,
        moved=found.moved,
        unprovable=found.unprovable,
    )


def _images_of(target: Target, endpoint: str) -> tuple[DeployedImage, ...]:
    description = open_gateway(target).describe("endpoint", endpoint)
    if description is None:
        raise Failed(gone(endpoint, "before it could be asked"))
    return deployed_images(description)
