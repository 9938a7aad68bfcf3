"""S3's archives, restored copies, and keys that change in place: what an object is kept in, beside its bytes.

Not modelled: lifecycle rules, and the archive configuration of Intelligent-Tiering: an object is moved by ``Control``.

Source: RestoreObject, HeadObject and UpdateObjectEncryption in the S3 API reference; "Archive retrieval options" and "Working
with archived objects" in the S3 user guide; the texts of refusals from public reports.
"""

from datetime import timedelta
from typing import Any

from moto.s3.models import s3_backends

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.handlers.kms import check_usable
from crossaccount_sandbox.handlers.s3_form import MALFORMED_XML
from crossaccount_sandbox.resources import find_key, object_key, owner_of_bucket
from crossaccount_sandbox.wire import AwsError, Response
from crossaccount_sandbox.world import Handler, Restore, World

ARCHIVES = ("GLACIER", "DEEP_ARCHIVE")
TIERS = ("ARCHIVE_ACCESS", "DEEP_ARCHIVE_ACCESS")
# How long a retrieval takes at most, by its option.
_RETRIEVAL = {
    "Expedited": timedelta(minutes=5),
    "Standard": timedelta(hours=5),
    "Bulk": timedelta(hours=12),
}
_DEEP = timedelta(hours=12)


def is_archived(world: World, bucket: str, key: str, version: str | None = None) -> bool:
    """Whether an object lies in an archive and no restored copy of it is there."""
    held = stored_object(bucket, key, version)
    if held is None or is_marker(held):
        return False
    place = (bucket, key, held.version_id)
    restore = world.restores.get(place)
    ready = restore is not None and restore.ready <= world.clock()
    if held.storage_class in ARCHIVES:
        copied = ready and restore is not None and restore.ends is not None and restore.ends > world.clock()
        held.set_expiry(
            restore.ends if copied and restore else None
        )  # moto shows it, and lets such a copy be read
        return not copied
    if ready:
        world.tiers.pop(place, None)
        world.restores.pop(place, None)
    return place in world.tiers


def check_active(world: World, call: Call, bucket: str, key: str, version: str | None, copied: bool) -> None:
    """Refuse to read an archived object.

    Raises:
        AwsError: ``InvalidObjectState``; ``ObjectNotInActiveTierError`` for the source of a copy.
    """
    if not is_archived(world, bucket, key, version):
        return
    if copied:
        text = "The source object of the COPY operation is not in the active tier and is only stored in Amazon S3 Glacier."
        raise AwsError("ObjectNotInActiveTierError", text, 403)
    held = stored_object(bucket, key, version)
    tier = world.tiers.get((bucket, key, held.version_id))
    kind = "access tier" if tier else "storage class"
    extra = {"StorageClass": held.storage_class} | ({"AccessTier": tier} if tier else {})
    raise AwsError("InvalidObjectState", f"The operation is not valid for the object's {kind}", 403, extra)


def shown(world: World, bucket: str, key: str, version: str | None) -> tuple[tuple[str, str], ...]:
    """The headers that moto lacks of an object in an archive."""
    held = stored_object(bucket, key, version)
    if held is None or is_marker(held):
        return ()
    archived = is_archived(world, bucket, key, version)
    place = (bucket, key, held.version_id)
    headers = [("x-amz-archive-status", world.tiers[place])] if place in world.tiers else []
    restore = world.restores.get(place)
    if restore is not None and archived and restore.ready > world.clock():
        headers.append(("x-amz-restore", 'ongoing-request="true"'))
    return tuple(headers)


def restore_object(world: World, call: Call) -> Response:
    """RestoreObject: 202, and 200 for a copy that is there already and now lasts longer.

    Raises:
        AwsError: ``NoSuchKey``, ``InvalidObjectState`` for an object that is not archived, ``RestoreAlreadyInProgress``,
            ``MalformedXML`` without Days where a copy is made.
    """
    bucket, key = call.params["Bucket"], call.params["Key"]
    held = stored_object(bucket, key, call.params.get("VersionId"))
    if held is None:
        raise AwsError("NoSuchKey", "The specified key does not exist.", 404, {"Key": key})
    place = (bucket, key, held.version_id)
    archived = is_archived(world, bucket, key, call.params.get("VersionId"))
    if held.storage_class not in ARCHIVES and place not in world.tiers:
        text = "Restore is not allowed for the object's current storage class"
        raise AwsError("InvalidObjectState", text, 403, {"StorageClass": held.storage_class})
    restore = world.restores.get(place)
    if archived and restore is not None and restore.ready > world.clock():
        raise AwsError("RestoreAlreadyInProgress", "Object restore is already in progress", 409)
    request = call.params.get("RestoreRequest") or {}
    days = int(request.get("Days") or 0)
    if held.storage_class in ARCHIVES and days < 1:
        raise AwsError("MalformedXML", MALFORMED_XML)
    option = (request.get("GlacierJobParameters") or {}).get("Tier") or request.get("Tier") or "Standard"
    deep = "DEEP" in (world.tiers.get(place) or held.storage_class) and option == "Standard"
    takes = (_DEEP if deep else _RETRIEVAL[option]) / world.speed if archived else timedelta()
    ready = world.clock() + takes
    ends = ready + timedelta(days=days + 1) if held.storage_class in ARCHIVES else None
    world.restores[place] = Restore(ready, ends)
    return Response(202 if archived else 200, b"")


def update_encryption(world: World, call: Call) -> Response:
    """UpdateObjectEncryption: the object's key is another one; its ETag, dates and storage class stay.

    Raises:
        AwsError: ``NoSuchKey``; ``InvalidRequest`` for a key that is not named by its ARN or an object that S3 cannot change so;
            ``AccessDenied`` for a key of another account; KMS's refusal of a key that is out of use.
    """
    bucket, name = call.params["Bucket"], call.params["Key"]
    held = stored_object(bucket, name, call.params.get("VersionId"))
    if held is None:
        raise AwsError("NoSuchKey", "The specified key does not exist.", 404, {"Key": name})
    wanted = (call.params["ObjectEncryption"].get("SSEKMS") or {}).get("KMSKeyArn")
    owner = owner_of_bucket(bucket) or call.account
    if not wanted or not wanted.startswith("arn:"):
        text = (
            "Requests that modify an object's encryption type to SSE-KMS require an Amazon Web Services KMS key Amazon Resource "
            "Name (ARN). Modify the request to specify a KMS key ARN, and then try again."
        )
        raise AwsError("InvalidRequest", text)
    if wanted.split(":")[4] != owner:
        text = (
            "The Amazon Web Services KMS key in the request must be owned by the same account as the bucket. Modify the request to "
            "specify a KMS key from the same account, and then try again."
        )
        raise AwsError("AccessDenied", text, 403)
    key = find_key(wanted, call.account, call.region)
    if key is None:
        raise AwsError("KMS.NotFoundException", f"Key '{wanted}' does not exist")
    for each in (object_key(bucket, name, call.params.get("VersionId")), key):
        if each is not None:
            check_usable(each, "KMS.")
    etag = held.etag.strip('"')
    held.encryption, held.kms_key_id, held._etag = "aws:kms", key, etag
    return Response(200, b"")


def move(world: World, bucket: str, key: str, tier: str | None) -> None:
    """Put an object of Intelligent-Tiering into one of its archive tiers, or with None out of it.

    Raises:
        ValueError: for an object that is not there, or lies in another storage class, or another tier.
    """
    held = stored_object(bucket, key, None)
    if held is None or held.storage_class != "INTELLIGENT_TIERING":
        raise ValueError(f"s3://{bucket}/{key} is no object of INTELLIGENT_TIERING")
    if tier not in (None, *TIERS):
        raise ValueError(f"an object has no archive tier {tier!r}: {', '.join(TIERS)}")
    place = (bucket, key, held.version_id)
    world.restores.pop(place, None)
    if tier is None:
        world.tiers.pop(place, None)
    else:
        world.tiers[place] = tier


def stored_object(bucket: str, key: str, version: str | None) -> Any:
    """What moto holds of an object; None for one that is not there."""
    owner = owner_of_bucket(bucket)
    if owner is None:
        return None
    keys = s3_backends[owner]["aws"].buckets[bucket].keys
    if version is not None:
        return next((kept for kept in keys.getlist(key, []) if kept.version_id == version), None)
    held = keys.get(key)
    return None if is_marker(held) else held


def is_marker(held: Any) -> bool:
    """Whether what the emulation holds is a delete marker."""
    return not hasattr(held, "storage_class")


HANDLERS: dict[str, Handler] = {
    "RestoreObject": restore_object,
    "UpdateObjectEncryption": update_encryption,
}
