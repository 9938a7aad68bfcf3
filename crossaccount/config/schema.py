"""The JSON schema of a config (draft 2020-12): for editors, which complete keys by it and show what a loader would refuse.

The models give keys, types, bounds and descriptions, each check the pattern of its values (``values.Check``); here are the rules of
keys against each other, from the same tables as the loader's. What no schema can say stands in `UNSAID`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from crossaccount.config.capacity import PREFIX_AWARE
from crossaccount.config.capacity_agreement import LOCAL_STORAGE, OF_IMAGE
from crossaccount.config.endpoint import DEPLOYMENT_TYPES
from crossaccount.config.hosting_agreement import MAX_NAME, SIZE_KEYS
from crossaccount.config.kinds import COMPONENTS, EXCLUSIONS, OF_KIND, REAL_TIME, SERVERLESS
from crossaccount.config.model import Sharing
from crossaccount.config.question_agreement import AT_LEAST_ONE, BODIES, EXPECTATIONS, OF_BYTES
from crossaccount.config.smoke import SmokeMode
from crossaccount.config.yaml_file import Reading, Unreadable, compose
from crossaccount.errors import LAST_VERSION
from crossaccount.regions import partitions

Schema = dict[str, Any]

UNSAID: Mapping[str, str] = {
    "equal": "that two keys agree in a part of their text: a role's account, a key's account and region, an organization's paths",
    "unlike": "that two keys differ: the consumer's account from the producer's, endpoint names in one account, types of instance pools",
    "order": "that one number is not above another beside it: limits, bounds, memory, waits within maximum_seconds",
    "elsewhere": "that a key of one mapping stands in another: a stage of lifecycle among the consumers', its words among those of versions",
    "written": "how the file is written: the same key twice, tags, merge keys, lists as keys, more than a megabyte",
    "number": "the difference of 1 and 1.0, and of a number and .nan",
    "inner": "grammars inside a text or a value: regular expressions of Python, JSON schemas, base64 in full, lengths of joined lists, texts that cannot be printed",
    "calendar": "the days of a leap year, the hours at the end of time, and the forms of ISO 8601 that few write",
    "files": "where a path leads: out of the folder, through a link",
}
"""The kinds of rules that the loader has and a JSON schema cannot say, each with what it is about."""


def json_schema() -> Schema:
    """The schema, as plain data."""
    whole = _presentable(Sharing.model_json_schema())
    definitions = whole.pop("$defs")
    _add(whole, _scope_rules(), _partition_rules(), _name_rules())
    _add(definitions["ProducerConfig"], [_when(has("external_id"), has("role"))])
    _add(definitions["ConsumerConfig"], _consumer_rules(definitions["ConsumerConfig"]))
    _add(definitions["Endpoint"], _endpoint_rules(), _capacity_rules(), _moving_rules())
    component = definitions["InferenceComponent"]["properties"]
    component["cpu_cores"]["minimum"], component["accelerators"]["minimum"] = 0.25, 1
    _add(definitions["Smoke"], _question_rules())
    _add(definitions["Tolerance"], [_exactly_one(("absolute", "relative"))])
    _add(definitions["Latency"], [{"anyOf": [has("p50_ms"), has("p95_ms")]}])
    for name, key in (("ArrayOf", "expect_array"), ("TextOf", "expect_text")):
        _add(definitions[name], [{"anyOf": [has(each) for each in AT_LEAST_ONE[key][0]]}])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A config of crossaccount",
        "$comment": f"Made by crossaccount schema. The loader alone knows: {'; '.join(UNSAID.values())}.",
        **{key: value for key, value in whole.items() if key != "title"},
        "$defs": definitions,
    }


def text() -> str:
    """The schema as it is shipped: JSON, one key in a line."""
    return json.dumps(json_schema(), indent=1) + "\n"


def _presentable(node: Any) -> Any:
    """The schema without pydantic's titles, with examples as values rather than as YAML."""
    if isinstance(node, list | tuple):
        return [_presentable(each) for each in node]
    if not isinstance(node, dict):
        return node
    kept = {key: _presentable(value) for key, value in node.items() if not _is_title(key, value)}
    if isinstance(kept.get("examples"), list):
        kept["examples"] = [example for text in kept.pop("examples") for example in _example(text)]
    return {key: value for key, value in kept.items() if (key, value) != ("examples", [])}


def _is_title(key: str, value: object) -> bool:
    return key == "title" and isinstance(value, str)


def _example(text: str) -> Iterator[Any]:
    try:
        value = Reading().data(compose(text))
    except Unreadable:
        return
    if "..." not in text:
        yield value


# Parts of rules


def has(key: str) -> Schema:
    """There is such a key, and it is not empty."""
    return {"required": [key], "properties": {key: {"not": {"type": "null"}}}}


_NOTHING: Schema = {"enum": [None, False, 0, "", [], {}]}


def _set(key: str) -> Schema:
    """There is such a key, with more than Python's falsehood."""
    return {"required": [key], "properties": {key: {"not": _NOTHING}}}


def _is(key: str, *values: object) -> Schema:
    return {"required": [key], "properties": {key: {"enum": list(values)}}}


def _without(*keys: str) -> Schema:
    return {"properties": dict.fromkeys(keys, _NOTHING)}


def _all(*schemas: Schema) -> Schema:
    return {"allOf": list(schemas)}


def _any(*schemas: Schema) -> Schema:
    return {"anyOf": list(schemas)}


def _not(schema: Schema) -> Schema:
    return {"not": schema}


def _when(condition: Schema, then: Schema, otherwise: Schema | None = None) -> Schema:
    return {"if": condition, "then": then, **({} if otherwise is None else {"else": otherwise})}


def _exactly_one(keys: Sequence[str]) -> Schema:
    return {"oneOf": [has(key) for key in keys]}


def _at(steps: Sequence[str], schema: Schema) -> Schema:
    """The schema for whatever stands at a path; a step ``*`` leads to every item of a list, or every value of a mapping."""
    for step in reversed(steps):
        inner = {"items": schema, "additionalProperties": schema} if step == "*" else None
        schema = inner or {"properties": {step: schema}}
    return schema


def _begins(text: str) -> Schema:
    return {"type": "string", "pattern": f"^{text}"}


def _add(schema: Schema, *rules: Sequence[Schema]) -> None:
    schema["allOf"] = [*schema.get("allOf", []), *(rule for each in rules for rule in each)]


# The config as a whole


def _scope_rules() -> list[Schema]:
    organization, ending = _is("principals", "organization"), _at(["consumers", "*", "expires"], _NOTHING)
    plain = [
        _not(_is("principals", "roles", "organization")),
        _not(_is("sagemaker_service_principal", True)),
        ending,
    ]
    return [
        _when(organization, _all(has("organization"), ending), _not(has("organization"))),
        _when(_is("preset", "aws-docs"), _all(*plain)),
    ]


def _partition_rules() -> list[Schema]:
    by_partition: dict[str, list[str]] = {}
    for region, partition in partitions().items():
        by_partition.setdefault(partition, []).append(region)
    rules = []
    for partition, regions in by_partition.items():
        here = {"anyOf": [{"type": "null"}, _begins(f"arn:{partition}:")]}
        paths = (["producer", "role"], ["consumers", "*", "role"], ["consumers", "*", "execution_role"])
        arns = [_at(path, here) for path in (*paths, ["producer", "releases_kms_key"])]
        rules.append(_when(_is("region", *sorted(regions)), _all(*arns)))
    return rules


def _name_rules() -> list[Schema]:
    """Room for ``-v<version>-0000`` within the name of an endpoint config."""
    rules, digits = [], 1
    while 10 ** (digits - 1) <= LAST_VERSION:
        room = MAX_NAME - len("-v-0000") - digits
        listed = {
            "type": "array",
            "contains": {"type": "integer", "minimum": 10 ** (digits - 1)},
        }
        condition = {"required": ["versions"], "properties": {"versions": listed}}
        rules.append(_when(condition, _at(["consumers", "*", "endpoint", "name"], {"maxLength": room})))
        digits += 1
    return rules[6:]  # fewer digits leave more room than any name takes


# A consumer, its endpoint and its questions


def _kind(kind: str) -> Schema:
    """The endpoint is of this kind, also where the config leaves it out."""
    unsaid = {"properties": {"kind": {"type": "null"}}}
    implied = {
        SERVERLESS: [_all(unsaid, has("serverless"))],
        REAL_TIME: [_all(unsaid, _not(has("serverless")))],
    }
    return _any(_is("kind", kind), *implied.get(kind, []))


def _mode(mode: str) -> Schema:
    """The smoke mode is this one, also where it stands in place of the questions."""
    return _any(_is("smoke_mode", mode), _is("smoke", mode))


def _consumer_rules(consumer: Schema) -> list[Schema]:
    words = {
        "enum": list(get_args(SmokeMode)),
        "description": "the smoke mode alone, with the samples of the Release",
    }
    smoke = consumer["properties"]["smoke"]
    shared = {key: smoke.pop(key) for key in ("default", "description") if key in smoke}
    consumer["properties"]["smoke"] = {"anyOf": [smoke, words], **shared}
    one_word = _when(
        {"required": ["smoke"], "properties": {"smoke": {"type": "string"}}},
        _not({"required": ["smoke_mode"]}),
    )
    in_turn = _when(
        {"properties": {"endpoint": _not(_is("container_mode", "direct"))}},
        _at(["smoke", "*", "container"], {"enum": [None, ""]}),
    )
    return [one_word, in_turn, *map(_exclusion, EXCLUSIONS), *_mode_exclusions(), *_shadow_rules()]


def _exclusion(exclusion: Any) -> Schema:
    steps = f"endpoint.{exclusion.key}".removeprefix("endpoint.consumer.").split(".")
    value = exclusion.value
    if value is None:
        leaf: Schema = _NOTHING
    elif isinstance(value, str) and value.endswith("*"):
        leaf = _not(_begins(value[:-1].replace(".", "[.]")))
    else:
        leaf = _not({"const": value})
    return _when(_of_endpoint(_kind(exclusion.kind)), _at(steps, leaf))


def _of_endpoint(schema: Schema) -> Schema:
    return {"required": ["endpoint"], "properties": {"endpoint": schema}}


def _mode_exclusions() -> Iterator[Schema]:
    """The word in place of the questions is the mode too."""
    for exclusion in EXCLUSIONS:
        if exclusion.key == "consumer.smoke_mode":
            yield _when(_of_endpoint(_kind(exclusion.kind)), _not(_is("smoke", exclusion.value)))


def _shadow_rules() -> list[Schema]:
    beside = _all(
        has("data_capture"), _not(_is("container_mode", "direct")), _types(_not(_begins(r"ml[.]inf1[.]")))
    )
    of_real_time = _when(_of_endpoint(_kind(REAL_TIME)), _of_endpoint(beside))
    shadowing = _all(of_real_time, _without("latency"))
    return [_when(_mode("shadow"), shadowing, _not(has("shadow")))]


def _types(schema: Schema) -> Schema:
    """Every instance type of an endpoint is so."""
    if_text = {"anyOf": [_not({"type": "string"}), schema]}
    return _all(_at(["instance_type"], if_text), _at(["instance_pools", "*", "instance_type"], if_text))


def _some_type(pattern: str) -> Schema:
    return _not(_types(_not(_begins(pattern))))


def _endpoint_rules() -> list[Schema]:
    """A kind has the key that says more of it, and no other kind has that."""
    return [_when(_kind(kind), has(key), _not(has(key))) for kind, key in OF_KIND.items()]


def _capacity_rules() -> list[Schema]:
    one_way = {"oneOf": [has("instance_type"), _set("instance_pools")]}
    once = [
        {"contains": _is("priority", number), "minContains": 0, "maxContains": 1} for number in range(1, 6)
    ]
    no_plan = _when(_set("instance_pools"), _without("capacity_reservation"))
    volume = _when(_some_type(LOCAL_STORAGE.pattern), _without("volume_size_gb"))
    images = [
        _when(
            {
                "required": ["inference_ami"],
                "properties": {"inference_ami": {"type": "string", "pattern": f"{part}|{part[:-1]}$"}},
            },
            _types(_begins(pattern)),
        )
        for part, (_, pattern) in OF_IMAGE.items()
    ]
    routing = _when(_is("routing", PREFIX_AWARE), has("prefix_routing"), _not(has("prefix_routing")))
    with_instances = _all(one_way, _at(["instance_pools"], _all(*once)), no_plan, volume, *images, routing)
    return [_when(_not(_kind(SERVERLESS)), with_instances)]


def _moving_rules() -> list[Schema]:
    others = [word for word in DEPLOYMENT_TYPES if word != "all-at-once"]
    still = _at(["deployment"], _not(_is("type", *others)))
    sizes = [
        _at(["deployment"], _when(_is("type", kind), has(key), _not(has(key))))
        for kind, key in SIZE_KEYS.items()
    ]
    # Without a deployment there is no percent to miss; with one of no type it is all at once.
    rolling = _at(["deployment"], _when(_is("type", "rolling"), _without("termination_wait_seconds")))
    one = _at(["instance_count"], {"maximum": 1})
    no_alarms = _at(["deployment", "alarms"], _NOTHING)
    unwatched = _at(["deployment"], _without("wait_seconds", "alarms"))
    watched = _at(["deployment"], _without("wait_seconds", "maximum_seconds", "alarms"))
    return [
        *sizes,
        rolling,
        _when(_kind(SERVERLESS), _all(one, still, no_alarms)),
        _when(_all(_kind(COMPONENTS), still), watched),
        _when(_some_type(r"ml[.]inf1[.]"), _all(still, unwatched)),
    ]


def _question_rules() -> list[Schema]:
    expected = [{"required": ["expect"]}, *map(has, EXPECTATIONS[1:])]
    of_bytes = [has(key) for key in OF_BYTES]
    return [
        _exactly_one(BODIES),
        {"oneOf": expected},
        _when(
            _any(*of_bytes),
            _at(["read_as"], {"enum": [None, "bytes"]}),
            _not(_is("read_as", "bytes")),
        ),
    ]
