"""Why a role of a config may not be assumed, as far as its account shows the profile: whose profile it is, the stack, and the role itself.

AWS refuses a role that is not there, a wrong external id and a caller that the role does not trust in the same words. It only reads, and
only once AWS has refused. What the profile may not read stays open: then every cause is named. Not here: the attempt (``doctor``).

Source: AssumeRole in the STS API reference; GetRole in the IAM API reference; DescribeStacks in the CloudFormation API reference.
"""

import shlex
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from crossaccount.aws.credentials import name_of
from crossaccount.errors import CrossAccountError, Refused
from crossaccount.setup import deployed, deploying, surroundings
from crossaccount.setup.account import Account
from crossaccount.setup.answers import Answer, no
from crossaccount.setup.asking import Asked, Side
from crossaccount.setup.surroundings import Standing

_QUESTION = "role"


def answer_why(side: Account, refused: Refused) -> Answer:
    """The answer that the role may not be assumed, and why.

    Args:
        side: the account of the config, with the profile's session and account.
        refused: what came of the attempt.
    """
    refusal, role = refused.refusal, str(side.config.role)
    aws = f"AWS said {refusal.aws_message.rstrip('.')}."
    if not side.is_own:
        text, way_out = _of_another_account(side)
        return no(side.key, _QUESTION, f"{role} may not be assumed: {text} {aws}", way_out, is_access=True)
    stacks = _stacks(side)
    text, way_out = _of_the_stack(side, stacks) or _of_the_role(side, stacks, refusal.next_step)
    return no(side.key, _QUESTION, f"{role} may not be assumed: {text or aws}", way_out, is_access=True)


def from_stacks(side: Account) -> str:
    """The command that writes roles and external ids of the deployed stacks into the config."""
    return f"crossaccount init {shlex.quote(str(side.path))} --from-stacks"


def deploy(side: Account) -> str:
    """The command that makes the roles of an account, or the one that writes and prints it."""
    name = "" if side.is_producer else side.name
    written = deploying.command_as_written(side.path, name, side.config.profile, side.sharing.region)
    return (
        written or f"crossaccount init {shlex.quote(str(side.path))}, which prints the command of the stack"
    )


def _of_another_account(side: Account) -> tuple[str, str]:
    named, key = name_of(side.config.profile), side.key
    text = (
        f"{named} is of account {side.account} ({side.caller}), and {key}.account is {side.config.account}."
    )
    way_out = (
        f"Name a profile of {side.config.account} in {key}.profile, or correct {key}.account and {key}.role. The profile of {side.account} is "
        f"right only where the trust policy of the role names it, with the external id of {key}.external_id."
    )
    return text, way_out


def _stacks(side: Account) -> tuple[Standing, ...] | None:
    """The deployed stacks of the config's group; None where they may not be read."""
    sharing = side.sharing
    profile = side.config.profile or ""
    shown = Side(f"{side.key}.profile", profile, sharing.region, side.session, side.account, side.caller)
    try:
        return surroundings.find_deployed(
            Asked(), shown, side.template, sharing.model_package_group, sharing.producer.account
        )
    except CrossAccountError:
        return None


def _of_the_stack(side: Account, stacks: tuple[Standing, ...] | None) -> tuple[str, str] | None:
    """What the one stack of the group says otherwise than the config; None where it says the same, or there is no one stack."""
    if stacks is None or len(stacks) != 1:
        return None
    (stack,) = stacks
    made, others = stack.roles["producer" if side.is_producer else "deployer"], list[str]()
    if made != side.config.role:
        others.append(f"{side.key}.role is {side.config.role}, and the stack {stack.stack} made {made}")
    if stack.external_id is not None and stack.external_id != side.config.external_id:
        has = "another one than" if side.config.external_id else "one, and the config has no"
        others.append(f"the role asks for an external id, {has} {side.key}.external_id")
    if not others:
        return None
    return f"{'; '.join(others)}.", f"Take both from the deployed stack: {from_stacks(side)}"


def _of_the_role(side: Account, stacks: tuple[Standing, ...] | None, otherwise: str) -> tuple[str, str]:
    """What the role itself shows; the text is empty where AWS's own says as much."""
    role, key = str(side.config.role), side.key
    try:
        found: Any = deployed.look(side.session.client("iam"), role.rpartition("/")[2])
    except (ClientError, BotoCoreError):
        return "", (
            f"{otherwise} Which of these it is was not seen: {name_of(side.config.profile)} may not ask iam:GetRole of it. If its stack is deployed, {from_stacks(side)} takes "
            f"role and external id from it; if it is not: {deploy(side)}"
        )
    if found is None:
        cannot = (
            ""
            if stacks is not None
            else ", where its stack may have made it under another name, which could not be read"
        )
        return f"there is no such role in account {side.config.account}.", (
            f"Compare {key}.role{cannot}. If its stack is not deployed yet, deploy it: {deploy(side)}"
        )
    asked_for = surroundings.external_id_of(found)
    if asked_for is not None and asked_for != side.config.external_id:
        text = f"its trust policy asks for an external id that is not {key}.external_id."
        return (
            text,
            f"Write the one that it asks for in {key}.external_id; of a deployed stack: {from_stacks(side)}",
        )
    return "", otherwise
