"""Every call that the product makes, made by whoever may not, just before the product makes it.

The product's own commands are told as one story. Before a call is sent that was not seen before, its very parameters are sent
by everybody who must be refused; then the product's own call goes on, and is the control: everything stood as it should.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from threading import Lock
from typing import Any

import pytest

from crossaccount.audit.answers import DISCOVERY, Verdict, combine
from crossaccount.audit.documents import read_documents
from crossaccount.audit.probe import try_doors
from crossaccount.aws import clients, sessions
from crossaccount.aws.access import Target, open_producer, open_target
from crossaccount.config.lifecycle import LifeCycle
from crossaccount.config.model import Sharing
from crossaccount.doors.base import Resource
from crossaccount.doors.bucket import BUCKET
from crossaccount.hosting import components, creation, leftovers, preflight, removal, requests, state
from crossaccount.hosting.gateway import Patience
from crossaccount.hosting.resources import deployment_name
from crossaccount.promotion import moving, records
from crossaccount.promotion.outcome import Result
from crossaccount.promotion.records import Record
from crossaccount.proof.asking import ask
from crossaccount.proof.proof import prove
from crossaccount.proof.questions import questions
from crossaccount.registry import lifecycle
from crossaccount.registry.versions import Contents
from crossaccount.sharing import apply, discovery, gather, publish, revoke
from crossaccount.sharing.plan import plan_share
from crossaccount_sandbox import accounts
from crossaccount_sandbox.principals import identity_documents

NAME = "decision-trees-staging"
QUICK = Patience(seconds=20, first=0.03, longest=0.2)
SIDES = {"producer": ("producer", "crossaccount-producer"), "consumer": ("staging", "crossaccount-deployer")}

# (side, service, operation, on what) -> the actions that AWS asks for, from the Service Authorization Reference of each service.
Row = tuple[str, str, str, str]
CALLS: dict[Row, tuple[str, ...]] = {
    ("producer", "ecr", "BatchGetImage", ""): ("ecr:BatchGetImage",),
    ("producer", "ecr", "DeleteRepositoryPolicy", ""): ("ecr:DeleteRepositoryPolicy",),
    ("producer", "ecr", "GetRegistryPolicy", ""): ("ecr:GetRegistryPolicy",),
    ("producer", "ecr", "GetRepositoryPolicy", ""): ("ecr:GetRepositoryPolicy",),
    ("producer", "ecr", "SetRepositoryPolicy", ""): ("ecr:SetRepositoryPolicy",),
    ("producer", "kms", "DescribeKey", ""): ("kms:DescribeKey",),
    ("producer", "kms", "GetKeyPolicy", ""): ("kms:GetKeyPolicy",),
    ("producer", "kms", "PutKeyPolicy", ""): ("kms:PutKeyPolicy",),
    ("producer", "ram", "GetResourceShareAssociations", ""): ("ram:GetResourceShareAssociations",),
    ("producer", "ram", "GetResourceShares", ""): ("ram:GetResourceShares",),
    ("producer", "ram", "ListResourceSharePermissions", ""): ("ram:ListResourceSharePermissions",),
    ("producer", "ram", "PromotePermissionCreatedFromPolicy", ""): (
        "ram:PromotePermissionCreatedFromPolicy",
    ),
    ("producer", "ram", "PromoteResourceShareCreatedFromPolicy", ""): (
        "ram:PromoteResourceShareCreatedFromPolicy",
    ),
    ("producer", "s3", "DeleteBucketPolicy", ""): ("s3:DeleteBucketPolicy",),
    ("producer", "s3", "GetBucketAcl", ""): ("s3:GetBucketAcl",),
    ("producer", "s3", "GetBucketEncryption", ""): ("s3:GetEncryptionConfiguration",),
    ("producer", "s3", "GetBucketOwnershipControls", ""): ("s3:GetBucketOwnershipControls",),
    ("producer", "s3", "GetBucketPolicy", ""): ("s3:GetBucketPolicy",),
    ("producer", "s3", "GetObject", "artifact"): ("s3:GetObject",),
    ("producer", "s3", "GetObject", "encrypted artifact"): ("s3:GetObject", "kms:Decrypt"),
    ("producer", "s3", "GetObject", "release"): ("s3:GetObject",),
    ("producer", "s3", "GetPublicAccessBlock", ""): ("s3:GetBucketPublicAccessBlock",),
    ("producer", "s3", "HeadBucket", ""): ("s3:ListBucket",),
    ("producer", "s3", "HeadObject", "artifact"): ("s3:GetObject",),
    ("producer", "s3", "HeadObject", "encrypted artifact"): ("s3:GetObject",),
    ("producer", "s3", "ListObjectsV2", ""): ("s3:ListBucket",),
    ("producer", "s3", "PutBucketPolicy", ""): ("s3:PutBucketPolicy",),
    ("producer", "s3", "PutObject", "release"): ("s3:PutObject",),
    ("producer", "s3control", "GetPublicAccessBlock", ""): ("s3:GetAccountPublicAccessBlock",),
    ("producer", "sagemaker", "DeleteModelPackageGroupPolicy", ""): (
        "sagemaker:DeleteModelPackageGroupPolicy",
    ),
    ("producer", "sagemaker", "DescribeModelPackage", ""): ("sagemaker:DescribeModelPackage",),
    ("producer", "sagemaker", "GetModelPackageGroupPolicy", ""): ("sagemaker:GetModelPackageGroupPolicy",),
    ("producer", "sagemaker", "ListModelPackages", ""): ("sagemaker:ListModelPackages",),
    ("producer", "sagemaker", "PutModelPackageGroupPolicy", ""): ("sagemaker:PutModelPackageGroupPolicy",),
    ("producer", "sagemaker", "UpdateModelPackage", ""): ("sagemaker:UpdateModelPackage",),
    ("consumer", "cloudwatch", "DescribeAlarms", ""): ("cloudwatch:DescribeAlarms",),
    ("consumer", "iam", "GetRole", ""): ("iam:GetRole",),
    ("consumer", "iam", "SimulatePrincipalPolicy", ""): ("iam:SimulatePrincipalPolicy",),
    ("consumer", "s3", "GetObject", "answer"): ("s3:GetObject",),
    ("consumer", "s3", "GetObject", "artifact"): ("s3:GetObject",),
    ("consumer", "s3", "GetObject", "encrypted artifact"): ("s3:GetObject", "kms:Decrypt"),
    ("consumer", "s3", "GetObject", "release"): ("s3:GetObject",),
    ("consumer", "s3", "ListObjectsV2", ""): ("s3:ListBucket",),
    ("consumer", "sagemaker", "AddTags", ""): ("sagemaker:AddTags",),
    ("consumer", "sagemaker", "CreateEndpoint", ""): ("sagemaker:CreateEndpoint", "sagemaker:AddTags"),
    ("consumer", "sagemaker", "CreateEndpointConfig", ""): (
        "sagemaker:CreateEndpointConfig",
        "sagemaker:AddTags",
    ),
    ("consumer", "sagemaker", "CreateEndpointConfig", "with a role"): (
        "sagemaker:CreateEndpointConfig",
        "sagemaker:AddTags",
        "iam:PassRole",
    ),
    ("consumer", "sagemaker", "CreateInferenceComponent", ""): (
        "sagemaker:CreateInferenceComponent",
        "sagemaker:AddTags",
    ),
    ("consumer", "sagemaker", "CreateModel", ""): (
        "sagemaker:CreateModel",
        "sagemaker:AddTags",
        "iam:PassRole",
    ),
    ("consumer", "sagemaker", "DeleteEndpoint", ""): ("sagemaker:DeleteEndpoint",),
    ("consumer", "sagemaker", "DeleteEndpointConfig", ""): ("sagemaker:DeleteEndpointConfig",),
    ("consumer", "sagemaker", "DeleteInferenceComponent", ""): ("sagemaker:DeleteInferenceComponent",),
    ("consumer", "sagemaker", "DeleteModel", ""): ("sagemaker:DeleteModel",),
    ("consumer", "sagemaker", "DeleteTags", ""): ("sagemaker:DeleteTags",),
    ("consumer", "sagemaker", "DescribeEndpoint", ""): ("sagemaker:DescribeEndpoint",),
    ("consumer", "sagemaker", "DescribeEndpointConfig", ""): ("sagemaker:DescribeEndpointConfig",),
    ("consumer", "sagemaker", "DescribeInferenceComponent", ""): ("sagemaker:DescribeInferenceComponent",),
    ("consumer", "sagemaker", "DescribeModel", ""): ("sagemaker:DescribeModel",),
    ("consumer", "sagemaker", "DescribeModelPackage", ""): ("sagemaker:DescribeModelPackage",),
    ("consumer", "sagemaker", "DescribeModelPackageGroup", ""): ("sagemaker:DescribeModelPackageGroup",),
    ("consumer", "sagemaker", "ListEndpointConfigs", ""): ("sagemaker:ListEndpointConfigs",),
    ("consumer", "sagemaker", "ListEndpoints", ""): ("sagemaker:ListEndpoints",),
    ("consumer", "sagemaker", "ListInferenceComponents", ""): ("sagemaker:ListInferenceComponents",),
    ("consumer", "sagemaker", "ListModelPackageGroups", ""): ("sagemaker:ListModelPackageGroups",),
    ("consumer", "sagemaker", "ListModelPackages", ""): ("sagemaker:ListModelPackages",),
    ("consumer", "sagemaker", "ListModels", ""): ("sagemaker:ListModels",),
    ("consumer", "sagemaker", "ListTags", ""): ("sagemaker:ListTags",),
    ("consumer", "sagemaker", "UpdateEndpoint", ""): ("sagemaker:UpdateEndpoint",),
    ("consumer", "sagemaker", "UpdateInferenceComponent", ""): ("sagemaker:UpdateInferenceComponent",),
    ("consumer", "sagemaker-runtime", "InvokeEndpoint", ""): ("sagemaker:InvokeEndpoint",),
    ("consumer", "sagemaker-runtime", "InvokeEndpoint", "component"): ("sagemaker:InvokeEndpoint",),
    ("consumer", "sagemaker-runtime", "InvokeEndpointAsync", ""): ("sagemaker:InvokeEndpointAsync",),
    ("consumer", "sagemaker-runtime", "InvokeEndpointWithResponseStream", ""): (
        "sagemaker:InvokeEndpointWithResponseStream",
    ),
    ("consumer", "service-quotas", "ListServiceQuotas", ""): ("servicequotas:ListServiceQuotas",),
}
# Whether a call can name another account's resource: of the rest AWS takes nothing but a name within the caller's account.
POLICIES_OF_GROUPS = {f"{verb}ModelPackageGroupPolicy" for verb in ("Get", "Put", "Delete")}
ACROSS = {
    row
    for row in CALLS
    if row[1] in ("s3", "s3control", "ecr", "kms") or "ModelPackage" in row[2] or row[2] == "CreateModel"
} - {
    ("producer", "ecr", "GetRegistryPolicy", ""),
    ("consumer", "sagemaker", "ListModelPackageGroups", ""),
    ("consumer", "s3", "GetObject", "answer"),  # in the consumer's own bucket
    *(("producer", "sagemaker", name, "") for name in POLICIES_OF_GROUPS),
}
# A Release is first read when it is there, and then the deployer may read it too.
ITS_OWN = {("producer", "s3", "GetObject", "release")}
BY_ARN = {row for row in CALLS if row[2] in ("AddTags", "DeleteTags", "ListTags", "SimulatePrincipalPolicy")}
# What SageMaker itself needs of the execution role while it creates a model, and one by one is kept from it.
# What is not there yet when the product first asks for it.
ABSENT = {
    "GetRegistryPolicy": ("RegistryPolicyNotFoundException",),
    "GetRepositoryPolicy": ("RepositoryPolicyNotFoundException",),
    "GetBucketOwnershipControls": ("OwnershipControlsNotFoundError",),
    "GetObject": ("NoSuchKey",),
    "answer": ("AccessDenied",),  # what S3 says of a key that is not there to who may not list the bucket
    "GetPublicAccessBlock": ("NoSuchPublicAccessBlockConfiguration",),
    **dict.fromkeys(
        (
            *("GetModelPackageGroupPolicy", "DescribeModel", "DescribeEndpointConfig", "DescribeEndpoint"),
            "DescribeInferenceComponent",
        ),
        ("ValidationException",),
    ),
}
EXECUTION = (
    "s3:GetObject",
    "kms:Decrypt",
    "ecr:BatchGetImage",
    "ecr:BatchCheckLayerAvailability",
    "ecr:GetDownloadUrlForLayer",
)


def on_what(params: Mapping[str, Any]) -> str:
    """What tells two calls of one operation apart that need other permissions."""
    key = str(params.get("Key", ""))
    if "EndpointConfigName" in params and "ExecutionRoleArn" in params:
        return "with a role"
    if "Body" in params and "InferenceComponentName" in params:
        return "component"
    if not key:
        return ""
    if key.startswith(accounts.RELEASES):
        return "release"
    if key.startswith("answers/"):
        return "answer"
    return "encrypted artifact" if key.startswith(f"{accounts.ARTIFACTS}2/") else "artifact"


@dataclass(frozen=True)
class Attempt:
    """One call of somebody who must be refused, and what became of it; ``without`` is the action that was taken away."""

    row: Row
    who: str
    without: str
    code: str
    message: str
    changed: tuple[str, ...]

    def __str__(self) -> str:
        return f"{' '.join(self.row)} by {self.who} without {self.without or 'any right'}: {self.code} {self.message} {self.changed}"


@dataclass
class Watch:
    """Tries each new call of the product as everybody else, before it is sent."""

    scene: Any
    attempts: list[Attempt] = field(default_factory=list)
    rows: dict[Row, dict[str, Any]] = field(default_factory=dict)
    execution: dict[str, list[str]] = field(default_factory=dict)
    controls: dict[Row, int] = field(default_factory=dict)
    lock: Any = field(default_factory=Lock)

    def before(self, side: str, params: dict[str, Any], model: Any, **_: Any) -> None:
        service = model.service_model.service_name
        row = (side, service, model.name, on_what(params))
        with self.lock:
            if row in self.rows:
                return
            self.rows[row] = params
            for action in CALLS.get(row, ()):
                self.narrowed(row, params, action)
            self.strangers(row, params)
            self.controls[row] = len(self.scene.calls)

    def narrowed(self, row: Row, params: dict[str, Any], action: str) -> None:
        account, name = SIDES[row[0]]
        role, secret = role_of(account, name), f"sandbox-{account}"
        but = json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "NotAction": action, "Resource": "*"}],
            }
        )
        self.attempt(row, params, "a session", self.scene.assumed(account, role, secret, Policy=but), action)
        with bounded(self.scene, account, name, action):
            self.attempt(row, params, "a bounded role", self.scene.assumed(account, role, secret), action)

    def strangers(self, row: Row, params: dict[str, Any]) -> None:
        """Whoever has no right at all, although each may do everything on its own side (the operator may assume the role)."""
        side, assumed = row[0], self.scene.assumed
        self.attempt(row, params, "the operator", self.scene.operator(SIDES[side][0]))
        if row in ACROSS | BY_ARN:
            self.attempt(row, of_outsider(params), "the outsider", self.scene.administrator("outsider"))
        if row not in ACROSS:
            return
        params = of_group(params)
        deployer = assumed("staging", role_of("staging", "crossaccount-deployer"), "sandbox-staging")
        self.attempt(row, params, "a bystander", assumed("staging", role_of("staging", "bystander")))
        if side == "producer":
            if row not in ITS_OWN:
                self.attempt(row, params, "the deployer", deployer)
        else:
            with self.scene.clock.later(minutes=6):
                self.attempt(row, params, "the expired deployer", deployer)

    def attempt(self, row: Row, params: dict[str, Any], who: str, key: Any, without: str = "") -> None:
        before = self.scene.state()
        code, message = self.scene.hand.attempt(key, row[1], row[2], params)
        after = self.scene.state()
        changed = tuple(kind for kind in before if before[kind] != after[kind])
        made = Attempt(row, who, without, code, message, changed)
        assert not changed, f"The story ends here, as somebody changed it: {made}"
        self.attempts.append(made)


def role_of(account: str, name: str) -> str:
    number = {one.name: one.id for one in accounts.ACCOUNTS}[account]
    return f"arn:aws:iam::{number}:role/{name}"


class bounded:
    """A permissions boundary on a role that allows everything but one action."""

    def __init__(self, scene: Any, account: str, role: str, action: str) -> None:
        self.admin, self.role, self.made = partial(scene.admin, account, "iam"), role, scene.boundaries
        if (account, action) not in self.made:
            text = json.dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [{"Effect": "Allow", "NotAction": action, "Resource": "*"}],
                }
            )
            name = f"but-{action.replace(':', '-')}"
            answer = self.admin("CreatePolicy", PolicyName=name, PolicyDocument=text)
            self.made[account, action] = answer["Policy"]["Arn"]
        self.arn = self.made[account, action]

    def __enter__(self) -> None:
        self.admin("PutRolePermissionsBoundary", RoleName=self.role, PermissionsBoundary=self.arn)

    def __exit__(self, *_: Any) -> None:
        self.admin("DeleteRolePermissionsBoundary", RoleName=self.role)


def of_group(params: dict[str, Any]) -> dict[str, Any]:
    """The same call, naming the producer's group so that another account's caller means the same one."""
    if "ModelPackageGroupName" not in params:
        return params
    group = f"arn:aws:sagemaker:{accounts.REGION}:{accounts.PRODUCER.id}:model-package-group/{accounts.GROUP}"
    return {**params, "ModelPackageGroupName": group}


def of_outsider(params: dict[str, Any]) -> dict[str, Any]:
    """The same call as the outsider makes it best: with an execution role of its own, as no other can be passed."""
    own = {"ExecutionRoleArn": role_of("outsider", "crossaccount-execution")}
    return {**of_group(params), **(own if "ExecutionRoleArn" in params else {})}


class OneByOne(Executor):
    """Calls one after the other: the boundary that is on the role for one attempt must not meet another call of the product."""

    def __init__(self, *_: Any) -> None:
        pass

    def submit(self, call: Callable[..., Any], /, *given: Any, **named: Any) -> Future[Any]:
        made: Future[Any] = Future()
        try:
            made.set_result(call(*given, **named))
        except Exception as error:
            made.set_exception(error)
        return made


@pytest.fixture(scope="module")
def told(scene: Any) -> Watch:
    """The story, told once: shared, checked, deployed, reaped, promoted twice, rolled back, revoked."""
    watch = Watch(scene)
    assume, sides = sessions._assume, dict[Any, str]()

    def before(**event: Any) -> None:
        if (caller := clients._CALLING.get()) in sides:
            watch.before(sides[caller], **event)

    def assumed(source: Any, role: str, *more: Any) -> Any:
        made = assume(source, role, *more)
        sides[made.caller] = "producer" if role == scene.sharing.producer.role else "consumer"
        made.events.register("provide-client-params", before, unique_id="every call")
        return made

    statement = {"Effect": "Allow", "Principal": {"AWS": accounts.STAGING.id}, "Action": "sts:AssumeRole"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam = partial(scene.admin, "staging", "iam")
    iam("CreateRole", RoleName="bystander", AssumeRolePolicyDocument=trust)
    iam("PutRolePolicy", RoleName="bystander", PolicyName="all", PolicyDocument=json.dumps(everything))
    alarm = {
        "Namespace": "AWS/SageMaker",
        "MetricName": "Invocation5XXErrors",
        "Statistic": "Sum",
        "Period": 60,
    }
    alarm |= {"EvaluationPeriods": 1, "Threshold": 1.0, "ComparisonOperator": "GreaterThanThreshold"}
    scene.admin("staging", "cloudwatch", "PutMetricAlarm", AlarmName="errors", **alarm)
    scene.admin(
        "staging", "cloudwatch", "SetAlarmState", AlarmName="errors", StateValue="OK", StateReason="test"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("crossaccount.aws.sessions._assume", assumed)
        patch.setattr("crossaccount.parallel.ThreadPoolExecutor", OneByOne)
        with sessions.reuse():
            tell(scene, watch)
    return watch


def tell(scene: Any, watch: Watch) -> None:
    sharing: Sharing = scene.sharing
    target = open_target(sharing, "staging")
    versions = share(scene, sharing)
    owner = sharing.producer.model_copy(update={"discoverable": True})
    discovered = sharing.model_copy(update={"producer": owner})
    assert discovery.make_discoverable(open_producer(discovered)).is_on
    met = try_doors(discovered, "staging", versions, probe=False)
    assert (DISCOVERY, Verdict.YES) in [(one.door, one.verdict) for one in met.answers]
    checked(scene, watch, versions)
    releases = {version: seen(target, version) for version in (1, 2)}
    by_component(scene, releases)
    deploy(target, releases[1])
    deploy(target, releases[2])
    assert preflight.newest_published(target) == 2
    for version in (1, 2):
        found = moving.promote(target, releases[version], QUICK, moving.Run(flow_run="run-2"))
        assert found.result is Result.PROMOTED, found.text
    streamed = [replace(question, stream=True) for question in questions(target, releases[2])]
    assert all(answer.ok for answer in ask(target, target.consumer.endpoint.name, streamed))
    cycle = LifeCycle(stage=accounts.STAGES[0], status=accounts.STATUSES[0])
    promoted = sharing.model_copy(update={"lifecycle": {1: cycle}})
    assert lifecycle.tell(open_producer(promoted).sagemaker, promoted, 2, 1).result == "written"
    to = state.previous_config(target)
    assert to is not None
    found = moving.go_back(target, to, releases[1], QUICK)
    assert found.result is Result.PROMOTED, found.text
    in_a_queue(scene, releases[1])
    take_back(scene, sharing, found)


def by_component(scene: Any, releases: Mapping[int, Any]) -> None:
    """The same account with an inference component for a while: deployed, reaped, promoted twice, and removed."""
    rolling = {"type": "rolling", "batch_percent": 50, "alarms": ["errors"]}
    endpoint = {
        "name": scene.sharing.consumers["staging"].endpoint.name,
        "instance_type": "ml.m5.large",
        "deployment": rolling,
    }
    endpoint |= {"kind": "inference-components", "inference_component": {"memory_mb": 1024, "copies": 2}}
    target = open_target(scene.variant(endpoint=endpoint), "staging")
    deploy(target, releases[1])
    for version in (1, 2):
        found = moving.promote(target, releases[version], QUICK, moving.Run(flow_run="run-0"))
        assert found.result is Result.PROMOTED, found.text
    state.withdraw_proof(target, requests.config_name(target.consumer, releases[2]))
    assert removal.take_down(target, QUICK).outcome == "removed"


def share(scene: Any, sharing: Sharing) -> Any:
    """With a public statement and objects of anybody in the way: the product then asks what is blocked, and who owns what."""
    public = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"}
    public["Resource"] = f"arn:aws:s3:::{accounts.BUCKET}/public/*"
    text = json.dumps({"Version": "2012-10-17", "Statement": [public]})
    admin, bucket = partial(scene.admin, "producer", "s3"), {"Bucket": accounts.BUCKET}
    blocks = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    block = partial(admin, "PutPublicAccessBlock", **bucket)
    block(PublicAccessBlockConfiguration=dict.fromkeys(blocks, False))
    admin("PutBucketPolicy", **bucket, Policy=text)
    admin("DeleteBucketOwnershipControls", **bucket)
    producer = open_producer(sharing)
    gather.gather(producer)
    # A bucket of artifacts alone is asked where it lies; of that of the Releases, their list has said it.
    BUCKET.obstacles(producer, Resource(BUCKET.kind, accounts.BUCKET, producer.account), Contents())
    admin("DeleteBucketPolicy", **bucket)
    rules = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    admin("PutBucketOwnershipControls", **bucket, OwnershipControls=rules)
    block(PublicAccessBlockConfiguration=dict.fromkeys(blocks, True))
    found = gather.gather(producer)
    plan = plan_share(sharing, found)
    prepared = [publish.prepare(producer, one, found, plan)[0] for one in found.versions]
    apply.apply(producer, plan)
    for one in prepared:
        publish.publish(producer, one)
    return found.versions


def checked(scene: Any, watch: Watch, versions: Any) -> None:
    """All is well; then not with an execution role that lacks an action, and the product asks IAM about it."""
    sharing = scene.sharing
    producer = read_documents(sharing, ["staging"])
    met = try_doors(sharing, "staging", versions, probe=True)
    found = combine(sharing, ["staging"], producer, {"staging": met}, False)
    assert {one.verdict for one in found.answers} == {Verdict.YES}, found.text()
    for action in EXECUTION:
        before = scene.state()
        with bounded(scene, "staging", "crossaccount-execution", action):
            met = try_doors(sharing, "staging", versions, probe=True)
        watch.execution[action] = [str(one.door) for one in met.answers if one.verdict is Verdict.NO]
        watch.execution[action] += [kind for kind, value in scene.state().items() if value != before[kind]]


def seen(target: Target, version: int) -> Any:
    described = preflight.find_version(target, version)
    found = preflight.read_release(target, described)
    preflight.check_artifacts(target, found)
    return found


def deploy(target: Target, version: Any) -> None:
    """A version on its temporary endpoint, which the reaper removes, as if the run had died."""
    endpoint = deployment_name(target.consumer, version.version)
    creation.ensure_model(target, version, False, "run-1")
    creation.ensure_endpoint_config(target, version, endpoint, False, "run-1")
    creation.ensure_endpoint(target, version, False, QUICK, "run-1")
    has_component = target.consumer.endpoint.inference_component is not None
    if has_component:
        components.ensure_component(target, version, False, QUICK, "run-1")
    creation.wait_in_service(target, endpoint, QUICK)
    proof = prove(target, version, endpoint, questions(target, version))
    assert proof.verified
    removed = leftovers.reap(target, leftovers.find(target), QUICK)
    assert [one.outcome for one in removed] == ["removed"] * (4 if has_component else 3)


def in_a_queue(scene: Any, version: Any) -> None:
    """The version on an asynchronous endpoint, for which the template gives the roles more."""
    admin, bucket = partial(scene.admin, "staging"), "answers-of-staging"
    admin("s3", "CreateBucket", Bucket=bucket)
    (stack,) = admin("cloudformation", "DescribeStacks", StackName="crossaccount")["Stacks"]
    given = {one["ParameterKey"]: one["ParameterValue"] for one in stack["Parameters"]}
    given["AnswersLocation"] = f"{bucket}/answers/"
    more = {"UsePreviousTemplate": True, "Capabilities": ["CAPABILITY_NAMED_IAM"]}
    more["Parameters"] = [{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()]
    admin("cloudformation", "UpdateStack", StackName="crossaccount", **more)
    queue = {"kind": "asynchronous", "asynchronous": {"s3_output": f"s3://{bucket}/answers/"}}
    endpoint = {"name": NAME, "instance_type": "ml.m5.large", **queue}
    target = open_target(scene.variant(endpoint=endpoint), "staging")
    name = deployment_name(target.consumer, version.version)
    creation.ensure_endpoint_config(target, version, name, False, "run-4")
    creation.ensure_endpoint(target, version, False, QUICK, "run-4")
    creation.wait_in_service(target, name, QUICK)
    proof = prove(target, version, name, questions(target, version))
    assert proof.verified, proof.faults


def take_back(scene: Any, sharing: Sharing, rolled_back: Any) -> None:
    """The record of it, and the whole grant, though an endpoint still runs on it."""
    producer = open_producer(sharing)
    now = datetime.now(UTC)
    told = {
        "kind": "rollback",
        "run": "run-3",
        "model_package_group": sharing.model_package_group,
        "version": 1,
    }
    told |= {"outcome": "succeeded", "started_by": "test", "started": now, "ended": now}
    records.write(producer, Record(**told, consumers=[rolled_back.to_json()]))
    assert len(records.read(producer, 10)) == 1
    everyone = revoke.choose(sharing, everything=True)
    plan = revoke.make_plan(sharing, everyone, force=True)
    apply.apply(producer, plan)


def product_calls(scene: Any, start: int = 0) -> Iterator[dict[str, Any]]:
    """What the product itself asked in its roles, by the sandbox's log."""
    named = f"/{sessions.SESSION_NAME}"
    return (one for one in scene.calls[start:] if str(one["caller"]).endswith(named))


def test_the_table_has_every_call_of_the_product_and_no_other(scene: Any, told: Watch) -> None:
    assert set(told.rows) == set(CALLS)
    sides = {accounts.PRODUCER.id: "producer", accounts.STAGING.id: "consumer"}
    asked = {(sides[one["account"]], one["service"], one["operation"]) for one in product_calls(scene)}
    assert asked == {row[:3] for row in CALLS}


@pytest.mark.parametrize("row", CALLS, ids=" ".join)
def test_nobody_else_makes_the_call(scene: Any, told: Watch, row: Row) -> None:
    made = [one for one in told.attempts if one.row == row]
    assert {(one.who, one.without) for one in made} == set(expected(row))
    for one in made:
        refused = one.code in ("AccessDenied", "AccessDeniedException")
        assert refused or (row[2].startswith("Head") and one.code == "403"), str(one)
        if " because " in one.message:
            assert any(f" perform: {action} on " in one.message for action in CALLS[row]), str(one)
        if one.without and " because " in one.message:
            kind = "session policy" if one.who == "a session" else "permissions boundary"
            assert f"{one.without} on " in one.message, str(one)
            assert f"no {kind} allows" in one.message, str(one)
    # Others may be asked at the same time.
    control = next(one for one in product_calls(scene, told.controls[row]) if one["operation"] == row[2])
    assert control["code"] in (None, *ABSENT.get(row[2], ()), *ABSENT.get(row[3], ())), control


def expected(row: Row) -> Iterator[tuple[str, str]]:
    for action in CALLS[row]:
        yield "a session", action
        yield "a bounded role", action
    yield "the operator", ""
    if row in ACROSS | BY_ARN:
        yield "the outsider", ""
    if row in ACROSS:
        yield "a bystander", ""
        if row not in ITS_OWN:
            yield ("the deployer" if row[0] == "producer" else "the expired deployer"), ""


def test_an_execution_role_that_lacks_one_action_makes_no_model(told: Watch) -> None:
    assert told.execution == {action: ["execution-role"] for action in EXECUTION}


# Granted by the templates and not asked for in this story, and when it is.
UNUSED: dict[str, set[str]] = {
    "producer": {"kms:GenerateDataKey"},  # where Releases are encrypted under a key
    "consumer": {"servicequotas:ListAWSDefaultServiceQuotas"},  # where AWS shows no applied value of a quota
}


@pytest.mark.parametrize("side", SIDES)
def test_a_role_is_granted_what_its_calls_need_and_nothing_else(told: Watch, side: str) -> None:
    used = {action for row, actions in CALLS.items() if row[0] == side for action in actions}
    documents = identity_documents(role_of(*SIDES[side]))
    granted = set[str]()
    for statement in (one for document in documents for one in document["Statement"]):
        named = statement["Action"]
        granted |= {named} if isinstance(named, str) else set(named)
    assert granted - used == UNUSED[side]
    assert used <= granted


def test_a_grant_to_an_account_is_one_to_everybody_in_it(scene: Any, told: Watch) -> None:
    """The default, ``principals: accounts``: the account's own policies decide, and the bystander's let it do everything."""
    sharing = scene.variant(principals="accounts")
    producer = open_producer(sharing)
    found = gather.gather(producer)
    apply.apply(producer, plan_share(sharing, found))
    bystander = scene.assumed("staging", role_of("staging", "bystander"))
    reads = [row for row in ACROSS if row[0] == "consumer" and row[2] != "CreateModel"]
    for row in reads:
        params = told.rows[row]
        assert scene.hand.attempt(bystander, row[1], row[2], params) == ("done", ""), row
        outsider = scene.administrator("outsider")
        assert "Denied" in scene.hand.attempt(outsider, row[1], row[2], params)[0] or row[2] == "HeadObject"
