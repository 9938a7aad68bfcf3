"""Where a promotion would take each endpoint, before anything is changed: forward, back, or nowhere.

Not here: the moves themselves (``moving``).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from crossaccount.aws import refusals
from crossaccount.aws.access import open_target
from crossaccount.config.model import Sharing
from crossaccount.hosting import state
from crossaccount.hosting.state import LiveEndpoint
from crossaccount.parallel import run_all
from crossaccount.promotion.moving import stages
from crossaccount.promotion.outcome import ConsumerOutcome, Result, not_moved
from crossaccount.text import first_line


@dataclass(frozen=True)
class Foreseen:
    """A consumer's endpoint before a promotion to ``version``: ``live`` is the version that it serves now, None for none.

    ``held`` is why the promotion would leave it alone, ``unknown`` why it cannot be told what it serves; each is empty for no reason.
    """

    stage: int
    consumer: str
    account: str
    endpoint: str
    live: int | None
    version: int
    is_there: bool = False
    held: str = ""
    unknown: str = ""

    @property
    def is_back(self) -> bool:
        """Whether it would go back to an earlier version."""
        return self.live is not None and self.live > self.version and not self.held

    @property
    def move(self) -> str:
        """What would happen to it, in a few words."""
        if self.held:
            return f"stays as it is. {self.held}"
        if self.unknown:
            return f"comes to version {self.version}, from which version cannot be told: {self.unknown}"
        if not self.is_there:
            return f"is made, with version {self.version}"
        if self.live is None:
            return f"comes to version {self.version}, from a mix or something else"
        if self.live == self.version:
            return f"stays at version {self.version}"
        way = "MOVES BACK" if self.is_back else "moves forward"
        return f"{way} from version {self.live} to version {self.version}"

    def __str__(self) -> str:
        """In a line."""
        return f"stage {self.stage}  {self.consumer} ({self.account})  {self.endpoint} {self.move}"


def foresee(sharing: Sharing, version: int, held: dict[str, str]) -> list[Foreseen]:
    """Where a promotion to a version would take every consumer's endpoint, in the order of their turns.

    Args:
        sharing: the config; an account that cannot be looked into from here is one of which it cannot be told.
        version: the version.
        held: why consumers are left alone, by their names.
    """
    turns = [(number, name) for number, names in stages(sharing) for name in names]
    return run_all(
        [partial(_of, sharing, number, name, version, held.get(name, "")) for number, name in turns]
    )


def outcomes(sharing: Sharing, foreseen: Sequence[Foreseen]) -> list[ConsumerOutcome]:
    """What a dry run comes to for each consumer: nothing was moved, and where its endpoint would go."""
    return [
        replace(
            not_moved(
                sharing,
                each.consumer,
                each.version,
                Result.SKIPPED,
                f"A dry run changes nothing: {each.endpoint} {each.move.rstrip('.')}.",
            ),
            before=each.live,
            live=each.live,
        )
        for each in foreseen
    ]


def _of(sharing: Sharing, stage: int, name: str, version: int, held: str) -> Foreseen:
    consumer = sharing.consumers[name]
    live, unknown = _look(sharing, name)
    return Foreseen(
        stage=stage,
        consumer=name,
        account=consumer.account,
        endpoint=consumer.endpoint.name,
        live=live.version if live is not None else None,
        version=version,
        is_there=live is not None,
        held=held,
        unknown=unknown,
    )


def _look(sharing: Sharing, name: str) -> tuple[LiveEndpoint | None, str]:
    try:
        return state.look(open_target(sharing, name)), ""
    except Exception as error:
        explained = refusals.explain(error)
        if explained is None:
            raise
        return None, first_line(explained)


def text(foreseen: Sequence[Foreseen], group: str) -> str:
    """All of it for a terminal, before the question."""
    versions = ", ".join(sorted({f"version {each.version}" for each in foreseen}))
    back = [each.consumer for each in foreseen if each.is_back]
    warning = [f"This moves {', '.join(back)} BACK to an earlier version."] if back else []
    return "\n".join([f"Promotion of {group} to {versions}:", *(f"  {each}" for each in foreseen), *warning])
