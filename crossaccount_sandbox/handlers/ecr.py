"""ECR: repositories, their policies and those of registries, and tokens.

Not here: images (``images``) and their layers (``layers``).
"""

import base64
import secrets
from datetime import timedelta

from crossaccount_sandbox.attached import PolicyKey, laid_out, load, statements
from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.ecr import repository_arn
from crossaccount_sandbox.handlers.images import page_of
from crossaccount_sandbox.handlers.layers import repository_of
from crossaccount_sandbox.resources import registry_of
from crossaccount_sandbox.wire import AwsError, Response, json_response
from crossaccount_sandbox.world import Handler, World


def set_repository_policy(world: World, call: Call) -> Response:
    """SetRepositoryPolicy.

    Raises:
        AwsError: ``RepositoryNotFoundException``; ``InvalidParameterException`` for a document that is none, that has a
            Resource element, or that names no living principal.
    """
    repository_of(call)
    arn = repository_arn(call)
    text = call.params["policyText"]
    document = load(text, _invalid_repository_policy)
    for statement in statements(document):
        if "Resource" in statement or "NotResource" in statement:
            raise _invalid_repository_policy("a repository policy has no Resource")
    absent = "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Principal not found'"
    world.attached.put(("repository", arn), text, lambda name: AwsError("InvalidParameterException", absent))
    return _repository_policy(world, arn)


def get_repository_policy(world: World, call: Call) -> Response:
    """GetRepositoryPolicy; ``RepositoryPolicyNotFoundException`` without one."""
    repository_of(call)
    return _repository_policy(world, repository_arn(call))


def delete_repository_policy(world: World, call: Call) -> Response:
    """DeleteRepositoryPolicy; ``RepositoryPolicyNotFoundException`` without one."""
    repository_of(call)
    arn = repository_arn(call)
    response = _repository_policy(world, arn)
    world.attached.drop(("repository", arn))
    return response


def put_registry_policy(world: World, call: Call) -> Response:
    """PutRegistryPolicy: its statements name their resources.

    Source: "Private registry permissions in Amazon ECR" in the Amazon ECR user guide.

    Raises:
        AwsError: ``InvalidParameterException`` for a document that is none, that has a statement without a Resource element, or
            that names no living principal.
    """
    text = call.params["policyText"]
    for statement in statements(load(text, _invalid_registry_policy)):
        if "Resource" not in statement and "NotResource" not in statement:
            raise _invalid_registry_policy("a statement of a registry policy needs a Resource")
    world.attached.put(
        _own_registry(call), text, lambda name: _invalid_registry_policy("Principal not found")
    )
    return _registry_policy(world, call)


def get_registry_policy(world: World, call: Call) -> Response:
    """GetRegistryPolicy; ``RegistryPolicyNotFoundException`` without one."""
    return _registry_policy(world, call)


def delete_registry_policy(world: World, call: Call) -> Response:
    """DeleteRegistryPolicy; ``RegistryPolicyNotFoundException`` without one."""
    response = _registry_policy(world, call)
    world.attached.drop(_own_registry(call))
    return response


def _own_registry(call: Call) -> PolicyKey:
    return registry_of(f"arn:aws:ecr:{call.region}:{call.account}:repository/")


def _registry_policy(world: World, call: Call) -> Response:
    document = world.attached.get(_own_registry(call))
    if document is None:
        text = f"Registry policy does not exist in the registry with id '{call.account}'"
        raise AwsError("RegistryPolicyNotFoundException", text)
    return json_response({"registryId": call.account, "policyText": laid_out(document)})


def _invalid_registry_policy(why: str) -> AwsError:
    text = f"Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid registry policy provided' ({why})"
    return AwsError("InvalidParameterException", text)


def delete_repository(world: World, call: Call) -> Response:
    """DeleteRepository: its policy goes with it."""
    arn = repository_arn(call)
    response = call.forward(arn.split(":")[4])
    if response.status < 300:
        world.attached.drop(("repository", arn))
    return response


def describe_repositories(world: World, call: Call) -> Response:
    """DescribeRepositories, a page at a time."""
    response = call.forward(call.params.get("registryId") or call.account)
    if response.status >= 300 or call.params.get("repositoryNames"):
        return response
    return page_of(call, "repositories", response.json()["repositories"])


def get_token(world: World, call: Call) -> Response:
    """GetAuthorizationToken: good for twelve hours; no registry is behind it.

    Source: GetAuthorizationToken in the Amazon ECR API reference.
    """
    password = secrets.token_urlsafe(48)
    token = base64.b64encode(f"AWS:{password}".encode()).decode()
    given = [
        {
            "authorizationToken": token,
            "expiresAt": world.clock() + timedelta(hours=12),
            "proxyEndpoint": f"https://{registry}.dkr.ecr.{call.region}.amazonaws.com",
        }
        for registry in call.params.get("registryIds") or [call.account]
    ]
    return json_response({"authorizationData": given})


def _repository_policy(world: World, arn: str) -> Response:
    document = world.attached.get(("repository", arn))
    registry, name = arn.split(":")[4], arn.split(":repository/")[1]
    if document is None:
        text = f"Repository policy does not exist for the repository with name '{name}' in the registry with id '{registry}'"
        raise AwsError("RepositoryPolicyNotFoundException", text)
    # ECR hands the document back laid out, unlike what was sent.
    return json_response({"registryId": registry, "repositoryName": name, "policyText": laid_out(document)})


def _invalid_repository_policy(_why: str) -> AwsError:
    text = (
        "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy provided'"
    )
    return AwsError("InvalidParameterException", text)


HANDLERS: dict[str, Handler] = {
    "SetRepositoryPolicy": set_repository_policy,
    "GetRepositoryPolicy": get_repository_policy,
    "DeleteRepositoryPolicy": delete_repository_policy,
    "DeleteRepository": delete_repository,
    "PutRegistryPolicy": put_registry_policy,
    "GetRegistryPolicy": get_registry_policy,
    "DeleteRegistryPolicy": delete_registry_policy,
    "DescribeRepositories": describe_repositories,
    "GetAuthorizationToken": get_token,
}
