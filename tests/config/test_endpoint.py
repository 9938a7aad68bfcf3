"""The keys of a configuration that say how an endpoint is hosted, moved and asked: what is refused, and what is meant."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from crossaccount.config.endpoint import Deployment, Serverless, Vpc
from crossaccount.config.expectations import (
    ArrayOf,
    ByteLength,
    JsonPath,
    LabelsAt,
    TextOf,
    Tolerance,
    Within,
)
from crossaccount.config.loading import parse_config
from crossaccount.config.model import Sharing
from crossaccount.config.smoke import Latency
from crossaccount.errors import ConfigError, Fault

EXAMPLE = Path(__file__).parents[2] / "configs" / "example.yaml"
ENDPOINT = {"name": "trees-staging", "instance_type": "ml.m5.large"}
ASKED = {"content_type": "text/csv", "body": "5.1", "expect": [0]}
SERVERLESS = {"name": "trees", "serverless": {"memory_mb": 2048, "max_concurrency": 5}}
ID = "sg-0a1b2c3d"
VPC = {"security_group_ids": [ID], "subnet_ids": ["subnet-0a1b2c3d"]}
CAPTURE = {"s3_uri": "s3://captured-calls/trees/", "percent": 10}
KEY = "arn:aws:kms:us-east-1:222222222222:key/k"


def document(endpoint: Any = ENDPOINT, versions: Any = "approved", **consumer: Any) -> str:
    role = "arn:aws:iam::222222222222:role/"
    return yaml.safe_dump(
        {
            "model_package_group": "trees",
            "region": "us-east-1",
            "versions": versions,
            "producer": {"account": "111111111111", "releases": "s3://producer-models/releases/"},
            "consumers": {
                "staging": {
                    "account": "222222222222",
                    "role": f"{role}deployer",
                    "execution_role": f"{role}execution",
                    "endpoint": endpoint,
                    **consumer,
                }
            },
        }
    )


def hosted(**more: Any) -> str:
    return document({**ENDPOINT, **more})


def moved(**deployment: Any) -> str:
    return hosted(deployment=deployment)


def without_instances(**more: Any) -> str:
    return document({**SERVERLESS, **more})


def asked(**changes: Any) -> str:
    question = {**ASKED, **changes}
    return document(smoke=[{key: value for key, value in question.items() if value != "LEFT OUT"}])


def faults_of(text: str) -> tuple[Fault, ...]:
    with pytest.raises(ConfigError) as caught:
        parse_config(text)
    return caught.value.faults


E, D, S = "endpoint.", "endpoint.deployment.", "smoke[0]."
FLAT = "Write true or false"
BAD: list[tuple[str, str, tuple[str, ...]]] = [
    # a stage, a mode
    (document(stage=0), "stage", ("0", "from 1 to 1000")),
    (document(stage="first"), "stage", ("'first' is text", "whole number")),
    (document(stage=True), "stage", ("true", "whole number")),
    (document(stage=1.5), "stage", ("1.5", "whole number")),
    (document(smoke_mode="later"), "smoke_mode", ("'later'", "before, after, both or shadow")),
    (document(smoke_mode="befor"), "smoke_mode", ("Did you mean before?",)),
    # who does its part
    (document(run_deployment="staging"), "run_deployment", ("'staging' cannot name a deployment", "move-endpoint/staging")),
    (document(run_deployment="/staging"), "run_deployment", ("'/staging'", "prefect deployment ls")),
    (document(run_deployment="move-endpoint/"), "run_deployment", ("'move-endpoint/'", "or delete the key")),
    (document(run_deployment="move/endpoint/staging"), "run_deployment", ("'move/endpoint/staging'",)),
    (document(run_deployment="move-endpoint/ staging"), "run_deployment", ("'move-endpoint/ staging'",)),
    (document(run_deployment="move-endpoint/100%"), "run_deployment", ("'move-endpoint/100%'",)),
    (document(run_deployment="move-endpoint/staging?all"), "run_deployment", ("'move-endpoint/staging?all'",)),
    (document(run_deployment="move-endpoint/a\u202eb"), "run_deployment", ("cannot name a deployment",)),
    (document(run_deployment=True), "run_deployment", ("true", "Put it in quotes")),
    (document(run_deploymnt="move-endpoint/staging"), "run_deploymnt", ("is not a key", "Did you mean run_deployment?")),
    # capacity
    (document({"name": "trees"}), E + "instance_type", ("is missing", "instance_type: ml.m5.large, or serverless")),
    (hosted(instance_type={"ml.m5.large": 1}), E + "instance_type", ("a mapping", "ml.m5.large")),
    (hosted(instance_type=["ml.m5.large"]), E + "instance_type", ("a list", "ml.m5.large")),
    (without_instances(instance_type="ml.m5.large"), E + "instance_type", ("'ml.m5.large'", "Delete it, or serverless")),
    (without_instances(instance_count=2), E + "instance_count", ("2 instances", "Delete it, or serverless")),
    (without_instances(vpc=VPC), E + "vpc", ("in no VPC", "Delete it, or serverless")),
    (without_instances(network_isolation=True), E + "network_isolation", ("true", "Delete it, or serverless")),
    (without_instances(data_capture=CAPTURE), E + "data_capture", ("captures no data", "Delete it, or serverless")),
    (without_instances(kms_key=KEY), E + "kms_key", ("no storage", "Delete it, or serverless")),
    (without_instances(deployment={"type": "canary", "canary_percent": 10}), D + "type", ("'canary'", "Write all-at-once")),
    (without_instances(deployment={"alarms": ["a"]}), D + "alarms", ("not watched", "Delete them, or serverless")),
    (document({**SERVERLESS, "serverless": {"memory_mb": 2000, "max_concurrency": 5}}), E + "serverless.memory_mb", ("2000", "1024, 2048")),
    (document({**SERVERLESS, "serverless": {"memory_mb": 1024, "max_concurrency": 201}}), E + "serverless.max_concurrency", ("201", "from 1 to 200")),
    (document({**SERVERLESS, "serverless": {"memory_mb": 1024}}), E + "serverless.max_concurrency", ("is missing", "max_concurrency: 5")),
    (document({**SERVERLESS, "serverless": {"memory": 1024, "memory_mb": 1024, "max_concurrency": 1}}), E + "serverless.memory", ("is not a key", "Did you mean memory_mb?")),
    (document({**SERVERLESS, "serverless": 2048}), E + "serverless", ("2048 is a number", "memory_mb, max_concurrency")),
    # deployment
    (moved(type="blue-green"), D + "type", ("'blue-green'", "all-at-once, canary, linear or rolling")),
    (moved(type="rollin", batch_percent=50), D + "type", ("Did you mean rolling?",)),
    (moved(type="canary"), D + "canary_percent", ("is missing", "canary_percent: 10")),
    (moved(type="linear"), D + "linear_percent", ("is missing", "linear_percent: 25")),
    (moved(type="rolling"), D + "batch_percent", ("is missing", "batch_percent: 50")),
    (moved(canary_percent=10), D + "canary_percent", ("10 is a key of type canary", "type is all-at-once", "or write type: canary")),
    (moved(type="canary", canary_percent=10, linear_percent=10), D + "linear_percent", ("key of type linear", "Delete it")),
    (moved(type="linear", linear_percent=10, batch_percent=10), D + "batch_percent", ("key of type rolling", "Delete it")),
    (moved(type="rolling", batch_percent=10, canary_percent=10), D + "canary_percent", ("key of type canary", "Delete it")),
    (moved(type="canary", canary_percent=51), D + "canary_percent", ("51", "from 1 to 50")),
    (moved(type="canary", canary_percent=0), D + "canary_percent", ("0", "from 1 to 50")),
    (moved(type="linear", linear_percent=9), D + "linear_percent", ("9", "from 10 to 50")),
    (moved(type="rolling", batch_percent=4), D + "batch_percent", ("4", "from 5 to 50")),
    (moved(type="rolling", batch_percent=50, termination_wait_seconds=60), D + "termination_wait_seconds", ("60", "Delete it")),
    (moved(wait_seconds=3601), D + "wait_seconds", ("3601", "from 0 to 3600")),
    (moved(wait_seconds=-1), D + "wait_seconds", ("-1", "from 0 to 3600")),
    (moved(termination_wait_seconds="1m"), D + "termination_wait_seconds", ("'1m' is text", "whole number of seconds")),
    (moved(maximum_seconds=599), D + "maximum_seconds", ("599", "from 600 to 28800")),
    (moved(maximum_seconds=28801), D + "maximum_seconds", ("28801", "from 600 to 28800")),
    (moved(wait_seconds=400, termination_wait_seconds=201, maximum_seconds=600), D + "maximum_seconds", ("601", "Write more")),
    (moved(type="canary", canary_percent=5, wait_seconds=301, maximum_seconds=600), D + "maximum_seconds", ("602", "Write more")),
    (moved(type="linear", linear_percent=33, wait_seconds=200, maximum_seconds=600), D + "maximum_seconds", ("800", "Write more")),
    (moved(alarms=[f"a{number}" for number in range(11)]), D + "alarms", ("has 11 alarms", "0 to 10")),
    (moved(alarms=["a", "a"]), D + "alarms", ("'a' is listed twice", "Name it once")),
    (moved(alarms="errors"), D + "alarms", ("'errors' is text", "Write a list")),
    (moved(alarms=["arn:aws:cloudwatch:us-east-1:222222222222:alarm:a"]), D + "alarms[0]", ("is an ARN", "follows the last colon")),
    (moved(alarms=[7]), D + "alarms[0]", ("7 is a number", "in quotes")),
    (moved(step_percent=5), D + "step_percent", ("is not a key", "The keys here are: type, canary_percent")),
    (document({**ENDPOINT, "instance_type": "ml.inf1.xlarge", "deployment": {"alarms": ["a"]}}), D + "alarms", ("would be ignored", "ml.inf1.xlarge")),
    (document({**ENDPOINT, "instance_type": "ml.inf1.xlarge", "deployment": {"type": "rolling", "batch_percent": 50}}), D + "type", ("would be ignored", "another instance type")),
    # the rest of an endpoint
    (hosted(retain_variant_properties="yes"), E + "retain_variant_properties", ("'yes' is text", FLAT)),
    (hosted(keep_versions=-1), E + "keep_versions", ("-1", "from 0 to 50")),
    (hosted(keep_versions=51), E + "keep_versions", ("51", "from 0 to 50")),
    (hosted(network_isolation=1), E + "network_isolation", ("1 is a number", FLAT)),
    (hosted(kms_key="alias with spaces"), E + "kms_key", ("'alias with spaces'", "Write its ARN")),
    (hosted(data_capture={**CAPTURE, "percent": 0}), E + "data_capture.percent", ("0", "from 1 to 100")),
    (hosted(data_capture={**CAPTURE, "percent": 101}), E + "data_capture.percent", ("101", "from 1 to 100")),
    (hosted(data_capture={**CAPTURE, "s3_uri": "/captured"}), E + "data_capture.s3_uri", ("'/captured'", "s3://BUCKET/captured/")),
    (hosted(data_capture={"percent": 1}), E + "data_capture.s3_uri", ("is missing", "s3://BUCKET/captured/")),
    (hosted(vpc={**VPC, "subnet_ids": []}), E + "vpc.subnet_ids", ("has 0 subnets", "1 to 16")),
    (hosted(vpc={**VPC, "security_group_ids": [f"{ID}{number}" for number in range(6)]}), E + "vpc.security_group_ids", ("has 6 security groups", "1 to 5")),
    (hosted(vpc={**VPC, "security_group_ids": ["subnet-1"]}), E + "vpc.security_group_ids[0]", ("'subnet-1'", "sg-0a1b2c3d")),
    (hosted(vpc={"subnet_ids": ["subnet-1"]}), E + "vpc.security_group_ids", ("is missing", "sg-0a1b2c3d")),
    (document({**ENDPOINT, "name": "e" * 50}, versions=[1, 1_000_000]), E + "name", ("version 1000000", "Choose a shorter name")),
    # questions
    (asked(body="LEFT OUT"), S + "body", ("is missing", "or body_s3_uri")),
    (asked(accept="json"), S + "accept", ("'json' is not a content type", "*/*")),
    (asked(accept="*/json"), S + "accept", ("'*/json' is not a content type",)),
    (asked(accept="text/csv,,text/html"), S + "accept", ("'' is not a content type",)),
    (asked(accept=["text/csv", 1]), S + "accept", ("1 is not a content type",)),
    (asked(accept=[]), S + "accept", ("has 0 content types",)),
    (asked(accept="text/csv\nX-Evil: 1"), S + "accept", ("is not a content type",)),
    (asked(accept=["text/csv"] * 200), S + "accept", ("has 200 content types",)),
    (asked(accept=True), S + "accept", ("true is a true-or-false value",)),
    (asked(content_type="*/*"), S + "content_type", ("is not a content type",)),
    (asked(expect="LEFT OUT", expect_json_path={"path": "mean value", "value": 1}), S + "expect_json_path.path", ("stands in quotes",)),
    (asked(body_s3_uri="s3://smoke-bodies/1.csv"), S + "body_s3_uri", ("beside body", "Keep one")),
    (asked(body="LEFT OUT", body_s3_uri="s3://smoke-bodies/"), S + "body_s3_uri", ("names no object", "whole key")),
    (asked(body="LEFT OUT", body_s3_uri="https://example.com/1"), S + "body_s3_uri", ("not an address in S3",)),
    (asked(expect="LEFT OUT"), S + "expect", ("is missing", "expect: [0], or one of expect_within")),
    (asked(expect_label=["a"]), S + "expect_label", ("beside expect", "Keep one")),
    (asked(expect=None, expect_label=["a"]), S + "expect_label", ("beside expect", "Keep one")),
    (asked(expect="LEFT OUT", expect_label=["a"], expect_schema=True), S + "expect_label", ("beside expect_schema",)),
    (asked(expect="LEFT OUT", expect_label=[]), S + "expect_label", ("has 0 labels", "1 to 1000")),
    (asked(expect="LEFT OUT", expect_label="setosa"), S + "expect_label", ("'setosa' is text", "Write a list")),
    (asked(expect="LEFT OUT", expect_label=[["a"]]), S + "expect_label", ("is a list", "a label is text")),
    (asked(expect="LEFT OUT", expect_within={"value": 1}), S + "expect_within.tolerance", ("is missing", "{absolute: 0.01}")),
    (asked(expect="LEFT OUT", expect_within={"value": 1, "tolerance": {}}), S + "expect_within.tolerance", ("one measure",)),
    (asked(expect="LEFT OUT", expect_within={"value": 1, "tolerance": {"absolute": 1, "relative": 1}}), S + "expect_within.tolerance", ("one only",)),
    (asked(expect="LEFT OUT", expect_within={"value": 1, "tolerance": {"absolute": 0}}), S + "expect_within.tolerance.absolute", ("0", "above 0")),
    (asked(expect="LEFT OUT", expect_within={"value": 1, "tolerance": {"relative": "5%"}}), S + "expect_within.tolerance.relative", ("'5%' is text",)),
    (asked(expect="LEFT OUT", expect_within={"value": 1, "tolerance": 0.1}), S + "expect_within.tolerance", ("0.1 is a number", "absolute, relative")),
    (asked(expect="LEFT OUT", expect_json_path={"path": "a[*]", "value": 1}), S + "expect_json_path.path", ("'a[*]' is not a path", "predictions[0].score")),
    (asked(expect="LEFT OUT", expect_json_path={"path": "a"}), S + "expect_json_path.value", ("is missing",)),
    (asked(expect="LEFT OUT", expect_json_path={"path": "a", "value": 1, "tolerance": {}}), S + "expect_json_path.tolerance", ("one measure",)),
    (asked(expect="LEFT OUT", expect_schema={"type": "list"}), S + "expect_schema", ("not a JSON schema", "{type: array, minItems: 1}")),
    (asked(expect="LEFT OUT", expect_schema={"$ref": "https://example.com/s"}), S + "expect_schema", ("leads out of it",)),
    # latency
    (document(latency={}), "latency", ("limits nothing", "Add p50_ms, p95_ms")),
    (document(latency={"calls": 0, "p50_ms": 1}), "latency.calls", ("0", "from 1 to 1000")),
    (document(latency={"p50_ms": 0}), "latency.p50_ms", ("0", "above 0")),
    (document(latency={"p50_ms": 9, "p95_ms": 8}), "latency.p50_ms", ("more than the p95_ms of 8", "Write less")),
    (document(latency={"p99_ms": 9, "p95_ms": 8}), "latency.p99_ms", ("is not a key", "Did you mean p95_ms?")),
]  # fmt: skip


@pytest.mark.parametrize(("text", "key", "words"), BAD, ids=[f"{key}-{words[0]}" for _, key, words in BAD])
def test_a_bad_config_gives_one_fault_with_its_key_and_way_out(
    text: str, key: str, words: tuple[str, ...]
) -> None:
    (fault,) = faults_of(text)
    assert fault.key == f"consumers.staging.{key}"
    assert fault.line is not None
    assert fault.message.isprintable()
    assert len(fault.message) < 400
    for word in words:
        assert word in fault.message
    for foreign in ("Input should", "Field required", "validation error", "pydantic"):
        assert foreign not in fault.message


def test_all_that_serverless_excludes_is_told_at_once() -> None:
    text = without_instances(
        instance_type="ml.m5.large",
        vpc=VPC,
        network_isolation=True,
        data_capture=CAPTURE,
        kms_key=KEY,
        deployment={"type": "linear", "linear_percent": 10, "alarms": ["a"]},
    )
    keys = {fault.key.removeprefix("consumers.staging.endpoint.") for fault in faults_of(text)}
    plain = {"instance_type", "vpc", "network_isolation", "data_capture", "kms_key"}
    assert keys == plain | {"deployment.type", "deployment.alarms"}


GOOD: list[tuple[str, str, Any]] = [
    (document(), "stage", 1),
    (document(stage=3), "stage", 3),
    (document(), "run_deployment", None),
    (document(run_deployment="move-endpoint/staging"), "run_deployment", "move-endpoint/staging"),
    (document(run_deployment="Move it/EU, staging"), "run_deployment", "Move it/EU, staging"),
    (document(), "smoke_mode", "before"),
    (document(smoke_mode="both"), "smoke_mode", "both"),
    (document(), "latency", None),
    (document(latency={"p95_ms": 8}), "latency", Latency(calls=20, p95_ms=8.0)),
    (document(latency={"calls": 5, "p50_ms": 8, "p95_ms": 8}), "latency.calls", 5),
    (document(), "endpoint.deployment", Deployment()),
    (document(), "endpoint.deployment.type", "all-at-once"),
    (document(), "endpoint.keep_versions", 2),
    (document(), "endpoint.retain_variant_properties", True),
    (document(), "endpoint.network_isolation", False),
    (hosted(keep_versions=0), "endpoint.keep_versions", 0),
    (hosted(vpc=VPC), "endpoint.vpc", Vpc(security_group_ids=(ID,), subnet_ids=("subnet-0a1b2c3d",))),
    (hosted(kms_key="alias/models"), "endpoint.kms_key", "alias/models"),
    (hosted(data_capture=CAPTURE), "endpoint.data_capture.percent", 10),
    (without_instances(), "endpoint.serverless", Serverless(memory_mb=2048, max_concurrency=5)),
    (without_instances(deployment={"type": "all-at-once"}), "endpoint.instance_type", None),
    (moved(wait_seconds=0, alarms=[]), "endpoint.deployment.alarms", ()),
    (moved(alarms=["errors", "slow answers"]), "endpoint.deployment.alarms", ("errors", "slow answers")),
    (moved(type="canary", canary_percent=50, linear_percent=None), "endpoint.deployment.canary_percent", 50),
    (moved(type="rolling", batch_percent=5, termination_wait_seconds=0), "endpoint.deployment.batch_percent", 5),
    (moved(wait_seconds=400, termination_wait_seconds=200, maximum_seconds=600), "endpoint.deployment.maximum_seconds", 600),
    (moved(type="linear", linear_percent=50, wait_seconds=300, maximum_seconds=600), "endpoint.deployment.wait_seconds", 300),
    (document({**ENDPOINT, "name": "e" * 50}, versions=[999_999]), "endpoint.name", "e" * 50),
    (asked(expect=None), "smoke.0.expect", None),
    (asked(body="LEFT OUT", body_s3_uri="s3://b-1/a b.csv"), "smoke.0.body_s3_uri", "s3://b-1/a b.csv"),
    (asked(expect="LEFT OUT", expect_within={"value": [1], "tolerance": {"relative": 0.1}}), "smoke.0.expect_within",
     Within(value=[1], tolerance=Tolerance(relative=0.1))),
    (asked(expect="LEFT OUT", expect_json_path={"path": "a", "value": None}), "smoke.0.expect_json_path", JsonPath(path="a", value=None)),
    (asked(expect="LEFT OUT", expect_schema=False), "smoke.0.expect_schema", False),
    (asked(expect="LEFT OUT", expect_label=["a", 1, True]), "smoke.0.expect_label.labels", ("a", 1, True)),
    (asked(accept="*/*"), "smoke.0.accept", "*/*"),
    (asked(accept="text/*;q=0.5, application/json"), "smoke.0.accept", "text/*;q=0.5, application/json"),
    (asked(accept=["application/json", "text/csv; q=0.1"]), "smoke.0.accept", "application/json, text/csv; q=0.1"),
    (asked(accept=["text/csv"]), "smoke.0.accept", "text/csv"),
    (asked(accept='application/json; profile="a b"'), "smoke.0.accept", 'application/json; profile="a b"'),
    (asked(accept=""), "smoke.0.accept", ""),
    (asked(accept=None), "smoke.0.accept", ""),
    (asked(expect="LEFT OUT", expect_json_path={"path": 'quantiles."0.5"', "value": 1}), "smoke.0.expect_json_path",
     JsonPath(path='quantiles."0.5"', value=1)),
]  # fmt: skip


@pytest.mark.parametrize(("text", "path", "value"), GOOD)
def test_a_value_is_kept_as_it_is_meant(text: str, path: str, value: Any) -> None:
    sharing = parse_config(text)
    found: Any = sharing.consumers["staging"]
    for name in path.split("."):
        found = found[int(name)] if name.isdecimal() else getattr(found, name)
    assert found == value
    assert type(found) is type(value)
    assert Sharing.model_validate(sharing.model_dump()) == sharing
    assert Sharing.model_validate_json(sharing.model_dump_json()) == sharing


@pytest.mark.parametrize(
    ("written", "number"), [(".nan", "NaN"), (".NaN", "NaN"), (".inf", "Infinity"), ("-.Inf", "-Infinity")]
)
def test_a_number_that_json_has_not_can_be_expected(written: str, number: str) -> None:
    sharing = parse_config(asked(expect=["HERE"]).replace("HERE", written))
    for each in (
        sharing,
        Sharing.model_validate(sharing.model_dump()),
        Sharing.model_validate_json(sharing.model_dump_json()),
    ):
        assert json.dumps(each.consumers["staging"].smoke[0].expect) == f"[{number}]"


@pytest.mark.parametrize("written", ["NaN", "nan", "Infinity", "inf", "'.nan'", ".nano", "+.nan"])
def test_a_word_is_no_number(written: str) -> None:
    sharing = parse_config(asked(expect=["HERE"]).replace("HERE", written))
    assert sharing.consumers["staging"].smoke[0].expect == [written.strip("'")]


def test_a_question_says_only_what_was_given() -> None:
    (one,) = parse_config(asked(expect=None)).consumers["staging"].smoke
    assert one.model_dump() == {**ASKED, "expect": None, "accept": "application/json"}
    (one,) = parse_config(asked(expect="LEFT OUT", expect_label=["a"])).consumers["staging"].smoke
    assert "expect" not in one.model_dump()


def test_the_example_explains_every_new_key() -> None:
    """Each inner key is there as a key, or spelled out in the comment above it."""
    text = EXAMPLE.read_text(encoding="utf-8")
    assert re.search(r"^    run_deployment: ", text, re.MULTILINE)
    of_answers = (Within, JsonPath, Tolerance, LabelsAt, ArrayOf, TextOf, ByteLength)
    for model in (Deployment, Serverless, Vpc, Latency, *of_answers):
        for key in model.model_fields:
            assert re.search(rf"(^\s*|[{{ ]){key}\b", text, re.MULTILINE), key


SANDBOX = EXAMPLE.with_name("sandbox.yaml")


@pytest.mark.parametrize("word", ["before", "after", "both"])
def test_the_smoke_mode_alone_may_stand_in_place_of_the_questions(word: str) -> None:
    text = SANDBOX.read_text(encoding="utf-8").replace(
        "    # No smoke:", f"    smoke: {word}\n    # No smoke:"
    )
    staging = parse_config(text).consumers["staging"]
    assert (staging.smoke_mode, staging.smoke) == (word, ())


@pytest.mark.parametrize("lines", ["smoke: never", "smoke: after\n    smoke_mode: before", "smoke: true"])
def test_any_other_word_is_a_fault(lines: str) -> None:
    text = SANDBOX.read_text(encoding="utf-8").replace("    # No smoke:", f"    {lines}\n    # No smoke:")
    with pytest.raises(ConfigError, match=r"consumers\.staging\.smoke: "):
        parse_config(text)


@pytest.mark.parametrize(
    ("endpoint", "key"),
    [
        ({**ENDPOINT, "kind": "asynchronous"}, "asynchronous"),
        ({**ENDPOINT, "kind": "inference-components"}, "inference_component"),
        ({"name": "trees", "kind": "serverless"}, "serverless"),
        ({**ENDPOINT, "routing": "prefix-aware"}, "prefix_routing"),
    ],
)
def test_the_example_of_a_key_that_is_missing_can_be_written_as_it_stands(
    endpoint: dict[str, Any], key: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_config(document(endpoint))
    (fault,) = raised.value.faults
    example = re.search(rf"for example {key}: (\{{.*?\}})", fault.message)
    assert example is not None, fault.message
    given = yaml.safe_load(example[1].replace("BUCKET", "answers-of-trees"))
    parse_config(document({**endpoint, key: given}))


def test_a_rule_of_versions_is_written_as_it_is_read() -> None:
    rule = {"stage": ["Production"], "stage_status": "Approved", "metadata": {"team": "risk", "tier": "1"}}
    sharing = parse_config(document(versions=rule))
    assert parse_config(sharing.model_dump_json(exclude_unset=True)) == sharing
    assert Sharing.model_validate(sharing.model_dump()) == sharing
