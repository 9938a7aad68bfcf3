"""What AWS checks for the operations of KMS.

Source: the Service Authorization Reference, and "AWS KMS condition keys" in the KMS developer guide.
"""

import re
from collections.abc import Iterator
from typing import Any

from moto.kms.models import kms_backends

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.check import Check, Rule, key_check, own
from crossaccount_sandbox.checks.s3_keys import encryption_context
from crossaccount_sandbox.checks.tagging import request_tags, tag_keys
from crossaccount_sandbox.resources import find_key
from crossaccount_sandbox.wire import AwsError


def key_of(call: Call) -> str:
    """The ARN of the key that a KMS request is about: the one it names, or else that of its ciphertext.

    Raises:
        AwsError: ``NotFoundException`` when there is none, it is named by an ARN of another region, or by an alias where KMS
            takes none; for a ciphertext see ``encrypting_key``.
    """
    named = call.params.get("KeyId") or call.params.get("TargetKeyId")
    return named_key(str(named), call) if named else encrypting_key(call)


def named_key(named: str, call: Call) -> str:
    """The ARN of the key that is named so, by an id, an ARN or an alias; ``NotFoundException`` when there is none."""
    by_alias = named.startswith("alias/") or ":alias/" in named
    if by_alias and call.operation not in BY_ALIAS:
        raise AwsError("NotFoundException", f"Invalid keyId '{named}'")
    region = named.split(":")[3] if named.startswith("arn:") and named.count(":") >= 5 else call.region
    arn = find_key(named, call.account, call.region) if region == call.region else None
    if arn is None:
        raise AwsError("NotFoundException", _absent(named, region, call))
    return arn


def encrypting_key(call: Call) -> str:
    """The ARN of the key that a ciphertext was made under, whichever account's; the emulation's ciphertexts begin with its id.

    Raises:
        AwsError: ``InvalidCiphertextException`` for what is no ciphertext, ``AccessDeniedException`` for that of a key that is not
            there.
    """
    number = bytes(call.params.get("CiphertextBlob") or b"")[:36].decode("ascii", "replace")
    if not _UUID.fullmatch(number):
        raise AwsError("InvalidCiphertextException", "")
    for regions in list(kms_backends.values()):
        if call.region in regions and number in regions[call.region].keys:
            return str(regions[call.region].keys[number].arn)
    text = (
        f"User: {call.caller.arn} is not authorized to perform: kms:{call.operation} on the resource associated with this "
        "ciphertext because the resource does not exist in this Region, no resource-based policies allow access, or a "
        "resource-based policy explicitly denies access"
    )
    raise AwsError("AccessDeniedException", text)


BY_ALIAS = (
    *("Decrypt", "DescribeKey", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "ReEncrypt"),
    *("CreateAlias", "UpdateAlias"),
)
_UUID = re.compile(r"(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})")


def _absent(named: str, region: str, call: Call) -> str:
    """What KMS says of a key that it does not find. Source: recordings of KMS by localstack and cloud-custodian."""
    place = f"arn:aws:kms:{call.region}:{call.account}:"
    if region != call.region:
        return f"Invalid arn {region}"
    if named.startswith("alias/") or ":alias/" in named:
        return f"Alias {named if named.startswith('arn:') else place + named} is not found."
    if _UUID.fullmatch(named):
        return f"Key '{place}key/{named}' does not exist"
    return f"Key '{named}' does not exist" if named.startswith("arn:") else f"Invalid keyId '{named}'"


def _key(action: str) -> Rule:
    def rule(call: Call) -> Iterator[Check]:
        yield key_check(f"kms:{action}", key_of(call), _context(call))

    return rule


_CRYPTOGRAPHIC = ("Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext")


def _context(call: Call) -> dict[str, Any]:
    """The keys of the request: the alias that names the key, the encryption context, tags, and single parameters."""
    params, context = (
        call.params,
        request_tags(call.params.get("Tags")) | tag_keys(call.params.get("TagKeys")),
    )
    if call.operation in _CRYPTOGRAPHIC:
        context |= encryption_context(params.get("EncryptionContext") or {})
        context["kms:EncryptionAlgorithm"] = params.get("EncryptionAlgorithm") or "SYMMETRIC_DEFAULT"
    named = str(params.get("KeyId") or "").rpartition(":")[2]
    if named.startswith("alias/") and call.operation in (*_CRYPTOGRAPHIC, "DescribeKey"):
        context["kms:RequestAlias"] = named
    if call.operation in ("GetKeyPolicy", "PutKeyPolicy"):  # as their pages in the KMS API reference say
        context["kms:PolicyName"] = params.get("PolicyName") or "default"
    if call.operation == "PutKeyPolicy":
        context["kms:BypassPolicyLockoutSafetyCheck"] = bool(params.get("BypassPolicyLockoutSafetyCheck"))
    if call.operation == "ScheduleKeyDeletion":
        context["kms:ScheduleKeyDeletionPendingWindowInDays"] = params.get("PendingWindowInDays", 30)
    if call.operation == "EnableKeyRotation":
        context["kms:RotationPeriodInDays"] = params.get("RotationPeriodInDays", 365)
    return context


def _create_key(call: Call) -> Iterator[Check]:
    """CreateKey is asked on no resource, its tags on the keys of the account: the new one has no ARN yet."""
    params, tags = call.params, request_tags(call.params.get("Tags"))
    context = {
        "kms:BypassPolicyLockoutSafetyCheck": bool(params.get("BypassPolicyLockoutSafetyCheck")),
        "kms:CallerAccount": call.account,
        "kms:KeyOrigin": params.get("Origin") or "AWS_KMS",
        "kms:KeySpec": params.get("KeySpec") or params.get("CustomerMasterKeySpec") or "SYMMETRIC_DEFAULT",
        "kms:KeyUsage": params.get("KeyUsage") or "ENCRYPT_DECRYPT",
        "kms:MultiRegion": bool(params.get("MultiRegion")),
        **tags,
    }
    yield Check("kms:CreateKey", "*", call.account, context=context)
    if tags:
        yield Check(
            "kms:TagResource", f"arn:aws:kms:{call.region}:{call.account}:key/*", call.account, context=tags
        )


def _alias(call: Call) -> Iterator[Check]:
    """CreateAlias is asked on the alias, by identity policies alone, and on the key.

    Source: "Controlling access to aliases" in the KMS developer guide; CreateAlias in its API reference for the names that
    AWS keeps; for a name without its beginning a recording of KMS by localstack.

    Raises:
        AwsError: ``ValidationException`` for a name that is none, ``NotAuthorizedException`` for one that AWS keeps.
    """
    name = str(call.params["AliasName"])
    if not name.startswith("alias/"):
        text = (
            'Alias must start with the prefix "alias/". Please see '
            "https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html"
        )
        raise AwsError("ValidationException", text)
    if name.startswith("alias/aws/"):
        raise AwsError("NotAuthorizedException", "")
    arn = f"arn:aws:kms:{call.region}:{call.account}:{name}"
    yield Check(f"kms:{call.operation}", arn, call.account)
    yield from _key(call.operation)(call)


def _change_alias(call: Call) -> Iterator[Check]:
    """UpdateAlias and DeleteAlias are asked on the alias, by identity policies alone, and on every key that it names."""
    name = str(call.params["AliasName"])
    alias = f"arn:aws:kms:{call.region}:{call.account}:{name}"
    key = find_key(name, call.account, call.region)
    if key is None:
        raise AwsError("NotFoundException", _absent(name, call.region, call))
    if name.startswith("alias/aws/"):
        raise AwsError("NotAuthorizedException", "")
    yield Check(f"kms:{call.operation}", alias, call.account)
    yield key_check(f"kms:{call.operation}", key)
    if call.operation == "UpdateAlias":
        yield key_check("kms:UpdateAlias", named_key(str(call.params["TargetKeyId"]), call))


def reencrypted(call: Call) -> tuple[str, str]:
    """The ARNs of the keys that ReEncrypt decrypts and encrypts under."""
    source = call.params.get("SourceKeyId")
    return (
        named_key(str(source), call) if source else encrypting_key(call),
        named_key(str(call.params["DestinationKeyId"]), call),
    )


def _reencrypt(call: Call) -> Iterator[Check]:
    keys = reencrypted(call)
    for key, action, side in zip(keys, ("From", "To"), ("Source", "Destination"), strict=True):
        context = encryption_context(call.params.get(f"{side}EncryptionContext") or {})
        context["kms:EncryptionAlgorithm"] = (
            call.params.get(f"{side}EncryptionAlgorithm") or "SYMMETRIC_DEFAULT"
        )
        context["kms:ReEncryptOnSameKey"] = keys[0] == keys[1]
        yield key_check(f"kms:ReEncrypt{action}", key, context)


_OPERATIONS = (
    "Decrypt DescribeKey DisableKey DisableKeyRotation EnableKey EnableKeyRotation Encrypt GenerateDataKey "
    "GenerateDataKeyWithoutPlaintext GetKeyPolicy GetKeyRotationStatus ListKeyPolicies ListKeyRotations ListResourceTags "
    "PutKeyPolicy RotateKeyOnDemand ScheduleKeyDeletion CancelKeyDeletion TagResource UntagResource "
    "UpdateKeyDescription"
)
RULES: dict[str, Rule] = {
    **{name: _key(name) for name in _OPERATIONS.split()},
    **{name: own(f"kms:{name}") for name in ("GenerateRandom", "ListAliases", "ListKeys")},
    **dict.fromkeys(("UpdateAlias", "DeleteAlias"), _change_alias),
    "ReEncrypt": _reencrypt,
    "CreateAlias": _alias,
    "CreateKey": _create_key,
}
