from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from botocore.exceptions import UnknownServiceError
from botocore.loaders import create_loader

from crossaccount.aws import loaders


@pytest.mark.parametrize("service", ["ecr", "kms", "sts", "sagemaker"])
def test_the_loader_finds_what_that_of_botocore_finds(service: str) -> None:
    for kind in ("service-2", "endpoint-rule-set-1"):
        ours = loaders.shared_loader().load_service_model(service, kind)
        assert ours == create_loader().load_service_model(service, kind)


def test_the_loader_lists_the_services_that_that_of_botocore_lists() -> None:
    usual = create_loader().list_available_services("service-2")
    assert loaders.ServiceLoader().list_available_services("service-2") == usual


@pytest.mark.parametrize(("service", "kind"), [("nowhere", "service-2"), ("kms", "resources-1")])
def test_the_loader_says_what_is_unknown_as_that_of_botocore_does(service: str, kind: str) -> None:
    said = []
    for loader in (loaders.ServiceLoader(), create_loader()):
        with pytest.raises(UnknownServiceError) as caught:
            loader.load_service_model(service, kind)
        said.append(str(caught.value))
    assert said[0] == said[1]


def test_the_loader_looks_where_aws_data_path_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "data" / "made-up" / "2026-01-01" / "service-2.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"metadata": {"serviceId": "Made Up"}}))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_DATA_PATH", os.pathsep.join(["/nowhere", "~/data"]))
    found = loaders.shared_loader.__wrapped__().load_service_model("made-up", "service-2")
    assert found["metadata"]["serviceId"] == "Made Up"
