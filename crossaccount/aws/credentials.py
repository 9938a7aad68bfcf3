"""Credentials as a machine's AWS profiles give them: what is wrong with a profile, in a sentence that names it and the way out.

A profile may name a program, a token file, a sign-in or a role. botocore lets their errors through as they are. Not here:
sessions (``sessions``), and AWS's own errors (``refusals``).

Source: "Configuration and credential file settings" in the AWS CLI user guide; botocore's credentials and exceptions.
"""

import logging
import os
import re
from collections.abc import Callable
from typing import Any

from botocore.credentials import RefreshableCredentials
from botocore.exceptions import (
    BotoCoreError,
    ConfigNotFound,
    ConfigParseError,
    CredentialRetrievalError,
    InvalidConfigError,
    LoginError,
    MissingDependencyException,
    PartialCredentialsError,
    RefreshWithMFAUnsupportedError,
    SSOError,
    TokenRetrievalError,
    UnknownCredentialError,
)

from crossaccount.errors import InputError
from crossaccount.text import first_line

_MOST_REPEATED = 300
# A word of others that may be a secret key or a token: long, and of small and capital letters and digits.
_MAY_BE_SECRET = re.compile(r"(?=[\w/+=-]*\d)(?=[\w/+=-]*[a-z])(?=[\w/+=-]*[A-Z])[\w/+=-]{32,}", re.ASCII)
_CORRECT = "Correct the profile in the AWS config file"
# Errors of programs, files, prompts and what they give: botocore has no names for them. RuntimeError: fresh, and expired already.
FAULTS = (BotoCoreError, OSError, EOFError, ValueError, TypeError, AttributeError, KeyError, RuntimeError)


def name_of(profile: str | None) -> str:
    """The profile, named or ambient, for messages."""
    named = profile or os.environ.get("AWS_PROFILE") or os.environ.get("AWS_DEFAULT_PROFILE")
    return f"the AWS profile {named!r}" if named else "the ambient AWS credentials"


def fault_of(error: Exception, named_by: str, profile: str | None) -> InputError | None:
    """The fault of a profile as a person reads it; None for an error that is none of the profile's.

    Args:
        error: one of `FAULTS`, from looking for credentials or fetching them.
        named_by: what names the profile: a key of the config, as producer.profile, or an option.
        profile: its name in the config; None for the ambient credentials.
    """
    reason = _reason(error, profile)
    if reason is None:
        return None
    return InputError(f"{named_by}: {name_of(profile)} cannot be used: {reason}")


def _reason(error: Exception, profile: str | None) -> str | None:
    option = f" --profile {profile}" if profile else ""
    said = _MAY_BE_SECRET.sub("****", first_line(error))[:_MOST_REPEATED].rstrip(". ")
    match error:
        case MissingDependencyException():
            return (
                "it is signed in to with `aws login`, which needs the package awscrt. Install it: pip install "
                "'crossaccount-model-deployment[login]'; or name another profile."
            )
        case LoginError():
            return f"{said}. Sign in again: aws login{option}."
        case SSOError() | TokenRetrievalError():
            return f"its sign-in has ended or was never made ({said}). Sign in: aws sso login{option}."
        case RefreshWithMFAUnsupportedError() | EOFError():
            return (
                "it asks for the code of a multi-factor device (mfa_serial), and there is no terminal to give it on. Name a profile that "
                "needs none, such as one of a session that was made with aws sts get-session-token."
            )
        case CredentialRetrievalError(kwargs={"provider": "container-role"}):
            return f"{said}. Look whether the container's task or pod still runs, and has a role."
        case CredentialRetrievalError() | InvalidConfigError() | ConfigParseError() | ConfigNotFound():
            return f"{said}. {_CORRECT}."
        case UnknownCredentialError() | PartialCredentialsError():
            return f"{said}. {_CORRECT}."
        case BotoCoreError():
            return None
        case OSError(filename=str(file)):
            return f"{file}, which it names, cannot be used ({error.strerror}). Put it in its place, or correct the profile in the AWS config file."
        case OSError():
            return f"{error.strerror or type(error).__name__}. {_CORRECT}."
        case RuntimeError():
            return "the credentials that it gives have expired already. Sign in again, or correct what gives them."
        case _:  # half of an answer may be a credential
            return (
                f"its program, its file or its sign-in gives something else than AWS describes ({type(error).__name__}). "
                f"{_CORRECT}, or what it names."
            )


def explain_refreshes(credentials: object, named_by: str, profile: str | None) -> None:
    """Have credentials that refresh themselves raise the profile's faults as `InputError`, then as now."""
    if isinstance(credentials, RefreshableCredentials):
        refreshing: Any = credentials
        refresh: Callable[[], Any] = refreshing._refresh_using

        def explained() -> Any:
            try:
                return refresh()
            except FAULTS as error:
                fault = fault_of(error, named_by, profile)
                if fault is None:
                    raise
                raise fault from None

        refreshing._refresh_using = explained


def _quieten(record: logging.LogRecord) -> bool:
    """Take the traceback out of a warning of credentials that could not be refreshed; one whose error is raised is no news."""
    if record.exc_info:
        record.exc_info = None
        return record.args != ("mandatory",)
    return True


logging.getLogger("botocore.credentials").addFilter(_quieten)
