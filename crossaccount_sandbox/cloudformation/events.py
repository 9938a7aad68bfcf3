"""What befalls a stack and its resources, kept as events; and the words in which a service's refusal is told there.

Source: "StackEvent" in the AWS CloudFormation API reference; localstack's recordings; public logs of failed deployments, and
"Handler error codes" in the CloudFormation CLI user guide.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from uuid import uuid4

from crossaccount_sandbox.cloudformation.records import DELETED, Resource, Stack
from crossaccount_sandbox.wire import AwsError

_STACK = "AWS::CloudFormation::Stack"


class Diary:
    """The events of a stack, which are also its status and that of its resources.

    Args:
        stack: whose they are; it is changed.
        clock: the time of events.
    """

    def __init__(self, stack: Stack, clock: Callable[[], datetime]) -> None:
        self._stack, self._clock = stack, clock

    def stack_is(self, status: str, reason: str = "") -> None:
        """The stack is now in this status."""
        stack = self._stack
        stack.status, stack.reason = status, reason
        if status == DELETED:
            stack.deleted = self._clock()
        self._event(stack.name, _STACK, stack.id, status, reason, {"EventId": str(uuid4())})

    def resource_is(self, resource: Resource, status: str, reason: str = "") -> None:
        """A resource is now in this status."""
        resource.status, resource.reason, resource.when = status, reason, self._clock()
        stamp = resource.when.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        more = {
            "EventId": f"{resource.logical_id}-{status}-{stamp}",
            "ResourceProperties": json.dumps(resource.properties, default=str),
        }
        self._event(resource.logical_id, resource.type, resource.physical_id, status, reason, more)

    def _event(
        self, name: str, type_name: str, physical_id: str, status: str, reason: str, more: dict[str, str]
    ) -> None:
        event = {
            "StackId": self._stack.id,
            "StackName": self._stack.name,
            "LogicalResourceId": name,
            "PhysicalResourceId": physical_id,
            "ResourceType": type_name,
            "Timestamp": self._clock(),
            "ResourceStatus": status,
            **({"ResourceStatusReason": reason} if reason else {}),
            **more,
        }
        self._stack.events.append(event)


_HANDLER_CODES = {
    "AlreadyExists": ("AlreadyExists", "AlreadyOwned"),
    "AccessDenied": ("AccessDenied", "Unauthorized", "Forbidden"),
    "NotFound": ("NoSuch", "NotFound", "ResourceNotFound"),
    "ServiceLimitExceeded": ("LimitExceeded",),
    "Throttling": ("Throttling",),
    "InvalidRequest": ("Malformed", "Validation", "Invalid"),
}


def reason_of(error: AwsError) -> str:
    """Why a resource failed, as an event says it: a service's words in those of the type's handler.

    Args:
        error: a service's, with its name among ``extra`` as ``Service``, or one of CloudFormation's own.
    """
    service = error.extra.get("Service")
    if service is None:
        return error.message
    code = next(
        (name for name, parts in _HANDLER_CODES.items() if any(part in error.code for part in parts)),
        "GeneralServiceException",
    )
    said = f"{error.message} (Service: {service}, Status Code: {error.status}, Request ID: {uuid4()}) (SDK Attempt Count: 1)"
    return f'Resource handler returned message: "{said}" (RequestToken: {uuid4()}, HandlerErrorCode: {code})'
