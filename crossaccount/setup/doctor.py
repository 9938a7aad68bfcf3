"""Everything about AWS that can be known before a first share: each question apart, so that no answer hides another.

Nothing is changed. An attempt to assume each role with a wrong external id, which must be refused, stands in CloudTrail as denied.
What this machine cannot reach is asked nothing more, and the whole look has an end. Not here: Prefect (``tasks.readiness``), and a
role's statements (``roles``).

Source: AssumeRole and GetCallerIdentity in the STS API reference; "Roles terms and concepts" (role chaining) and "Access to AWS accounts
owned by third parties" in the IAM user guide; "Managing AWS STS in an AWS Region"; HeadBucket in the S3 API reference.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from botocore.credentials import RefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError

from crossaccount.aws import access, sessions
from crossaccount.aws.clients import botocore_session
from crossaccount.aws.credentials import name_of
from crossaccount.aws.refusals import explain, is_denied
from crossaccount.config.model import ConsumerConfig, ProducerConfig, Sharing
from crossaccount.errors import CrossAccountError, Refused
from crossaccount.hosting import quotas, state
from crossaccount.setup import deployed, reaching, templates
from crossaccount.setup.answers import Answer, no, untold, yes
from crossaccount.text import first_line

_SECONDS = 60.0  # for what is asked of one account
_SERVICES = {
    "producer": ("sts", "iam", "sagemaker", "s3", "s3control", "ecr", "kms"),
    "consumer": ("sts", "iam", "sagemaker", "sagemaker-runtime", "s3", "cloudwatch", "service-quotas"),
}
_WRONG = "crossaccount-doctor-"  # begins an external id that no trust policy has


@dataclass(frozen=True)
class _Side:
    """An account of the config: its part of it, and the session that its profile gives, or what came instead."""

    key: str
    config: ProducerConfig | ConsumerConfig
    sharing: Sharing
    session: Any = None

    @property
    def is_producer(self) -> bool:
        return self.key == "producer"

    @property
    def template(self) -> str:
        return "producer" if self.is_producer else "consumer"

    @property
    def name(self) -> str:
        return self.key.removeprefix("consumers.")

    @property
    def services(self) -> tuple[str, ...]:
        more = ("ram",) if self.is_producer and self.sharing.producer.discoverable else ()
        return (*_SERVICES[self.template], *more)


def look(sharing: Sharing, consumer: str | None = None) -> list[Answer]:
    """The answers about AWS: of this machine, then of each account.

    Args:
        sharing: the config.
        consumer: the only consumer; None is all.

    Raises:
        InputError: for a consumer that the config does not name.
    """
    wanted = [_Side("producer", sharing.producer, sharing)]
    wanted += [
        _Side(f"consumers.{name}", sharing.consumers[name], sharing) for name in sharing.select(consumer)
    ]
    opened = reaching.ask_at_once({side.key: partial(_open, side) for side in wanted}, _SECONDS)
    sides = [_Side(side.key, side.config, sharing, opened[side.key]) for side in wanted]
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
        return untold(key, "account", f"{_said(error)}.")
    return untold(key, "account", f"its questions were not answered within {_SECONDS:.0f} s.", "Look again.")


def _open(side: _Side) -> Any:
    return sessions.profile_session(f"{side.key}.profile", side.config.profile, side.sharing.region)


def _url(side: _Side, service: str) -> str:
    return str(side.session.client(service, side.sharing.region).meta.endpoint_url)


def _said(error: object) -> str:
    explained = explain(error) if isinstance(error, Exception) else None
    return first_line(explained or error).rstrip(".")


def _of_side(side: _Side, reached: Mapping[str, reaching.Reached]) -> list[Answer]:
    if not _is_session(side.session):
        return [_without_credentials(side)]
    silent = {service for service in side.services if reached[_url(side, service)].fault}
    if "sts" in silent:
        return [untold(side.key, "account", "AWS STS does not answer this machine, so nothing can be asked.")]
    credentials, account = _credentials(side)
    found = [credentials]
    if account is None or (side.config.role is None and account != side.config.account):
        return found
    role, assumed = _role(side)
    found += role
    found += _external_id(side, takes_its_own=assumed is not None)
    found.append(_lasting(side))
    if assumed is None:
        return found
    found.append(_region(side))
    questions = _PRODUCER if side.is_producer else _CONSUMER
    for question, service, ask in questions:
        if service in silent:
            found.append(untold(side.key, question, f"{service} does not answer this machine."))
        else:
            found += _asked(side, question, partial(ask, side, assumed, account))
    return found


def _asked(side: _Side, question: str, ask: Callable[[], Iterable[Answer]]) -> list[Answer]:
    """The answers to a question; that it cannot be told where AWS does not answer it."""
    try:
        return list(ask())
    except (CrossAccountError, ClientError, BotoCoreError) as error:
        return [untold(side.key, question, f"{_said(error)}.")]


def _without_credentials(side: _Side) -> Answer:
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
    return untold(side.key, question, f"{_said(error)}.")


def _credentials(side: _Side) -> tuple[Answer, str | None]:
    """Whether the profile has credentials, and the account that they are of."""
    question, named, wanted = "credentials", name_of(side.config.profile), side.config.account
    try:
        identity = side.session.client("sts").get_caller_identity()
    except ClientError as error:
        way_out = (
            f"Sign in again, or correct {side.key}.profile; or enable the region {side.sharing.region} in its account: AWS STS there "
            "knows no account that has not."
        )
        return no(side.key, question, f"AWS does not take those of {named}: {_said(error)}.", way_out), None
    except BotoCoreError as error:
        return untold(side.key, question, f"{_said(error)}."), None
    account = str(identity["Account"])
    text = f"{named} is {identity['Arn']}"
    if account == wanted:
        return yes(side.key, question, f"{text}, of account {wanted}."), account
    if side.config.role is not None:
        return yes(
            side.key, question, f"{text}, of another account than {wanted}, whose role must trust it."
        ), account
    way_out = f"Name a profile of {wanted} in {side.key}.profile, or a role there."
    return no(side.key, question, f"{text}, and {side.key}.account is {wanted}.", way_out), account


def _role(side: _Side) -> tuple[list[Answer], Any]:
    """Whether the role can be assumed, and the account in it; None where it cannot."""
    question, role = "role", side.config.role
    try:
        opened = (
            access.open_producer(side.sharing)
            if side.is_producer
            else access.open_target(side.sharing, side.name)
        )
    except Refused as error:
        text = f"{role} may not be assumed: AWS said {error.refusal.aws_message.rstrip('.')}."
        return [no(side.key, question, text, error.refusal.next_step, is_access=True)], None
    except (CrossAccountError, ClientError, BotoCoreError) as error:
        return [untold(side.key, question, f"{_said(error)}.")], None
    if role is None:
        return [], opened
    given = "with its external id" if side.config.external_id else "without an external id"
    return [yes(side.key, question, f"{role} can be assumed {given}.")], opened


def _external_id(side: _Side, takes_its_own: bool) -> Iterator[Answer]:
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
            yield untold(side.key, question, f"{_said(error)}.")
        return
    except BotoCoreError as error:
        yield untold(side.key, question, f"{_said(error)}.")
        return
    yield no(
        side.key,
        question,
        f"{role} lets in whoever it trusts with any external id: its trust policy does not ask for sts:ExternalId.",
        f"Add the condition StringEquals sts:ExternalId {side.config.external_id} to its trust policy, as deployments/iam/{side.template}.yaml does.",
    )


def _lasting(side: _Side) -> Answer:
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


def _region(side: _Side) -> Answer:
    """Whether the region is enabled: an STS there knows no account that has not opted in. It was asked before this."""
    return yes(
        side.key,
        "region",
        f"{side.sharing.region} is enabled: AWS STS there knows account {side.config.account}.",
    )


def _group(side: _Side, producer: Any, account: str) -> Iterator[Answer]:
    question, group = "group", side.sharing.model_package_group
    try:
        producer.sagemaker.list_model_packages(ModelPackageGroupName=group, MaxResults=1)
    except ClientError as error:
        if is_denied(error):
            text = f"its versions may not be listed: {_said(producer.explain(error))}."
            yield no(side.key, question, text, "", is_access=True)
            return
        if "does not exist" not in str(error):
            raise
        text = f"account {side.config.account} has no group {group} in {side.sharing.region}."
        yield no(
            side.key,
            question,
            text,
            "Compare model_package_group and region of the config with the registry.",
        )
        return
    yield yes(side.key, question, f"{group} is in {side.sharing.region}, and its versions can be listed.")


def _bucket(side: _Side, producer: Any, account: str) -> Iterator[Answer]:
    question, bucket = "bucket", side.sharing.producer.releases_bucket
    region = side.sharing.region
    try:
        answer = producer.s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=side.config.account)
    except ClientError as error:
        code = error.response["Error"].get("Code", "")
        if code in ("404", "NoSuchBucket"):
            yield no(
                side.key, question, f"there is no bucket {bucket}.", "Correct producer.releases, or make it."
            )
        elif code in ("301", "PermanentRedirect"):
            headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
            there = headers.get("x-amz-bucket-region", "another region")
            yield no(
                side.key,
                question,
                f"{bucket} is in {there}, and not in {region}.",
                "Name a bucket of the config's region.",
            )
        elif is_denied(error) or code == "403":
            text = f"{bucket} may not be looked at by {side.config.role or name_of(side.config.profile)}: it is another account's, or s3:ListBucket lacks."
            yield no(
                side.key,
                question,
                text,
                "Compare producer.releases, and ReleasesBucket of the stack.",
                is_access=True,
            )
        else:
            raise
        return
    there = answer.get("BucketRegion", region)
    if there == region:
        yield yes(side.key, question, f"{bucket}, for Releases, is in {region}.")
    else:
        yield no(
            side.key,
            question,
            f"{bucket} is in {there}, and not in {region}.",
            "Name a bucket of the config's region.",
        )


def _template(side: _Side, assumed: Any, account: str) -> Iterator[Answer]:
    """Whether the roles were made by the shipped edition of their template, by a tag that GetRole shows."""
    question, shipped = "template", templates.edition(side.template)
    roles = [side.config.role] if side.is_producer else [side.config.role, side.config.execution_role]  # type: ignore[union-attr]
    for role in filter(None, roles):
        try:
            found = _described(side, assumed, account, str(role).rpartition("/")[2])
        except ClientError as error:
            if not is_denied(error):
                raise
            text = f"neither {name_of(side.config.profile)} nor {side.config.role} may ask iam:GetRole of {role}."
            yield untold(side.key, question, text, "Whoever deploys the stack may.")
            continue
        if found is None:
            text, way_out = f"there is no role {role}.", "Deploy the stack: crossaccount roles CONFIG."
            yield no(side.key, question, text, way_out, is_access=True)
            continue
        edition = deployed.edition_of(found)
        if edition == shipped:
            yield yes(
                side.key,
                question,
                f"{role} was made by edition {shipped} of {side.template}.yaml, as shipped.",
            )
            continue
        said = f"edition {edition}" if edition else "none that says its edition"
        text = f"{role} was made by {said}, and shipped is edition {shipped} of {side.template}.yaml."
        yield no(side.key, question, text, "See crossaccount roles CONFIG --check, and update the stack.")


def _described(side: _Side, assumed: Any, account: str, name: str) -> Any:
    """The role, as the profile may see it, or else the role itself."""
    if account == side.config.account:
        try:
            return deployed.look(side.session.client("iam"), name)
        except ClientError as error:
            if not is_denied(error) or side.config.role is None:
                raise
    return deployed.look(assumed.client("iam"), name)


def _quotas(side: _Side, target: Any, account: str) -> Iterator[Answer]:
    question = "quotas"
    needs = quotas.promotion_needs(target.consumer, state.look(target), None, "")
    if not needs:
        yield yes(side.key, question, "its endpoint needs no instances of its own.")
        return
    seen = quotas.foresee(target, needs)
    wanted = "; ".join(f"{need.what} needs {need.count} {' or '.join(need.types)}" for need in needs)
    yield from (no(side.key, question, f"{line}.", quotas.WAY_OUT) for line in seen.short)
    yield from (untold(side.key, question, line) for line in seen.doubts)
    if not seen.short and not seen.doubts:
        yield yes(side.key, question, f"they reach: {wanted}.")


_PRODUCER = (("group", "sagemaker", _group), ("bucket", "s3", _bucket), ("template", "iam", _template))
_CONSUMER = (("template", "iam", _template), ("quotas", "service-quotas", _quotas))
