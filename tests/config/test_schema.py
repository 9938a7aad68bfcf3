"""The JSON schema of a config against the loader: what the one accepts and refuses, the other does, over many configs good and bad.

The configs are those of the loader's own tests, and mutations of good ones. Where JSON Schema cannot say a rule, the config is counted
under its name in `schema.UNSAID`, by what the loader says of it; the schema may then accept what the loader refuses, and nothing else.
"""

from __future__ import annotations

import copy
import importlib.util
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import playwright
import pytest
import yaml

from crossaccount.config import schema
from crossaccount.config.loading import parse_config
from crossaccount.config.yaml_file import Reading, Unreadable, compose
from crossaccount.errors import ConfigError
from crossaccount.regions import partitions

CONFIGS = Path(__file__).parents[2] / "configs"
SHIPPED = CONFIGS / "crossaccount.schema.json"

# The sentences of the loader for what a schema cannot say, by the names of `schema.UNSAID`.
SENTENCES = {
    "equal": r"is a role of account|is a key of account|lies in .*S3 in|is a path of another organization",
    "unlike": r"producer's own account|is also the endpoint of consumer|is the type of an earlier pool",
    "order": r"is more than the|which no measurement can meet|is less than the memory_mb|instances are not within managed_scaling|"
    r"seconds are less than the",
    "elsewhere": r"no consumer has the stage|takes a version out of versions",
    "written": r"is written twice|carries the YAML tag|merges another mapping|as a key\. Write a plain word|larger than 1 MB|is not a number that JSON",
    "number": r"(\.0|NaN|Infinity) is (a number|no interval|out of bounds)|NaN is a number",
    "inner": r"is not a regular expression|is not a JSON schema|is not base64|content types in|half of a character pair|cannot be printed",
    "calendar": r"is not a time",
    "files": r"is no file beside the config",
}


def loaded(text: str) -> list[str]:
    """What the loader says against a config; nothing when it takes it."""
    try:
        parse_config(text)
    except ConfigError as error:
        return [f"{fault.key}: {fault.message}" for fault in error.faults]
    return []


@cache
def validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(schema.json_schema())


def objections(data: Any) -> list[str]:
    """What the schema says against a config."""
    return [f"{list(each.absolute_path)}: {each.message[:200]}" for each in validator().iter_errors(data)]


def disagreement(text: str) -> str | None:
    """The rule beyond a schema that a config breaks, empty where both agree; None where they disagree without such a reason."""
    try:
        data = Reading().data(compose(text))
    except Unreadable:
        return ""  # no YAML: no schema is asked
    refused = loaded(text)
    if bool(refused) != validator().is_valid(data):
        return ""
    if refused:
        for name, pattern in SENTENCES.items():
            if all(re.search(pattern, said) for said in refused):
                return name
    return None


# Configs


def sibling(name: str) -> ModuleType:
    """Another file of tests, for its table of faults."""
    path = Path(__file__).parent / f"{name}.py"
    specification = importlib.util.spec_from_file_location(f"table_of_{name}", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[module.__name__] = module
    specification.loader.exec_module(module)
    return module


def parameters(test: Any) -> list[Any]:
    """The rows that a test is parametrized with."""
    (mark,) = (each for each in test.pytestmark if each.name == "parametrize")
    return list(mark.args[1])


def tables() -> Iterator[str]:
    """The configs of the loader's own tests."""
    loading, endpoint, questions = (
        sibling("test_loading"),
        sibling("test_endpoint"),
        sibling("test_questions"),
    )
    capacity, queued, shadow = sibling("test_capacity"), sibling("test_asynchronous"), sibling("test_shadow")
    yield from (loading.edited(bad.edits) for bad in loading.BAD)
    yield from (loading.edited(row[0]) for row in parameters(loading.test_a_value_is_kept_as_it_is_meant))
    yield from (
        loading.edited(row[0]) for row in parameters(loading.test_who_is_let_in_is_kept_as_it_is_meant)
    )
    yield from (
        loading.edited({16: f"    expires: {row[0]}\n"})
        for row in parameters(loading.test_an_end_is_kept_in_utc)
    )
    yield from (text for text, _, _ in endpoint.BAD)
    for given in questions.GOOD:
        yield questions.document({**_asked(questions.ASKED), **given})
    for given, _, _ in questions.BAD:
        kept = dict(questions.ASKED) if "expect" in given else _asked(questions.ASKED)
        yield questions.document({**kept, **given})
    for test, key, body in (
        (questions.test_a_container_is_named_by_its_dns_name, "container", True),
        (questions.test_what_names_no_container_is_refused, "container", True),
        (questions.test_a_content_type_is_a_word_or_two, "content_type", True),
        (questions.test_what_is_no_content_type_is_refused, "content_type", True),
        (questions.test_what_is_no_base64_is_refused, "body_base64", False),
        (questions.test_a_path_that_leads_elsewhere_is_refused, "body_file", False),
    ):
        for value in parameters(test):
            yield questions.document({**questions.ASKED, **({} if body else {"body": None}), key: value})
    for written, _ in parameters(questions.test_bytes_are_written_in_base64):
        yield questions.document({**questions.ASKED, "body": None, "body_base64": written})
    for row in parameters(capacity.test_a_capacity_that_aws_would_refuse_is_one_fault):
        yield _with_endpoint({"name": "churn", "instance_type": "ml.m5.large", **row[0]})
    for row in parameters(capacity.test_a_capacity_that_aws_takes_is_none):
        yield _with_endpoint({"name": "churn", "instance_type": "ml.m5.large", **row})
    yield from (queued.document(row) for row in parameters(queued.test_an_asynchronous_endpoint_may_say))
    yield from (
        queued.document(row[0]) for row in parameters(queued.test_an_asynchronous_endpoint_may_not_say)
    )
    for row in parameters(shadow.test_a_config_that_no_shadow_can_follow_is_refused):
        yield shadow.document(row[0], **row[1])
    yield from (
        shadow.document(shadow.ENDPOINT, **row[0]) for row in parameters(shadow.test_what_a_shadow_is_told)
    )


def _asked(question: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in question.items() if key != "expect"}


ROLE = "arn:aws:iam::222222222222:role/"


def _with_endpoint(endpoint: dict[str, Any], **consumer: Any) -> str:
    staging = {
        "account": "222222222222",
        "role": f"{ROLE}d",
        "execution_role": f"{ROLE}e",
        "endpoint": endpoint,
        **consumer,
    }
    producer = {"account": "111111111111", "releases": "s3://releases/churn/"}
    whole = {"model_package_group": "churn", "region": "us-east-1", "producer": producer}
    return json.dumps({**whole, "consumers": {"staging": staging}})


INSTANCES = {"name": "churn", "instance_type": "ml.m5.large"}
ENDPOINTS: dict[str, dict[str, Any]] = {
    "real-time": INSTANCES,
    "said": {**INSTANCES, "kind": "real-time"},
    "serverless": {"name": "churn", "serverless": {"memory_mb": 2048, "max_concurrency": 5}},
    "said-serverless": {
        "name": "churn",
        "kind": "serverless",
        "serverless": {"memory_mb": 2048, "max_concurrency": 5},
    },
    "asynchronous": {**INSTANCES, "kind": "asynchronous", "asynchronous": {"s3_output": "s3://answers/a/"}},
    "components": {**INSTANCES, "kind": "inference-components", "inference_component": {"memory_mb": 1024}},
    "pooled": {"name": "churn", "instance_pools": [{"instance_type": "ml.g5.xlarge", "priority": 1}]},
    "inf1": {"name": "churn", "instance_type": "ml.inf1.xlarge"},
    "direct": {**INSTANCES, "container_mode": "direct"},
    "captured": {**INSTANCES, "data_capture": {"s3_uri": "s3://captured-calls/", "percent": 1}},
}
ADDITIONS: list[dict[str, Any]] = [
    {"managed_scaling": {"minimum": 0, "maximum": 4}},
    {"vpc": {"security_group_ids": ["sg-1"], "subnet_ids": ["subnet-1"]}},
    {"deployment": {"type": "canary", "canary_percent": 10, "wait_seconds": 5}},
    {"deployment": {"type": "linear", "linear_percent": 10}},
    {"deployment": {"type": "rolling", "batch_percent": 50, "wait_seconds": 5, "alarms": ["a"]}},
    {"deployment": {"termination_wait_seconds": 5}},
    {"deployment": {"alarms": ["a"]}},
    {"deployment": {}},
    {"network_isolation": True},
    {"network_isolation": False},
    {"kms_key": "alias/k"},
    {"volume_size_gb": 5},
    {"inference_ami": "al2-ami-sagemaker-inference-gpu-2"},
    {"routing": "random"},
    {"container_mode": "direct"},
    {"instance_count": 3},
    {"instance_pools": []},
    {"instance_pools": [{"instance_type": "ml.inf1.xlarge", "priority": 5}]},
    {"instance_type": "ml.inf1.xlarge"},
    {"instance_type": None},
    {"serverless": None},
    {"asynchronous": None},
    {"inference_component": {"memory_mb": 1024, "cpu_cores": 0.2}},
    {"inference_component": {"memory_mb": 1024, "accelerators": 1}},
    {"provision_seconds": 300},
    {"data_capture": {"s3_uri": "s3://captured-calls/", "percent": 1}},
]
CONSUMERS: list[dict[str, Any]] = [
    {"smoke": "shadow"},
    {"smoke_mode": "shadow", "shadow": {}},
    {"smoke": "shadow", "shadow": {"seconds": 5}},
    {"smoke": "after", "shadow": {}},
    {"smoke": "after", "smoke_mode": "after"},
    {"smoke": "never"},
    {"smoke": None},
    {"latency": {"p50_ms": 5}},
    {"latency": {"calls": 5}},
    {"smoke": [{"content_type": "a/b", "body": "1", "expect": None, "stream": True}]},
    {"smoke": [{"content_type": "a/b", "body": "1", "expect": None, "container": "encoder"}]},
    {"smoke_mode": "shadow", "latency": {"p95_ms": 1}},
]


def kinds() -> Iterator[str]:
    """Each kind of endpoint with each key that some kind cannot have, and each way of asking."""
    for endpoint in ENDPOINTS.values():
        yield from (_with_endpoint({**endpoint, **more}) for more in ADDITIONS)
        yield from (_with_endpoint(endpoint, **more) for more in CONSUMERS)


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of every key and item of a config."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, each in inner:
        yield (*path, step)
        yield from places(each, (*path, step))


def put(data: Any, path: tuple[str | int, ...], value: Any) -> Any:
    """A copy of a config with another value at a path; the value ``...`` takes the key out."""
    whole = copy.deepcopy(data)
    node = whole
    for step in path[:-1]:
        node = node[step]
    if value is ...:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    return whole


def mutations(name: str) -> Iterator[str]:
    """A shipped config with one thing changed: each key taken out, mistyped, beside its bounds, and a key too many."""
    data = Reading().data(compose((CONFIGS / name).read_text(encoding="utf-8")))
    if "consumers" in data:
        data["consumers"] = dict(list(data["consumers"].items())[:2])
    for path in places(data):
        node = data
        for step in path:
            node = node[step]
        others: list[Any] = [..., None, "", [], {}, True, -1, 0, "no such word", ["x"], {"x": 1}]
        if isinstance(node, int) and not isinstance(node, bool):
            others += [node + 1, node - 1, str(node), node + 0.5, 10**9]
        if isinstance(node, str):
            others += [
                f"{node}\n",
                f" {node}",
                f"{node}/",
                node.upper(),
                f"{node}*",
                "a" * 3000,
                node.replace(":", ";"),
            ]
        if isinstance(node, dict):
            others.append({**node, "no_such_key": 1})
        yield from (yaml.safe_dump(put(data, path, other)) for other in others)


BOUNDS = [
    (("consumers", "staging", *path), value)
    for path, limits in {
        ("stage",): (1, 1000),
        ("endpoint", "instance_count"): (1, 100),
        ("endpoint", "keep_versions"): (0, 50),
        ("endpoint", "provision_seconds"): (300, 3600),
        ("endpoint", "container_startup_seconds"): (60, 3600),
        ("endpoint", "volume_size_gb"): (1, 512),
        ("latency",): (),
    }.items()
    for limit in limits
    for value in (limit - 1, limit, limit + 1)
]


def bounds() -> Iterator[str]:
    """Numbers at their bounds and one beside them, names at their longest, and every region."""
    data = Reading().data(compose((CONFIGS / "sandbox.yaml").read_text(encoding="utf-8")))
    yield from (yaml.safe_dump(put(data, path, value)) for path, value in BOUNDS)
    for length in (47, 48, 49, 50, 51):
        for version in (999_999, 1_000_000, 10_000_000, 100_000_000, 999_999_999, 10**9):
            named = put(data, ("consumers", "staging", "endpoint", "name"), "e" * length)
            yield yaml.safe_dump({**named, "versions": [1, version]})
    for region in (*partitions(), "us-east-9"):
        yield yaml.safe_dump({**data, "region": region})
        yield yaml.safe_dump({**data, "region": region}).replace(
            "arn:aws:", f"arn:{partitions().get(region, 'aws')}:"
        )
    for path in (
        "a",
        "$",
        "$.a",
        "a.b",
        "a[0]",
        "[0][1]",
        '"a b".c',
        "$a",
        "a..b",
        "a[x]",
        "a[*]",
        "a['b']",
        "a[0]b",
        ".a",
        "a.",
        r'"\x"',
    ):
        expected = {"path": path, "value": 1}
        question = {"content_type": "a/b", "body": "1", "expect_json_path": expected}
        yield yaml.safe_dump(put(data, ("consumers", "production", "smoke"), [question]))
    for rule in (
        {},
        {"stage": None},
        {"stage": "A"},
        {"stage": []},
        {"stage": ["A", "A"]},
        {"metadata": {}},
        {"metadata": {"a": 1}},
        {"metadata": {"a": "b"}},
    ):
        yield yaml.safe_dump({**data, "versions": rule})
    for stage in ("0", "1", "01", "1000", "1001", "x", "2"):
        yield yaml.safe_dump({**data, "lifecycle": {stage: {"stage": "A", "status": "B"}}})
    for expires in (
        "2027-01-31",
        "2027-02-31",
        "2028-02-29",
        "2027-02-29",
        "2027-04-31",
        "2027-01-01T24:00:00Z",
        "2027-01-01T23:59:59-0200",
    ):
        yield yaml.safe_dump(put(data, ("consumers", "staging", "expires"), expires))


# Of the changed files every so manieth is tried; `make properties` tries all.
EVERY = (1, 1) if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else (3, 19)
SOURCES: dict[str, Callable[[], Iterable[str]]] = {
    "the tables of the loader's tests": tables,
    "kinds of endpoints": kinds,
    "bounds": bounds,
    "sandbox.yaml changed": lambda: islice(mutations("sandbox.yaml"), 0, None, EVERY[0]),
    "example.yaml changed": lambda: islice(mutations("example.yaml"), 0, None, EVERY[1]),
}


@pytest.mark.parametrize("source", SOURCES)
def test_the_schema_accepts_and_refuses_what_the_loader_does(source: str) -> None:
    texts = list(dict.fromkeys(SOURCES[source]()))
    found = {text: disagreement(text) for text in texts}
    wrong = [text for text, rule in found.items() if rule is None]
    assert not wrong, (len(wrong), loaded(wrong[0]), objections(Reading().data(compose(wrong[0]))), wrong[0])
    beyond = Counter(rule for rule in found.values() if rule)
    print(f"{source}: {len(texts)} configs, beyond a schema {sum(beyond.values())}: {dict(beyond)}")
    assert sum(beyond.values()) < len(texts) / 10
    assert set(found.values()) - {""} <= set(schema.UNSAID)


def test_every_rule_beyond_the_schema_has_a_reason() -> None:
    assert set(SENTENCES) == set(schema.UNSAID)


def test_the_shipped_schema_is_the_one_of_the_models() -> None:
    shipped = SHIPPED.read_text(encoding="utf-8")
    assert shipped == schema.text(), "make it anew: crossaccount schema > configs/crossaccount.schema.json"
    jsonschema.Draft202012Validator.check_schema(json.loads(shipped))


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.name)
def test_every_config_names_the_schema_to_editors_and_is_taken_by_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith(f"# yaml-language-server: $schema={SHIPPED.name}\n")
    assert objections(Reading().data(compose(text))) == []


def properties(node: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """Every key of a model that the schema has, with its own schema."""
    for name, model in {"": node, **node["$defs"]}.items():
        for key, each in model.get("properties", {}).items():
            yield f"{name}.{key}", each


def test_every_key_is_described_and_every_number_bounded() -> None:
    keys = dict(properties(schema.json_schema()))
    assert len(keys) > 120
    assert [key for key, each in keys.items() if not each.get("description")] == []
    for key, each in keys.items():
        for kind in [each, *each.get("anyOf", [])]:
            if kind.get("type") in ("integer", "number"):
                bounds = (
                    {"minimum", "exclusiveMinimum"} & set(kind),
                    {"maximum", "exclusiveMaximum"} & set(kind),
                )
                assert all(bounds) or "enum" in kind, key


def test_an_example_of_a_key_is_taken_by_its_own_schema() -> None:
    whole = schema.json_schema()
    for key, each in properties(whole):
        for example in each.get("examples", []):
            told = {"$defs": whole["$defs"], **each}
            given = json.loads(json.dumps(example).replace("BUCKET", "a-bucket"))
            assert jsonschema.Draft202012Validator(told).is_valid(given), (key, example)


def patterns(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from (value for key, value in node.items() if key == "pattern" and isinstance(value, str))
    for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from patterns(each)


def test_every_pattern_is_one_of_javascript_too() -> None:
    """Editors compile them with the flag u, which knows fewer escapes."""
    node = Path(playwright.__file__).parent / "driver" / "node"
    found = sorted(set(patterns(schema.json_schema())))
    program = "for (const each of JSON.parse(require('fs').readFileSync(0))) new RegExp(each, 'u')"
    ran = subprocess.run([node, "-e", program], input=json.dumps(found), capture_output=True, text=True)
    assert (ran.returncode, len(found) > 30) == (0, True), ran.stderr
