"""Whether the addresses of AWS that a config needs answer this machine, and what time AWS has.

An address is asked without credentials: any answer of HTTP is one. Not here: what is asked of AWS (``doctor``).

Source: "Regional endpoints" in the AWS SDKs and Tools reference; "Elements of an AWS API request signature" in the IAM user guide:
a signature is taken for five minutes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from threading import Thread
from time import monotonic
from typing import Any, TypeVar
from urllib.parse import urlsplit

from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from crossaccount.aws import refusals
from crossaccount.setup.answers import Answer, no, untold, yes
from crossaccount.text import first_line

_SECONDS = 5.0
_OF_A_PROXY = (407, 502, 504)
_MOST_APART = 300.0
_MACHINE = "machine"
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Reached:
    """An address that was asked: what is wrong where it did not answer, and the seconds that this machine's clock is ahead of AWS's."""

    fault: str = ""
    ahead: float | None = None


def ask_at_once(
    calls: Mapping[str, Callable[[], _Result]], seconds: float
) -> dict[str, _Result | Exception | None]:
    """The result of each call, or its exception; None for one that had not ended by then, which is waited for no longer."""
    results: dict[str, _Result | Exception | None] = dict.fromkeys(calls)

    def keep(name: str) -> None:
        try:
            results[name] = calls[name]()
        except Exception as error:
            results[name] = error

    threads = [Thread(target=keep, args=(name,), daemon=True) for name in calls]
    until = monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - monotonic()))
    return dict(results)


def reach(urls: Mapping[str, Any]) -> dict[str, Reached]:
    """Ask each address once, all at once; its value is botocore's ``ca_bundle``, None for its own."""
    asked = ask_at_once({url: partial(_ask, url, bundle) for url, bundle in urls.items()}, 3 * _SECONDS)
    return {
        url: found if isinstance(found, Reached) else Reached(_why(found)) for url, found in asked.items()
    }


def _why(found: object) -> str:
    return f"it does not answer within {3 * _SECONDS:.0f} s" if found is None else first_line(found)


def _ask(url: str, verify: Any) -> Reached:
    session = URLLib3Session(
        verify=True if verify is None else verify,
        proxies=get_environ_proxies(url),
        timeout=int(_SECONDS),
    )
    try:
        answer = session.send(AWSRequest(method="GET", url=f"{url.rstrip('/')}/").prepare())
    except BotoCoreError as error:
        return Reached(f"{type(error).__name__}: {first_line(error)}")
    finally:
        session.close()
    if answer.status_code in _OF_A_PROXY:
        return Reached(f"a proxy on the way answers HTTP {answer.status_code}")
    date = {name.lower(): value for name, value in answer.headers.items()}.get("date")
    if date is None:
        return Reached()
    try:
        return Reached(ahead=(datetime.now(UTC) - parsedate_to_datetime(date)).total_seconds())
    except (TypeError, ValueError):
        return Reached()


def answers(services: Mapping[str, Iterable[str]], reached: Mapping[str, Reached]) -> Iterator[Answer]:
    """The answers about addresses, by what is asked there, and about the clock.

    Args:
        services: those that are asked at each address.
        reached: what became of asking it.
    """
    for url, found in reached.items():
        names = ", ".join(sorted(services[url]))
        question = f"reaches {urlsplit(url).netloc}"
        if found.fault:
            text = f"{names} cannot be asked: {found.fault.rstrip('.')}."
            yield no(_MACHINE, question, text, refusals.way_to(url))
        else:
            yield yes(_MACHINE, question, f"it answers, for {names}.")
    yield _clock([found.ahead for found in reached.values() if found.ahead is not None])


def _clock(ahead: list[float]) -> Answer:
    if not ahead:
        return untold(_MACHINE, "clock", "no address of AWS has told the time.")
    most = min(ahead, key=abs)
    apart = f"it is {abs(most):.0f} s {'ahead of' if most > 0 else 'behind'} AWS's"
    if abs(most) < _MOST_APART:
        return yes(_MACHINE, "clock", f"{apart}; signatures are taken within {_MOST_APART:.0f} s.")
    return no(
        _MACHINE,
        "clock",
        f"{apart}, and AWS takes no signature that is more than {_MOST_APART:.0f} s off.",
        "Set the clock, with NTP.",
    )
