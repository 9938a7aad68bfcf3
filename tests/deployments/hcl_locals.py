"""What a Terraform module's locals come to: python-hcl2 reads it, and this evaluates what it read, by the Terraform language.

Only what is asserted about: operators, conditionals, ``for`` over a mapping, string templates, and a few functions. All else is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import hcl2
from lark import Token, Tree

FUNCTIONS = {
    "jsonencode": json.dumps,
    "join": lambda separator, values: separator.join(values),
}


class Module:
    """The variables' defaults and the locals of a module's files."""

    def __init__(self, folder: Path) -> None:
        self.defaults: dict[str, Any] = {}
        self.variables: set[str] = set()
        self.locals: dict[str, Any] = {}
        for file in sorted(folder.glob("*.tf")):
            for block in _body(hcl2.parses_to_tree(file.read_text(encoding="utf-8"))):
                kind, *labels = [each for each in block.children if _is(each, "identifier", "string")]
                attributes = dict(map(_attribute, _attributes(block)))
                if _text(kind) == "locals":
                    self.locals |= attributes
                elif _text(kind) == "variable":
                    name = _text(labels[0]).strip('"')
                    self.variables.add(name)
                    if "default" in attributes:
                        self.defaults[name] = attributes["default"]

    def evaluated(
        self, names: tuple[str, ...], given: Mapping[str, Any], place: Mapping[str, str]
    ) -> dict[str, Any]:
        """Locals by name, of variables' values; ``place`` has those that ask AWS."""
        return {name: _Values(self, given, place).local(name) for name in names}


class _Values:
    def __init__(self, module: Module, given: Mapping[str, Any], place: Mapping[str, str]) -> None:
        unknown = set(given) - module.variables
        assert not unknown, unknown
        self._module, self._given, self._place = module, given, place
        self._known: dict[str, Any] = {}

    def local(self, name: str) -> Any:
        if name in self._place:
            return self._place[name]
        if name not in self._known:
            self._known[name] = self.of(self._module.locals[name], {})
        return self._known[name]

    def variable(self, name: str) -> Any:
        assert name in self._module.variables, name
        return self._given[name] if name in self._given else self.of(self._module.defaults[name], {})

    def of(self, node: Any, scope: Mapping[str, Any]) -> Any:
        children = [each for each in node.children if _counts(each)]
        match node.data:
            case "expr_term":
                inner = [each for each in children if not isinstance(each, Token)]
                return self.of(inner[0], scope)
            case "identifier":
                word = str(node.children[0])
                return scope[word]
            case "literal_value":
                return {"true": True, "false": False}[str(node.children[0])]
            case "int_lit":
                return int("".join(map(str, node.children)))
            case "string":
                return "".join(self.piece(each, scope) for each in node.children if isinstance(each, Tree))
            case "conditional":
                test, yes, no = (each for each in children if isinstance(each, Tree))
                return self.of(yes if self.of(test, scope) else no, scope)
            case "unary_op":
                assert str(children[0]) == "!"
                return not self.of(children[1], scope)
            case "binary_op":
                return self.binary(children, scope)
            case "get_attr_expr_term":
                return self.attribute(node, scope)
            case "index_expr_term":
                of, index = (each for each in children if isinstance(each, Tree))
                found = [each for each in index.children if _is(each, "expr_term")]
                return self.of(of, scope)[self.of(found[0], scope)]
            case "function_call":
                name, arguments = (each for each in children if isinstance(each, Tree))
                values = [
                    self.of(each, scope)
                    for each in arguments.children
                    if isinstance(each, Tree) and _counts(each)
                ]
                return FUNCTIONS[_text(name)](*values)
            case "tuple":
                return [self.of(each, scope) for each in children if isinstance(each, Tree)]
            case "object":
                return dict(self.entry(each, scope) for each in children if _is(each, "object_elem"))
        raise AssertionError(f"not evaluated here: {node.data}")

    def piece(self, node: Tree[Any], scope: Mapping[str, Any]) -> str:
        inner = node.children[0]
        if isinstance(inner, Tree):
            (expression,) = (each for each in inner.children if isinstance(each, Tree))
            value = self.of(expression, scope)
            assert isinstance(value, str), value
            return value
        return str(json.loads(f'"{inner}"')).replace("$${", "${")

    def binary(self, children: list[Any], scope: Mapping[str, Any]) -> Any:
        left, term = children
        operator, right = (each for each in term.children if isinstance(each, Tree))
        one, other = self.of(left, scope), self.of(right, scope)
        match _text(operator):
            case "==":
                return type(one) is type(other) and one == other
            case "&&":
                assert {type(one), type(other)} == {bool}
                return one and other
        raise AssertionError(_text(operator))

    def attribute(self, node: Tree[Any], scope: Mapping[str, Any]) -> Any:
        of, attribute = node.children
        name = _text(next(each for each in attribute.children if isinstance(each, Tree)))
        source = _text(of) if _is(of.children[0], "identifier") else ""
        if source == "var":
            return self.variable(name)
        if source == "local":
            return self.local(name)
        return self.of(of, scope)[name]

    def entry(self, node: Tree[Any], scope: Mapping[str, Any]) -> tuple[str, Any]:
        key, value = (each for each in node.children if isinstance(each, Tree))
        (written,) = key.children
        word = written.children[0]
        name = str(self.of(written, scope)) if _is(word, "string") else _text(written)
        return name, self.of(value, scope)


def _counts(node: Any) -> bool:
    return not (isinstance(node, Tree) and node.data == "new_line_or_comment")


def _is(node: Any, *kinds: str) -> bool:
    return isinstance(node, Tree) and node.data in kinds


def _body(node: Tree[Any]) -> list[Tree[Any]]:
    return [each for each in node.children[0].children if _is(each, "block")]


def _attributes(block: Tree[Any]) -> list[Tree[Any]]:
    (body,) = (each for each in block.children if _is(each, "body"))
    return [each for each in body.children if _is(each, "attribute")]


def _attribute(node: Tree[Any]) -> tuple[str, Any]:
    name, value = (each for each in node.children if isinstance(each, Tree))
    return _text(name), value


def _text(node: Any) -> str:
    return "".join(map(str, node.scan_values(lambda token: True))).strip()
