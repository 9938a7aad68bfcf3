"""Whether the quotas of an account reach for the instances that a deployment or a shift brings up, told before it begins.

The quota of an instance type is ``TYPE for endpoint usage``. What could not be asked is said: it is no yes and no no. Not here: quotas
of other resources than instances behind endpoints, and asking for more.

Source: ListServiceQuotas ("For some quotas, only the default values are available") and ListAWSDefaultServiceQuotas in the Service
Quotas API reference; ProductionVariantSummary and PendingDeploymentSummary in the SageMaker API reference; "Blue/Green Deployments"
and "Rolling Deployments" in the SageMaker developer guide for what comes up beside what runs.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from crossaccount import parallel
from crossaccount.aws.access import Target
from crossaccount.aws.endpoint_status import GONE
from crossaccount.aws.operations import action_of
from crossaccount.aws.refusals import is_denied
from crossaccount.config.kinds import COMPONENTS
from crossaccount.config.model import ConsumerConfig
from crossaccount.errors import Failed
from crossaccount.hosting.gateway import MOST_LISTED, Description, Gateway
from crossaccount.hosting.requests import config_name
from crossaccount.hosting.resources import deployment_name
from crossaccount.hosting.state import LiveEndpoint
from crossaccount.release.manifest import Release
from crossaccount.text import first_line

_SERVICE = "sagemaker"
_SAID = 3  # endpoints that could not be looked at and are named


@dataclass(frozen=True)
class Need:
    """Instances that come up beside those that run.

    Args:
        what: needs them, as in "the shift".
        types: their type, or several in the order in which SageMaker tries them.
        count: how many, of one of the types.
    """

    what: str
    types: tuple[str, ...]
    count: int


@dataclass(frozen=True)
class Use:
    """The instances behind the endpoints of an account, by type; ``unseen`` are the endpoints that were not counted, or not all of them.

    ``endpoints`` are those that run on something, or may; ``lacks`` the permissions that were refused on the way.
    """

    running: Mapping[str, int]
    unseen: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Foresight:
    """What of the needs the quotas do not reach for, and what cannot be told, each in a line; ``lacks`` are permissions that would tell it."""

    short: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()


def of_promotion(target: Target, release: Release, live: LiveEndpoint | None) -> tuple[Need, ...]:
    """What a promotion needs, see `promotion_needs`.

    Raises:
        ClientError: AWS's refusal to describe the endpoint config.
    """
    has_config = live is not None and live.config is not None
    before = Gateway(target.sagemaker).describe("endpoint-config", live.config or "") if has_config else None  # type: ignore[union-attr]
    return promotion_needs(target.consumer, live, before, config_name(target.consumer, release))


def promotion_needs(
    consumer: ConsumerConfig, live: LiveEndpoint | None, before: Description | None, config: str
) -> tuple[Need, ...]:
    """What a promotion needs: its trial or its shadow, and then its shift; both are gone before that.

    With nothing to stand beside, a trial takes the shadow's place.

    Args:
        consumer: of the config.
        live: the endpoint as it is; None when there is none.
        before: the endpoint config that it has; None when it has none.
        config: the name of the one that it is to get.
    """
    endpoint, needs = consumer.endpoint, list[Need]()
    types, runs = endpoint.instance_types, live is not None and live.status not in GONE
    if not types:
        return ()
    if consumer.smoke_mode in ("before", "both") or (consumer.smoke_mode == "shadow" and not runs):
        needs.append(Need("the trial", types, 1))
    if runs and endpoint.hosting_kind == COMPONENTS:
        return tuple(needs)  # a component moves within the instances that run
    shadowed = consumer.smoke_mode == "shadow" and runs
    beside = (consumer.shadow.instance_count if consumer.shadow else 1) if shadowed else 0
    if shadowed and live is not None:
        needs.append(Need("the shadow", types, live.instances + beside))
    if live is None or config not in (live.config, live.pending):
        count = _kept_count(consumer, live, before) if runs else endpoint.instance_count
        needs.append(Need("the shift", types, _coming_up(consumer, count, runs)))
    return tuple(needs)


def _kept_count(consumer: ConsumerConfig, live: LiveEndpoint | None, before: Description | None) -> int:
    """The number of instances after the shift: RetainAllVariantProperties keeps one that the config has not changed."""
    wanted, variants = consumer.endpoint.instance_count, (before or {}).get("ProductionVariants") or [{}]
    keeps = consumer.endpoint.retain_variant_properties and variants[0].get("InitialInstanceCount") == wanted
    return live.instances if live is not None and keeps and live.instances else wanted


def _coming_up(consumer: ConsumerConfig, count: int, runs: bool) -> int:
    """A batch of whole instances in a rolling deployment, else a fleet beside the one that runs."""
    moves = consumer.endpoint.deployment
    if moves.type != "rolling" or moves.batch_percent is None or not runs:
        return count
    return max(1, count * moves.batch_percent // 100)


def check(target: Target, needs: Sequence[Need], unless: str = "") -> tuple[str, ...]:
    """See that the quotas reach; what cannot be told of it, each in a line. Takes ``unless`` as `foresee` does.

    Raises:
        Failed: when one does not.
    """
    seen = foresee(target, needs, unless)
    if seen.short:
        raise Failed(
            f"Account {target.account} has not enough quota in {target.region}: {'; '.join(seen.short)}. {WAY_OUT} Nothing was created."
        )
    return seen.doubts


def check_deployment(target: Target, release: Release) -> tuple[str, ...]:
    """As `check`, for the endpoint NAME-vN, which needs nothing where an earlier run has made it.

    Raises:
        Failed: when a quota does not reach.
    """
    endpoint = target.consumer.endpoint
    types = endpoint.instance_types
    needs = [Need("the deployment", types, endpoint.instance_count)] if types else []
    return check(target, needs, unless=deployment_name(target.consumer, release.version))


WAY_OUT = "Ask for more in Service Quotas there, remove endpoints, or choose another endpoint.instance_type or instance_count."


def foresee(target: Target, needs: Sequence[Need], unless: str = "") -> Foresight:
    """Whether the account's quotas reach for each of the needs, one after the other.

    Args:
        target: the consumer's account.
        needs: none is no question.
        unless: the endpoint that the needs are for; nothing is needed where it is there, unless it runs on nothing any more.
    """
    if not needs:
        return Foresight()
    where = f"account {target.account} in {target.region}"
    if target.consumer.endpoint.capacity_reservation is not None:
        text = f"Whether the quotas of {where} reach cannot be told: AWS does not say how it counts instances of a reservation."
        return Foresight(doubts=(text,))
    names = {quota_name(each) for need in needs for each in need.types}
    try:
        quotas, use = parallel.run_both(partial(_quotas, target, names), partial(_use, target))
    except (ClientError, BotoCoreError) as error:
        doubt = f"Whether the quotas of {where} reach cannot be told: {first_line(error)}"
        return Foresight(doubts=(doubt,), lacks=_refused(error))
    return Foresight() if unless in use.endpoints else judged(needs, quotas, use)


def quota_name(instance_type: str) -> str:
    """The name of the quota of an instance type behind endpoints, as Service Quotas has it."""
    return f"{instance_type} for endpoint usage"


def judged(needs: Sequence[Need], quotas: Mapping[str, float], use: Use) -> Foresight:
    """The foresight from the quotas by their names, and what is used of them."""
    short, doubts = list[str](), list[str]()
    for need in needs:
        missing = [_missing(need, each, quotas, use) for each in need.types]
        lines = [_line(need, each, quotas, use) for each in need.types]
        if all(each is not None and each > 0 for each in missing):
            short += lines
        elif missing[0] is None:
            name = quota_name(need.types[0])
            doubts.append(
                f"Whether the quota reaches for {need.what} cannot be told: Service Quotas shows no {name}."
            )
        elif missing[0] > 0:
            doubts.append(
                f"Whether the quota reaches for {need.what} cannot be told: {lines[0]}; AWS does not say whether it then tries the next pool."
            )
        elif use.unseen:
            doubts.append(
                f"Whether the quota reaches for {need.what} cannot be told: {_free(need, quotas, use)}, without {_named(use.unseen)}."
            )
    return Foresight(
        tuple(dict.fromkeys(short)), tuple(dict.fromkeys(doubts)), use.lacks if doubts and use.unseen else ()
    )


def _refused(error: Exception) -> tuple[str, ...]:
    """The permission that AWS refused; none for another error."""
    return (action_of(error),) if isinstance(error, ClientError) and is_denied(error) else ()


def _missing(need: Need, instance_type: str, quotas: Mapping[str, float], use: Use) -> int | None:
    """How many instances of a type are missing for a need, none where it is 0 or less; None when the quota is not known."""
    quota = quotas.get(quota_name(instance_type))
    return None if quota is None else need.count - (int(quota) - use.running.get(instance_type, 0))


def _line(need: Need, instance_type: str, quotas: Mapping[str, float], use: Use) -> str:
    missing, name = _missing(need, instance_type, quotas, use), quota_name(instance_type)
    if missing is None:
        return f"{name} is not known"
    runs = use.running.get(instance_type, 0)
    at_least = "at least " if use.unseen else ""
    return f"short by {at_least}{missing}: {name} is {int(quotas[name])}, {at_least}{runs} run, {need.what} needs {need.count} more"


def _free(need: Need, quotas: Mapping[str, float], use: Use) -> str:
    name = quota_name(need.types[0])
    return (
        f"{name} is {int(quotas[name])}, {use.running.get(need.types[0], 0)} run, it needs {need.count} more"
    )


def _named(endpoints: Sequence[str]) -> str:
    rest = len(endpoints) - _SAID
    more = f" and {rest} more" if rest > 0 else ""
    return f"{', '.join(endpoints[:_SAID])}{more}, which could not be counted"


def _quotas(target: Target, names: Iterable[str]) -> dict[str, float]:
    """The quotas of these names: those that are applied, and AWS's defaults of those of which there is none."""
    client, found, wanted = target.client("service-quotas"), dict[str, float](), set(names)
    for operation in ("list_service_quotas", "list_aws_default_service_quotas"):
        for page in client.get_paginator(operation).paginate(ServiceCode=_SERVICE):
            found |= {
                quota["QuotaName"]: quota["Value"]
                for quota in page["Quotas"]
                if quota.get("QuotaName") in wanted - found.keys() and "Value" in quota
            }
            if wanted <= found.keys():
                return found
    return found


def _use(target: Target) -> Use:
    pages = target.sagemaker.get_paginator("list_endpoints").paginate(
        PaginationConfig={"PageSize": MOST_LISTED}
    )
    statuses = {
        listed["EndpointName"]: listed["EndpointStatus"] for page in pages for listed in page["Endpoints"]
    }
    names = [name for name, status in statuses.items() if status != "Failed"]
    gateway, running, unseen, lacks = Gateway(target.sagemaker), Counter[str](), list[str](), set[str]()
    counted = parallel.run_all([partial(_counted, gateway, name) for name in names])
    for name, (counts, is_whole, refused) in zip(names, counted, strict=True):
        running.update(counts)
        unseen += [] if is_whole else [name]
        lacks.update(refused)
    standing = tuple(name for name, status in statuses.items() if status not in GONE)
    return Use(running, tuple(unseen), standing, tuple(sorted(lacks)))


def _counted(gateway: Gateway, name: str) -> tuple[Counter[str], bool, tuple[str, ...]]:
    """The instances behind an endpoint, by type; whether these are all of them; and the permission that was refused."""
    try:
        description = gateway.describe("endpoint", name)
        if description is None:
            return Counter(), True, ()
        config = gateway.describe("endpoint-config", description["EndpointConfigName"])
    except (ClientError, BotoCoreError) as error:
        return Counter(), False, _refused(error)
    of_config = {each["VariantName"]: each for each in _variants(config or {})}
    counts, is_whole = Counter[str](), True
    for variant in _variants(description):
        by_type = dict(_by_type(variant, of_config.get(variant["VariantName"], {}), "CurrentInstanceCount"))
        is_whole = is_whole and None not in by_type
        counts.update({each: count for each, count in by_type.items() if each})
    if (pending := description.get("PendingDeploymentSummary")) is not None:
        creating = description["EndpointStatus"] == "Creating"
        for variant in _variants(pending):
            member = "DesiredInstanceCount" if creating else "CurrentInstanceCount"
            by_type = dict(_by_type(variant, variant, member))
            is_whole = is_whole and creating and None not in by_type
            counts.update({each: count for each, count in by_type.items() if each})
    return counts, is_whole, ()


def _variants(of: Mapping[str, Any]) -> list[Any]:
    return [*(of.get("ProductionVariants") or ()), *(of.get("ShadowProductionVariants") or ())]


def _by_type(
    variant: Mapping[str, Any], given: Mapping[str, Any], member: str
) -> Iterator[tuple[str | None, int]]:
    """The instances of a variant by type; a type of None is one that is not told."""
    pools, count = variant.get("InstancePools") or [], variant.get(member, 0)
    for pool in pools:
        yield pool["InstanceType"], pool["CurrentInstanceCount"]
    rest = count - sum(pool["CurrentInstanceCount"] for pool in pools)
    if rest > 0:
        yield given.get("InstanceType"), rest
