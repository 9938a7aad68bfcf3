"""The automations that the Prefect server runs by itself, declared in ``automations.yaml`` beside this module.

Not here: triggers that start a run (``deployments/prefect.yaml``), which cannot set a lost run to Crashed.

Source: "How to detect and respond to zombie flows" in the Prefect documentation.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import yaml
from prefect.client.orchestration import get_client
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

from crossaccount.errors import Failed

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

FILE = Path(__file__).with_name("automations.yaml")


def declared(silent_seconds: int | None = None, file: Path = FILE) -> list[AutomationCore]:
    """The automations that the file declares.

    Args:
        silent_seconds: for how long a run may send no heartbeat; the file's own when it is left out.
        file: the declarations.
    """
    entries = yaml.safe_load(file.read_text())["automations"]
    automations = [AutomationCore.model_validate(entry) for entry in entries]
    for trigger in (automation.trigger for automation in automations):
        if silent_seconds and isinstance(trigger, EventTrigger) and trigger.posture is Posture.Proactive:
            trigger.within = timedelta(seconds=silent_seconds)
    return automations


def apply(silent_seconds: int | None = None) -> dict[str, str]:
    """Have the Prefect server run the declared automations, each once; one that a person switched off stays off.

    Args:
        silent_seconds: as for ``declared``.

    Returns:
        By automation's name: made, or updated.

    Raises:
        Failed: when the server does not take them.
    """
    try:
        with get_client(sync_client=True) as client:
            return {wanted.name: _apply(client, wanted) for wanted in declared(silent_seconds)}
    except httpx.HTTPStatusError as error:
        raise Failed(f"The Prefect server does not take the automations: {error.response.text}") from None
    except httpx.HTTPError as error:
        raise Failed(f"The Prefect server does not answer: {error}. Check PREFECT_API_URL.") from None


def _apply(client: SyncPrefectClient, wanted: AutomationCore) -> str:
    known = client.read_automations_by_name(wanted.name)
    if not known:
        client.create_automation(wanted)
        return "made"
    newest, *doubles = known
    client.update_automation(newest.id, wanted.model_copy(update={"enabled": newest.enabled}))
    for double in doubles:  # of two that applied this at once
        client.delete_automation(double.id)
    return "updated"
