"""ECR: the policies of repositories and of registries, which layers images have, and images in the archive.

Source: UpdateImageStorageClass and BatchGetImage in the ECR API reference; "Archiving an image" in the ECR user guide.
"""

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


def update_storage_class(world: World, call: Call) -> Response:
    """UpdateImageStorageClass: an archived image cannot be pulled; a restored one can at once, which takes ECR up to 20 minutes.

    Raises:
        AwsError: ``RepositoryNotFoundException``, ``ImageNotFoundException``, ``ImageStorageClassUpdateNotSupportedException`` for the
            class that it is in already.
    """
    arn = _repository(call)
    image = _find_image(arn, call.params["imageId"])
    name = call.params["repositoryName"]
    if image is None:
        text = f"The image with imageId {call.params['imageId']} does not exist within the repository with name '{name}'"
        raise AwsError("ImageNotFoundException", text)
    place, archives = _place(arn, image), call.params["targetStorageClass"] == "ARCHIVE"
    if archives == (place in world.archived_images):
        text = f"The image is already in the storage class {call.params['targetStorageClass']}"
        raise AwsError("ImageStorageClassUpdateNotSupportedException", text)
    (world.archived_images.add if archives else world.archived_images.discard)(place)
    status = "ARCHIVED" if archives else "ACTIVE"
    answer = {"registryId": place[0], "repositoryName": name, "imageId": image.image_id}
    return json_response({**answer, "imageStatus": status})


def get_images(world: World, call: Call) -> Response:
    """BatchGetImage: an archived image is a failure, ``ImageInaccessible``."""
    arn = _repository(call)
    found = {json.dumps(each): _find_image(arn, each) for each in call.params.get("imageIds") or []}
    archived = [
        json.loads(each)
        for each, image in found.items()
        if image is not None and _place(arn, image) in world.archived_images
    ]
    response = call.forward(arn.split(":")[4])
    if not archived or response.status >= 300:
        return response
    answer = response.json()
    gone = {_place(arn, image)[3] for image in found.values() if image is not None} & {
        place[3] for place in world.archived_images if place[:3] == _place_of(arn)
    }
    answer["images"] = [one for one in answer["images"] if one["imageId"]["imageDigest"] not in gone]
    reason = "The image is archived. Restore it to pull it."
    failures = [
        {"imageId": each, "failureCode": "ImageInaccessible", "failureReason": reason} for each in archived
    ]
    return json_response({**answer, "failures": [*answer.get("failures", []), *failures]})


def put_image(world: World, call: Call) -> Response:
    """PutImage: an archived image that is pushed again is restored at once."""
    response = call.forward(repository_arn(call).split(":")[4])
    if response.status < 300:
        arn = repository_arn(call)
        digest = response.json()["image"]["imageId"]["imageDigest"]
        world.archived_images.discard((*_place_of(arn), digest))
    return response


def describe_images(world: World, call: Call) -> Response:
    """DescribeImages: with each image's status."""
    arn = _repository(call)
    response = call.forward(arn.split(":")[4])
    if response.status >= 300:
        return response
    answer = response.json()
    for detail in answer["imageDetails"]:
        archived = (*_place_of(arn), detail["imageDigest"]) in world.archived_images
        detail["imageStatus"] = "ARCHIVED" if archived else "ACTIVE"
    return json_response(answer)


def _find_image(arn: str, image_id: Any) -> Any:
    """The image of a repository that an identifier names; None when there is none."""
    registry, region, name = _place_of(arn)
    for image in ecr_backends[registry][region].repositories[name].images:
        digest = image_id.get("imageDigest")
        tagged = digest is None or "imageTag" in image_id
        if digest in (None, image.get_image_digest()) and (
            not tagged or image_id.get("imageTag") in image.image_tags
        ):
            return image
    return None


def _place_of(arn: str) -> tuple[str, str, str]:
    """Registry, region and name of a repository."""
    _, _, _, region, registry, resource = arn.split(":", 5)
    return registry, region, resource.removeprefix("repository/")


def _place(arn: str, image: Any) -> tuple[str, str, str, str]:
    return (*_place_of(arn), str(image.get_image_digest()))


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
    "BatchGetImage": get_images,
    "DescribeImages": describe_images,
    "PutImage": put_image,
    "UpdateImageStorageClass": update_storage_class,
}
