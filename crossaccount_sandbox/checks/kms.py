"""What AWS checks for the operations of KMS."""

from collections.abc import Iterator

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.check import Check, Rule, key_check, own
from crossaccount_sandbox.resources import find_key
from crossaccount_sandbox.wire import AwsError


def key_of(call: Call) -> str:
    """The ARN of the key that a KMS request is about; ``NotFoundException`` when there is none."""
    named = str(call.params.get("KeyId") or call.params.get("TargetKeyId") or _encrypting_key(call))
    arn = find_key(named, call.account, call.region)
    if arn is None:
        raise AwsError("NotFoundException", f"Key '{named}' does not exist")
    return arn


def _key(action: str) -> Rule:
    def rule(call: Call) -> Iterator[Check]:
        named = {"kms:PolicyName": call.params.get("PolicyName") or "default"}
        yield key_check(f"kms:{action}", key_of(call), named if action in _ON_A_POLICY else None)

    return rule


def _encrypting_key(call: Call) -> str:
    """The id of the key that a ciphertext was made under; moto's ciphertexts begin with it."""
    blob = call.params.get("CiphertextBlob") or b""
    return bytes(blob)[:36].decode("ascii", "replace")


_ON_A_POLICY = ("GetKeyPolicy", "PutKeyPolicy")
_OPERATIONS = (
    "CreateAlias Decrypt DescribeKey DisableKey EnableKey EnableKeyRotation Encrypt GenerateDataKey "
    "GenerateDataKeyWithoutPlaintext GetKeyPolicy GetKeyRotationStatus ListKeyPolicies ListResourceTags PutKeyPolicy "
    "ScheduleKeyDeletion CancelKeyDeletion TagResource UntagResource"
)
RULES: dict[str, Rule] = {
    **{name: _key(name) for name in _OPERATIONS.split()},
    **{name: own(f"kms:{name}") for name in ("CreateKey", "ListAliases", "ListKeys")},
}
