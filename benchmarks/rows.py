"""The rows of the table: what is measured, by which measurement, and the target that the figure is held to.

Not here: the measuring (``measure`` names it all), the arithmetic (``figures``), and the table (``report``).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

from benchmarks import figures
from benchmarks.figures import Data, halves, pairs, ratio

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
        only_named: whether it is measured only where its own name is given: it takes very long.
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
    only_named: bool = False


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


def chosen(names: Sequence[str], *, before: bool = False) -> list[Row]:
    """The rows of these names, in the table's order; for none all that can be measured and do not have to be named.

    Args:
        names: of rows.
        before: whether an earlier build is named.

    Raises:
        ValueError: for a name that no row has, with those there are; for a row that needs an earlier build.
    """
    known = [row.name for row in ROWS]
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"no row is called {', '.join(unknown)}; there are: {', '.join(known)}")
    if not names:
        return [row for row in ROWS if not row.only_named and (before or not row.needs_before)]
    wanted = [row for row in ROWS if row.name in names]
    if not before and (lacking := [row.name for row in wanted if row.needs_before]):
        raise ValueError(f"{', '.join(lacking)} needs an earlier build to compare with: --before CHECKOUT")
    return wanted


def _shared(data: Data) -> str:
    sides = {name: [pair[name] for pair in data["pairs"]] for name in ("first", "script")}
    product, script = (
        f"{median(one['seconds'] for one in side):.1f} s ({median(one['calls'] for one in side):,.0f} calls)"
        for side in sides.values()
    )
    return f"product {product}, script {script}, {data['rounds']} rounds; {pairs(data)}"


def _written(data: Data) -> str:
    first, script = (data["pairs"][-1][name] for name in ("first", "script"))
    return (
        f"{data['groups']} groups x 3 documents; beside them {first['other_writes']} Releases; the script wrote "
        f"{script['policy_writes']}; {pairs(data)}"
    )


def _most(run: str, *keys: str) -> Callable[[Data], float]:
    """The most that a run of any pair wrote."""
    return lambda data: float(max(sum(pair[run][key] for key in keys) for pair in data["pairs"]))


ROWS = (
    Row(
        "hand-off",
        "hand_off",
        "share + deploy over the page's script, wall time",
        "<=",
        1.12,
        ratio("product", "script"),
        halves("product", "script", ("product", "script")),
    ),
    Row(
        "hand-off-calls",
        "hand_off",
        "the same: AWS calls",
        "<=",
        34,
        figures.middle("product_calls"),
        lambda data: (
            f"{ratio('product_calls', 'script_calls')(data):.2f} of the script's: "
            + halves("product_calls", "script_calls", ("product", "script"), "calls")(data)
        ),
        "calls",
    ),
    Row(
        "groups",
        "groups",
        "share of 40 groups with 25 consumers over the page's script, looped, wall time",
        "<=",
        0.07,
        ratio("first.seconds", "script.seconds"),
        _shared,
    ),
    Row(
        "groups-writes",
        "groups",
        "the same: policies written",
        "==",
        120,
        _most("first", "policy_writes"),
        _written,
        "writes",
    ),
    Row(
        "groups-400",
        "scale_groups",
        "share of 400 groups with 25 consumers: time per group over 40's",
        "<=",
        1.1,
        figures.grown("seconds", 400, 40, each=True),
        figures.grown_of("seconds", 400, 40, "s"),
    ),
    Row(
        "no-change",
        "groups",
        "a share of 40 groups that changes nothing over the first, wall time",
        "<=",
        0.4,
        ratio("second.seconds", "first.seconds"),
        halves("second.seconds", "first.seconds", ("second", "first")),
    ),
    Row(
        "no-change-writes",
        "groups",
        "the same: anything written",
        "==",
        0,
        _most("second", "policy_writes", "other_writes"),
        lambda data: f"of {data['pairs'][-1]['second']['calls']} calls; {pairs(data)}",
        "writes",
    ),
    Row(
        "promotion",
        "promotion",
        "promote to 24 consumers of one stage over one, wall time",
        "<=",
        1.5,
        ratio("many", "one"),
        halves("many", "one", ("24", "1")),
    ),
    Row(
        "promotion-calls",
        "promotion",
        "the same: AWS calls for each consumer promoted",
        "<=",
        38,
        figures.calls_of_each,
        figures.calls_of_promotions,
        "calls",
    ),
    Row(
        "promotion-processor",
        "promotion_processor",
        "processor seconds for each consumer promoted over those of an earlier build",
        "<=",
        0.45,
        figures.processor,
        figures.processors,
        needs_before=True,
    ),
    Row(
        "promotion-200",
        "scale_consumers",
        "promote to 200 consumers of one stage over 24, wall time",
        "<=",
        6,
        figures.grown("seconds", 200, 24),
        figures.grown_of("seconds", 200, 24, "s"),
    ),
    Row(
        "promotion-200-memory",
        "scale_consumers",
        "the same: peak memory of the process",
        "<=",
        1.5,
        figures.grown("peak", 200, 24),
        figures.grown_of("peak", 200, 24, "MB"),
    ),
    Row(
        "notice",
        "notice",
        "from the endpoint being ready to the run noticing, over the pause before that look",
        "<=",
        1.0,
        figures.lateness,
        figures.late_of,
    ),
    Row(
        "back-off",
        "notice",
        "the last pause of a wait of 30 s over its median pause",
        ">=",
        2.0,
        figures.backing_off,
        figures.pauses_of,
    ),
    Row(
        "cold-start",
        "cold_start",
        "a worker's share to its first AWS call over an empty flow's start",
        "<=",
        1.25,
        ratio("share", "empty"),
        halves("share", "empty", ("share", "empty flow")),
    ),
    Row(
        "plan",
        "plan_command",
        "crossaccount plan over its reads by the AWS CLI, a process each",
        "<=",
        0.25,
        ratio("plan", "cli"),
        lambda data: f"{data['calls']} calls; " + halves("plan", "cli", ("plan", str(data["version"])))(data),
    ),
    Row(
        "plan-bare",
        "plan_command",
        "crossaccount plan over `import boto3` and its AWS calls in bare boto3",
        "<=",
        1.6,
        figures.bare,
        figures.bare_of,
    ),
    Row(
        "memory",
        "memory",
        "peak memory of a deploy over an empty flow's",
        "<=",
        1.7,
        ratio("deploy", "empty"),
        halves("deploy", "empty", ("deploy", "empty flow"), "MB"),
    ),
    Row(
        "memory-growth",
        "scale_consumers",
        "peak memory of a promotion to 24 consumers less that to one",
        "<=",
        150,
        figures.growth("peak", 24, 1),
        figures.grown_of("peak", 24, 1, "MB"),
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
            f"the {data['cases']} cases of tests/sandbox/judge_cases, read before; {pairs(data, 'rounds')}"
        ),
        "a second",
    ),
    Row(
        "throughput",
        "throughput",
        "calls a second of the sandbox over a plain moto server",
        ">=",
        0.9,
        figures.throughput,
        figures.throughputs,
    ),
    Row(
        "sandbox-start",
        "sandbox_start",
        "start of the sandbox over the bare imports of what it stands on",
        "<=",
        1.5,
        ratio("start", "imports"),
        halves("start", "imports", ("sandbox", "imports")),
    ),
    Row(
        "sandbox-start-before",
        "sandbox_start_before",
        "start of the sandbox over that of an earlier build",
        "<=",
        0.8,
        ratio("start", "before"),
        halves("start", "before", ("now", "before")),
        needs_before=True,
    ),
    Row(
        "sandbox-accounts",
        "sandbox_accounts",
        "start of a sandbox of 200 accounts over one of 4",
        "<=",
        3,
        ratio("many", "start"),
        halves("many", "start", ("200", "4")),
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
            + f"; documents of {data['bytes']:,} bytes; {pairs({'rounds': data['seconds']['made']}, 'rounds')}"
        ),
        "s",
    ),
    Row(
        "test-wall",
        "test_wall",
        "make test over an earlier build's, wall time",
        "<=",
        0.55,
        ratio("now", "before"),
        lambda data: (
            halves("now", "before", ("now", "before"))(data)
            + "; ".join(
                ["", *(f"{side}: {data['pairs'][-1][f'{side}_tests']}" for side in ("now", "before"))]
            )
        ),
        needs_before=True,
        only_named=True,
    ),
    Row(
        "demo-wall",
        "demo_wall",
        "make demo on a fresh clone to its last line over an earlier build's",
        "<=",
        0.7,
        ratio("now", "before"),
        halves("now", "before", ("now", "before")),
        needs_before=True,
        only_named=True,
    ),
)
