"""CloudWatch, as far as alarms go: they are put, described, set to a state, and deleted, in every protocol of the service.

Nothing is measured here: an alarm of any type has the state that SetAlarmState gave it, and keeps it. What alarms do, rules
of composite alarms and queries of log alarms are not modelled; the history has what calls changed.

Source: the CloudWatch API reference; members, defaults and texts as localstack and cloud-custodian recorded them.
"""

import json
from datetime import datetime
from typing import Any

from crossaccount_sandbox.answers import result
from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.resources import alarm_arn
from crossaccount_sandbox.wire import AwsError, Response
from crossaccount_sandbox.world import Handler, Place, Record, World

_PAGE = 50


def alarm_state(world: World, place: Place, name: str) -> str | None:
    """An alarm's state: ``OK``, ``ALARM`` or ``INSUFFICIENT_DATA``; None when there is no such alarm."""
    alarm = world.alarms.get((place, name))
    return None if alarm is None else str(alarm["StateValue"])


# What each call puts: the type of alarm, and the parameters that it must have.
_PUTS = {
    "PutMetricAlarm": ("MetricAlarm", ("EvaluationPeriods", "ComparisonOperator")),
    "PutCompositeAlarm": ("CompositeAlarm", ("AlarmRule",)),
    "PutLogAlarm": (
        "LogAlarm",
        ("ScheduledQueryConfiguration", "QueryResultsToEvaluate", "QueryResultsToAlarm", "Threshold", "ComparisonOperator"),
    ),
}  # fmt: skip
_TYPES = tuple(kind for kind, _ in _PUTS.values())
_ACTIONS: dict[str, Any] = {
    "ActionsEnabled": True,
    "OKActions": [],
    "AlarmActions": [],
    "InsufficientDataActions": [],
}


def put(world: World, call: Call) -> Response:
    """PutMetricAlarm, PutCompositeAlarm, PutLogAlarm: a new alarm has insufficient data; an existing one keeps its state.

    Raises:
        AwsError: ``ValidationError`` for an alarm of no metric, or of both a metric and metric math; for one that lacks a
            parameter; for a name that an alarm of another type has.
    """
    kind, required = _PUTS[call.operation]
    given = {key: value for key, value in call.params.items() if key != "Tags" and value is not None}
    if kind == "MetricAlarm" and bool(given.get("MetricName")) == bool(given.get("Metrics")):
        raise AwsError("ValidationError", "Exactly one of MetricName and Metrics must be specified.")
    for name in required:
        if name not in given:
            raise AwsError("ValidationError", f"The parameter {name} must be specified.")
    key, now = (call.place, given["AlarmName"]), world.clock()
    before = world.alarms.get(key, {})
    if before and world.alarm_types[key] != kind:
        raise AwsError("ValidationError", f"An alarm of another type has the name {given['AlarmName']}.")
    world.alarm_types[key] = kind
    fresh = {
        "StateValue": "INSUFFICIENT_DATA",
        "StateReason": "Unchecked: Initial alarm creation",
        "StateUpdatedTimestamp": now,
        "StateTransitionedTimestamp": now,
    }
    kept = {name: before.get(name, value) for name, value in fresh.items()}
    world.alarms[key] = {
        **_ACTIONS,
        **({"Dimensions": []} if "MetricName" in given else {}),
        **given,
        **kept,
        "AlarmArn": alarm_arn(call.region, call.account, given["AlarmName"]),
        "AlarmConfigurationUpdatedTimestamp": now,
    }
    _note_change(world, call, given["AlarmName"], "Update" if before else "Create")
    return result(call, {})


def describe(world: World, call: Call) -> Response:
    """DescribeAlarms: by names, by prefix or all, of one state or any; names that are no alarm's are left out.

    Of the types that AlarmTypes names; without it metric alarms alone.
    """
    place, params = call.place, call.params
    types = params.get("AlarmTypes") or ["MetricAlarm"]
    names, prefix, state = (params.get(name) for name in ("AlarmNames", "AlarmNamePrefix", "StateValue"))
    if names and prefix:
        raise AwsError("ValidationError", "AlarmNames and AlarmNamePrefix cannot both be specified.")
    alarms = [
        (world.alarm_types[of, name], alarm)
        for (of, name), alarm in sorted(world.alarms.items(), key=lambda item: item[0])
        if of == place
        and world.alarm_types[of, name] in types
        and (not names or name in names)
        and name.startswith(prefix or "")
        and state in (None, alarm["StateValue"])
        and _acts_on(alarm, params.get("ActionPrefix"))
    ]
    page, more = _page(call, alarms)
    return result(
        call, {f"{each}s": [alarm for kind, alarm in page if kind == each] for each in _TYPES} | more
    )


def _acts_on(alarm: Record, prefix: str | None) -> bool:
    actions = [
        action for kind in ("OKActions", "AlarmActions", "InsufficientDataActions") for action in alarm[kind]
    ]
    return not prefix or any(str(action).startswith(prefix) for action in actions)


def _page(call: Call, listed: list[Any]) -> tuple[list[Any], dict[str, str]]:
    """One page of a list, and the token of the next; ``InvalidNextToken`` for a token that is none."""
    token, size = str(call.params.get("NextToken") or 0), int(call.params.get("MaxRecords") or _PAGE)
    if not token.isdecimal():
        raise AwsError("InvalidNextToken", "The next token specified is invalid.")
    start = int(token)
    more = {"NextToken": str(start + size)} if start + size < len(listed) else {}
    return listed[start : start + size], more


def history(world: World, call: Call) -> Response:
    """DescribeAlarmHistory: what calls changed, of one alarm or all, the newest first unless the caller wants otherwise."""
    params, types = call.params, call.params.get("AlarmTypes") or ["MetricAlarm"]
    begin, end = (_seconds(params.get(name)) for name in ("StartDate", "EndDate"))
    items = [
        item
        for place, item in world.alarm_history
        if place == call.place
        and item["AlarmType"] in types
        and params.get("AlarmName") in (None, item["AlarmName"])
        and params.get("HistoryItemType") in (None, item["HistoryItemType"])
        and (begin is None or item["Timestamp"].timestamp() >= begin)
        and (end is None or item["Timestamp"].timestamp() <= end)
    ]
    page, more = _page(call, items if params.get("ScanBy") == "TimestampAscending" else items[::-1])
    return result(call, {"AlarmHistoryItems": page, **more})


def _seconds(moment: object) -> float | None:
    if moment is None or isinstance(moment, int | float):
        return moment
    return (
        moment.timestamp()
        if isinstance(moment, datetime)
        else datetime.fromisoformat(str(moment)).timestamp()
    )


def set_state(world: World, call: Call) -> Response:
    """SetAlarmState; ``ResourceNotFound`` without a text for an alarm that is not there."""
    name = call.params["AlarmName"]
    alarm = world.alarms.get((call.place, name))
    if alarm is None:
        raise AwsError("ResourceNotFound", "", 404)
    old, new, now = dict(alarm), call.params["StateValue"], world.clock()
    data = call.params.get("StateReasonData")
    alarm.update(StateValue=new, StateReason=call.params["StateReason"], StateUpdatedTimestamp=now)
    if data is not None:
        alarm["StateReasonData"] = data
    if old["StateValue"] == new:
        return result(call, {})
    alarm["StateTransitionedTimestamp"] = now
    states = {"version": "1.0", "oldState": _state(old), "newState": _state(alarm)}
    summary = f"Alarm updated from {old['StateValue']} to {new}"
    _note(world, call, name, "StateUpdate", summary, states)
    return result(call, {})


def _state(alarm: Record) -> dict[str, Any]:
    named = {"stateValue": alarm["StateValue"], "stateReason": alarm["StateReason"]}
    return named | ({"stateReasonData": alarm["StateReasonData"]} if "StateReasonData" in alarm else {})


def enable(world: World, call: Call) -> Response:
    """EnableAlarmActions and DisableAlarmActions: of the alarms that are there."""
    for name in call.params["AlarmNames"]:
        if (alarm := world.alarms.get((call.place, name))) is not None:
            alarm["ActionsEnabled"] = call.operation == "EnableAlarmActions"
            _note_change(world, call, name, "Update")
    return result(call, {})


def delete(world: World, call: Call) -> Response:
    """DeleteAlarms: those that are there, whatever else is named; ``ResourceNotFound`` when none of them is."""
    keys = [(call.place, name) for name in call.params["AlarmNames"]]
    there = [key for key in keys if key in world.alarms]
    if keys and not there:
        raise AwsError("ResourceNotFound", "", 404)
    for key in there:
        _note_change(world, call, key[1], "Delete")
        del world.alarms[key], world.alarm_types[key]
    return result(call, {})


def _note_change(world: World, call: Call, name: str, change: str) -> None:
    summary = f'Alarm "{name}" {change.lower()}d'
    _note(world, call, name, "ConfigurationUpdate", summary, {"version": "1.0", "type": change})


def _note(world: World, call: Call, name: str, kind: str, summary: str, data: dict[str, Any]) -> None:
    item = {
        "AlarmName": name,
        "AlarmType": world.alarm_types[call.place, name],
        "Timestamp": world.clock(),
        "HistoryItemType": kind,
        "HistorySummary": summary,
        "HistoryData": json.dumps(data),
    }
    world.alarm_history.append((call.place, item))


HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(_PUTS, put),
    **dict.fromkeys(("EnableAlarmActions", "DisableAlarmActions"), enable),
    "DescribeAlarms": describe,
    "DescribeAlarmHistory": history,
    "SetAlarmState": set_state,
    "DeleteAlarms": delete,
}
