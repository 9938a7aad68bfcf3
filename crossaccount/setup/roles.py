"""The roles of a config's accounts: what their stacks are told, and in what the deployed ones differ from that.

It only reads. Not here: the text of it (``show_roles``), and files and commands to deploy them (``stack_files``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from crossaccount import parallel
from crossaccount.audit.answers import Verdict
from crossaccount.aws import sessions
from crossaccount.aws.credentials import name_of
from crossaccount.aws.refusals import Attempt, classify, unreachable
from crossaccount.config.model import ConsumerConfig, ProducerConfig, Sharing
from crossaccount.errors import CrossAccountError, DoorName, InputError, NotReady, Refused
from crossaccount.setup import deployed, holdings, stack_parameters, templates
from crossaccount.setup.differences import CONTAINING, Difference, differences
from crossaccount.setup.stack_parameters import Holdings
from crossaccount.setup.templates import Place, Role
from crossaccount.text import quote

_READING = "iam:GetRole, iam:ListRolePolicies, iam:GetRolePolicy, iam:ListAttachedRolePolicies, iam:GetPolicy and iam:GetPolicyVersion"


@dataclass(frozen=True)
class Side:
    """An account of the config with its stack.

    ``key`` is the part of the config (``consumers.staging``), ``name`` its short name, ``template`` that of its stack, ``config`` the
    part itself.
    """

    key: str
    name: str
    template: str
    config: ProducerConfig | ConsumerConfig
    place: Place
    parameters: Mapping[str, str]

    @property
    def stack(self) -> str:
        """The name that its stack is given."""
        return self.parameters.get("NamePrefix", "crossaccount")

    @property
    def roles(self) -> tuple[Role, ...]:
        """The roles that the stack makes."""
        return templates.make(self.template, self.parameters, self.place).roles


@dataclass(frozen=True)
class Compared:
    """A deployed role beside the one that the config needs; ``reason`` says why it cannot be told, or in a sentence what was found."""

    side: str
    account: str
    role: str
    verdict: Verdict
    reason: str
    differences: tuple[Difference, ...] = ()
    exit_code: int = 0

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        data = asdict(self)
        del data["exit_code"]
        is_there = self.verdict is Verdict.YES or bool(self.differences)
        contains = is_there and all(each.kind in CONTAINING for each in self.differences)
        return {**data, "contains_what_is_needed": None if self.verdict is Verdict.CANNOT_TELL else contains}


def sides(sharing: Sharing, consumer: str | None, given: Sequence[str] = ()) -> tuple[Side, ...]:
    """The accounts of a config, each with the parameters of its stack.

    Args:
        sharing: the config.
        consumer: the only consumer; None is all.
        given: parameters of the command, ``NAME=VALUE`` for each template that has it, or ``SIDE.NAME=VALUE``; they come before what
            is read.

    Raises:
        InputError: for a parameter that no template has, or roles that no stack makes.
        Refused, Failed: where what the producer owns cannot be read, and is not given.
    """
    wanted, told = sharing.select(consumer), _Given(given, ["producer", *sharing.consumers])
    known = told.of("producer", "producer") | {
        k: v for n in wanted for k, v in told.of(n, "consumer").items()
    }
    needed = {"ArtifactBucket", "RepositoryName"}
    if needed <= set(known):
        owned = Holdings(known["ArtifactBucket"], known["RepositoryName"], known.get("ArtifactPrefix", ""))
    else:
        owned = holdings.read(sharing)
    place = partial(Place, sharing.partition, sharing.region)
    found = [
        Side(
            "producer",
            "producer",
            "producer",
            sharing.producer,
            place(sharing.producer.account),
            stack_parameters.of_producer(sharing, owned) | told.of("producer", "producer"),
        )
    ]
    for name in wanted:
        each = sharing.consumers[name]
        parameters = stack_parameters.of_consumer(sharing, owned, name) | told.of(name, "consumer")
        found.append(Side(f"consumers.{name}", name, "consumer", each, place(each.account), parameters))
    for side in found:
        assert side.roles  # a value that the template does not take is refused here
    return tuple(found)


class _Given:
    """Parameters of the command line."""

    def __init__(self, words: Sequence[str], names: Sequence[str]) -> None:
        self._shared, self._own = dict[str, str](), dict[tuple[str, str], str]()
        declared = {side: templates.read(side)["Parameters"] for side in templates.SIDES}
        for word in words:
            full, equals, value = word.partition("=")
            side, dot, name = full.rpartition(".")
            kinds = templates.SIDES if not dot else ["producer" if side == "producer" else "consumer"]
            if not equals or (dot and side not in names) or not any(name in declared[kind] for kind in kinds):
                raise InputError(
                    f"--parameter {quote(word)}: it is no NAME=VALUE or SIDE.NAME=VALUE with a parameter of deployments/iam, "
                    f"and SIDE one of {', '.join(names)}."
                )
            if dot:
                self._own[side, name] = value
            else:
                self._shared[name] = value

    def of(self, side: str, template: str) -> dict[str, str]:
        declared = templates.read(template)["Parameters"]
        own = {name: value for (owner, name), value in self._own.items() if owner == side}
        return {name: value for name, value in self._shared.items() if name in declared} | own


def compare(accounts: Sequence[Side]) -> tuple[Compared, ...]:
    """Each role that is needed, beside the deployed one as the side's profile reads it; accounts at once."""
    return tuple(
        each for found in parallel.run_all([partial(_of_side, side) for side in accounts]) for each in found
    )


def _of_side(side: Side) -> list[Compared]:
    try:
        iam = _iam(side)
    except CrossAccountError as error:
        return [_untold(side, role, error) for role in side.roles]
    return parallel.run_all([partial(_of_role, side, role, iam) for role in side.roles])


def _iam(side: Side) -> Any:
    session = sessions.profile_session(f"{side.key}.profile", side.config.profile, side.place.region)
    try:
        account = session.client("sts").get_caller_identity()["Account"]
    except ClientError as error:
        raise classify(error, _attempt(side, "sts:GetCallerIdentity", "*")) from None
    except BotoCoreError as error:
        raise unreachable(error, side.key) from None
    if account != side.place.account:
        raise InputError(
            f"{name_of(side.config.profile)} is of account {account}, and the roles are of account {side.place.account}. Name a profile of "
            f"that account in {side.key}.profile of a copy of the config, to look with."
        )
    return session.client("iam")


def _attempt(side: Side, action: str, resource: str) -> Attempt:
    account = side.place.account
    return Attempt(
        name_of(side.config.profile), account, account, DoorName.CALLER_POLICY, action, resource, side.key
    )


def arn_of(side: Side, role: Role) -> str:
    """The ARN of a role of a side."""
    return f"arn:{side.place.partition}:iam::{side.place.account}:role/{role.name}"


def _of_role(side: Side, role: Role, iam: Any) -> Compared:
    try:
        found = deployed.read(iam, role.name)
    except ClientError as error:
        return _untold(side, role, classify(error, _attempt(side, "iam:GetRole", arn_of(side, role))))
    except BotoCoreError as error:
        return _untold(side, role, unreachable(error, side.key))
    if found is None:
        reason = f"There is no such role. Deploy the stack: crossaccount roles CONFIG shows the command for {side.name}."
        return _compared(side, role, Verdict.NO, reason, exit_code=1)
    said = differences(role, found)
    if not said:
        return _compared(side, role, Verdict.YES, "every statement is as needed")
    contains = all(each.kind in CONTAINING for each in said)
    reason = (
        "it allows more than is needed"
        if contains
        else "it differs from what the config needs. Update its stack"
    )
    return _compared(side, role, Verdict.NO, reason, said, 1)


def _untold(side: Side, role: Role, error: CrossAccountError) -> Compared:
    refused = isinstance(error, Refused)
    text = str(error)
    if refused:
        text = f"{name_of(side.config.profile)} may not read it. Reading takes {_READING} on the role, as an administrator of the account has."
    return _compared(side, role, Verdict.CANNOT_TELL, text, exit_code=3 if refused else error.exit_code)


def _compared(
    side: Side,
    role: Role,
    verdict: Verdict,
    reason: str,
    said: tuple[Difference, ...] = (),
    exit_code: int = 0,
) -> Compared:
    return Compared(side.name, side.place.account, arn_of(side, role), verdict, reason, said, exit_code)


def text(compared: Sequence[Compared]) -> str:
    """The comparison for a person: a line for each role, and one for each statement that differs."""
    lines = []
    for each in compared:
        lines.append(f"{each.verdict}: {each.side} {each.role}: {each.reason}")
        lines += [f"  {difference}" for difference in each.differences]
    return "\n".join(lines)


def judge(compared: Sequence[Compared]) -> None:
    """Raise what the comparison comes to, where not every role is as needed.

    Raises:
        NotReady: with exit code 1 where a role differs, else with that of what kept one from being read, 3 for a refusal.
    """
    wrong = [each for each in compared if each.verdict is Verdict.NO]
    untold = [each for each in compared if each.verdict is Verdict.CANNOT_TELL]
    report = {"roles": [each.to_json() for each in compared]}
    if wrong:
        names = "; ".join(f"{each.side} {each.role}" for each in wrong)
        raise NotReady(f"Roles differ from what the config needs: {names}.", text(compared), report, 1)
    if untold:
        names = "; ".join(f"{each.side} {each.role}" for each in untold)
        code = max(each.exit_code for each in untold)
        raise NotReady(f"Roles could not be compared: {names}.", text(compared), report, code)
