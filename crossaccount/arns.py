"""ARNs, S3 URIs and image URIs, taken apart and put together.

Pure text. Not here: whether the named resource exists, or who may use it.
"""

import re
from dataclasses import dataclass
from functools import cache

from crossaccount.config.model import ConsumerConfig, Sharing
from crossaccount.errors import Failed
from crossaccount.regions import all_partitions


@dataclass(frozen=True)
class Image:
    """An ECR image URI in its parts; ``reference`` is the digest, or where it has none the tag."""

    registry: str
    region: str
    repository: str
    reference: str


_IMAGE = re.compile(
    r"(?P<registry>\d{12})\.(?P<service>dkr[.-]ecr)(?:-fips)?\.(?P<region>[a-z0-9-]+)\.(?P<domain>[a-z0-9.-]+)"
    r"/(?P<repository>[a-z0-9._/-]+?)(?::(?P<tag>[\w.-]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
# Names that S3 takes for a bucket's, and that are none whose policy a share could write: how such a name ends, and what it is.
_NO_BUCKET = {
    "-s3alias": "an access point",
    "--ol-s3": "an Object Lambda access point",
    ".mrap": "a multi-region access point",
    "--x-s3": "a directory bucket",
    "--table-s3": "a table bucket",
}
_ACCESS_POINT = re.compile(r"arn:aws[a-z-]*:s3[a-z-]*:[a-z0-9-]*:\d*:(accesspoint|outpost)[/:].*")
_PACKAGE = re.compile(
    r"arn:(aws[a-z-]*):sagemaker:([a-z0-9-]+):(\d{12}):model-package/([A-Za-z0-9-]+)/(\d{1,9})"
)


def parse_image(uri: str) -> Image:
    """The parts of an ECR image URI, which has a tag, a digest, both (then the digest counts), or neither (then ``latest``).

    Its host is one of any partition, also for FIPS or of both IPv4 and IPv6.

    Source: "Amazon ECR interface VPC endpoints" and "Getting started with making requests over IPv6" in the ECR user guide.

    Raises:
        Failed: for an image that does not lie in ECR: SageMaker cannot pull it across accounts.
    """
    match = _IMAGE.fullmatch(uri)
    if match is None or match["domain"] not in _image_domains(match["service"], match["region"]):
        raise Failed(
            f"The image {uri} does not lie in Amazon ECR. Register the version with an image of an ECR repository."
        )
    reference = match["digest"] or match["tag"] or "latest"
    return Image(match["registry"], match["region"], match["repository"], reference)


@cache
def _image_domains(service: str, region: str) -> tuple[str, ...]:
    """What may follow a region in the host of an image; ``dkr-ecr`` is the service's name in hosts of both IPv4 and IPv6."""
    return tuple(
        partition.suffix if service == "dkr.ecr" else re.sub(r"^api\.", "on.", partition.dual_stack)
        for partition in all_partitions()
        if partition.has(region)
    )


def parse_s3(uri: str) -> tuple[str, str]:
    """Bucket and key of an S3 location, written as ``s3://`` or as an ``https://`` address of S3.

    Source: "Referencing access points" and "Bucket naming rules" in the S3 user guide, for names that are no bucket's.

    Raises:
        Failed: for any other location, and for one that is named by an access point or lies in another kind of bucket.
    """
    scheme, _, rest = uri.partition("://")
    host, _, key = rest.partition("/")
    bucket = host if scheme == "s3" else ""
    if scheme == "https" and (match := _s3_host().fullmatch(host)):
        bucket, key = (match["bucket"], key) if match["bucket"] else key.partition("/")[::2]
        if match["point"]:
            raise _not_in_a_bucket(uri, "an access point")
    if _ACCESS_POINT.fullmatch(uri.removeprefix("s3://")):
        raise _not_in_a_bucket(uri, "an access point")
    for ending, what in _NO_BUCKET.items():
        if bucket.endswith(ending):
            raise _not_in_a_bucket(uri, what)
    if not bucket:
        raise Failed(
            f"{uri} is not a location in Amazon S3. Register the version with one, as in s3://BUCKET/KEY."
        )
    return bucket, key


def _not_in_a_bucket(uri: str, what: str) -> Failed:
    return Failed(
        f"{uri} is not a location in Amazon S3 that a share can open: it names {what}, and a share opens general purpose buckets by "
        "their own names. Register the version with the bucket's name, as in s3://BUCKET/KEY."
    )


@cache
def _s3_host() -> re.Pattern[str]:
    """A host of S3 in any partition: of a bucket, of all buckets, or of an access point."""
    suffixes = {
        suffix for partition in all_partitions() for suffix in (partition.suffix, partition.dual_stack)
    }
    domain = "|".join(map(re.escape, sorted(suffixes)))
    return re.compile(
        rf"(?:(?P<bucket>[a-z0-9.-]+)\.)?s3(?P<point>-accesspoint(?:-fips)?)?[.-](?:[a-z0-9-]+\.)*(?:{domain})"
    )


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


def same_arn(arn: str, other: str) -> bool:
    """Whether two ARNs of SageMaker name one resource.

    SageMaker has written names with capitals in lower case into ARNs of versions, and as they are; names are told apart without regard
    to case. Source: refusals and answers in public logs (aws-samples/ml-edge-getting-started#18).
    """
    return arn.lower() == other.lower()


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
