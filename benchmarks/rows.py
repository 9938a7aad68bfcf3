"""The rows of the table: what is measured, by which measurement, and the target that the figure is held to.

A row makes its figure from what one measurement gave back. Not here: the measuring (``measure`` names it all).
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

Data = Mapping[str, Any]
_HOLDS = {"<=": operator.le, ">=": operator.ge, "==": operator.eq}


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Args:
        name: for ``--only``.
        measurement: whose data it is made from; several rows may be made from one.
        what: a person reads.
        is_to_be: how the figure compares with the target where it is met.
        target: the number.
        figure: from the measurement's data.
        made_of: says what the figure is made of, from the same data.
        unit: of both numbers; empty for a ratio.
        needs_before: whether it is measured only where an earlier build is named.
    """

    name: str
    measurement: str
    what: str
    is_to_be: Literal["<=", ">=", "=="]
    target: float
    figure: Callable[[Data], float]
    made_of: Callable[[Data], str]
    unit: str = ""
    needs_before: bool = False


@dataclass(frozen=True)
class Result:
    """A row with its figure; without one where the measurement failed, and ``made_of`` says so."""

    row: Row
    measured: float | None
    made_of: str

    @property
    def met(self) -> bool:
        """Whether the target is met. A figure that was not measured meets none."""
        return self.measured is not None and bool(_HOLDS[self.row.is_to_be](self.measured, self.row.target))

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        row = self.row
        return {
            "row": row.name,
            "what": row.what,
            "measured": self.measured,
            "unit": row.unit,
            "target": f"{row.is_to_be} {row.target:g}",
            "met": self.met,
            "made of": self.made_of,
        }


def result(row: Row, data: Data | None) -> Result:
    """The row's figure from its measurement's data; None is a measurement that failed."""
    if data is None:
        return Result(row, None, "the measurement failed; it said why above")
    return Result(row, row.figure(data), row.made_of(data))


def table(results: Sequence[Result]) -> str:
    """The results in columns, for a terminal."""
    head = ("row", "measured", "target", "met", "made of")
    lines = [
        (
            f"{one.row.name}: {one.row.what}",
            "-" if one.measured is None else _number(one.measured, one.row.unit),
            f"{one.row.is_to_be} {_number(one.row.target, one.row.unit)}",
            "yes" if one.met else "NO",
            one.made_of,
        )
        for one in results
    ]
    widths = [max(len(line[column]) for line in [head, *lines]) for column in range(4)]
    aligned = (
        [
            line[0].ljust(widths[0]),
            line[1].rjust(widths[1]),
            line[2].rjust(widths[2]),
            line[3].ljust(widths[3]),
            line[4],
        ]
        for line in [head, *lines]
    )
    return "\n".join("  ".join(line).rstrip() for line in aligned)


def _number(number: float, unit: str) -> str:
    text = f"{number:,.0f}" if unit in ("writes", "a second", "MB") else f"{number:.2f}"
    return f"{text} {unit}".rstrip()


def chosen(names: Sequence[str], *, before: bool = False) -> list[Row]:
    """The rows of these names, in the table's order; for none all that can be measured.

    Args:
        names: of rows.
        before: whether an earlier build is named.

    Raises:
        ValueError: for a name that no row has, with those there are; for a row that needs an earlier build.
    """
    known = [row.name for row in ROWS]
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"no row is called {', '.join(unknown)}; there are: {', '.join(known)}")
    wanted = [row for row in ROWS if (row.name in names if names else before or not row.needs_before)]
    if not before and (lacking := [row.name for row in wanted if row.needs_before]):
        raise ValueError(f"{', '.join(lacking)} needs an earlier build to compare with: --before CHECKOUT")
    return wanted


def ratio(over: str, under: str, pairs: str = "pairs") -> Callable[[Data], float]:
    """The median of the quotients of each pair of a measurement."""
    return lambda data: float(median(pair[over] / pair[under] for pair in data[pairs]))


def _halves(
    over: str, under: str, names: tuple[str, str], unit: str = "s", pairs: str = "pairs"
) -> Callable[[Data], str]:
    def told(data: Data) -> str:
        a, b = (median(pair[key] for pair in data[pairs]) for key in (over, under))
        count = len(data[pairs])
        return f"{names[0]} {a:.2f} {unit}, {names[1]} {b:.2f} {unit}; {count} pair{'s' * (count != 1)}"

    return told


def _lateness(data: Data) -> float:
    return float(median(one["late"] / one["pause"] for one in data["waits"]))


def _late_of(data: Data) -> str:
    each = ", ".join(f"{one['late']:.2f} of {one['pause']:.2f} s" for one in data["waits"])
    return f"late by, of the pause before that look: {each}"


def _backing_off(data: Data) -> float:
    """The last pause of the longest wait over its median; 0 where a pause is shorter than the one before it."""
    pauses = max((one["pauses"] for one in data["waits"]), key=sum)
    grows = all(later >= 0.9 * earlier for earlier, later in itertools.pairwise(pauses))
    return float(pauses[-1] / median(pauses)) if grows else 0.0


def _pauses(data: Data) -> str:
    pauses = max((one["pauses"] for one in data["waits"]), key=sum)
    return f"pauses of a wait of {sum(pauses):.0f} s: {' '.join(f'{one:.1f}' for one in pauses)}"


def _growth(data: Data) -> float:
    return float(median(pair["many"] - pair["one"] for pair in data["promotions"]))


ROWS = (
    Row(
        "hand-off",
        "hand_off",
        "share + deploy over the page's script, wall time",
        "<=",
        1.10,
        ratio("product", "script"),
        _halves("product", "script", ("product", "script")),
    ),
    Row(
        "hand-off-calls",
        "hand_off",
        "share + deploy over the page's script, AWS calls",
        "<=",
        1.8,
        ratio("product_calls", "script_calls"),
        _halves("product_calls", "script_calls", ("product", "script"), "calls"),
    ),
    Row(
        "groups",
        "groups",
        "share of 40 groups with 25 consumers over the page's script, looped, wall time",
        "<=",
        0.05,
        lambda data: float(data["first"]["seconds"] / data["script"]["seconds"]),
        lambda data: (
            f"product {data['first']['seconds']:.1f} s ({data['first']['calls']} calls), script "
            f"{data['script']['seconds']:.1f} s ({data['script']['rounds']} rounds, {data['script']['calls']} calls); once"
        ),
    ),
    Row(
        "groups-writes",
        "groups",
        "the same: policies written",
        "==",
        120,
        lambda data: float(data["first"]["policy_writes"]),
        lambda data: (
            f"{data['groups']} groups x 3 documents; beside them {data['first']['other_writes']} Releases; the script wrote "
            f"{data['script']['policy_writes']}"
        ),
        "writes",
    ),
    Row(
        "no-change",
        "groups",
        "a share of 40 groups that changes nothing over the first, wall time",
        "<=",
        0.4,
        lambda data: float(data["second"]["seconds"] / data["first"]["seconds"]),
        lambda data: (
            f"second {data['second']['seconds']:.1f} s ({data['second']['calls']} calls), first "
            f"{data['first']['seconds']:.1f} s; once"
        ),
    ),
    Row(
        "no-change-writes",
        "groups",
        "the same: anything written",
        "==",
        0,
        lambda data: float(data["second"]["policy_writes"] + data["second"]["other_writes"]),
        lambda data: f"of {data['second']['calls']} calls",
        "writes",
    ),
    Row(
        "promotion",
        "promotion",
        "promote to 24 consumers of one stage over one, wall time",
        "<=",
        1.5,
        ratio("many", "one"),
        _halves("many", "one", ("24", "1")),
    ),
    Row(
        "notice",
        "notice",
        "from the endpoint being ready to the run noticing, over the pause before that look",
        "<=",
        1.0,
        _lateness,
        _late_of,
    ),
    Row(
        "back-off",
        "notice",
        "the last pause of a wait of 30 s over its median pause",
        ">=",
        2.0,
        _backing_off,
        _pauses,
    ),
    Row(
        "cold-start",
        "cold_start",
        "a worker's share to its first AWS call over an empty flow's start",
        "<=",
        1.25,
        ratio("share", "empty"),
        _halves("share", "empty", ("share", "empty flow")),
    ),
    Row(
        "plan",
        "plan_command",
        "crossaccount plan over `import boto3` and its AWS calls in bare boto3",
        "<=",
        1.6,
        lambda data: median(pair["plan"] / (pair["import"] + pair["calls"]) for pair in data["pairs"]),
        lambda data: (
            f"plan {median(one['plan'] for one in data['pairs']):.2f} s, import "
            f"{median(one['import'] for one in data['pairs']):.2f} s, its {data['calls']} calls "
            f"{median(one['calls'] for one in data['pairs']):.2f} s; {len(data['pairs'])} pairs"
        ),
    ),
    Row(
        "memory",
        "memory",
        "peak memory of a deploy over an empty flow's",
        "<=",
        2.5,
        ratio("deploy", "empty", "flows"),
        _halves("deploy", "empty", ("deploy", "empty flow"), "MB", "flows"),
    ),
    Row(
        "memory-growth",
        "memory",
        "peak memory of a promotion to 24 consumers less that to one",
        "<=",
        150,
        _growth,
        _halves("many", "one", ("24", "1"), "MB", "promotions"),
        "MB",
    ),
    Row(
        "judge",
        "judge",
        "decisions of the judge on one core",
        ">=",
        20_000,
        lambda data: float(median(one["decisions"] / one["seconds"] for one in data["rounds"])),
        lambda data: (
            f"the {data['cases']} cases of tests/sandbox/judge_cases, read before; {len(data['rounds'])} rounds"
        ),
        "a second",
    ),
    Row(
        "throughput",
        "throughput",
        "calls a second of the sandbox over a plain moto server",
        ">=",
        0.9,
        lambda data: min(median(pair["sandbox"] / pair["moto"] for pair in one) for one in _by_threads(data)),
        lambda data: "; ".join(
            f"{one[0]['threads']} thread{'s' * (one[0]['threads'] > 1)}: sandbox {median(p['sandbox'] for p in one):.0f}, moto "
            f"{median(p['moto'] for p in one):.0f} a second"
            for one in _by_threads(data)
        ),
    ),
    Row(
        "sandbox-start",
        "sandbox_start",
        "start of the sandbox over the bare imports of what it stands on",
        "<=",
        1.5,
        ratio("start", "imports"),
        _halves("start", "imports", ("sandbox", "imports")),
    ),
    Row(
        "sandbox-start-before",
        "sandbox_start_before",
        "start of the sandbox over that of an earlier build",
        "<=",
        0.8,
        ratio("start", "before"),
        _halves("start", "before", ("now", "before")),
        needs_before=True,
    ),
    Row(
        "plan-size",
        "plan_size",
        "plans of 40 groups for 200 consumers into documents of others, pure",
        "<=",
        1.0,
        lambda data: float(max(median(seconds) for seconds in data["seconds"].values())),
        lambda data: (
            "; ".join(f"{name} {median(seconds):.2f} s" for name, seconds in data["seconds"].items())
            + f"; documents of {data['bytes']:,} bytes"
        ),
        "s",
    ),
)


def _by_threads(data: Data) -> list[list[dict[str, Any]]]:
    counts = sorted({pair["threads"] for pair in data["pairs"]})
    return [[pair for pair in data["pairs"] if pair["threads"] == count] for count in counts]
