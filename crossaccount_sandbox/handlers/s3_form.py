"""The form of S3's answers: the two ids of each, and what its errors say beside code and text.

Not here: what an operation does (``s3``, ``buckets``, ``multipart``).

Source: recordings of S3 by localstack and cloud-custodian; "Error responses" in the S3 API reference.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from xml.sax.saxutils import escape

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.s3_keys import copy_source
from crossaccount_sandbox.resources import owner_of_bucket
from crossaccount_sandbox.wire import AwsError, Response

_OF_BUCKET = frozenset(
    [
        *("NoSuchBucket", "NoSuchBucketPolicy", "NoSuchPublicAccessBlockConfiguration", "NoSuchTagSet"),
        *(
            "OwnershipControlsNotFoundError",
            "BucketNotEmpty",
            "BucketAlreadyExists",
            "BucketAlreadyOwnedByYou",
        ),
        "ServerSideEncryptionConfigurationNotFoundError",
    ]
)
_MEMBERS = {"NoSuchKey": ("Key",), "NoSuchVersion": ("Key", "VersionId"), "NoSuchUpload": ("UploadId",)}


def with_ids(response: Response, request: str, host: str | None) -> Response:
    """The answer of S3, with the ids of the request and of the host in an error's body, whoever wrote it."""
    if response.status < 300 or b"</Error>" not in response.body or b"<ErrorResponse" in response.body:
        return response
    body = re.sub(rb"<(RequestI[dD]|HostId)>[^<]*</\1>", b"", response.body)
    ids = f"<RequestId>{request}</RequestId><HostId>{host}</HostId>".encode()
    return replace(response, body=body.replace(b"</Error>", ids + b"</Error>"))


def complete(call: Call, error: AwsError) -> None:
    """Add to an error what S3 says beside its code and text."""
    error.extra = {**_further(call, error.code), **error.extra}


def completed(call: Call, response: Response) -> Response:
    """The emulation's answer, with what S3 says in an error beside its code and text."""
    if response.status < 400 or (match := re.search(rb"<Code>([^<]+)</Code>", response.body)) is None:
        return response
    body = response.body
    for name, value in _further(call, match[1].decode()).items():
        if f"<{name}>".encode() not in body:
            body = body.replace(b"</Error>", f"<{name}>{escape(value)}</{name}></Error>".encode())
    return replace(response, body=body)


def _further(call: Call, code: str) -> Mapping[str, str]:
    if code in _OF_BUCKET:
        return {"BucketName": str(call.params.get("Bucket", ""))}
    if code == "InvalidStorageClass":
        return {"StorageClassRequested": str(call.params.get("StorageClass", ""))}
    return {name: str(call.params[name]) for name in _MEMBERS.get(code, ()) if call.params.get(name)}


def check_expected_owners(call: Call) -> None:
    """Refuse a request that expects another account to own its bucket, or that which it copies from.

    Raises:
        AwsError: ``InvalidBucketOwnerAWSAccountID`` for an owner that is no account, ``AccessDenied`` for another one.
    """
    for header, named in (
        ("x-amz-expected-bucket-owner", call.params.get("Bucket")),
        ("x-amz-source-expected-bucket-owner", copy_source(call)[0]),
    ):
        expected = call.headers.get(header)
        if expected is None or not named:
            continue
        if not re.fullmatch(r"\d{12}", expected):
            text = (
                f"The value of the expected bucket owner parameter must be an AWS Account ID... [{expected}]"
            )
            raise AwsError("InvalidBucketOwnerAWSAccountID", text)
        if owner_of_bucket(named) not in (None, expected):
            raise AwsError("AccessDenied", "Access Denied", 403)


def xml(text: str, *headers: tuple[str, str]) -> Response:
    """A successful answer with an XML body."""
    return Response(200, text.encode(), (("Content-Type", "application/xml"), *headers))


NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
MALFORMED_XML = "The XML you provided was not well-formed or did not validate against our published schema"
