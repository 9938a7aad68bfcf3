"""``crossaccount init``: a config and parameters of two accounts that nobody has described, or what could not be read and why."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from crossaccount.config.loading import load_config
from crossaccount.errors import ConfigError
from crossaccount.sharing import gather

Call = Callable[..., Any]
READS = ("Get", "List", "Describe", "Head", "BatchGet")


@pytest.fixture(scope="module")
def churn(world: Any) -> Any:
    """The group of the first team: three versions, the second under a customer key, the third not approved."""
    team = world.team("bare-01", "churn")
    team.register_three(world.models)
    return team


def test_a_config_is_read_from_the_accounts_and_loads(init: Call, given: Call, churn: Any) -> None:
    ended = init(*given("churn"))
    assert (ended.code, ended.json["complete"], ended.json["to_fill_in"]) == (0, True, [])
    sharing = load_config(ended.folder / "config.yaml")
    assert (sharing.model_package_group, sharing.region, sharing.versions) == (
        "churn",
        "us-east-1",
        "approved",
    )
    assert sharing.producer.account == "700000000001"
    assert sharing.producer.releases == "s3://churn-models-700000000001/releases/"
    (name, consumer) = next(iter(sharing.consumers.items()))
    assert (name, consumer.account, consumer.profile) == ("bare-02", "700000000002", "bare-02")
    assert (consumer.endpoint.name, consumer.endpoint.instance_type) == ("churn-bare-02", "ml.c5.xlarge")
    assert sharing.producer.external_id != consumer.external_id


def test_the_parameters_name_what_the_versions_are_made_of(init: Call, given: Call, churn: Any) -> None:
    ended = init(*given("churn"))
    producer, consumer = ended.parameters("producer"), ended.parameters("consumer-bare-02")
    expected = {"ArtifactBucket": churn.bucket, "RepositoryName": "serving/churn", "KeyArn": churn.key}
    assert (
        {name: producer[name] for name in expected} == {name: consumer[name] for name in expected} == expected
    )
    assert consumer["ArtifactPrefix"] == "teams/churn/"
    assert producer["ExternalId"] == ended.config()["producer"]["external_id"]
    assert consumer["ExternalId"] == ended.config()["consumers"]["bare-02"]["external_id"]


def test_nothing_is_written_to_aws(init: Call, given: Call, churn: Any, world: Any) -> None:
    before = len(world.entries)
    assert init(*given("churn")).code == 0
    operations = {entry["operation"] for entry in world.entries[before:]}
    assert {name for name in operations if not name.startswith(READS)} == set()
    assert "DescribeModelPackage" in operations


def test_the_commands_that_come_next_name_each_stack_and_then_the_share(
    init: Call, given: Call, churn: Any
) -> None:
    first, second, *then = init(*given("churn")).json["commands"]
    assert first.startswith(
        "aws cloudformation deploy --profile bare-01 --region us-east-1 --stack-name crossaccount "
    )
    assert "--parameter-overrides file://config.consumer-bare-02.parameters.json" in second
    assert [each.split()[1] for each in then] == ["doctor", "plan", "share", "check", "deploy", "promote"]


def test_the_file_says_what_was_read_and_names_no_secret(
    init: Call, given: Call, churn: Any, world: Any
) -> None:
    ended = init(*given("churn"), json_output=False)
    text = (ended.folder / "config.yaml").read_text() + ended.out + ended.err
    assert "versions support ml.c5.xlarge, ml.c5.large" in text
    assert "1, 2 when this was made" in text
    assert "organization o-sandbox0002" in text
    assert not any(part in text for key in world.keys.values() for part in key)


@pytest.mark.parametrize(
    ("schema", "line"),
    [
        ("crossaccount.schema.json", "crossaccount.schema.json"),
        ("configs/crossaccount.schema.json", "configs/crossaccount.schema.json"),
        ("elsewhere/crossaccount.schema.json", None),
    ],
)
def test_an_editor_is_told_of_the_schema_that_it_can_find(
    schema: str, line: str | None, init: Call, given: Call, churn: Any, tmp_path: Path
) -> None:
    (tmp_path / schema).parent.mkdir(exist_ok=True)
    (tmp_path / schema).write_text("{}")
    first, *_ = (init(*given("churn")).folder / "config.yaml").read_text().splitlines()
    assert first == f"# yaml-language-server: $schema={line}" if line else "schema" not in first


def test_a_second_run_changes_nothing(init: Call, given: Call, churn: Any) -> None:
    init(*given("churn"))
    ended = init("config.yaml")
    assert (ended.code, ended.json["written"], len(ended.json["unchanged"])) == (0, [], 3)


def _written(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in folder.iterdir() if file.is_file()}


HAND = {
    "a comment": ("region: us-east-1", "region: us-east-1 # where we are"),
    "an endpoint": ("name: churn-bare-02", "name: our-own"),
    "an instance type": ("instance_type: ml.c5.xlarge", "instance_type: ml.c5.large"),
    "a further key": ("    endpoint:\n", "    stage: 2\n    endpoint:\n"),
    "a rule": ("producer:\n", "versions: [1]\n\nproducer:\n"),
    "releases elsewhere": ("models-700000000001/releases/", "models-700000000001/elsewhere/"),
}


@pytest.mark.parametrize("what", HAND)
def test_what_a_person_changed_by_hand_stays(what: str, init: Call, given: Call, churn: Any) -> None:
    file = init(*given("churn")).folder / "config.yaml"
    text = file.read_text()
    assert HAND[what][0] in text
    file.write_text(text.replace(*HAND[what]))
    changed = file.read_text()
    assert init("config.yaml", "--yes").code == 0
    assert file.read_text() == changed
    assert init("config.yaml", "--consumer", "bare-02", "--consumer", "prod=bare-03", "--yes").code == 0
    assert HAND[what][1].strip() in file.read_text()
    assert list(load_config(file).consumers) == ["bare-02", "prod"]


def test_a_file_that_would_change_is_shown_and_stays_until_somebody_agrees(
    init: Call, given: Call, churn: Any
) -> None:
    folder = init(*given("churn")).folder
    before = _written(folder)
    ended = init(*given("churn", "bare-01", "bare-02", "prod=bare-03"))
    assert (ended.code, _written(folder)) == (2, before)
    assert "--yes" in ended.message
    (diff,) = ended.json["error"]["notes"]
    assert "\n+  prod:\n" in diff
    agreed = init(*given("churn", "bare-01", "bare-02", "prod=bare-03"), "--yes")
    assert "\n+  prod:\n" in agreed.json["diffs"]["config.yaml"]
    assert sorted(set(_written(folder)) - set(before)) == ["config.consumer-prod.parameters.json"]


def test_a_replaced_account_is_told(init: Call, given: Call, churn: Any) -> None:
    init(*given("churn"))
    ended = init(*given("churn", "bare-01", "bare-02=bare-03"), "--yes")
    assert "consumers.bare-02.account: 700000000002 is now 700000000003." in ended.findings


def test_a_value_that_is_given_by_name_replaces_that_of_the_file(init: Call, given: Call, churn: Any) -> None:
    init(*given("churn"))
    ended = init("config.yaml", "--instance-type", "ml.c5.large", "--yes")
    assert ended.config()["consumers"]["bare-02"]["endpoint"]["instance_type"] == "ml.c5.large"
    assert "instance_type: ml.c5.xlarge is now ml.c5.large." in ended.findings


def test_a_parameter_that_no_config_says_stays(init: Call, given: Call, churn: Any) -> None:
    file = init(*given("churn")).folder / "config.producer.parameters.json"
    trusted = "TrustedPrincipalArn=arn:aws:iam::700000000001:role/worker"
    file.write_text(json.dumps([*json.loads(file.read_text()), trusted]))
    assert init("config.yaml", "--yes").code == 0
    assert trusted in json.loads(file.read_text())


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("config.yaml", "- a\n- b\n", "is no config"),
        ("config.yaml", "a: [", "is no YAML"),
        ("config.yaml", "a: 1\na: 2\n", "is no YAML"),
        ("config.producer.parameters.json", "{}", "holds no parameters"),
    ],
)
def test_another_file_in_the_place_is_not_overwritten(
    name: str, content: str, says: str, init: Call, given: Call, churn: Any, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content)
    ended = init(*given("churn"), "--yes")
    assert (ended.code, _written(tmp_path)) == (2, {name: content})
    assert name in ended.message
    assert says in ended.message


def test_a_file_that_cannot_be_written_leaves_nothing_half(
    init: Call, given: Call, churn: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    ended = init(*given("churn"))
    assert (ended.code, list(tmp_path.iterdir())) == (2, [])
    assert "No space left on device" in ended.message


WRONG: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"group": "chrun"}, ("--group", "'chrun'", "us-east-1", "Did you mean churn?", "It has churn")),
    ({"group": "not a name"}, ("--group", "not a name", "letters, digits")),
    ({"region": "eu-west-1"}, ("--group", "eu-west-1", "It has none there", "--region")),
    ({"region": "us-eaast-1"}, ("--region", "Did you mean us-east-1?")),
    ({"producer": "bare-001"}, ("--producer", "'bare-001'", "Did you mean bare-01?", "bare-02")),
    ({"consumers": ("bare-O2",)}, ("--consumer bare-O2", "NAME=bare-O2")),
    ({"consumers": ("x=bare-0002",)}, ("--consumer x=bare-0002", "'bare-0002'", "Did you mean")),
    ({"consumers": ("X=bare-02",)}, ("--consumer X=bare-02", "'X' cannot name a consumer")),
    ({"consumers": ("bare-02", "bare-02=bare-03")}, ("bare-02 is named twice",)),
    ({"consumers": ("bare-01",)}, ("--consumer bare-01=bare-01", "700000000001", "--producer")),
    ({"consumers": ("a=bare-02", "b=bare-02")}, ("--consumer b=bare-02", "--consumer a=bare-02")),
]


@pytest.mark.parametrize(("changed", "says"), WRONG, ids=lambda value: str(value)[:50])
def test_what_was_misspelt_is_told_with_what_there_is(
    changed: dict[str, Any], says: tuple[str, ...], init: Call, given: Call, churn: Any, tmp_path: Path
) -> None:
    call = {
        "group": "churn",
        "producer": "bare-01",
        "consumers": ("bare-02",),
        "region": "us-east-1",
        **changed,
    }
    ended = init(*given(call["group"], call["producer"], *call["consumers"], region=call["region"]))
    assert (ended.code, list(tmp_path.iterdir())) == (2, [])
    for part in says:
        assert part in ended.message


@pytest.mark.parametrize("left_out", ["--group", "--region", "--producer", "--consumer"])
def test_without_a_terminal_a_missing_option_is_named(
    left_out: str, init: Call, given: Call, churn: Any
) -> None:
    words = list(given("churn"))
    place = words.index(left_out)
    ended = init(*words[:place], *words[place + 2 :])
    assert (ended.code, ended.message.partition(":")[0]) == (2, left_out)


def test_all_missing_options_are_one_error(init: Call, world: Any) -> None:
    before = len(world.entries)
    ended = init("config.yaml")
    assert ended.code == 2
    assert ended.message.startswith("--group, --region, --producer, --consumer: are missing")
    assert len(world.entries) == before


@pytest.mark.parametrize(
    ("words", "option"),
    [(("--releases", "releases/"), "--releases"), (("--instance-type", "m5.large"), "--instance-type")],
)
def test_an_option_that_no_config_takes_is_refused(
    words: Sequence[str], option: str, init: Call, given: Call, churn: Any
) -> None:
    ended = init(*given("churn"), *words)
    assert (ended.code, ended.message.partition(":")[0]) == (2, option)


def test_two_consumers_have_files_and_external_ids_of_their_own(init: Call, given: Call, churn: Any) -> None:
    ended = init(*given("churn", "bare-01", "staging=bare-02", "prod=bare-03"))
    consumers = load_config(ended.folder / "config.yaml").consumers
    assert {name: each.account for name, each in consumers.items()} == {
        "staging": "700000000002",
        "prod": "700000000003",
    }
    ids = {ended.parameters(f"consumer-{name}")["ExternalId"] for name in consumers}
    assert ids == {each.external_id for each in consumers.values()}
    assert len(ids) == 2
    assert sum("consumer.yaml" in each for each in ended.json["commands"]) == 2


def test_a_consumer_of_another_organization_is_not_told_of_one(init: Call, given: Call, churn: Any) -> None:
    ended = init(*given("churn", "bare-01", "outsider"))
    assert ended.code == 0
    assert "o-sandbox0002" not in (ended.folder / "config.yaml").read_text()


def test_releases_elsewhere_bring_their_bucket_s_key(init: Call, given: Call, churn: Any, world: Any) -> None:
    s3, kms = world.client("bare-01", "s3"), world.client("bare-01", "kms")
    key = kms.create_key(Description="Releases")["KeyMetadata"]["Arn"]
    s3.create_bucket(Bucket="churn-releases")
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    s3.put_bucket_encryption(Bucket="churn-releases", ServerSideEncryptionConfiguration={"Rules": [rule]})
    ended = init(*given("churn"), "--releases", "s3://churn-releases/all/")
    for side in ("producer", "consumer-bare-02"):
        given_to = ended.parameters(side)
        assert (given_to["ReleasesBucket"], given_to["ReleasesPrefix"]) == ("churn-releases", "all/")
        assert (given_to["KeyArn"], given_to["ReleasesKeyArn"]) == (churn.key, key)


def test_without_a_key_none_is_named(init: Call, given: Call, world: Any) -> None:
    team = world.team("bare-01", "plain")
    for folder in ("plain/a/", "plain/b/"):
        team.register(world.models[0], folder)
    ended = init(*given("plain"))
    assert (ended.parameters("producer")["KeyArn"], ended.parameters("producer")["ReleasesKeyArn"]) == (
        "",
        "",
    )
    assert ended.parameters("consumer-bare-02")["ArtifactPrefix"] == "plain/"
    assert ended.json["findings"] == []


def test_the_folder_of_the_only_version_is_not_taken_for_that_of_all(
    init: Call, given: Call, world: Any
) -> None:
    world.team("bare-01", "single").register(world.models[0], "deep/single/2026-11-01/")
    ended = init(*given("single"))
    assert ended.parameters("consumer-bare-02")["ArtifactPrefix"] == "deep/single/2026-11-01/"
    assert "cannot be told" in ended.findings


def test_versions_in_no_common_folder_are_told(init: Call, given: Call, world: Any) -> None:
    team = world.team("bare-01", "scattered")
    for folder in ("one/", "two/"):
        team.register(world.models[0], folder)
    ended = init(*given("scattered"))
    assert ended.parameters("consumer-bare-02")["ArtifactPrefix"] == ""
    assert "the whole bucket" in ended.findings


def test_without_an_approved_version_others_are_looked_at(init: Call, given: Call, world: Any) -> None:
    team = world.team("bare-01", "waiting")
    team.register(world.models[0], "waiting/1/", "PendingManualApproval")
    team.register(world.models[0], "waiting/2/", "Rejected")
    ended = init(*given("waiting"))
    assert (ended.code, ended.json["complete"]) == (0, True)
    assert "None is approved" in ended.findings
    assert "none when this was made" in (ended.folder / "config.yaml").read_text()


def test_without_a_version_what_is_not_known_is_to_be_filled_in(init: Call, given: Call, world: Any) -> None:
    world.team("bare-01", "empty")
    ended = init(*given("empty"))
    keys = ["producer.releases", "consumers.bare-02.endpoint.instance_type"]
    assert (ended.code, ended.json["complete"], ended.json["to_fill_in"]) == (0, False, keys)
    assert [Path(path).name for path in ended.json["written"]] == ["config.yaml"]
    assert "There is none yet" in ended.findings
    with pytest.raises(ConfigError) as refused:
        load_config(ended.folder / "config.yaml")
    assert [fault.key for fault in refused.value.faults] == keys
    world_after = init(
        "config.yaml", "--releases", "s3://empty-models/releases/", "--instance-type", "ml.m5.large", "--yes"
    )
    assert world_after.json["to_fill_in"] == []
    assert load_config(ended.folder / "config.yaml").producer.releases == "s3://empty-models/releases/"


def test_versions_that_name_no_instance_type_leave_it_open(init: Call, given: Call, world: Any) -> None:
    world.team("bare-01", "anything").register(world.models[0], "anything/1/", types=())
    assert init(*given("anything")).json["to_fill_in"] == ["consumers.bare-02.endpoint.instance_type"]


def test_an_instance_type_is_one_that_all_versions_support(init: Call, given: Call, world: Any) -> None:
    team = world.team("bare-01", "mixed")
    team.register(world.models[0], "mixed/1/", types=("ml.g5.xlarge", "ml.c5.large"))
    team.register(world.models[0], "mixed/2/", types=("ml.m5.large", "ml.c5.large"))
    ended = init(*given("mixed"))
    assert ended.config()["consumers"]["bare-02"]["endpoint"]["instance_type"] == "ml.c5.large"


PAYLOADS = {"no payload": None, "raw bodies": b"1,2,3", "nothing there": b""}


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_version_without_samples_is_told_of_in_the_file(
    payload: str, init: Call, given: Call, world: Any
) -> None:
    name, content = f"silent-{payload.split()[0]}", PAYLOADS[payload]
    team = world.team("bare-01", name)
    team.register(world.models[0], f"{name}/1/", samples=content is not None)
    at = {"Bucket": team.bucket, "Key": f"{name}/1/evaluation/samples.tar.gz"}
    if content:
        team.client("s3").put_object(**at, Body=content)
    elif content is not None:
        team.client("s3").delete_object(**at)
    assert "The newest version has no samples" in (init(*given(name)).folder / "config.yaml").read_text()


def test_samples_that_may_not_be_read_are_not_guessed(
    init: Call, given: Call, churn: Any, world: Any
) -> None:
    world.user("bare-01", "without-samples", "kms:Decrypt")
    ended = init(*given("churn", "without-samples"))
    assert "Whether version 2 can be asked anything is not known." in ended.findings
    assert "Whether versions have samples is not known" in (ended.folder / "config.yaml").read_text()


def test_what_is_gone_is_told_and_the_rest_goes_on(init: Call, given: Call, world: Any) -> None:
    team = world.team("bare-01", "gone")
    for number in (1, 2):
        team.register(world.models[0], f"gone/{number}/")
    team.client("s3").delete_object(Bucket=team.bucket, Key="gone/1/output/model.tar.gz")
    ended = init(*given("gone"))
    assert (ended.code, ended.json["complete"]) == (0, True)
    assert f"s3://{team.bucket}/gone/1/output/model.tar.gz: It is not there." in ended.findings


def test_versions_that_a_config_lists_and_that_are_not_there_are_told(
    init: Call, given: Call, churn: Any
) -> None:
    file = init(*given("churn")).folder / "config.yaml"
    file.write_text(file.read_text() + "versions: [9]\n")
    ended = init("config.yaml")
    assert (ended.code, ended.json["complete"]) == (0, False)
    assert "None of those that the config lists (9)" in ended.findings


AWS_IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"


def test_an_image_of_aws_is_opened_as_aws_s(init: Call, given: Call, world: Any) -> None:
    team = world.team("bare-07", "container")
    for number in (1, 2):
        team.register(world.models[0], f"container/{number}/", image=AWS_IMAGE)
    ended = init(*given("container", "bare-07", "bare-08"))
    arn = "arn:aws:ecr:us-east-1:683313688378:repository/sagemaker-scikit-learn"
    assert ended.parameters("consumer-bare-08")["AwsRepositories"] == arn
    assert ended.parameters("producer")["RepositoryName"] == ""
    world.deploy("bare-07", "producer", ended.folder / "config.producer.parameters.json")
    world.deploy("bare-08", "consumer", ended.folder / "config.consumer-bare-08.parameters.json")
    assert gather.make_plan(load_config(ended.folder / "config.yaml")).writes == 2


def test_an_image_of_another_account_is_told(init: Call, given: Call, world: Any) -> None:
    image = "999988887777.dkr.ecr.us-east-1.amazonaws.com/theirs:1"
    world.team("bare-01", "borrowed").register(world.models[0], "borrowed/1/", image=image)
    ended = init(*given("borrowed"))
    assert ended.code == 0
    assert "account 999988887777, which is neither the producer's nor AWS's" in ended.findings


@pytest.mark.parametrize("what", ["buckets", "KMS keys", "repositories"])
def test_what_is_too_much_for_one_stack_is_not_guessed(
    what: str, init: Call, given: Call, world: Any
) -> None:
    name = f"two-{what.split()[-1]}"
    team = world.team("bare-01", name)
    more: dict[str, str] = {}
    if what == "buckets":
        world.client("bare-01", "s3").create_bucket(Bucket=f"{name}-second")
        more = {"bucket": f"{name}-second"}
    elif what == "KMS keys":
        more = {"key": world.client("bare-01", "kms").create_key()["KeyMetadata"]["Arn"]}
    else:
        more = {"image": team.image.replace(team.repository, "serving/plain")}
    team.register(world.models[0], f"{name}/1/", key=team.key if what == "KMS keys" else "")
    team.register(world.models[0], f"{name}/2/", **more)
    ended = init(*given(name))
    assert (ended.code, ended.json["complete"]) == (0, False)
    assert f"They have 2 {what}" in ended.findings
    assert [Path(path).name for path in ended.json["written"]] == ["config.yaml"]
    file = ended.folder / "config.yaml"
    file.write_text(file.read_text() + "versions: [2]\n")
    assert init("config.yaml").json["complete"] is True


def test_a_key_that_aws_manages_is_no_key_of_yours(init: Call, given: Call, world: Any) -> None:
    team = world.team("bare-01", "managed")
    team.register(world.models[0], "managed/1/", key="alias/aws/s3")
    ended = init(*given("managed"))
    assert ended.parameters("producer")["KeyArn"] == ""
    assert "no other account can ever use it" in ended.findings


def test_a_region_that_is_not_the_profile_s_is_the_one_that_counts(
    init: Call, given: Call, world: Any
) -> None:
    team = world.team("bare-01", "remote", "ap-southeast-2")
    team.register(world.models[0], "remote/1/")
    ended = init(*given("remote", region="ap-southeast-2"))
    assert (ended.code, ended.config()["region"]) == (0, "ap-southeast-2")
    assert all("--region ap-southeast-2" in each for each in ended.json["commands"][:2])


DENIED = [
    ("iam:ListRoles", "roles of account 700000000001", True),
    ("cloudformation:DescribeStacks", "stacks of account 700000000001", True),
    ("organizations:DescribeOrganization", "organization of account 700000000001", True),
    ("kms:DescribeKey", "key arn:aws:kms:", True),
    ("s3:GetEncryptionConfiguration", "default encryption of s3://churn-models", True),
    ("sagemaker:DescribeModelPackageGroup", "", True),
    ("sagemaker:ListModelPackages", "versions of churn", False),
    ("sagemaker:DescribeModelPackage", "version 2", False),
    ("s3:GetObject", "s3://churn-models-700000000001/teams/churn/", False),
]


@pytest.mark.parametrize(("action", "subject", "complete"), DENIED, ids=lambda value: str(value)[:40])
def test_what_may_not_be_read_is_told_with_why_it_matters(
    action: str, subject: str, complete: bool, init: Call, given: Call, churn: Any, world: Any
) -> None:
    user = f"without-{action.replace(':', '-')}"
    world.user("bare-01", user, action)
    ended = init(*given("churn", user))
    assert (ended.code, ended.json["complete"]) == (0, complete)
    found = [each for each in ended.json["findings"] if each["subject"].startswith(subject) and subject]
    assert bool(found) is bool(subject)
    for each in found:
        assert f"is refused {action}. " in each["text"]
        assert "known" in each["text"] or "taken for granted" in each["text"]


def test_a_misspelt_group_is_told_also_to_whoever_may_not_list_them(
    init: Call, given: Call, churn: Any, world: Any
) -> None:
    world.user("bare-01", "unlisting", "sagemaker:ListModelPackageGroups")
    ended = init(*given("chrun", "unlisting"))
    assert ended.code == 2
    assert "Which it has cannot be told: sagemaker:ListModelPackageGroups is refused" in ended.message


def test_from_stacks_wants_stacks(init: Call, given: Call, churn: Any, tmp_path: Path) -> None:
    ended = init(*given("churn"), "--from-stacks")
    assert (ended.code, list(tmp_path.iterdir())) == (1, [])
    assert "--from-stacks: no one stack of deployments/iam/" in ended.message


def test_the_stacks_of_the_parameters_make_the_roles_of_the_config(
    init: Call, given: Call, world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The two stacks by their parameters files, the plan with their roles, and a config made anew of their outputs."""
    team = world.team("bare-04", "deployed")
    team.register_three(world.models)
    folder = init(*given("deployed", "bare-04", "bare-05")).folder
    world.deploy("bare-04", "producer", folder / "config.producer.parameters.json")
    world.deploy("bare-05", "consumer", folder / "config.consumer-bare-05.parameters.json")
    made = load_config(folder / "config.yaml")
    assert gather.make_plan(made).writes == 4
    (folder / "config.yaml").unlink()
    again = init(*given("deployed", "bare-04", "bare-05"), "--from-stacks", "--yes")
    assert load_config(folder / "config.yaml") == made
    assert again.json["unchanged"] == [
        f"config.{side}.parameters.json" for side in ("producer", "consumer-bare-05")
    ]
    # What stands in the file gives way to the outputs where these are asked for, and only then.
    file = folder / "config.yaml"
    file.write_text(file.read_text().replace(made.producer.external_id or "", "another-one"))
    assert init("config.yaml", "--yes").code == 0
    assert load_config(file).producer.external_id == "another-one"
    assert init("config.yaml", "--from-stacks", "--yes").code == 0
    assert load_config(file) == made
    # A second group of the same account has roles, and a stack, of its own.
    other = world.team("bare-04", "second")
    other.register(world.models[0], "second/1/")
    file.unlink()
    for each in folder.glob("*.json"):
        each.unlink()
    ended = init(*given("second", "bare-04", "bare-05"))
    assert ended.config()["producer"]["role"] == "arn:aws:iam::700000000004:role/crossaccount-second-producer"
    assert ended.parameters("consumer-bare-05")["NamePrefix"] == "crossaccount-second"
    assert "--stack-name crossaccount-second " in ended.json["commands"][0]
    world.deploy("bare-04", "producer", folder / "config.producer.parameters.json", "crossaccount-second")


def test_roles_that_somebody_made_without_a_stack_are_named_as_they_are(
    init: Call, given: Call, world: Any
) -> None:
    world.team("bare-06", "handmade").register(world.models[0], "handmade/1/")
    iam = world.client("bare-06", "iam")
    trust = {"Effect": "Allow", "Principal": {"AWS": "700000000006"}, "Action": "sts:AssumeRole"}
    trust["Condition"] = {"StringEquals": {"sts:ExternalId": "chosen-by-hand"}}  # type: ignore[assignment]
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam.create_role(RoleName="crossaccount-producer", AssumeRolePolicyDocument=document)
    group = "arn:aws:sagemaker:us-east-1:700000000006:model-package-group/handmade"
    grant = {"Effect": "Allow", "Action": "sagemaker:ListModelPackages", "Resource": group}
    iam.put_role_policy(
        RoleName="crossaccount-producer",
        PolicyName="registry",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [grant]}),
    )
    ended = init(*given("handmade", "bare-06"))
    assert ended.config()["producer"]["external_id"] == "chosen-by-hand"
    assert "without a stack" in ended.findings
    assert "producer.yaml" not in " ".join(ended.json["commands"])


ANSWERS = {
    "AWS profile of the account that owns": "bare-01",
    "Region": "us-east-1",
    "Model package group (": "churn",
    "AWS profiles of the accounts that deploy": "staging=bare-02 bare-03",
}


def test_on_a_terminal_what_is_missing_is_asked_for(
    init: Call, churn: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[str] = []

    def answer(question: str) -> str:
        asked.append(question)
        return next(value for words, value in ANSWERS.items() if question.startswith(words))

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", answer)
    ended = init(json_output=False)
    assert ended.code == 0, ended.err
    assert "[eu-west-1]" in asked[1]
    assert "churn" in asked[2]
    assert list(load_config(tmp_path / "churn.yaml").consumers) == ["staging", "bare-03"]


def test_a_no_on_a_terminal_leaves_the_file(
    init: Call, given: Call, churn: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = init(*given("churn")).folder
    before = _written(folder)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: "n")
    ended = init("config.yaml", "--consumer", "other=bare-03", json_output=False)
    assert (ended.code, _written(folder)) == (1, before)
    assert "+  other:" in ended.out
    assert ended.out.index("versions 1, 2 approved") < ended.out.index("+  other:"), (
        "what was read is told before"
    )


# The question of which the first answers cannot be right, those, and words of what is said of them.
REFUSED: list[tuple[str, list[str], tuple[str, ...]]] = [
    ("AWS profile of the account that owns", ["bare-O1", "bare-001"], ("'bare-O1'", "Did you mean bare-01?")),
    ("Region", ["us-eaast-1"], ("--region", "Did you mean us-east-1?")),
    ("Model package group (", ["chrun", "not a name"], ("Did you mean churn?", "letters, digits")),
    ("AWS profiles of the accounts that deploy", ["X=bare-02"], ("'X' cannot name a consumer",)),
    (
        "AWS profiles of the accounts that deploy",
        ["x=bare-0002", "x=bare-01"],
        ("'bare-0002'", "700000000001"),
    ),
]


def _answering(monkeypatch: pytest.MonkeyPatch, words: str, first: Sequence[str]) -> list[str]:
    """Answers each question on a terminal, one of them otherwise at first; the questions as they are asked."""
    asked: list[str] = []
    left = list(first)

    def answer(question: str) -> str:
        asked.append(question)
        if question.startswith(words) and left:
            return left.pop(0)
        return next(value for each, value in ANSWERS.items() if question.startswith(each))

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", answer)
    return asked


@pytest.mark.parametrize(
    ("words", "first", "says"), REFUSED, ids=[f"{each[0]} {each[1]}" for each in REFUSED]
)
def test_an_answer_that_cannot_be_right_is_asked_for_again_at_once(
    words: str,
    first: list[str],
    says: tuple[str, ...],
    init: Call,
    churn: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = _answering(monkeypatch, words, first)
    ended = init(json_output=False)
    assert ended.code == 0, ended.err
    assert [each.startswith(words) for each in asked].count(True) == len(first) + 1
    assert all(part in ended.err for part in says), ended.err
    # The answers that were right are asked for once.
    assert len(asked) == 4 + len(first)


def test_a_third_answer_that_cannot_be_right_ends_it(
    init: Call, churn: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = _answering(monkeypatch, "Region", ["here", "there", "anywhere", "us-east-1"])
    ended = init(json_output=False)
    assert (ended.code, list(tmp_path.iterdir()), len(asked)) == (2, [], 4)
    assert "'anywhere'" in ended.err.splitlines()[-1]


def test_without_anything_the_file_is_missing_too(init: Call) -> None:
    message = init().message
    assert message.startswith("CONFIG, --group, --region, --producer, --consumer: are missing")


def test_what_is_done_already_is_not_next(init: Call, given: Call, world: Any) -> None:
    team = world.team("bare-09", "again")
    team.register(world.models[0], "again/1/")
    words = given("again", "bare-09", "a=bare-08", "b=bare-07")
    ended = init(*words)
    assert [
        each for each in ended.json["commands"] if " deploy " in each and each.startswith("crossaccount")
    ] == [f"crossaccount deploy config.yaml --consumer {name}" for name in "ab"]
    stacks = [each.split()[4] for each in ended.json["commands"] if each.startswith("aws")]
    assert stacks == ["bare-09", "bare-08", "bare-07"]
    stack = ended.parameters("consumer-a")["NamePrefix"]
    world.deploy("bare-09", "producer", ended.folder / "config.producer.parameters.json")
    world.deploy("bare-08", "consumer", ended.folder / "config.consumer-a.parameters.json", stack)
    left = init("config.yaml").json["commands"]
    assert [each.split()[4] for each in left if each.startswith("aws")] == ["bare-07"]
    # A stack that was told something else is to be updated, under its name.
    team.register(world.models[1], "elsewhere/2/")
    left = init("config.yaml", "--yes").json["commands"]
    assert [each.split()[4] for each in left if each.startswith("aws")] == ["bare-08", "bare-07"]


def test_what_is_waited_for_is_said_once_and_not_with_json(
    init: Call, given: Call, churn: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from crossaccount.cli import live

    said = {}
    for seconds in (0.0, 600.0):
        monkeypatch.setattr(live, "_SAY_SECONDS", seconds)
        said[seconds] = init(
            "config.yaml" if seconds else "other.yaml", *given("churn")[1:], json_output=False
        ).err
    assert said[600.0] == ""
    assert re.fullmatch(r"waiting: reading the accounts at http://127\.0\.0\.1:\d+\n", said[0.0])
    monkeypatch.setattr(live, "_SAY_SECONDS", 0.0)
    assert init("third.yaml", *given("churn")[1:]).err == ""
