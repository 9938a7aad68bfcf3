"""The events of InvokeEndpointWithResponseStream: a part of the answer each, as the container gives it, or how that ended.

Source: InvokeEndpointWithResponseStream in the SageMaker runtime's API reference (PayloadPart, ModelStreamError with the codes
ModelInvocationTimeExceeded and StreamBroken); "Event stream encoding" in the Amazon Transcribe developer guide, which is that of all
services. The text about the time is a quote from a public report, the other is the sandbox's own.
"""

import http.client
import json
import struct
import zlib
from collections.abc import Iterator, Mapping

_TOO_LONG = "Your model {} did not complete sending the inference response in the allotted time."
_BROKEN = "The connection to your model {} was reset or closed before the inference response was complete."


def events(pieces: Iterator[bytes], container: str) -> Iterator[bytes]:
    """The events of a streamed answer, each when its piece comes; the last one says so where the container broke off.

    Args:
        pieces: of the container's answer, see ``exchanges.Reply``.
        container: its name.
    """
    try:
        for piece in pieces:
            yield _event({":event-type": "PayloadPart", ":content-type": "application/octet-stream"}, piece)
    except TimeoutError:
        yield _stream_error("ModelInvocationTimeExceeded", _TOO_LONG.format(container))
    except (OSError, http.client.HTTPException):
        yield _stream_error("StreamBroken", _BROKEN.format(container))
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()


def _stream_error(code: str, text: str) -> bytes:
    named = {":exception-type": "ModelStreamError", ":content-type": "application/json"}
    return _event(named, json.dumps({"Message": text, "ErrorCode": code}).encode(), "exception")


def _event(named: Mapping[str, str], payload: bytes, kind: str = "event") -> bytes:
    headers = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", 7, len(value)) + value.encode()
        for name, value in {**named, ":message-type": kind}.items()
    )
    prelude = struct.pack("!II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack("!I", zlib.crc32(prelude)) + headers + payload
    return message + struct.pack("!I", zlib.crc32(message))
