"""Each client is pinned by hash, and its lock names no place that packages come from."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "servers"))

from environments import CLIENTS, SERVERS, Client
from served import RECORDED

PYTHON = [client for client in (*CLIENTS, *SERVERS) if not client.javascript]
PYTHON += [served.client for served in RECORDED]
LOCKS = {client.lock[0] for client in PYTHON} | {*Path(__file__).parent.glob("locks/*.lock")}
JAVASCRIPT = [client for client in CLIENTS if client.javascript]


@pytest.mark.parametrize("lock", sorted(LOCKS), ids=lambda lock: lock.stem)
def test_every_package_of_a_python_client_has_a_version_and_its_hashes(lock: Path) -> None:
    text = lock.read_text()
    packages = re.findall(r"^[a-z0-9].*?(?=^\S|\Z)", text, re.M | re.S)
    assert packages
    for package in packages:
        assert re.match(r"[a-z0-9._-]+(\[[a-z0-9,-]+\])?==\S+", package), package
        assert "--hash=sha256:" in package, package
    assert "://" not in text
    assert not re.search(r"^\s*(-|@)", re.sub(r"--hash=", "", text), re.M), "an option of pip"


@pytest.mark.parametrize("client", JAVASCRIPT, ids=lambda client: client.name)
def test_every_package_of_a_javascript_client_has_its_hash(client: Client) -> None:
    package, lock = (json.loads(file.read_text()) for file in client.lock)
    for place, one in lock["packages"].items():
        if place:
            assert one["integrity"].startswith("sha512-"), place
            assert "resolved" not in one, place
    assert all(re.fullmatch(r"[\d.]+", version) for version in package["dependencies"].values())


def test_every_script_and_lock_is_of_a_client() -> None:
    here = Path(__file__).parent
    scripts = {file.name for file in (here / "scripts").iterdir() if file.is_file()}
    assert scripts - {"reporting.py", "regional.py"} == {client.script for client in CLIENTS}
    of_the_ecs_run = {"prefect-aws"}  # its workers' environment
    locked = {file.stem for file in (here / "locks").iterdir()}
    assert locked == {client.folder.name for client in PYTHON} | of_the_ecs_run


def test_a_client_is_found_where_the_machine_gives_no_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PATH")
    assert CLIENTS[0].path().startswith(f"{CLIENTS[0].folder / 'bin'}:")
