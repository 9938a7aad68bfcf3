from __future__ import annotations

import base64
import re
from xml.etree import ElementTree

import pytest

from crossaccount.show import charts


def drawn(markdown: str) -> ElementTree.Element:
    found = re.fullmatch(r"!\[[^\]]*\]\(data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)\)", markdown)
    assert found
    return ElementTree.fromstring(base64.b64decode(found[1]))  # noqa: S314 - made here


@pytest.mark.parametrize(("calls", "columns"), [(1, 1), (5, 5), (120, 120), (121, 61), (1000, 112)])
def test_every_call_has_a_column_while_there_are_few(calls: int, columns: int) -> None:
    picture = drawn(charts.latencies([1.0 + n % 7 for n in range(calls)], {}))
    assert len(picture.findall(".//{*}rect")) == columns
    assert f"{calls} calls" in ElementTree.tostring(picture, "unicode")


def test_a_slow_call_stands_out_and_everything_lies_in_the_picture() -> None:
    picture = drawn(charts.latencies([10.0, 10.0, 90.0, 10.0, 10.0], {"median": 20.0, "95 of 100": None}))
    heights = [float(one.get("height", "")) for one in picture.findall(".//{*}rect")]
    assert heights[2] == pytest.approx(9 * heights[0], rel=0.02)
    assert all(float(one.get("y", "")) >= 0 for one in picture.findall(".//{*}rect"))
    (line,) = picture.findall(".//{*}path")
    assert 0 < float(re.findall(r"M0 ([0-9.]+)", line.get("d", ""))[0]) < 120


def test_calls_that_took_no_time_are_drawn() -> None:
    assert len(drawn(charts.latencies([0.0, 0.0], {})).findall(".//{*}rect")) == 2
