"""S3 Control: Block Public Access of a whole account."""

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.wire import AwsError, Response
from crossaccount_sandbox.world import Handler, World

_SETTINGS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


def get_account_block(world: World, call: Call) -> Response:
    """GetPublicAccessBlock of an account; ``NoSuchPublicAccessBlockConfiguration`` (404) without one.

    Source: "GetPublicAccessBlock" of the S3 Control API.
    """
    settings = world.public_access.get(call.params["AccountId"])
    if settings is None:
        text = "The public access block configuration was not found"
        extra = {"AccountId": call.params["AccountId"]}
        raise AwsError("NoSuchPublicAccessBlockConfiguration", text, 404, extra)
    inner = "".join(f"<{name}>{str(value).lower()}</{name}>" for name, value in settings.items())
    text = f'<PublicAccessBlockConfiguration xmlns="http://awss3control.amazonaws.com/doc/2018-08-20/">{inner}</PublicAccessBlockConfiguration>'
    return Response(200, text.encode(), (("Content-Type", "application/xml"),))


def put_account_block(world: World, call: Call) -> Response:
    """PutPublicAccessBlock of an account: it holds for every bucket of it, whatever the bucket's own settings say.

    Source: "PutPublicAccessBlock" of the S3 Control API; a setting that is not named is off.
    """
    given = call.params["PublicAccessBlockConfiguration"]
    world.public_access[call.params["AccountId"]] = {name: bool(given.get(name)) for name in _SETTINGS}
    return Response(200, b"")


def delete_account_block(world: World, call: Call) -> Response:
    """DeletePublicAccessBlock of an account; none is no fault."""
    world.public_access.pop(call.params["AccountId"], None)
    return Response(204, b"")


HANDLERS: dict[str, Handler] = {
    "GetPublicAccessBlock": get_account_block,
    "PutPublicAccessBlock": put_account_block,
    "DeletePublicAccessBlock": delete_account_block,
}
