"""KMS key policies. Every key has one, and it is never cleared: a key without a usable policy is lost.

Source: GetKeyPolicy and PutKeyPolicy in the AWS KMS API reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crossaccount.policies import Document, compact
from crossaccount.strict_json import parse_json

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient


def read(client: KMSClient, key: str, account: str) -> Document | None:
    """The key's policy, by the key's ARN."""
    document: dict[str, Any] = parse_json(client.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    return document


def write(client: KMSClient, key: str, document: Document, account: str) -> None:
    """Replace the key's policy. KMS itself refuses one that would lock the caller out."""
    client.put_key_policy(KeyId=key, PolicyName="default", Policy=compact(document))
