"""What stands in the way of the producer's own writes: Denies that would refuse a change of a policy, or a Release.

Pure functions over what was read. Not here: how a Deny is judged (``policy.uploads``), and the writes (``apply``, ``publish``).
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from crossaccount.aws.sessions import SESSION_NAME
from crossaccount.config.model import Sharing
from crossaccount.doors import door_of
from crossaccount.doors.base import Resource
from crossaccount.doors.bucket import BUCKET
from crossaccount.errors import Finding, Severity
from crossaccount.policy import uploads
from crossaccount.policy.documents import Statement, listed
from crossaccount.policy.standing import Clause
from crossaccount.policy.uploads import Request, Requester, refusing, upload_of
from crossaccount.release.store import release_key
from crossaccount.sharing.changes import Basis, Plan
from crossaccount.sharing.standing import strangers


def find_refused_writes(
    sharing: Sharing, basis: Basis, plan: Plan, ours: Mapping[Resource, Sequence[Statement]]
) -> Iterator[Finding]:
    """Denies that refuse the producer a write of the plan: errors where that is sure, warnings where it may be."""
    requester = requester_of(sharing)
    for change in plan.changes:
        clauses = strangers(basis, plan.group, change, ours[change.resource])
        door = door_of(change.resource.kind)
        actions = door.clears if change.verb == "delete" else door.writes
        if change.verb != "keep":
            arn = door.arn(sharing, change.resource.name)
            request = Request(actions, arn, done=door.reads)
            for clause, verdict in refusing(clauses, request, requester, basis.now):
                yield _refused(
                    change.resource, clause, verdict, f"{actions}, so that its policy could not be changed"
                )
        if change.resource.kind == BUCKET.kind and change.resource.name == sharing.producer.releases_bucket:
            yield from _refused_uploads(sharing, basis, change.resource, clauses, requester)


def requester_of(sharing: Sharing) -> Requester:
    """The producer as policies see it."""
    producer = sharing.producer
    return Requester(producer.account, sharing.partition, sharing.region, producer.role, SESSION_NAME)


def _refused(resource: Resource, clause: Clause, verdict: bool | None, what: str) -> Finding:
    severity, verb = (Severity.ERROR, "refuses") if verdict else (Severity.WARNING, "may refuse")
    text = f"The statement {clause} {verb} the producer {what}."
    return Finding(severity, f"policy of {resource}", text, "Let it pass the producer's role.")


def _refused_uploads(
    sharing: Sharing, basis: Basis, resource: Resource, clauses: Sequence[Clause], requester: Requester
) -> Iterator[Finding]:
    """Denies that refuse a Release which is about to be published."""
    key, found = sharing.producer.releases_kms_key, dict[Clause, dict[int, bool | None]]()
    for number in basis.publishing:
        arn = f"{BUCKET.arn(sharing, resource.name)}/{release_key(sharing, number)}"
        for clause, verdict in refusing(clauses, upload_of(arn, key), requester, basis.now):
            found.setdefault(clause, {})[number] = verdict
    for clause, verdicts in found.items():
        sure = [number for number, verdict in verdicts.items() if verdict]
        versions = ", ".join(map(str, sure or verdicts))
        how = "with no encryption named in the request" if key is None else f"under {key}"
        severity, verb = (Severity.ERROR, "refuses") if sure else (Severity.WARNING, "may refuse")
        text = f"The statement {clause} {verb} the producer s3:PutObject {how}: the Release of version {versions} could not be published."
        way_out = _way_out(sharing, clause, requester, basis)
        yield Finding(severity, f"policy of {resource}", text, way_out)


def _way_out(sharing: Sharing, clause: Clause, requester: Requester, basis: Basis) -> str:
    """What would pass a Deny of uploads: a key, where one does; else another place, or another statement."""
    arn = (
        f"{BUCKET.arn(sharing, sharing.producer.releases_bucket)}/{release_key(sharing, basis.publishing[0])}"
    )
    anyone_s = f"arn:{sharing.partition}:kms:{sharing.region}:{sharing.producer.account}:key/any"
    wanted = [*_named_keys(clause.body), anyone_s]
    passing = [
        key
        for key in wanted
        if key != sharing.producer.releases_kms_key
        and not any(refusing([clause], upload_of(arn, key), requester, basis.now))
    ]
    if not passing:
        return "Let it pass the Releases' prefix, or publish in another bucket (producer.releases)."
    named = (
        f"the ARN of a key of account {sharing.producer.account}" if passing[0] == anyone_s else passing[0]
    )
    return f"Set producer.releases_kms_key in the config to {named}. Releases are then sent to be encrypted under it."


def _named_keys(statement: Statement) -> list[str]:
    """The KMS keys that a statement's conditions name."""
    return [
        str(value)
        for keys in (statement.get("Condition") or {}).values()
        for key, values in keys.items()
        if key.lower() == uploads.KEY
        for value in listed(values)
        if not re.search(r"[*?$]", str(value))
    ]
