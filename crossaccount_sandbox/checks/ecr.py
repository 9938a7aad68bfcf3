"""What AWS checks for the operations of ECR."""

from collections.abc import Iterator

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.check import Check, Rule
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
    "BatchCheckLayerAvailability BatchDeleteImage BatchGetImage CompleteLayerUpload CreateRepository DeleteRepository "
    "DeleteRepositoryPolicy DescribeImages GetDownloadUrlForLayer GetRepositoryPolicy InitiateLayerUpload ListImages "
    "PutImage PutImageScanningConfiguration PutImageTagMutability SetRepositoryPolicy "
    "UpdateImageStorageClass UploadLayerPart"
)
RULES: dict[str, Rule] = {
    **{name: _repository(name) for name in _OPERATIONS.split()},
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
