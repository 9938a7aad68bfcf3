"""The run parameters as the Prefect UI shows them: choices of reviewed configs and consumers, with bounds and help.

The choices are read when the flows are imported, so a deployment offers what the folder of reviewed configs held when it
was deployed. A form may be set not to enforce them; a deployment's run is therefore held to the same folder when it begins
(`tasks.reviewed`). A choice narrows a reviewed file's permissions and never widens them. Not here: reading a config
(``crossaccount.config``).
"""

from typing import Annotated, Any

from prefect.runtime import deployment
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from crossaccount.config.loading import load_config
from crossaccount.config.model import Sharing
from crossaccount.errors import LAST_VERSION
from crossaccount.hosting.leftovers import RUN_ID
from tasks import reviewed


def _choice(options: list[str]) -> dict[str, Any]:
    return {"type": "string", "enum": options} if options else {"type": "string"}


_CONFIGS = reviewed.configs()
_CONSUMERS = sorted({name for names in _CONFIGS.values() for name in names})
_HASH = {"type": "string", "pattern": "^[0-9a-f]{16}$"}
_VERSION = {"type": "integer", "minimum": 1, "maximum": LAST_VERSION}

ConfigFile = Annotated[str, WithJsonSchema(_choice(list(_CONFIGS)))]
ConfigFiles = Annotated[
    list[str],
    WithJsonSchema({"type": "array", "items": _choice(list(_CONFIGS)), "minItems": 1, "uniqueItems": True}),
]
ConsumerName = Annotated[str, WithJsonSchema(_choice(_CONSUMERS))]
# Optional ones are written as their plain type: the form then shows a field that may stay empty.
OneConsumer = Annotated[str | None, WithJsonSchema(_choice(_CONSUMERS))]
Version = Annotated[int | None, Field(ge=1, le=LAST_VERSION), WithJsonSchema(_VERSION)]
AccountId = Annotated[str | None, WithJsonSchema({"type": "string", "pattern": "^[0-9]{12}$"})]
PlanHash = Annotated[str | None, WithJsonSchema(_HASH)]
PlanHashes = Annotated[list[str] | None, WithJsonSchema({"type": "array", "items": _HASH})]
Reason = Annotated[str, WithJsonSchema({"type": "string", "pattern": r"\S", "maxLength": 500})]
RunId = Annotated[str | None, WithJsonSchema({"type": "string", "pattern": f"^{RUN_ID}$"})]
Minutes = Annotated[int, WithJsonSchema({"type": "integer", "minimum": 90, "maximum": 100_000})]
Seconds = Annotated[int, Field(ge=1, le=604_800)]


class Published(BaseModel):
    """A published Release, from the event."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    model_package_arn: str = Field(
        title="Model package ARN",
        description="The ARN of the version that was shared.",
        pattern=r"^arn:aws[a-z-]*:sagemaker:[a-z0-9-]+:[0-9]{12}:model-package/[A-Za-z0-9-]{1,63}/[0-9]{1,9}$",
    )
    release: str = Field(
        "", title="Release", description="Where the Release lies; for the record.", max_length=1100
    )


def loaded(config: str) -> Sharing:
    """The config that this run names; a run of a deployment may name only a reviewed one.

    Raises:
        InputError: for a deployment's run that names another file.
        ConfigError: for a file with a fault.
    """
    return load_config(reviewed.locate(config, bool(deployment.get_id())))
