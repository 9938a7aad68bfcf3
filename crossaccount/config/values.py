"""Values of single keys: the models' base, the path of a key, and checks of numbers, choices and lists.

A check takes the value of YAML and returns the model's, or raises a sentence. Not here: AWS's identifiers (``identifiers``).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError

from crossaccount.text import did_you_mean, quote

KeyPath = tuple[str | int, ...]
# The key's path, the value that stands there, and a sentence that ends in the way out.
Complaint = tuple[KeyPath, object, str]


class FrozenModel(BaseModel):
    """A model that is not changed after it was read, and knows every key it may have."""

    # `Sharing` alone is built: the models that it is made of need no validators of their own.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, ser_json_inf_nan="constants")


@dataclass(frozen=True)
class Check(BeforeValidator):
    """The check of a value, and what JSON Schema can say of it.

    ``schema`` is added to the schema of the type that is checked, or is a function from that one to another.
    """

    schema: Mapping[str, Any] | Callable[[dict[str, Any]], dict[str, Any]] = field(
        default_factory=dict, hash=False
    )

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """The schema of the type, with what the check says."""
        of_type = handler(core_schema)
        return self.schema(of_type) if callable(self.schema) else {**of_type, **self.schema}


# Python's isprintable(), as far as a pattern says it in every dialect: neither control characters nor odd blanks.
_UNPRINTABLE = (
    r"\u0000-\u001f\u007f-\u00a0\u00ad\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ud800-\uf8ff\ufeff"
)
PRINTABLE = rf"[^{_UNPRINTABLE}]"


def exactly(pattern: str) -> str:
    """The pattern of a whole text, for JSON Schema, whose patterns match anywhere; Python's ``$`` also matches before a line break."""
    return rf"^(?:{pattern})(?!\n)$"


def in_ascii(pattern: str) -> str:
    r"""The pattern with what its ``\\w`` and ``\\s`` mean under re.ASCII, as JSON Schema has no flags."""
    return pattern.replace(r"\"", '"').replace(r"\w", "A-Za-z0-9_").replace(r"\s", r"[ \t\n\r\f\v]")


def texts(pattern: str, least: int = 0, most: int | None = None, never: str | None = None) -> dict[str, Any]:
    """The JSON schema of text that is not blank, is of this pattern as a whole, and has nothing in it that ``never`` matches."""
    also = [r"\S"] if re.fullmatch(pattern, " ") else []
    also += [f"^(?!.*(?:{never}))"] if never else []
    return {
        "type": "string",
        **({"minLength": least} if least else {}),
        **({} if most is None else {"maxLength": most}),
        "pattern": exactly(pattern),
        **({"allOf": [{"pattern": each} for each in also]} if also else {}),
    }


def dotted(path: KeyPath) -> str:
    """Write the path as in `consumers.staging.smoke[0].body`, with a key that reads badly in quotes."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += "." + (part if re.fullmatch(r"[\w -]{1,80}", part) else quote(part))
    return text.removeprefix(".")


def fault(sentence: str) -> PydanticCustomError:
    """The error of a check: one sentence that ends in the way out."""
    return PydanticCustomError("fault", "{sentence}", {"sentence": sentence})


_KINDS = {bool: "a true-or-false value", int: "a number", float: "a number", str: "text"}
_KINDS |= {type(None): "empty", list: "a list", tuple: "a list"}


def kind_of(value: object) -> str:
    """The kind of a value, in the words of a message."""
    return _KINDS.get(type(value), "a mapping")


def describe(value: object) -> str:
    """The beginning of a message about a value of the wrong kind."""
    return f"{quote(value)} is {kind_of(value)}"


def missing(model: type[BaseModel], key: str, more: str = "") -> str:
    """The sentence for a key that is not there, with its description and its example; `more` ends it."""
    about = model.model_fields[key]
    return f"is missing: {about.description}. Add it, for example {key}: {(about.examples or [''])[0]}{more}"


def check_text(value: object, example: str) -> str:
    """Return text that is not blank.

    Raises:
        PydanticCustomError: for anything else, with `example` as the way out.
    """
    if isinstance(value, str) and value.strip():
        return value
    if value is None or value == "":
        raise fault(f"has no value. Write one, for example {example}.")
    if isinstance(value, bool | int | float):
        raise fault(f'{describe(value)}, but text is needed. Put it in quotes: "{quote(value)}".')
    raise fault(f"{describe(value)}, but text is needed. Write for example {example}.")


def whole(low: int, high: int, what: str) -> Check:
    """Make the check of a whole number of something within bounds."""

    def check(value: object) -> object:
        if isinstance(value, bool) or not isinstance(value, int):
            raise fault(
                f"{describe(value)}. Write a whole number of {what} from {low} to {high}, without quotes."
            )
        if not low <= value <= high:
            raise fault(
                f"{quote(value)} is out of bounds. Write a whole number of {what} from {low} to {high}."
            )
        return value

    return Check(check, schema={"minimum": low, "maximum": high})


def choice(what: str, literal: object) -> BeforeValidator:
    """Make the check of one word out of those of a Literal."""
    known: tuple[str, ...] = get_args(literal)

    def check(value: object) -> object:
        if value in known:
            return value
        near = did_you_mean(value, known)
        raise fault(f"{quote(value)} is not a {what}.{near} Write {', '.join(known[:-1])} or {known[-1]}.")

    return BeforeValidator(check)


def items(what: str, example: str, most: int, least: int = 1) -> Check:
    """Make the check of a list that is neither too short nor too long, and names nothing twice."""

    def check(value: object) -> object:
        if not isinstance(value, list | tuple):
            raise fault(f"{describe(value)}. Write a list of {what}, for example [{example}].")
        if not least <= len(value) <= most:
            raise fault(f"has {len(value)} {what}. Write {least} to {most} of them, for example [{example}].")
        typed = [(isinstance(item, bool), item) for item in value]  # 1 is not true
        twice = [item for place, (_, item) in enumerate(typed) if typed[place] in typed[:place]]
        if twice:
            raise fault(f"{quote(twice[0])} is listed twice. Name it once.")
        return value

    return Check(check, schema={"minItems": least, "maxItems": most, "uniqueItems": True})


def _positive(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise fault(f"{describe(value)}. Write a number above 0, without quotes.")
    if not 0 < value < 1e300:
        raise fault(f"{quote(value)} is out of bounds. Write a number above 0.")
    return float(value)


def _flag(value: object) -> object:
    if isinstance(value, bool):
        return value
    raise fault(f"{describe(value)}. Write true or false, without quotes.")


Positive = Annotated[float, Check(_positive, schema={"exclusiveMinimum": 0, "exclusiveMaximum": 1e300})]
Flag = Annotated[bool, BeforeValidator(_flag)]


def sound(data: object, key: str, check: Callable[[object], str]) -> str | None:
    """The value of `key` where it is sound by itself; None for one that is not, which has its own complaint."""
    if not isinstance(data, Mapping) or data.get(key) is None:
        return None
    try:
        return str(check(data[key]))
    except PydanticCustomError:
        return None
