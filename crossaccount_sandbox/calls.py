"""One call: who makes it, of which operation, with which parameters; and what is refused about their shapes.

Not here: how it is read off the wire (``wire``), and whether it is allowed (``checks``).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.model import OperationModel
from moto.core.utils import get_service_model

from crossaccount_sandbox.callers import Caller
from crossaccount_sandbox.constraints import violations
from crossaccount_sandbox.protocols import Spoken, spoken_to
from crossaccount_sandbox.wire import AwsError, Response

# A further call that a service makes for a caller: of which service and operation, with which parameters. Its answer under
# AWS's own names; an AwsError for a refusal.
Further = Callable[[Caller, str, str, Mapping[str, Any]], dict[str, Any]]


def _no_further(caller: Caller, service: str, operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
    raise AssertionError(f"{service}:{operation} is asked of no one")


@dataclass
class Call:
    """One AWS request, read: who asks for which operation of which service, with which parameters.

    ``params`` has the operation's input members under AWS's own names; ``further`` makes another call, judged as any;
    ``via`` is the service that makes this one for its caller, None for a request of the caller's own.
    """

    caller: Caller
    service: str
    operation: str
    params: dict[str, Any]
    region: str
    environ: dict[str, Any]
    body: bytes
    headers: Mapping[str, str]
    forward: Callable[[str | None], Response] = field(repr=False)
    further: Further = field(default=_no_further, repr=False)
    via: str | None = None

    @property
    def account(self) -> str:
        """The caller's account, 12 digits."""
        return self.caller.account

    @property
    def place(self) -> tuple[str, str]:
        """The account and region in which the caller's own resources lie."""
        return self.account, self.region

    @property
    def spoken(self) -> Spoken:
        """The service, and the protocol in which it is asked and answers."""
        return spoken_to(self.service, self.environ, self.body)

    @property
    def model(self) -> OperationModel:
        """The operation's botocore model."""
        model: OperationModel = get_service_model(self.service).operation_model(self.operation)
        return model


def check_shape(call: Call) -> None:
    """Refuse parameters outside the lengths, patterns, ranges and enumerations of the operation's model.

    Raises:
        AwsError: ``ValidationException`` (``ValidationError`` from the services of the query protocol,
            ``InvalidParameterException`` from ECR) in AWS's wording, naming each value and constraint.
    """
    shape = call.model.input_shape
    if shape is None or call.service in ("s3", "sagemaker-runtime"):
        return
    found = violations(shape, call.params, call.spoken)
    if not found:
        return
    if call.service == "ecr":
        raise AwsError("InvalidParameterException", fault_of_ecr(found[0]))
    text = f"{len(found)} validation error{'s' if len(found) > 1 else ''} detected: {'; '.join(found)}"
    raise AwsError("ValidationError" if call.spoken.in_query_codes else "ValidationException", text)


def fault_of_ecr(fault: str) -> str:
    """A fault in ECR's own wording."""
    return re.sub(
        r"Value '(.*)' at '(.*)' failed to satisfy constraint: (.*)",
        r"Invalid parameter at '\2' failed to satisfy constraint: '\3'",
        fault,
        flags=re.DOTALL,
    )
