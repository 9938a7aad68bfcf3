"""The writers' locks: one writer at a time for each resource, as far as writers share a Prefect server.

They are global concurrency limits of one slot, named after the resources' ARNs. Without a shared server nothing holds writers apart;
the writing then waits before it looks again. Not here: the writing (``crossaccount.sharing.apply``).

Source: "Global concurrency limits" in the Prefect documentation.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

from prefect.client.orchestration import get_client
from prefect.concurrency.sync import concurrency
from prefect.exceptions import ObjectAlreadyExists
from prefect.settings import PREFECT_API_URL

from crossaccount.errors import Failed
from crossaccount.sharing.apply import SETTLE_SECONDS

_WAIT_SECONDS = 300.0
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
    names = sorted(f"crossaccount {arn}".replace("/", ":") for arn in arns)  # a limit's name takes no slash
    with get_client(sync_client=True) as client:
        for name in names:
            with suppress(ObjectAlreadyExists):  # another run made it after the client's look
                client.upsert_global_concurrency_limit_by_name(name, 1)
    slots = concurrency(names, occupy=1, timeout_seconds=patience, lease_duration=_LEASE_SECONDS, strict=True)
    with ExitStack() as slots_held:
        try:  # the waiting alone: a time-out within the writing is another matter
            slots_held.enter_context(slots)
        except TimeoutError:
            raise Failed(
                f"Other runs have been writing to {', '.join(arns)} for {patience:.0f} s. Look at them in Prefect, then run this again."
            ) from None
        yield 0.0
