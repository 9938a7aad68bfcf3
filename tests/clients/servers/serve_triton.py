"""Triton's front end for SageMaker, as a container of SageMaker's starts it, on the port and for the folder that it is given."""

from __future__ import annotations

import os
import runpy
import tempfile
from pathlib import Path

os.chdir(tempfile.mkdtemp(prefix="triton-"))
os.environ |= {
    "PORT": os.environ["SAGEMAKER_BIND_TO_PORT"],
    "OUTPUT": "labels",
    "PYTHONPATH": os.environ["SM_MODEL_DIR"],
}
script = Path(__file__).parents[2] / "servers" / "kinds" / "triton_repository.py"
runpy.run_path(str(script), run_name="__main__")
