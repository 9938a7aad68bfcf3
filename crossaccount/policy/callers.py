"""Who might come through a door on behalf of an account: callers that the principals of statements can tell apart.

Pure functions. Not here: what else a statement asks (``conditions``), and the answer (``standing``).

Source: "AWS JSON policy elements: Principal" and "NotPrincipal", and the principal keys of "AWS global condition context keys", in
the IAM user guide.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crossaccount.policy.conditions import Verdict, negated, principal_arns, some
from crossaccount.policy.documents import UNIQUE_ID, account_of, listed, principal_key, principals
from crossaccount.policy.globs import examples, glob, literal

_SESSION = re.compile(r"arn:[a-z-]+:sts::\d{12}:assumed-role/([^/]+)/(.+)")
_FEDERATED = re.compile(r"arn:[a-z-]+:sts::\d{12}:federated-user/[\w+=,.@*-]{1,32}")
_KINDS = {":role/": "AssumedRole", ":user/": "User", ":federated-user/": "FederatedUser", ":root": "Account"}
_ABSENT: tuple[tuple[str, ...], ...] = ((),)
_OF_SERVICES = ("sourceaccount", "sourcearn", "sourceorgid", "sourceorgpaths", "sourceowner")


@dataclass(frozen=True)
class Caller:
    """A principal that may ask.

    ``account`` is its account, empty for a member of an organization and for a service; ``arn`` is its role's or user's ARN, or a
    service's name; ``session`` the name of a role's session, empty for any other than those that statements name.
    """

    account: str
    arn: str
    session: str = ""
    organization: str = ""
    behalf: str = ""

    @property
    def is_service(self) -> bool:
        """Whether it is a service of AWS, which acts on behalf of an account or an organization."""
        return bool(self.behalf)

    @property
    def shown(self) -> str:
        """The ARN by which it asks."""
        if not self.session:
            return self.arn
        head = self.arn.partition(":role/")[0].replace(":iam:", ":sts:")
        return f"{head}:assumed-role/{self.arn.rpartition('/')[2]}/{self.session}"

    def keys(self) -> dict[str, tuple[tuple[str, ...], ...]]:
        """The condition keys that follow from who it is, see `conditions.Known`."""
        if self.is_service:
            return self._of_service()
        direct = {f"aws:{name}": _ABSENT for name in (*_OF_SERVICES, "principalservicename")}
        found = {
            **direct,
            "aws:principalisawsservice": (("false",),),
            "aws:principalservicenameslist": _ABSENT,
        }
        if self.organization:
            found["aws:principalorgid"] = ((self.organization,),)
        if self.account:
            kind = next(kind for infix, kind in _KINDS.items() if infix in self.arn)
            found |= {
                "aws:principalarn": ((self.arn,),),
                "aws:principalaccount": ((self.account,),),
                "aws:principaltype": ((kind,),),
                "kms:calleraccount": ((self.account,),),
                "aws:username": ((self.arn.rpartition("/")[2],),) if kind == "User" else _ABSENT,
            }
        return found

    def _of_service(self) -> dict[str, tuple[tuple[str, ...], ...]]:
        source = "aws:sourceorgid" if self.behalf.startswith("o-") else "aws:sourceaccount"
        absent = ("principalarn", "principalaccount", "principalorgid", "principalorgpaths", "username")
        return {
            **{f"aws:{name}": _ABSENT for name in absent},
            "aws:principalisawsservice": (("true",),),
            "aws:principalservicename": ((self.arn,),),
            source: ((self.behalf,),),
        }


def callers_of(
    member: str,
    statements: Sequence[Mapping[str, Any]],
    partition: str,
    services: Sequence[str],
    organization: str,
) -> list[Caller] | None:
    """The callers that a member may send: one for each set of them that the statements treat alike.

    Args:
        member: an account (12 digits), the ARN of a principal, ``organization ID``, or ``SERVICE for`` one of the first and third.
        statements: those that are to be judged.
        partition: the partition of their ARNs.
        services: the services that come on behalf of accounts.
        organization: the organization that an account is known to be in; empty where none is known.

    Returns:
        The callers; None where the member is none of these, or the statements are too wild to go through.
    """
    name, _, behalf = member.rpartition(" for ")
    if name:
        return [Caller("", name, behalf=behalf.removeprefix("organization "))]
    if member.startswith("organization "):
        return [Caller("", "", organization=member.removeprefix("organization "))]
    account = account_of(member)
    if account is None:
        return None
    named = [text for each in statements for text in _named(each) if account_of(text) == account]
    values = {"aws:principalaccount": account}.get
    told = [each for one in statements for each in principal_arns(one.get("Condition") or {}, values)]
    sessions = [match for text in named if (match := _SESSION.fullmatch(text))]
    roles = [f"arn:{partition}:iam::{account}:role/{match[1]}" for match in sessions]
    telling = [*map(literal, (*named, *roles)), *told]
    callers: list[Caller] = []
    for universe in (member,) if member != account else _principals(partition, account):
        texts = examples(glob(universe), telling)
        if texts is None:
            return None
        callers += [
            each
            for text in texts
            if ":federated-user/" not in text or _FEDERATED.fullmatch(text)
            for each in _with_sessions(Caller(account, text, organization=organization), sessions)
        ]
    if member == account:
        callers += [Caller("", service, behalf=account) for service in services]
    return callers


def _principals(partition: str, account: str) -> Iterator[str]:
    yield f"arn:{partition}:iam::{account}:role/?*"
    yield f"arn:{partition}:iam::{account}:user/?*"
    yield f"arn:{partition}:sts::{account}:federated-user/?*"
    yield f"arn:{partition}:iam::{account}:root"


def _with_sessions(caller: Caller, sessions: Sequence[re.Match[str]]) -> Iterator[Caller]:
    yield caller
    if ":role/" in caller.arn:
        names = {match[2] for match in sessions if match[1] == caller.arn.rpartition("/")[2]}
        yield from (Caller(caller.account, caller.arn, name, caller.organization) for name in sorted(names))


def _named(statement: Mapping[str, Any]) -> list[str]:
    """The AWS principals in a statement's Principal and NotPrincipal."""
    return [
        str(name)
        for element in ("Principal", "NotPrincipal")
        if isinstance(statement.get(element), dict)
        for name in listed(statement[element].get("AWS", []))
    ]


def may_reach(statement: Mapping[str, Any], account: str) -> bool:
    """Whether a statement could be about anybody of an account: a quick look, before it is gone through."""
    principal = statement.get("Principal")
    if not isinstance(principal, dict) or set(principal) != {"AWS"}:
        return True
    return any(name == "*" or account_of(str(name)) == account for name in listed(principal["AWS"]))


def reaches(statement: Mapping[str, Any], caller: Caller) -> Verdict:
    """Whether a statement is about a caller, as far as its Principal or NotPrincipal says."""
    if "NotPrincipal" in statement:
        return _excepts(statement, caller)
    principal = statement.get("Principal")
    if caller.is_service and statement.get("Effect") == "Allow" and "*" in principals(statement):
        # Whether anyone is a service too is not documented; it matters where the statement has services in mind.
        return None if _about_services(statement) else False
    if principal == "*":
        return True
    return some(
        _is(kind, str(name), caller)
        for kind, names in (principal.items() if isinstance(principal, dict) else ())
        for name in listed(names)
    )


def _excepts(statement: Mapping[str, Any], caller: Caller) -> Verdict:
    """NotPrincipal reaches all but those it names. Whether one that is named in part is spared depends on the service.

    A Deny spares a role only where its account, its ARN and its session are all named; a permissions boundary undoes that.
    """
    excepted = statement["NotPrincipal"]
    if excepted == "*":
        return False
    named = [(kind, str(name)) for kind, names in excepted.items() for name in listed(names)]
    spared, allows = some(_is(kind, name, caller) for kind, name in named), statement.get("Effect") == "Allow"
    if allows and caller.is_service:
        return False
    return None if spared is True and not allows else negated(spared)


def _about_services(statement: Mapping[str, Any]) -> bool:
    keys = {key.lower() for keys in (statement.get("Condition") or {}).values() for key in keys}
    return any(key.startswith(("aws:source", "aws:principalservice", "aws:principalisaws")) for key in keys)


def _is(kind: str, name: str, caller: Caller) -> Verdict:
    """Whether a caller is, or belongs to, a principal of a statement."""
    if kind == "AWS":
        return _is_aws(name, caller)
    if kind == "Service":
        return caller.is_service and caller.arn == name
    if caller.is_service:
        return False
    # A canonical user id stands for an account, and sessions that began with a provider are of its own account, or of any.
    provider = account_of(name) if kind == "Federated" else None
    return None if provider is None or provider == caller.account or not caller.account else False


def _is_aws(name: str, caller: Caller) -> Verdict:
    if name == "*":
        return True
    account = account_of(name)
    if caller.is_service or UNIQUE_ID.fullmatch(name):
        return False
    if not caller.account:
        return None if account is not None else False  # any account may be a member of an organization
    if account != caller.account:
        return False
    if principal_key(name) == caller.account:
        return True
    if match := _SESSION.fullmatch(name):
        return (
            ":role/" in caller.arn
            and caller.arn.rpartition("/")[2] == match[1]
            and caller.session == match[2]
        )
    return name == caller.arn
