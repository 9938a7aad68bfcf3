"""Paths and schemas of JSON: which are read, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from crossaccount.json_match import parse_path, schema_fault

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
    ],
)
def test_a_path_is_names_and_places(path: str, steps: tuple[Any, ...]) -> None:
    assert parse_path(path) == steps


@pytest.mark.parametrize(
    "path", ["", ".a", "$a", "a.", "a..b", "a[", "a[]", "a[-1]", "a[*]", "a[0]b", "a b", "..a", "$..a", "a[0:1]", "a['b']", "*", "a[?(@.x)]"]
)  # fmt: skip
def test_what_is_no_path(path: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_path(path)


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
    ],
)
def test_a_schema_is_checked_and_leads_nowhere_else(schema: Any, fault: str | None) -> None:
    found = schema_fault(schema)
    assert (found is None) == (fault is None)
    assert (fault or "") in (found or "")
