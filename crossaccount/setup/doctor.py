"""Everything about AWS that can be known before a first share: each question apart, so that no answer hides another.

Nothing is changed. An attempt to assume each role with a wrong external id, which must be refused, stands in CloudTrail as denied.
What this machine cannot reach is asked nothing more, and the whole look has an end. Not here: Prefect (``tasks.readiness``), and a
role's statements (``roles``).

Source: AssumeRole and GetCallerIdentity in the STS API reference; "Roles terms and concepts" (role chaining) and "Access to AWS accounts
owned by third parties" in the IAM user guide; "Managing AWS STS in an AWS Region"; HeadBucket in the S3 API reference.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from botocore.credentials import RefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError

from crossaccount.aws import access, sessions
from crossaccount.aws.clients import botocore_session
from crossaccount.aws.credentials import name_of
from crossaccount.aws.refusals import is_denied
from crossaccount.config.model import ConsumerConfig, Sharing
from crossaccount.errors import CrossAccountError, Refused
from crossaccount.setup import questions, reaching, role_faults
from crossaccount.setup.account import Account, said
from crossaccount.setup.answers import Answer, no, untold, yes
from crossaccount.text import first_line

_SECONDS = 60.0  # for what is asked of one account
_WRONG = "crossaccount-doctor-"  # begins an external id that no trust policy has


def look(sharing: Sharing, path: Path, consumer: str | None = None) -> list[Answer]:
    """The answers about AWS: of this machine, then of each account.

    Args:
        sharing: the config.
        path: its file, for the commands that are named.
        consumer: the only consumer; None is all.

    Raises:
        InputError: for a consumer that the config does not name.
    """
    names = tuple(sharing.select(consumer))
    wanted = [Account("producer", sharing.producer, sharing, path, names)]
    wanted += [Account(f"consumers.{name}", sharing.consumers[name], sharing, path, names) for name in names]
    opened = reaching.ask_at_once({side.key: partial(_open, side) for side in wanted}, _SECONDS)
    sides = [replace(side, session=opened[side.key]) for side in wanted]
    has_session = [side for side in sides if _is_session(side.session)]
    services, bundles = dict[str, set[str]](), dict[str, Any]()
    for side in has_session:
        bundle = botocore_session(side.config.profile).get_config_variable("ca_bundle")
        for service in side.services:
            services.setdefault(_url(side, service), set()).add(service)
            bundles[_url(side, service)] = bundle
    reached = reaching.reach(bundles)
    asked = reaching.ask_at_once({side.key: partial(_of_side, side, reached) for side in sides}, _SECONDS)
    found = list(reaching.answers(services, reached))
    for side in sides:
        answers = asked[side.key]
        found += answers if isinstance(answers, list) else [_unanswered(side.key, answers)]
    return found


def _is_session(opened: object) -> bool:
    return opened is not None and not isinstance(opened, Exception)


def _unanswered(key: str, error: object) -> Answer:
    if isinstance(error, Exception):
        return untold(key, "account", f"{said(error)}.")
    return untold(key, "account", f"its questions were not answered within {_SECONDS:.0f} s.", "Look again.")


def _open(side: Account) -> Any:
    return sessions.profile_session(f"{side.key}.profile", side.config.profile, side.sharing.region)


def _url(side: Account, service: str) -> str:
    return str(side.session.client(service, side.sharing.region).meta.endpoint_url)


def _of_side(side: Account, reached: Mapping[str, reaching.Reached]) -> list[Answer]:
    if not _is_session(side.session):
        return [_without_credentials(side)]
    silent = {service for service in side.services if reached[_url(side, service)].fault}
    if "sts" in silent:
        return [untold(side.key, "account", "AWS STS does not answer this machine, so nothing can be asked.")]
    credentials, side = _credentials(side)
    found = [credentials]
    if not side.account or (side.config.role is None and not side.is_own):
        return found
    role, assumed = _role(side)
    found += role
    found += _external_id(side, takes_its_own=assumed is not None)
    found.append(_lasting(side))
    if assumed is None:
        return found
    found.append(_region(side))
    asked = questions.PRODUCER if side.is_producer else questions.CONSUMER
    for question, service, ask in asked:
        if service in silent:
            found.append(untold(side.key, question, f"{service} does not answer this machine."))
        else:
            found += _asked(side, question, partial(ask, side, assumed))
    return found


def _asked(side: Account, question: str, ask: Callable[[], Iterable[Answer]]) -> list[Answer]:
    """The answers to a question; that it cannot be told where AWS does not answer it."""
    try:
        return list(ask())
    except (CrossAccountError, ClientError, BotoCoreError) as error:
        return [untold(side.key, question, f"{said(error)}.")]


def _without_credentials(side: Account) -> Answer:
    error, question = side.session, "credentials"
    if isinstance(side.config, ConsumerConfig) and side.config.run_deployment:
        text = f"this machine has none; {side.config.run_deployment} does this consumer's part."
        return untold(side.key, question, text, "Run crossaccount doctor where its workers run.")
    if error is None:
        return untold(
            side.key, question, f"none came from {name_of(side.config.profile)} within {_SECONDS:.0f} s."
        )
    refused = isinstance(error, Refused)
    if isinstance(error, CrossAccountError):
        return no(side.key, question, first_line(error), "", is_access=refused)
    return untold(side.key, question, f"{said(error)}.")


def _credentials(side: Account) -> tuple[Answer, Account]:
    """Whether the profile has credentials, and the side with the account that they are of; without one where that is not known."""
    question, named, wanted = "credentials", name_of(side.config.profile), side.config.account
    try:
        identity = side.session.client("sts").get_caller_identity()
    except ClientError as error:
        way_out = (
            f"Sign in again, or correct {side.key}.profile; or enable the region {side.sharing.region} in its account: AWS STS there "
            "knows no account that has not."
        )
        return no(side.key, question, f"AWS does not take those of {named}: {said(error)}.", way_out), side
    except BotoCoreError as error:
        return untold(side.key, question, f"{said(error)}."), side
    side = replace(side, account=str(identity["Account"]), caller=str(identity["Arn"]))
    text = f"{named} is {side.caller}"
    if side.is_own:
        return yes(side.key, question, f"{text}, of account {wanted}."), side
    if side.config.role is not None:
        return yes(
            side.key, question, f"{text}, of another account than {wanted}, whose role must trust it."
        ), side
    way_out = f"Name a profile of {wanted} in {side.key}.profile, or a role there."
    return no(side.key, question, f"{text}, and {side.key}.account is {wanted}.", way_out), side


def _role(side: Account) -> tuple[list[Answer], Any]:
    """Whether the role can be assumed, and the account in it; None where it cannot."""
    question, role = "role", side.config.role
    try:
        opened = (
            access.open_producer(side.sharing)
            if side.is_producer
            else access.open_target(side.sharing, side.name)
        )
    except Refused as error:
        return [role_faults.answer_why(side, error)], None
    except (CrossAccountError, ClientError, BotoCoreError) as error:
        return [untold(side.key, question, f"{said(error)}.")], None
    if role is None:
        return [], opened
    given = "with its external id" if side.config.external_id else "without an external id"
    return [yes(side.key, question, f"{role} can be assumed {given}.")], opened


def _external_id(side: Account, takes_its_own: bool) -> Iterator[Answer]:
    """Whether the role refuses a wrong external id; no question where the config has none.

    A refusal tells that only where the role takes the config's own: a role that is not there refuses every one.
    """
    role, question = side.config.role, "wrong external id"
    if role is None or side.config.external_id is None:
        return
    wrong = f"{_WRONG}{secrets.token_hex(8)}"
    try:
        side.session.client("sts").assume_role(
            RoleArn=role, RoleSessionName="crossaccount-doctor", ExternalId=wrong, DurationSeconds=900
        )
    except ClientError as error:
        if is_denied(error) and not takes_its_own:
            yield untold(side.key, question, f"{role} refuses the config's own too, or is not there.")
        elif is_denied(error):
            yield yes(side.key, question, f"{role} refuses one.")
        else:
            yield untold(side.key, question, f"{said(error)}.")
        return
    except BotoCoreError as error:
        yield untold(side.key, question, f"{said(error)}.")
        return
    yield no(
        side.key,
        question,
        f"{role} lets in whoever it trusts with any external id: its trust policy does not ask for sts:ExternalId.",
        f"Add the condition StringEquals sts:ExternalId {side.config.external_id} to its trust policy, as deployments/iam/{side.template}.yaml does.",
    )


def _lasting(side: Account) -> Answer:
    """Whether the credentials outlast a run."""
    question, credentials = "sessions", side.session.get_credentials()
    hour = (
        "a session of the role ends after an hour, which role chaining allows at most, and refreshes itself"
    )
    if side.config.role is None:
        hour = "the credentials are used as they are"
    if isinstance(credentials, RefreshableCredentials):
        return yes(
            side.key, question, f"{hour}; those of {name_of(side.config.profile)} refresh themselves too."
        )
    if credentials.get_frozen_credentials().token is None:
        return yes(side.key, question, f"{hour}; those of {name_of(side.config.profile)} have no end.")
    text = f"{hour}, as long as {name_of(side.config.profile)} lasts: its session was given as it is, and ends when it ends."
    return untold(side.key, question, text, "For long runs name a profile that refreshes itself.")


def _region(side: Account) -> Answer:
    """Whether the region is enabled: an STS there knows no account that has not opted in. It was asked before this."""
    return yes(
        side.key,
        "region",
        f"{side.sharing.region} is enabled: AWS STS there knows account {side.config.account}.",
    )
