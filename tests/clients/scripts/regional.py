"""What SageMaker's SDK is given: boto3's session with the STS that is configured, and settings by which it reports nothing of its use.

The SDK names AWS's own host where it asks STS, whatever endpoint is configured.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import boto3

SETTINGS = Path.home() / "sagemaker.yaml"
SETTINGS.write_text("SchemaVersion: '1.0'\nSageMaker: {PythonSDK: {Modules: {TelemetryOptOut: true}}}\n")
os.environ["SAGEMAKER_USER_CONFIG_OVERRIDE"] = str(SETTINGS)


class Regional(boto3.Session):  # type: ignore[misc]
    """A session whose STS is the one that is configured."""

    def client(self, service_name: str, *arguments: Any, **more: Any) -> Any:
        """Make a client; an ``endpoint_url`` for STS is left out."""
        if service_name == "sts":
            more.pop("endpoint_url", None)
        return super().client(service_name, *arguments, **more)
