"""Bare accounts of a sandbox inside this process, teams in them, and the command ``init`` as a user calls it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
import yaml

from crossaccount.cli import main as cli
from crossaccount_sandbox.accounts import OUTSIDER, REGION, _administrator, bare
from crossaccount_sandbox.server import Server
from crossaccount_sandbox.training import TrainedModel, train_all

sys.path.insert(0, str(Path(__file__).parent))

from team import Team

ACCOUNTS = [*bare(9), OUTSIDER]
IDS = {account.name: account.id for account in ACCOUNTS}


@dataclass
class Bare:
    """The sandbox, its calls, and teams in its accounts."""

    server: Server
    entries: list[dict[str, Any]]
    keys: dict[str, tuple[str, str]]
    models: list[TrainedModel]
    _clients: dict[tuple[str, ...], Any] = field(default_factory=dict)
    _session: Any = field(default_factory=boto3.session.Session)

    def client(self, profile: str, service: str, region: str = REGION) -> Any:
        made = (profile, service, region)
        if made not in self._clients:
            key, secret = self.keys[profile]
            given = {"aws_access_key_id": key, "aws_secret_access_key": secret}
            self._clients[made] = self._session.client(
                service, region_name=region, endpoint_url=self.server.url, **given
            )
        return self._clients[made]

    def team(self, profile: str, name: str, region: str = REGION) -> Team:
        """A team whose group has no version yet."""
        team = Team(lambda service: self.client(profile, service, region), IDS[profile], name, region)
        team.settle()
        return team

    def user(self, profile: str, name: str, *denied: str) -> None:
        """A profile of that name: a user of the account who may all but some actions."""
        iam = self.client(profile, "iam")
        iam.create_user(UserName=name)
        statements = [
            {"Effect": "Allow", "Action": "*", "Resource": "*"},
            {"Effect": "Deny", "Action": list(denied), "Resource": "*"},
        ]
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=document)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        self.keys[name] = (key["AccessKeyId"], key["SecretAccessKey"])
        IDS[name] = IDS[profile]

    def deploy(self, profile: str, template: str, file: Path, stack: str = "crossaccount") -> None:
        """Deploy a template with a parameters file, as the AWS CLI does."""
        given = dict(each.split("=", 1) for each in json.loads(file.read_text()))
        cloudformation = self.client(profile, "cloudformation")
        cloudformation.create_stack(
            StackName=stack,
            TemplateBody=(Path(__file__).parents[2] / f"deployments/iam/{template}.yaml").read_text(),
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()],
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
        (made,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
        assert made["StackStatus"] == "CREATE_COMPLETE", made


@pytest.fixture(scope="module")
def world() -> Iterator[Bare]:
    entries: list[dict[str, Any]] = []
    server = Server(ACCOUNTS, log=entries.append)
    server.start()
    keys = {account.name: _administrator(account) for account in ACCOUNTS}
    users = {name: (key.access_key_id, key.secret_access_key) for name, key in keys.items()}
    yield Bare(server, entries, users, train_all())
    server.stop()


@dataclass
class Ended:
    """How the command ended, what it printed, and what it wrote."""

    code: int
    out: str
    err: str
    folder: Path

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def message(self) -> str:
        return str(self.json["error"]["message"])

    @property
    def findings(self) -> str:
        return "\n".join(
            f"{each['subject']}: {each['text']} {each['way_out']}" for each in self.json["findings"]
        )

    def config(self, name: str = "config.yaml") -> Any:
        return yaml.safe_load((self.folder / name).read_text())

    def parameters(self, side: str) -> dict[str, str]:
        file = self.folder / f"config.{side}.parameters.json"
        return dict(each.split("=", 1) for each in json.loads(file.read_text()))


@pytest.fixture
def init(
    world: Bare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    """Runs ``crossaccount init`` in a folder of the test's own, with a profile for each key of the world."""
    for name in (
        "AWS_PROFILE",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_DEFAULT_REGION",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", world.server.url)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.chdir(tmp_path)

    def run(*words: str, json_output: bool = True) -> Ended:
        lines = [
            f"[profile {name}]\nregion = eu-west-1\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n"
            for name, (key, secret) in world.keys.items()
        ]
        aws = tmp_path.parent / f"{tmp_path.name}.aws"
        aws.write_text("\n".join(lines))
        monkeypatch.setenv("AWS_CONFIG_FILE", str(aws))
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        with pytest.raises(SystemExit) as ended:
            cli.main(["init", *words, *(["--json"] if json_output else [])])
        said = capsys.readouterr()
        code = ended.value.code
        return Ended(code if isinstance(code, int) else 0, said.out, said.err, tmp_path)

    return run


def options(group: str, producer: str = "bare-01", *consumers: str, region: str = REGION) -> Sequence[str]:
    """The options of a call that asks for nothing more."""
    named = [word for consumer in consumers or ("bare-02",) for word in ("--consumer", consumer)]
    return ("config.yaml", "--group", group, "--region", region, "--producer", producer, *named)


@pytest.fixture
def given() -> Callable[..., Sequence[str]]:
    return options


@pytest.fixture
def no_prefect(monkeypatch: pytest.MonkeyPatch) -> None:
    """No server is configured: tests of flows that ran in this process before leave theirs among its settings."""
    from tasks import readiness

    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setattr(readiness, "PREFECT_API_URL", SimpleNamespace(value=lambda: None))
