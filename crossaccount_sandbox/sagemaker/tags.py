"""Tags of SageMaker's resources."""

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.wire import Response, json_response
from crossaccount_sandbox.world import Handler, World


def tag(world: World, arn: str, call: Call) -> None:
    """Keep the tags that a call gives a resource."""
    if tags := call.params.get("Tags"):
        world.registry.tags.setdefault(arn, {}).update({tag["Key"]: tag["Value"] for tag in tags})


def _tags_of(world: World, call: Call) -> dict[str, str]:
    return world.registry.tags.get(call.params["ResourceArn"], {})


def add_tags(world: World, call: Call) -> Response:
    """AddTags."""
    tag(world, call.params["ResourceArn"], call)
    return list_tags(world, call)


def list_tags(world: World, call: Call) -> Response:
    """ListTags."""
    tags = [{"Key": key, "Value": value} for key, value in _tags_of(world, call).items()]
    return json_response({"Tags": tags})


def delete_tags(world: World, call: Call) -> Response:
    """DeleteTags."""
    for key in call.params["TagKeys"]:
        _tags_of(world, call).pop(key, None)
    return json_response({})


HANDLERS: dict[str, Handler] = {
    "AddTags": add_tags,
    "ListTags": list_tags,
    "DeleteTags": delete_tags,
}
