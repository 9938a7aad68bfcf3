"""The automations that the Prefect server runs by itself, declared in ``automations.yaml`` beside this module.

Not here: triggers that start a run (``deployments/prefect.yaml``), which cannot set a lost run to Crashed.

Source: "How to detect and respond to zombie flows" in the Prefect documentation.
"""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
import yaml
from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import get_client
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from pydantic import SecretStr

from crossaccount.errors import Failed

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

FILE = Path(__file__).with_name("automations.yaml")
WEBHOOK = "crossaccount-notify"  # the block that has the URL
_EXPRESSION = re.compile(r"\{\{\s*(.+?)\s*\}\}")


def declared(silent_seconds: int | None = None, file: Path = FILE) -> list[AutomationCore]:
    """The automations that the file declares.

    Args:
        silent_seconds: for how long a run may send no heartbeat; the file's own when it is left out.
        file: the declarations.
    """
    entries = _entries("automations", file)
    automations = [AutomationCore.model_validate(entry) for entry in entries]
    for trigger in (automation.trigger for automation in automations):
        if silent_seconds and isinstance(trigger, EventTrigger) and trigger.posture is Posture.Proactive:
            trigger.within = timedelta(seconds=silent_seconds)
    return automations


def _entries(kind: str, file: Path) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = yaml.safe_load(file.read_text())[kind]
    return entries


def notifications(webhook: UUID, file: Path = FILE) -> list[AutomationCore]:
    """The notifications that the file declares.

    Args:
        webhook: the id of the block with the URL that they are sent to.
        file: the declarations.
    """
    made = []
    for entry in _entries("notifications", file):
        # The text between the expressions, as strings of Jinja: joined with them it is one string, which becomes JSON whole.
        pieces = _EXPRESSION.split(entry.pop("text"))
        joined = " ~ ".join(
            each if place % 2 else json.dumps(each) for place, each in enumerate(pieces) if each
        )
        action = {
            "type": "call-webhook",
            "block_document_id": str(webhook),
            "payload": '{"text": {{ (' + joined + ") | tojson }}}",
        }
        made.append(AutomationCore.model_validate({**entry, "actions": [action]}))
    return made


def _keep_url(url: str) -> UUID:
    """Keep the URL in a Webhook block of the Prefect server, which encrypts it and shows it to nobody; the block's id."""
    block: Any = Webhook(url=SecretStr(url), allow_private_urls=True)  # a receiver in one's own network
    return UUID(str(block.save(WEBHOOK, overwrite=True)))


def apply(silent_seconds: int | None = None, notify_url: str | None = None) -> dict[str, str]:
    """Have the Prefect server run the declared automations, each once; one that a person switched off stays off.

    Args:
        silent_seconds: as for ``declared``.
        notify_url: where notifications go; without it none are made, and those that are there stay as they are.

    Returns:
        By automation's name: made, or updated.

    Raises:
        Failed: when the server does not take them.
    """
    try:
        with get_client(sync_client=True) as client:
            wanted = declared(silent_seconds)
            if notify_url:
                wanted += notifications(_keep_url(notify_url))
            return {each.name: _apply(client, each) for each in wanted}
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
