"""The parts of a group's dashboard, as each flow sees them, and the page: read, merged with the run's own parts, and put again.

The page is an artifact of each run that has parts, under one key for each group; its newest versions are its state. Not here: what
a part is, and the page's text (``crossaccount.show.dashboard``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.filters import (
    ArtifactCollectionFilter,
    ArtifactCollectionFilterKey,
    ArtifactFilter,
    ArtifactFilterKey,
)
from prefect.client.schemas.sorting import ArtifactSort

from crossaccount import doors
from crossaccount.config.model import Sharing
from crossaccount.doors import door_of
from crossaccount.errors import DoorName, Refused
from crossaccount.policy import documents
from crossaccount.policy.standing import Answer
from crossaccount.promotion.outcome import ConsumerOutcome, Result
from crossaccount.promotion.records import Record
from crossaccount.show import dashboard
from crossaccount.show.dashboard import Board, Part
from tasks.alerts import Alert

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

    from crossaccount.audit.answers import AccessAnswer, Evidence
    from crossaccount.proof.proof import Proof
    from crossaccount.release.manifest import Release
    from crossaccount.sharing.changes import Plan

Facts = dict[str, dict[str, Any]]  # by the part's place

_LOOKED_AT = 10  # versions of a page: of runs that wrote at once, each has what the others lack
_MOST_READ = 200  # artifacts that Prefect's server gives at once
_ATTEMPTS = 5  # a page is put so often: of runs that go on writing, the next one finds the parts of all


def subject(sharing: Sharing, name: str) -> str:
    """What a consumer's parts begin with: NAME@ACCOUNT."""
    return f"{name}@{sharing.consumers[name].account}"


def of_config(sharing: Sharing, names: Iterable[str]) -> Facts:
    """What the config says of consumers: when their grants expire, and their stages."""
    return {
        f"{subject(sharing, name)}/config": {
            "expires": each.expires.isoformat() if each.expires else None,
            "stage": each.stage,
        }
        for name in names
        for each in (sharing.consumers[name],)
    }


def of_share(sharing: Sharing, plan: Plan, releases: Sequence[Release]) -> Facts:
    """What a share has made: the versions with a Release, and whom each policy lets in, as it was read back."""
    facts = of_config(sharing, sharing.consumers)
    if releases:
        facts["group/shared"] = {"versions": [release.version for release in releases]}
    for change in plan.changes:
        ours = [each for each in documents.statements(change.desired) if documents.is_owned(each, plan.group)]
        for account in sorted({member for each in ours for member in documents.beneficiaries(each)}):
            facts[_door(account, change.resource)] = _verdict(
                "granted", "the policy was read back and lets it in"
            )
    return facts | of_leaving(plan)


def of_leaving(plan: Plan) -> Facts:
    """What becomes of those who lose statements of ours, by what was written and read back."""
    verdicts = {Answer.OPEN: "granted", Answer.CANNOT_TELL: "cannot tell"}
    return {
        _door(each.member, change.resource): _verdict(
            "granted" if each.granted else verdicts.get(each.answer, "no"), each.line
        )
        for change in plan.changes
        for each in plan.leaving(change)
    }


def _door(owner: str, resource: Any) -> str:
    return f"{owner}/door/{door_of(resource.kind).name} {resource.name}"


def _verdict(verdict: str, reason: str) -> dict[str, Any]:
    return {"verdict": verdict, "reason": reason[:300]}


def of_audit(sharing: Sharing, producer: Evidence, consumers: Mapping[str, Evidence]) -> Facts:
    """What a check saw: the policies' answers by account, each consumer's own tries, and what its endpoint serves.

    What could not be asked from where the check runs is left as it was last known.
    """
    facts = of_config(sharing, consumers)
    for answer in producer.answers:
        facts[f"{answer.account}/door/{answer.door} {answer.resource}"] = _answered(answer)
    if producer.versions:
        facts["group/shared"] = {"versions": [each.version for each in producer.versions]}
    for name, evidence in consumers.items():
        for answer in evidence.answers:
            facts[f"{subject(sharing, name)}/door/{answer.door} {answer.resource}"] = _answered(answer)
        facts |= _of_live(sharing, name, evidence)
    return facts


def _answered(answer: AccessAnswer) -> dict[str, Any]:
    return _verdict(str(answer.verdict), answer.because)


def _of_live(sharing: Sharing, name: str, evidence: Evidence) -> Facts:
    """The version of a consumer's own endpoint; nothing where it was not looked at, or serves two."""
    entered = any(each.door == DoorName.ROLE_TRUST and each.verdict == "yes" for each in evidence.answers)
    unseen = any(each.text.startswith("Whether a version that was recalled") for each in evidence.findings)
    own = [each for each in evidence.live if each.is_own and not each.is_shadow]
    if not entered or unseen or len(own) > 1:
        return {}
    endpoint = sharing.consumers[name].endpoint.name
    version = own[0].state.version if own else None
    return {f"{subject(sharing, name)}/live": {"version": version, "endpoint": endpoint}}


def of_outcome(sharing: Sharing, outcome: ConsumerOutcome) -> Facts:
    """What came of a consumer's part of a promotion or a rollback; a version only where one was seen live."""
    who = subject(sharing, outcome.consumer)
    facts: Facts = {f"{who}/result": {"result": str(outcome.result), "version": outcome.version}}
    facts |= of_config(sharing, [outcome.consumer])
    if outcome.live is not None:
        name = sharing.consumers[outcome.consumer].endpoint.name
        facts[f"{who}/live"] = {"version": outcome.live, "endpoint": name}
    for proof in outcome.proofs:
        facts |= of_proof(sharing, proof)
    verified = [proof for proof in outcome.proofs if proof.verified]
    if outcome.result is Result.PROMOTED and verified:
        moved = {"consumer": outcome.consumer, "version": outcome.live, "median_ms": _median(verified[-1])}
        # By its proof: the run that asked another one for it sees the same move again.
        facts[f"move/{outcome.consumer} {outcome.live} {moved['median_ms']}"] = moved
    return facts


def _median(proof: Proof) -> float:
    return round(proof.speed.p50_ms if proof.speed else proof.median_latency_ms, 3)


def of_proof(sharing: Sharing, proof: Proof, kept: bool = False) -> Facts:
    """A proof that was verified, and the endpoint of it that stays beside the consumer's own; nothing of any other."""
    if not proof.verified:
        return {}
    who = subject(sharing, proof.consumer)
    facts: Facts = {f"{who}/proved": {"version": proof.version, "median_ms": _median(proof)}}
    return facts | ({f"{who}/kept/{proof.endpoint}": {"version": proof.version}} if kept else {})


def of_refusal(sharing: Sharing, name: str, refused: Refused) -> Facts:
    """The door that a consumer found shut."""
    refusal = refused.refusal
    door = f"{subject(sharing, name)}/door/{refusal.door} {doors.name_in(refusal.resource)}"
    return {door: _verdict("no", f"{refusal.action} refused. {refusal.next_step}")}


def of_record(record: Record) -> Facts:
    """The last promotion or rollback of the group."""
    facts = {
        "kind": record.kind,
        "version": record.version,
        "outcome": record.outcome,
        "reason": record.reason,
    }
    return {"group/moved": facts}


def put(
    client: SyncPrefectClient, run: UUID, boards: Mapping[str, Board], alerts: Mapping[str, Sequence[Alert]]
) -> None:
    """Put the pages of these groups, with what their last versions knew and this run's parts.

    A page is looked at again after it was put, and put once more where it lacks what another run has written meanwhile: so of
    runs that write at once, whoever looks last leaves a page with the parts of all. One request to read, one for each page, and
    one to look again.

    Args:
        client: of the Prefect server.
        run: the flow run.
        boards: this run's parts, by the ARN of the group.
        alerts: to be emitted unless the page knows that they were, in the same way.
    """
    now = datetime.now(UTC)
    known: dict[str, dict[str, Board]] = {}  # by the key of the page
    for arn, board in boards.items():
        known.setdefault(dashboard.key_of(arn.rpartition("/")[2]), {})[arn] = board
    keys, most = list(known), _MOST_READ - _LOOKED_AT
    for part_of in (keys[begin : begin + most] for begin in range(0, len(keys), most)):
        pages = {key: known[key] for key in part_of}
        _merge_read(client, pages, now, again=False)
        _alert(pages, boards, alerts, run, now)
        lacking = part_of
        for _ in range(_ATTEMPTS):
            for key in lacking:
                _put_page(client, run, key, pages[key], now)
            lacking = _merge_read(client, pages, now, again=True)
            if not lacking:
                break


def _merge_read(
    client: SyncPrefectClient, pages: Mapping[str, dict[str, Board]], now: datetime, again: bool
) -> list[str]:
    """Merge what the last versions of the pages know into these; the keys of those whose newest version knows less then."""
    newest: dict[str, Mapping[str, Board]] = {}
    for key, page in _last_versions(client, list(pages), again):
        found = dashboard.read(page)
        newest.setdefault(key, found)
        for arn, board in found.items():
            pages[key][arn] = dashboard.merged([board, pages[key].get(arn, {})], now)
    return [key for key, page in newest.items() if _lacks(page, pages[key])]


def _alert(
    pages: Mapping[str, dict[str, Board]],
    boards: Mapping[str, Board],
    alerts: Mapping[str, Sequence[Alert]],
    run: UUID,
    now: datetime,
) -> None:
    """Emit the alerts that are due, and note each on its board."""
    for of_page in pages.values():
        for arn in of_page.keys() & boards.keys():
            for alert in alerts.get(arn, ()):
                if alert.is_due(of_page[arn], now):
                    alert.emit()
                    noted = Part(seen=now, run=str(run), facts={"about": alert.about})
                    of_page[arn] = {**of_page[arn], alert.place: noted}


def _lacks(page: Mapping[str, Board], whole: Mapping[str, Board]) -> bool:
    """Whether a page lacks a part, or has an older one."""
    return any(
        place not in page.get(arn, {}) or page[arn][place].seen < part.seen
        for arn, board in whole.items()
        for place, part in board.items()
    )


def _put_page(
    client: SyncPrefectClient, run: UUID, key: str, whole: Mapping[str, Board], now: datetime
) -> None:
    group = next(iter(whole)).rpartition("/")[2]
    described = f"Who serves which version of {group}, and who has access"
    text = dashboard.page({arn: board for arn, board in whole.items() if board}, now)
    client.create_artifact(
        ArtifactCreate(key=key, type="markdown", description=described, data=text, flow_run_id=run)
    )


def _last_versions(client: SyncPrefectClient, keys: Sequence[str], again: bool) -> Iterator[tuple[str, str]]:
    """The last versions of the pages with their keys, the newest first; ``again`` when they have just been put."""
    found: Sequence[Any]
    if again or len(keys) == 1:
        wanted = ArtifactFilter(key=ArtifactFilterKey(any_=list(keys)))
        most = len(keys) - 1 + _LOOKED_AT
        found = client.read_artifacts(artifact_filter=wanted, sort=ArtifactSort.CREATED_DESC, limit=most)
    else:
        latest = ArtifactCollectionFilter(key=ArtifactCollectionFilterKey(any_=list(keys)))
        found = client.read_latest_artifacts(artifact_filter=latest)
    for each in found:
        yield str(each.key), str(each.data)


def parts(facts: Facts, run: UUID) -> dict[str, Part]:
    """Facts that this run sees now, as parts."""
    now = datetime.now(UTC)
    return {place: Part(seen=now, run=str(run), facts=each) for place, each in facts.items()}
