"""Requests whose meaning would not be what was signed, or judged: each is refused, and as it was signed it is served."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from crossaccount_sandbox.signatures import chunks_hold
from crossaccount_sandbox.wire import Scope

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
    }
)
OURS, THEIRS, REGION = "changed-requests", "changed-requests-of-others", "us-east-1"


@pytest.fixture(scope="module", autouse=True)
def s3(inner: Any) -> Any:
    inner.client("outsider", "s3").create_bucket(Bucket=THEIRS)
    inner.client("outsider", "s3").put_object(Bucket=THEIRS, Key="secret", Body=b"secret")
    client = inner.client("producer", "s3")
    client.create_bucket(Bucket=OURS)
    for key in ("secret", f"{THEIRS}/secret", "a b+c?d#e;f%41"):
        client.put_object(Bucket=OURS, Key=key, Body=b"ours")
    return client


def code(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as refusal:
        call()
    return str(refusal.value.response["Error"]["Code"])


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (f"//{OURS}/{THEIRS}/secret", "InvalidArgument"),
        (f"///{OURS}/{THEIRS}/secret", "InvalidArgument"),
        (f"//{THEIRS}/secret", "InvalidArgument"),
        (f"/{THEIRS}/secret", "AccessDenied"),
        (f"{THEIRS}/secret", "AccessDenied"),
        (f"{OURS}/secret#other", "NoSuchKey"),
        (f"{OURS}/secret;other", "NoSuchKey"),
        (f"{OURS}/secret?other=1", "NoSuchKey"),
        (OURS, "InvalidArgument"),
        (f"{OURS}/", "InvalidArgument"),
    ],
)
def test_a_copy_reads_what_was_judged_and_nothing_else(s3: Any, source: str, said: str) -> None:
    """Above all no object of another account, by a source that is read in two ways."""
    upload = s3.create_multipart_upload(Bucket=OURS, Key="copy")["UploadId"]
    part = {"Bucket": OURS, "Key": "copy", "UploadId": upload, "PartNumber": 1}
    assert code(lambda: s3.copy_object(Bucket=OURS, Key="copy", CopySource=source)) == said
    assert code(lambda: s3.upload_part_copy(**part, CopySource=source)) == said
    s3.abort_multipart_upload(Bucket=OURS, Key="copy", UploadId=upload)


@pytest.mark.parametrize("key", ["secret", f"{THEIRS}/secret", "a b+c?d#e;f%41"])
def test_a_copy_of_one_s_own_is_made(s3: Any, key: str) -> None:
    s3.copy_object(Bucket=OURS, Key="copied", CopySource={"Bucket": OURS, "Key": key})
    assert s3.get_object(Bucket=OURS, Key="copied")["Body"].read() == b"ours"


class _Kms(SigV4Auth):
    """Signs otherwise than a client does: without the host, for another day, with another digest of the body."""

    left_out, day, digest = "", "", ""

    def headers_to_sign(self, request: Any) -> Any:
        headers = super().headers_to_sign(request)
        del headers[self.left_out or "-"]
        return headers

    def scope(self, request: Any) -> str:
        key, day, place = str(super().scope(request)).split("/", 2)
        return "/".join((key, self.day or day, place))

    def payload(self, request: Any) -> str:
        if not self.digest:
            return str(super().payload(request))
        return self.digest


class _S3(_Kms, S3SigV4Auth):
    def payload(self, request: Any) -> str:
        return self.digest or str(S3SigV4Auth.payload(self, request))


def sent(inner: Any, service: str, body: bytes = b"{}", **how: str) -> tuple[int, str]:
    """The status and the body of the answer to a list of KMS keys, or to an upload to S3."""
    signer = (_S3 if service == "s3" else _Kms)(Credentials(*inner.keys["producer"]), service, REGION)
    for name, value in how.items():
        setattr(signer, name, value)
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "TrentService.ListKeys"}
    url, method = f"{inner.url}/{how.get('path', '')}", "POST"
    if service == "s3":
        headers, url, method = {}, f"{inner.url}/{OURS}/sent", "PUT"
    if how.get("digest"):
        headers["X-Amz-Content-SHA256"] = how["digest"]
    if "STREAMING" in how.get("digest", ""):
        headers["Content-Encoding"] = "aws-chunked"
        headers["X-Amz-Decoded-Content-Length"] = how.get("length", "5")
    request = AWSRequest(method, url, headers, body)
    signer.add_auth(request)
    if how.get("digest"):
        del request.headers["X-Amz-Content-SHA256"]
        request.headers["X-Amz-Content-SHA256"] = how["digest"]
    plain = urllib.request.Request(url, body, dict(request.headers.items()), method=method)
    try:
        with urllib.request.urlopen(plain, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


UNSIGNED = "5\r\nhello\r\n0\r\n\r\n"
UNFOUNDED = "5;chunk-signature=" + "0" * 64 + "\r\nhello\r\n0;chunk-signature=" + "0" * 64 + "\r\n\r\n"


@pytest.mark.parametrize(
    ("service", "how", "status", "said"),
    [
        ("kms", {}, 200, '"Keys"'),
        ("s3", {}, 200, ""),
        ("kms", {"left_out": "host"}, 400, "'Host' or ':authority' must be a 'SignedHeader'"),
        ("s3", {"left_out": "host"}, 403, "<HeadersNotSigned>host</HeadersNotSigned>"),
        ("kms", {"day": "20200101"}, 400, "Date in Credential scope does not match YYYYMMDD"),
        ("s3", {"day": "20200101"}, 400, "<Code>AuthorizationHeaderMalformed</Code>"),
        ("s3", {"digest": "UNSIGNED-PAYLOAD"}, 200, ""),
        ("kms", {"digest": "UNSIGNED-PAYLOAD"}, 400, "InvalidSignatureException"),
        ("kms", {"digest": "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}, 400, "InvalidSignatureException"),
        ("s3", {"digest": "UNSIGNED-PAYLOAD-TOO"}, 400, "<Code>InvalidArgument</Code>"),
        ("s3", {"digest": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "length": "5"}, 200, ""),
        (
            "s3",
            {"digest": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "length": "4"},
            400,
            "<Code>IncompleteBody</Code>",
        ),
        (
            "s3",
            {"digest": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "framed": "zz"},
            400,
            "<Code>IncompleteBody</Code>",
        ),
        ("s3", {"digest": "STREAMING-ANYTHING"}, 400, "<Code>InvalidArgument</Code>"),
        ("s3", {"digest": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"}, 403, "<Code>SignatureDoesNotMatch</Code>"),
    ],
)
def test_what_a_signature_must_cover(
    inner: Any, service: str, how: dict[str, str], status: int, said: str
) -> None:
    body = b"{}"
    if service == "s3" and "STREAMING" in how.get("digest", ""):
        body = how.get("framed", UNFOUNDED if "HMAC" in how["digest"] else UNSIGNED).encode()
    answered, text = sent(inner, service, body, **how)
    assert answered == status, text
    assert said in text


SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"  # of the examples in the S3 API reference
PLAIN = (
    "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
    "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
    "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
    "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
)
WITH_TRAILER = (
    "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
    "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
    "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
    "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
)
TRAILER = (
    b"x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:"
    b"d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n"
)


def chunked(signatures: tuple[str, ...], end: bytes) -> bytes:
    """The examples' body: 65 kB of one letter, in two chunks and the end."""
    chunks = zip((65536, 1024, 0), signatures[1:], strict=True)
    return (
        b"".join(
            b"%x;chunk-signature=%s\r\n%s" % (n, s.encode(), b"a" * n + b"\r\n" * (n > 0)) for n, s in chunks
        )
        + end
    )


@pytest.mark.parametrize(
    ("signatures", "end", "change", "holds"),
    [
        (PLAIN, b"\r\n", lambda body: body, True),
        (WITH_TRAILER, TRAILER, lambda body: body, True),
        (PLAIN, b"\r\n", lambda body: body.replace(b"aa\r\n", b"ab\r\n", 1), False),
        (PLAIN, b"\r\n", lambda body: body[: body.rindex(b"0;chunk")], False),
        (PLAIN, b"x-amz-checksum-crc32c:sOO8/Q==\r\n\r\n", lambda body: body, False),
        (WITH_TRAILER, TRAILER, lambda body: body.replace(b"sOO8", b"sOO9"), False),
        (WITH_TRAILER, TRAILER, lambda body: body.replace(b"d81f", b"d81e"), False),
        (PLAIN, b"\r\n", lambda body: b"", False),
    ],
    ids=[
        "as signed",
        "with a trailer",
        "a byte",
        "no end",
        "a trailer of nobody",
        "another trailer",
        "its signature",
        "nothing",
    ],
)
def test_a_body_in_chunks_is_signed_chunk_by_chunk(
    signatures: tuple[str, ...], end: bytes, change: Callable[[bytes], bytes], holds: bool
) -> None:
    scope = Scope("AKIAIOSFODNN7EXAMPLE", "20130524", REGION, "s3", (), signatures[0], "20130524T000000Z")
    assert chunks_hold(SECRET, scope, change(chunked(signatures, end))) is holds


def signed_by_version_2(inner: Any, operation: str, **given: Any) -> str:
    key, secret = inner.keys["producer"]
    config = Config(signature_version="s3-query", s3={"addressing_style": "path"})
    client = boto3.client(
        "s3",
        REGION,
        endpoint_url=inner.url,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=config,
    )
    url: str = client.generate_presigned_url(operation, Params={"Bucket": OURS, **given})
    return url


def asked(url: str, method: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.parametrize(
    ("operation", "given", "method", "more"),
    [
        ("create_bucket", {}, "PUT", "publicAccessBlock"),
        ("create_bucket", {}, "PUT", "ownershipControls"),
        ("create_bucket", {}, "PUT", "intelligent-tiering&id=1"),
        ("list_objects", {}, "GET", "publicAccessBlock"),
        ("list_objects", {}, "GET", "policyStatus"),
        ("get_object", {"Key": "secret"}, "GET", "attributes"),
        ("get_object", {"Key": "secret"}, "GET", "legal-hold"),
        ("put_object", {"Key": "secret"}, "PUT", "retention"),
        ("put_object", {"Key": "new", "StorageClass": "STANDARD"}, "PUT", "x-amz-storage-class=GLACIER"),
    ],
)
def test_a_url_of_version_2_means_what_was_signed(
    inner: Any, operation: str, given: dict[str, str], method: str, more: str
) -> None:
    """Wherever a parameter is put that makes it another request."""
    path, _, query = signed_by_version_2(inner, operation, **given).partition("?")
    for changed in (f"{query}&{more}", f"{more}&{query}"):
        status, text = asked(f"{path}?{changed}", method)
        assert (status, "<Code>SignatureDoesNotMatch</Code>" in text) == (403, True), text


def test_a_list_by_a_url_of_version_2_may_be_narrowed(inner: Any) -> None:
    url = signed_by_version_2(inner, "list_objects_v2")
    assert "<Key>secret</Key>" in asked(f"{url}&prefix=secret", "GET")[1]


@pytest.fixture
def recreated(inner: Any) -> Callable[[str], tuple[Any, Callable[[], None], Callable[[], None]]]:
    """A session of a role or a user, what removes it, and what makes it again."""
    iam, sts = inner.client("producer", "iam"), inner.client("producer", "sts")
    account = sts.get_caller_identity()["Account"]
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    trust = {"Effect": "Allow", "Principal": {"AWS": account}, "Action": "sts:AssumeRole"}

    def make(kind: str) -> None:
        if kind == "Role":
            document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
            iam.create_role(RoleName="again", AssumeRolePolicyDocument=document)
        else:
            iam.create_user(UserName="again")
        put = getattr(iam, f"put_{kind.lower()}_policy")
        put(**{f"{kind}Name": "again"}, PolicyName="all", PolicyDocument=json.dumps(everything))

    def remove(kind: str) -> None:
        name = {f"{kind}Name": "again"}
        for key in iam.list_access_keys(**name)["AccessKeyMetadata"] if kind == "User" else ():
            iam.delete_access_key(**name, AccessKeyId=key["AccessKeyId"])
        getattr(iam, f"delete_{kind.lower()}_policy")(**name, PolicyName="all")
        getattr(iam, f"delete_{kind.lower()}")(**name)

    def begin(kind: str) -> tuple[Any, Callable[[], None], Callable[[], None]]:
        make(kind)
        if kind == "Role":
            arn = f"arn:aws:iam::{account}:role/again"
            key = sts.assume_role(RoleArn=arn, RoleSessionName="before")["Credentials"]
        else:
            own = iam.create_access_key(UserName="again")["AccessKey"]
            user = inner.keyed("sts", own["AccessKeyId"], own["SecretAccessKey"])
            key = user.get_session_token()["Credentials"]
        named = key["AccessKeyId"], key["SecretAccessKey"], key["SessionToken"]
        return named, lambda: remove(kind), lambda: make(kind)

    return begin


@pytest.mark.parametrize("kind", ["Role", "User"])
def test_a_session_ends_with_whose_it_is_and_is_not_of_the_next_of_that_name(
    inner: Any, recreated: Any, kind: str
) -> None:
    key, remove, make = recreated(kind)
    inner.keyed("s3", *key).list_buckets()
    remove()
    assert code(inner.keyed("sts", *key).get_caller_identity) == "InvalidClientTokenId"
    make()
    assert code(inner.keyed("s3", *key).list_buckets) == "InvalidAccessKeyId"
    assert code(inner.keyed("kms", *key).list_keys) == "UnrecognizedClientException"
    remove()


def test_a_session_has_no_tag_in_aws_s_name(inner: Any) -> None:
    sts = inner.client("producer", "sts")
    tags = [{"Key": "AWS:team", "Value": "x"}]
    assert code(lambda: sts.get_federation_token(Name="tagged", Tags=tags)) == "InvalidParameterValue"


def test_a_boundary_is_a_policy_of_the_account_or_of_aws(inner: Any) -> None:
    document = json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    )
    theirs = inner.client("outsider", "iam").create_policy(PolicyName="wide", PolicyDocument=document)[
        "Policy"
    ]["Arn"]
    iam, named = inner.client("producer", "iam"), {"RoleName": "bound", "AssumeRolePolicyDocument": TRUST}
    assert code(lambda: iam.create_role(**named, PermissionsBoundary=theirs)) == "NoSuchEntity"
    assert code(lambda: iam.create_user(UserName="bound", PermissionsBoundary=theirs)) == "NoSuchEntity"
    iam.create_role(**named, PermissionsBoundary="arn:aws:iam::aws:policy/ReadOnlyAccess")
    again = {"RoleName": "bound", "PermissionsBoundary": theirs}
    assert code(lambda: iam.put_role_permissions_boundary(**again)) == "NoSuchEntity"


def test_a_user_may_do_no_more_than_its_boundary(inner: Any) -> None:
    iam, bound = inner.client("producer", "iam"), "arn:aws:iam::aws:policy/ReadOnlyAccess"
    iam.create_user(UserName="reader", PermissionsBoundary=bound)
    iam.attach_user_policy(UserName="reader", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    reader = inner.keyed("s3", key["AccessKeyId"], key["SecretAccessKey"])
    assert reader.get_object(Bucket=OURS, Key="secret")["Body"].read() == b"ours"
    assert code(lambda: reader.put_object(Bucket=OURS, Key="secret", Body=b"")) == "AccessDenied"
    shown = iam.get_user(UserName="reader")["User"]["PermissionsBoundary"]
    assert shown == {"PermissionsBoundaryType": "PermissionsBoundaryPolicy", "PermissionsBoundaryArn": bound}


@pytest.mark.parametrize("bypasses", [False, True], ids=["without its permission", "with it"])
def test_retention_is_passed_over_by_who_may(inner: Any, bypasses: bool) -> None:
    s3, bucket = inner.client("producer", "s3"), f"locked-{bypasses}".lower()
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    until = {
        "ObjectLockMode": "GOVERNANCE",
        "ObjectLockRetainUntilDate": datetime.now(UTC) + timedelta(days=1),
    }
    first, second = (s3.put_object(Bucket=bucket, Key="k", Body=b"x", **until)["VersionId"] for _ in range(2))
    actions = ["s3:DeleteObject*", *(["s3:BypassGovernanceRetention"] if bypasses else [])]
    allowed = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    narrow = inner.session("producer", "s3", json.dumps({"Version": "2012-10-17", "Statement": [allowed]}))
    one = {"Bucket": bucket, "Key": "k", "VersionId": first}
    assert code(lambda: narrow.delete_object(**one)) == "AccessDenied"
    many = {"Bucket": bucket, "Delete": {"Objects": [{"Key": "k", "VersionId": second}]}}
    if bypasses:
        narrow.delete_object(**one, BypassGovernanceRetention=True)
    else:
        assert code(lambda: narrow.delete_object(**one, BypassGovernanceRetention=True)) == "AccessDenied"
    errors = narrow.delete_objects(**many, BypassGovernanceRetention=True).get("Errors", [])
    assert [error["Code"] for error in errors] == ([] if bypasses else ["AccessDenied"])


OTHERWISE = ("moto-api", "moto-api-models", "latest", "static", "v20180820", "favicon.ico")


@pytest.mark.parametrize("bucket", OTHERWISE)
@pytest.mark.parametrize("key", ["data.json", "config", "meta-data/iam", "configuration/publicAccessBlock"])
def test_no_name_of_a_bucket_leads_behind_the_door(inner: Any, bucket: str, key: str) -> None:
    """Above all not to what the emulation holds of every account, which it shows under such a path."""
    own, other = inner.client("producer", "s3"), inner.client("outsider", "s3")
    assert code(lambda: own.get_object(Bucket=bucket, Key=key)) == "NoSuchBucket"
    own.create_bucket(Bucket=bucket)
    try:
        own.put_object(Bucket=bucket, Key=key, Body=b"ours")
        assert own.get_object(Bucket=bucket, Key=key)["Body"].read() == b"ours"
        assert code(lambda: other.get_object(Bucket=bucket, Key=key)) == "AccessDenied"
    finally:
        own.delete_object(Bucket=bucket, Key=key)
        own.delete_bucket(Bucket=bucket)


@pytest.mark.parametrize(
    "path", ["moto-api/data.json", "moto-api/reset", "moto-api/config", "latest/meta-data/iam"]
)
def test_no_path_of_another_service_leads_behind_the_door(inner: Any, s3: Any, path: str) -> None:
    """Above all none that shows, or ends, what the emulation holds of every account."""
    status, text = sent(inner, "kms", path=path)
    assert (status, "Keys" in text, "Bucket" in text) == (404, False, False)
    assert OURS in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
