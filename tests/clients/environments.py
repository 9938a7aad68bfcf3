"""The clients that the sandbox is tried with, and an environment of its own for each: pinned, and made anew when its lock changed.

Not here: what a client does (``scripts``), and what is expected of it (``test_clients.py``).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ENVIRONMENTS = ROOT / ".clients"

BEFORE, AFTER = "refused before the share", "refused after the revoke"
WITHOUT_ID = "refused without the external id"
OF_THE_POLICY = "refused the bucket's policy"
OF_AN_ALARM = "refused an alarm"
OF_AN_UPDATE = "refused an update"
OF_AN_APPROVAL = "refused an approval"
READS = ("bucket policy", "repository policy", "group policy", "key policy")
HOSTING = ("assume deployer", "create model", "create endpoint", "wait", "invoke", "alarms")
END = ("tear down", "nothing left")
STEPS = (BEFORE, *READS, WITHOUT_ID, *HOSTING, OF_THE_POLICY, OF_AN_ALARM, *END, AFTER)

# One of each protocol: REST with JSON, query, JSON, REST with XML and no body; and a waiter's.
DENIALS = (
    "refused an answer",
    "refused roles",
    "refused stacks",
    "refused a login",
    "refused a key",
    "refused a head",
    "refused a wait",
)

# What AWS says in the end; a client shows it in a form of its own.
_NOT_AUTHORIZED = "is not authorized to perform: "
_SHUT = ("AccessDenied", f"{_NOT_AUTHORIZED}sagemaker:", "no resource-based policy allows")
REFUSALS = {
    BEFORE: _SHUT,
    WITHOUT_ID: ("AccessDenied", f"{_NOT_AUTHORIZED}sts:AssumeRole on resource: arn:aws:iam::"),
    OF_THE_POLICY: ("AccessDenied", f"{_NOT_AUTHORIZED}s3:GetBucketPolicy", ":assumed-role/"),
    OF_AN_ALARM: ("AccessDenied", f"{_NOT_AUTHORIZED}cloudwatch:PutMetricAlarm", ":assumed-role/"),
    "refused an answer": ("AccessDeniedException", f"{_NOT_AUTHORIZED}sagemaker:InvokeEndpoint"),
    "refused roles": ("AccessDenied", f"{_NOT_AUTHORIZED}iam:ListRoles"),
    "refused stacks": ("AccessDenied", f"{_NOT_AUTHORIZED}cloudformation:DescribeStacks"),
    "refused a login": ("AccessDeniedException", f"{_NOT_AUTHORIZED}ecr:GetAuthorizationToken"),
    "refused a key": ("AccessDeniedException", f"{_NOT_AUTHORIZED}kms:DescribeKey"),
    "refused a head": ("403",),
    "refused a wait": ("ValidationException",),
    OF_AN_UPDATE: ("AccessDenied", f"{_NOT_AUTHORIZED}sagemaker:UpdateEndpoint", ":assumed-role/"),
    OF_AN_APPROVAL: ("AccessDenied", f"{_NOT_AUTHORIZED}sagemaker:UpdateModelPackage"),
    AFTER: _SHUT,
}


@dataclass(frozen=True)
class Client:
    """A client of AWS, its script, and the steps that the script takes.

    Attributes:
        name: of its environment, its lock and its column in the table.
        script: in ``scripts``; its ending says what runs it. Of a model server the one in ``servers`` that packs its model.
        steps: all that are expected of it.
        refusals: what a step that AWS refuses must show, for those that are not in ``REFUSALS``.
        environment: whose environment it has, where that is not its own.
        beside: packages beside its lock, of which each machine takes the build that fits it.
    """

    name: str
    script: str
    steps: tuple[str, ...] = STEPS
    refusals: dict[str, tuple[str, ...]] = field(default_factory=dict)
    environment: str = ""
    beside: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Its environment."""
        return ENVIRONMENTS / (self.environment or self.name)

    @property
    def javascript(self) -> bool:
        """Whether its packages are npm's; Python's otherwise."""
        return self.script.endswith(".mjs")

    @property
    def lock(self) -> tuple[Path, ...]:
        """The files that pin it."""
        if self.javascript:
            return HERE / "js" / "package.json", HERE / "js" / "package-lock.json"
        return (HERE / "locks" / f"{self.folder.name}.lock",)

    @property
    def installed(self) -> bool:
        """Whether its environment is there and of its lock."""
        mark = self.folder / ".installed"
        return mark.is_file() and mark.read_text() == self._digest()

    def install(self) -> None:
        """Make its environment anew.

        Raises:
            CalledProcessError, OSError: pip or npm could not.
        """
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        if self.javascript:
            for file in self.lock:
                shutil.copy(file, self.folder)
            quiet = ("--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
            subprocess.run(["npm", "ci", *quiet], cwd=self.folder, check=True)
        else:
            subprocess.run([sys.executable, "-m", "venv", self.folder], check=True)
            pip = [
                self.folder / "bin" / "python",
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
            ]
            subprocess.run([*pip, "--require-hashes", "-r", *self.lock], check=True)
            if self.beside:
                subprocess.run([*pip, *self.beside], check=True)
        (self.folder / ".installed").write_text(self._digest())

    def command(self, *arguments: str) -> list[str]:
        """What runs its script."""
        script = HERE / "scripts" / self.script
        if self.javascript:
            # Node looks for packages beside the script.
            return ["node", shutil.copy(script, self.folder), *arguments]
        return ["bash" if script.suffix == ".sh" else "python", str(script), *arguments]

    def path(self) -> str:
        """The PATH with which its environment's commands are found first."""
        return f"{self.folder / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"

    def _digest(self) -> str:
        found = hashlib.sha256(sys.version.encode())
        for file in self.lock:
            found.update(file.read_bytes())
        return found.hexdigest()


SDK_STEPS = (
    BEFORE,
    WITHOUT_ID,
    "assume deployer",
    "read the share",
    "create model",
    "create endpoint",
    "wait",
    "invoke",
    OF_AN_UPDATE,
    "update endpoint",
    "default bucket",
    *END,
    AFTER,
)

# MLflow deploys models of its own; what the producer shares is the image.
MLFLOW_STEPS = (
    *(one for one in SDK_STEPS if one not in ("read the share", OF_AN_UPDATE)),
    "mlflow deployments",
)
_NO_IMAGE = ("ValidationException", "does not grant", "ecr:BatchGetImage", "sagemaker.amazonaws.com")

STORAGE = ("checksums", "uploads in parts", "presigned", "emptied")
TRANSFERS = ("s3 cp in parts", "s3 sync", "s3 presign", "s3 rb")
STACKS = ("stacks made", "stacks changed", "stacks unchanged", "stacks deleted")

CLIENTS = (
    Client("aioboto3", "aioboto3_15.py", (*STEPS, *DENIALS, "at once", "transfers")),
    Client("aws-cli-1", "aws_cli_1.sh", (*STEPS, *DENIALS, *TRANSFERS, "logs", "ecr login", *STACKS)),
    Client("boto3-1.34", "boto3_1_34.py", (*STEPS, *DENIALS)),
    Client("javascript-v3", "javascript_v3.mjs", (*STEPS, *DENIALS, "request ids", *STORAGE, *STACKS)),
    Client("mlflow", "mlflow_3.py", MLFLOW_STEPS, {BEFORE: _NO_IMAGE, AFTER: _NO_IMAGE}),
    Client("sagemaker-2", "sagemaker_2.py", (*SDK_STEPS, OF_AN_APPROVAL)),
    Client("sagemaker-3", "sagemaker_3.py", (*SDK_STEPS, "ModelBuilder")),
)

REGISTER, SHARE, DEPLOY = "register a version", "share it", "deploy and prove it"
WRONG, ANSWERS, LOGS = "a wrong answer is told", "answers as the server's own", "what it printed"
TEAR_DOWN = "revoke"

# Model servers, as images' commands: the product deploys and proves them, see ``test_servers.py``.
SERVED = (REGISTER, SHARE, WRONG, DEPLOY, ANSWERS, LOGS, TEAR_DOWN)
SERVERS = (
    Client("mlflow-server", "mlflow_model.py", SERVED, environment="mlflow"),
    Client("multi-model-server", "multi_model.py", SERVED),
)
