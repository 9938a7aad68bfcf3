"""The way out of a refusal, in a sentence or two: who must change which policy.

Pure text. Not here: which door is shut (``refusals``, ``diagnosis``).

Source: "Policy evaluation logic" in the IAM user guide (a Deny outweighs every Allow), "SCP evaluation" and "RCP evaluation" in
the Organizations user guide, "Key policies in AWS KMS" in the KMS developer guide; UpdateImageStorageClass in the ECR API reference.
"""

import json
import re
from collections.abc import Iterable

from crossaccount.arns import Image, parse_image
from crossaccount.errors import Denial, DoorName, Failed

SERVICE_CONTROL, RESOURCE_CONTROL = "service control policy", "resource control policy"
RESOURCE_BASED, IDENTITY_BASED = "resource-based policy", "identity-based policy"
BOUNDARY, ROLE_TRUST = "permissions boundary", "role trust policy"
TEMPLATES = "The templates in deployments/iam have every permission that is needed."


def denied(denial: Denial, account: str, caller: str, what: str, owner: str) -> str:
    """The way out where a policy denies: whoever keeps it changes it.

    Args:
        denial: the policy.
        account: the caller's account.
        caller: the identity that called.
        what: the action and the resource.
        owner: the account that owns the resource.
    """
    policy = f"{denial.kind} {denial.arn}".rstrip()
    if denial.kind == SERVICE_CONTROL:
        keeper = _management_account(denial, account)
        return (
            f"A {policy} of the organization of account {account} forbids {what}, and no policy in that account can outweigh it. {keeper} "
            f"changes it, or exempts {caller}."
        )
    if denial.kind == RESOURCE_CONTROL:
        keeper = _management_account(denial, owner)
        return (
            f"A {policy} of the organization of account {owner} denies it, and no share can change that. {keeper} must let account "
            f"{account} in."
        )
    if denial.kind == RESOURCE_BASED:
        return (
            f"The resource-based policy of the resource itself denies {what}, and no share can change that. Account {owner}, which owns the "
            f"resource, takes that Deny out, or exempts {caller} from it."
        )
    if denial.kind == ROLE_TRUST:
        return f"The {policy} of the role denies {what} to {caller}. Account {owner}, which keeps the role, takes that Deny out."
    where = (
        f"account {account}"
        if denial.kind != "VPC endpoint policy"
        else "the network that the call came from"
    )
    return (
        f"In {where}, the {policy} of {caller} denies {what}; an Allow elsewhere does not outweigh it, and no share can change that. "
        f"Whoever keeps that {denial.kind} takes the Deny out, or exempts {caller}."
    )


def _management_account(denial: Denial, account: str) -> str:
    named = re.match(r"arn:[a-z-]+:organizations::(\d{12}):", denial.arn)
    return (
        f"The organization's management account{f' ({named[1]})' if named else ''}"
        if denial.kind == SERVICE_CONTROL
        else f"Whoever keeps that organization's policies{f' (account {named[1]})' if named else ''}"
    )


def lacking(kind: str, account: str, caller: str, what: str) -> str:
    """The way out where a policy on the caller's side has no Allow; ``kind`` is AWS's word for it, empty for none."""
    if kind == SERVICE_CONTROL:
        return (
            f"The service control policies of the organization of account {account} do not allow {what}: every level of it must. The "
            "organization's management account adds it; no policy in that account can."
        )
    if kind == BOUNDARY:
        return (
            f"In account {account}, the permissions boundary of {caller} must allow {what}, beside the role's policies. Whoever keeps the "
            "boundary adds it."
        )
    if kind == "VPC endpoint policy":
        return f"The policy of the VPC endpoint that {caller} calls through must allow {what}. Whoever keeps that network adds it."
    where = "an identity policy" if kind in ("", IDENTITY_BASED) else f"a {kind}"
    return f"In account {account}, {where} of {caller} must allow {what}. {TEMPLATES}"


def misnamed(key: str, name: str, next_step: str, beside: str = "") -> str:
    """The way out where a role lacks an Allow for what the config itself names: the likely causes in order.

    Args:
        key: of the config.
        name: what it names.
        next_step: the way out where the name is right.
        beside: the other part of the config that can be wrong instead, with what it is; empty for none.
    """
    return (
        f"First compare {key} of the config, {name}, {f'and {beside}, ' if beside else ''}with what is there: of a misspelt name AWS says no more than this, since the role was "
        f"made for the right one. crossaccount doctor CONFIG tells what there is; once the name is right, crossaccount roles CONFIG --check in what the role differs. {next_step}"
    )


def named_by_resource(door: str, account: str, principal: str, action: str, resource: str) -> str:
    """The way out inside one account, where the resource's own policy must name the caller: nobody shares with oneself."""
    statement = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": action}
    if door != DoorName.REPOSITORY:
        statement["Resource"] = "*" if door == DoorName.KEY else resource
    return (
        f"In account {account}, the policy of {resource} itself must name {principal}; an identity policy does not suffice, and no share "
        f"adds it. An administrator of the resource adds the statement {json.dumps(statement)}."
    )


def opened(account: str, other: str, service_principal: bool = False) -> str:
    """The way out where the owner's door is shut: a share, if it has something to write, which the consumer cannot see.

    Args:
        account: the owner of the door.
        other: the account that wants in.
        service_principal: SageMaker itself, rather than a role, wants to pull.
    """
    text = (
        f"Account {account} opens it: crossaccount share CONFIG, with a config that names account {other}. That helps if crossaccount plan "
        f"CONFIG shows a change for it; if it shows none, a Deny in the resource's own policy (of an image, in its registry's too), or a "
        f"policy of the organization of account {account}, keeps account {other} out."
    )
    if service_principal:
        text += " If it is shared, set sagemaker_service_principal: true in the config and share again: SageMaker itself may then pull."
    return text


def trust(role: str, caller: str, config_key: str) -> str:
    """The way out where a role may not be assumed: AWS says no more for a role that does not exist.

    Args:
        role: the role's ARN.
        caller: who wants to assume it.
        config_key: the part of the config that names it; one that ends in ``profile`` is a role of the AWS profile's own.
    """
    external_id, named = f"{config_key}.external_id", f"{config_key}.role"
    if config_key.endswith(".profile"):
        external_id, named = "external_id of the profile in the AWS config file", "role_arn of that profile"
    return (
        f"The trust policy of {role} must allow {caller}, with the external id that {external_id} has. AWS says the same of a role that "
        f"does not exist, and whose account the caller is in may be the wrong one: compare {named} with the role's ARN. crossaccount doctor CONFIG "
        "tells which it is, with the command that mends it. The templates in deployments/iam make such a role."
    )


def execution_role(account: str, config_key: str) -> str:
    """The way out where SageMaker names the execution role, and no single cause."""
    return (
        f"In account {account}, compare the execution role ({config_key}.execution_role) with ExecutionRole in deployments/iam/consumer.yaml: "
        "its trust in sagemaker.amazonaws.com, and what it may read, decrypt and pull."
    )


def closed_to_role(places: Iterable[str], owner: str, role: str, there: bool) -> str:
    """The way out where the execution role is kept out of resources, and no lack of its own is seen.

    Args:
        places: the ARNs of the resources.
        owner: the account that owns them.
        role: the execution role.
        there: the deployer has seen that they exist.
    """
    gone = "" if there else "; or the resource is not there"
    return (
        f"The execution role does not lack anything that can be seen. A statement of the policies of {', '.join(places)} (account {owner}) "
        f"may let the deployer in and not {role}, or deny it to that role alone{gone}. Account {owner} looks at them with crossaccount "
        "plan CONFIG."
    )


def archived(image: str) -> str:
    """The way out for an image that its owner may have archived; the consumer cannot see that."""
    try:
        parsed = parse_image(image)
    except Failed:
        return "The image may also be archived: nobody can pull it until its owner has restored it."
    named = "imageDigest" if parsed.reference.startswith("sha256:") else "imageTag"
    return (
        f"The image may also be archived: nobody can pull it until account {parsed.registry} has restored it, with "
        f"{restore_image(parsed, named, parsed.reference)}."
    )


def restore_image(image: Image, named: str, value: str) -> str:
    """The command that restores an archived image; ``named`` is what it is named by, imageTag or imageDigest."""
    return (
        f"aws ecr update-image-storage-class --registry-id {image.registry} --repository-name {image.repository} "
        f"--image-id {named}={value} --target-storage-class STANDARD"
    )


def of_another(owner: str, account: str, caller: str, what: str) -> str:
    """The way out where the resource is neither the sharing account's nor the caller's: no share opens it.

    Args:
        owner: the account that owns the resource.
        account: the caller's account.
        caller: the identity that called.
        what: the action and the resource.
    """
    return (
        f"Account {owner}, which owns the resource and takes no part in the config, must let {caller} of account {account} do {what} in the "
        "resource's own policy; no share opens it. Or use a resource of your own."
    )


def foreign_image(image: str, registry: str, account: str) -> str:
    """The way out where an image in a registry that no share opens cannot be pulled: AWS's own, or a third account's."""
    return (
        f"{image} lies in the registry of account {registry}, which no share opens. If that is one of AWS's own, compare the image with AWS's "
        f"list for this region: there may be no such tag; else account {registry} lets account {account} pull, in the repository's policy."
    )


def key_out_of_use(owner: str, resource: str) -> str:
    """The way out where a KMS key is disabled, pending deletion or gone: nobody can use it, whoever is let in."""
    return (
        f"Nobody can use the key of {resource} as it is, and no share changes that. Account {owner} enables it or cancels its deletion, "
        "with aws kms enable-key or cancel-key-deletion; or encrypts the object anew under another key."
    )


def made_private(setting: str) -> str:
    """The way out where S3 Block Public Access refuses a bucket's policy."""
    return (
        f"{setting} of S3 Block Public Access, of the bucket or its account, refuses a policy with a public statement. Narrow that statement "
        "(it is not ours, ours name accounts); an identity policy cannot allow it."
    )
