"""How a row's figure is made from a measurement's data, and how it is said what it is made of.

Not here: the measuring, and the rows.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

Data = Mapping[str, Any]


def ratio(over: str, under: str) -> Callable[[Data], float]:
    """The median of the quotients of each pair; a dot leads to a number within: ``first.seconds``."""
    return lambda data: float(median(_at(pair, over) / _at(pair, under) for pair in data["pairs"]))


def middle(key: str) -> Callable[[Data], float]:
    """The median of one number of each pair."""
    return lambda data: _middle(data, key)


def halves(over: str, under: str, names: tuple[str, str], unit: str = "s") -> Callable[[Data], str]:
    """Says the medians of both sides, and how many pairs there are."""

    def told(data: Data) -> str:
        a, b = _middle(data, over), _middle(data, under)
        digits = 0 if unit in ("calls", "MB") else 2
        return f"{names[0]} {a:,.{digits}f} {unit}, {names[1]} {b:,.{digits}f} {unit}; {pairs(data)}"

    return told


def pairs(data: Data, key: str = "pairs") -> str:
    """Says how many pairs there are."""
    count = len(data[key])
    return f"{count} {key if count != 1 else key.removesuffix('s')}"


def _at(pair: Any, path: str) -> Any:
    for key in path.split("."):
        pair = pair[key]
    return pair


def _middle(data: Data, path: str) -> float:
    return float(median(_at(pair, path) for pair in data["pairs"]))


def calls_of_each(data: Data) -> float:
    """All calls of a promotion to many over how many consumers there are."""
    return _middle(data, "many_calls") / float(data["consumers"])


def calls_of_promotions(data: Data) -> str:
    """Says how many calls there are, and what one consumer more adds."""
    count, one, many = data["consumers"], _middle(data, "one_calls"), _middle(data, "many_calls")
    return f"{count}: {many:,.0f} calls, 1: {one:,.0f}, so {(many - one) / (count - 1):.1f} for one more; {pairs(data)}"


def processor_of_each(pair: Data, build: str, consumers: int) -> float:
    """The processor's seconds for each consumer but the first, of one build in a pair."""
    found = pair[build]
    return float((found["many"]["processor"] - found["one"]["processor"]) / (consumers - 1))


def processor(data: Data) -> float:
    """The processor's seconds for each consumer over those of the earlier build."""
    count = data["consumers"]
    return float(
        median(
            processor_of_each(pair, "now", count) / processor_of_each(pair, "before", count)
            for pair in data["pairs"]
        )
    )


def processors(data: Data) -> str:
    """Says the processor's seconds for each consumer of both builds."""
    each = {
        build: median(processor_of_each(pair, build, data["consumers"]) for pair in data["pairs"])
        for build in ("now", "before")
    }
    return f"now {each['now']:.3f} s, before {each['before']:.3f} s; {pairs(data)}"


def grown(key: str, many: int, few: int, *, each: bool = False) -> Callable[[Data], float]:
    """The median over the rounds of the figure of many over that of few; ``each`` divides both by how many they are."""
    by = many / few if each else 1
    return lambda data: float(median(one[str(many)][key] / one[str(few)][key] / by for one in data["rounds"]))


def growth(key: str, many: int, few: int) -> Callable[[Data], float]:
    """The median over the rounds of what the figure of many has more than that of few."""
    return lambda data: float(median(one[str(many)][key] - one[str(few)][key] for one in data["rounds"]))


def grown_of(key: str, many: int, few: int, unit: str) -> Callable[[Data], str]:
    """Says both medians, and how many rounds there are."""

    def told(data: Data) -> str:
        each = [median(one[str(size)][key] for one in data["rounds"]) for size in (many, few)]
        return f"{many}: {each[0]:,.0f} {unit}, {few}: {each[1]:,.0f} {unit}; {pairs(data, 'rounds')}"

    return told


def lateness(data: Data) -> float:
    """How late a run noticed, over the pause before."""
    return float(median(one["late"] / one["pause"] for one in data["waits"]))


def late_of(data: Data) -> str:
    """Says each of those."""
    each = ", ".join(f"{one['late']:.2f} of {one['pause']:.2f} s" for one in data["waits"])
    return f"late by, of the pause before that look: {each}"


def backing_off(data: Data) -> float:
    """The last pause of the longest wait over its median; 0 where a pause is shorter than the one before it."""
    pauses = _longest(data)
    grows = all(later >= 0.9 * earlier for earlier, later in itertools.pairwise(pauses))
    return float(pauses[-1] / median(pauses)) if grows else 0.0


def pauses_of(data: Data) -> str:
    """Says each pause of the longest wait."""
    pauses = _longest(data)
    return f"pauses of a wait of {sum(pauses):.0f} s: {' '.join(f'{one:.1f}' for one in pauses)}"


def _longest(data: Data) -> list[float]:
    return list(max((one["pauses"] for one in data["waits"]), key=sum))


def bare(data: Data) -> float:
    """The plan's time over that of importing boto3 and its calls."""
    return float(median(pair["plan"] / (pair["import"] + pair["calls"]) for pair in data["pairs"]))


def bare_of(data: Data) -> str:
    """Says all three."""
    plan, imported, calls = (_middle(data, key) for key in ("plan", "import", "calls"))
    return (
        f"plan {plan:.2f} s, import {imported:.2f} s, its {data['calls']} calls {calls:.2f} s; {pairs(data)}"
    )


def throughput(data: Data) -> float:
    """The lower of the ratios with one thread and with four."""
    return float(min(median(pair["sandbox"] / pair["moto"] for pair in one) for one in _by_threads(data)))


def throughputs(data: Data) -> str:
    """Says the calls a second of both, with each number of threads."""
    return "; ".join(
        f"{one[0]['threads']} thread{'s' * (one[0]['threads'] > 1)}: sandbox {median(p['sandbox'] for p in one):.0f}, moto "
        f"{median(p['moto'] for p in one):.0f} a second, {len(one)} pair{'s' * (len(one) != 1)}"
        for one in _by_threads(data)
    )


def _by_threads(data: Data) -> list[list[dict[str, Any]]]:
    counts = sorted({pair["threads"] for pair in data["pairs"]})
    return [[pair for pair in data["pairs"] if pair["threads"] == count] for count in counts]
