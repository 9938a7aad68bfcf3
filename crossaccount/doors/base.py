"""A door: one kind of resource whose policy lets other accounts in, with everything that is particular to that kind.

A new door is one object of this shape, listed in ``doors.DOORS``. Not here: how its document changes (``policy``, ``sharing``).
"""

import re
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from crossaccount.aws.access import Producer
from crossaccount.config.model import Sharing
from crossaccount.errors import Finding
from crossaccount.policy.audience import Audience
from crossaccount.policy.documents import Document, Statement
from crossaccount.registry.versions import Contents

# A mark that a service gives with a document, for a put that fails once the document is another; None without such a put.
Token = str | None
# The parts of a resource that are needed: a bucket's key prefixes, or whole keys; most kinds have none.
Parts = tuple[str, ...]


@dataclass(frozen=True)
class Resource:
    """A resource that carries a policy: its kind, its name (a key's is its ARN), and the account that owns it."""

    kind: str
    name: str
    account: str

    def __str__(self) -> str:
        """For messages."""
        return f"{self.kind} {self.name} (account {self.account})"


@dataclass(frozen=True)
class Surroundings:
    """What decides about a resource beside the policy that is written here.

    ``policies`` are further policies that hold for it, by what they are called (``registry policy``), and ``unread`` are those
    that could not be read; ``cut_off`` says why no other account comes through as things stand, empty where they may, and
    ``doubtful`` what could not be asked about that; ``findings`` are what should be known about all of it, and ``unwritable`` what makes AWS refuse every write of the resource's own policy.
    """

    policies: Mapping[str, Document] = field(default_factory=dict)
    unread: tuple[str, ...] = ()
    cut_off: str = ""
    doubtful: str = ""
    findings: tuple[Finding, ...] = ()
    unwritable: tuple[Finding, ...] = ()


class Door(Protocol):
    """One kind of resource, and how its policy is written, read and explained. A class without one of these parts is a TypeError.

    ``kind`` names the resources in plans, ``name`` the door in refusals and Releases: any text (`DoorName` has those that the
    library itself names). ``limit`` is how many bytes of a policy the
    service takes. ``place`` matches an ARN or a URI of such a resource, its first group the name. ``missing_code`` is the service's
    error for a resource that does not exist, and ``missing_texts`` how its message then begins; ``busy_codes`` are its errors while
    another writer is at work, the one condition that passes by itself. ``proved_by_model`` is whether a model that was made from
    the package has passed the door. ``reads``, ``writes`` and ``clears`` are the permissions to read, replace and remove its policy,
    empty for an unknown one. ``services`` are AWS's services that come through it on behalf of an account.
    """

    kind: str
    name: str
    limit: int
    place: re.Pattern[str]
    missing_code: str
    missing_texts: tuple[str, ...] = ("",)
    busy_codes: tuple[str, ...] = ("OperationAborted", "ConflictException", "ConcurrentModificationException")
    proved_by_model: bool = False
    reads: str = ""
    writes: str = ""
    clears: str = ""
    services: tuple[str, ...] = ()

    def __init_subclass__(cls) -> None:
        """See that a class has every fact without a default: a door that lacks one would fail in the middle of a share."""
        super().__init_subclass__()
        facts = ("kind", "name", "limit", "place", "missing_code")
        if missing := [fact for fact in facts if not hasattr(cls, fact)]:
            raise TypeError(f"{cls.__name__} is no door: it lacks {', '.join(missing)}.")

    @abstractmethod
    def arn(self, config: Sharing, name: str) -> str:
        """The ARN of a resource of the producer, which `place` matches; the lock of those who write its policy is named after it."""

    @abstractmethod
    def is_right(self, config: Sharing, name: str) -> bool:
        """Whether a Release may list a resource of this name: it can be the producer's own."""

    @abstractmethod
    def needed(self, config: Sharing, contents: Contents) -> Mapping[str, Parts]:
        """The resources that a consumer must reach for these contents, by name, each with its parts.

        Raises:
            Obstacle: for contents that no grant can open.
        """

    @abstractmethod
    def statements(self, config: Sharing, name: str, parts: Parts, audience: Audience) -> list[Statement]:
        """The statements that let an audience in to the parts of a resource, in the config's preset."""

    def parts_of(self, config: Sharing, name: str, statement: Statement) -> Parts:
        """The parts of a resource that a statement of ours lets in to; none for a kind without parts."""
        return ()

    def covers(self, part: str, other: str) -> bool:
        """Whether who is let in to one part is let in to the other too."""
        return part == other

    @abstractmethod
    def read(self, producer: Producer, name: str) -> tuple[Document | None, Token]:
        """The policy that stands, None where there is none, and the token to write it with.

        Raises:
            ClientError: when AWS refuses.
            ValueError: for a policy that is not JSON.
        """

    @abstractmethod
    def write(self, producer: Producer, name: str, document: Document, token: Token) -> None:
        """Replace the policy that was read with this token; raises AWS's refusal."""

    @abstractmethod
    def clear(self, producer: Producer, name: str, token: Token) -> None:
        """Remove the policy that was read with this token; raises AWS's refusal.

        None to remove is no refusal: where the answer to a removal is lost, botocore asks again, and AWS says that there is none.

        Raises:
            Conflict: where such a resource is never left without a policy.
        """

    def obstacles(self, producer: Producer, resource: Resource, contents: Contents) -> list[Finding]:
        """Findings about a resource before its policy is read. The contents may have no keys yet: those are read from the artifacts.

        Raises:
            Obstacle: when the resource cannot be shared, so that its policy need not be read.
        """
        return []

    def findings(self, producer: Producer, resource: Resource, document: Document | None) -> list[Finding]:
        """Findings about a resource and the policy that stands on it."""
        return []

    def surroundings(
        self, producer: Producer, documents: Mapping[Resource, Document | None]
    ) -> dict[Resource, Surroundings]:
        """What decides beside the policies of these resources, which are given as they stand; none for a resource that is left out.

        Raises:
            ClientError: when AWS refuses for another reason than permissions.
        """
        return {}

    def objections(
        self, resource: Resource, existing: Document | None, desired: Document | None
    ) -> Iterator[tuple[str, str]]:
        """Reasons why a policy of this kind may never be changed so, each with the way out."""
        yield from ()

    def execution_needs(self, config: Sharing, contents: Contents) -> Iterable[tuple[str, str]]:
        """The actions that an execution role needs for CreateModel from these contents, each with each resource that it needs it on."""
        return ()
