"""What AWS answered to calls of KMS."""

import re

from facts import ACCOUNT, CUSTODIAN, LOCALSTACK_KMS, REGION, UUID, Fact, key

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
}  # fmt: skip
