"""The frozen model of a config: the group that is shared, its producer, and its consumers.

Not here: how it is read from a file (``loading``), endpoints (``endpoint``) and questions (``smoke``).
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NoReturn, Self, TypeVar

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from crossaccount.config.agreement import disagreements
from crossaccount.config.capacity import Shadow
from crossaccount.config.choice import VersionRule, Versions
from crossaccount.config.endpoint import Endpoint
from crossaccount.config.identifiers import (
    AccountId,
    ExternalId,
    GroupName,
    KeyArn,
    OrganizationId,
    OrganizationPath,
    ProfileName,
    Region,
    ReleasesUri,
    RoleArn,
    RoleName,
)
from crossaccount.config.lifecycle import LifeCycles
from crossaccount.config.smoke import Latency, Smoke, SmokeMode, spelled_out
from crossaccount.config.values import (
    PRINTABLE,
    Check,
    Flag,
    FrozenModel,
    check_text,
    choice,
    describe,
    dotted,
    exactly,
    fault,
    texts,
    whole,
)
from crossaccount.errors import InputError
from crossaccount.regions import partitions
from crossaccount.text import did_you_mean, quote

_V = TypeVar("_V")
_Preset = Literal["least-privilege", "aws-docs"]
_Principals = Literal["accounts", "roles", "organization"]


class _FrozenDict(dict[str, _V]):
    """A dict that is only read; it pickles and copies, which a MappingProxyType does not."""

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("a configuration is not changed after it was read")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[type[Self], tuple[dict[str, _V]]]:
        return type(self), (dict(self),)


# ISO 8601 as most people write it; Python reads forms of it that few know.
_DAY = r"[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|[12][0-9]))"
_CLOCK, _ZONE = (
    r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:[.,]0+)?)?",
    r"(?:Z|[+-](?:[01][0-9]|2[0-3]):?[0-5][0-9])",
)
_END = rf"(?!0000){_DAY}(?:[T ]{_CLOCK}{_ZONE})?"
_ODD = PRINTABLE.replace("[^", "[", 1)


def _expires(value: object) -> object:
    example = '"2026-12-31T18:00:00Z"'
    text = value.isoformat() if isinstance(value, datetime) else check_text(value, example)
    with_time = f"{text}T00:00:00Z" if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text) else text
    try:
        time = datetime.fromisoformat(with_time.replace("Z", "+00:00"))
        if time.tzinfo is not None and time.microsecond == 0:
            return time.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    zone = " It has no time zone: end it with Z." if re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{5,8}", text) else ""
    raise fault(
        f"{quote(text)} is not a time.{zone} Write a date, whose beginning in UTC is meant, or a time with its zone, for example {example}."
    )


_DEPLOYMENT = r"(?! )[^/%&<>?#\\]{1,200}(?<! )/(?! )[^/%&<>?#\\]{1,200}(?<! )"


def _deployment_name(value: object) -> str:
    example = "move-endpoint/staging"
    text = check_text(value, example)
    # The API's own ban is on / % & < > in each name; a ? or a # would end the address that it is asked for under.
    if text.isprintable() and re.fullmatch(_DEPLOYMENT, text):
        return text
    raise fault(
        f"{quote(text)} cannot name a deployment. Write the flow's name, a slash and the deployment's name, as `prefect deployment ls` "
        f"shows it, for example {example}; or delete the key."
    )


_CONSUMER = r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?"


def _consumer_name(value: object) -> str:
    if isinstance(value, str) and re.fullmatch(_CONSUMER, value):
        return value
    raise fault(
        f"{quote(value)} cannot name a consumer. Use 1 to 32 lower-case letters, digits and inner hyphens, for example staging."
    )


def _consumers(value: object) -> object:
    if isinstance(value, list | tuple):
        raise fault(
            "is a list, but each consumer has a name. Write the name as a key: consumers: {staging: {...}}."
        )
    if not isinstance(value, Mapping):
        raise fault(f"{describe(value)}. Write a mapping from each consumer's name to its account.")
    if not value:
        raise fault("names no consumer. Add at least one, for example staging, with its account and roles.")
    return value


def _consumers_schema(of_type: dict[str, Any]) -> dict[str, Any]:
    each = of_type.get("additionalProperties") or next(iter(of_type["patternProperties"].values()))
    names = {"pattern": exactly(_CONSUMER)}
    return {"type": "object", "minProperties": 1, "propertyNames": names, "additionalProperties": each}


class ProducerConfig(FrozenModel):
    """The account that owns the models.

    Without `role`, the credentials of `profile` (or else the ambient ones) act in it as they are.
    """

    account: AccountId = Field(
        description="12-digit id of the account that owns the models", examples=['"111122223333"']
    )
    role: RoleArn | None = Field(default=None, description="ARN of the role to assume in this account")
    external_id: ExternalId | None = Field(
        default=None, description="external id that the trust of the role asks for"
    )
    profile: ProfileName | None = Field(default=None, description="AWS profile to start from")
    releases: ReleasesUri = Field(
        description="S3 prefix where releases are published", examples=["s3://BUCKET/releases/"]
    )
    releases_kms_key: KeyArn | None = Field(
        default=None, description="ARN of the KMS key that releases are sent to S3 to be encrypted under"
    )

    discoverable: Flag = Field(
        default=False,
        description="whether AWS RAM is had to show the group to the accounts that it is shared with",
    )

    @property
    def releases_bucket(self) -> str:
        """Bucket of `releases`."""
        return self.releases.removeprefix("s3://").partition("/")[0]

    @property
    def releases_prefix(self) -> str:
        """Key prefix of `releases`: empty, or text that ends in a slash."""
        return self.releases.removeprefix("s3://").partition("/")[2]


class ConsumerConfig(FrozenModel):
    """One account that is given the models, the role that deploys there, and the endpoint it brings up."""

    account: AccountId = Field(
        description="12-digit id of the account that deploys the models", examples=['"444455556666"']
    )
    role: RoleArn = Field(
        description="ARN of the role that deploys, in the consumer's account",
        examples=["arn:aws:iam::444455556666:role/crossaccount-deployer"],
    )
    external_id: ExternalId | None = Field(
        default=None, description="external id that the trust of the role asks for"
    )
    profile: ProfileName | None = Field(default=None, description="AWS profile to start from")
    execution_role: RoleArn = Field(
        description="ARN of the role that SageMaker runs the model with, in the consumer's account",
        examples=["arn:aws:iam::444455556666:role/crossaccount-execution"],
    )
    expires: Annotated[datetime, Check(_expires, schema=lambda _: texts(_END))] | None = Field(
        default=None, description="when the access ends by itself"
    )
    stage: Annotated[int, whole(1, 1000, "stages")] = Field(
        default=1, description="when its turn comes in a promotion; lower numbers first"
    )
    run_deployment: Annotated[str, Check(_deployment_name, schema=texts(_DEPLOYMENT, never=_ODD))] | None = (
        Field(
            default=None, description="Prefect deployment whose runs do this consumer's part of a promotion"
        )
    )
    endpoint: Endpoint = Field(
        description="name and capacity of the endpoint",
        examples=["{name: decision-trees-staging, instance_type: ml.m5.large, instance_count: 1}"],
    )
    smoke_mode: Annotated[SmokeMode, choice("smoke mode", SmokeMode)] = Field(
        default="before", description="when a promotion asks the questions"
    )
    shadow: Shadow | None = Field(
        default=None, description="how a new version runs beside the live one, with smoke_mode: shadow"
    )
    smoke: tuple[Smoke, ...] = Field(default=(), description="questions with their expected answers")
    latency: Latency | None = Field(default=None, description="how fast the answers must come")

    @model_validator(mode="before")
    @classmethod
    def _smoke_in_a_word(cls, data: Any) -> Any:
        """`smoke: after` is short for `smoke_mode: after` with the questions that the Release has."""
        return spelled_out(data)

    @property
    def until(self) -> str | None:
        """`expires` as a policy writes it."""
        return None if self.expires is None else self.expires.strftime("%Y-%m-%dT%H:%M:%SZ")


class OrganizationScope(FrozenModel):
    """An AWS organization that is let in as a whole, or the units and roles of it that are."""

    id: OrganizationId = Field(description="id of the organization", examples=["o-a1b2c3d4e5"])
    paths: tuple[OrganizationPath, ...] = Field(
        default=(), description="organizational units, by their paths; everywhere when it is left out"
    )
    role_names: tuple[RoleName, ...] = Field(
        default=(), description="names of roles, with their paths; every identity when it is left out"
    )


class Sharing(FrozenModel):
    """A whole configuration: which models of which account are shared with which others, and how.

    `versions` is "approved", the version numbers, or a rule. `consumers` maps a name to a consumer and is read-only.
    """

    model_package_group: GroupName = Field(
        description="name of the model package group", examples=["decision-trees-sample"]
    )
    region: Region = Field(
        description="AWS region of the group, its images, its artifacts and the endpoints",
        examples=["us-east-1"],
    )
    preset: Annotated[_Preset, choice("preset", _Preset)] = Field(
        default="least-privilege", description="which grants are made"
    )
    versions: Versions = Field(default="approved", description="which versions are shared")
    lifecycle: LifeCycles = Field(
        default={}, description="what the registry is told of a version once a stage of its promotion is done"
    )
    principals: Annotated[_Principals, choice("kind of principals", _Principals)] = Field(
        default="accounts", description="who is let in: whole accounts, their two roles, or an organization"
    )
    organization: OrganizationScope | None = Field(
        default=None, description="the organization, with principals: organization"
    )
    sagemaker_service_principal: Flag = Field(
        default=False, description="whether SageMaker itself may pull the image on behalf of the consumers"
    )
    producer: ProducerConfig = Field(
        description="the account that owns the models",
        examples=['{account: "111122223333", releases: "s3://BUCKET/releases/"}'],
    )
    consumers: Annotated[
        dict[Annotated[str, Check(_consumer_name)], ConsumerConfig],
        Check(_consumers, schema=_consumers_schema),
        AfterValidator(_FrozenDict),
    ] = Field(
        description="mapping from a name to an account that deploys the models",
        examples=['{staging: {account: "444455556666", ...}}'],
    )

    @property
    def partition(self) -> str:
        """Partition of the region: aws, aws-cn, aws-us-gov, ..."""
        return partitions()[self.region]

    @property
    def listed(self) -> tuple[int, ...] | None:
        """The numbers of the versions that are listed, in their order; None where a rule chooses them."""
        return tuple(sorted(self.versions)) if isinstance(self.versions, tuple) else None

    @property
    def rule(self) -> VersionRule:
        """The rule that a version must agree with, which asks for nothing where the config has none."""
        return self.versions if isinstance(self.versions, VersionRule) else VersionRule()

    def consumer(self, name: str) -> ConsumerConfig:
        """The consumer called `name`.

        Raises:
            InputError: no consumer has that name; the message lists those there are.
        """
        if name in self.consumers:
            return self.consumers[name]
        names = tuple(self.consumers)
        raise InputError(
            f"{quote(name)} is not a consumer of this configuration.{did_you_mean(name, names)} Name one of these: {', '.join(names)}."
        )

    def select(self, name: str | None) -> list[str]:
        """The name of the consumer called `name` alone, or of all when it is left out; raises as `consumer` does."""
        if name is None:
            return list(self.consumers)
        self.consumer(name)
        return [name]

    @model_validator(mode="after")
    def _keys_agree(self) -> Self:
        sentences = [f"{dotted(path)}: {sentence}" for path, _, sentence in disagreements(self.model_dump())]
        if sentences:
            raise PydanticCustomError("disagreement", "{sentence}", {"sentence": " ".join(sentences)})
        return self


Sharing.model_rebuild()
