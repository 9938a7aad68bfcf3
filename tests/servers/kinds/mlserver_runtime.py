"""MLServer: scikit-learn's model of labels by its own runtime, the rest by one of our own; the Open Inference Protocol."""

import json
import os
import sys
from pathlib import Path

import irises
import joblib
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.types import InferenceResponse
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression


class Irises(MLModel):
    """The model as MLServer has it."""

    async def predict(self, payload):
        answer = irises.predict(NumpyCodec.decode_input(payload.inputs[0]))
        named = answer if isinstance(answer, dict) else {"predict": answer}
        outputs = [
            StringCodec.encode_output(name, list(map(str, values)))
            if isinstance(values[0], str)
            else NumpyCodec.encode_output(name, irises.np.asarray(values))
            for name, values in named.items()
        ]
        return InferenceResponse(model_name=self.name, id=payload.id, outputs=outputs)


def main():
    """Write the server's settings into this folder, and become the server."""
    port, output, here = int(os.environ["PORT"]), os.environ["OUTPUT"], Path.cwd()
    settings = {
        "host": "127.0.0.1",
        "http_port": port,
        "grpc_port": port + 1,
        "metrics_port": port + 2,
        "parallel_workers": 0,
    }
    (here / "settings.json").write_text(json.dumps(settings))
    served = {"name": "irises", "implementation": "mlserver_runtime.Irises"}
    if output == "labels":
        known = load_iris()
        joblib.dump(LogisticRegression(max_iter=1000).fit(known.data, known.target), here / "model.joblib")
        served["implementation"] = "mlserver_sklearn.SKLearnModel"
        served["parameters"] = {"uri": "./model.joblib"}
    (here / "model-settings.json").write_text(json.dumps(served))
    os.execv(sys.executable, [sys.executable, "-m", "mlserver.cli.main", "start", str(here)])  # noqa: S606


if __name__ == "__main__":
    main()
