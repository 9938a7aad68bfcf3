"""One call: who makes it, of which operation, with which parameters; and what is refused about their shapes.

Not here: how it is read off the wire (``wire``), and whether it is allowed (``checks``).
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape
from moto.core.utils import get_service_model
from moto.ecr.models import ECR_REPOSITORY_NAME_PATTERN

from crossaccount_sandbox.callers import Caller
from crossaccount_sandbox.wire import AwsError, Response


@dataclass
class Call:
    """One AWS request, read: who asks for which operation of which service, with which parameters.

    ``params`` has the operation's input members under AWS's own names.
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

    @property
    def account(self) -> str:
        """The caller's account, 12 digits."""
        return self.caller.account

    @property
    def place(self) -> tuple[str, str]:
        """The account and region in which the caller's own resources lie."""
        return self.account, self.region

    @property
    def model(self) -> OperationModel:
        """The operation's botocore model."""
        model: OperationModel = get_service_model(self.service).operation_model(self.operation)
        return model


def check_shape(call: Call) -> None:
    """Refuse parameters outside the lengths, patterns, ranges and enumerations of the operation's model.

    Raises:
        AwsError: ``ValidationException`` (``ValidationError`` from the query services, ``InvalidParameterException``
            from ECR and CloudWatch Logs) in AWS's wording, naming the value and the constraint.
    """
    shape = call.model.input_shape
    if shape is None or call.service == "s3":
        return
    # A body that is passed on to a container is not read, and is among no parameters.
    body = {"Body": b""} if call.service == "sagemaker-runtime" else {}
    fault = next(iter(_faults(shape, {**call.params, **body}, "")), None)
    if fault is None:
        return
    text = f"1 validation error detected: {fault}"
    if call.service == "ecr":
        raise AwsError("InvalidParameterException", fault_of_ecr(fault))
    if call.service == "logs":
        raise AwsError("InvalidParameterException", text)
    if call.service == "iam":
        raise AwsError("ValidationError", fault_of_iam(fault))
    plain = call.model.service_model.protocol == "query" or call.service == "sagemaker-runtime"
    raise AwsError("ValidationError" if plain else "ValidationException", text)


_BAD_NAME = (
    r"Value at '(\w+)' failed to satisfy constraint: Member must satisfy regular expression pattern: "
    + re.escape(r"[\w+=,.@-]+")
)


def fault_of_iam(fault: str) -> str:
    """A fault in IAM's own wording, which tells no values, and says of a name what it may have.

    Source: recordings of IAM by localstack; since 2024 also public reports of roles' names (aws/eks-hybrid, pull request 113).
    """
    bare = re.sub(r"\AValue (?:'.*'|null) at '", "Value at '", fault, flags=re.DOTALL)
    name = re.fullmatch(_BAD_NAME, bare)
    if name is not None:
        return (
            f"The specified value for {name[1]} is invalid. It must contain only alphanumeric characters and/or the "
            "following: +=,.@_-"
        )
    return f"1 validation error detected: {bare}"


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


def _faults(shape: Shape, value: Any, path: str) -> Iterable[str]:
    if value is None:
        return
    if isinstance(shape, StructureShape):
        for name in shape.required_members:
            if not isinstance(value, Mapping) or value.get(name) is None:
                yield f"Value null at '{_join(path, name)}' failed to satisfy constraint: Member must not be null"
        for name, member in shape.members.items():
            if isinstance(value, Mapping) and name in value:
                yield from _faults(member, value[name], _join(path, name))
    elif isinstance(shape, ListShape) and isinstance(value, list):
        yield from _length(shape, value, path)
        for index, item in enumerate(value):
            yield from _faults(shape.member, item, f"{path}.{index + 1}.member")
    elif isinstance(shape, MapShape) and isinstance(value, Mapping):
        yield from _length(shape, value, path)
        for key, item in value.items():
            yield from _faults(shape.value, item, f"{path}.{key}")
    elif isinstance(value, str):
        yield from _length(shape, value, path)
        yield from _pattern(shape, value, path)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield from _range(shape, value, path)


def _join(path: str, name: str) -> str:
    member = name[:1].lower() + name[1:]
    return f"{path}.{member}" if path else member


def _says(shape: Shape, value: Any, path: str, constraint: str) -> str:
    """The fault of a value; AWS does not repeat a sensitive one."""
    shown = "" if shape.metadata.get("sensitive") else f" '{value}'"
    return f"Value{shown} at '{path}' failed to satisfy constraint: Member must {constraint}"


def _length(shape: Shape, value: Any, path: str) -> Iterable[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if high is not None and len(value) > high:
        yield _says(shape, value, path, f"have length less than or equal to {high}")
    if low is not None and len(value) < low:
        yield _says(shape, value, path, f"have length greater than or equal to {low}")


def _range(shape: Shape, value: float, path: str) -> Iterable[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if high is not None and value > high:
        yield _says(shape, value, path, f"have value less than or equal to {high}")
    if low is not None and value < low:
        yield _says(shape, value, path, f"have value greater than or equal to {low}")


def _pattern(shape: Shape, value: str, path: str) -> Iterable[str]:
    choices = shape.metadata.get("enum")
    if choices and value not in choices:
        yield _says(shape, value, path, f"satisfy enum value set: [{', '.join(choices)}]")
    pattern = shape.metadata.get("pattern")
    compiled = _compile(pattern) if pattern else None
    if compiled is not None and not compiled.fullmatch(value):
        yield _says(shape, value, path, f"satisfy regular expression pattern: {pattern}")


@cache
def _compile(pattern: str) -> re.Pattern[str] | None:
    """The pattern as Python reads it; None for the few that use what only Java's dialect has."""
    try:
        return re.compile(_java(pattern))
    except re.error:
        return None


_JAVA = {
    r"\p{L}": r"\w",
    r"\p{Z}": r"\s",
    r"\p{N}": r"\d",
    r"\p{Alnum}": "a-zA-Z0-9",
    r"\p{ASCII}": r"\x00-\x7f",
    r"\p{Print}": r"\x20-\x7e",
}


def _java(pattern: str) -> str:
    """A pattern in Java's dialect as Python reads it: its classes, within brackets and outside, and the end of the text."""
    read, inside = [], False
    for part in re.findall(r"\\p\{\w+\}|\\.|.", pattern, re.DOTALL):
        inside = (inside or part == "[") and part != "]"
        known = _JAVA.get(part)
        plain = r"\Z" if part == r"\z" else part
        read.append(plain if known is None else known if inside else f"[{known}]")
    return "".join(read)
