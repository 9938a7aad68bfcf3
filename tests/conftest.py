"""One sandbox for the whole run, as its own process, and the means to look at it and to break it.

A test that changes something puts it back: see ``Sandbox.restored``.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import gc
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
import yaml

from crossaccount.aws import loaders
from crossaccount.aws.access import open_producer
from crossaccount.config.loading import load_config
from crossaccount.config.model import Sharing
from crossaccount.sharing import apply, gather
from crossaccount.sharing.changes import Plan
from crossaccount.sharing.gather import Gathered
from crossaccount.sharing.plan import plan_share

ROOT = Path(__file__).parents[1]
GROUP = "decision-trees-sample"
BUCKET = "producer-models-111111111111"
REGION = "us-east-1"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--aws",
        metavar="CONFIG",
        help="run the story against the accounts of this config instead of a sandbox",
    )


def pytest_configure() -> None:
    """Look for garbage seldom: Python's default is to do so at every 700 objects, and a client makes thousands."""
    gc.set_threshold(50_000, 20, 100)
    botocore.session.create_loader = _loader


def _loader(search_path_string: str | None = None) -> Any:
    """AWS's service descriptions, read once for all sessions of this process: a new session takes a tenth of the time."""
    return loaders.shared_loader()


# The browser, and beside it what needs no server; then what takes half a minute of a processor and more.
LONGEST = (
    "ui/test_browser.py",
    "sharing/test_properties.py",
    "sandbox/test_plugin.py",
    "docs/test_commands.py",
    "flows/test_promotion.py",
    "flows/test_denials.py",
    "flows/test_producer.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest goes first, lest one worker wait for it at the end."""
    first = {ROOT / "tests" / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: first.get(item.path, len(first)))


def pytest_collection_finish() -> None:
    """Leave out of it what stays for the whole run: thousands of tests, Prefect, AWS's service descriptions.

    Going through that million of objects again and again was a third of what many tests took.
    """
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """List the answers that were more careful than they need be: right, and of no use to who asks."""
    reports = [each for kind in terminalreporter.stats.values() for each in kind]
    needless = sorted(
        {
            value
            for report in reports
            for name, value in getattr(report, "user_properties", ())
            if name == "needless"
        }
    )
    if needless:
        terminalreporter.section(f"needless `cannot tell`: {len(needless)}")
        terminalreporter.line("\n".join(needless))


@cache
def _shared_session() -> Any:
    """One session for all clients of tests: each would read AWS's service descriptions anew."""
    return boto3.session.Session()


@dataclass
class Sandbox:
    """A running sandbox: what it announced, and clients of its accounts."""

    ready: dict[str, Any]
    process: subprocess.Popen[str]
    log: Path | None = None
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict)
    _key: str = ""

    @property
    def url(self) -> str:
        return str(self.ready["endpoint_url"])

    @property
    def config(self) -> Path:
        return Path(self.ready["config"])

    def id(self, account: str) -> str:
        return str(self.ready["accounts"][account]["id"])

    def admin(self, account: str, service: str) -> Any:
        """A client of the account's administrator."""
        key = self.ready["accounts"][account]
        if (account, service) not in self._clients:
            self._clients[account, service] = self.client(
                service, key["access_key_id"], key["secret_access_key"]
            )
        return self._clients[account, service]

    def client(self, service: str, key: str, secret: str, token: str | None = None) -> Any:
        given = {"aws_access_key_id": key, "aws_secret_access_key": secret, "aws_session_token": token}
        return _shared_session().client(service, region_name=REGION, endpoint_url=self.url, **given)

    def role(self, account: str, name: str, service: str, **assume: Any) -> Any:
        """A client in a session of a role of the account, assumed by its administrator."""
        arn = f"arn:aws:iam::{self.id(account)}:role/{name}"
        given = {"ExternalId": f"sandbox-{account}", "RoleSessionName": "test", **assume}
        key = self.admin(account, "sts").assume_role(RoleArn=arn, **given)["Credentials"]
        return self.client(service, key["AccessKeyId"], key["SecretAccessKey"], key["SessionToken"])

    def documents(self) -> dict[str, dict[str, Any] | None]:
        """The producer's resource policies as they stand; the principals of the bucket's, which S3 shows in any order, sorted."""
        found: dict[str, dict[str, Any] | None] = {}
        with absent():
            text = self.admin("producer", "s3").get_bucket_policy(Bucket=BUCKET)["Policy"]
            found["bucket"] = json.loads(text)
            for statement in found["bucket"]["Statement"]:
                named = statement.get("Principal")
                if isinstance(named, dict) and isinstance(named.get("AWS"), list):
                    named["AWS"].sort()
        with absent():
            text = self.admin("producer", "ecr").get_repository_policy(repositoryName=GROUP)["policyText"]
            found["repository"] = json.loads(text)
        with absent():
            answer = self.admin("producer", "sagemaker").get_model_package_group_policy(
                ModelPackageGroupName=GROUP
            )
            found["group"] = json.loads(answer["ResourcePolicy"])
        text = self.admin("producer", "kms").get_key_policy(KeyId=self.key)["Policy"]
        found["key"] = json.loads(text)
        return {kind: found.get(kind) for kind in ("bucket", "repository", "group", "key")}

    @property
    def key(self) -> str:
        """The ARN of the key that artifacts are encrypted under, as it was at first: a test may encrypt one anew."""
        if not self._key:
            key = f"models/{GROUP}/2/model.tar.gz"
            self._key = str(self.admin("producer", "s3").head_object(Bucket=BUCKET, Key=key)["SSEKMSKeyId"])
        return self._key

    def put(self, kind: str, document: dict[str, Any] | None) -> None:
        """Set, or with None remove, one of the producer's resource policies."""
        text = json.dumps(document)
        s3, ecr, sm = (self.admin("producer", service) for service in ("s3", "ecr", "sagemaker"))
        with absent():
            match kind, document:
                case "bucket", None:
                    s3.delete_bucket_policy(Bucket=BUCKET)
                case "bucket", _:
                    s3.put_bucket_policy(Bucket=BUCKET, Policy=text)
                case "repository", None:
                    ecr.delete_repository_policy(repositoryName=GROUP)
                case "repository", _:
                    ecr.set_repository_policy(repositoryName=GROUP, policyText=text)
                case "group", None:
                    sm.delete_model_package_group_policy(ModelPackageGroupName=GROUP)
                case "group", _:
                    sm.put_model_package_group_policy(ModelPackageGroupName=GROUP, ResourcePolicy=text)
                case "key", _:
                    self.admin("producer", "kms").put_key_policy(
                        KeyId=self.key, PolicyName="default", Policy=text
                    )

    @contextlib.contextmanager
    def restored(self) -> Iterator[None]:
        """Put the producer's policies and its Releases back to what they were."""
        before, releases = self.documents(), self.releases()
        try:
            yield
        finally:
            for kind, document in before.items():
                self.put(kind, document)
            for key in self.releases() - releases:
                self.admin("producer", "s3").delete_object(Bucket=BUCKET, Key=key)

    @contextlib.contextmanager
    def denied(self, account: str, role: str, *actions: str, **more: Any) -> Iterator[None]:
        """A role of an account, denied these actions for a while; ``more`` are further elements of the statement."""
        iam, named = self.admin(account, "iam"), {"RoleName": role, "PolicyName": "denied"}
        statement = {"Effect": "Deny", "Action": list(actions), "Resource": "*", **more}
        document = {"Version": "2012-10-17", "Statement": [statement]}
        iam.put_role_policy(**named, PolicyDocument=json.dumps(document))
        try:
            yield
        finally:
            iam.delete_role_policy(**named)

    def releases(self) -> set[str]:
        listed = self.admin("producer", "s3").list_objects_v2(Bucket=BUCKET, Prefix="releases/")
        return {entry["Key"] for entry in listed.get("Contents", [])}

    def hosted(self, account: str) -> dict[str, list[str]]:
        """What an account hosts: the names of its endpoints, endpoint configs and models."""
        sm = self.admin(account, "sagemaker")
        return {
            "endpoints": [one["EndpointName"] for one in sm.list_endpoints()["Endpoints"]],
            "configs": [one["EndpointConfigName"] for one in sm.list_endpoint_configs()["EndpointConfigs"]],
            "models": [one["ModelName"] for one in sm.list_models()["Models"]],
        }

    def clear(self, accounts: Iterable[str]) -> None:
        """Remove what these accounts host; all their endpoints go down at the same time."""
        hosted = {account: self.hosted(account) for account in accounts}
        for account, found in hosted.items():
            for name in found["endpoints"]:
                self.admin(account, "sagemaker").delete_endpoint(EndpointName=name)
        for account, found in hosted.items():
            sm = self.admin(account, "sagemaker")
            while sm.list_endpoints()["Endpoints"]:
                time.sleep(0.05)
            for name in found["configs"]:
                sm.delete_endpoint_config(EndpointConfigName=name)
            for name in found["models"]:
                sm.delete_model(ModelName=name)

    @contextlib.contextmanager
    def calls(self) -> Iterator[list[dict[str, Any]]]:
        """What is asked of AWS within this, from the sandbox's own log; filled at the end."""
        assert self.log is not None
        start, found = self.log.stat().st_size, list[dict[str, Any]]()
        yield found
        with self.log.open() as file:
            file.seek(start)
            found += [json.loads(line) for line in file]

    def cli(self, *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
        """Run the product's own command against this sandbox."""
        command = [sys.executable, "-m", "crossaccount", *arguments]
        env = {**os.environ, **self.ready["env"]}
        env.pop("PREFECT_SERVER_DATABASE_MIGRATE_ON_START", None)  # of the server of this run's tests
        return subprocess.run(
            command, env=env, capture_output=True, text=True, timeout=300, check=False, cwd=ROOT, **more
        )


@contextlib.contextmanager
def absent() -> Iterator[None]:
    """Let an AWS error for something that is not there pass."""
    from botocore.exceptions import ClientError

    try:
        yield
    except ClientError as error:
        said = error.response["Error"]
        known = ("NoSuchBucketPolicy", "RepositoryPolicyNotFoundException")
        if said["Code"] not in known and not said["Message"].startswith("Cannot find resource policy"):
            raise


def _start_sandbox(*arguments: str) -> Sandbox:
    """Start a sandbox as its own process and read what it announces."""
    command = [sys.executable, "-m", "crossaccount", "sandbox", "--json", "--exit-with-parent", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, "the sandbox did not come up"
    return Sandbox(json.loads(line), process)


@pytest.fixture
def start_sandbox() -> Callable[..., Sandbox]:
    """Starts a sandbox of the test's own; the test ends it."""
    return _start_sandbox


_SHARED: list[Sandbox] = []  # the sandbox of the whole run, once it is up


@pytest.fixture(scope="module", autouse=True)
def nothing_published() -> None:
    """No file of tests begins with Releases that another one has left in the sandbox."""
    for running in _SHARED:
        for key in running.releases():
            running.admin("producer", "s3").delete_object(Bucket=BUCKET, Key=key)


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    log = tmp_path_factory.mktemp("sandbox") / "calls.jsonl"
    running = _start_sandbox(
        *("--endpoint-seconds", "0.2", "--speed", "1000", "--control"),
        *("--consumers", os.environ.get("RACE_WRITERS", "10"), "--log", str(log)),
    )
    running.log = log
    _SHARED.append(running)
    yield running
    _SHARED.clear()
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(timeout=30) == 0


@pytest.fixture
def aws(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """The sandbox, with this process's AWS environment pointed at it; what a test changes is put back."""
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in sandbox.ready["env"].items():
        monkeypatch.setenv(name, value)
    return sandbox


@pytest.fixture(scope="session")
def prefect_database(pytestconfig: pytest.Config) -> Path:
    """Prefect's empty database, made once for all workers of a run and kept for later runs: it takes ten seconds."""
    from prefect import __version__
    from prefect.server.database.dependencies import provide_database_interface, temporary_database_interface
    from prefect.settings import PREFECT_SERVER_DATABASE_CONNECTION_URL, temporary_settings

    assert pytestconfig.cache is not None
    folder = pytestconfig.cache.mkdir("prefect")
    made, half = folder / f"{__version__}.db", folder / f"{__version__}.half.db"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            half.unlink(missing_ok=True)
            url = {PREFECT_SERVER_DATABASE_CONNECTION_URL: f"sqlite+aiosqlite:///{half}"}
            with temporary_database_interface(), temporary_settings(url):
                asyncio.run(provide_database_interface().create_db())
            half.rename(made)
    return made


@pytest.fixture(scope="session")
def one_authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with one certificate authority: each client of Prefect reads all that there are, and none here speaks TLS."""
    import certifi

    bundle, end = Path(certifi.where()).read_text(encoding="utf-8"), "-----END CERTIFICATE-----\n"
    file = tmp_path_factory.mktemp("authority") / "one.pem"
    file.write_text(bundle.partition(end)[0] + end, encoding="utf-8")
    return file


class Edited:
    """Writes variants of the sandbox's config."""

    def __init__(self, config: Path, folder: Path) -> None:
        self._config = config
        self._folder = folder
        self._count = 0

    def __call__(self, **changes: Any) -> str:
        """The path of a config with keys changed, ``__`` standing for a dot; None takes a key out."""
        document = yaml.safe_load(self._config.read_text())
        for path, value in changes.items():
            *parents, last = path.split("__")
            node = document
            for name in parents:
                node = node[name]
            if value is None:
                del node[last]
            else:
                node[last] = value
        self._count += 1
        file = self._folder / f"{self._count}.yaml"
        file.write_text(yaml.safe_dump(document))
        return str(file)


@pytest.fixture
def edited(aws: Any, tmp_path: Path) -> Edited:
    return Edited(aws.config, tmp_path)


PUTS = {
    "repository": ("ecr", "SetRepositoryPolicy"),
    "bucket": ("s3", "PutBucketPolicy"),
    "key": ("kms", "PutKeyPolicy"),
    "group": ("sagemaker", "PutModelPackageGroupPolicy"),
}


class Desk:
    """The producer's desk: its clients, and a plan to apply."""

    def __init__(self, aws: Any, path: str | Path) -> None:
        self.aws = aws
        self.sharing: Sharing = load_config(path)
        self.producer = open_producer(self.sharing)
        self.told: list[str] = []

    def gather(self) -> Gathered:
        return gather.gather(self.producer)

    def plan(self) -> Plan:
        return plan_share(self.sharing, self.gather())

    def apply(self, plan: Plan, **more: Any) -> Any:
        return apply.apply(self.producer, plan, self.told.append, **more)

    def at_call(self, kind: str, act: Callable[[], None], when: str = "before-call") -> None:
        """Do something at each put of a policy, just before it is sent or after it was answered."""
        service, operation = PUTS[kind]
        client = getattr(self.producer, service)
        client.meta.events.register(
            f"{when}.{client.meta.service_model.service_id.hyphenize()}.{operation}", lambda **_: act()
        )


@pytest.fixture
def desk(aws: Any) -> Iterator[Desk]:
    with aws.restored():
        yield Desk(aws, aws.config)


@pytest.fixture
def administrator(aws: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The sandbox, with the producer's administrator as the ambient credentials."""
    key = aws.ready["accounts"]["producer"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["access_key_id"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["secret_access_key"])
    return aws


@contextlib.contextmanager
def _registered(aws: Any, *before: dict[str, Any], **container: Any) -> Iterator[int]:
    client = aws.admin("producer", "sagemaker")
    made = client.create_model_package(
        ModelPackageGroupName="decision-trees-sample",
        ModelApprovalStatus="Approved",
        InferenceSpecification={
            "Containers": [*before, container],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
    )["ModelPackageArn"]
    try:
        yield int(made.rpartition("/")[2])
    finally:
        client.delete_model_package(ModelPackageName=made)


@pytest.fixture
def registered() -> Any:
    """Registers a further approved version of one container for a while, and gives its number."""
    return _registered
