"""CloudWatch, as far as alarms go: they are put, described, set to a state, and deleted.

Nothing is measured here: an alarm of any type has the state that SetAlarmState gave it, and keeps it. Actions, rules of
composite alarms, queries of log alarms, and history are not modelled.

Source: the CloudWatch API reference; its JSON protocol, which is the one that the pinned botocore speaks.
"""

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.resources import alarm_arn
from crossaccount_sandbox.wire import AwsError, Response, json_response
from crossaccount_sandbox.world import Handler, Place, World

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


def put(world: World, call: Call) -> Response:
    """PutMetricAlarm, PutCompositeAlarm, PutLogAlarm: a new alarm has insufficient data; an existing one keeps its state.

    Raises:
        AwsError: ``ValidationError`` for an alarm of no metric, or of both a metric and metric math; for one that lacks a
            parameter; for a name that an alarm of another type has.
    """
    kind, required = _PUTS[call.operation]
    given = {key: value for key, value in call.params.items() if key != "Tags"}
    if kind == "MetricAlarm" and bool(given.get("MetricName")) == bool(given.get("Metrics")):
        raise AwsError("ValidationError", "Exactly one of MetricName and Metrics must be specified.")
    for name in required:
        if given.get(name) is None:
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
    }
    kept = {name: before.get(name, value) for name, value in fresh.items()}
    world.alarms[key] = {
        "ActionsEnabled": True,
        **given,
        **kept,
        "AlarmArn": alarm_arn(call.region, call.account, given["AlarmName"]),
        "AlarmConfigurationUpdatedTimestamp": now,
    }
    return json_response({})


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
    ]
    start, size = int(params.get("NextToken") or 0), int(params.get("MaxRecords") or _PAGE)
    more = {"NextToken": str(start + size)} if start + size < len(alarms) else {}
    page = alarms[start : start + size]
    return json_response(
        {f"{each}s": [alarm for kind, alarm in page if kind == each] for each in _TYPES} | more
    )


def set_state(world: World, call: Call) -> Response:
    """SetAlarmState; ``ResourceNotFound`` for an alarm that is not there."""
    alarm = world.alarms.get((call.place, call.params["AlarmName"]))
    if alarm is None:
        raise AwsError("ResourceNotFound", f"Unknown alarm {call.params['AlarmName']}", 404)
    alarm.update(
        StateValue=call.params["StateValue"],
        StateReason=call.params["StateReason"],
        StateUpdatedTimestamp=world.clock(),
    )
    return json_response({})


def delete(world: World, call: Call) -> Response:
    """DeleteAlarms: all of them or, when one is not there, none; ``ResourceNotFound``."""
    keys = [(call.place, name) for name in call.params["AlarmNames"]]
    missing = [name for place, name in keys if (place, name) not in world.alarms]
    if missing:
        raise AwsError("ResourceNotFound", f"Unknown alarms {', '.join(missing)}", 404)
    for key in keys:
        world.alarms.pop(key, None)
        world.alarm_types.pop(key, None)
    return json_response({})


HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(_PUTS, put),
    "DescribeAlarms": describe,
    "SetAlarmState": set_state,
    "DeleteAlarms": delete,
}
