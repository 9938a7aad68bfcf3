"""What each command says of a world, as words that a table can hold: read from what it prints and from what ``--json`` has.

The library functions below the flows are called, for speed. Not here: what should be said (the tables).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError
from worlds import ARNS, DEPLOYER, GROUP, PRODUCER, another_key, artifact, named

from crossaccount.audit.answers import combine
from crossaccount.audit.documents import read_documents
from crossaccount.audit.probe import try_doors
from crossaccount.aws.access import open_target, producing
from crossaccount.config.loading import load_config
from crossaccount.errors import CrossAccountError, PlanRefused, Refused
from crossaccount.hosting import preflight, temporary
from crossaccount.sharing import apply, gather, plan_file, publish
from crossaccount.sharing import revoke as revoking
from crossaccount.sharing.plan import plan_share
from crossaccount.show import plans

GUEST = "verdicts-guest"  # a role of the consumer's that may do everything which the other side lets it
KIND = {
    "bucket": "bucket",
    "repository": "repository",
    "key": "key",
    "model-package-group": "group",
}


@dataclass(frozen=True)
class Said:
    """What a command said: how it ended, its findings by severity, its text, and its object."""

    ending: str
    findings: tuple[tuple[str, str], ...] = ()
    text: str = ""
    data: dict[str, Any] = field(default_factory=dict)

    def severities(self, words: list[str]) -> set[str]:
        """The severities of the findings that have all of these words."""
        return {severity for severity, text in self.findings if all(has(text, word) for word in words)}

    def standing(self, account: str, door: str) -> set[str]:
        """The answers about what statements of others leave open to an account at a door."""
        rows = self.data.get("standing")
        assert rows is not None, (
            "nothing is said of what statements of others leave open (no member `standing`)"
        )
        return {row["answer"] for row in rows if row["account"] == account and row["door"] == door}

    def loses(self, account: str, kind: str) -> bool:
        """Whether the text says that an account loses access by the change of a document."""
        lines = iter(self.text.splitlines())
        found, here = False, False
        for line in lines:
            if match := re.match(r"\w+: policy of (\S+)", line):
                here = KIND.get(match[1]) == kind
            found = found or (here and re.match(rf"\s+loses access: .*{account}", line) is not None)
        return found


def has(text: str, word: str) -> bool:
    """Whether a text has a word, or one of several that a table separates by ``|``; case does not count."""
    return any(each.lower() in text.lower() for each in word.split("|"))


def found(findings: Any) -> tuple[tuple[str, str], ...]:
    return tuple((str(each.severity), str(each)) for each in findings)


def of_plan(make: Callable[[], Any]) -> Said:
    """What is said of a plan, or of why there is none."""
    try:
        plan = make()
    except PlanRefused as refused:
        return Said("refused", found(refused.findings), str(refused))
    except CrossAccountError as error:
        return Said(type(error).__name__, (("error", str(error)),), str(error))
    return Said("planned", found(plan.findings), plans.text(plan), plan_file.to_json(plan))


def plan(config: Any) -> Said:
    """``crossaccount plan``."""
    return of_plan(lambda: gather.make_plan(load_config(config)))


def revoke(config: Any, force: bool = False, **what: Any) -> Said:
    """``crossaccount revoke`` up to its question."""
    sharing = load_config(config)
    return of_plan(lambda: revoking.make_plan(sharing, revoking.choose(sharing, **what), force))


def share(config: Any) -> Said:
    """``crossaccount share``, as the flow makes it."""
    sharing, told = load_config(config), list[str]()
    try:
        with producing(sharing) as producer:
            state = gather.gather(producer)
            planned = plan_share(sharing, state)
            prepared = [publish.prepare(producer, version, state, planned) for version in state.versions]
            apply.apply(producer, planned, told.append)
            for release, is_new in prepared:
                if is_new:
                    publish.publish(producer, release)
    except PlanRefused as refused:
        return Said("refused", found(refused.findings), str(refused))
    except CrossAccountError as error:
        ending = f"failed after {len(told)} writes" if told else type(error).__name__
        return Said(ending, (("error", str(error)),), str(error))
    return Said("shared", found(planned.findings), plans.text(planned), plan_file.to_json(planned))


def check(config: Any, *names: str, probe: bool = True) -> Said:
    """``crossaccount check``; it ends with yes where nothing is missing."""
    sharing = load_config(config)
    wanted = names or tuple(sharing.consumers)
    producer = read_documents(sharing, wanted)
    consumers = {name: try_doors(sharing, name, producer.versions, probe) for name in wanted}
    audit = combine(sharing, wanted, producer, consumers, False)
    ending = "no" if audit.missing else "yes" if audit.is_conclusive else "cannot tell"
    return Said(ending, found(audit.findings), audit.text(), audit.to_json())


def verdicts(said: Said, consumer: str) -> dict[str, set[str]]:
    """The audit's answers about a consumer, by door."""
    by_door: dict[str, set[str]] = {}
    for answer in said.data["answers"]:
        if answer["consumer"] == consumer:
            by_door.setdefault(answer["door"], set()).add(str(answer["verdict"]))
    return by_door


@dataclass(frozen=True)
class Deployed:
    """How the way to a model went: ``made``, or the refusal's door and account, or the text of another error."""

    ending: str
    door: str = ""
    account: str = ""
    text: str = ""
    data: dict[str, Any] = field(default_factory=dict)


def deploy(config: Any, consumer: str = "staging", version: int | None = None) -> Deployed:
    """``crossaccount deploy`` up to its model, which is deleted again."""
    try:
        target = open_target(load_config(config), consumer)
        found_version = preflight.find_version(target, version)
        release = preflight.read_release(target, found_version)
        preflight.check_artifacts(target, release)
        with preflight.explained_creation(target, release):
            temporary.try_model(target, release)
    except Refused as refused:
        refusal = refused.refusal
        return Deployed("refused", refusal.door, refusal.account, str(refused), dict(vars(refusal)))
    except CrossAccountError as error:
        return Deployed(type(error).__name__, text=str(error))
    return Deployed("made")


# What a table cannot know.


def with_names(aws: Any) -> Any:
    """Exchanges what a table cannot know: the newest version's number, and the keys' ARNs."""
    listed = aws.admin("producer", "sagemaker").list_model_packages(
        ModelPackageGroupName=GROUP, SortBy="CreationTime", SortOrder="Descending"
    )
    newest = max(int(one["ModelPackageArn"].rpartition("/")[2]) for one in listed["ModelPackageSummaryList"])
    real = {"{new}": f"version {newest}", "{key}": aws.key, "{another}": another_key(aws)}

    def exchanged(value: Any) -> Any:
        if isinstance(value, list):
            return [exchanged(each) for each in value]
        for name, text in real.items():
            value = value.replace(name, text)
        return named(value)

    return exchanged


# The truth: what an account's own identities can do.


@contextmanager
def guest(aws: Any, account: str) -> Iterator[None]:
    """A role of an account that its own side lets do everything."""
    iam = aws.admin(account, "iam")
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    trust = {"Effect": "Allow", "Principal": {"AWS": aws.id(account)}, "Action": "sts:AssumeRole"}

    def text(statement: dict[str, Any]) -> str:
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    iam.create_role(RoleName=GUEST, AssumeRolePolicyDocument=text(trust))
    iam.put_role_policy(RoleName=GUEST, PolicyName="all", PolicyDocument=text(everything))
    try:
        yield
    finally:
        iam.delete_role_policy(RoleName=GUEST, PolicyName="all")
        iam.delete_role(RoleName=GUEST)


class Tried:
    """What identities of an account can do at the producer's doors, tried with their credentials."""

    def __init__(self, aws: Any) -> None:
        self._aws = aws
        self._clients: dict[tuple[str, str, str], Any] = {}
        kms = aws.admin("producer", "kms")
        self._ciphertext = kms.encrypt(KeyId=aws.key, Plaintext=b"sealed")["CiphertextBlob"]

    def opens(self, account: str, kind: str) -> bool:
        """Whether any identity of the account gets through the door of a document."""
        return any(self._passes(account, who, kind) for who in ("administrator", GUEST, DEPLOYER))

    def _client(self, account: str, who: str, service: str) -> Any:
        key = (account, who, service)
        if key not in self._clients:
            self._clients[key] = (
                self._aws.admin(account, service)
                if who == "administrator"
                else self._aws.role(account, who, service)
            )
        return self._clients[key]

    def _passes(self, account: str, who: str, kind: str) -> bool:
        service = {"bucket": "s3", "repository": "ecr", "key": "kms", "group": "sagemaker"}[kind]
        client = self._client(account, who, service)
        try:
            match kind:
                case "bucket":
                    client.get_object(**artifact(1))
                case "repository":
                    client.batch_get_image(
                        registryId=PRODUCER, repositoryName=GROUP, imageIds=[{"imageTag": "1"}]
                    )
                case "key":
                    client.decrypt(CiphertextBlob=self._ciphertext, KeyId=self._aws.key)
                case _:
                    client.describe_model_package(ModelPackageName=f"{ARNS}/{GROUP}/1")
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code not in ("AccessDenied", "AccessDeniedException"):
                raise
            return False
        return True
