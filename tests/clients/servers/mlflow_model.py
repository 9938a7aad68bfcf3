"""Pack a model of scikit-learn's in MLflow's format as a model.tar.gz, at the path given, as MLflow's own deployment does."""

from __future__ import annotations

import os
import sys
import tarfile
import tempfile

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

import mlflow.sklearn
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

iris = load_iris()
folder = os.path.join(tempfile.mkdtemp(), "model")
model = LogisticRegression(max_iter=1000).fit(iris.data, iris.target)
mlflow.sklearn.save_model(model, folder, pip_requirements=["scikit-learn"])
with tarfile.open(sys.argv[1], "w:gz") as archive:
    archive.add(folder, arcname="")
