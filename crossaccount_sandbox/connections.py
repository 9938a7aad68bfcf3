"""HTTP/1.1 with connections that stay open for further requests, in front of a WSGI application, on threads.

werkzeug's own server closes each connection after one answer, which costs a connection and a thread for each call.
Not here: what is answered.

Source: RFC 9112, "HTTP/1.1", sections 6 (message bodies) and 9 (connections); PEP 3333.
"""

import socket
import threading
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, BinaryIO

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import ThreadedWSGIServer

_IDLE_SECONDS = 60  # for which a connection is kept without a request, or waited for in the middle of one
_MOST_KEPT = 256  # of more connections than that, each carries one request: a thread stands behind every one
_PIECE = 64 * 1024  # bytes


class _Body:
    """What a request has of a body, and no byte of the request after it."""

    def __init__(self, file: BinaryIO, length: int) -> None:
        self._file = file
        self._left = length

    def read(self, size: int = -1) -> bytes:
        """As a file's."""
        data = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(data)
        return data

    def drain(self) -> bool:
        """Read what nobody asked for; whether all of the body has come."""
        while self._left and self.read(_PIECE):
            pass
        return not self._left


class _Handler(MotoRequestHandler):  # type: ignore[misc]  # moto is untyped here
    """The requests of one connection, one after the other."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # an answer's last part would wait for the client's word on the one before
    wbufsize = -1  # head and body of an answer leave together
    timeout = _IDLE_SECONDS

    def handle_expect_100(self) -> bool:
        """Tell who waits for leave to send a body that it may."""
        goes_on = bool(super().handle_expect_100())
        self.wfile.flush()
        return goes_on

    def run_wsgi(self) -> None:
        """Answer one request, and see whether another one can follow."""
        self.environ = environ = self.make_environ()
        body = None
        if "wsgi.input_terminated" not in environ:
            environ["wsgi.input"] = body = _Body(self.rfile, int(environ.get("CONTENT_LENGTH") or 0))
        # Of a body in chunks nobody can tell here whether all of it was read.
        self.close_connection |= body is None or not self.server.has_room
        self._answer(environ)
        self.close_connection |= body is None or not body.drain()

    def _answer(self, environ: dict[str, Any]) -> None:
        head: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
            head[:] = [(status, headers)]

        try:
            parts: Iterable[bytes] = self.server.app(environ, start_response)
        except Exception:
            self.send_error(500)  # which ends the connection
            raise
        try:
            self._send(*head[0], parts, with_body=environ["REQUEST_METHOD"] != "HEAD")
        finally:
            if (close := getattr(parts, "close", None)) is not None:
                close()

    def _send(
        self, status: str, headers: list[tuple[str, str]], parts: Iterable[bytes], with_body: bool
    ) -> None:
        code, _, reason = status.partition(" ")
        has_length = any(name.lower() == "content-length" for name, _ in headers)
        with_body = with_body and code not in ("204", "304")
        in_chunks = with_body and not has_length and self.request_version != "HTTP/1.0"
        self.close_connection |= with_body and not has_length and not in_chunks
        self.send_response(int(code), reason)
        for name, value in headers:
            self.send_header(name, value)
        if in_chunks:
            self.send_header("Transfer-Encoding", "chunked")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        for part in parts:
            if part:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part) if in_chunks else part)
                if in_chunks:  # a part of a stream is seen when it is made
                    self.wfile.flush()
        if in_chunks:
            self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing: refusals are logged by the guard, the rest is noise."""

    def log_error(self, format: str, *args: Any) -> None:
        """Say nothing of a connection that nobody used any more."""
        if not format.startswith("Request timed out"):
            super().log_error(format, *args)


class HttpServer(ThreadedWSGIServer):
    """Serves a WSGI application from a thread for each connection.

    Args:
        port: of the loopback interface; 0 picks a free one.
        application: what answers.
    """

    def __init__(self, port: int, application: Any) -> None:
        self._lock = threading.Lock()
        self._open = set[socket.socket]()
        super().__init__("127.0.0.1", port, application, _Handler)

    @property
    def has_room(self) -> bool:
        """Whether connections may stay open for further requests."""
        return len(self._open) <= _MOST_KEPT

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection as long as it is open."""
        with self._lock:
            self._open.add(request)
        try:
            super().finish_request(request, client_address)
        finally:
            with self._lock:
                self._open.discard(request)

    def stop(self) -> None:
        """Take no more connections, and end those that there are."""
        self.shutdown()
        self.server_close()
        with self._lock:
            for connection in self._open:
                with suppress(OSError):  # the client has ended it already
                    connection.shutdown(socket.SHUT_RDWR)
