"""The KMS keys of Releases: those that they lie under, and the one that new ones will, which consumers must be able to use.

It only reads, or tries without doing. Not here: the keys of artifacts (``artifacts``), and the upload itself (``release.store``).

Source: GetBucketEncryption in the S3 API reference; DescribeKey and GenerateDataKey (DryRun) in the AWS KMS API reference.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from crossaccount.aws.access import Producer
from crossaccount.errors import Finding, Obstacle, Severity
from crossaccount.release import store
from crossaccount.sharing.obstacles import ask_all

_REFUSALS = ("AccessDenied", "AccessDeniedException", "403")


@dataclass(frozen=True)
class Encryption:
    """The ARNs of the keys that consumers need to read Releases, and the findings about them."""

    keys: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


# The key that new Releases will be encrypted under, None for none, and what was found about it.
Coming = tuple[str | None, list[Finding]]


def read_encryption(
    producer: Producer,
    lying: Mapping[int, str],
    publishing: Collection[int],
    known: Collection[str],
    coming: Coming,
) -> Encryption:
    """The keys of the Releases of the shared versions.

    Args:
        producer: the producer's account.
        lying: the keys that published Releases lie under, by their versions.
        publishing: the versions that have no Release yet.
        known: the ARNs of keys that were looked at already, and can be used.
        coming: as `coming_key` has it; it counts where something is to be published.
    """
    key_to_come, of_coming = coming if publishing else (None, [])
    findings = list(of_coming)
    questions: dict[str, tuple[str, Any]] = {
        key: (
            _where(producer, number),
            partial(_usable, producer, key, _where(producer, number), _again(producer, number)),
        )
        for number, key in sorted(lying.items(), reverse=True)
        if key not in known
    }
    if key_to_come is not None and key_to_come not in known:
        where = f"Releases at {producer.config.producer.releases}"
        questions[key_to_come] = (where, partial(_usable, producer, key_to_come, where, _another(producer)))
    arns, obstacles = ask_all(questions)
    findings += obstacles
    usable = {key: arn for key, arn in arns.items() if not isinstance(arn, Finding)}
    findings += [arn for arn in arns.values() if isinstance(arn, Finding)]
    usable |= {key: key for key in (*lying.values(), key_to_come or "") if key in known}
    if key_to_come is not None and key_to_come in usable:
        findings += _tried(producer, usable[key_to_come])
    return Encryption(tuple(sorted(set(usable.values()))), tuple(findings))


def _where(producer: Producer, number: int) -> str:
    return f"s3://{producer.config.producer.releases_bucket}/{store.release_key(producer.config, number)}"


def _another(producer: Producer) -> str:
    return (
        f"Set producer.releases_kms_key in the config to the ARN of a key of account {producer.account}, or give the bucket another "
        "default encryption."
    )


def _again(producer: Producer, number: int) -> str:
    where = _where(producer, number)
    return f"Copy it onto itself: aws s3 cp {where} {where} --sse aws:kms --sse-kms-key-id ARN, with a key of account {producer.account}."


def coming_key(producer: Producer) -> Coming:
    """The key that a new Release will be encrypted under, as the config or the bucket's default names it."""
    config = producer.config.producer
    if config.releases_kms_key is not None:
        return config.releases_kms_key, []
    subject = f"bucket {config.releases_bucket}"
    try:
        answer = producer.s3.get_bucket_encryption(
            Bucket=config.releases_bucket, ExpectedBucketOwner=producer.account
        )
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in ("ServerSideEncryptionConfigurationNotFoundError", "NoSuchBucket"):
            return None, []
        if code not in _REFUSALS:
            raise
        text = "Its default encryption may not be asked: whether consumers can read Releases that are published there cannot be told."
        way_out = (
            "Allow the producer's role s3:GetEncryptionConfiguration, as deployments/iam/producer.yaml does."
        )
        return None, [Finding(Severity.WARNING, subject, text, producer.way_out(error, way_out))]
    rules: Any = answer["ServerSideEncryptionConfiguration"].get("Rules") or [{}]
    default = rules[0].get("ApplyServerSideEncryptionByDefault") or {}
    if not str(default.get("SSEAlgorithm", "")).startswith("aws:kms"):
        return None, []
    if named := default.get("KMSMasterKeyID"):
        return str(named), []
    text = "Its default encryption is under the key that AWS manages for S3, which no other account can ever use: no consumer could read a Release."
    return None, [Finding(Severity.ERROR, subject, text, _another(producer))]


def _usable(producer: Producer, key: str, where: str, way_out: str) -> str | Finding:
    """The ARN of a key that Releases are encrypted under; a finding when nobody can use it now.

    Raises:
        Obstacle: when no other account can use the key, or whether one can cannot be told.
    """
    if key.startswith("arn:") and (owner := key.split(":")[4]) != producer.account:
        text = f"The key is {key}, of account {owner}, whose policy the producer cannot change: no consumer could read it."
        raise Obstacle(where, text, way_out)
    try:
        described = producer.kms.describe_key(KeyId=key)["KeyMetadata"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "NotFoundException":
            text = f"The key is {key}, which does not exist: nobody can use it."
            raise Obstacle(where, text, way_out) from None
        if error.response["Error"]["Code"] not in _REFUSALS:
            raise
        text = f"The key is {key}, which may not be looked at (kms:DescribeKey is refused), nor opened to consumers."
        allow = producer.way_out(error, "Allow the producer's role to share it.")
        raise Obstacle(where, text, f"{allow} {way_out}") from None
    arn = str(described["Arn"])
    if described.get("KeyManager") == "AWS":
        text = f"The key is the one that AWS manages for S3 ({arn}), which no other account can ever use: no consumer could read it."
        raise Obstacle(where, text, way_out)
    if (state := described.get("KeyState", "Enabled")) != "Enabled":
        text = f"The key is {arn}, which is {state}: nobody can use it."
        return Finding(Severity.ERROR, where, text, f"Enable it (or cancel its deletion). {way_out}")
    return arn


def _tried(producer: Producer, key: str) -> list[Finding]:
    """A finding when the producer may not make a data key, as an upload under the key does."""
    allow = "Allow the producer's role kms:GenerateDataKey on the key, as deployments/iam/producer.yaml does."
    try:
        producer.kms.generate_data_key(KeyId=key, KeySpec="AES_256", DryRun=True)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "DryRunOperationException":
            return []
        if code not in _REFUSALS:
            raise
        way_out = producer.way_out(error, allow)
    else:
        return []
    text = (
        f"New ones will be encrypted under {key}, and the producer is refused kms:GenerateDataKey on it. Where it is not allowed by way of "
        "S3 alone (kms:ViaService, which cannot be seen from here), none can be published."
    )
    where = f"Releases at {producer.config.producer.releases}"
    return [Finding(Severity.WARNING, where, text, way_out)]
