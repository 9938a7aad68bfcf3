"""The inference process: a model.tar.gz behind SageMaker's serving contract, GET /ping and POST /invocations.

Not a jail: like a serving container it runs whatever code the pickled model brings, but with the rights of
the user who started the sandbox. It listens on the loopback interface only, and ends when its parent does.

The contract is "Use Your Own Inference Code with Hosting Services" in the SageMaker developer guide.
"""

import csv
import io
import json
import math
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from multiprocessing.connection import Connection, wait
from pathlib import Path
from socketserver import TCPServer, ThreadingMixIn
from typing import Any, Protocol

from crossaccount_sandbox.sagemaker.archives import UNPACKED_LIMIT, BrokenArchive, member
from crossaccount_sandbox.sagemaker.supervision import redirect

BODY_LIMIT = 6_291_456  # bytes; InvokeEndpoint takes no larger body
MODEL_MEMBER = "model.joblib"
JSON = "application/json"
CSV = "text/csv"

_IDLE_SECONDS = 75  # above the 60 s that a caller may wait for an answer
_DRAIN_LIMIT = 4 * BODY_LIMIT  # of a body that is too large, what is still read so that the answer arrives


class Predictor(Protocol):
    """What a scikit-learn estimator promises."""

    def predict(self, X: Sequence[Sequence[float]]) -> Any:
        """Give one prediction for each row, as an array."""


class Unanswerable(Exception):
    """A request that gets an error status; the message is the body of the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message


def serve(archive: bytes, output: Path | None, line: Connection) -> None:
    """Be the inference process: report the port, load the model, answer until the parent is gone.

    Args:
        archive: the bytes of a model.tar.gz.
        output: where what it prints goes, see `supervision.redirect`.
        line: the pipe to the parent. The port goes through it, once; its end tells the parent of ours.
    """
    _take_signals()
    redirect(output)
    _in_background(_end_with_parent)
    with ModelServer(logs=output is not None) as server:
        line.send(
            server.server_port
        )  # first, so that a model that ends the process has at least been started
        _in_background(server.load, archive)
        server.serve_forever()


def _take_signals() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches us too, but it is for the parent to end us
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # a parent in sigwait() hands its mask down


def _in_background(target: Callable[..., None], *arguments: object) -> None:
    threading.Thread(target=target, args=arguments, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])  # a pipe that the system closes, however the parent ends
    os._exit(0)


def load(archive: bytes, limit: int = UNPACKED_LIMIT) -> Predictor:
    """Read the model out of a model.tar.gz, in memory: no member is ever written to disk.

    Raises:
        BrokenArchive: when this is not such an archive, holds a path that leads out, a link or a device,
            unpacks to more than `limit` bytes, or when the model in it cannot be loaded.
    """
    pickled = member(archive, MODEL_MEMBER, limit)
    try:
        import joblib

        model = joblib.load(io.BytesIO(pickled))
    except Exception as error:  # a pickle may raise anything, and each is a reason not to serve
        raise BrokenArchive(f"{MODEL_MEMBER} cannot be loaded: {type(error).__name__}: {error}") from error
    if not callable(getattr(model, "predict", None)):
        raise BrokenArchive(f"{MODEL_MEMBER} holds a {type(model).__name__}, which has no predict()")
    predictor: Predictor = model
    return predictor


def rows_of(content_type: str, body: bytes) -> list[list[float]]:
    """Read the rows of a request: CSV lines, or JSON as {"instances": [[...]]}, [[...]] or one row [...].

    Raises:
        Unanswerable: 415 for another content type, 400 for a body that is not rows of finite numbers.
    """
    media_type, charset = _media_type(content_type)
    if media_type not in (CSV, JSON) or charset not in ("utf-8", "utf8", "us-ascii"):
        raise Unanswerable(415, f"Content-Type {content_type!r} is not supported; send {CSV} or {JSON}.")
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unanswerable(400, f"The body is not UTF-8: {error.reason} at byte {error.start}.") from error
    rows = _csv_rows(text) if media_type == CSV else _json_rows(text)
    if not rows:
        raise Unanswerable(400, "The body holds no rows.")
    return rows


def _media_type(content_type: str) -> tuple[str, str]:
    media_type, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charsets = [value for name, _, value in (each.partition("=") for each in parameters) if name == "charset"]
    return media_type, (charsets[-1].strip('"') if charsets else "utf-8")


def _csv_rows(text: str) -> list[list[float]]:
    try:
        lines = [cells for cells in csv.reader(io.StringIO(text, newline=""), strict=True) if cells]
    except csv.Error as error:
        raise Unanswerable(400, f"The body is not CSV: {error}.") from error
    return [_numbers(cells, number, _csv_number) for number, cells in enumerate(lines, start=1)]


def _csv_number(cell: object) -> float:
    text = str(cell)
    if "_" in text:  # 1_000 is a number in Python, and in no CSV
        raise ValueError(text)
    return float(text)


def _json_rows(text: str) -> list[list[float]]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unanswerable(400, f"The body is not JSON: {error}.") from error
    if isinstance(value, dict):
        value = value.get("instances")
    elif isinstance(value, list) and value and not any(isinstance(each, list) for each in value):
        value = [value]
    if not isinstance(value, list) or not all(isinstance(row, list) for row in value):
        raise Unanswerable(400, 'The body is not rows: send {"instances": [[...]]}, [[...]] or [...].')
    return [_numbers(row, number, _json_number) for number, row in enumerate(value, start=1)]


def _json_number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(value)
    return float(value)


def _numbers(values: Iterable[object], row: int, number: Callable[[object], float]) -> list[float]:
    numbers = []
    for value in values:
        try:
            numbers.append(number(value))
        except (ValueError, OverflowError) as error:
            raise Unanswerable(400, f"Row {row}: {str(value)[:40]!r} is not a number.") from error
        if not math.isfinite(numbers[-1]):
            raise Unanswerable(400, f"Row {row}: {str(value)[:40]!r} is not a finite number.")
    return numbers


def media_type_for(accept: str) -> str:
    """Choose the answer's media type from an Accept header: JSON if there is none, the first of equal wishes.

    Raises:
        Unanswerable: 406 when neither JSON nor CSV will do.
    """
    wishes = [_wish(part) for part in accept.split(",") if part.strip()] or [(JSON, 1.0)]
    for media_range, quality in sorted(wishes, key=lambda wish: -wish[1]):
        if quality > 0 and media_range in (JSON, "application/*", "*/*"):
            return JSON
        if quality > 0 and media_range in (CSV, "text/*"):
            return CSV
    raise Unanswerable(406, f"Accept {accept!r} cannot be met; ask for {JSON} or {CSV}.")


def _wish(part: str) -> tuple[str, float]:
    media_range, *parameters = (each.strip().lower() for each in part.split(";"))
    weights = [value for name, _, value in (each.partition("=") for each in parameters) if name == "q"]
    try:
        return media_range, (float(weights[-1]) if weights else 1.0)
    except ValueError:
        return media_range, 0.0


def answer(model: Predictor, content_type: str, accept: str, body: bytes) -> tuple[str, bytes]:
    """Predict: the media type and the bytes of the answer, one prediction for each row.

    Raises:
        Unanswerable: 400, 406 or 415 for a request that this model has no answer to.
    """
    media_type = media_type_for(accept)
    rows = rows_of(content_type, body)
    _check_width(rows, getattr(model, "n_features_in_", None))
    try:
        predictions = list(model.predict(rows).tolist())
    except ValueError as error:  # a number that is finite here and is not in the model's own precision
        raise Unanswerable(400, f"The model cannot take these rows: {error}") from error
    return media_type, _rendered(predictions, media_type)


def _check_width(rows: Sequence[Sequence[float]], width: int | None) -> None:
    expected = len(rows[0]) if width is None else width
    for number, row in enumerate(rows, start=1):
        if len(row) != expected:
            raise Unanswerable(400, f"Row {number} has {len(row)} features; the model takes {expected}.")


def _rendered(predictions: list[object], media_type: str) -> bytes:
    """The answer's bytes; NaN and Infinity stand bare in JSON, as multi-model-server, TorchServe and scikit-learn's container write them."""
    if media_type == JSON:
        return json.dumps(predictions).encode()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows(each if isinstance(each, list) else [each] for each in predictions)
    return text.getvalue().encode()


class ModelServer(ThreadingMixIn, HTTPServer):
    """An HTTP server on a free port of the loopback interface that answers 503 until `load` is done.

    Args:
        logs: whether it says on standard error what it was asked, as servers in containers do.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, logs: bool = False) -> None:
        self.logs = logs
        self.model: Predictor | None = None
        self.failure: str | None = None
        super().__init__(("127.0.0.1", 0), _Handler)

    def server_bind(self) -> None:
        """Bind without HTTPServer's reverse name lookup, which takes seconds where the resolver is slow."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", int(self.server_address[1])

    def load(self, archive: bytes) -> None:
        """Load the model, or keep the reason why not and say it on standard error."""
        try:
            self.model = load(archive)
        except BrokenArchive as error:
            self.failure = str(error)
            sys.stderr.write(f"model server: {error}\n")
            sys.stderr.flush()

    def ready(self) -> Predictor:
        """Give the model.

        Raises:
            Unanswerable: 503 while it loads, 500 when it could not be loaded.
        """
        if self.failure is not None:
            raise Unanswerable(500, f"The model could not be loaded: {self.failure}")
        if self.model is None:
            raise Unanswerable(503, "The model is being loaded.")
        return self.model


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "model-server"
    sys_version = ""
    timeout = _IDLE_SECONDS
    wbufsize = -1  # head and body in one packet
    disable_nagle_algorithm = True
    server: ModelServer

    def do_GET(self) -> None:
        self._answer(self._ping)

    def do_POST(self) -> None:
        self._answer(self._invocations)

    def log_message(self, format: str, *args: object) -> None:
        """Say in the container's log what was asked; without one keep quiet, for the caller gets every outcome."""
        if self.server.logs:
            super().log_message(format, *args)

    def _ping(self, body: bytes) -> tuple[str, bytes]:
        self._expect_path("/ping", "/invocations")
        self.server.ready()
        return JSON, b""

    def _invocations(self, body: bytes) -> tuple[str, bytes]:
        self._expect_path("/invocations", "/ping")
        model = self.server.ready()
        return answer(model, self.headers.get("Content-Type", ""), self.headers.get("Accept", ""), body)

    def _expect_path(self, path: str, other_method: str) -> None:
        target = self.path.partition("?")[0]
        if target == other_method:
            raise Unanswerable(405, f"{self.command} is not the method of {target}.")
        if target != path:
            raise Unanswerable(404, f"There is no {target} here; there are GET /ping and POST /invocations.")

    def _answer(self, respond: Callable[[bytes], tuple[str, bytes]]) -> None:
        try:
            media_type, content = respond(self._body())
            status = 200
        except Unanswerable as error:
            status, media_type, content = error.status, "text/plain; charset=utf-8", error.message.encode()
        except Exception as error:  # the model's own code failed; the process lives on, as a container would
            if self.server.logs:
                traceback.print_exc()
            message = f"The model failed: {type(error).__name__}: {error}"
            status, media_type, content = 500, "text/plain; charset=utf-8", message.encode()
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _body(self) -> bytes:
        # Whatever is left unread would be taken for the next request.
        if "Transfer-Encoding" in self.headers:
            self.close_connection = True
            raise Unanswerable(411, "Send the body with a Content-Length.")
        length = self.headers.get("Content-Length", "0")
        if not (length.isascii() and length.isdigit()) or len(length) > 12:
            self.close_connection = True
            raise Unanswerable(400, "Content-Length is not a number of bytes.")
        if int(length) > BODY_LIMIT:
            self._drain(int(length))
            raise Unanswerable(413, f"The body has {length} bytes; {BODY_LIMIT} is the limit.")
        return self.rfile.read(int(length))

    def _drain(self, length: int) -> None:
        # A caller that is still sending would meet a reset connection rather than the answer.
        self.close_connection = True
        left = min(length, _DRAIN_LIMIT)
        while left > 0 and (chunk := self.rfile.read(min(left, 65_536))):
            left -= len(chunk)
