"""ECR: the policies of repositories and of registries, and which layers images have."""

import json
from typing import Any

from moto.ecr.models import ecr_backends

from crossaccount_sandbox.attached import PolicyKey, load, statements
from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.ecr import repository_arn
from crossaccount_sandbox.images import image_repository
from crossaccount_sandbox.resources import registry_of
from crossaccount_sandbox.wire import AwsError, Response, json_response
from crossaccount_sandbox.world import Handler, World


def set_repository_policy(world: World, call: Call) -> Response:
    """SetRepositoryPolicy.

    Raises:
        AwsError: ``RepositoryNotFoundException``; ``InvalidParameterException`` for a document that is none, that has a
            Resource element, or that names no living principal.
    """
    arn = _repository(call)
    text = call.params["policyText"]
    document = load(text, _invalid_repository_policy)
    for statement in statements(document):
        if "Resource" in statement or "NotResource" in statement:
            raise _invalid_repository_policy("a repository policy has no Resource")
    absent = "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Principal not found'"
    world.attached.put(("repository", arn), text, lambda name: AwsError("InvalidParameterException", absent))
    return _repository_policy(world, arn)


def get_repository_policy(world: World, call: Call) -> Response:
    """GetRepositoryPolicy; ``RepositoryPolicyNotFoundException`` without one."""
    return _repository_policy(world, _repository(call))


def delete_repository_policy(world: World, call: Call) -> Response:
    """DeleteRepositoryPolicy; ``RepositoryPolicyNotFoundException`` without one."""
    arn = _repository(call)
    response = _repository_policy(world, arn)
    world.attached.drop(("repository", arn))
    return response


def put_registry_policy(world: World, call: Call) -> Response:
    """PutRegistryPolicy: its statements name their resources.

    Source: "Private registry permissions in Amazon ECR" in the Amazon ECR user guide.

    Raises:
        AwsError: ``InvalidParameterException`` for a document that is none, that has a statement without a Resource element, or
            that names no living principal.
    """
    text = call.params["policyText"]
    for statement in statements(load(text, _invalid_registry_policy)):
        if "Resource" not in statement and "NotResource" not in statement:
            raise _invalid_registry_policy("a statement of a registry policy needs a Resource")
    world.attached.put(
        _own_registry(call), text, lambda name: _invalid_registry_policy("Principal not found")
    )
    return _registry_policy(world, call)


def get_registry_policy(world: World, call: Call) -> Response:
    """GetRegistryPolicy; ``RegistryPolicyNotFoundException`` without one."""
    return _registry_policy(world, call)


def delete_registry_policy(world: World, call: Call) -> Response:
    """DeleteRegistryPolicy; ``RegistryPolicyNotFoundException`` without one."""
    response = _registry_policy(world, call)
    world.attached.drop(_own_registry(call))
    return response


def _own_registry(call: Call) -> PolicyKey:
    return registry_of(f"arn:aws:ecr:{call.region}:{call.account}:repository/")


def _registry_policy(world: World, call: Call) -> Response:
    document = world.attached.get(_own_registry(call))
    if document is None:
        text = f"Registry policy does not exist in the registry with id '{call.account}'"
        raise AwsError("RegistryPolicyNotFoundException", text)
    return json_response({"registryId": call.account, "policyText": json.dumps(document, indent=2)})


def _invalid_registry_policy(why: str) -> AwsError:
    text = f"Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid registry policy provided' ({why})"
    return AwsError("InvalidParameterException", text)


def delete_repository(world: World, call: Call) -> Response:
    """DeleteRepository: its policy goes with it."""
    arn = repository_arn(call)
    response = call.forward(arn.split(":")[4])
    if response.status < 300:
        world.attached.drop(("repository", arn))
    return response


def check_layers(world: World, call: Call) -> Response:
    """BatchCheckLayerAvailability, answered from the manifests of the repository's images."""
    arn = _repository(call)
    _, _, _, region, account, _ = arn.split(":")
    known = {
        layer["digest"]: layer
        for image in ecr_backends[account][region].repositories[call.params["repositoryName"]].images
        for layer in _layers(image.image_manifest)
    }
    layers, failures = [], []
    for digest in call.params["layerDigests"]:
        if digest in known:
            available = {"layerAvailability": "AVAILABLE", "layerSize": known[digest].get("size", 0)}
            layers.append({"layerDigest": digest, **available})
        else:
            missing = {"failureCode": "MissingLayerDigest", "failureReason": "The layer does not exist."}
            failures.append({"layerDigest": digest, **missing})
    return json_response({"layers": layers, "failures": failures})


def _layers(manifest: Any) -> list[dict[str, Any]]:
    document = json.loads(manifest) if isinstance(manifest, str) else manifest
    return [*document.get("layers", []), *([document["config"]] if "config" in document else [])]


def _repository(call: Call) -> str:
    arn = repository_arn(call)
    registry, name = arn.split(":")[4], call.params["repositoryName"]
    if not image_repository(registry, call.region, name):
        text = f"The repository with name '{name}' does not exist in the registry with id '{registry}'"
        raise AwsError("RepositoryNotFoundException", text)
    return arn


def _repository_policy(world: World, arn: str) -> Response:
    document = world.attached.get(("repository", arn))
    registry, name = arn.split(":")[4], arn.split(":repository/")[1]
    if document is None:
        text = f"Repository policy does not exist for the repository with name '{name}' in the registry with id '{registry}'"
        raise AwsError("RepositoryPolicyNotFoundException", text)
    # ECR hands the document back indented, unlike what was sent.
    text = json.dumps(document, indent=2)
    return json_response({"registryId": registry, "repositoryName": name, "policyText": text})


def _invalid_repository_policy(why: str) -> AwsError:
    text = f"Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy provided' ({why})"
    return AwsError("InvalidParameterException", text)


HANDLERS: dict[str, Handler] = {
    "SetRepositoryPolicy": set_repository_policy,
    "GetRepositoryPolicy": get_repository_policy,
    "DeleteRepositoryPolicy": delete_repository_policy,
    "DeleteRepository": delete_repository,
    "PutRegistryPolicy": put_registry_policy,
    "GetRegistryPolicy": get_registry_policy,
    "DeleteRegistryPolicy": delete_registry_policy,
    "BatchCheckLayerAvailability": check_layers,
}
