"""The side that a refusal comes from: asks IAM what the consumer's own roles may, and narrows the refusal down.

AWS names the resource's policy in many cross-account refusals even when the caller's own policy lacks the permission, and one
SageMaker text has five causes. Three answers to every question: yes, no, cannot tell. It never makes a call that
changes anything, and it is asked only once something was refused. Not here: reading AWS's texts (``refusals``), and one
simulation (``simulation``).

Source: "Troubleshoot access denied error messages" in the IAM user guide; CreateModel in the SageMaker API reference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from crossaccount.aws import ways_out
from crossaccount.aws.simulation import Simulated, Simulator
from crossaccount.errors import Denial, DoorName, Refusal, Refused
from crossaccount.parallel import run_all
from crossaccount.policy.audience import SERVICE
from crossaccount.policy.documents import listed, other_principals, statements

if TYPE_CHECKING:
    import boto3

_ROLE_DOORS = (DoorName.ROLE_TRUST, DoorName.CALLER_POLICY, DoorName.EXECUTION_ROLE, DoorName.UNKNOWN)


def narrow(refused: Refused, simulator: Simulator) -> Refused:
    """The same refusal, with the caller's own side as its cause, ruled out, or named as not ruled out.

    Args:
        refused: a refusal of a call that the simulator's role made.
        simulator: of that role.
    """
    refusal, role = refused.refusal, simulator.role
    if refusal.denied_by is not None or refusal.door in _ROLE_DOORS or ":" not in refusal.action:
        return refused
    if not refusal.resource.startswith(
        ("arn:", "*")
    ):  # a key that AWS does not name, and that was not found out
        return _doubted(refusal, f"{role} itself may do it: the resource is not known")
    said = simulator.simulate(refusal.action, refusal.resource)
    # Where AWS gives a reason it has weighed the organization's policies, and they are not it.
    if said.allowed is None or (said.by_organization and "because" in refusal.aws_message):
        return _doubted(refusal, f"{role} itself may do it: {said.doubt or 'AWS and its simulation differ'}")
    if said.allowed:
        return Refused(
            replace(refusal, ruled_out=(*refusal.ruled_out, f"the policies of {role}: they allow it"))
        )
    step = _way_out(said, simulator, f"{refusal.action} on {refusal.resource}")
    account = simulator.account
    return Refused(
        replace(refusal, door=DoorName.CALLER_POLICY, account=account, next_step=step, denied_by=said.denial)
    )


def _doubted(refusal: Refusal, doubt: str) -> Refused:
    return Refused(
        replace(refusal, next_step=f"{refusal.next_step} Not ruled out: this cannot tell whether {doubt}.")
    )


def _way_out(said: Simulated, simulator: Simulator, what: str) -> str:
    if said.denial is not None:
        account = simulator.account
        return ways_out.denied(said.denial, account, simulator.role, what, account)
    if said.lacks:
        return ways_out.lacking(said.lacks, simulator.account, simulator.role, what)
    step = f"In account {simulator.account}, the policies of {simulator.role} must allow {what}."
    return f"{step} {ways_out.TEMPLATES}"


# What SageMaker looked at when it says so in these words, by the services whose actions the execution role needs for it.
_LOOKED_AT = {"Could not access model data": ("s3", "kms"), "The execution role ARN": ()}
_PULLING = ("ecr",)


def narrow_execution_role(
    refused: Refused,
    simulator: Simulator,
    needed: Iterable[tuple[str, str]],
    ruled_out: Sequence[str],
    owner: str,
) -> Refused:
    """A refusal that SageMaker met with the execution role: what the role lacks, or who else it can be.

    Args:
        refused: a refusal of CreateModel, or of bringing up its endpoint.
        simulator: of the execution role.
        needed: the actions that the role needs, each with each resource that it needs it on.
        ruled_out: causes that were ruled out before.
        owner: the account that owns the artifacts and images.
    """
    refusal, role = replace(refused.refusal, ruled_out=tuple(ruled_out)), simulator.role
    own = replace(refusal, door=DoorName.EXECUTION_ROLE, account=simulator.account)
    trust = trusts_sagemaker(simulator.session, role)
    if trust is False:
        step = (
            f"In account {simulator.account}, the trust policy of {role} must allow sts:AssumeRole for the service principal "
            "sagemaker.amazonaws.com, as ExecutionRole in deployments/iam/consumer.yaml does."
        )
        return Refused(replace(own, next_step=step))
    if trust:
        ruled_out = (*ruled_out, "the trust policy of the execution role: it lets SageMaker in")
    services = next(
        (kinds for text, kinds in _LOOKED_AT.items() if refusal.aws_message.startswith(text)), _PULLING
    )
    asked_for = [(action, on) for action, on in needed if action.partition(":")[0] in services]
    answers = dict(
        zip(asked_for, run_all([partial(simulator.simulate, *each) for each in asked_for]), strict=True)
    )
    refusing = {need: said for need, said in answers.items() if said.allowed is False}
    if refusing:
        return Refused(replace(own, ruled_out=tuple(ruled_out), **_lacks(refusing, simulator)))
    doubts = [
        f"{role} may {action} on {on}: {said.doubt}"
        for (action, on), said in answers.items()
        if said.allowed is None
    ]
    if trust is None:
        doubts.append(
            f"{role} trusts SageMaker here: its trust policy has a condition or a Deny, or cannot be read"
        )
    if asked_for and not doubts:
        ruled_out = (*ruled_out, "the policies of the execution role: they allow everything it needs")
    refusal = replace(refusal, ruled_out=tuple(ruled_out))
    if refusal.door == DoorName.EXECUTION_ROLE and services:
        refusal = _elsewhere(refusal, asked_for, role, owner)
    return _doubted(refusal, "; or whether ".join(doubts)) if doubts else Refused(refusal)


def _lacks(refusing: Mapping[tuple[str, str], Simulated], simulator: Simulator) -> dict[str, Any]:
    """The way out for an execution role that lacks permissions, and the policy that denies one of them."""
    own = [need for need, said in refusing.items() if not (said.denial or said.lacks)]
    lacking = ", and ".join(f"{action} on {on}" for action, on in own)
    steps = (
        [f"In account {simulator.account}, the policies of {simulator.role} must allow {lacking}."]
        if own
        else []
    )
    of_others: dict[tuple[Denial | None, str], str] = {}
    for (action, on), said in refusing.items():
        if (action, on) not in own and (said.denial, said.lacks) not in of_others:
            of_others[said.denial, said.lacks] = _way_out(said, simulator, f"{action} on {on}")
    denial = next((said.denial for said in refusing.values() if said.denial is not None), None)
    return {"next_step": " ".join([*steps, *of_others.values()]), "denied_by": denial}


def _elsewhere(refusal: Refusal, needed: Iterable[tuple[str, str]], role: str, owner: str) -> Refusal:
    """A refusal that SageMaker words as the execution role's, where no lack of the role is seen."""
    places = sorted({on for _, on in needed} - {"*"})
    registries = {on.split(":")[4] for on in places if on.split(":")[2] == "ecr"} - {owner}
    if registries:
        registry = min(registries)
        step = ways_out.foreign_image(refusal.resource, registry, role.split(":")[4])
        step = f"The execution role does not lack anything that can be seen. {step}"
        return replace(refusal, door=DoorName.UNKNOWN, account=registry, next_step=step)
    there = any("missing" in cause for cause in refusal.ruled_out)
    step = ways_out.closed_to_role(places, owner, role, there)
    if refusal.action.startswith("ecr:"):
        step = f"{step} {ways_out.archived(refusal.resource)}"
    return replace(refusal, door=DoorName.UNKNOWN, account=owner, next_step=step)


def trusts_sagemaker(session: boto3.Session, role: str) -> bool | None:
    """Whether a role's trust policy lets SageMaker's service principal in; None when that cannot be told.

    A role that does not exist trusts no one. Conditions of the trust policy are not judged, nor who a Deny is for.
    """
    try:
        answer: Any = session.client("iam").get_role(RoleName=role.rpartition("/")[2])
    except ClientError as error:
        return False if error.response["Error"]["Code"] == "NoSuchEntity" else None
    except BotoCoreError:
        return None
    document = list(statements(answer["Role"]["AssumeRolePolicyDocument"]))  # botocore has decoded it
    naming = [
        statement
        for statement in document
        if statement.get("Effect") == "Allow"
        and SERVICE in listed(other_principals(statement).get("Service", []))
    ]
    if not naming:
        return False
    certain = any(not statement.get("Condition") for statement in naming)
    return True if certain and all(statement.get("Effect") != "Deny" for statement in document) else None
