"""BentoML, with the model behind ``/invocations``: a body is a bare list of rows."""

import os
import sys
from typing import Any

import bentoml
import irises
import numpy as np

ANSWER = dict[str, Any] if os.environ["OUTPUT"] == "several" else np.ndarray
ANSWER = list[str] if os.environ["OUTPUT"] == "names" else ANSWER


@bentoml.service(workers=1)
class Irises:
    """The model as BentoML has it."""

    @bentoml.api(route="/invocations")
    def predict(self, rows: np.ndarray, /) -> ANSWER:
        answer = irises.predict(rows)
        return answer.tolist() if os.environ["OUTPUT"] == "names" else answer


if __name__ == "__main__":
    command = [sys.executable, "-m", "bentoml", "serve", "bentoml_service:Irises", "--host", "127.0.0.1"]
    folder = os.path.dirname(os.path.abspath(__file__))
    os.environ["BENTOML_DO_NOT_TRACK"] = "True"
    os.environ["BENTOML_HOME"] = os.path.join(os.getcwd(), "bentoml")
    os.execv(sys.executable, [*command, "--port", os.environ["PORT"], "--working-dir", folder])  # noqa: S606
