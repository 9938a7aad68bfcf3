"""MLflow's scoring server: scikit-learn's own flavour for labels, a function in Python for the rest."""

import os
import sys

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

import irises
import mlflow.pyfunc
import mlflow.sklearn
import pandas
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression


class Irises(mlflow.pyfunc.PythonModel):
    """The model as MLflow has it."""

    def predict(self, context, model_input, params=None):
        answer = irises.predict(model_input)
        if isinstance(answer, dict):
            return pandas.DataFrame(answer)
        return pandas.Series(answer) if os.environ["OUTPUT"] == "missing" else answer


if __name__ == "__main__":
    folder = os.path.join(os.getcwd(), "model")
    if os.environ["OUTPUT"] == "labels":
        known = load_iris()
        fitted = LogisticRegression(max_iter=1000).fit(known.data, known.target)
        mlflow.sklearn.save_model(fitted, folder, pip_requirements=["scikit-learn"])
    else:
        mlflow.pyfunc.save_model(folder, python_model=Irises(), pip_requirements=["numpy"])
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "models",
        "serve",
        "--model-uri",
        folder,
        "--env-manager",
        "local",
    ]
    os.execv(  # noqa: S606
        sys.executable, [*command, "--host", "127.0.0.1", "--port", os.environ["PORT"], "--workers", "1"]
    )
