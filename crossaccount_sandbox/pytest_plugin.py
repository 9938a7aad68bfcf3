"""A pytest plugin: the emulated AWS as fixtures, for tests of whatever talks to SageMaker's model registry across accounts.

It starts nothing until a test asks for one of its fixtures, and importing it imports pytest and the standard library alone. The
sandbox and the product's command are processes of their own; this process's environment stays as it is, outside of
``crossaccount_env``. No secret of a sandbox comes into the report of a test. Not here: what the sandbox does (``server``), and any way to reach the real AWS.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import boto3

START_SECONDS = 120.0
_STOP_SECONDS = 30.0
_WORLDS = ("crossaccount_shared", "crossaccount_bare")
_SAID = 4_000  # characters of a process's stderr that an error repeats, its last


@dataclass(frozen=True)
class Key:
    """An access key; nothing of it shows in any text."""

    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Sandbox:
    """A running sandbox.

    Args:
        address: its URL, the endpoint of every service.
        region: the region in which its accounts' resources are.
        accounts: the 12 digits of each account, by its name: producer, staging, production, outsider.
        env: the variables with which any AWS client reaches it; the profiles they name are the accounts' operators.
        config: the product's config that fits these accounts.
    """

    address: str
    region: str
    accounts: Mapping[str, str]
    env: Mapping[str, str]
    config: str
    _administrators: Mapping[str, Key] = field(repr=False)

    def session(self, account: str, *, role: str | None = None, operator: bool = False) -> boto3.Session:
        """A boto3 session whose clients reach this sandbox, whatever the machine's environment and AWS profiles say.

        Args:
            account: by name. The session is its administrator's, who may do everything there.
            role: the name of a role of that account to be in, assumed with the external id that the account's template asks.
            operator: the account's operator instead, who may only assume the roles of the account's template.

        Raises:
            ValueError: for an account that is not there.
            botocore.exceptions.ClientError: when the role may not be assumed.
        """
        if account not in self.accounts:
            raise ValueError(f"The sandbox has no account {account!r}; it has {', '.join(self.accounts)}")
        key = None if operator else self._administrators[account]
        session = self._session(account, key)
        if role is None:
            return session
        arn = f"arn:aws:iam::{self.accounts[account]}:role/{role}"
        given: dict[str, Any] = {
            "RoleArn": arn,
            "RoleSessionName": "pytest",
            "ExternalId": f"sandbox-{account}",
        }
        answer = session.client("sts").assume_role(**given)["Credentials"]
        return self._session(
            account, Key(answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"])
        )

    def _session(self, profile: str, key: Key | None) -> boto3.Session:
        import botocore.session
        from botocore.config import Config

        core: Any = botocore.session.Session()
        settled: dict[str, Any] = {"profile": profile, "region": self.region}
        settled |= {
            "config_file": self.env["AWS_CONFIG_FILE"],
            "credentials_file": self.env["AWS_SHARED_CREDENTIALS_FILE"],
        }
        settled |= dict.fromkeys(("use_fips_endpoint", "use_dualstack_endpoint"), False)
        for name, value in settled.items():
            core.set_config_variable(name, value)
        core.set_default_client_config(Config(proxies={}))
        if key is not None:
            core.set_credentials(key.access_key_id, key.secret_access_key, key.session_token)
        return _session_class()(self.address, core)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the product's own command against this sandbox, and wait for its end.

        Its Prefect is the tests' own, kept for as long as they run: neither the machine's database nor its server learn of it.

        Args:
            arguments: as after ``crossaccount`` in a shell.
        """
        words = [sys.executable, "-P", "-m", "crossaccount", *arguments]
        own = {name: value for name, value in _without_aws().items() if not name.startswith("PREFECT_")}
        env = {**own, **self.env, **_UNUSED_OF_PREFECT, "PREFECT_HOME": _prefect_home().name}
        return subprocess.run(words, env=env, capture_output=True, text=True, check=False)  # noqa: S603 - our own command

    def control(self, method: str, path: str, body: object = None) -> Any:
        """Ask what is at ``/_sandbox/``, see ``crossaccount_sandbox/control.py``: its JSON, None for an empty answer.

        Raises:
            ValueError: when the sandbox refuses the request; it says why.
        """
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.address}/_sandbox/{path}", data, method=method)  # noqa: S310 - http
        try:
            with _DIRECT.open(request, timeout=60) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise ValueError(error.read().decode()) from None


_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _session_class() -> Callable[[str, Any], boto3.Session]:
    import boto3

    class SandboxSession(boto3.Session):
        """A session whose clients and resources are the sandbox's."""

        def __init__(self, address: str, core: Any) -> None:
            super().__init__(botocore_session=core)
            self._address = address

        def client(self, service_name: Any, *more: Any, **given: Any) -> Any:
            """As of a usual session, whose sixth argument is the endpoint."""
            if len(more) < 5 and given.get("endpoint_url") is None:
                given["endpoint_url"] = self._address
            return super().client(service_name, *more, **given)

    return SandboxSession


# A command of a test opens no page of its temporary server and loads no block of it: the start is a sixth shorter without.
_UNUSED = ("UI_ENABLED", "REGISTER_BLOCKS_ON_START", "ANALYTICS_ENABLED")
_UNUSED_OF_PREFECT = {f"PREFECT_SERVER_{name}": "false" for name in _UNUSED}


@cache
def _prefect_home() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="crossaccount-pytest-prefect-")


def _without_aws() -> dict[str, str]:
    """The environment of this process, less what is the machine's own AWS."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}


@contextmanager
def serving(*options: str) -> Iterator[Sandbox]:
    """A sandbox of one's own, which ends with this; also when this process is killed.

    Args:
        options: the sandbox's own, see ``crossaccount sandbox --help``.

    Raises:
        RuntimeError: when it does not start, or has ended before its time; the message is what it said on stderr.
    """
    words = [sys.executable, "-P", "-m", "crossaccount", "sandbox", "--json", "--control"]
    words += ["--exit-with-parent", str(os.getpid())]
    with _ledger(options) as ledger, tempfile.TemporaryFile() as stderr:
        # A session of its own: Ctrl-C is for the tests, whose teardown may still need the sandbox.
        process = subprocess.Popen(  # noqa: S603 - our own command
            [*words, *ledger, *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=_without_aws(),
            start_new_session=True,
        )
        try:
            yield _started(process, stderr)
            if process.poll() is not None:
                raise RuntimeError(
                    f"The sandbox ended during the tests, with {process.returncode}. {_tail(stderr)}"
                )
        finally:
            _end(process)


_LEDGER = "--credentials-log"
_ledgers: set[Path] = set()  # of the sandboxes that run
_issued: set[str] = set()  # by those that have ended


@contextmanager
def _ledger(options: Sequence[str]) -> Iterator[list[str]]:
    """The option that lets a sandbox write down what it hands out, so that it can be kept out of reports."""
    with tempfile.TemporaryDirectory(prefix="crossaccount-pytest-") as folder:
        named = _LEDGER in options[:-1]
        path = Path(options[options.index(_LEDGER) + 1] if named else f"{folder}/issued.jsonl")
        _ledgers.add(path)
        try:
            yield [] if named else [_LEDGER, str(path)]
        finally:
            _issued.update(_read_ledger(path))
            _ledgers.discard(path)


def _read_ledger(path: Path) -> set[str]:
    """The secrets and tokens in a ledger; none in one that its sandbox has not begun."""
    if not path.exists():
        return set()
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    secrets = {entry[name] for entry in entries for name in ("secret_access_key", "session_token")}
    return secrets - {None}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    """Keep every secret that a sandbox has handed out of a test's report: of its traceback and of what was captured."""
    report = yield
    shows = bool(report.sections or report.longrepr)
    secrets = _issued.union(*map(_read_ledger, _ledgers)) if shows else set()
    if secrets:
        pattern = re.compile("|".join(map(re.escape, secrets)))
        report.sections = [(name, pattern.sub("***", text)) for name, text in report.sections]
        if report.longrepr is not None and pattern.search(text := str(report.longrepr)):
            report.longrepr = pattern.sub("***", text)
    return report


def _started(process: subprocess.Popen[bytes], stderr: IO[bytes]) -> Sandbox:
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], START_SECONDS)
    if not readable:
        raise RuntimeError(f"The sandbox did not start within {START_SECONDS:g} s. {_tail(stderr)}")
    sandbox = _read(process.stdout.readline())
    if sandbox is None:
        code = process.wait(_STOP_SECONDS)
        raise RuntimeError(f"The sandbox did not start; it ended with {code}. {_tail(stderr)}")
    return sandbox


def _tail(stderr: IO[bytes]) -> str:
    stderr.seek(0)
    said = stderr.read().decode(errors="replace").strip()
    return f"It said:\n{said[-_SAID:]}" if said else "It said nothing."


def _read(line: bytes) -> Sandbox | None:
    """What the sandbox announced; None for nothing."""
    if not line:
        return None
    ready = json.loads(line)
    accounts = {name: one["id"] for name, one in ready["accounts"].items()}
    keys = {
        name: Key(one["access_key_id"], one["secret_access_key"]) for name, one in ready["accounts"].items()
    }
    env = {**ready["env"], **_past_proxies()}
    return Sandbox(ready["endpoint_url"], ready["region"], accounts, env, ready["config"], keys)


def _past_proxies() -> dict[str, str]:
    """The variables that keep a machine's proxy away from its own loopback interface; what they say already stays."""
    said = {
        name: os.environ.get(name) or os.environ.get(name.swapcase()) for name in ("NO_PROXY", "no_proxy")
    }
    return {name: ",".join(filter(None, (before, "127.0.0.1"))) for name, before in said.items()}


def _end(process: subprocess.Popen[bytes]) -> None:
    with process:  # closes its pipe
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


class Faults:
    """What befalls the calls to a sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def __call__(self, kind: str, **rule: Any) -> None:
        """Arrange a fault, for the calls from now on.

        Args:
            kind: ``throttle``, ``error``, ``latency``, ``drop`` ...
            rule: which calls, how many of them: the members of ``Rule`` in ``crossaccount_sandbox/faults.py``.

        Raises:
            ValueError: for a rule that is none; it says why.
        """
        self._sandbox.control("PUT", "faults", {"kind": kind, **rule})

    def clear(self) -> None:
        """End all faults, and drop the calls that are held."""
        self._sandbox.control("DELETE", "faults")


@pytest.fixture(scope="session")
def crossaccount_options() -> Sequence[str]:
    """The options of every sandbox that is started; a project's own fixture of this name changes them."""
    return ()


@pytest.fixture(scope="session")
def crossaccount_config() -> str | None:
    """The config that ``crossaccount_shared`` shares; None for the sandbox's own. A project's own fixture changes it."""
    return None


@pytest.fixture(scope="session")
def crossaccount_sandbox(crossaccount_options: Sequence[str]) -> Iterator[Sandbox]:
    """A sandbox for the whole run (under xdist, for each worker); what a test leaves in it, the next one finds."""
    with serving(*crossaccount_options) as sandbox:
        yield sandbox


@pytest.fixture
def crossaccount_bare(crossaccount_options: Sequence[str]) -> Iterator[Sandbox]:
    """A sandbox of the test's own, in which nothing is shared yet."""
    with serving(*crossaccount_options) as sandbox:
        yield sandbox


@pytest.fixture
def crossaccount_shared(
    crossaccount_options: Sequence[str], crossaccount_config: str | None
) -> Iterator[Sandbox]:
    """A sandbox of the test's own, in which ``crossaccount share`` has given the config's consumers their access."""
    with serving(*crossaccount_options) as sandbox:
        done = sandbox.command("share", crossaccount_config or sandbox.config, "--yes")
        if done.returncode:
            raise RuntimeError(
                f"crossaccount share ended with {done.returncode}:\n{done.stdout}{done.stderr}"
            )
        yield sandbox


def _world(request: pytest.FixtureRequest) -> Sandbox:
    """The sandbox that a test is about: its own where it asks for one, else that of the run."""
    own = [name for name in _WORLDS if name in request.fixturenames]
    if len(own) > 1:
        raise pytest.UsageError(f"The test asks for {' and '.join(own)}: use the methods of each")
    world: Sandbox = request.getfixturevalue(own[0] if own else "crossaccount_sandbox")
    return world


@pytest.fixture
def crossaccount_session(request: pytest.FixtureRequest) -> Callable[..., boto3.Session]:
    """Makes boto3 sessions in the accounts of the test's sandbox, see ``Sandbox.session``."""
    return _world(request).session


@pytest.fixture
def crossaccount_env(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    """Points this process's AWS variables at the test's sandbox, past any proxy, until the test's end.

    None of the machine's own AWS variables is left meanwhile.
    """
    env = _world(request).env
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    return env


@pytest.fixture
def crossaccount_faults(request: pytest.FixtureRequest) -> Iterator[Faults]:
    """Arranges faults in the test's sandbox, and ends all of them with the test."""
    faults = Faults(_world(request))
    yield faults
    faults.clear()
