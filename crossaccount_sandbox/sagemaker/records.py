"""SageMaker's records: their keys and ARNs, how they are shown and listed, and the errors that they all share.

Not here: what makes and changes them.
"""

import operator
from collections.abc import Callable, Mapping
from datetime import UTC
from typing import Any

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.wire import AwsError, Response, json_response
from crossaccount_sandbox.world import Place, Record


def invalid(text: str, code: str = "ValidationException") -> AwsError:
    """SageMaker's error for a request that it cannot do."""
    return AwsError(code, text)


def arn_of(call: Call, kind: str, name: str) -> str:
    """The ARN of the caller's own model, endpoint-config or endpoint."""
    return f"arn:aws:sagemaker:{call.region}:{call.account}:{kind}/{name.lower()}"


def _words(kind: str) -> str:
    return kind.replace("-config", " configuration").replace("-", " ")


def missing(call: Call, kind: str, name: str) -> AwsError:
    """The error for a resource that is not there."""
    return invalid(f'Could not find {_words(kind)} "{arn_of(call, kind, name)}".')


def existing(kind: str, arn: str) -> AwsError:
    """The error for a new resource of a name that is taken."""
    return invalid(f'Cannot create already existing {_words(kind)} "{arn}".')


def find(table: Mapping[tuple[Place, str], Record], call: Call, kind: str, name: str) -> Record:
    """The caller's own record of this name; ``ValidationException`` when there is none."""
    record = table.get((call.place, name))
    if record is None:
        raise missing(call, kind, name)
    return record


def check_region(arn: str, call: Call) -> None:
    """Refuse an ARN of another region."""
    if arn.split(":")[3] != call.region:
        raise invalid(f"ARN should be scoped to correct region: {call.region}")


def in_place(table: Mapping[tuple[Place, str], Record], call: Call) -> list[Record]:
    """The caller's own records of a table."""
    return [record for (place, _), record in table.items() if place == call.place]


def members_of(call: Call, name: str, record: Record) -> Record:
    """The members of a record that a list or map in the operation's answer has room for."""
    shape: Any = _output(call)[name]
    inner = getattr(shape, "member", None) or shape.value
    return {key: value for key, value in record.items() if key in inner.members and value is not None}


def _output(call: Call) -> Mapping[str, Any]:
    shape = call.model.output_shape
    return shape.members if shape is not None else {}


def shown(call: Call, record: Record) -> Response:
    """A record with the members that the operation's answer has room for."""
    members = _output(call)
    return json_response(
        {key: value for key, value in record.items() if key in members and value is not None}
    )


_TIMES: tuple[tuple[str, str, Callable[[Any, Any], bool]], ...] = (
    ("CreationTimeBefore", "CreationTime", operator.lt),
    ("CreationTimeAfter", "CreationTime", operator.gt),
    ("LastModifiedTimeBefore", "LastModifiedTime", operator.lt),
    ("LastModifiedTimeAfter", "LastModifiedTime", operator.gt),
)


def listed(
    call: Call,
    name: str,
    records: list[Record],
    contains: str | None = None,
    fits: Callable[[Record], bool] = lambda record: True,
) -> Response:
    """A page of records, newest first unless SortBy and SortOrder say otherwise, MaxResults at a time.

    The page is cut before its records are looked at, as AWS does it: one with a filter may have few, or none, and a NextToken.
    ``fits`` is a further filter. Source: boto3 issues 1966, 2521 and 4020.

    Raises:
        AwsError: ``ValidationException`` for a NextToken that no page ended with.
    """
    grouped = records and "ModelPackageGroupName" in records[0]
    field_name = contains or ("ModelPackageGroupName" if grouped else "")
    by = {"Name": field_name, "Status": "EndpointStatus"}.get(call.params.get("SortBy", ""), "CreationTime")
    ascending = call.params.get("SortOrder", "Descending") == "Ascending"
    # Of what is alike, the later one counts as the newer.
    keyed = [(record.get(by, ""), place) for place, record in enumerate(records)]
    ordered = [records[place] for _, place in sorted(keyed, reverse=not ascending)]
    token = call.params.get("NextToken") or "0"
    if not token.isdecimal():
        raise invalid("Invalid NextToken.")
    start, size = int(token), int(call.params.get("MaxResults") or _PAGES.get(call.operation, 100))
    page = [
        members_of(call, name, record)
        for record in ordered[start : start + size]
        if _asked_for(call, record, field_name) and fits(record)
    ]
    more = {"NextToken": str(start + size)} if start + size < len(ordered) else {}
    return json_response({name: page, **more})


def _asked_for(call: Call, record: Record, field_name: str) -> bool:
    """Whether a record is of the name, the status and the times that a list is asked for."""
    needle, status = call.params.get("NameContains") or "", call.params.get("StatusEquals")
    return (
        needle in str(record.get(field_name, ""))
        and status in (None, record.get("EndpointStatus"))
        and all(
            compare(record.get(member, record["CreationTime"]), call.params[parameter].replace(tzinfo=UTC))
            for parameter, member, compare in _TIMES
            if call.params.get(parameter)
        )
    )


_PAGES = {"ListEndpoints": 10}  # the one default that AWS's reference names
