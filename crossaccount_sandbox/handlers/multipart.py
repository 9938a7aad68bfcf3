"""S3's multipart uploads: begun, filled with bytes or with parts of other objects, completed, shown.

Not modelled: checksums of parts beyond what the emulation keeps.

Source: "Uploading and copying objects using multipart upload" in the S3 user guide and its operations in the API reference;
the texts of errors from recordings of S3 by localstack.
"""

import re
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

from moto.s3.models import s3_backends

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.handlers.kms import check_usable
from crossaccount_sandbox.handlers.s3_form import NAMESPACE, xml
from crossaccount_sandbox.handlers.storage import stored_object
from crossaccount_sandbox.handlers.upload_checks import check_conditions, check_digests
from crossaccount_sandbox.handlers.uploads import (
    encrypted,
    encrypting_key,
    note_upload,
    source_of,
    uploader,
)
from crossaccount_sandbox.principals import canonical_id
from crossaccount_sandbox.resources import owner_of_bucket, upload_key
from crossaccount_sandbox.wire import AwsError, Response
from crossaccount_sandbox.world import Handler, Upload, World

_SMALLEST = 5 * 1024 * 1024
_PARTS = 10_000
_FORM = "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy"


def create_upload(world: World, call: Call) -> Response:
    """CreateMultipartUpload: who begins it will have uploaded the object, under the key that is named now."""
    writer, owner = uploader(call), owner_of_bucket(call.params["Bucket"])
    key = encrypting_key(world, call)
    response = call.forward(owner or call.account)
    match = re.search(rb"<UploadId>([^<]+)</UploadId>", response.body)
    if match is None:
        return response
    upload_id, bucket = match[1].decode(), call.params["Bucket"]
    world.uploads[upload_id] = Upload(writer, bucket, call.params["Key"], world.clock())
    held = s3_backends[owner]["aws"].buckets[bucket].multiparts[upload_id]
    if key is not None:
        held.kms_key_id, held.sse_encryption = key, held.sse_encryption or "aws:kms"
    elif not call.params.get("SSECustomerAlgorithm"):
        held.sse_encryption = "AES256"
    return _told(held, response)


def upload_part(world: World, call: Call) -> Response:
    """UploadPart: a part's number is 1 to 10,000; its key must be in use."""
    held = _open_upload(call)
    check_digests(call)
    response = call.forward(owner_of_bucket(call.params["Bucket"]))
    return _told(held, response) if response.status < 300 else response


def upload_part_copy(world: World, call: Call) -> Response:
    """UploadPartCopy: a part is an object, or a range of its bytes.

    Raises:
        AwsError: as ``source_of`` says; ``InvalidArgument``, ``InvalidRequest`` for a range that is none, or not of the source.
    """
    held, source = _open_upload(call), source_of(world, call)
    value, span = source.value, call.params.get("CopySourceRange")
    if span is not None:
        first, last = _range(str(span), len(value))
        value = value[first : last + 1]
    part = held.set_part(int(call.params["PartNumber"]), value)
    text = (
        f'<CopyPartResult xmlns="{NAMESPACE}"><LastModified>{part.last_modified_ISO8601}</LastModified>'
        f"<ETag>{part.etag}</ETag></CopyPartResult>"
    )
    version = [("x-amz-copy-source-version-id", source.version_id)] if source.version_id != "null" else []
    return _told(held, xml(text, *version))


def _range(span: str, size: int) -> tuple[int, int]:
    """The first and the last byte of a range.

    Source: recordings of S3 by localstack.
    """
    match = re.fullmatch(r"bytes=(\d+)-(\d+)", span)
    argument = {"ArgumentName": "x-amz-copy-source-range", "ArgumentValue": span}
    if match is None or int(match[1]) > int(match[2]):
        raise AwsError("InvalidArgument", _FORM, 400, argument)
    first, last = int(match[1]), int(match[2])
    if first >= size:
        text = "The specified copy range is invalid for the source object size"
        raise AwsError("InvalidRequest", text)
    if last >= size:
        text = f"Range specified is not valid for source object of size: {size}"
        raise AwsError("InvalidArgument", text, 400, argument)
    return first, last


def complete_upload(world: World, call: Call) -> Response:
    """CompleteMultipartUpload: from then on there is an object, and someone owns it; a second time says the same.

    Raises:
        AwsError: ``NoSuchUpload``; ``InvalidRequest`` without parts, ``InvalidPartOrder``, ``InvalidPart``,
            ``EntityTooSmall``; as ``check_conditions`` says, and ``ConditionalRequestConflict`` where the object was written or
            deleted since the upload began.
    """
    bucket, upload_id = call.params["Bucket"], call.params["UploadId"]
    owner = owner_of_bucket(bucket)
    existing = stored_object(bucket, call.params["Key"], None)
    if getattr(getattr(existing, "multipart", None), "id", None) == upload_id:
        return _told(existing.multipart, _of_a_version(call.forward(owner)))
    held = _open_upload(call)
    check_conditions(call)
    upload = world.uploads.get(upload_id)
    condition = next((name for name in ("IfMatch", "IfNoneMatch") if call.params.get(name)), None)
    if condition is not None and upload is not None and upload.crossed:
        text = "The conditional request cannot succeed due to a conflicting operation against this resource."
        header = {"IfMatch": "If-Match", "IfNoneMatch": "If-None-Match"}[condition]
        extra = {"Condition": header, "Key": call.params["Key"]}
        raise AwsError("ConditionalRequestConflict", text, 409, extra)
    _check_parts(held, (call.params.get("MultipartUpload") or {}).get("Parts") or [])
    response = _of_a_version(call.forward(owner))
    if response.status >= 300 or upload is None:
        return response
    del world.uploads[upload_id]
    return note_upload(world, call, upload.writer, held.kms_key_id, response)


def _of_a_version(response: Response) -> Response:
    """An answer that names a version where the bucket keeps versions alone. Source: recordings of S3 by localstack."""
    unkept = ("x-amz-version-id", "null")
    return replace(
        response,
        headers=tuple((name, value) for name, value in response.headers if (name.lower(), value) != unkept),
    )


def _check_parts(held: Any, parts: list[dict[str, Any]]) -> None:
    if not parts:
        raise AwsError("InvalidRequest", "You must specify at least one part")
    numbers = [int(part["PartNumber"]) for part in parts]
    if numbers != sorted(set(numbers)):
        text = "The list of parts was not in ascending order. Parts must be ordered by part number."
        raise AwsError("InvalidPartOrder", text, 400, {"UploadId": held.id})
    for part in parts:
        number, etag = int(part["PartNumber"]), str(part.get("ETag", "")).strip('"')
        extra = {"PartNumber": number, "ETag": etag}
        stored = held.parts.get(number)
        if stored is None or stored.etag.strip('"') != etag:
            text = (
                "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified "
                "entity tag may not match the part's entity tag."
            )
            raise AwsError("InvalidPart", text, 400, {"UploadId": held.id, **extra})
        if number != numbers[-1] and stored.size < _SMALLEST:
            text = "Your proposed upload is smaller than the minimum allowed size"
            sizes = {"ProposedSize": stored.size, "MinSizeAllowed": _SMALLEST}
            raise AwsError("EntityTooSmall", text, 400, {**sizes, **extra})


def abort_upload(world: World, call: Call) -> Response:
    """AbortMultipartUpload; ``NoSuchUpload``."""
    _open_upload(call, asks_key=False)
    response = call.forward(owner_of_bucket(call.params["Bucket"]))
    world.uploads.pop(call.params["UploadId"], None)
    return response


def list_parts(world: World, call: Call) -> Response:
    """ListParts: with who owns the upload, and who began it; ``NoSuchUpload``."""
    _open_upload(call, asks_key=False)
    owner = str(owner_of_bucket(call.params["Bucket"]))
    response = call.forward(owner)
    if response.status >= 300:
        return response
    root = ElementTree.fromstring(response.body)  # noqa: S314 - moto's own answer
    _show_beginner(world, root, owner)
    return xml(ElementTree.tostring(root, encoding="unicode"))


def list_uploads(world: World, call: Call) -> Response:
    """ListMultipartUploads: by key and by when they began, with who owns them, and who began them."""
    owner = owner_of_bucket(call.params["Bucket"])
    response = call.forward(owner or call.account)
    if response.status >= 300 or owner is None:
        return response
    root = ElementTree.fromstring(response.body)  # noqa: S314 - moto's own answer
    entries = root.findall(f"{{{NAMESPACE}}}Upload")
    for entry in entries:
        root.remove(entry)
        _show_beginner(world, entry, owner)
    entries.sort(
        key=lambda entry: [entry.findtext(f"{{{NAMESPACE}}}{name}") for name in ("Key", "Initiated")]
    )
    root.extend(entries)
    last = {"Key": "NextKeyMarker", "UploadId": "NextUploadIdMarker"} if entries else {}
    for name, marker in last.items():
        ElementTree.SubElement(root, f"{{{NAMESPACE}}}{marker}").text = entries[-1].findtext(
            f"{{{NAMESPACE}}}{name}"
        )
    return xml(ElementTree.tostring(root, encoding="unicode"))


def _show_beginner(world: World, entry: ElementTree.Element, owner: str) -> None:
    upload = world.uploads.get(entry.findtext(f"{{{NAMESPACE}}}UploadId") or "")
    writer = upload.writer.account if upload else owner
    for kind in ("Initiator", "Owner"):
        shown = entry.find(f"{{{NAMESPACE}}}{kind}")
        if shown is not None:
            shown.clear()
            ElementTree.SubElement(shown, f"{{{NAMESPACE}}}ID").text = canonical_id(writer)
    began = entry.find(f"{{{NAMESPACE}}}Initiated")
    if upload is not None and began is not None:
        began.text = upload.began.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _open_upload(call: Call, *, asks_key: bool = True) -> Any:
    """What the emulation holds of the upload that a call names.

    Raises:
        AwsError: ``NoSuchBucket``, ``NoSuchUpload``; ``InvalidArgument`` for a part's number that is none; KMS's refusal of a key
            out of use.
    """
    bucket, upload_id = call.params["Bucket"], call.params["UploadId"]
    owner = owner_of_bucket(bucket)
    if owner is None:
        raise AwsError("NoSuchBucket", "The specified bucket does not exist", 404)
    held = s3_backends[owner]["aws"].buckets[bucket].multiparts.get(upload_id)
    if held is None or held.key_name != call.params["Key"]:
        text = "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."
        raise AwsError("NoSuchUpload", text, 404)
    number = call.params.get("PartNumber")
    if number is not None and not 1 <= int(number) <= _PARTS:
        text = f"Part number must be an integer between 1 and {_PARTS}, inclusive"
        extra = {"ArgumentName": "partNumber", "ArgumentValue": str(number)}
        raise AwsError("InvalidArgument", text, 400, extra)
    if asks_key and (key := upload_key(bucket, upload_id)):
        check_usable(key, "KMS.")
    return held


def _told(held: Any, response: Response) -> Response:
    if held.sse_encryption is None:
        return response
    return encrypted(response, held.sse_encryption, held.kms_key_id)


HANDLERS: dict[str, Handler] = {
    "AbortMultipartUpload": abort_upload,
    "CompleteMultipartUpload": complete_upload,
    "CreateMultipartUpload": create_upload,
    "ListMultipartUploads": list_uploads,
    "ListParts": list_parts,
    "UploadPart": upload_part,
    "UploadPartCopy": upload_part_copy,
}
