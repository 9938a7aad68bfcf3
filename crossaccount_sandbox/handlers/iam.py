"""IAM: trust policies that name living principals only, and the simulation of a role's policies."""

from xml.sax.saxutils import escape

from crossaccount_sandbox.attached import load
from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.judging.decision import Result, judge
from crossaccount_sandbox.judging.request import Policies, Request
from crossaccount_sandbox.principals import boundary_documents, find_role, identity_documents
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


def simulate_principal_policy(world: World, call: Call) -> Response:
    """SimulatePrincipalPolicy of a role: what its own policies say of each action on each resource.

    As in AWS, policies of the resources play no part in it.

    Raises:
        AwsError: ``NoSuchEntity`` for a role that does not exist.
    """
    arn = call.params["PolicySourceArn"]
    if find_role(arn) is None:
        raise AwsError("NoSuchEntity", f"The role {arn} cannot be found.", 404)
    # The resource is treated as the role's own account's, and as leaving the decision to IAM, as keys and roles must.
    account = arn.split(":")[4]
    to_iam = {"Effect": "Allow", "Principal": {"AWS": account}, "Action": "*", "Resource": "*"}
    policies = Policies(
        identity=identity_documents(arn), boundaries=boundary_documents(arn), resource={"Statement": [to_iam]}
    )
    context = {
        entry["ContextKeyName"]: entry["ContextKeyValues"]
        for entry in call.params.get("ContextEntries") or ()
    }
    session = f"arn:aws:sts::{account}:assumed-role/{arn.rpartition('/')[2]}/simulation"
    results = "".join(
        _simulated(Request(session, action, resource, account, context), policies)
        for action in call.params["ActionNames"]
        for resource in call.params.get("ResourceArns") or ["*"]
    )
    text = (
        '<SimulatePrincipalPolicyResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">'
        f"<SimulatePrincipalPolicyResult><IsTruncated>false</IsTruncated><EvaluationResults>{results}"
        "</EvaluationResults></SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>"
    )
    return Response(200, text.encode(), (("Content-Type", "text/xml"),))


_SIMULATED = {
    Result.ALLOWED: "allowed",
    Result.IMPLICITLY_DENIED: "implicitDeny",
    Result.EXPLICITLY_DENIED: "explicitDeny",
}


def _simulated(request: Request, policies: Policies) -> str:
    return (
        f"<member><EvalActionName>{escape(request.action)}</EvalActionName><EvalResourceName>{escape(request.resource)}"
        f"</EvalResourceName><EvalDecision>{_SIMULATED[judge(request, policies).result]}</EvalDecision></member>"
    )


HANDLERS: dict[str, Handler] = {
    "CreateRole": check_trust,
    "UpdateAssumeRolePolicy": check_trust,
    "SimulatePrincipalPolicy": simulate_principal_policy,
}
