"""What the stacks of both accounts are given, from a config."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from crossaccount.config.loading import load_config
from crossaccount.config.model import Sharing
from crossaccount.errors import InputError
from crossaccount.setup import stack_parameters
from crossaccount.setup.stack_parameters import Holdings

ROOT = Path(__file__).parents[2]
HOLDINGS = Holdings("models", "churn", "teams/churn/", "arn:aws:kms:us-east-1:111111111111:key/k-1")


SIDE = {"producer": "producer", "consumer": "staging"}
LEFT_TO_THE_DEPLOYER = {"TrustedPrincipalArn", "SeesAllEndpoints"}


def _config(folder: Path, changes: dict[str, Any]) -> Sharing:
    """The sandbox's config with some keys, by their paths, set or (None) taken out."""
    data = yaml.safe_load((ROOT / "configs/sandbox.yaml").read_text())
    for path, value in changes.items():
        *parents, last = path.split("/")
        place = data
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
        if value is None:
            del place[last]
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(data))
    return load_config(file)


def _given(folder: Path, changes: dict[str, Any], holdings: Holdings = HOLDINGS) -> dict[str, dict[str, str]]:
    sharing = _config(folder, changes)
    return {
        "producer": stack_parameters.of_producer(sharing, holdings),
        "consumer": stack_parameters.of_consumer(sharing, holdings, "staging"),
    }


@pytest.mark.parametrize("side", SIDE)
def test_each_parameter_of_a_template_is_given_but_those_that_no_config_says(
    side: str, tmp_path: Path
) -> None:
    template = (ROOT / f"deployments/iam/{side}.yaml").read_text()
    named = set(re.findall(r"^  (\w+):\n    Type: ", template.partition("\nConditions:")[0], re.MULTILINE))
    assert set(_given(tmp_path, {})[side]) == named - LEFT_TO_THE_DEPLOYER


ENDPOINT = "consumers/staging/endpoint"
KEY = "arn:aws:kms:us-east-1:222222222222:key/0a1b"
QUEUE = {"s3_output": "s3://answers/churn/", "s3_failures": "s3://answers/failed"}
TOPICS = {
    "success_topic": "arn:aws:sns:us-east-1:222222222222:ok",
    "error_topic": "arn:aws:sns:us-east-1:222222222222:no",
}
ASKED = [
    {"content_type": "text/csv", "body_s3_uri": f"s3://asked/churn/{name}", "expect": [0]}
    for name in ("a/1.csv", "a/2.csv", "b/3.csv")
]
FACTS: list[tuple[str, dict[str, Any], dict[str, str]]] = [
    (
        "producer",
        {},
        {
            "NamePrefix": "crossaccount",
            "ReleasesBucket": "producer-models-111111111111",
            "ReleasesPrefix": "releases/",
        },
    ),
    (
        "producer",
        {},
        {
            "ArtifactBucket": "models",
            "RepositoryName": "churn",
            "KeyArn": HOLDINGS.key_arn,
            "ReleasesKeyArn": "",
        },
    ),
    (
        "producer",
        {},
        {
            "LifecycleStages": "",
            "LifecycleStatuses": "Approved",
            "Discoverable": "false",
            "ExternalId": "sandbox-producer",
        },
    ),
    ("producer", {"producer/discoverable": True}, {"Discoverable": "true"}),
    (
        "producer",
        {
            "lifecycle": {
                1: {"stage": "Staging", "status": "Approved"},
                2: {"stage": "Production", "status": "Deployed"},
            }
        },
        {"LifecycleStages": "Staging,Production", "LifecycleStatuses": "Approved,Deployed"},
    ),
    ("producer", {"producer/role": "arn:aws:iam::111111111111:role/churn-producer"}, {"NamePrefix": "churn"}),
    (
        "producer",
        {"producer/releases_kms_key": KEY.replace("2222", "1111")},
        {"ReleasesKeyArn": KEY.replace("2222", "1111")},
    ),
    (
        "producer",
        {"producer/releases_kms_key": HOLDINGS.key_arn},
        {"ReleasesKeyArn": "", "KeyArn": HOLDINGS.key_arn},
    ),
    (
        "consumer",
        {},
        {
            "ProducerAccount": "111111111111",
            "ArtifactPrefix": "teams/churn/",
            "EndpointName": "decision-trees-staging",
        },
    ),
    ("consumer", {f"{ENDPOINT}/name": "Churn-Staging"}, {"EndpointName": "churn-staging"}),
    ("consumer", {f"{ENDPOINT}/kms_key": KEY}, {"EndpointKeyArn": KEY}),
    ("consumer", {f"{ENDPOINT}/kms_key": "0a1b"}, {"EndpointKeyArn": KEY}),
    (
        "consumer",
        {f"{ENDPOINT}/data_capture": {"s3_uri": "s3://kept/churn", "percent": 9}},
        {"CaptureLocation": "kept/churn/", "ShadowBucket": ""},
    ),
    (
        "consumer",
        {
            f"{ENDPOINT}/data_capture": {"s3_uri": "s3://kept/churn/", "percent": 9},
            "consumers/staging/smoke_mode": "shadow",
        },
        {"CaptureLocation": "kept/churn/", "ShadowBucket": "kept"},
    ),
    (
        "consumer",
        {f"{ENDPOINT}/kind": "asynchronous", f"{ENDPOINT}/asynchronous": QUEUE | TOPICS | {"kms_key": KEY}},
        {
            "AnswersLocation": "answers/churn/",
            "FailuresLocation": "answers/failed/",
            "AnswersKeyArn": KEY,
            "AnswersTopics": ",".join(TOPICS.values()),
        },
    ),
    ("consumer", {"consumers/staging/smoke": ASKED}, {"SmokeObjects": "asked/churn/"}),
    (
        "consumer",
        {f"{ENDPOINT}/vpc": {"security_group_ids": ["sg-0a1b"], "subnet_ids": ["subnet-0a1b"]}},
        {"InVpc": "true"},
    ),
    (
        "consumer",
        {f"{ENDPOINT}/kind": "inference-components", f"{ENDPOINT}/inference_component": {"memory_mb": 1024}},
        {"InferenceComponents": "true", "InVpc": "false"},
    ),
]


@pytest.mark.parametrize(("side", "changes", "expected"), FACTS, ids=lambda value: str(value)[:60])
def test_what_a_config_says_reaches_the_stack(
    side: str, changes: dict[str, Any], expected: dict[str, str], tmp_path: Path
) -> None:
    given = _given(tmp_path, changes)[side]
    assert {name: given[name] for name in expected} == expected


def test_the_key_of_the_releases_bucket_is_named_where_it_is_another(tmp_path: Path) -> None:
    other = "arn:aws:kms:us-east-1:111111111111:key/k-2"
    holdings = Holdings(
        "models",
        "churn",
        key_arn=HOLDINGS.key_arn,
        releases_key_arn=other,
        aws_repositories=("arn:a", "arn:b"),
    )
    given = _given(tmp_path, {}, holdings)
    assert given["producer"]["ReleasesKeyArn"] == given["consumer"]["ReleasesKeyArn"] == other
    assert given["consumer"]["AwsRepositories"] == "arn:a,arn:b"


REFUSED = {
    "producer.role": ({"producer/role": None, "producer/external_id": None}, "the stack makes it"),
    "producer.external_id": ({"producer/external_id": None}, "asks for one"),
    "consumers.staging.external_id": ({"consumers/staging/external_id": None}, "asks for one"),
    "consumers.staging.role": (
        {"consumers/staging/role": "arn:aws:iam::222222222222:role/deploys"},
        "PREFIX-deployer",
    ),
    "consumers.staging.execution_role": (
        {"consumers/staging/execution_role": "arn:aws:iam::222222222222:role/other-execution"},
        "crossaccount-execution",
    ),
    "consumers.staging.endpoint.kms_key": ({f"{ENDPOINT}/kms_key": "alias/storage"}, "describe-key"),
    "consumers.staging.smoke": (
        {"consumers/staging/smoke": [ASKED[0], {**ASKED[1], "body_s3_uri": "s3://elsewhere/1.csv"}]},
        "asked, elsewhere",
    ),
}


@pytest.mark.parametrize("key", REFUSED)
def test_what_no_stack_can_be_given_is_refused_by_its_key(key: str, tmp_path: Path) -> None:
    changes, says = REFUSED[key]
    with pytest.raises(InputError, match=f"^{key}:") as refused:
        _given(tmp_path, changes)
    assert says in str(refused.value)


def test_both_forms_for_aws_say_the_same(tmp_path: Path) -> None:
    given = _given(tmp_path, {})["consumer"]
    listed = {each["ParameterKey"]: each["ParameterValue"] for each in stack_parameters.as_list(given)}
    assert listed == given
    assert dict(each.split("=", 1) for each in stack_parameters.as_overrides(given)) == given


@pytest.mark.parametrize(
    ("keys", "folder"),
    [
        (["a/b/1", "a/b/2"], "a/b/"),
        (["a/b/1", "a/bc/2"], "a/"),
        (["a/1", "b/2"], ""),
        (["1", "a/2"], ""),
        (["a/b/"], "a/b/"),
        ([], ""),
    ],
)
def test_a_common_folder_is_whole_names(keys: list[str], folder: str) -> None:
    assert stack_parameters.common_folder(keys) == folder
