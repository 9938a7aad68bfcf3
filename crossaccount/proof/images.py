"""The images of an endpoint against those of a Release: by digest, by AWS's own tag, or not to be told.

The producer's own images are proved by their digest and by nothing else. In AWS's own registries AWS alone moves a tag, as it does
when it patches a framework: an endpoint then runs another digest than the registry recorded, of the image that the version names.
Pure functions. Not here: reading an endpoint's images (``hosting.state``).

Source: DeployedImage in the SageMaker API reference: the path of an image with a tag resolves to one with a digest when the
endpoint is made. Recordings of DescribeEndpoint show that for AWS's own images too.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from crossaccount.hosting.state import DeployedImage
from crossaccount.registry.artifacts import aws_registries
from crossaccount.release.manifest import Release, ReleasedContainer


@dataclass(frozen=True)
class MovedImage:
    """An image of AWS's own whose tag AWS has moved: the digests that the registry recorded and that the endpoint runs."""

    image: str
    recorded: str
    running: str


@dataclass(frozen=True)
class ImagesProof:
    """Whether an endpoint runs the images of a Release.

    ``match`` is True where it runs each of them: those of ``by_tag`` by AWS's own tag, and ``moved`` by one that AWS has moved since.
    ``unprovable`` are those of which AWS does not say what it runs; ``match`` is then False, and no other image stands against it.
    """

    match: bool
    by_tag: tuple[str, ...] = ()
    moved: tuple[MovedImage, ...] = ()
    unprovable: tuple[str, ...] = ()

    @property
    def acceptable(self) -> bool:
        """Whether a deployment may stand on it: it matches, or what cannot be proved are images that AWS alone can change."""
        return self.match or (bool(self.unprovable) and all(map(_is_of_aws, self.unprovable)))


def held_against(running: Sequence[DeployedImage], release: Release) -> ImagesProof:
    """The images that an endpoint runs, held against those of the Release: each of them once, in any order."""
    left, wanted = list(running), list(release.deployed_containers)
    if not wanted:
        return ImagesProof(False)
    if not running:  # AWS says nothing of any
        return ImagesProof(False, unprovable=tuple(each.image for each in wanted))
    # By digest first: an image by its tag would do for either.
    _paired(wanted, left, _runs_digest)
    by_tag = [container.image for container, _ in _paired(wanted, left, _runs_tag)]
    moved = [
        MovedImage(container.image, str(_digest(container)), image.resolved.rpartition("@")[2])
        for container, image in _paired(wanted, left, _runs_moved_tag)
    ]
    unprovable = [container.image for container, _ in _paired(wanted, left, _is_untold)]
    if wanted or left:
        return ImagesProof(False)
    return ImagesProof(not unprovable, tuple(by_tag), tuple(moved), tuple(unprovable))


def images_match(running: Sequence[DeployedImage], release: Release) -> bool:
    """True when these are exactly the images of the Release, see `ImagesProof`."""
    return held_against(running, release).match


_Pair = tuple[ReleasedContainer, DeployedImage]


def _paired(
    wanted: list[ReleasedContainer],
    left: list[DeployedImage],
    fits: Callable[[ReleasedContainer, DeployedImage], bool],
) -> list[_Pair]:
    """The containers and the images that fit each other; both are taken out of their lists."""
    return list(_pairs(wanted, left, fits))


def _pairs(
    wanted: list[ReleasedContainer],
    left: list[DeployedImage],
    fits: Callable[[ReleasedContainer, DeployedImage], bool],
) -> Iterator[_Pair]:
    for container in tuple(wanted):
        place = next((at for at, image in enumerate(left) if fits(container, image)), None)
        if place is not None:
            wanted.remove(container)
            yield container, left.pop(place)


def _runs_digest(container: ReleasedContainer, image: DeployedImage) -> bool:
    digest = _digest(container)
    return digest is not None and image.resolved.rpartition("@")[2] == digest


def _runs_tag(container: ReleasedContainer, image: DeployedImage) -> bool:
    return _digest(container) is None and _runs_image_of_aws(container, image)


def _runs_moved_tag(container: ReleasedContainer, image: DeployedImage) -> bool:
    return "@" not in container.image and _runs_image_of_aws(container, image)


def _runs_image_of_aws(container: ReleasedContainer, image: DeployedImage) -> bool:
    """Whether the endpoint was asked for this very tag of AWS's own, and AWS resolved it in the same repository."""
    uri, digest = container.image, image.resolved.partition("@")[2]
    asked = image.specified == uri and _is_of_aws(uri)
    return asked and digest.startswith("sha256:") and _repository(image.resolved) == _repository(uri)


def _is_untold(container: ReleasedContainer, image: DeployedImage) -> bool:
    return not image.resolved and image.specified in ("", container.image)


def _digest(container: ReleasedContainer) -> str | None:
    _, at, digest = container.image.rpartition("@")
    return container.image_digest or (digest if at else None)


def _is_of_aws(uri: str) -> bool:
    return uri[:12] in aws_registries()


def _repository(uri: str) -> str:
    """Registry and repository of an image, without its tag and digest."""
    registry, _, name = uri.partition("/")
    return f"{registry}/{name.partition('@')[0].partition(':')[0]}"
