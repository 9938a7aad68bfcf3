"""How a test arranges outcomes of endpoints, faults of calls and policies of organizations over HTTP.

Not here: what an outcome is (``sagemaker.outcomes``) and what a fault is (``faults``).
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import Any

from crossaccount_sandbox.faults import Faults
from crossaccount_sandbox.sagemaker.outcomes import Outcome, Outcomes
from crossaccount_sandbox.world import OrganizationPolicies, World, policy_arn

_PATH = "/_sandbox/outcomes"
_FAULTS_PATH = "/_sandbox/faults"
_ORGANIZATIONS_PATH = "/_sandbox/organizations"
Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Control:
    """A WSGI application that takes what is arranged over HTTP and leaves all else to another.

    At ``/_sandbox/outcomes``: ``PUT {"account"?, "endpoint"?, "outcome": {...}}`` arranges the next change, ``PUT
    {"account", "endpoint", "status", "seconds"}`` holds an endpoint in a state, ``DELETE`` forgets all of it. At
    ``/_sandbox/faults``: ``PUT`` one rule or a list of them (see ``faults.Rule``), ``GET`` what is at work and which calls
    are held, ``DELETE`` ends all of it and releases those. At ``/_sandbox/organizations``: ``PUT {"account",
    "service_control"?: [...], "resource_control"?: [...]}`` attaches these policies of its organization to an account, in
    place of others, ``DELETE`` takes all away. Answers 204 (``GET``: 200 and JSON), or 400 and why.

    Args:
        outcomes: where outcomes are kept.
        faults: where faults are.
        world: where the policies of organizations are.
        other: what answers everything else.
    """

    def __init__(self, outcomes: Outcomes, faults: Faults, world: World, other: Application):
        self._outcomes = outcomes
        self._faults = faults
        self._world = world
        self._other = other

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer one request."""
        takers = {
            _PATH: self._take_outcome,
            _FAULTS_PATH: self._take_fault,
            _ORGANIZATIONS_PATH: self._take_organization,
        }
        take = takers.get(environ.get("PATH_INFO", ""))
        if take is None:
            return self._other(environ, start_response)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        try:
            answer = take(environ["REQUEST_METHOD"], body)
        except (ValueError, TypeError, KeyError) as error:
            text = f"{type(error).__name__}: {error}".encode()
            start_response("400 Bad Request", [("Content-Length", str(len(text)))])
            return [text]
        if answer is None:
            start_response("204 No Content", [("Content-Length", "0")])
            return [b""]
        text = json.dumps(answer).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(text)))])
        return [text]

    def _take_fault(self, method: str, body: bytes) -> dict[str, Any] | None:
        match method:
            case "GET":
                return self._faults.state()
            case "PUT":
                self._faults.arrange(json.loads(body))
            case "DELETE":
                self._faults.clear()
            case _:
                raise ValueError(f"{_FAULTS_PATH} takes GET, PUT and DELETE")
        return None

    def _take_organization(self, method: str, body: bytes) -> None:
        if method == "DELETE":
            self._world.organization_policies.clear()
            return
        if method != "PUT":
            raise ValueError(f"{_ORGANIZATIONS_PATH} takes PUT and DELETE")
        given = json.loads(body)
        account = self._world.accounts[given["account"]]
        if account.organization is None:
            raise ValueError(f"account {account.id} is in no organization")
        self._world.organization_policies[account.id] = OrganizationPolicies(
            **{
                kind: {
                    policy_arn(account.organization, kind, f"{account.id}-{index}"): document
                    for index, document in enumerate(given.get(kind, ()))
                }
                for kind in ("service_control", "resource_control")
            }
        )

    def _take_outcome(self, method: str, body: bytes) -> None:
        if method == "DELETE":
            self._outcomes.clear()
            return
        if method != "PUT":
            raise ValueError(f"{_PATH} takes PUT and DELETE")
        given = json.loads(body)
        if "status" in given:
            self._outcomes.hold(given["status"], given["account"], given["endpoint"], float(given["seconds"]))
            return
        known = {member.name for member in fields(Outcome)}
        if unknown := set(given["outcome"]) - known:
            raise ValueError(f"an outcome has no {', '.join(sorted(unknown))}")
        outcome = Outcome(**given["outcome"])
        self._outcomes.next_endpoint(outcome, given.get("account"), given.get("endpoint"))
