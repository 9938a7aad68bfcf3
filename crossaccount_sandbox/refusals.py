"""What a service says to whom it does not know, and of what it cannot read, in its own words: codes, texts, statuses.

Not here: who is known (``callers``), what is allowed (``checks.decisions``), the form of an answer (``answers``).

Source: "Common errors" of each service's API reference, "Error responses" of Amazon S3's and EC2's; texts and statuses as
users of AWS's services report them; for a query without an operation a public test that runs against AWS's STS.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from crossaccount_sandbox.protocols import EC2, JSON, REST_JSON, REST_XML, Spoken
from crossaccount_sandbox.wire import AwsError

_Said = tuple[str, str, int]  # code, text, status
_INVALID = "The security token included in the request is invalid."
_EXPIRED = "The security token included in the request is expired"
_MISMATCH = "The request signature we calculated does not match the signature you provided. Check your "
_MISMATCH_S3 = f"{_MISMATCH}key and signing method."
_MISMATCH_ELSEWHERE = (
    f"{_MISMATCH}AWS Secret Access Key and signing method. Consult the service documentation for details."
)
_EC2_INVALID = ("AuthFailure", "AWS was not able to validate the provided access credentials", 401)
_S3 = "s3"
_QUERY = "query"
_UNSIGNED: Mapping[str, _Said] = {
    _S3: ("AccessDenied", "Access Denied", 403),
    _QUERY: ("MissingAuthenticationToken", "Request is missing Authentication Token", 403),
    EC2: ("MissingParameter", "The request must contain the parameter AWSAccessKeyId", 400),
    JSON: ("MissingAuthenticationTokenException", "Missing Authentication Token", 400),
    REST_JSON: ("MissingAuthenticationTokenException", "Missing Authentication Token", 403),
}
_UNKNOWN_KEY: Mapping[str, _Said] = {
    _S3: ("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.", 403),
    _QUERY: ("InvalidClientTokenId", _INVALID, 403),
    EC2: _EC2_INVALID,
    JSON: ("UnrecognizedClientException", _INVALID, 400),
    REST_JSON: ("UnrecognizedClientException", _INVALID, 403),
}
_WRONG_TOKEN: Mapping[str, _Said] = {
    **_UNKNOWN_KEY,
    _S3: ("InvalidToken", "The provided token is malformed or otherwise invalid.", 400),
}
_ENDED: Mapping[str, _Said] = {
    _S3: ("ExpiredToken", "The provided token has expired.", 400),
    _QUERY: ("ExpiredToken", _EXPIRED, 403),
    EC2: ("RequestExpired", "Request has expired.", 400),
    JSON: ("ExpiredTokenException", _EXPIRED, 400),
    REST_JSON: ("ExpiredTokenException", _EXPIRED, 403),
}
_UNSIGNED_SO: Mapping[str, _Said] = {
    _S3: ("SignatureDoesNotMatch", _MISMATCH_S3, 403),
    _QUERY: ("SignatureDoesNotMatch", _MISMATCH_ELSEWHERE, 403),
    EC2: _EC2_INVALID,
    JSON: ("InvalidSignatureException", _MISMATCH_ELSEWHERE, 400),
    REST_JSON: ("InvalidSignatureException", _MISMATCH_ELSEWHERE, 403),
}
_ILL_SIGNED: Mapping[str, _Said] = {
    _S3: ("AuthorizationHeaderMalformed", "The authorization header you provided is invalid.", 400),
    _QUERY: ("IncompleteSignature", "The request signature does not conform to AWS standards.", 400),
    EC2: _EC2_INVALID,
    JSON: ("IncompleteSignatureException", "The request signature does not conform to AWS standards.", 400),
    REST_JSON: (
        "IncompleteSignatureException",
        "The request signature does not conform to AWS standards.",
        403,
    ),
}
_PARAMETERS = (
    "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, "
    "X-Amz-SignedHeaders, and X-Amz-Expires parameters."
)
_OTHER_MECHANISM = (
    "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
)


def _kin(spoken: Spoken) -> str:
    """The services that say the same: S3's, those of the query protocol's codes, and the others by their protocols."""
    if spoken.service.startswith("s3"):
        return _S3
    if spoken.in_query_codes or spoken.protocol == REST_XML:
        return _QUERY
    return spoken.protocol if spoken.protocol in (EC2, REST_JSON) else JSON


def unsigned(spoken: Spoken) -> AwsError:
    """AWS's error for a request that carries no signature."""
    return AwsError(*_UNSIGNED[_kin(spoken)])


def ill_signed(spoken: Spoken, header: str) -> AwsError:
    """AWS's error for an ``Authorization`` header, or without one a URL, that has no Signature Version 4.

    S3 names another mechanism as such.
    """
    if _kin(spoken) == _S3 and not header:
        return AwsError("AuthorizationQueryParametersError", _PARAMETERS)
    if _kin(spoken) == _S3 and not header.startswith("AWS4-HMAC-SHA256"):
        return AwsError("InvalidRequest", _OTHER_MECHANISM)
    return AwsError(*_ILL_SIGNED[_kin(spoken)])


def unknown_key(spoken: Spoken, access_key_id: str) -> AwsError:
    """AWS's error for an access key that nobody has; S3 names it."""
    kin = _kin(spoken)
    return AwsError(*_UNKNOWN_KEY[kin], {"AWSAccessKeyId": access_key_id} if kin == _S3 else None)


def wrong_token(spoken: Spoken) -> AwsError:
    """AWS's error for a session's key without that session's token, and for a user's with one."""
    return AwsError(*_WRONG_TOKEN[_kin(spoken)])


def expired(spoken: Spoken) -> AwsError:
    """AWS's error for a session that has ended."""
    return AwsError(*_ENDED[_kin(spoken)])


def mismatch(spoken: Spoken) -> AwsError:
    """AWS's error for a request that its key did not sign as it stands."""
    return AwsError(*_UNSIGNED_SO[_kin(spoken)])


def wrong_day(spoken: Spoken, day: str, stamp: str, *, in_url: bool) -> AwsError:
    """AWS's error for a signature that is made for another day than the request has.

    Args:
        spoken: who says it.
        day: of the signature's scope.
        stamp: the time of the request.
        in_url: whether the signature is in a URL.
    """
    kin = _kin(spoken)
    if kin == _S3:
        text = "Invalid credential date. Date is not the same as X-Amz-Date."
        if in_url:
            return AwsError("AuthorizationQueryParametersError", text)
        text = f"The authorization header is malformed; {text}"
        return AwsError("AuthorizationHeaderMalformed", text)
    if kin == EC2:
        return mismatch(spoken)
    code, _, status = _UNSIGNED_SO[kin]
    text = (
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
        f"'{day}' != '{stamp[:8]}', from '{stamp}'."
    )
    return AwsError(code, text, status)


def unsigned_host(spoken: Spoken) -> AwsError:
    """The error of AWS's services but S3 for a signature that does not cover the host."""
    if _kin(spoken) == EC2:
        return mismatch(spoken)
    code, _, status = _UNSIGNED_SO[_kin(spoken)]
    text = "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."
    return AwsError(code, text, status)


def unknown_payload(declared: str) -> AwsError:
    """S3's error for a digest of a payload that is none, and no name of a way to send one."""
    ways = "UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, "
    ways += "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD, "
    ways += "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER"
    extra = {"ArgumentName": "x-amz-content-sha256", "ArgumentValue": declared}
    text = f"x-amz-content-sha256 must be {ways} or a valid sha256 value."
    return AwsError("InvalidArgument", text, 400, extra)


def unsigned_headers(names: Iterable[str]) -> AwsError:
    """S3's error for headers that would have to be signed."""
    text = "There were headers present in the request which were not signed"
    return AwsError("AccessDenied", text, 403, {"HeadersNotSigned": ", ".join(names)})


def no_payload() -> AwsError:
    """S3's error for a request that does not say what it sends."""
    return AwsError("InvalidRequest", "Missing required header for this request: x-amz-content-sha256")


def wrong_payload(spoken: Spoken, declared: str, computed: str) -> AwsError:
    """AWS's error for a body whose digest is not the declared one; only S3 tells it from a wrong signature."""
    if _kin(spoken) != _S3:
        return mismatch(spoken)
    text = "The provided 'x-amz-content-sha256' header does not match what was computed."
    shown = {"ClientComputedContentSHA256": declared, "S3ComputedContentSHA256": computed}
    return AwsError("XAmzContentSHA256Mismatch", text, 400, shown)


def skewed(spoken: Spoken, signed: datetime, now: datetime, allowed: timedelta) -> AwsError:
    """AWS's error for a request that was signed too long ago, or in the future."""
    kin = _kin(spoken)
    if kin == _S3:
        text = "The difference between the request time and the current time is too large."
        return AwsError("RequestTimeTooSkewed", text, 403)
    if kin == EC2:
        return AwsError("RequestExpired", "Request has expired.", 400)
    code, _, status = _UNSIGNED_SO[kin]
    minutes = int(allowed.total_seconds() // 60)
    if signed < now:
        text = (
            f"{_stamp(signed)} is now earlier than {_stamp(now - allowed)} ({_stamp(now)} - {minutes} min.)"
        )
        return AwsError(code, f"Signature expired: {text}", status)
    text = f"{_stamp(signed)} is still later than {_stamp(now + allowed)} ({_stamp(now)} + {minutes} min.)"
    return AwsError(code, f"Signature not yet current: {text}", status)


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y%m%dT%H%M%SZ")


_SHOWN = "%Y-%m-%dT%H:%M:%SZ"


def overdue(spoken: Spoken, signed: datetime, seconds: int | None, now: datetime) -> AwsError:
    """AWS's error for a presigned URL whose time is over; ``seconds`` is None for Version 2, which says when it ends."""
    lasts = timedelta(seconds=seconds or 0)
    if _kin(spoken) != _S3:
        return skewed(spoken, signed, now, lasts)
    given: dict[str, object] = {} if seconds is None else {"X-Amz-Expires": seconds}
    shown = {"Expires": (signed + lasts).strftime(_SHOWN), "ServerTime": now.strftime(_SHOWN)}
    return AwsError("AccessDenied", "Request has expired", 403, {**given, **shown})


def too_early(signed: datetime, seconds: int, now: datetime) -> AwsError:
    """S3's error for a presigned URL whose time has not come."""
    ends = signed + timedelta(seconds=seconds)
    shown = {"Expires": ends.strftime(_SHOWN), "ServerTime": now.strftime(_SHOWN)}
    return AwsError("AccessDenied", "Request is not yet valid", 403, {"X-Amz-Date": _stamp(signed), **shown})


_NOT_ALLOWED: Mapping[str, tuple[str, int]] = {
    _S3: ("AccessDenied", 403),
    _QUERY: ("AccessDenied", 403),
    EC2: ("UnauthorizedOperation", 403),
    JSON: ("AccessDeniedException", 400),
    REST_JSON: ("AccessDeniedException", 403),
}


def denied(spoken: Spoken, text: str) -> AwsError:
    """AWS's error for what the caller may not do, with a text of one's own."""
    code, status = ("AuthorizationError", 403) if spoken.service == "sns" else _NOT_ALLOWED[_kin(spoken)]
    return AwsError(code, text, status)


def unknown_operation(spoken: Spoken, name: str, version: str | None = None) -> AwsError:
    """AWS's error for an operation that the service does not have; ``version`` is the query's."""
    match _kin(spoken):
        case "s3":
            return AwsError(
                "MethodNotAllowed", "The specified method is not allowed against this resource.", 405
            )
        case "query" if spoken.protocol == REST_XML:
            return AwsError("InvalidAction", f"{spoken.service} has no operation {name!r}", 404)
        case "query":
            shown = "NO_VERSION_SPECIFIED" if version is None else version
            return AwsError("InvalidAction", f"Could not find operation {name} for version {shown}", 400)
        case "ec2":
            return AwsError("InvalidAction", f"The action {name} is not valid for this web service.", 400)
        case kin:
            text = f"{spoken.service} has no operation {name!r}"
            return AwsError("UnknownOperationException", text, 404 if kin == REST_JSON else 400)


def unreadable(spoken: Spoken, name: str, why: object) -> AwsError:
    """AWS's error for parameters that cannot be read."""
    code = "MalformedInput" if _kin(spoken) == _QUERY else "SerializationException"
    return AwsError(code, f"The parameters of {name} cannot be read: {why}", 400)


_INTERNAL = {"s3": "InternalError", "ecr": "ServerException", "kms": "KMSInternalException"}


def failed(spoken: Spoken, text: str) -> AwsError:
    """AWS's error for a fault of its own."""
    code = "InternalError" if _kin(spoken) in (_S3, EC2) else _INTERNAL.get(spoken.service, "InternalFailure")
    return AwsError(code, text, 500)
