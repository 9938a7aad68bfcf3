"""Errors of AWS and of botocore as a person reads them: the door that is shut, the account that owns it, the next step.

A pure reading of codes and texts. Where one text has several causes, the caller says which ones it has ruled out. Not here:
asking AWS which side it was (``diagnosis``), and the sentences of the next step (``ways_out``).

Source: "Troubleshoot access denied error messages" in the IAM user guide; "Enhanced access denied error messages with policy
ARNs" in the AWS Security Blog (the denying policy is named within an account or organization); "Troubleshoot access denied (403
Forbidden) errors in Amazon S3" in the S3 user guide; SageMaker's texts from public reports.
"""

import re
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
)

from crossaccount.aws import operations, ways_out
from crossaccount.errors import CrossAccountError, Denial, DoorName, Failed, Refusal, Refused
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
        key: the KMS key of the object that was read, which AWS's text about it does not name; empty where it is not known.
        sharer: the account that shares, where the resource is another's.
    """

    caller: str
    account: str
    owner: str
    door: str
    action: str
    resource: str
    config_key: str = ""
    ruled_out: tuple[str, ...] = ()
    key: str = ""
    sharer: str = ""


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
        return Failed(f"AWS does not answer: {error}. {way_to(str(error.kwargs.get('endpoint_url', '')))}")
    return _unanswered(error)


def way_to(url: str) -> str:
    """The way out where nothing answers at an address: one of this machine is a sandbox's."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.startswith("127.") or host == "::1":
        return (
            "There the sandbox has ended, or not begun: start crossaccount sandbox, and paste the export lines that it prints into this "
            "shell. A new one has nothing of what was made in the former. For AWS itself unset AWS_ENDPOINT_URL."
        )
    return "Check the network, its proxy, the region of the config, and AWS_ENDPOINT_URL if it is set."


def _unanswered(error: BotoCoreError) -> Failed:
    # What came over a connection that broke is not repeated: a proxy may send a request back as it was.
    return Failed(f"AWS cannot be asked: {NoAnswer() if type(error) is HTTPClientError else error}")


def classify(error: ClientError, attempt: Attempt) -> CrossAccountError:
    """The refusal that an AWS error stands for; a `Failed` that carries the error when it is not a refusal."""
    answer = error.response.get("Error", {})
    code, text = harmless(str(answer.get("Code", "Unknown"))), answer.get("Message")
    text = harmless(str(error) if text is None else str(text))
    action = operations.action_of(error)
    action = action if ":" in action else attempt.action
    preposition = "on" if action == attempt.action else "for"  # another call on the way to what was attempted
    # Endpoints, their configs and tags are the caller's own account's.
    own = "Endpoint" in error.operation_name or error.operation_name.endswith("Tags")
    attempt = replace(attempt, action=action, owner=attempt.account if own else attempt.owner)
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
    failed = f"{action} {preposition} {attempt.resource} by {attempt.caller} failed. {code}: {text}"
    if code.startswith("KMS."):  # S3 passes on what KMS says of a key that is out of use
        owner = re.search(r"arn:[a-z-]+:kms:[a-z0-9-]*:(\d{12}):", f"{text} {attempt.key}")
        way_out = ways_out.key_out_of_use(owner[1] if owner else attempt.owner, attempt.resource)
        failed = f"{failed.rstrip('.')}. {way_out}"
    return Failed(failed)


def is_denied(error: ClientError) -> bool:
    """Whether AWS refuses the call, by whichever policy."""
    return error.response.get("Error", {}).get("Code") in _DENIED


def says_why(error: ClientError) -> bool:
    """Whether a refusal says which kind of policy lacks an Allow, or denies."""
    return bool(_reason(str(error.response.get("Error", {}).get("Message") or "")).kind)


def hides_key(error: ClientError) -> bool:
    """Whether an error is KMS's refusal of a key that it does not name: of an object that S3 was asked for."""
    text = str(error.response.get("Error", {}).get("Message") or "")
    subject = _SUBJECT.search(text)
    return bool(subject and subject["action"].startswith("kms:") and not subject["resource"])


_READ = "s3:GetObject, s3:ListBucket or kms:Decrypt"
_ASSUME, _PULL = "sts:AssumeRole by sagemaker.amazonaws.com", "ecr:BatchGetImage"
_SUBJECT = re.compile(
    r"not authorized to perform: (?P<action>[\w:*-]+)"
    r"(?: on (?:resource: \"?(?P<resource>(?:(?:role|user|group|policy|instance profile) )?[^\s\"]+)|the resource associated))?"
)
_USER = re.compile(r"User: (arn:[^\s\"]+)")
_USER_ACCOUNT = re.compile(r"User: arn:[a-z-]+:(?:iam|sts)::(\d{12}):")
_DENIES = re.compile(
    r"with an explicit deny in (?:an?|the) (?P<kind>(?:[A-Za-z-]+ ){1,4}?(?:policy|boundary))(?: policy)?"
    r"(?::? \"?(?P<arn>arn:[^\s\"]+))?"
)
_LACKS = re.compile(r"because no (?P<kind>[A-Za-z-]+(?: [A-Za-z-]+){0,3}) allows the")
# Several causes in one text, none of them on the caller's side.
_KEY_SIDE = re.compile(r"no resource-based policies allow access")
_HIDDEN_KEY = re.compile(r"The ciphertext refers to a (?:customer master|KMS) key that does not exist")
_MADE_PUBLIC = re.compile(r"prevented by the (\w+) setting in S3 Block Public Access")
_OF_OWNER = (ways_out.RESOURCE_BASED, ways_out.RESOURCE_CONTROL)
_OF_CALLER = (
    *(ways_out.IDENTITY_BASED, "session policy", ways_out.BOUNDARY, "VPC endpoint policy"),
    ways_out.SERVICE_CONTROL,
)


@dataclass(frozen=True)
class _Reason:
    """The reason that a text gives: the kind of policy that lacks an Allow, or the one that denies; neither where it gives none."""

    lacks: str = ""
    denies: Denial | None = None

    @property
    def kind(self) -> str:
        return self.denies.kind if self.denies else self.lacks


def _reason(text: str) -> _Reason:
    if found := _DENIES.search(text):
        return _Reason(denies=Denial(_kind(found["kind"]), (found["arn"] or "").rstrip(".,;")))
    if _KEY_SIDE.search(text):
        return _Reason(ways_out.RESOURCE_BASED)
    found = _LACKS.search(text)
    return _Reason(_kind(found["kind"])) if found else _Reason()


def _kind(words: str) -> str:
    """The kind of a policy as AWS's guide writes it: some texts leave the word policy out, or add it."""
    words = words.removesuffix(" policy")
    return words if words == ways_out.BOUNDARY else f"{words} policy"


def _denied(code: str, text: str, attempt: Attempt) -> Refused:
    attempt = _subject(text, attempt)
    reason = _reason(text)
    if made_public := _MADE_PUBLIC.search(text):
        step = ways_out.made_private(made_public[1])
        return _refusal(DoorName.BUCKET, attempt.owner, code, text, attempt, step)
    if reason.kind == ways_out.ROLE_TRUST or (
        attempt.door == DoorName.ROLE_TRUST and reason.kind in ("", *_OF_OWNER)
    ):
        return _explained(DoorName.ROLE_TRUST, attempt.owner, code, text, attempt, reason)
    if reason.kind in _OF_CALLER:
        return _explained(DoorName.CALLER_POLICY, attempt.account, code, text, attempt, reason)
    if reason.kind in _OF_OWNER:
        return _explained(_door_of(attempt), attempt.owner, code, text, attempt, reason)
    if reason.denies is not None:  # a kind of policy that is not known here
        return _explained(DoorName.UNKNOWN, attempt.owner, code, text, attempt, reason)
    if attempt.door == DoorName.CALLER_POLICY or attempt.owner == attempt.account:
        # Nobody shares with oneself: what is refused in the caller's own account is refused by its own policies.
        return _explained(DoorName.CALLER_POLICY, attempt.account, code, text, attempt, reason)
    return _explained(attempt.door, attempt.owner, code, text, attempt, reason)


def _subject(text: str, attempt: Attempt) -> Attempt:
    """The attempt with the action and the resource that the text names, the resource's owner, and the door of a key."""
    subject = _SUBJECT.search(text)
    if subject is not None:
        resource = subject["resource"] or attempt.resource
        if subject["action"].startswith("kms:") and not subject["resource"]:
            resource = attempt.key or f"the KMS key of {attempt.resource}"
        attempt = replace(attempt, action=subject["action"], resource=resource)
        owner = re.match(r"arn:[a-z-]+:[a-z0-9-]+:[a-z0-9-]*:(\d{12}):", resource)
        attempt = replace(attempt, sharer=attempt.owner, owner=owner[1] if owner else attempt.owner)
    if named := _USER_ACCOUNT.search(text):  # whoever assumes a role may be of a third account
        attempt = replace(attempt, account=named[1])
    if attempt.action.startswith("kms:") or _HIDDEN_KEY.search(text):
        attempt = replace(attempt, door=DoorName.KEY)
    return attempt


_DOORS = {
    "kms": DoorName.KEY,
    "s3": DoorName.BUCKET,
    "ecr": DoorName.REPOSITORY,
    "sagemaker": DoorName.REGISTRY,
}


def _door_of(attempt: Attempt) -> str:
    """The door of the resource: the one that was tried, or by the action's service where only the caller's policies were."""
    if attempt.door != DoorName.CALLER_POLICY:
        return attempt.door
    return _DOORS.get(attempt.action.partition(":")[0], attempt.door)


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
                step = (
                    ways_out.opened(owner, attempt.account, service_principal=True)
                    if owner == attempt.owner
                    else ways_out.foreign_image(attempt.resource, owner, attempt.account)
                )
                return _refusal(door, owner, code, text, attempt, step)
            return _refused(door, attempt.account, code, text, attempt)
    return None


def _refused(door: str, account: str, code: str, text: str, attempt: Attempt) -> Refused:
    step = ways_out.execution_role(account, attempt.config_key)
    return _refusal(door, account, code, text, attempt, step)


def _explained(door: str, account: str, code: str, text: str, attempt: Attempt, reason: _Reason) -> Refused:
    step = _next_step(door, account, text, attempt, reason)
    return _refusal(door, account, code, text, attempt, step, reason.denies)


def _refusal(
    door: str, account: str, code: str, text: str, attempt: Attempt, step: str, denial: Denial | None = None
) -> Refused:
    needed = (attempt.action, attempt.resource, attempt.caller)
    return Refused(Refusal(door, account, *needed, code, text, attempt.ruled_out, step, denial))


def _next_step(door: str, account: str, text: str, attempt: Attempt, reason: _Reason) -> str:
    what = f"{attempt.action} on {attempt.resource}"
    if reason.denies is not None:
        return ways_out.denied(reason.denies, attempt.account, attempt.caller, what, attempt.owner)
    if door == DoorName.ROLE_TRUST:
        return ways_out.trust(attempt.resource, attempt.caller, attempt.config_key)
    if reason.lacks == ways_out.RESOURCE_BASED and attempt.owner == attempt.account:
        principal = _principal(text, attempt)
        return ways_out.named_by_resource(door, account, principal, attempt.action, attempt.resource)
    if door == DoorName.CALLER_POLICY:
        return ways_out.lacking(reason.lacks, account, attempt.caller, what)
    if attempt.sharer not in ("", attempt.owner):
        return ways_out.of_another(account, attempt.account, attempt.caller, what)
    return ways_out.opened(account, attempt.account)


def _principal(text: str, attempt: Attempt) -> str:
    """The caller as a policy names it: its role's ARN, without the session."""
    if attempt.caller.startswith("arn:"):
        return attempt.caller
    named = _USER.search(text)
    user = named[1] if named else attempt.caller
    session = re.fullmatch(r"arn:([a-z-]+):sts::(\d{12}):assumed-role/([^/]+)/.*", user)
    return f"arn:{session[1]}:iam::{session[2]}:role/{session[3]}" if session else user
