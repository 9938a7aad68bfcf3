"""The side that a refusal comes from: asks IAM what the consumer's own roles may, and narrows the refusal down.

AWS names the resource's policy in many cross-account refusals even when the caller's own policy lacks the permission, and one
SageMaker text has five causes. Three answers to every question: yes, no, cannot tell. It never makes a call that
changes anything, and it is asked only once something was refused. Not here: reading AWS's texts (``refusals``).

Source: SimulatePrincipalPolicy in the IAM API reference (it judges the identity's policies and the permissions boundary,
not the policies of resources).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from crossaccount.errors import DoorName, Refused
from crossaccount.policy.audience import SERVICE
from crossaccount.policy.documents import listed, other_principals, statements

if TYPE_CHECKING:
    import boto3

_ROLE_DOORS = (DoorName.ROLE_TRUST, DoorName.CALLER_POLICY, DoorName.EXECUTION_ROLE)


def narrow(refused: Refused, session: boto3.Session, role: str) -> Refused:
    """The same refusal, with the caller's own policy as its cause, ruled out, or named as not ruled out.

    Args:
        refused: a refusal of a call that ``role`` made.
        session: of the role's account.
        role: the role's ARN.
    """
    refusal = refused.refusal
    if refusal.door in _ROLE_DOORS or ":" not in refusal.action:
        return refused
    may = allows(session, role, refusal.action, refusal.resource)
    if may is None:
        doubt = f"Whether {role} itself may do it could not be asked (iam:SimulatePrincipalPolicy)."
        return Refused(replace(refusal, next_step=f"{refusal.next_step} {doubt}"))
    if may:
        return Refused(
            replace(refusal, ruled_out=(*refusal.ruled_out, f"the policies of {role}: they allow it"))
        )
    account = role.split(":")[4]
    step = (
        f"In account {account}, the policies of {role} must allow {refusal.action} on {refusal.resource}. The templates in "
        "deployments/iam have every permission that is needed."
    )
    return Refused(replace(refusal, door=DoorName.CALLER_POLICY, account=account, next_step=step))


def narrow_execution_role(
    refused: Refused, session: boto3.Session, role: str, needed: Mapping[str, str], ruled_out: tuple[str, ...]
) -> Refused:
    """A refusal that SageMaker met with the execution role, with the permissions that the role lacks.

    Args:
        refused: a refusal of CreateModel, or of bringing up its endpoint.
        session: of the role's account.
        role: the execution role's ARN.
        needed: each action that the role needs, with the resource that it needs it on.
        ruled_out: causes that were ruled out before.
    """
    refusal = refused.refusal
    out = list(ruled_out)
    trust = trusts_sagemaker(session, role)
    if trust is False:
        step = (
            f"In account {refusal.account}, the trust policy of {role} must allow sts:AssumeRole for the service principal "
            "sagemaker.amazonaws.com, as ExecutionRole in deployments/iam/consumer.yaml does."
        )
        return Refused(replace(refusal, door=DoorName.EXECUTION_ROLE, next_step=step, ruled_out=tuple(out)))
    if trust:
        out.append("the trust policy of the execution role: it lets SageMaker in")
    answers = {action: allows(session, role, action, resource) for action, resource in needed.items()}
    lacking = [f"{action} on {needed[action]}" for action, may in answers.items() if may is False]
    if lacking:
        step = f"In account {refusal.account}, the policies of {role} must allow {', and '.join(lacking)}."
        account = role.split(":")[4]
        return Refused(
            replace(
                refusal, door=DoorName.EXECUTION_ROLE, account=account, next_step=step, ruled_out=tuple(out)
            )
        )
    if all(answers.values()):
        out.append("the policies of the execution role: they allow everything it needs")
    return Refused(replace(refusal, ruled_out=tuple(out)))


def allows(session: boto3.Session, role: str, action: str, resource: str) -> bool | None:
    """Whether a role's own policies allow an action on a resource; None when IAM could not be asked."""
    try:
        answer: Any = session.client("iam").simulate_principal_policy(
            PolicySourceArn=role, ActionNames=[action], ResourceArns=[resource]
        )
    except (ClientError, BotoCoreError):
        return None
    results = answer["EvaluationResults"]
    return bool(results) and all(result["EvalDecision"] == "allowed" for result in results)


def trusts_sagemaker(session: boto3.Session, role: str) -> bool | None:
    """Whether a role's trust policy names SageMaker's service principal; None when the role could not be read.

    A role that does not exist trusts no one. Conditions of the trust policy are not judged.
    """
    try:
        answer: Any = session.client("iam").get_role(RoleName=role.rpartition("/")[2])
    except ClientError as error:
        return False if error.response["Error"]["Code"] == "NoSuchEntity" else None
    except BotoCoreError:
        return None
    return any(
        statement.get("Effect") == "Allow"
        and SERVICE in listed(other_principals(statement).get("Service", []))
        for statement in statements(answer["Role"]["AssumeRolePolicyDocument"])  # botocore has decoded it
    )
