"""A shared world for each module of verdicts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import commands
from worlds import another_key_usable

from crossaccount.aws import sessions


@pytest.fixture(scope="module")
def shared(sandbox: Any) -> Iterator[Any]:
    """The sandbox after a share of its config, for a whole module: a row that breaks something mends it.

    Roles are assumed once for all rows, but for those that change whom a role trusts (``worlds.changed``).
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
            patch.delenv(name, raising=False)
        for name, value in sandbox.ready["env"].items():
            patch.setenv(name, value)
        with sandbox.restored(), another_key_usable(sandbox), sessions.reuse():
            said = commands.share(sandbox.config)
            assert said.ending == "shared", said.text
            yield sandbox
