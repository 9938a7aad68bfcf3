"""A container's model data, fetched over S3 as its execution role, as one model.tar.gz.

What is no archive becomes one: a single object under the last part of its key, every object under a prefix under the rest of
its key. Not here: whether CreateModel takes it (``execution``), and who unpacks it (``archives``).

Source: S3ModelDataSource in the SageMaker API reference, its rules for file names included; the text about a download is a quote
from public reports, that about names is the sandbox's own.
"""

import csv
import json
import logging
import secrets
import threading
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from crossaccount_sandbox.callers import Key
from crossaccount_sandbox.principals import find_role
from crossaccount_sandbox.sagemaker.archives import BrokenArchive, check
from crossaccount_sandbox.sagemaker.deployments import Unhealthy
from crossaccount_sandbox.sagemaker.execution import execution_session, split_uri
from crossaccount_sandbox.training import tar_gz
from crossaccount_sandbox.world import World

logger = logging.getLogger("sandbox")
_NAME_BYTES = 255


class Artifacts:
    """Fetches model data.

    Args:
        world: where the sessions' keys are noted, and the clock.
    """

    def __init__(self, world: World):
        self._world = world
        self._session: Any = boto3.session.Session()
        self._lock = threading.Lock()
        self.endpoint_url = ""

    def fetch(self, role_arn: str, container: Mapping[str, Any], number: int) -> bytes:
        """A container's model data as a model.tar.gz; one without members for a container that has none.

        Args:
            role_arn: the execution role, which the fetching is judged by.
            container: its definition.
            number: its place among the model's containers, from 1.

        Raises:
            Unhealthy: when the role cannot read it, it is not there, or it cannot be unpacked.
        """
        source = (container.get("ModelDataSource") or {}).get("S3DataSource") or {}
        uri = source.get("S3Uri") or container.get("ModelDataUrl")
        if not uri:
            return tar_gz({})
        bucket, key = split_uri(uri)
        s3 = self.client(role_arn)
        try:
            if source.get("CompressionType") == "None":
                return _packed(_objects(s3, source, bucket, key), uri)
            archive = bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        except (ClientError, BotoCoreError, _Absent) as error:
            logger.info("model data: %s", error)
            raise not_downloaded(container, number) from None
        return _checked(archive, f"s3://{bucket}/{key}", number)

    def client(self, role_arn: str) -> Any:
        """An S3 client that acts in a session of the execution role, through the sandbox's own door.

        Raises:
            Unhealthy: for a role that is not there.
        """
        role = find_role(role_arn)
        if role is None:
            raise Unhealthy(f'The execution role ARN "{role_arn}" is invalid.')
        session = execution_session(role)
        expires = self._world.clock() + timedelta(hours=1)
        key_id, secret, token = (
            f"ASIA{secrets.token_hex(8).upper()}",
            secrets.token_hex(20),
            secrets.token_hex(64),
        )
        self._world.keys.add_session(key_id, Key(session.until(expires), secret, token))
        with self._lock:  # sessions may not make clients in two threads at once
            return self._session.client(
                "s3",
                region_name="us-east-1",
                endpoint_url=self.endpoint_url,
                aws_access_key_id=key_id,
                aws_secret_access_key=secret,
                aws_session_token=token,
                config=Config(retries={"total_max_attempts": 1}),
            )


def not_downloaded(container: Mapping[str, Any], number: int) -> Unhealthy:
    """Why an endpoint fails whose model data cannot be read, or not in time."""
    source = (container.get("ModelDataSource") or {}).get("S3DataSource") or {}
    bucket, key = split_uri(source.get("S3Uri") or container.get("ModelDataUrl") or "s3:///")
    return Unhealthy(
        f'Failed to download model data for container "container_{number}" from URL: "s3://{bucket}/{key}". Please '
        "ensure that there is an object located at the URL and that the role passed to CreateModel has "
        "permissions to download the object."
    )


class _Absent(Exception):
    """Nothing lies under a prefix."""


def _objects(s3: Any, source: Mapping[str, Any], bucket: str, key: str) -> dict[str, bytes]:
    """Every object of uncompressed model data, by the path of the file that it becomes."""
    if source.get("S3DataType") != "S3Prefix":
        return {key.rpartition("/")[2]: _body(s3, bucket, key)}
    if manifest := source.get("ManifestS3Uri"):
        return _of_manifest(s3, manifest, bucket, key)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key)
    names = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    if not names:
        raise _Absent(f"nothing lies under s3://{bucket}/{key}")
    return {name[len(key) :]: _body(s3, bucket, name) for name in names}


def _of_manifest(s3: Any, uri: str, bucket: str, key: str) -> dict[str, bytes]:
    """The objects that a manifest names, all of them under the prefix of the model data.

    Source: "ManifestS3Uri" in the API reference, a "CSV file that stores the artifact locations", and ``ManifestFile`` in S3DataSource.
    """
    places = [split_uri(each) for each in _named(_body(s3, *split_uri(uri)).decode(), f"s3://{bucket}/{key}")]
    if any(of_bucket != bucket or not name.startswith(key) for of_bucket, name in places):
        raise Unhealthy(f"The manifest {uri} names objects that do not lie under s3://{bucket}/{key}.")
    return {name[len(key) :]: _body(s3, bucket, name) for _, name in places}


def _named(text: str, prefix: str) -> list[str]:
    """The locations in a manifest: of a JSON list below the prefix in its first entry, else of each line of CSV."""
    if text.lstrip().startswith("["):
        first, *names = json.loads(text)
        return [f"{first['prefix']}{name}" for name in names]
    cells = [row[0].strip() for row in csv.reader(text.splitlines()) if row and row[0].strip()]
    return [cell if cell.startswith("s3://") else f"{prefix}{cell}" for cell in cells]


def _body(s3: Any, bucket: str, key: str) -> bytes:
    return bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())


def _packed(files: Mapping[str, bytes], uri: str) -> bytes:
    """The files as an archive, if each has a name of its own that is one."""
    folders = {path.rpartition("/")[0] for path in files}
    for path in files:
        parts = path.split("/")
        if any(not part.strip() or part in (".", "..") or "\0" in part for part in parts) or any(
            len(part.encode()) > _NAME_BYTES for part in parts
        ):
            raise Unhealthy(
                f'Failed to prepare model data from "{uri}": "{path}" cannot be the name of a file.'
            )
        if any(folder == path or folder.startswith(f"{path}/") for folder in folders):
            raise Unhealthy(f'Failed to prepare model data from "{uri}": "{path}" is a file and a folder.')
    return tar_gz(files, level=1)


def _checked(archive: bytes, uri: str, number: int) -> bytes:
    try:
        check(archive)
    except BrokenArchive as error:
        logger.info("model data: %s", error)
        raise Unhealthy(
            f'Failed to extract model data archive for container "container_{number}" from URL "{uri}". Please '
            "ensure that the object located at the URL is a valid tar.gz archive."
        ) from None
    return archive
