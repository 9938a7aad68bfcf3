"""Kills each command at each of its AWS calls, runs it again, and sees what stands.

A boundary is a call of an undisturbed run, and whether the kill comes before the call has its effect or after it, before the
answer. Not here: what must hold (``promises``).
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from kinds import KINDS
from promises import Promise, after_a_kill, at_the_end
from runs import Place, Run, Runner, answers, places, prefect_server
from world import GROUP, PRODUCER, PRODUCTION, REGION, ROOT, STAGING, Kept, State, World

BOTH = frozenset({STAGING, PRODUCTION})
OF_KINDS = {f"{verb}-{kind}": kind for kind in KINDS for verb in ("promote", "rollback")}
PROMISES = {
    "share": Promise(BOTH),
    "deploy": Promise(BOTH),
    "promote": Promise(frozenset({STAGING}), ("promotion", 2, 1, 2)),
    "rollback": Promise(frozenset({STAGING}), ("rollback", 1, 2, 1)),
    "revoke": Promise(frozenset()),
}
PROMISES |= {command: PROMISES[command.partition("-")[0]] for command in OF_KINDS}
WRITES = ("Put", "Set", "Create", "Delete", "Update", "Add")


@dataclass(frozen=True)
class Stage:
    """A command with what stands before it, and what an undisturbed run of it does."""

    command: str
    arguments: Sequence[str]
    kept: Kept
    start: State
    end: State
    places: tuple[Place, ...]


@dataclass(frozen=True)
class Boundary:
    """Where a run is killed: at the ``k``-th call, counted from 1."""

    command: str
    k: int
    when: str


class Lane:
    """One world, one Prefect server, and the commands run in them, one after the other."""

    def __init__(self, world: World, runner: Runner, folder: Path) -> None:
        self.world = world
        self.runner = runner
        self._sandbox = str(ROOT / "configs" / "sandbox.yaml")
        given = yaml.safe_load(Path(self._sandbox).read_text())
        del given["consumers"]["production"]
        one = folder / "staging.yaml"
        one.write_text(yaml.safe_dump(given))
        self.staging_alone = str(one)
        self._of_kinds = {}
        for name, kind in KINDS.items():
            given["consumers"]["staging"]["endpoint"] |= kind.endpoint
            other = folder / f"{name}.yaml"
            other.write_text(yaml.safe_dump(given))
            self._of_kinds[name] = str(other)
            given = yaml.safe_load(one.read_text())

    def _arguments(self, command: str) -> list[str]:
        verb, kind = command.partition("-")[0], OF_KINDS.get(command)
        alone = self._of_kinds[kind] if kind else self.staging_alone
        return {
            "share": ["share", self._sandbox, "--yes"],
            "deploy": ["deploy", self._sandbox, "--consumer", "staging"],
            "promote": ["promote", alone, "--yes"],
            "rollback": [
                "rollback",
                alone,
                "--consumer",
                "staging",
                "--reason",
                "answers drifted",
            ],
            "revoke": ["revoke", self._sandbox, "--all", "--yes"],
        }[verb]

    def stages(self, commands: Sequence[str]) -> Iterator[Stage]:
        """The commands in turn, each with the world as it is before it; undisturbed runs make one from the other."""
        empty = self.world.kept()
        if {"share", "deploy", "revoke"} & set(commands):
            yield from self._chosen(commands, self._staged("share"))
            yield from self._chosen(commands, self._staged("deploy"))
            yield from self._chosen(commands, self._staged("revoke"))
        if {"promote", "rollback"} & set(commands):
            self.world.restore(empty)
            self._serve_version_1()
            yield from self._chosen(commands, self._staged("promote"))
            yield from self._chosen(commands, self._staged("rollback"))
        for name, kind in KINDS.items():
            promote, rollback = f"promote-{name}", f"rollback-{name}"
            if {promote, rollback} & set(commands):
                self.world.restore(empty)
                kind.prepare(self.world)
                self._serve_version_1(promote)
                yield from self._chosen(commands, self._staged(promote))
                yield from self._chosen(commands, self._staged(rollback))

    def _chosen(self, commands: Sequence[str], stage: Stage) -> Iterator[Stage]:
        """The stage, if it is wanted; what its undisturbed run leaves is what the next one begins with."""
        after = self.world.kept()
        if stage.command in commands:
            yield stage
            self.world.restore(after)

    def _staged(self, command: str) -> Stage:
        kept, start = self.world.kept(), self.world.state()
        arguments = self._arguments(command)
        run = self.runner.run(arguments)
        assert run.code == 0, f"{command}, undisturbed, ended with {run.code}: {run.output}"
        end = self.world.state()
        stage = Stage(command, arguments, kept, start, end, tuple(places(run.calls)))
        faults = list(at_the_end(end, start, end, self.world.strangers, PROMISES[command]))
        assert not faults, f"{command}, undisturbed: {faults}"
        return stage

    def _serve_version_1(self, promote: str = "promote") -> None:
        """Version 1 at staging's own endpoint, before version 2 was approved; and an endpoint config that nothing needs."""
        registry = self.world.admin("producer", "sagemaker")
        second = f"arn:aws:sagemaker:{REGION}:{PRODUCER}:model-package/{GROUP}/2"
        registry.update_model_package(ModelPackageArn=second, ModelApprovalStatus="PendingManualApproval")
        run = self.runner.run(self._arguments(promote))
        assert run.code == 0, run.output
        registry.update_model_package(ModelPackageArn=second, ModelApprovalStatus="Approved")
        hosted = self.world.kept().hosted["staging"]["configs"]
        (config,) = hosted.values()
        name = config["given"]["EndpointConfigName"].rpartition("-")[0]
        tags = [
            {"Key": key, "Value": value}
            for key, value in config["tags"].items()
            if key != "crossaccount:proven"
        ]
        given = {**config["given"], "EndpointConfigName": f"{name}-0000"}
        self.world.admin("staging", "sagemaker").create_endpoint_config(**given, Tags=tags)

    def tried(
        self, stage: Stage, boundary: Boundary, again: Place | None, real_leases: bool
    ) -> dict[str, Any]:
        """Kill the command there, run it again, and say what is wrong.

        Args:
            stage: the command.
            boundary: where the first run is killed.
            again: where the second one is killed too; then there is a third.
            real_leases: wait for the end of the dead run's leases, rather than have it come at once.
        """
        started = time.monotonic()
        self.world.restore(stage.kept)
        place, wrong = stage.places[boundary.k - 1], list[str]()
        first = self._killed(stage, (place, boundary.when), wrong, real_leases)
        if again is not None:
            self._killed(stage, (again, boundary.when), wrong, real_leases)
        last = self.runner.run(stage.arguments)
        if last.code:
            wrong.append(f"run again, it ended with {last.code}: {last.output.strip()[-300:]}")
        now = self._settled(stage)
        wrong += at_the_end(now, stage.start, stage.end, self.world.strangers, PROMISES[stage.command])
        self.runner.end_leases()
        return {
            "command": boundary.command,
            "k": boundary.k,
            "when": boundary.when,
            "call": " ".join(map(str, place)),
            "again": " ".join(map(str, again)) if again else "",
            "reached": first.held is not None,
            "wrong": wrong,
            "again_seconds": round(last.seconds, 2),
            "seconds": round(time.monotonic() - started, 2),
        }

    def _killed(self, stage: Stage, kill: tuple[Place, str], wrong: list[str], real_leases: bool) -> Run:
        run = self.runner.run(stage.arguments, kill)
        if run.held is None and run.code:
            wrong.append(f"it ended with {run.code} before it was killed: {run.output.strip()[-300:]}")
        named = BOTH if stage.command in ("share", "deploy", "revoke") else {STAGING}
        wrong += after_a_kill(self.world.documents(), stage.start, stage.end, self.world.strangers, named)
        if not real_leases:
            self.runner.end_leases()
        return run

    def _settled(self, stage: Stage) -> State:
        """What stands, once what AWS does by itself after the command's end is done."""
        deadline = time.monotonic() + 3
        while True:
            now = self.world.state()
            if (now.hosted, now.processes) == (stage.end.hosted, stage.end.processes):
                return now
            if time.monotonic() > deadline:
                return now
            time.sleep(0.1)


def _boundaries(stage: Stage, options: argparse.Namespace) -> list[Boundary]:
    every = [
        Boundary(stage.command, k, when)
        for k in range(1, len(stage.places) + 1)
        for when in ("before", "after")
    ]
    if options.k is not None:
        return [one for one in every if one.k == options.k and one.when == options.when]
    if options.call is not None:
        return [
            one
            for one in every
            if " ".join(map(str, stage.places[one.k - 1])) == options.call and one.when == options.when
        ]
    if options.operation is not None:
        return [
            one
            for one in every
            if stage.places[one.k - 1][1] in options.operation and one.when == options.when
        ]
    if options.writes:
        every = [one for one in every if _writes(stage.places[one.k - 1])]
    if options.sample is not None:
        of_all = random.Random(f"{options.seed} {stage.command}")  # noqa: S311 - no secret
        share = -(-options.sample // len(options.command))
        writes = [one for one in every if one.when == "after" and _writes(stage.places[one.k - 1])]
        rest = [one for one in every if one not in writes]
        return (of_all.sample(writes, min(share, len(writes))) + of_all.sample(rest, len(rest)))[:share]
    return every


def _writes(place: Place) -> bool:
    return place[1].startswith(WRITES)


def run_lane(options: argparse.Namespace) -> None:
    """Try this lane's part of the boundaries; writes one line of JSON for each, and one for each command."""
    # A connection that a killed run has left cannot be dropped once more; werkzeug would say so each time.
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    number, of = (int(one) for one in options.lane.split("/"))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="crossaccount-crash-")))
        api = stack.enter_context(prefect_server(folder))
        world = World(folder)
        stack.callback(world.stop)
        runner = Runner(world, api, folder)
        stack.callback(runner.stop)
        runner.ready()
        answers(api)
        lane = Lane(world, runner, folder)
        for stage in lane.stages(options.command):
            _tell({"command": stage.command, "calls": len(stage.places)})
            dice = random.Random(f"{options.seed} {stage.command} again")  # noqa: S311 - no secret
            for boundary in _boundaries(stage, options):
                again = dice.choice(stage.places) if options.twice else None
                # Not by its number: how often a wait looks differs from lane to lane.
                what = f"{stage.places[boundary.k - 1]} {boundary.when}".encode()
                if zlib.crc32(what) % of == number:
                    _tell(lane.tried(stage, boundary, again, options.real_leases))


def _tell(found: dict[str, Any]) -> None:
    print(json.dumps(found), file=sys.stdout, flush=True)
