"""What AWS answered to calls of KMS."""

import re
from collections.abc import Callable
from typing import Any

from facts import ACCOUNT, CUSTODIAN, LOCALSTACK_KMS, REGION, UUID, Fact, Setting, key

KEY = rf"arn:aws:kms:{REGION}:{ACCOUNT}:key/[0-9a-f-]{{36}}"
MOTO = "getmoto/moto, tests/test_kms/test_kms_encrypt.py"
STATES = "Key states of AWS KMS keys in the KMS developer guide, with the text that localstack recorded"
CONTEXT = {"EncryptionContext": {"purpose": "facts"}}


def new(setting: Setting, **more: Any) -> str:
    return str(setting.kms.create_key(**more)["KeyMetadata"]["Arn"])


def encrypted(setting: Setting, **more: Any) -> dict[str, Any]:
    return {
        "CiphertextBlob": setting.kms.encrypt(KeyId=new(setting), Plaintext=b"x", **more)["CiphertextBlob"]
    }


def twice_disabled(setting: Setting) -> Any:
    arn = new(setting)
    setting.kms.disable_key(KeyId=arn)
    return setting.kms.disable_key(KeyId=arn)


def rotated_while_disabled(setting: Setting) -> Any:
    arn = new(setting)
    setting.kms.disable_key(KeyId=arn)
    return setting.kms.rotate_key_on_demand(KeyId=arn)


def to_be_deleted(operation: str, **given: Any) -> Callable[[Setting], Any]:
    """A call about a key that waits for its deletion, by its id."""

    def call(setting: Setting) -> Any:
        arn = new(setting)
        setting.kms.schedule_key_deletion(KeyId=arn, PendingWindowInDays=7)
        named = "TargetKeyId" if operation == "create_alias" else "KeyId"
        return getattr(setting.kms, operation)(**{named: arn.rpartition("/")[2]}, **given)

    return call


FACTS: dict[str, Fact] = {
    "a key named by a word": Fact(key(KeyId="fake-key-id"), LOCALSTACK_KMS, "NotFoundException", "Invalid keyId 'fake-key-id'", 400),
    "a key that is not there": Fact(
        key(KeyId=UUID), LOCALSTACK_KMS, "NotFoundException",
        f"Key 'arn:aws:kms:{REGION}:{ACCOUNT}:key/{UUID}' does not exist", 400,
    ),
    "an alias that is not there": Fact(
        key(KeyId="alias/none"), CUSTODIAN, "NotFoundException", rf"Alias arn:aws:kms:{REGION}:{ACCOUNT}:alias/none is not found\.", 400,
    ),
    "a key of another region": Fact(
        key(KeyId=f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/{UUID}"), LOCALSTACK_KMS, "NotFoundException", "Invalid arn eu-west-1", 400,
    ),
    "an alias without its beginning": Fact(
        lambda s: s.kms.create_alias(AliasName="none", TargetKeyId=UUID), LOCALSTACK_KMS,
        "ValidationException", r'Alias must start with the prefix "alias/"\. Please see .*', 400,
    ),
    "the layout of a key's policy": Fact(
        lambda s: s.key_policy(), LOCALSTACK_KMS,
        fields={"Policy": re.compile(
            r'\{\n  "Version" : "2012-10-17",\n  "Id" : "facts",\n  "Statement" : \[ \{\n    "Sid" : "a",.*'
            r'\n    "Principal" : "\*",.*\}, \{\n.*"Principal" : \{\n      "AWS" : "\*"\n    \},.* \]\n\}', re.DOTALL)},
    ),
    "an id without its dashes": Fact(
        key(KeyId=UUID.replace("-", "")), LOCALSTACK_KMS, "NotFoundException", f"Invalid keyId '{UUID.replace('-', '')}'", 400,
    ),
    "the id of a key of several regions that is none": Fact(
        key(KeyId="mrk-fake-key-id"), LOCALSTACK_KMS, "NotFoundException", "Invalid keyId 'mrk-fake-key-id'", 400,
    ),
    "a key of several regions that is not there": Fact(
        key(KeyId="mrk-" + "d3b95762" * 4), LOCALSTACK_KMS, "NotFoundException",
        f"Key 'arn:aws:kms:{REGION}:{ACCOUNT}:key/mrk-{'d3b95762' * 4}' does not exist", 400,
    ),
    "a key that is not there by its ARN": Fact(
        key(KeyId=f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{UUID}"), LOCALSTACK_KMS,
        "NotFoundException", f"Key 'arn:aws:kms:{REGION}:{ACCOUNT}:key/{UUID}' does not exist", 400,
    ),
    "a new key": Fact(
        lambda s: {**(answer := s.kms.describe_key(KeyId=new(s, Description="facts"))), "names": sorted(answer["KeyMetadata"])},
        LOCALSTACK_KMS,
        fields={
            "names": [
                "AWSAccountId", "Arn", "CreationDate", "CustomerMasterKeySpec", "Description", "Enabled", "EncryptionAlgorithms",
                "KeyId", "KeyManager", "KeySpec", "KeyState", "KeyUsage", "MultiRegion", "Origin",
            ],
            "KeyMetadata/EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"], "KeyMetadata/KeyManager": "CUSTOMER",
            "KeyMetadata/KeyState": "Enabled", "KeyMetadata/MultiRegion": False, "KeyMetadata/Origin": "AWS_KMS",
        },
    ),
    "what is encrypted": Fact(
        lambda s: s.kms.encrypt(KeyId=new(s), Plaintext=b"x", **CONTEXT), LOCALSTACK_KMS,
        fields={"EncryptionAlgorithm": "SYMMETRIC_DEFAULT", "KeyId": re.compile(KEY)},
    ),
    "what is decrypted with its context": Fact(
        lambda s: s.kms.decrypt(**encrypted(s, **CONTEXT), **CONTEXT), LOCALSTACK_KMS,
        fields={"Plaintext": b"x", "EncryptionAlgorithm": "SYMMETRIC_DEFAULT", "KeyId": re.compile(KEY)},
    ),
    "what is decrypted without its context": Fact(
        lambda s: s.kms.decrypt(**encrypted(s, **CONTEXT)), LOCALSTACK_KMS, "InvalidCiphertextException", "", 400,
    ),
    "a data key that is decrypted without its context": Fact(
        lambda s: s.kms.decrypt(CiphertextBlob=s.kms.generate_data_key(
            KeyId=new(s), KeySpec="AES_256", **CONTEXT)["CiphertextBlob"]), LOCALSTACK_KMS, "InvalidCiphertextException", "", 400,
    ),
    "what is decrypted with another key": Fact(
        lambda s: s.kms.decrypt(KeyId=new(s), **encrypted(s)), LOCALSTACK_KMS, "IncorrectKeyException",
        r"The key ID in the request does not identify a CMK that can perform this operation\.", 400,
    ),
    "what is encrypted with a key that signs": Fact(
        lambda s: s.kms.encrypt(KeyId=new(s, KeyUsage="SIGN_VERIFY", KeySpec="RSA_2048"), Plaintext=b"x"), LOCALSTACK_KMS,
        "InvalidKeyUsageException", rf"{KEY} key usage is SIGN_VERIFY which is not valid for Encrypt\.", 400,
    ),
    "nothing that is encrypted": Fact(
        lambda s: s.kms.encrypt(KeyId=new(s), Plaintext=b""), MOTO, "ValidationException",
        "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: "
        "Member must have length greater than or equal to 1", 400,
    ),
    "too much that is encrypted": Fact(
        lambda s: s.kms.encrypt(KeyId=new(s), Plaintext=b"x" * 4097), MOTO, "ValidationException",
        "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: "
        "Member must have length less than or equal to 4096", 400,
    ),
    "a data key": Fact(
        lambda s: s.kms.generate_data_key(KeyId=new(s), KeySpec="AES_256"), LOCALSTACK_KMS, fields={"KeyId": re.compile(KEY)},
    ),
    "a data key without its text": Fact(
        lambda s: s.kms.generate_data_key_without_plaintext(KeyId=new(s), KeySpec="AES_256"), LOCALSTACK_KMS,
        fields={"KeyId": re.compile(KEY)}, absent=("Plaintext",),
    ),
    "no random bytes": Fact(
        lambda s: s.kms.generate_random(), LOCALSTACK_KMS, "ValidationException", r"NumberOfBytes is required\.", 400,
    ),
    "too many random bytes": Fact(
        lambda s: s.kms.generate_random(NumberOfBytes=1025), LOCALSTACK_KMS, "ValidationException",
        "1 validation error detected: Value '1025' at 'numberOfBytes' failed to satisfy constraint: "
        "Member must have value less than or equal to 1024", 400,
    ),
    "a key of another usage without saying which": Fact(
        lambda s: s.kms.create_key(KeySpec="HMAC_256"), LOCALSTACK_KMS, "ValidationException",
        r"You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys\.", 400,
    ),
    "a key that is disabled twice": Fact(twice_disabled, LOCALSTACK_KMS),
    "a key that is rotated while it is disabled": Fact(
        rotated_while_disabled, LOCALSTACK_KMS, "DisabledException", rf"{KEY} is disabled\.", 400,
    ),
    "a key that is to be deleted": Fact(
        lambda s: s.kms.schedule_key_deletion(KeyId=new(s), PendingWindowInDays=7), CUSTODIAN,
        fields={"KeyState": "PendingDeletion", "PendingWindowInDays": 7, "KeyId": re.compile(KEY), "DeletionDate": re.compile(".+")},
    ),
    **{
        f"a key that is to be deleted: {operation}": Fact(
            to_be_deleted(operation, **given), STATES, "KMSInvalidStateException", rf"{KEY} is pending deletion\.", 400,
        )
        for operation, given in (
            ("create_alias", {"AliasName": "alias/facts-of-the-end"}),
            ("tag_resource", {"Tags": [{"TagKey": "a", "TagValue": "b"}]}),
            ("untag_resource", {"TagKeys": ["a"]}),
            ("update_key_description", {"Description": "a"}),
            ("enable_key", {}),
            ("schedule_key_deletion", {}),
            ("encrypt", {"Plaintext": b"x"}),
        )
    },
    "a key that is to be deleted: get_key_policy": Fact(to_be_deleted("get_key_policy"), STATES),
    "a key that one may not see": Fact(
        lambda s: s.powerless("kms").describe_key(KeyId=new(s)), f"{CUSTODIAN}/test_kms_access_denied", "AccessDeniedException",
        rf"User: \S+ is not authorized to perform: kms:DescribeKey on resource: {KEY}", 400,
        reason="an older text, of 2021; since then KMS says why",
    ),
}  # fmt: skip
