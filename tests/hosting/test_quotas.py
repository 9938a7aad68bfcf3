"""Whether the quotas reach: told before anything is created, by how much they do not, and as the sandbox's own refusal has it."""

from __future__ import annotations

import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore.exceptions import ClientError
from prefect.logging import disable_run_logger

from crossaccount.audit.probe import try_doors
from crossaccount.aws import sessions
from crossaccount.aws.access import Target, open_producer, open_target
from crossaccount.config.loading import parse_config
from crossaccount.config.model import Sharing
from crossaccount.errors import Failed, Severity
from crossaccount.hosting import quotas, removal, state
from crossaccount.hosting.gateway import Gateway, Patience
from crossaccount.hosting.quotas import Foresight, Need, Use
from crossaccount.hosting.state import LiveEndpoint
from crossaccount.promotion import moving
from crossaccount.promotion.outcome import ConsumerOutcome, Result
from crossaccount.release.manifest import Release
from crossaccount.sharing import apply, gather, publish
from crossaccount.sharing.plan import plan_share
from crossaccount_sandbox import accounts
from crossaccount_sandbox.server import Server
from tasks import consumer as steps

TEMPLATES = Path(__file__).parents[2] / "deployments" / "iam"
NAME, OTHER = "decision-trees-staging", "somebody-elses"
QUICK = Patience(seconds=20, first=0.03, longest=0.2)
ROLE = "arn:aws:iam::{}:role/crossaccount-{}"
LARGE, G5, G6 = "ml.m5.large", "ml.g5.xlarge", "ml.g6.xlarge"
QUOTA = {each: f"{each} for endpoint usage" for each in (LARGE, G5, G6)}
ROLLING = {"type": "rolling", "batch_percent": 25}


def shift(count: int, *types: str) -> Need:
    return Need("the shift", types or (LARGE,), count)


CAPTURES = {"data_capture": {"s3_uri": "s3://captured-calls/trees/", "percent": 10}}


@pytest.mark.parametrize(
    ("need", "values", "running", "unseen", "short", "doubt"),
    [
        (shift(3), {LARGE: 4}, {LARGE: 3}, (), "short by 2: ml.m5.large for endpoint usage is 4, 3 run, the shift needs 3 more", ""),
        (shift(1), {LARGE: 0}, {}, (), "short by 1: ml.m5.large for endpoint usage is 0, 0 run, the shift needs 1 more", ""),
        (shift(1), {LARGE: 4}, {LARGE: 3}, (), "", ""),
        (shift(2), {LARGE: 4}, {LARGE: 3}, (), "short by 1", ""),
        (shift(3), {LARGE: 4}, {G5: 9}, (), "", ""),
        (shift(1), {}, {}, (), "", "Service Quotas shows no ml.m5.large for endpoint usage"),
        (shift(1), {LARGE: 4}, {LARGE: 1}, ("a",), "", "is 4, 1 run, it needs 1 more, without a, which could not be counted"),
        (shift(1), {LARGE: 9}, {}, tuple("abcde"), "", "without a, b, c and 2 more, which could not be counted"),
        (shift(4), {LARGE: 4}, {LARGE: 1}, ("a",), "short by at least 1: ml.m5.large for endpoint usage is 4, at least 1 run", ""),
        (shift(1, G5, G6), {G5: 1, G6: 0}, {}, (), "", ""),
        (shift(1, G5, G6), {G5: 0, G6: 1}, {}, (), "", "short by 1: ml.g5.xlarge for endpoint usage is 0"),
        (shift(2, G5, G6), {G5: 1, G6: 1}, {}, (), "short by 1: ml.g6.xlarge for endpoint usage is 1", ""),
        (shift(1, G5, G6), {G6: 1}, {}, (), "", "shows no ml.g5.xlarge"),
        (shift(2, G5, G6), {G5: 1}, {}, (), "", "AWS does not say whether it then tries the next pool"),
    ],
)  # fmt: skip
def test_what_the_quotas_do_not_reach_for(
    need: Need,
    values: dict[str, float],
    running: dict[str, int],
    unseen: tuple[str, ...],
    short: str,
    doubt: str,
) -> None:
    seen = quotas.judged([need], {QUOTA[each]: value for each, value in values.items()}, Use(running, unseen))
    assert (bool(seen.short), bool(seen.doubts)) == (bool(short), bool(doubt))
    assert short in " ".join(seen.short)
    assert doubt in " ".join(seen.doubts)


def test_each_shortage_is_told_once() -> None:
    seen = quotas.judged([shift(1), shift(1)], {QUOTA[LARGE]: 0}, Use({}))
    assert len(seen.short) == 1


def live(
    instances: int, config: str = "old", status: str = "InService", pending: str | None = None
) -> LiveEndpoint:
    return LiveEndpoint(
        NAME, "arn", status, config, 1, "package", "then", (), instances, None, pending, (), (), True
    )


@pytest.mark.parametrize(
    ("endpoint", "mode", "now", "before", "expected"),
    [
        ({}, "after", None, None, [("the shift", 1)]),
        ({}, "both", None, None, [("the trial", 1), ("the shift", 1)]),
        ({"instance_count": 4}, "before", None, None, [("the trial", 1), ("the shift", 4)]),
        ({"instance_count": 4}, "after", live(4), 4, [("the shift", 4)]),  # blue/green: a fleet beside the one that runs
        ({"instance_count": 4}, "after", live(7), 4, [("the shift", 7)]),  # what autoscaling has set is kept
        ({"instance_count": 4, "retain_variant_properties": False}, "after", live(7), 4, [("the shift", 4)]),
        ({"instance_count": 4}, "after", live(7), 3, [("the shift", 4)]),  # the config has changed it since
        ({"instance_count": 8, "deployment": ROLLING}, "after", live(8), 8, [("the shift", 2)]),
        ({"instance_count": 3, "deployment": ROLLING}, "after", live(3), 3, [("the shift", 1)]),
        ({"instance_count": 8, "deployment": ROLLING}, "after", None, None, [("the shift", 8)]),
        ({"instance_count": 8, "deployment": ROLLING}, "after", live(8, status="Failed"), 8, [("the shift", 8)]),
        ({"instance_count": 4}, "after", live(4, "new"), 4, []),
        ({"instance_count": 4}, "both", live(4, pending="new"), 4, [("the trial", 1)]),
        ({"instance_type": None, "serverless": {"memory_mb": 1024, "max_concurrency": 1}}, "both", None, None, []),
        ({"instance_count": 2, **CAPTURES}, "shadow", live(2), 2, [("the shadow", 3), ("the shift", 2)]),
        ({"instance_count": 2, **CAPTURES}, "shadow", None, None, [("the trial", 1), ("the shift", 2)]),
    ],
)  # fmt: skip
def test_what_a_promotion_needs(
    endpoint: dict[str, Any], mode: str, now: LiveEndpoint | None, before: int | None, expected: list[Any]
) -> None:
    consumer = sharing_of(endpoint, mode).consumers["staging"]
    config = {"ProductionVariants": [{"InitialInstanceCount": before}]} if before else None
    needs = quotas.promotion_needs(consumer, now, config, "new")
    assert [(need.what, need.count) for need in needs] == expected


def sharing_of(endpoint: dict[str, Any], mode: str = "both") -> Sharing:
    producer = {
        "account": accounts.PRODUCER.id,
        "role": ROLE.format(accounts.PRODUCER.id, "producer"),
        "external_id": "sandbox-producer",
        "profile": "producer",
        "releases": f"s3://{accounts.BUCKET}/{accounts.RELEASES}",
    }
    staging = {
        "account": accounts.STAGING.id,
        "role": ROLE.format(accounts.STAGING.id, "deployer"),
        "external_id": "sandbox-staging",
        "profile": "staging",
        "execution_role": ROLE.format(accounts.STAGING.id, "execution"),
        "endpoint": {"name": NAME, "instance_type": LARGE, **endpoint},
        "smoke_mode": mode,
    }
    whole = {"model_package_group": accounts.GROUP, "region": accounts.REGION, "producer": producer}
    return parse_config(json.dumps({**whole, "consumers": {"staging": staging}}))


@dataclass
class World:
    server: Server
    keys: Any
    releases: dict[int, Release]
    clients: dict[tuple[str, str], Any] = field(default_factory=dict)

    def client(self, service: str, account: str = "staging") -> Any:
        if (account, service) not in self.clients:
            key = self.keys[account]
            session: Any = boto3.session.Session(
                key.access_key_id, key.secret_access_key, region_name=accounts.REGION
            )
            self.clients[account, service] = session.client(service, endpoint_url=self.server.url)
        return self.clients[account, service]

    def control(self, method: str, **given: Any) -> Any:
        body = json.dumps(given).encode() if given else None
        request = urllib.request.Request(f"{self.server.url}/_sandbox/quotas", body, method=method)
        with urllib.request.urlopen(request) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def quota(self, value: float | None, instance_type: str = LARGE) -> None:
        self.control("PUT", account=accounts.STAGING.id, quota=QUOTA[instance_type], value=value)

    def target(self, mode: str = "after", **endpoint: Any) -> Target:
        return open_target(sharing_of(endpoint, mode), "staging")

    def promote(
        self, version: int, mode: str = "after", **endpoint: Any
    ) -> tuple[ConsumerOutcome, list[str]]:
        lines: list[str] = []
        target = self.target(mode, **endpoint)
        return moving.promote(target, self.releases[version], QUICK, moving.Run(lines.append)), lines

    def hosted(self) -> set[str]:
        sagemaker = self.client("sagemaker")
        kinds = (("models", "Model"), ("endpoint_configs", "EndpointConfig"), ("endpoints", "Endpoint"))
        return {
            one[f"{word}Name"]
            for kind, word in kinds
            for one in getattr(sagemaker, f"list_{kind}")()[f"{word}s"]
        }

    @contextmanager
    def other(self, count: int) -> Iterator[None]:
        """An endpoint of somebody else in the account."""
        sagemaker = self.client("sagemaker")
        image = self.releases[1].containers[0].image
        url = self.releases[1].containers[0].artifacts[0].uri
        role = ROLE.format(accounts.STAGING.id, "execution")
        sagemaker.create_model(
            ModelName=OTHER, PrimaryContainer={"Image": image, "ModelDataUrl": url}, ExecutionRoleArn=role
        )
        variant = {
            "VariantName": "a",
            "ModelName": OTHER,
            "InstanceType": LARGE,
            "InitialInstanceCount": count,
        }
        sagemaker.create_endpoint_config(EndpointConfigName=OTHER, ProductionVariants=[variant])
        sagemaker.create_endpoint(EndpointName=OTHER, EndpointConfigName=OTHER)
        sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=OTHER, WaiterConfig={"Delay": 1})
        try:
            yield
        finally:
            Gateway(sagemaker).delete_endpoint(OTHER, QUICK)
            sagemaker.delete_endpoint_config(EndpointConfigName=OTHER)
            sagemaker.delete_model(ModelName=OTHER)

    @contextmanager
    def counting(self) -> Iterator[None]:
        """The template's policy with SeesAllEndpoints."""
        (policy,) = self.stack["CountingPolicy"]["Properties"]["PolicyDocument"]["Statement"]
        actions = policy["Action"]
        kinds = ("endpoint", "endpoint-config")
        arns = [f"arn:aws:sagemaker:{accounts.REGION}:{accounts.STAGING.id}:{kind}/*" for kind in kinds]
        document = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": actions, "Resource": arns}],
        }
        iam, named = self.client("iam"), {"RoleName": "crossaccount-deployer", "PolicyName": "counting"}
        iam.put_role_policy(**named, PolicyDocument=json.dumps(document))
        try:
            yield
        finally:
            iam.delete_role_policy(**named)

    @property
    def stack(self) -> Any:
        """The resources of the consumer's template."""
        loader = type("Loader", (yaml.SafeLoader,), {})
        loader.add_multi_constructor("!", lambda loader, tag, node: tag)  # type: ignore[attr-defined]
        return yaml.load((TEMPLATES / "consumer.yaml").read_text(), loader)["Resources"]  # noqa: S506

    @contextmanager
    def denied(self, *actions: str) -> Iterator[None]:
        iam, named = self.client("iam"), {"RoleName": "crossaccount-deployer", "PolicyName": "denied"}
        statement = {"Effect": "Deny", "Action": list(actions), "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_role_policy(**named, PolicyDocument=document)
        try:
            yield
        finally:
            iam.delete_role_policy(**named)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    two = [accounts.PRODUCER, accounts.STAGING]
    server = Server(two, endpoint_seconds=0.02, speed=5000, control=True)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        residents = accounts.settle(server.url, TEMPLATES, two)
        keys = tmp_path_factory.mktemp("aws") / "credentials"
        keys.write_text(
            "".join(
                f"[{name}]\naws_access_key_id={key.access_key_id}\naws_secret_access_key={key.secret_access_key}\n"
                for name, key in residents.operators.items()
            )
        )
        patch.setenv("AWS_ENDPOINT_URL", server.url)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(keys))
        patch.setattr("crossaccount.hosting.gateway.FIRST_SECONDS", 0.02)
        with sessions.reuse():
            sharing = sharing_of({})
            producer = open_producer(sharing)
            found = gather.gather(producer)
            plan = plan_share(sharing, found)
            prepared = [publish.prepare(producer, one, found, plan)[0] for one in found.versions]
            apply.apply(producer, plan, lambda line: None)
            releases = {one.version: publish.publish(producer, one) for one in prepared}
            yield World(server, residents.administrators, releases)
    server.stop()


@pytest.fixture
def world(whole: World) -> Iterator[World]:
    yield whole
    whole.control("DELETE")
    target = whole.target()
    Gateway(target.sagemaker).delete_endpoint(NAME, QUICK)
    for name in [name for name in whole.hosted() if name.startswith(NAME)]:
        gateway = Gateway(whole.client("sagemaker"))
        for kind in ("endpoint-config", "model"):
            gateway.delete(kind, name)  # type: ignore[arg-type]


def test_a_promotion_that_the_quota_does_not_reach_for_creates_nothing(world: World) -> None:
    world.quota(1)
    outcome, _ = world.promote(1, instance_count=2)
    assert outcome.result is Result.FAILED
    assert "short by 1: ml.m5.large for endpoint usage is 1, 0 run, the shift needs 2 more" in outcome.text
    assert f"Account {accounts.STAGING.id} has not enough quota in us-east-1" in outcome.text
    assert world.hosted() == set()


def test_blue_green_doubles_what_runs_and_a_batch_adds_its_share(world: World) -> None:
    world.quota(7)
    assert world.promote(1, instance_count=4)[0].result is Result.PROMOTED
    before = world.hosted()
    outcome, _ = world.promote(2, instance_count=4)
    assert (outcome.result, outcome.live) == (Result.FAILED, 1)
    assert "short by 1: ml.m5.large for endpoint usage is 7, 4 run, the shift needs 4 more" in outcome.text
    assert world.hosted() == before
    assert world.promote(2, instance_count=4, deployment=ROLLING)[0].result is Result.PROMOTED


def test_what_the_sandbox_itself_refuses_is_what_was_foreseen(world: World) -> None:
    world.quota(7)
    assert world.promote(1, instance_count=4)[0].result is Result.PROMOTED
    target, sagemaker = world.target(instance_count=4), world.client("sagemaker")
    needs = quotas.of_promotion(target, world.releases[2], state.look(target))
    assert quotas.foresee(target, needs).short == (
        "short by 1: ml.m5.large for endpoint usage is 7, 4 run, the shift needs 4 more",
    )
    (old,) = sagemaker.list_endpoint_configs()["EndpointConfigs"]
    variants = sagemaker.describe_endpoint_config(EndpointConfigName=old["EndpointConfigName"])[
        "ProductionVariants"
    ]
    sagemaker.create_endpoint_config(EndpointConfigName=f"{NAME}-more", ProductionVariants=variants)
    with pytest.raises(ClientError) as info:
        sagemaker.update_endpoint(EndpointName=NAME, EndpointConfigName=f"{NAME}-more")
    error = info.value.response["Error"]
    assert error["Code"] == "ResourceLimitExceeded"
    assert error["Message"].startswith(
        "The account-level service limit 'ml.m5.large for endpoint usage' is 7 Instances, with current utilization of 4 "
        "Instances and a request delta of 4 Instances."
    )
    desired = [{"VariantName": "AllTraffic", "DesiredInstanceCount": 8}]
    with pytest.raises(ClientError, match="request delta of 4 Instances"):
        sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=NAME, DesiredWeightsAndCapacities=desired
        )


def test_other_endpoints_of_the_account_count_and_those_that_cannot_be_seen_are_named(world: World) -> None:
    world.quota(3)
    with world.other(3):
        with world.counting():
            outcome, _ = world.promote(1)
        assert "ml.m5.large for endpoint usage is 3, 3 run, the shift needs 1 more" in outcome.text
        assert outcome.result is Result.FAILED
        world.quota(4)
        outcome, lines = world.promote(1)
        assert outcome.result is Result.PROMOTED
        doubt = f"is 4, 0 run, it needs 1 more, without {OTHER}, which could not be counted."
        assert [line for line in lines if doubt in line]


def test_quotas_that_may_not_be_read_are_no_yes_and_no_no(world: World) -> None:
    with world.denied("servicequotas:ListServiceQuotas"):
        outcome, lines = world.promote(1)
    assert outcome.result is Result.PROMOTED
    text = f"Whether the quotas of account {accounts.STAGING.id} in us-east-1 reach cannot be told"
    assert [line for line in lines if line.startswith(text) and "servicequotas:ListServiceQuotas" in line]


def test_aws_s_default_counts_where_no_value_is_applied(world: World) -> None:
    world.quota(None)
    shown = (
        world.client("service-quotas").get_paginator("list_service_quotas").paginate(ServiceCode="sagemaker")
    )
    assert QUOTA[LARGE] not in {quota["QuotaName"] for page in shown for quota in page["Quotas"]}
    target = world.target(instance_count=100)
    assert quotas.foresee(target, [shift(10_000)]) == Foresight()
    assert (
        quotas.foresee(target, [shift(10_001)])
        .short[0]
        .startswith("short by 1: ml.m5.large for endpoint usage is 10000")
    )


def test_a_reservation_s_instances_are_no_matter_of_the_quota_that_is_known(world: World) -> None:
    world.quota(0)
    reservation = f"arn:aws:sagemaker:us-east-1:{accounts.STAGING.id}:training-plan/two-weeks"
    seen = quotas.foresee(world.target(capacity_reservation=reservation), [shift(1)])
    assert (seen.short, "AWS does not say how it counts instances of a reservation" in seen.doubts[0]) == (
        (),
        True,
    )


def deploy(sharing: Sharing, release: Release) -> None:
    with disable_run_logger():
        steps.check_deployment.fn(sharing, "staging", release)


def test_a_deployment_is_held_against_the_quota_too(world: World) -> None:
    world.quota(1)
    deploy(sharing_of({}), world.releases[1])
    with pytest.raises(Failed, match=re.escape("is 1, 0 run, the deployment needs 2 more")):
        deploy(sharing_of({"instance_count": 2}), world.releases[1])
    target = world.target()
    with disable_run_logger():
        made = [
            create.fn(target.config, "staging", world.releases[1], True)
            for create in (steps.create_model, steps.create_endpoint_config, steps.create_endpoint)
        ]
    deploy(sharing_of({}), world.releases[1])  # it is there already
    removal.remove(target, [*map(temporary, made)], QUICK)


def temporary(resource: Any) -> Any:
    return type(resource)(resource.kind, resource.name, resource.arn, resource.reused, False)


@pytest.mark.parametrize(
    ("value", "deny", "severity", "words"),
    [
        (0, "", Severity.WARNING, "A promotion would fail in us-east-1: short by 1: ml.m5.large for endpoint usage is 0, 0 run"),
        (0, "servicequotas:ListServiceQuotas", Severity.NOTE, "reach cannot be told"),
        (9, "", None, ""),
    ],
)  # fmt: skip
def test_check_tells_it(world: World, value: float, deny: str, severity: Severity | None, words: str) -> None:
    world.quota(value)
    sharing = sharing_of({}, "after")
    if deny:
        with world.denied(deny):
            found = try_doors(sharing, "staging", (), probe=False)
    else:
        found = try_doors(sharing, "staging", (), probe=False)
    told = [finding for finding in found.findings if "quota" in str(finding).lower()]
    assert [finding.severity for finding in told] == [severity] * bool(words)
    assert all(words in finding.text for finding in told)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"account": "1", "quota": QUOTA[LARGE], "value": 1}, "no account"),
        ({"account": accounts.STAGING.id, "quota": "apples", "value": 1}, "is no quota here"),
        (
            {"account": accounts.STAGING.id, "quota": QUOTA[LARGE], "value": "many"},
            "a number of instances or null",
        ),
        (
            {"account": accounts.STAGING.id, "quota": QUOTA[LARGE], "value": -1},
            "a number of instances or null",
        ),
        ({"account": accounts.STAGING.id}, "a quota is"),
    ],
)
def test_a_quota_that_is_none_is_not_arranged(world: World, given: dict[str, Any], words: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as info:
        world.control("PUT", **given)
    assert (info.value.code, words in info.value.read().decode()) == (400, True)
    assert world.control("GET") == []


def test_service_quotas_shows_a_quota_by_its_code_and_in_pages(world: World) -> None:
    world.quota(3)
    client = world.client("service-quotas")
    pages = [*client.get_paginator("list_service_quotas").paginate(ServiceCode="sagemaker")]
    found = {quota["QuotaName"]: quota for page in pages for quota in page["Quotas"]}
    assert {len(page["Quotas"]) for page in pages[:-1]} == {100}
    code = found[QUOTA[LARGE]]["QuotaCode"]
    asked = {"ServiceCode": "sagemaker", "QuotaCode": code}
    assert client.get_service_quota(**asked)["Quota"]["Value"] == 3
    assert client.get_aws_default_service_quota(**asked)["Quota"]["Value"] == 10_000
    for refused in ({**asked, "QuotaCode": "L-0"}, {**asked, "ServiceCode": "ec2"}):
        with pytest.raises(ClientError, match="NoSuchResourceException"):
            client.get_service_quota(**refused)
