"""CloudWatch Logs: the reads of log groups, streams and events, and the deletion of a group.

Nothing but containers writes logs here, see ``sagemaker.logs``; the operations that write are not modelled.

Source: the operations in the CloudWatch Logs API reference; texts of errors and fields of answers from recordings of CloudWatch Logs
by localstack.
"""

import base64
import re
from collections.abc import Callable
from typing import Any

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.logs import group_of
from crossaccount_sandbox.handlers.log_patterns import fits
from crossaccount_sandbox.handlers.log_store import Event, Group, LogStore, Stream
from crossaccount_sandbox.wire import AwsError, Response, json_response
from crossaccount_sandbox.world import Handler, World

_PAGE, _EVENTS = 50, 10_000


class Logs:
    """The handlers of CloudWatch Logs.

    Args:
        store: what was written.
        look: called before each read, so that what was printed until then is written.
    """

    def __init__(self, store: LogStore, look: Callable[[], None]):
        self._store = store
        self._look = look

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """The operations answered here, by service and name."""
        return {
            ("logs", "DeleteLogGroup"): self.delete_group,
            ("logs", "DescribeLogGroups"): self.describe_groups,
            ("logs", "DescribeLogStreams"): self.describe_streams,
            ("logs", "FilterLogEvents"): self.filter_events,
            ("logs", "GetLogEvents"): self.get_events,
        }

    def describe_groups(self, world: World, call: Call) -> Response:
        """DescribeLogGroups of the caller's account."""
        prefix, pattern = call.params.get("logGroupNamePrefix"), call.params.get("logGroupNamePattern")
        if prefix and pattern:
            text = "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters."
            raise _invalid(text)
        named = call.params.get("logGroupIdentifiers")
        self._look()
        found = [
            _shown_group(call, group)
            for group in self._store.groups(call.place)
            if group.name.startswith(prefix or "") and (pattern or "") in group.name
            if not named or group.name in named
        ]
        return _page(call, "logGroups", found)

    def describe_streams(self, world: World, call: Call) -> Response:
        """DescribeLogStreams, by name or by the time of the last event."""
        group = self._group(call)
        by_time, prefix = (
            call.params.get("orderBy") == "LastEventTime",
            call.params.get("logStreamNamePrefix"),
        )
        if by_time and prefix:
            raise _invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
        streams = [stream for name, stream in group.streams.items() if name.startswith(prefix or "")]
        streams.sort(key=_last if by_time else lambda stream: stream.name)
        if call.params.get("descending"):
            streams.reverse()
        return _page(call, "logStreams", [_shown_stream(call, group, stream) for stream in streams])

    def get_events(self, world: World, call: Call) -> Response:
        """GetLogEvents: the newest page unless it is asked from the head; its tokens lead on in both directions.

        Raises:
            AwsError: ``ResourceNotFoundException``, ``InvalidParameterException``.
        """
        group, name = self._group(call), str(call.params["logStreamName"])
        if name not in group.streams:
            raise _missing("stream")
        start, end = call.params.get("startTime", 0), call.params.get("endTime")
        held = self._store.events(group, [name])
        events = [event for event in held if start <= event.time and (end is None or event.time < end)]
        size, token = int(call.params.get("limit") or _EVENTS), call.params.get("nextToken")
        if token is None:
            page = events[:size] if call.params.get("startFromHead") else events[-size:]
            edge = events[-1].number if events else 0
            before, after = edge + 1, edge
        else:
            way, number = _position(token)
            later = [event for event in events if event.number > number]
            earlier = [event for event in events if event.number < number]
            page = later[:size] if way == "f" else earlier[-size:]
            before, after = (number + 1, number) if way == "f" else (number, number - 1)
        if page:
            before, after = page[0].number, page[-1].number
        return json_response(
            {
                "events": [
                    {"timestamp": event.time, "message": event.message, "ingestionTime": event.time}
                    for event in page
                ],
                "nextForwardToken": f"f/{after:056}/s",
                "nextBackwardToken": f"b/{before:056}/s",
            }
        )

    def filter_events(self, world: World, call: Call) -> Response:
        """FilterLogEvents: the events of a group's streams, oldest first unless asked otherwise.

        Raises:
            AwsError: ``ResourceNotFoundException``; ``InvalidParameterException`` for names and a prefix, a token that is none,
                and a pattern that is none or not known here.
        """
        names, prefix = call.params.get("logStreamNames"), call.params.get("logStreamNamePrefix")
        if names and prefix:
            raise _invalid("logStreamNames and logStreamNamePrefix are mutually exclusive parameters.")
        matches = fits(str(call.params.get("filterPattern") or ""))
        group = self._group(call)
        if any(name not in group.streams for name in names or ()):
            raise _missing("stream")
        streams = names or [name for name in group.streams if name.startswith(prefix or "")]
        start, end = call.params.get("startTime", 0), call.params.get("endTime")
        token = call.params.get("nextToken")
        oldest_first, after = call.params.get("startFromHead", True), None
        if token is not None:
            oldest_first, after = _filter_position(token)
        found = [
            event
            for event in self._store.events(group, dict.fromkeys(streams))
            if start <= event.time and (end is None or event.time <= end) and matches(event.message)
            if after is None or (event.number > after if oldest_first else event.number < after)
        ]
        if not oldest_first:
            found.reverse()
        size = int(call.params.get("limit") or _EVENTS)
        page = found[:size]
        way = "f" if oldest_first else "b"
        more = {"nextToken": _encoded(f"{way}{page[-1].number}")} if len(found) > size else {}
        return json_response(
            {"events": [_shown_event(event) for event in page], "searchedLogStreams": [], **more}
        )

    def delete_group(self, world: World, call: Call) -> Response:
        """DeleteLogGroup; what is printed later makes it anew."""
        self._look()
        if not self._store.delete(call.place, str(call.params["logGroupName"])):
            raise _missing("group")
        return json_response({})

    def _group(self, call: Call) -> Group:
        self._look()
        account, name = group_of(call)
        group = self._store.find((account, call.region), name)
        if group is None:
            raise _missing("group")
        return group


def _last(stream: Stream) -> int:
    return stream.events[-1].time if stream.events else stream.created


def _shown_group(call: Call, group: Group) -> dict[str, Any]:
    arn = f"arn:aws:logs:{call.region}:{call.account}:log-group:{group.name}"
    shown = {
        "arn": f"{arn}:*",
        "creationTime": group.created,
        "logGroupArn": arn,
        "logGroupClass": "STANDARD",
        "logGroupName": group.name,
        "metricFilterCount": 0,
    }
    by_pattern = bool(call.params.get("logGroupNamePattern"))
    return shown if by_pattern else {**shown, "deletionProtectionEnabled": False, "storedBytes": 0}


def _shown_stream(call: Call, group: Group, stream: Stream) -> dict[str, Any]:
    account, _ = group_of(call)
    shown = {
        "arn": f"arn:aws:logs:{call.region}:{account}:log-group:{group.name}:log-stream:{stream.name}",
        "creationTime": stream.created,
        "logStreamName": stream.name,
        "storedBytes": 0,  # of single streams CloudWatch Logs counts none any more
    }
    if not stream.events:
        return shown
    last = stream.events[-1].time
    return {
        **shown,
        "firstEventTimestamp": stream.events[0].time,
        "lastEventTimestamp": last,
        "lastIngestionTime": last,
        "uploadSequenceToken": f"{stream.events[-1].number:056}",
    }


def _shown_event(event: Event) -> dict[str, Any]:
    return {
        "logStreamName": event.stream,
        "timestamp": event.time,
        "message": event.message,
        "ingestionTime": event.time,
        "eventId": f"{event.number:056}",
    }


def _position(token: str) -> tuple[str, int]:
    match = re.fullmatch(r"([fb])/(\d{56})/s", token)
    if match is None:
        raise _invalid("The specified nextToken is invalid.")
    return match[1], int(match[2])


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _filter_position(token: str) -> tuple[bool, int]:
    try:
        match = re.fullmatch(r"([fb])(\d+)", base64.b64decode(token, validate=True).decode())
    except ValueError:
        match = None
    if match is None:
        raise _invalid("The specified nextToken is invalid.")
    return match[1] == "f", int(match[2])


def _page(call: Call, name: str, entries: list[dict[str, Any]]) -> Response:
    token = call.params.get("nextToken")
    start = _filter_position(token)[1] if token else 0
    end = start + int(call.params.get("limit") or _PAGE)
    more = {"nextToken": _encoded(f"f{end}")} if end < len(entries) else {}
    return json_response({name: entries[start:end], **more})


def _missing(kind: str) -> AwsError:
    return AwsError("ResourceNotFoundException", f"The specified log {kind} does not exist.")


def _invalid(text: str) -> AwsError:
    return AwsError("InvalidParameterException", text)
