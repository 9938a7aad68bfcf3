"""The captured data of an endpoint, read from S3: what a variant answered to requests that carried an InferenceId.

Not here: whether an answer is right (``proof``). That AWS adds the InferenceId of a request to what it captures of a shadow
variant follows from the pages below, and was not seen on AWS: an answer without it is not found, never taken for another.

Source: "Capture data from real-time endpoint" and "Interpret captured data" in the SageMaker developer guide: DESTINATION/ENDPOINT/
VARIANT/yyyy/mm/dd/hh/NAME.jsonl, written within minutes; InferenceId of InvokeEndpoint in the API reference.
"""

import base64
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from crossaccount.arns import parse_s3
from crossaccount.aws.access import Target
from crossaccount.proof.reading import BODY_LIMIT

_LINE_LIMIT = 4 * BODY_LIMIT  # request and answer in base64, and room for the rest
_CHUNK = 65_536


@dataclass(frozen=True)
class Captured:
    """An answer as it was captured; ``fault`` says why it cannot be read, and is empty where it can."""

    content: bytes
    content_type: str
    fault: str = ""


class Captures:
    """The captured data of one variant from a time on.

    Args:
        target: the consumer's account, whose bucket it lies in.
        endpoint: the endpoint's name.
        variant: the variant's.
        since: when the first request was sent.
    """

    def __init__(self, target: Target, endpoint: str, variant: str, since: datetime) -> None:
        capture = target.consumer.endpoint.data_capture
        if capture is None:
            raise ValueError("the endpoint captures no data")
        self._target = target
        self._bucket, prefix = parse_s3(capture.s3_uri)
        self._folder = f"{prefix.rstrip('/')}/{endpoint}/{variant}/".lstrip("/")
        self._since = since - timedelta(minutes=5)  # AWS's clock may be behind this one
        self._read: set[str] = set()

    @property
    def place(self) -> str:
        """The S3 URI below which it lies."""
        return f"s3://{self._bucket}/{self._folder}"

    def check(self) -> None:
        """See that it may be listed.

        Raises:
            ClientError: S3's refusal.
        """
        self._target.s3.list_objects_v2(
            Bucket=self._bucket,
            Prefix=self._folder,
            MaxKeys=1,
            ExpectedBucketOwner=self._target.account,
        )

    def find(self, wanted: Collection[str]) -> dict[str, Captured]:
        """The answers with these InferenceIds in what was captured since the last time.

        Raises:
            ClientError: S3's refusal.
        """
        found: dict[str, Captured] = {}
        for key in self._new_keys():
            for line in self._lines(key):
                known = next((one for one in wanted if one.encode() in line), None)
                if known is not None and (answer := read_line(line, known)) is not None:
                    found[known] = answer
            self._read.add(key)
        return found

    def _new_keys(self) -> Iterator[str]:
        paginator = self._target.s3.get_paginator("list_objects_v2")
        hour, now = self._since.replace(minute=0, second=0, microsecond=0), datetime.now(UTC)
        while hour <= now + timedelta(minutes=5):
            prefix, owner = f"{self._folder}{hour:%Y/%m/%d/%H}/", self._target.account
            for page in paginator.paginate(Bucket=self._bucket, Prefix=prefix, ExpectedBucketOwner=owner):
                for entry in page.get("Contents", []):
                    if entry["Key"] not in self._read and entry["LastModified"] >= self._since:
                        yield entry["Key"]
            hour += timedelta(hours=1)

    def _lines(self, key: str) -> Iterator[bytes]:
        """The lines of an object; of one that is too long nothing."""
        body = self._target.s3.get_object(
            Bucket=self._bucket, Key=key, ExpectedBucketOwner=self._target.account
        )["Body"]
        rest, too_long = b"", False
        while piece := body.read(_CHUNK):
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                if not too_long:
                    yield line
                too_long = False
            if len(rest) > _LINE_LIMIT:
                rest, too_long = b"", True
        if rest and not too_long:
            yield rest


def read_line(line: bytes, inference_id: str) -> Captured | None:
    """The answer in a line of captured data; None when the line is not that of this InferenceId."""
    try:
        data = json.loads(line)
        if data["eventMetadata"]["inferenceId"] != inference_id:
            return None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    try:
        output: Mapping[str, Any] = data["captureData"]["endpointOutput"]
        text, encoding = output["data"], output.get("encoding")
        content = base64.b64decode(text, validate=True) if encoding == "BASE64" else text.encode()
        return Captured(content, str(output.get("observedContentType") or ""))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return Captured(b"", "", f"unreadable captured data: {type(error).__name__}: {error}")
