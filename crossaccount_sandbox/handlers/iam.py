"""IAM: trust policies that name living principals only. Not here: the simulation of policies (``simulation``)."""

from crossaccount_sandbox.attached import load
from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.wire import AwsError, Response
from crossaccount_sandbox.world import Handler, World


def check_trust(world: World, call: Call) -> Response:
    """CreateRole and UpdateAssumeRolePolicy: every principal of a trust policy must exist; ``MalformedPolicyDocument``."""
    text = call.params.get("AssumeRolePolicyDocument") or call.params.get("PolicyDocument") or ""
    document = load(text, lambda why: _malformed(f"The trust policy cannot be used: {why}"))
    unknown = 'Invalid principal in policy: "AWS":"{}"'
    world.attached.check_principals(document, lambda name: _malformed(unknown.format(name)))
    return call.forward(call.account)


def _malformed(text: str) -> AwsError:
    return AwsError("MalformedPolicyDocument", text)


HANDLERS: dict[str, Handler] = {
    "CreateRole": check_trust,
    "UpdateAssumeRolePolicy": check_trust,
}
