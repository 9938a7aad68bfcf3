"""The accounts, roles and users that exist, and the identity policies they carry, read from the IAM emulation.

Not here: resource policies (``attached``) and the decision (``judge``).
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from typing import Any, NamedTuple
from urllib.parse import unquote

from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.models import AWSManagedPolicy, iam_backends

Document = dict[str, Any]


@dataclass(frozen=True)
class Account:
    """An AWS account of the sandbox.

    Args:
        name: its name here.
        id: its 12 digits.
        organization: the id of the organization it belongs to; None for an account of its own.
        path: where in its organization it lies, ``o-ORGANIZATION/r-ROOT/ou-UNIT/``, as ``aws:PrincipalOrgPaths`` has it.
    """

    name: str
    id: str
    organization: str | None
    path: str | None = None


def canonical_id(account: str) -> str:
    """The id by which S3 shows an account as an owner: 64 hexadecimal digits, the same wherever it is shown."""
    return hashlib.sha256(f"canonical user of {account}".encode()).hexdigest()


@lru_cache(maxsize=4096)
def parse(document: str) -> Document:
    """A policy document as a dict; IAM also hands documents out URL-encoded."""
    text = document if document.lstrip().startswith("{") else unquote(document)
    loaded: Document = json.loads(text)
    return loaded


def find_role(arn: str) -> Any | None:
    """The role with this ARN (path included); None when it does not exist."""
    return _find(arn, "roles")


def find_user(arn: str) -> Any | None:
    """The user with this ARN (path included); None when it does not exist."""
    return _find(arn, "users")


def _find(arn: str, table: str) -> Any | None:
    account = arn.split(":")[4] if arn.count(":") >= 5 else ""
    held = list(getattr(iam_backends[account]["aws"], table).values()) if account in iam_backends else ()
    return next((principal for principal in held if principal.arn == arn), None)


def principal_arn(kind: str, name: str, account: str) -> str:
    """The ARN of a role or user by its name, with its path; without one where there is none of this name.

    Args:
        kind: ``role`` or ``user``.
        name: its name.
        account: 12 digits.
    """
    held = list(getattr(iam_backends[account]["aws"], f"{kind}s").values()) if account in iam_backends else ()
    found = next((str(principal.arn) for principal in held if principal.name == name), None)
    return found or f"arn:aws:iam::{account}:{kind}/{name}"


def boundary_of(arn: str) -> str | None:
    """The ARN of the permissions boundary of a role or user; None without one."""
    holder = find_role(arn) if ":role/" in arn else find_user(arn)
    return getattr(holder, "permissions_boundary_arn", None) or None


def unique_id(arn: str) -> str | None:
    """The id under which IAM knows the role (AROA...) or user (AIDA...) with this ARN; None if it does not exist."""
    if ":role/" in arn:
        role = find_role(arn)
        return None if role is None else str(role.id)
    user = find_user(arn)
    return None if user is None else user_id(user)


def user_id(user: Any) -> str:
    """A user's unique id in IAM's form: AIDA and 17 characters."""
    held = str(user.id)
    return held if held.startswith("AIDA") else "AIDA" + held.upper()[:17]


def tags_of(arn: str) -> dict[str, str]:
    """The tags of the role or user with this ARN; none when it does not exist."""
    if ":role/" in arn:
        role = find_role(arn)
        listed = [] if role is None else list(role.tags or ())
    else:
        user = find_user(arn)
        listed = (
            []
            if user is None
            else iam_backends[user.account_id]["aws"].tagger.list_tags_for_resource(arn)["Tags"]
        )
    return {tag["Key"]: tag["Value"] for tag in listed}


def managed_document(arn: str) -> Document | None:
    """The managed policy with this ARN, its default version; None when there is none.

    AWS's own are those of the emulation's copy of them.
    """
    account = arn.split(":")[4] if arn.count(":") >= 5 else ""
    if account == "aws":
        return _aws_policies().get(arn, (None, None))[1]
    policy = iam_backends[account]["aws"].managed_policies.get(arn) if account in iam_backends else None
    return None if policy is None else _default_version(policy)


@cache
def _aws_policies() -> dict[str, tuple[Any, Document]]:
    """AWS's own managed policies, by their ARNs: as the emulation makes one of them for an account, and what it says."""
    listed = json.loads(aws_managed_policies_data)
    return {
        f"arn:aws:iam::aws:policy{policy.get('Path', '/')}{name}": (
            partial(AWSManagedPolicy.from_data, name=name, data=policy),
            policy["Document"],
        )
        for name, policy in listed.items()
    }


def adopt(account: str, arn: str | None = None) -> None:
    """Let the emulation of an account's IAM have one of AWS's own managed policies, or with None all; others stay as they are.

    They are read when the first is asked for, which a start need not wait for.
    """
    backend = iam_backends[account]["aws"]
    if arn is not None and not arn.startswith("arn:aws:iam::aws:policy/"):
        return
    known = _aws_policies()
    for each in known if arn is None else [arn] if arn in known else []:
        if each not in backend.managed_policies:
            made = known[each][0](account_id=account, region_name=backend.region_name)
            backend.managed_policies[each] = made
            backend.aws_managed_policies.append(made)


def identity_documents(arn: str) -> list[Document]:
    """Every identity policy of a role or user: inline, attached, and for a user those of its groups."""
    if ":role/" in arn:
        holder = find_role(arn)
        return [] if holder is None else _documents(holder)
    user = find_user(arn)
    if user is None:
        return []
    groups = [
        group
        for group in iam_backends[user.account_id]["aws"].groups.values()
        if any(member.name == user.name for member in group.users)
    ]
    return [document for holder in (user, *groups) for document in _documents(holder)]


class Named(NamedTuple):
    """A policy of a role or user: what it says, the id by which a simulation names it, its ARN (an inline one has none)."""

    document: Document
    source: str
    arn: str = ""
    text: str = ""  # as it was sent


def named_policies(arn: str) -> list[Named]:
    """Every identity policy of a role or user, and a role's boundary, with their names."""
    holder = find_role(arn) if ":role/" in arn else find_user(arn)
    if holder is None:
        return []
    kind = "role" if ":role/" in arn else "user"
    inline: dict[str, str] = holder.policies if isinstance(holder.policies, dict) else {}
    boundary = getattr(holder, "permissions_boundary_arn", None)
    if boundary:
        adopt(holder.account_id, boundary)
    named = [Named(parse(text), f"{kind}_{holder.name}_{name}", text=text) for name, text in inline.items()]
    managed = iam_backends[holder.account_id]["aws"].managed_policies
    attached = [*holder.managed_policies.items(), *([(boundary, managed.get(boundary))] if boundary else [])]
    return named + [
        Named(_default_version(policy), each.rpartition("/")[2], each, _default_text(policy))
        for each, policy in attached
        if policy is not None
    ]


def boundary_documents(arn: str) -> list[Document] | None:
    """The permissions boundary of a role or user; None when it has none."""
    boundary = boundary_of(arn)
    if boundary is None:
        return None
    document = managed_document(boundary)
    # A boundary that does not exist allows nothing: the policy behind the ARN is gone.
    return [] if document is None else [document]


def _documents(holder: Any) -> list[Document]:
    inline: Iterable[Any] = holder.policies.values() if isinstance(holder.policies, dict) else ()
    return [
        *(parse(document) for document in inline),
        *(_default_version(policy) for policy in holder.managed_policies.values()),
    ]


def _default_version(policy: Any) -> Document:
    return parse(_default_text(policy))


def _default_text(policy: Any) -> str:
    return str(next(version for version in policy.versions if version.is_default).document)
