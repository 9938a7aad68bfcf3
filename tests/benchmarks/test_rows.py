"""The benchmark's table says what was measured, and no more; the rows that need no process run at a tiny scale."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree

import pytest

from benchmarks import __main__ as command
from benchmarks import alone, builds, graph, handoff, measure, plan, pure, report, rows, stage, start
from benchmarks.rows import ROWS, Row

SHARED = {"seconds": 6.0, "calls": 900, "policy_writes": 120, "other_writes": 40}


def run_of(seconds: float, processor: float, peak: float) -> dict[str, float]:
    """What a flow in a process of its own says."""
    return {"seconds": seconds, "processor": processor, "peak": peak}


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
        "consumers": 25,
        "rounds": 1000,
        "pairs": [
            {
                "first": SHARED,
                "second": {"seconds": 2.0, "calls": 600, "policy_writes": 0, "other_writes": 0},
                "script": {"seconds": 150.0, "calls": 3000, "policy_writes": 3000, "other_writes": 0},
            }
        ],
    },
    "scale_groups": {
        "consumers": 25,
        "rounds": [
            {"1": run_of(1.0, 0.5, 100), "40": run_of(10.0, 4.0, 120), "400": run_of(90.0, 40.0, 180)},
            {"40": run_of(10.0, 4.0, 120), "400": run_of(110.0, 40.0, 180)},
        ],
    },
    "promotion": {
        "consumers": 24,
        "pairs": [{"one": 10.0, "many": 14.0, "one_calls": 80, "many_calls": 840}],
    },
    "promotion_processor": {
        "consumers": 24,
        "pairs": [
            {
                "before": {"one": run_of(10, 4.0, 150), "many": run_of(30, 27.0, 300)},
                "now": {"one": run_of(9, 2.0, 120), "many": run_of(20, 11.2, 200)},
            }
        ],
    },
    "scale_consumers": {
        "rounds": [
            {"1": run_of(10, 2, 150), "24": run_of(20, 11, 200), "200": run_of(100, 80, 280)},
            {"1": run_of(10, 2, 160), "24": run_of(20, 11, 200), "200": run_of(120, 80, 300)},
        ]
    },
    "notice": {
        "waits": [
            {"late": 0.5, "pause": 1.0, "pauses": [0.5, 0.7, 1.0]},
            {"late": 2.0, "pause": 2.5, "pauses": [0.5, 10.0, 20.0]},
        ]
    },
    "cold_start": {"pairs": [{"share": 3.0, "empty": 2.5}]},
    "plan_command": {
        "pairs": [{"plan": 1.5, "import": 0.7, "calls": 0.3, "cli": 7.5}],
        "calls": 14,
        "version": "aws-cli/1.46.3",
    },
    "memory": {"pairs": [{"empty": 100.0, "deploy": 160.0}]},
    "judge": {"rounds": [{"decisions": 25_000, "seconds": 1.0}], "cases": 323},
    "throughput": {
        "pairs": [
            {"threads": 1, "sandbox": 90.0, "moto": 100.0},
            {"threads": 4, "sandbox": 190.0, "moto": 200.0},
        ]
    },
    "sandbox_start": {"pairs": [{"start": 1.5, "imports": 1.25}]},
    "sandbox_start_before": {"pairs": [{"start": 1.5, "before": 2.5}]},
    "sandbox_accounts": {"pairs": [{"start": 1.5, "many": 3.0}], "accounts": 200},
    "plan_size": {"seconds": {"refused": [0.9], "made": [0.5]}, "bytes": 19_000},
    "test_wall": {
        "pairs": [
            {"now": 200.0, "before": 400.0, "now_tests": "90 passed", "before_tests": "1 failed, 80 passed"}
        ]
    },
    "demo_wall": {"pairs": [{"now": 60.0, "before": 100.0}]},
}
FIGURES = {
    "hand-off": 1.1,
    "hand-off-calls": 34,
    "groups": 0.04,
    "groups-writes": 120,
    "groups-400": 1.0,
    "no-change": 1 / 3,
    "no-change-writes": 0,
    "promotion": 1.4,
    "promotion-calls": 35,
    "promotion-processor": 0.4,
    "promotion-200": 5.5,
    "promotion-200-memory": 1.45,
    "notice": 0.65,
    "back-off": 2.0,
    "cold-start": 1.2,
    "plan": 0.2,
    "plan-bare": 1.5,
    "memory": 1.6,
    "memory-growth": 45,
    "judge": 25_000,
    "throughput": 0.9,
    "sandbox-start": 1.2,
    "sandbox-start-before": 0.6,
    "sandbox-accounts": 2.0,
    "plan-size": 0.9,
    "test-wall": 0.5,
    "demo-wall": 0.6,
}


def test_every_row_makes_its_figure_from_its_measurement_and_meets_its_target_with_it() -> None:
    results = {row.name: rows.result(row, DATA[row.measurement]) for row in ROWS}
    assert {name: one.measured for name, one in results.items()} == pytest.approx(FIGURES)
    assert [name for name, one in results.items() if not one.met] == []
    assert {row.measurement for row in ROWS} == set(measure.MEASUREMENTS)


# What must make a row miss its target: the path of one number in the data above, and what it is instead.
WORSE: dict[str, tuple[tuple[Any, ...], Any]] = {
    "hand-off": (("hand_off", "pairs", 1, "product"), 6.8),
    "hand-off-calls": (("hand_off", "pairs", 1, "product_calls"), 36),
    "groups": (("groups", "pairs", 0, "script", "seconds"), 80.0),
    "groups-writes": (("groups", "pairs", 0, "first", "policy_writes"), 121),
    "groups-400": (("scale_groups", "rounds", 0, "400", "seconds"), 115.0),
    "no-change": (("groups", "pairs", 0, "second", "seconds"), 2.5),
    "no-change-writes": (("groups", "pairs", 0, "second", "other_writes"), 1),
    "promotion": (("promotion", "pairs", 0, "many"), 15.1),
    "promotion-calls": (("promotion", "pairs", 0, "many_calls"), 913),
    "promotion-processor": (("promotion_processor", "pairs", 0, "now", "many", "processor"), 12.5),
    "promotion-200": (("scale_consumers", "rounds", 0, "200", "seconds"), 121),
    "promotion-200-memory": (("scale_consumers", "rounds", 1, "200", "peak"), 321),
    "notice": (("notice", "waits", 0, "late"), 1.3),
    "back-off": (("notice", "waits", 1, "pauses"), [5.0, 20.0, 10.0]),
    "cold-start": (("cold_start", "pairs", 0, "empty"), 2.3),
    "plan": (("plan_command", "pairs", 0, "cli"), 5.9),
    "plan-bare": (("plan_command", "pairs", 0, "calls"), 0.2),
    "memory": (("memory", "pairs", 0, "deploy"), 171.0),
    "memory-growth": (("scale_consumers", "rounds", 0, "24", "peak"), 420.0),
    "judge": (("judge", "rounds", 0, "seconds"), 1.3),
    "throughput": (("throughput", "pairs", 1, "sandbox"), 179.0),
    "sandbox-start": (("sandbox_start", "pairs", 0, "start"), 1.9),
    "sandbox-start-before": (("sandbox_start_before", "pairs", 0, "start"), 2.1),
    "sandbox-accounts": (("sandbox_accounts", "pairs", 0, "many"), 4.6),
    "plan-size": (("plan_size", "seconds", "made"), [1.1]),
    "test-wall": (("test_wall", "pairs", 0, "now"), 221.0),
    "demo-wall": (("demo_wall", "pairs", 0, "now"), 71.0),
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
    lines = report.table(
        [rows.result(row, worse[row.measurement] if row.name != "plan" else None) for row in wanted]
    ).splitlines()
    assert lines[0].split() == ["row", "measured", "target", "met", "made", "of"]
    of = {line.partition(":")[0]: line for line in lines[1:]}
    assert list(of) == ["hand-off", "groups-writes", "plan", "judge"], "in the order of the rows"
    said = {name: " ".join(line.split()) for name, line in of.items()}
    assert said["hand-off"].endswith("wall time 1.10 <= 1.12 yes product 6.60 s, script 6.00 s; 3 pairs")
    assert "policies written 120 writes == 120 writes yes 40 groups" in said["groups-writes"]
    assert (
        said["judge"]
        .partition("one core ")[2]
        .startswith("19,231 a second >= 20,000 a second NO the 323 cases")
    )
    assert said["plan"].partition("a process each ")[2].startswith("- <= 0.25 NO the measurement failed")
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


@pytest.fixture
def earlier(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A checkout that looks installed."""
    (tmp_path / "earlier" / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / "earlier" / ".venv" / "bin" / "python").touch()
    monkeypatch.setenv(start.BEFORE, "")  # put back afterwards
    return str(tmp_path / "earlier")


def test_a_missed_target_is_no_error_and_a_failed_measurement_is_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, earlier: str, capsys: pytest.CaptureFixture[str]
) -> None:
    worse, file = changed(DATA, *WORSE["judge"]), tmp_path / "found.json"
    assert run(monkeypatch, worse.__getitem__, "--json", str(file), "--before", earlier) == 0
    assert "NO " in capsys.readouterr().out
    written = json.loads(file.read_text())
    unnamed = {name: data for name, data in worse.items() if name not in ("test_wall", "demo_wall")}
    assert {name: one["found"] for name, one in written["measurements"].items()} == unnamed
    assert {one["row"]: one["met"] for one in written["rows"]} == {
        row.name: row.name != "judge" for row in ROWS if not row.only_named
    }
    assert {one["machine"]["cores"] for one in written["measurements"].values()} == {os.cpu_count()}
    for private in (os.uname().nodename, sys.prefix, str(Path.home())):
        assert private not in file.read_text()
    assert run(monkeypatch, lambda name: None if name == "judge" else worse[name]) == 1


def test_what_was_measured_is_kept_when_the_rest_is_interrupted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "found.json"

    def interrupted(name: str) -> dict[str, Any]:
        if name == "plan_size":
            raise KeyboardInterrupt
        return dict(DATA[name])

    with pytest.raises(KeyboardInterrupt):
        run(monkeypatch, interrupted, "--only", "judge", "plan-size", "--json", str(file))
    assert [one["row"] for one in json.loads(file.read_text())["rows"]] == ["judge"]
    assert run(monkeypatch, lambda name: None, "--only", "judge", "--json", str(file)) == 1
    run(monkeypatch, DATA.__getitem__, "--only", "plan-size", "--json", str(file))
    assert {one["row"] for one in json.loads(file.read_text())["rows"]} == {"judge", "plan-size"}
    assert list(tmp_path.iterdir()) == [file]


def test_files_are_put_together_into_a_table_of_markdown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [tmp_path / "one.json", tmp_path / "two.json"]
    worse = changed(DATA, *WORSE["judge"])
    report.write(files[0], {name: {"found": worse[name]} for name in ("judge", "memory")})
    report.write(files[1], {name: {"found": DATA[name]} for name in ("judge", "promotion")})
    assert command.main(["--table", *map(str, files)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "| row | measured | target | met | made of |",
        "|---|---:|---:|---|---|",
        "| promotion: promote to 24 consumers of one stage over one, wall time | 1.40 | <= 1.50 | yes | 24 14.00 s, 1 10.00 s; 1 pair |",
        "| promotion-calls: the same: AWS calls for each consumer promoted | 35.0 calls | <= 38.0 calls | yes "
        "| 24: 840 calls, 1: 80, so 33.0 for one more; 1 pair |",
        "| memory: peak memory of a deploy over an empty flow's | 1.60 | <= 1.70 | yes | deploy 160 MB, empty flow 100 MB; 1 pair |",
        "| judge: decisions of the judge on one core | 25,000 a second | >= 20,000 a second | yes "
        "| the 323 cases of tests/sandbox/judge_cases, read before; 1 round |",
    ]


@pytest.mark.parametrize("text", ["", "[]", '{"rows": []}', "nonsense"])
def test_a_file_that_is_no_result_is_refused_by_name(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other.json").write_text(text)
    with pytest.raises(SystemExit) as end:
        command.main(["--table", str(tmp_path / "other.json")])
    assert end.value.code == 2
    assert "other.json was not written by this program" in capsys.readouterr().err


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


def test_the_pairs_are_those_asked_for_or_the_usual_ones(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    usual = {name: one.pairs for name, one in measure.MEASUREMENTS.items()}
    assert usual["hand_off"] == 5
    made = {
        name: one._replace(do=lambda pairs: {"pairs": pairs}) for name, one in measure.MEASUREMENTS.items()
    }
    monkeypatch.setattr(measure, "MEASUREMENTS", made)
    for name, pairs in (("test_wall", None), ("test_wall", 7)):
        measure.main(name, pairs, tmp_path / "found.json")
        assert json.loads((tmp_path / "found.json").read_text()) == {"pairs": pairs or usual[name]}


# The pictures.

_SVG = "{http://www.w3.org/2000/svg}"


def test_a_picture_has_a_point_for_each_size_where_its_figure_is() -> None:
    rounds = [
        {"1": run_of(10, 0, 100), "100": run_of(60, 0, 150), "200": run_of(100, 0, 200)},
        {"200": run_of(140, 0, 200)},
    ]
    drawn = ElementTree.fromstring(graph.svg(graph.PICTURES["scale_consumers"], rounds))  # noqa: S314 - our own
    assert drawn.tag == f"{_SVG}svg"
    time, memory = drawn.findall(f"{_SVG}g")
    for panel, unit, figures in ((time, "s", (10, 60, 120)), (memory, "MB", (100, 150, 200))):
        circles = panel.findall(f"{_SVG}circle")[::-1]
        assert [circle.findtext(f"{_SVG}title") for circle in circles] == [
            f"{size} consumers: {figure} {unit}" for size, figure in zip((1, 100, 200), figures, strict=True)
        ]
        places = [(float(circle.attrib["cx"]), float(circle.attrib["cy"])) for circle in circles]
        line = panel.find(f"{_SVG}polyline")
        assert line is not None
        assert line.attrib["points"] == " ".join(f"{x},{y}" for x, y in places)
        texts = [(text.text, text.attrib) for text in panel.findall(f"{_SVG}text")]
        foot = next(float(at["y"]) for text, at in texts if text == "0" and at["text-anchor"] == "end") - 4
        left = next(float(at["x"]) for text, at in texts if text == "0" and at["text-anchor"] == "middle")
        for (x, y), size, figure in zip(places, (1, 100, 200), figures, strict=True):
            assert (x - left) / (places[-1][0] - left) == pytest.approx(size / 200, abs=0.001)
            assert (foot - y) / (foot - places[-1][1]) == pytest.approx(figure / figures[-1], abs=0.005)
        assert any(text.endswith(f", {unit}") for text, _ in texts if text), "the axis has its unit"
        assert "consumers" in [text for text, _ in texts]


def test_pictures_are_drawn_of_what_was_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "_DOCS", tmp_path)
    monkeypatch.setattr(command, "_ROOT", tmp_path)
    run(monkeypatch, DATA.__getitem__, "--only", "promotion-200", "--graph")
    assert [file.name for file in tmp_path.iterdir()] == ["scale-consumers.svg"]
    report.write(tmp_path / "found.json", {"scale_groups": {"found": DATA["scale_groups"]}})
    command.main(["--table", str(tmp_path / "found.json"), "--graph"])
    assert "400 groups: 100 s" in (tmp_path / "scale-groups.svg").read_text()
    with pytest.raises(SystemExit):
        run(monkeypatch, DATA.__getitem__, "--only", "judge", "--graph")
    assert "--graph: no row is there that it is drawn from" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("most", "ticks"),
    [(200, [0, 50, 100, 150, 200]), (7, [0, 1, 2, 3, 4, 5, 6, 7]), (0.9, [0, 0.2, 0.4, 0.6, 0.8, 1.0])],
)
def test_an_axis_has_round_numbers_up_to_the_most(most: float, ticks: list[float]) -> None:
    assert graph._ticks(most) == pytest.approx(ticks)


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


@pytest.mark.parametrize(
    ("last", "code"), [("90 passed, 2 skipped in 3.1s", 0), ("1 failed, 9 passed in 1s", 2)]
)
def test_a_make_is_timed_to_its_last_line(tmp_path: Path, last: str, code: int) -> None:
    (tmp_path / "Makefile").write_text(
        f"test:\n\t@echo first\n\t@echo '{last}'\n\t@sleep 0.5 >&2\n\t@exit {code}\n"
    )
    began = time.perf_counter()
    ended, seconds, told = builds.made("test", tmp_path)
    assert (ended, told) == (code, last)
    assert 0 < seconds < time.perf_counter() - began - 0.4


def test_the_tests_of_both_builds_are_timed_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, said in (("now", "2 failed, 9 passed in 3s"), ("before", "7 passed in 4s")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "Makefile").write_text(f"test:\n\t@echo '{said}'\n")
    monkeypatch.setattr(builds, "_ROOT", tmp_path / "now")
    monkeypatch.setenv(start.BEFORE, str(tmp_path / "before"))
    (pair,) = builds.test_wall(1)["pairs"]
    assert (pair["now_tests"], pair["before_tests"]) == ("2 failed, 9 passed", "7 passed")
    assert pair["now"] > 0 < pair["before"]
    (tmp_path / "now" / "Makefile").write_text("test:\n\t@echo 'no module named pytest'\n\t@exit 2\n")
    with pytest.raises(RuntimeError, match="ended with 2 before its tests did"):
        builds.test_wall(1)


def test_a_demo_is_timed_in_a_fresh_clone_of_what_is_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each target notes where it ran, and fails where something is there that was not committed.
    note = f"@test ! -e left && touch left && pwd >>{tmp_path}/$(notdir $@)"
    for name in ("now", "before"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "Makefile").write_text(f"install demo:\n\t{note}\n\t@echo done\n")
        git = ["git", "-C", str(tmp_path / name), "-c", "user.name=a", "-c", "user.email=a@example.com"]
        for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
            subprocess.run([*git, *arguments], check=True)
        (tmp_path / name / "left").touch()
    monkeypatch.setattr(builds, "_ROOT", tmp_path / "now")
    monkeypatch.setenv(start.BEFORE, str(tmp_path / "before"))
    pairs = builds.demo_wall(2)["pairs"]
    assert [sorted(pair) for pair in pairs] == [["before", "now"]] * 2
    folders = {target: (tmp_path / target).read_text().splitlines() for target in ("install", "demo")}
    assert {target: len(set(where)) for target, where in folders.items()} == {"install": 2, "demo": 4}
    assert not any(Path(where).exists() for each in folders.values() for where in each)


# What the rows are read from.


def test_the_cli_makes_a_call_as_a_person_writes_it() -> None:
    given = {"Bucket": "one", "ExpectedBucketOwner": "111111111111", "MaxResults": 5, "Deep": {"A": [1]}}
    assert plan._options(given) == [
        "--bucket=one",
        "--expected-bucket-owner=111111111111",
        "--max-results=5",
        '--deep={"A": [1]}',
    ]


def test_a_call_that_is_answered_otherwise_than_the_plans_is_no_comparison() -> None:
    call = plan.Call("s3", "GetBucketPolicy", {}, "NoSuchBucketPolicy")
    plan._same(call, "NoSuchBucketPolicy")
    with pytest.raises(RuntimeError, match="answered AccessDenied, not NoSuchBucketPolicy"):
        plan._same(call, "AccessDenied")
    with pytest.raises(RuntimeError, match="answered well, not NoSuchBucketPolicy"):
        plan._same(call, "")


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


def test_a_flow_of_its_own_says_what_it_took(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Another build's flow is run by that build's Python, and the modules beside the program are not in its way.
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "promotion.py").write_text(
        "import importlib.util\n"
        "def promote_model(config, version):\n"
        "    assert (config, version) == ('some.yaml', 1)\n"
        "    assert importlib.util.find_spec('rows') is None\n"
        "    print('a line of its own')\n"
        "    sum(range(10**7))\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = alone.fresh("promote", "some.yaml", checkout=tmp_path)
    assert 0.01 < found["seconds"] < 60
    assert found["processor"] > 0.01
    assert 5 < found["peak"] < 60
    with pytest.raises(subprocess.CalledProcessError):
        alone.fresh("promote", "other.yaml", checkout=tmp_path)


def test_a_row_beside_an_earlier_build_is_measured_where_one_is_named() -> None:
    assert "sandbox-start-before" not in [row.name for row in rows.chosen([])]
    assert "sandbox-start-before" in [row.name for row in rows.chosen([], before=True)]
    assert not {"test-wall", "demo-wall"} & {row.name for row in rows.chosen([], before=True)}
    assert [row.name for row in rows.chosen(["demo-wall"], before=True)] == ["demo-wall"]
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
