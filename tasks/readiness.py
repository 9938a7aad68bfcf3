"""What can be known of Prefect before a first run: its server, the locks' leases, work pools, workers and deployments.

It only reads. Not here: AWS (``crossaccount.setup.doctor``), and what a person reads (``crossaccount.setup.answers``).

Source: "Global concurrency limits", "Workers" and "Deployments" in the Prefect documentation; the server's routes under ``/admin``.
"""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import yaml
from prefect import __version__
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import WorkerStatus
from prefect.exceptions import ObjectNotFound
from prefect.settings import (
    PREFECT_API_REQUEST_TIMEOUT,
    PREFECT_API_URL,
    PREFECT_CLIENT_MAX_RETRIES,
    temporary_settings,
)

from crossaccount import shipped
from crossaccount.config.model import Sharing
from crossaccount.setup.answers import Answer, no, untold, yes
from crossaccount.text import counted

FILE = shipped.ROOT / "deployments" / "prefect.yaml"
_SECONDS = 5.0
_SUBJECT = "prefect"
_LEASES = {
    "prefect.server.concurrency.lease_storage.filesystem": "in a folder of the server: they outlast its restart",
    "prefect_redis.lease_storage": "in Redis: several servers share them",
}
_LEASE_WAY_OUT = (
    "Set PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE=prefect.server.concurrency.lease_storage.filesystem on the server, or with several "
    "servers prefect_redis.lease_storage: docs/growing.md."
)


def look(sharing: Sharing) -> list[Answer]:
    """The answers about the Prefect server that ``PREFECT_API_URL`` names, for a config."""
    address = PREFECT_API_URL.value()
    if not address:
        text = "no server is configured (PREFECT_API_URL), so each command starts a temporary one: no locks between machines, no UI."
        return [yes(_SUBJECT, "server", text)]
    quick = {PREFECT_CLIENT_MAX_RETRIES: 0, PREFECT_API_REQUEST_TIMEOUT: _SECONDS}
    with temporary_settings(quick):
        try:
            with get_client(sync_client=True) as client:
                return list(_answers(client, sharing, address))
        except (httpx.HTTPError, OSError, RuntimeError) as error:
            return [_silent(address, error)]


def _silent(address: str, error: Exception) -> Answer:
    text = f"the server at {address} does not answer ({type(error).__name__})."
    return no(_SUBJECT, "server", text, "Check PREFECT_API_URL and its credentials, or unset it.")


def _answers(client: SyncPrefectClient, sharing: Sharing, address: str) -> Iterator[Answer]:
    yield from _server(client, address)
    entries: list[dict[str, Any]] = yaml.safe_load(FILE.read_text(encoding="utf-8"))["deployments"]
    for question, ask in (
        ("leases", lambda: _leases(client)),
        ("work pools", lambda: _pools(client, entries)),
        ("deployments", lambda: _deployments(client, entries)),
        ("run_deployment", lambda: _parts(client, sharing)),
    ):
        yield from _asked(question, ask)


def _asked(question: str, ask: Callable[[], Iterator[Answer]]) -> list[Answer]:
    try:
        return list(ask())
    except (httpx.HTTPError, ValueError, KeyError) as error:
        status = f" {error.response.status_code}" if isinstance(error, httpx.HTTPStatusError) else ""
        return [untold(_SUBJECT, question, f"the server does not say ({type(error).__name__}{status}).")]


def _server(client: SyncPrefectClient, address: str) -> Iterator[Answer]:
    answer = client._client.get("/admin/version")
    if answer.status_code in (401, 403):
        text = f"the server at {address} refuses this client (HTTP {answer.status_code})."
        yield no(
            _SUBJECT,
            "server",
            text,
            "Set PREFECT_API_AUTH_STRING or PREFECT_API_KEY as the server has it.",
            is_access=True,
        )
        return
    answer.raise_for_status()
    version = str(answer.json())
    yield yes(_SUBJECT, "server", f"the one at {address} answers.")
    yield version_answer(version)


def version_answer(version: str) -> Answer:
    """Whether a server's version takes this client."""
    text = f"the server has {version}, this client {__version__}."
    theirs, ours = (tuple(map(_number, each.split(".")[:2])) for each in (version, __version__))
    if theirs < ours:
        way_out = "A server must not be older than its clients: update it, or install its version here."
        return no(_SUBJECT, "version", text, way_out)
    return yes(_SUBJECT, "version", text if theirs == ours else f"{text} A newer server takes older clients.")


def _number(text: str) -> int:
    return int("".join(filter(str.isdigit, text)) or 0)


def _leases(client: SyncPrefectClient) -> Iterator[Answer]:
    """Where the server keeps the leases of concurrency limits, which are the writers' locks."""
    answer = client._client.get("/admin/settings")
    answer.raise_for_status()
    yield lease_answer(str(answer.json()["server"]["concurrency"]["lease_storage"]))


def lease_answer(storage: str) -> Answer:
    """Whether the module that keeps a server's leases is one that outlasts its restart."""
    if storage in _LEASES:
        return yes(_SUBJECT, "leases", f"those of the locks are kept {_LEASES[storage]} ({storage}).")
    if storage.endswith(".memory"):
        text = "those of the locks are kept in memory: what a run holds when the server restarts stays locked for ever."
        return no(_SUBJECT, "leases", text, _LEASE_WAY_OUT)
    return untold(_SUBJECT, "leases", f"those of the locks are kept by {storage}, which is not known here.")


def _pools(client: SyncPrefectClient, entries: list[dict[str, Any]]) -> Iterator[Answer]:
    names = dict.fromkeys(str(entry["work_pool"]["name"]) for entry in entries)
    for name in names:
        yield _pool(client, name)


def _pool(client: SyncPrefectClient, name: str) -> Answer:
    question = f"work pool {name}"
    try:
        pool = client.read_work_pool(name)
    except ObjectNotFound:
        return no(_SUBJECT, question, "there is none.", f"prefect work-pool create {name} --type process")
    if pool.is_paused:
        return no(_SUBJECT, question, "it is paused.", f"prefect work-pool resume {name}")
    workers = client.read_workers_for_work_pool(name)
    online = [worker.name for worker in workers if worker.status == WorkerStatus.ONLINE]
    if not online and not (pool.type.endswith(":push") or pool.type.endswith(":managed")):
        seen = f"none of {len(workers)} workers is online" if workers else "no worker has ever come"
        return no(
            _SUBJECT,
            question,
            f"{seen}.",
            f"prefect worker start --pool {name}, with that side's credentials.",
        )
    return yes(
        _SUBJECT,
        question,
        f"{counted(len(online), 'worker')} online: {', '.join(sorted(online)[:4]) or 'it needs none'}.",
    )


def _deployments(client: SyncPrefectClient, entries: list[dict[str, Any]]) -> Iterator[Answer]:
    """Whether each deployment that is shipped is there, in its version; one that was copied for a team counts by its entrypoint."""
    found: dict[str, list[Any]] = {}
    offset = 0
    while page := client.read_deployments(limit=200, offset=offset):
        offset += len(page)
        for each in page:
            found.setdefault(str(each.entrypoint), []).append(each)
    missing = [entry["name"] for entry in entries if entry["entrypoint"] not in found]
    if missing:
        text = f"{', '.join(missing)} of deployments/prefect.yaml {'is' if len(missing) == 1 else 'are'} not deployed."
        yield no(
            _SUBJECT,
            "deployments",
            text,
            "prefect --no-prompt deploy --all --prefect-file deployments/prefect.yaml",
        )
    old = [
        f"{each.name} has version {each.version}, shipped is {entry['version']}"
        for entry in entries
        for each in found.get(entry["entrypoint"], [])
        if each.version != entry["version"]
    ]
    if old:
        yield no(
            _SUBJECT,
            "deployed versions",
            f"{'; '.join(old)}.",
            "Deploy them again, once the workers have this version installed.",
        )
    elif len(missing) < len(entries):
        yield yes(_SUBJECT, "deployed versions", "those of the flows are as shipped.")


def _parts(client: SyncPrefectClient, sharing: Sharing) -> Iterator[Answer]:
    """The deployments that consumers of the config name."""
    for name, consumer in sharing.consumers.items():
        if consumer.run_deployment is None:
            continue
        question = f"run_deployment of {name}"
        try:
            deployed = client.read_deployment_by_name(consumer.run_deployment)
        except ObjectNotFound:
            text = f"there is no deployment {consumer.run_deployment}."
            yield no(_SUBJECT, question, text, f"Deploy it, or correct consumers.{name}.run_deployment.")
            continue
        if deployed.work_pool_name is None:
            yield no(_SUBJECT, question, f"{consumer.run_deployment} has no work pool.", "Give it one.")
        else:
            yield yes(
                _SUBJECT,
                question,
                f"{consumer.run_deployment} is deployed, to work pool {deployed.work_pool_name}.",
            )
            yield _pool(client, deployed.work_pool_name)
