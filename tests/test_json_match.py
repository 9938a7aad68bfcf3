"""Paths and schemas of JSON: which are read, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from crossaccount.json_match import follow_path, parse_path, schema_fault

LIST = {"type": "array", "minItems": 1, "items": {"type": "integer"}}
IN_A_CIRCLE = {"$ref": "#"}


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("a", ("a",)),
        ("$", ()),
        ("$.a", ("a",)),
        ("$[0]", (0,)),
        ("[0][12]", (0, 12)),
        ("a.b-c.d_e[3].f", ("a", "b-c", "d_e", 3, "f")),
        ("a.0", ("a", "0")),
        ('a."0.5"', ("a", "0.5")),
        ('a["0.5"][1]', ("a", "0.5", 1)),
        ("a['mean value'].b", ("a", "mean value", "b")),
        ("a['it\\'s']", ("a", "it's")),
        ('"a.b".c', ("a.b", "c")),
        ('["a"]', ("a",)),
        ('$."a b"', ("a b",)),
        ('$["$"]', ("$",)),
        ('"\\u00e4\\"]["', ('\u00e4"][',)),
        ('a[""]', ("a", "")),
    ],
)
def test_a_path_is_names_and_places(path: str, steps: tuple[Any, ...]) -> None:
    assert parse_path(path) == steps


@pytest.mark.parametrize(
    "path", ["", ".a", "$a", "a.", "a..b", "a[", "a[]", "a[-1]", "a[*]", "a[0]b", "a b", "..a", "$..a", "a[0:1]", "a['b", "a['b'", 'a"b"', '"a""b"', 'a."b', 'a["b"]c', '["a" ]', '"\\x"', "gr\u00f6\u00dfe", "a:0", "*", "a[?(@.x)]"]
)  # fmt: skip
def test_what_is_no_path(path: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_path(path)


@pytest.mark.parametrize("path", ["a b", "a.b c", "output:0", "gr\u00f6\u00dfe"])
def test_a_key_that_must_be_quoted_is_told_with_how(path: str) -> None:
    with pytest.raises(ValueError, match="stands in quotes"):
        parse_path(path)


DATA = {"a": {"b.c": 1, "b": {"d": 2}}, "x.y": {"z": 3}, "x": {"y.z": 4}, "q.0.5": [5], "l": [{"m.n": 6}]}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a.b.d", [2]),
        ("a.b.c", [1]),
        ('a."b.c"', [1]),
        ('a."b".c', []),
        ("x.y.z", [3, 4]),
        ('"x.y".z', [3]),
        ('x."y.z"', [4]),
        ("q.0.5", [[5]]),
        ("q.0.5[0]", [5]),
        ("l[0].m.n", [6]),
        ("l[0].m", []),
        ("l[1].m.n", []),
        ("a.b", [{"d": 2}]),
        ("a.b.c.d", []),
    ],
)
def test_a_path_is_taken_as_it_stands_first_and_then_with_dots_in_its_keys(
    path: str, found: list[Any]
) -> None:
    values = follow_path(DATA, parse_path(path))
    assert sorted(values, key=str) == sorted(found, key=str)


def test_a_path_of_many_dots_is_followed_soon() -> None:
    """Each part of the data is looked at once at most, whatever its keys are."""
    text = "1"
    for _ in range(14):
        text = f'{{"a": {text}, "a.a": {text}}}'
    assert follow_path(json.loads(text), parse_path(".".join("a" * 500))) == []


@pytest.mark.parametrize(
    ("schema", "fault"),
    [
        (LIST, None),
        (True, None),
        (IN_A_CIRCLE, None),
        ([], "neither a mapping"),
        ("array", "neither a mapping"),
        ({"type": "list"}, "list"),
        ({"minItems": -1}, "-1"),
        ({"$ref": "https://example.com/schema.json"}, "leads out of it"),
        ({"items": {"$ref": "file:///etc/passwd"}}, "leads out of it"),
        ({"properties": {"a": {"$ref": "other.json#/a"}}}, "leads out of it"),
        ({"pattern": "("}, "regex"),
        ({"items": {"patternProperties": {"[": {}}}}, "regex"),
        ({"const": {"pattern": "("}}, None),
    ],
)
def test_a_schema_is_checked_and_leads_nowhere_else(schema: Any, fault: str | None) -> None:
    found = schema_fault(schema)
    assert (found is None) == (fault is None)
    assert (fault or "") in (found or "")
