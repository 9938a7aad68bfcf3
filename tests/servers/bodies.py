"""The questions that every server is asked: bodies of several types and shapes, and wishes for the type of the answer.

Not here: what a server's own dialect is (``served.py``), and what it answered (``recordings``).
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass

import numpy as np

CSV, JSON, NPY, LINES = "text/csv", "application/json", "application/x-npy", "application/jsonlines"
RECORDIO, PARQUET = "application/x-recordio-protobuf", "application/x-parquet"
V2_BINARY = "application/vnd.sagemaker-triton.binary+json"
ROWS = [[5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5], [6.0, 2.9, 4.5, 1.5]]
COLUMNS = ("sepal_length", "sepal_width", "petal_length", "petal_width")
OUTPUTS = ("labels", "names", "probabilities", "scores", "missing", "ids", "grid", "several")


@dataclass(frozen=True)
class Body:
    """One body of a question: its name in the recordings, its content type (empty for none), and its bytes."""

    name: str
    content_type: str
    raw: bytes


@dataclass(frozen=True)
class Question:
    """One question: a body, and the Accept that goes with it (empty for none)."""

    body: Body
    accept: str


def _csv(rows: list[list[float]]) -> str:
    return "".join(",".join(map(str, row)) + "\n" for row in rows)


def _npy(rows: list[list[float]]) -> bytes:
    file = io.BytesIO()
    np.save(file, np.array(rows))
    return file.getvalue()


def _json(name: str, value: object) -> Body:
    return Body(name, JSON, json.dumps(value).encode())


def _tensor(rows: list[list[float]], outputs: list[str] | None = None) -> dict[str, object]:
    flat = [cell for row in rows for cell in row]
    shape = [len(rows), 4]
    request: dict[str, object] = {"id": "1"}
    request["inputs"] = [{"name": "rows", "shape": shape, "datatype": "FP64", "data": flat}]
    if outputs is not None:
        request["outputs"] = [{"name": name, "parameters": {"binary_data": True}} for name in outputs]
    return request


def binary(outputs: list[str]) -> Body:
    """Triton's JSON and the bytes of a tensor after it, asking for these outputs as bytes too."""
    given = _tensor(ROWS, outputs)
    tensor = np.array(ROWS).tobytes()
    given["inputs"] = [
        {"name": "rows", "shape": [3, 4], "datatype": "FP64", "parameters": {"binary_data_size": len(tensor)}}
    ]
    header = json.dumps(given).encode()
    return Body("v2-binary", f"{V2_BINARY};json-header-size={len(header)}", header + tensor)


BODIES = (
    Body("csv", CSV, _csv(ROWS).encode()),
    Body("csv-one", CSV, _csv(ROWS[:1]).encode()),
    Body("csv-named", CSV, (",".join(COLUMNS) + "\n" + _csv(ROWS)).encode()),
    Body("csv-charset", f"{CSV}; charset=utf-8", _csv(ROWS).encode()),
    _json("list", ROWS),
    _json("list-one", ROWS[:1]),
    _json("row", ROWS[0]),
    _json("instances", {"instances": ROWS}),
    _json("instances-one", {"instances": ROWS[:1]}),
    _json("inputs", {"inputs": ROWS}),
    _json("split", {"dataframe_split": {"columns": COLUMNS, "data": ROWS}}),
    _json("records", [dict(zip(COLUMNS, row, strict=True)) for row in ROWS]),
    _json("v2", _tensor(ROWS)),
    _json("v2-one", _tensor(ROWS[:1])),
    Body("npy", NPY, _npy(ROWS)),
    Body("lines", LINES, "".join(json.dumps({"features": row}) + "\n" for row in ROWS).encode()),
    _json("empty-list", []),
    Body("empty", JSON, b""),
    Body("broken", JSON, b"[[5.1, 3.5"),
    Body("text", "text/plain", b"5.1 3.5 1.4 0.2"),
)
NAMED = {body.name: body for body in BODIES}
ACCEPTS = (
    "",
    "*/*",
    JSON,
    CSV,
    NPY,
    LINES,
    RECORDIO,
    PARQUET,
    "text/plain",
    "application/vnd.irises+json",
    f"{JSON}, {CSV}",
    f"{CSV}, {JSON}",
    "application/x-unknown",
)


def of_bodies(own: str) -> list[Question]:
    """Every body with a wish for JSON, and the server's own body with every wish."""
    return [
        *(Question(body, JSON) for body in BODIES),
        *(Question(NAMED[own], accept) for accept in ACCEPTS if accept != JSON),
    ]


def of_output(own: str, one: str, accepts: tuple[str, ...]) -> list[Question]:
    """A server's own body with each wish that it heeds, and the one row alone."""
    return [*(Question(NAMED[own], accept) for accept in accepts), Question(NAMED[one], accepts[0])]
