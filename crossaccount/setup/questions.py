"""The questions of ``doctor`` that are asked in the role of an account: each a function from the account to its answers.

Not here: credentials and roles, which come before (``doctor``).

Source: HeadBucket in the S3 API reference; GetRole in the IAM API reference; ListModelPackages in the SageMaker API reference.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from crossaccount.aws import sessions
from crossaccount.aws.credentials import name_of
from crossaccount.aws.operations import action_of
from crossaccount.aws.refusals import is_denied
from crossaccount.config.model import ConsumerConfig
from crossaccount.errors import CrossAccountError
from crossaccount.hosting import quotas, state
from crossaccount.registry.chosen import read_versions
from crossaccount.setup import deployed, role_faults, templates
from crossaccount.setup.account import Account, said
from crossaccount.setup.answers import Answer, no, untold, yes
from crossaccount.setup.asking import Side
from crossaccount.setup.group import group_names
from crossaccount.sharing.instance_types import unsupported
from crossaccount.text import did_you_mean

_MOST_NAMED = 20


def _group(side: Account, producer: Any) -> Iterator[Answer]:
    question, group, region = "group", side.sharing.model_package_group, side.sharing.region
    try:
        producer.sagemaker.list_model_packages(ModelPackageGroupName=group, MaxResults=1)
    except ClientError as error:
        denied, seen = is_denied(error), _where_it_is(side, producer)
        if not denied and "does not exist" not in str(error):
            raise
        if not denied:
            text = f"account {side.config.account} has no group {group} in {region}."
        elif seen:
            text = f"the versions of {group} in {region} may not be listed."
        else:
            text = f"its versions may not be listed: {said(producer.explain(error))}."
        compare = "" if denied else "Compare model_package_group and region of the config with the registry."
        yield no(side.key, question, text, seen or compare, is_access=denied)
        return
    yield yes(side.key, question, f"{group} is in {region}, and its versions can be listed.")


def _where_it_is(side: Account, producer: Any) -> str:
    """Which of group and region is wrong, as far as the account shows it: the way out; empty where it shows nothing."""
    group, region = side.sharing.model_package_group, side.sharing.region
    named = name_of(side.config.profile)
    there = sessions.profile_region(side.config.profile) or region
    if there != region and (group in _groups(side, there) or _has(producer, group, there)):
        return f"It is in {there}, the region of {named}. Write region: {there} in the config, instead of {region}."
    if not (here := _groups(side, region)) or group in here:
        return ""
    return (
        f"In {region}, account {side.config.account} has {', '.join(here[:_MOST_NAMED])}.{did_you_mean(group, here)} Correct "
        "model_package_group of the config, or region."
    )


def _groups(side: Account, region: str) -> tuple[str, ...]:
    """The groups of a region, as the profile may see them in the config's account; none where it may not."""
    if not side.is_own:
        return ()
    try:
        return group_names(Side(f"{side.key}.profile", "", region, side.session, side.account, side.caller))
    except CrossAccountError:
        return ()


def _has(producer: Any, group: str, region: str) -> bool:
    """Whether the role may list versions of the group in a region: it may not where it was made for another, so no is no answer."""
    try:
        sagemaker = producer.session.client("sagemaker", region)
        sagemaker.list_model_packages(ModelPackageGroupName=group, MaxResults=1)
    except (ClientError, BotoCoreError):
        return False
    return True


def _instance_types(side: Account, producer: Any) -> Iterator[Answer]:
    """Whether the version that would be deployed, the newest that is shared, supports what each consumer's endpoint names."""
    question, sharing = "instance type", side.sharing
    try:
        version = read_versions(producer.sagemaker, sharing).versions[-1:]
    except ClientError as error:
        if not is_denied(error):
            raise
        text = f"the versions may not be read: {action_of(error)} is refused."
        yield untold(side.key, question, text)
        return
    for name in side.consumers if version else ():
        key, seen = f"consumers.{name}", list(unsupported(sharing, version[0], [name]))
        wanted = " or ".join(sharing.consumers[name].endpoint.instance_types)
        yield from (no(key, question, f"{each.subject}: {each.text}", each.way_out) for each in seen)
        if wanted and not seen:
            yield yes(key, question, f"version {version[0].version} supports {wanted}.")


def _bucket(side: Account, producer: Any) -> Iterator[Answer]:
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
                f"Name a bucket of {region} in producer.releases, or correct region of the config.",
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
            f"Name a bucket of {region} in producer.releases, or correct region of the config.",
        )


def _template(side: Account, assumed: Any) -> Iterator[Answer]:
    """Whether the roles were made by the shipped edition of their template, by a tag that GetRole shows."""
    question, shipped = "template", templates.edition(side.template)
    roles = {"role": side.config.role}
    if isinstance(side.config, ConsumerConfig):
        roles["execution_role"] = side.config.execution_role
    for key, role in roles.items():
        if role is None:
            continue
        try:
            found = _described(side, assumed, str(role).rpartition("/")[2])
        except ClientError as error:
            if not is_denied(error):
                raise
            text = f"neither {name_of(side.config.profile)} nor {side.config.role} may ask iam:GetRole of {role}."
            own = f" The templates let a deployer ask it of its own execution role: compare {side.key}.{key}."
            yield untold(
                side.key,
                question,
                text,
                f"Whoever deploys the stack may.{own if key == 'execution_role' else ''}",
            )
            continue
        if found is None:
            text = f"there is no role {role}."
            way_out = f"Correct {side.key}.{key}; of a deployed stack, {role_faults.from_stacks(side)} writes it. If its stack is not deployed yet: {role_faults.deploy(side)}"
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


def _described(side: Account, assumed: Any, name: str) -> Any:
    """The role, as the profile may see it, or else the role itself."""
    if side.is_own:
        try:
            return deployed.look(side.session.client("iam"), name)
        except ClientError as error:
            if not is_denied(error) or side.config.role is None:
                raise
    return deployed.look(assumed.client("iam"), name)


def _quotas(side: Account, target: Any) -> Iterator[Answer]:
    question = "quotas"
    needs = quotas.promotion_needs(target.consumer, state.look(target), None, "")
    if not needs:
        yield yes(side.key, question, "its endpoint needs no instances of its own.")
        return
    seen = quotas.foresee(target, needs)
    if seen.doubts and side.is_own:  # the role sees its own endpoints alone; the profile may see all
        further = quotas.foresee(replace(target, session=side.session), needs)
        seen = seen if further.doubts and not further.short else further
    wanted = "; ".join(f"{need.what} needs {need.count} {' or '.join(need.types)}" for need in needs)
    yield from (no(side.key, question, f"{line}.", quotas.WAY_OUT) for line in seen.short)
    yield from (untold(side.key, question, line, _to_count(seen.lacks)) for line in seen.doubts)
    if not seen.short and not seen.doubts:
        yield yes(side.key, question, f"they reach: {wanted}.")


def _to_count(lacks: tuple[str, ...]) -> str:
    if not lacks:
        return ""
    counting = (
        "" if "sagemaker:DescribeEndpoint" not in lacks else ": the stack does with SeesAllEndpoints=true"
    )
    return f"Allow {', '.join(lacks)} to the role or the profile{counting}."


PRODUCER = (
    ("group", "sagemaker", _group),
    ("instance type", "sagemaker", _instance_types),
    ("bucket", "s3", _bucket),
    ("template", "iam", _template),
)
CONSUMER = (("template", "iam", _template), ("quotas", "service-quotas", _quotas))
