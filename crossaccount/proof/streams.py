"""An answer that comes in parts: read to its end, in bounded time and memory, with the time of its first part.

Not here: the asking of whole answers (``asking``), and what an answer says (``reading``).

Source: InvokeEndpointWithResponseStream in the SageMaker Runtime API reference (PayloadPart, ModelStreamError,
InternalStreamFailure); "Amazon SageMaker AI endpoints and quotas" (8 minutes for a streamed answer); the event stream encoding in the
Amazon Transcribe developer guide, which is that of all services.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from botocore.eventstream import ParserError
from botocore.exceptions import EventStreamError
from urllib3.exceptions import HTTPError

from crossaccount.proof.reading import BODY_LIMIT

# SageMaker gives a container 8 minutes for a streamed answer; one that goes on longer never ends.
STREAM_SECONDS = 495.0
_RAW_LIMIT = 4 * BODY_LIMIT  # bytes of a stream with the frames of its parts, which may be small


@dataclass(frozen=True)
class Parts:
    """An answer in parts: its bytes, its content type, how many parts, and the milliseconds until the first; None without one."""

    body: bytes
    content_type: str
    count: int
    first_ms: float | None


class Broken(ValueError):
    """A stream that ended in an error of the container or of SageMaker; the message is the fault of the answer."""


def read_parts(invoke: Callable[[], Any]) -> Parts:
    """The parts of a streamed answer, joined.

    Args:
        invoke: makes the call; its result has the events under ``Body`` and the type under ``ContentType``.

    Raises:
        Broken: when the stream says that the container, or SageMaker, failed.
        ValueError: when it is larger than an answer may be, breaks off, or is no stream.
        ClientError: when AWS refuses the call itself.
    """
    started = time.perf_counter()
    answer = invoke()
    body, count, first = bytearray(), 0, None
    try:
        for event in answer["Body"]:
            part = event.get("PayloadPart", {}).get("Bytes", b"")
            if part and first is None:
                first = round((time.perf_counter() - started) * 1000, 2)
            count += bool(part)
            body += part
            if len(body) > BODY_LIMIT:
                break  # `reading.read_answer` refuses that
    except EventStreamError as error:
        said = error.response["Error"]
        parts = "1 part" if count == 1 else f"{count} parts"
        raise Broken(f"{said.get('Code')} after {parts}: {said.get('Message')}") from None
    except ParserError as error:
        raise ValueError(f"its parts cannot be read ({type(error).__name__})") from None
    finally:
        answer["Body"].close()
    return Parts(bytes(body[: BODY_LIMIT + 1]), answer.get("ContentType") or "", count, first)


class BoundedStream:
    """The raw body of a streamed answer, as botocore reads it: each piece when it comes, until a time, and no more than a limit.

    A connection that ends in the middle of a part is told: botocore takes that for the end.
    """

    def __init__(self, raw: Any, deadline: Callable[[], float]) -> None:
        self._raw = raw
        self._deadline = deadline

    def stream(self) -> Iterator[bytes]:
        """The pieces.

        Raises:
            ValueError: when it breaks off, is too long, or does not end in time.
        """
        came, unfinished = 0, bytearray()
        try:
            while piece := self._raw.read1(65_536):
                unfinished += piece
                came += len(piece)
                # A part begins with its length, in four bytes.
                while 4 <= len(unfinished) >= (length := max(int.from_bytes(unfinished[:4]), 4)):
                    del unfinished[:length]
                yield piece
                if time.monotonic() >= self._deadline():
                    raise ValueError(f"it did not end within {STREAM_SECONDS:g} s")
                if came > _RAW_LIMIT:
                    raise ValueError(f"it is larger than {_RAW_LIMIT} bytes with the frames of its parts")
        except (HTTPError, OSError) as error:
            raise ValueError(f"it broke off after {came} bytes ({type(error).__name__})") from None
        if unfinished:
            raise ValueError(f"it broke off after {came} bytes, in the middle of a part")

    def close(self) -> None:
        """End the connection: a late rest must not be taken for another answer."""
        self._raw.close()
