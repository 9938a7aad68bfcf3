"""The story end to end, told to whatever accounts the config names: a sandbox by default, real ones with ``--aws CONFIG``.

Nothing here knows of the sandbox. Against AWS it shares and revokes the group of that config, and deploys to its first
consumer: an endpoint is created there and removed again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crossaccount.config.loading import load_config
from crossaccount.errors import DoorName, Refused
from crossaccount.sharing import gather
from flows.consumer import deploy_model
from flows.producer import revoke_access, share_models


@pytest.fixture
def story(request: pytest.FixtureRequest) -> str:
    """The path of the config to tell the story with."""
    given = request.config.getoption("--aws")
    if given:
        return str(Path(given).resolve())
    aws: Any = request.getfixturevalue("aws")
    return str(aws.config)


def test_the_story(story: str) -> None:
    sharing = load_config(story)
    consumer = next(iter(sharing.consumers))
    revoke_access(story, consumer)
    with pytest.raises(Refused) as refused:
        deploy_model(story, consumer)
    assert refused.value.refusal.door is DoorName.REGISTRY
    assert refused.value.refusal.account == sharing.producer.account

    assert gather.make_plan(sharing).writes > 0
    shared = share_models(story)
    assert shared.releases
    assert gather.make_plan(sharing).writes == 0
    assert share_models(story).plan.writes == 0

    deployment = deploy_model(story, consumer)
    assert deployment.proof.verified
    assert {removal.outcome for removal in deployment.removals} == {"removed"}

    for name in sharing.consumers:
        revoke_access(story, name)
    with pytest.raises(Refused) as again:
        deploy_model(story, consumer)
    assert again.value.refusal.door is DoorName.REGISTRY
