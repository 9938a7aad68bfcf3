"""One call: who makes it, of which operation, with which parameters; and what is refused about their shapes.

Not here: how it is read off the wire (``wire``), and whether it is allowed (``checks``).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.model import OperationModel
from moto.core.utils import get_service_model
from moto.ecr.models import ECR_REPOSITORY_NAME_PATTERN

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
            ``InvalidParameterException`` from ECR, ECS and CloudWatch Logs) in AWS's wording, naming each value and constraint.
    """
    shape = call.model.input_shape
    if shape is None or call.service == "s3":
        return
    # A body that is passed on to a container is not read, and is among no parameters.
    body = {"Body": b""} if call.service == "sagemaker-runtime" else {}
    found = violations(shape, {**call.params, **body}, call.spoken)
    if not found:
        return
    if call.service == "ecr":
        raise AwsError("InvalidParameterException", fault_of_ecr(found[0]))
    if call.service == "iam" and (name := _BAD_NAME.fullmatch(found[0])):
        # Source: public reports, of Terraform's import of roles by their paths and of others.
        text = (
            f"The specified value for {name[1]} is invalid. It must contain only alphanumeric characters and/or the "
            "following: +=,.@_-"
        )
        raise AwsError("ValidationError", text)
    text = f"{len(found)} validation error{'s' if len(found) > 1 else ''} detected: {'; '.join(found)}"
    if call.service in ("logs", "ecs"):
        raise AwsError("InvalidParameterException", text)
    plain = call.spoken.in_query_codes or call.service == "sagemaker-runtime"
    raise AwsError("ValidationError" if plain else "ValidationException", text)


_BAD_NAME = re.compile(
    r"Value at '(\w+)' failed to satisfy constraint: Member must satisfy regular expression pattern: "
    + re.escape(r"[\w+=,.@-]+")
)


def fault_of_ecr(fault: str) -> str:
    """A fault in ECR's own wording, which shows an older pattern of repositories' names than it holds them to.

    Source: a recording of ECR by cloud-custodian.
    """
    text = re.sub(
        r"Value '?(.*?)'? at '(.*)' failed to satisfy constraint: (.*)",
        r"Invalid parameter at '\2' failed to satisfy constraint: '\3'",
        fault,
        flags=re.DOTALL,
    )
    name, found, pattern = text.partition("'Member must satisfy regular expression pattern: ")
    if not found:
        return text
    shown = ECR_REPOSITORY_NAME_PATTERN if "'repositoryName'" in name else pattern.removesuffix("'")
    return f"{name}'must satisfy regular expression '{shown}''"
