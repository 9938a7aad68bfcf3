"""multi-model-server with sagemaker-inference, as a container of SageMaker's starts it, on the port and for the folder that it is given.

Not by sagemaker-inference's own starter: that writes into /etc, and takes any other server on this machine for its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

PROPERTIES = """\
inference_address=http://127.0.0.1:{port}
management_address=http://127.0.0.1:{management}
default_workers_per_model=1
default_service_handler=sagemaker_inference.default_handler_service
decode_input_request=false
"""


def main() -> None:
    """Run the server until it is ended, together with this program's group."""
    own = Path(tempfile.mkdtemp(prefix="multi-model-server-"))
    settings = own / "server.properties"
    ports = {
        "port": os.environ["SAGEMAKER_BIND_TO_PORT"],
        "management": os.environ["SAGEMAKER_SAFE_PORT_RANGE"].partition("-")[0],
    }
    settings.write_text(PROPERTIES.format(**ports))
    model = os.environ["SM_MODEL_DIR"]
    variables = {"TMPDIR": str(own), "TEMP": str(own), "LOG_LOCATION": str(own), "METRICS_LOCATION": str(own)}
    variables["PYTHONPATH"] = f"{model}/code"
    command = [sys.executable, "-m", "mms.model_server", "--start", "--foreground", "--model-store", "/"]
    command += ["--models", f"model={model}", "--mms-config", str(settings)]
    sys.exit(subprocess.run(command, cwd=own, env={**os.environ, **variables}, check=False).returncode)


main()
