"""Wildcards and policy variables: whether a text fits a pattern, and a pattern with its variables filled in.

Not here: which texts are compared (``statements``, ``conditions``).
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

# Stand-ins for * and ? that are meant as they are written.
_STAR, _MARK = "\x00", "\x01"


@lru_cache(maxsize=16384)
def glob(pattern: str) -> Callable[[str], bool]:
    """A test whether a whole text fits a pattern of ``*`` and ``?``."""
    expression = re.compile(_unbounded(pattern), re.DOTALL)
    return lambda text: expression.fullmatch(text) is not None


def _unbounded(pattern: str) -> str:
    first, *rest = [_characters(chunk, ".") for chunk in re.split(r"\*+", pattern)]
    if not rest:
        return first
    # The earliest place for a chunk is always right, so none is tried twice: time stays in proportion.
    return first + "".join(f"(?>.*?{chunk})" for chunk in rest[:-1]) + ".*" + rest[-1]


def _characters(text: str, any_one: str) -> str:
    escaped = re.escape(text).replace(r"\?", any_one)
    return escaped.replace(re.escape(_STAR), r"\*").replace(re.escape(_MARK), r"\?")


@lru_cache(maxsize=65536)
def resource_like(pattern: str, resource: str) -> bool:
    """True when a resource fits a pattern of a Resource element."""
    return pattern == "*" or _arn_pattern(pattern).fullmatch(resource) is not None


@lru_cache(maxsize=16384)
def _arn_pattern(pattern: str) -> re.Pattern[str]:
    """A Resource pattern: wildcards stay within a segment, but ``*`` at its end may reach past the colon.

    Source: "Using wildcards in resource ARNs" in "IAM JSON policy elements: Resource".
    """
    parts = pattern.split(":", 5)
    tail = ":" + _unbounded(parts.pop()) if len(parts) == 6 else ""
    segments = []
    for part in parts:
        body, star = (part.rstrip("*"), ".*") if part.endswith("*") else (part, "")
        segments.append("[^:]*".join(_characters(chunk, "[^:]") for chunk in re.split(r"\*+", body)) + star)
    return re.compile(":".join(segments) + tail, re.DOTALL)


@lru_cache(maxsize=65536)
def arn_like(pattern: str, value: str) -> bool | None:
    """True when an ARN fits a pattern, part by part; None for a pattern that is no ARN's, a lone ``*`` among them."""
    wanted, given = pattern.split(":", 5), value.split(":", 5)
    if len(wanted) < 6 or not glob(wanted[0])("arn"):
        return None
    return len(given) == 6 and all(glob(want)(have) for want, have in zip(wanted, given, strict=True))


_VARIABLE = re.compile(r"\$\{([^}]*)\}")
# A comma and a blank stand before a default. Source: "IAM policy elements: Variables and tags" in the IAM user guide.
_WITH_DEFAULT = re.compile(r"([^,'\s]+), '([^']*)'")


def resolve(text: str, context: Mapping[str, tuple[str, ...]], *, escape: bool) -> str | None:
    """A text with its policy variables filled in; None when one has no value.

    Args:
        text: what the policy says.
        context: the request's keys, in lower case.
        escape: the text is a pattern: what is filled in stands for itself.
    """
    pieces, position = [], 0
    for match in _VARIABLE.finditer(text):
        value = _variable(match[1], context)
        if value is None:
            return None
        if escape:
            value = value.replace("*", _STAR).replace("?", _MARK)
        pieces += [text[position : match.start()], value]
        position = match.end()
    rest = text[position:]
    return None if "${" in rest else "".join(pieces) + rest


def _variable(inner: str, context: Mapping[str, tuple[str, ...]]) -> str | None:
    if inner in ("*", "?", "$"):
        return inner
    defaulted = _WITH_DEFAULT.fullmatch(inner)
    values = context.get((defaulted[1] if defaulted else inner).lower(), ())
    if len(values) == 1:  # a key with several values cannot be a variable
        return values[0]
    return defaulted[2] if defaulted and not values else None
