"""CloudWatch, as far as alarms go: they are put, described, set to a state, and deleted.

Nothing is measured here: an alarm has the state that SetAlarmState gave it, and keeps it. Actions, composite alarms
and history are not modelled.

Source: the CloudWatch API reference; its JSON protocol, which is the one that the pinned botocore speaks.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from crossaccount_sandbox.callers import Caller
from crossaccount_sandbox.guard import Handler
from crossaccount_sandbox.operations import alarm_arn
from crossaccount_sandbox.wire import AwsError, Call, Response, json_response

if TYPE_CHECKING:
    from crossaccount_sandbox.world import World

Place = tuple[str, str]  # account, region
Record = dict[str, Any]
_PAGE = 50


class CloudWatch:
    """The alarms of every account and region."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._alarms: dict[tuple[Place, str], Record] = {}

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """The operations answered here, by (service, operation)."""
        own: dict[str, Handler] = {
            "PutMetricAlarm": self.put,
            "DescribeAlarms": self.describe,
            "SetAlarmState": self.set_state,
            "DeleteAlarms": self.delete,
        }
        return {("cloudwatch", name): handler for name, handler in own.items()}

    def state(self, place: Place, name: str) -> str | None:
        """An alarm's state: ``OK``, ``ALARM`` or ``INSUFFICIENT_DATA``; None when there is no such alarm."""
        with self._lock:
            found = self._alarms.get((place, name))
            return None if found is None else str(found["StateValue"])

    def put(self, world: World, call: Call, caller: Caller) -> Response:
        """PutMetricAlarm: a new alarm has insufficient data; an existing one keeps its state.

        Raises:
            AwsError: ``ValidationError`` for an alarm of no metric, or of both a metric and metric math.
        """
        given = {key: value for key, value in call.params.items() if key != "Tags"}
        if bool(given.get("MetricName")) == bool(given.get("Metrics")):
            raise AwsError("ValidationError", "Exactly one of MetricName and Metrics must be specified.")
        for name in ("EvaluationPeriods", "ComparisonOperator"):
            if given.get(name) is None:
                raise AwsError("ValidationError", f"The parameter {name} must be specified.")
        key, now = ((caller.account, call.region), given["AlarmName"]), world.clock()
        with self._lock:
            before = self._alarms.get(key, {})
            fresh = {
                "StateValue": "INSUFFICIENT_DATA",
                "StateReason": "Unchecked: Initial alarm creation",
                "StateUpdatedTimestamp": now,
            }
            kept = {name: before.get(name, value) for name, value in fresh.items()}
            self._alarms[key] = {
                "ActionsEnabled": True,
                **given,
                **kept,
                "AlarmArn": alarm_arn(call.region, caller.account, given["AlarmName"]),
                "AlarmConfigurationUpdatedTimestamp": now,
            }
        return json_response({})

    def describe(self, world: World, call: Call, caller: Caller) -> Response:
        """DescribeAlarms: by names, by prefix or all, of one state or any; names that are no alarm's are left out."""
        place, params = (caller.account, call.region), call.params
        names, prefix, state = (params.get(one) for one in ("AlarmNames", "AlarmNamePrefix", "StateValue"))
        if names and prefix:
            raise AwsError("ValidationError", "AlarmNames and AlarmNamePrefix cannot both be specified.")
        with self._lock:
            found = [
                alarm
                for (of, name), alarm in sorted(self._alarms.items(), key=lambda item: item[0])
                if of == place
                and (not names or name in names)
                and name.startswith(prefix or "")
                and state in (None, alarm["StateValue"])
            ]
        start, size = int(params.get("NextToken") or 0), int(params.get("MaxRecords") or _PAGE)
        more = {"NextToken": str(start + size)} if start + size < len(found) else {}
        return json_response({"MetricAlarms": found[start : start + size], "CompositeAlarms": [], **more})

    def set_state(self, world: World, call: Call, caller: Caller) -> Response:
        """SetAlarmState.

        Raises:
            AwsError: ``ResourceNotFound`` for an alarm that is not there.
        """
        with self._lock:
            alarm = self._alarms.get(((caller.account, call.region), call.params["AlarmName"]))
            if alarm is None:
                raise AwsError("ResourceNotFound", f"Unknown alarm {call.params['AlarmName']}", 404)
            alarm.update(
                StateValue=call.params["StateValue"],
                StateReason=call.params["StateReason"],
                StateUpdatedTimestamp=world.clock(),
            )
        return json_response({})

    def delete(self, world: World, call: Call, caller: Caller) -> Response:
        """DeleteAlarms: all of them or, when one is not there, none.

        Raises:
            AwsError: ``ResourceNotFound``.
        """
        keys = [((caller.account, call.region), name) for name in call.params["AlarmNames"]]
        with self._lock:
            missing = [name for place, name in keys if (place, name) not in self._alarms]
            if missing:
                raise AwsError("ResourceNotFound", f"Unknown alarms {', '.join(missing)}", 404)
            for key in keys:
                self._alarms.pop(key, None)
        return json_response({})
