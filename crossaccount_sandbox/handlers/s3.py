"""S3 where moto lacks AWS's conditions: bucket policies, public access, who owns what, keys that are out of use.

Not modelled: access control lists beyond the canned ``bucket-owner-full-control`` of an upload, access points,
presigned requests.
"""

import json
import re
import secrets
from dataclasses import replace
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

from moto.s3.models import PublicAccessBlock, s3_backends

from crossaccount_sandbox.attached import compact, load, statements
from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.check import Check
from crossaccount_sandbox.checks.decisions import authorize
from crossaccount_sandbox.checks.s3_keys import copy_source
from crossaccount_sandbox.handlers.kms import check_usable, managed_key
from crossaccount_sandbox.handlers.storage import check_active, shown
from crossaccount_sandbox.principals import canonical_id
from crossaccount_sandbox.public import is_public
from crossaccount_sandbox.resources import encryption_of_upload, find_key, object_key, owner_of_bucket
from crossaccount_sandbox.wire import AwsError, Response, unchunk
from crossaccount_sandbox.world import ENFORCED, PREFERRED, WRITER, Handler, World, Writer

_BUCKET_POLICY_LIMIT = 20 * 1024


def create_bucket(world: World, call: Call) -> Response:
    """CreateBucket: a new bucket blocks public access and owns all its objects, as AWS's do since April 2023.

    Raises:
        AwsError: ``InvalidBucketAclWithObjectOwnership`` for an access control list without a setting that enables them,
            ``NotImplemented`` for one with it: the sandbox has none on buckets.
    """
    if call.params.get("ACL", "private") != "private":
        if call.params.get("ObjectOwnership", ENFORCED) == ENFORCED:
            text = "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting"
            raise AwsError("InvalidBucketAclWithObjectOwnership", text)
        raise AwsError("NotImplemented", "The sandbox has no access control lists on buckets.", 501)
    existed = owner_of_bucket(call.params["Bucket"]) is not None
    response = call.forward(call.account)
    if response.status < 300 and not existed:
        bucket = s3_backends[call.account]["aws"].buckets[call.params["Bucket"]]
        bucket.public_access_block = PublicAccessBlock(True, True, True, True)
        bucket.ownership_rule = call.params.get("ObjectOwnership", ENFORCED)
    return response


def delete_bucket(world: World, call: Call) -> Response:
    """DeleteBucket: its policy goes with it, and who owned what in it."""
    response = call.forward(owner_of_bucket(call.params["Bucket"]) or call.account)
    if response.status < 300:
        world.attached.drop(("bucket", _bucket_arn(call)))
        for kept in (world.writers, world.tiers, world.restores):
            for place in [place for place in kept if place[0] == call.params["Bucket"]]:
                del kept[place]
    return response


def put_object(world: World, call: Call) -> Response:
    """PutObject: the KMS key of an encrypted object is kept, and shown, as its full ARN; the uploader may come to own it.

    Raises:
        AwsError: as ``_encrypting_key`` and ``_uploader`` say.
    """
    writer, owner = _uploader(call), owner_of_bucket(call.params["Bucket"])
    key = _encrypting_key(world, call)
    response = call.forward(owner or call.account)
    return _note_upload(world, call, writer, key, response) if response.status < 300 else response


def copy_object(world: World, call: Call) -> Response:
    """CopyObject: a read, and an upload like any other."""
    _uploader(call)
    check_active(world, call, *copy_source(call), copied=True)
    if source := object_key(*copy_source(call)):
        check_usable(source, "KMS.")
    return put_object(world, call)


def create_upload(world: World, call: Call) -> Response:
    """CreateMultipartUpload: who begins it will have uploaded the object, under the key that is named now."""
    writer, owner = _uploader(call), owner_of_bucket(call.params["Bucket"])
    key = _encrypting_key(world, call)
    response = call.forward(owner or call.account)
    if match := re.search(rb"<UploadId>([^<]+)</UploadId>", response.body):
        world.uploads[match[1].decode()] = (writer, key)
    return response


def upload_part(world: World, call: Call) -> Response:
    """UploadPart, and CompleteMultipartUpload: from then on there is an object, and someone owns it."""
    upload, owner = world.uploads.get(call.params["UploadId"]), owner_of_bucket(call.params["Bucket"])
    if upload is not None and upload[1] is not None:
        check_usable(upload[1], "KMS.")
    response = call.forward(owner or call.account)
    if response.status < 300 and upload is not None and call.operation == "CompleteMultipartUpload":
        return _note_upload(world, call, *world.uploads.pop(call.params["UploadId"]), response)
    return response


def _encrypting_key(world: World, call: Call) -> str | None:
    """The ARN of the KMS key that an upload is to be encrypted under; None for none.

    Raises:
        AwsError: ``KMS.NotFoundException``, ``KMS.DisabledException``, ``KMS.KMSInvalidStateException``.
    """
    params = call.params
    algorithm, named = encryption_of_upload(
        params["Bucket"], params.get("ServerSideEncryption"), params.get("SSEKMSKeyId")
    )
    if not str(algorithm).startswith("aws:kms"):
        return None
    owner = owner_of_bucket(params["Bucket"]) or call.account
    named = named or managed_key(world, owner, call.region)
    key = find_key(named, call.account, call.region)
    if key is None:
        raise AwsError("KMS.NotFoundException", f"Key '{named}' does not exist")
    check_usable(key, "KMS.")
    return key


def _note_upload(world: World, call: Call, writer: Writer, key: str | None, response: Response) -> Response:
    """Note who uploaded an object that is there now, and under which key; the answer, with the ETag that it has under a key.

    Source: "Object" in the S3 API reference: under SSE-KMS an ETag is no MD5 digest of the bytes, and so another at each upload.
    """
    bucket, name = call.params["Bucket"], call.params["Key"]
    held = s3_backends[owner_of_bucket(bucket)]["aws"].buckets[bucket].keys[name]
    if key is not None:
        before = held.etag.strip('"')
        held.kms_key_id, held._etag = key, secrets.token_hex(16) + before[32:]
        response = replace(
            response,
            body=response.body.replace(before.encode(), held._etag.encode()),
            headers=tuple((header, value.replace(before, held._etag)) for header, value in response.headers),
        )
    world.wrote(bucket, name, writer)
    return response


_FULL_CONTROL = "bucket-owner-full-control"
_GRANTS = ("GrantFullControl", "GrantRead", "GrantReadACP", "GrantWriteACP")


def _uploader(call: Call) -> Writer:
    """Who uploads, and whether with full control for the bucket's owner.

    Source: "Controlling ownership of objects" in the S3 user guide.

    Raises:
        AwsError: ``AccessControlListNotSupported`` for any other access control list on a bucket that has them disabled,
            ``NotImplemented`` for one that would do something on a bucket that has not.
    """
    acl = call.params.get("ACL")
    owner = owner_of_bucket(call.params["Bucket"])
    if owner is not None and (acl not in (None, _FULL_CONTROL) or any(map(call.params.get, _GRANTS))):
        if s3_backends[owner]["aws"].buckets[call.params["Bucket"]].ownership_rule == ENFORCED:
            raise AwsError("AccessControlListNotSupported", "The bucket does not allow ACLs")
        if acl != "private" or any(map(call.params.get, _GRANTS)):
            text = f"The sandbox knows no access control list but {_FULL_CONTROL}."
            raise AwsError("NotImplemented", text, 501)
    return Writer(call.account, acl == _FULL_CONTROL)


def get_bucket_encryption(world: World, call: Call) -> Response:
    """GetBucketEncryption: every bucket has a default encryption, keys of S3 itself where nobody chose another."""
    response = call.forward(_owner(call))
    if response.status != 404:
        return response
    text = (
        f'<ServerSideEncryptionConfiguration xmlns="{_NAMESPACE}"><Rule><ApplyServerSideEncryptionByDefault>'
        "<SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault>"
        "<BucketKeyEnabled>false</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>"
    )
    return Response(200, text.encode(), (("Content-Type", "application/xml"),))


def put_ownership(world: World, call: Call) -> Response:
    """PutBucketOwnershipControls; ``MalformedXML`` for a setting that is none."""
    rules = call.params["OwnershipControls"].get("Rules") or []
    if [rule.get("ObjectOwnership") in (ENFORCED, PREFERRED, WRITER) for rule in rules] != [True]:
        text = "The XML you provided was not well-formed or did not validate against our published schema"
        raise AwsError("MalformedXML", text)
    return call.forward(owner_of_bucket(call.params["Bucket"]))


def get_bucket_acl(world: World, call: Call) -> Response:
    """GetBucketAcl: full control for the bucket's owner, which is all that a bucket here can have; ``NoSuchBucket``."""
    name = f"<ID>{canonical_id(_owner(call))}</ID>"
    text = (
        f'<AccessControlPolicy xmlns="{_NAMESPACE}"><Owner>{name}</Owner><AccessControlList><Grant>'
        f'<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser">{name}</Grantee>'
        "<Permission>FULL_CONTROL</Permission></Grant></AccessControlList></AccessControlPolicy>"
    )
    return Response(200, text.encode(), (("Content-Type", "application/xml"),))


_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
ElementTree.register_namespace("", _NAMESPACE)


def list_with_owners(world: World, call: Call) -> Response:
    """ListObjects, ListObjectsV2, ListObjectVersions: with each object's true owner, where an owner is asked for."""
    bucket = call.params["Bucket"]
    bucket_owner = owner_of_bucket(bucket)
    response = call.forward(bucket_owner or call.account)
    if response.status >= 300 or bucket_owner is None:
        return response
    root = ElementTree.fromstring(response.body)  # noqa: S314 - moto's own answer
    encoded = root.findtext(f"{{{_NAMESPACE}}}EncodingType") == "url"
    for entry in root:
        shown = entry.find(f"{{{_NAMESPACE}}}Owner")
        if shown is None:
            continue
        entry.remove(shown)
        if call.operation == "ListObjectsV2" and not call.params.get("FetchOwner"):
            continue
        key = entry.findtext(f"{{{_NAMESPACE}}}Key") or ""
        writer = world.writer(
            f"arn:aws:s3:::{bucket}/{unquote(key) if encoded else key}",
            entry.findtext(f"{{{_NAMESPACE}}}VersionId"),
        )
        owner = ElementTree.SubElement(entry, f"{{{_NAMESPACE}}}Owner")
        name = ElementTree.SubElement(owner, f"{{{_NAMESPACE}}}ID")
        name.text = canonical_id(writer.account if writer else bucket_owner)
    return replace(response, body=ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def get_object(world: World, call: Call) -> Response:
    """GetObject and HeadObject: that an object is missing is told only to those who may list the bucket.

    KMS is asked for what is read, and so not by HeadObject.

    Raises:
        AwsError: ``AccessDenied`` for a missing object, to everyone else; ``KMS.DisabledException`` and
            ``KMS.KMSInvalidStateException`` for one that is encrypted under a key out of use; ``InvalidObjectState`` for the
            bytes of one in an archive.
    """
    bucket, key = call.params["Bucket"], call.params["Key"]
    owner = owner_of_bucket(bucket)
    if owner is not None and key not in s3_backends[owner]["aws"].buckets[bucket].keys:
        arn = _bucket_arn(call)
        listing = Check("s3:ListBucket", arn, owner, ("bucket", arn), context={"s3:prefix": key})
        authorize(world, listing, call)
    version = call.params.get("VersionId")
    further = shown(world, bucket, key, version)
    encrypted_under = object_key(bucket, key, version)
    if call.operation == "GetObject":
        check_active(world, call, bucket, key, version, copied=False)
    if encrypted_under and call.operation == "GetObject":
        check_usable(encrypted_under, "KMS.")
    response = call.forward(owner or call.account)
    return replace(response, headers=(*response.headers, *further))


def get_bucket_policy(world: World, call: Call) -> Response:
    """GetBucketPolicy; ``NoSuchBucket``, ``MethodNotAllowed`` for another account's, ``NoSuchBucketPolicy``."""
    _own_bucket(call)
    document = world.attached.get(("bucket", _bucket_arn(call)))
    if document is None:
        raise AwsError("NoSuchBucketPolicy", "The bucket policy does not exist", 404)
    return Response(200, compact(document).encode(), (("Content-Type", "application/json"),))


def delete_bucket_policy(world: World, call: Call) -> Response:
    """DeleteBucketPolicy; no policy is no fault."""
    _own_bucket(call)
    world.attached.drop(("bucket", _bucket_arn(call)))
    return Response(204, b"")


def put_bucket_policy(world: World, call: Call) -> Response:
    """PutBucketPolicy.

    Raises:
        AwsError: ``MethodNotAllowed`` for another account's bucket, ``MalformedPolicy`` for a document that is too
            large, names no living principal, another bucket or an action that fits no resource of its statement;
            ``AccessDenied`` for a public policy under Block Public Access.
    """
    _own_bucket(call)
    text = unchunk(call.body, call.headers).decode("utf-8", "replace")
    no_json = "Policies must be valid JSON and the first byte must be '{'"
    document = load(text, lambda why: _malformed(f"{no_json}: {why}"))
    if len(compact(document).encode()) > _BUCKET_POLICY_LIMIT:
        limit = (
            f"Normalized policy document exceeds the maximum allowed size of {_BUCKET_POLICY_LIMIT} bytes."
        )
        raise _malformed(limit)
    bucket_arn = _bucket_arn(call)
    for statement in statements(document):
        _check_bucket_statement(statement, bucket_arn)
    if is_public(document) and world.blocks_public(call.params["Bucket"], "BlockPublicPolicy"):
        text = f'User: {call.caller.arn} is not authorized to perform: s3:PutBucketPolicy on resource: "{bucket_arn}" because public policies are prevented by the BlockPublicPolicy setting in S3 Block Public Access.'
        raise AwsError("AccessDenied", text, 403)
    unknown = "Invalid principal in policy"
    world.attached.put(("bucket", bucket_arn), json.dumps(document), lambda name: _malformed(unknown))
    return Response(204, b"")


_BUCKET_ACTIONS = re.compile(
    r"(?i)s3:(List(Bucket.*|\*)|(Get|Put|Delete)(Bucket.*|.*Configuration)|CreateBucket|DeleteBucket)"
)


def _check_bucket_statement(statement: dict[str, Any], bucket_arn: str) -> None:
    resources = _listed(statement.get("Resource", statement.get("NotResource", [])))
    if not resources:
        raise _malformed("Missing required field Resource")
    for resource in resources:
        if resource.split("/")[0] != bucket_arn and not resource.startswith(("arn:aws:s3:::*", "*")):
            raise _malformed("Policy has invalid resource")
    if "Resource" not in statement:
        return
    on_bucket = any("/" not in resource or resource == "*" for resource in resources)
    on_objects = any("/" in resource or resource.endswith("*") for resource in resources)
    for action in _listed(statement.get("Action", [])):
        if not action.lower().startswith("s3:") and action != "*":
            raise _malformed("Policy has invalid action")
        if action.endswith(":*") or action == "*":
            continue
        if not (on_bucket if _BUCKET_ACTIONS.fullmatch(action) else on_objects):
            raise _malformed("Action does not apply to any resource(s) in statement")


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _malformed(text: str) -> AwsError:
    return AwsError("MalformedPolicy", text)


def _bucket_arn(call: Call) -> str:
    return f"arn:aws:s3:::{call.params['Bucket']}"


def _owner(call: Call) -> str:
    owner = owner_of_bucket(call.params["Bucket"])
    if owner is None:
        raise AwsError("NoSuchBucket", "The specified bucket does not exist", 404)
    return owner


def _own_bucket(call: Call) -> None:
    if _owner(call) != call.account:
        raise AwsError("MethodNotAllowed", "The specified method is not allowed against this resource.", 405)


HANDLERS: dict[str, Handler] = {
    "CreateBucket": create_bucket,
    "DeleteBucket": delete_bucket,
    **dict.fromkeys(("GetObject", "HeadObject"), get_object),
    "PutObject": put_object,
    "CopyObject": copy_object,
    "CreateMultipartUpload": create_upload,
    **dict.fromkeys(("UploadPart", "CompleteMultipartUpload"), upload_part),
    "PutBucketOwnershipControls": put_ownership,
    "GetBucketAcl": get_bucket_acl,
    "GetBucketEncryption": get_bucket_encryption,
    **dict.fromkeys(("ListObjects", "ListObjectsV2", "ListObjectVersions"), list_with_owners),
    "GetBucketPolicy": get_bucket_policy,
    "PutBucketPolicy": put_bucket_policy,
    "DeleteBucketPolicy": delete_bucket_policy,
}
