"""Which endpoint configs a retirement keeps."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from crossaccount.hosting import removal, state
from crossaccount.hosting.state import LiveEndpoint, VersionConfig

NAME = "decision-trees-staging"


def proven(*given: tuple[str, int, str | None]) -> list[VersionConfig]:
    known = [
        VersionConfig(config, version, f"p/{version}", datetime(2026, 1, 1, tzinfo=UTC), when)
        for config, version, when in given
    ]
    return sorted(known, key=lambda one: one.proven or "", reverse=True)


def live_on(config: str, version: int, when: str | None, pending: str | None = None) -> LiveEndpoint:
    none: tuple[str, ...] = ()
    return LiveEndpoint(
        NAME,
        "arn",
        "InService",
        config,
        version,
        f"p/{version}",
        when,
        none,
        1,
        None,
        pending,
        none,
        none,
        True,
    )


FOUR = (("a", 1, "t1"), ("b", 2, "t2"), ("b2", 2, "t3"), ("c", 3, "t4"), ("d", 4, None))


@pytest.mark.parametrize(
    ("live", "versions", "before", "kept"),
    [
        (live_on("c", 3, "t4"), 2, "b2", {"c", "b2", "a"}),
        (live_on("c", 3, "t4"), 1, "b2", {"c", "b2"}),
        (live_on("c", 3, "t4"), 0, "b2", {"c", "b2"}),
        (live_on("d", 4, None), 2, "c", {"d", "c", "b2"}),
        (live_on("c", 3, "t4", pending="d"), 0, "b2", {"c", "d", "b2"}),
        (live_on("b2", 2, "t3"), 2, "a", {"b2", "a", "c"}),  # c is newer, and was left for b2
        (live_on("a", 1, "t1"), 0, None, {"a"}),
        (live_on("x", 9, "t9"), 9, "c", {"x", "c", "b2", "a"}),
        (None, 1, "c", {"c"}),
    ],
)
def test_what_retention_keeps(
    live: LiveEndpoint | None, versions: int, before: str | None, kept: set[str]
) -> None:
    known = proven(*FOUR)
    found = state.previous_of(live, known)
    assert (found and found.config) == before
    assert set(removal.reasons_to_keep(live, known, versions)) == kept
