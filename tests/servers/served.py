"""The servers that are recorded: of each its packages, what starts it, where it answers, and in which dialect it is asked.

Not here: starting and asking one (``starting.py``), and the questions (``bodies.py``).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "clients"))

from bodies import CSV, JSON, LINES, NPY, OUTPUTS, PARQUET, RECORDIO
from environments import Client

TORCH = "torch==2.13.0"


@dataclass(frozen=True)
class Served:
    """A server that is recorded.

    Attributes:
        name: of its environment, its lock and its recording.
        script: in ``kinds``; it becomes the server.
        packages: whose versions the recording names.
        own: the body that is its own dialect, and that body of one row (names of ``bodies.BODIES``).
        accepts: the wishes that each output is asked with.
        outputs: of the model, those that it can serve.
        path: where it answers, where that is not SageMaker's.
        health: the path that is 200 when it is ready.
        beside: what its environment has beside its lock: the build that fits the machine is no other machine's.
        binary: whether it is asked for tensors as bytes too.
    """

    name: str
    script: str
    packages: tuple[str, ...]
    own: tuple[str, str] = ("list", "list-one")
    accepts: tuple[str, ...] = (JSON,)
    outputs: tuple[str, ...] = OUTPUTS
    path: str = "/invocations"
    health: str = "/ping"
    beside: tuple[str, ...] = ()
    binary: bool = False

    @property
    def client(self) -> Client:
        """Its environment."""
        return Client(self.name, self.script, (), beside=self.beside)


_V2, _TOOLKIT = ("v2", "v2-one"), (JSON, CSV, NPY)
_PLAIN = tuple(output for output in OUTPUTS if output != "several")
RECORDED = (
    Served("bentoml", "bentoml_service.py", ("bentoml",), health="/readyz"),
    Served("fastapi", "fastapi_app.py", ("fastapi",), accepts=(JSON, LINES, "text/plain")),
    Served(
        "flask",
        "flask_app.py",
        ("flask", "gunicorn", "xgboost-cpu"),
        ("csv", "csv-one"),
        (JSON, "", CSV, NPY, LINES, PARQUET),
    ),
    Served(
        "hugging-face",
        "hugging_face.py",
        ("sagemaker-huggingface-inference-toolkit", "multi-model-server"),
        ("inputs", "list-one"),
        _TOOLKIT,
        beside=(TORCH,),
    ),
    Served(
        "kserve",
        "kserve_model.py",
        ("kserve",),
        ("instances", "instances-one"),
        outputs=OUTPUTS,
        path="/v1/models/irises:predict",
        health="/v2/models/irises/ready",
    ),
    Served("litserve", "litserve_api.py", ("litserve",)),
    Served("mlflow", "mlflow_model.py", ("mlflow",), ("instances", "instances-one")),
    Served(
        "mlserver",
        "mlserver_runtime.py",
        ("mlserver", "mlserver-sklearn"),
        _V2,
        path="/v2/models/irises/infer",
        health="/v2/models/irises/ready",
    ),
    Served("mosec", "mosec_worker.py", ("mosec",), health="/"),
    Served(
        "multi-model-server",
        "multi_model_server.py",
        ("multi-model-server", "sagemaker-inference"),
        ("csv", "list-one"),
        _TOOLKIT,
    ),
    Served("ray-serve", "ray_serve.py", ("ray",), health="/"),
    Served(
        "sagemaker-containers",
        "sagemaker_containers_app.py",
        ("sagemaker-containers", "flask", "gunicorn"),
        ("csv", "list-one"),
        (*_TOOLKIT, RECORDIO),
    ),
    Served(
        "torchserve",
        "torchserve_archive.py",
        ("torchserve", "sagemaker-pytorch-inference"),
        ("csv", "list-one"),
        _TOOLKIT,
        beside=(TORCH,),
    ),
    Served("triton", "triton_repository.py", ("nvidia-pytriton",), _V2, binary=True),
    Served(
        "vetiver",
        "vetiver_api.py",
        ("vetiver",),
        ("records", "records"),
        outputs=("labels", "names", "scores"),
        path="/predict",
    ),
)
