"""The keys of a question: what is refused, and what is meant."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from crossaccount.config.loading import parse_config
from crossaccount.config.smoke import Smoke
from crossaccount.errors import ConfigError, Fault

ASKED = {"content_type": "text/csv", "body": "5.1", "expect": [0]}


def document(*questions: dict[str, Any]) -> str:
    role = "arn:aws:iam::222222222222:role/"
    staging = {
        "account": "222222222222",
        "role": f"{role}deployer",
        "execution_role": f"{role}execution",
        "endpoint": {"name": "trees-staging", "instance_type": "ml.m5.large", "container_mode": "direct"},
        "smoke": list(questions),
    }
    producer = {"account": "111111111111", "releases": "s3://producer-models/releases/"}
    return yaml.safe_dump(
        {
            "model_package_group": "trees",
            "region": "us-east-1",
            "producer": producer,
            "consumers": {"staging": staging},
        }
    )


def question(**changes: Any) -> Smoke:
    given = {key: value for key, value in {**ASKED, **changes}.items() if value != "LEFT OUT"}
    return parse_config(document(given)).consumers["staging"].smoke[0]


def fault_of(**changes: Any) -> Fault:
    with pytest.raises(ConfigError) as caught:
        question(**changes)
    (fault,) = caught.value.faults
    return fault


@pytest.mark.parametrize("name", ["encoder", "Encoder-2", "a", "a" * 63, "1", "a--b"])
def test_a_container_is_named_by_its_dns_name(name: str) -> None:
    assert question(container=name).container == name


@pytest.mark.parametrize(
    "name", ["-a", "a-", "a_b", "a.b", "a b", "a" * 64, "\u00e4", "a\n", 7, True, ["a"], "-" * 60]
)
def test_what_names_no_container_is_refused(name: Any) -> None:
    fault = fault_of(container=name)
    assert fault.key == "consumers.staging.smoke[0].container"
    assert "Put it in quotes" in fault.message or "encoder" in fault.message


def test_neither_container_nor_stream_is_the_rule() -> None:
    for given in ({}, {"container": None}, {"container": "", "stream": False}):
        assert (question(**given).container, question(**given).stream) == ("", False)
        assert {"container", "stream"}.isdisjoint(question(**given).model_dump())
    assert question(stream=True, container="a").model_dump()["stream"] is True
    assert "Write true or false" in fault_of(stream="yes").message
