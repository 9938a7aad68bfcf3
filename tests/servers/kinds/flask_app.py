"""A server written by hand with Flask behind gunicorn: a tree model of XGBoost's, and six formats of answers."""

import io
import json
import os
import sys

import flask
import irises
import numpy as np
import pyarrow
import pyarrow.parquet
import xgboost

RNG = np.random.default_rng(0)
ROWS = RNG.uniform([4.3, 2, 1, 0.1], [7.9, 4.4, 6.9, 2.5], size=(150, 4))
SETTINGS = {"objective": "multi:softprob", "num_class": 3, "max_depth": 2, "nthread": 1, "seed": 0}
app = flask.Flask("irises")


def fitted():
    """Trees that imitate the model."""
    rows = xgboost.DMatrix(ROWS, label=irises.predict(ROWS, "labels"))
    return xgboost.train(SETTINGS, rows, num_boost_round=5)


TREES = fitted()


def answer_of(rows):
    if os.environ["OUTPUT"] == "probabilities":
        return TREES.predict(xgboost.DMatrix(np.array(rows, dtype=float)))
    return irises.predict(rows)


@app.get("/ping")
def ping():
    return ""


@app.post("/invocations")
def invocations():
    kind, body = flask.request.mimetype, flask.request.get_data()
    if kind == "text/csv":
        rows = [[float(cell or "nan") for cell in line.split(",")] for line in body.decode().splitlines()]
    elif kind == "application/x-npy":
        rows = np.load(io.BytesIO(body))
    elif kind == "application/jsonlines":
        rows = [json.loads(line)["features"] for line in body.splitlines()]
    else:
        rows = irises.rows_of(flask.request.get_json())
    return written(answer_of(rows), flask.request.headers.get("Accept", ""))


def written(answer, accept):
    """An answer in the type that is asked for; else JSON, under the type that Flask gives to a text."""
    columns = answer if isinstance(answer, dict) else {"prediction": irises.plain(answer)}
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    if accept == "application/x-npy" and isinstance(answer, np.ndarray):
        file = io.BytesIO()
        np.save(file, answer)
        return flask.Response(file.getvalue(), mimetype=accept)
    if accept in ("application/x-parquet", "application/vnd.apache.parquet"):
        file = io.BytesIO()
        pyarrow.parquet.write_table(pyarrow.table(columns), file)
        return flask.Response(file.getvalue(), mimetype=accept)
    if accept == "application/jsonlines":
        return flask.Response("".join(f"{json.dumps(row)}\n" for row in rows), mimetype=accept)
    if accept == "text/csv":
        lines = [",".join(columns), *(",".join(map(str, row.values())) for row in rows)]
        return flask.Response("\r\n".join(lines) + "\r\n", mimetype=accept)
    if accept == "application/json":
        return flask.jsonify({"predictions": rows})
    return json.dumps(irises.plain(answer))


if __name__ == "__main__":
    os.execv(  # noqa: S606
        sys.executable,
        [sys.executable, "-m", "gunicorn", "-b", f"127.0.0.1:{os.environ['PORT']}", "flask_app:app"],
    )
