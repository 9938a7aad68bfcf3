"""S3's bucket policies: what S3 takes for one, how it shows it, and whether it is public.

Not here: whom a policy may name (``attached``) and what "public" means (``public``).
"""

import json
import re
from typing import Any

from crossaccount_sandbox.attached import compact, load, statements, unknown_field, unknown_operator
from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.handlers.s3_form import NAMESPACE, xml
from crossaccount_sandbox.public import is_public
from crossaccount_sandbox.resources import owner_of_bucket
from crossaccount_sandbox.wire import AwsError, Response, unchunk
from crossaccount_sandbox.world import Handler, World

_BUCKET_POLICY_LIMIT = 20 * 1024


def get_bucket_policy(world: World, call: Call) -> Response:
    """GetBucketPolicy; ``NoSuchBucket``, ``MethodNotAllowed`` for another account's, ``NoSuchBucketPolicy``."""
    _own_bucket(call)
    document = world.attached.get(("bucket", _bucket_arn(call)))
    if document is None:
        raise _no_policy()
    for statement in statements(document):
        _reorder(statement)
    return Response(200, compact(document).encode(), (("Content-Type", "application/json"),))


def _reorder(statement: dict[str, Any]) -> None:
    """Show the principals of a statement in another order than they came in: S3's is its own.

    Source: recordings of S3 by cloud-custodian.
    """
    for element in ("Principal", "NotPrincipal"):
        block = statement.get(element)
        if isinstance(block, dict):
            statement[element] = {
                kind: names[::-1] if isinstance(names, list) else names for kind, names in block.items()
            }


def get_policy_status(world: World, call: Call) -> Response:
    """GetBucketPolicyStatus: whether the policy is public; ``NoSuchBucket``, ``NoSuchBucketPolicy``."""
    _owner(call)
    document = world.attached.get(("bucket", _bucket_arn(call)))
    if document is None:
        raise _no_policy()
    shown = str(is_public(document)).lower()
    return xml(f'<PolicyStatus xmlns="{NAMESPACE}"><IsPublic>{shown}</IsPublic></PolicyStatus>')


def _no_policy() -> AwsError:
    return AwsError("NoSuchBucketPolicy", "The bucket policy does not exist", 404)


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
    _check_form(text)
    document = load(text, _malformed)
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


def _check_form(text: str) -> None:
    """Refuse, in S3's words, what is no policy.

    Source: recordings of S3 by localstack, and public reports.
    """
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if not isinstance(document, dict) or not text.startswith("{"):
        raise _malformed("Policies must be valid JSON and the first byte must be '{'")
    if document.get("Version", "2008-10-17") not in ("2012-10-17", "2008-10-17"):
        raise _malformed("The policy must contain a valid version string")
    if unknown := [name for name in document if name not in ("Version", "Id", "Statement")]:
        raise _malformed(f"Unknown field {unknown[0]}")
    if not document.get("Statement"):
        raise _malformed("Missing required field Statement")
    for statement in statements(document):
        if not isinstance(statement, dict):
            raise _malformed("Invalid policy syntax.")
        if field := unknown_field(statement):
            raise _malformed(f"Unknown field {field}")
        if operator := unknown_operator(statement):
            raise _malformed(f"Invalid Condition type : {operator}")
        for field in ("Effect", "Principal", "Action"):
            if field not in statement and f"Not{field}" not in statement:
                raise _malformed(f"Missing required field {field}")
        if statement["Effect"] not in ("Allow", "Deny"):
            raise _malformed(f"Invalid effect: {statement['Effect']}")


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
    "DeleteBucketPolicy": delete_bucket_policy,
    "GetBucketPolicy": get_bucket_policy,
    "GetBucketPolicyStatus": get_policy_status,
    "PutBucketPolicy": put_bucket_policy,
}
