"""The model that the servers here serve, a small classifier of irises: what it answers is chosen by ``OUTPUT``.

Not here: a server (the other files), and the questions (``bodies.py``).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

NAMES = np.array(["setosa", "versicolor", "virginica"])
_WEIGHTS = np.array(
    [
        [-0.4236, 0.9673, -2.5171, -1.0794],
        [0.5345, -0.3216, -0.2064, -0.9442],
        [-0.1108, -0.6457, 2.7235, 2.0236],
    ]
)
_INTERCEPTS = np.array([9.8499, 2.2372, -12.0871])
_FIRST_ID = 9_007_199_254_740_993  # the first whole number that no float holds


def probabilities(rows: np.ndarray) -> np.ndarray:
    """A probability of each of the three names, for each row."""
    weights = np.exp(rows @ _WEIGHTS.T + _INTERCEPTS)
    return weights / weights.sum(axis=1, keepdims=True)


def predict(rows: Sequence[Sequence[float]] | np.ndarray, output: str | None = None) -> Any:
    """What the model answers to rows of four numbers: an array, or named lists where ``OUTPUT`` is several."""
    given = np.array(rows, dtype=np.float64).reshape(-1, 4)
    chances = probabilities(given)
    labels = chances.argmax(axis=1)
    scores = (chances.max(axis=1) * given[:, 2]).astype(np.float32)
    answers = {
        "labels": labels,
        "names": NAMES[labels],
        "probabilities": chances,
        "scores": scores,
        "missing": np.where(given[:, 3] > 2, np.nan, scores.astype(np.float64)),
        "ids": _FIRST_ID + labels,
        "grid": np.round(given.reshape(-1, 2, 2) * 1000, 1),
        "several": {
            "label": NAMES[labels].tolist(),
            "probability": chances.max(axis=1).tolist(),
            "sure": (chances.max(axis=1) > 0.95).tolist(),
        },
    }
    return answers[output or os.environ["OUTPUT"]]


def plain(answer: Any) -> Any:
    """An answer as lists, numbers and texts."""
    return answer.tolist() if isinstance(answer, np.ndarray) else answer


def rows_of(body: Any) -> Any:
    """The rows in a body of JSON: a list of them, or the list under the name that a server has for it."""
    if isinstance(body, dict):
        return next(body[key] for key in ("instances", "inputs", "input", "rows") if key in body)
    return body
