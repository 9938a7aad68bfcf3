"""Requests that are signed in their URL, or with their bucket in front of the host, or with a query as a client wrote it."""

from __future__ import annotations

import hashlib
import http.client
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit
from xml.etree import ElementTree

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

EVERYTHING: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}
BUCKET = "presigned"
REGION = "us-east-1"


@pytest.fixture(scope="module", autouse=True)
def bucket(inner: Any) -> None:
    s3 = inner.client("producer", "s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="a b/c:d", Body=b"0123456789")


def credentials(client: Any) -> Credentials:
    held: Credentials = client._request_signer._credentials
    return held


@pytest.fixture
def moved(inner: Any) -> Iterator[Callable[[timedelta], None]]:
    """Moves the sandbox's clock."""
    world = inner.server.world
    before = world.clock
    yield lambda by: setattr(world, "clock", lambda: datetime.now(UTC) + by)
    world.clock = before


def presign(
    client: Any,
    url: str,
    method: str = "GET",
    seconds: int = 60,
    headers: dict[str, str] | None = None,
    kind: Any = S3SigV4QueryAuth,
) -> str:
    request = AWSRequest(method=method, url=url, headers=headers or {})
    service = "s3" if kind is S3SigV4QueryAuth else "sts"
    kind(credentials(client), service, REGION, expires=seconds).add_auth(request)
    return str(request.url)


class Answer:
    """An answer, its error's members among what is known of it."""

    def __init__(
        self,
        url: str,
        method: str = "GET",
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        host: str = "",
    ) -> None:
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.netloc)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in {
            "Host": host or parts.netloc,
            "Content-Length": str(len(body)),
            **(headers or {}),
        }.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        self.status, self.headers, self.body = answer.status, answer.headers, answer.read()
        connection.close()
        self.error = {}
        if self.status >= 300 and self.body:
            root = ElementTree.fromstring(self.body)  # noqa: S314 - the sandbox's own answer
            self.error = {member.tag: member.text or "" for member in root}

    @property
    def code(self) -> str:
        return self.error.get("Code", "")


def place(inner: Any, key: str = "a%20b/c%3Ad") -> str:
    return f"{inner.url}/{BUCKET}/{key}"


def test_a_signed_url_reads_writes_and_describes(inner: Any) -> None:
    s3 = inner.client("producer", "s3")
    assert Answer(presign(s3, place(inner))).body == b"0123456789"
    head = Answer(presign(s3, place(inner), "HEAD"), "HEAD")
    assert (head.status, head.headers["Content-Length"], head.body) == (200, "10", b"")
    assert Answer(presign(s3, place(inner, "put"), "PUT"), "PUT", b"new").status == 200
    assert s3.get_object(Bucket=BUCKET, Key="put")["Body"].read() == b"new"
    assert Answer(presign(s3, place(inner)), headers={"Range": "bytes=2-3"}).body == b"23"


def test_a_url_of_the_client_s_own_making_works(inner: Any) -> None:
    s3 = inner._session.client(
        "s3",
        region_name=REGION,
        endpoint_url=inner.url,
        aws_access_key_id=credentials(inner.client("producer", "s3")).access_key,
        aws_secret_access_key=credentials(inner.client("producer", "s3")).secret_key,
        config=Config(signature_version="s3v4"),
    )
    plain = {**GIVEN, "ResponseContentType": "text/plain"}
    answer = Answer(s3.generate_presigned_url("get_object", Params=plain))
    assert (answer.body, answer.headers["Content-Type"]) == (b"0123456789", "text/plain")
    given: dict[str, Any] = {"Bucket": BUCKET, "Key": "made", "Metadata": {"a": "b"}}
    url = s3.generate_presigned_url("put_object", Params=given)
    signed = dict(parse_qsl(urlsplit(url).query))["X-Amz-SignedHeaders"].split(";")
    headers = {"x-amz-meta-a": "b"} if "x-amz-meta-a" in signed else {}
    assert Answer(url, "PUT", b"x", headers).status == 200
    assert s3.head_object(Bucket=BUCKET, Key="made")["Metadata"] == {"a": "b"}


def boto(inner: Any, held: Credentials) -> Any:
    """A client as boto3 makes it by itself, which signs URLs by Version 2 in us-east-1."""
    return inner._session.client(
        "s3",
        region_name=REGION,
        endpoint_url=inner.url,
        aws_access_key_id=held.access_key,
        aws_secret_access_key=held.secret_key,
        aws_session_token=held.token,
    )


GIVEN = {"Bucket": BUCKET, "Key": "a b/c:d"}


@pytest.mark.parametrize("of_session", [False, True])
def test_a_url_signed_by_version_2_works(inner: Any, of_session: bool) -> None:
    client = inner.client("producer", "s3")
    if of_session:
        client = inner.session("producer", "s3", json.dumps(EVERYTHING))
    s3 = boto(inner, credentials(client))
    url = s3.generate_presigned_url("get_object", Params={**GIVEN, "ResponseContentType": "text/plain"})
    assert "AWSAccessKeyId=" in url
    answer = Answer(url)
    assert (answer.body, answer.headers["Content-Type"]) == (b"0123456789", "text/plain")
    given = {"Bucket": BUCKET, "Key": "old", "Metadata": {"a": "b"}, "ContentType": "text/csv"}
    written = Answer(
        s3.generate_presigned_url("put_object", Params=given), "PUT", b"x", {"Content-Type": "text/csv"}
    )
    assert written.status == 200
    head = s3.head_object(Bucket=BUCKET, Key="old")
    assert (head["Metadata"], head["ContentType"]) == ({"a": "b"}, "text/csv")


MISSING = "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters"
OLD: dict[str, tuple[str, str | None, int, str, str]] = {
    "without a signature": ("Signature", None, 403, "AccessDenied", MISSING),
    "without a key": ("AWSAccessKeyId", None, 403, "AccessDenied", MISSING),
    "without an end": ("Expires", None, 403, "AccessDenied", MISSING),
    "a key that is none": ("AWSAccessKeyId", "AKIANONE", 403, "InvalidAccessKeyId", ""),
    "another signature": ("Signature", "AAAA", 403, "SignatureDoesNotMatch", ""),
    "longer than it was signed for": ("Expires", "9999999999", 403, "SignatureDoesNotMatch", ""),
    "no end": ("Expires", "soon", 403, "AccessDenied", ""),
    "over": ("Expires", "1", 403, "AccessDenied", "Request has expired"),
    "a header more": ("x-amz-meta-a", "b", 403, "SignatureDoesNotMatch", ""),
    "a version more": ("versionId", "b", 403, "SignatureDoesNotMatch", ""),
}


@pytest.mark.parametrize("what", OLD)
def test_a_url_that_was_not_signed_so_by_version_2_is_refused(inner: Any, what: str) -> None:
    name, value, status, code, text = OLD[what]
    s3 = boto(inner, credentials(inner.client("producer", "s3")))
    url = s3.generate_presigned_url("get_object", Params=GIVEN)
    answer = Answer(changed(url, name, value))
    assert (answer.status, answer.code) == (status, code)
    assert not text or answer.error["Message"] == text
    assert Answer(url, "PUT", b"x").code == "SignatureDoesNotMatch"


def test_a_policy_may_forbid_version_2(inner: Any) -> None:
    condition = {"StringEquals": {"s3:signatureversion": "AWS"}}
    deny = {"Effect": "Deny", "Action": "s3:*", "Resource": "*", "Condition": condition}
    listed = [*EVERYTHING["Statement"], deny]
    session = inner.session("producer", "s3", json.dumps({"Version": "2012-10-17", "Statement": listed}))
    old = boto(inner, credentials(session)).generate_presigned_url("get_object", Params=GIVEN)
    assert Answer(old).code == "AccessDenied"
    assert Answer(presign(session, place(inner))).status == 200


def test_headers_that_the_url_has_are_those_of_the_request(inner: Any) -> None:
    url = f"{place(inner, 'hoisted')}?x-amz-meta-a=b&x-amz-server-side-encryption=AES256"
    s3 = inner.client("producer", "s3")
    assert Answer(presign(s3, url, "PUT"), "PUT", b"x").status == 200
    assert s3.head_object(Bucket=BUCKET, Key="hoisted")["Metadata"] == {"a": "b"}


def test_a_session_signs_with_its_token_and_for_as_long_as_it_lasts(inner: Any, moved: Any) -> None:
    url = presign(inner.session("producer", "s3", json.dumps(EVERYTHING)), place(inner), seconds=604800)
    assert Answer(url).body == b"0123456789"
    assert Answer(changed(url, "X-Amz-Security-Token", "another")).code == "InvalidToken"
    assert Answer(changed(url, "X-Amz-Security-Token", None)).code == "InvalidAccessKeyId"
    moved(timedelta(hours=13))
    assert Answer(url).code == "ExpiredToken"


def changed(url: str, name: str, value: str | None) -> str:
    parts = urlsplit(url)
    query = {**dict(parse_qsl(parts.query)), name: value}
    return parts._replace(query=urlencode({n: v for n, v in query.items() if v is not None})).geturl()


NEEDS = (
    "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, "
    "X-Amz-SignedHeaders, and X-Amz-Expires parameters."
)
WEEK = "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds"
QUERY = "AuthorizationQueryParametersError"
REFUSED: dict[str, tuple[str, str | None, int, str, str]] = {
    **{
        f"without {name}": (f"X-Amz-{name}", None, 400, QUERY, NEEDS)
        for name in ("Algorithm", "Credential", "Signature", "Date", "SignedHeaders", "Expires")
    },
    "more than a week": ("X-Amz-Expires", "604801", 400, QUERY, WEEK),
    "less than nothing": ("X-Amz-Expires", "-1", 400, QUERY, "X-Amz-Expires must be non-negative"),
    "no number": ("X-Amz-Expires", "soon", 400, QUERY, "X-Amz-Expires should be a number"),
    "another algorithm": ("X-Amz-Algorithm", "AWS4", 400, QUERY, ""),
    "a credential that is none": ("X-Amz-Credential", "AKIA", 400, QUERY, ""),
    "a key that is none": (
        "X-Amz-Credential", "AKIANONE/20260101/us-east-1/s3/aws4_request", 403, "InvalidAccessKeyId",
        "The AWS Access Key Id you provided does not exist in our records.",
    ),
    "a date that is none": ("X-Amz-Date", "today", 400, QUERY, ""),
    "longer than it was signed for": ("X-Amz-Expires", "61", 403, "SignatureDoesNotMatch", ""),
    "another signature": ("X-Amz-Signature", "0" * 64, 403, "SignatureDoesNotMatch", ""),
    "a parameter more": ("response-content-type", "text/html", 403, "SignatureDoesNotMatch", ""),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_a_url_that_was_not_signed_so_is_refused(inner: Any, what: str) -> None:
    name, value, status, code, text = REFUSED[what]
    answer = Answer(changed(presign(inner.client("producer", "s3"), place(inner)), name, value))
    assert (answer.status, answer.code) == (status, code)
    assert not text or answer.error["Message"] == text
    assert answer.error["RequestId"] == answer.headers["x-amz-request-id"]
    assert answer.error["HostId"] == answer.headers["x-amz-id-2"]


def test_a_signed_url_is_good_for_its_method_and_object_alone(inner: Any) -> None:
    url = presign(inner.client("producer", "s3"), place(inner))
    assert Answer(url, "PUT", b"x").code == "SignatureDoesNotMatch"
    assert Answer(url, "DELETE").code == "SignatureDoesNotMatch"
    assert Answer(url.replace("/a%20b/", "/a/")).code == "SignatureDoesNotMatch"
    assert (
        Answer(url, headers={"x-amz-expected-bucket-owner": "1"}).error["HeadersNotSigned"]
        == "x-amz-expected-bucket-owner"
    )
    both = Answer(url, headers={"Authorization": "AWS4-HMAC-SHA256 Credential=a"})
    assert (both.status, both.code, both.error["ArgumentName"]) == (400, "InvalidArgument", "Authorization")


def test_a_signed_url_ends_and_does_not_begin_before_its_time(inner: Any, moved: Any) -> None:
    url = presign(inner.client("producer", "s3"), place(inner))
    moved(timedelta(seconds=30))
    assert Answer(url).status == 200
    moved(timedelta(seconds=90))
    late = Answer(url)
    assert (late.status, late.code, late.error["Message"]) == (403, "AccessDenied", "Request has expired")
    assert late.error["X-Amz-Expires"] == "60"
    assert late.error["Expires"] < late.error["ServerTime"]
    moved(timedelta(hours=-1))
    early = Answer(url)
    assert (early.code, early.error["Message"]) == ("AccessDenied", "Request is not yet valid")


def test_the_error_of_a_signature_shows_what_was_to_be_signed_but_no_token(inner: Any) -> None:
    policy = json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    )
    session = inner.session("producer", "s3", policy)
    answer = Answer(changed(presign(session, place(inner)), "X-Amz-Signature", "0" * 64))
    said = answer.error
    assert said["AWSAccessKeyId"] == credentials(session).access_key
    assert said["SignatureProvided"] == "0" * 64
    assert said["StringToSign"].startswith("AWS4-HMAC-SHA256\n")
    assert said["CanonicalRequest"].startswith("GET\n/presigned/a%20b/c%3Ad\n")
    assert bytes.fromhex(said["StringToSignBytes"]).decode() == said["StringToSign"]
    held = credentials(session)
    old = boto(inner, held).generate_presigned_url("get_object", Params=GIVEN)
    older = Answer(changed(old, "Signature", "AAAA"))
    assert "x-amz-security-token:" in older.error["StringToSign"]
    for written in (str(held.token), quote(str(held.token), safe="-_.~")):
        assert written not in answer.body.decode() + older.body.decode()


CONDITIONS: dict[str, tuple[dict[str, Any], bool]] = {
    "not in the URL": ({"StringNotEquals": {"s3:authType": "REST-QUERY-STRING"}}, True),
    "in a header alone": ({"StringEquals": {"s3:authType": "REST-QUERY-STRING"}}, False),
    "within a minute": ({"NumericGreaterThan": {"s3:signatureAge": "60000"}}, True),
    "at once": ({"NumericGreaterThanEquals": {"s3:signatureAge": "0"}}, False),
}


@pytest.mark.parametrize("what", CONDITIONS)
def test_a_policy_sees_how_and_when_it_was_signed(inner: Any, what: str) -> None:
    """A Deny on the condition: who signs in a header passes all that ask for an age or a URL."""
    condition, passes = CONDITIONS[what]
    listed = [
        {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
        {"Effect": "Deny", "Action": "s3:*", "Resource": "*", "Condition": condition},
    ]
    session = inner.session("producer", "s3", json.dumps({"Version": "2012-10-17", "Statement": listed}))
    assert (Answer(presign(session, place(inner))).status == 200) is passes


def test_an_old_url_is_older_to_a_policy(inner: Any, moved: Any) -> None:
    condition = {"NumericGreaterThan": {"s3:signatureAge": "600000"}}
    listed = [
        {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
        {"Effect": "Deny", "Action": "s3:*", "Resource": "*", "Condition": condition},
    ]
    session = inner.session("producer", "s3", json.dumps({"Version": "2012-10-17", "Statement": listed}))
    url = presign(session, place(inner), seconds=3600)
    assert Answer(url).status == 200
    moved(timedelta(minutes=11))
    refused = Answer(url)
    assert (refused.status, refused.code) == (403, "AccessDenied")
    assert "s3:GetObject" in refused.error["Message"]


def test_a_url_for_who_it_is_says_so(inner: Any) -> None:
    sts = inner.client("producer", "sts")
    url = presign(sts, f"{inner.url}/?Action=GetCallerIdentity&Version=2011-06-15", kind=SigV4QueryAuth)
    assert b"arn:aws:iam::111111111111:user/administrator" in Answer(url).body
    assert Answer(changed(url, "X-Amz-Signature", "0" * 64)).status == 403


@pytest.mark.parametrize("host", ["localhost", "s3.us-east-1.amazonaws.com", "s3.amazonaws.com"])
def test_a_bucket_may_stand_in_front_of_the_host(inner: Any, host: str) -> None:
    s3 = inner.client("producer", "s3")
    port = urlsplit(inner.url).port
    named = f"{BUCKET}.{host}:{port}"
    url = presign(s3, f"http://{named}/a%20b/c%3Ad")
    direct = url.replace(f"http://{named}", inner.url)
    assert Answer(direct, host=named).body == b"0123456789"
    assert Answer(direct).code == "SignatureDoesNotMatch"
    listing = presign(s3, f"http://{named}/?list-type=2&prefix=a%20b%2F")
    assert b"<Key>a b/c:d</Key>" in Answer(listing.replace(f"http://{named}", inner.url), host=named).body
    missing = presign(s3, f"http://none.{host}:{port}/a")
    assert (
        Answer(missing.replace(f"http://none.{host}:{port}", inner.url), host=f"none.{host}:{port}").code
        == "NoSuchBucket"
    )


# What a client sends, and what it signs; S3 decodes the one before it compares.
WRITTEN: dict[str, tuple[str, str, int]] = {
    "as it is signed": ("list-type=2&prefix=a%20b%2Fc%3Ad", "list-type=2&prefix=a%20b%2Fc%3Ad", 200),
    "less encoded": ("list-type=2&prefix=a%20b/c:d", "list-type=2&prefix=a%20b%2Fc%3Ad", 200),
    "a blank as a plus": ("list-type=2&prefix=a+b/c:d", "list-type=2&prefix=a%20b%2Fc%3Ad", 200),
    "more encoded": ("list-type=2&prefix=%61%20b%2fc%3ad", "list-type=2&prefix=a%20b%2Fc%3Ad", 200),
    "a tilde": ("list-type=2&prefix=~a%7Eb", "list-type=2&prefix=~a~b", 200),
    "an equals sign": ("list-type=2&prefix=a=b", "list-type=2&prefix=a%3Db", 200),
    "another order": ("prefix=a&list-type=2", "list-type=2&prefix=a", 200),
    "signs of all kinds": (
        "list-type=2&prefix=!'()*,;@$",
        "list-type=2&prefix=%21%27%28%29%2A%2C%3B%40%24",
        200,
    ),
    "no value": ("list-type=2&prefix", "list-type=2&prefix=", 200),
    "another value": ("list-type=2&prefix=a/b", "list-type=2&prefix=a%2Fc", 403),
    "a parameter more": ("list-type=2&prefix=a&delimiter=/", "list-type=2&prefix=a", 403),
    "a plus for itself": ("list-type=2&prefix=a+b", "list-type=2&prefix=a%2Bb", 403),
}


@pytest.mark.parametrize("what", WRITTEN)
def test_a_query_may_be_written_in_any_way_that_says_what_was_signed(inner: Any, what: str) -> None:
    sent, signed, status = WRITTEN[what]
    request = AWSRequest(method="GET", url=f"{inner.url}/{BUCKET}?{signed}")
    request.headers["X-Amz-Content-SHA256"] = hashlib.sha256(b"").hexdigest()
    S3SigV4Auth(credentials(inner.client("producer", "s3")), "s3", REGION).add_auth(request)
    answer = Answer(f"{inner.url}/{BUCKET}?{sent}", headers=dict(request.headers))
    assert answer.status == status
    assert status != 403 or answer.code == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    ("sent", "status"), [("a%20b/c:d", 200), ("%61%20b/c%3ad", 200), ("a%20b/c:e", 403), ("a+b/c:d", 403)]
)
def test_a_path_may_be_written_in_any_way_too(inner: Any, sent: str, status: int) -> None:
    """In a path a plus is a plus."""
    request = AWSRequest(method="GET", url=place(inner))
    request.headers["X-Amz-Content-SHA256"] = hashlib.sha256(b"").hexdigest()
    S3SigV4Auth(credentials(inner.client("producer", "s3")), "s3", REGION).add_auth(request)
    answer = Answer(place(inner, sent), headers=dict(request.headers))
    assert answer.status == status
    assert status != 200 or answer.body == b"0123456789"


@pytest.mark.parametrize(
    ("digest", "code"),
    [
        (hashlib.sha256(b"signed").hexdigest(), ""),
        ("UNSIGNED-PAYLOAD", ""),
        (hashlib.sha256(b"another").hexdigest(), "XAmzContentSHA256Mismatch"),
    ],
)
def test_a_url_may_sign_what_is_sent(inner: Any, digest: str, code: str) -> None:
    """The digest stands in the URL and is signed as the payload, where there is one."""
    client = inner.client("producer", "s3")

    class WithDigest(S3SigV4QueryAuth):
        def payload(self, request: Any) -> str:
            return digest

    request = AWSRequest(method="PUT", url=f"{place(inner, 'digest')}?X-Amz-Content-Sha256={digest}")
    WithDigest(credentials(client), "s3", REGION, expires=60).add_auth(request)
    answer = Answer(str(request.url), "PUT", b"signed")
    assert (answer.status, answer.code) == ((400, code) if code else (200, ""))


def test_a_request_that_is_signed_in_a_header_says_what_it_sends(inner: Any) -> None:
    request = AWSRequest(method="GET", url=f"{inner.url}/{BUCKET}")
    SigV4Auth(credentials(inner.client("producer", "s3")), "s3", REGION).add_auth(request)
    answer = Answer(f"{inner.url}/{BUCKET}", headers=dict(request.headers))
    assert (answer.status, answer.code) == (400, "InvalidRequest")
    assert answer.error["Message"] == "Missing required header for this request: x-amz-content-sha256"


def test_a_list_finds_what_a_less_encoded_prefix_names(inner: Any) -> None:
    request = AWSRequest(method="GET", url=f"{inner.url}/{BUCKET}?list-type=2&prefix=a%20b%2Fc%3A")
    request.headers["X-Amz-Content-SHA256"] = hashlib.sha256(b"").hexdigest()
    S3SigV4Auth(credentials(inner.client("producer", "s3")), "s3", REGION).add_auth(request)
    answer = Answer(f"{inner.url}/{BUCKET}?list-type=2&prefix=a+b/c:", headers=dict(request.headers))
    assert b"<Key>a b/c:d</Key>" in answer.body


def test_every_answer_has_an_id_of_its_own(inner: Any) -> None:
    s3 = inner.client("producer", "s3")
    seen = set()
    for answer in (
        s3.list_buckets(),
        s3.head_bucket(Bucket=BUCKET),
        s3.get_bucket_acl(Bucket=BUCKET),
        s3.get_object(Bucket=BUCKET, Key="a b/c:d"),
        s3.list_objects_v2(Bucket=BUCKET),
    ):
        said = answer["ResponseMetadata"]
        assert said["RequestId"] == said["HTTPHeaders"]["x-amz-request-id"]
        assert said["HostId"] == said["HTTPHeaders"]["x-amz-id-2"]
        seen.add(said["RequestId"])
    for refused in (Answer(f"{inner.url}/{BUCKET}"), Answer(presign(s3, place(inner, "none")))):
        assert refused.error["RequestId"] == refused.headers["x-amz-request-id"]
        seen.add(refused.error["RequestId"])
    assert len(seen) == 7
