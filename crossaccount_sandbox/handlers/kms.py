"""KMS: the policies of keys, the second one that AWS RAM keeps too, and keys that are out of use."""

import base64
import json
from datetime import timedelta
from typing import Any

from moto.kms.exceptions import InvalidCiphertextException
from moto.kms.models import kms_backends
from moto.kms.utils import RESERVED_ALIASES

from crossaccount_sandbox.attached import laid_out, load
from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.check import key_check
from crossaccount_sandbox.checks.decisions import decide
from crossaccount_sandbox.checks.kms import encrypting_key, key_of, reencrypted
from crossaccount_sandbox.judging.decision import Result
from crossaccount_sandbox.resources import find_key, key_state
from crossaccount_sandbox.wire import AwsError, Response, json_response
from crossaccount_sandbox.world import Handler, World


def create_key(world: World, call: Call) -> Response:
    """CreateKey: a key without a policy of its own lets its account's IAM policies decide.

    Raises:
        AwsError: ``MalformedPolicyDocumentException`` as of PutKeyPolicy, and there is no key then; ``ValidationException`` for a key
            of another kind that does not say what it is for.
    """
    spec = call.params.get("KeySpec") or call.params.get("CustomerMasterKeySpec")
    if spec not in (None, "SYMMETRIC_DEFAULT") and not call.params.get("KeyUsage"):
        told = "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys."
        raise AwsError("ValidationException", told)
    response = call.forward(call.account)
    if response.status >= 300:
        return response
    arn = str(response.json()["KeyMetadata"]["Arn"])
    key = _key_at(arn)
    key.key_usage, key.multi_region = key.key_usage or "ENCRYPT_DECRYPT", bool(key.multi_region)
    key.description = key.description or ""
    text = call.params.get("Policy") or json.dumps(_default_key_policy(call.account))
    try:
        _put_policy(world, call, arn, text)
    except AwsError:
        del kms_backends[call.account][call.region].keys[arn.rpartition("/")[2]]
        world.attached.drop(("key", arn))
        raise
    return _described(key)


def describe_key(world: World, call: Call) -> Response:
    """DescribeKey: the algorithms that a key is not for are not there. Source: a recording of KMS by localstack."""
    return _described(_key_at(key_of(call)))


def _described(key: Any) -> Response:
    metadata = key.to_dict()["KeyMetadata"]
    return json_response(
        {"KeyMetadata": {name: value for name, value in metadata.items() if value not in (None, [])}}
    )


def random_bytes(world: World, call: Call) -> Response:
    """GenerateRandom."""
    if call.params.get("NumberOfBytes") is None:
        raise AwsError("ValidationException", "NumberOfBytes is required.")
    return call.forward(call.account)


def prepare_keys(world: World, call: Call) -> None:
    """Make the key of a service's alias that a call names, as KMS does with the first call that names it.

    Source: DescribeKey in the AWS KMS API reference, of predefined aliases.
    """
    for parameter in ("KeyId", "SSEKMSKeyId"):
        named = str(call.params.get(parameter) or "")
        alias = named.rpartition(":")[2]
        if alias in RESERVED_ALIASES:
            place = named.split(":")[3:5] if named.startswith("arn:") else [call.region, call.account]
            if place[1] in world.accounts:
                managed_key(world, place[1], place[0], alias)


def managed_key(world: World, account: str, region: str, alias: str = "alias/aws/s3") -> str:
    """The key that AWS manages for a service in an account, made when it is first needed; no other account may ever use it.

    Source: its policy as KMS shows it in accounts (GetKeyPolicy of ``alias/aws/s3``), in public repositories.
    """
    backend = kms_backends[account][region]
    key = backend.keys[str(backend.get_key_id_from_alias(alias))]
    arn = str(key.arn)
    if key.key_manager == "AWS":
        return arn
    key.key_manager = "AWS"
    service = alias.rpartition("/")[2]
    name = service.upper()
    through_service = {
        "Sid": f"Allow access through {name} for all principals in the account that are authorized to use {name}",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"],
        "Resource": "*",
        "Condition": {
            "StringEquals": {
                "kms:CallerAccount": account,
                "kms:ViaService": f"{service}.{region}.amazonaws.com",
            }
        },
    }
    metadata = {
        "Sid": "Allow direct access to key metadata to the account",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
        "Action": ["kms:Describe*", "kms:Get*", "kms:List*", "kms:RevokeGrant"],
        "Resource": "*",
    }
    document = {"Version": "2012-10-17", "Id": f"auto-{service}-2", "Statement": [through_service, metadata]}
    world.attached.put(("key", arn), json.dumps(document), _malformed_key_policy)
    return arn


def get_key_policy(world: World, call: Call) -> Response:
    """GetKeyPolicy; every key has one named ``default``, and one named ``AWS_RAM`` where AWS RAM shares it.

    Source: GetKeyPolicy in the AWS KMS API reference.

    Raises:
        AwsError: ``NotFoundException`` for a key without a policy of this name.
    """
    name = str(call.params.get("PolicyName") or "default")
    document = world.attached.get((_POLICY_NAMES.get(name, ""), _own_key(call)))
    if document is None:
        raise AwsError("NotFoundException", f"No such policy exists: {name}")
    return json_response({"Policy": laid_out(document), "PolicyName": name})


_POLICY_NAMES = {"default": "key", "AWS_RAM": "AWS_RAM"}  # and the kinds that they are kept as


def list_key_policies(world: World, call: Call) -> Response:
    """ListKeyPolicies: the names of the policies that a key has."""
    arn = _own_key(call)
    names = [name for name, kind in _POLICY_NAMES.items() if world.attached.get((kind, arn)) is not None]
    return json_response({"PolicyNames": names, "Truncated": False})


def share_key(world: World, arn: str, document: dict[str, Any] | None) -> None:
    """Do what AWS RAM does, which is not here: give a key a policy of its own, or with None take it away."""
    if document is None:
        world.attached.drop(("AWS_RAM", arn))
    else:
        world.attached.put(("AWS_RAM", arn), json.dumps(document), _malformed_key_policy)


def put_key_policy(world: World, call: Call) -> Response:
    """PutKeyPolicy, of the policy named ``default``.

    Raises:
        AwsError: ``ValidationException`` for any other; ``MalformedPolicyDocumentException`` for a document that is none, that names
            no living principal, or that would leave the caller unable to change it again.
    """
    arn = _own_key(call)
    if call.params.get("PolicyName", "default") != "default":
        raise AwsError("ValidationException", "The AWS_RAM policy can only be managed by the RAM service.")
    before = world.attached.get(("key", arn))
    try:
        _put_policy(world, call, arn, call.params["Policy"])
    except AwsError:
        world.attached.put(("key", arn), json.dumps(before), _malformed_key_policy)
        raise
    return json_response({})


def _put_policy(world: World, call: Call, arn: str, text: str) -> None:
    """Give a key its policy; refuse one that would shut the caller out, unless that is asked for."""
    load(text, _malformed_key_policy)
    invalid = "Policy contains a statement with one or more invalid principals."
    world.attached.put(("key", arn), text, lambda name: AwsError("MalformedPolicyDocumentException", invalid))
    check = key_check("kms:PutKeyPolicy", arn, {"kms:PolicyName": "default"})
    again = decide(world, call.caller, check, call)
    if not call.params.get("BypassPolicyLockoutSafetyCheck") and again.result is not Result.ALLOWED:
        told = "The new key policy will not allow you to update the key policy in the future."
        raise AwsError("MalformedPolicyDocumentException", told)


def use_key(world: World, call: Call) -> Response:
    """Encrypt, Decrypt and whatever else needs a key in use.

    Source: "Key states of AWS KMS keys" and "Testing your permissions" (DryRun) in the KMS developer guide; recordings of KMS by
    localstack.

    Raises:
        AwsError: ``DisabledException``, ``KMSInvalidStateException``; ``InvalidKeyUsageException``; ``IncorrectKeyException`` for a
            ciphertext of another key; ``DryRunOperationException`` where it was only tried, and would be done.
    """
    arn = key_of(call)
    if call.operation == "Decrypt" and call.params.get("CiphertextBlob"):
        _check_same(arn, call)
    check_usable(arn)
    _check_usage(arn, call)
    _check_dry(call)
    response = call.forward(arn.split(":")[4])
    if response.status >= 300 or call.operation not in ("Encrypt", "Decrypt"):
        return response
    return json_response({**response.json(), "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"})


def _check_same(arn: str, call: Call) -> None:
    if encrypting_key(call) != arn:
        text = "The key ID in the request does not identify a CMK that can perform this operation."
        raise AwsError("IncorrectKeyException", text)


def _check_usage(arn: str, call: Call) -> None:
    usage = str(_key_at(arn).key_usage)
    if usage != "ENCRYPT_DECRYPT" and call.operation in _ENCRYPTS:
        text = f"{arn} key usage is {usage} which is not valid for {call.operation}."
        raise AwsError("InvalidKeyUsageException", text)


def _check_dry(call: Call) -> None:
    if call.params.get("DryRun"):
        text = "The request would have succeeded, but the DryRun option is set."
        raise AwsError("DryRunOperationException", text, 412)


def _key_at(arn: str) -> Any:
    _, _, _, region, account, resource = arn.split(":", 5)
    return kms_backends[account][region].keys[resource.removeprefix("key/")]


def reencrypt(world: World, call: Call) -> Response:
    """ReEncrypt, also between keys of two accounts.

    Raises:
        AwsError: as of the other uses of both keys, and ``InvalidCiphertextException``.
    """
    source, target = reencrypted(call)
    _check_same(source, call)
    for key in (source, target):
        check_usable(key)
        _check_usage(key, call)
    _check_dry(call)
    given, keys = call.params, [_key_at(key) for key in (source, target)]
    old, new = (kms_backends[key.account_id][call.region] for key in keys)
    try:
        plain, _ = old.decrypt(given["CiphertextBlob"], given.get("SourceEncryptionContext") or {})
    except InvalidCiphertextException:
        raise AwsError("InvalidCiphertextException", "") from None
    blob, _ = new.encrypt(keys[1].id, plain, given.get("DestinationEncryptionContext") or {})
    algorithm = "SYMMETRIC_DEFAULT"
    return json_response(
        {
            "CiphertextBlob": base64.b64encode(blob).decode(),
            "SourceKeyId": source,
            "KeyId": target,
            "SourceEncryptionAlgorithm": algorithm,
            "DestinationEncryptionAlgorithm": algorithm,
        }
    )


def set_rotation(world: World, call: Call) -> Response:
    """EnableKeyRotation and DisableKeyRotation, of a symmetric key in use.

    Raises:
        AwsError: ``DisabledException``, ``KMSInvalidStateException``, ``UnsupportedOperationException`` for a key of another kind.
    """
    arn = _own_key(call)
    check_usable(arn)
    if _key_at(arn).key_spec != "SYMMETRIC_DEFAULT":
        raise AwsError("UnsupportedOperationException", "")
    world.rotations.pop(arn, None)
    if call.operation == "EnableKeyRotation":
        world.rotations[arn] = (int(call.params.get("RotationPeriodInDays") or 365), world.clock())
    return json_response({})


def rotation_status(world: World, call: Call) -> Response:
    """GetKeyRotationStatus. Source: its page in the KMS API reference."""
    arn = _own_key(call)
    if _key_at(arn).key_manager == "AWS":  # KMS rotates these itself, each year
        return json_response({"KeyId": arn, "KeyRotationEnabled": True})
    if arn not in world.rotations:
        return json_response({"KeyId": arn, "KeyRotationEnabled": False})
    days, since = world.rotations[arn]
    due = {"RotationPeriodInDays": days, "NextRotationDate": since + timedelta(days=days)}
    return json_response({"KeyId": arn, "KeyRotationEnabled": True, **due})


def check_usable(arn: str, prefix: str = "") -> None:
    """Refuse a key that is out of use.

    Args:
        arn: the key.
        prefix: what a service that asked KMS puts before KMS's code: ``KMS.`` for S3.

    Raises:
        AwsError: ``DisabledException``, ``KMSInvalidStateException``.
    """
    state = key_state(arn)
    if state == "Disabled":
        raise AwsError(f"{prefix}DisabledException", f"{arn} is disabled.")
    if state != "Enabled":
        raise AwsError(f"{prefix}KMSInvalidStateException", f"{arn} is pending deletion.")


def describe_anew(world: World, call: Call) -> Response:
    """What is said of a key (its aliases, tags and description) changes only while it is not to be deleted.

    Source: "Key states of AWS KMS keys" in the KMS developer guide.

    Raises:
        AwsError: ``KMSInvalidStateException``.
    """
    named = call.params.get("TargetKeyId") or call.params.get("KeyId", "")
    arn = find_key(named, call.account, call.region)
    if arn is not None and key_state(arn) == "PendingDeletion":
        raise AwsError("KMSInvalidStateException", f"{arn} is pending deletion.")
    return call.forward(call.account)


def set_key_state(world: World, call: Call) -> Response:
    """DisableKey, EnableKey, ScheduleKeyDeletion, CancelKeyDeletion; a key whose day has come is not deleted here.

    Source: the four operations in the KMS API reference.

    Raises:
        AwsError: ``NotFoundException``, ``KMSInvalidStateException`` for a key in a state that the operation does not
            take, ``ValidationException`` for a waiting period that is not 7 to 30 days.
    """
    arn = _own_key(call)
    waits = key_state(arn) == "PendingDeletion"
    if waits != (call.operation == "CancelKeyDeletion"):
        raise AwsError("KMSInvalidStateException", f"{arn} is {'' if waits else 'not '}pending deletion.")
    days = int(call.params.get("PendingWindowInDays", 30))
    if not 7 <= days <= 30:
        raise AwsError("ValidationException", "PendingWindowInDays must be between 7 and 30 days.")
    key = _key_at(arn)
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


def _own_key(call: Call) -> str:
    arn = find_key(call.params["KeyId"], call.account, call.region)
    if arn is None or arn.split(":")[4] != call.account:
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
    return AwsError("MalformedPolicyDocumentException", f"The policy cannot be used: {why}")


_ENCRYPTS = ("Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "ReEncrypt")
_USES = ("Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "RotateKeyOnDemand")
HANDLERS: dict[str, Handler] = {
    "CreateKey": create_key,
    "DescribeKey": describe_key,
    "GenerateRandom": random_bytes,
    "GetKeyPolicy": get_key_policy,
    "ListKeyPolicies": list_key_policies,
    "PutKeyPolicy": put_key_policy,
    **dict.fromkeys(
        ("CreateAlias", "UpdateAlias", "TagResource", "UntagResource", "UpdateKeyDescription"), describe_anew
    ),
    **dict.fromkeys(_STATE_AFTER, set_key_state),
    **dict.fromkeys(_USES, use_key),
    **dict.fromkeys(("EnableKeyRotation", "DisableKeyRotation"), set_rotation),
    "GetKeyRotationStatus": rotation_status,
    "ReEncrypt": reencrypt,
}
