"""The audit's evidence in the producer's account: its policies and its Releases.

Not here: the repair, whose plan is the plan of a share.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from crossaccount import doors
from crossaccount.audit.answers import DISCOVERY, AccessAnswer, Evidence, Verdict, unknown
from crossaccount.aws.access import Producer, producing
from crossaccount.config.model import Sharing
from crossaccount.doors import door_of
from crossaccount.errors import Conflict, CrossAccountError, Failed, Finding, PlanRefused, Severity, Unread
from crossaccount.registry.versions import approvals
from crossaccount.release import store
from crossaccount.sharing import discovery, gather, plan, publish
from crossaccount.sharing.changes import Plan
from crossaccount.sharing.gather import Gathered
from crossaccount.sharing.naming import needing
from crossaccount.sharing.standing import kept_out
from crossaccount.text import first_line


def read_documents(sharing: Sharing, wanted: Sequence[str]) -> Evidence:
    """The evidence of the producer's documents and Releases about these consumers; a finding where they are out of reach.

    Args:
        sharing: the config.
        wanted: names of consumers.
    """
    try:
        with producing(sharing) as producer:
            state = gather.gather(producer)
            proposal = plan.propose_share(sharing, replace(state, findings=()))
            unpublished = list(_unpublished(producer, state, proposal))
            known = approvals(producer.sagemaker, sharing.model_package_group)
            found = list(_discovery(producer, sharing, wanted))
    except PlanRefused as refused:
        return Evidence(findings=refused.findings)
    except CrossAccountError as error:
        return unknown("producer", "The producer's policies", error)
    unreadable = _unreadable(state.findings)
    answers = [
        answer for name in wanted for answer in _by_documents(sharing, name, proposal, state, unreadable)
    ]
    findings = [
        *map(_doubtful, state.findings),
        *unpublished,
        *_beyond(proposal),
        *_milder(proposal.findings),
    ]
    return Evidence((*answers, *found), tuple(findings), state.versions, proposal, approvals=known)


def _discovery(producer: Producer, sharing: Sharing, wanted: Sequence[str]) -> Iterator[AccessAnswer]:
    """What AWS RAM says of the group, where it is to be discoverable: alike for every consumer."""
    if not sharing.producer.discoverable:
        return
    try:
        with producer.explained():
            found = discovery.look(producer)
    except CrossAccountError as error:
        found = discovery.Discovery(None, first_line(error))
    verdict = {True: Verdict.YES, False: Verdict.NO}.get(found.is_on, Verdict.CANNOT_TELL)  # type: ignore[arg-type]
    for name in wanted:
        account = sharing.consumers[name].account
        yield AccessAnswer(name, account, DISCOVERY, sharing.model_package_group, verdict, found.reason)


def _doubtful(finding: Finding) -> Finding:
    """The finding, as a warning where a read was refused: what cannot be told is not missing."""
    return replace(finding, severity=Severity.WARNING) if isinstance(finding, Unread) else finding


_Place = tuple[str, str]  # the kind and the name of a resource


def _unreadable(findings: Iterable[Finding]) -> dict[_Place, Finding]:
    """What stands in the way of a resource or of what lies in it, whoever is let in: by the resource, the first of each."""
    found: dict[_Place, Finding] = {}
    for finding in findings:
        if finding.severity is Severity.ERROR and (place := _place_of(finding.subject)) is not None:
            found.setdefault(place, finding)
    return found


def _place_of(subject: str) -> _Place | None:
    """The resource that a finding's subject is, or that it lies in."""
    kind, _, name = subject.removeprefix("policy of ").partition(" ")
    if kind in {door.kind for door in doors.DOORS}:
        return kind, name.partition(" ")[0]
    matches = ((door.kind, door.place.fullmatch(subject)) for door in doors.DOORS)
    return next(((kind, match[1]) for kind, match in matches if match), None)


def _by_documents(
    sharing: Sharing, name: str, proposal: Plan, state: Gathered, unreadable: Mapping[_Place, Finding]
) -> Iterator[AccessAnswer]:
    consumer = sharing.consumers[name]
    if consumer.expires is not None and consumer.expires <= state.now:
        return  # nothing is promised any more; a finding says so
    member = consumer.account if sharing.organization is None else sharing.organization.id
    containers = needing(sharing, state.versions, state.observed)
    grantee = consumer.account if sharing.organization is None else f"organization {sharing.organization.id}"
    for change in proposal.changes:
        door, verdict, reason = door_of(change.resource.kind).name, Verdict.YES, "its policy says so"
        out: tuple[bool | None, str] = (False, "")
        if grantee in change.gained:
            verdict = Verdict.NO
            reason = f"its policy has no statement of ours for {grantee}, or one that says less"
        elif (out := kept_out(sharing, state, proposal, change, member))[0] is not False:
            verdict = Verdict.NO if out[0] else Verdict.CANNOT_TELL
            reason = f"its policy says so, but {out[1]}"
        elif (finding := unreadable.get((change.resource.kind, change.resource.name))) is not None:
            verdict = Verdict.CANNOT_TELL
            reason = f"its policy says so, but {finding.subject}: {finding.text}"
        denied = out[0] is True
        behind = change.resource.name
        yield AccessAnswer(name, consumer.account, door, behind, verdict, reason, denied, containers(behind))
    for resource in doors.resources(sharing, state.needs):
        finding = unreadable.get((resource.kind, resource.name))
        if resource not in state.existing and finding is not None:
            door, reason = door_of(resource.kind).name, f"{finding.subject}: {finding.text}"
            yield AccessAnswer(
                name,
                consumer.account,
                door,
                resource.name,
                Verdict.CANNOT_TELL,
                reason,
                containers=containers(resource.name),
            )


def _beyond(proposal: Plan) -> Iterator[Finding]:
    """Warnings of statements of ours that allow more than the config does."""
    for change in proposal.changes:
        if change.lost:
            yield Finding(
                Severity.WARNING,
                f"policy of {change.resource}",
                f"{', '.join(change.lost)} has more, or has it otherwise, than the config says.",
                "crossaccount share CONFIG puts it right.",
            )


def _milder(findings: Iterable[Finding]) -> list[Finding]:
    """The findings, with errors as warnings: an error stops a share, not the access that is granted already."""
    return [
        replace(finding, severity=Severity.WARNING) if finding.severity is Severity.ERROR else finding
        for finding in findings
    ]


def _unpublished(producer: Producer, state: Gathered, proposal: Plan) -> Iterator[Finding]:
    for version in state.versions:
        if not state.has_seen(version):  # a finding says what of it could not be looked at
            continue
        try:
            _, is_new = publish.prepare(producer, version, state, proposal)
        except (Conflict, Failed) as error:
            yield Finding(Severity.ERROR, version.arn, first_line(error))
            continue
        if is_new:
            text = "It has no Release, so it cannot be deployed."
            yield Finding(Severity.ERROR, version.arn, text, "crossaccount share CONFIG publishes it.")
    if state.left_out:  # what was published is promised, whatever became of it
        for number in sorted(store.list_published(producer) & set(state.left_out)):
            yield replace(state.left_out[number], severity=Severity.ERROR)
