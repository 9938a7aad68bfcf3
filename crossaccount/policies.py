"""Policy documents as pure functions: statements in, documents out; and when two documents mean the same.

It knows AWS's grammar and this project's statements, and touches no client, clock or environment.

A statement of ours is known by its Sid: ``CrossAccount``, a word, eight hexadecimal digits of the group's ARN and four of
the statement's terms. Two groups never touch each other's statements, consumers with the same terms share one, and a
consumer whose terms change moves to another. Under the preset ``aws-docs`` the statements are the AWS page's own, Sids
included, and are known by their whole body.

Source: "Deploy a Model Version from a Different Account" in the SageMaker developer guide; "Key policies" in the KMS
developer guide; "Amazon ECR repository policies"; the IAM JSON policy reference.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

Statement = dict[str, Any]
Document = dict[str, Any]

PULL_ACTIONS = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
_MARK = "CrossAccount"
DOCS_SIDS = frozenset({"AddPerm", "AddPermModelPackageGroup", "AddPermModelPackageVersion"})


def group_statements(
    group_arn: str, package_arns: Sequence[str], principals: Sequence[str]
) -> list[Statement]:
    """What a consumer may do with the group itself, and with its versions."""
    read_group = ["sagemaker:DescribeModelPackageGroup", "sagemaker:ListModelPackages"]
    deploy = ["sagemaker:CreateModel", "sagemaker:DescribeModelPackage", "sagemaker:ListModelPackages"]
    return [
        _ours(group_arn, "Group", principals, Action=read_group, Resource=group_arn),
        _ours(group_arn, "Versions", principals, Action=deploy, Resource=_scalar(package_arns)),
    ]


def repository_statements(group_arn: str, principals: Sequence[str]) -> list[Statement]:
    """Pulling the image. A repository policy has no Resource element."""
    return [_ours(group_arn, "Pull", principals, Action=list(PULL_ACTIONS))]


def bucket_statements(
    group_arn: str, bucket_arn: str, prefixes: Sequence[str], principals: Sequence[str]
) -> list[Statement]:
    """Reading what lies under the prefixes, and listing it: without listing, a missing object reads as a refusal."""
    listed = [_literal(prefix) + ("*" if prefix.endswith("/") else "") for prefix in prefixes]
    objects = [f"{bucket_arn}/{pattern}" for pattern in listed]
    condition = {"StringLike": {"s3:prefix": _scalar(listed)}}
    return [
        _ours(group_arn, "Read", principals, Action="s3:GetObject", Resource=_scalar(objects)),
        _ours(
            group_arn, "List", principals, Action="s3:ListBucket", Resource=bucket_arn, Condition=condition
        ),
    ]


def key_statements(group_arn: str, principals: Sequence[str]) -> list[Statement]:
    """Decrypting artifacts. In a key policy the resource ``*`` is the key itself."""
    return [_ours(group_arn, "Decrypt", principals, Action=["kms:Decrypt", "kms:DescribeKey"], Resource="*")]


def docs_group_statements(group_arn: str, principals: Sequence[str]) -> list[Statement]:
    """The AWS page's policy of a model package group."""
    versions = group_arn.replace(":model-package-group/", ":model-package/") + "/*"
    actions = ["DescribeModelPackage", "ListModelPackages", "UpdateModelPackage", "CreateModel"]
    return [
        {
            "Sid": "AddPermModelPackageGroup",
            "Effect": "Allow",
            "Principal": _aws(principals),
            "Action": ["sagemaker:DescribeModelPackageGroup"],
            "Resource": group_arn,
        },
        {
            "Sid": "AddPermModelPackageVersion",
            "Effect": "Allow",
            "Principal": _aws(principals),
            "Action": [f"sagemaker:{action}" for action in actions],
            "Resource": versions,
        },
    ]


def docs_repository_statements(principals: Sequence[str]) -> list[Statement]:
    """The AWS page's policy of an ECR repository."""
    return [{"Sid": "AddPerm", "Effect": "Allow", "Principal": _aws(principals), "Action": ["ecr:*"]}]


def docs_bucket_statements(bucket_arn: str, principals: Sequence[str]) -> list[Statement]:
    """The AWS page's policy of a bucket."""
    statement = {"Sid": "AddPerm", "Effect": "Allow", "Principal": _aws(principals), "Action": "s3:*"}
    return [{**statement, "Resource": f"{bucket_arn}/*"}]


def _ours(group_arn: str, word: str, principals: Sequence[str], **terms: Any) -> Statement:
    digest = hashlib.sha256(json.dumps(terms, sort_keys=True).encode()).hexdigest()[:4]
    sid = f"{_MARK}{word}{_group_mark(group_arn)}{digest}"
    return {"Sid": sid, "Effect": "Allow", "Principal": _aws(principals), **terms}


def _literal(key: str) -> str:
    """A key as a policy writes it: a character of the key that is a wildcard there stands for itself alone."""
    return re.sub(r"[*?$]", lambda found: f"${{{found[0]}}}", key)


def _group_mark(group_arn: str) -> str:
    return hashlib.sha256(group_arn.encode()).hexdigest()[:8]


def _aws(names: Iterable[str]) -> dict[str, Any]:
    """The principals, each once: an account's number and its root's ARN are one, written as the ARN where both occur."""
    by_meaning = {principal_key(name): name for name in sorted(names)}
    return {"AWS": _scalar(sorted(by_meaning.values()))}


def _scalar(values: Sequence[str]) -> Any:
    return values[0] if len(values) == 1 else list(values)


# Ownership: which statements of an existing document are this project's.


def is_owned(statement: Statement, group_arn: str) -> bool:
    """True for a statement that carries the mark of this group. We deny nothing: a Deny is a stranger's, whatever its Sid."""
    sid = str(statement.get("Sid", ""))
    return (
        statement.get("Effect") == "Allow"
        and sid.startswith(_MARK)
        and sid[:-4].endswith(_group_mark(group_arn))
    )


def _owns(ours: Sequence[Statement], group_arn: str) -> Callable[[Statement], bool]:
    """Which statements are this project's: marked ones, and the AWS page's when they have the page's very body."""
    pages = [_body(statement) for statement in ours if statement["Sid"] in DOCS_SIDS]

    def owns(statement: Statement) -> bool:
        return is_owned(statement, group_arn) or (
            statement.get("Sid") in DOCS_SIDS and _only_accounts(statement) and _body(statement) in pages
        )

    return owns


def _only_accounts(statement: Statement) -> bool:
    principal = statement.get("Principal")
    return isinstance(principal, dict) and set(principal) == {"AWS"}


def _body(statement: Statement) -> str:
    return _canonical_statement(
        {key: value for key, value in statement.items() if key not in ("Sid", "Principal")}
    )


def is_ours(statement: Statement, ours: Sequence[Statement], group_arn: str) -> bool:
    """True for a statement that this project may change."""
    return _owns(ours, group_arn)(statement)


def collisions(existing: Document | None, ours: Sequence[Statement], group_arn: str) -> list[str]:
    """The Sids that we would use and that a stranger's statement already has."""
    owns, sids = _owns(ours, group_arn), {statement["Sid"] for statement in ours}
    return [
        str(statement["Sid"])
        for statement in statements(existing)
        if statement.get("Sid") in sids and not owns(statement)
    ]


# The two directions.


def granted(existing: Document | None, ours: Sequence[Statement], group_arn: str) -> Document:
    """The document with our statements in it.

    Strangers' statements stay, unchanged and in order. Other principals that already have the same terms keep them; our
    principals lose any other terms of this group.
    """
    named = {principal_key(principal) for statement in ours for principal in principals(statement)}
    by_sid = {statement["Sid"]: statement for statement in ours}
    owns, kept, placed = _owns(ours, group_arn), [], set()
    for statement in statements(existing):
        if not owns(statement):
            kept.append(statement)
            continue
        wanted = by_sid.get(statement["Sid"])
        if wanted is None:
            kept += _without(statement, named)
            continue
        placed.add(statement["Sid"])
        everyone = {**_others(statement), **_aws([*principals(statement), *principals(wanted)])}
        together = {**wanted, "Principal": everyone}
        kept.append(
            statement if _canonical_statement(together) == _canonical_statement(statement) else together
        )
    added = [statement for statement in ours if statement["Sid"] not in placed]
    return _document(existing, [*kept, *added])


def revoked(
    existing: Document | None, ours: Sequence[Statement], group_arn: str, leaving: Iterable[str]
) -> Document | None:
    """The document without these principals in our statements; None when no statement is left."""
    owns, gone = _owns(ours, group_arn), {principal_key(name) for name in leaving}
    kept: list[Statement] = []
    for statement in statements(existing):
        kept += _without(statement, gone) if owns(statement) else [statement]
    return _document(existing, kept) if kept else None


def _without(statement: Statement, leaving: set[str]) -> list[Statement]:
    named = principals(statement)
    staying = [principal for principal in named if principal_key(principal) not in leaving]
    if len(staying) == len(named):
        return [statement]
    left = {**_others(statement), **(_aws(staying) if staying else {})}
    return [{**statement, "Principal": left}] if left else []


def _others(statement: Mapping[str, Any]) -> dict[str, Any]:
    """The principals that are no AWS accounts: services and the like. Somebody put them there; they stay."""
    principal = statement.get("Principal")
    return (
        {kind: names for kind, names in principal.items() if kind != "AWS"}
        if isinstance(principal, dict)
        else {}
    )


def _document(existing: Document | None, kept: list[Statement]) -> Document:
    return {**(existing or {"Version": "2012-10-17"}), "Statement": kept}


# Reading and comparing.


def statements(document: Mapping[str, Any] | None) -> Iterator[Statement]:
    """A document's statements; a lone one may stand without its list."""
    found = (document or {}).get("Statement", [])
    yield from [found] if isinstance(found, dict) else found


def principals(statement: Mapping[str, Any]) -> list[str]:
    """The AWS principals of a statement as it names them; ``*`` for anyone."""
    principal = statement.get("Principal")
    if principal == "*":
        return ["*"]
    named = principal.get("AWS", []) if isinstance(principal, dict) else []
    return [named] if isinstance(named, str) else list(named)


def beneficiaries(statement: Mapping[str, Any]) -> list[str]:
    """Whoever an Allow lets in, of every kind; ``*`` for anyone, and NotPrincipal is nearly anyone."""
    if "NotPrincipal" in statement:
        return ["*"]
    return [
        *principals(statement),
        *(f"{kind} {_canonical_names(n)}" for kind, n in _others(statement).items()),
    ]


_ROOT = re.compile(r"arn:[a-z-]+:iam::(\d{12}):root")


def principal_key(name: str) -> str:
    """A principal as policies compare it: the ARN of an account's root is the account's number."""
    match = _ROOT.fullmatch(name)
    return match[1] if match else name


def same(one: Document | None, other: Document | None) -> bool:
    """True when two documents mean the same: order, scalar or list, and ways of writing an account do not count."""
    return canonical(one) == canonical(other)


def canonical(document: Document | None) -> str:
    """A text that is equal for documents that mean the same."""
    if document is None:
        return ""
    found = sorted(_canonical_statement(statement) for statement in statements(document))
    return json.dumps([document.get("Version", "2008-10-17"), found])


def _canonical_statement(statement: Mapping[str, Any]) -> str:
    plain = {key: _canonical_value(key, value) for key, value in statement.items()}
    return json.dumps(plain, sort_keys=True)


def _canonical_value(key: str, value: Any) -> Any:
    if key in ("Action", "NotAction"):
        return sorted(item.lower() for item in ([value] if isinstance(value, str) else value))
    if key in ("Resource", "NotResource"):
        return sorted([value] if isinstance(value, str) else value)
    if key in ("Principal", "NotPrincipal"):
        return (
            {"AWS": ["*"]}
            if value == "*"
            else {kind: _canonical_names(names) for kind, names in value.items()}
        )
    if key == "Condition":
        return {
            operator: {name.lower(): _canonical_values(values) for name, values in keys.items()}
            for operator, keys in value.items()
        }
    return value


def _canonical_names(value: Any) -> list[str]:
    return sorted({principal_key(str(item)) for item in (value if isinstance(value, list) else [value])})


def _canonical_values(value: Any) -> list[str]:
    """A condition's values: they are texts, and a truth is written as JSON writes it."""
    found = value if isinstance(value, list) else [value]
    return sorted({str(one).lower() if isinstance(one, bool) else str(one) for one in found})


def size(document: Document) -> int:
    """The document's length in bytes as it is sent: compact JSON."""
    return len(compact(document).encode())


def compact(document: Document) -> str:
    """The document as it is sent: one line, since SageMaker takes no line break."""
    return json.dumps(document, separators=(",", ":"))
