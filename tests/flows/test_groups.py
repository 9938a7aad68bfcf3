"""Many groups in one run: each as it would be shared by itself, none in the way of another."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL

from crossaccount.cli import main as cli
from crossaccount.errors import Failed, InputError
from flows.groups import share_groups
from flows.producer import share_models

GROUP, SECOND, BUCKET = "decision-trees-sample", "second-sample", "producer-models-111111111111"


@pytest.fixture
def second(aws: Any, edited: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A config of a second group, whose artifacts lie in the same bucket and repository; an administrator shares both."""
    sm, s3 = aws.admin("producer", "sagemaker"), aws.admin("producer", "s3")
    first = sm.describe_model_package(
        ModelPackageName=f"arn:aws:sagemaker:us-east-1:111111111111:model-package/{GROUP}/1"
    )
    specification = json.loads(
        json.dumps(first["InferenceSpecification"]).replace(GROUP + "/1", SECOND + "/1")
    )
    for one in ("model", "samples"):
        source = {"Bucket": BUCKET, "Key": f"models/{GROUP}/1/{one}.tar.gz"}
        s3.copy_object(Bucket=BUCKET, Key=f"models/{SECOND}/1/{one}.tar.gz", CopySource=source)
    for container in specification["Containers"]:
        container.pop("ImageDigest", None)
        container["Image"] = container["Image"].split("@")[0]
        container["ModelDataUrl"] = f"s3://{BUCKET}/models/{SECOND}/1/model.tar.gz"
        container.pop("ModelDataETag", None)
    sm.create_model_package_group(ModelPackageGroupName=SECOND)
    arn = sm.create_model_package(
        ModelPackageGroupName=SECOND,
        ModelApprovalStatus="Approved",
        SamplePayloadUrl=f"s3://{BUCKET}/models/{SECOND}/1/samples.tar.gz",
        InferenceSpecification={
            key: value for key, value in specification.items() if key in specification and value
        },
    )["ModelPackageArn"]
    iam = aws.admin("producer", "iam")
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam.put_role_policy(
        RoleName="crossaccount-producer", PolicyName="second", PolicyDocument=json.dumps(everything)
    )
    with aws.restored():
        yield edited(model_package_group=SECOND)
    with contextlib.suppress(sm.exceptions.ClientError):
        sm.delete_model_package_group_policy(ModelPackageGroupName=SECOND)
    iam.delete_role_policy(RoleName="crossaccount-producer", PolicyName="second")
    sm.delete_model_package(ModelPackageName=arn)
    sm.delete_model_package_group(ModelPackageGroupName=SECOND)


def statements(aws: Any) -> int:
    return sum(len((one or {}).get("Statement", [])) for one in aws.documents().values())


def test_each_is_shared_as_by_itself_and_again_changes_nothing(aws: Any, second: str) -> None:
    first = str(aws.config)
    done = share_groups([first, second])
    assert list(done.groups) == [first, second]
    assert [one.plan.writes for one in done.groups.values()] == [4, 3]
    assert {key.split("/")[1] for key in aws.releases()} >= {GROUP, SECOND}
    again = share_groups([first, second])
    assert again.to_json()["writes"] == 0
    assert share_models(second).plan.writes == 0
    assert share_models(first).plan.writes == 0


def test_one_that_fails_leaves_the_others_shared(aws: Any, second: str, edited: Any) -> None:
    bad = edited(versions=[99])
    with pytest.raises(Failed, match="1 of 2 groups were not shared") as caught:
        share_groups([bad, second])
    assert f"{bad}: " in str(caught.value)
    assert "version 99" in str(caught.value)
    assert share_models(second).plan.writes == 0
    assert not [key for key in aws.releases() if f"/{GROUP}/" in key]


def test_a_dry_run_and_a_plan_that_nobody_agreed_to_change_nothing(aws: Any, second: str) -> None:
    first, before = str(aws.config), statements(aws)
    done = share_groups([first, second], dry_run=True)
    assert done.to_json()["writes"] == 7
    hashes = [one.plan.digest for one in done.groups.values()]
    with pytest.raises(Failed, match="2 of 2 groups were not shared") as caught:
        share_groups([first, second], agreed=hashes[::-1])
    assert str(caught.value).count("The plan is no longer the one that was agreed to") == 2
    assert (statements(aws), aws.releases() & {f"releases/{SECOND}/1.json"}) == (before, set())


@pytest.mark.parametrize(
    ("given", "agreed", "why"),
    [
        ([], None, "name one file or more"),
        (["a.yaml", "a.yaml"], None, "each once"),
        (["a.yaml", "b.yaml"], ["0" * 16], "1 hashes for 2 files"),
    ],
)
def test_what_cannot_be_meant_is_refused(given: Any, agreed: Any, why: str) -> None:
    with pytest.raises(InputError, match=why):
        share_groups(given, agreed=agreed)


def test_the_command_takes_several_files(
    aws: Any, second: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", str(PREFECT_API_URL.value()))
    before, first = signal.getsignal(signal.SIGTERM), str(aws.config)

    def run(*arguments: str) -> tuple[Any, str]:
        with pytest.raises(SystemExit) as ended:
            cli.main(["share", first, second, *arguments, "--json"])
        return ended.value.code, capsys.readouterr().out

    code, out = run("--yes")
    signal.signal(signal.SIGTERM, before)
    said = json.loads(out)
    assert (code, said["ok"], said["writes"], list(said["groups"])) == (0, True, 7, [first, second])
    for more, why in ((["--prune"], "--prune is for one config"), ([second], "named twice"), ([], "--yes")):
        code, out = run(*more)
        assert (code, why in out) == (2, True)
