"""Models, of container images or of model packages.

Not here: what SageMaker asks with their execution role (``execution``).
"""

from collections.abc import Iterator
from typing import Any

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.sagemaker.execution import RoleProbe, artifact_locations
from crossaccount_sandbox.sagemaker.packages import find_package
from crossaccount_sandbox.sagemaker.records import arn_of, existing, find, in_place, invalid, listed, shown
from crossaccount_sandbox.sagemaker.tags import tag
from crossaccount_sandbox.wire import Response, json_response
from crossaccount_sandbox.world import Handler, Record, World


def create_model(world: World, call: Call) -> Response:
    """CreateModel: packages must be deployable, and the execution role must reach every artifact and image.

    Raises:
        AwsError: ``ValidationException`` in AWS's own words for each of these.
    """
    params = call.params
    key = (call.place, params["ModelName"])
    arn = arn_of(call, "model", params["ModelName"])
    if key in world.registry.models:
        raise existing("model", arn)
    primary = params.get("PrimaryContainer")
    given = [primary] if primary else list(params.get("Containers") or [])
    if not given:
        raise invalid("A model needs a PrimaryContainer or Containers.")
    containers = [inner for container in given for inner in _containers(world, call, container)]
    for fault in _faults(params, containers):
        raise invalid(fault)
    role = params.get("ExecutionRoleArn")
    if not role:
        raise invalid("A model of a container image or model package needs an ExecutionRoleArn.")
    probe = RoleProbe(world, call, role)
    for container in containers:
        for location in artifact_locations(container):
            probe.check_data(*location)
        probe.check_image(container["Image"])
    probe.check_service([container["Image"] for container in containers], arn)
    world.registry.models[key] = {
        **{name: _with_defaults(value) for name, value in params.items() if name != "Tags"},
        "ModelArn": arn,
        "CreationTime": world.clock(),
        "EnableNetworkIsolation": bool(params.get("EnableNetworkIsolation")),
        "Resolved": containers,
    }
    tag(world, arn, call)
    return json_response({"ModelArn": arn})


def _faults(params: Record, containers: list[Record]) -> Iterator[str]:
    """Why AWS would refuse these containers together; the texts are the sandbox's own.

    Source: ContainerDefinition, InferenceExecutionConfig and S3ModelDataSource in the SageMaker API reference; "Create a
    multi-container endpoint" in the developer guide.
    """
    if params.get("PrimaryContainer") and params.get("Containers"):
        yield "A model has either a PrimaryContainer or Containers, not both."
    if (params.get("InferenceExecutionConfig") or {}).get("Mode") == "Direct":
        if not params.get("Containers"):
            yield "A model whose containers are invoked directly is made with Containers instead of PrimaryContainer."
        if len(containers) < 2:
            yield "A model whose containers are invoked directly needs more than one container."
        if not all(container.get("ContainerHostname") for container in containers):
            yield "Each container that is invoked directly needs a ContainerHostname."
    names = [container.get("ContainerHostname") for container in containers]
    named = [name for name in names if name]
    if len(containers) > 1:
        if named and len(named) < len(names):
            yield "If one container of a model has a ContainerHostname, each of them must have one."
        if len(set(named)) < len(named):
            yield "Each ContainerHostname of a model must be unique."
    for container in containers:
        source = (container.get("ModelDataSource") or {}).get("S3DataSource") or {}
        if container.get("ModelDataUrl") and source:
            yield "A container has either a ModelDataUrl or a ModelDataSource, not both."
        if source.get("S3DataType") == "S3Prefix" and not source["S3Uri"].endswith("/"):
            yield f"The key name prefix {source['S3Uri']} must end with a forward slash."
        yield from _unaccepted(container)


def _unaccepted(container: Record) -> Iterator[str]:
    """Source: the refusal as a public report quotes it (hashicorp/terraform-provider-aws, issue 34795)."""
    sources = [container.get("ModelDataSource"), *(container.get("AdditionalModelDataSources") or ())]
    for source in (source["S3DataSource"] for source in sources if source and source.get("S3DataSource")):
        if (access := source.get("ModelAccessConfig")) and not access["AcceptEula"]:
            yield (
                "The AcceptEula value must be explicitly defined as True in order to accept the end-user license agreement (EULA) that "
                f'this "{source["S3Uri"]}" model requires. You are responsible for reviewing and complying with any applicable license '
                "terms and making sure they are acceptable for your use case before downloading or using a model."
            )


def _with_defaults(value: Any) -> Any:
    """A container of an image as DescribeModel shows it, with what its request left out; anything else as it is.

    Source: a recording of DescribeModel by cloud-custodian.
    """
    if isinstance(value, list):
        return [_with_defaults(item) for item in value]
    if isinstance(value, dict) and "Image" in value:
        return {"Mode": "SingleModel", "Environment": {}, **value}
    return value


def _containers(world: World, call: Call, given: Record) -> list[Record]:
    """The container definitions behind one entry of CreateModel: its own, or its model package's."""
    named = given.get("ModelPackageName")
    if named is None:
        if not given.get("Image"):
            raise invalid("A container needs an Image or a ModelPackageName.")
        return [given]
    package = find_package(world, call, named)
    arn = package["ModelPackageArn"]
    if package["ModelPackageStatus"] != "Completed":
        raise invalid(f"ModelPackage {arn} is not Completed: its status is {package['ModelPackageStatus']}.")
    if package["ModelApprovalStatus"] != "Approved":
        status = package["ModelApprovalStatus"]
        raise invalid(
            f"ModelPackage {arn} cannot be deployed: its ModelApprovalStatus is {status}, not Approved."
        )
    wanted = given.get("InferenceSpecificationName")
    if wanted is None:
        specification = package.get("InferenceSpecification")
    else:
        extra = package.get("AdditionalInferenceSpecifications") or []
        specification = next((known for known in extra if known["Name"] == wanted), None)
    if not specification:
        raise invalid(f"ModelPackage {arn} has no inference specification {wanted or ''}".strip() + ".")
    if not all(container.get("Image") for container in specification["Containers"]):
        raise invalid(f"ModelPackage {arn} has a container without an Image.")
    environment = given.get("Environment") or {}
    return [
        {**container, "Environment": {**(container.get("Environment") or {}), **environment}}
        for container in specification["Containers"]
    ]


def describe_model(world: World, call: Call) -> Response:
    """DescribeModel."""
    return shown(call, _named(world, call))


def list_models(world: World, call: Call) -> Response:
    """ListModels."""
    return listed(call, "Models", in_place(world.registry.models, call), "ModelName")


def delete_model(world: World, call: Call) -> Response:
    """DeleteModel."""
    model = _named(world, call)
    del world.registry.models[(call.place, model["ModelName"])]
    world.registry.tags.pop(model["ModelArn"], None)
    return json_response({})


def _named(world: World, call: Call) -> Record:
    return find(world.registry.models, call, "model", call.params["ModelName"])


HANDLERS: dict[str, Handler] = {
    "CreateModel": create_model,
    "DescribeModel": describe_model,
    "ListModels": list_models,
    "DeleteModel": delete_model,
}
