"""Buckets, keys, repositories, groups and alarms: who owns them, where they lie, and the ARNs that name them.

Not here: their policies (``attached``) and what is checked on them (``checks``).
"""

from typing import Any

from moto.kms.models import kms_backends
from moto.s3.models import s3_backends

from crossaccount_sandbox.attached import PolicyKey


def owner_of_bucket(bucket: str) -> str | None:
    """The account that owns a bucket; None when no one does."""
    owner = s3_backends.bucket_accounts.get(bucket)
    return None if owner is None else str(owner[1])


def region_of_bucket(bucket: str) -> str | None:
    """The region that a bucket lies in; None for a bucket that does not exist."""
    owner = owner_of_bucket(bucket)
    return None if owner is None else str(s3_backends[owner]["aws"].buckets[bucket].region_name)


def _stored(bucket: str, key: str, version: str | None) -> tuple[str, Any, Any]:
    """The bucket's owner, the bucket and the object in it; None in place of what does not exist."""
    owner = owner_of_bucket(bucket)
    if owner is None:
        return "", None, None
    held = s3_backends[owner]["aws"].buckets[bucket]
    if version is None:
        return owner, held, held.keys.get(key)
    found = next((kept for kept in held.keys.getlist(key, []) if kept.version_id == version), None)
    return owner, held, found


def object_key(bucket: str, key: str, version: str | None = None) -> str | None:
    """The ARN of the KMS key an object is encrypted under; None when it is not, or does not exist."""
    owner, held, stored = _stored(bucket, key, version)
    if getattr(stored, "encryption", None) != "aws:kms" or not stored.kms_key_id:
        return None
    return find_key(stored.kms_key_id, owner, held.region_name)


def upload_key(bucket: str, upload_id: str) -> str | None:
    """The ARN of the KMS key that a multipart upload is encrypted under; None for none, and for no such upload."""
    owner = owner_of_bucket(bucket)
    held = s3_backends[owner]["aws"].buckets[bucket].multiparts.get(upload_id) if owner is not None else None
    return None if held is None or not held.kms_key_id else str(held.kms_key_id)


def encryption_of_upload(
    bucket: str, algorithm: str | None, named: str | None
) -> tuple[str | None, str | None]:
    """The encryption of an object that is uploaded, and the key as it is named: those of the request, or else the bucket's default.

    Source: "Setting default server-side encryption behavior for Amazon S3 buckets" in the S3 user guide.
    """
    if algorithm:
        return algorithm, named
    owner = owner_of_bucket(bucket)
    kept: Any = s3_backends[owner]["aws"].buckets[bucket].encryption if owner is not None else None
    default = kept["Rule"]["ApplyServerSideEncryptionByDefault"] if kept else {}
    return default.get("SSEAlgorithm"), default.get("KMSMasterKeyID")


def object_tags(bucket: str, key: str, version: str | None = None) -> dict[str, str]:
    """The tags of an object; none for one that does not exist."""
    owner, _, stored = _stored(bucket, key, version)
    if getattr(stored, "arn", None) is None:
        return {}
    return dict(s3_backends[owner]["aws"].tagger.get_tag_dict_for_resource(stored.arn))


def find_key(key_id: str, account: str, region: str) -> str | None:
    """The ARN of a KMS key named by id, ARN or alias, as seen from ``account``; None when there is none."""
    if key_id.startswith("arn:aws:kms:"):
        _, _, _, region, account, _ = key_id.split(":", 5)
        if ":alias/" not in key_id:
            exists = key_id.rpartition("/")[2] in kms_backends[account][region].keys
            return key_id if exists else None
        key_id = key_id.split(":", 5)[5]
    backend = kms_backends[account][region]
    if key_id.startswith("alias/"):
        key_id = backend.get_key_id_from_alias(key_id) or ""
    return str(backend.keys[key_id].arn) if key_id in backend.keys else None


def key_state(arn: str) -> str:
    """The state of a KMS key: ``Enabled``, ``Disabled`` or ``PendingDeletion``."""
    _, _, _, region, account, resource = arn.split(":", 5)
    return str(kms_backends[account][region].keys[resource.removeprefix("key/")].key_state)


def registry_of(arn: str) -> PolicyKey:
    """Where the policy of the registry is kept that a repository, by its ARN, lies in."""
    return "registry", f"{arn.partition(':repository/')[0]}:registry"


def group_of(arn_or_name: str, region: str, account: str) -> tuple[str, str]:
    """The group's ARN and its owner's account, from the ARN or name of a model package group."""
    if arn_or_name.startswith("arn:"):
        return arn_or_name, arn_or_name.split(":")[4]
    return f"arn:aws:sagemaker:{region}:{account}:model-package-group/{arn_or_name}", account


def package_of(arn_or_name: str, region: str, account: str) -> tuple[str, str, PolicyKey | None]:
    """A package's ARN, its owner's account, and where the policy of its group is kept."""
    arn = arn_or_name
    if not arn.startswith("arn:"):
        arn = f"arn:aws:sagemaker:{region}:{account}:model-package/{arn_or_name}"
    _, _, _, of_region, owner, resource = arn.split(":", 5)
    parts = resource.split("/")
    if len(parts) < 3:
        return arn, owner, None
    return arn, owner, ("group", f"arn:aws:sagemaker:{of_region}:{owner}:model-package-group/{parts[1]}")


def alarm_arn(region: str, account: str, name: str) -> str:
    """The ARN of a CloudWatch alarm."""
    return f"arn:aws:cloudwatch:{region}:{account}:alarm:{name}"
