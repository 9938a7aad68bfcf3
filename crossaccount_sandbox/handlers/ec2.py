"""Amazon EC2: the default VPC of each account and region with its subnets, which are all that there is, to be read.

Source: "Default VPCs" in the Amazon VPC user guide for what there is in one; DescribeVpcs and DescribeSubnets in the Amazon EC2 API
reference; texts of errors from recordings of EC2 by localstack.
"""

import hashlib
from typing import Any

from crossaccount_sandbox.answers import result
from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.wire import AwsError, Response
from crossaccount_sandbox.world import Handler, Place, World

_ZONES = ("a", "b", "c")


def _number(*parts: str) -> str:
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:17]


def vpc_id(place: Place) -> str:
    """The id of the default VPC of an account and region."""
    return f"vpc-{_number(*place)}"


def subnet_ids(place: Place) -> list[str]:
    """The ids of its subnets, one for each Availability Zone."""
    return [f"subnet-{_number(*place, zone)}" for zone in _ZONES]


def describe_vpcs(world: World, call: Call) -> Response:
    """DescribeVpcs, by ids and by the filters ``isDefault``, ``is-default`` and ``vpc-id``."""
    vpc = {
        "VpcId": vpc_id(call.place),
        "OwnerId": call.account,
        "State": "available",
        "CidrBlock": "172.31.0.0/16",
        "InstanceTenancy": "default",
        "IsDefault": True,
    }
    fields = {"isDefault": "true", "is-default": "true", "vpc-id": vpc["VpcId"]}
    return result(call, {"Vpcs": _found(call, "VpcIds", "vpc", [(str(vpc["VpcId"]), vpc, fields)])})


def describe_subnets(world: World, call: Call) -> Response:
    """DescribeSubnets, by ids and by the filters ``vpc-id`` and ``subnet-id``."""
    listed = [
        (
            subnet,
            {
                "SubnetId": subnet,
                "SubnetArn": f"arn:aws:ec2:{call.region}:{call.account}:subnet/{subnet}",
                "VpcId": vpc_id(call.place),
                "OwnerId": call.account,
                "State": "available",
                "CidrBlock": f"172.31.{16 * index}.0/20",
                "AvailabilityZone": f"{call.region}{_ZONES[index]}",
                "AvailableIpAddressCount": 4091,
                "DefaultForAz": True,
                "MapPublicIpOnLaunch": True,
            },
            {"vpc-id": vpc_id(call.place), "subnet-id": subnet},
        )
        for index, subnet in enumerate(subnet_ids(call.place))
    ]
    return result(call, {"Subnets": _found(call, "SubnetIds", "subnet", listed)})


def _found(
    call: Call, ids: str, kind: str, listed: list[tuple[str, dict[str, Any], dict[str, Any]]]
) -> list[dict[str, Any]]:
    """What fits a request's ids and filters.

    Raises:
        AwsError: ``InvalidVpcID.NotFound`` and its like; ``InvalidParameterValue`` for a filter that is not known here.
    """
    wanted = [str(each) for each in call.params.get(ids) or ()]
    there = {each for each, _, _ in listed}
    if missing := [each for each in wanted if each not in there]:
        code = f"Invalid{kind.capitalize()}ID.NotFound"
        raise AwsError(code, f"The {kind} ID '{missing[0]}' does not exist")
    found = [(shown, fields) for each, shown, fields in listed if not wanted or each in wanted]
    for asked in call.params.get("Filters") or ():
        name, values = str(asked.get("Name")), asked.get("Values") or ()
        if name not in listed[0][2]:
            raise AwsError("InvalidParameterValue", f"The filter '{name}' is invalid")
        found = [(shown, fields) for shown, fields in found if fields[name] in values]
    return [shown for shown, _ in found]


HANDLERS: dict[str, Handler] = {"DescribeSubnets": describe_subnets, "DescribeVpcs": describe_vpcs}
