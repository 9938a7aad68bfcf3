"""The record of a promotion or a rollback: an object in the producer's bucket, beside the Releases.

Records lie under ``_promotions/``, which no group can be called, so no consumer's grant of Releases reaches them. They are
written once and never changed. Not here: the Prefect artifact of the same (``tasks``).

Source: PutObject (If-None-Match) and ListObjectsV2 in the S3 API reference.
"""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from crossaccount.aws.access import Producer
from crossaccount.config.model import Sharing
from crossaccount.errors import Conflict
from crossaccount.release.store import list_keys, write_once
from crossaccount.strict_json import check_whole_number, parse_json
from crossaccount.text import harmless

_LIMIT = 4_000_000
# Names and texts of records have Z, so their times are in UTC, whatever zone a caller's clock is in.


def _in_utc(when: datetime) -> datetime:
    try:
        return when.astimezone(UTC)
    except OverflowError:  # in the first or the last hours that there are
        raise ValueError("it is out of bounds") from None


_Instant = Annotated[AwareDatetime, AfterValidator(_in_utc)]


class Record(BaseModel):
    """One promotion or rollback: its version, author and times, its outcome, every consumer's part, and what the registry was told."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Annotated[Literal[1], BeforeValidator(check_whole_number)] = 1
    kind: Literal["promotion", "rollback"]
    run: str = Field(pattern=r"^[A-Za-z0-9-]{1,64}$")
    model_package_group: str
    version: int
    outcome: Literal["succeeded", "failed", "stopped"]
    started_by: str
    reason: str = ""
    started: _Instant
    ended: _Instant
    plan: str = ""
    consumers: list[dict[str, Any]]
    lifecycle: list[dict[str, Any]] = []

    def line(self) -> str:
        """For a terminal."""
        parts = ", ".join(map(self._part, self.consumers))
        written = [each for each in self.lifecycle if each.get("result") in ("written", "failed")]
        parts += "".join(
            f", registry {each.get('stage')} ({each.get('status')}) {each.get('result')}" for each in written
        )
        why = (
            f". {'Reason' if self.kind == 'rollback' else 'It stopped'}: {self.reason.rstrip('.')}"
            if self.reason
            else ""
        )
        when = self.started.strftime("%Y-%m-%d %H:%M:%SZ")
        line = f"{when}  {self.kind} {'to' if self.kind == 'rollback' else 'of'} version {self.version} {self.outcome}: {parts}{why}  ({self.started_by})"
        return harmless(line).replace("\n", " ")

    def _part(self, part: dict[str, Any]) -> str:
        """What became of one consumer's endpoint, in a few words."""
        name, before, live = part.get("consumer"), part.get("before"), part.get("live")
        result = str(part.get("result"))
        if self.kind == "rollback" and result == "promoted":
            return f"{name} went back from version {before} to version {live}"
        if result == "promoted" and before is not None:
            return f"{name} {'moved back' if before > self.version else 'promoted'} from version {before}"
        serving = f", serving version {live}" if result == "failed" and live is not None else ""
        return f"{name} {result}{serving}"


def _folder(sharing: Sharing) -> str:
    return f"{sharing.producer.releases_prefix}_promotions/{sharing.model_package_group}/"


def write(producer: Producer, record: Record) -> str:
    """Write a record; its S3 URI.

    Raises:
        Conflict: when another record of that run and instant is there already.
        ClientError: when S3 refuses.
    """
    key = f"{_folder(producer.config)}{record.started.strftime('%Y%m%dT%H%M%S.%fZ')}-{record.run}.json"
    bucket = producer.config.producer.releases_bucket
    # Readers of an earlier version know no lifecycle, and pass over a record with what they do not know.
    unsaid = set() if record.lifecycle else {"lifecycle"}
    body = json.dumps(record.model_dump(mode="json", exclude=unsaid), indent=1).encode()
    if not write_once(producer, key, body):
        raise Conflict(f"Another record lies at s3://{bucket}/{key}. It was left as it is.")
    return f"s3://{bucket}/{key}"


def read(producer: Producer, newest: int) -> Sequence[Record]:
    """The newest records, so many at most, the newest first; an object that is no record is passed over.

    Raises:
        ClientError: when S3 refuses.
    """
    bucket, owner = producer.config.producer.releases_bucket, producer.account
    keys = list_keys(producer, _folder(producer.config))
    # Those of earlier versions have no fraction of the second.
    form = re.compile(r"\d{8}T\d{6}(\.\d{6})?Z-[A-Za-z0-9-]{1,64}\.json")
    named = [key for key in keys if form.fullmatch(key.rpartition("/")[2])]
    records: list[Record] = []
    for key in sorted(named, reverse=True):
        if len(records) == newest:
            break
        raw = producer.s3.get_object(Bucket=bucket, Key=key, ExpectedBucketOwner=owner)["Body"].read(_LIMIT)
        try:
            records.append(Record.model_validate(parse_json(raw)))
        except ValueError:  # pydantic's is one too
            continue
    return records
