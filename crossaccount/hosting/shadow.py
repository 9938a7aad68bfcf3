"""A new version as shadow variant beside the live one: begun, and taken away again; the live version answers all the while.

The live version keeps its model, its capacity and its proof. A run goes on from the state that it finds. Not here: what the
shadow answers (``proof``), and when it has stood there long enough (``promotion``).

Source: "Shadow variants" and "Create a shadow test" in the SageMaker developer guide: one shadow variant and one production
variant. That deployment guardrails take an endpoint config with a shadow variant is not documented: a shadow comes and goes with
AWS's own default, and is gone before the endpoint shifts.
"""

from crossaccount.aws.access import Target
from crossaccount.errors import Conflict, Failed
from crossaccount.hosting import creation, removal, requests, shift
from crossaccount.hosting.gateway import Gateway, Patience, Progress, silent
from crossaccount.hosting.outcome import accepted
from crossaccount.hosting.resources import BESIDE_TAG, OWNER, OWNER_TAG, SHADOW_TAG, Removal, tag_values
from crossaccount.hosting.state import LiveEndpoint, list_configs, look
from crossaccount.release.manifest import Release


def live_beside(
    target: Target, release: Release, patience: Patience, progress: Progress = silent
) -> LiveEndpoint | None:
    """The live endpoint that a version can stand beside; None when no other version of this tool answers.

    A change that is under way is waited for first.

    Raises:
        Conflict, Failed, ClientError: as `shift.when_calm`.
    """
    live = shift.when_calm(target, patience, progress)
    if live is None or live.package is None or live.answering in (None, release.version):
        return None
    return live


def check(release: Release) -> None:
    """Refuse a version that AWS takes as no shadow variant.

    Source: "Exclusions" of shadow tests in the SageMaker developer guide.

    Raises:
        Failed: for one of several containers.
    """
    if (count := len(release.deployed_containers)) > 1:
        raise Failed(
            f"Version {release.version} has {count} containers, and AWS puts no shadow variant beside such an endpoint. Choose another smoke_mode."
        )


def begin(
    target: Target, release: Release, live: LiveEndpoint, patience: Patience, progress: Progress = silent
) -> str:
    """Bring a version up as shadow variant beside the live one, and wait until it stands there; the endpoint config's name.

    Args:
        target: the consumer's account.
        release: of the new version.
        live: see `live_beside`.
        patience: how long to wait, each time.
        progress: as for `Gateway.watch`.

    Raises:
        NotLive: when the endpoint did not come to have the shadow, with AWS's reason.
        Failed: as for `shift.shift`; and when the live version's endpoint config was deleted.
        InputError: for an endpoint name that is too long for the version's.
        Conflict: for an endpoint, model or endpoint config of that name that is not this tool's.
        ClientError: AWS's refusal.
    """
    requests.check(target.consumer, release)
    shift.check_kind(target, live)
    described = Gateway(target.sagemaker).describe("endpoint-config", live.own_config or "")
    if described is None:
        raise Failed(
            f"The endpoint config {live.own_config} of the endpoint {live.endpoint} was deleted, so no shadow variant can be put beside it. "
            "Create it again under that name, or choose another smoke_mode."
        )
    creation.ensure_model(target, release, keep=True)
    request = requests.shadow_config(target.consumer, release, live.answering or 0, described)
    tags = {
        **tag_values(live.package or "", keep=True),
        BESIDE_TAG: live.own_config or "",
        SHADOW_TAG: release.model_package_arn,
    }
    name = request["EndpointConfigName"]
    arn, found = Gateway(target.sagemaker).create_or_find("endpoint-config", request, tags)
    if found is not None:
        _check_found(target, name, arn, tags, requests.difference(found, request))
    shift.roll_back(target, name, patience, progress, withdraw=False)
    accepted(shift.settle(target, name, patience, progress))
    return str(name)


def _check_found(target: Target, config: str, arn: str, wanted: dict[str, str], differs: str | None) -> None:
    tags = Gateway(target.sagemaker).tags(arn)
    if tags.get(OWNER_TAG) != OWNER or any(tags.get(key) != value for key, value in wanted.items()):
        differs = "other tags than this tool gives it"
    if differs is not None:
        raise Conflict(
            f"The endpoint config {config} exists with {differs}. Delete it once nothing uses it, or choose another endpoint.name."
        )


def clear(target: Target, patience: Patience, progress: Progress = silent) -> tuple[Removal, ...]:
    """Take a shadow variant away, also one that a run which died has left: the live version is by itself then.

    The fate of the endpoint configs with a shadow is given; the shadow's model stays, see `removal.discard` and
    `removal.retire`.

    Raises:
        NotLive: when the endpoint still has the shadow.
        Failed, Conflict, ClientError: as `shift.roll_back`.
    """
    configs = {config.config: config for config in list_configs(target) if config.shadow is not None}
    live = look(target) if configs else None
    shadowed = configs.get((live.pending or live.config or "") if live else "")
    if shadowed is not None and shadowed.beside is not None:
        shift.roll_back(target, shadowed.beside, patience, progress, withdraw=False)
        accepted(shift.settle(target, shadowed.beside, patience, progress))
    return tuple(removal.delete_config(target, config, patience) for config in configs)
