"""What holds for any document of others and any story of shares and revokes, and who has access in the end.

Nothing here is a table: Hypothesis makes the stories. `make properties` makes two hundred times as many.

The access is judged by the sandbox's judge, which knows nothing of the product, and compared with what was promised: an
account's access to a group is what the last share of that group that named it said, until it ends or is taken back.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import HealthCheck, Phase, given, reject, settings
from hypothesis import strategies as st

from crossaccount.arns import group_arn
from crossaccount.config.loading import load_config
from crossaccount.config.model import ConsumerConfig, OrganizationScope, Sharing
from crossaccount.doors import DOORS, Needs, door_of
from crossaccount.doors.base import Resource
from crossaccount.errors import InputError, PlanRefused
from crossaccount.policy import documents
from crossaccount.sharing import plan
from crossaccount.sharing.changes import Basis, Change, Plan
from crossaccount.sharing.revoke import accounts_of
from crossaccount_sandbox.judging.decision import Result, judge
from crossaccount_sandbox.judging.request import Policies, Request

settings.register_profile(
    "default",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
)
settings.register_profile(
    "thorough", parent=settings.get_profile("default"), derandomize=False, print_blob=True
)
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "default")
settings.load_profile(PROFILE)
TIMES = 200 if PROFILE == "thorough" else 1

BASE = load_config(Path(__file__).parents[2] / "configs" / "sandbox.yaml")
OWNER, OUTSIDER, MEMBER = "111111111111", "999999999999", "888888888888"
# Two of the accounts have two consumers each.
ACCOUNTS = (
    "222222222222",
    "333333333333",
    "333333333333",
    "555555555555",
    "666666666666",
    "666666666666",
)
GROUPS = ("trees", "trees-2", "churn", "fraud")
BUCKET, REPOSITORY = "models", "images"
KEY = f"arn:aws:kms:us-east-1:{OWNER}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
START = datetime(2026, 11, 24, tzinfo=UTC)
ENDS = (None, START + timedelta(days=1), START + timedelta(days=2))
ORGANIZATION = "o-a1b2c3d4e5"
UNIT = f"{ORGANIZATION}/r-ab12/ou-ab12-11111111/"
SCOPES = (
    OrganizationScope(id=ORGANIZATION),
    OrganizationScope(id=ORGANIZATION, paths=(UNIT,), role_names=("team/deployer", "runner-0")),
)
Documents = dict[Resource, Any]
REGISTRIES = [Resource("model-package-group", name, OWNER) for name in GROUPS]
SHARED = [
    Resource("repository", REPOSITORY, OWNER),
    Resource("bucket", BUCKET, OWNER),
    Resource("key", KEY, OWNER),
]


def roles_of(number: int) -> tuple[str, str]:
    """Deployer and execution role of a consumer; the first one's have a path."""
    path = "team/" if number == 0 else ""
    suffix = "" if number == 0 else f"-{number}"
    where = f"arn:aws:iam::{ACCOUNTS[number]}:role/{path}"
    return f"{where}deployer{suffix}", f"{where}execution{suffix}"


@lru_cache
def consumer(number: int, ends: datetime | None) -> ConsumerConfig:
    role, execution_role = roles_of(number)
    return BASE.consumers["staging"].model_copy(
        update={
            "account": ACCOUNTS[number],
            "role": role,
            "execution_role": execution_role,
            "expires": ends,
        }
    )


# A config, and what it promises.


class Config(NamedTuple):
    group: int
    mode: str
    who: tuple[tuple[int, datetime | None], ...]
    versions: Any
    scope: int
    service: bool

    def sharing(self) -> Sharing:
        organization = self.mode == "organization"
        found = [(number, None if organization else ends) for number, ends in self.who]
        return BASE.model_copy(
            update={
                "model_package_group": GROUPS[self.group],
                "versions": self.versions,
                "principals": self.mode,
                "organization": SCOPES[self.scope] if organization else None,
                "sagemaker_service_principal": self.service,
                "consumers": {f"c{number}": consumer(number, ends) for number, ends in found},
            }
        )

    def prefixes(self) -> tuple[str, ...]:
        name = GROUPS[self.group]
        artifacts = (
            [f"{name}/"] if self.versions == "approved" else [f"{name}/{one}/" for one in self.versions]
        )
        return (*sorted(artifacts), f"releases/{name}/", f"{name}.tar.gz")

    def needs(self) -> Needs:
        return {
            "repository": {REPOSITORY: ()},
            "bucket": {BUCKET: self.prefixes()},
            "key": {KEY: ()},
            "model-package-group": {GROUPS[self.group]: ()},
        }


class Promise(NamedTuple):
    """What one member of a group's statements was told that it has; ``kept`` are the configs of earlier shares, whose versions it keeps."""

    member: str
    roles: tuple[str, ...] | None
    scope: OrganizationScope | None
    config: Config
    ends: datetime | None
    kept: tuple[Config, ...] = ()


def promises(config: Config, now: datetime) -> list[Promise]:
    if config.mode == "organization":
        return [Promise(ORGANIZATION, None, SCOPES[config.scope], config, None)]
    return [
        Promise(ACCOUNTS[number], roles_of(number) if config.mode == "roles" else None, None, config, ends)
        for number, ends in config.who
        if ends is None or ends > now
    ]


def keeping(promise: Promise, before: Sequence[Promise], now: datetime) -> Promise:
    """The promise of a share, which takes away nothing that its member had by then."""
    had = [one for one in before if one.member == promise.member and (one.ends is None or one.ends > now)]
    return promise._replace(kept=tuple({kept for one in had for kept in (one.config, *one.kept)}))


def members_named(config: Config) -> set[str]:
    return {ORGANIZATION} if config.mode == "organization" else {ACCOUNTS[number] for number, _ in config.who}


# A story: steps, each at its time.


class Step(NamedTuple):
    hours: int
    verb: str
    config: Config


@dataclass
class World:
    documents: Documents
    now: datetime = START
    promised: dict[int, list[Promise]] = field(default_factory=dict)

    def part(self, group: int) -> Documents:
        return {one: self.documents[one] for one in [*SHARED, REGISTRIES[group]]}


def leaving(config: Config, verb: str) -> set[str] | None:
    """Whose access a revoke takes back.

    Raises:
        InputError: where the product refuses to say.
    """
    if verb == "revoke all":
        return None
    if verb == "revoke consumer":
        return set(accounts_of(config.sharing(), f"c{config.who[0][0]}"))
    return {ORGANIZATION} if config.mode == "organization" else {ACCOUNTS[config.who[0][0]]}


def proposed(world: World, step: Step) -> Plan:
    config = step.config
    basis = Basis(config.needs(), world.part(config.group), world.now)
    if step.verb in ("share", "prune"):
        return plan.plan_share(config.sharing(), basis, step.verb == "prune")
    return plan.plan_revoke(config.sharing(), basis, leaving(config, step.verb))


def taken(world: World, step: Step) -> Plan | None:
    """Make a step, in the documents and in what is promised; None for one that is refused."""
    world.now += timedelta(hours=step.hours)
    config = step.config
    try:
        made = proposed(world, step)
    except (InputError, PlanRefused) as refused:
        assert_refused_rightly(world, step, refused)
        return None
    world.documents.update({change.resource: change.desired for change in made.changes})
    before = world.promised.get(config.group, [])
    if step.verb in ("share", "prune"):
        named = members_named(config)
        given = promises(config, world.now)
        if step.verb == "prune":
            world.promised[config.group] = given
        else:
            staying = [one for one in before if one.member not in named]
            world.promised[config.group] = staying + [keeping(one, before, world.now) for one in given]
    else:
        gone = leaving(config, step.verb)
        world.promised[config.group] = [one for one in before if gone is not None and one.member not in gone]
    return made


def assert_refused_rightly(world: World, step: Step, refused: InputError | PlanRefused) -> None:
    """Only these may be refused: a document past its limit, and one consumer of several with the same access."""
    config = step.config
    if isinstance(refused, InputError):
        assert step.verb == "revoke consumer"
        accounts = [ACCOUNTS[number] for number, _ in config.who]
        assert config.mode == "organization" or accounts.count(accounts[0]) > 1
        return
    assert all("bytes, and AWS takes" in reason for reason in refused.reasons), refused
    basis = Basis(config.needs(), world.part(config.group), world.now)
    full = plan.propose_share(config.sharing(), basis, step.verb == "prune")
    assert any(past_limit(change) for change in full.changes)


def past_limit(change: Change) -> bool:
    return change.desired is not None and documents.size(change.desired) > door_of(change.resource.kind).limit


# What others have written. Legal for the kind: an ECR statement has no Resource, and only ECR takes a Sid twice.

ACTIONS = {
    "model-package-group": [
        "sagemaker:DescribeModelPackage",
        "sagemaker:*",
        ["sagemaker:UpdateModelPackage", "sagemaker:CreateModel"],
    ],
    "repository": ["ecr:BatchGetImage", "ecr:*", ["ecr:PutImage", "ecr:GetDownloadUrlForLayer"]],
    "bucket": ["s3:GetObject", "s3:*", ["s3:PutObject", "s3:GetObject"]],
    "key": ["kms:Decrypt", "kms:*", ["kms:Encrypt", "kms:DescribeKey"]],
}
PLACES: dict[str, list[Any]] = {
    "model-package-group": [
        f"arn:aws:sagemaker:us-east-1:{OWNER}:model-package/{GROUPS[0]}/*",
        f"arn:aws:sagemaker:us-east-1:{OWNER}:model-package-group/{GROUPS[0]}",
    ],
    "bucket": [
        f"arn:aws:s3:::{BUCKET}/*",
        [f"arn:aws:s3:::{BUCKET}/{GROUPS[0]}/1/*", f"arn:aws:s3:::{BUCKET}/open/*"],
    ],
    "key": ["*"],
}


def root(account: str) -> str:
    return f"arn:aws:iam::{account}:root"


PRINCIPALS: list[dict[str, Any]] = [
    {"Principal": {"AWS": root(ACCOUNTS[0])}},
    {"Principal": {"AWS": [ACCOUNTS[1], root(OUTSIDER)]}},
    {"Principal": {"AWS": roles_of(0)[0]}},
    {"Principal": "*"},
    {"Principal": {"AWS": "*"}},
    {"Principal": {"Service": "sagemaker.amazonaws.com"}},
    {"Principal": {"Service": ["logging.s3.amazonaws.com"], "AWS": OUTSIDER}},
    {"NotPrincipal": {"AWS": [root(OWNER), root(ACCOUNTS[0]), roles_of(0)[0]]}},
]
CONDITIONS: list[dict[str, Any]] = [
    {},
    {},
    {"Condition": {"Bool": {"aws:SecureTransport": "false"}}},
    {"Condition": {"StringEquals": {"aws:PrincipalOrgID": ORGANIZATION}}},
    {"Condition": {"StringNotEquals": {"aws:PrincipalOrgID": [ORGANIZATION]}}},
    {"Condition": {"DateLessThan": {"aws:CurrentTime": "2026-11-25T00:00:00Z"}}},
    {"Condition": {"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNTS[1]}:role/*"}}},
]
SIDS = ["", "", "Theirs", "AddPerm", "CrossAccount", "CrossAccountRead0123456789abcdef"]
ADMIN = {"Sid": "Admin", "Effect": "Allow", "Principal": {"AWS": root(OWNER)}, "Action": "kms:*"}
# What others write leaves this much room below the limit, where they fill a document.
ROOMS = (None, None, None, None, None, None, 40, 400, 900, 1500)


CHOICES = (len(SIDS), 2, len(PRINCIPALS), 3, 2, len(CONDITIONS))


def statement_of(kind: str, drawn: int) -> dict[str, Any]:
    """One of all statements of others; a single number is drawn faster than six."""
    chosen = []
    for many in CHOICES:
        drawn, place = divmod(drawn, many)
        chosen.append(place)
    sid, effect, principal, action, place, condition = chosen
    made: dict[str, Any] = {"Sid": SIDS[sid]} if SIDS[sid] else {}
    made |= {
        "Effect": ("Allow", "Deny")[effect],
        **PRINCIPALS[principal],
        "Action": ACTIONS[kind][action],
    }
    if kind != "repository":
        made["Resource"] = PLACES[kind][place % len(PLACES[kind])]
    return {**made, **CONDITIONS[condition]}


STATEMENT = st.integers(0, math.prod(CHOICES) - 1)


def document_of(kind: str, drawn: Sequence[Any], shape: int, room: int | None) -> Any:
    found = [statement_of(kind, one) for one in drawn]
    if kind != "repository":
        found = list({one.get("Sid", number): one for number, one in enumerate(found)}.values())
    if kind == "key":
        found.insert(shape % (len(found) + 1), {**ADMIN, "Resource": "*"})
    if room is not None:
        found.append({"Sid": "Filler", "Effect": "Deny", "Principal": {"AWS": OUTSIDER}, "Action": "x:Y"})
        if kind != "repository":
            found[-1]["Resource"] = "*"
    if not found:
        return None
    whole: dict[str, Any] = {
        "Version": ("2008-10-17", "2012-10-17", "2012-10-17")[shape % 3],
        "Statement": found[0] if len(found) == 1 and shape > 2 else found,
    }
    whole |= {"Id": "theirs"} if shape % 2 else {}
    if room is not None:
        filler = next(one for one in documents.statements(whole) if one.get("Sid") == "Filler")
        filler["Sid"] += "x" * max(0, door_of(kind).limit - room - documents.size(whole))
    return whole


def standing() -> st.SearchStrategy[Documents]:
    def made(drawn: Any, filled: int, room: int | None) -> Documents:
        return {
            resource: document_of(resource.kind, found, shape, room if filled == place else None)
            for place, (resource, (found, shape)) in enumerate(
                zip([*SHARED, *REGISTRIES], [*drawn, *drawn[:3]], strict=True)
            )
        }

    one = st.tuples(st.lists(STATEMENT, max_size=3), st.integers(0, 5))
    return st.builds(made, st.tuples(one, one, one, one), st.integers(0, 6), st.sampled_from(ROOMS))


def configs(numbers: Sequence[int] = range(6), modes: Sequence[str] = ()) -> st.SearchStrategy[Config]:
    return st.builds(
        Config,
        st.sampled_from([0, 0, 0, 0, 1, 2, 3]),
        st.sampled_from(modes or ["accounts", "roles", "organization"]),
        st.lists(
            st.tuples(st.sampled_from(numbers), st.sampled_from(ENDS)),
            min_size=1,
            max_size=3,
            unique_by=lambda one: one[0],
        ).map(tuple),
        st.sampled_from(["approved", (1,), (1, 2)]),
        st.integers(0, 1),
        st.booleans(),
    )


VERBS = ["share", "share", "share", "share", "prune", "revoke consumer", "revoke account", "revoke all"]


def story(drawn: Sequence[tuple[int, str, Config, bool]]) -> list[Step]:
    """Steps, most of which differ from the one before in their consumers alone: what is shared moves less than with whom."""
    steps: list[Step] = []
    for hours, verb, config, follows in drawn:
        same = steps[-1].config._replace(who=config.who) if follows and steps else config
        steps.append(Step(hours, verb, same))
    return steps


STEPS = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 12, 24]),
        st.sampled_from(VERBS),
        configs(),
        st.sampled_from([True, True, False]),
    ),
    min_size=1,
    max_size=4,
).map(story)

# What strangers wrote, and what a story ends in.


@lru_cache
def arn_of(group: int) -> str:
    return group_arn(BASE.model_copy(update={"model_package_group": GROUPS[group]}))


def strangers(document: Any) -> list[str]:
    return [
        json.dumps(one)
        for one in documents.statements(document)
        if not any(documents.is_owned(one, arn_of(group)) for group in range(len(GROUPS)))
    ]


def ended(document: Any, step: Step, now: datetime) -> bool:
    """Whether a statement of the step's group is left that lets nobody in any more."""
    ours = [
        one for one in documents.statements(document) if documents.is_owned(one, arn_of(step.config.group))
    ]
    return any(ends <= now for one in ours if (ends := documents.expires(one)))


def assert_kept(before: Any, after: Any) -> None:
    """What others wrote stands as it stood, in its order, and so does what is beside the statements."""
    assert strangers(before) == strangers(after)
    if before is not None:
        assert after is not None
        assert {k: v for k, v in before.items() if k != "Statement"} == {
            k: v for k, v in after.items() if k != "Statement"
        }


@settings(max_examples=350 * TIMES)
@given(standing(), STEPS)
def test_any_story_leaves_strangers_alone_repeats_for_nothing_and_can_be_undone(
    first: Documents, steps: list[Step]
) -> None:
    untouched = json.dumps(list(first.values()))
    world = World(dict(first))
    for step in steps:
        before = dict(world.documents)
        made = taken(world, step)
        if made is None:
            assert world.documents == before
            continue
        assert not any(past_limit(change) and change.verb != "keep" for change in made.changes)
        for change in made.changes:
            assert_kept(first[change.resource], change.desired)
            assert step.verb not in ("share", "prune") or not ended(change.desired, step, world.now)
        again = proposed(world, step)
        assert [change.verb for change in again.changes] == ["keep"] * len(again.changes)
    assert json.dumps(list(first.values())) == untouched, "what was read was written to"
    last = steps[-1].config
    for group in {step.config.group for step in steps}:
        made = taken(world, Step(0, "revoke all", last._replace(group=group)))
        assert made is not None
    for resource, document in first.items():
        assert documents.same(world.documents[resource], document), resource
        assert (world.documents[resource] is None) == (document is None)


# Who has access. A grid: some principals, actions and resources, inside and outside of what is shared.


class Principal(NamedTuple):
    name: str
    account: str
    organization: str | None = None
    path: str = ""


def session(account: str, role: str, organization: str | None = None, path: str = "") -> Principal:
    return Principal(f"arn:aws:iam::{account}:role/{role}", account, organization, path)


STRANGE_PRINCIPALS = [
    session(OUTSIDER, "deployer"),
    session(MEMBER, "team/deployer", ORGANIZATION, f"{UNIT}ou-ab12-22222222/"),
    session(MEMBER, "team/deployer", ORGANIZATION, f"{ORGANIZATION}/r-ab12/ou-ab12-33333333/"),
    session(MEMBER, "deployer", ORGANIZATION, UNIT),
    session(OUTSIDER, "team/deployer", "o-zzzzzzzzzz", "o-zzzzzzzzzz/r-ab12/ou-ab12-11111111/"),
]
SERVICE = "sagemaker.amazonaws.com"


def principals_of(number: int) -> list[Principal]:
    """A consumer's two roles, and another role of its account. The even ones are in the organization."""
    account = ACCOUNTS[number]
    inside = (ORGANIZATION, f"{ORGANIZATION}/r-ab12/") if number % 2 == 0 else (None, "")
    names = [arn.partition(":role/")[2] for arn in roles_of(number)]
    return [session(account, name, *inside) for name in [*names, f"runner-{number}"]]


class Ask(NamedTuple):
    action: str
    resource: str
    prefix: str | None = None


PULLS = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability")
OBJECTS = f"arn:aws:s3:::{BUCKET}"


def asks(kind: str) -> list[Ask]:
    versions = f"arn:aws:sagemaker:us-east-1:{OWNER}:model-package/{GROUPS[0]}"
    other = f"arn:aws:sagemaker:us-east-1:{OWNER}:model-package/{GROUPS[1]}/1"
    match kind:
        case "model-package-group":
            return [
                Ask("sagemaker:DescribeModelPackageGroup", arn_of(0)),
                Ask("sagemaker:ListModelPackages", arn_of(0)),
                Ask("sagemaker:CreateModel", arn_of(0)),
                Ask("sagemaker:DescribeModelPackageGroup", arn_of(1)),
                Ask("sagemaker:DescribeModelPackage", f"{versions}/1"),
                Ask("sagemaker:CreateModel", f"{versions}/2"),
                Ask("sagemaker:CreateModel", f"{versions}/11"),
                Ask("sagemaker:ListModelPackages", f"{versions}/1"),
                Ask("sagemaker:UpdateModelPackage", f"{versions}/1"),
                Ask("sagemaker:CreateModel", other),
            ]
        case "repository":
            arn = f"arn:aws:ecr:us-east-1:{OWNER}:repository/{REPOSITORY}"
            return [*(Ask(action, arn) for action in PULLS), Ask("ecr:PutImage", arn)]
        case "bucket":
            keys = [
                f"{GROUPS[0]}/1/m",
                f"{GROUPS[0]}/2/m",
                f"{GROUPS[1]}/1/m",
                f"releases/{GROUPS[0]}/1.json",
            ]
            listed = [f"{GROUPS[0]}/1/", f"{GROUPS[0]}/", f"releases/{GROUPS[1]}/", "", "open/"]
            return [
                *(
                    Ask("s3:GetObject", f"{OBJECTS}/{key}")
                    for key in [*keys, "open/x", GROUPS[0], f"{GROUPS[0]}.tar.gz", f"{GROUPS[0]}.tar.gz2"]
                ),
                Ask("s3:PutObject", f"{OBJECTS}/{keys[0]}"),
                Ask("s3:DeleteObject", f"{OBJECTS}/{keys[3]}"),
                *(Ask("s3:ListBucket", OBJECTS, prefix) for prefix in listed),
                Ask("s3:ListBucket", OBJECTS),
            ]
        case "key":
            actions = ("kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:CreateGrant", "kms:PutKeyPolicy")
            return [Ask(action, KEY) for action in actions]


GRID = {kind: asks(kind) for kind in (door.kind for door in DOORS)}


def covers(promise: Promise, principal: Principal, now: datetime) -> bool:
    """Whether a promise is made to this principal, and holds."""
    if promise.ends is not None and promise.ends <= now:
        return False
    if promise.scope is None:
        mine = principal.account == promise.member
        return mine and (promise.roles is None or principal.name in promise.roles)
    if principal.organization != promise.member:
        return False
    names = promise.scope.role_names
    units = promise.scope.paths
    inside = not units or any(principal.path.startswith(one) for one in units)
    return inside and (not names or principal.name.partition(":role/")[2] in names)


def below(config: Config, key: str) -> bool:
    return any(key.startswith(one) if one.endswith("/") else key == one for one in config.prefixes())


def opens(promise: Promise, ask: Ask) -> bool:
    """Whether what is asked is what was promised, to whoever it was."""
    return any(opens_now(config, ask) for config in (promise.config, *promise.kept))


def opens_now(config: Config, ask: Ask) -> bool:
    match ask.action.partition(":")[0]:
        case "sagemaker" if ask.resource == arn_of(config.group):
            return ask.action.endswith((":DescribeModelPackageGroup", ":ListModelPackages"))
        case "sagemaker":
            group, _, version = ask.resource.partition(":model-package/")[2].partition("/")
            shared = config.versions == "approved" or int(version or 0) in config.versions
            of_version = (":DescribeModelPackage", ":CreateModel", ":ListModelPackages")
            return group == GROUPS[config.group] and shared and ask.action.endswith(of_version)
        case "ecr":
            return ask.action in PULLS
        case "s3" if ask.action == "s3:GetObject":
            return below(config, ask.resource.removeprefix(f"{OBJECTS}/"))
        case "s3":
            return ask.action == "s3:ListBucket" and below(config, ask.prefix or "")
        case _:
            return ask.action in ("kms:Decrypt", "kms:DescribeKey")


ANYTHING = [{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}]


def asked(document: Any, principal: Principal, ask: Ask, now: datetime) -> Result:
    context: dict[str, Any] = {
        "aws:CurrentTime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "aws:SecureTransport": "true",
    }
    if principal.name == SERVICE:
        context["aws:SourceAccount"] = principal.account
        if principal.organization:
            context["aws:SourceOrgID"] = principal.organization
    else:
        context["aws:PrincipalArn"] = principal.name
        if principal.organization:
            context |= {
                "aws:PrincipalOrgID": principal.organization,
                "aws:PrincipalOrgPaths": [principal.path],
            }
    if ask.prefix is not None:
        context["s3:prefix"] = ask.prefix
    request = Request(principal.name, ask.action, ask.resource, OWNER, context)
    return judge(request, Policies(identity=ANYTHING, resource=document)).result


def held(world: World, kind: str) -> list[Promise]:
    """The promises that a document of this kind keeps: a group's policy only its own, the others those of all groups."""
    if kind == "model-package-group":
        return world.promised.get(0, [])
    return [one for found in world.promised.values() for one in found]


def assert_access(world: World, first: Documents, people: Iterable[Principal]) -> None:
    for principal in people:
        for resource in [*SHARED, REGISTRIES[0]]:
            document, theirs = world.documents[resource], first[resource]
            mine = [one for one in held(world, resource.kind) if covers(one, principal, world.now)]
            for ask in GRID[resource.kind]:
                expected = expected_of(
                    theirs, principal, ask, world.now, any(opens(one, ask) for one in mine)
                )
                got = asked(document, principal, ask, world.now) is Result.ALLOWED
                assert got == expected, (principal, ask, document, mine)


def expected_of(theirs: Any, principal: Principal, ask: Ask, now: datetime, promised: bool) -> bool:
    """What others' statements say by themselves counts too, and a Deny of theirs wins."""
    if theirs is None:
        return promised
    alone = asked(theirs, principal, ask, now)
    return alone is not Result.EXPLICITLY_DENIED and (alone is Result.ALLOWED or promised)


def assert_service(world: World, first: Documents) -> None:
    """SageMaker itself may pull on behalf of those whose config says so, and of nobody else."""
    resource, ask = SHARED[0], Ask(PULLS[0], f"arn:aws:ecr:us-east-1:{OWNER}:repository/{REPOSITORY}")
    found = [one for one in held(world, "repository") if one.config.service]
    for source, organization in [*((account, None) for account in ACCOUNTS), (MEMBER, ORGANIZATION)]:
        service = Principal(SERVICE, source, organization)
        promised = any(
            one.member in (source, organization) and (one.ends is None or one.ends > world.now)
            for one in found
        )
        expected = expected_of(first[resource], service, ask, world.now, promised)
        got = asked(world.documents[resource], service, ask, world.now) is Result.ALLOWED
        assert got == expected, (service, world.documents[resource], found)


@settings(max_examples=225 * TIMES)
@given(
    standing(), STEPS, st.integers(0, 5), st.sampled_from(STRANGE_PRINCIPALS), st.sampled_from([0, 12, 24])
)
def test_who_has_access_is_who_was_promised_it(
    first: Documents, steps: list[Step], number: int, stranger: Principal, later: int
) -> None:
    world = World(dict(first))
    for step in steps:
        taken(world, step)
    world.now += timedelta(hours=later)
    assert_access(world, first, [*principals_of(number), stranger])
    assert_service(world, first)
    admin = session(OWNER, "admin")
    assert asked(world.documents[SHARED[2]], admin, Ask("kms:PutKeyPolicy", KEY), world.now) == asked(
        first[SHARED[2]], admin, Ask("kms:PutKeyPolicy", KEY), world.now
    )


def test_one_who_goes_while_another_comes_keeps_nothing() -> None:
    """SageMaker's pull on behalf of the first ends with the first's access."""
    first: Documents = dict.fromkeys([*SHARED, *REGISTRIES])
    first[SHARED[2]] = {"Version": "2012-10-17", "Statement": [{**ADMIN, "Resource": "*"}]}
    world = World(first.copy())
    for who in (((0, None),), ((0, ENDS[1]), (1, None))):
        assert taken(world, Step(0, "share", Config(0, "accounts", who, "approved", 0, True)))
    assert_service(world, first)
    world.now = START + timedelta(days=1)
    assert_service(world, first)
    assert_access(world, first, principals_of(0))


def test_a_role_that_its_account_s_config_names_no_more_keeps_nothing() -> None:
    """Two consumers of one account, then one: too rare among the stories."""
    first: Documents = dict.fromkeys([*SHARED, *REGISTRIES])
    first[SHARED[2]] = {"Version": "2012-10-17", "Statement": [{**ADMIN, "Resource": "*"}]}
    world = World(first.copy())
    for who in (((0, None), (1, None), (2, None)), ((2, None),)):
        assert taken(world, Step(0, "share", Config(0, "roles", who, "approved", 0, True)))
        assert_access(world, first, [*principals_of(0), *principals_of(1), *principals_of(2)])


# A change apart from the document that it was planned on.

A, B = (0, 1, 2), (3, 4, 5)
Difference = tuple[list[documents.Statement], list[documents.Statement]]


def shared(found: Documents, config: Config) -> Documents:
    """The documents after a share; one that does not fit is no example here."""
    part = {one: found[one] for one in [*SHARED, REGISTRIES[config.group]]}
    try:
        made = plan.plan_share(config.sharing(), Basis(config.needs(), part, START))
    except PlanRefused:
        reject()
    return {**found, **{change.resource: change.desired for change in made.changes}}


def difference(before: Any, after: Any) -> Difference:
    return documents.difference(before, after), documents.difference(after, before)


OTHERS = configs(B, ["accounts", "roles"])


@settings(max_examples=250 * TIMES)
@given(standing(), st.lists(configs(A), max_size=1), configs(A), standing(), OTHERS)
def test_a_change_is_made_and_undone_on_any_other_document(
    first: Documents, earlier: list[Config], config: Config, others: Documents, their: Config
) -> None:
    before, elsewhere = first, others
    for one in earlier:
        before, elsewhere = shared(before, one), shared(elsewhere, one)
    after, elsewhere = shared(before, config), shared(elsewhere, their)
    for resource in [*SHARED, REGISTRIES[config.group]]:
        added, removed = difference(before[resource], after[resource])
        assert documents.same(documents.merged(before[resource], added, removed), after[resource])
        made = documents.merged(elsewhere[resource], added, removed)
        assert_kept(elsewhere[resource], made)
        assert documents.same(documents.merged(made, added, removed), made)
        assert documents.same(documents.merged(made, removed, added), elsewhere[resource])
        assert documents.same(made, elsewhere[resource]) == (not added and not removed)


@settings(max_examples=175 * TIMES)
@given(standing(), st.lists(configs(), max_size=1), configs(A), OTHERS)
def test_two_writers_changes_are_both_there_whoever_writes_first(
    first: Documents, earlier: list[Config], config: Config, their: Config
) -> None:
    before = first
    for one in earlier:
        before = shared(before, one)
    mine, yours = shared(before, config), shared(before, their)
    for resource in [*SHARED, *(REGISTRIES[one.group] for one in (config, their))]:
        (added, removed), (theirs, gone) = (
            difference(before[resource], one[resource]) for one in (mine, yours)
        )
        both = documents.merged(mine[resource], theirs, gone)
        assert documents.same(documents.merged(yours[resource], added, removed), both)
        assert documents.same(documents.merged(both, removed, added), yours[resource])
        assert documents.same(documents.merged(both, gone, theirs), mine[resource])
