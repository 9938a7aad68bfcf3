"""What `crossaccount plan` takes as a whole process, beside its reads made by the AWS CLI, and by bare boto3."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import boto3
from botocore import xform_name
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from benchmarks.stage import REGION, Stage, running, timed

_ROOT = Path(__file__).resolve().parents[1]
_CLI = "aws-cli-1"  # its environment and lock are those of `make clients`
_COMMANDS = {"s3": "s3api"}  # what the CLI calls a service otherwise than botocore does


class Call(NamedTuple):
    """A call that the plan makes, and AWS's code of the error that it is answered with, or nothing."""

    service: str
    operation: str
    parameters: dict[str, Any]
    error: str


def plan_command(pairs: int) -> dict[str, Any]:
    """Make a plan with the command, and its calls with the AWS CLI and with bare boto3, one after the other in the same order.

    The calls are those that the command makes, written down once. The CLI has a process for each, its key at hand; boto3's
    clients are made and connected before the clock runs.

    Returns:
        ``pairs``: the seconds of ``plan``, ``cli``, ``import`` (of boto3) and ``calls`` (in bare boto3); how many ``calls``
        there are; the CLI's ``version``.
    """
    with running(prefect=False) as stage:
        config = str(stage.ready["config"])
        asked = _asked(stage, config)
        key = _role_key()
        clients = {name: _client(name, key) for name in {call.service for call in asked}}
        cli = _cli()
        found = []
        for _ in range(pairs + 1):  # the first warms the disk and the connections
            found.append(
                {
                    "plan": timed(lambda: _ran("-m", "crossaccount", "plan", config)),
                    "cli": timed(lambda: _by_cli(cli, asked, clients, key)),
                    "import": timed(lambda: _ran("-c", "import boto3")),
                    "calls": timed(lambda: _by_boto3(asked, clients)),
                }
            )
        # The CLI tells its version on one of the two.
        told = subprocess.run([str(cli), "--version"], check=True, capture_output=True, text=True)  # noqa: S603
    version = (told.stdout + told.stderr).split()[0]
    return {
        "pairs": found[1:],
        "calls": len(asked),
        "version": version,
        "operations": [call.operation for call in asked],
    }


def _ran(*arguments: str) -> None:
    command = [sys.executable, *arguments]
    subprocess.run(command, cwd=_ROOT, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own commands


def _asked(stage: Stage, config: str) -> list[Call]:
    """Every call that the command makes.

    Raises:
        RuntimeError: when the sandbox's log has others.
    """
    from crossaccount.config.loading import load_config
    from crossaccount.sharing import gather

    with stage.calls() as logged:
        _ran("-m", "crossaccount", "plan", config)
    with _noted() as asked:  # the command itself would end this process
        gather.make_plan(load_config(config), prune=False)
    theirs, ours = (
        Counter(each) for each in ([one["operation"] for one in logged], [c.operation for c in asked])
    )
    if theirs != ours:
        raise RuntimeError(f"The command made other calls: {theirs - ours}, and not {ours - theirs}")
    return asked


@contextmanager
def _noted() -> Iterator[list[Call]]:
    asked: list[Call] = []
    within: Any = BaseClient  # whose one method for all calls is not public
    usual = within._make_api_call

    def noting(self: BaseClient, operation_name: str, api_params: dict[str, Any]) -> Any:
        call = Call(self.meta.service_model.service_name, operation_name, dict(api_params), "")
        try:
            answer = usual(self, operation_name, api_params)
        except ClientError as error:
            asked.append(call._replace(error=error.response["Error"]["Code"]))
            raise
        asked.append(call)
        return answer

    within._make_api_call = noting
    try:
        yield asked
    finally:
        within._make_api_call = usual


def _role_key() -> dict[str, str]:
    """A key of the producer's role."""
    source: Any = boto3.session.Session(profile_name="producer", region_name=REGION)
    role = "arn:aws:iam::111111111111:role/crossaccount-producer"
    key = source.client("sts").assume_role(
        RoleArn=role, RoleSessionName="bare", ExternalId="sandbox-producer"
    )["Credentials"]
    return {
        "aws_access_key_id": key["AccessKeyId"],
        "aws_secret_access_key": key["SecretAccessKey"],
        "aws_session_token": key["SessionToken"],
    }


def _client(service: str, key: Mapping[str, str]) -> Any:
    """A client in the producer's role; of STS in its profile."""
    given: Any = {"profile_name": "producer"} if service == "sts" else key
    session: Any = boto3.session.Session(region_name=REGION, **given)
    return session.client(service)


def _by_boto3(asked: Sequence[Call], clients: Mapping[str, Any]) -> None:
    for call in asked:
        code = ""
        try:
            clients[call.service]._make_api_call(call.operation, call.parameters)
        except ClientError as error:
            code = error.response["Error"]["Code"]
        _same(call, code)


def _by_cli(cli: Path, asked: Sequence[Call], clients: Mapping[str, Any], key: Mapping[str, str]) -> None:
    """Make each call with a process of the CLI: one call exactly, for it would fetch further pages by itself."""
    env = {**os.environ, **{name.upper(): value for name, value in key.items()}, "AWS_DEFAULT_REGION": REGION}
    for call in asked:
        service = clients[call.service].meta.service_model
        command = [str(cli), _COMMANDS.get(call.service, call.service), xform_name(call.operation, "-")]
        command += ["--no-paginate", *_options(call.parameters)]
        if call.service == "sts":
            command += ["--profile", "producer"]
        if service.operation_model(call.operation).has_streaming_output:
            command.append(os.devnull)
        done = subprocess.run(command, env=env, check=False, capture_output=True, text=True)  # noqa: S603
        code = done.stderr.partition("An error occurred (")[2].partition(")")[0]
        if done.returncode and not code:
            raise RuntimeError(f"{' '.join(command[1:])} ended with {done.returncode}: {done.stderr}")
        _same(call, code)


def _options(parameters: Mapping[str, Any]) -> list[str]:
    """As a person writes them: ``--bucket=one``; what has a structure is JSON."""
    return [
        f"--{xform_name(name, '-')}={value if isinstance(value, str) else json.dumps(value)}"
        for name, value in parameters.items()
    ]


def _same(call: Call, code: str) -> None:
    """See that a call was answered as the plan's was: a refusal that comes of the repeating must not be taken for it.

    Raises:
        RuntimeError: when it was not.
    """
    if code != call.error:
        raise RuntimeError(f"{call.operation} was answered {code or 'well'}, not {call.error or 'well'}")


def _cli() -> Path:
    """The CLI, installed from its lock with hashes where it is not, its bytecode compiled."""
    spec = importlib.util.spec_from_file_location(
        "environments", _ROOT / "tests" / "clients" / "environments.py"
    )
    assert spec is not None
    assert spec.loader is not None
    environments = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(environments)
    client = next(one for one in environments.CLIENTS if one.name == _CLI)
    if not client.installed:
        client.install()
    binaries = Path(client.folder) / "bin"
    compiled = [str(binaries / "python"), "-m", "compileall", "-qq", str(binaries.parent / "lib")]
    subprocess.run(compiled, check=False)  # noqa: S603 - some packages have templates that are no Python
    return binaries / "aws"
