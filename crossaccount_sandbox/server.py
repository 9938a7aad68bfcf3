"""The sandbox as a running server: the guard in front of moto, on a port of the loopback interface.

Not here: which accounts there are and what they hold (``accounts``).
"""

import threading
from collections.abc import Callable
from datetime import datetime

from moto.core.base_backend import BackendDict

from crossaccount_sandbox.callers import Issued, Keys
from crossaccount_sandbox.cloudformation.records import Stacks
from crossaccount_sandbox.cloudformation.stacks import StackOperations
from crossaccount_sandbox.connections import HttpServer
from crossaccount_sandbox.control import Control
from crossaccount_sandbox.ecs.credentials import SIX_HOURS, TaskCredentials
from crossaccount_sandbox.ecs.definitions import Definitions
from crossaccount_sandbox.ecs.tasks import Tasks
from crossaccount_sandbox.faults import Faults
from crossaccount_sandbox.guard import Guard, Log
from crossaccount_sandbox.handlers import (
    autoscaling,
    bucket_policies,
    buckets,
    cloudwatch,
    deletions,
    ec2,
    ecr,
    iam,
    images,
    kms,
    layers,
    multipart,
    organizations,
    quotas,
    ram,
    s3,
    s3control,
    simulation,
    storage,
    sts,
    web_identity,
)
from crossaccount_sandbox.handlers.log_store import LogStore
from crossaccount_sandbox.handlers.logs import Logs
from crossaccount_sandbox.principals import Account
from crossaccount_sandbox.sagemaker import endpoint_configs, groups, models, packages, tags
from crossaccount_sandbox.sagemaker.artifacts import Artifacts
from crossaccount_sandbox.sagemaker.asynchronous import Queues
from crossaccount_sandbox.sagemaker.captures import Captures
from crossaccount_sandbox.sagemaker.components import Components
from crossaccount_sandbox.sagemaker.containers import Containers, warm
from crossaccount_sandbox.sagemaker.endpoints import Endpoints
from crossaccount_sandbox.sagemaker.fleets import Fleets
from crossaccount_sandbox.sagemaker.hosting import Hosting
from crossaccount_sandbox.sagemaker.image_commands import ImageCommands
from crossaccount_sandbox.sagemaker.logs import Collector
from crossaccount_sandbox.sagemaker.outcomes import Outcomes, Pace
from crossaccount_sandbox.world import Handler, World, locked, utc_now

_MODULES = {
    "application-autoscaling": [autoscaling],
    "cloudwatch": [cloudwatch],
    "ec2": [ec2],
    "ecr": [ecr, images, layers],
    "iam": [iam, simulation],
    "kms": [kms],
    "organizations": [organizations],
    "ram": [ram],
    "s3": [buckets, bucket_policies, s3, deletions, multipart, storage],
    "s3control": [s3control],
    "sagemaker": [groups, packages, models, endpoint_configs, tags],
    "service-quotas": [quotas],
    "sts": [sts, web_identity],
}
_LOCKED = ("cloudwatch", "application-autoscaling", "ram", "sagemaker", "service-quotas")


def _handlers(
    endpoints: Endpoints, components: Components, logs: Logs, stacks: Stacks
) -> dict[tuple[str, str], Handler]:
    """What the sandbox answers itself, by service and operation."""
    return (
        endpoints.handlers()
        | components.handlers()
        | logs.handlers()
        | StackOperations(stacks).handlers()
        | {
            (service, name): locked(handler) if service in _LOCKED else handler
            for service, modules in _MODULES.items()
            for module in modules
            for name, handler in module.HANDLERS.items()
        }
    )


class Server:
    """One sandbox, serving from a thread of this process; it begins with an empty AWS.

    The emulation keeps its state in the process, so a process serves one sandbox at a time.

    Args:
        accounts: the accounts that exist.
        port: 0 picks a free one.
        endpoint_seconds: how long endpoints stay Creating, at least.
        clock: the time that sessions and date conditions see.
        log: takes one entry for each request when it was answered (see ``Guard``); called from several threads.
        speed: how many of AWS's seconds pass in one, where a deployment bakes or waits.
        control: whether outcomes and faults can also be arranged over HTTP, see ``control.Control``.
        issued: is told every session's key, secrets included, see ``callers.Keys``.
        task_session_seconds: how long a session of a task role lasts; ECS gives a new one before its end.
    """

    def __init__(
        self,
        accounts: list[Account],
        port: int = 0,
        endpoint_seconds: float = 1.0,
        clock: Callable[[], datetime] = utc_now,
        log: Log | None = None,
        speed: float = 1.0,
        control: bool = False,
        issued: Issued | None = None,
        task_session_seconds: float = SIX_HOURS,
    ):
        BackendDict.reset()
        self.world = World({account.id: account for account in accounts}, clock, Keys(issued), speed=speed)
        self._containers = Containers()
        pace = Pace(endpoint_seconds, speed)
        self.outcomes = Outcomes(pace)
        self.images, artifacts = ImageCommands(), Artifacts(self.world)
        self._fleets = Fleets(self.world, self._containers, pace, self.images, artifacts)
        captures = Captures(self.world, artifacts)
        self.hosting = Hosting(self.world, self._fleets, self.outcomes, pace, captures)
        behind = Hosting(self.world, self._fleets, self.outcomes, pace, captures, self.world.components)
        components = Components(self.hosting, behind)
        self.faults = Faults(self.world, self.outcomes)
        self.stacks = Stacks()
        store = LogStore()
        self._collector = Collector(self.world, store)
        queues = Queues(self.world, self.hosting, artifacts, pace, log)
        endpoints, logs = Endpoints(self.hosting, queues, components), Logs(store, self._collector.look)
        handlers = _handlers(endpoints, components, logs, self.stacks)
        definitions, credentials = Definitions(), TaskCredentials(self.world, task_session_seconds)
        self._tasks = Tasks(self.world, definitions, self.images, store, credentials)
        handlers |= definitions.handlers() | self._tasks.handlers()
        guard = Guard(self.world, handlers, self.faults, log)
        served = layers.Downloads(self.world, credentials.before(guard))
        application = (
            Control(self.world, self.outcomes, self.faults, self.images, served) if control else served
        )
        self._http = HttpServer(port, application)
        self.url = artifacts.endpoint_url = self._tasks.endpoint_url = (
            f"http://127.0.0.1:{self._http.server_port}"
        )

    def start(self) -> None:
        """Serve from now on, in the background."""
        warm()
        self._collector.start()
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()

    def stop(self) -> None:
        """Stop serving, and every inference process."""
        self._http.stop()
        self._tasks.stop_all()
        self._containers.stop_all()
        self._collector.stop()
        self._fleets.close()
