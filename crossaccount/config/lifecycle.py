"""What the registry is told of a version as its promotion goes on: the stage that it is then in, for each stage of the promotion.

Not here: telling it (``registry.lifecycle``).

Source: ModelLifeCycle in botocore's model of SageMaker.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from crossaccount.config.choice import WORD_SCHEMA, check_word
from crossaccount.config.values import (
    PRINTABLE,
    Check,
    Complaint,
    FrozenModel,
    check_text,
    describe,
    exactly,
    fault,
    texts,
)
from crossaccount.text import quote

_MOST_DESCRIBED = 1024
_LAST = 1000  # as for a consumer's stage
_EXAMPLE = "{1: {stage: Staging, status: Approved}}"


def _description(value: object) -> str:
    text = check_text(value, "served in staging")
    if len(text) <= _MOST_DESCRIBED and text.isprintable():
        return text
    raise fault(
        f"{quote(text)} cannot describe a stage: one line of up to {_MOST_DESCRIBED} characters. Shorten it."
    )


class LifeCycle(FrozenModel):
    """A version's ModelLifeCycle: its stage, the status of that, and a description, which is left as it is without one."""

    stage: Annotated[str, Check(check_word, schema=WORD_SCHEMA)] = Field(
        description="the Stage that a version is then in", examples=["Staging"]
    )
    status: Annotated[str, Check(check_word, schema=WORD_SCHEMA)] = Field(
        description="the status of that stage (StageStatus)", examples=["Approved"]
    )
    description: (
        Annotated[str, Check(_description, schema=texts(rf"{PRINTABLE}+", most=_MOST_DESCRIBED))] | None
    ) = Field(default=None, description="what the registry has as the stage's description")

    def __str__(self) -> str:
        """In a few words."""
        return f"stage {self.stage} ({self.status})"


def _is_stage(key: object) -> bool:
    return bool(re.fullmatch("[1-9][0-9]{0,3}", str(key))) and int(str(key)) <= _LAST


def _mapping(value: object) -> object:
    if not isinstance(value, Mapping):
        raise fault(
            f"{describe(value)}. Write a mapping from a stage of the promotion to what the registry is told, for example {_EXAMPLE}."
        )
    if wrong := [key for key in value if not _is_stage(key)]:
        raise fault(
            f"{quote(wrong[0])} is no stage of a promotion: these are the numbers of consumers.NAME.stage, from 1 to {_LAST}. Write for example "
            f"{_EXAMPLE}."
        )
    return value


def _schema(of_type: dict[str, Any]) -> dict[str, Any]:
    names = {"pattern": exactly("[1-9][0-9]{0,2}|1000")}
    return {"type": "object", "propertyNames": names, "additionalProperties": of_type["additionalProperties"]}


LifeCycles = Annotated[
    dict[int, LifeCycle],
    Check(_mapping, schema=_schema),
    AfterValidator(lambda found: dict(sorted(found.items()))),
]


def lifecycle_disagreements(data: Mapping[str, Any]) -> Iterator[Complaint]:
    """Stages of the promotion that no consumer has, and stages of the registry that take a version out of ``versions``."""
    told, consumers, versions = data.get("lifecycle"), data.get("consumers"), data.get("versions")
    if not isinstance(told, Mapping):
        return
    entries = consumers.values() if isinstance(consumers, Mapping) else ()
    stages = {str(each.get("stage") or 1) for each in entries if isinstance(each, Mapping)}
    for number, entry in told.items():
        path = ("lifecycle", number)
        if stages and str(number) not in stages and _is_stage(number):
            sentence = f"no consumer has the stage {quote(str(number))}, so nothing is ever told. Write one of {', '.join(sorted(stages))}, or delete it."
            yield path, number, sentence
        if isinstance(entry, Mapping) and isinstance(versions, Mapping):
            for key, of_rule in (("stage", "stage"), ("status", "stage_status")):
                wanted = versions.get(of_rule)
                words = wanted if isinstance(wanted, list | tuple) else [wanted]
                if wanted is not None and isinstance(entry.get(key), str) and entry[key] not in words:
                    sentence = (
                        f"{quote(entry[key])} takes a version out of versions.{of_rule} as soon as it is promoted. Add it there, or choose versions "
                        "by another key."
                    )
                    yield (*path, key), entry[key], sentence
