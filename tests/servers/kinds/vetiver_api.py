"""Vetiver, with scikit-learn's model behind ``/predict``: names, labels, or scores of a regression."""

import os

from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression
from vetiver import VetiverAPI, VetiverModel

OUTPUTS = {"labels": 0, "names": 1, "scores": 2}

if __name__ == "__main__":
    known = load_iris(as_frame=True)
    names = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
    rows = known.data.set_axis(names, axis=1)
    output = os.environ["OUTPUT"]
    targets = known.target if output != "names" else known.target_names[known.target]
    kind = LinearRegression() if output == "scores" else LogisticRegression(max_iter=1000)
    served = VetiverModel(kind.fit(rows, targets), "irises", prototype_data=rows)
    VetiverAPI(served).run(port=int(os.environ["PORT"]), host="127.0.0.1", quiet_open=True)
