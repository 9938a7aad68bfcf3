"""Answers in Parquet: rows where pyarrow is there, one honest reason where it is not, and bounds for what is hostile."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

import pytest

from crossaccount.proof.reading import plain, read_answer

PARQUET = "application/x-parquet"
needs_pyarrow = pytest.mark.skipif(find_spec("pyarrow") is None, reason="pyarrow is not installed")


def parquet(columns: dict[str, Any], **more: Any) -> bytes:
    import pyarrow
    import pyarrow.parquet

    out = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), out, **more)
    return out.getvalue()


def test_without_pyarrow_the_reason_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from crossaccount.proof.reading import read_answer\n"
        "try: read_answer(b'PAR1', 'application/x-parquet')\n"
        "except ValueError as error: print(error)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install pyarrow" in ran.stdout
    assert "expect_sha256" in ran.stdout


@needs_pyarrow
@pytest.mark.parametrize(
    ("columns", "rows"),
    [
        (
            {"score": [0.5, None], "label": ["a", "b"]},
            [{"score": 0.5, "label": "a"}, {"score": None, "label": "b"}],
        ),
        ({"v": [[1, 2], []]}, [{"v": [1, 2]}, {"v": []}]),
        ({"v": [{"a": 1}]}, [{"v": {"a": 1}}]),
        ({"v": [b"\xff\x00"]}, [{"v": "/wA="}]),
        ({"v": [True]}, [{"v": True}]),
        ({"v": [float("nan"), float("inf")]}, [{"v": float("nan")}, {"v": float("inf")}]),
        ({"v": [2**63 - 1]}, [{"v": 2**63 - 1}]),
        ({"v": []}, []),
        ({"v": list(range(2500))}, [{"v": number} for number in range(2500)]),
    ],
)
def test_parquet_is_rows(columns: dict[str, Any], rows: list[Any]) -> None:
    assert json.dumps(plain(read_answer(parquet(columns), PARQUET))) == json.dumps(rows)


@needs_pyarrow
def test_a_bomb_of_parquet_is_given_up() -> None:
    import pyarrow
    import pyarrow.parquet

    out, zeros = io.BytesIO(), pyarrow.table({"v": [0] * 1_000_000})
    with pyarrow.parquet.ParquetWriter(out, zeros.schema) as writer:
        for _ in range(20):
            writer.write_table(zeros)
    assert len(out.getvalue()) < 100_000
    started = time.monotonic()
    with pytest.raises(ValueError, match=r"more than 20000000 bytes of JSON|not read within|cannot be read"):
        read_answer(out.getvalue(), PARQUET)
    assert time.monotonic() - started < 60


@needs_pyarrow
@pytest.mark.parametrize(
    "raw", [b"", b"PAR1", b"PAR1" + b"\0" * 100 + b"PAR1", b"[0]", b"PAR1\xff\xff\xff\x7fPAR1"]
)
def test_what_is_no_parquet_is_unreadable(raw: bytes) -> None:
    with pytest.raises(ValueError, match="Parquet cannot be read: "):
        read_answer(raw, PARQUET)


@needs_pyarrow
def test_a_file_with_any_byte_broken_is_read_or_unreadable() -> None:
    whole = parquet({"score": [0.5, 0.25], "label": ["a", "b"]})
    for at in range(0, len(whole), max(1, len(whole) // 12)):
        broken = bytearray(whole)
        broken[at] ^= 0xFF
        with suppress(ValueError):
            assert isinstance(read_answer(bytes(broken), PARQUET), list)
