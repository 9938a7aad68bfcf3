"""The containers of a version with several, by name, and which of them need a resource that is shut or missing.

Not here: why it is shut (``aws.diagnosis``), and reading a version (``registry.versions``).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from crossaccount import doors
from crossaccount.config.model import Sharing
from crossaccount.errors import Obstacle, Refused
from crossaccount.registry.artifacts import Artifact, artifact_at
from crossaccount.registry.versions import Container, Contents
from crossaccount.release.manifest import Release


@dataclass(frozen=True)
class Member:
    """One of several containers: its name for a person, and what it is made of."""

    name: str
    image: str
    artifacts: tuple[Artifact, ...]

    def is_made_of(self, place: str) -> bool:
        """Whether a place is its image, an artifact of it or an object in one: a URI, or the object's ARN."""
        path = place.partition(":::")[2] if ":s3:::" in place else place.removeprefix("s3://")
        return place == self.image or any(
            path == (at := f"{each.bucket}/{each.key}") or (each.is_prefix and path.startswith(at))
            for each in self.artifacts
        )


@dataclass(frozen=True)
class Members:
    """The containers of one specification; none where there is one only, which needs no name."""

    config: Sharing
    members: tuple[Member, ...]
    keys: Mapping[str, Sequence[str]] = field(default_factory=dict)  # by the URIs of what lies under them

    def needing(self, place: str) -> tuple[str, ...]:
        """The names of the containers that need a place: an image, an object, an ARN, or the name of a resource behind a door."""
        exactly = tuple(each.name for each in self.members if each.is_made_of(place))
        return exactly or tuple(
            each.name for each in self.members if doors.name_in(place) in self._resources(each)
        )

    def _resources(self, member: Member) -> set[str]:
        """The names of what lies behind doors for a container's own sake; its group, for one, is needed whatever it is made of."""
        keys = (key for uri, found in self.keys.items() if member.is_made_of(uri) for key in found)
        contents = Contents((member.image,), member.artifacts, tuple(keys))
        own, anyhow = (
            {name for named in doors.needs(self.config, each).values() for name in named}
            for each in (contents, Contents())
        )
        return (own - anyhow) | {each.bucket for each in member.artifacts}

    @contextmanager
    def named(self, place: str = "") -> Iterator[None]:
        """Within this, refusals and obstacles say which of the containers need what is shut or missing.

        Args:
            place: what is looked at; what the error names where it is left out.
        """
        try:
            yield
        except Refused as refused:
            names = self.needing(place or refused.refusal.resource)
            if not names or refused.refusal.containers:
                raise
            raise Refused(replace(refused.refusal, containers=names), refused.findings) from None
        except Obstacle as obstacle:
            finding = obstacle.finding
            names = self.needing(place or finding.subject)
            if not names:
                raise
            raise Obstacle(
                finding.subject, f"{finding.text} It is for {' and '.join(names)}.", finding.way_out
            ) from None


def members_of_release(config: Sharing, release: Release, keys: Mapping[str, str] | None = None) -> Members:
    """The containers that a Release deploys; ``keys`` are those of objects, by their URIs, as far as they are known."""
    members = [
        (each.image, each.hostname, [artifact_at(one.uri, one.etag is None) for one in each.artifacts])
        for each in release.deployed_containers
    ]
    return Members(config, _members(members), {uri: (key,) for uri, key in (keys or {}).items()})


def members_of_version(
    config: Sharing, containers: Sequence[Container], keys: Mapping[str, Sequence[str]]
) -> Members:
    """The containers of one specification of a version, whose artifacts lie under these keys."""
    members = [(each.image, each.hostname, each.artifacts) for each in containers]
    return Members(config, _members(members), keys)


def _members(containers: Sequence[tuple[str, str | None, Sequence[Artifact]]]) -> tuple[Member, ...]:
    if len(containers) < 2:
        return ()
    return tuple(
        Member(f"container {number}{f' ({hostname})' if hostname else ''}", image, tuple(artifacts))
        for number, (image, hostname, artifacts) in enumerate(containers, start=1)
    )
