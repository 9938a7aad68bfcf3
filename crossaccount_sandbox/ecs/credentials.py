"""The credentials of task roles: each task gets its own from an address of its own, with a token, as from the agent of ECS.

AWS's containers ask 169.254.170.2; here the address is the sandbox's own, in AWS_CONTAINER_CREDENTIALS_FULL_URI, which SDKs take on
the loopback interface. Each answer is a new session.

Source: "Task IAM role" in the Amazon ECS developer guide; "Container credential provider" in the AWS SDKs and tools guide.
"""

import hmac
import json
import secrets
import threading
from collections.abc import Callable, Iterable
from typing import Any

from crossaccount_sandbox.callers import Caller
from crossaccount_sandbox.handlers.sessions import begin
from crossaccount_sandbox.principals import find_role
from crossaccount_sandbox.world import World

PATH = "/_ecs/credentials/"
SIX_HOURS = 21_600.0
Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


class TaskCredentials:
    """Who may have which task role's credentials.

    Args:
        world: roles, keys and the clock.
        seconds: how long a session lasts.
    """

    def __init__(self, world: World, seconds: float = SIX_HOURS) -> None:
        self._world = world
        self._seconds = seconds
        self._lock = threading.Lock()
        self._known: dict[str, tuple[str, str, str]] = {}

    def grant(self, role: str, task: str, url: str) -> dict[str, str]:
        """The variables with which a process gets a role's credentials until `withdraw`.

        Args:
            role: its ARN.
            task: the task's id, which is the session's name.
            url: where the sandbox serves.
        """
        place, token = secrets.token_hex(16), secrets.token_urlsafe(32)
        with self._lock:
            self._known[place] = (token, role, task)
        return {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{url}{PATH}{place}",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": token,
        }

    def withdraw(self, task: str) -> None:
        """Give no further credentials to a task."""
        with self._lock:
            self._known = {place: held for place, held in self._known.items() if held[2] != task}

    def answer(self, place: str, token: str) -> tuple[int, dict[str, Any]]:
        """Status and body of one request."""
        with self._lock:
            held = self._known.get(place)
        if held is None:
            return 404, {"code": "InvalidIdInRequest", "message": "CredentialsV2Request: ID not found"}
        expected, role_arn, task = held
        role = find_role(role_arn)
        if not hmac.compare_digest(expected, token):
            return 401, {"code": "Unauthorized", "message": "Authorization token is not the task's"}
        if role is None:
            return 404, {"code": "NoRole", "message": f"Role {role_arn} does not exist any more"}
        session = Caller(
            arn=f"arn:aws:sts::{role.account_id}:assumed-role/{role.name}/{task}",
            account=role.account_id,
            unique_id=f"{role.id}:{task}",
            role_arn=role.arn,
            session_began=self._world.clock(),
            session_expires=self._world.session_end(int(self._seconds)).replace(microsecond=0),
        )
        given = begin(self._world, session)
        return 200, {
            "RoleArn": role.arn,
            "AccessKeyId": given["AccessKeyId"],
            "SecretAccessKey": given["SecretAccessKey"],
            "Token": given["SessionToken"],
            "Expiration": given["Expiration"].strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    def before(self, other: Application) -> Application:
        """A WSGI application that gives credentials, and leaves all else to another."""

        def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            path = environ.get("PATH_INFO", "")
            if not path.startswith(PATH) or environ["REQUEST_METHOD"] != "GET":
                return other(environ, start_response)
            status, said = self.answer(path.removeprefix(PATH), environ.get("HTTP_AUTHORIZATION", ""))
            body = json.dumps(said).encode()
            headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
            start_response(f"{status} {'OK' if status == 200 else 'Refused'}", headers)
            return [body]

        return application
