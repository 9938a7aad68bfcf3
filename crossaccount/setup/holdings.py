"""What the producer owns of the versions that a config shares, read from the registry and from S3, for the parameters of the stacks.

It is read in the producer's role, or where there is none yet with its profile as it is. Not here: the parameters (``stack_parameters``).
"""

from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from crossaccount import parallel
from crossaccount.arns import parse_image, parse_s3
from crossaccount.aws import access, sessions
from crossaccount.aws.access import Producer
from crossaccount.config.model import Sharing
from crossaccount.errors import CrossAccountError, Failed, Refused
from crossaccount.registry.chosen import read_versions
from crossaccount.registry.versions import contents_of
from crossaccount.setup.stack_parameters import Holdings, common_folder

_WAY_OUT = "Give them: --parameter ArtifactBucket=BUCKET --parameter RepositoryName=NAME, and KeyArn and ArtifactPrefix where there are any."


def read(sharing: Sharing) -> Holdings:
    """The holdings of a config's producer, as its registry and its objects show them now.

    Raises:
        Refused, InputError, Failed: when neither the role nor the profile may read them, or the template cannot name them.
    """
    try:
        return _read(access.open_producer(sharing))
    except Refused as refused:
        try:  # before its stack there is no role
            session = sessions.profile_session("producer.profile", sharing.producer.profile, sharing.region)
            return _read(Producer(sharing, session))
        except CrossAccountError:
            refused.add_note(f"So what the producer owns could not be read. {_WAY_OUT}")
            raise refused from None


def _read(producer: Producer) -> Holdings:
    config = producer.config
    with producer.explained():
        shareable = read_versions(producer.sagemaker, config)
        contents = contents_of(shareable.versions)
        images = [parse_image(image) for image in contents.images]
        places = [(*parse_s3(each.uri), each.is_prefix) for each in contents.artifacts]
        own = sorted({each.repository for each in images if each.registry == config.producer.account})
        buckets = sorted({bucket for bucket, _, _ in places})
        for names, what in ((buckets, "buckets"), (own, "repositories")):
            if len(names) > 1:
                raise Failed(
                    f"The versions lie in several {what} ({', '.join(names)}), and the template names one. Make a stack of each, with "
                    "--parameter and its own NamePrefix; or register the versions in one."
                )
        if not buckets or not own:
            raise Failed(
                f"No version that {config.model_package_group} shares says where it lies. {_WAY_OUT}"
            )
        heads = [partial(_key, producer, bucket, key) for bucket, key, is_prefix in places if not is_prefix]
        keys = sorted({key for key in parallel.run_all(heads) if key})
        if len(keys) > 1:
            raise Failed(
                f"The artifacts are encrypted under several keys ({', '.join(keys)}), and the template names one. Name it with --parameter "
                "KeyArn=ARN, and let the roles use the others by a policy of your own."
            )
        aws_images = {
            f"arn:{config.partition}:ecr:{each.region}:{each.registry}:repository/{each.repository}"
            for each in images
            if each.registry != config.producer.account
        }
        return Holdings(
            artifact_bucket=buckets[0],
            repository=own[0],
            artifact_prefix=common_folder(key for _, key, _ in places),
            key_arn=keys[0] if keys else "",
            releases_key_arn=_default_key(producer),
            aws_repositories=tuple(sorted(aws_images)),
        )


def _key(producer: Producer, bucket: str, key: str) -> str:
    """The customer's KMS key that an object is encrypted under; empty where there is none, or where it may not be asked."""
    head: Any = producer.s3.head_object(Bucket=bucket, Key=key, ExpectedBucketOwner=producer.account)
    return _customers(producer, str(head.get("SSEKMSKeyId", "")))


def _default_key(producer: Producer) -> str:
    """The key that the Releases' bucket encrypts new objects under, by its ARN; empty where there is none of the customer's."""
    try:
        answer = producer.s3.get_bucket_encryption(
            Bucket=producer.config.producer.releases_bucket, ExpectedBucketOwner=producer.account
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ServerSideEncryptionConfigurationNotFoundError":
            raise
        return ""
    rules = answer["ServerSideEncryptionConfiguration"]["Rules"]
    named = [each.get("ApplyServerSideEncryptionByDefault", {}).get("KMSMasterKeyID", "") for each in rules]
    return _customers(producer, next(filter(None, named), ""))


def _customers(producer: Producer, key: str) -> str:
    """The ARN of a key, empty for one that AWS manages: no policy of ours opens that. One that may not be looked at is taken as it is named."""
    if not key:
        return ""
    try:
        described = producer.kms.describe_key(KeyId=key)["KeyMetadata"]
    except (ClientError, BotoCoreError):
        return key if key.startswith("arn:") else ""
    return "" if described.get("KeyManager") == "AWS" else str(described["Arn"])
