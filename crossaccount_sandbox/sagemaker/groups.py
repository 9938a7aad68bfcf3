"""Model package groups and their policies.

Not here: the packages in them (``packages``), and how a policy is kept (``attached``).
"""

from collections.abc import Iterator
from typing import Any

from crossaccount_sandbox.attached import compact, load, named_principals, statements
from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.handlers import ram
from crossaccount_sandbox.resources import group_of
from crossaccount_sandbox.sagemaker.records import check_region, in_place, invalid, listed, shown
from crossaccount_sandbox.sagemaker.tags import tag
from crossaccount_sandbox.wire import AwsError, Response, json_response
from crossaccount_sandbox.world import Handler, Record, World

_ABSENT = "Cannot find Model Package Group: {}"  # what the operations on policies say


def find_group(world: World, call: Call, absent: str = "ModelPackageGroup {} does not exist.") -> Record:
    """The model package group that a call names, by name or ARN; ``absent`` is what is said when there is none."""
    arn, owner = group_of(call.params["ModelPackageGroupName"], call.region, call.account)
    check_region(arn, call)
    group = world.registry.groups.get(((owner, call.region), arn.rpartition("/")[2]))
    if group is None:
        raise invalid(absent.format(arn))
    return group


def create_group(world: World, call: Call) -> Response:
    """CreateModelPackageGroup."""
    name = call.params["ModelPackageGroupName"]
    arn, _ = group_of(name, call.region, call.account)
    if (call.place, name) in world.registry.groups:
        raise invalid(f"Model Package Group already exists: {arn}")
    world.registry.groups[(call.place, name)] = {
        "ModelPackageGroupName": name,
        "ModelPackageGroupArn": arn,
        "ModelPackageGroupDescription": call.params.get("ModelPackageGroupDescription"),
        "CreationTime": world.clock(),
        "CreatedBy": {},
        "ModelPackageGroupStatus": "Completed",
        "Last": 0,
    }
    tag(world, arn, call)
    return json_response({"ModelPackageGroupArn": arn})


def describe_group(world: World, call: Call) -> Response:
    """DescribeModelPackageGroup, by name or ARN."""
    return shown(call, find_group(world, call))


def list_groups(world: World, call: Call) -> Response:
    """ListModelPackageGroups of the caller's account, or of the others whose shares are promoted (AWS RAM)."""
    records = in_place(world.registry.groups, call)
    if call.params.get("CrossAccountFilterOption") == "CrossAccount":
        records = ram.discoverable_groups(world, call.account, call.region)
    return listed(call, "ModelPackageGroupSummaryList", records)


def delete_group(world: World, call: Call) -> Response:
    """DeleteModelPackageGroup; refused while it has versions."""
    group = find_group(world, call)
    arn = group["ModelPackageGroupArn"]
    if any(versions(world, arn)):
        raise invalid(f"Model Package Group is not empty: {arn}", "ConflictException")
    del world.registry.groups[(arn.split(":")[4], call.region), group["ModelPackageGroupName"]]
    world.attached.drop(("group", arn))
    world.registry.tags.pop(arn, None)
    return json_response({})


def put_group_policy(world: World, call: Call) -> Response:
    """PutModelPackageGroupPolicy.

    Raises:
        AwsError: ``ValidationException`` for a document that is none, that names a principal twice in a statement
            or one that does not exist, or a resource that is not this group's.
    """
    group = find_group(world, call, _ABSENT)
    arn = group["ModelPackageGroupArn"]
    document = load(call.params["ResourcePolicy"], _invalid_policy)
    for statement in statements(document):
        named = [_principal(name) for name in named_principals(statement)]
        if len(named) != len(set(named)):
            raise _invalid_policy("Duplicate principal")
        resources = statement.get("Resource", [])
        for resource in [resources] if isinstance(resources, str) else resources:
            if resource != arn and not resource.startswith(versions_prefix(arn)):
                raise _invalid_policy(f"Resource {resource} is not {arn} or one of its model packages")
    text = call.params["ResourcePolicy"]
    world.attached.put(("group", arn), text, lambda name: _invalid_policy(f"Invalid principal {name}"))
    return json_response({"ModelPackageGroupArn": arn})


def get_group_policy(world: World, call: Call) -> Response:
    """GetModelPackageGroupPolicy."""
    return json_response({"ResourcePolicy": compact(_policy(world, call)[1])})


def delete_group_policy(world: World, call: Call) -> Response:
    """DeleteModelPackageGroupPolicy."""
    world.attached.drop(("group", _policy(world, call)[0]))
    return json_response({})


def _policy(world: World, call: Call) -> tuple[str, dict[str, Any]]:
    arn = find_group(world, call, _ABSENT)["ModelPackageGroupArn"]
    document = world.attached.get(("group", arn))
    if document is None:
        raise invalid(f"Cannot find resource policy for: {arn}")
    return arn, document


def _invalid_policy(why: str) -> AwsError:
    return invalid(f"Invalid policy provided: {why}")


def _principal(name: str) -> str:
    """A principal as policies compare it: an account's number stands for its root."""
    return f"arn:aws:iam::{name}:root" if name.isdigit() else name


def versions_prefix(group_arn: str) -> str:
    """What the ARN of every version in a group begins with."""
    return group_arn.replace(":model-package-group/", ":model-package/") + "/"


def versions(world: World, group_arn: str) -> Iterator[Record]:
    """The records of a group's versions."""
    prefix = versions_prefix(group_arn)
    return (record for arn, record in world.registry.packages.items() if arn.startswith(prefix))


HANDLERS: dict[str, Handler] = {
    "CreateModelPackageGroup": create_group,
    "DescribeModelPackageGroup": describe_group,
    "ListModelPackageGroups": list_groups,
    "DeleteModelPackageGroup": delete_group,
    "PutModelPackageGroupPolicy": put_group_policy,
    "GetModelPackageGroupPolicy": get_group_policy,
    "DeleteModelPackageGroupPolicy": delete_group_policy,
}
