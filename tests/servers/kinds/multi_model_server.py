"""multi-model-server, with the toolkit in AWS's framework containers (sagemaker-inference), or Hugging Face's, as the handler."""

import os
import subprocess
import sys
from pathlib import Path

PROPERTIES = """\
inference_address=http://127.0.0.1:{port}
management_address=http://127.0.0.1:{management}
default_workers_per_model=1
default_service_handler={handler}
decode_input_request=false
"""
CODE = """\
import irises


def model_fn(model_dir):
    return irises


def predict_fn(data, model):
    return model.predict(model.rows_of(data))
"""


def main(handler: str) -> None:
    """Run the server in this folder until it is ended, together with this program's group."""
    port, here = int(os.environ["PORT"]), Path.cwd()
    (here / "model" / "code").mkdir(parents=True)
    (here / "model" / "code" / "inference.py").write_text(CODE)
    settings = here / "server.properties"
    settings.write_text(PROPERTIES.format(port=port, management=port + 1, handler=handler))
    variables = {
        "TMPDIR": str(here),
        "TEMP": str(here),
        "LOG_LOCATION": str(here),
        "METRICS_LOCATION": str(here),
    }
    variables["PYTHONPATH"] = f"{here}/model/code{os.pathsep}{os.environ['PYTHONPATH']}"
    command = [sys.executable, "-m", "mms.model_server", "--start", "--foreground", "--model-store", "/"]
    command += ["--models", f"model={here}/model", "--mms-config", str(settings)]
    sys.exit(subprocess.run(command, env={**os.environ, **variables}, check=False).returncode)


if __name__ == "__main__":
    main("sagemaker_inference.default_handler_service")
