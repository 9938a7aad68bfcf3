"""Operations of STS, IAM, ECR and KMS that moto does not have, or has without AWS's conditions.

Each handler is called after the caller was authenticated and every permission was judged. Not here: S3 (``s3``),
SageMaker (``sagemaker``).
"""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any
from xml.sax.saxutils import escape

from moto.ecr.models import ecr_backends
from moto.iam.models import iam_backends
from moto.kms.models import kms_backends
from moto.sts.models import sts_backends

from crossaccount_sandbox import operations
from crossaccount_sandbox.attached import load, statements
from crossaccount_sandbox.callers import Caller, Key
from crossaccount_sandbox.guard import Handler, decide
from crossaccount_sandbox.judge import Policies, Request, Result, judge
from crossaccount_sandbox.operations import Check, find_key, repository_arn
from crossaccount_sandbox.principals import boundary_documents, find_role, identity_documents
from crossaccount_sandbox.wire import AwsError, Call, Response, json_response
from crossaccount_sandbox.world import World

_CHAINED_SECONDS = 3600


# STS


def assume_role(world: World, call: Call, caller: Caller) -> Response:
    """AssumeRole: a session with its own expiry, narrowed by its session policy.

    Raises:
        AwsError: ``ValidationError`` for a duration over the role's maximum, or over an hour in role chaining;
            ``MalformedPolicyDocument`` for a session policy that is none.
    """
    role = find_role(call.params["RoleArn"])
    assert role is not None  # without a role there is no trust policy, and the guard has refused
    seconds = int(call.params.get("DurationSeconds") or 3600)
    if caller.chained and seconds > _CHAINED_SECONDS:
        text = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
        raise AwsError("ValidationError", text)
    if seconds > int(role.max_session_duration or 3600):
        raise AwsError(
            "ValidationError",
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        )
    policy = _session_policy(call.params.get("Policy"))
    response = call.forward(caller.account)
    match = re.search(rb"<AccessKeyId>(\w+)</AccessKeyId>", response.body)
    made = (
        sts_backends[role.account_id]["aws"].get_assumed_role_from_access_key(match[1].decode())
        if match
        else None
    )
    if made is None:
        return response
    session = Caller(
        arn=made.arn,
        account=role.account_id,
        unique_id=f"{role.id}:{made.session_name}",
        role_arn=role.arn,
        session_policy=policy,
        session_expires=world.session_end(seconds),
    )
    world.keys.add_session(made.access_key_id, Key(session, made.secret_access_key, made.session_token))
    return response


def _session_policy(text: str | None) -> dict[str, Any] | None:
    if not text:
        return None
    try:
        document = json.loads(text)
    except ValueError:
        raise AwsError("MalformedPolicyDocument", "The session policy is not JSON") from None
    if not isinstance(document, dict) or not document.get("Statement"):
        raise AwsError("MalformedPolicyDocument", "The session policy has no Statement")
    return document


# ECR


def set_repository_policy(world: World, call: Call, caller: Caller) -> Response:
    """SetRepositoryPolicy.

    Raises:
        AwsError: ``RepositoryNotFoundException``; ``InvalidParameterException`` for a document that is none, that has a
            Resource element, or that names no living principal.
    """
    arn = _repository(call, caller)
    text = call.params["policyText"]
    document = load(text, _invalid_repository_policy)
    for statement in statements(document):
        if "Resource" in statement or "NotResource" in statement:
            raise _invalid_repository_policy("a repository policy has no Resource")
    world.attached.put(
        ("repository", arn),
        text,
        lambda name: AwsError(
            "InvalidParameterException",
            "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Principal not found'",
        ),
    )
    return _repository_policy(world, arn)


def get_repository_policy(world: World, call: Call, caller: Caller) -> Response:
    """GetRepositoryPolicy; ``RepositoryPolicyNotFoundException`` without one."""
    return _repository_policy(world, _repository(call, caller))


def delete_repository_policy(world: World, call: Call, caller: Caller) -> Response:
    """DeleteRepositoryPolicy; ``RepositoryPolicyNotFoundException`` without one."""
    arn = _repository(call, caller)
    response = _repository_policy(world, arn)
    world.attached.drop(("repository", arn))
    return response


def delete_repository(world: World, call: Call, caller: Caller) -> Response:
    """DeleteRepository: its policy goes with it."""
    arn = repository_arn(call, caller.account)
    response = call.forward(arn.split(":")[4])
    if response.status < 300:
        world.attached.drop(("repository", arn))
    return response


def check_layers(world: World, call: Call, caller: Caller) -> Response:
    """BatchCheckLayerAvailability, answered from the manifests of the repository's images."""
    arn = _repository(call, caller)
    _, _, _, region, account, _ = arn.split(":")
    known = {
        layer["digest"]: layer
        for image in ecr_backends[account][region].repositories[call.params["repositoryName"]].images
        for layer in _layers(image.image_manifest)
    }
    asked = call.params["layerDigests"]
    layers = [
        {"layerDigest": digest, "layerAvailability": "AVAILABLE", "layerSize": known[digest].get("size", 0)}
        for digest in asked
        if digest in known
    ]
    failures = [
        {
            "layerDigest": digest,
            "failureCode": "MissingLayerDigest",
            "failureReason": "The layer does not exist.",
        }
        for digest in asked
        if digest not in known
    ]
    return json_response({"layers": layers, "failures": failures})


def _layers(manifest: Any) -> list[dict[str, Any]]:
    document = json.loads(manifest) if isinstance(manifest, str) else manifest
    return [*document.get("layers", []), *([document["config"]] if "config" in document else [])]


def _repository(call: Call, caller: Caller) -> str:
    arn = repository_arn(call, caller.account)
    registry, name = arn.split(":")[4], call.params["repositoryName"]
    if not operations.image_repository(registry, call.region, name):
        text = f"The repository with name '{name}' does not exist in the registry with id '{registry}'"
        raise AwsError("RepositoryNotFoundException", text)
    return arn


def _repository_policy(world: World, arn: str) -> Response:
    document = world.attached.get(("repository", arn))
    registry, name = arn.split(":")[4], arn.split(":repository/")[1]
    if document is None:
        text = f"Repository policy does not exist for the repository with name '{name}' in the registry with id '{registry}'"
        raise AwsError("RepositoryPolicyNotFoundException", text)
    # ECR hands the document back indented, unlike what was sent.
    return json_response(
        {"registryId": registry, "repositoryName": name, "policyText": json.dumps(document, indent=2)}
    )


def _invalid_repository_policy(why: str) -> AwsError:
    text = f"Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy provided' ({why})"
    return AwsError("InvalidParameterException", text)


# KMS


def create_key(world: World, call: Call, caller: Caller) -> Response:
    """CreateKey: a key without a policy of its own lets its account's IAM policies decide."""
    response = call.forward(caller.account)
    if response.status < 300:
        arn = response.json()["KeyMetadata"]["Arn"]
        text = call.params.get("Policy") or json.dumps(_default_key_policy(caller.account))
        world.attached.put(("key", arn), text, _malformed_key_policy)
    return response


def managed_key(world: World, account: str, region: str) -> str:
    """The key that AWS manages for S3 in an account, made when it is first needed; no other account may ever use it."""
    backend = kms_backends[account][region]
    key = backend.keys[str(backend.get_key_id_from_alias("alias/aws/s3"))]
    key.key_manager = "AWS"
    arn = str(key.arn)
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": ["kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey"],
        "Resource": "*",
        "Condition": {"StringEquals": {"kms:CallerAccount": account}},
    }
    document = {"Version": "2012-10-17", "Statement": [statement]}
    world.attached.put(("key", arn), json.dumps(document), _malformed_key_policy)
    return arn


def get_key_policy(world: World, call: Call, caller: Caller) -> Response:
    """GetKeyPolicy; every key has one, named ``default``."""
    document = world.attached.get(("key", _own_key(call, caller)))
    return json_response({"Policy": json.dumps(document, indent=2), "PolicyName": "default"})


def put_key_policy(world: World, call: Call, caller: Caller) -> Response:
    """PutKeyPolicy.

    Raises:
        AwsError: ``MalformedPolicyDocumentException`` for a document that is none, that names no living principal, or
            that would leave the caller unable to change it again.
    """
    arn = _own_key(call, caller)
    text = call.params["Policy"]
    load(text, _malformed_key_policy)
    before = world.attached.get(("key", arn))
    world.attached.put(("key", arn), text, _malformed_key_policy)
    again = Check("kms:PutKeyPolicy", arn, caller.account, ("key", arn))
    if (
        not call.params.get("BypassPolicyLockoutSafetyCheck")
        and decide(world, caller, again, call).result is not Result.ALLOWED
    ):
        world.attached.put(("key", arn), json.dumps(before), _malformed_key_policy)
        raise AwsError(
            "MalformedPolicyDocumentException",
            "The new key policy will not allow you to update the key policy in the future.",
        )
    return json_response({})


def use_key(world: World, call: Call, caller: Caller) -> Response:
    """Encrypt, Decrypt and whatever else needs a key in use.

    Source: "Key states of AWS KMS keys" in the KMS developer guide.

    Raises:
        AwsError: ``DisabledException``, ``KMSInvalidStateException``.
    """
    arn = operations.key_of(call, caller.account)
    check_usable(arn)
    return call.forward(arn.split(":")[4])


def check_usable(arn: str, prefix: str = "") -> None:
    """Refuse a key that is out of use.

    Args:
        arn: the key.
        prefix: what a service that asked KMS puts before KMS's code: ``KMS.`` for S3.

    Raises:
        AwsError: ``DisabledException``, ``KMSInvalidStateException``.
    """
    state = operations.key_state(arn)
    if state == "Disabled":
        raise AwsError(f"{prefix}DisabledException", f"{arn} is disabled.")
    if state != "Enabled":
        raise AwsError(f"{prefix}KMSInvalidStateException", f"{arn} is pending deletion.")


def set_key_state(world: World, call: Call, caller: Caller) -> Response:
    """DisableKey, EnableKey, ScheduleKeyDeletion, CancelKeyDeletion; a key whose day has come is not deleted here.

    Source: the four operations in the KMS API reference.

    Raises:
        AwsError: ``NotFoundException``, ``KMSInvalidStateException`` for a key in a state that the operation does not
            take, ``ValidationException`` for a waiting period that is not 7 to 30 days.
    """
    arn = _own_key(call, caller)
    waits = operations.key_state(arn) == "PendingDeletion"
    if waits != (call.operation == "CancelKeyDeletion"):
        raise AwsError("KMSInvalidStateException", f"{arn} is {'' if waits else 'not '}pending deletion.")
    days = int(call.params.get("PendingWindowInDays", 30))
    if not 7 <= days <= 30:
        raise AwsError("ValidationException", "PendingWindowInDays must be between 7 and 30 days.")
    key = kms_backends[caller.account][call.region].keys[arn.rpartition("/")[2]]
    key.key_state = _STATE_AFTER[call.operation]
    key.enabled = key.key_state == "Enabled"
    key.deletion_date = None
    if call.operation != "ScheduleKeyDeletion":
        return json_response({"KeyId": arn} if call.operation == "CancelKeyDeletion" else {})
    date = world.clock() + timedelta(days=days)
    key.deletion_date = date.replace(tzinfo=None)  # moto's times know no zone
    scheduled = {"DeletionDate": date, "KeyState": key.key_state, "PendingWindowInDays": days}
    return json_response({"KeyId": arn, **scheduled})


_STATE_AFTER = {
    "DisableKey": "Disabled",
    "EnableKey": "Enabled",
    "ScheduleKeyDeletion": "PendingDeletion",
    "CancelKeyDeletion": "Disabled",
}


def _own_key(call: Call, caller: Caller) -> str:
    arn = find_key(call.params["KeyId"], caller.account, call.region)
    if arn is None or arn.split(":")[4] != caller.account:
        raise AwsError("NotFoundException", f"Key '{call.params['KeyId']}' does not exist")
    return arn


def _default_key_policy(account: str) -> dict[str, Any]:
    statement = {
        "Sid": "Enable IAM User Permissions",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
        "Action": "kms:*",
        "Resource": "*",
    }
    return {"Version": "2012-10-17", "Id": "key-default-1", "Statement": [statement]}


def _malformed_key_policy(why: str) -> AwsError:
    return AwsError(
        "MalformedPolicyDocumentException",
        f"Policy contains a statement with one or more invalid principals, or is none: {why}",
    )


# IAM and CloudFormation


def write_stack(world: World, call: Call, caller: Caller) -> Response:
    """The operations that make a stack's resources: moto keeps a role's inline policies as it read them, IAM as JSON."""
    response = call.forward(caller.account)
    for role in iam_backends[caller.account]["aws"].roles.values():
        for name, document in role.policies.items():
            role.policies[name] = document if isinstance(document, str) else json.dumps(document)
    return response


def check_trust(world: World, call: Call, caller: Caller) -> Response:
    """CreateRole and UpdateAssumeRolePolicy: every principal of a trust policy must exist.

    Raises:
        AwsError: ``MalformedPolicyDocument``.
    """
    text = call.params.get("AssumeRolePolicyDocument") or call.params.get("PolicyDocument") or ""
    document = load(
        text, lambda why: AwsError("MalformedPolicyDocument", f"The trust policy cannot be used: {why}")
    )
    world.attached.check_principals(document, _unknown_in_trust)
    return call.forward(caller.account)


def _unknown_in_trust(name: str) -> AwsError:
    return AwsError("MalformedPolicyDocument", f'Invalid principal in policy: "AWS":"{name}"')


def simulate_principal_policy(world: World, call: Call, caller: Caller) -> Response:
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
        _simulated(
            action, resource, judge(Request(session, action, resource, account, context), policies).result
        )
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


def _simulated(action: str, resource: str, result: Result) -> str:
    return (
        f"<member><EvalActionName>{escape(action)}</EvalActionName><EvalResourceName>{escape(resource)}"
        f"</EvalResourceName><EvalDecision>{_SIMULATED[result]}</EvalDecision></member>"
    )


_NEEDS_A_KEY_IN_USE = (
    "Decrypt",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyWithoutPlaintext",
    "EnableKeyRotation",
)

HANDLERS: dict[tuple[str, str], Handler] = {
    ("sts", "AssumeRole"): assume_role,
    ("cloudformation", "CreateStack"): write_stack,
    ("cloudformation", "ExecuteChangeSet"): write_stack,
    ("cloudformation", "UpdateStack"): write_stack,
    ("iam", "CreateRole"): check_trust,
    ("iam", "UpdateAssumeRolePolicy"): check_trust,
    ("iam", "SimulatePrincipalPolicy"): simulate_principal_policy,
    ("ecr", "SetRepositoryPolicy"): set_repository_policy,
    ("ecr", "GetRepositoryPolicy"): get_repository_policy,
    ("ecr", "DeleteRepositoryPolicy"): delete_repository_policy,
    ("ecr", "DeleteRepository"): delete_repository,
    ("ecr", "BatchCheckLayerAvailability"): check_layers,
    ("kms", "CreateKey"): create_key,
    ("kms", "GetKeyPolicy"): get_key_policy,
    ("kms", "PutKeyPolicy"): put_key_policy,
    **{("kms", name): set_key_state for name in _STATE_AFTER},
    **{("kms", name): use_key for name in _NEEDS_A_KEY_IN_USE},
}
