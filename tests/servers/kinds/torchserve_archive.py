"""TorchServe, with the toolkit in AWS's PyTorch containers (sagemaker-pytorch-inference) as the handler."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

from multi_model_server import CODE

PROPERTIES = """\
inference_address=http://127.0.0.1:{port}
management_address=http://127.0.0.1:{management}
metrics_address=http://127.0.0.1:{metrics}
grpc_inference_port={grpc}
grpc_management_port={other}
default_workers_per_model=1
disable_token_authorization=true
enable_envvars_config=false
model_store={here}/store
load_models=model.mar
default_response_timeout=60
decode_input_request=false
"""
HANDLER = "sagemaker_pytorch_serving_container.handler_service"


def main() -> None:
    """Run the server in this folder until it is ended, together with this program's group."""
    port, here = int(os.environ["PORT"]), Path.cwd()
    (here / "model" / "code").mkdir(parents=True)
    (here / "model" / "code" / "inference.py").write_text(CODE)
    settings = here / "server.properties"
    ports = {"port": port, "management": port + 1, "metrics": port + 2, "grpc": port + 3, "other": port + 4}
    settings.write_text(PROPERTIES.format(here=here, **ports))
    (here / "store").mkdir()
    served = {"modelName": "model", "modelVersion": "1.0", "handler": HANDLER}
    manifest = {"runtime": "python", "archiverVersion": "0.12.0", "createdOn": "", "model": served}
    with zipfile.ZipFile(here / "store" / "model.mar", "w") as archive:
        archive.writestr("MAR-INF/MANIFEST.json", json.dumps(manifest))
        archive.writestr("code/inference.py", CODE)
    variables = {
        "TMPDIR": str(here),
        "TEMP": str(here),
        "LOG_LOCATION": str(here),
        "METRICS_LOCATION": str(here),
    }
    variables["PYTHONPATH"] = f"{here}/model/code{os.pathsep}{os.environ['PYTHONPATH']}"
    variables["SAGEMAKER_PROGRAM"] = "inference.py"
    command = [sys.executable, "-m", "ts.model_server", "--start", "--foreground", "--disable-token-auth"]
    command += ["--ts-config", str(settings), "--ncs"]
    sys.exit(subprocess.run(command, env={**os.environ, **variables}, check=False).returncode)


if __name__ == "__main__":
    main()
