"""The run parameters as the Prefect UI shows them: choices of what is reviewed, with bounds and help.

The choices are read when the flows are imported, so a deployment offers what the folder of reviewed configs held when it
was deployed. A form can be told not to enforce them; a deployment's run is therefore held to the same folder when it begins
(`located`). What a run may choose narrows what a reviewed file allows and never widens it. Not here: what the files say
(``crossaccount.config``).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from prefect.runtime import deployment
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from crossaccount import config as configuration
from crossaccount.config import Sharing
from crossaccount.errors import InputError
from crossaccount.notation import shown

FOLDER = Path(os.environ.get("CROSSACCOUNT_CONFIGS") or Path(__file__).resolve().parents[1] / "configs")
_EXPLANATION = "example.yaml"  # explains every key and is nobody's


def reviewed() -> dict[str, tuple[str, ...]]:
    """The reviewed configs by file name, and the consumers that each names; a file that is none has no consumers."""
    return {
        path.name: configuration.consumer_names(path)
        for path in sorted(FOLDER.glob("*.yaml"))
        if path.name != _EXPLANATION
    }


def _choice(options: list[str]) -> dict[str, Any]:
    return {"type": "string", "enum": options} if options else {"type": "string"}


_CONFIGS = reviewed()
_CONSUMERS = sorted({name for names in _CONFIGS.values() for name in names})
_VERSION = {"type": "integer", "minimum": 1, "maximum": 999_999_999}

ConfigFile = Annotated[str, WithJsonSchema(_choice(list(_CONFIGS)))]
ConsumerName = Annotated[str, WithJsonSchema(_choice(_CONSUMERS))]
# Optional ones are written as their plain type: the form then shows a field that may stay empty.
OneConsumer = Annotated[str | None, WithJsonSchema(_choice(_CONSUMERS))]
Version = Annotated[int | None, Field(ge=1, le=999_999_999), WithJsonSchema(_VERSION)]
AccountId = Annotated[str | None, WithJsonSchema({"type": "string", "pattern": "^[0-9]{12}$"})]
PlanHash = Annotated[str | None, WithJsonSchema({"type": "string", "pattern": "^[0-9a-f]{16}$"})]
Reason = Annotated[str, WithJsonSchema({"type": "string", "pattern": r"\S", "maxLength": 500})]
Seconds = Annotated[int, Field(ge=1, le=604_800)]


class Published(BaseModel):
    """A Release that was published, as the event says it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    model_package_arn: str = Field(
        title="Model package ARN",
        description="The ARN of the version that was shared.",
        pattern=r"^arn:aws[a-z-]*:sagemaker:[a-z0-9-]+:[0-9]{12}:model-package/[A-Za-z0-9-]{1,63}/[0-9]{1,9}$",
    )
    release: str = Field(
        "", title="Release", description="Where the Release lies; for the record.", max_length=1100
    )


def located(config: str) -> Path:
    """The file of a config.

    A run of a deployment is given a name of the reviewed folder, and nothing else is opened for it. A person on the
    command line names any file: what it may change is theirs by their own credentials.

    Raises:
        InputError: for a deployment's run that names anything else.
    """
    if not deployment.get_id():
        return Path(config)
    names = reviewed()
    if config not in names:
        raise InputError(
            f"config: {shown(config)} is not a reviewed config. {FOLDER} has: {', '.join(names) or 'none'}. Choose one of these, or have "
            "yours reviewed, put it there and deploy again."
        )
    return FOLDER / config


def loaded(config: str) -> Sharing:
    """The config that a run was given.

    Raises:
        InputError: as for `located`.
        ConfigError: for a file that says what cannot be.
    """
    return configuration.load(located(config))
