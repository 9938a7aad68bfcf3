"""The removal of resources, each with its outcome: those of a run, of a shift that failed, and those no longer needed.

The live endpoint config is never removed: the endpoint is looked at before each removal. Not here: the leftovers of dead runs
(``leftovers``).

Source: DeleteEndpoint, DeleteEndpointConfig and DeleteModel in the SageMaker API reference.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from botocore.exceptions import BotoCoreError, ClientError

from crossaccount.aws.access import Target
from crossaccount.errors import Conflict, Failed
from crossaccount.hosting import creation
from crossaccount.hosting.carriers import carrier
from crossaccount.hosting.gateway import (
    VERSION,
    VERSION_AND_ANY_HASH,
    Gateway,
    Listed,
    Patience,
    Progress,
    pending_config,
    silent,
)
from crossaccount.hosting.gateways import open_gateway
from crossaccount.hosting.requests import config_name
from crossaccount.hosting.resources import (
    KINDS,
    HostedResource,
    HostingKind,
    Removal,
    deployment_name,
    is_of_version,
    is_temporary,
    kinds_of,
)
from crossaccount.hosting.shift import claimed, when_calm
from crossaccount.hosting.state import LiveEndpoint, VersionConfig, list_configs, look, previous_of
from crossaccount.release.manifest import Release


def remove(target: Target, resources: Sequence[HostedResource], patience: Patience) -> tuple[Removal, ...]:
    """Remove the resources of a run, newest first; the fate of each. What an endpoint runs on goes while the endpoint does.

    A resource that is to stay is kept. One failure does not stop the rest; a resource that could not be removed is left.

    Args:
        target: the consumer's account.
        resources: in the order they were made.
        patience: how long to wait for an endpoint to be deletable and to be gone.
    """
    gateway = Gateway(target.sagemaker)
    removals = [_begin_removal(gateway, resource, patience) for resource in reversed(resources)]
    return tuple(
        _fate(each.kind, each.name, partial(_seen_gone, gateway, each.name, patience))
        if (each.kind, each.outcome) == ("endpoint", "removed")
        else each
        for each in removals
    )


def _begin_removal(gateway: Gateway, resource: HostedResource, patience: Patience) -> Removal:
    """The removal of a resource that does not stay; an endpoint's deletion is asked for, and what it needs goes meanwhile."""
    kind, name = resource.kind, resource.name
    if resource.keep:
        return Removal(kind, name, "kept")
    if kind == "endpoint":
        return _fate(kind, name, partial(gateway.request_deletion, name, patience))
    return delete(gateway, kind, name, patience)


def _seen_gone(gateway: Gateway, endpoint: str, patience: Patience) -> bool:
    gateway.see_gone(endpoint, patience)
    return True


def delete(
    gateway: Gateway,
    kind: HostingKind,
    name: str,
    patience: Patience,
    check: Callable[[], None] = lambda: None,
) -> Removal:
    """Delete one resource, and see an endpoint gone; a refusal makes it one that is left.

    Args:
        gateway: to the account.
        kind: of the resource.
        name: its name.
        patience: how long to wait for an endpoint.
        check: is called just before the deletion; any error of it but Failed, ClientError and BotoCoreError is raised.
    """

    def deleted() -> bool:
        if kind in ("endpoint", "inference-component"):
            return gateway.delete_endpoint(name, patience, check, kind)
        check()
        return gateway.delete(kind, name)

    return _fate(kind, name, deleted)


def _fate(kind: HostingKind, name: str, deleted: Callable[[], bool]) -> Removal:
    """The fate of a resource after a deletion, which gives whether there was one; a refusal makes it one that is left."""
    try:
        found = deleted()
    except (ClientError, Failed) as error:
        return Removal(kind, name, "left", str(error))
    except BotoCoreError as error:
        return Removal(kind, name, "left", f"AWS cannot be asked: {error}")
    return Removal(kind, name, "removed" if found else "gone")  # another run may have been faster


def find_unfinished(target: Target, release: Release, kind: HostingKind) -> HostedResource | None:
    """The resource that a creation left behind although it ended in an error; None when there is none of ours.

    Raises:
        Failed: when AWS refuses to be asked.
    """
    gateway, name = Gateway(target.sagemaker), deployment_name(target.consumer, release.version)
    try:
        description = gateway.describe(kind, name)
        if description is None:
            return None
        arn = gateway.arn(kind, description)
        return creation.take_over(target, kind, name, arn, release, keep=False)
    except Conflict:
        return None
    except (ClientError, BotoCoreError) as error:
        raise Failed(
            f"The {kind.replace('-', ' ')} {name} may have been made, which cannot be seen: {error}"
        ) from None


def discard(
    target: Target, release: Release, patience: Patience, progress: Progress = silent
) -> tuple[Removal, ...]:
    """Remove the resources of a shift that failed: a failed endpoint, the endpoint config, the model; the fate of each.

    A change that is under way is waited for first. A resource that is live, on its way to be, proven, or used by another
    endpoint config stays. One that cannot be removed is left.

    Raises:
        Conflict: when the endpoint is not this tool's.
        ClientError: when AWS refuses to be asked.
    """
    gateway, config = open_gateway(target), config_name(target.consumer, release)
    removals = list[Removal]()
    try:
        live = when_calm(target, patience, progress)
    except Failed as error:
        return (Removal(gateway.record, config, "left", str(error)),)
    if live is not None and live.status == "UpdateRollbackFailed":
        why = "the endpoint serves a mix of two versions, and a part of it may run on this"
        return (Removal(gateway.record, config, "kept", why),)
    if live is not None and (live.status == "Failed" or (live.config is None and carrier(target).is_idle())):
        removals.append(delete(gateway, "endpoint", live.endpoint, patience))
    configs = list_configs(target)
    for known in configs:
        if known.config == config and known.proven:
            removals.append(Removal(gateway.record, config, "kept", "it proved itself"))
        elif known.config == config:
            removals.append(delete_config(target, config, patience))
    removals += _delete_models(target, patience, _shadows(configs, ()), only=release.version)
    return (*removals, *_delete_unused(target, patience))


def retire(
    target: Target, patience: Patience, trials: bool = True, live: LiveEndpoint | None = None
) -> tuple[Removal, ...]:
    """Remove the resources that the endpoint no longer needs; the fate of each, also of those that stay.

    Kept are the live endpoint config, the one that the endpoint moves to, the previous one that proved itself, the last of
    each of the ``keep_versions`` versions that proved themselves before, and the models of all of these. Temporary endpoints
    that a run left when it died go too, with ``trials``. Only resources with this tool's tags, under this endpoint's names, are
    ever removed: artifacts, images and packages never are.

    Args:
        target: the consumer's account.
        patience: how long to wait for each endpoint.
        trials: whether the temporary endpoints go too.
        live: the endpoint, if it was just read; it is looked at again before an endpoint config is removed.

    Raises:
        Conflict: when the endpoint is not this tool's.
        ClientError: when AWS refuses to be asked.
    """
    gateway = open_gateway(target)
    live = live or look(target)
    if live is not None:
        claimed(live)
    listed = _endpoint_configs(target)
    removals = remove(target, tuple(_trials(target, listed)), patience) if trials else ()
    of_endpoint = [each for each in listed if each.name != deployment_name(target.consumer, each.version)]
    configs = list_configs(target, live, of_endpoint if gateway.record == "endpoint-config" else None)
    reasons = reasons_to_keep(live, configs, target.consumer.endpoint.keep_versions)
    of_configs = [
        Removal(gateway.record, config.config, "kept", reasons[config.config])
        if config.config in reasons
        else delete_config(target, config.config, patience)
        for config in configs
    ]
    gone = {each.name for each in (*removals, *of_configs) if each.outcome in ("removed", "gone")}
    used = {each.version for each in listed if each.name not in gone}
    of_models = _delete_models(target, patience, _shadows(configs, of_configs), used=used)
    return (*removals, *of_configs, *of_models, *_delete_unused(target, patience))


def _endpoint_configs(target: Target) -> list[Listed]:
    """The endpoint configs of versions and of trials."""
    gateway = Gateway(target.sagemaker)
    return list(gateway.list("endpoint-config", target.consumer.endpoint.name, VERSION_AND_ANY_HASH))


def _shadows(configs: Sequence[VersionConfig], removals: Sequence[Removal]) -> set[int | None]:
    """The versions that a shadow variant of a remaining endpoint config has."""
    removed = {removal.name for removal in removals if removal.outcome in ("removed", "gone")}
    return {config.shadow for config in configs if config.config not in removed}


def take_down(target: Target, patience: Patience, progress: Progress = silent) -> Removal:
    """Remove an endpoint whose version never proved itself, such as one whose first version answered wrong.

    A change that is under way is waited for first. An endpoint that proved itself stays: `shift.roll_back` moves it. Its model
    and endpoint config are removed by `discard`.

    Raises:
        Conflict: when it is not this tool's.
        ClientError: when AWS refuses to be asked.
    """
    name = target.consumer.endpoint.name
    try:
        live = when_calm(target, patience, progress)
    except Failed as error:
        return Removal("endpoint", name, "left", str(error))
    if live is not None and live.proven:
        return Removal("endpoint", name, "kept", f"{live.config} proved itself")
    return delete(open_gateway(target), "endpoint", name, patience)


def end_trials(target: Target, patience: Patience, only: int | None = None) -> tuple[Removal, ...]:
    """Remove the endpoints and endpoint configs of trials, also of a trial that failed to begin; their models stay.

    A resource that somebody deployed to keep, by the same name, stays.

    Args:
        target: the consumer's account.
        patience: how long to wait for each endpoint.
        only: the version whose trial to remove; None is all.

    Raises:
        ClientError: when AWS refuses to be asked.
    """
    listed = [each for each in _endpoint_configs(target) if only in (None, each.version)]
    return remove(target, tuple(_trials(target, listed)), patience)


def _trials(target: Target, endpoint_configs: Iterable[Listed]) -> Iterator[HostedResource]:
    gateway, kinds = Gateway(target.sagemaker), set(kinds_of(target.consumer)) - {"endpoint-config"}
    if open_gateway(target).record != "model":  # a trial's model is then that of the version, which may stay
        kinds -= {"model"}
    for listed in endpoint_configs:
        if listed.name != deployment_name(target.consumer, listed.version):
            continue
        arns: dict[HostingKind, str] = {"endpoint-config": listed.arn}
        for kind in kinds:
            if (description := gateway.describe(kind, listed.name)) is not None:
                arns[kind] = gateway.arn(kind, description)
        in_order = ((kind, arns[kind]) for kind in KINDS if kind in arns)
        for kind, arn in in_order:
            tags = gateway.tags(arn)
            if is_of_version(tags, listed.version) and is_temporary(tags):
                yield HostedResource(kind, listed.name, arn, reused=True, keep=False)


def reasons_to_keep(
    live: LiveEndpoint | None, configs: Sequence[VersionConfig], versions: int
) -> dict[str, str]:
    """The endpoint configs that stay, each with the reason."""
    before = previous_of(live, configs)
    lasting: dict[int, str] = {}
    for config in configs:
        if config.proven and (live is None or config.version != live.version) and len(lasting) < versions:
            lasting.setdefault(config.version, config.config)
    reasons = dict.fromkeys(lasting.values(), f"one of the last {versions} versions that proved themselves")
    reasons |= {before.config: "the previous one that proved itself"} if before else {}
    reasons |= {live.pending: "the endpoint moves to it"} if live and live.pending else {}
    reasons |= {live.beside: "the live version has it without a shadow"} if live and live.beside else {}
    reasons |= {live.config: "it is live"} if live and live.config else {}
    return reasons


def delete_config(target: Target, config: str, patience: Patience) -> Removal:
    """Delete an endpoint config, unless the endpoint serves it or moves to it."""
    gateway = open_gateway(target)
    now = gateway.describe("endpoint", target.consumer.endpoint.name) or {}
    if config in (now.get("EndpointConfigName"), pending_config(now)):
        return Removal(gateway.record, config, "kept", "it is live")
    return delete(gateway, gateway.record, config, patience)


def _delete_unused(target: Target, patience: Patience) -> Iterator[Removal]:
    """Remove what no version is in and the endpoint does not need."""
    for kind, name in carrier(target).unused():
        yield delete(Gateway(target.sagemaker), kind, name, patience)


def _delete_models(
    target: Target,
    patience: Patience,
    shadows: set[int | None],
    only: int | None = None,
    used: set[int] | None = None,
) -> Iterator[Removal]:
    """Remove the models that no endpoint config under this endpoint's names uses, nor a shadow variant.

    ``used`` are the versions that endpoint configs use, as far as that was just seen; before a model goes it is seen again.
    """
    gateway, endpoint, is_fresh = Gateway(target.sagemaker), target.consumer.endpoint.name, False
    for model in tuple(gateway.list("model", endpoint, VERSION)):
        if only not in (None, model.version) or not is_of_version(gateway.tags(model.arn), model.version):
            continue
        if not is_fresh and (used is None or model.version not in {*used, *shadows}):
            used, is_fresh = {each.version for each in _endpoint_configs(target)}, True
        if model.version in {*(used or ()), *shadows}:
            yield Removal("model", model.name, "kept", "an endpoint config uses it")
        else:
            yield delete(gateway, "model", model.name, patience)
