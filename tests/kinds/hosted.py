"""A sandbox in this process, whose images are servers of the tests' own, and the verbs of a consumer: deploy, promote, roll back.

The verbs are the library's, without Prefect. The deployer and the producer may do what these versions need.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest

from crossaccount.aws import sessions
from crossaccount.aws.access import Target, open_producer, open_target
from crossaccount.config.loading import parse_config
from crossaccount.config.model import Sharing
from crossaccount.hosting import creation, preflight, removal, state
from crossaccount.hosting.gateway import Gateway, Patience
from crossaccount.hosting.resources import HostedResource, deployment_name
from crossaccount.promotion import moving
from crossaccount.promotion.outcome import ConsumerOutcome
from crossaccount.proof.proof import Proof, prove
from crossaccount.proof.questions import check_questions, questions
from crossaccount.release.manifest import Release
from crossaccount.sharing import apply, gather, publish
from crossaccount.sharing.plan import plan_share
from crossaccount_sandbox import accounts
from crossaccount_sandbox.sagemaker.image_commands import ImageCommand
from crossaccount_sandbox.server import Server
from crossaccount_sandbox.training import tar_gz

ROOT = Path(__file__).parents[2]
QUICK = Patience(seconds=20, first=0.03, longest=0.2)
NAME = "decision-trees-staging"
TEMPLATES = Path(__file__).parents[2] / "deployments" / "iam"
REGISTRY = f"{accounts.PRODUCER.id}.dkr.ecr.{accounts.REGION}.amazonaws.com"
# Multiplies each number of a list by what model.json says; an answer says in Accept's place that it was wanted.
SERVER = """
import json, os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

model = json.loads((Path(os.environ["SM_MODEL_DIR"]) / "model.json").read_text())

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(b"")

    def do_POST(self):
        given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(json.dumps([number * model["factor"] for number in given]).encode())

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""


@dataclass
class World:
    """The accounts, with what the tests put there."""

    server: Server
    folder: Path
    keys: dict[str, Any] = field(default_factory=dict)
    clients: dict[tuple[str, str], Any] = field(default_factory=dict)

    def client(self, account: str, service: str) -> Any:
        """A client of an account's administrator."""
        if (account, service) not in self.clients:
            session = boto3.Session(profile_name=f"{account}-admin", region_name=accounts.REGION)
            self.clients[account, service] = session.client(service)  # type: ignore[call-overload]
        return self.clients[account, service]

    def allow(self, account: str, role: str, name: str, statements: list[dict[str, Any]] | None) -> None:
        """Set a policy of a role; with None remove it."""
        iam, named = self.client(account, "iam"), {"RoleName": f"crossaccount-{role}", "PolicyName": name}
        if statements is None:
            iam.delete_role_policy(**named)
        else:
            document = {"Version": "2012-10-17", "Statement": statements}
            iam.put_role_policy(**named, PolicyDocument=json.dumps(document))

    def tell_stack(self, **values: str) -> None:
        """Give the stack of the consumer's roles other parameters."""
        client = self.client("staging", "cloudformation")
        (stack,) = client.describe_stacks(StackName="crossaccount")["Stacks"]
        given = {one["ParameterKey"]: one["ParameterValue"] for one in stack["Parameters"]} | values
        client.update_stack(
            StackName="crossaccount",
            TemplateBody=(TEMPLATES / "consumer.yaml").read_text(),
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()],
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )

    def image(self, repository: str, script: str = SERVER) -> str:
        """A new repository of the producer's with an image that runs this script; its URI, by tag."""
        ecr = self.client("producer", "ecr")
        ecr.create_repository(repositoryName=repository)
        accounts.push_image(ecr, repository, "1", {"name": repository.encode()})
        self.runs(f"{REGISTRY}/{repository}:1", script)
        return f"{REGISTRY}/{repository}:1"

    def runs(self, image: str, script: str = SERVER) -> None:
        """Have an image run a script."""
        file = self.folder / f"{abs(hash(script))}.py"
        file.write_text(script)
        self.server.images.add([ImageCommand(image, (sys.executable, str(file)))])

    def artifact(self, uri: str, model: dict[str, Any], key: str | None = None) -> str:
        """An object with a model.tar.gz whose model.json is this; its URI."""
        bucket, _, name = uri.removeprefix("s3://").partition("/")
        encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key} if key else {}
        body = tar_gz({"model.json": json.dumps(model).encode()})
        self.client("producer", "s3").put_object(Bucket=bucket, Key=name, Body=body, **encryption)
        return uri

    def register(self, *containers: dict[str, Any], **more: Any) -> int:
        """Register an approved version; its number."""
        arn = self.client("producer", "sagemaker").create_model_package(
            ModelPackageGroupName=accounts.GROUP,
            ModelApprovalStatus="Approved",
            InferenceSpecification={
                "Containers": list(containers),
                "SupportedContentTypes": ["application/json"],
                "SupportedResponseMIMETypes": ["application/json"],
            },
            **more,
        )["ModelPackageArn"]
        return int(arn.rpartition("/")[2])

    def config(self, version: int, *smoke: dict[str, Any], latency: Any = None, **endpoint: Any) -> Sharing:
        """The config that shares a version, with these questions and further keys of the endpoint."""
        return self.config_of([version], *smoke, latency=latency, **endpoint)

    def config_of(
        self, versions: list[int], *smoke: dict[str, Any], latency: Any = None, **endpoint: Any
    ) -> Sharing:
        role = "arn:aws:iam::{}:role/crossaccount-{}"
        hosted = {"name": NAME, "instance_type": "ml.m5.large", **endpoint}
        consumer = {
            "account": accounts.STAGING.id,
            "role": role.format(accounts.STAGING.id, "deployer"),
            "external_id": "sandbox-staging",
            "profile": "staging",
            "execution_role": role.format(accounts.STAGING.id, "execution"),
            "endpoint": {key: value for key, value in hosted.items() if value is not None},
            "smoke_mode": "after",
            "smoke": [{"content_type": "application/json", **each} for each in smoke],
            **({"latency": latency} if latency else {}),
        }
        document = {
            "model_package_group": accounts.GROUP,
            "region": accounts.REGION,
            "versions": versions,
            "producer": {
                "account": accounts.PRODUCER.id,
                "role": role.format(accounts.PRODUCER.id, "producer"),
                "external_id": "sandbox-producer",
                "profile": "producer",
                "releases": f"s3://{accounts.BUCKET}/{accounts.RELEASES}",
            },
            "consumers": {"staging": consumer},
        }
        return parse_config(json.dumps(document))

    def share(self, sharing: Sharing) -> None:
        producer = open_producer(sharing)
        found = gather.gather(producer)
        plan = plan_share(sharing, found)
        prepared = [publish.prepare(producer, version, found, plan) for version in found.versions]
        apply.apply(producer, plan, lambda line: None)
        for release, is_new in prepared:
            if is_new:
                publish.publish(producer, release)

    def release(self, sharing: Sharing, version: int) -> tuple[Target, Release]:
        """The Release as the consumer sees it, and held against its artifacts."""
        return self._release(open_target(sharing, "staging"), version)

    def _release(self, target: Target, version: int) -> tuple[Target, Release]:
        release = preflight.read_release(target, preflight.find_version(target, version))
        check_questions(target.name, target.consumer, release)
        preflight.check_artifacts(target, release)
        return target, release

    def deploy(self, sharing: Sharing, version: int) -> Proof:
        """Deploy a version, prove it, and take it down."""
        target, release = self.release(sharing, version)
        name, made = deployment_name(target.consumer, version), list[HostedResource]()
        try:
            with preflight.explained_creation(target, release):
                made.append(creation.ensure_model(target, release, keep=False))
            made.append(creation.ensure_endpoint_config(target, release, name, keep=False))
            made.append(creation.ensure_endpoint(target, release, False, QUICK))
            creation.wait_in_service(target, name, QUICK)
            return prove(target, release, name, questions(target, release))
        finally:
            assert all(each.outcome == "removed" for each in removal.remove(target, made, QUICK))

    def promote(
        self, sharing: Sharing, version: int, report: Callable[[str], None] = lambda line: None
    ) -> ConsumerOutcome:
        return moving.promote(*self.release(sharing, version), QUICK, moving.Run(report))

    def roll_back(self, sharing: Sharing) -> ConsumerOutcome:
        """Roll back to the version before."""
        target = open_target(sharing, "staging")
        to = state.previous_config(target)
        assert to is not None
        target, release = self._release(state.as_deployed(target, to), to.version)
        return moving.go_back(target, to, release, QUICK)

    def alarm(self, name: str, state_value: str) -> None:
        """An alarm of the consumer's, in this state."""
        cloudwatch = self.client("staging", "cloudwatch")
        cloudwatch.put_metric_alarm(
            AlarmName=name, MetricName="Errors", Namespace="Tests", Statistic="Sum", Period=60,
            EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanThreshold",
        )  # fmt: skip
        cloudwatch.set_alarm_state(AlarmName=name, StateValue=state_value, StateReason="for a test")

    def hosted(self, kind: str) -> list[str]:
        """The names of what the consumer hosts."""
        sagemaker = self.client("staging", "sagemaker")
        listed = getattr(sagemaker, f"list_{kind}s")()
        return sorted(
            each[next(key for key in each if key.endswith("Name"))]
            for each in next(value for value in listed.values() if isinstance(value, list))
        )

    def clear(self) -> None:
        """Remove all that the consumer hosts."""
        gateway = Gateway(self.client("staging", "sagemaker"))
        for name in self.hosted("endpoint"):
            gateway.delete_endpoint(name, QUICK)
        for kind in ("endpoint_config", "model"):
            for name in self.hosted(kind):
                gateway.delete(kind.replace("_", "-"), name)  # type: ignore[arg-type]


EVERYTHING = [{"Effect": "Allow", "Action": "*", "Resource": "*"}]


@contextmanager
def world(folder: Path, *may_do_everything: tuple[str, str]) -> Iterator[World]:
    """A sandbox with a producer and a consumer; these roles of theirs may do everything."""
    two = [accounts.PRODUCER, accounts.STAGING]
    server = Server(two, endpoint_seconds=0.02, speed=5000)
    server.start()
    residents = accounts.settle(server.url, ROOT / "deployments" / "iam", two)
    administrators = {f"{name}-admin": key for name, key in residents.administrators.items()}
    keys = folder / "credentials"
    keys.write_text(
        "".join(
            f"[{name}]\naws_access_key_id={key.access_key_id}\naws_secret_access_key={key.secret_access_key}\n"
            for name, key in {**residents.operators, **administrators}.items()
        )
    )
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
            patch.delenv(name, raising=False)
        patch.setenv("AWS_ENDPOINT_URL", server.url)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(keys))
        patch.setattr("crossaccount.hosting.gateway.FIRST_SECONDS", 0.02)
        made = World(server, folder)
        for account, role in may_do_everything:
            made.allow(account, role, "everything", EVERYTHING)
        with sessions.reuse():
            yield made
    server.stop()


def asks(body: list[Any], expect: list[Any], **more: Any) -> dict[str, Any]:
    """A question of numbers, and the answer."""
    return {"body": json.dumps(body), "expect": expect, **more}
