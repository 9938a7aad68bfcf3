"""The benchmark's table says what was measured, and no more; the rows that need no process run at a tiny scale."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

from benchmarks import __main__ as command
from benchmarks import alone, handoff, measure, pure, rows, stage
from benchmarks.rows import ROWS, Row

SHARED = {"seconds": 6.0, "calls": 900, "policy_writes": 120, "other_writes": 40}
DATA: dict[str, Any] = {
    "hand_off": {
        "pairs": [
            {"product": 9.0, "script": 6.0, "product_calls": 30, "script_calls": 20},
            {"product": 6.6, "script": 6.0, "product_calls": 34, "script_calls": 20},
            {"product": 6.0, "script": 6.0, "product_calls": 38, "script_calls": 20},
        ]
    },
    "groups": {
        "groups": 40,
        "first": SHARED,
        "second": {"seconds": 2.0, "calls": 600, "policy_writes": 0, "other_writes": 0},
        "script": {"seconds": 150.0, "calls": 3000, "policy_writes": 3000, "other_writes": 0, "rounds": 1000},
    },
    "promotion": {"pairs": [{"one": 10.0, "many": 14.0}]},
    "notice": {
        "waits": [
            {"late": 0.5, "pause": 1.0, "pauses": [0.5, 0.7, 1.0]},
            {"late": 2.0, "pause": 2.5, "pauses": [0.5, 10.0, 20.0]},
        ]
    },
    "cold_start": {"pairs": [{"share": 3.0, "empty": 2.5}]},
    "plan_command": {"pairs": [{"plan": 1.5, "import": 0.7, "calls": 0.3}], "calls": 14},
    "memory": {
        "flows": [{"empty": 100.0, "deploy": 240.0}],
        "promotions": [{"one": 250.0, "many": 390.0}],
    },
    "judge": {"rounds": [{"decisions": 25_000, "seconds": 1.0}], "cases": 323},
    "throughput": {
        "pairs": [
            {"threads": 1, "sandbox": 90.0, "moto": 100.0},
            {"threads": 4, "sandbox": 190.0, "moto": 200.0},
        ]
    },
    "sandbox_start": {"pairs": [{"start": 1.5, "imports": 1.25}]},
    "sandbox_start_before": {"pairs": [{"start": 1.5, "before": 2.5}]},
    "plan_size": {"seconds": {"refused": [0.9], "made": [0.5]}, "bytes": 19_000},
}
FIGURES = {
    "hand-off": 1.1,
    "hand-off-calls": 1.7,
    "groups": 0.04,
    "groups-writes": 120,
    "no-change": 1 / 3,
    "no-change-writes": 0,
    "promotion": 1.4,
    "notice": 0.65,
    "back-off": 2.0,
    "cold-start": 1.2,
    "plan": 1.5,
    "memory": 2.4,
    "memory-growth": 140,
    "judge": 25_000,
    "throughput": 0.9,
    "sandbox-start": 1.2,
    "sandbox-start-before": 0.6,
    "plan-size": 0.9,
}


def test_every_row_makes_its_figure_from_its_measurement_and_meets_its_target_with_it() -> None:
    results = {row.name: rows.result(row, DATA[row.measurement]) for row in ROWS}
    assert {name: one.measured for name, one in results.items()} == pytest.approx(FIGURES)
    assert [name for name, one in results.items() if not one.met] == []
    assert {row.measurement for row in ROWS} == set(measure.MEASUREMENTS)


# What must make a row miss its target: the path of one number in the data above, and what it is instead.
WORSE: dict[str, tuple[tuple[Any, ...], Any]] = {
    "hand-off": (("hand_off", "pairs", 1, "product"), 6.7),
    "hand-off-calls": (("hand_off", "pairs", 1, "product_calls"), 40),
    "groups": (("groups", "script", "seconds"), 119.0),
    "groups-writes": (("groups", "first", "policy_writes"), 121),
    "no-change": (("groups", "second", "seconds"), 2.5),
    "no-change-writes": (("groups", "second", "other_writes"), 1),
    "promotion": (("promotion", "pairs", 0, "many"), 15.1),
    "notice": (("notice", "waits", 0, "late"), 1.3),
    "back-off": (("notice", "waits", 1, "pauses"), [5.0, 20.0, 10.0]),
    "cold-start": (("cold_start", "pairs", 0, "empty"), 2.3),
    "plan": (("plan_command", "pairs", 0, "calls"), 0.2),
    "memory": (("memory", "flows", 0, "deploy"), 251.0),
    "memory-growth": (("memory", "promotions", 0, "many"), 401.0),
    "judge": (("judge", "rounds", 0, "seconds"), 1.3),
    "throughput": (("throughput", "pairs", 1, "sandbox"), 179.0),
    "sandbox-start": (("sandbox_start", "pairs", 0, "start"), 1.9),
    "sandbox-start-before": (("sandbox_start_before", "pairs", 0, "start"), 2.1),
    "plan-size": (("plan_size", "seconds", "made"), [1.1]),
}


def changed(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    key, *rest = path
    copy = list(data) if isinstance(data, list) else dict(data)
    copy[key] = changed(copy[key], tuple(rest), value)
    return copy


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_figure_past_its_target_misses_it(row: Row) -> None:
    path, value = WORSE[row.name]
    worse = changed(DATA, path, value)
    assert not rows.result(row, worse[row.measurement]).met


def test_pauses_that_never_grow_are_no_backing_off() -> None:
    (row,) = rows.chosen(["back-off"])
    waits = [{"late": 0.1, "pause": 0.5, "pauses": [0.5] * 60}]
    assert rows.result(row, {"waits": waits}).measured == 1.0


@pytest.mark.parametrize(
    ("is_to_be", "measured", "met"),
    [
        ("<=", 0.9, True),
        ("<=", 1.0, True),
        ("<=", 1.01, False),
        (">=", 1.01, True),
        (">=", 1.0, True),
        (">=", 0.99, False),
        ("==", 1.0, True),
        ("==", 0.0, False),
        ("==", 2.0, False),
    ],
)
def test_met_or_missed(is_to_be: Literal["<=", ">=", "=="], measured: float, met: bool) -> None:
    row = replace(ROWS[0], is_to_be=is_to_be, target=1.0, figure=lambda _: measured, made_of=lambda _: "x")
    assert rows.result(row, {}).met is met
    assert rows.result(row, {}).to_json()["met"] is met


def test_the_table_says_figure_target_verdict_and_what_it_is_made_of() -> None:
    worse = changed(DATA, *WORSE["judge"])
    wanted = rows.chosen(["groups-writes", "judge", "hand-off", "plan"])
    lines = rows.table(
        [rows.result(row, worse[row.measurement] if row.name != "plan" else None) for row in wanted]
    ).splitlines()
    assert lines[0].split() == ["row", "measured", "target", "met", "made", "of"]
    of = {line.partition(":")[0]: line for line in lines[1:]}
    assert list(of) == ["hand-off", "groups-writes", "plan", "judge"], "in the order of the rows"
    said = {name: " ".join(line.split()) for name, line in of.items()}
    assert said["hand-off"].endswith("wall time 1.10 <= 1.10 yes product 6.60 s, script 6.00 s; 3 pairs")
    assert "policies written 120 writes == 120 writes yes 40 groups" in said["groups-writes"]
    assert (
        said["judge"]
        .partition("one core ")[2]
        .startswith("19,231 a second >= 20,000 a second NO the 323 cases")
    )
    assert said["plan"].partition("bare boto3 ")[2].startswith("- <= 1.60 NO the measurement failed")
    assert len({line.index("  ", line.index("=")) for line in of.values()}) == 1, "in columns"


def test_a_row_that_does_not_exist_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        command.main(["--only", "judge", "jugde", "speed"])
    assert end.value.code == 2
    said = capsys.readouterr()
    assert "--only: no row is called jugde, speed; there are: hand-off," in said.err
    assert said.out == ""


def test_there_is_at_least_one_pair(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        command.main(["--only", "judge", "--pairs", "0"])
    assert end.value.code == 2
    assert "--pairs: at least 1, not 0" in capsys.readouterr().err


def run(monkeypatch: pytest.MonkeyPatch, found: Callable[[str], dict[str, Any] | None], *more: str) -> int:
    """The command, with these findings in place of the measuring."""
    monkeypatch.setattr(command, "_measured", lambda name, pairs: found(name))
    monkeypatch.setattr(command.compileall, "compile_dir", lambda *_, **__: True)
    return command.main([*more])


def test_a_missed_target_is_no_error_and_a_failed_measurement_is_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    worse, file = changed(DATA, *WORSE["judge"]), tmp_path / "found.json"
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").touch()
    monkeypatch.setenv("CROSSACCOUNT_BENCH_BEFORE", "")  # put back afterwards
    assert run(monkeypatch, worse.__getitem__, "--json", str(file), "--before", str(tmp_path)) == 0
    assert "NO " in capsys.readouterr().out
    written = json.loads(file.read_text())
    assert written["measurements"] == json.loads(json.dumps(worse)), "every single measurement"
    assert {one["row"]: one["met"] for one in written["rows"]} == {
        row.name: row.name != "judge" for row in ROWS
    }
    assert written["machine"]["cores"] == os.cpu_count()
    for private in (os.uname().nodename, sys.prefix, str(Path.home())):
        assert private not in file.read_text()
    assert run(monkeypatch, lambda name: None if name == "judge" else worse[name]) == 1


def test_one_measurement_serves_all_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    run(
        monkeypatch,
        lambda name: asked.append(name) or DATA[name],
        "--only",
        "groups",
        "no-change",
        "hand-off",
    )
    assert asked == ["hand_off", "groups"]


# The rows that need no process, at a tiny scale.


def test_the_judge_decides_every_case() -> None:
    found = pure.judge_cases(2, seconds=0)
    assert [one["decisions"] for one in found["rounds"]] == [found["cases"]] * 2
    assert found["cases"] > 300
    assert all(one["seconds"] > 0 for one in found["rounds"])


def test_plans_are_made_for_an_organization_and_refused_for_two_hundred_accounts() -> None:
    found = pure.plan_size(1, groups=1)
    assert {name: len(seconds) for name, seconds in found["seconds"].items()} == {"refused": 1, "made": 1}
    assert found["bytes"] == pytest.approx(19_000, abs=200)


# What the rows are read from.


def test_writes_are_told_apart() -> None:
    names = ("PutBucketPolicy", "SetRepositoryPolicy", "PutModelPackageGroupPolicy", "DeleteBucketPolicy")
    other = ("PutObject", "CreateModel", "GetBucketPolicy", "DescribeKey", None)
    assert stage.writes([{"operation": name} for name in (*names, *other)]) == (4, 2)


def call(operation: str, seconds: float, who: str = "crossaccount-deployer/x") -> dict[str, Any]:
    return {"operation": operation, "time": f"2026-01-01T00:00:{seconds:06.3f}+00:00", "caller": who}


def test_how_late_a_run_noticed_is_read_from_its_own_looks() -> None:
    base = handoff._instant("2026-01-01T00:00:00+00:00")
    calls = [
        call("DescribeEndpoint", 0),
        call("CreateEndpoint", 1),
        call("DescribeEndpoint", 1.5),
        call("DescribeEndpoint", 3.0, "administrator"),
        call("DescribeEndpoint", 2.5),
        call("DescribeEndpoint", 4.5),
        call("DescribeEndpoint", 8.5),  # the images are looked at once more
        call("InvokeEndpoint", 9),
        call("DescribeEndpoint", 20),
    ]
    wait = handoff._wait(calls, base + 4)
    assert wait["late"] == pytest.approx(0.5)
    assert wait["pause"] == pytest.approx(2.0)
    assert wait["pauses"] == pytest.approx([1.0, 2.0])


def test_the_peak_is_of_this_process_alone() -> None:
    # A child of a large process begins with nothing of it.
    ballast = bytearray(80_000_000)
    code = "from benchmarks.alone import peak; print(peak())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 3 < float(done.stdout) < 60 < 80 <= alone.peak()
    assert len(ballast) == 80_000_000


def test_a_row_beside_an_earlier_build_is_measured_where_one_is_named() -> None:
    assert "sandbox-start-before" not in [row.name for row in rows.chosen([])]
    assert "sandbox-start-before" in [row.name for row in rows.chosen([], before=True)]
    with pytest.raises(
        ValueError, match="sandbox-start-before needs an earlier build to compare with: --before"
    ):
        rows.chosen(["judge", "sandbox-start-before"])


def test_an_earlier_build_is_one_that_is_installed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        command.main(["--only", "sandbox-start-before", "--before", str(tmp_path)])
    assert "has no .venv; run make install there" in capsys.readouterr().err
