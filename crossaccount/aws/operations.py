"""What a call to AWS was about, for an error that does not say it: the permission that it needs, and the resource.

Not here: what the error means (``refusals``).

Source: "Actions, resources, and condition keys" of Amazon S3 in the Service Authorization Reference; botocore's events.
"""

from typing import Any

from botocore.exceptions import ClientError
from botocore.session import Session

# Operations whose permission has another name.
_ACTIONS = {
    ("s3", "HeadBucket"): "s3:ListBucket",
    ("s3", "HeadObject"): "s3:GetObject",
    ("s3", "ListObjects"): "s3:ListBucket",
    ("s3", "ListObjectsV2"): "s3:ListBucket",
    ("s3", "ListObjectVersions"): "s3:ListBucketVersions",
    ("s3", "GetBucketEncryption"): "s3:GetEncryptionConfiguration",
    ("s3", "GetPublicAccessBlock"): "s3:GetBucketPublicAccessBlock",
    ("s3-control", "GetPublicAccessBlock"): "s3:GetAccountPublicAccessBlock",
}
_PREFIXES = {"s3-control": "s3", "sagemaker-runtime": "sagemaker"}
_BUCKET, _KEY = "Bucket", "Key"
_NAMES = ("KeyId", "repositoryName", "ModelPackageName", "ModelPackageGroupName", "ResourceArn", "AccountId")
_CALL, _NAMED = "Call", "crossaccount:named"


def note_calls(session: Session) -> None:
    """Have the clients of a session say, in the errors that they raise, which service was asked for what."""
    handlers: dict[str, Any] = {"before-parameter-build": _keep_parameters, "after-call": _note_call}
    for event, handler in handlers.items():
        session.register(event, handler)


def _keep_parameters(params: Any, context: Any, **_: Any) -> None:
    context[_NAMED] = {name: params[name] for name in (_BUCKET, _KEY, *_NAMES) if name in params}


def _note_call(model: Any, parsed: Any, context: Any, **_: Any) -> None:
    if "Error" in parsed:
        service = model.service_model.service_id.hyphenize()
        parsed.setdefault("ResponseMetadata", {})[_CALL] = (service, context.get(_NAMED, {}))


def action_of(error: ClientError) -> str:
    """The permission that the refused call needs; its operation alone where the service is not known."""
    service, _ = _call(error)
    operation = error.operation_name
    if not service:
        return operation
    return _ACTIONS.get((service, operation), f"{_PREFIXES.get(service, service)}:{operation}")


def resource_of(error: ClientError, partition: str) -> str | None:
    """The resource that the refused call named, as an ARN where the call says enough for one; None where it named none."""
    _, named = _call(error)
    if bucket := named.get(_BUCKET):
        return f"arn:{partition}:s3:::{'/'.join(filter(None, (bucket, named.get(_KEY))))}"
    return next((str(named[name]) for name in _NAMES if named.get(name)), None)


def _call(error: ClientError) -> tuple[str, dict[str, Any]]:
    """The service that was asked, and what the call named; empty for an error of no session of ours."""
    metadata: Any = error.response.get("ResponseMetadata", {})
    call: tuple[str, dict[str, Any]] = metadata.get(_CALL, ("", {}))
    return call
