"""The judge's answer to one check: the policies that apply are gathered, and a refusal is said in AWS's words.

Not here: which checks a call raises (``operations``) and the judge itself (``judging``).
"""

import re

from crossaccount_sandbox.attached import named_principals, statements
from crossaccount_sandbox.callers import Caller
from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.check import Check
from crossaccount_sandbox.checks.resource_keys import resource_keys
from crossaccount_sandbox.judging.decision import Decision, Result, judge
from crossaccount_sandbox.judging.request import Policies, Request
from crossaccount_sandbox.principals import (
    Document,
    boundary_documents,
    find_role,
    identity_documents,
    managed_document,
    named_policies,
    parse,
)
from crossaccount_sandbox.refusals import denied
from crossaccount_sandbox.signatures import signature_age
from crossaccount_sandbox.wire import AwsError
from crossaccount_sandbox.world import OrganizationPolicies, World, Writer


def decide(world: World, caller: Caller | str, check: Check, call: Call) -> Decision:
    """The judge's answer to one check.

    Args:
        world: where policies are found.
        caller: a caller, or the name of a service that acts for itself (``sagemaker.amazonaws.com``).
        check: the question.
        call: the request, for its region.
    """
    document = _document(world, check)
    further = world.further_policies(check.policy) if check.policy else []
    context = {**world.context(call.region, check.owner), **resource_keys(world, check), **check.context}
    if caller == call.caller and (agent := call.headers.get("User-Agent")):
        context["aws:UserAgent"] = agent
    if call.via is not None and call.caller == caller:
        context |= {"aws:ViaAWSService": "true", "aws:CalledVia": [call.via]}
        context |= {"aws:CalledViaFirst": call.via, "aws:CalledViaLast": call.via}
    if check.action.startswith("s3:"):
        context["s3:TlsVersion"] = "1.3"  # as with AWS's endpoints
        if (age := signature_age(call.environ, world.clock())) is not None:
            context["s3:signatureAge"] = str(age)
    if check.action.startswith("kms:") and isinstance(caller, Caller):
        context["kms:CallerAccount"] = caller.account
    if isinstance(caller, str):
        question = Request(caller, check.action, check.resource, check.owner, context)
        limits = world.resource_control(check.action, check.owner)
        return judge(question, Policies(resource=document, further=further, rcps=limits))
    owner = check.owner
    on_bucket = check.policy is not None and check.policy[0] == "bucket"
    if on_bucket and caller.account != owner and world.cuts_cross_account(check.resource):
        document = None
    elif (writer := _writer(world, check)) is not None:
        # Only its owner's account and whom it gave access decide; what the bucket's policy denies stays denied.
        owner, document = writer.account, _of_writer(document, writer, check)
    holder = caller.holder
    context |= world.caller_context(caller)
    policies = Policies(
        identity=identity_documents(holder),
        resource=document,
        boundaries=boundary_documents(holder),
        session=_session_documents(caller),
        further=further,
        scps=world.service_control(caller.account),
        rcps=world.resource_control(check.action, owner),
    )
    decisions = [
        judge(Request(caller.arn, check.action, resource, owner, context), policies)
        for resource in (check.resource, *check.either)
    ]
    # A Deny on any of the resources wins; an Allow on any of them suffices.
    return min(decisions, key=lambda decision: _WEIGHT.index(decision.result))


_WEIGHT = (Result.EXPLICITLY_DENIED, Result.ALLOWED, Result.IMPLICITLY_DENIED)


def _session_documents(caller: Caller) -> list[Document] | None:
    """The policies that narrow a session; a managed one that is gone by now allows nothing. None for no such policy."""
    if caller.session_policy is None and not caller.session_policy_arns:
        return None
    managed = [managed_document(arn) for arn in caller.session_policy_arns]
    return [document for document in (caller.session_policy, *managed) if document is not None]


def _document(world: World, check: Check) -> Document | None:
    """The policy of the resource, which for a role is whom it trusts; None without one."""
    if check.role is None:
        return world.policy(check.policy) if check.policy else None
    role = find_role(check.role)
    return None if role is None else parse(role.assume_role_policy_document)


_ON_AN_OBJECT = (
    "GetObject",
    "GetObjectVersion",
    *("GetObjectAttributes", "GetObjectVersionAttributes"),
    *("GetObjectTagging", "PutObjectTagging", "DeleteObjectTagging"),
    *("GetObjectVersionTagging", "PutObjectVersionTagging", "DeleteObjectVersionTagging"),
)


def _writer(world: World, check: Check) -> Writer | None:
    """The account that owns the object which a check is about, when it is not its bucket's owner.

    A bucket's owner may still delete such an object, or write another in its place.
    """
    if check.action.removeprefix("s3:") not in _ON_AN_OBJECT:
        return None
    return world.writer(check.resource, check.context.get("s3:VersionId"))


def _of_writer(document: Document | None, writer: Writer, check: Check) -> Document:
    """What stands for the policy of an object that another account owns.

    Source: "How Amazon S3 authorizes a request for an object operation" in the S3 user guide.
    """
    kept = [statement for statement in statements(document or {}) if statement.get("Effect") == "Deny"]
    shared = {"Effect": "Allow", "Principal": {"AWS": check.owner}, "Action": check.action, "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [*kept, *([shared] if writer.shared else [])]}


def authorize(world: World, check: Check, call: Call) -> None:
    """Let the caller pass, or refuse it in AWS's words.

    Raises:
        AwsError: an access-denied error naming caller, action and resource, and where AWS says it, the kind of policy.
    """
    decision = decide(world, call.caller, check, call)
    if decision.result is not Result.ALLOWED:
        raise _denied(world, call, check, decision)


_KINDS = {
    "identity": "identity-based policy",
    "resource": "resource-based policy",
    "session": "session policy",
    "boundary": "permissions boundary",
    "scp": "service control policy",
    "rcp": "resource control policy",
}


def _denied(world: World, call: Call, check: Check, decision: Decision) -> AwsError:
    """AWS's access-denied error for a decision, in the service's own words.

    S3 gives its reason within an account or an organization only, and names its resources in quotes; KMS, asked by it or by
    anyone about a ciphertext without its key, names no key then, and lumps together what may be wrong on the side of another
    account's key. A denying policy is named within an account or an organization. STS gives no reason to another account, and
    none for a role that is not there. Across accounts, a grant to a
    whole account is not credited: the error then names the resource's policy, even when the identity's policy is what lacks.

    Source: "Troubleshoot access denied error messages" in the IAM user guide, "Troubleshoot access denied (403
    Forbidden) errors in Amazon S3" in the S3 user guide, "Enhanced access denied error messages with policy ARNs" in the
    AWS Security Blog; KMS's texts from the documentation of IAM Identity Center and of the AWS CDK; the last rule from public
    measurements.
    """
    caller = call.caller
    foreign = caller.account != check.owner
    strangers = foreign and not world.same_organization(caller.account, check.owner)
    if check.action.startswith("s3:") and (strangers or _writer(world, check)):
        return AwsError("AccessDenied", "Access Denied", 403)
    text = (
        f"User: {caller.arn} is not authorized to perform: {check.action} on {_shown_resource(call, check)}"
    )
    if reason := _reason(world, caller, check, decision):
        text += f" {reason}"
    return denied(call.spoken, text)


_IAM_NAME = re.compile(r"arn:aws:iam::\d{12}:(role|user|group)/(?:.*/)?([^/]+)")

_BY_ARN = (
    "CreateRole",
    "CreateUser",
    "SimulatePrincipalPolicy",
)  # what is not there yet, and what was named by its ARN


def _shown_resource(call: Call, check: Check) -> str:
    by_ciphertext = call.service == "kms" and not (call.params.get("KeyId") or call.params.get("SourceKeyId"))
    if check.action in ("kms:Decrypt", "kms:ReEncryptFrom") and (call.service == "s3" or by_ciphertext):
        return "the resource associated with this ciphertext"
    named = call.service == "iam" and call.operation not in _BY_ARN
    if named and (match := _IAM_NAME.fullmatch(check.resource)):
        return f"resource: {match[1]} {match[2]}"  # IAM's own operations name, where PassRole has an ARN
    quote = '"' if check.action.startswith("s3:") else ""
    return f"resource: {quote}{check.resource}{quote}"


def _reason(world: World, caller: Caller, check: Check, decision: Decision) -> str:
    """The reason that AWS gives; empty where it gives none."""
    foreign = caller.account != check.owner
    kind = _KINDS.get(str(decision.policy_type), _KINDS["identity"])
    denies = decision.result is Result.EXPLICITLY_DENIED
    if (
        foreign
        and not denies
        and decision.policy_type == "identity"
        and not _named_directly(world, caller, check)
    ):
        kind = _KINDS["resource"]
    if check.role is not None and kind == _KINDS["resource"]:
        if foreign or find_role(check.role) is None:
            return ""
        kind = "role trust policy"
    if foreign and check.action.startswith("kms:") and kind == _KINDS["resource"]:
        return (
            "because the resource does not exist in this Region, no resource-based policies allow access, or a "
            "resource-based policy explicitly denies access"
        )
    if not denies:
        return f"because no {kind} allows the {check.action} action"
    article = "the" if kind == "role trust policy" else "an" if kind.startswith("identity") else "a"
    arn = _policy_arn(world, caller, check, decision)
    named = f": {arn}" if arn and world.same_organization(caller.account, check.owner) else ""
    return f"with an explicit deny in {article} {kind}{named}"


def _policy_arn(world: World, caller: Caller, check: Check, decision: Decision) -> str:
    """The ARN of the policy that denied; empty for one that has none, an inline or a resource's policy."""
    of_caller = world.organization_policies.get(caller.account, OrganizationPolicies()).service_control
    of_owner = world.organization_policies.get(check.owner, OrganizationPolicies()).resource_control
    own = {policy.arn: policy.document for policy in named_policies(caller.holder)}
    of_session = {arn: managed_document(arn) for arn in caller.session_policy_arns}
    named = {**own, **of_session, **of_caller, **of_owner}
    return next((arn for arn, document in named.items() if document is decision.document), "")


def _named_directly(world: World, caller: Caller, check: Check) -> bool:
    """True when the resource's policy names the caller itself, rather than its whole account."""
    documents = [
        _document(world, check) or {},
        *(world.further_policies(check.policy) if check.policy else ()),
    ]
    named = [
        name for document in documents for each in statements(document) for name in named_principals(each)
    ]
    return any(name in ("*", caller.arn, caller.role_arn) for name in named)
