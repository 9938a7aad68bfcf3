"""The door that every request to the sandbox passes: who is it, what does it ask, may it, and from whose account.

A WSGI application in front of moto's. It lets nothing through by default: a request that is unsigned, of an unknown
operation, or not allowed by the judge gets the error that AWS would send, and moto never sees it.

Not here: the table of checks (``operations``), the decision (``judge``), what moto lacks (``handlers``, ``s3``, ``sagemaker``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.datastructures import EnvironHeaders
from werkzeug.test import run_wsgi_app

from crossaccount_sandbox import operations, wire
from crossaccount_sandbox.attached import named_principals, statements
from crossaccount_sandbox.callers import Caller, authenticate
from crossaccount_sandbox.faults import Dropped, drop
from crossaccount_sandbox.judge import Decision, Policies, Request, Result, judge
from crossaccount_sandbox.principals import Document, boundary_documents, find_role, identity_documents, parse
from crossaccount_sandbox.wire import AwsError, Call, Response

if TYPE_CHECKING:
    from crossaccount_sandbox.faults import Faults
    from crossaccount_sandbox.operations import Check
    from crossaccount_sandbox.world import World, Writer

Handler = Callable[["World", Call, Caller], Response]
Log = Callable[[dict[str, Any]], None]
logger = logging.getLogger("sandbox")


class Guard:
    """The WSGI application.

    Args:
        world: accounts, keys, attached policies, clock.
        handlers: operations that the sandbox answers itself, or around moto, by (service, operation).
        faults: what befalls calls on the way.
        log: takes one entry for each request, just before its answer is sent: time, account and caller (null for who
            was not authenticated), service, operation, the resource of its first check, status (null when the connection
            was dropped), AWS's error code.
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
        self._moto = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer one request."""
        entry: dict[str, Any] = dict.fromkeys(
            ("time", "account", "caller", "service", "operation", "resource")
        )
        try:
            response = self.answer(environ, entry)
        except Dropped:
            self._note(entry, None, None)
            drop(environ)
            start_response("500 Dropped", [("Content-Length", "0")])
            return [b""]
        self._note(entry, response.status, wire.error_code(response))
        headers = [(name, value) for name, value in response.headers if name.lower() != "content-length"]
        # A HEAD answer's length is the object's, not that of its (empty) body.
        length = next((v for n, v in response.headers if n.lower() == "content-length"), None)
        if environ["REQUEST_METHOD"] != "HEAD" or length is None:
            length = str(len(response.body))
        start_response(
            f"{response.status} {'OK' if response.status < 300 else 'Refused'}",
            [*headers, ("Content-Length", length)],
        )
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
        scope = wire.read_scope(environ)
        service = scope.service if scope else "s3"
        entry["service"] = scope.service if scope else None
        try:
            body = wire.read_body(environ)
            headers: Any = EnvironHeaders(environ)
            caller = authenticate(self._world.keys, scope, environ, headers, body, self._world.clock())
            assert scope is not None  # authenticate refuses unsigned requests
            entry.update(account=caller.account, caller=caller.arn)
            known = wire.service_of(scope, environ)
            if known is None:
                raise AwsError("AccessDeniedException", f"The sandbox has no service {scope.service!r}", 403)
            service = entry["service"] = known
            operation, params = wire.read_operation(service, environ, body)
            call = Call(
                service, operation, params, scope.region, environ, body, headers, self._forward(environ, body)
            )
            entry["operation"] = operation
            return self._faults.around(call, caller, lambda: self._serve(call, caller, entry))
        except Dropped:
            raise
        except NotImplementedError as error:
            return wire.error_response(
                service, AwsError("NotImplemented", f"moto has no such operation: {error}", 501)
            )
        except AwsError as error:
            logger.info("%s %s: %s", service, environ.get("PATH_INFO"), error)
            return wire.error_response(service, error, environ["REQUEST_METHOD"])
        except (
            Exception
        ):  # a fault of the sandbox's own is said as AWS says one of its own, and lets nothing pass
            logger.exception("%s %s", service, environ.get("PATH_INFO"))
            fault = AwsError("InternalFailure", "The sandbox failed; its log says why.", 500)
            return wire.error_response(service, fault, environ["REQUEST_METHOD"])

    def _serve(self, call: Call, caller: Caller, entry: dict[str, Any]) -> Response:
        try:
            return self._judged(call, caller, entry)
        except AwsError as error:
            if call.operation == "HeadBucket" and (
                region := operations.region_of_bucket(call.params["Bucket"])
            ):
                error.headers["x-amz-bucket-region"] = region  # S3 tells it even whom it refuses
            raise

    def _judged(self, call: Call, caller: Caller, entry: dict[str, Any]) -> Response:
        wire.check_shape(call)
        if call.service == "s3":
            _check_region(call)
        expected = call.headers.get("x-amz-expected-bucket-owner")
        checks = operations.checks(call, caller.account)
        entry["resource"] = checks[0].resource if checks else None
        if (
            expected
            and call.params.get("Bucket")
            and operations.owner_of_bucket(call.params["Bucket"]) not in (None, expected)
        ):
            raise AwsError("AccessDenied", "Access Denied", 403)
        for check in checks:
            authorize(self._world, caller, check, call)
        handler = self._handlers.get((call.service, call.operation))
        if handler is not None:
            return handler(self._world, call, caller)
        return call.forward(checks[0].owner if checks else caller.account)

    def _forward(self, environ: dict[str, Any], body: bytes) -> Callable[[str | None], Response]:
        def forward(account: str | None) -> Response:
            fresh = wire.with_body(environ, body)
            # Moto would believe this header of anyone; only the guard may set it.
            fresh["HTTP_X_MOTO_ACCOUNT_ID"] = account
            chunks, status, headers = run_wsgi_app(self._moto, fresh, buffered=True)
            return Response(int(status.split()[0]), b"".join(chunks), tuple(headers.items()))

        return forward


def _check_region(call: Call) -> None:
    """Send a client to the region of its bucket.

    GetBucketLocation is answered in us-east-1 for the buckets of every region, CreateBucket by whether the name is free.

    Source: "Making requests to a bucket: request redirection" in the S3 user guide, "GetBucketLocation" and "HeadBucket"
    of its API.

    Raises:
        AwsError: ``PermanentRedirect`` (301), with the region in the header ``x-amz-bucket-region``.
    """
    bucket = call.params.get("Bucket", "")
    region = operations.region_of_bucket(bucket)
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


def decide(world: World, caller: Caller | str, check: Check, call: Call) -> Decision:
    """The judge's answer to one check.

    Args:
        world: where policies are found.
        caller: a caller, or the name of a service that acts for itself (``sagemaker.amazonaws.com``).
        check: the question.
        call: the request, for its region.
    """
    document = world.policy(check.policy) if check.policy else None
    if check.role is not None:
        role = find_role(check.role)
        document = parse(role.assume_role_policy_document) if role is not None else None
    context = {**world.context(call.region, check.owner), **check.context}
    if check.action.startswith("kms:") and isinstance(caller, Caller):
        context["kms:CallerAccount"] = caller.account
    if isinstance(caller, str):
        return judge(
            Request(caller, check.action, check.resource, check.owner, context), Policies(resource=document)
        )
    owner = check.owner
    if (
        check.policy
        and check.policy[0] == "bucket"
        and caller.account != check.owner
        and world.cuts_cross_account(check.resource)
    ):
        document = None
    elif (writer := _writer(world, check)) is not None:
        # Only its owner's account and whom it gave access decide; what the bucket's policy denies stays denied.
        owner, document = writer.account, _of_writer(document, writer, check)
    holder = caller.role_arn or caller.arn
    context |= world.caller_context(caller)
    policies = Policies(
        identity=identity_documents(holder),
        resource=document,
        boundaries=boundary_documents(holder),
        session=caller.session_policy,
    )
    decision = judge(Request(caller.arn, check.action, check.resource, owner, context), policies)
    for other in check.either:
        if decision.result is Result.ALLOWED:
            break
        again = judge(Request(caller.arn, check.action, other, check.owner, context), policies)
        decision = again if again.result is not Result.IMPLICITLY_DENIED else decision
    return decision


_ON_AN_OBJECT = frozenset(
    f"s3:{name}"
    for name in (
        "GetObject",
        "GetObjectVersion",
        "GetObjectTagging",
        "PutObjectTagging",
        "DeleteObjectTagging",
    )
)


def _writer(world: World, check: Check) -> Writer | None:
    """The account that owns the object which a check is about, when it is not its bucket's owner.

    A bucket's owner may still delete such an object, or write another in its place.
    """
    if check.action not in _ON_AN_OBJECT:
        return None
    return world.writer(check.resource, check.context.get("s3:VersionId"))


def _of_writer(document: Document | None, writer: Writer, check: Check) -> Document:
    """What stands for the policy of an object that another account owns.

    Source: "How Amazon S3 authorizes a request for an object operation" in the S3 user guide.
    """
    kept = [one for one in statements(document or {}) if one.get("Effect") == "Deny"]
    shared = {"Effect": "Allow", "Principal": {"AWS": check.owner}, "Action": check.action, "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [*kept, *([shared] if writer.shared else [])]}


def authorize(world: World, caller: Caller, check: Check, call: Call) -> None:
    """Let the caller pass, or refuse it in AWS's words.

    Raises:
        AwsError: an access-denied error naming caller, action and resource, and where AWS says it, the kind of policy.
    """
    decision = decide(world, caller, check, call)
    if decision.result is not Result.ALLOWED:
        raise denied(world, call, caller, check, decision)


_KINDS = {
    "identity": "identity-based",
    "resource": "resource-based",
    "session": "session",
    "boundary": "permissions boundary",
    "scp": "service control",
    "rcp": "resource control",
}
_XML = ("s3", "s3control", "sts", "iam", "cloudformation")


def denied(world: World, call: Call, caller: Caller, check: Check, decision: Decision) -> AwsError:
    """AWS's access-denied error for a decision, in the service's own words.

    S3 gives its reason within an account or an organization only. Across accounts, a grant to a whole account is not
    credited: the error then names the resource's policy, even when the identity's policy is what lacks.

    Source: "Troubleshoot access denied error messages" in the IAM user guide, "Troubleshoot access denied (403
    Forbidden) errors in Amazon S3" in the S3 user guide; the second rule from public measurements.
    """
    foreign = caller.account != check.owner
    if call.service in ("s3", "s3control") and (
        (foreign and not world.same_organization(caller.account, check.owner)) or _writer(world, check)
    ):
        return AwsError("AccessDenied", "Access Denied", 403)
    kind = _KINDS.get(str(decision.policy_type), "identity-based")
    if decision.result is Result.EXPLICITLY_DENIED:
        because = f"with an explicit deny in a{'n' if kind.startswith('identity') else ''} {kind} policy"
    else:
        if foreign and kind == "identity-based" and not _named_directly(world, caller, check):
            kind = "resource-based"
        if check.role is not None and kind == "resource-based":
            kind = "role trust"
        because = f"because no {kind} policy allows the {check.action} action"
        if check.action.startswith("kms:") and kind == "resource-based":
            because = (
                "because the resource does not exist in this Region, no resource-based policies allow access, or a "
                "resource-based policy explicitly denies access"
            )
    text = f"User: {caller.arn} is not authorized to perform: {check.action} on resource: {check.resource} {because}"
    code = "AccessDenied" if call.service in _XML else "AccessDeniedException"
    return AwsError(code, text, 403 if call.service in _XML else 400)


def _named_directly(world: World, caller: Caller, check: Check) -> bool:
    """True when the resource's policy names the caller itself, rather than its whole account."""
    document = world.policy(check.policy) if check.policy else None
    if check.role is not None:
        role = find_role(check.role)
        document = parse(role.assume_role_policy_document) if role is not None else None
    named = [name for statement in statements(document or {}) for name in named_principals(statement)]
    return any(name in ("*", caller.arn, caller.role_arn) for name in named)
