"""Each environment beside the product's own is pinned by hash, and its lock names no place that packages come from."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import beside


def pinned(lock: Path) -> dict[str, str]:
    """The versions of a lock's packages, by name."""
    return dict(re.findall(r"^([a-z0-9._-]+)(?:\[[a-z0-9,-]+\])?==([^\s\\;]+)", lock.read_text(), re.M))


@pytest.mark.parametrize("lock", sorted(beside.LOCKS.glob("*.lock")), ids=lambda lock: lock.stem)
def test_every_package_has_a_version_and_its_hashes(lock: Path) -> None:
    text = lock.read_text()
    packages = re.findall(r"^[a-z0-9].*?(?=^\S|\Z)", text, re.M | re.S)
    assert len(packages) > 50
    for package in packages:
        assert re.match(r"[a-z0-9._-]+(\[[a-z0-9,-]+\])?==\S+", package), package
        assert "--hash=sha256:" in package, package
    assert "://" not in text


def test_the_servers_with_redis_are_the_product_s_own_prefect() -> None:
    ours = pinned(beside.ROOT / "requirements-production.lock")
    theirs = pinned(beside.LOCKS / "redis.lock")
    assert {name: version for name, version in theirs.items() if name in ours} == {
        name: version for name, version in ours.items() if name in theirs
    }
    assert "prefect" in theirs
