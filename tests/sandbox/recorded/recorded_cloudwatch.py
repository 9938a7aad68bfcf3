"""What AWS answered to calls of CloudWatch."""

import json
import re
from typing import Any

from facts import ACCOUNT, CUSTODIAN, LOCALSTACK_CW, REGION, Fact

SET = {"StateReason": "testing alarm"}


def after(**change: Any) -> Any:
    """What is described of the alarm once it was set to a state."""

    def ask(cw: Any) -> Any:
        cw.set_alarm_state(AlarmName="facts", **SET, **change)
        return cw.describe_alarms(AlarmNames=["facts"])

    return ask


def history(cw: Any) -> Any:
    cw.set_alarm_state(AlarmName="facts", StateValue="ALARM", **SET)
    answer = cw.describe_alarm_history(AlarmName="facts", HistoryItemType="StateUpdate")
    for item in answer["AlarmHistoryItems"]:
        item["HistoryData"] = json.loads(item["HistoryData"])
    return answer


def disabled(cw: Any) -> Any:
    cw.disable_alarm_actions(AlarmNames=["facts"])
    return cw.describe_alarms(AlarmNames=["facts"])


FACTS: dict[str, Fact] = {
    "an alarm that has what it must have": Fact(
        lambda s: s.alarmed(lambda cw: cw.describe_alarms(AlarmNames=["facts"])),
        f"{LOCALSTACK_CW}, test_describe_minimal_metric_alarm",
        fields={
            "CompositeAlarms": [],
            "MetricAlarms/0/ActionsEnabled": True,
            **{f"MetricAlarms/0/{kind}Actions": [] for kind in ("Alarm", "OK", "InsufficientData")},
            "MetricAlarms/0/AlarmArn": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:facts",
            "MetricAlarms/0/Dimensions": [],
            "MetricAlarms/0/StateReason": "Unchecked: Initial alarm creation",
            "MetricAlarms/0/StateValue": "INSUFFICIENT_DATA",
            "MetricAlarms/0/Statistic": "Sum",
            "MetricAlarms/0/Threshold": 30.0,
            **{
                f"MetricAlarms/0/{name}Timestamp": re.compile(".+")
                for name in ("StateTransitioned", "StateUpdated", "AlarmConfigurationUpdated")
            },
        },
        absent=("MetricAlarms/0/TreatMissingData", "MetricAlarms/0/Unit", "MetricAlarms/0/AlarmDescription", "NextToken"),
    ),
    "a name that no alarm has": Fact(
        lambda s: s.cw.describe_alarms(AlarmNames=["none"]), f"{LOCALSTACK_CW}, test_delete_alarm",
        fields={"MetricAlarms": [], "CompositeAlarms": []},
    ),
    "a state that is none": Fact(
        lambda s: s.alarmed(lambda cw: cw.set_alarm_state(AlarmName="facts", StateValue="INVALID", StateReason="x")),
        f"{LOCALSTACK_CW}, test_set_alarm_invalid_input", "ValidationError",
        r"1 validation error detected: Value 'INVALID' at 'stateValue' failed to satisfy constraint: Member must satisfy "
        r"enum value set: \[INSUFFICIENT_DATA, ALARM, OK\]", 400,
    ),
    "the state of an alarm that is not there": Fact(
        lambda s: s.cw.set_alarm_state(AlarmName="none", StateValue="OK", StateReason="x"),
        f"{LOCALSTACK_CW}, test_set_alarm_invalid_input", "ResourceNotFound", "", 404,
    ),
    "composite alarms alone": Fact(
        lambda s: s.alarmed(lambda cw: cw.describe_alarms(AlarmTypes=["CompositeAlarm"])),
        f"{CUSTODIAN}/test_add_composite_alarm_tags",
        fields={"MetricAlarms": [], "CompositeAlarms/0/AlarmName": "composite", "CompositeAlarms/0/ActionsEnabled": True},
        absent=("CompositeAlarms/0/Dimensions",),
    ),
    "an alarm that was set to a state": Fact(
        lambda s: s.alarmed(after(StateValue="ALARM")), f"{LOCALSTACK_CW}, test_enable_disable_alarm_actions",
        fields={"MetricAlarms/0/StateValue": "ALARM", "MetricAlarms/0/StateReason": "testing alarm"},
        absent=("MetricAlarms/0/StateReasonData",),
    ),
    "an alarm whose actions were switched off": Fact(
        lambda s: s.alarmed(disabled), f"{LOCALSTACK_CW}, test_enable_disable_alarm_actions",
        fields={"MetricAlarms/0/ActionsEnabled": False},
    ),
    "the history of a state": Fact(
        lambda s: s.alarmed(history), f"{LOCALSTACK_CW}, test_put_metric_alarm",
        fields={
            "AlarmHistoryItems/0/AlarmName": "facts",
            "AlarmHistoryItems/0/AlarmType": "MetricAlarm",
            "AlarmHistoryItems/0/HistoryItemType": "StateUpdate",
            "AlarmHistoryItems/0/HistorySummary": "Alarm updated from INSUFFICIENT_DATA to ALARM",
            "AlarmHistoryItems/0/HistoryData/version": "1.0",
            "AlarmHistoryItems/0/HistoryData/oldState": {
                "stateValue": "INSUFFICIENT_DATA",
                "stateReason": "Unchecked: Initial alarm creation",
            },
            "AlarmHistoryItems/0/HistoryData/newState/stateValue": "ALARM",
        },
    ),
}  # fmt: skip
