"""Pack a model of scikit-learn's and the code that sagemaker-inference serves it with as a model.tar.gz, at the path given."""

from __future__ import annotations

import sys
import tarfile
import tempfile
from pathlib import Path

import joblib
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier

CODE = """\
from pathlib import Path

import joblib


def model_fn(model_dir):
    return joblib.load(Path(model_dir) / "model.joblib")


def predict_fn(rows, model):
    return model.predict(rows)
"""
iris = load_iris()
folder = Path(tempfile.mkdtemp())
(folder / "code").mkdir()
(folder / "code" / "inference.py").write_text(CODE)
joblib.dump(
    DecisionTreeClassifier(max_depth=2, random_state=0).fit(iris.data, iris.target), folder / "model.joblib"
)
with tarfile.open(sys.argv[1], "w:gz") as archive:
    archive.add(folder, arcname="")
