"""How S3 keeps an object, judged from what HEAD shows of it: readable now or archived, under which key, the same bytes or others.

Not here: who may read it.

Source: HeadObject and RestoreObject in the S3 API reference; "Working with archived objects", "Checking object integrity" and
"Updating server-side encryption for existing objects" in the S3 user guide.
"""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from crossaccount.errors import Finding, Obstacle, Severity

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# What a client reads of an object: the members of a HEAD answer, as botocore names them.
Head = Mapping[str, Any]

_ARCHIVES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
_TIERS = {"ARCHIVE_ACCESS": "Archive Access", "DEEP_ARCHIVE_ACCESS": "Deep Archive Access"}
_MD5 = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Place:
    """An object by its bucket and key."""

    bucket: str
    key: str

    def __str__(self) -> str:
        """As an ``s3://`` location."""
        return f"s3://{self.bucket}/{self.key}"

    @property
    def arguments(self) -> str:
        """As the arguments of an ``aws s3api`` command."""
        return f"--bucket {shlex.quote(self.bucket)} --key {shlex.quote(self.key)}"


def kms_key(head: Head) -> str | None:
    """The KMS key that an object is encrypted under, as HEAD names it; None where no KMS key is asked for it."""
    under_kms = str(head.get("ServerSideEncryption", "")).startswith("aws:kms")
    return head.get("SSEKMSKeyId") if under_kms else None


def check_readable(place: Place, head: Head) -> None:
    """See that an object can be read: it is in no archive, or a restored copy of it is there.

    Raises:
        Obstacle: with the command that restores it.
    """
    kept, tier = head.get("StorageClass"), head.get("ArchiveStatus")
    restore = str(head.get("Restore", ""))
    if kept not in _ARCHIVES and not tier:
        return
    if 'ongoing-request="true"' in restore:
        raise Obstacle(
            str(place),
            f"It is archived ({_archive(kept, tier)}), and being restored: until then nobody can read it.",
            f"Wait until this no longer says true: aws s3api head-object {place.arguments} --query Restore",
        )
    if kept in _ARCHIVES and "expiry-date" in restore:
        return
    if tier:
        request, then = "{}", "It then stays readable for as long as it is read now and then."
    else:
        request = '{"Days": 30, "GlacierJobParameters": {"Tier": "Standard"}}'
        then = "The copy lasts for these days, and an endpoint that starts or scales later needs it again."
    raise Obstacle(
        str(place),
        f"It is archived ({_archive(kept, tier)}): nobody can read it until it is restored.",
        f"Restore it, which takes hours: aws s3api restore-object {place.arguments} --restore-request '{request}' {then}",
    )


def list_objects(s3: S3Client, place: Place, owner: str) -> list[Any]:
    """The objects under a prefix, as S3 lists them, without markers of folders: keys that end in a slash.

    Raises:
        ClientError: S3's refusal.
    """
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=place.bucket, Prefix=place.key, ExpectedBucketOwner=owner
    )
    entries = (entry for page in pages for entry in page.get("Contents", []))
    return [entry for entry in entries if not entry["Key"].endswith("/")]


def may_be_archived(entry: Mapping[str, Any]) -> bool:
    """Whether an object that S3 lists can be archived: HEAD alone tells an archive tier, and a restored copy."""
    return entry.get("StorageClass") in (*_ARCHIVES, "INTELLIGENT_TIERING")


def _archive(kept: str | None, tier: str | None) -> str:
    return f"{kept or 'INTELLIGENT_TIERING'}, {_TIERS.get(tier, tier)} tier" if tier else str(kept)


def expiring(place: Place, head: Head) -> Finding | None:
    """A warning about an object that can be read as a restored copy alone; None for any other."""
    until = re.search(r'expiry-date="([^"]+)"', str(head.get("Restore", "")))
    if head.get("StorageClass") not in _ARCHIVES or until is None:
        return None
    return Finding(
        Severity.WARNING,
        str(place),
        f"It is archived ({head['StorageClass']}), and its restored copy can be read until {until[1]} only: an endpoint that starts or "
        "scales later cannot read it.",
        "Restore it for longer, or register the next version from storage that is no archive.",
    )


def gives_reason(error: ClientError) -> bool:
    """Whether a refusal of S3 says whose policy it was: it does so within an account or an organization alone."""
    return "not authorized to perform" in str(error.response["Error"].get("Message", ""))


@dataclass(frozen=True)
class Stored:
    """What S3 says about an object's bytes: its ETag, and their MD5 digest (in hexadecimal) as far as HEAD tells it."""

    etag: str
    digest: str | None


def stored(head: Head) -> Stored:
    """What a HEAD answer says about the bytes; with its checksums where they were asked for."""
    etag = str(head["ETag"]).strip('"')
    if (checksum := head.get("ChecksumMD5")) and head.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT":
        return Stored(etag, base64.b64decode(checksum).hex())
    plain = head.get("ServerSideEncryption") in (None, "AES256") and "SSECustomerAlgorithm" not in head
    return Stored(etag, etag if plain and _MD5.fullmatch(etag) else None)


def with_checksum(s3: S3Client, place: Place, owner: str, head: Head) -> Stored:
    """What S3 says about an object's bytes, once it was also asked for its checksum where HEAD alone does not tell.

    One more call, which needs kms:Decrypt for an object under a KMS key: a refusal leaves it untold.
    """
    known = stored(head)
    if known.digest is not None:
        return known
    try:
        return stored(
            s3.head_object(
                Bucket=place.bucket, Key=place.key, ExpectedBucketOwner=owner, ChecksumMode="ENABLED"
            )
        )
    except ClientError:
        return known


def is_other(recorded: str, now: Stored, was_plain: bool) -> bool | None:
    """Whether an object has other bytes than the one whose ETag was recorded; None when that cannot be told.

    An ETag is the MD5 digest of the bytes where the object was uploaded in one part and no KMS key encrypts it; under a KMS key
    the same bytes have another ETag after each upload or copy.

    Args:
        recorded: the ETag that was recorded.
        now: the object as it is.
        was_plain: whether the object is known to have been under no KMS key when the ETag was recorded.
    """
    if recorded == now.etag or recorded == now.digest:
        return False
    if now.digest is not None and was_plain and _MD5.fullmatch(recorded):
        return True
    return None


@dataclass(frozen=True)
class Difference:
    """How an object differs from the one whose ETag was recorded: ``verb`` follows its name, ``detail`` is a sentence or two."""

    verb: str
    detail: str
    way_out: str


def difference(recorded: str, now: Stored, was_plain: bool) -> Difference:
    """What an object's other ETag says about its bytes; arguments as for `is_other`."""
    etags = f"its ETag was {recorded}, and is {now.etag}."
    other = is_other(recorded, now, was_plain)
    if other:
        return Difference("was replaced", etags, "Restore it, or register a new version.")
    if other is False:
        return Difference(
            "has the same bytes, but was stored anew",
            etags,
            "Copy it onto itself as it was kept before, which gives its ETag back, or register a new version.",
        )
    return Difference(
        "was written anew",
        f"{etags} Whether its bytes are the same cannot be told: an object under a KMS key, or in parts, has another ETag after each upload "
        "or copy, whatever its bytes.",
        "If its bytes are others, restore it, or register a new version; if it was copied to change its key, register it as a new version "
        "(aws s3api update-object-encryption changes a key and keeps the ETag).",
    )
