"""The two parsers of YAML: the quick one is asked about texts alone that both read alike, and never says what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from yaml.nodes import MappingNode, Node, ScalarNode

from crossaccount.config import yaml_file
from crossaccount.config.yaml_file import Unreadable, compose

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))
TEXTS = [
    "a: 1\nb: [x, 'y', \"z\\n\", ~]\nc: {d: 012, e: 1_0, f: .5}\n",
    "a: &x {b: 1}\nc: *x\n<<: *x\n",
    "a: |\n  one\n   two\nb: >-\n  three\n  four\n\nc: !!int '3'\nd: !mine 4\n",
    "? a\n: b\n? [c]\n: d\n'<<': 1\n",
    "---\na: b # no comment: here\nc: d#e\nf: 'g''h'\n...\n",
    "- a:b\n- a: b\n- -c\n- - d\n  - e\n- {f, g: h}\n- [i: j]\n- null\n- No\n- 1e3\n- 2026-01-01\n",
]


def tree(node: Node) -> Any:
    """A node as plain data, with its tag, style and place."""
    here = (node.tag, getattr(node, "style", None), node.start_mark.line, node.start_mark.column)
    if isinstance(node, ScalarNode):
        return (*here, node.value)
    parts = node.value
    if isinstance(node, MappingNode):
        return (*here, [(tree(key), tree(value)) for key, value in parts])
    return (*here, [tree(part) for part in parts])


@pytest.mark.parametrize(
    "text", [*TEXTS, *(path.read_text() for path in CONFIGS)], ids=lambda text: text[:12].strip()
)
def test_both_parsers_read_the_same(text: str) -> None:
    quick, other = (kind(text).get_single_node() for kind in (yaml_file._Quick, yaml_file._Loader))
    assert tree(quick) == tree(other)


@pytest.mark.parametrize("text", TEXTS)
def test_plain_text_is_read_by_the_quick_one(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    quick = yaml_file._Quick
    monkeypatch.setattr(yaml_file, "_Quick", lambda text: asked.append(text) or quick(text))
    compose(text)
    assert asked == [text]


@pytest.mark.parametrize(
    "text", ["a:\tb", 'a: "\\x41"', 'a: "\\ud800"', "%YAML 1.1\n---\na: b", "a: caf\u00e9", "a: b\r\n"]
)
def test_what_parsers_may_differ_about_is_left_to_the_one_in_python(text: str) -> None:
    assert not yaml_file._plain(text)


@pytest.mark.parametrize("text", ["a: [", "a: b: c", "a: 'b", "- a\nb", "a: b\n---\nc: d", "@a", "&a *a"])
def test_a_fault_is_told_by_the_one_in_python(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    for plain in (yaml_file._plain, lambda text: False):
        monkeypatch.setattr(yaml_file, "_plain", plain)
        with pytest.raises(Unreadable) as caught:
            compose(text)
        told.append(caught.value.args)
    assert told[0] == told[1]
