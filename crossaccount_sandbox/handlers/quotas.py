"""Service Quotas, as far as SageMaker's instances behind endpoints go: an account's quotas, and what of them endpoints use.

Each instance type has a quota ``TYPE for endpoint usage`` of 10,000 instances in each region until another value is arranged (``control``).
Requests for more and every other quota are not modelled.

Source: the Service Quotas API reference; names of quotas and the text of the refusal as public reports quote them. How AWS counts an
update is not documented: here it claims what comes up beside what runs, and of pools the first whose quota reaches.
"""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from moto.core.utils import get_service_model

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.wire import AwsError, Response, json_response
from crossaccount_sandbox.world import Handler, Place, Record, World

DEFAULT = 10_000.0  # more than anybody rehearses with
_SERVICE, _PAGE = "sagemaker", 100


def quota_name(instance_type: str) -> str:
    """The name of the quota of an instance type behind endpoints."""
    return f"{instance_type} for endpoint usage"


@cache
def _names() -> dict[str, str]:
    """The names of all quotas, by their codes."""
    types = get_service_model(_SERVICE).shape_for("ProductionVariantInstanceType").metadata["enum"]
    names = map(quota_name, types)
    return {f"L-{hashlib.sha256(name.encode()).hexdigest()[:8].upper()}": name for name in names}


def arrange(world: World, account: str, name: str, value: float | None) -> None:
    """Give an account another quota, in every region.

    Args:
        world: where it is kept.
        account: 12 digits.
        name: the quota's.
        value: how many instances; None shows no applied value of it, so that AWS's default counts.

    Raises:
        ValueError: for an account, a quota or a value that is none.
    """
    if account not in world.accounts:
        raise ValueError(f"{account} is no account of the sandbox")
    if name not in _names().values():
        raise ValueError(
            f"{name!r} is no quota here; the quotas are called as in 'ml.m5.large for endpoint usage'"
        )
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or value < 0):
        raise ValueError(f"value is a number of instances or null, not {value!r}")
    world.quotas[account, name] = value


def claim(world: World, place: Place, needs: Sequence[tuple[Sequence[str], int]]) -> dict[str, int]:
    """What an endpoint claims of the quotas, by instance type.

    Args:
        world: where the quotas and the endpoints are.
        place: account and region.
        needs: for each variant the instance types in the order in which they are tried, and how many more instances it needs.

    Raises:
        AwsError: ``ResourceLimitExceeded`` where a quota does not reach.
    """
    claimed: dict[str, int] = {}
    for types, count in needs:
        if types and count > 0:
            fitting = [each for each in types if _left(world, place, each) - claimed.get(each, 0) >= count]
            if not fitting:
                raise _exceeded(world, place, types[0], count)
            claimed[fitting[0]] = claimed.get(fitting[0], 0) + count
    return claimed


def _value(world: World, account: str, name: str) -> float:
    value = world.quotas.get((account, name))
    return DEFAULT if value is None else value


def _left(world: World, place: Place, instance_type: str) -> float:
    return _value(world, place[0], quota_name(instance_type)) - used(world, place, instance_type)


def used(world: World, place: Place, instance_type: str) -> int:
    """How many instances of a type endpoints have, or are being given."""
    records = [record for (of, _), record in world.endpoints.items() if of == place]
    return sum(_used_by(record).get(instance_type, 0) for record in records)


def _used_by(record: Record) -> dict[str, int]:
    pending = "PendingDeploymentSummary" in record
    counts: dict[str, int] = dict(record.get("Claimed") or {}) if pending else {}
    for fleet in record["fleets"]:
        types = {
            given["VariantName"]: given.get("InstanceType") for given in fleet.config["ProductionVariants"]
        }
        for variant in fleet.variants:
            single = [{**variant, "InstanceType": types[variant["VariantName"]]}]
            for each in variant.get("InstancePools") or single:
                if kind := each["InstanceType"]:
                    counts[kind] = counts.get(kind, 0) + each["CurrentInstanceCount"]
    return counts


def _exceeded(world: World, place: Place, instance_type: str, count: int) -> AwsError:
    name = quota_name(instance_type)
    text = (
        f"The account-level service limit '{name}' is {_value(world, place[0], name):.0f} Instances, with current utilization of "
        f"{used(world, place, instance_type)} Instances and a request delta of {count} Instances. Please use AWS Service Quotas to "
        "request an increase for this quota. If AWS Service Quotas is not available, contact AWS support to request an increase for "
        "this quota."
    )
    return AwsError("ResourceLimitExceeded", text)


def _shown(call: Call, code: str, name: str, value: float) -> dict[str, Any]:
    return {
        "ServiceCode": _SERVICE,
        "ServiceName": "Amazon SageMaker",
        "QuotaArn": f"arn:aws:servicequotas:{call.region}:{call.account}:{_SERVICE}/{code}",
        "QuotaCode": code,
        "QuotaName": name,
        "Value": value,
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
        "QuotaAppliedAtLevel": "ACCOUNT",
    }


def _missing() -> AwsError:
    return AwsError(
        "NoSuchResourceException", "The request failed because the specified quota or service does not exist."
    )


def _applied(world: World, call: Call) -> dict[str, Mapping[str, Any]]:
    if call.params["ServiceCode"] != _SERVICE:
        raise _missing()
    return {
        code: _shown(call, code, name, _value(world, call.account, name))
        for code, name in _names().items()
        if world.quotas.get((call.account, name), DEFAULT) is not None
    }


def _defaults(world: World, call: Call) -> dict[str, Mapping[str, Any]]:
    if call.params["ServiceCode"] != _SERVICE:
        raise _missing()
    return {code: _shown(call, code, name, DEFAULT) for code, name in _names().items()}


_SOURCES = {
    **dict.fromkeys(("ListServiceQuotas", "GetServiceQuota"), _applied),
    **dict.fromkeys(("ListAWSDefaultServiceQuotas", "GetAWSDefaultServiceQuota"), _defaults),
}


def list_quotas(world: World, call: Call) -> Response:
    """ListServiceQuotas and ListAWSDefaultServiceQuotas, a hundred at a time unless fewer are asked for.

    Raises:
        AwsError: ``NoSuchResourceException`` for another service, ``InvalidPaginationTokenException`` for a token that is none.
    """
    quotas = _SOURCES[call.operation](world, call)
    wanted = [quota for code, quota in quotas.items() if call.params.get("QuotaCode") in (None, code)]
    token = call.params.get("NextToken") or "0"
    if not token.isdecimal():
        raise AwsError("InvalidPaginationTokenException", "Invalid input was provided.")
    start, size = int(token), int(call.params.get("MaxResults") or _PAGE)
    more = {"NextToken": str(start + size)} if start + size < len(wanted) else {}
    return json_response({"Quotas": wanted[start : start + size], **more})


def get_quota(world: World, call: Call) -> Response:
    """GetServiceQuota and GetAWSDefaultServiceQuota, by the quota's code.

    Raises:
        AwsError: ``NoSuchResourceException`` for one that is not there.
    """
    quota = _SOURCES[call.operation](world, call).get(call.params["QuotaCode"])
    if quota is None:
        raise _missing()
    return json_response({"Quota": quota})


HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(("ListServiceQuotas", "ListAWSDefaultServiceQuotas"), list_quotas),
    **dict.fromkeys(("GetServiceQuota", "GetAWSDefaultServiceQuota"), get_quota),
}
