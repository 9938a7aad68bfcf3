"""SageMaker's Python SDK, version 2: a shared version as its ModelPackage, and what its Session does beside it."""

from __future__ import annotations

import os
import sys

import sagemaker
from botocore.exceptions import ClientError
from regional import Regional
from reporting import refused, step
from sagemaker.deserializers import JSONDeserializer
from sagemaker.serializers import CSVSerializer

GIVEN = os.environ
NAME = GIVEN["NAME"]
GROUP = GIVEN["PACKAGE"].replace(":model-package/", ":model-package-group/").rpartition("/")[0]
ROWS = [[5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5]]


def deployer(**more: str) -> sagemaker.Session:
    sts = Regional(profile_name="staging").client("sts")
    role = {"RoleArn": GIVEN["DEPLOYER_ROLE"], "RoleSessionName": "stranger"}
    key = sts.assume_role(**role, **more)["Credentials"]
    session = Regional(key["AccessKeyId"], key["SecretAccessKey"], key["SessionToken"])
    return sagemaker.Session(boto_session=session)


def administrator() -> sagemaker.Session:
    """The consumer's administrator, who may make buckets and change any endpoint."""
    session = Regional(GIVEN["TARGET_ADMIN_KEY"], GIVEN["TARGET_ADMIN_SECRET"])
    return sagemaker.Session(boto_session=session)


def package(session: sagemaker.Session, arn: str = GIVEN["PACKAGE"]) -> sagemaker.ModelPackage:
    return sagemaker.ModelPackage(
        role=GIVEN["EXECUTION_ROLE"],
        model_package_arn=arn,
        name=NAME,
        predictor_cls=sagemaker.Predictor,
        sagemaker_session=session,
    )


def reads(session: sagemaker.Session) -> None:
    with step("read the share") as show:
        latest = session.get_most_recently_created_approved_model_package(GROUP)
        assert latest.model_package_arn == GIVEN["PACKAGE"], latest.model_package_arn
        group = session.sagemaker_client.describe_model_package_group(ModelPackageGroupName=GROUP)
        show(group["ModelPackageGroupName"])


def hosting(session: sagemaker.Session) -> sagemaker.Predictor:
    """The SDK makes model, endpoint config and endpoint in one call; each is looked at on its own."""
    model = package(session)
    sizes = {"initial_instance_count": 1, "instance_type": "ml.m5.large"}
    with step("create model") as show:
        model.create(instance_type="ml.m5.large")
        show(session.sagemaker_client.describe_model(ModelName=NAME)["ModelArn"])
        session.sagemaker_client.delete_model(ModelName=NAME)
    predictor: sagemaker.Predictor
    with step("create endpoint") as show:
        predictor = package(session).deploy(
            **sizes,
            endpoint_name=NAME,
            wait=False,
            serializer=CSVSerializer(),
            deserializer=JSONDeserializer(),
        )
        show(predictor.endpoint_name)
    with step("wait") as show:
        show(session.wait_for_endpoint(NAME, poll=1)["EndpointStatus"])
    with step("invoke") as show:
        said = predictor.predict(ROWS)
        assert said == [0, 2], said
        show(said)
    with refused("refused an update", ClientError):
        predictor.update_endpoint(**(sizes | {"initial_instance_count": 2}), model_name=NAME)
    with step("update endpoint") as show:
        changed = sagemaker.Predictor(NAME, sagemaker_session=administrator())
        changed.update_endpoint(**(sizes | {"initial_instance_count": 2}), model_name=NAME, wait=False)
        found = session.wait_for_endpoint(NAME, poll=1)
        (variant,) = found["ProductionVariants"]
        assert variant["CurrentInstanceCount"] == 2, variant
        show(found["EndpointConfigName"])
    return predictor


def beside(session: sagemaker.Session) -> None:
    with refused("refused an approval", ClientError):
        pending = GIVEN["PACKAGE"].rpartition("/")[0] + "/3"
        package(session, pending).deploy(1, "ml.m5.large", endpoint_name=f"{NAME}-pending")
    owner = administrator()
    with step("default bucket") as show:
        name = owner.default_bucket()
        assert name == f"sagemaker-{session.boto_region_name}-{GIVEN['TARGET_ACCOUNT']}", name
        uri = owner.upload_string_as_file_body("5.1,3.5,1.4,0.2", name, "sagemaker-2/row.csv")
        assert owner.read_s3_file(name, "sagemaker-2/row.csv") == "5.1,3.5,1.4,0.2"
        assert administrator().default_bucket() == name
        show(uri)


def end(session: sagemaker.Session, predictor: sagemaker.Predictor) -> None:
    client = session.sagemaker_client
    with step("tear down"):
        configs = client.list_endpoint_configs(NameContains=NAME)["EndpointConfigs"]
        predictor.delete_model()
        predictor.delete_endpoint(delete_endpoint_config=True)
        client.get_waiter("endpoint_deleted").wait(EndpointName=NAME, WaiterConfig={"Delay": 1})
        for config in configs:  # an update leaves the config before it
            if config["EndpointConfigName"] in _left(session, "EndpointConfigs"):
                session.delete_endpoint_config(config["EndpointConfigName"])
        bucket = administrator().boto_session.resource("s3").Bucket(administrator().default_bucket())
        bucket.objects.all().delete()
        bucket.delete()
    with step("nothing left"):
        assert (
            _left(session, "Endpoints") == _left(session, "EndpointConfigs") == _left(session, "Models") == []
        )
        assert administrator().boto_session.client("s3").list_buckets()["Buckets"] == []


def _left(session: sagemaker.Session, kind: str) -> list[str]:
    client = session.sagemaker_client
    listing = {
        "Endpoints": client.list_endpoints,
        "EndpointConfigs": client.list_endpoint_configs,
        "Models": client.list_models,
    }
    name = kind.removesuffix("s") + "Name"
    return [one[name] for one in listing[kind](NameContains=NAME)[kind]]


def main() -> None:
    """With an argument, try a deployment alone, as a step of that name; without one, do everything."""
    if sys.argv[1:]:
        with refused(sys.argv[1], ClientError):
            package(deployer(ExternalId=GIVEN["EXTERNAL_ID"])).deploy(1, "ml.m5.large", endpoint_name=NAME)
        return
    with refused("refused without the external id", ClientError):
        deployer()
    session = deployer(ExternalId=GIVEN["EXTERNAL_ID"])
    with step("assume deployer") as show:
        show(session.get_caller_identity_arn())
    reads(session)
    predictor = hosting(session)
    beside(session)
    end(session, predictor)


main()
