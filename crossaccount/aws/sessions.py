"""Sessions of the accounts that a config names: the one place that assumes roles.

A session opened here refreshes its own credentials, so a wait may outlast the hour that role chaining allows. Nothing but
the signing of a call (``clients``) sees a credential. Not here: how credentials are hidden (``hiding``).

Source: AssumeRole in the AWS STS API reference; "Roles terms and concepts" (role chaining) in the IAM user guide.
"""

import os
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock

import boto3
from botocore.credentials import DeferredRefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ProfileNotFound
from botocore.session import Session as BotocoreSession

from crossaccount.aws.clients import AccountSession, Caller, SharedClients, botocore_session, settings_key
from crossaccount.aws.credentials import FAULTS, explain_refreshes, fault_of, name_of
from crossaccount.aws.hiding import hide_credentials
from crossaccount.aws.operations import note_calls
from crossaccount.aws.refusals import Attempt, classify, unreachable
from crossaccount.aws.retries import Persistence
from crossaccount.config.model import ConsumerConfig, ProducerConfig, Sharing
from crossaccount.errors import DoorName, InputError
from crossaccount.text import did_you_mean

_Identity = tuple[str | None, str | None, str | None, str, str]


class _Reused:
    """The sessions of a run, and the clients that they share."""

    def __init__(self) -> None:
        self.sessions: dict[_Identity, boto3.Session] = {}
        self.shared: dict[tuple[str, str], SharedClients] = {}
        self.lock = Lock()


_REUSED: ContextVar[_Reused | None] = ContextVar("sessions used again", default=None)
SESSION_NAME = "crossaccount-model-deployment"
_FILES = ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")
_SESSION_SECONDS = 3600  # role chaining allows no more, and credentials refresh themselves


def producer_session(sharing: Sharing) -> boto3.Session:
    """A session in the producer account: in its role, or without one in the profile or the ambient credentials.

    Raises:
        Refused: when the role may not be assumed.
        InputError: for a profile that does not exist, or credentials of another account.
        Failed: without credentials, or without a reachable AWS.
    """
    return _session("producer", sharing.producer, sharing.region)


def consumer_session(sharing: Sharing, name: str, consumer: ConsumerConfig) -> boto3.Session:
    """A session in a consumer's deployer role; raises as `producer_session` does.

    Args:
        sharing: has the region.
        name: the consumer's name in the config, for messages.
        consumer: has the role, the external id and the profile.
    """
    return _session(f"consumers.{name}", consumer, sharing.region)


def profiles() -> tuple[str, ...]:
    """The names of the AWS profiles that this machine has."""
    return tuple(BotocoreSession(profile="default").available_profiles)


def profile_region(profile: str | None) -> str | None:
    """The region that a profile names, or the environment where it is None; None for none, and for a profile that is not there."""
    try:
        region = BotocoreSession(profile=profile).get_config_variable("region")
        return None if region is None else str(region)
    except ProfileNotFound:
        return None


def profile_fault(named_by: str, profile: str | None) -> InputError | None:
    """What keeps a profile from being found on this machine, without a call to AWS; None for nothing.

    Args:
        named_by: what names the profile: a key of the config, as producer.profile, or an option.
        profile: its name; None for the ambient credentials, which may be those of AWS_PROFILE.
    """
    try:
        BotocoreSession(profile=profile).get_scoped_config()
    except ProfileNotFound:
        return InputError(_no_such_profile(named_by, profile or os.environ.get("AWS_PROFILE", "")))
    except BotoCoreError as error:
        return fault_of(error, named_by, profile)
    return None


def profile_session(option: str, profile: str | None, region: str) -> boto3.Session:
    """A session in a profile's own credentials, before there is a config; raises as `producer_session` does.

    Args:
        option: what names the profile, for messages.
        profile: its name; None for the ambient credentials.
        region: of the clients.
    """
    try:
        return _source_session(option, profile, "", region, Persistence())
    except BotoCoreError as error:
        raise unreachable(error, option) from None


def _session(key: str, side: ProducerConfig | ConsumerConfig, region: str) -> boto3.Session:
    reused = _REUSED.get()
    sessions = {} if reused is None else reused.sessions
    identity = (side.profile, side.role, side.external_id, side.account, region)
    if identity not in sessions:
        sessions[identity] = _open_session(key, side, region)
    return sessions[identity]


@contextmanager
def reuse() -> Iterator[None]:
    """Within this, a session and a client that were made once are used again: a run assumes each role once."""
    token = _REUSED.set(_Reused())
    try:
        yield
    finally:
        _REUSED.reset(token)


def _shared(settings: BotocoreSession, region: str) -> SharedClients:
    """The clients that a session of these settings shares with the run's others."""
    reused = _REUSED.get() or _Reused()
    key = (settings_key(settings), region)
    with reused.lock:
        if key not in reused.shared:
            reused.shared[key] = SharedClients(settings, region)
        return reused.shared[key]


def _open_session(key: str, side: ProducerConfig | ConsumerConfig, region: str) -> boto3.Session:
    persistence = Persistence()
    try:
        source = _source_session(f"{key}.profile", side.profile, side.account, region, persistence)
        if side.role is None:
            return _check_account(source, key, side.account)
        return _assume(source, side.role, side.external_id, region, persistence)
    except ClientError as error:
        caller = f"profile {side.profile}" if side.profile else "the ambient credentials"
        action, resource = "sts:AssumeRole", side.role or "the credentials"
        attempt = Attempt(caller, side.account, side.account, DoorName.ROLE_TRUST, action, resource, key)
        raise classify(error, attempt) from None
    except BotoCoreError as error:
        raise unreachable(error, key) from None


def _source_session(
    named_by: str, profile: str | None, account: str, region: str, persistence: Persistence
) -> AccountSession:
    """A session in the profile's credentials, or the ambient ones; they are fetched here, where a profile's faults are its own.

    Raises:
        InputError: for a profile that does not exist or cannot be used.
        Refused, Failed: when AWS refuses the role or the sign-in that the profile names.
        NoCredentialsError: without credentials.
    """
    settings = botocore_session(profile)
    settings.set_config_variable("region", region)
    hide_credentials(settings)
    note_calls(settings)
    persistence.attach(settings)
    try:
        credentials = settings.get_credentials()  # an AWS_PROFILE that does not exist is told apart here
        if credentials is None:
            raise NoCredentialsError
        explain_refreshes(credentials, named_by, profile)
        credentials.get_frozen_credentials()
        return AccountSession(_shared(settings, region), Caller(credentials, persistence))
    except ProfileNotFound:
        profile = profile or os.environ.get("AWS_PROFILE", "")
        raise InputError(_no_such_profile(named_by, profile)) from None
    except ClientError as error:
        role = settings.get_scoped_config().get("role_arn", "")
        owner, caller = (role.split(":") + [""] * 5)[4] or account, name_of(profile)
        action, door = f"sts:{error.operation_name}", DoorName.ROLE_TRUST
        attempt = Attempt(caller, owner, owner, door, action, role or caller, named_by)
        raise classify(error, attempt) from None
    except FAULTS as error:
        fault = fault_of(error, named_by, profile)
        if fault is None:
            raise
        raise fault from None


def _no_such_profile(named_by: str, profile: str) -> str:
    """What to say of a profile that this machine does not have: the likely causes in order."""
    known = profiles()
    said = f"{named_by}: this machine has no AWS profile {profile!r} (it has: {', '.join(known) or 'none'})."
    otherwise = (
        "leave profile out to use the ambient credentials"
        if named_by.endswith(".profile")
        else "name another"
    )
    empty = " --bare N" if re.fullmatch(r"bare-\d+", profile) else ""
    sandbox = f"start crossaccount sandbox{empty}, and paste the export lines that it prints into this shell"
    gone = [name for name in _FILES if os.environ.get(name) and not os.path.exists(os.environ[name])]
    if gone:
        return (
            f"{said} {gone[0]} names {os.environ[gone[0]]}, which is not there: a sandbox that has ended takes it along. For the sandbox, "
            f"{sandbox}; for AWS, unset {' '.join(name for name in (*_FILES, 'AWS_ENDPOINT_URL') if os.environ.get(name))}, or {otherwise}."
        )
    if known:
        return f"{said}{did_you_mean(profile, known)} Correct it, add it to the AWS config file, or {otherwise}. For the sandbox, {sandbox}."
    return f"{said} For the sandbox, {sandbox}. For AWS, add it: aws configure --profile {shlex.quote(profile)}; or {otherwise}."


def _assume(
    source: AccountSession, role: str, external_id: str | None, region: str, persistence: Persistence
) -> AccountSession:
    arguments = {"RoleArn": role, "RoleSessionName": SESSION_NAME, "DurationSeconds": _SESSION_SECONDS}
    if external_id is not None:
        arguments["ExternalId"] = external_id
    sts = source.client("sts")

    def fetch() -> dict[str, str]:
        key = sts.assume_role(**arguments)["Credentials"]
        return {
            "access_key": key["AccessKeyId"],
            "secret_key": key["SecretAccessKey"],
            "token": key["SessionToken"],
            "expiry_time": key["Expiration"].isoformat(),
        }

    credentials = DeferredRefreshableCredentials(fetch, "assume-role")
    credentials.get_frozen_credentials()  # a role that may not be assumed is refused here, not at some later call
    return AccountSession(_shared(botocore_session(None), region), Caller(credentials, persistence))


def _check_account(source: boto3.Session, key: str, account: str) -> boto3.Session:
    actual = source.client("sts").get_caller_identity()["Account"]
    if actual != account:
        raise InputError(
            f"{key}.account is {account}, but the credentials belong to account {actual}. Name a profile or a role of "
            f"{account}."
        )
    return source
