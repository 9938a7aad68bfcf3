"""S3's objects, deleted: one, or many of which each is refused for itself.

Not modelled: locks beyond the emulation's.

Source: DeleteObject and DeleteObjects in the S3 API reference; recordings of S3 by localstack.
"""

import re
from dataclasses import replace
from typing import Any
from xml.sax.saxutils import escape

from moto.s3.exceptions import AccessDeniedByLock
from moto.s3.models import s3_backends

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.check import Check
from crossaccount_sandbox.checks.decisions import authorize
from crossaccount_sandbox.checks.operations import checks_of
from crossaccount_sandbox.checks.s3 import bypass
from crossaccount_sandbox.handlers.s3_form import MALFORMED_XML, NAMESPACE, xml
from crossaccount_sandbox.handlers.storage import is_marker, stored_object
from crossaccount_sandbox.resources import owner_of_bucket
from crossaccount_sandbox.wire import AwsError, Response
from crossaccount_sandbox.world import Handler, World

_MOST = 1000


def check_version(bucket: str, key: str, version: str | None) -> None:
    """Refuse a version id that S3 never gave.

    Source: recordings of S3 by localstack.

    Raises:
        AwsError: ``InvalidArgument``.
    """
    owner = owner_of_bucket(bucket)
    if version in (None, "null") or owner is None or stored_object(bucket, key, version) is not None:
        return
    versioned = s3_backends[owner]["aws"].buckets[bucket].is_versioned
    if not versioned or not _VERSION_ID.fullmatch(str(version)):
        extra = {"ArgumentName": "versionId", "ArgumentValue": str(version)}
        raise AwsError("InvalidArgument", "Invalid version id specified", 400, extra)


_VERSION_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")  # the emulation's


def delete_object(world: World, call: Call) -> Response:
    """DeleteObject; ``InvalidArgument`` for a version id that S3 never gave."""
    bucket, key, version = call.params["Bucket"], call.params["Key"], call.params.get("VersionId")
    check_version(bucket, key, version)
    held = stored_object(bucket, key, version)
    marker = version is not None and held is not None and is_marker(held)
    response = call.forward(owner_of_bucket(bucket) or call.account)
    world.crossed(bucket, key)
    shown = any(name.lower() == "x-amz-delete-marker" for name, _ in response.headers)
    if marker and response.status == 204 and not shown:
        return replace(response, headers=(*response.headers, ("x-amz-delete-marker", "true")))
    return response


def delete_objects(world: World, call: Call) -> Response:
    """DeleteObjects: 200, with what was deleted and what was not; quietly, with what was not.

    Raises:
        AwsError: ``NoSuchBucket``; ``MalformedXML`` for no object, and for more than a thousand.
    """
    owner = owner_of_bucket(call.params["Bucket"])
    if owner is None:
        raise AwsError("NoSuchBucket", "The specified bucket does not exist", 404)
    request = call.params.get("Delete") or {}
    listed = request.get("Objects") or []
    if not 0 < len(listed) <= _MOST:
        raise AwsError("MalformedXML", MALFORMED_XML)
    parts = [
        _delete_one(world, call, owner, entry, check)
        for entry, check in zip(listed, checks_of(call), strict=True)
    ]
    quiet = bool(request.get("Quiet"))
    body = "".join(part for part in parts if not (quiet and part.startswith("<Deleted>")))
    return xml(f'<DeleteResult xmlns="{NAMESPACE}">{body}</DeleteResult>')


def _delete_one(world: World, call: Call, owner: str, entry: dict[str, Any], check: Check) -> str:
    bucket, key, version = call.params["Bucket"], str(entry["Key"]), entry.get("VersionId")
    named = f"<Key>{escape(key)}</Key>" + (f"<VersionId>{escape(version)}</VersionId>" if version else "")
    try:
        for asked in (check, *bypass(call, key)):
            authorize(world, asked, call)
        deleted = _delete(owner, bucket, key, version, call)
    except AwsError as error:
        said = f"<Code>{error.code}</Code><Message>{escape(error.message)}</Message>"
        return f"<Error>{named}{said}</Error>"
    world.crossed(bucket, key)
    return f"<Deleted>{named}{deleted}</Deleted>"


def _delete(owner: str, bucket: str, key: str, version: str | None, call: Call) -> str:
    """Delete an object: what is told of its delete marker."""
    held = stored_object(bucket, key, version)
    if version not in (None, "null") and held is None:
        raise AwsError("NoSuchVersion", "The specified version does not exist.", 404)
    bypassed = bool(call.params.get("BypassGovernanceRetention"))
    backend = s3_backends[owner]["aws"]
    try:
        _, told = backend.delete_object(bucket, key, version_id=version, bypass=bypassed)
    except AccessDeniedByLock:
        text = "Access Denied because object protected by object lock."
        raise AwsError("AccessDenied", text, 403) from None
    marker = version if version and held is not None and is_marker(held) else None
    marker = marker or (told.get("version-id") if version is None else None)
    if marker is None:
        return ""
    return f"<DeleteMarker>true</DeleteMarker><DeleteMarkerVersionId>{marker}</DeleteMarkerVersionId>"


def delete_tagging(world: World, call: Call) -> Response:
    """DeleteObjectTagging: 204, as S3 answers it."""
    response = call.forward(owner_of_bucket(call.params["Bucket"]) or call.account)
    return replace(response, status=204, body=b"") if response.status == 200 else response


HANDLERS: dict[str, Handler] = {
    "DeleteObject": delete_object,
    "DeleteObjects": delete_objects,
    "DeleteObjectTagging": delete_tagging,
}
