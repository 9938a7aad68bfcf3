"""The door of an ECR repository: a consumer pulls the image.

Source: GetRepositoryPolicy, SetRepositoryPolicy and DeleteRepositoryPolicy in the Amazon ECR API reference; the policy's size in
botocore's model of ECR; "Deploy a Model Version from a Different Account" in the SageMaker developer guide.
"""

import re
from collections.abc import Iterable, Mapping

from botocore.exceptions import ClientError

from crossaccount.arns import group_arn, parse_image
from crossaccount.aws.access import Producer
from crossaccount.config.model import Sharing
from crossaccount.doors.base import Door, Parts, Resource, Surroundings, Token
from crossaccount.doors.reading import read_further
from crossaccount.errors import DoorName
from crossaccount.policy import audience as audiences
from crossaccount.policy.audience import SERVICE, Audience
from crossaccount.policy.documents import Document, Statement, compact
from crossaccount.registry.artifacts import check_registry
from crossaccount.registry.versions import Contents
from crossaccount.strict_json import parse_json

PULL_ACTIONS = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")


class RepositoryDoor(Door):
    """ECR repositories; a repository policy has no Resource element."""

    kind = "repository"
    name = DoorName.REPOSITORY
    limit = 10_240
    place = re.compile(r"(?:arn:[a-z-]+:ecr:.*:repository/|\d{12}\.dkr[.-]ecr[^/]*/)([a-z0-9._/-]+).*")
    missing_code = "RepositoryNotFoundException"
    reads, writes, clears = "ecr:GetRepositoryPolicy", "ecr:SetRepositoryPolicy", "ecr:DeleteRepositoryPolicy"
    proved_by_model = True
    services = (SERVICE,)

    def arn(self, config: Sharing, name: str) -> str:
        return _arn(config, config.region, config.producer.account, name)

    def is_right(self, config: Sharing, name: str) -> bool:
        return re.fullmatch(r"[a-z0-9._/-]{2,256}", name) is not None

    def needed(self, config: Sharing, contents: Contents) -> Mapping[str, Parts]:
        """The producer's repositories that images lie in; images in registries that AWS owns need no grant."""
        images = {parse_image(image) for image in contents.images}
        return {image.repository: () for image in images if check_registry(config, image)}

    def statements(self, config: Sharing, name: str, parts: Parts, audience: Audience) -> list[Statement]:
        """Pulling the image, by the audience and, where the config says so, by SageMaker itself."""
        if config.preset == "aws-docs":
            return page(audience)
        group = group_arn(config)
        by_service = service_principal(group, audience) if config.sagemaker_service_principal else []
        return [*least_privilege(group, audience), *by_service]

    def read(self, producer: Producer, name: str) -> tuple[Document | None, Token]:
        try:
            answer = producer.ecr.get_repository_policy(registryId=producer.account, repositoryName=name)
        except ClientError as error:
            if not _has_none(error):
                raise
            return None, None
        return parse_json(answer["policyText"]), None

    def write(self, producer: Producer, name: str, document: Document, token: Token) -> None:
        producer.ecr.set_repository_policy(
            registryId=producer.account, repositoryName=name, policyText=compact(document)
        )

    def clear(self, producer: Producer, name: str, token: Token) -> None:
        try:
            producer.ecr.delete_repository_policy(registryId=producer.account, repositoryName=name)
        except ClientError as error:
            if not _has_none(error):
                raise

    def surroundings(
        self, producer: Producer, documents: Mapping[Resource, Document | None]
    ) -> dict[Resource, Surroundings]:
        """The policy of the whole registry, which ECR asks at every call: it lets in, or shuts, beside the repositories' own.

        Source: "Private registry permissions in Amazon ECR" in the Amazon ECR user guide; GetRegistryPolicy in its API reference.
        """
        name = "registry policy"
        policy, unread = read_further(
            producer,
            name,
            f"{name} of account {producer.account} in {producer.region}",
            lambda: producer.ecr.get_registry_policy()["policyText"],
            "RegistryPolicyNotFoundException",
            "ecr:GetRegistryPolicy",
        )
        found = Surroundings(
            {} if policy is None else {name: policy},
            (name,) if unread else (),
            findings=(unread,) if unread else (),
        )
        return dict.fromkeys(documents, found)

    def execution_needs(self, config: Sharing, contents: Contents) -> Iterable[tuple[str, str]]:
        """Pulling every image, of AWS's registries too."""
        for image in map(parse_image, contents.images):
            repository = _arn(config, image.region, image.registry, image.repository)
            yield from ((action, repository) for action in PULL_ACTIONS)
        yield "ecr:GetAuthorizationToken", "*"


def _has_none(error: ClientError) -> bool:
    return error.response["Error"]["Code"] == "RepositoryPolicyNotFoundException"


def _arn(config: Sharing, region: str, account: str, name: str) -> str:
    return f"arn:{config.partition}:ecr:{region}:{account}:repository/{name}"


def least_privilege(group_arn: str, audience: Audience) -> list[Statement]:
    """Pulling the image."""
    return [audiences.statement(group_arn, "Pull", audience, Action=list(PULL_ACTIONS))]


def service_principal(group_arn: str, audience: Audience) -> list[Statement]:
    """Pulling the image by SageMaker itself, on behalf of the audience's accounts alone."""
    return [audiences.service_statement(group_arn, "Service", audience, Action=list(PULL_ACTIONS))]


def page(audience: Audience) -> list[Statement]:
    """The AWS page's policy of an ECR repository."""
    return [audiences.page_statement("AddPerm", audience, Action=["ecr:*"])]


REPOSITORY = RepositoryDoor()
