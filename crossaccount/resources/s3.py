"""Bucket policies. Every call says whose bucket it must be.

Source: GetBucketPolicy, PutBucketPolicy and DeleteBucketPolicy in the Amazon S3 API reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from crossaccount.policies import Document, compact
from crossaccount.strict_json import parse_json

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def read(client: S3Client, bucket: str, account: str) -> Document | None:
    """The bucket's policy; None when it has none. ``account`` must own the bucket."""
    try:
        text = client.get_bucket_policy(Bucket=bucket, ExpectedBucketOwner=account)["Policy"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchBucketPolicy":
            return None
        raise
    document: dict[str, Any] = parse_json(text)
    return document


def write(client: S3Client, bucket: str, document: Document, account: str) -> None:
    """Replace the bucket's policy."""
    client.put_bucket_policy(Bucket=bucket, Policy=compact(document), ExpectedBucketOwner=account)


def clear(client: S3Client, bucket: str, account: str) -> None:
    """Remove the bucket's policy."""
    client.delete_bucket_policy(Bucket=bucket, ExpectedBucketOwner=account)
