"""IAM's simulation of a principal's policies: what they say of actions on resources, without a call being made.

As in AWS, policies of the resources play no part in it. Not here: the judge (``judging``).

Source: SimulatePrincipalPolicy, EvaluationResult and ResourceSpecificResult in the IAM API reference. One result for an action;
with named resources the decision on each is beside it, and it is the most restrictive one itself.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from xml.sax.saxutils import escape

from crossaccount_sandbox.attached import statements
from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.judging.decision import Decision, Result, judge
from crossaccount_sandbox.judging.request import Policies, Request, question_of
from crossaccount_sandbox.judging.statements import context_keys
from crossaccount_sandbox.principals import (
    Document,
    Named,
    boundary_documents,
    find_role,
    find_user,
    identity_documents,
    named_policies,
)
from crossaccount_sandbox.wire import AwsError, Response
from crossaccount_sandbox.world import Handler, World

_ANYTHING = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
_WORDS = {
    Result.ALLOWED: "allowed",
    Result.IMPLICITLY_DENIED: "implicitDeny",
    Result.EXPLICITLY_DENIED: "explicitDeny",
}
_STRICTEST = ("explicitDeny", "implicitDeny", "allowed")


@dataclass(frozen=True)
class _Simulation:
    """What is simulated: who asks, with which condition keys, under which policies."""

    principal: str
    account: str
    context: dict[str, Any]
    policies: Policies
    named: Sequence[Named]
    in_organization: bool

    def request(self, action: str, resource: str) -> Request:
        """The question about one resource, which is taken for the principal's own, as policies of resources play no part."""
        return Request(self.principal, action, resource, self.account, self.context)


def simulate_principal_policy(world: World, call: Call) -> Response:
    """SimulatePrincipalPolicy of a role or a user.

    Raises:
        AwsError: ``NoSuchEntity`` for a principal that does not exist, ``InvalidInput`` for a policy that is none.
    """
    simulation = _simulation(world, call)
    resources = call.params.get("ResourceArns") or ["*"]
    results = "".join(_result(simulation, action, resources) for action in call.params["ActionNames"])
    text = (
        '<SimulatePrincipalPolicyResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">'
        f"<SimulatePrincipalPolicyResult><IsTruncated>false</IsTruncated><EvaluationResults>{results}"
        "</EvaluationResults></SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>"
    )
    return Response(200, text.encode(), (("Content-Type", "text/xml"),))


def _simulation(world: World, call: Call) -> _Simulation:
    arn = call.params["PolicySourceArn"]
    if find_role(arn) is None and find_user(arn) is None:
        raise AwsError("NoSuchEntity", "Unable to retrieve specified IAM entity.", 404)
    account, name = arn.split(":")[4], arn.rpartition("/")[2]
    given = [_read(text) for text in call.params.get("PolicyInputList") or ()]
    boundaries = [_read(text) for text in call.params.get("PermissionsBoundaryPolicyInputList") or ()]
    # Keys and roles must let in whom they are used by: here they leave the decision to IAM.
    to_iam = {"Effect": "Allow", "Principal": {"AWS": account}, "Action": "*", "Resource": "*"}
    policies = Policies(
        identity=[*identity_documents(arn), *given],
        boundaries=boundaries or boundary_documents(arn),
        resource={"Statement": [to_iam]},
        scps=world.service_control(account),
    )
    context = {
        entry["ContextKeyName"]: entry["ContextKeyValues"]
        for entry in call.params.get("ContextEntries") or ()
    }
    session = f"arn:aws:sts::{account}:assumed-role/{name}/simulation" if ":role/" in arn else arn
    named = [
        *named_policies(arn),
        *(
            Named(each, f"PolicyInputList.{number}", text=text)
            for number, (each, text) in enumerate(
                zip(given, call.params.get("PolicyInputList") or (), strict=True), 1
            )
        ),
    ]
    known = world.accounts.get(account)
    return _Simulation(session, account, context, policies, named, bool(known and known.organization))


def _read(text: str) -> Document:
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise AwsError("InvalidInput", "The policy is not a valid JSON document.")
    return document


def _result(simulation: _Simulation, action: str, resources: Sequence[str]) -> str:
    decisions = {
        resource: judge(simulation.request(action, resource), simulation.policies) for resource in resources
    }
    words = {resource: _WORDS[decision.result] for resource, decision in decisions.items()}
    single = "".join(
        f"<member>{_element('EvalResourceName', resource)}{_element('EvalResourceDecision', words[resource])}"
        f"{_about(simulation, action, [resource], [decision])}</member>"
        for resource, decision in decisions.items()
        if resource != "*"
    )
    whole = min(words.values(), key=_STRICTEST.index)
    deciding = [decision for resource, decision in decisions.items() if words[resource] == whole]
    name = resources[0] if len(resources) == 1 else "*"
    organizations = ""
    if simulation.in_organization:
        free = Policies(
            identity=[_ANYTHING], resource=simulation.policies.resource, scps=simulation.policies.scps
        )
        organizations = _detail(
            "Organizations", "AllowedByOrganizations", _all_allowed(simulation, action, resources, free)
        )
    return (
        f"<member>{_element('EvalActionName', action)}{_element('EvalResourceName', name)}{_element('EvalDecision', whole)}"
        f"{_about(simulation, action, resources, deciding)}{organizations}"
        f"<ResourceSpecificResults>{single}</ResourceSpecificResults></member>"
    )


def _about(
    simulation: _Simulation, action: str, resources: Sequence[str], decisions: Sequence[Decision]
) -> str:
    """The statements that decided, the condition keys that had no value, and the boundary's part."""
    sources = {
        (policy.source, _place(policy, each))
        for policy in simulation.named
        for each in decisions
        if policy.document is each.document
    }
    matched = "".join(
        f"<member>{_element('SourcePolicyId', source)}{_element('SourcePolicyType', 'IAM Policy')}{place}</member>"
        for source, place in sorted(sources)
    )
    missing = {
        key for resource in resources for key in _missing(simulation, simulation.request(action, resource))
    }
    keys = "".join(f"<member>{escape(key)}</member>" for key in sorted(missing))
    boundary = ""
    if simulation.policies.boundaries is not None:
        bounded = replace(simulation.policies, identity=[_ANYTHING], scps=())
        allowed = _all_allowed(simulation, action, resources, bounded)
        boundary = _detail("PermissionsBoundary", "AllowedByPermissionsBoundary", allowed)
    return f"<MatchedStatements>{matched}</MatchedStatements><MissingContextValues>{keys}</MissingContextValues>{boundary}"


def _place(policy: Named, decision: Decision) -> str:
    """Where in its policy's text the statement stands that decided, white space before it included.

    Source: answers of IAM that its users report.
    """
    sids = [statement.get("Sid") for statement in statements(policy.document)]
    number = sids.index(decision.statement) if decision.statement in sids else decision.statement
    if not isinstance(number, int) or not policy.text.lstrip().startswith("{"):
        return ""
    start, end = _spans(policy.text)[number]
    return f"<StartPosition>{_position(policy.text, start)}</StartPosition><EndPosition>{_position(policy.text, end)}</EndPosition>"


def _position(text: str, offset: int) -> str:
    line = text.count("\n", 0, offset) + 1
    column = offset - text.rfind("\n", 0, offset)
    return _element("Line", str(line)) + _element("Column", str(column))


_READER = json.JSONDecoder()


def _spans(text: str) -> list[tuple[int, int]]:
    """The beginning and the end of each statement of a policy, as offsets into its text."""
    name, after = "", text.index("{")
    while name != "Statement":
        name, end = _READER.raw_decode(text, _skip(text, after + 1))
        start = text.index(":", end) + 1
        _, end = _READER.raw_decode(text, _skip(text, start))
        after = _skip(text, end)
    first = _skip(text, start)
    if text[first] == "{":
        return [(start, end)]
    spans, start = [], first + 1
    while True:
        _, end = _READER.raw_decode(text, _skip(text, start))
        spans.append((start, end))
        after = _skip(text, end)
        if text[after] != ",":
            return spans
        start = after + 1


def _skip(text: str, offset: int) -> int:
    """The offset of what follows white space."""
    while text[offset].isspace():
        offset += 1
    return offset


def _missing(simulation: _Simulation, request: Request) -> set[str]:
    """The condition keys that policies ask for and nothing gives; those of service control policies are not listed."""
    policies = simulation.policies
    question = question_of(request, policies.boundaries is not None)
    # Who owns a resource is not known from this call, though the judge takes it for the principal's own.
    has = {*question.context} - ({"aws:resourceaccount"} - {key.lower() for key in simulation.context})
    asked_for = context_keys([*policies.identity, *(policies.boundaries or ())], question)
    return {key for key in asked_for if key.lower() not in has}


def _all_allowed(simulation: _Simulation, action: str, resources: Sequence[str], policies: Policies) -> bool:
    asked = (judge(simulation.request(action, resource), policies) for resource in resources)
    return all(decision.result is Result.ALLOWED for decision in asked)


def _detail(kind: str, name: str, value: bool) -> str:
    return f"<{kind}DecisionDetail>{_element(name, str(value).lower())}</{kind}DecisionDetail>"


def _element(name: str, text: str) -> str:
    return f"<{name}>{escape(text)}</{name}>"


HANDLERS: dict[str, Handler] = {"SimulatePrincipalPolicy": simulate_principal_policy}
