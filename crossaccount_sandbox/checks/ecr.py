"""What AWS checks for the operations of ECR."""

from collections.abc import Iterator

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.check import Check, Rule
from crossaccount_sandbox.checks.tagging import request_tags, tag_keys
from crossaccount_sandbox.resources import registry_of


def repository_arn(call: Call) -> str:
    """The ARN of the repository a call names; it lies in ``registryId`` or else in the caller's account."""
    owner = call.params.get("registryId") or call.account
    return f"arn:aws:ecr:{call.region}:{owner}:repository/{call.params['repositoryName']}"


def _repository(action: str) -> Rule:
    def rule(call: Call) -> Iterator[Check]:
        arn = repository_arn(call)
        yield Check(f"ecr:{action}", arn, arn.split(":")[4], ("repository", arn))

    return rule


def _create(call: Call) -> Iterator[Check]:
    """CreateRepository, and where it is to have tags, TagResource."""
    arn, tags = repository_arn(call), request_tags(call.params.get("tags"))
    for action in ("CreateRepository", *(("TagResource",) if tags else ())):
        yield Check(f"ecr:{action}", arn, arn.split(":")[4], ("repository", arn), context=tags)


def _by_arn(call: Call) -> Iterator[Check]:
    """TagResource, UntagResource and ListTagsForResource name their repository by ARN."""
    arn = str(call.params["resourceArn"])
    tags = request_tags(call.params.get("tags")) | tag_keys(call.params.get("tagKeys"))
    owner = arn.split(":")[4] if arn.count(":") >= 5 else call.account
    yield Check(f"ecr:{call.operation}", arn, owner, ("repository", arn), context=tags)


def _repositories(call: Call) -> Iterator[Check]:
    names = call.params.get("repositoryNames") or ["*"]
    for name in names:
        owner = call.params.get("registryId") or call.account
        arn = f"arn:aws:ecr:{call.region}:{owner}:repository/{name}"
        yield Check("ecr:DescribeRepositories", arn, owner, ("repository", arn))


def _registry(action: str) -> Rule:
    """What is asked of the caller's own registry, whose policy holds for it."""

    def rule(call: Call) -> Iterator[Check]:
        owner = call.account
        yield Check(
            f"ecr:{action}", "*", owner, registry_of(f"arn:aws:ecr:{call.region}:{owner}:repository/")
        )

    return rule


_OPERATIONS = (
    "BatchCheckLayerAvailability BatchDeleteImage BatchGetImage CompleteLayerUpload DeleteRepository "
    "DeleteRepositoryPolicy DescribeImages GetDownloadUrlForLayer GetRepositoryPolicy InitiateLayerUpload ListImages "
    "PutImage PutImageScanningConfiguration PutImageTagMutability SetRepositoryPolicy "
    "UpdateImageStorageClass UploadLayerPart"
)
RULES: dict[str, Rule] = {
    **{name: _repository(name) for name in _OPERATIONS.split()},
    **dict.fromkeys(("TagResource", "UntagResource", "ListTagsForResource"), _by_arn),
    "CreateRepository": _create,
    "DescribeRepositories": _repositories,
    **{
        name: _registry(name)
        for name in (
            "DeleteRegistryPolicy",
            "GetAuthorizationToken",
            "GetRegistryPolicy",
            "PutRegistryPolicy",
        )
    },
}
