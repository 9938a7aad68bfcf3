"""ARNs, S3 URIs and image URIs, taken apart and put together.

Pure text. Not here: whether the named resource exists, or who may use it.
"""

import re
from dataclasses import dataclass

from crossaccount.config.model import ConsumerConfig, Sharing
from crossaccount.errors import Failed


@dataclass(frozen=True)
class Image:
    """An ECR image URI in its parts; ``reference`` is the tag or the digest."""

    registry: str
    region: str
    repository: str
    reference: str


_IMAGE = re.compile(
    r"(\d{12})\.dkr\.ecr(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/([a-z0-9._/-]+?)(?::([\w.-]+)|@(sha256:[0-9a-f]{64}))?"
)
_S3_HOST = re.compile(r"(?:(?P<bucket>[a-z0-9.-]+)\.)?s3[.-](?:[a-z0-9-]+\.)*amazonaws\.com(?:\.cn)?")
_PACKAGE = re.compile(
    r"arn:(aws[a-z-]*):sagemaker:([a-z0-9-]+):(\d{12}):model-package/([A-Za-z0-9-]+)/(\d{1,9})"
)


def parse_image(uri: str) -> Image:
    """The parts of an ECR image URI, which has a tag, a digest, or neither (then ``latest``).

    Raises:
        Failed: for an image that does not lie in ECR: SageMaker cannot pull it across accounts.
    """
    match = _IMAGE.fullmatch(uri)
    if match is None:
        raise Failed(
            f"The image {uri} does not lie in Amazon ECR. Register the version with an image of an ECR repository."
        )
    return Image(match[1], match[2], match[3], match[5] or match[4] or "latest")


def parse_s3(uri: str) -> tuple[str, str]:
    """Bucket and key of an S3 location, written as ``s3://`` or as an ``https://`` address of S3.

    Raises:
        Failed: for any other location.
    """
    scheme, _, rest = uri.partition("://")
    host, _, key = rest.partition("/")
    bucket = host if scheme == "s3" else ""
    if scheme == "https" and (match := _S3_HOST.fullmatch(host)):
        bucket, key = (match["bucket"], key) if match["bucket"] else key.partition("/")[::2]
    if not bucket:
        raise Failed(f"{uri} is not a location in Amazon S3.")
    return bucket, key


def group_arn(sharing: Sharing) -> str:
    """The ARN of the shared model package group."""
    return (
        f"arn:{sharing.partition}:sagemaker:{sharing.region}:{sharing.producer.account}:"
        f"model-package-group/{sharing.model_package_group}"
    )


def package_arn(sharing: Sharing, version: int | str) -> str:
    """The ARN of a version of the shared group; ``*`` stands for all."""
    return group_arn(sharing).replace(":model-package-group/", ":model-package/") + f"/{version}"


def endpoint_arn(sharing: Sharing, consumer: ConsumerConfig) -> str:
    """The ARN of a consumer's endpoint."""
    return f"arn:{sharing.partition}:sagemaker:{sharing.region}:{consumer.account}:endpoint/{consumer.endpoint.name.lower()}"


def version_of(arn: str) -> int:
    """The version number in a model package's ARN.

    Raises:
        Failed: for an ARN of anything else.
    """
    match = _PACKAGE.fullmatch(arn)
    if match is None:
        raise Failed(f"{arn} is not the ARN of a version of a model package group.")
    return int(match[5])


def root_arn(partition: str, account: str) -> str:
    """The ARN that stands for a whole account in a policy."""
    return f"arn:{partition}:iam::{account}:root"


_CONSOLES = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}
_PAGES = {"endpoint": "endpoints", "endpoint-config": "endpointConfig", "model": "models"}


def console_url(arn: str) -> str | None:
    """The address of a SageMaker model, endpoint config or endpoint in the AWS console; None in a partition without a known one."""
    _, partition, _, region, _, resource = arn.split(":", 5)
    kind, _, name = resource.partition("/")
    host = _CONSOLES.get(partition)
    return f"https://{region}.{host}/sagemaker/home?region={region}#/{_PAGES[kind]}/{name}" if host else None
