"""Answers in Parquet as plain rows, read by pyarrow in a process of its own, which has bounds of memory and time.

A few kilobytes of Parquet may stand for gigabytes, and what reads it is not Python. Not here: what is expected of the rows.

Source: "Common data formats for inference" in the SageMaker developer guide (application/x-parquet); pyarrow.parquet.
"""

import subprocess
import sys
import tempfile
from importlib.util import find_spec
from typing import Any

from crossaccount.strict_json import parse_model_json

_SECONDS = 20
_MOST_MEMORY = 4 << 30  # bytes of addresses, of which pyarrow takes more than it fills
_MOST_WRITTEN = 20_000_000  # bytes of the rows as JSON
_CHILD = """
import base64, json, resource, sys
memory, seconds, most = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
import pyarrow, pyarrow.parquet
pyarrow.set_cpu_count(1)
file = pyarrow.parquet.ParquetFile(pyarrow.BufferReader(sys.stdin.buffer.read()))
names = file.schema_arrow.names
if len(set(names)) < len(names):
    sys.exit("a column is named twice")
def written(value):
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)
written_bytes, separator = 0, "["
for batch in file.iter_batches(batch_size=1000, use_threads=False):
    for row in batch.to_pylist():
        text = separator + json.dumps(row, default=written)
        written_bytes, separator = written_bytes + len(text), ","
        if written_bytes > most:
            sys.exit(f"its rows are more than {most} bytes of JSON")
        sys.stdout.write(text)
sys.stdout.write("[]" if separator == "[" else "]")
"""


def read_parquet(raw: bytes) -> Any:
    """The rows of a Parquet file, each an object by the names of the columns; bytes in base64, times and decimals as texts.

    Raises:
        ValueError: where pyarrow is not installed, and for what it cannot read, or not within bounds.
    """
    if find_spec("pyarrow") is None:
        raise ValueError(
            "Parquet is read with pyarrow, which is not installed here: install it (pip install pyarrow), or judge the answer "
            "by expect_sha256"
        )
    bounds = map(str, (_MOST_MEMORY, _SECONDS, _MOST_WRITTEN))
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        try:
            ran = subprocess.run(  # noqa: S603 - our own text
                [sys.executable, "-I", "-c", _CHILD, *bounds],
                input=raw,
                stdout=out,
                stderr=errors,
                timeout=2 * _SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise ValueError(f"its Parquet was not read within {2 * _SECONDS} s") from None
        errors.seek(0)
        out.seek(0)
        if ran.returncode != 0:
            lines = errors.read(100_000).decode("utf-8", "replace").strip().splitlines()
            raise ValueError(f"its Parquet cannot be read: {(lines or ['the reader ended'])[-1][:200]}")
        return parse_model_json(out.read())
