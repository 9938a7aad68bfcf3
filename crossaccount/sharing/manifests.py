"""Manifests of model data: whether everything that they name is there, under the prefix that is opened.

SageMaker looks at them when an endpoint comes up, and CreateModel does not. Not here: the objects under the prefix (``artifacts``).

Source: ManifestS3Uri of S3ModelDataSource in the SageMaker API reference, "a CSV file that stores the artifact locations", whose
columns it does not describe; ManifestFile of S3DataSource for the form in JSON.
"""

import csv
import json
from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from crossaccount.arns import parse_s3
from crossaccount.aws.access import Producer
from crossaccount.errors import Failed, Finding, Obstacle, Severity, Unread
from crossaccount.registry.artifacts import Artifact
from crossaccount.registry.storage import Place, list_objects
from crossaccount.sharing.obstacles import ask_all

_LIMIT = 4_000_000  # bytes of a manifest that are read
_SAID = 5


def check_manifests(producer: Producer, artifacts: Iterable[Artifact]) -> list[Finding]:
    """The findings about those of the artifacts that are manifests; an error's subject is the manifest's URI."""
    questions = {
        each: (each.uri, partial(_judge, producer, each))
        for each in artifacts
        if each.lists and not each.fault
    }
    judged, findings = ask_all(questions, producer)
    # A manifest need not be read by who shares it: whoever may not, cannot tell.
    doubtful = [
        replace(each, severity=Severity.WARNING) if isinstance(each, Unread) else each for each in findings
    ]
    return [*doubtful, *(finding for finding in judged.values() if finding is not None)]


def _judge(producer: Producer, manifest: Artifact) -> Finding | None:
    """The finding about one manifest.

    Raises:
        Obstacle: when it names what is not there, or does not lie under the prefix.
    """
    answer = producer.s3.get_object(
        Bucket=manifest.bucket, Key=manifest.key, ExpectedBucketOwner=producer.account
    )
    body = answer["Body"].read(_LIMIT + 1)
    if len(body) > _LIMIT:
        return _unread(manifest, f"it has more than {_LIMIT} bytes")
    try:
        named = locations(body.decode(), manifest.lists)
        places = [parse_s3(each) for each in named]
    except (
        UnicodeDecodeError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        csv.Error,
        Failed,
    ) as error:
        return _unread(manifest, f"it is in no form that is known ({type(error).__name__})")
    bucket, prefix = parse_s3(manifest.lists)
    outside = [f"s3://{of}/{key}" for of, key in places if of != bucket or not key.startswith(prefix)]
    if outside:
        raise Obstacle(
            manifest.uri,
            f"It names {_listed(outside)}, which does not lie under {manifest.lists}: nobody is let in to it.",
            "Correct the manifest, and register the version anew.",
        )
    there = {entry["Key"] for entry in list_objects(producer.s3, Place(bucket, prefix), producer.account)}
    missing = [f"s3://{bucket}/{key}" for _, key in places if key not in there]
    if missing:
        raise Obstacle(
            manifest.uri,
            f"It names {_listed(missing)}, which is not there: an endpoint would not come up.",
            "Restore it, or correct the manifest and register the version anew.",
        )
    return None


def locations(text: str, prefix: str) -> list[str]:
    """The S3 locations that a manifest names.

    Args:
        text: of the manifest: a list of JSON, or lines of CSV whose first column is a location or a name below the prefix.
        prefix: the location of the model data.

    Raises:
        ValueError, LookupError, TypeError: for a list of JSON that is none of ManifestFile.
    """
    if text.lstrip().startswith("["):
        first, *names = json.loads(text)
        if not all(isinstance(name, str) for name in [first["prefix"], *names]):
            raise ValueError("a name that is no text")
        return [f"{first['prefix']}{name}" for name in names]
    cells = [row[0].strip() for row in csv.reader(text.splitlines()) if row and row[0].strip()]
    return [cell if cell.startswith("s3://") else f"{prefix}{cell}" for cell in cells]


def _listed(uris: list[str]) -> str:
    rest = len(uris) - _SAID
    return ", ".join(uris[:_SAID]) + (f" and {rest} more" if rest > 0 else "")


def _unread(manifest: Artifact, why: str) -> Finding:
    return Finding(
        Severity.WARNING,
        manifest.uri,
        f"Whether everything that this manifest names is there cannot be told: {why}.",
        "Deploy the version once before others do.",
    )
