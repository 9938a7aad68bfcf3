"""S3's buckets: made, described, their defaults, owners and lists.

Not here: their policies (``bucket_policies``) and objects (``s3``). Not modelled: access control lists, access points.
"""

import base64
import re
from dataclasses import replace
from xml.sax.saxutils import escape

from boto3 import Session
from moto.s3.models import PublicAccessBlock, s3_backends

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.handlers.s3_form import MALFORMED_XML, NAMESPACE, xml
from crossaccount_sandbox.handlers.uploads import FULL_CONTROL
from crossaccount_sandbox.principals import canonical_id
from crossaccount_sandbox.resources import owner_of_bucket
from crossaccount_sandbox.wire import AwsError, Response
from crossaccount_sandbox.world import ENFORCED, PREFERRED, WRITER, Handler, World

_GRANTS = ("GrantFullControl", "GrantRead", "GrantReadACP", "GrantWrite", "GrantWriteACP")


def create_bucket(world: World, call: Call) -> Response:
    """CreateBucket: a new bucket blocks public access and owns all its objects, as AWS's do since April 2023.

    Source: CreateBucket and "Error responses" in the S3 API reference; recordings of S3 by localstack.

    Raises:
        AwsError: ``InvalidBucketName``, ``InvalidLocationConstraint``; ``InvalidArgument`` for an ownership that is none; ``InvalidBucketAclWithObjectOwnership`` for an access
            control list without a setting that enables them, ``InvalidBucketAclWithBlockPublicAccessError`` for a public one
            with it, ``NotImplemented`` for any other: the sandbox has none on buckets.
    """
    _check_name(call.params["Bucket"])
    _check_place(call)
    ownership, acl = call.params.get("ObjectOwnership"), call.params.get("ACL")
    if ownership not in (None, ENFORCED, PREFERRED, WRITER):
        text = f"Invalid x-amz-object-ownership header: {ownership}"
        raise AwsError("InvalidArgument", text, 400, {"ArgumentName": "x-amz-object-ownership"})
    if acl not in (None, "private", FULL_CONTROL) or any(map(call.params.get, _GRANTS)):
        if ownership in (None, ENFORCED):
            text = "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting"
            raise AwsError("InvalidBucketAclWithObjectOwnership", text)
        if acl in ("public-read", "public-read-write", "authenticated-read"):
            text = "Bucket cannot have public ACLs set with BlockPublicAccess enabled"
            raise AwsError("InvalidBucketAclWithBlockPublicAccessError", text)
        raise AwsError("NotImplemented", "The sandbox has no access control lists on buckets.", 501)
    owner = owner_of_bucket(call.params["Bucket"])
    if owner not in (None, call.account):
        text = (
            "The requested bucket name is not available. The bucket namespace is shared by all users of the system. "
            "Please select a different name and try again."
        )
        raise AwsError("BucketAlreadyExists", text, 409)
    response = call.forward(call.account)
    if response.status < 300 and owner is None:
        bucket = s3_backends[call.account]["aws"].buckets[call.params["Bucket"]]
        bucket.public_access_block = PublicAccessBlock(True, True, True, True)
        bucket.ownership_rule = ownership or ENFORCED
    if response.status >= 300:
        return response
    return replace(response, headers=(*response.headers, ("x-amz-bucket-arn", _bucket_arn(call))))


_NAME = re.compile(r"(?!\d+\.\d+\.\d+\.\d+$)(?!xn--)(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


def _check_name(name: str) -> None:
    """Refuse a name that no bucket may have. Source: "General purpose buckets naming rules" in the S3 user guide."""
    if not _NAME.fullmatch(name) or name.endswith(("-s3alias", "--ol-s3", ".mrap", "--x-s3")):
        raise AwsError("InvalidBucketName", "The specified bucket is not valid.", 400, {"BucketName": name})


def _check_place(call: Call) -> None:
    """Refuse a region that is none. Source: CreateBucket in the S3 API reference."""
    place = (call.params.get("CreateBucketConfiguration") or {}).get("LocationConstraint")
    if place is None or place == call.region != "us-east-1" or place == "EU":
        return
    if place == "us-east-1" or place not in Session().get_available_regions("s3"):
        text = "The specified location-constraint is not valid"
        raise AwsError("InvalidLocationConstraint", text, 400, {"LocationConstraint": place})


def head_bucket(world: World, call: Call) -> Response:
    """HeadBucket: where a bucket lies, its ARN, and that its name is no access point's."""
    response = call.forward(owner_of_bucket(call.params["Bucket"]) or call.account)
    if response.status >= 300:
        return response
    further = (("x-amz-bucket-arn", _bucket_arn(call)), ("x-amz-access-point-alias", "false"))
    return replace(response, headers=(*response.headers, *further))


def list_buckets(world: World, call: Call) -> Response:
    """ListBuckets: the account's buckets by their names; their regions where the request has a parameter."""
    params = call.params
    prefix, region = params.get("Prefix"), params.get("BucketRegion")
    after = base64.b64decode(params.get("ContinuationToken") or "").decode("utf-8", "replace")
    found = [
        bucket
        for name, bucket in sorted(s3_backends[call.account]["aws"].buckets.items())
        if name.startswith(prefix or "") and name > after and region in (None, bucket.region_name)
    ]
    page = found[: int(params.get("MaxBuckets") or 10_000)]
    asked = any(params.get(name) for name in ("Prefix", "BucketRegion", "MaxBuckets", "ContinuationToken"))
    listed = "".join(
        f"<Bucket><Name>{bucket.name}</Name><CreationDate>{bucket.creation_date_ISO8601}</CreationDate>"
        + (f"<BucketRegion>{bucket.region_name}</BucketRegion>" if asked else "")
        + f"<BucketArn>arn:aws:s3:::{bucket.name}</BucketArn></Bucket>"
        for bucket in page
    )
    more = base64.b64encode(page[-1].name.encode()).decode() if len(page) < len(found) else ""
    return xml(
        f'<ListAllMyBucketsResult xmlns="{NAMESPACE}"><Owner><ID>{canonical_id(call.account)}</ID></Owner>'
        f"<Buckets>{listed}</Buckets>"
        + (f"<ContinuationToken>{more}</ContinuationToken>" if more else "")
        + (f"<Prefix>{escape(prefix)}</Prefix>" if prefix else "")
        + "</ListAllMyBucketsResult>"
    )


def delete_bucket(world: World, call: Call) -> Response:
    """DeleteBucket: its policy goes with it, and who owned what in it; ``BucketNotEmpty``, also of versions alone."""
    owner = _owner(call)
    held = s3_backends[owner]["aws"].buckets[call.params["Bucket"]]
    if held.is_versioned and held.keys:
        text = "The bucket you tried to delete is not empty. You must delete all versions in the bucket."
        raise AwsError("BucketNotEmpty", text, 409)
    response = call.forward(owner)
    if response.status < 300:
        world.attached.drop(("bucket", _bucket_arn(call)))
        for kept in (world.writers, world.tiers, world.restores):
            for place in [place for place in kept if place[0] == call.params["Bucket"]]:
                del kept[place]
    return response


def get_bucket_encryption(world: World, call: Call) -> Response:
    """GetBucketEncryption: every bucket has a default encryption, keys of S3 itself where nobody chose another."""
    response = call.forward(_owner(call))
    if response.status != 404:
        return response
    text = (
        f'<ServerSideEncryptionConfiguration xmlns="{NAMESPACE}"><Rule><ApplyServerSideEncryptionByDefault>'
        "<SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault>"
        "<BucketKeyEnabled>false</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>"
    )
    return xml(text)


def put_ownership(world: World, call: Call) -> Response:
    """PutBucketOwnershipControls; ``MalformedXML`` for a setting that is none."""
    rules = call.params["OwnershipControls"].get("Rules") or []
    if [rule.get("ObjectOwnership") in (ENFORCED, PREFERRED, WRITER) for rule in rules] != [True]:
        raise AwsError("MalformedXML", MALFORMED_XML)
    return call.forward(_owner(call))


def put_encryption(world: World, call: Call) -> Response:
    """PutBucketEncryption.

    Source: recordings of S3 by localstack.

    Raises:
        AwsError: ``MalformedXML`` for anything but one rule with a default, ``InvalidArgument`` for a key where none is used.
    """
    owner = _owner(call)
    rules = call.params["ServerSideEncryptionConfiguration"].get("Rules") or []
    defaults = [rule.get("ApplyServerSideEncryptionByDefault") or {} for rule in rules]
    if [one.get("SSEAlgorithm") in ("AES256", "aws:kms", "aws:kms:dsse") for one in defaults] != [True]:
        raise AwsError("MalformedXML", MALFORMED_XML)
    if defaults[0]["SSEAlgorithm"] == "AES256" and defaults[0].get("KMSMasterKeyID"):
        text = (
            "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse"
        )
        extra = {"ArgumentName": "ApplyServerSideEncryptionByDefault"}
        raise AwsError("InvalidArgument", text, 400, extra)
    return call.forward(owner)


def put_versioning(world: World, call: Call) -> Response:
    """PutBucketVersioning.

    Source: recordings of S3 by localstack.

    Raises:
        AwsError: ``IllegalVersioningConfigurationException`` without a status, ``MalformedXML`` for one that is none.
    """
    owner, status = _owner(call), call.params["VersioningConfiguration"].get("Status")
    if not status:
        text = "The Versioning element must be specified"
        raise AwsError("IllegalVersioningConfigurationException", text)
    if status not in ("Enabled", "Suspended"):
        raise AwsError("MalformedXML", MALFORMED_XML)
    return call.forward(owner)


def get_bucket_acl(world: World, call: Call) -> Response:
    """GetBucketAcl: full control for the bucket's owner, which is all that a bucket here can have; ``NoSuchBucket``."""
    name = f"<ID>{canonical_id(_owner(call))}</ID>"
    text = (
        f'<AccessControlPolicy xmlns="{NAMESPACE}"><Owner>{name}</Owner><AccessControlList><Grant>'
        f'<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser">{name}</Grantee>'
        "<Permission>FULL_CONTROL</Permission></Grant></AccessControlList></AccessControlPolicy>"
    )
    return xml(text)


def _bucket_arn(call: Call) -> str:
    return f"arn:aws:s3:::{call.params['Bucket']}"


def _owner(call: Call) -> str:
    owner = owner_of_bucket(call.params["Bucket"])
    if owner is None:
        raise AwsError("NoSuchBucket", "The specified bucket does not exist", 404)
    return owner


HANDLERS: dict[str, Handler] = {
    "CreateBucket": create_bucket,
    "DeleteBucket": delete_bucket,
    "GetBucketAcl": get_bucket_acl,
    "GetBucketEncryption": get_bucket_encryption,
    "HeadBucket": head_bucket,
    "ListBuckets": list_buckets,
    "PutBucketEncryption": put_encryption,
    "PutBucketOwnershipControls": put_ownership,
    "PutBucketVersioning": put_versioning,
}
