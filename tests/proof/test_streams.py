"""The raw body of a streamed answer: what breaks off, does not end, or is too long is told."""

from __future__ import annotations

import io
import time
from typing import Any

import pytest
from urllib3.exceptions import IncompleteRead

from crossaccount.proof.streams import BoundedStream
from crossaccount_sandbox.sagemaker.event_streams import events

PARTS = list(events(iter([b"one", b"two" * 1000, b""]), "primary"))
WHOLE = b"".join(PARTS)


class Raw:
    """A connection that gives so many bytes at a time, and then ends, or breaks."""

    def __init__(self, content: bytes, at_once: int, error: Exception | None = None) -> None:
        self._content, self._at_once, self._error = io.BytesIO(content), at_once, error

    def read1(self, _: int) -> bytes:
        piece = self._content.read(self._at_once)
        if not piece and self._error is not None:
            raise self._error
        return piece


def read(raw: Any, seconds: float = 60) -> bytes:
    return b"".join(BoundedStream(raw, lambda: time.monotonic() + seconds).stream())


@pytest.mark.parametrize("at_once", [1, 3, 7, 1000, 10**6])
def test_whole_parts_are_passed_on_however_they_come(at_once: int) -> None:
    assert read(Raw(WHOLE, at_once)) == WHOLE
    assert read(Raw(PARTS[0], at_once)) == PARTS[0]
    assert read(Raw(b"", at_once)) == b""


@pytest.mark.parametrize("at_once", [1, 7, 10**6])
@pytest.mark.parametrize("length", [1, 3, 4, len(PARTS[0]) - 1, len(PARTS[0]) + 1, len(WHOLE) - 1])
def test_a_connection_that_ends_in_the_middle_of_a_part_is_no_end(length: int, at_once: int) -> None:
    with pytest.raises(ValueError, match=f"it broke off after {length} bytes, in the middle of a part"):
        read(Raw(WHOLE[:length], at_once))


@pytest.mark.parametrize("error", [ConnectionResetError(), IncompleteRead(1, 2), TimeoutError()])
def test_a_connection_that_breaks_is_told(error: Exception) -> None:
    with pytest.raises(
        ValueError, match=rf"it broke off after {len(WHOLE)} bytes \({type(error).__name__}\)"
    ):
        read(Raw(WHOLE, 1000, error))


def test_what_does_not_end_in_time_or_is_too_long_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="it did not end within"):
        read(Raw(WHOLE * 2, 10), seconds=-1)
    monkeypatch.setattr("crossaccount.proof.streams._RAW_LIMIT", 1000)
    with pytest.raises(ValueError, match="it is larger than 1000 bytes"):
        read(Raw(WHOLE, 100))
