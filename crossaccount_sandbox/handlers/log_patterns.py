"""Filter patterns of CloudWatch Logs: terms, phrases, what is not to be there, and one regular expression.

Not here: patterns of JSON and of fields between blanks, which are refused.

Source: "Filter pattern syntax for metric filters, subscription filters, filter log events, and Live Tail" in the CloudWatch Logs
user guide; the text about characters from public reports.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from crossaccount_sandbox.wire import AwsError

Fits = Callable[[str], bool]
_TERM = re.compile(r'\s*([?-]?)(?:"((?:[^"\\]|\\.)*)"|(\w+))(?=\s|$)', re.ASCII)
_REGEX = re.compile(r"%([A-Za-z0-9:_#=@/;,\-^$?\[\]{}|\\*+.]+)%")


class _Term(NamedTuple):
    sign: str
    pattern: re.Pattern[str]


def fits(pattern: str) -> Fits:
    """Whether a message is one that the pattern matches: it has every term, none with a minus, and any with a question mark.

    Raises:
        AwsError: ``InvalidParameterException`` for a pattern that is none, or of a kind that the sandbox does not know.
    """
    text = pattern.strip()
    if not text:
        return lambda message: True
    if text[0] in "{[":
        known = "filter patterns of terms, or of one regular expression, and none of JSON or of fields"
        raise _invalid(f"The sandbox knows {known}: {text}")
    if (match := _REGEX.fullmatch(text)) is not None:
        return _by_expression(match[1])
    terms = _terms(text)
    every = [term.pattern for term in terms if term.sign == ""]
    none = [term.pattern for term in terms if term.sign == "-"]
    some = [term.pattern for term in terms if term.sign == "?"]

    def matches(message: str) -> bool:
        return (
            all(each.search(message) for each in every)
            and not any(each.search(message) for each in none)
            and (not some or bool(every) or any(each.search(message) for each in some))
        )

    return matches


def _by_expression(expression: str) -> Fits:
    try:
        compiled = re.compile(expression)
    except re.error:
        raise _invalid(f"Invalid regular expression in term '{expression}'") from None
    return lambda message: compiled.search(message) is not None


def _terms(text: str) -> list[_Term]:
    terms, place = [], 0
    while place < len(text):
        match = _TERM.match(text, place)
        if match is None:
            rest = re.match(r"\s*[?-]?\w*", text[place:], re.ASCII)
            at = place + (rest.end() if rest else 0)
            raise _invalid(f"Invalid character(s) in term '{text[at : at + 1]}'")
        phrase = match[3] if match[2] is None else re.sub(r"\\(.)", r"\1", match[2])
        terms.append(_Term(match[1], _whole(phrase)))
        place = match.end()
    return terms


def _whole(phrase: str) -> re.Pattern[str]:
    """The phrase, where it does not begin or end within a word."""
    before = r"(?<!\w)" if phrase[:1].isalnum() else ""
    after = r"(?!\w)" if phrase[-1:].isalnum() else ""
    return re.compile(before + re.escape(phrase) + after)


def _invalid(text: str) -> AwsError:
    return AwsError("InvalidParameterException", text)
