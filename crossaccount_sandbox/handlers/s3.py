"""S3's objects where moto lacks AWS's conditions: who owns what, what a copy reads, keys that are out of use.

Not here: buckets (``buckets``), their policies (``bucket_policies``), multipart uploads (``multipart``). Not modelled: access
control lists beyond the canned ``bucket-owner-full-control`` of an upload, access points.
"""

import re
from dataclasses import replace
from typing import Any
from urllib.parse import quote, unquote
from xml.etree import ElementTree

from moto.s3.models import s3_backends

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.check import Check
from crossaccount_sandbox.checks.decisions import authorize
from crossaccount_sandbox.checks.s3_keys import copy_source
from crossaccount_sandbox.handlers.deletions import check_version
from crossaccount_sandbox.handlers.kms import check_usable
from crossaccount_sandbox.handlers.s3_form import NAMESPACE
from crossaccount_sandbox.handlers.storage import check_active, is_marker, shown, stored_object
from crossaccount_sandbox.handlers.upload_checks import check_conditions, check_digests
from crossaccount_sandbox.handlers.uploads import encrypting_key, note_upload, source_of, uploader
from crossaccount_sandbox.principals import canonical_id
from crossaccount_sandbox.resources import object_key, owner_of_bucket
from crossaccount_sandbox.wire import AwsError, Response
from crossaccount_sandbox.world import Handler, World


def put_object(world: World, call: Call) -> Response:
    """PutObject: the KMS key of an encrypted object is kept, and shown, as its full ARN; the uploader may come to own it.

    Raises:
        AwsError: as ``encrypting_key``, ``uploader`` and ``check_conditions`` say.
    """
    writer, owner = uploader(call), owner_of_bucket(call.params["Bucket"])
    key = encrypting_key(world, call)
    check_conditions(call)
    if call.operation == "PutObject":
        check_digests(call)
    response = call.forward(owner or call.account)
    if response.status >= 300:
        return response
    response = note_upload(world, call, writer, key, response)
    if any(name.lower().startswith("x-amz-checksum-") for name, _ in response.headers):
        response = replace(response, headers=(*response.headers, ("x-amz-checksum-type", "FULL_OBJECT")))
    return response


_KEEPS = "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes."
_CHANGES = ("StorageClass", "WebsiteRedirectLocation", "ServerSideEncryption", "SSEKMSKeyId")


def copy_object(world: World, call: Call) -> Response:
    """CopyObject: a read, and an upload like any other; onto itself only with a change (``InvalidRequest``)."""
    uploader(call)
    source_of(world, call)
    bucket, key, version = copy_source(call)
    replaces = call.params.get("MetadataDirective") == "REPLACE"
    same = (bucket, key, version) == (call.params["Bucket"], call.params["Key"], None)
    if same and not replaces and not any(map(call.params.get, _CHANGES)):
        raise AwsError("InvalidRequest", _KEEPS)
    # The emulation reads the header anew, and other buckets and keys from it than those that were judged.
    judged = quote(f"{bucket}/{key}") + (f"?versionId={quote(version)}" if version else "")
    call.environ["HTTP_X_AMZ_COPY_SOURCE"] = judged
    response = put_object(world, call)
    kind = rb"\g<0><ChecksumType>FULL_OBJECT</ChecksumType>"
    return replace(
        response, body=re.sub(rb"<Checksum[A-Z0-9]+>[^<]*</Checksum[A-Z0-9]+>", kind, response.body)
    )


ElementTree.register_namespace("", NAMESPACE)


def list_with_owners(world: World, call: Call) -> Response:
    """ListObjects, ListObjectsV2, ListObjectVersions: with each object's true owner, where an owner is asked for.

    The bucket's region is in a header of each, which the API reference does not mention.

    Source: answers of S3 in boto/botocore#2227 and versity/versitygw#1814.
    """
    bucket = call.params["Bucket"]
    bucket_owner = owner_of_bucket(bucket)
    token = call.params.get("ContinuationToken")
    if (
        bucket_owner
        and token is not None
        and token not in s3_backends[bucket_owner]["aws"]._pagination_tokens
    ):
        text = "The continuation token provided is incorrect"
        raise AwsError("InvalidArgument", text, 400, {"ArgumentName": "continuation-token"})
    _check_page(call)
    _limit_page(call)
    response = call.forward(bucket_owner or call.account)
    if response.status >= 300 or bucket_owner is None:
        return response
    root = ElementTree.fromstring(response.body)  # noqa: S314 - moto's own answer
    encoded = root.findtext(f"{{{NAMESPACE}}}EncodingType") == "url"
    for name in ("Prefix", "Marker") if call.operation == "ListObjects" else ("Prefix",):
        if root.find(f"{{{NAMESPACE}}}{name}") is None:
            ElementTree.SubElement(root, f"{{{NAMESPACE}}}{name}").text = str(call.params.get(name) or "")
    _show_next_marker(call, root)
    for entry in root:
        if entry.find(f"{{{NAMESPACE}}}ETag") is not None:
            _show_checksum(call, entry, encoded)
        if entry.find(f"{{{NAMESPACE}}}Owner") is not None:
            _show_owner(world, call, entry, encoded, bucket_owner)
    region = s3_backends[bucket_owner]["aws"].buckets[bucket].region_name
    return replace(
        response,
        headers=(*response.headers, ("x-amz-bucket-region", region)),
        body=ElementTree.tostring(root, encoding="utf-8", xml_declaration=True),
    )


def _show_next_marker(call: Call, root: ElementTree.Element) -> None:
    """Where a list of the first kind goes on: the last key, and only with a delimiter.

    Source: recordings of S3 by localstack.
    """
    if call.operation != "ListObjects":
        return
    keys = root.findall(f"{{{NAMESPACE}}}Contents/{{{NAMESPACE}}}Key")
    for marker in root.findall(f"{{{NAMESPACE}}}NextMarker"):
        if call.params.get("Delimiter") and keys:
            marker.text = keys[-1].text
        else:
            root.remove(marker)


def _check_page(call: Call) -> None:
    """Refuse a page that is asked for in another encoding than URLs', or after a version of no key.

    Source: recordings of S3 by localstack.
    """
    encoding = call.params.get("EncodingType")
    if encoding is not None and encoding != "url":
        extra = {"ArgumentName": "encoding-type", "ArgumentValue": str(encoding)}
        raise AwsError("InvalidArgument", "Invalid Encoding Method specified in Request", 400, extra)
    after = call.params.get("VersionIdMarker")
    if after and not call.params.get("KeyMarker"):
        extra = {"ArgumentName": "version-id-marker", "ArgumentValue": str(after)}
        text = "A version-id marker cannot be specified without a key marker."
        raise AwsError("InvalidArgument", text, 400, extra)


_PAGE = 1000


def _limit_page(call: Call) -> None:
    """Let a page of a list have a thousand entries at most, whatever the request says.

    Source: ListObjectsV2 and its like in the S3 API reference.

    Raises:
        AwsError: ``InvalidArgument`` for a number that is none.
    """
    asked = call.params.get("MaxKeys")
    if asked is None:
        return
    if not 0 <= int(asked) < 2**31:
        text = "Argument maxKeys must be an integer between 0 and 2147483647"
        raise AwsError("InvalidArgument", text, 400, {"ArgumentName": "maxKeys", "ArgumentValue": asked})
    if int(asked) > _PAGE:
        parts = str(call.environ["QUERY_STRING"]).split("&")
        kept = [part for part in parts if not part.startswith("max-keys=")]
        call.environ["QUERY_STRING"] = "&".join([*kept, f"max-keys={_PAGE}"])


def _show_owner(
    world: World, call: Call, entry: ElementTree.Element, encoded: bool, bucket_owner: str
) -> None:
    """Show a listed object's true owner in place of the emulation's."""
    for wrong in entry.findall(f"{{{NAMESPACE}}}Owner"):
        entry.remove(wrong)
    if call.operation == "ListObjectsV2" and not call.params.get("FetchOwner"):
        return
    key = entry.findtext(f"{{{NAMESPACE}}}Key") or ""
    writer = world.writer(
        f"arn:aws:s3:::{call.params['Bucket']}/{unquote(key) if encoded else key}",
        entry.findtext(f"{{{NAMESPACE}}}VersionId"),
    )
    owner = ElementTree.SubElement(entry, f"{{{NAMESPACE}}}Owner")
    account = writer.account if writer else bucket_owner
    ElementTree.SubElement(owner, f"{{{NAMESPACE}}}ID").text = canonical_id(account)


def _show_checksum(call: Call, entry: ElementTree.Element, encoded: bool) -> None:
    """Add to a listed object what is known of its checksum."""
    key = entry.findtext(f"{{{NAMESPACE}}}Key") or ""
    version = entry.findtext(f"{{{NAMESPACE}}}VersionId")
    held = stored_object(call.params["Bucket"], unquote(key) if encoded else key, version)
    algorithm = getattr(held, "checksum_algorithm", None)
    if not algorithm:
        return
    for name, value in (
        ("ChecksumAlgorithm", algorithm),
        ("ChecksumType", held.checksum_type or "FULL_OBJECT"),
    ):
        if entry.find(f"{{{NAMESPACE}}}{name}") is None:
            ElementTree.SubElement(entry, f"{{{NAMESPACE}}}{name}").text = value


def get_object(world: World, call: Call) -> Response:
    """GetObject and HeadObject: that an object is missing is told only to those who may list the bucket.

    KMS is asked for what is read, and so not by HeadObject.

    Raises:
        AwsError: ``AccessDenied`` for a missing object, to everyone else; ``KMS.DisabledException`` and
            ``KMS.KMSInvalidStateException`` for one that is encrypted under a key out of use; ``InvalidObjectState`` for the
            bytes of one in an archive; ``MethodNotAllowed`` for a delete marker by its version.
    """
    bucket, key = call.params["Bucket"], call.params["Key"]
    owner = owner_of_bucket(bucket)
    version = call.params.get("VersionId")
    held = stored_object(bucket, key, version)
    _check_named(world, call, bucket, key, version)
    if held is not None and is_marker(held):
        text = "The specified method is not allowed against this resource."
        extra = {"Method": call.environ["REQUEST_METHOD"], "ResourceType": "DeleteMarker"}
        raise AwsError(
            "MethodNotAllowed", text, 405, extra, {"x-amz-delete-marker": "true", "Allow": "DELETE"}
        )
    if held is not None and held.encryption is None:
        held.encryption = "AES256"
    further = shown(world, bucket, key, version)
    further = (*further, *_part(call, held))
    encrypted_under = object_key(bucket, key, version)
    if call.operation == "GetObject":
        check_active(world, call, bucket, key, version, copied=False)
    if encrypted_under and call.operation == "GetObject":
        check_usable(encrypted_under, "KMS.")
    response = call.forward(owner or call.account)
    names = {name.lower() for name, _ in response.headers}
    if any(name.startswith("x-amz-checksum-") for name in names) and "x-amz-checksum-type" not in names:
        kind = getattr(held, "checksum_type", None) or "FULL_OBJECT"
        further = (*further, ("x-amz-checksum-type", kind))
    return replace(response, headers=(*response.headers, *further))


def _part(call: Call, held: Any) -> tuple[tuple[str, str], ...]:
    """Read a part of an object as the range that it is. An object that was put at once is its own only part.

    Returns:
        The headers that the answer has beside a range's.

    Source: recordings of S3 by localstack; GetObject in the S3 API reference.

    Raises:
        AwsError: ``InvalidRequest``, ``InvalidPartNumber``.
    """
    asked = call.params.get("PartNumber")
    if asked is None or held is None:
        return ()
    if call.params.get("Range"):
        raise AwsError("InvalidRequest", "Cannot specify both Range header and partNumber query parameter")
    parts = [held.multipart.parts[number] for number in held.multipart.partlist] if held.multipart else [held]
    count = len(parts)
    if int(asked) > count:
        extra = {"ActualPartCount": str(count), "PartNumberRequested": str(asked)}
        raise AwsError("InvalidPartNumber", "The requested partnumber is not satisfiable", 416, extra)
    if not held.multipart:
        return ()
    sizes = [part.contentsize for part in parts]
    start = sum(sizes[: int(asked) - 1])
    call.environ["HTTP_RANGE"] = f"bytes={start}-{start + sizes[int(asked) - 1] - 1}"
    query = str(call.environ["QUERY_STRING"]).split("&")
    call.environ["QUERY_STRING"] = "&".join(part for part in query if not part.startswith("partNumber="))
    return (("x-amz-mp-parts-count", str(count)),)


def _check_named(world: World, call: Call, bucket: str, key: str, version: str | None) -> None:
    """Refuse who names an object, or a version, that is not there: with what is missing only for those who may list.

    Raises:
        AwsError: ``AccessDenied``; ``InvalidArgument`` for a version id that is none.
    """
    owner = owner_of_bucket(bucket)
    if owner is None or stored_object(bucket, key, version) is not None:
        return
    arn = f"arn:aws:s3:::{bucket}"
    authorize(world, Check("s3:ListBucket", arn, owner, ("bucket", arn), context={"s3:prefix": key}), call)
    check_version(bucket, key, version)


HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(("GetObject", "HeadObject"), get_object),
    "PutObject": put_object,
    "CopyObject": copy_object,
    **dict.fromkeys(("ListObjects", "ListObjectsV2", "ListObjectVersions"), list_with_owners),
}
