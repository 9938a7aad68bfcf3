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
from crossaccount.proof.questions import Question
from crossaccount.registry.artifacts import aws_registries
from crossaccount.release.manifest import Release, ReleasedContainer


@dataclass(frozen=True)
class Proof:
    """The observations of one deployment, end to end.

    ``verified`` is True only when every image is the Release's, every answer is right, and the answers came within the consumer's
    limits on latency. An image is the Release's by its digest; those of ``by_tag``, of AWS's own registries, by their tag alone.
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
    def faults(self) -> str:
        """The faults that keep it from being verified, in a sentence: at most three answers, the images, the speed."""
        faults = [
            f"{answer.content_type} {answer.body[:80]!r}: expected {answer.expected}, got {answer.got}{answer.reason}"
            for answer in self.answers
            if not answer.ok
        ][:3]
        if not self.images_match:
            faults.append(f"it runs {', '.join(self.images) or 'no image'}, not the Release's")
        if self.speed and not self.speed.ok:
            faults.append("it is slower than the config allows")
        return f"{'; '.join(faults)}."


def images_match(running: Sequence[DeployedImage], release: Release) -> bool:
    """True when these are exactly the images of the Release: by digest, and as `by_tag` where the Release has none."""
    expected = [(container.image, _digest(container)) for container in release.deployed_containers]
    left = list(running)
    # By digest first: an image by its tag would do for either.
    for uri, digest in sorted(expected, key=lambda each: each[1] is None):
        found = next((image for image in left if _is_image(image, uri, digest)), None)
        if found is None:
            return False
        left.remove(found)
    return bool(expected) and not left


def by_tag(release: Release) -> tuple[str, ...]:
    """The images of the Release that no digest pins, in registries of AWS: the proof is that AWS resolved that very tag."""
    return tuple(
        container.image
        for container in release.deployed_containers
        if _digest(container) is None and _is_of_aws(container.image)
    )


def _digest(container: ReleasedContainer) -> str | None:
    _, at, digest = container.image.rpartition("@")
    return container.image_digest or (digest if at else None)


def _is_image(image: DeployedImage, uri: str, digest: str | None) -> bool:
    if digest is not None:
        return image.resolved.rpartition("@")[2] == digest
    return image.specified == uri and _is_of_aws(uri) and _repository(image.resolved) == _repository(uri)


def _is_of_aws(uri: str) -> bool:
    return uri[:12] in aws_registries()


def _repository(uri: str) -> str:
    """Registry and repository of an image, without its tag and digest."""
    registry, _, name = uri.partition("/")
    return f"{registry}/{name.partition('@')[0].partition(':')[0]}"


def prove(target: Target, release: Release, endpoint: str, questions: Sequence[Question]) -> Proof:
    """Put every question to an endpoint, and hold its images, answers and speed against the Release and the config.

    Args:
        target: the consumer's account; where the consumer has limits on latency, the speed is measured.
        release: of the version that the endpoint should run.
        endpoint: its name.
        questions: see `questions.questions`.

    Raises:
        Failed: when the endpoint is gone.
        Refused: when AWS refuses.
    """
    with target.explained("sagemaker:InvokeEndpoint", endpoint):
        description = open_gateway(target).describe("endpoint", endpoint)
        if description is None:
            raise Failed(gone(endpoint, "before it could be asked"))
        answers, speed = ask(target, endpoint, questions), None
        if target.consumer.latency is not None:
            repeated, speed = measure(target, endpoint, questions, target.consumer.latency)
            # Of the repeated answers only the wrong ones say anything new.
            answers += tuple(answer for answer in repeated if not answer.ok)
    images = deployed_images(description)
    match, all_right = images_match(images, release), bool(answers) and all(answer.ok for answer in answers)
    return Proof(
        consumer=target.name,
        account=target.account,
        model_package_arn=release.model_package_arn,
        version=release.version,
        endpoint=endpoint,
        images=tuple(image.resolved for image in images),
        images_match=match,
        answers=answers,
        verified=match and all_right and (speed is None or speed.ok),
        speed=speed,
        by_tag=by_tag(release) if match else (),
    )
