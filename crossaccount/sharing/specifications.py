"""Additional inference specifications of versions: one that nobody could deploy is left out, and its version goes on without it.

CreateModel deploys the main specification of a package where none is named. Not here: versions whose main specification cannot be deployed (``gather``).

Source: AdditionalInferenceSpecificationDefinition and CreateModel in the SageMaker API reference.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from crossaccount.arns import parse_image
from crossaccount.config.model import Sharing
from crossaccount.errors import Finding, Severity
from crossaccount.registry.versions import Container, Contents, ModelVersion, contents_of
from crossaccount.text import quote


@dataclass(frozen=True)
class Narrowed:
    """Versions without some of their additional specifications, and a note about each that was left out."""

    versions: tuple[ModelVersion, ...]
    notes: tuple[Finding, ...]


def only(version: ModelVersion, names: Iterable[str | None]) -> ModelVersion:
    """A version with these of its specifications; None is the main one."""
    kept = set(names)
    return replace(
        version, containers=tuple(each for each in version.containers if each.specification in kept)
    )


def narrowed(
    versions: Iterable[ModelVersion], fault_of: Callable[[ModelVersion, Contents], Finding | None]
) -> Narrowed:
    """The versions without the additional specifications that have a fault.

    Args:
        versions: with every specification.
        fault_of: the fault of contents of a version, None for none.
    """
    kept, notes = [], []
    for version in versions:
        faults = {
            name: fault
            for name in _additional(version)
            if (fault := fault_of(version, contents_of([only(version, [name])]))) is not None
        }
        kept.append(_without(version, faults))
        notes += [_note(version, name, str(fault)) for name, fault in faults.items()]
        notes += [_note(version, name, why) for name, why in version.incomplete]
    return Narrowed(tuple(kept), tuple(notes))


def without_obstacles(
    versions: Sequence[ModelVersion], findings: Iterable[Finding], digests: Mapping[str, str | None]
) -> tuple[Narrowed, list[Finding]]:
    """The versions without the additional specifications that an error is about; and the findings that are left.

    Args:
        versions: with every specification that is sound.
        findings: of artifacts, images and what they lie in; one about something that is also deployed stays.
        digests: the images that were found, by URI.
    """
    deployed = [container for version in versions for container in version.deployed_containers]
    left, notes, out = [], [], set[tuple[ModelVersion, str]]()
    for finding in findings:
        is_ours = finding.severity is not Severity.ERROR or any(
            _concerns(finding, container, digests) for container in deployed
        )
        hit = [] if is_ours else list(_hit(versions, finding, digests))
        out |= set(hit)
        notes += [_note(version, name, str(finding)) for version, name in hit]
        left += [] if hit else [finding]
    kept = tuple(_without(version, {name for other, name in out if other is version}) for version in versions)
    return Narrowed(kept, tuple(notes)), left


def lacking(config: Sharing, versions: Iterable[ModelVersion]) -> Iterator[Finding]:
    """Warnings of versions without the specification that a consumer deploys: it is not there, or nobody could deploy it."""
    for version in versions:
        there = {each.specification for each in version.containers}
        for name, consumer in config.consumers.items():
            wanted = consumer.endpoint.inference_specification
            if wanted is not None and wanted not in there:
                key = f"consumers.{name}.endpoint.inference_specification"
                yield Finding(
                    Severity.WARNING,
                    f"version {version.version} of {version.group}",
                    f"It is shared without the inference specification {quote(wanted)} that {name} deploys.",
                    f"Correct {key}, or register a version with it.",
                )


def _hit(
    versions: Iterable[ModelVersion], finding: Finding, digests: Mapping[str, str | None]
) -> Iterator[tuple[ModelVersion, str]]:
    for version in versions:
        for name in _additional(version):
            containers = only(version, [name]).containers
            if any(_concerns(finding, container, digests) for container in containers):
                yield version, name


def _concerns(finding: Finding, container: Container, digests: Mapping[str, str | None]) -> bool:
    """Whether a finding is about an artifact or the image of a container, or what they lie in."""
    subject = finding.subject
    if container.image not in digests and subject == f"repository {parse_image(container.image).repository}":
        return container.image in finding.text or "image" not in finding.text
    return any(
        subject in (each.uri, f"s3://{each.bucket}/{each.key}", f"bucket {each.bucket}")
        or (each.is_prefix and subject.startswith(f"s3://{each.bucket}/{each.key}"))
        for each in container.artifacts
    )


def _additional(version: ModelVersion) -> list[str]:
    return list(
        dict.fromkeys(each.specification for each in version.containers if each.specification is not None)
    )


def _without(version: ModelVersion, names: Iterable[str]) -> ModelVersion:
    left_out = set(names)
    return (
        only(version, {each.specification for each in version.containers} - left_out) if left_out else version
    )


def _note(version: ModelVersion, name: str, why: str) -> Finding:
    subject = f"version {version.version} of {version.group}"
    text = f"Its additional inference specification {name} is not shared: {why} What is deployed is its main one."
    return Finding(Severity.NOTE, subject, text)
