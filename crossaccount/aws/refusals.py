"""Errors of AWS and of botocore as a person reads them: the door that is shut, the account that owns it, the next step.

A pure reading of codes and texts. Where one text has several causes, the caller says which ones it has ruled out. Not here:
asking AWS which side it was (``diagnosis``).

Source: "Troubleshoot access denied error messages" in the IAM user guide; SageMaker's texts from public reports.
"""

import re
from dataclasses import dataclass, replace

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
)

from crossaccount.errors import CrossAccountError, DoorName, Failed, Refusal, Refused
from crossaccount.text import harmless

_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "403", "UnauthorizedOperation"})
_ENDED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
_UNKNOWN = frozenset(
    {"InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "SignatureDoesNotMatch"}
)


@dataclass(frozen=True)
class Attempt:
    """The call that AWS refused.

    Args:
        caller: the identity that called, as a person knows it: a role's ARN, or a profile.
        account: the caller's account (12 digits).
        owner: the account that owns the resource.
        door: the door on the owner's side.
        action: the permission that was needed, where the error does not name it.
        resource: the resource that it was needed on, where the error does not name it.
        config_key: the part of the config that this comes from, for the next step.
        ruled_out: causes that were checked before and do not apply.
    """

    caller: str
    account: str
    owner: str
    door: str
    action: str
    resource: str
    config_key: str = ""
    ruled_out: tuple[str, ...] = ()


def explain(error: Exception) -> CrossAccountError | None:
    """The error as a person reads it; None for one that is a fault of the program."""
    if isinstance(error, CrossAccountError):
        return error
    if isinstance(error, ClientError):
        return Failed(f"AWS refused {error.operation_name}: {error}")
    if isinstance(error, BotoCoreError):
        return _unanswered(error)
    return None


class NoAnswer(BotoCoreError):
    """The answer did not come from AWS, or the connection broke. It is not repeated: there may be credentials in it."""

    fmt = "no answer came from AWS. Check the network, and AWS_ENDPOINT_URL if it is set"


def unreachable(error: BotoCoreError, key: str) -> Failed:
    """A failure, with its way out, for an error that no AWS service sent.

    Args:
        error: botocore's own.
        key: the part of the config whose credentials were used.
    """
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return Failed(
            f"{key}: there are no AWS credentials. Name an AWS profile in {key}.profile, or run with ambient credentials."
        )
    if isinstance(error, EndpointConnectionError):
        return Failed(f"AWS does not answer: {error}. Check the network, and AWS_ENDPOINT_URL if it is set.")
    return _unanswered(error)


def _unanswered(error: BotoCoreError) -> Failed:
    # What came over a connection that broke is not repeated: a proxy may send a request back as it was.
    return Failed(f"AWS cannot be asked: {NoAnswer() if type(error) is HTTPClientError else error}")


def classify(error: ClientError, attempt: Attempt) -> CrossAccountError:
    """The refusal that an AWS error stands for; a `Failed` that carries the error when it is not a refusal."""
    answer = error.response.get("Error", {})
    code, text = harmless(str(answer.get("Code", "Unknown"))), answer.get("Message")
    text = harmless(str(error) if text is None else str(text))
    if code in _DENIED:
        return _denied(code, text, attempt)
    if code == "ValidationException" and (refused := _from_create_model(code, text, attempt)):
        return refused
    if code == "ValidationException" and "Cross-account pass role" in text:
        return _refused(DoorName.EXECUTION_ROLE, attempt.account, code, text, attempt)
    if code in _ENDED:
        return Failed(
            f"The credentials of {attempt.caller} have expired. Sign in again, then run this again. {code}: {text}"
        )
    if code in _UNKNOWN:
        return Failed(
            f"AWS does not know the credentials of {attempt.caller}. Check {attempt.config_key or 'them'}. {code}: {text}"
        )
    return Failed(f"{attempt.action} on {attempt.resource} by {attempt.caller} failed. {code}: {text}")


_READ = "s3:GetObject, s3:ListBucket or kms:Decrypt"
_ASSUME, _PULL = "sts:AssumeRole by sagemaker.amazonaws.com", "ecr:BatchGetImage"
_REASON = re.compile(
    r"(?:because no|with an explicit deny in (?:an?|the)) (?P<kind>identity-based|resource-based|session|"
    r"permissions boundary|VPC endpoint|service control|resource control|role trust)\b"
)
_HIDDEN_KEY = re.compile(r"The ciphertext refers to a (?:customer master|KMS) key that does not exist")
_SUBJECT = re.compile(
    r"not authorized to perform: (?P<action>[\w:*-]+)"
    r"(?: on resource: \"?(?P<resource>(?:(?:role|user|group|policy) )?[^\s\"]+))?"  # IAM says: role NAME
)


def _denied(code: str, text: str, attempt: Attempt) -> Refused:
    subject = _SUBJECT.search(text)
    if subject is not None:
        attempt = replace(attempt, action=subject["action"], resource=subject["resource"] or attempt.resource)
        owner = re.match(r"arn:[a-z-]+:[a-z0-9-]+:[a-z0-9-]*:(\d{12}):", attempt.resource)
        attempt = replace(attempt, owner=owner[1] if owner else attempt.owner)
    if attempt.action.startswith("kms:") or _HIDDEN_KEY.search(text):
        attempt = replace(attempt, door=DoorName.KEY)
    reason = _REASON.search(text)
    kind = reason["kind"] if reason else None
    if kind == "role trust":
        return _refused(DoorName.ROLE_TRUST, attempt.owner, code, text, attempt)
    if kind is not None and kind not in ("resource-based", "resource control"):
        return _refused(DoorName.CALLER_POLICY, attempt.account, code, text, attempt, kind)
    if kind is None and attempt.owner == attempt.account and attempt.door is not DoorName.ROLE_TRUST:
        # Nobody shares with oneself: what is refused in the caller's own account is refused by its own policies.
        return _refused(DoorName.CALLER_POLICY, attempt.account, code, text, attempt)
    return _refused(attempt.door, attempt.owner, code, text, attempt, kind)


# SageMaker checks artifacts and images with the execution role, and says so in a ValidationException: how its text begins, where
# the resource stands in it, and what was not allowed at which door.
_CREATE_MODEL = (
    ("Could not access model data", r"model data at (\S+?)\.? Please", DoorName.EXECUTION_ROLE, _READ),
    ("The execution role ARN", r'ARN "([^"]+)"', DoorName.EXECUTION_ROLE, _ASSUME),
    ("The repository of your image", r"your image (\S+)", DoorName.REPOSITORY, _PULL),
    (r"Role \S+ cannot pull", r"cannot pull (\S+?)\.? Ensure", DoorName.EXECUTION_ROLE, _PULL),
)


def _from_create_model(code: str, text: str, attempt: Attempt) -> CrossAccountError | None:
    for beginning, resource, door, action in _CREATE_MODEL:
        if re.match(beginning, text):
            match = re.search(resource, text)
            attempt = replace(attempt, action=action, resource=match[1] if match else text)
            if door is DoorName.REPOSITORY:
                owner = attempt.resource.split(".")[0]
                return _refused(door, owner, code, text, attempt, "service principal")
            return _refused(door, attempt.account, code, text, attempt)
    return None


def _refused(
    door: str, account: str, code: str, text: str, attempt: Attempt, kind: str | None = None
) -> Refused:
    needed = (attempt.action, attempt.resource, attempt.caller)
    next_step = _next_step(door, account, attempt, kind)
    return Refused(Refusal(door, account, *needed, code, text, attempt.ruled_out, next_step))


def _next_step(door: str, account: str, attempt: Attempt, kind: str | None) -> str:
    if kind == "resource control":
        return (
            f"A resource control policy of the organization of account {account} denies it, and no share can change that. Whoever "
            f"keeps that organization's policies must let account {attempt.account} in."
        )
    if door is DoorName.ROLE_TRUST:
        return (
            f"The trust policy of {attempt.resource} must allow {attempt.caller}, with the external id that "
            f"{attempt.config_key}.external_id has. The templates in deployments/iam make such a role."
        )
    if door is DoorName.CALLER_POLICY and kind == "resource-based":
        return f"In account {account}, the policy of the resource itself must let {attempt.caller} do {attempt.action} on {attempt.resource}."
    if door is DoorName.CALLER_POLICY:
        where = f"a {kind} policy" if kind not in (None, "identity-based") else "an identity policy"
        return (
            f"In account {account}, {where} of {attempt.caller} must allow {attempt.action} on {attempt.resource}. "
            "The templates in deployments/iam have every permission that is needed."
        )
    if door is DoorName.EXECUTION_ROLE:
        return (
            f"In account {account}, compare the execution role ({attempt.config_key}.execution_role) with ExecutionRole in "
            "deployments/iam/consumer.yaml: its trust in sagemaker.amazonaws.com, and what it may read, decrypt and pull."
        )
    opened = f"Account {account} opens it: crossaccount share CONFIG, with a config that names account {attempt.account}."
    if kind == "service principal":
        opened += " If that is done, set sagemaker_service_principal: true in the config and share again: SageMaker itself may then pull."
    return opened
