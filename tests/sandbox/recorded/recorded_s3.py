"""What AWS answered to calls of S3 and S3 Control."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from facts import ACCOUNT, CUSTODIAN, OTHER, REGION, UUID, Fact, Setting, policy

API = "localstack, tests/aws/services/s3/test_s3_api.snapshot.json"
OUTSIDER = "444444444444"
S3 = "localstack, tests/aws/services/s3/test_s3.snapshot.json"
LISTS = "localstack, tests/aws/services/s3/test_s3_list_operations.snapshot.json"
MOTO = "getmoto/moto, tests/test_s3, tests verified against AWS"
REPORTS = "public reports that quote the text"
DENIED = "public runbooks and AWS's documentation that quote the text"
ALL_ON = dict.fromkeys(
    ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True
)
MALFORMED = "The XML you provided was not well-formed or did not validate against our published schema"
FAILED = "At least one of the pre-conditions you specified did not hold"
CONFLICT = r"The conditional request cannot succeed due to a conflicting operation against this resource\."
HEADER = "A header you provided implies functionality that is not implemented"
NO_POLICY = "The bucket policy does not exist"
NO_KEY = r"The specified key does not exist\."
NO_BUCKET = "The specified bucket does not exist"
NO_JSON = r"Policies must be valid JSON and the first byte must be '\{'"
EMPTY = '"d41d8cd98f00b204e9800998ecf8427e"'
FORM = "The x-amz-copy-source-range value must be of the form bytes=first-last where .*"
RANGE = "The requested range is not satisfiable"
Ask = Callable[[Any, str], Any]
PUBLIC = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::NAME/*"}


@contextlib.contextmanager
def bucket(s: Setting, **given: Any) -> Iterator[str]:
    """A new bucket, gone again afterwards with all that is in it."""
    name = "fact-of-a-bucket"
    s.s3.create_bucket(Bucket=name, **given)
    try:
        yield name
    finally:
        for one in s.s3.list_multipart_uploads(Bucket=name).get("Uploads", ()):
            s.s3.abort_multipart_upload(Bucket=name, Key=one["Key"], UploadId=one["UploadId"])
        listed = s.s3.list_object_versions(Bucket=name)
        for one in (*listed.get("Versions", ()), *listed.get("DeleteMarkers", ())):
            s.s3.delete_object(Bucket=name, Key=one["Key"], VersionId=one["VersionId"])
        s.s3.delete_bucket(Bucket=name)


def new(ask: Ask, *before: Ask, **given: Any) -> Callable[[Setting], Any]:
    """The answer to a call about a new bucket, after other calls."""

    def call(s: Setting) -> Any:
        with bucket(s, **given) as name:
            for one in before:
                one(s.s3, name)
            return ask(s.s3, name)

    return call


def put(key: str = "a", body: bytes = b"x", **more: Any) -> Ask:
    return lambda s3, name: s3.put_object(Bucket=name, Key=key, Body=body, **more)


def get(key: str = "a", **more: Any) -> Ask:
    return lambda s3, name: s3.get_object(Bucket=name, Key=key, **more)


def ask(operation: str, **more: Any) -> Ask:
    return lambda s3, name: getattr(s3, operation)(Bucket=name, **more)


def of_no_bucket(operation: str, **more: Any) -> Callable[[Setting], Any]:
    return lambda s: ask(operation, **more)(s.s3, "never-there")


def of_a_key(call: Callable[[str], Ask]) -> Callable[[Any, str, str, str], Any]:
    return lambda s3, name, key, arn: call(key)(s3, name)


def delete(*keys: str, **more: Any) -> Ask:
    return lambda s3, name: s3.delete_objects(
        Bucket=name, Delete={"Objects": [{"Key": key} for key in keys], **more}
    )


def versioned(s3: Any, name: str) -> Any:
    return s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})


def document(*listed: dict[str, Any]) -> Ask:
    return lambda s3, name: s3.put_bucket_policy(Bucket=name, Policy=policy(*listed).replace("NAME", name))


def shown_policy(principal: Any, **more: Any) -> Callable[[Setting], Any]:
    """The policy of a bucket, read back, and the order of its first statement's principals."""

    def call(s3: Any, name: str) -> Any:
        answer = s3.get_bucket_policy(Bucket=name)
        read = json.loads(answer["Policy"])["Statement"]
        return {**answer, "Statements": read, "as sent": read[0]["Principal"] == principal, "n": len(read)}

    statement = {**PUBLIC, "Principal": principal, **more}
    return new(call, ask("delete_public_access_block"), document(statement, statement))


def keyed(ask_key: Callable[[Any, str, str, str], Any], state: str = "") -> Callable[[Setting], Any]:
    """A call about an object under a key that is out of use since."""

    def call(s: Setting) -> Any:
        key = s.kms.create_key()["KeyMetadata"]
        with bucket(s) as name:
            s.s3.put_object(
                Bucket=name, Key="a", Body=b"test", ServerSideEncryption="aws:kms", SSEKMSKeyId=key["KeyId"]
            )
            if state == "disabled":
                s.kms.disable_key(KeyId=key["KeyId"])
            elif state:
                s.kms.schedule_key_deletion(KeyId=key["KeyId"], PendingWindowInDays=7)
            answer = ask_key(s.s3, name, key["KeyId"], key["Arn"])
            return {**answer, "is the ARN": answer.get("SSEKMSKeyId") == key["Arn"]}

    return call


def of_the_marker(operation: str) -> Ask:
    """A call about the version that is a delete marker."""

    def call(s3: Any, name: str) -> Any:
        version = s3.list_object_versions(Bucket=name)["DeleteMarkers"][0]["VersionId"]
        return getattr(s3, operation)(Bucket=name, Key="a", VersionId=version)

    return call


def copy_of_the_marker(s3: Any, name: str) -> Any:
    version = s3.list_object_versions(Bucket=name)["DeleteMarkers"][0]["VersionId"]
    return s3.copy_object(Bucket=name, Key="b", CopySource={"Bucket": name, "Key": "a", "VersionId": version})


def put_under(key: str) -> Ask:
    return put(ServerSideEncryption="aws:kms", SSEKMSKeyId=key)


def with_digest(s3: Any, name: str, *key: str) -> Any:
    answer = s3.get_object(Bucket=name, Key="a")
    digest = hashlib.md5(answer["Body"].read(), usedforsecurity=False).hexdigest()
    return {**answer, "is the digest": answer["ETag"].strip('"') == digest}


def uploaded(
    end: Callable[[Any, str, str], Any],
    *before: Ask,
    during: tuple[Ask, ...] = (),
    key: str = "a",
    **more: Any,
) -> Callable[[Setting], Any]:
    """A call about a multipart upload of one part."""

    def call(s: Setting) -> Any:
        with bucket(s) as name:
            for one in before:
                one(s.s3, name)
            upload = s.s3.create_multipart_upload(Bucket=name, Key=key, **more)["UploadId"]
            s.s3.upload_part(Bucket=name, Key=key, UploadId=upload, PartNumber=1, Body=b"part")
            for one in during:
                one(s.s3, name)
            return end(s.s3, name, upload)

    return call


PART = '"' + hashlib.md5(b"part", usedforsecurity=False).hexdigest() + '"'


def finish(*parts: tuple[int, str], **more: Any) -> Callable[[Any, str, str], Any]:
    listed = [{"PartNumber": number, "ETag": etag} for number, etag in parts or ((1, PART),)]
    return lambda s3, name, upload: s3.complete_multipart_upload(
        Bucket=name, Key="a", UploadId=upload, MultipartUpload={"Parts": listed}, **more
    )


def finish_of_none(s3: Any, name: str, upload: str) -> Any:
    return s3.complete_multipart_upload(Bucket=name, Key="a", UploadId=upload, MultipartUpload={"Parts": []})


def copy_part(span: str | None, source: str = "source") -> Callable[[Any, str, str], Any]:
    more = {} if span is None else {"CopySourceRange": span}
    return lambda s3, name, upload: s3.upload_part_copy(
        Bucket=name, Key="a", UploadId=upload, PartNumber=1, CopySource=f"{name}/{source}", **more
    )


def copied(end: Callable[[Any, str, str], Any]) -> Callable[[Setting], Any]:
    return uploaded(end, put("source", b"0123456789"))


def ranged(span: str) -> Callable[[Setting], Any]:
    """The bytes that a range of ten has."""

    def call(s3: Any, name: str) -> Any:
        answer = s3.get_object(Bucket=name, Key="a", Range=span)
        return {**answer, "Body": answer["Body"].read().decode()}

    return new(call, put("a", b"0123456789"))


def as_other(
    ask: Ask, *, statements: tuple[dict[str, Any], ...] = (), encrypts: bool = False
) -> Callable[[Setting], Any]:
    """A call of another account's administrator about an object that the bucket's policy may give."""

    def call(s: Setting) -> Any:
        with bucket(s) as name:
            more = {}
            if encrypts:
                key = s.kms.create_key()["KeyMetadata"]["Arn"]
                more = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
            s.s3.put_object(Bucket=name, Key="a", Body=b"x", **more)
            if statements:
                document(*statements)(s.s3, name)
            return ask(s.inner.client("outsider", "s3"), name)

    return call


def narrow(ask: Ask, *statements: dict[str, Any], encrypts: bool = False) -> Callable[[Setting], Any]:
    """A call in a session of the owner's account that may do what these statements say."""

    def call(s: Setting) -> Any:
        with bucket(s) as name:
            more = {}
            if encrypts:
                key = s.kms.create_key()["KeyMetadata"]["Arn"]
                more = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
            s.s3.put_object(Bucket=name, Key="a", Body=b"x", **more)
            return ask(s.inner.session("producer", "s3", policy(*statements)), name)

    return call


def control(operation: str, **more: Any) -> Callable[[Setting], Any]:
    """A call of S3 Control, whose clients put the account in front of the host, which is an address here."""

    def call(s: Setting) -> Any:
        client = s.inner.client("producer", "s3control")
        client.meta.events.register("before-sign.s3-control", to_the_address, unique_id="address")
        return getattr(client, operation)(AccountId=ACCOUNT, **more)

    return call


def to_the_address(request: Any, **event: Any) -> None:
    request.url = request.url.replace(f"//{ACCOUNT}.", "//", 1)


GIVEN = {**PUBLIC, "Principal": {"AWS": OTHER}}
GIVEN_AWAY = {**PUBLIC, "Principal": {"AWS": OUTSIDER}}
ANYTHING = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
DELETES = {"Effect": "Deny", "Principal": "*", "Action": "s3:DeleteObject", "Resource": "arn:aws:s3:::NAME/*"}
FACTS: dict[str, Fact] = {
    # Policies
    "no policy": Fact(
        new(ask("get_bucket_policy")), S3, "NoSuchBucketPolicy", NO_POLICY, 404, {"Error/BucketName": "fact-of-a-bucket"}
    ),
    "the status of no policy": Fact(
        new(ask("get_bucket_policy_status")), MOTO, "NoSuchBucketPolicy", NO_POLICY, 404, {"Error/BucketName": "fact-of-a-bucket"}
    ),
    "a public policy where that is allowed": Fact(new(document(PUBLIC), ask("delete_public_access_block")), S3, status=204),
    "the status of a public policy": Fact(
        new(ask("get_bucket_policy_status"), ask("delete_public_access_block"), document(PUBLIC)), MOTO,
        fields={"PolicyStatus/IsPublic": True},
    ),
    "the status of a policy for one account": Fact(
        new(ask("get_bucket_policy_status"), document(GIVEN)), MOTO, fields={"PolicyStatus/IsPublic": False}
    ),
    "a public policy under Block Public Access": Fact(
        new(document(PUBLIC)), DENIED, "AccessDenied",
        r'User: \S+ is not authorized to perform: s3:PutBucketPolicy on resource: "arn:aws:s3:::\S+" because public policies are '
        r"prevented by the BlockPublicPolicy setting in S3 Block Public Access\.?", 403,
    ),
    "a policy is deleted": Fact(new(ask("delete_bucket_policy"), document(GIVEN)), S3, status=204),
    "no policy is deleted": Fact(new(ask("delete_bucket_policy")), API, status=204),
    "a policy without text": Fact(new(ask("put_bucket_policy", Policy="")), API, "MalformedPolicy", NO_JSON, 400),
    "a policy that is no JSON": Fact(new(ask("put_bucket_policy", Policy="randomstring")), API, "MalformedPolicy", NO_JSON, 400),
    "a policy after a blank": Fact(
        new(lambda s3, name: s3.put_bucket_policy(Bucket=name, Policy=" " + policy({**PUBLIC, "Principal": {"AWS": ACCOUNT}}))),
        REPORTS, "MalformedPolicy", NO_JSON, 400,
    ),
    **{
        f"a policy with {said}": Fact(
            new(document({**PUBLIC, "Principal": {"AWS": ACCOUNT}, **more})), REPORTS, "MalformedPolicy", said, 400
        )
        for said, more in (
            ("Unknown field condition", {"condition": {"StringEquals": {"aws:PrincipalAccount": ACCOUNT}}}),
            ("Unknown field Comment", {"Comment": "a"}),
            ("Invalid Condition type : stringEqualz", {"Condition": {"stringEqualz": {"aws:PrincipalAccount": ACCOUNT}}}),
            ("Invalid principal in policy", {"Principal": {"Service": "sagemaker.amazon.com"}}),
        )
    },
    "a policy without statements": Fact(
        new(ask("put_bucket_policy", Policy="{}")), API, "MalformedPolicy", "Missing required field Statement", 400
    ),
    "another order of principals": Fact(
        shown_policy({"AWS": [f"arn:aws:iam::{ACCOUNT}:root", f"arn:aws:iam::{OTHER}:root"]}), CUSTODIAN, fields={"as sent": False}
    ),
    "an account as its root": Fact(
        shown_policy({"AWS": OTHER}), CUSTODIAN, fields={"Statements/0/Principal/AWS": f"arn:aws:iam::{OTHER}:root"}
    ),
    "anyone as a text": Fact(shown_policy("*"), CUSTODIAN, fields={"Statements/0/Principal": "*"}),
    "anyone in AWS": Fact(shown_policy({"AWS": "*"}), API, fields={"Statements/0/Principal/AWS": "*"}),
    "two statements with one Sid": Fact(shown_policy({"AWS": OTHER}, Sid="a"), CUSTODIAN, fields={"n": 2}),
    # Whom a caller expects to own it
    **{
        f"{operation} expects another owner": Fact(
            new(ask(operation, ExpectedBucketOwner=OTHER, **more)), S3, "AccessDenied", "Access Denied", 403
        )
        for operation, more in (
            ("get_bucket_policy", {}), ("put_bucket_policy", {"Policy": policy(GIVEN)}), ("delete_bucket_policy", {}),
            ("list_objects_v2", {}), ("get_bucket_location", {}),
        )
    },
    **{
        f"{operation} expects {owner or 'nothing'} to own it": Fact(
            new(ask(operation, ExpectedBucketOwner=owner, **more)), S3, "InvalidBucketOwnerAWSAccountID",
            rf"The value of the expected bucket owner parameter must be an AWS Account ID\.\.\. \[{owner}\]", 400,
        )
        for operation, owner, more in (
            ("get_bucket_policy", "00000000000000", {}), ("put_bucket_policy", "invalid", {"Policy": policy(GIVEN)}),
            ("delete_bucket_policy", "invalid", {}), ("get_object", "abc", {"Key": "a"}),
        )
    },
    # Public access and ownership
    "public access of a new bucket": Fact(
        new(ask("get_public_access_block")), API, fields={"PublicAccessBlockConfiguration": ALL_ON}
    ),
    "no settings of public access": Fact(
        new(ask("get_public_access_block"), ask("delete_public_access_block")), API, "NoSuchPublicAccessBlockConfiguration",
        "The public access block configuration was not found", 404, {"Error/BucketName": "fact-of-a-bucket"},
    ),
    "no settings of public access are deleted": Fact(
        new(ask("delete_public_access_block"), ask("delete_public_access_block")), API, status=204
    ),
    "no settings of an account": Fact(
        control("get_public_access_block"), CUSTODIAN, "NoSuchPublicAccessBlockConfiguration",
        "The public access block configuration was not found", 404, {"Error/AccountId": ACCOUNT},
    ),
    "ownership of a new bucket": Fact(
        new(ask("get_bucket_ownership_controls")), API, fields={"OwnershipControls/Rules/0/ObjectOwnership": "BucketOwnerEnforced"}
    ),
    "ownership as it was asked": Fact(
        new(ask("get_bucket_ownership_controls"), ObjectOwnership="BucketOwnerPreferred"), API,
        fields={"OwnershipControls/Rules/0/ObjectOwnership": "BucketOwnerPreferred"},
    ),
    "no ownership": Fact(
        new(ask("get_bucket_ownership_controls"), ask("delete_bucket_ownership_controls")), API, "OwnershipControlsNotFoundError",
        "The bucket ownership controls were not found", 404, {"Error/BucketName": "fact-of-a-bucket"},
    ),
    "no ownership is deleted": Fact(
        new(ask("delete_bucket_ownership_controls"), ask("delete_bucket_ownership_controls")), API, status=204
    ),
    **{
        f"ownership: {what}": Fact(
            new(ask("put_bucket_ownership_controls", OwnershipControls={"Rules": rules})), API, "MalformedXML", MALFORMED, 400
        )
        for what, rules in {
            "none of S3's": [{"ObjectOwnership": "RandomValue"}], "no rule": [],
            "two rules": [{"ObjectOwnership": "ObjectWriter"}, {"ObjectOwnership": "BucketOwnerEnforced"}],
        }.items()
    },
    "a bucket with an ownership that is none": Fact(
        lambda s: s.s3.create_bucket(Bucket="never-there", ObjectOwnership="RandomValue"), API, "InvalidArgument",
        "Invalid x-amz-object-ownership header: RandomValue", 400, {"Error/ArgumentName": "x-amz-object-ownership"},
    ),
    "versioning of a new bucket": Fact(new(ask("get_bucket_versioning")), API, absent=("Status",)),
    "versioning that is none": Fact(
        new(ask("put_bucket_versioning", VersioningConfiguration={"Status": "enabled"})), API, "MalformedXML", MALFORMED, 400
    ),
    "versioning without a status": Fact(
        new(ask("put_bucket_versioning", VersioningConfiguration={})), API, "IllegalVersioningConfigurationException",
        "The Versioning element must be specified", 400,
    ),
    "no tags of a bucket": Fact(
        new(ask("get_bucket_tagging")), API, "NoSuchTagSet", "The TagSet does not exist", 404, {"Error/BucketName": "fact-of-a-bucket"}
    ),
    # Buckets
    "a bucket's place": Fact(
        new(ask("head_bucket")), S3,
        fields={"BucketRegion": REGION, "BucketArn": "arn:aws:s3:::fact-of-a-bucket", "AccessPointAlias": False},
    ),
    "no such bucket's head": Fact(lambda s: s.s3.head_bucket(Bucket="never-there"), S3, "404", "Not Found", 404),
    "a bucket is made": Fact(
        new(lambda s3, name: s3.create_bucket(Bucket=name)), S3,
        fields={"Location": "/fact-of-a-bucket", "BucketArn": "arn:aws:s3:::fact-of-a-bucket"},
    ),
    "a bucket of another account's": Fact(
        lambda s: s.inner.client("staging", "s3").create_bucket(Bucket="facts"), S3, "BucketAlreadyExists",
        r"The requested bucket name is not available\. The bucket namespace is shared by all users of the system\. Please select a "
        r"different name and try again\.", 409, {"Error/BucketName": "facts"},
    ),
    "a bucket is deleted": Fact(
        lambda s: (s.s3.create_bucket(Bucket="soon-gone"), s.s3.delete_bucket(Bucket="soon-gone"))[1], API, status=204
    ),
    "a bucket that is not empty": Fact(
        new(ask("delete_bucket"), put()), API, "BucketNotEmpty", "The bucket you tried to delete is not empty", 409,
        {"Error/BucketName": "fact-of-a-bucket"},
    ),
    "a bucket with versions": Fact(
        new(ask("delete_bucket"), versioned, put(), ask("delete_object", Key="a")), API, "BucketNotEmpty",
        r"The bucket you tried to delete is not empty\. You must delete all versions in the bucket\.", 409,
    ),
    "no such bucket is deleted": Fact(
        lambda s: s.s3.delete_bucket(Bucket="never-there"), S3, "NoSuchBucket", NO_BUCKET, 404, {"Error/BucketName": "never-there"}
    ),
    **{
        f"no such bucket: {operation}": Fact(
            of_no_bucket(operation, **more), S3, "NoSuchBucket", NO_BUCKET, 404,
            {"Error/BucketName": "never-there"},
        )
        for operation, more in (
            ("get_object", {"Key": "a"}), ("list_objects_v2", {}), ("get_bucket_policy", {}), ("get_bucket_versioning", {}),
            ("get_bucket_tagging", {}), ("get_bucket_location", {}), ("get_public_access_block", {}), ("put_object", {"Key": "a"}),
            ("get_bucket_ownership_controls", {}), ("get_bucket_encryption", {}), ("get_bucket_policy_status", {}),
        )
    },
    "a place in us-east-1": Fact(new(ask("get_bucket_location")), S3, fields={"LocationConstraint": None}),
    "who owns a bucket": Fact(
        new(ask("get_bucket_acl")), S3, absent=("Owner/DisplayName",),
        fields={"Grants/0/Permission": "FULL_CONTROL", "Grants/0/Grantee/Type": "CanonicalUser", "Owner/ID": re.compile("[0-9a-f]{64}")},
    ),
    "who owns the buckets": Fact(
        lambda s: s.s3.list_buckets(), S3, fields={"Owner/ID": re.compile("[0-9a-f]{64}")}, absent=("Buckets/0/BucketRegion",)
    ),
    "where listed buckets lie": Fact(
        lambda s: s.s3.list_buckets(Prefix="facts"), S3, fields={"Buckets/0/BucketRegion": REGION, "Prefix": "facts"}
    ),
    # Reading
    "no such key": Fact(new(get("none")), S3, "NoSuchKey", NO_KEY, 404, {"Error/Key": "none"}),
    "no such key's head": Fact(new(ask("head_object", Key="none")), S3, "404", "Not Found", 404),
    "a deleted object of versions": Fact(
        new(get(), versioned, put(), ask("delete_object", Key="a")), S3, "NoSuchKey", NO_KEY, 404, {"Error/Key": "a"}
    ),
    "a version of a bucket without them": Fact(
        new(get(VersionId="HPniJFCxqTsMuIH9KX8K8wEjNUgmABCD"), put()), API, "InvalidArgument", "Invalid version id specified", 400,
        {"Error/ArgumentName": "versionId", "Error/ArgumentValue": "HPniJFCxqTsMuIH9KX8K8wEjNUgmABCD"},
    ),
    "the version null of a bucket without them": Fact(new(get(VersionId="null"), put()), API, absent=("VersionId",)),
    "a version that S3 never gave is deleted": Fact(
        new(ask("delete_object", Key="a", VersionId="HPniJFCxqTsMuIH9KX8K8wEjNUgmABCD"), versioned, put()), API, "InvalidArgument",
        "Invalid version id specified", 400,
    ),
    "a delete marker": Fact(
        new(of_the_marker("get_object"), versioned, put(), ask("delete_object", Key="a")), API, "MethodNotAllowed",
        r"The specified method is not allowed against this resource\.", 405,
        {"Error/Method": "GET", "Error/ResourceType": "DeleteMarker"},
    ),
    "a delete marker's head": Fact(
        new(of_the_marker("head_object"), versioned, put(), ask("delete_object", Key="a")), API, "405", "Method Not Allowed", 405
    ),
    "a delete marker is deleted": Fact(
        new(of_the_marker("delete_object"), versioned, put(), ask("delete_object", Key="a")), API, status=204, fields={"DeleteMarker": True}
    ),
    "a copy of a delete marker": Fact(
        new(copy_of_the_marker, versioned, put(), ask("delete_object", Key="a")), "public reports", "InvalidRequest",
        r"The source of a copy request may not specifically refer to a delete marker by version id\.", 400,
    ),
    "a precondition of a read": Fact(
        new(get(IfMatch='"none"'), put()), S3, "PreconditionFailed", FAILED, 412, {"Error/Condition": "If-Match"}
    ),
    "nothing changed": Fact(
        new(lambda s3, name: s3.get_object(Bucket=name, Key="a", IfNoneMatch=s3.head_object(Bucket=name, Key="a")["ETag"]), put()),
        S3, "304", "Not Modified", 304,
    ),
    "a head with a precondition": Fact(new(ask("head_object", Key="a", IfMatch='"none"'), put()), S3, "412", "Precondition Failed", 412),
    "a range behind the end": Fact(
        new(get(Range="bytes=1024-4096"), put("a", b"abcdefgh")), S3, "InvalidRange", RANGE, 416,
        {"Error/ActualObjectSize": "8", "Error/RangeRequested": "bytes=1024-4096"},
    ),
    "a range of nothing": Fact(new(get(Range="bytes=0-0"), put("a", b"")), API, "InvalidRange", RANGE, 416),
    "a suffix of nothing": Fact(new(get(Range="bytes=-0"), put("a", b"0123456789")), API, "InvalidRange", RANGE, 416),
    "a range": Fact(ranged("bytes=0-8"), API, status=206, fields={"Body": "012345678", "ContentRange": "bytes 0-8/10"}),
    "a suffix": Fact(ranged("bytes=-15"), API, status=206, fields={"Body": "0123456789", "ContentRange": "bytes 0-9/10"}),
    **{
        f"no range: {span}": Fact(ranged(span), API, fields={"Body": "0123456789"}, absent=("ContentRange",))
        for span in ("bytes=1-0", "bytes=-", "bytes=-1-", "bytes=0--1", "bytes=0-1,3-4")
    },
    "a part of an object without": Fact(
        new(get(PartNumber=2), put()), S3, "InvalidPartNumber", "The requested partnumber is not satisfiable", 416,
        {"Error/ActualPartCount": "1", "Error/PartNumberRequested": "2"},
    ),
    "the only part": Fact(new(get(PartNumber=1), put()), S3, status=206, fields={"ContentLength": 1}),
    "a part and a range": Fact(
        new(get(PartNumber=1, Range="bytes=0-0"), put()), S3, "InvalidRequest",
        "Cannot specify both Range header and partNumber query parameter", 400,
    ),
    "what a read shows": Fact(
        new(get(), put()), API, absent=("VersionId", "StorageClass"),
        fields={"ServerSideEncryption": "AES256", "AcceptRanges": "bytes", "ContentType": "binary/octet-stream", "ChecksumType": "FULL_OBJECT"},
    ),
    "what a head shows": Fact(
        new(ask("head_object", Key="a"), put()), API, absent=("ChecksumCRC32",),
        fields={"ServerSideEncryption": "AES256", "AcceptRanges": "bytes"},
    ),
    # Writing
    "an upload": Fact(
        new(put("a", b"")), API, absent=("VersionId",),
        fields={"ETag": EMPTY, "ServerSideEncryption": "AES256", "ChecksumCRC32": "AAAAAA==", "ChecksumType": "FULL_OBJECT"},
    ),
    "an upload where there is one": Fact(
        new(put(IfNoneMatch="*"), put()), API, "PreconditionFailed", FAILED, 412, {"Error/Condition": "If-None-Match"}
    ),
    "an upload where there was one": Fact(
        new(put(IfNoneMatch="*"), versioned, put(), ask("delete_object", Key="a")), API, fields={"VersionId": re.compile(".+")}
    ),
    "an upload unless there is this one": Fact(
        new(put(IfNoneMatch='"abc"')), API, "NotImplemented", HEADER, 501,
        {
            "Error/Header": "If-None-Match",
            "Error/additionalMessage": "We don't accept the provided value of If-None-Match header for this API",
        },
    ),
    "an upload in place of any": Fact(new(put(IfMatch="*")), API, "NotImplemented", HEADER, 501, {"Error/Header": "If-Match"}),
    "an upload with both conditions": Fact(
        new(put(IfMatch='"abc"', IfNoneMatch="*")), API, "NotImplemented", HEADER, 501,
        {
            "Error/Header": "If-Match,If-None-Match",
            "Error/additionalMessage": "Multiple conditional request headers present in the request",
        },
    ),
    "an upload in place of another": Fact(
        new(put(IfMatch='"none"'), put()), API, "PreconditionFailed", FAILED, 412, {"Error/Condition": "If-Match"}
    ),
    "an upload in place of nothing": Fact(new(put(IfMatch=EMPTY)), API, "NoSuchKey", NO_KEY, 404, {"Error/Key": "a"}),
    "an upload in place of what was deleted": Fact(
        new(put(IfMatch=EMPTY), versioned, put(), ask("delete_object", Key="a")), API, "NoSuchKey", NO_KEY, 404, {"Error/Key": "a"}
    ),
    "a storage class that is none": Fact(
        new(put(StorageClass="OUTPOSTS")), S3, "InvalidStorageClass", "The storage class you specified is not valid", 400,
        {"Error/StorageClassRequested": "OUTPOSTS"},
    ),
    "an encryption that is none": Fact(
        new(put(ServerSideEncryption="AES255")), "public reports", "InvalidArgument", "The encryption method specified is not supported", 400,
        {"Error/ArgumentName": "x-amz-server-side-encryption"},
    ),
    **{
        f"a key with {algorithm or 'no'} encryption": Fact(
            new(put("a", b"x", SSEKMSKeyId=UUID, **({"ServerSideEncryption": algorithm} if algorithm else {}))), "public reports",
            "InvalidArgument",
            "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms", 400,
        )
        for algorithm in ("", "AES256")
    },
    "tags of one name": Fact(
        new(put(Tagging="key1=val1&key1=val2")), API, "InvalidArgument",
        r"The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates\.", 400,
        {"Error/ArgumentName": "x-amz-tagging", "Error/ArgumentValue": "key1=val1&key1=val2"},
    ),
    "too much metadata": Fact(
        new(put(Metadata={"a": "b" * 2048})), "public reports", "MetadataTooLarge",
        "Your metadata headers exceed the maximum allowed metadata size", 400, {"Error/MaxSizeAllowed": "2048"},
    ),
    "a copy onto itself": Fact(
        new(lambda s3, name: s3.copy_object(Bucket=name, Key="a", CopySource=f"{name}/a"), put()), S3, "InvalidRequest",
        r"This copy request is illegal because it is trying to copy an object to itself without changing .*", 400,
    ),
    "a copy": Fact(
        new(lambda s3, name: s3.copy_object(Bucket=name, Key="b", CopySource=f"{name}/a"), put("a", b"")), S3,
        fields={"CopyObjectResult/ETag": EMPTY, "CopyObjectResult/ChecksumCRC32": "AAAAAA==", "CopyObjectResult/ChecksumType": "FULL_OBJECT", "ServerSideEncryption": "AES256"},
    ),
    "a copy of nothing": Fact(
        new(lambda s3, name: s3.copy_object(Bucket=name, Key="b", CopySource=f"{name}/a")), S3, "NoSuchKey", NO_KEY, 404, {"Error/Key": "a"}
    ),
    "an object is deleted": Fact(new(ask("delete_object", Key="a"), put()), API, status=204, absent=("VersionId", "DeleteMarker")),
    "no object is deleted": Fact(new(ask("delete_object", Key="none")), API, status=204),
    "an object of versions is deleted": Fact(
        new(ask("delete_object", Key="a"), versioned, put()), API, status=204, fields={"DeleteMarker": True}
    ),
    "objects are deleted": Fact(
        new(delete("b", "none", "a"), put("a"), put("b")), API, fields={"Deleted": [{"Key": "b"}, {"Key": "none"}, {"Key": "a"}]},
        absent=("Errors",),
    ),
    "objects are deleted quietly": Fact(
        new(delete("a", Quiet=True), put("a")), "the S3 API reference, DeleteObjects", absent=("Errors", "Deleted")
    ),
    "a version is deleted that is not there": Fact(
        new(ask("delete_objects", Delete={"Objects": [{"Key": "a", "VersionId": "HPniJFCxqTsMuIH9KX8K8wEjNUgmABCD"}]}), put("a")), API,
        absent=("Deleted",),
        fields={
            "Errors/0/Code": "NoSuchVersion", "Errors/0/Message": "The specified version does not exist.", "Errors/0/Key": "a",
            "Errors/0/VersionId": "HPniJFCxqTsMuIH9KX8K8wEjNUgmABCD",
        },
    ),
    "objects of versions are deleted": Fact(
        new(delete("a"), versioned, put("a")), API,
        fields={"Deleted/0/DeleteMarker": True, "Deleted/0/DeleteMarkerVersionId": re.compile(".+"), "Deleted/0/Key": "a"},
    ),
    "no objects are deleted": Fact(new(delete()), "the S3 API reference, DeleteObjects", "MalformedXML", MALFORMED, 400),
    "one of two objects may be deleted": Fact(
        new(delete("a", "b"), put("a"), put("b"), document({**DELETES, "Resource": "arn:aws:s3:::NAME/a"})),
        "the S3 API reference, DeleteObjects",
        fields={"Deleted": [{"Key": "b"}], "Errors/0/Key": "a", "Errors/0/Code": "AccessDenied"},
    ),
    "a name that is none": Fact(
        lambda s: s.s3.create_bucket(Bucket="Not_A_Name"), S3, "InvalidBucketName", r"The specified bucket is not valid\.", 400,
        {"Error/BucketName": "Not_A_Name"},
    ),
    "a place that is none": Fact(
        lambda s: s.s3.create_bucket(Bucket="never-there", CreateBucketConfiguration={"LocationConstraint": "nowhere-1"}), S3,
        "InvalidLocationConstraint", "The specified location-constraint is not valid", 400,
        {"Error/LocationConstraint": "nowhere-1"},
    ),
    "us-east-1 as a place": Fact(
        lambda s: s.s3.create_bucket(Bucket="never-there", CreateBucketConfiguration={"LocationConstraint": REGION}), S3,
        "InvalidLocationConstraint", "The specified location-constraint is not valid", 400,
    ),
    "a name that is too long": Fact(
        new(put("k" * 1025)), S3, "KeyTooLongError", "Your key is too long", 400, {"Error/MaxSizeAllowed": "1024", "Error/Size": "1025"}
    ),
    "tags are deleted": Fact(new(ask("delete_object_tagging", Key="a"), put()), API, status=204),
    "tags of nothing": Fact(new(ask("get_object_tagging", Key="none")), API, "NoSuchKey", NO_KEY, 404),
    # Encryption
    "an upload under a word": Fact(new(put_under("fake-key-id")), S3, "KMS.NotFoundException", "Invalid keyId 'fake-key-id'", 400),
    "an upload under a key that is not there": Fact(
        new(put_under(UUID)), S3, "KMS.NotFoundException", f"Key 'arn:aws:kms:{REGION}:{ACCOUNT}:key/{UUID}' does not exist", 400
    ),
    "an upload under a key of another region": Fact(
        new(put_under(f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/{UUID}")), S3, "KMS.NotFoundException", "Invalid arn eu-west-1", 400
    ),
    "a multipart upload under a word": Fact(
        new(ask("create_multipart_upload", Key="a", ServerSideEncryption="aws:kms", SSEKMSKeyId="fake-key-id")), S3,
        "KMS.NotFoundException", "Invalid keyId 'fake-key-id'", 400,
    ),
    "an upload under a key's id": Fact(
        keyed(of_a_key(put_under)), S3, fields={"is the ARN": True, "ServerSideEncryption": "aws:kms"}
    ),
    "a read from under a key": Fact(keyed(with_digest), S3, fields={"is the ARN": True, "is the digest": False}),
    "a read from under keys of S3's own": Fact(new(with_digest, put()), S3, fields={"is the digest": True}),
    **{
        f"{what} a key that {out}": Fact(
            keyed(of_a_key(call), state), S3, f"KMS.{code}", rf"\S+ is {says}\.", 400
        )
        for what, call in {"an upload under": put_under, "a read from under": lambda key: get()}.items()
        for out, state, code, says in (
            ("is disabled", "disabled", "DisabledException", "disabled"),
            ("will be deleted", "pending", "KMSInvalidStateException", "pending deletion"),
        )
    },
    "a new bucket's encryption": Fact(
        new(ask("get_bucket_encryption")), API,
        fields={"ServerSideEncryptionConfiguration/Rules/0/ApplyServerSideEncryptionByDefault/SSEAlgorithm": "AES256"},
    ),
    **{
        f"a default encryption: {what}": Fact(
            new(ask("put_bucket_encryption", ServerSideEncryptionConfiguration={"Rules": rules})), API, code, text, 400
        )
        for what, rules, code, text in (
            ("no rule", [], "MalformedXML", MALFORMED), ("an empty rule", [{}], "MalformedXML", MALFORMED),
            ("two rules", [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}] * 2, "MalformedXML", MALFORMED),
            (
                "a key for S3's own", [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256", "KMSMasterKeyID": UUID}}],
                "InvalidArgument", "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse",
            ),
        )
    },
    **{
        f"an upload with a digest: {what}": Fact(new(put("a", b"x", **{name: value})), S3, code, text, 400)
        for what, name, value, code, text in (
            ("no CRC32", "ChecksumCRC32", "invalid", "InvalidRequest", r"Value for x-amz-checksum-crc32 header is invalid\."),
            ("another CRC32", "ChecksumCRC32", "AAAAAA==", "BadDigest", r"The CRC32 you specified did not match the calculated checksum\."),
            ("no SHA256", "ChecksumSHA256", "invalid", "InvalidRequest", r"Value for x-amz-checksum-sha256 header is invalid\."),
            ("no MD5", "ContentMD5", "invalid", "InvalidDigest", r"The Content-MD5 you specified was invalid\."),
            ("another MD5", "ContentMD5", "1B2M2Y8AsgTpgAmY7PhCfg==", "BadDigest", r"The Content-MD5 you specified did not match what we received\."),
        )
    },
    # Lists
    "a token that is none": Fact(
        new(ask("list_objects_v2", ContinuationToken="none")), LISTS, "InvalidArgument", "The continuation token provided is incorrect",
        400, {"Error/ArgumentName": "continuation-token"},
    ),
    "a page": Fact(
        new(ask("list_objects_v2", Prefix="plain"), put("plain"), put("other")), LISTS, absent=("Contents/0/Owner", "Delimiter"),
        fields={
            "IsTruncated": False, "MaxKeys": 1000, "Name": "fact-of-a-bucket", "Prefix": "plain", "KeyCount": 1, "EncodingType": "url",
            "Contents/0/StorageClass": "STANDARD", "Contents/0/ChecksumAlgorithm": ["CRC32"], "Contents/0/ChecksumType": "FULL_OBJECT",
        },
    ),
    "the first page": Fact(
        new(ask("list_objects_v2", Prefix="test/", Delimiter="/", MaxKeys=1), put("test/bar/1"), put("test/foo/1")), LISTS,
        absent=("Contents",),
        fields={
            "CommonPrefixes": [{"Prefix": "test/bar/"}], "IsTruncated": True, "KeyCount": 1, "MaxKeys": 1,
            "NextContinuationToken": re.compile(".+"),
        },
    ),
    **{
        f"a page of more than a thousand: {operation}": Fact(
            new(ask(operation, MaxKeys=5000), put()), "the S3 API reference", fields={"MaxKeys": 1000, "IsTruncated": False}
        )
        for operation in ("list_objects", "list_objects_v2", "list_object_versions")
    },
    "a page of less than nothing": Fact(
        new(ask("list_objects_v2", MaxKeys=-1)), "public reports", "InvalidArgument",
        "Argument maxKeys must be an integer between 0 and 2147483647", 400, {"Error/ArgumentName": "maxKeys"},
    ),
    "a page that goes on": Fact(
        new(ask("list_objects", MaxKeys=1, Delimiter="/"), put("a"), put("b")), LISTS, fields={"IsTruncated": True, "NextMarker": "a"}
    ),
    "a page that goes on without a delimiter": Fact(
        new(ask("list_objects", MaxKeys=1), put("a"), put("b")), LISTS, fields={"IsTruncated": True}, absent=("NextMarker",)
    ),
    "the page after a marker": Fact(
        new(ask("list_objects", Marker="a", MaxKeys=1), put("a"), put("b")), LISTS, fields={"Marker": "a", "Contents/0/Key": "b"}
    ),
    "no page of the first kind": Fact(
        new(ask("list_objects")), S3, fields={"Prefix": "", "Marker": "", "MaxKeys": 1000, "EncodingType": "url"}, absent=("Contents",)
    ),
    "a page in an encoding that is none": Fact(
        new(ask("list_objects_v2", EncodingType="value")), LISTS, "InvalidArgument", "Invalid Encoding Method specified in Request", 400,
        {"Error/ArgumentName": "encoding-type", "Error/ArgumentValue": "value"},
    ),
    "a version's marker alone": Fact(
        new(ask("list_object_versions", VersionIdMarker="a")), LISTS, "InvalidArgument",
        r"A version-id marker cannot be specified without a key marker\.", 400,
    ),
    "no page": Fact(new(ask("list_objects_v2")), S3, fields={"KeyCount": 0, "Prefix": "", "EncodingType": "url"}, absent=("Contents",)),
    "versions": Fact(
        new(ask("list_object_versions"), put()), API, absent=("DeleteMarkers", "Versions/0/Owner/DisplayName"),
        fields={
            "KeyMarker": "", "VersionIdMarker": "", "Versions/0/VersionId": "null", "Versions/0/IsLatest": True,
            "Versions/0/ChecksumAlgorithm": ["CRC32"], "Versions/0/ChecksumType": "FULL_OBJECT",
            "Versions/0/Owner/ID": re.compile("[0-9a-f]{64}"),
        },
    ),
    # Multipart uploads
    "an upload is begun": Fact(
        new(ask("create_multipart_upload", Key="a")), API, fields={"Bucket": "fact-of-a-bucket", "Key": "a", "ServerSideEncryption": "AES256"}
    ),
    "an upload is completed": Fact(
        uploaded(finish()), API, fields={"ETag": re.compile('"[0-9a-f]{32}-1"'), "Key": "a", "ServerSideEncryption": "AES256"},
        absent=("VersionId",),
    ),
    "an upload without parts": Fact(uploaded(finish_of_none), S3, "InvalidRequest", "You must specify at least one part", 400),
    "an upload of a part that is not there": Fact(
        uploaded(finish((2, PART))), S3, "InvalidPart", r"One or more of the specified parts could not be found\..*", 400,
        {"Error/PartNumber": "2", "Error/ETag": PART.strip('"')},
    ),
    "an upload of another part": Fact(
        uploaded(finish((1, EMPTY))), S3, "InvalidPart", r"One or more of the specified parts could not be found\..*", 400,
        {"Error/PartNumber": "1", "Error/ETag": EMPTY.strip('"')},
    ),
    "an upload of small parts": Fact(
        uploaded(
            lambda s3, name, upload: (
                s3.upload_part(Bucket=name, Key="a", UploadId=upload, PartNumber=2, Body=b"part"),
                finish((1, PART), (2, PART))(s3, name, upload),
            )
        ),
        S3, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size", 400,
        {"Error/MinSizeAllowed": "5242880", "Error/PartNumber": "1", "Error/ProposedSize": "4"},
    ),
    "an upload where there is one by now": Fact(
        uploaded(finish(IfNoneMatch="*"), during=(put(),)), API, "PreconditionFailed", FAILED, 412, {"Error/Condition": "If-None-Match"}
    ),
    "an upload where one was deleted meanwhile": Fact(
        uploaded(finish(IfNoneMatch="*"), put(), during=(ask("delete_object", Key="a"),)), API, "ConditionalRequestConflict", CONFLICT, 409,
        {"Error/Condition": "If-None-Match", "Error/Key": "a"},
    ),
    "an upload in place of what was written meanwhile": Fact(
        uploaded(finish(IfMatch=EMPTY), put(), during=(put("a", b""),)), API, "ConditionalRequestConflict", CONFLICT, 409,
        {"Error/Condition": "If-Match", "Error/Key": "a"},
    ),
    "an upload in place of what was deleted meanwhile": Fact(
        uploaded(finish(IfMatch=EMPTY), put("a", b""), during=(ask("delete_object", Key="a"),)), API, "NoSuchKey", NO_KEY, 404,
        {"Error/Key": "a"},
    ),
    "parts": Fact(
        uploaded(lambda s3, name, upload: s3.list_parts(Bucket=name, Key="a", UploadId=upload)), S3,
        absent=("Owner/DisplayName", "Initiator/DisplayName"),
        fields={
            "Parts/0/ETag": PART, "Parts/0/Size": 4, "NextPartNumberMarker": 1, "PartNumberMarker": 0, "MaxParts": 1000,
            "StorageClass": "STANDARD", "Owner/ID": re.compile("[0-9a-f]{64}"), "Initiator/ID": re.compile("[0-9a-f]{64}"),
        },
    ),
    "uploads": Fact(
        uploaded(lambda s3, name, upload: s3.list_multipart_uploads(Bucket=name)), S3,
        fields={
            "MaxUploads": 1000, "NextKeyMarker": "a", "NextUploadIdMarker": re.compile(".+"), "Uploads/0/Key": "a",
            "Uploads/0/StorageClass": "STANDARD", "Uploads/0/Initiated": re.compile("20[23].*"),
        },
    ),
    "no such upload": Fact(
        new(ask("upload_part", Key="a", UploadId="none", PartNumber=1, Body=b"x")), S3, "NoSuchUpload",
        r"The specified upload does not exist\. The upload ID may be invalid, or the upload may have been aborted or completed\.", 404,
        {"Error/UploadId": "none"},
    ),
    "a copied part": Fact(
        copied(copy_part("bytes=0-8")), API,
        fields={"CopyPartResult/ETag": '"22975d8a5ed1b91445f6c55ac121505b"', "ServerSideEncryption": "AES256"},
    ),
    "a part that is an object": Fact(
        copied(copy_part(None)), API, fields={"CopyPartResult/ETag": '"781e5e245d69b566979b86e28d23f2c7"'}
    ),
    **{
        f"no range of a source: {span}": Fact(
            copied(copy_part(span)), API, "InvalidArgument", FORM, 400,
            {"Error/ArgumentName": "x-amz-copy-source-range", "Error/ArgumentValue": span},
        )
        for span in ("0-8", "bytes=1-0", "bytes=-1-", "bytes=0--1", "bytes=0-1,3-4,7-9", "bytes=-", "bytes=1-", "bytes=-2")
    },
    "a range longer than the source": Fact(
        copied(copy_part("bytes=0-100")), API, "InvalidArgument", "Range specified is not valid for source object of size: 10", 400
    ),
    "a range behind the source": Fact(
        copied(copy_part("bytes=100-200")), API, "InvalidRequest", "The specified copy range is invalid for the source object size", 400
    ),
    # Refusals
    "a Deny of the bucket's policy": Fact(
        new(ask("delete_object", Key="a"), put(), document(DELETES)), MOTO, "AccessDenied",
        r'User: \S+ is not authorized to perform: s3:DeleteObject on resource: "arn:aws:s3:::\S+/a" with an explicit deny in a '
        r"resource-based policy", 403,
    ),
    "no Allow": Fact(
        narrow(get(), {**ANYTHING, "Action": "s3:PutObject"}), DENIED, "AccessDenied",
        r'User: \S+ is not authorized to perform: s3:GetObject on resource: "arn:aws:s3:::\S+/a" because no session policy allows the '
        r"s3:GetObject action", 403,
    ),
    "no Allow of listing, and no such key": Fact(
        narrow(get("none"), {**ANYTHING, "Action": "s3:GetObject"}), DENIED, "AccessDenied",
        r'User: \S+ is not authorized to perform: s3:ListBucket on resource: "arn:aws:s3:::\S+" because no session policy allows the '
        r"s3:ListBucket action", 403,
    ),
    "another account": Fact(as_other(get()), DENIED, "AccessDenied", "Access Denied", 403),
    "another account's head": Fact(as_other(ask("head_object", Key="a")), S3, "403", "Forbidden", 403),
    "no Allow of the key": Fact(
        narrow(get(), ANYTHING, encrypts=True), DENIED, "AccessDenied",
        r"User: \S+ is not authorized to perform: kms:Decrypt on the resource associated with this ciphertext because no session policy "
        r"allows the kms:Decrypt action", 403,
    ),
    "a head asks nothing of KMS": Fact(
        narrow(ask("head_object", Key="a"), ANYTHING, encrypts=True), "public logs of two clients", fields={"ServerSideEncryption": "aws:kms"}
    ),
    "another account, and a key that is shut": Fact(
        as_other(get(), statements=(GIVEN_AWAY,), encrypts=True), DENIED, "AccessDenied",
        r"User: \S+ is not authorized to perform: kms:Decrypt on the resource associated with this ciphertext because the resource does "
        r"not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access", 403,
    ),
}  # fmt: skip
