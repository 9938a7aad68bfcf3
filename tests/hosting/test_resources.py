"""Names of what is hosted."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossaccount.config.loading import load_config
from crossaccount.hosting.resources import deployment_name

SHARING = load_config(Path(__file__).parents[2] / "configs" / "sandbox.yaml")
STAGING = SHARING.consumers["staging"]


@pytest.mark.parametrize("name", ["a", "decision-trees-staging", "x" * 50])
@pytest.mark.parametrize("version", [1, 10, 999_999_999])
def test_a_deployment_s_name_says_the_version_and_fits(name: str, version: int) -> None:
    endpoint = STAGING.endpoint.model_copy(update={"name": name})
    made = deployment_name(STAGING.model_copy(update={"endpoint": endpoint}), version)
    assert made == f"{name}-v{version}"
    assert len(made) <= 63


def test_two_versions_never_have_one_name() -> None:
    assert len({deployment_name(STAGING, version) for version in range(1, 200)}) == 199
