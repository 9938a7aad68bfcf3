"""Reads of an account that may be refused: what came, or a finding that says what could not be read, why, and how it matters.

Not here: what is asked (``group``, ``surroundings``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from crossaccount.aws import sessions
from crossaccount.aws.operations import action_of
from crossaccount.aws.refusals import Attempt, classify, unreachable
from crossaccount.errors import DoorName, Finding, Refused, Severity

if TYPE_CHECKING:
    import boto3

_Read = TypeVar("_Read")


@dataclass(frozen=True)
class Side:
    """An account as a profile shows it: ``option`` is what named the profile, ``caller`` the ARN of who asks."""

    option: str
    profile: str
    region: str
    session: boto3.Session = field(repr=False)
    account: str = ""
    caller: str = ""

    def client(self, service: str) -> Any:
        """A client of a service in the region."""
        return self.session.client(service, self.region)  # type: ignore[call-overload]

    def explained(self, call: Callable[[], _Read]) -> _Read:
        """What a call gives.

        Raises:
            Refused: AWS refuses it.
            Failed: for any other error of AWS, and where AWS cannot be reached.
        """
        try:
            return call()
        except ClientError as error:
            raise classify(error, self._attempt(error)) from None
        except BotoCoreError as error:
            raise unreachable(error, self.option) from None

    def _attempt(self, error: ClientError) -> Attempt:
        caller = self.caller or f"profile {self.profile}"
        door, account = DoorName.CALLER_POLICY, self.account
        return Attempt(caller, account, account, door, action_of(error), f"account {account}", self.option)


def open_side(option: str, profile: str, region: str) -> Side:
    """An account by a profile of this machine, once it has said who asks (GetCallerIdentity).

    Raises:
        InputError: there is no such profile, or it cannot be used.
        Refused, Failed: AWS does not take its credentials, or cannot be reached.
    """
    side = Side(option, profile, region, sessions.profile_session(option, profile, region))
    identity = side.explained(side.client("sts").get_caller_identity)
    return Side(option, profile, region, side.session, identity["Account"], identity["Arn"])


class Asked:
    """Reads of accounts, and the findings about those that were refused."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def read(self, side: Side, subject: str, matters: str, call: Callable[[], _Read]) -> _Read | None:
        """What a call gives; None with a warning where AWS refuses it.

        Args:
            side: the account that is asked.
            subject: what is read.
            matters: what is not known therefore, in a sentence.
            call: the read.

        Raises:
            Failed: for any other error of AWS, and where AWS cannot be reached.
        """
        try:
            return side.explained(call)
        except Refused as refused:
            refusal = refused.refusal
            self.warn(
                subject,
                f"It could not be read: {refusal.caller} is refused {refusal.action}. {matters}",
                f"Allow {refusal.action}, then run this again.",
            )
            return None

    def warn(self, subject: str, text: str, way_out: str = "") -> None:
        """Add a warning."""
        self.findings.append(Finding(Severity.WARNING, subject, text, way_out))

    def note(self, subject: str, text: str, way_out: str = "") -> None:
        """Add a note."""
        self.findings.append(Finding(Severity.NOTE, subject, text, way_out))
