"""Triton's front end for SageMaker, with the model in its Python backend."""

import os
import shutil
import sys
from pathlib import Path

import pytriton

TYPES = {"labels": "INT64", "names": "STRING", "scores": "FP32", "ids": "INT64"}
SHAPES = {"probabilities": "3", "grid": "2, 2"}
CONFIG = """\
name: "irises"
backend: "python"
max_batch_size: 8
input [ {{ name: "rows" data_type: TYPE_FP64 dims: [ 4 ] }} ]
output [ {outputs} ]
instance_group [ {{ kind: KIND_CPU }} ]
"""
CODE = """\
import irises
import numpy as np
import triton_python_backend_utils as utils


class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(utils.get_input_tensor_by_name(one, "rows").as_numpy()) for one in requests]

    def answer(self, rows):
        answer = irises.predict(rows)
        named = answer if isinstance(answer, dict) else {"answer": answer}
        arrays = {name: np.asarray(values) for name, values in named.items()}
        tensors = []
        for name, array in arrays.items():
            array = array.astype(object) if array.dtype.kind == "U" else array
            tensors.append(utils.Tensor(name, array.reshape(array.shape if array.ndim > 1 else (-1, 1))))
        return utils.InferenceResponse(tensors)
"""


def main() -> None:
    """Write the model's repository into this folder, and become the server."""
    here, output = Path.cwd(), os.environ["OUTPUT"]
    given = {"label": ("STRING", "1"), "probability": ("FP64", "1"), "sure": ("BOOL", "1")}
    if output != "several":
        given = {"answer": (TYPES.get(output, "FP64"), SHAPES.get(output, "1"))}
    outputs = ", ".join(
        f'{{ name: "{name}" data_type: TYPE_{kind} dims: [ {shape} ] }}'
        for name, (kind, shape) in given.items()
    )
    folder = here / "models" / "irises" / "1"
    folder.mkdir(parents=True)
    (folder / "model.py").write_text(CODE)
    shutil.copy(Path(__file__).parent / "irises.py", folder)
    (folder.parent / "config.pbtxt").write_text(CONFIG.format(outputs=outputs))
    triton = Path(pytriton.__file__).parent / "tritonserver"
    backend = here / "backends" / "python"
    backend.mkdir(parents=True)
    stub = triton / "python_backend_stubs" / f"3.{sys.version_info.minor}" / "triton_python_backend_stub"
    for file in [*(triton / "backends" / "python").iterdir(), stub]:
        (backend / file.name).symlink_to(file)
    port = int(os.environ["PORT"])
    packages = Path(pytriton.__file__).parents[1]
    os.environ["PYTHONPATH"] = f"{os.environ['PYTHONPATH']}{os.pathsep}{packages}"
    os.environ["LD_LIBRARY_PATH"] = os.path.join(sys.base_prefix, "lib")
    os.environ["SAGEMAKER_TRITON_DEFAULT_MODEL_NAME"] = "irises"
    command = [str(triton / "bin" / "tritonserver"), "--model-repository", str(here / "models")]
    command += ["--backend-directory", str(here / "backends"), "--allow-sagemaker", "true"]
    command += ["--sagemaker-port", str(port), "--allow-http", "false", "--allow-grpc", "false"]
    os.execv(command[0], [*command, "--allow-metrics", "false"])  # noqa: S606


if __name__ == "__main__":
    main()
