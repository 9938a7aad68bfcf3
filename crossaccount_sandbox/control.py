"""How a test arranges, over HTTP, what others do: outcomes, faults, images, tiers, quotas, AWS RAM, organizations, OpenID Connect.

Not here: what an outcome is (``sagemaker.outcomes``), what a command is (``sagemaker.image_commands``), what a fault is
(``faults``), and what an archive does (``handlers.storage``).
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import Any

from crossaccount_sandbox.faults import Faults
from crossaccount_sandbox.handlers.kms import share_key
from crossaccount_sandbox.handlers.quotas import arrange
from crossaccount_sandbox.handlers.storage import move
from crossaccount_sandbox.sagemaker.image_commands import ImageCommands, read_commands
from crossaccount_sandbox.sagemaker.outcomes import Outcome, Outcomes
from crossaccount_sandbox.wire import AwsError
from crossaccount_sandbox.world import OrganizationPolicies, World, policy_arn

_PATH = "/_sandbox/outcomes"
_FAULTS_PATH = "/_sandbox/faults"
_IMAGES_PATH = "/_sandbox/images"
_SHARES_PATH = "/_sandbox/shares"
_TIERS_PATH = "/_sandbox/tiers"
_ISSUERS_PATH = "/_sandbox/issuers"
_ORGANIZATIONS_PATH = "/_sandbox/organizations"
_QUOTAS_PATH = "/_sandbox/quotas"
Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Control:
    """A WSGI application that takes what is arranged over HTTP and leaves all else to another.

    At ``/_sandbox/outcomes``: ``PUT {"account"?, "endpoint"?, "outcome": {...}}`` arranges the next change, ``PUT
    {"account", "endpoint", "status", "seconds"}`` holds an endpoint in a state, ``DELETE`` forgets all of it. At
    ``/_sandbox/faults``: ``PUT`` one rule or a list of them (see ``faults.Rule``), ``GET`` what is at work and which calls
    are held, ``DELETE`` ends all of it and releases those. At ``/_sandbox/images``: ``PUT`` one command of images or a list of
    them, before those there (see ``sagemaker.image_commands``), ``GET`` all of them, ``DELETE`` forgets them; what runs
    already runs on. At ``/_sandbox/shares``: ``PUT {"key": ARN, "policy": {...}}``
    does what AWS RAM does, which is not here: it gives a KMS key its policy AWS_RAM, and with null takes it away. At
    ``/_sandbox/tiers``: ``PUT {"bucket", "key", "tier"}`` moves an object of Intelligent-Tiering into an archive tier, with a tier
    of null out of it. At ``/_sandbox/organizations``: ``PUT {"account", "service_control"?: [...], "resource_control"?: [...]}``
    attaches these policies of its organization to an account, in place of others, ``DELETE`` takes all away. At
    ``/_sandbox/issuers``: ``PUT {"issuer": URL, "jwks": {"keys": [...]}}`` gives STS the keys with which an OpenID Connect
    provider signs, null in their place puts it out of reach, ``DELETE`` forgets all. At ``/_sandbox/quotas``: ``PUT {"account", "quota":
    "ml.m5.large for endpoint usage", "value"}`` gives an account that quota in every region, with null AWS's default alone,
    ``GET`` what was given, ``DELETE`` forgets all. Answers 204 (``GET``: 200 and JSON), or
    400 and why.

    Args:
        world: where policies, objects and organizations are.
        outcomes: where outcomes are.
        faults: where faults are.
        images: where the commands of images are.
        other: what answers everything else.
    """

    def __init__(
        self, world: World, outcomes: Outcomes, faults: Faults, images: ImageCommands, other: Application
    ):
        self._world = world
        self._outcomes = outcomes
        self._faults = faults
        self._images = images
        self._other = other

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer one request."""
        takers = {
            _PATH: self._take_outcome,
            _FAULTS_PATH: self._take_fault,
            _IMAGES_PATH: self._take_images,
            _SHARES_PATH: self._take_share,
            _TIERS_PATH: self._take_tier,
            _ORGANIZATIONS_PATH: self._take_organization,
            _ISSUERS_PATH: self._take_issuer,
            _QUOTAS_PATH: self._take_quota,
        }
        take = takers.get(environ.get("PATH_INFO", ""))
        if take is None:
            return self._other(environ, start_response)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        try:
            answer = take(environ["REQUEST_METHOD"], body)
        except (ValueError, TypeError, KeyError, AwsError) as error:
            text = f"{type(error).__name__}: {error}".encode()
            start_response("400 Bad Request", [("Content-Length", str(len(text)))])
            return [text]
        if answer is None:
            start_response("204 No Content", [("Content-Length", "0")])
            return [b""]
        text = json.dumps(answer).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(text)))])
        return [text]

    def _take_images(self, method: str, body: bytes) -> list[dict[str, Any]] | None:
        match method:
            case "GET":
                return self._images.state()
            case "PUT":
                self._images.add(read_commands(body))
            case "DELETE":
                self._images.clear()
            case _:
                raise ValueError(f"{_IMAGES_PATH} takes GET, PUT and DELETE")
        return None

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

    def _take_share(self, method: str, body: bytes) -> None:
        if method != "PUT":
            raise ValueError(f"{_SHARES_PATH} takes PUT")
        given = json.loads(body)
        share_key(self._world, given["key"], given["policy"])

    def _take_tier(self, method: str, body: bytes) -> None:
        if method != "PUT":
            raise ValueError(f"{_TIERS_PATH} takes PUT")
        given = json.loads(body)
        move(self._world, given["bucket"], given["key"], given["tier"])

    def _take_issuer(self, method: str, body: bytes) -> None:
        if method == "DELETE":
            self._world.issuers.clear()
            return
        if method != "PUT":
            raise ValueError(f"{_ISSUERS_PATH} takes PUT and DELETE")
        given = json.loads(body)
        if (
            not isinstance(given, dict)
            or set(given) != {"issuer", "jwks"}
            or not isinstance(given["issuer"], str)
        ):
            raise ValueError(
                'an issuer is {"issuer": URL, "jwks": {"keys": [...]}}, jwks null where it is out of reach'
            )
        jwks = given["jwks"]
        if jwks is not None and not (isinstance(jwks, dict) and isinstance(jwks.get("keys"), list)):
            raise ValueError(f"jwks is an object whose keys are a list, or null, not {json.dumps(jwks)[:80]}")
        self._world.issuers[given["issuer"]] = jwks

    def _take_quota(self, method: str, body: bytes) -> list[dict[str, Any]] | None:
        match method:
            case "GET":
                return [
                    {"account": account, "quota": name, "value": value}
                    for (account, name), value in self._world.quotas.items()
                ]
            case "PUT":
                given = json.loads(body)
                if not isinstance(given, dict) or set(given) != {"account", "quota", "value"}:
                    raise ValueError('a quota is {"account", "quota": NAME, "value": NUMBER or null}')
                arrange(self._world, given["account"], given["quota"], given["value"])
            case "DELETE":
                self._world.quotas.clear()
            case _:
                raise ValueError(f"{_QUOTAS_PATH} takes GET, PUT and DELETE")
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
        outcome = Outcome(**{**given["outcome"], "types": tuple(given["outcome"].get("types") or ())})
        self._outcomes.next_endpoint(outcome, given.get("account"), given.get("endpoint"))
