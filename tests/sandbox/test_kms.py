"""KMS: ciphertexts and the keys that they are of, aliases, rotation, and key policies that shut their makers out."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

ACCOUNT, OTHER, REGION = "111111111111", "222222222222", "us-east-1"


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def refused(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(ClientError) as error:
        call()
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


@pytest.fixture(scope="module")
def kms(inner: Any) -> Any:
    return inner.client("producer", "kms")


@pytest.fixture(scope="module")
def keys(kms: Any) -> list[str]:
    return [kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2)]


@pytest.fixture(scope="module")
def blob(kms: Any, keys: list[str]) -> bytes:
    context = {"purpose": "tests"}
    return bytes(kms.encrypt(KeyId=keys[0], Plaintext=b"x", EncryptionContext=context)["CiphertextBlob"])


CONTEXT = {"purpose": "tests"}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"EncryptionContext": {"purpose": "others"}}, "InvalidCiphertextException"),
        ({"EncryptionContext": {}}, "InvalidCiphertextException"),
        ({"CiphertextBlob": b"no ciphertext"}, "InvalidCiphertextException"),
        ({"CiphertextBlob": b"134f2428-cec1-4b25-a1ae-9048164dba47" + b"x" * 40}, "AccessDeniedException"),
        ({"KeyId": "other"}, "IncorrectKeyException"),
        ({"KeyId": "134f2428-cec1-4b25-a1ae-9048164dba47"}, "NotFoundException"),
    ],
)
def test_what_is_not_decrypted(
    kms: Any, keys: list[str], blob: bytes, change: dict[str, Any], code: str
) -> None:
    given = {"CiphertextBlob": blob, "EncryptionContext": CONTEXT, **change}
    if given.get("KeyId") == "other":
        given["KeyId"] = keys[1]
    assert refused(lambda: kms.decrypt(**given))[0] == code


def test_a_ciphertext_is_decrypted_without_its_key_s_name_also_by_another_account(
    inner: Any, kms: Any
) -> None:
    root = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "kms:*", "Resource": "*"}
    theirs = {**root, "Principal": {"AWS": OTHER}, "Action": "kms:Decrypt"}
    key = kms.create_key(Policy=policy(root, theirs))["KeyMetadata"]["Arn"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    assert inner.client("staging", "kms").decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
    code, text = refused(lambda: inner.client("outsider", "kms").decrypt(CiphertextBlob=blob))
    assert code == "AccessDeniedException"
    assert (
        "kms:Decrypt on the resource associated with this ciphertext because the resource does not exist"
        in text
    )
    assert key not in text


@pytest.mark.parametrize(
    ("actions", "missing"),
    [
        ([], "kms:ReEncryptFrom"),
        (["kms:Encrypt", "kms:Decrypt"], "kms:ReEncryptFrom"),
        (["kms:ReEncryptFrom"], "kms:ReEncryptTo"),
        (["kms:ReEncryptTo"], "kms:ReEncryptFrom"),
        (["kms:ReEncrypt*"], None),
    ],
)
def test_reencrypt_asks_of_both_keys(
    inner: Any, kms: Any, keys: list[str], blob: bytes, actions: list[str], missing: str | None
) -> None:
    allowed = {"Effect": "Allow", "Action": [*actions, "kms:DescribeKey"], "Resource": "*"}
    client = inner.session("producer", "kms", policy(allowed))
    given = {"CiphertextBlob": blob, "SourceEncryptionContext": CONTEXT, "DestinationKeyId": keys[1]}
    if missing is not None:
        code, text = refused(lambda: client.re_encrypt(**given))
        assert code == "AccessDeniedException"
        assert f"{missing} on" in text
        return
    answer = client.re_encrypt(**given)
    assert (answer["SourceKeyId"], answer["KeyId"]) == (keys[0], keys[1])
    assert kms.decrypt(KeyId=keys[1], CiphertextBlob=answer["CiphertextBlob"])["Plaintext"] == b"x"


def test_reencrypt_knows_its_keys_and_its_context(kms: Any, keys: list[str], blob: bytes) -> None:
    given = {"CiphertextBlob": blob, "DestinationKeyId": keys[1]}
    assert refused(lambda: kms.re_encrypt(**given))[0] == "InvalidCiphertextException"
    assert refused(lambda: kms.re_encrypt(**given, SourceKeyId=keys[1]))[0] == "IncorrectKeyException"


@pytest.mark.parametrize(
    "call",
    [
        lambda kms: kms.get_key_policy(KeyId="alias/tests"),
        lambda kms: kms.put_key_policy(KeyId="alias/tests", Policy=policy()),
        lambda kms: kms.disable_key(KeyId="alias/tests"),
        lambda kms: kms.get_key_rotation_status(KeyId=f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/tests"),
    ],
)
def test_what_takes_no_alias(kms: Any, keys: list[str], call: Callable[[Any], Any]) -> None:
    kms.create_alias(AliasName="alias/tests", TargetKeyId=keys[0])
    try:
        assert refused(lambda: call(kms))[0] == "NotFoundException"
        assert kms.describe_key(KeyId="alias/tests")["KeyMetadata"]["Arn"] == keys[0]
        kms.update_alias(AliasName="alias/tests", TargetKeyId=keys[1])
        assert kms.describe_key(KeyId="alias/tests")["KeyMetadata"]["Arn"] == keys[1]
    finally:
        kms.delete_alias(AliasName="alias/tests")
    assert refused(lambda: kms.delete_alias(AliasName="alias/tests"))[1] == (
        f"Alias arn:aws:kms:{REGION}:{ACCOUNT}:alias/tests is not found."
    )


def test_an_alias_is_moved_by_who_may_on_it_and_on_both_keys(inner: Any, kms: Any, keys: list[str]) -> None:
    kms.create_alias(AliasName="alias/moved", TargetKeyId=keys[0])
    alias = f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/moved"
    given = {"AliasName": "alias/moved", "TargetKeyId": keys[1]}
    try:
        for resources in ([], [alias], [alias, keys[0]], [alias, keys[1]], keys):
            allowed = {
                "Effect": "Allow",
                "Action": "kms:UpdateAlias",
                "Resource": [*resources, "arn:aws:kms:::none"],
            }
            client = inner.session("producer", "kms", policy(allowed))
            assert refused(lambda client=client: client.update_alias(**given))[0] == "AccessDeniedException"
        allowed["Resource"] = [alias, *keys]
        inner.session("producer", "kms", policy(allowed)).update_alias(**given)
    finally:
        kms.delete_alias(AliasName="alias/moved")


def test_a_key_whose_policy_shuts_its_maker_out_is_not_made(kms: Any) -> None:
    before = len(kms.list_keys()["Keys"])
    for principal, said in (
        (OTHER, "in the future"),
        (f"arn:aws:iam::{ACCOUNT}:role/ghost", "invalid principals"),
    ):
        text = policy(
            {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "kms:*", "Resource": "*"}
        )
        code, message = refused(lambda text=text: kms.create_key(Policy=text))
        assert code == "MalformedPolicyDocumentException"
        assert said in message
    assert len(kms.list_keys()["Keys"]) == before
    away = policy({"Effect": "Allow", "Principal": {"AWS": OTHER}, "Action": "kms:*", "Resource": "*"})
    key = kms.create_key(Policy=away, BypassPolicyLockoutSafetyCheck=True)["KeyMetadata"]["Arn"]
    assert refused(lambda: kms.get_key_policy(KeyId=key))[0] == "AccessDeniedException"


def test_rotation_is_shown(kms: Any, keys: list[str]) -> None:
    assert kms.get_key_rotation_status(KeyId=keys[0])["KeyRotationEnabled"] is False
    kms.enable_key_rotation(KeyId=keys[0], RotationPeriodInDays=90)
    status = kms.get_key_rotation_status(KeyId=keys[0])
    assert (status["KeyId"], status["KeyRotationEnabled"], status["RotationPeriodInDays"]) == (
        keys[0],
        True,
        90,
    )
    assert "NextRotationDate" in status
    kms.disable_key_rotation(KeyId=keys[0])
    assert kms.get_key_rotation_status(KeyId=keys[0])["KeyRotationEnabled"] is False
    signing = kms.create_key(KeyUsage="SIGN_VERIFY", KeySpec="RSA_2048")["KeyMetadata"]["Arn"]
    assert refused(lambda: kms.enable_key_rotation(KeyId=signing))[0] == "UnsupportedOperationException"
