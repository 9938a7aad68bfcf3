#!/usr/bin/env bash
# moto 5.2.5: DescribeAlarms with AlarmTypes=["CompositeAlarm"] lists metric alarms too.
#
# The CloudWatch API reference says that AlarmTypes names the types that are returned. A deployment that names an alarm of the wrong type
# as a guardrail, and asks for that type, finds the alarm here and not there.
# Seen: MetricAlarms ["latency"].
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'moto[cloudwatch]==5.2.5' 'boto3>=1.44'
cd "$folder"
AWS_ACCESS_KEY_ID=none AWS_SECRET_ACCESS_KEY=none AWS_DEFAULT_REGION=us-east-1 "$folder/venv/bin/python" - <<'PYTHON'
import boto3
from moto import mock_aws

with mock_aws():
    client = boto3.client("cloudwatch")
    client.put_metric_alarm(
        AlarmName="latency",
        MetricName="ModelLatency",
        Namespace="AWS/SageMaker",
        Statistic="Average",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )
    answer = client.describe_alarms(AlarmTypes=["CompositeAlarm"])
    names = [alarm["AlarmName"] for alarm in answer["MetricAlarms"]]
    print("MetricAlarms", names)
    assert names == ["latency"], answer
PYTHON
