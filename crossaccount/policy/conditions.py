"""Conditions of others' statements, judged by what is known of a request: they hold, they do not, or nobody here can tell.

Pure functions. Not here: the other elements of a statement (``standing``).

Source: "IAM JSON policy elements: Condition operators", "Multivalued context keys" and "AWS global condition context keys" in
the IAM user guide.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from crossaccount.policy.documents import listed
from crossaccount.policy.globs import Glob, Values, filled, glob

# How a client of AWS asks, though one may ask otherwise: over TLS, and KMS by way of S3.
USUAL = frozenset({"aws:securetransport", "kms:viaservice"})
# Services whose keys are in their own requests alone; others' may come with a caller's session.
_SERVICES = frozenset({"ecr", "kms", "s3", "sagemaker"})
_TIMES = frozenset({"aws:currenttime", "aws:epochtime"})
_END_OF_TIME = datetime(9999, 1, 1, tzinfo=UTC)

Verdict = bool | None


@dataclass(frozen=True)
class Known:
    """What is known of a request.

    ``keys`` has condition keys in lower case: each with the values that it may have, one after the other those that are possible,
    an empty one where the key is absent. A key that is not in it is unknown, but for keys of services that another ``service``
    does not have. ``now`` is the time.
    """

    keys: Mapping[str, tuple[tuple[str, ...], ...]]
    now: datetime
    service: str

    def possible(self, name: str) -> tuple[tuple[str, ...], ...] | None:
        """The values that a key may have; None where they are not known."""
        prefix = name.partition(":")[0]
        return ((),) if prefix in _SERVICES and prefix != self.service else self.keys.get(name)

    def value(self, name: str) -> str | None:
        """The one value of a key, for a policy variable; None where it is not known."""
        possible = self.possible(name)
        return possible[0][0] if possible and len(possible) == 1 and len(possible[0]) == 1 else None


@dataclass(frozen=True)
class Doubt:
    """A condition that could not be judged: its key as it is written, and its values."""

    key: str
    values: tuple[str, ...]


def every(verdicts: Iterable[Verdict]) -> Verdict:
    """Whether all hold: no where one does not, whatever the others."""
    found = set(verdicts)
    return False if False in found else None if None in found else True


def some(verdicts: Iterable[Verdict]) -> Verdict:
    """Whether one holds: yes where one does, whatever the others."""
    found = set(verdicts)
    return True if True in found else None if None in found else False


def negated(verdict: Verdict) -> Verdict:
    """The opposite; what cannot be told stays so."""
    return None if verdict is None else not verdict


def holds(
    conditions: Mapping[str, Any], known: Known, *, denies: bool, variables: bool
) -> tuple[Verdict, tuple[Doubt, ...]]:
    """Whether all conditions of a statement hold, and those that could not be judged.

    Args:
        conditions: the statement's Condition.
        known: what is known of the request.
        denies: the statement is a Deny: what passes by itself, or a client may do otherwise, is held against it.
        variables: the document's Version knows policy variables.
    """
    judged = [
        (
            _key_holds(operator, key.lower(), listed(value), known, denies, variables),
            Doubt(key, _texts(value)),
        )
        for operator, keys in conditions.items()
        for key, value in keys.items()
    ]
    verdict = every(each for each, _ in judged)
    return verdict, tuple(doubt for each, doubt in judged if each is None) if verdict is None else ()


def _key_holds(
    operator: str, key: str, wanted: list[Any], known: Known, denies: bool, variables: bool
) -> Verdict:
    if key in _TIMES:
        now, later = (
            _test(operator, wanted, (_moment(key, moment),), None) for moment in (known.now, _END_OF_TIME)
        )
        # What shuts today and opens later by itself is neither.
        return None if now is denies and later is not denies else now
    possible = known.possible(key)
    if possible is None:
        return None
    values = known.value if variables else None
    verdicts = {_test(operator, wanted, given, values) for given in possible}
    verdict = verdicts.pop() if len(verdicts) == 1 else None
    return None if key in USUAL and verdict is False and not denies else verdict


def _moment(key: str, moment: datetime) -> str:
    return str(int(moment.timestamp())) if key == "aws:epochtime" else moment.isoformat()


def _test(operator: str, wanted: list[Any], given: tuple[str, ...], values: Values | None) -> Verdict:
    """Whether one key with the values ``given``, none where it is absent, passes an operator."""
    over, _, name = operator.lower().rpartition(":")
    if over not in ("", "forallvalues", "foranyvalue"):
        return None
    if name == "null":
        return _any_of(wanted, lambda text: _truth(text, str(not given)))
    base, if_exists = name.removesuffix("ifexists"), name.endswith("ifexists")
    opposite = base.replace("not", "", 1) if "not" in base else None
    compare = _COMPARISONS.get(opposite or base)
    if compare is None:
        return None
    if not given:
        # Whether ForAnyValue passes with IfExists is documented one way and was measured the other.
        absent = opposite is not None or over == "forallvalues"
        return (
            None if if_exists and over == "foranyvalue" else if_exists or (absent and over != "foranyvalue")
        )

    def passes(value: str) -> Verdict:
        equal = _any_of(wanted, lambda text: compare(text, value, values))
        return equal if opposite is None else negated(equal)

    verdicts = [passes(value) for value in given]
    return every(verdicts) if over == "forallvalues" else some(verdicts)


def _any_of(wanted: list[Any], test: Callable[[str], Verdict]) -> Verdict:
    return some(test(text) for text in _texts(wanted))


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(str(each).lower() if isinstance(each, bool) else str(each) for each in listed(value))


_Compare = Callable[[str, str, "Values | None"], Verdict]


def _truth(wanted: str, given: str, values: Values | None = None) -> Verdict:
    return given.lower() == wanted.lower() if wanted.lower() in ("true", "false") else None


def _equal(wanted: str, given: str, values: Values | None) -> Verdict:
    text = filled(wanted, values)
    return None if text is None else text == given


def _equal_but_for_case(wanted: str, given: str, values: Values | None) -> Verdict:
    text = filled(wanted, values)
    return None if text is None else text.casefold() == given.casefold()


def _like(wanted: str, given: str, values: Values | None) -> Verdict:
    return glob(wanted, values).fits(given)


def _arn_like(wanted: str, given: str, values: Values | None) -> Verdict:
    """ARNs are compared part by part; what AWS makes of a pattern that is no ARN's is not documented."""
    patterns, parts = arn_parts(wanted), given.split(":", 5)
    if patterns is None or len(parts) < 6:
        return None
    return every(glob(pattern, values).fits(part) for pattern, part in zip(patterns, parts, strict=True))


def arn_parts(pattern: str) -> list[str] | None:
    """The six parts of an ARN's pattern; None for any other text."""
    parts = re.sub(r"\$\{[^}]*\}", lambda variable: variable[0].replace(":", "\0"), pattern).split(":", 5)
    return [part.replace("\0", ":") for part in parts] if len(parts) == 6 else None


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _seconds(text: str) -> Decimal | None:
    """A moment in seconds since 1970, from ISO 8601 (UTC where no zone is given) or that number itself."""
    if re.fullmatch(r"-?\d{5,15}", text):
        return Decimal(text)
    try:
        moment = datetime.fromisoformat(text + {4: "-01-01", 7: "-01"}.get(len(text), ""))
        return Decimal((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return None


def _ordered(read: Callable[[str], Decimal | None], test: Callable[[Decimal, Decimal], bool]) -> _Compare:
    def compare(wanted: str, given: str, values: Values | None) -> Verdict:
        left, right = read(given), read(wanted)
        return None if left is None or right is None else test(left, right)

    return compare


_COMPARISONS: dict[str, _Compare] = {
    "bool": _truth,
    "stringequals": _equal,
    "stringequalsignorecase": _equal_but_for_case,
    "stringlike": _like,
    "arnequals": _arn_like,
    "arnlike": _arn_like,
    **{
        f"{family}{name}": _ordered(read, test)
        for family, read in (("numeric", _number), ("date", _seconds))
        for name, test in (
            ("equals", lambda given, wanted: given == wanted),
            ("lessthan", lambda given, wanted: given < wanted),
            ("lessthanequals", lambda given, wanted: given <= wanted),
            ("greaterthan", lambda given, wanted: given > wanted),
            ("greaterthanequals", lambda given, wanted: given >= wanted),
        )
    },
}


def principal_arns(conditions: Mapping[str, Any], values: Values | None) -> list[Glob]:
    """The patterns of callers' ARNs in conditions on aws:PrincipalArn, of every operator."""
    return [
        glob(_as_written(text) if "ignorecase" in operator.lower() else text, values)
        for operator, keys in conditions.items()
        for key, value in keys.items()
        if key.lower() == "aws:principalarn"
        for text in _texts(value)
    ]


def _as_written(arn: str) -> str:
    """An ARN, whose case does not matter, with the parts in lower case that always are."""
    *head, resource = arn.split(":", 5)
    kind, slash, name = resource.partition("/")
    return ":".join([*(part.lower() for part in head), f"{kind.lower()}{slash}{name}"])
