"""The inference process: a model.tar.gz behind SageMaker's serving contract, answered as AWS's scikit-learn container does.

What that container's default functions read and write is read and written here: content types match exactly, one row or column
of CSV has one dimension, which scikit-learn refuses, and every fault is a 500 with a page that says nothing. The log says more.

Not a jail: like a serving container it runs whatever code the pickled model brings, but with the rights of
the user who started the sandbox. It listens on the loopback interface only, and ends when its parent does.

Source: "Use Your Own Inference Code with Hosting Services" in the SageMaker developer guide;
aws/sagemaker-scikit-learn-container (serving) and aws/sagemaker-containers (encoders, worker, transformer).
"""

import csv
import io
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from multiprocessing.connection import Connection, wait
from pathlib import Path
from socketserver import TCPServer, ThreadingMixIn
from typing import TYPE_CHECKING, Any, Protocol

from crossaccount_sandbox.sagemaker.archives import UNPACKED_LIMIT, BrokenArchive, member
from crossaccount_sandbox.sagemaker.supervision import redirect

if TYPE_CHECKING:
    import numpy as np

BODY_LIMIT = 20 * 1024 * 1024  # bytes; the container's web server takes no larger body
MODEL_MEMBER = "model.joblib"
JSON = "application/json"
CSV = "text/csv"
NPY = "application/x-npy"

_IDLE_SECONDS = 75  # above the 60 s that a caller may wait for an answer
_FAILED = b"""<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN">
<title>500 Internal Server Error</title>
<h1>Internal Server Error</h1>
<p>The server encountered an internal error and was unable to complete your request. Either the server is overloaded or there is an error in the application.</p>
"""
_DRAIN_LIMIT = 4 * BODY_LIMIT  # of a body that is too large, what is still read so that the answer arrives


class Predictor(Protocol):
    """What a scikit-learn estimator promises."""

    def predict(self, X: Any) -> Any:
        """Give one prediction for each row, as an array."""


class Unanswerable(Exception):
    """A request that gets an error status; the message is the body of the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message


def serve(archive: bytes, accept: str, output: Path | None, line: Connection) -> None:
    """Be the inference process: report the port, load the model, answer until the parent is gone.

    Args:
        archive: the bytes of a model.tar.gz.
        accept: what is answered with where nothing is wished.
        output: where what it prints goes, see `supervision.redirect`.
        line: the pipe to the parent. The port goes through it, once; its end tells the parent of ours.
    """
    _take_signals()
    redirect(output)
    _in_background(_end_with_parent)
    with ModelServer(accept) as server:
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


def answer(model: Predictor, content_type: str, accept: str, body: bytes) -> tuple[str, bytes]:
    """Predict: the media type and the bytes of the answer.

    Raises:
        Exception: whatever reading, predicting and writing raise; AWS's container makes all of it a 500.
    """
    return written(model.predict(read_array(content_type, body)), accept)


def read_array(content_type: str, body: bytes) -> "np.ndarray[Any, Any]":
    """The array that a request's body stands for; CSV and JSON become 32-bit numbers.

    A dimension of one is dropped from CSV: one row, or one column, has one dimension.

    Raises:
        KeyError: for a content type that is not exactly JSON, CSV or NPY: parameters are none.
        ValueError, TypeError: for a body that is no array of numbers.
    """
    import numpy as np

    if content_type == NPY:
        return np.asarray(np.load(io.BytesIO(body), allow_pickle=False))
    text = body.decode("utf-8", "replace")
    values: np.ndarray[Any, Any] = {CSV: _csv_array, JSON: _json_array}[content_type](text)
    return values.astype(np.float32)


def _json_array(text: str) -> "np.ndarray[Any, Any]":
    import numpy as np

    return np.array(json.loads(text))


def _csv_array(text: str) -> "np.ndarray[Any, Any]":
    import numpy as np

    rows = csv.reader(io.StringIO(text), strict=True)
    return np.array([[float(cell) for cell in row] for row in rows]).squeeze()


def written(predictions: Any, accept: str) -> tuple[str, bytes]:
    """The answer's media type and bytes; NaN and Infinity stand bare in JSON.

    Raises:
        KeyError: for another media type than JSON, CSV and NPY, or several.
    """
    write = {JSON: _json, CSV: _csv, NPY: _npy}[accept]
    return f"{accept}; charset=utf-8" if accept == CSV else accept, write(predictions)


def _json(predictions: Any) -> bytes:
    return json.dumps(predictions, default=lambda value: value.tolist()).encode()


def _csv(predictions: Any) -> bytes:
    import numpy as np

    array = np.array(predictions)
    rows = array.reshape(-1, 1) if array.ndim == 1 else array
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([str(cell) for cell in row] for row in rows)
    return text.getvalue().encode()


def _npy(predictions: Any) -> bytes:
    import numpy as np

    content = io.BytesIO()
    np.save(content, predictions, allow_pickle=False)
    return content.getvalue()


class ModelServer(ThreadingMixIn, HTTPServer):
    """An HTTP server on a free port of the loopback interface that answers 503 until `load` is done."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, accept: str = JSON) -> None:
        self.accept = accept
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
        """Keep quiet: the caller gets every outcome."""

    def _ping(self, body: bytes) -> tuple[str, bytes]:
        self._expect_path("/ping", "/invocations")
        self.server.ready()
        return JSON, b""

    def _invocations(self, body: bytes) -> tuple[str, bytes]:
        self._expect_path("/invocations", "/ping")
        model = self.server.ready()
        wished = self.headers.get("Accept", "*/*")
        accept = self.server.accept if wished in ("", "*/*") else wished
        return answer(model, self.headers.get("Content-Type") or JSON, accept, body)

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
        except (
            Exception
        ):  # the request or the model's own code failed; the process lives on, as AWS's container does
            traceback.print_exc()
            status, media_type, content = 500, "text/html", _FAILED
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        if self.command == "POST":
            self._note(status, len(content))

    def _note(self, status: int, length: int) -> None:
        """One line of the log for each question, as the container's web server writes it."""
        when = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime())
        line = f'127.0.0.1 - - [{when}] "{self.requestline}" {status} {length} "-" "AHC/2.0"\n'
        sys.stderr.write(line)
        sys.stderr.flush()

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
