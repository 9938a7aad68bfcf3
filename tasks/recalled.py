"""The promotion's looks at versions that were recalled while they are live: in its log, in the outcomes, in an error's notes.

Nothing is narrowed and nothing is moved for it. Not here: what the registry's words mean (``crossaccount.registry.recall``).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from prefect import get_run_logger

from crossaccount.aws.access import producing
from crossaccount.config.model import Sharing
from crossaccount.errors import CrossAccountError
from crossaccount.promotion import history
from crossaccount.promotion.outcome import ConsumerOutcome
from crossaccount.promotion.records import Record
from crossaccount.registry import recall
from crossaccount.registry.recall import Standing
from crossaccount.text import first_line
from tasks import steps


@steps.step("look whether live versions of {sharing.model_package_group} were recalled")
def find_recalled(sharing: Sharing, numbers: Iterable[int]) -> dict[int, str]:
    """The versions among these that the registry has recalled, each with the reason; one that cannot be told is logged."""
    found: dict[int, str] = {}
    with producing(sharing) as producer:
        states = [recall.read_state(producer.sagemaker, sharing, number) for number in sorted(set(numbers))]
    for state in states:
        if state.standing is Standing.RECALLED:
            found[state.version] = state.reason
        elif state.standing is Standing.CANNOT_TELL:
            get_run_logger().warning(
                "whether version %d was recalled cannot be told: the registry refuses", state.version
            )
    return found


def on_record(sharing: Sharing, records: Sequence[Record]) -> dict[str, int]:
    """The version that each consumer's endpoint serves, as far as that is on record."""
    moves = {name: history.last_move(records, name) for name in sharing.consumers}
    return {name: move.live for name, move in moves.items() if move is not None and move.live is not None}


def sentences(sharing: Sharing, serving: Mapping[str, int], recalled: Mapping[int, str]) -> dict[str, str]:
    """For each consumer whose version on record was recalled a sentence about it, which is logged too."""
    told = {
        name: f"On record, the endpoint {sharing.consumers[name].endpoint.name} serves version {number}, which {recalled[number]}."
        for name, number in serving.items()
        if number in recalled
    }
    for name, sentence in told.items():
        get_run_logger().warning("%s (%s): %s", name, sharing.consumers[name].account, sentence)
    return told


def with_recalled(
    sharing: Sharing, outcomes: Sequence[ConsumerOutcome], serving: Mapping[str, int], version: int
) -> list[ConsumerOutcome]:
    """The outcomes, with a sentence where the version that an endpoint serves, or served before, was recalled.

    Args:
        sharing: the config.
        outcomes: of all consumers so far.
        serving: the versions on record, for consumers whose endpoints were not looked at.
        version: of the promotion.
    """
    seen = {number for each in outcomes for number in (each.before, each.live) if number is not None}
    numbers = (seen | set(serving.values())) - {version}
    if not numbers:
        return list(outcomes)
    try:
        recalled = find_recalled(sharing, numbers)
    except CrossAccountError as error:  # the endpoints stand as they are, whatever the registry says
        get_run_logger().warning("whether live versions were recalled cannot be told: %s", first_line(error))
        return list(outcomes)
    stale = sentences(sharing, serving, recalled)
    return [_told(outcome, recalled, stale.get(outcome.consumer, "")) for outcome in outcomes]


def _told(outcome: ConsumerOutcome, recalled: Mapping[int, str], stale: str) -> ConsumerOutcome:
    before, live = outcome.before, outcome.live
    if live is not None and live in recalled:
        sentence = f"It serves version {live}, which {recalled[live]}: promote another version, or roll back."
    elif before is not None and before in recalled:
        sentence = f"Before, it served version {before}, which {recalled[before]}."
    elif live is None and before is None and stale:
        sentence = f"{stale} Promote another version, or roll back."
    else:
        return outcome
    get_run_logger().warning("%s (%s): %s", outcome.consumer, outcome.account, sentence)
    return replace(outcome, text=f"{outcome.text} {sentence}")
