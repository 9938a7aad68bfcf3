"""The model versions that the sandbox's producer has: real decision trees, trained when the sandbox starts.

Not a training service: small trees of one public data set, each version one level deeper than the one before,
so that the versions can be told apart by their answers.
"""

import csv
import gzip
import io
import json
import multiprocessing
import tarfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from multiprocessing.connection import Connection
from typing import Any

VERSIONS = (1, 2, 3)

CONTENT_TYPES = ("text/csv", "application/json")

_FEATURES = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]

# In the order of the features; beside them what versions 1, 2, 3 answer.
_SETOSA = (5.1, 3.5, 1.4, 0.2)  # 0, 0, 0
_VIRGINICA = (6.3, 3.3, 6.0, 2.5)  # 1, 2, 2
_BORDERLINE = (6.0, 2.2, 5.0, 1.5)  # 1, 1, 2


@dataclass(frozen=True)
class TrainedModel:
    """What training leaves behind.

    `archive` is a model.tar.gz (members `model.joblib`, `metadata.json`); `samples` is a samples.tar.gz whose
    only member `samples.json` is a list of {"content_type", "accept", "body", "expect"}, where `expect` is
    what this very model answers.
    """

    archive: bytes
    samples: bytes
    content_types: tuple[str, ...] = CONTENT_TYPES


def train(version: int) -> TrainedModel:
    """Train the tree of one version; the same version gives the same bytes.

    Args:
        version: 1 or more. It is the depth of the tree: version 1 never answers virginica, version 2 gets the
            borderline flower wrong.

    Raises:
        ValueError: for a version below 1.
    """
    import joblib
    import sklearn
    from sklearn.tree import DecisionTreeClassifier

    if version < 1:
        raise ValueError(f"a model version is 1 or more, not {version}")
    classes, flowers, labels = _iris()
    tree = DecisionTreeClassifier(max_depth=version, random_state=0).fit(flowers, labels)
    pickled = io.BytesIO()
    joblib.dump(tree, pickled)
    metadata = {
        "classes": classes,
        "features": _FEATURES,
        "framework": "scikit-learn",
        "framework_version": sklearn.__version__,
        "version": version,
    }
    return TrainedModel(
        archive=tar_gz({"metadata.json": _json(metadata), "model.joblib": pickled.getvalue()}),
        samples=tar_gz({"samples.json": _json(_samples(tree))}),
    )


def _iris() -> tuple[list[str], list[list[float]], list[int]]:
    """The classes, the measures and the class of each flower; ``load_iris`` would import every data set there is."""
    text = files("sklearn").joinpath("datasets", "data", "iris.csv").read_text()
    head, *rows = csv.reader(io.StringIO(text))
    return head[2:], [[float(cell) for cell in row[:-1]] for row in rows], [int(row[-1]) for row in rows]


def train_all() -> list[TrainedModel]:
    """The trees of all versions, trained in this process."""
    return [train(version) for version in VERSIONS]


def begin() -> Callable[[], list[TrainedModel]]:
    """Train the trees of all versions in a process of their own, forked from the one that imports scikit-learn once for all.

    Returns:
        what waits for them; it raises RuntimeError when that process ended before it had them.
    """
    pool = ThreadPoolExecutor(1)  # a start waits until scikit-learn is imported
    training = pool.submit(_elsewhere)
    pool.shutdown(wait=False)
    return training.result


def _elsewhere() -> list[TrainedModel]:
    forks = multiprocessing.get_context("forkserver")
    line, far_end = forks.Pipe(duplex=False)
    with line:
        with far_end:
            process = forks.Process(target=_deliver, args=(far_end,), name="training", daemon=True)
            process.start()
        try:
            trained: list[TrainedModel] = line.recv()
        except EOFError:
            raise RuntimeError(
                "The process that trains the sandbox's models ended before it had them"
            ) from None
    process.join()
    return trained


def _deliver(line: Connection) -> None:
    trained = train_all()
    with suppress(BrokenPipeError):  # the sandbox has ended meanwhile
        line.send(trained)


def tar_gz(members: Mapping[str, bytes], level: int = 9) -> bytes:
    """Pack members into a .tar.gz that holds neither times nor owners: equal content is equal bytes.

    Args:
        members: the files by their paths.
        level: how hard to compress, 1 to 9.
    """
    unpacked = io.BytesIO()
    with tarfile.open(fileobj=unpacked, mode="w") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return gzip.compress(unpacked.getvalue(), level, mtime=0)


def _samples(tree: Any) -> list[dict[str, object]]:
    """Requests that AWS's scikit-learn container answers: a CSV of one row it does not."""
    requests: list[tuple[str, str, Sequence[Sequence[float]]]] = [
        ("text/csv", _csv([_SETOSA, _BORDERLINE]), [_SETOSA, _BORDERLINE]),
        ("text/csv", _csv([_VIRGINICA, _BORDERLINE]), [_VIRGINICA, _BORDERLINE]),
        ("application/json", json.dumps([_VIRGINICA, _SETOSA]), [_VIRGINICA, _SETOSA]),
        ("application/json", json.dumps([_BORDERLINE]), [_BORDERLINE]),
    ]
    return [
        {
            "content_type": content_type,
            "accept": "application/json",
            "body": body,
            "expect": [int(label) for label in tree.predict(rows)],
        }
        for content_type, body, rows in requests
    ]


def _csv(rows: Sequence[Sequence[float]]) -> str:
    return "\n".join(",".join(str(value) for value in row) for row in rows)


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()
