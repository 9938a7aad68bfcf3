"""One HTTP exchange with an inference process: the reply is there with its head, and its body piece by piece, as it comes.

Not here: processes (``containers``), and what callers get of an answer (``invocations``).
"""

import http.client
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_PIECE_BYTES = 65_536
_KEPT_HEADERS = tuple(
    f"X-Amzn-SageMaker-{name}" for name in ("Custom-Attributes", "New-Session-Id", "Closed-Session-Id")
)


@dataclass(frozen=True)
class Reply:
    """What came of an exchange.

    Args:
        status: the HTTP status.
        content_type: the media type; empty for none.
        pieces: the body, each piece when it comes; whoever takes them closes them, and so the connection. They end in an
            ``OSError`` or ``HTTPException`` where the body breaks off, a ``TimeoutError`` where it takes too long.
        headers: those that callers get.
        open_ended: the end of the connection is that of the body, whether it is whole or not.
    """

    status: int
    content_type: str
    pieces: Iterator[bytes]
    headers: Mapping[str, str] = field(default_factory=dict)
    open_ended: bool = False


def exchange(
    port: int, method: str, path: str, body: bytes | None, headers: Mapping[str, str], timeout: float
) -> Reply:
    """Ask a process on a port of the loopback interface.

    Args:
        port: where it listens.
        method: of HTTP.
        path: what is asked.
        body: the bytes of the request; None for none.
        headers: of the request.
        timeout: seconds without a sign of life.

    Raises:
        OSError, HTTPException: when there is no reply.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, body, dict(headers))
        response = connection.getresponse()
    except BaseException:
        connection.close()
        raise
    kept = {name: value for name in _KEPT_HEADERS if (value := response.getheader(name)) is not None}
    open_ended = response.length is None and not response.chunked
    pieces = _pieces(connection, response)
    return Reply(response.status, response.getheader("Content-Type", ""), pieces, kept, open_ended)


def _pieces(connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> Iterator[bytes]:
    try:
        while piece := response.read1(_PIECE_BYTES):
            yield piece
        if response.length:
            raise http.client.IncompleteRead(b"", response.length)
    finally:
        response.close()
        connection.close()


def until(pieces: Iterator[bytes], deadline: float) -> Iterator[bytes]:
    """The pieces that come before a time of the monotonic clock.

    Raises:
        TimeoutError: at that time, once a piece has come; and whatever the pieces raise.
    """
    for piece in pieces:
        yield piece
        if time.monotonic() >= deadline:
            raise TimeoutError("the answer takes too long")
