"""Policy documents as pure functions: what a statement says, when two documents mean the same, and how ours are merged in.

It knows AWS's grammar, and which statements of a document are this project's; it touches no client, clock or environment.
Not here: the statements that we write (``audience``, ``doors``), and what strangers' mean (``strangers``).

A statement of ours is known by its Sid: ``CrossAccount``, a word, eight hexadecimal digits of the group's ARN and eight of
the statement's terms. Two groups never touch each other's statements, consumers with the same terms share one, and a
consumer whose terms change moves to another. Under the preset ``aws-docs`` the statements are the AWS page's own, Sids
included, and are known by their whole body.

A statement's members, whom it lets in, stand in its Principal, or in a condition beside it: accounts by their number, an
organization by its id.

Source: the IAM JSON policy reference; "Amazon ECR repository policies"; "Key policies" in the KMS developer guide.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from crossaccount.strict_json import check_depth

Statement = dict[str, Any]
Document = dict[str, Any]

_MARK = "CrossAccount"
DOCS_SIDS = frozenset({"AddPerm", "AddPermModelPackageGroup", "AddPermModelPackageVersion"})

# Where members stand beside the Principal, and how long a statement holds: (operator, key) of its Condition.
BY_ROLE = ("ArnEquals", "aws:PrincipalArn")
BY_SOURCE = ("StringEquals", "aws:SourceAccount")
BY_ORGANIZATION = ("StringEquals", "aws:PrincipalOrgID")
BY_SOURCE_ORGANIZATION = ("StringEquals", "aws:SourceOrgID")
UNTIL = ("DateLessThan", "aws:CurrentTime")

_TEXTS = ("Sid", "Effect")
_LISTS = ("Action", "NotAction", "Resource", "NotResource")
_PRINCIPALS = ("Principal", "NotPrincipal")


def sound(document: Any) -> Document:
    """The document, once it has the shape that everything here reads; it is not changed.

    Raises:
        ValueError: for any other document, with the place in it, or for one that JSON cannot carry again as it stands.
    """
    if not isinstance(document, dict):
        raise ValueError("it is not a JSON object")
    check_depth(document)
    json.dumps(document, allow_nan=False)
    if not isinstance(document.get("Version", ""), str):
        raise ValueError("its Version is not text")
    for place, statement in enumerate(statements(document)):
        if not isinstance(statement, dict):
            raise ValueError(f"statement {place + 1} is not a JSON object")
        if fault := next((key for key, value in statement.items() if not _is_sound(key, value)), None):
            raise ValueError(f"the {fault} of statement {place + 1} is not as AWS writes it")
    return document


def _is_sound(key: str, value: Any) -> bool:
    if key in _TEXTS:
        return isinstance(value, str)
    if key in _LISTS:
        return _are_texts(value)
    if key in _PRINCIPALS:
        return value == "*" or (isinstance(value, dict) and all(map(_are_texts, value.values())))
    if key == "Condition":
        return isinstance(value, dict) and all(map(_is_condition, value.values()))
    return True


def _are_texts(value: Any) -> bool:
    return all(isinstance(text, str) for text in listed(value))


def _is_condition(keys: Any) -> bool:
    return isinstance(keys, dict) and all(
        isinstance(value, str | bool | int | float) for values in keys.values() for value in listed(values)
    )


def statements(document: Mapping[str, Any] | None) -> Iterator[Statement]:
    """A document's statements; a lone one may stand without its list."""
    yield from listed((document or {}).get("Statement", []))


def principals(statement: Mapping[str, Any]) -> list[str]:
    """The AWS principals of a statement as it names them; ``*`` for anyone."""
    principal = statement.get("Principal")
    if principal == "*":
        return ["*"]
    return listed(principal.get("AWS", [])) if isinstance(principal, dict) else []


def other_principals(statement: Mapping[str, Any]) -> dict[str, Any]:
    """The principals of a statement that are not AWS accounts, by kind: services and the like."""
    principal = statement.get("Principal")
    if not isinstance(principal, dict):
        return {}
    return {kind: names for kind, names in principal.items() if kind != "AWS"}


def condition(statement: Mapping[str, Any], place: tuple[str, str]) -> list[str]:
    """The values of a condition, by operator and key; none where the statement has no such condition."""
    return listed((statement.get("Condition") or {}).get(place[0], {}).get(place[1], []))


def listed(value: Any) -> list[Any]:
    """A value that may stand alone or in a list, as a list."""
    return list(value) if isinstance(value, list | tuple) else [value]


_ROOT = re.compile(r"arn:[a-z-]+:iam::(\d{12}):root")
_ARN = re.compile(r"arn:[a-z-]+:(?:iam|sts)::(\d{12}):")
UNIQUE_ID = re.compile(r"A(?:ROA|IDA)[A-Z0-9]{4,}")


def principal_key(name: str) -> str:
    """A principal as policies compare it: the ARN of an account's root is the account's number."""
    match = _ROOT.fullmatch(name)
    return match[1] if match else name


def account_of(name: str) -> str | None:
    """The account (12 digits) of a principal's number or ARN; None for anything else."""
    match = _ARN.match(name)
    return match[1] if match else (name if re.fullmatch(r"\d{12}", name) else None)


def unique_ids(document: Document | None) -> list[str]:
    """The unique ids in a document's principals: AWS shows one in place of a role or a user that is gone."""
    names = {name for statement in statements(document) for name in _all_principals(statement)}
    return sorted(filter(UNIQUE_ID.fullmatch, names))


def _all_principals(statement: Mapping[str, Any]) -> list[str]:
    """The AWS principals that a statement names, also those that it excepts."""
    return [*principals(statement), *principals({"Principal": statement.get("NotPrincipal")})]


def beneficiaries(statement: Mapping[str, Any]) -> list[str]:
    """The principals that an Allow lets in, of every kind; ``*`` for anyone, and NotPrincipal is nearly anyone.

    Anyone of one organization is ``organization ID``; a service for one account is ``SERVICE for ACCOUNT``.
    """
    if "NotPrincipal" in statement:
        return ["*"]
    named = [principal_key(name) for name in principals(statement)]
    if organizations := condition(statement, BY_ORGANIZATION):
        named = [name for name in named if name != "*"] + [
            f"organization {organization}" for organization in organizations
        ]
    sources = [
        *condition(statement, BY_SOURCE),
        *(f"organization {organization}" for organization in condition(statement, BY_SOURCE_ORGANIZATION)),
    ]
    for kind, names in other_principals(statement).items():
        for name in listed(names):
            shown = name if kind == "Service" else f"{kind} {name}"
            named += (
                [f"{shown} for {source}" for source in sources] if kind == "Service" and sources else [shown]
            )
    return named


def expires(statement: Mapping[str, Any]) -> datetime | None:
    """The time at which a statement ends by itself; None when it does not, or says so in a way that we do not write."""
    values = condition(statement, UNTIL)
    if len(values) != 1:
        return None
    try:
        end = datetime.fromisoformat(str(values[0]).replace("Z", "+00:00"))
    except ValueError:
        return None
    return end if end.tzinfo else end.replace(tzinfo=UTC)


def same(document: Document | None, other: Document | None) -> bool:
    """True when two documents mean the same.

    The order of statements and values, scalar or list, the ways of writing an account, the case of actions and the layout
    do not count; nor does whether a role or user is shown by its ARN or by the unique id that AWS keeps for it.
    """
    if document is None or other is None:
        return document is other
    document, other = _without_shared(document, other)
    if canonical(document) == canonical(other):
        return True
    if not (unique_ids(document) or unique_ids(other)):
        return False
    names = _identified(document, other)
    return names is not None and canonical(_renamed(document, names)) == canonical(_renamed(other, names))


def _without_shared(document: Document, other: Document) -> tuple[Document, Document]:
    """Two documents without the statements that are the very same objects in both, as those that a plan leaves as they are."""
    first, second = ([id(statement) for statement in statements(each)] for each in (document, other))
    both = set(first) & set(second)
    if not both or len(set(first)) < len(first) or len(set(second)) < len(second):
        return document, other
    left, right = (
        {**each, "Statement": [statement for statement in statements(each) if id(statement) not in both]}
        for each in (document, other)
    )
    return left, right


def canonical(document: Document | None) -> str:
    """A text that is equal for documents that mean the same, but for unique ids."""
    if document is None:
        return ""
    meanings = sorted(canonical_statement(statement) for statement in statements(document))
    return json.dumps([document.get("Version", "2008-10-17"), meanings])


def digest(document: Document | None) -> str:
    """A short hash of what a document means; ``none`` for no document."""
    return "none" if document is None else hashlib.sha256(canonical(document).encode()).hexdigest()[:16]


def canonical_statement(statement: Mapping[str, Any]) -> str:
    """A text that is equal for statements that mean the same, but for unique ids."""
    plain = {key: _canonical_value(key, value) for key, value in statement.items()}
    return json.dumps(plain, sort_keys=True)


def _canonical_value(key: str, value: Any) -> Any:
    if key in ("Action", "NotAction"):
        return sorted({str(item).lower() for item in listed(value)})
    if key in ("Resource", "NotResource"):
        return sorted({str(item) for item in listed(value)})
    if key in _PRINCIPALS:
        kinds = {"AWS": "*"} if value == "*" else value
        return {
            kind: sorted({principal_key(str(name)) for name in listed(names)})
            for kind, names in kinds.items()
        }
    if key == "Condition":
        return {
            operator: {name.lower(): _canonical_values(values) for name, values in keys.items()}
            for operator, keys in value.items()
        }
    return value


def _canonical_values(value: Any) -> list[str]:
    """A condition's values: they are texts, and a truth is written as JSON writes it."""
    return sorted({str(each).lower() if isinstance(each, bool) else str(each) for each in listed(value)})


def _identified(document: Document, other: Document) -> dict[str, str] | None:
    """The ARN that each unique id stands for, where statements that are otherwise alike differ in these alone."""
    pairs = [sorted(statements(each), key=_without_names) for each in (document, other)]
    if len(pairs[0]) != len(pairs[1]):
        return None
    names: dict[str, str] = {}
    for left, right in zip(*pairs, strict=True):
        mine, theirs = set(_all_principals(left)), set(_all_principals(right))
        for lone, opposite in ((mine - theirs, theirs - mine), (theirs - mine, mine - theirs)):
            ids = sorted(name for name in lone if UNIQUE_ID.fullmatch(name))
            for kind, infix in (("AROA", ":role/"), ("AIDA", ":user/")):
                of_kind = [name for name in ids if name.startswith(kind)]
                arns = sorted(name for name in opposite if infix in name)
                if of_kind and len(of_kind) != len(arns):
                    return None
                for unique, arn in zip(of_kind, arns, strict=False):
                    if names.setdefault(unique, arn) != arn:
                        return None
    return names


def _without_names(statement: Statement) -> str:
    return canonical_statement({key: value for key, value in statement.items() if key not in _PRINCIPALS})


def _renamed(document: Document, names: Mapping[str, str]) -> Document:
    def renamed(element: Any) -> Any:
        if not isinstance(element, dict) or "AWS" not in element:
            return element
        return {**element, "AWS": [names.get(name, name) for name in listed(element["AWS"])]}

    return {
        **document,
        "Statement": [
            {key: renamed(value) if key in _PRINCIPALS else value for key, value in each.items()}
            for each in statements(document)
        ],
    }


def size(document: Document) -> int:
    """The document's length in bytes as it is sent: compact JSON."""
    return len(compact(document).encode())


def compact(document: Document) -> str:
    """The document as it is sent: one line, since SageMaker takes no line break."""
    return json.dumps(document, separators=(",", ":"))


def sid_of(word: str, group_arn: str, statement: Statement) -> str:
    """The Sid of a statement of ours, from what it grants; whom it lets in plays no part."""
    return f"{_MARK}{word}{_hash(group_arn)}{_hash(terms(statement))}"


def terms(statement: Mapping[str, Any]) -> str:
    """A text of what a statement says, which is equal whoever its members are."""
    plain = {key: value for key, value in statement.items() if key not in ("Sid", "Principal")}
    for operator, key in (BY_ROLE, BY_SOURCE):
        if condition(statement, (operator, key)):
            plain["Condition"] = {
                **plain["Condition"],
                operator: {**plain["Condition"][operator], key: "its members"},
            }
    return canonical_statement(plain)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def is_owned(statement: Statement, group_arn: str) -> bool:
    """True for a statement that carries the mark of this group. We deny nothing: a Deny is a stranger's, whatever its Sid."""
    if not is_marked(statement) or statement.get("Effect") != "Allow":
        return False
    pattern = f"{_MARK}[A-Z][a-z]+{_hash(group_arn)}[0-9a-f]{{8}}"
    return re.fullmatch(pattern, str(statement["Sid"])) is not None


def is_marked(statement: Mapping[str, Any]) -> bool:
    """True for a statement with this project's mark, of whatever group."""
    return str(statement.get("Sid", "")).startswith(_MARK)


def _owns(ours: Sequence[Statement], group_arn: str) -> Callable[[Statement], bool]:
    """The test for this project's statements: marked ones, and the AWS page's when they have the page's very body."""
    pages = [terms(statement) for statement in ours if statement["Sid"] in DOCS_SIDS]

    def owns(statement: Statement) -> bool:
        return is_owned(statement, group_arn) or (
            statement.get("Sid") in DOCS_SIDS and _only_accounts(statement) and terms(statement) in pages
        )

    return owns


def _only_accounts(statement: Statement) -> bool:
    principal = statement.get("Principal")
    return isinstance(principal, dict) and set(principal) == {"AWS"}


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


def members(statement: Mapping[str, Any]) -> list[str]:
    """The members of a statement of ours: accounts by number, other principals as named, an organization by its id."""
    if organizations := _of_organization(statement):
        return organizations
    if _by_source(statement):
        return condition(statement, BY_SOURCE)
    return [principal_key(name) for name in principals(statement)]


def _of_organization(statement: Mapping[str, Any]) -> list[str]:
    return [*condition(statement, BY_ORGANIZATION), *condition(statement, BY_SOURCE_ORGANIZATION)]


def _by_source(statement: Mapping[str, Any]) -> bool:
    return not principals(statement) and bool(condition(statement, BY_SOURCE))


def without(statement: Statement, leaving: Collection[str]) -> list[Statement]:
    """The statement without these members, or nothing when no one is left; the very statement when none of them is in it."""
    inside = members(statement)
    staying = [name for name in inside if name not in leaving]
    if len(staying) == len(inside):
        return [statement]
    if _of_organization(statement):
        return []
    if _by_source(statement):
        return [_conditioned(statement, BY_SOURCE, staying)] if staying else []
    named = [name for name in principals(statement) if principal_key(name) not in leaving]
    left = {**other_principals(statement), **(aws(named) if named else {})}
    if not left:
        return []
    narrower = {**statement, "Principal": left}
    roles = [arn for arn in condition(statement, BY_ROLE) if account_of(arn) not in leaving]
    return [_conditioned(narrower, BY_ROLE, roles) if roles else narrower]


def joined(statement: Statement, grant: Statement) -> Statement:
    """The statement ``grant``, with its members and those that the other has already."""
    if _of_organization(grant) or not (principals(grant) or _by_source(grant)):
        return grant
    if _by_source(grant):
        sources = {*condition(statement, BY_SOURCE), *condition(grant, BY_SOURCE)}
        return _conditioned(grant, BY_SOURCE, sorted(sources))
    everyone = {
        **other_principals(statement),
        **other_principals(grant),
        **aws([*principals(statement), *principals(grant)]),
    }
    widened = {**grant, "Principal": everyone}
    if not condition(grant, BY_ROLE):
        return widened
    accounts = {account_of(name) for name in principals(grant)}
    staying = [arn for arn in condition(statement, BY_ROLE) if account_of(arn) not in accounts]
    return _conditioned(widened, BY_ROLE, sorted({*staying, *condition(grant, BY_ROLE)}))


def _conditioned(statement: Statement, place: tuple[str, str], values: Sequence[str]) -> Statement:
    operator, key = place
    conditions = statement.get("Condition", {})
    return {
        **statement,
        "Condition": {**conditions, operator: {**conditions.get(operator, {}), key: scalar(values)}},
    }


def aws(names: Iterable[str]) -> dict[str, Any]:
    """The principals, each once: an account's number and its root's ARN are one, written as the ARN where both occur."""
    by_meaning = {principal_key(name): name for name in sorted(names)}
    return {"AWS": scalar(sorted(by_meaning.values()))}


def scalar(values: Sequence[str]) -> Any:
    """One value alone, several in a list."""
    return values[0] if len(values) == 1 else list(values)


def granted(
    existing: Document | None,
    ours: Sequence[Statement],
    group_arn: str,
    named: Collection[str] = (),
    now: datetime | None = None,
    prune: bool = False,
) -> Document | None:
    """The document with our statements in it; None when nothing is left to say.

    Strangers' statements stay, unchanged and in order. Other members that already have the same terms keep them; members
    of ours lose any other terms of this group.

    Args:
        existing: the document as it stands.
        ours: the statements to be granted.
        group_arn: of the group whose statements they are.
        named: further members that lose the terms that are not in ``ours``: those whose access has ended, or who need nothing here.
        now: statements of ours that have expired by then are taken out.
        prune: take out every member that ``ours`` does not name.
    """
    by_sid = {statement["Sid"]: statement for statement in ours}
    moving = {member for statement in ours for member in members(statement)} | set(named)
    owns, staying, placed = _owns(ours, group_arn), [], set()
    for statement in statements(existing):
        if not owns(statement):
            staying.append(statement)
            continue
        grant = by_sid.get(statement["Sid"])
        ends = expires(statement)
        if grant is None:
            if not (prune or (now and ends and ends <= now)):
                staying += without(statement, moving)
            continue
        placed.add(statement["Sid"])
        left = without(statement, moving - set(members(grant)))
        desired = joined(left[0], grant) if left and not prune else grant
        alike = canonical_statement(desired) == canonical_statement(statement)
        staying.append(statement if alike else desired)
    staying += [statement for statement in ours if statement["Sid"] not in placed]
    return _document(existing, staying) if staying else None


def revoked(
    existing: Document | None, ours: Sequence[Statement], group_arn: str, leaving: Collection[str] | None
) -> Document | None:
    """The document without these members (None: without anyone) in our statements; None when no statement is left."""
    owns = _owns(ours, group_arn)
    staying: list[Statement] = []
    for statement in statements(existing):
        if not owns(statement):
            staying.append(statement)
        elif leaving is not None:
            staying += without(statement, leaving)
    return _document(existing, staying) if staying else None


def _document(existing: Document | None, staying: list[Statement]) -> Document:
    return {**(existing or {"Version": "2012-10-17"}), "Statement": staying}


def difference(before: Document | None, after: Document | None) -> list[Statement]:
    """The statements that ``after`` has and ``before`` has not: whole, or with the members that are new in them."""
    new: list[Statement] = []
    earlier = {each["Sid"]: each for each in statements(before) if "Sid" in each}
    bodies = Counter(canonical_statement(each) for each in statements(before))
    for statement in statements(after):
        body = canonical_statement(statement)
        if bodies[body]:
            bodies[body] -= 1
            continue
        was = earlier.get(statement.get("Sid"))
        if was is not None and terms(was) == terms(statement):
            had = set(_by_member(was).values())
            # A member whose roles differ is new in them; a service beside the accounts is nobody's to move.
            gone = {name for name, entry in _by_member(statement).items() if entry in had}
            new += without(statement, gone)
        else:
            new.append(statement)
    return new


def _by_member(statement: Statement) -> dict[str, tuple[str, tuple[str, ...]]]:
    roles = roles_of(statement)
    return {name: (name, tuple(roles.get(name, ()))) for name in members(statement)}


def roles_of(statement: Mapping[str, Any]) -> dict[str, list[str]]:
    """The roles that a statement narrows accounts to, by account, in order."""
    by_account: dict[str, list[str]] = {}
    for arn in sorted(condition(statement, BY_ROLE)):
        by_account.setdefault(str(account_of(arn)), []).append(arn)
    return by_account


def merged(
    document: Document | None, added: Sequence[Statement], removed: Sequence[Statement]
) -> Document | None:
    """A document with these statements (or their members) taken out and those put in; None when nothing is left.

    Everything else in it stays, unchanged and in order. Doing it again changes nothing.
    """
    put, take = ({each["Sid"]: each for each in changed} for changed in (added, removed))
    staying: list[Statement] = []
    placed = set()
    for statement in statements(document):
        sid = statement.get("Sid")
        left = [statement]
        if sid in take and terms(take[sid]) == terms(statement):
            left = without(statement, set(members(take[sid])))
        if sid in put and (not left or terms(put[sid]) == terms(left[0])):
            placed.add(sid)
            desired = joined(left[0], put[sid]) if left else put[sid]
            alike = canonical_statement(desired) == canonical_statement(statement)
            left = [statement if alike else desired]
        staying += left
    staying += [each for sid, each in put.items() if sid not in placed]
    return _document(document, staying) if staying else None
