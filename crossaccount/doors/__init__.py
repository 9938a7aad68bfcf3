"""The doors that a share opens, in the order of writing, and the questions to all of them.

Code that enumerates doors asks here. Not here: what is particular to one door (its own module).
"""

from collections.abc import Iterable, Mapping
from functools import partial

from botocore.exceptions import ClientError

from crossaccount import parallel
from crossaccount.aws.access import Producer
from crossaccount.config.model import Sharing
from crossaccount.doors.base import Door, Parts, Resource, Surroundings, Token
from crossaccount.doors.bucket import BUCKET
from crossaccount.doors.key import KEY
from crossaccount.doors.registry import REGISTRY
from crossaccount.doors.repository import REPOSITORY
from crossaccount.errors import Obstacle
from crossaccount.policy import documents
from crossaccount.policy.audience import Audience
from crossaccount.policy.documents import Document, Statement
from crossaccount.registry.versions import Contents

# The registry last: a consumer that sees the version can also reach what it needs.
DOORS: list[Door] = [REPOSITORY, BUCKET, KEY, REGISTRY]

# For each kind the resources that are needed, by name.
Needs = Mapping[str, Mapping[str, Parts]]


def door_of(kind: str) -> Door:
    """The door of a kind of resource; KeyError for a kind that has none."""
    return {door.kind: door for door in DOORS}[kind]


def door_named(name: str) -> Door | None:
    """The door of a name in a Release; None for an unknown name."""
    return next((door for door in DOORS if door.name == name), None)


def needs(config: Sharing, contents: Contents) -> Needs:
    """The resources that a consumer must reach to deploy these contents.

    Raises:
        Failed: for contents that no grant can open.
    """
    return {door.kind: door.needed(config, contents) for door in DOORS}


def resources(config: Sharing, needs: Needs) -> tuple[Resource, ...]:
    """Every resource that is needed, in the order of writing."""
    owner = config.producer.account
    return tuple(
        Resource(door.kind, name, owner) for door in DOORS for name in sorted(needs.get(door.kind, {}))
    )


def statements_for(
    config: Sharing, needs: Needs, resource: Resource, audiences: Iterable[Audience]
) -> list[Statement]:
    """The statements that let these audiences in to a resource; an empty list where it is not needed."""
    door, parts = door_of(resource.kind), needs.get(resource.kind, {}).get(resource.name)
    if parts is None:
        return []
    return [
        statement
        for audience in audiences
        for statement in door.statements(config, resource.name, parts, audience)
    ]


def read_policy(producer: Producer, resource: Resource) -> tuple[Document | None, Token]:
    """A resource's policy as it stands, None where there is none, and the token to write it with.

    Raises:
        Obstacle: for a policy that is not as AWS writes them: a document that cannot be read is not rewritten.
        ClientError: when AWS refuses.
    """
    try:
        document, token = door_of(resource.kind).read(producer, resource.name)
        return None if document is None else documents.sound(document), token
    except (ValueError, RecursionError) as error:
        raise Obstacle(
            f"policy of {resource}",
            f"It cannot be read: {str(error)[:200]}.",
            "Look at it and correct it by hand; it was left as it is.",
        ) from None


def surroundings(
    producer: Producer, policies: Mapping[Resource, Document | None]
) -> dict[Resource, Surroundings]:
    """What decides about resources beside their policies, which are given as they stand; every door asks at once.

    Raises:
        ClientError: when AWS refuses for another reason than permissions.
    """
    of_doors = {
        door.kind: {each: document for each, document in policies.items() if each.kind == door.kind}
        for door in DOORS
    }
    asked = [
        partial(door.surroundings, producer, of_doors[door.kind]) for door in DOORS if of_doors[door.kind]
    ]
    return {each: found for answer in parallel.run_all(asked) for each, found in answer.items()}


def write_policy(producer: Producer, resource: Resource, document: Document | None, token: Token) -> None:
    """Replace the policy that was read with this token, or with None remove it; raises as the door's own verbs do."""
    door = door_of(resource.kind)
    if document is None:
        door.clear(producer, resource.name, token)
    else:
        door.write(producer, resource.name, document, token)


def is_missing(error: ClientError) -> bool:
    """Whether an error says that a resource of one of the doors does not exist."""
    code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    return any(code == door.missing_code and message.startswith(door.missing_texts) for door in DOORS)


def name_in(place: str) -> str:
    """The name of the resource that an ARN or a URI leads to; the text itself where it leads to none of the doors'."""
    return next((match[1] for door in DOORS if (match := door.place.fullmatch(place))), place)


def execution_needs(config: Sharing, contents: Contents) -> list[tuple[str, str]]:
    """The actions that an execution role needs to deploy these contents, each with each resource that it needs it on, once."""
    return list(dict.fromkeys(need for door in DOORS for need in door.execution_needs(config, contents)))
