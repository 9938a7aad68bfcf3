"""Each client of AWS does with the sandbox what it does with AWS: a share's reads, a deployment, refusals as it shows them.

A client that is not installed is skipped; ``make clients`` installs and runs all of them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))

from environments import AFTER, BEFORE, CLIENTS, REFUSALS, Client

SECONDS = 900  # for one run of a script on a busy machine


@dataclass(frozen=True)
class Bench:
    """Runs a client's script as a stranger would: in its environment, with what the sandbox printed and nothing else of AWS."""

    sandbox: Any
    home: Path

    def facts(self, client: Client) -> dict[str, str]:
        """What a script is told of the sandbox's world, as environment variables."""
        sharing = yaml.safe_load(self.sandbox.config.read_text())
        target, group = sharing["consumers"]["staging"], sharing["model_package_group"]
        arn = f"arn:aws:sagemaker:{sharing['region']}:{sharing['producer']['account']}"
        keys = self.sandbox.ready["accounts"]
        admins = {
            f"{side}_ADMIN_{part}": keys[account][name]
            for side, account in (("PRODUCER", "producer"), ("TARGET", "staging"))
            for part, name in (("KEY", "access_key_id"), ("SECRET", "secret_access_key"))
        }
        return admins | {
            "PRODUCER_ROLE": sharing["producer"]["role"],
            "PRODUCER_EXTERNAL_ID": sharing["producer"]["external_id"],
            "PRODUCER_ACCOUNT": sharing["producer"]["account"],
            "TARGET_ACCOUNT": target["account"],
            "DEPLOYER_ROLE": target["role"],
            "EXTERNAL_ID": target["external_id"],
            "EXECUTION_ROLE": target["execution_role"],
            "GROUP": group,
            "PACKAGE": f"{arn}:model-package/{group}/2",
            "REPOSITORY": group,
            "BUCKET": f"producer-models-{sharing['producer']['account']}",
            "KEY": self.sandbox.key,
            "NAME": f"{target['endpoint']['name']}-v2-{client.name.replace('.', '-')}",
            "TEMPLATES": str(Path(__file__).parents[2] / "deployments" / "iam"),
        }

    def run(self, client: Client, steps: list[dict[str, Any]], *arguments: str) -> None:
        """Run the script, which must come to its end; the steps that it printed are added, also when it does not."""
        env = {"PATH": client.path(), "HOME": str(self.home), "LANG": "C.UTF-8", "TMPDIR": str(self.home)}
        env |= self.sandbox.ready["env"] | self.facts(client)
        ran = subprocess.run(
            client.command(*arguments),
            env=env,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        steps += [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
        assert ran.returncode == 0, f"{ran.stdout[-2000:]}\n{ran.stderr[-4000:]}"

    def product(self, *arguments: str) -> None:
        said = self.sandbox.cli(*arguments)
        assert said.returncode == 0, said.stderr


@pytest.fixture
def bench(sandbox: Any, tmp_path: Path) -> Iterator[Bench]:
    with sandbox.restored():
        yield Bench(sandbox, tmp_path)
        sandbox.clear(["staging"])


def case(client: Client) -> Any:
    absent = pytest.mark.skipif(not client.installed, reason=f"{client.name} is not installed: make clients")
    return pytest.param(client, id=client.name, marks=absent)


@pytest.mark.parametrize("client", [case(client) for client in CLIENTS])
def test_client(client: Client, bench: Bench, record_property: Any) -> None:
    found = list[dict[str, Any]]()
    record_property("client", client.name)
    record_property("steps", found)
    config = str(bench.sandbox.config)
    bench.run(client, found, BEFORE)
    bench.product("share", config, "--yes")
    bench.run(client, found)
    bench.product("revoke", config, "--all", "--yes")
    bench.run(client, found, AFTER)

    for one in found:
        wanted = {**REFUSALS, **client.refusals}.get(one["step"], ())
        missing = [text for text in wanted if text not in one["shown"]]
        if missing:
            one |= {"ok": False, "shown": f"shows nothing of {missing}: {one['shown']}"}
    assert [one for one in found if not one["ok"]] == []
    assert sorted(one["step"] for one in found) == sorted(client.steps)
    assert not any(bench.sandbox.hosted("staging").values())
