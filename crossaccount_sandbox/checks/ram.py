"""What AWS checks for the operations of AWS RAM, in the caller's own account.

Source: the Service Authorization Reference.
"""

from collections.abc import Iterator

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.check import Check, Rule, own
from crossaccount_sandbox.wire import AwsError


def _by_arn(parameter: str, kind: str) -> Rule:
    """A resource share or a permission, by its ARN.

    The rule raises an ``AwsError``: ``MalformedArnException`` for what is no ARN of that kind.
    """

    def rule(call: Call) -> Iterator[Check]:
        arn = str(call.params.get(parameter, ""))
        if not arn.startswith("arn:aws:ram:") or f":{kind}/" not in arn:
            raise AwsError("MalformedArnException", f"The specified ARN is not valid: {arn}")
        yield Check(f"ram:{call.operation}", arn, arn.split(":")[4], context=_keys(kind, arn))

    return rule


def _keys(kind: str, arn: str) -> dict[str, str]:
    if kind != "permission":
        return {}
    return {"ram:PermissionArn": arn, "ram:PermissionResourceType": "sagemaker:ModelPackageGroup"}


RULES: dict[str, Rule] = {
    "GetResourceShareAssociations": own("ram:GetResourceShareAssociations"),
    "GetResourceShares": own("ram:GetResourceShares"),
    "ListResources": own("ram:ListResources"),
    "ListResourceSharePermissions": _by_arn("resourceShareArn", "resource-share"),
    "PromotePermissionCreatedFromPolicy": _by_arn("permissionArn", "permission"),
    "PromoteResourceShareCreatedFromPolicy": _by_arn("resourceShareArn", "resource-share"),
}
