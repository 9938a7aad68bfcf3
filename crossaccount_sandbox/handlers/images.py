"""ECR's images: put under their tags, given with their manifests, described, and moved to and from the archive.

Not here: the layers that they are made of (``layers``), and who may pull them (``checks``).

Source: PutImage, BatchGetImage and UpdateImageStorageClass in the Amazon ECR API reference; "Archiving an image" in the ECR user
guide.
"""

import base64
import hashlib
import json
import re
from typing import Any

from moto.core.exceptions import ServiceException
from moto.ecr.models import ecr_backends

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.ecr import repository_arn
from crossaccount_sandbox.handlers.layers import repository_of
from crossaccount_sandbox.wire import AwsError, Response, json_response
from crossaccount_sandbox.world import Handler, World


def update_storage_class(world: World, call: Call) -> Response:
    """UpdateImageStorageClass: an archived image cannot be pulled; a restored one can at once, which takes ECR up to 20 minutes.

    Raises:
        AwsError: ``RepositoryNotFoundException``, ``ImageNotFoundException``, ``ImageStorageClassUpdateNotSupportedException`` for the
            class that it is in already.
    """
    repository, arn = repository_of(call), repository_arn(call)
    image = _one(repository, call.params["imageId"])
    place, archives = _place(arn, image), call.params["targetStorageClass"] == "ARCHIVE"
    if archives == (place in world.archived_images):
        text = f"The image is already in the storage class {call.params['targetStorageClass']}"
        raise AwsError("ImageStorageClassUpdateNotSupportedException", text)
    (world.archived_images.add if archives else world.archived_images.discard)(place)
    status = "ARCHIVED" if archives else "ACTIVE"
    answer = {"registryId": place[0], "repositoryName": repository.name, "imageId": call.params["imageId"]}
    return json_response({**answer, "imageStatus": status})


def get_images(world: World, call: Call) -> Response:
    """BatchGetImage: what cannot be given is a failure, an archived image too (``ImageInaccessible``)."""
    repository, arn = repository_of(call), repository_arn(call)
    images, failures = [], []
    for asked in call.params["imageIds"]:
        code, reason, image = _find(repository, asked)
        if image is not None and _place(arn, image) in world.archived_images:
            code, reason, image = "ImageInaccessible", "The image is archived. Restore it to pull it.", None
        if image is None:
            failures.append({"imageId": asked, "failureCode": code, "failureReason": reason})
        else:
            images.append(_shown(repository, image, asked.get("imageTag")))
    return json_response({"images": images, "failures": failures})


def _shown(repository: Any, image: Any, tag: str | None) -> dict[str, Any]:
    """An image with its manifest, under one of its tags."""
    tagged = {"imageTag": tag or image.image_tags[-1]} if tag or image.image_tags else {}
    return {
        "registryId": repository.registry_id,
        "repositoryName": repository.name,
        "imageId": {"imageDigest": image.get_image_digest(), **tagged},
        "imageManifest": image.image_manifest,
        "imageManifestMediaType": image.image_manifest_media_type,
    }


def put_image(world: World, call: Call) -> Response:
    """PutImage: an image's digest is that of its manifest's bytes; an archived image is restored at once.

    Kinder than AWS: the layers that the manifest names need not be there, so that a test can put an image of which nothing is
    pulled. Whoever asks for one of them is told that it is not there.

    Raises:
        AwsError: ``InvalidParameterException`` for a manifest that is none, ``ImageDigestDoesNotMatchException``,
            ``ReferencedImagesNotFoundException``, ``ImageAlreadyExistsException``, ``ImageTagAlreadyExistsException``.
    """
    repository, arn = repository_of(call), repository_arn(call)
    text, tag = call.params["imageManifest"], call.params.get("imageTag")
    digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    manifest = _manifest(text)
    if call.params.get("imageDigest") not in (None, digest):
        told = f"The digest of the image is '{digest}', not '{call.params['imageDigest']}'"
        raise AwsError("ImageDigestDoesNotMatchException", told)
    _check_images(repository, manifest)
    kind = call.params.get("imageManifestMediaType") or manifest.get("mediaType")
    held = next((image for image in repository.images if image.get_image_digest() == digest), None)
    if held is not None and (tag is None or tag in held.image_tags):
        tagged = f"and tag '{tag}' " if tag is not None else ""
        told = (
            f"Image with digest '{digest}' {tagged}already exists in the repository with name '{repository.name}' in "
            f"registry with id '{repository.registry_id}'"
        )
        raise AwsError("ImageAlreadyExistsException", told)
    _free_tag(repository, tag, digest)
    backend = ecr_backends[repository.registry_id][call.region]
    try:
        image = backend.put_image(repository.name, text, tag, kind, digest)
    except ServiceException as error:
        raise AwsError(str(error.code), str(error.message)) from None
    world.archived_images.discard(_place(arn, image))
    return json_response({"image": _shown(repository, image, tag)})


def _free_tag(repository: Any, tag: str | None, digest: str) -> None:
    """Take a tag from the image that has it, which stays without it; refuse that in a repository of immutable tags."""
    holders = [
        image
        for image in repository.images
        if tag is not None and tag in image.image_tags and image.get_image_digest() != digest
    ]
    if holders and repository.image_tag_mutability == "IMMUTABLE":
        told = (
            f"The image tag '{tag}' already exists in the '{repository.name}' repository and cannot be overwritten because "
            "the tag is immutable."
        )
        raise AwsError("ImageTagAlreadyExistsException", told)
    if not repository.image_tag_mutability_exclusion_filters:
        for image in holders:
            image.remove_tag(tag)


def _manifest(text: str) -> dict[str, Any]:
    try:
        manifest = json.loads(text)
    except ValueError:
        manifest = None
    if not isinstance(manifest, dict):
        told = "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax'"
        raise AwsError("InvalidParameterException", told)
    return manifest


def _check_images(repository: Any, manifest: dict[str, Any]) -> None:
    """Refuse a manifest that names images which its repository does not have."""
    place = f"the repository with name '{repository.name}' in the registry with id '{repository.registry_id}'"
    there = {image.get_image_digest() for image in repository.images}
    images = [each["digest"] for each in manifest.get("manifests") or () if each["digest"] not in there]
    if images:
        told = f"The image with digest '{images[0]}' does not exist within {place}"
        raise AwsError("ReferencedImagesNotFoundException", told)


def describe_images(world: World, call: Call) -> Response:
    """DescribeImages: with each image's status, and the sum of its layers' sizes.

    Raises:
        AwsError: ``RepositoryNotFoundException``, ``ImageNotFoundException``, ``InvalidParameterException`` for a page of
            images that are named.
    """
    repository, arn = repository_of(call), repository_arn(call)
    asked, status = call.params.get("imageIds"), (call.params.get("filter") or {}).get("tagStatus", "ANY")
    if asked and (call.params.get("maxResults") or call.params.get("nextToken")):
        told = (
            "Invalid parameter at 'maxResults' failed to satisfy constraint: 'must not be used with imageIds'"
        )
        raise AwsError("InvalidParameterException", told)
    if asked:
        found = [_one(repository, each) for each in asked]
        images = [image for place, image in enumerate(found) if image not in found[:place]]
    else:
        images = [image for image in repository.images if status in ("ANY", _tag_status(image))]
    return page_of(call, "imageDetails", [_detail(world, arn, repository, image) for image in images])


def _tag_status(image: Any) -> str:
    return "TAGGED" if image.image_tags else "UNTAGGED"


def _detail(world: World, arn: str, repository: Any, image: Any) -> dict[str, Any]:
    """An image as DescribeImages shows it. Source: a recording of ECR by cloud-custodian."""
    manifest = json.loads(image.image_manifest)
    kind = manifest.get("artifactType") or (manifest.get("config") or {}).get("mediaType")
    more = {
        "imageTags": image.image_tags,
        "imageManifestMediaType": image.image_manifest_media_type,
        "artifactMediaType": kind,
    }
    return {
        "registryId": repository.registry_id,
        "repositoryName": repository.name,
        "imageDigest": image.get_image_digest(),
        "imageSizeInBytes": sum(layer.get("size", 0) for layer in manifest.get("layers") or ()),
        "imagePushedAt": image.image_pushed_at,
        "imageStatus": "ARCHIVED" if _place(arn, image) in world.archived_images else "ACTIVE",
        **{name: value for name, value in more.items() if value},
    }


def list_images(world: World, call: Call) -> Response:
    """ListImages: an entry for each tag, and for an image without one."""
    repository, status = repository_of(call), (call.params.get("filter") or {}).get("tagStatus", "ANY")
    entries = [
        {"imageDigest": image.get_image_digest(), **({"imageTag": tag} if tag else {})}
        for image in repository.images
        if status in ("ANY", _tag_status(image))
        for tag in image.image_tags or (None,)
    ]
    return page_of(call, "imageIds", entries)


def page_of(call: Call, name: str, entries: list[dict[str, Any]]) -> Response:
    """A page of a list: ``maxResults`` entries, a hundred unless told otherwise."""
    token = call.params.get("nextToken")
    try:
        start = int(base64.b64decode(token, validate=True)) if token else 0
    except ValueError:
        told = "Invalid parameter at 'nextToken' failed to satisfy constraint: 'Invalid token'"
        raise AwsError("InvalidParameterException", told) from None
    end = start + int(call.params.get("maxResults") or 100)
    more = {"nextToken": base64.b64encode(str(end).encode()).decode()} if end < len(entries) else {}
    return json_response({name: entries[start:end], **more})


def _find(repository: Any, asked: dict[str, Any]) -> tuple[str, str, Any]:
    """The image that an identifier names; for none, why: BatchGetImage's code and reason.

    Source: the failures of BatchDeleteImage, as AWS's command line shows them in public reports.
    """
    digest, tag = asked.get("imageDigest"), asked.get("imageTag")
    if digest is None and tag is None:
        return "MissingDigestAndTag", "Invalid request parameters: both tag and digest cannot be null", None
    if digest is not None and not _DIGEST.fullmatch(digest):
        told = f"Invalid request parameters: image digest should satisfy the regex '{_DIGEST.pattern}'"
        return "InvalidImageDigest", told, None
    fits = [image for image in repository.images if digest in (None, image.get_image_digest())]
    image = next((image for image in fits if tag is None or tag in image.image_tags), None)
    if image is None and digest is not None and fits:
        told = f"Tag '{tag}' does not match digest '{digest}'"
        return "ImageTagDoesNotMatchDigest", told, None
    return "ImageNotFound", "Requested image not found", image


_DIGEST = re.compile(r"[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+")


def _one(repository: Any, asked: dict[str, Any]) -> Any:
    """The image that an identifier names; ``ImageNotFoundException`` without it."""
    image = _find(repository, asked)[2]
    if image is None:
        digest, tag = asked.get("imageDigest", "null"), asked.get("imageTag", "null")
        told = (
            f"The image with imageId {{imageDigest:'{digest}', imageTag:'{tag}'}} does not exist within the repository "
            f"with name '{repository.name}' in the registry with id '{repository.registry_id}'"
        )
        raise AwsError("ImageNotFoundException", told)
    return image


def _place_of(arn: str) -> tuple[str, str, str]:
    """Registry, region and name of a repository."""
    _, _, _, region, registry, resource = arn.split(":", 5)
    return registry, region, resource.removeprefix("repository/")


def _place(arn: str, image: Any) -> tuple[str, str, str, str]:
    return (*_place_of(arn), str(image.get_image_digest()))


HANDLERS: dict[str, Handler] = {
    "BatchGetImage": get_images,
    "DescribeImages": describe_images,
    "ListImages": list_images,
    "PutImage": put_image,
    "UpdateImageStorageClass": update_storage_class,
}
