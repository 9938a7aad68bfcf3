"""Resource policies as AWS keeps them: who may be named, how large they may be, and what becomes of a deleted role.

A role's or user's ARN is kept as the unique id it had when the policy was put. While it lives, reading shows the ARN
again; once it is gone (or made anew under the same name) reading shows the id, and the grant holds for no one.

Not here: trust policies (they live with their roles) and the decision (``judge``).

Source: "AWS JSON policy elements: Principal" in the IAM user guide; each service's put operation.
"""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from crossaccount_sandbox import principals
from crossaccount_sandbox.judging.conditions import is_operator
from crossaccount_sandbox.judging.statements import ELEMENTS
from crossaccount_sandbox.principals import Document
from crossaccount_sandbox.wire import AwsError

_ORIGIN_ACCESS = "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity "
PolicyKey = tuple[str, str]  # the kind ("bucket", "registry", "AWS_RAM" ...) and the resource's ARN


class Attached:
    """The resource policies of every resource, by kind and ARN."""

    def __init__(self, accounts: dict[str, principals.Account]) -> None:
        """Policies may name principals of ``accounts`` (by their 12 digits) only."""
        self._accounts = accounts
        self._stored: dict[PolicyKey, str] = {}
        self._arns: dict[str, str] = {}
        self._felt: dict[PolicyKey, tuple[float, str | None]] = {}
        self._ids_until: dict[PolicyKey, float] = {}

    def put(self, key: PolicyKey, text: str, error: Callable[[str], AwsError]) -> None:
        """Attach a policy.

        Args:
            key: which resource.
            text: the document as it was sent.
            error: the service's error for a principal that does not exist.

        Raises:
            AwsError: what ``error`` makes, naming the principal.
        """
        document = json.loads(text)
        self.check_principals(document, error)
        self._stored[key] = compact(document)

    def get(self, key: PolicyKey) -> Document | None:
        """The attached policy as AWS would show it now; None without one."""
        stored = self._stored.get(key)
        as_ids = time.monotonic() < self._ids_until.get(key, 0.0)
        return self._shown(stored, (lambda name: name) if as_ids else self._shown_form)

    def felt(self, key: PolicyKey) -> Document | None:
        """The policy that requests are judged by now: the attached one, unless that has still to spread (see `lag`)."""
        until, before = self._felt.get(key, (0.0, None))
        return self._shown(before if time.monotonic() < until else self._stored.get(key), self._shown_form)

    def snapshot(self) -> dict[PolicyKey, str]:
        """What is attached now, for `lag`."""
        return dict(self._stored)

    def lag(self, before: dict[PolicyKey, str], seconds: float, *, show_ids: bool) -> None:
        """Let what was attached since a snapshot spread slowly.

        Args:
            before: the snapshot.
            seconds: how long it takes.
            show_ids: what takes so long is that ARNs are shown again in place of unique ids; else, that it is felt.
        """
        until = time.monotonic() + seconds
        for key in before.keys() | self._stored.keys():
            if before.get(key) == self._stored.get(key):
                continue
            if show_ids:
                self._ids_until[key] = until
            else:
                self._felt[key] = (until, before.get(key))

    def _shown(self, stored: str | None, form: Callable[[str], str]) -> Document | None:
        if stored is None:
            return None
        document: Document = json.loads(stored)
        _rename_principals(document, form)
        return document

    def check_principals(self, document: Document, error: Callable[[str], AwsError]) -> None:
        """Refuse a document that names a principal which does not exist; the others are named by their ids from then on."""
        service = unknown_service(document)
        if service is not None:
            raise error(service)
        _rename_principals(document, lambda name: self._stored_form(name, error))

    def drop(self, key: PolicyKey) -> bool:
        """Remove a policy; False when there was none."""
        return self._stored.pop(key, None) is not None

    def _stored_form(self, name: str, error: Callable[[str], AwsError]) -> str:
        if name == "*":
            return name
        account = name if name.isdigit() else (name.split(":")[4] if name.count(":") >= 5 else "")
        if name.startswith(_ORIGIN_ACCESS):
            return name  # whether CloudFront has it is not known here
        if account not in self._accounts:
            raise error(name)
        if name == account or name.endswith(":root"):
            return f"arn:aws:iam::{account}:root"
        if name.startswith(
            (f"arn:aws:sts::{account}:assumed-role/", f"arn:aws:sts::{account}:federated-user/")
        ):
            return name
        unique_id = principals.unique_id(name)
        if unique_id is None:
            raise error(name)
        self._arns[unique_id] = name
        return unique_id

    def _shown_form(self, name: str) -> str:
        arn = self._arns.get(name)
        return arn if arn is not None and principals.unique_id(arn) == name else name


def compact(document: Document) -> str:
    """A document as JSON without white space."""
    return json.dumps(document, separators=(",", ":"))


def laid_out(value: Any, depth: int = 1) -> str:
    """A document as KMS and ECR show it. Source: recordings of both by localstack and cloud-custodian."""
    if isinstance(value, dict) and value:
        members = [
            f"{'  ' * depth}{json.dumps(key)} : {laid_out(item, depth + 1)}" for key, item in value.items()
        ]
        return "{\n" + ",\n".join(members) + "\n" + "  " * (depth - 1) + "}"
    if isinstance(value, list) and value:
        return f"[ {', '.join(laid_out(item, depth) for item in value)} ]"
    return {"{}": "{ }", "[]": "[ ]"}.get(text := json.dumps(value), text)


def statements(document: Document) -> Iterator[dict[str, Any]]:
    """The statements of a document; a lone one may stand without its list."""
    listed = document.get("Statement", [])
    yield from [listed] if isinstance(listed, dict) else listed


def named_principals(statement: dict[str, Any]) -> list[str]:
    """The AWS principals that a statement names, ``*`` included."""
    principal = statement.get("Principal", {})
    if principal == "*":
        return ["*"]
    named = principal.get("AWS", []) if isinstance(principal, dict) else []
    return [named] if isinstance(named, str) else list(named)


def unknown_field(statement: dict[str, Any]) -> str | None:
    """The first member of a statement that is none of IAM's elements, which are written in one way alone."""
    return next((str(name) for name in statement if name not in ELEMENTS), None)


def unknown_operator(statement: dict[str, Any]) -> str | None:
    """The first operator of a statement's Condition that is none of IAM's."""
    condition = statement.get("Condition")
    named = condition if isinstance(condition, dict) else {}
    return next((str(name) for name in named if not is_operator(str(name))), None)


def unknown_service(document: Document) -> str | None:
    """The first service principal of a document that lies in no domain of AWS's; None without one.

    Which services there are inside these domains is not known here.
    """
    for statement in statements(document):
        for element in ("Principal", "NotPrincipal"):
            block = statement.get(element)
            named = block.get("Service", []) if isinstance(block, dict) else []
            for name in [named] if isinstance(named, str) else named:
                if not str(name).endswith(_SERVICE_DOMAINS):
                    return str(name)
    return None


_SERVICE_DOMAINS = (".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".aws.internal")


def _rename_principals(document: Document, form: Callable[[str], str]) -> None:
    """Give every AWS principal that a document names another form, in place."""
    for statement in statements(document):
        for element in ("Principal", "NotPrincipal"):
            block = statement.get(element)
            if isinstance(block, dict) and "AWS" in block:
                names = block["AWS"]
                renamed = form(names) if isinstance(names, str) else [form(name) for name in names]
                statement[element] = {**block, "AWS": renamed}


def load(text: str, error: Callable[[str], AwsError]) -> Document:
    """A policy document, read strictly.

    Args:
        text: the document as it was sent.
        error: the service's error for a document that is none.

    Raises:
        AwsError: what ``error`` makes, saying what is wrong.
    """
    try:
        document = json.loads(text)
    except ValueError:
        raise error("it is not JSON") from None
    if not isinstance(document, dict) or not document.get("Statement"):
        raise error("it has no Statement")
    if document.get("Version", "2008-10-17") not in ("2012-10-17", "2008-10-17"):
        raise error(f"its Version {document['Version']!r} is none of AWS's")
    for statement in statements(document):
        if not isinstance(statement, dict) or statement.get("Effect") not in ("Allow", "Deny"):
            raise error("a statement has no Effect of Allow or Deny")
        if ("Action" in statement) == ("NotAction" in statement):
            raise error("a statement needs one of Action and NotAction")
        if ("Principal" in statement) == ("NotPrincipal" in statement):
            raise error("a statement of a resource policy needs one of Principal and NotPrincipal")
        if field := unknown_field(statement):
            raise error(f"a statement has no field {field}")
        if operator := unknown_operator(statement):
            raise error(f"a condition has no operator {operator}")
    return document
