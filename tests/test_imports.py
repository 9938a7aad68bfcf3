"""How the product's modules are cut and named: no circle, no module too long, no private name of another."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[1]
SANDBOX = "crossaccount_sandbox"
PACKAGES = ("crossaccount", "flows", "tasks", SANDBOX)
FILES = sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
LONGEST = 400
WHOLE = {
    "crossaccount/policy/documents.py"
}  # the algebra, which was tried in four files and is clearer in one
# They say nothing of what they name.
BANNED = {"together", "notation", "alone", "runs", "told", "made", "asked"}


@cache
def graph() -> grimp.ImportGraph:
    """Every import between the product's modules, those for types and those within functions included."""
    return grimp.build_graph(*PACKAGES, exclude_type_checking_imports=False)


def circles() -> list[list[str]]:
    """The modules that reach each other: the strongly connected components of more than one."""
    components = {
        frozenset({*graph().find_downstream_modules(module), module})
        & {*graph().find_upstream_modules(module), module}
        for module in graph().modules
    }
    return sorted(sorted(component) for component in components if len(component) > 1)


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circles() == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_module_is_not_too_long(file: Path) -> None:
    if str(file.relative_to(ROOT)) not in WHOLE:
        assert len(file.read_text().splitlines()) <= LONGEST


def private_names(file: Path) -> Iterator[str]:
    """The private names of other modules of the product that a module uses."""
    modules: dict[str, str] = {}
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in PACKAGES:
            for name in node.names:
                if name.name.startswith("_"):
                    yield f"line {node.lineno}: from {node.module} import {name.name}"
                if f"{node.module}.{name.name}" in graph().modules:
                    modules[name.asname or name.name] = f"{node.module}.{name.name}"
        elif isinstance(node, ast.Import):
            modules |= {
                name.asname or name.name: name.name for name in node.names if name.name in graph().modules
            }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            module = modules.get(ast.unparse(node.value))
            if module is not None:
                yield f"line {node.lineno}: {module}.{node.attr}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_module_uses_no_private_name_of_another(file: Path) -> None:
    assert list(private_names(file)) == []


def test_what_is_public_is_named_after_what_it_is() -> None:
    modules = [module for module in graph().modules if BANNED & set(module.split("."))]
    functions = [
        f"{file.relative_to(ROOT)}:{node.lineno} {node.name}"
        for file in FILES
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in BANNED
    ]
    assert (sorted(modules), functions) == ([], [])
