"""The README and ``docs/`` are short, in order, and name only what is there."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
README_WORDS = 1000
PAGE_WORDS = 1200
README_SECTIONS = [
    "See it work",
    "Install",
    "Point it at your accounts",
    "Commands and exit codes",
    "What is granted",
    "From Prefect",
    "Limits",
    "Where to read on",
]


def _tests() -> tuple[set[str], Counter[str]]:
    """The names of the test files, and how often each test function is defined."""
    files = list((ROOT / "tests").rglob("test_*.py"))
    functions = (
        name for file in files for name in re.findall(r"^ *def (test_\w+)", file.read_text(), re.MULTILINE)
    )
    return {file.name for file in files}, Counter(functions)


def test_a_page_is_short(page: Any) -> None:
    limit = README_WORDS if page.name == "README.md" else PAGE_WORDS
    assert len(page.text.split()) < limit


def test_the_readme_says_what_it_is_first_and_then_all_else_in_order(readme: Any) -> None:
    introduction, *sections = re.split(r"^## ", readme.text, flags=re.MULTILINE)
    assert "producer account" in introduction
    assert "consumer account" in introduction
    assert [section.partition("\n")[0] for section in sections] == README_SECTIONS


def test_a_link_leads_somewhere(page: Any) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.text):
        if "://" not in target:
            assert ((ROOT / page.name).parent / target).exists(), f"{page.name}: {target}"


def test_a_make_target_that_is_named_is_there(page: Any) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z]+)", page.text, re.MULTILINE)) <= targets


def test_every_page_is_linked_from_the_readme(page: Any, readme: Any) -> None:
    assert page.name == readme.name or f"({page.name})" in readme.text


def test_each_guarantee_names_a_test_that_is_there(guarantees: Any) -> None:
    files, functions = _tests()
    named = re.findall(r"`(test_\w+(?:\.py)?)`", guarantees.text)
    assert {name for name in named if name.endswith(".py")} <= files
    assert {name for name in named if not name.endswith(".py") and functions[name] != 1} == set()
    for guarantee in re.split(r"^- ", guarantees.text, flags=re.MULTILINE)[1:]:
        assert "`test_" in guarantee, guarantee
