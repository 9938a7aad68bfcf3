"""What a share leaves open: parts of a resource that statements of ours opened before, and that no shared version needs any more.

Sharing adds, revoking takes away: a version that was rejected or deleted may still be live somewhere. Not here: the statements
themselves (``doors``), and what a revocation or a share with ``--prune`` takes out (``plan``).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from crossaccount import doors
from crossaccount.arns import group_arn
from crossaccount.config.model import Sharing
from crossaccount.doors import door_of
from crossaccount.doors.base import Parts, Resource
from crossaccount.errors import Finding, Severity
from crossaccount.policy import documents
from crossaccount.policy.audience import Audience
from crossaccount.policy.documents import Statement, statements
from crossaccount.sharing.changes import Basis


def statements_keeping(
    sharing: Sharing, basis: Basis, resource: Resource, let_in: Iterable[Audience]
) -> list[Statement]:
    """The statements that let these audiences in to a resource, each member with what it has there already.

    Args:
        sharing: the config.
        basis: what was read.
        resource: one that is needed, or not: then there is no statement.
        let_in: the audiences.
    """
    parts = basis.needs.get(resource.kind, {}).get(resource.name)
    if parts is None:
        return []
    door, beyond = door_of(resource.kind), parts_beyond(sharing, basis, resource)
    made: dict[str, Statement] = {}
    for audience in let_in:
        for kept, members in _by_parts(audience, beyond).items():
            wider = tuple(each for each in parts if not any(door.covers(one, each) for one in kept))
            wanted = tuple(sorted({*wider, *kept}))
            for each in door.statements(sharing, resource.name, wanted, _only(audience, members)):
                # What has no parts is said alike to all: in one statement, with all of them.
                sid = each["Sid"]
                made[sid] = documents.joined(made[sid], each) if sid in made else each
    return list(made.values())


def parts_beyond(sharing: Sharing, basis: Basis, resource: Resource) -> dict[str, Parts]:
    """For each member that has them: the parts that statements of ours let it in to, and that the needs do not ask for."""
    if sharing.preset == "aws-docs":  # the page's statements are about whole resources
        return {}
    door, group = door_of(resource.kind), group_arn(sharing)
    asked = doors.statements_for(sharing, basis.needs, resource, [Audience()])
    needed = [part for statement in asked for part in door.parts_of(sharing, resource.name, statement)]
    beyond: dict[str, set[str]] = {}
    for statement in statements(basis.existing.get(resource)):
        ends = documents.expires(statement)
        if not documents.is_owned(statement, group) or (ends and ends <= basis.now):
            continue
        opened = door.parts_of(sharing, resource.name, statement)
        if kept := [part for part in opened if not any(door.covers(each, part) for each in needed)]:
            for member in documents.members(statement):
                beyond.setdefault(member, set()).update(kept)
    return {
        member: tuple(
            sorted(part for part in kept if not any(door.covers(one, part) for one in kept - {part}))
        )
        for member, kept in beyond.items()
    }


def _by_parts(audience: Audience, beyond: Mapping[str, Parts]) -> dict[Parts, set[str]]:
    """The members of an audience by what each has beyond the needs."""
    members: dict[Parts, set[str]] = {}
    for member in audience.members:
        members.setdefault(beyond.get(member, ()), set()).add(member)
    return members


def _only(audience: Audience, members: set[str]) -> Audience:
    """The audience cut to these members."""
    if audience.organization is not None or members == set(audience.members):
        return audience
    return replace(
        audience,
        roots=tuple(root for root in audience.roots if documents.account_of(root) in members),
        roles=tuple(role for role in audience.roles if documents.account_of(role) in members),
    )


def find_staying(sharing: Sharing, basis: Basis, let_in: Iterable[Audience]) -> Iterator[Finding]:
    """What stays open beyond the needs, and to whom.

    Args:
        sharing: the config.
        basis: what was read.
        let_in: the audiences that are let in, and keep it.
    """
    members = sorted({member for audience in let_in for member in audience.members})
    of = ", ".join(f"version {number} ({state})" for number, state in sorted(basis.withdrawn.items()))
    for resource in basis.existing:
        beyond = parts_beyond(sharing, basis, resource)
        kept = sorted({part for member in members for part in beyond.get(member, ())})
        if kept:
            who = ", ".join(member for member in members if member in beyond)
            yield Finding(
                Severity.NOTE,
                f"policy of {resource}",
                f"{', '.join(kept)} stays open for {who}, which is more than the shared versions need"
                + (f": published and no longer shared are {of}." if of else "."),
                "Sharing takes nothing away. Once no endpoint runs on it: crossaccount share CONFIG --prune.",
            )
