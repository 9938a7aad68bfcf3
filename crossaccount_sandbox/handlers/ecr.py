"""ECR: the policies of repositories, and which layers their images have."""

import json
from typing import Any

from moto.ecr.models import ecr_backends

from crossaccount_sandbox.attached import load, statements
from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.ecr import repository_arn
from crossaccount_sandbox.images import image_repository
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
    "BatchCheckLayerAvailability": check_layers,
}
