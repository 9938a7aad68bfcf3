"""The containers that a resource or a finding of a share is about, by name, where versions have several.

Not here: the names (``release.members``).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from crossaccount.config.model import Sharing
from crossaccount.errors import Finding, Severity, Unread
from crossaccount.registry.versions import ModelVersion
from crossaccount.release.members import members_of_version
from crossaccount.sharing.artifacts import Observed


def needing(
    config: Sharing, versions: Iterable[ModelVersion], observed: Mapping[str, Observed]
) -> Callable[[str], tuple[str, ...]]:
    """What gives the containers that need a resource, each once: of every version that has several.

    Args:
        config: the config.
        versions: with every specification that is shared.
        observed: their artifacts, with the keys that they lie under.
    """
    keys = {uri: each.keys for uri, each in observed.items()}
    members = [
        members_of_version(config, version.containers_of(specification), keys)
        for version in versions
        for specification in dict.fromkeys(each.specification for each in version.containers)
    ]
    return lambda name: tuple(dict.fromkeys(each for one in members for each in one.needing(name)))


def with_containers(finding: Finding, of: Callable[[str], tuple[str, ...]]) -> Finding:
    """A finding that stops a share, with the containers that it is about; ``of`` as `needing` gives it."""
    if finding.severity is not Severity.ERROR or isinstance(finding, Unread):
        return finding
    names = of(finding.subject.rpartition(" ")[2])
    return replace(finding, text=f"{finding.text} It is for {' and '.join(names)}.") if names else finding
