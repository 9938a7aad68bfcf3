"""Patterns with the wildcards ``*`` and ``?``: whether a text fits one, and texts that tell several of them apart.

Pure functions. Not here: what is compared in a policy (``conditions``, ``standing``).

Source: "IAM policy elements: Variables and tags" in the IAM user guide (``${*}``, a variable's default value).
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, count

_STAR, _ONE = "any text", "any character"  # in a glob's tokens, beside single characters
_STEPS = 300_000  # from a place in a pattern to the next; past them nothing is said
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_WITH_DEFAULT = re.compile(r"\s*([^,'\s]+)\s*,\s*'([^']*)'\s*")

Values = Callable[[str], "str | None"]


@dataclass(frozen=True)
class Glob:
    """A pattern, as characters and wildcards; ``sure`` is False where a variable without a known value stands in it."""

    tokens: tuple[str, ...]
    sure: bool = True

    def fits(self, text: str) -> bool | None:
        """Whether the whole text fits; None where only a variable's value could tell."""
        if _expression(self).fullmatch(text) is None:
            return False
        return True if self.sure else None


def literal(text: str) -> Glob:
    """The pattern that a text alone fits."""
    return Glob(tuple(text))


def glob(text: str, values: Values | None = None) -> Glob:
    """A pattern as policies write it.

    Args:
        text: the pattern.
        values: the value of a policy variable (in lower case), None for an unknown one; without it there are no variables, as
            in documents of the Version 2008-10-17.
    """
    if values is None or "${" not in text:
        return _plain(text)
    tokens: list[str] = []
    sure, position = True, 0
    for match in _VARIABLE.finditer(text):
        tokens += _wild(text[position : match.start()])
        position = match.end()
        value = _value(match[1], values)
        tokens += [_STAR] if value is None else list(value)
        sure = sure and value is not None
    return Glob((*tokens, *_wild(text[position:])), sure)


@lru_cache(maxsize=16384)
def _plain(text: str) -> Glob:
    return Glob(tuple(_wild(text)))


def filled(text: str, values: Values | None) -> str | None:
    """A text with its policy variables filled in; None where the value of one is not known."""
    if values is None:
        return text
    pieces, position = [], 0
    for match in _VARIABLE.finditer(text):
        value = _value(match[1], values)
        if value is None:
            return None
        pieces += [text[position : match.start()], value]
        position = match.end()
    return "".join(pieces) + text[position:]


def _value(inner: str, values: Values | None) -> str | None:
    if inner in ("*", "?", "$"):
        return inner
    assert values is not None
    defaulted = _WITH_DEFAULT.fullmatch(inner)
    return values((defaulted[1] if defaulted else inner).lower())


def _wild(text: str) -> Iterator[str]:
    for character in text:
        yield {"*": _STAR, "?": _ONE}.get(character, character)


@lru_cache(maxsize=16384)
def _expression(pattern: Glob) -> re.Pattern[str]:
    chunks = [""]
    for token in pattern.tokens:
        if token == _STAR:
            chunks.append("")
        else:
            chunks[-1] += "." if token == _ONE else re.escape(token)
    first, *rest = chunks
    if not rest:
        return re.compile(first, re.DOTALL)
    # The earliest place for a piece is always right, so none is tried twice: time stays in proportion.
    middle = "".join(f"(?>.*?{chunk})" for chunk in rest[:-1] if chunk)
    return re.compile(f"{first}{middle}.*{rest[-1]}", re.DOTALL)


def examples(within: Glob, telling: Iterable[Glob]) -> tuple[str, ...] | None:
    """Texts that fit ``within``: one, a shortest, for each set of the other patterns that any text of it fits together.

    None where the patterns are too many or too wild to go through them all.
    """
    return _examples((within, *dict.fromkeys(telling)))


@lru_cache(maxsize=4096)
def _examples(patterns: tuple[Glob, ...]) -> tuple[str, ...] | None:
    literals = {token for each in patterns for token in each.tokens if len(token) == 1}
    other = next(each for each in map(chr, chain(b"xyz", count(0x100))) if each not in literals)
    start = tuple(_opened(each.tokens, {0}) for each in patterns)
    queue, seen = deque([(start, "")]), {start}
    found: dict[tuple[bool, ...], str] = {}
    steps = 0
    while queue:
        states, text = queue.popleft()
        fitting = tuple(len(each.tokens) in state for each, state in zip(patterns, states, strict=True))
        if fitting[0]:
            found.setdefault(fitting, text)
        characters = (other, *sorted({*_expected(patterns, states)}))
        steps += len(characters) * sum(map(len, states))
        if steps > _STEPS:
            return None
        for character in characters:
            after = tuple(
                _after(each.tokens, state, character) for each, state in zip(patterns, states, strict=True)
            )
            if after[0] and after not in seen:
                seen.add(after)
                queue.append((after, text + character))
    return tuple(found.values())


_Places = frozenset[int]


def _expected(patterns: Sequence[Glob], states: Sequence[_Places]) -> Iterator[str]:
    """The characters that some pattern has at a place where it stands."""
    for each, state in zip(patterns, states, strict=True):
        yield from (
            each.tokens[place] for place in state if place < len(each.tokens) and len(each.tokens[place]) == 1
        )


def _after(tokens: tuple[str, ...], places: _Places, character: str) -> _Places:
    """The places in a pattern after one more character."""
    if not places:
        return places
    moved = set()
    for place in places:
        token = tokens[place] if place < len(tokens) else ""
        if token == _STAR:
            moved.add(place)
        elif token in (_ONE, character):
            moved.add(place + 1)
    return _opened(tokens, moved)


def _opened(tokens: tuple[str, ...], places: set[int]) -> _Places:
    """The places, and those behind a ``*`` that stands for nothing."""
    for place in sorted(places):
        while place < len(tokens) and tokens[place] == _STAR:
            place += 1
            places.add(place)
    return frozenset(places)
