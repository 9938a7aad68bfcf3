"""The door that every request to the sandbox passes: who is it, what does it ask, may it, and from whose account.

A WSGI application in front of moto's. It lets nothing through by default: a request that is unsigned, of an unknown
operation, or not allowed by the judge gets the error that AWS would send, and moto never sees it.

Not here: what is checked and decided (``checks``), what moto lacks (``handlers``, ``sagemaker``).
"""

import hashlib
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from werkzeug.datastructures import EnvironHeaders
from werkzeug.test import run_wsgi_app

from crossaccount_sandbox import refusals, wire
from crossaccount_sandbox.answers import as_json, error_code_of, error_response, marked, new_ids, wants_json
from crossaccount_sandbox.callers import NOBODY, Caller, authenticate
from crossaccount_sandbox.calls import Call, Further, check_shape
from crossaccount_sandbox.checks.decisions import authorize
from crossaccount_sandbox.checks.operations import checks_of
from crossaccount_sandbox.emulation import SERVICE, Emulation
from crossaccount_sandbox.faults import Dropped, Faults, drop
from crossaccount_sandbox.handlers import s3_form
from crossaccount_sandbox.handlers.kms import prepare_keys
from crossaccount_sandbox.onward import read_answer, write_request
from crossaccount_sandbox.protocols import QUERY, REST_XML, SERVICES, Spoken, form_of, guessed, spoken_to
from crossaccount_sandbox.resources import region_of_bucket
from crossaccount_sandbox.signatures import as_in_headers, by_path, signature_version
from crossaccount_sandbox.wire import AwsError, Response
from crossaccount_sandbox.world import Handler, World

Log = Callable[[dict[str, Any]], None]
logger = logging.getLogger("sandbox")
_ENTRY = ("time", "account", "caller", "session", "service", "operation", "resource", "request_id")
_FOR_ANYONE = ("AssumeRoleWithWebIdentity",)  # a token of another provider stands for a signature
_LOCKS = 256  # of objects, which share them by their names
_AGENT = "cloudformation.amazonaws.com"  # the one service here that calls others for its callers
_HTTP = Spoken("s3", REST_XML)  # of a request of which nothing could be read


class Guard:
    """The WSGI application.

    Args:
        world: accounts, keys, attached policies, clock.
        handlers: operations that the sandbox answers itself, or around moto, by (service, operation).
        faults: what befalls calls on the way.
        log: takes one entry for each request, just before its answer is sent: time, account and caller (null for who
            was not authenticated), session (a digest that all requests of one access key have in common), service, operation, the resource of its first check, the request's id, status (null
            when the connection was dropped), AWS's error code.
    """

    def __init__(
        self,
        world: World,
        handlers: Mapping[tuple[str, str], Handler],
        faults: Faults,
        log: Log | None = None,
    ) -> None:
        self._world = world
        self._faults = faults
        self._handlers = handlers
        self._log = log
        self._moto = Emulation()
        self._objects = tuple(threading.RLock() for _ in range(_LOCKS))

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer one request."""
        entry: dict[str, Any] = dict.fromkeys(_ENTRY)
        try:
            response = self.answer(environ, entry)
        except Dropped:
            self._note(entry, None, None)
            drop(environ)
            start_response("500 Dropped", [("Content-Length", "0")])
            return [b""]
        self._note(entry, response.status, error_code_of(response))
        status = f"{response.status} {'OK' if response.status < 300 else 'Refused'}"
        headers = [(name, value) for name, value in response.headers if name.lower() != "content-length"]
        if response.parts is not None:  # without a length the server sends each part as a chunk
            start_response(status, headers)
            return response.parts
        # A HEAD answer's length is the object's, not that of its (empty) body.
        length = next((v for n, v in response.headers if n.lower() == "content-length"), None)
        if environ["REQUEST_METHOD"] != "HEAD" or length is None:
            length = str(len(response.body))
        start_response(status, [*headers, ("Content-Length", length)])
        return [response.body]

    def _note(self, entry: dict[str, Any], status: int | None, code: str | None) -> None:
        if self._log is not None:
            entry["time"] = self._world.clock().isoformat(timespec="milliseconds")
            self._log({**entry, "status": status, "code": code})

    def answer(self, environ: dict[str, Any], entry: dict[str, Any]) -> Response:
        """The answer to one request, or AWS's error in the service's own form.

        Raises:
            Dropped: when there is to be none.

        Args:
            environ: the request.
            entry: what becomes known of the request on the way is written into it.
        """
        spoken, ids = _HTTP, new_ids("s3")
        try:
            scope = wire.read_scope(environ)
            body = wire.read_body(environ)
            known = wire.service_of(scope, environ) if scope else None
            spoken = (
                guessed(environ, body) if scope is None else spoken_to(known or scope.service, environ, body)
            )
            ids = new_ids(spoken.service)
            entry["request_id"] = ids.request
            answered = self._answer(environ, body, spoken, scope, entry)
            if spoken.service == "s3":
                answered = s3_form.with_ids(answered, *ids)
            return marked(answered, spoken, ids)
        except Dropped:
            raise
        except NotImplementedError as error:
            refusal = AwsError("NotImplemented", f"moto has no such operation: {error}", 501)
        except wire.UnknownOperation as error:
            refusal = refusals.unknown_operation(spoken, error.name, error.version)
        except wire.Unreadable as error:
            refusal = refusals.unreadable(spoken, error.name, error.why)
        except AwsError as error:
            logger.info("%s %s: %s", spoken.service, environ.get("PATH_INFO"), error)
            refusal = error
        except Exception:  # a fault of the sandbox's own is said as AWS says one, and lets nothing pass
            logger.exception("%s %s", spoken.service, environ.get("PATH_INFO"))
            refusal = refusals.failed(spoken, "The sandbox failed; its log says why.")
        return marked(error_response(spoken, refusal, environ, ids), spoken, ids)

    def _answer(
        self,
        environ: dict[str, Any],
        body: bytes,
        spoken: Spoken,
        scope: wire.Scope | None,
        entry: dict[str, Any],
    ) -> Response:
        headers: Any = EnvironHeaders(environ)
        entry["service"] = spoken.service if scope else None
        if scope is None and spoken.service == "sts" and form_of(environ, body)["Action"] in _FOR_ANYONE:
            caller, region = NOBODY, "us-east-1"
            entry["service"] = spoken.service
        else:
            caller = authenticate(
                self._world.keys, spoken, scope, environ, headers, body, self._world.clock()
            )
            assert scope is not None  # authenticate refuses unsigned requests
            region = scope.region
            entry.update(account=caller.account, caller=caller.arn, session=_digest(scope.access_key_id))
        if spoken.service not in SERVICES:
            raise refusals.denied(spoken, f"The sandbox has no service {spoken.service!r}")
        if scope is not None and (spoken.service == "s3" or scope.expires is not None):
            environ = as_in_headers(scope, by_path(environ) if spoken.service == "s3" else environ)
            headers = EnvironHeaders(environ)
        operation, params = wire.read_operation(spoken, environ, body)
        forward, further = (
            self._forward(spoken.service, scope, environ, body),
            self._further(environ, region, caller),
        )
        call = Call(
            caller, spoken.service, operation, params, region, environ, body, headers, forward, further
        )
        entry["operation"] = operation
        response = self._faults.around(call, lambda: self._serve(call, entry))
        if spoken.protocol == QUERY and wants_json(environ) and response.body.startswith(b"<"):
            return as_json(response, spoken, operation, entry["request_id"])
        return response

    def _serve(self, call: Call, entry: dict[str, Any]) -> Response:
        try:
            answered = self._judged(call, entry)
            return s3_form.completed(call, answered) if call.service == "s3" else answered
        except AwsError as error:
            if call.service == "s3":
                s3_form.complete(call, error)
            if call.operation == "HeadBucket" and (region := region_of_bucket(call.params["Bucket"])):
                error.headers["x-amz-bucket-region"] = region  # S3 tells it even whom it refuses
            raise

    def _judged(self, call: Call, entry: dict[str, Any]) -> Response:
        _check_user_session(call)
        check_shape(call)
        if call.service == "s3":
            _check_region(call)
        prepare_keys(self._world, call)
        checks = checks_of(call)
        entry["resource"] = checks[0].resource if checks else None
        if call.service == "s3":
            s3_form.check_expected_owners(call)
        for check in checks:
            if not check.singly:
                authorize(self._world, check, call)
        if any(check.action.startswith("kms:") for check in checks):
            _check_version(call)
        handler = self._handlers.get((call.service, call.operation))
        with self._whole(call):
            if handler is not None:
                return handler(self._world, call)
            return call.forward(checks[0].owner if checks else call.account)

    def _whole(self, call: Call) -> AbstractContextManager[Any]:
        """Held while an object of S3 is written or read: nobody sees one half written, as the emulation would show it.

        Source: "Amazon S3 data consistency model" in the S3 user guide: updates to a single key are atomic.
        """
        if call.service != "s3" or not call.params.get("Key"):
            return nullcontext()
        place = hash((call.params.get("Bucket"), call.params["Key"]))
        return self._objects[place % len(self._objects)]

    def _forward(
        self, service: str, scope: wire.Scope | None, environ: dict[str, Any], body: bytes
    ) -> Callable[[str | None], Response]:
        def forward(account: str | None) -> Response:
            fresh = wire.with_body(environ, body)
            if scope is not None:
                fresh.setdefault("HTTP_AUTHORIZATION", wire.authorization(scope))
            # Moto would believe this header of anyone; only the guard may set it.
            fresh["HTTP_X_MOTO_ACCOUNT_ID"] = account
            fresh[SERVICE] = service
            chunks, status, headers = run_wsgi_app(self._moto, fresh, buffered=True)
            return Response(int(status.split()[0]), b"".join(chunks), tuple(headers.items()))

        return forward

    def _further(self, environ: dict[str, Any], region: str, asking: Caller) -> Further:
        def further(
            caller: Caller, service: str, operation: str, params: Mapping[str, Any]
        ) -> dict[str, Any]:
            written, body = write_request(service, operation, params, region, environ["HTTP_HOST"], _AGENT)
            headers: Any = EnvironHeaders(written)
            forward = self._forward(service, None, written, body)
            call = Call(
                *(caller, service, operation, dict(params), region, written, body, headers, forward),
                via=_AGENT if caller == asking else None,
            )
            return read_answer(call.spoken, operation, self._judged(call, {}))

        return further


def _digest(access_key_id: str) -> str:
    """What tells one key's requests from another's, and is no key."""
    return hashlib.sha256(access_key_id.encode()).hexdigest()[:12]


def _check_user_session(call: Call) -> None:
    """Refuse a session that a user has without MFA what IAM and STS refuse it.

    Source: "Compare AWS STS credentials" in the IAM user guide; the codes and the text as its users report them.
    """
    if not call.caller.by_token:
        return
    if call.service == "iam":
        raise refusals.wrong_token(call.spoken)
    taken = {"GetCallerIdentity", *_FOR_ANYONE} | (set() if call.caller.user_arn else {"AssumeRole"})
    if call.service == "sts" and call.operation not in taken:
        raise AwsError("AccessDenied", f"Cannot call {call.operation} with session credentials", 403)


def _check_version(call: Call) -> None:
    """Refuse S3's old signature for what a KMS key encrypts.

    Source: "Specifying the Signature Version in Request Authentication" in the S3 user guide.
    """
    if call.service == "s3" and signature_version(call.environ) == "AWS":
        text = "Requests specifying Server Side Encryption with AWS KMS managed keys require AWS Signature Version 4."
        raise AwsError("InvalidArgument", text)


def _check_region(call: Call) -> None:
    """Send a client to the region of its bucket.

    GetBucketLocation is answered in us-east-1 for the buckets of every region, CreateBucket by whether the name is free.

    Source: "Making requests to a bucket: request redirection" in the S3 user guide, "GetBucketLocation" and "HeadBucket"
    of its API.

    Raises:
        AwsError: ``PermanentRedirect`` (301), with the region in the header ``x-amz-bucket-region``.
    """
    bucket = call.params.get("Bucket", "")
    region = region_of_bucket(bucket)
    everywhere = call.operation == "CreateBucket" or (
        call.operation == "GetBucketLocation" and call.region == "us-east-1"
    )
    if region in (None, call.region) or everywhere:
        return
    text = (
        "The bucket you are attempting to access must be addressed using the specified endpoint. "
        "Please send all future requests to this endpoint."
    )
    extra = {"Endpoint": f"{bucket}.s3.{region}.amazonaws.com", "Bucket": bucket}
    raise AwsError("PermanentRedirect", text, 301, extra, {"x-amz-bucket-region": str(region)})
