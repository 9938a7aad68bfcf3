"""The writers' locks: one writer at a time for each resource, as far as writers share a Prefect server.

They are global concurrency limits of one slot, named after the resources' ARNs, all taken by one request or none. Without a shared
server nothing holds writers apart; the writing then waits before it looks again. Not here: the writing (``crossaccount.sharing.apply``).

Source: "Global concurrency limits" in the Prefect documentation.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from uuid import UUID

from httpx import HTTPStatusError, Response, TransportError, codes
from prefect import get_run_logger
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate, GlobalConcurrencyLimitUpdate
from prefect.client.schemas.responses import ConcurrencyLimitWithLeaseResponse
from prefect.concurrency._leases import maintain_concurrency_lease
from prefect.exceptions import ObjectAlreadyExists
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from crossaccount.errors import Failed
from crossaccount.sharing.apply import SETTLE_SECONDS
from crossaccount.text import first_line

_WAIT_SECONDS = 300.0
_BUSY_PAUSES = (0.03, 0.06, 0.12, 0.25, 0.5)
_LEASE_SECONDS = 60.0  # a writer that died gives its slots back after this; a living one renews them


@contextmanager
def writing(arns: Sequence[str], wait_seconds: float | None = None) -> Iterator[float]:
    """Within this, no other run on this server writes to these resources; gives how long to wait before looking again.

    Args:
        arns: the resources that are written to.
        wait_seconds: how long to wait for others; five minutes when it is left out.

    Raises:
        Failed: when others do not let go of them by then.
    """
    patience = wait_seconds if wait_seconds is not None else _WAIT_SECONDS
    if not arns or not PREFECT_API_URL.value():
        yield SETTLE_SECONDS
        return
    names = sorted({f"crossaccount {arn}".replace("/", ":") for arn in arns})  # a limit's name takes no slash
    with get_client(sync_client=True) as client:
        lease = _taken(client, names, time.monotonic() + patience)
        if lease is None:
            raise Failed(
                f"Other runs have been writing to {', '.join(arns)} for {patience:.0f} s. Look at them in Prefect, then run this again."
            )
        try:
            # Prefect's own `concurrency` keeps a thread and a client for each set of names for as long as the process lives.
            with maintain_concurrency_lease(lease, _LEASE_SECONDS, raise_on_lease_renewal_failure=True):
                yield 0.0
        finally:
            _give_back(client, lease)


def _give_back(client: SyncPrefectClient, lease: UUID) -> None:
    """Release the lease; where the server does not take it back, it ends by itself, and what was written stands all the same."""
    try:
        client.release_concurrency_slots_with_lease(lease)
    except (HTTPStatusError, TransportError) as error:
        get_run_logger().warning(
            "Prefect's server did not take the writers' locks back (%s). They end by themselves, within %.0f s; other runs wait until then.",
            first_line(error),
            _LEASE_SECONDS,
        )


def _taken(client: SyncPrefectClient, names: list[str], until: float) -> UUID | None:
    """The lease of a slot of every limit, None where others still hold one by then; limits that do not exist are made.

    The server says how long to wait before asking again (``Retry-After``).
    """
    while True:
        try:
            answer = _asked(client, names)
        except HTTPStatusError as error:
            if error.response.status_code != codes.LOCKED:
                raise
            left = until - time.monotonic()
            if left <= 0:
                return None
            time.sleep(min(float(error.response.headers["Retry-After"]), left))
            continue
        taken = ConcurrencyLimitWithLeaseResponse.model_validate(answer.json())
        wrong = set(names) - {limit.name for limit in taken.limits if limit.limit == 1}
        if not wrong:
            return taken.lease_id
        # Who waited for the others with some in hand could wait for a run that waits for it.
        client.release_concurrency_slots_with_lease(taken.lease_id)
        for name in sorted(wrong):
            _make(client, name)


def _asked(client: SyncPrefectClient, names: list[str]) -> Response:
    """The server's answer to a request for a slot of every limit.

    On SQLite it answers 503 when anything else was written meanwhile, as the event of a task's end is. Prefect's client then waits for
    two seconds; here it is asked again sooner at first.
    """
    ask = partial(client.increment_concurrency_slots_with_lease, names, 1, "concurrency", _LEASE_SECONDS)
    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
        for pause in _BUSY_PAUSES:
            try:
                return ask()
            except HTTPStatusError as error:
                if error.response.status_code != codes.SERVICE_UNAVAILABLE:
                    raise
                time.sleep(pause)
            except TransportError:
                break
    return ask()


def _make(client: SyncPrefectClient, name: str) -> None:
    """Make a limit of one slot, or set one that exists to it."""
    try:
        client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=name, limit=1))
    except ObjectAlreadyExists:
        client.update_global_concurrency_limit(name, GlobalConcurrencyLimitUpdate(limit=1))
