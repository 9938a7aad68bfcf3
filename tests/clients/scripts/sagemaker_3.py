"""SageMaker's Python SDK, version 3: a shared version by the resources of sagemaker-core, and by ModelBuilder of sagemaker-serve."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from botocore.exceptions import ClientError
from regional import Regional
from reporting import refused, step
from sagemaker.core.helper.session_helper import Session
from sagemaker.core.resources import (
    Endpoint,
    EndpointConfig,
    Model,
    ModelPackage,
    ModelPackageGroup,
)
from sagemaker.core.shapes import ContainerDefinition, ProductionVariant
from sagemaker.serve import ModelBuilder

GIVEN = os.environ
NAME = GIVEN["NAME"]
BUILT = f"{NAME}-built"
GROUP = GIVEN["PACKAGE"].replace(":model-package/", ":model-package-group/").rpartition("/")[0]
ROWS = "5.1,3.5,1.4,0.2\n6.3,3.3,6.0,2.5"


def deployer(**more: str) -> Regional:
    sts = Regional(profile_name="staging").client("sts")
    role = {"RoleArn": GIVEN["DEPLOYER_ROLE"], "RoleSessionName": "stranger"}
    key = sts.assume_role(**role, **more)["Credentials"]
    return Regional(key["AccessKeyId"], key["SecretAccessKey"], key["SessionToken"])


def administrator() -> Regional:
    """The consumer's administrator, who may make buckets and change any endpoint."""
    return Regional(GIVEN["TARGET_ADMIN_KEY"], GIVEN["TARGET_ADMIN_SECRET"])


def model(session: Any, name: str = NAME) -> Model:
    return Model.create(
        model_name=name,
        execution_role_arn=GIVEN["EXECUTION_ROLE"],
        containers=[ContainerDefinition(model_package_name=GIVEN["PACKAGE"])],
        session=session,
    )


def config(session: Any, name: str, count: int) -> EndpointConfig:
    variant = ProductionVariant(
        variant_name="AllTraffic",
        model_name=NAME,
        instance_type="ml.m5.large",
        initial_instance_count=count,
    )
    return EndpointConfig.create(endpoint_config_name=name, production_variants=[variant], session=session)


def answer(endpoint: Any) -> Any:
    said = endpoint.invoke(body=ROWS, content_type="text/csv", accept="application/json")
    return json.loads(said.body.read())


def reads(session: Any) -> None:
    with step("read the share") as show:
        group = ModelPackageGroup.get(model_package_group_name=GROUP, session=session)
        version = ModelPackage.get(model_package_name=GIVEN["PACKAGE"], session=session)
        assert version.model_approval_status == "Approved", version.model_approval_status
        listed = ModelPackage.get_all(model_package_group_name=GROUP, session=session)
        assert GIVEN["PACKAGE"] in [one.model_package_arn for one in listed]
        show(group.model_package_group_arn)


def hosting(session: Any) -> None:
    """As the deployer, by the resources."""
    with step("create model") as show:
        show(model(session).model_arn)
    with step("create endpoint") as show:
        config(session, NAME, 1)
        endpoint = Endpoint.create(endpoint_name=NAME, endpoint_config_name=NAME, session=session)
        show(endpoint.endpoint_arn)
    with step("wait") as show:
        endpoint.wait_for_status(target_status="InService", poll=1)
        show(endpoint.endpoint_status)
    with step("invoke") as show:
        said = answer(endpoint)
        assert said == [0, 2], said
        show(said)
    config(session, f"{NAME}-two", 2)
    endpoint.endpoint_config_name = f"{NAME}-two"  # update() has no argument for it
    with refused("refused an update", ClientError):
        endpoint.update()
    with step("update endpoint") as show:
        changed = Endpoint.get(endpoint_name=NAME, session=administrator())
        changed.endpoint_config_name = f"{NAME}-two"
        changed.update()
        changed.wait_for_status(target_status="InService", poll=1)
        (variant,) = changed.production_variants
        assert variant.current_instance_count == 2, variant
        show(changed.endpoint_config_name)


def building() -> None:
    """As the administrator, by ModelBuilder: it puts nothing into its default bucket here, and makes it all the same."""
    session = Session(boto_session=administrator())
    given = {"role_arn": GIVEN["EXECUTION_ROLE"], "sagemaker_session": session}
    with step("ModelBuilder") as show:
        source = Model.get(model_name=NAME, session=administrator())
        builder = ModelBuilder(model=[source], instance_type="ml.m5.large", **given)
        built = builder.build(model_name=BUILT)
        assert [one.model_package_name for one in built.containers] == [GIVEN["PACKAGE"]], built.containers
        endpoint = builder.deploy(endpoint_name=BUILT, wait=False)
        endpoint.wait_for_status(target_status="InService", poll=1)
        said = answer(endpoint)
        assert said == [0, 2], said
        show(said)
    with step("default bucket") as show:
        name = f"sagemaker-{session.boto_region_name}-{GIVEN['TARGET_ACCOUNT']}"
        assert session.default_bucket() == name
        show(name)


def end(session: Any) -> None:
    with step("tear down"):
        for owner, name in ((session, NAME), (administrator(), BUILT)):
            endpoint = Endpoint.get(endpoint_name=name, session=owner)
            endpoint.delete()
            endpoint.wait_for_delete(poll=1)
            Model.get(model_name=name, session=owner).delete()
        for name in (NAME, f"{NAME}-two", BUILT):
            EndpointConfig.get(endpoint_config_name=name, session=administrator()).delete()
        administrator().resource("s3").Bucket(f"sagemaker-us-east-1-{GIVEN['TARGET_ACCOUNT']}").delete()
    with step("nothing left"):
        for resource in (Endpoint, EndpointConfig, Model):
            assert list(resource.get_all(name_contains=NAME, session=session)) == []
        assert administrator().client("s3").list_buckets()["Buckets"] == []


def main() -> None:
    """With an argument, try CreateModel alone, as a step of that name; without one, do everything."""
    if sys.argv[1:]:
        with refused(sys.argv[1], ClientError):
            model(deployer(ExternalId=GIVEN["EXTERNAL_ID"]))
        return
    with refused("refused without the external id", ClientError):
        deployer()
    session = deployer(ExternalId=GIVEN["EXTERNAL_ID"])
    with step("assume deployer") as show:
        show(Session(boto_session=session).get_caller_identity_arn())
    reads(session)
    hosting(session)
    building()
    end(session)


main()
