"""The versions that a config shares: every approved one, those it lists, or those that a rule over the registry's own words chooses.

Not here: reading the registry (``registry.versions``).

Source: ModelLifeCycle, CustomerMetadataProperties and their limits in botocore's model of SageMaker.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, PlainSerializer, Tag

from crossaccount.config.values import (
    Check,
    FrozenModel,
    check_text,
    describe,
    fault,
    texts,
)
from crossaccount.errors import LAST_VERSION
from crossaccount.text import did_you_mean, quote

_MOST_VERSIONS = 1000  # each is named in the policy, which takes 20,480 bytes in all
_MOST_WORDS = 20
_MOST_METADATA = 50
_WAY_OUT = "Write approved, a list of version numbers such as [1, 2], or a rule such as {stage: Production, stage_status: Approved}"


_WORD = r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
WORD_SCHEMA = texts(_WORD)


def check_word(value: object) -> str:
    """Return the name of a stage or of its status, as SageMaker takes it.

    Raises:
        PydanticCustomError: for anything else.
    """
    text = check_text(value, "Production")
    if re.fullmatch(_WORD, text):
        return text
    raise fault(
        f"{quote(text)} is no name of a stage or of its status: 1 to 63 letters, digits and inner hyphens. Write for example Production."
    )


def _words(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        return (check_word(value),)
    if not 1 <= len(value) <= _MOST_WORDS:
        raise fault(
            f"has {len(value)} names. Write one, or a list of 1 to {_MOST_WORDS}, such as [Staging, Production]."
        )
    words = tuple(check_word(word) for word in value)
    if twice := [word for place, word in enumerate(words) if word in words[:place]]:
        raise fault(f"{quote(twice[0])} is listed twice. Name it once.")
    return words


def _metadata(value: object) -> tuple[tuple[str, str], ...]:
    if isinstance(value, tuple):  # the model's own
        value = dict(value)
    if not isinstance(value, Mapping) or not 1 <= len(value) <= _MOST_METADATA:
        what = f"has {len(value)} keys" if isinstance(value, Mapping) else describe(value)
        raise fault(
            f"{what}. Write a mapping of 1 to {_MOST_METADATA} keys to texts, for example {{team: risk}}."
        )
    for key, text in value.items():
        if not isinstance(key, str) or not key.strip() or len(key) > 128:
            raise fault(f"{quote(key)} is no key of a version's metadata: up to 128 characters. Correct it.")
        if isinstance(text, bool | int | float) or not isinstance(text, str) or not 1 <= len(text) <= 256:
            raise fault(
                f"{quote(key)} is {quote(text)}, and a version's metadata are texts of 1 to 256 characters. Write one, in quotes."
            )
    return tuple(sorted(value.items()))


_WORDS_SCHEMA = {
    "anyOf": [
        WORD_SCHEMA,
        {
            "type": "array",
            "items": WORD_SCHEMA,
            "minItems": 1,
            "maxItems": _MOST_WORDS,
            "uniqueItems": True,
        },
    ]
}
_METADATA_SCHEMA = {
    "type": "object",
    "minProperties": 1,
    "maxProperties": _MOST_METADATA,
    "propertyNames": {"pattern": r"\S", "maxLength": 128},
    "additionalProperties": {"type": "string", "minLength": 1, "maxLength": 256},
}


class VersionRule(FrozenModel):
    """Which versions are shared, by what the registry says of them; a rule without words chooses every one."""

    stage: Annotated[tuple[str, ...], Check(_words, schema=lambda _: _WORDS_SCHEMA)] | None = Field(
        default=None, description="the ModelLifeCycle Stage that a version is in, or a list of them"
    )
    stage_status: Annotated[tuple[str, ...], Check(_words, schema=lambda _: _WORDS_SCHEMA)] | None = Field(
        default=None, description="the status of its stage (StageStatus), or a list of them"
    )
    metadata: (
        Annotated[
            tuple[tuple[str, str], ...],
            Check(_metadata, schema=lambda _: _METADATA_SCHEMA),
            PlainSerializer(dict),
        ]
        | None
    ) = Field(default=None, description="what its CustomerMetadataProperties have, each key with its text")

    def difference(self, stage: str | None, status: str | None, metadata: Mapping[str, str]) -> str:
        """What a version says that the rule does not ask for, in a few words; empty where they agree in everything.

        Args:
            stage: its Stage, None for none.
            status: its StageStatus.
            metadata: its CustomerMetadataProperties.
        """
        asked = [
            ("stage", self.stage, stage),
            ("stage_status", self.stage_status, status),
            *((f"metadata.{key}", (text,), metadata.get(key)) for key, text in self.metadata or ()),
        ]
        wrong = [
            f"its {name} is {'none' if has is None else quote(has)}, not {' or '.join(map(quote, wanted))}"
            for name, wanted, has in asked
            if wanted is not None and has not in wanted
        ]
        return ", and ".join(wrong)


def _check(value: object) -> object:
    if value == "approved" or isinstance(value, VersionRule):
        return value
    if isinstance(value, Mapping):
        if all(each is None for each in value.values()):
            raise fault(f"asks for nothing. {_WAY_OUT}.")
        return value
    if not isinstance(value, list | tuple):
        near = did_you_mean(value, ("approved",))
        raise fault(f"{quote(value)} is not a choice of versions.{near} {_WAY_OUT}.")
    return _check_numbers(value)


def _check_numbers(value: list[Any] | tuple[Any, ...]) -> object:
    if not value:
        raise fault(f"the list is empty, so nothing would be shared. {_WAY_OUT}.")
    if len(value) > _MOST_VERSIONS:
        raise fault(f"has {len(value)} versions. Write {_MOST_VERSIONS} or fewer, or approved.")
    wrong = [
        item
        for item in value
        if isinstance(item, bool) or not isinstance(item, int) or not 1 <= item <= LAST_VERSION
    ]
    if wrong:
        raise fault(
            f"{quote(wrong[0])} is not a version number: versions are whole numbers from 1 to {LAST_VERSION}. {_WAY_OUT}."
        )
    twice = [item for place, item in enumerate(value) if item in value[:place]]
    if twice:
        raise fault(f"version {twice[0]} is listed twice. Name it once.")
    return value


RULE_TAG = "rule"  # a step of pydantic's path that no file has


def _kind(value: object) -> str:
    return RULE_TAG if isinstance(value, Mapping | VersionRule) else "listed"


def _schema(of_type: dict[str, Any]) -> dict[str, Any]:
    numbers = {
        "type": "array",
        "items": {"type": "integer", "minimum": 1, "maximum": LAST_VERSION},
        "minItems": 1,
        "maxItems": _MOST_VERSIONS,
        "uniqueItems": True,
    }
    (rule,) = (each for each in of_type["oneOf"] if "$ref" in each)
    asking = {"allOf": [rule], "not": {"additionalProperties": {"type": "null"}}}
    return {"oneOf": [{"const": "approved"}, numbers, asking]}


Versions = Annotated[
    Annotated[Literal["approved"] | tuple[int, ...], Tag("listed")] | Annotated[VersionRule, Tag(RULE_TAG)],
    Discriminator(_kind),
    Check(_check, schema=_schema),
]
