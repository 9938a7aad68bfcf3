"""The Condition element: its operators, and whether all of it holds for a request.

Not here: the other elements of a statement (``statements``).

Open in the public record, and answered here against the caller: what becomes of a variable without a value (an Allow
that has one fails, a Deny is judged by its other values), whether ``ArnLike: "*"`` fits every ARN, and what a comparison
of a list says without a set operator.

Source: "IAM JSON policy elements: Condition operators" and "Multivalued context keys" in the IAM user guide; that
``ForAnyValue:...IfExists`` with an absent key does not match was measured by a reporter (re:Post, ListQueues with
``aws:TagKeys``).
"""

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from crossaccount_sandbox.judging.patterns import arn_like, glob, resolve
from crossaccount_sandbox.judging.request import Question, scalar_text

# Every comparison: the policy's value, the request's value -> equal or not; None when either cannot be read.
_Compare = Callable[[str, str], bool | None]


@dataclass(frozen=True)
class _Operator:
    compare: _Compare
    negated: bool = False
    pattern: bool = False
    variables: bool = False


def _numbers(compare: Callable[[Any, Any], bool], read: Callable[[str], Any]) -> _Compare:
    def compared(wanted: str, given: str) -> bool | None:
        left, right = read(given), read(wanted)
        return None if left is None or right is None else compare(left, right)

    return compared


@lru_cache(maxsize=4096)
def _number(text: str) -> Decimal | None:
    return Decimal(text) if re.fullmatch(r"[+-]?\d{1,300}(\.\d{1,300})?", text, re.ASCII) else None


_DATE = re.compile(r"\d{4}(-\d\d(-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?)?)?)?", re.ASCII)


@lru_cache(maxsize=4096)
def _date(text: str) -> Decimal | None:
    """A moment in seconds since 1970: ISO 8601 (UTC where no zone is given), or that number itself."""
    if re.fullmatch(r"-?\d{5,15}(\.\d{1,9})?", text, re.ASCII):
        return Decimal(text)
    if not _DATE.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text + {4: "-01-01", 7: "-01"}.get(len(text), ""))
        return Decimal(str((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()))
    except (ValueError, OverflowError):
        return None


def _truth(wanted: str, given: str) -> bool | None:
    wanted = wanted.lower()
    return given.lower() == wanted if wanted in ("true", "false") else None


def _bytes(wanted: str, given: str) -> bool | None:
    try:
        return base64.b64decode(wanted, validate=True) == base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        return None


@lru_cache(maxsize=65536)
def _address(wanted: str, given: str) -> bool | None:
    try:
        return ipaddress.ip_address(given) in ipaddress.ip_network(wanted, strict=False)
    except ValueError:
        return None


def _operators() -> dict[str, _Operator]:
    operators = {"bool": _Operator(_truth, variables=True), "binaryequals": _Operator(_bytes)}
    for family, test, compare, pattern in (
        ("string", "equals", lambda wanted, given: wanted == given, False),
        ("string", "equalsignorecase", lambda wanted, given: wanted.casefold() == given.casefold(), False),
        ("string", "like", lambda wanted, given: glob(wanted)(given), True),
        ("arn", "equals", arn_like, True),
        ("arn", "like", arn_like, True),
    ):
        operators[f"{family}{test}"] = _Operator(compare, False, pattern, True)
        operators[f"{family}not{test}"] = _Operator(compare, True, pattern, True)
    operators["ipaddress"], operators["notipaddress"] = _Operator(_address), _Operator(_address, negated=True)
    for family, read in (("numeric", _number), ("date", _date)):
        equal = _numbers(lambda left, right: left == right, read)
        operators[f"{family}equals"] = _Operator(equal)
        operators[f"{family}notequals"] = _Operator(equal, negated=True)
        operators[f"{family}lessthan"] = _Operator(_numbers(lambda left, right: left < right, read))
        operators[f"{family}lessthanequals"] = _Operator(_numbers(lambda left, right: left <= right, read))
        operators[f"{family}greaterthan"] = _Operator(_numbers(lambda left, right: left > right, read))
        operators[f"{family}greaterthanequals"] = _Operator(_numbers(lambda left, right: left >= right, read))
    return operators


_OPERATORS = _operators()


class _Test(NamedTuple):
    operator: _Operator | None  # None is the Null test
    over: str  # "forallvalues", "foranyvalue" or nothing
    if_exists: bool


@lru_cache(maxsize=1024)
def _test(name: str) -> _Test | None:
    """An operator by the name that a policy gives it; None when there is none."""
    over, colon, rest = name.lower().rpartition(":")
    if rest == "null" and not colon:
        return _Test(None, "", False)
    if colon and over not in ("forallvalues", "foranyvalue"):
        return None
    operator = _OPERATORS.get(rest.removesuffix("ifexists"))
    return None if operator is None else _Test(operator, over, rest.endswith("ifexists"))


def is_operator(name: str) -> bool:
    """True for the name of an operator that a policy's Condition may have."""
    return _test(name) is not None


def condition_holds(condition: object, question: Question, deny: bool, variables: bool) -> bool:
    """Every key of every operator must hold; what cannot be read holds for a Deny and fails for an Allow."""
    if not isinstance(condition, Mapping):
        return deny
    for name, keys in condition.items():
        test = _test(name) if isinstance(name, str) else None
        if test is None or not isinstance(keys, Mapping) or not keys:
            if deny:
                continue
            return False
        for key, value in keys.items():
            if not _key_holds(test, key, value, question, deny, variables):
                return False
    return True


def _key_holds(
    test: _Test, key: object, value: object, question: Question, deny: bool, variables: bool
) -> bool:
    values = _policy_values(value)
    if not isinstance(key, str) or not 0 < key.find(":") < len(key) - 1 or values is None:
        return deny
    name = key.lower()
    given = question.context.get(name, ())
    if not given and not deny and not _is_known(name):
        return False  # a key that nobody knows never turns into an Allow
    operator = test.operator
    if operator is None:
        wanted = [_truth(item, "false" if given else "true") for item in values]
        return deny if None in wanted and True not in wanted else True in wanted
    if given and test.over:
        given = tuple(item for item in given if item)  # a set of empty texts is an empty set
    if not given:
        if test.over == "foranyvalue":
            return False  # no value matches, with IfExists or without
        return test.if_exists or bool(test.over) or operator.negated
    if not test.over and (len(given) > 1 or _has_many_values(name)):
        return deny  # what such a comparison answers is nowhere said: it counts against the caller
    if variables and operator.variables:
        resolved = [
            resolve(item, question.context, escape=operator.pattern) if "${" in item else item
            for item in values
        ]
        if None in resolved and not deny:
            return False  # a variable without a value makes the statement invalid
        values = [item for item in resolved if item is not None]
    outcomes = (_value_holds(operator, values, item, deny) for item in given)
    return any(outcomes) if test.over == "foranyvalue" else all(outcomes)


def _value_holds(operator: _Operator, values: Sequence[str], given: str, deny: bool) -> bool:
    unsure = False
    for wanted in values:
        equal = operator.compare(wanted, given)
        if equal:
            return not operator.negated
        unsure = unsure or equal is None
    return deny if unsure else operator.negated


def _policy_values(value: object) -> Sequence[str] | None:
    if isinstance(value, str):
        return (value,)
    items = value if isinstance(value, list) else [value]
    if not items or not all(isinstance(item, (str, bool, int, float)) for item in items):
        return None
    return [scalar_text(item) for item in items]


# Source: "AWS global condition context keys" in the IAM user guide.
_GLOBAL_NAMES = """
    assumedroot calledvia calledviaawsmcp calledviafirst calledvialast chatbotsourcearn currenttime
    ec2instancesourceprivateipv4 ec2instancesourcevpc epochtime federatedprovider multifactorauthage
    multifactorauthpresent principalaccount principalarn principalisawsservice principalorgid
    principalorgpaths principalservicename principalservicenameslist principaltype referer requestedregion
    resourceaccount resourceorgid resourceorgpaths securetransport signinsessionarn sourceaccount sourcearn
    sourceidentity sourceip sourceorgid sourceorgpaths sourcevpc sourcevpcarn sourcevpce tagkeys
    tokenissuetime useragent userid username viaawsmcpservice viaawsservice vpceaccount vpceorgid vpceorgpaths
    vpcsourceip
"""
_GLOBAL_KEYS = frozenset(f"aws:{name}" for name in _GLOBAL_NAMES.split())
# Keys whose type is a list. Source: the global keys' page, and the Service Authorization Reference of each service.
_LISTS = """
    aws:calledvia aws:principalorgpaths aws:principalservicenameslist aws:resourceorgpaths aws:sourceorgpaths
    aws:tagkeys aws:vpceorgpaths cloudformation:importresourcetypes cloudformation:resourcetypes
    cloudwatch:alarmactions kms:encryptioncontextkeys kms:grantoperations kms:resourcealiases
    s3:requestobjecttagkeys sagemaker:acceleratortypes sagemaker:customermetadatapropertiestoremove
    sagemaker:imagearns sagemaker:imageversionarns sagemaker:instancetypes sagemaker:vpcsecuritygroupids
    sagemaker:vpcsubnets sts:transitivetagkeys
"""
_LIST_KEYS = frozenset(_LISTS.split())
_TAG_KEYS = ("aws:principaltag/", "aws:requesttag/", "aws:resourcetag/")


def _is_known(key: str) -> bool:
    """True for a global key that AWS has, and for every key of a service, whose keys are not listed here."""
    return not key.startswith("aws:") or key in _GLOBAL_KEYS or (key.startswith(_TAG_KEYS) and key[-1] != "/")


def _has_many_values(key: str) -> bool:
    """True for a key that holds a list, also where the list of this request has one value."""
    return key in _LIST_KEYS
