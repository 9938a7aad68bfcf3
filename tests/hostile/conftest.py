"""How hostile input is made and counted.

`FUZZ_FACTOR` says how many times as many inputs are tried as by default. Each fuzzer's totals are told at the end of the run.
"""

from __future__ import annotations

import os
import random
import string
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

FACTOR = float(os.environ.get("FUZZ_FACTOR", "1"))
SECONDS = 5.0  # of the processor's; no input may take longer

_TALLIES: list[Tally] = []


@dataclass
class Tally:
    """What became of a fuzzer's inputs."""

    name: str
    inputs: int = 0
    refused: int = 0
    accepted: int = 0
    faults: int = 0

    def randoms(self, count: int) -> Iterator[random.Random]:
        """One source of chance for each input, the same in every run: the number of the input is its seed."""
        for number in range(int(count * FACTOR)):
            yield random.Random(f"{self.name} {number}")  # noqa: S311 - it makes inputs

    def judge(self, call: Callable[[], Any], *refusals: type[Exception]) -> Any:
        """What a call gives, or the refusal that it raises; anything else is a fault, and so is one that takes long."""
        self.inputs += 1
        self.faults += 1
        started = time.process_time()
        try:
            found = call()
        except refusals as refusal:
            found = refusal
        assert time.process_time() - started < SECONDS, "it took too long"
        self.faults -= 1
        if isinstance(found, refusals or ()):
            self.refused += 1
        else:
            self.accepted += 1
        return found

    def __str__(self) -> str:
        return f"{self.name}: {self.inputs} inputs, {self.refused} refused, {self.accepted} accepted, {self.faults} faults"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for tally in _TALLIES:
        terminalreporter.write_line(str(tally))


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Tally:
    """Counts the inputs of this test; its name is the fuzzer's."""
    made = Tally(request.node.name.removeprefix("test_").replace("_", " "))
    _TALLIES.append(made)
    return made


ESCAPES = "\x1b[2J\x1b]0;owned\x07\x9b31m\x00\r\u202e"
TEXTS = (
    "",
    " ",
    "*",
    "-",
    ".",
    "..",
    "/",
    "~",
    "NaN",
    "null",
    "true",
    "0x1F",
    "1e999",
    "-0",
    "2026-01-01",
    "\ud800",
    "a\0b",
    ESCAPES,
    "é" * 300,
    "x" * 5000,
    "9" * 4400,
    "9" * 4300,
    "arn:aws:iam::*:root",
    "arn:aws:iam::222222222222:role/x",
    "arn:aws:sagemaker:us-east-1:999999999999:model-package/g/1",
    "s3://",
    "s3://b/../k",
    "s3://arn:aws:s3:us-east-1:999999999999:accesspoint/x/k",
    "https://s3.evil.example/b/k",
    "file:///etc/passwd",
    "$ref",
    "(a+)+$",
    "%s%n{0}${jndi:ldap://x}",
    "`|\n</td><script>",
    "a." * 600 + "a",
)
NUMBERS = (0, -1, 1, 2**31, 2**63, 10**400, -(10**4299), 0.0, -0.0, 1e308, 5e-324, 1e-9, True, False)


def odd_value(rng: random.Random, depth: int = 0) -> Any:
    """Something that JSON can say and hardly anybody expects."""
    kind = rng.randrange(9 if depth < 3 else 5)
    if kind == 0:
        return None
    if kind in (1, 2):
        return rng.choice(TEXTS)
    if kind == 3:
        return rng.choice(NUMBERS)
    if kind == 4:
        return "".join(rng.choices(string.printable + "\u2028\ufffe\U0001f600", k=rng.randrange(30)))
    if kind == 5:
        return [odd_value(rng, depth + 1) for _ in range(rng.randrange(4))]
    if kind == 6:
        return {str(odd_value(rng, 9)): odd_value(rng, depth + 1) for _ in range(rng.randrange(4))}
    if kind == 7:
        deep: Any = odd_value(rng, 9)
        for _ in range(rng.choice((5, 60, 64, 70, 200))):
            deep = [deep] if rng.random() < 0.5 else {"a": deep}
        return deep
    return [odd_value(rng, 9)] * rng.choice((2, 101, 300))


def spoilt(rng: random.Random, document: Any) -> Any:
    """A document (made of JSON) with one or two of its places changed; the same object, changed in place."""
    for _ in range(rng.choice((1, 1, 2))):
        places: list[tuple[Any, Any]] = []
        _walk(document, places)
        holder, key = rng.choice(places)
        act = rng.randrange(8)
        if act == 0:
            del holder[key]
        elif act == 1 and isinstance(holder, dict):
            holder[str(odd_value(rng, 9))] = odd_value(rng)
        elif act == 2:
            other, name = rng.choice(places)
            holder[key] = other[name] if _flat(other[name]) else odd_value(rng)
        elif act == 3 and isinstance(holder[key], list):
            holder[key] = holder[key] * rng.choice((0, 2, 150))
        else:
            holder[key] = odd_value(rng)
    return document


def _flat(value: Any) -> bool:
    return not isinstance(value, dict | list)


def _walk(node: Any, places: list[tuple[Any, Any]], depth: int = 0) -> None:
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in pairs:
        places.append((node, key))
        if depth < 12:
            _walk(value, places, depth + 1)


@pytest.fixture
def odd() -> Callable[..., Any]:
    return odd_value


@pytest.fixture
def spoil() -> Callable[..., Any]:
    return spoilt


@pytest.fixture
def scrambled() -> Callable[[random.Random, bytes], bytes]:
    """Changes bytes of a text at random: bits, cuts, repetitions, and pieces that mean something."""
    pieces = (b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b"&a ", b"*a", b"!!python/object/apply:os.system ", b"<<: ", b"- ", b": ", b"'", b'"',
              b"{", b"[" * 70, b"]", b"}", b"\t", b"%YAML 9.9\n", b"---\n", b"NaN", b"1e999", b"\\ud800", b"?", b"|\n", b">", b"9" * 4400)  # fmt: skip

    def change(rng: random.Random, text: bytes) -> bytes:
        made = bytearray(text)
        for _ in range(rng.choice((1, 1, 2, 5, 20))):
            at = rng.randrange(len(made) + 1)
            match rng.randrange(5):
                case 0 if at < len(made):
                    made[at] ^= 1 << rng.randrange(8)
                case 1:
                    del made[at : at + rng.randrange(1, 40)]
                case 2:
                    made[at:at] = made[at : at + rng.randrange(1, 200)]
                case 3 if rng.random() < 0.05:
                    del made[at:]
                case _:
                    made[at:at] = rng.choice(pieces)
        return bytes(made)

    return change
