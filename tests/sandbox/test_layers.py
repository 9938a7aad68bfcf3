"""ECR's layers and images: what a push must bring, what a pull gives, and who may fetch a layer for how long."""

from __future__ import annotations

import hashlib
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from crossaccount_sandbox.accounts import push_image
from crossaccount_sandbox.world import utc_now

HERE = {"repositoryName": "pulled"}
TAG = [{"imageTag": "1"}]
ARN = "arn:aws:ecr:us-east-1:111111111111:repository/pulled"
NONE = "sha256:" + "0" * 64


def refused(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as error:
        call()
    return str(error.value.response["Error"]["Code"])


def allow(*actions: str, resource: str = ARN) -> str:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture(scope="module")
def ecr(inner: Any) -> Any:
    client = inner.client("producer", "ecr")
    client.create_repository(**HERE)
    push_image(client, "pulled", "1", {"model.py": b"print('hello')"})
    return client


@pytest.fixture(scope="module")
def manifest(ecr: Any) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(
        ecr.batch_get_image(**HERE, imageIds=TAG)["images"][0]["imageManifest"]
    )
    return loaded


@pytest.fixture
def layer(manifest: dict[str, Any]) -> str:
    return str(manifest["layers"][0]["digest"])


@pytest.fixture
def later(inner: Any) -> Iterator[Callable[[timedelta], None]]:
    def to(step: timedelta) -> None:
        inner.server.world.clock = lambda: datetime.now(UTC) + step

    yield to
    inner.server.world.clock = utc_now


def fetched(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_a_pull_gives_what_its_digests_say(ecr: Any, manifest: dict[str, Any]) -> None:
    image = ecr.batch_get_image(**HERE, imageIds=TAG)["images"][0]
    digest = hashlib.sha256(image["imageManifest"].encode()).hexdigest()
    assert image["imageId"] == {"imageTag": "1", "imageDigest": f"sha256:{digest}"}
    assert image["imageManifestMediaType"] == manifest["mediaType"]
    for part in (manifest["config"], *manifest["layers"]):
        url = ecr.get_download_url_for_layer(**HERE, layerDigest=part["digest"])["downloadUrl"]
        status, content = fetched(url)
        assert (status, len(content)) == (200, part["size"])
        assert f"sha256:{hashlib.sha256(content).hexdigest()}" == part["digest"]


def test_a_url_of_a_layer_ends_after_an_hour_and_is_good_for_this_layer_alone(
    ecr: Any, layer: str, manifest: dict[str, Any], later: Callable[[timedelta], None]
) -> None:
    url = ecr.get_download_url_for_layer(**HERE, layerDigest=layer)["downloadUrl"]
    assert fetched(url.replace(layer, manifest["config"]["digest"]))[0] == 403
    assert fetched(url.replace("X-Amz-Expires=3600", "X-Amz-Expires=36000"))[0] == 403
    status, text = fetched(url.partition("?")[0])
    assert status == 403
    assert b"SignatureDoesNotMatch" in text
    later(timedelta(minutes=59))
    assert fetched(url)[0] == 200
    later(timedelta(minutes=61))
    status, text = fetched(url)
    assert status == 403
    assert b"Request has expired" in text


@pytest.mark.parametrize(
    ("actions", "resource", "code"),
    [
        (("ecr:BatchGetImage", "ecr:BatchCheckLayerAvailability"), ARN, "AccessDeniedException"),
        (("ecr:GetDownloadUrlForLayer",), f"{ARN}x", "AccessDeniedException"),
        (("ecr:GetDownloadUrlForLayer",), ARN, None),
    ],
)
def test_a_layer_s_url_is_given_to_who_may(
    inner: Any, ecr: Any, layer: str, actions: tuple[str, ...], resource: str, code: str | None
) -> None:
    client = inner.session("producer", "ecr", allow(*actions, resource=resource))
    if code is None:
        assert client.get_download_url_for_layer(**HERE, layerDigest=layer)["layerDigest"] == layer
    else:
        assert refused(lambda: client.get_download_url_for_layer(**HERE, layerDigest=layer)) == code


def test_another_account_fetches_a_layer_once_the_repository_lets_it(
    inner: Any, ecr: Any, layer: str
) -> None:
    theirs = inner.client("staging", "ecr")
    asked = {**HERE, "registryId": "111111111111", "layerDigest": layer}
    assert refused(lambda: theirs.get_download_url_for_layer(**asked)) == "AccessDeniedException"
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": "222222222222"},
        "Action": "ecr:GetDownloadUrlForLayer",
    }
    ecr.set_repository_policy(
        **HERE, policyText=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    )
    try:
        assert fetched(theirs.get_download_url_for_layer(**asked)["downloadUrl"])[0] == 200
    finally:
        ecr.delete_repository_policy(**HERE)


def upload(ecr: Any, content: bytes, digest: str) -> Any:
    number = ecr.initiate_layer_upload(**HERE)["uploadId"]
    if content:
        part = {"partFirstByte": 0, "partLastByte": len(content) - 1, "layerPartBlob": content}
        ecr.upload_layer_part(**HERE, uploadId=number, **part)
    return ecr.complete_layer_upload(**HERE, uploadId=number, layerDigests=[digest])


def test_an_upload_is_held_to_its_digest(ecr: Any, layer: str) -> None:
    digest = f"sha256:{hashlib.sha256(b'bytes').hexdigest()}"
    assert refused(lambda: upload(ecr, b"bytes", NONE)) == "InvalidLayerException"
    assert refused(lambda: upload(ecr, b"", NONE)) == "EmptyUploadException"
    assert ecr.batch_check_layer_availability(**HERE, layerDigests=[digest])["layers"] == []
    assert upload(ecr, b"bytes", digest)["layerDigest"] == digest
    assert refused(lambda: upload(ecr, b"bytes", digest)) == "LayerAlreadyExistsException"
    found = ecr.batch_check_layer_availability(**HERE, layerDigests=[digest, NONE])
    assert [(one["layerDigest"], one["layerSize"]) for one in found["layers"]] == [(digest, 5)]
    assert [one["failureCode"] for one in found["failures"]] == ["MissingLayerDigest"]
    # It is a part of no image.
    asked = {**HERE, "layerDigest": digest}
    assert refused(lambda: ecr.get_download_url_for_layer(**asked)) == "LayerInaccessibleException"
    with pytest.raises(ClientError):
        ecr.complete_layer_upload(
            **HERE, uploadId="7c6e9ac0-5b0e-4d53-9d35-5e2ac3b54d1c", layerDigests=[digest]
        )


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (
            {"config": None, "layers": [], "manifests": [{"digest": NONE}]},
            "ReferencedImagesNotFoundException",
        ),
        ({}, "ImageAlreadyExistsException"),
    ],
)
def test_what_is_not_put(ecr: Any, manifest: dict[str, Any], change: dict[str, Any], code: str) -> None:
    text = json.dumps({**manifest, **change})
    assert refused(lambda: ecr.put_image(**HERE, imageManifest=text, imageTag="1")) == code


def test_an_image_may_be_put_without_its_layers_and_nobody_pulls_them(
    ecr: Any, manifest: dict[str, Any]
) -> None:
    text = json.dumps({**manifest, "layers": [{"digest": NONE, "size": 1}]})
    assert ecr.put_image(**HERE, imageManifest=text, imageTag="hollow")["image"]["imageManifest"] == text
    asked = {**HERE, "layerDigest": NONE}
    assert refused(lambda: ecr.get_download_url_for_layer(**asked)) == "LayersNotFoundException"


def test_a_manifest_is_json_and_has_its_own_digest(ecr: Any, manifest: dict[str, Any]) -> None:
    put = {**HERE, "imageTag": "2"}
    assert refused(lambda: ecr.put_image(**put, imageManifest="{")) == "InvalidParameterException"
    text = json.dumps(manifest)
    other = {**put, "imageManifest": text, "imageDigest": NONE}
    assert refused(lambda: ecr.put_image(**other)) == "ImageDigestDoesNotMatchException"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"imageTag": "none"}, "ImageNotFound"),
        ({"imageDigest": NONE}, "ImageNotFound"),
        ({"imageDigest": "none"}, "InvalidImageDigest"),
        ({}, "MissingDigestAndTag"),
    ],
)
def test_what_a_pull_fails_of(ecr: Any, asked: dict[str, str], code: str) -> None:
    answer = ecr.batch_get_image(**HERE, imageIds=[asked, *TAG])
    assert [(one["imageId"], one["failureCode"]) for one in answer["failures"]] == [(asked, code)]
    assert len(answer["images"]) == 1


def test_a_tag_and_a_digest_that_do_not_fit(ecr: Any, manifest: dict[str, Any]) -> None:
    digest = ecr.batch_get_image(**HERE, imageIds=TAG)["images"][0]["imageId"]["imageDigest"]
    answer = ecr.batch_get_image(**HERE, imageIds=[{"imageTag": "none", "imageDigest": digest}])
    assert [one["failureCode"] for one in answer["failures"]] == ["ImageTagDoesNotMatchDigest"]


def test_a_tag_that_moves_leaves_its_image_without_it(ecr: Any) -> None:
    at = {"repositoryName": "moving"}
    ecr.create_repository(**at)
    push_image(ecr, "moving", "1")
    first = ecr.batch_get_image(**at, imageIds=TAG)["images"][0]["imageId"]["imageDigest"]
    push_image(ecr, "moving", "1", {"another": b"image"})
    second = ecr.batch_get_image(**at, imageIds=TAG)["images"][0]["imageId"]["imageDigest"]
    assert first != second
    left = ecr.batch_get_image(**at, imageIds=[{"imageDigest": first}])["images"]
    assert [one["imageId"] for one in left] == [{"imageDigest": first}]
    ecr.put_image_tag_mutability(**at, imageTagMutability="IMMUTABLE")
    code = refused(lambda: ecr.put_image(**at, imageManifest=left[0]["imageManifest"], imageTag="1"))
    assert code == "ImageTagAlreadyExistsException"
    assert ecr.batch_get_image(**at, imageIds=TAG)["images"][0]["imageId"]["imageDigest"] == second


def test_lists_come_in_pages(ecr: Any) -> None:
    for tag in ("a", "b", "c"):
        push_image(ecr, "pulled", f"page-{tag}", {"tag": tag.encode()})
    whole = ecr.describe_images(**HERE)["imageDetails"]
    paged = ecr.get_paginator("describe_images").paginate(**HERE, PaginationConfig={"PageSize": 2})
    pages = [page["imageDetails"] for page in paged]
    assert [one for page in pages for one in page] == whole
    assert {len(page) for page in pages[:-1]} == {2}
    listed = ecr.list_images(**HERE, maxResults=1)
    assert len(listed["imageIds"]) == 1
    assert (
        ecr.list_images(**HERE, maxResults=1, nextToken=listed["nextToken"])["imageIds"] != listed["imageIds"]
    )
    assert refused(lambda: ecr.list_images(**HERE, nextToken="none")) == "InvalidParameterException"
    ids = {"imageIds": TAG, "maxResults": 1}
    assert refused(lambda: ecr.describe_images(**HERE, **ids)) == "InvalidParameterException"


def test_a_token_is_good_for_twelve_hours_of_today(ecr: Any) -> None:
    given = ecr.get_authorization_token()["authorizationData"][0]
    left = given["expiresAt"] - datetime.now(UTC)
    assert timedelta(hours=11, minutes=59) < left <= timedelta(hours=12)
    assert given["proxyEndpoint"] == "https://111111111111.dkr.ecr.us-east-1.amazonaws.com"
    assert (
        given["authorizationToken"]
        != ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    )
