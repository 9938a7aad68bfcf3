"""CloudFormation: stacks whose roles hold their inline policies as IAM does."""

import json

from moto.iam.models import iam_backends

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.wire import Response
from crossaccount_sandbox.world import Handler, World


def write_stack(world: World, call: Call) -> Response:
    """The operations that make a stack's resources: moto keeps a role's inline policies as it read them, IAM as JSON."""
    response = call.forward(call.account)
    for role in iam_backends[call.account]["aws"].roles.values():
        for name, document in role.policies.items():
            role.policies[name] = document if isinstance(document, str) else json.dumps(document)
    return response


HANDLERS: dict[str, Handler] = dict.fromkeys(("CreateStack", "ExecuteChangeSet", "UpdateStack"), write_stack)
