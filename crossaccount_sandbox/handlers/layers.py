"""ECR's image layers: their upload, and the URLs from which whoever may pull an image fetches them.

Not here: the images that are made of them (``ecr``).

Source: CompleteLayerUpload and GetDownloadUrlForLayer in the Amazon ECR API reference; aws-ecr-public issue 11 for a layer that is
not there; "Sharing objects with presigned URLs" in the S3 user guide, for ECR's URLs lead to S3.
"""

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode

from moto.ecr.models import ecr_backends

from crossaccount_sandbox.answers import error_response, new_ids
from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.ecr import repository_arn
from crossaccount_sandbox.images import image_repository
from crossaccount_sandbox.protocols import REST_XML, Spoken
from crossaccount_sandbox.wire import AwsError, Response, json_response
from crossaccount_sandbox.world import Handler, World

_FOLDER = "/prod-starport-layer-bucket/"
_SECONDS = 3600
_SECRET = secrets.token_bytes(32)
_TIME = "%Y%m%dT%H%M%SZ"
Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


def repository_of(call: Call) -> Any:
    """The repository that a call names; ``RepositoryNotFoundException`` without it."""
    registry, name = repository_arn(call).split(":")[4], call.params["repositoryName"]
    if not image_repository(registry, call.region, name):
        text = f"The repository with name '{name}' does not exist in the registry with id '{registry}'"
        raise AwsError("RepositoryNotFoundException", text)
    return ecr_backends[registry][call.region].repositories[name]


def parts_of(manifest: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What an image's manifest says of its layers, and of its configuration, which is kept as a layer."""
    yield from manifest.get("layers") or ()
    if manifest.get("config"):
        yield manifest["config"]


def complete_upload(world: World, call: Call) -> Response:
    """CompleteLayerUpload: the bytes must be those that the digest says.

    Raises:
        AwsError: ``UploadNotFoundException``, ``EmptyUploadException``, ``InvalidLayerException`` for another digest,
            ``LayerAlreadyExistsException``. The texts are the sandbox's own.
    """
    repository, number = repository_of(call), call.params["uploadId"]
    upload = repository.uploads.get(number)
    if upload is None:
        return call.forward(repository.registry_id)
    content = bytes(upload.layer_parts)
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    place = f"the repository with name '{repository.name}' in the registry with id '{repository.registry_id}'"
    if not content:
        raise AwsError("EmptyUploadException", f"The upload '{number}' in {place} has no layer parts")
    if digest not in call.params["layerDigests"]:
        given = ", ".join(call.params["layerDigests"])
        raise AwsError("InvalidLayerException", f"The layer that was uploaded to {place} is not {given}")
    if digest in repository.layers:
        raise AwsError(
            "LayerAlreadyExistsException", f"The layer with digest '{digest}' already exists in {place}"
        )
    response = call.forward(repository.registry_id)
    if response.status < 300:
        world.layers[digest] = content
    return response


def download_url(world: World, call: Call) -> Response:
    """GetDownloadUrlForLayer: a URL of the sandbox's own, good for an hour, for a layer that an image is made of.

    Raises:
        AwsError: ``LayersNotFoundException``; ``LayerInaccessibleException`` for a layer that no image of the repository has,
            or only archived ones.
    """
    repository, digest = repository_of(call), str(call.params["layerDigest"])
    place = f"the repository with name '{repository.name}' in the registry with id '{repository.registry_id}'"
    if digest not in repository.layers:
        raise AwsError(
            "LayersNotFoundException", f"The layer with digest '{digest}' does not exist within {place}"
        )
    archived = {image for *where, image in world.archived_images if where == _place(repository)}
    used = {
        part["digest"]
        for image in repository.images
        if image.get_image_digest() not in archived
        for part in parts_of(json.loads(image.image_manifest))
    }
    if digest not in used:
        raise AwsError(
            "LayerInaccessibleException", f"The layer with digest '{digest}' is not accessible in {place}"
        )
    signed = {"X-Amz-Date": world.clock().astimezone(UTC).strftime(_TIME), "X-Amz-Expires": str(_SECONDS)}
    query = urlencode(
        {"X-Amz-Algorithm": "AWS4-HMAC-SHA256", **signed, "X-Amz-Signature": _sign(digest, **signed)}
    )
    host = call.environ.get("HTTP_HOST", "127.0.0.1")
    return json_response({"downloadUrl": f"http://{host}{_FOLDER}{digest}?{query}", "layerDigest": digest})


def _place(repository: Any) -> list[str]:
    return [repository.registry_id, repository.region_name, repository.name]


def _sign(digest: str, **signed: str) -> str:
    text = "\n".join((digest, *signed.values()))
    return hmac.new(_SECRET, text.encode(), hashlib.sha256).hexdigest()


class Downloads:
    """A WSGI application that gives layers to whoever has a URL for them, and leaves all else to another.

    Args:
        world: the layers and the clock.
        other: what answers everything else.
    """

    def __init__(self, world: World, other: Application) -> None:
        self._world = world
        self._other = other

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer one request."""
        path = environ.get("PATH_INFO", "")
        if not path.startswith(f"{_FOLDER}sha256:") or environ["REQUEST_METHOD"] != "GET":
            return self._other(environ, start_response)
        try:
            content = self._content(path.removeprefix(_FOLDER), environ.get("QUERY_STRING", ""))
            response = Response(200, content, (("Content-Type", "application/octet-stream"),))
        except AwsError as error:
            response = error_response(Spoken("s3", REST_XML), error, environ, new_ids("s3"))
        length = ("Content-Length", str(len(response.body)))
        start_response(
            f"{response.status} {'OK' if response.status < 300 else 'Refused'}", [*response.headers, length]
        )
        return [response.body]

    def _content(self, digest: str, query: str) -> bytes:
        given = {name: values[0] for name, values in parse_qs(query).items()}
        signed = {name: given.get(name, "") for name in ("X-Amz-Date", "X-Amz-Expires")}
        if not hmac.compare_digest(_sign(digest, **signed), given.get("X-Amz-Signature", "")):
            text = (
                "The request signature we calculated does not match the signature you provided. Check your key and "
                "signing method."
            )
            raise AwsError("SignatureDoesNotMatch", text, 403)
        made = datetime.strptime(signed["X-Amz-Date"], _TIME).replace(tzinfo=UTC)
        if self._world.clock() > made + timedelta(seconds=int(signed["X-Amz-Expires"])):
            raise AwsError("AccessDenied", "Request has expired", 403)
        return self._world.layers[digest]


HANDLERS: dict[str, Handler] = {
    "CompleteLayerUpload": complete_upload,
    "GetDownloadUrlForLayer": download_url,
}
