"""A YAML file as plain data within bounds, with the line of each key.

A reviewed file holds no surprises. It is read as JSON and YAML 1.2 are: account ids stay texts, nothing is a date, no tag, no merge
key, no key twice, no alias bomb. Not here: the values that a key may have (``model``).
"""

import math
import os
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from yaml import MarkedYAMLError, SafeLoader, __with_libyaml__
from yaml.composer import Composer
from yaml.events import ScalarEvent
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import ReaderError
from yaml.resolver import Resolver

from crossaccount.config.values import KeyPath, dotted
from crossaccount.errors import Fault
from crossaccount.files import read_file
from crossaccount.strict_json import MAX_DEPTH, exact_number
from crossaccount.text import MAX_QUOTED, nearest, quote

if __with_libyaml__:
    from yaml.cyaml import CParser  # type: ignore[attr-defined]  # the stubs forget it

_MAX_BYTES = 1_000_000
_MAX_NODES = 20_000  # of the file, and again with every alias expanded: there an alias bomb ends


class Unreadable(Exception):
    """A file that is not YAML of a mapping: one fault ends the reading."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message, line)
        self.message = message
        self.line = line


class _Loader(SafeLoader):
    """A loader that composes nodes within bounds, and reads scalars as JSON and YAML 1.2 do.

    YAML 1.1 would make an octal number of an account id that begins with 0, false of NO, dates of texts.
    """

    _depth = 0
    _nodes = 0

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        self._depth += 1
        self._nodes += 1
        line = parent.start_mark.line + 1 if parent else None
        if self._nodes > _MAX_NODES:
            raise Unreadable(
                f"holds more than {_MAX_NODES} values. Give the path of a plain configuration.", line
            )
        if self._depth > MAX_DEPTH:
            raise Unreadable(
                f"is nested more than {MAX_DEPTH} levels deep. Write a plain configuration.", line
            )
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


class _Quick(_Loader):
    """The same with libyaml's parser, which takes a tenth of the time: only for `_plain` text, which both read alike."""

    def __init__(self, text: str) -> None:
        Composer.__init__(self)
        Resolver.__init__(self)
        self._events = CParser(text)

    def check_event(self, *choices: Any) -> bool:
        return bool(self._events.check_event(*choices))

    def peek_event(self) -> Any:
        return self._events.peek_event()

    def get_event(self) -> Any:
        event = self._events.get_event()
        if isinstance(event, ScalarEvent):
            event.style = event.style or None  # how the other one says plain
        return event


def _plain(text: str) -> bool:
    """Whether YAML text has nothing that parsers may differ about: ASCII alone, no tabs, directives or seldom escapes."""
    if not __with_libyaml__ or not text.isascii():
        return False
    return re.search(r"[^\n -\[\]-~]|^%", re.sub(r'\\[nt"\\]', "", text), re.M) is None


_TAG = "tag:yaml.org,2002:"
_PATTERNS = {
    "null": r"(~|null|Null|NULL|)\Z",
    "bool": r"(true|True|TRUE|false|False|FALSE)\Z",
    "int": r"[-+]?(0|[1-9][0-9]*)\Z",
    "float": r"([-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))\Z",
}
# Under None stand the patterns that are tried whatever the first character is.
_Loader.yaml_implicit_resolvers = {
    None: [(_TAG + kind, re.compile(pattern)) for kind, pattern in _PATTERNS.items()]
}


def _number(text: str) -> int | float:
    """A number; infinite, or NaN, only where that is written: .inf, .nan."""
    if text[-1] in "fFnN":
        return float(text.replace(".", ""))
    number = exact_number(text)
    if isinstance(number, float) and not math.isfinite(number):
        raise ValueError(text)
    return number


_SCALARS: dict[str, Callable[[str], object]] = {
    _TAG + "str": str,
    _TAG + "int": int,
    _TAG + "float": _number,
    _TAG + "bool": lambda text: {"true": True, "false": False}[text.lower()],
    _TAG + "null": lambda text: None,
}


@dataclass
class Reading:
    """Plain data of YAML nodes, with the line of each key and the faults of how it is written."""

    lines: dict[KeyPath, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    nodes: int = 0

    def data(self, node: Node, path: KeyPath = ()) -> Any:
        """The plain data of a node; notes the line and the faults of everything in it.

        Raises:
            Unreadable: when it grows past the bounds.
        """
        self.nodes += 1
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        if self.nodes > _MAX_NODES or len(path) > MAX_DEPTH:
            raise Unreadable(
                "grows without bounds when its aliases (*name) are followed. Write the values out.", line
            )
        if isinstance(node, MappingNode):
            self._expect_tag(node, "map", path)
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            self._expect_tag(node, "seq", path)
            return [self.data(item, (*path, place)) for place, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: MappingNode, path: KeyPath) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, ScalarNode):
                sentence = "has a list or a mapping as a key. Write a plain word before the colon."
                self._fault(path, line, "", sentence)
                continue
            # As written: the key 1 or on is a word like any other.
            key = self._whole(str(key_node.value), path, line)
            here = (*path, key)
            if key == "<<" and key_node.style is None:
                sentence = "merges another mapping, which hides what is reviewed. Write the keys out."
                self._fault(here, line, key, sentence)
            elif key in mapping:
                first = self.lines[here]
                self._fault(here, line, key, f"is written twice, first in line {first}. Keep one of the two.")
            else:
                self.lines[here] = line
                mapping[key] = self.data(value_node, here)
        return mapping

    def _scalar(self, node: Node, path: KeyPath) -> Any:
        line = self.lines[path]
        text = self._whole(str(node.value), path, line)
        if node.tag not in _SCALARS:
            self._expect_tag(node, "str", path)
            return text
        try:
            return _SCALARS[node.tag](text)
        except (ValueError, KeyError):
            sentence = f"{quote(text)} is not a number that JSON can carry. Put it in quotes."
            self._fault(path, line, quote(text), sentence)
            return text

    def _whole(self, text: str, path: KeyPath, line: int) -> str:
        """The text, without half characters, which no file and no JSON can carry; they are a fault."""
        if not any("\ud800" <= character <= "\udfff" for character in text):
            return text
        sentence = "holds half of a character pair (\\ud800 to \\udfff). Correct the escape."
        self._fault(path, line, quote(text), sentence)
        return text.encode("utf-8", "replace").decode()

    def _expect_tag(self, node: Node, kind: str, path: KeyPath) -> None:
        if node.tag != _TAG + kind:
            tag = str(node.tag).replace(_TAG, "!!")
            sentence = f"carries the YAML tag {quote(tag)}, and no tags are read here. Delete the tag."
            self._fault(path, self.lines[path], tag[:MAX_QUOTED], sentence)

    def _fault(self, path: KeyPath, line: int, value: str, sentence: str) -> None:
        self.faults.append(Fault(dotted(path), line, value, sentence))


def compose(text: str) -> Node:
    """The root node of YAML text.

    Raises:
        Unreadable: for text that is not YAML, is empty, or grows past the bounds.
    """
    try:
        node = _composed(text)
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        message = f"holds the character {quote(chr(error.character))}, which YAML does not allow. Delete it."
        raise Unreadable(message, line) from error
    except MarkedYAMLError as error:
        raise Unreadable(*_not_yaml(error)) from error
    except (ValueError, OverflowError) as error:  # PyYAML on \UFFFFFFFF and on a %YAML version of 5000 digits
        raise Unreadable("holds an escape or a number that YAML does not allow. Delete it.") from error
    if node is None:
        raise Unreadable("is empty. Start from configs/example.yaml, which has every key with a comment.")
    return node


def _composed(text: str) -> Node | None:
    if _plain(text):
        with suppress(MarkedYAMLError):  # the other parser says what is wrong with it
            return _Quick(text).get_single_node()
    return _Loader(text).get_single_node()


def _not_yaml(error: MarkedYAMLError) -> tuple[str, int | None]:
    mark = error.problem_mark or error.context_mark
    problem = (error.problem or error.context or "unknown problem")[:200]
    if "'\\t'" in problem:
        way_out = "Indent with spaces, not with tabs."
    elif "but found another document" in problem:
        way_out = "Keep one configuration in one file: delete the second one and its ---."
    else:
        way_out = "Check the indentation, the colons and the quotes here and in the line above."
    column = "" if mark is None else f" (column {mark.column + 1})"
    return f"is not valid YAML: {problem}{column}. {way_out}", None if mark is None else mark.line + 1


def _near(path: str | os.PathLike[str]) -> str:
    """The file beside it whose name is nearest, as a question."""
    folder, name = os.path.split(os.fspath(path))
    try:
        beside = sorted(os.listdir(folder or "."))
    except OSError:
        return ""
    files = tuple(each for each in beside if each.endswith((".yaml", ".yml")) and each.isprintable())
    meant = nearest(name, files)
    return f" Did you mean {os.path.join(folder, meant)}?" if meant else ""


def read_text(path: str | os.PathLike[str]) -> str:
    """The text of a file.

    Raises:
        Unreadable: for a file that cannot be read, is too large, or is not UTF-8.
    """
    try:
        content = read_file(path, _MAX_BYTES)
    except FileNotFoundError as error:
        raise Unreadable(
            f"there is no such file.{_near(path)} Give the path of a YAML file such as configs/example.yaml, or have crossaccount init "
            "write one."
        ) from error
    except IsADirectoryError as error:
        raise Unreadable("is a directory. Give the path of one YAML file in it.") from error
    except OSError as error:
        reason = error.strerror or "unknown reason"
        raise Unreadable(f"cannot be read ({reason}). Make it a file that you may read.") from error
    except ValueError as error:
        raise Unreadable("is not a path that can be opened. Give the path of a YAML file.") from error
    if len(content) > _MAX_BYTES:
        raise Unreadable("is larger than 1 MB, which no configuration is. Give the path of the right file.")
    try:
        return content.decode("utf-8")  # a byte order mark is skipped by YAML itself
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Unreadable("is not UTF-8 text. Save it again with the encoding UTF-8.", line) from error
