"""aioboto3: everything asynchronous, many calls at the same time, and its own transfers to and from S3."""

from __future__ import annotations

import asyncio
import io
import json
import os
import sys
from typing import Any

import aioboto3
from botocore.exceptions import ClientError, WaiterError
from reporting import refused, step

GIVEN = os.environ
NAME, BUCKET = GIVEN["NAME"], GIVEN["BUCKET"]
OWN = "stranger-aioboto3"


async def assumed(profile: str, role: str, **more: str) -> aioboto3.Session:
    """A session of the role, assumed by the operator of the profile's account."""
    async with aioboto3.Session(profile_name=profile).client("sts") as sts:
        answer = await sts.assume_role(RoleArn=role, RoleSessionName="stranger", **more)
    key = answer["Credentials"]
    return aioboto3.Session(key["AccessKeyId"], key["SecretAccessKey"], key["SessionToken"])


async def deployer() -> aioboto3.Session:
    return await assumed("staging", GIVEN["DEPLOYER_ROLE"], ExternalId=GIVEN["EXTERNAL_ID"])


async def create_model(sagemaker: Any) -> str:
    answer = await sagemaker.create_model(
        ModelName=NAME,
        ExecutionRoleArn=GIVEN["EXECUTION_ROLE"],
        Containers=[{"ModelPackageName": GIVEN["PACKAGE"]}],
    )
    return str(answer["ModelArn"])


async def reads() -> None:
    """What a share reads, as the producer's role; all at the same time."""
    session = await assumed("producer", GIVEN["PRODUCER_ROLE"], ExternalId=GIVEN["PRODUCER_EXTERNAL_ID"])

    async def read(name: str, service: str, operation: str, key: str, **asked: str) -> None:
        with step(name) as show:
            async with session.client(service) as client:
                show(json.loads((await getattr(client, operation)(**asked))[key])["Version"])

    await asyncio.gather(
        read("bucket policy", "s3", "get_bucket_policy", "Policy", Bucket=BUCKET),
        read(
            *("repository policy", "ecr", "get_repository_policy", "policyText"),
            repositoryName=GIVEN["REPOSITORY"],
        ),
        read(
            *("group policy", "sagemaker", "get_model_package_group_policy", "ResourcePolicy"),
            ModelPackageGroupName=GIVEN["GROUP"],
        ),
        read("key policy", "kms", "get_key_policy", "Policy", KeyId=GIVEN["KEY"], PolicyName="default"),
    )


async def hosting(session: aioboto3.Session, sagemaker: Any) -> None:
    """A model from the shared package, an endpoint with it, and many answers of it at the same time."""
    with step("create model") as show:
        show(await create_model(sagemaker))
    with step("create endpoint") as show:
        variant = {"VariantName": "AllTraffic", "ModelName": NAME}
        variant |= {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        await sagemaker.create_endpoint_config(EndpointConfigName=NAME, ProductionVariants=[variant])
        show((await sagemaker.create_endpoint(EndpointName=NAME, EndpointConfigName=NAME))["EndpointArn"])
    with step("wait") as show:
        await sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=NAME, WaiterConfig={"Delay": 1})
        show((await sagemaker.describe_endpoint(EndpointName=NAME))["EndpointStatus"])
    with step("invoke") as show:
        async with session.client("sagemaker-runtime") as runtime:

            async def ask() -> list[int]:
                asked = {"ContentType": "text/csv", "Accept": "application/json"}
                rows = "5.1,3.5,1.4,0.2\n6.3,3.3,6.0,2.5"
                answer = await runtime.invoke_endpoint(EndpointName=NAME, Body=rows, **asked)
                said: list[int] = json.loads(await answer["Body"].read())
                return said

            answers = await asyncio.gather(*(ask() for _ in range(20)))
            assert answers == [[0, 2]] * 20, answers
            show(answers[0])
    with step("alarms") as show:
        async with session.client("cloudwatch") as cloudwatch:
            found = await cloudwatch.describe_alarms(AlarmNames=["none-of-this-name"])
            assert found["MetricAlarms"] == found["CompositeAlarms"] == []
            show(found["ResponseMetadata"]["HTTPStatusCode"])


async def denials(session: aioboto3.Session) -> None:
    with refused("refused without the external id", ClientError):
        await assumed("staging", GIVEN["DEPLOYER_ROLE"])
    alarm = {"AlarmName": NAME, "ComparisonOperator": "GreaterThanThreshold", "EvaluationPeriods": 1}
    cases: list[tuple[str, str, str, dict[str, Any]]] = [
        ("refused the bucket's policy", "s3", "get_bucket_policy", {"Bucket": BUCKET}),
        ("refused an alarm", "cloudwatch", "put_metric_alarm", alarm),
        (
            *("refused an answer", "sagemaker-runtime", "invoke_endpoint"),
            {"EndpointName": "of-others", "Body": b"1"},
        ),
        ("refused roles", "iam", "list_roles", {}),
        ("refused stacks", "cloudformation", "describe_stacks", {"StackName": "crossaccount"}),
        ("refused a login", "ecr", "get_authorization_token", {}),
        ("refused a key", "kms", "describe_key", {"KeyId": GIVEN["KEY"]}),
        ("refused a head", "s3", "head_object", {"Bucket": BUCKET, "Key": "of/others"}),
    ]
    for name, service, operation, asked in cases:
        with refused(name, ClientError):
            async with session.client(service) as client:
                await getattr(client, operation)(**asked)
    with refused("refused a wait", WaiterError):
        async with session.client("sagemaker") as client:
            await client.get_waiter("endpoint_in_service").wait(
                EndpointName="decision-trees-staging-v2-of-none"
            )


async def end(sagemaker: Any) -> None:
    with step("tear down"):
        await sagemaker.delete_endpoint(EndpointName=NAME)
        await sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=NAME, WaiterConfig={"Delay": 1})
        await sagemaker.delete_endpoint_config(EndpointConfigName=NAME)
        await sagemaker.delete_model(ModelName=NAME)
    with step("nothing left"):
        left = [
            one[key]
            for operation, key in (
                ("list_endpoints", "EndpointName"),
                ("list_endpoint_configs", "EndpointConfigName"),
                ("list_models", "ModelName"),
            )
            async for page in sagemaker.get_paginator(operation).paginate(NameContains=NAME)
            for one in next(value for value in page.values() if isinstance(value, list))
        ]
        assert left == [], left


async def at_once(session: aioboto3.Session) -> None:
    """Refused and granted calls between each other: each gets its own answer."""
    key = f"models/{GIVEN['GROUP']}/2/model.tar.gz"
    async with session.client("s3") as s3, session.client("sagemaker") as sagemaker:

        async def kind(call: Any) -> str:
            try:
                return str((await call)["ResponseMetadata"]["HTTPStatusCode"])
            except ClientError as error:
                return str(error.response["Error"]["Code"])

        group = GIVEN["PACKAGE"].rpartition("/")[0].replace("model-package", "model-package-group")
        calls = [
            pair
            for _ in range(25)
            for pair in (
                (s3.head_object(Bucket=BUCKET, Key=key), "200"),
                (s3.get_bucket_policy(Bucket=BUCKET), "AccessDenied"),
                (sagemaker.list_model_packages(ModelPackageGroupName=group), "200"),
                (sagemaker.describe_endpoint(EndpointName="of-others"), "AccessDeniedException"),
            )
        ]
        found = await asyncio.gather(*(kind(call) for call, _ in calls))
        assert list(found) == [wanted for _, wanted in calls], found


async def transfers() -> None:
    """Up, across and down in parts, by the client's own means."""
    admin = aioboto3.Session(GIVEN["PRODUCER_ADMIN_KEY"], GIVEN["PRODUCER_ADMIN_SECRET"])
    content = os.urandom(20_000_000)
    async with admin.client("s3") as s3:
        await s3.create_bucket(Bucket=OWN)
        await s3.upload_fileobj(io.BytesIO(content), OWN, "large")
        await s3.copy({"Bucket": OWN, "Key": "large"}, OWN, "copy")
        back = io.BytesIO()
        await s3.download_fileobj(OWN, "copy", back)
        assert back.getvalue() == content
        async with admin.resource("s3") as resource:
            bucket = await resource.Bucket(OWN)
            await bucket.objects.all().delete()
            await bucket.delete()


async def everything() -> None:
    await reads()
    with step("assume deployer") as show:
        session = await deployer()
        async with session.client("sts") as sts:
            show((await sts.get_caller_identity())["Arn"])
    async with session.client("sagemaker") as sagemaker:
        await hosting(session, sagemaker)
        await denials(session)
        await end(sagemaker)
    with step("at once"):
        await at_once(session)
    with step("transfers"):
        await transfers()


async def one_refusal(name: str) -> None:
    async with (await deployer()).client("sagemaker") as sagemaker:
        with refused(name, ClientError):
            await create_model(sagemaker)


# With an argument, CreateModel alone is tried, as a step of that name; without one, everything is done.
asyncio.run(one_refusal(sys.argv[1]) if sys.argv[1:] else everything())
