"""What the pure parts take: the sandbox's judge, and the product's planning.

Seconds are those of the processor: nothing is waited for, and what others do on the machine is not counted.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from crossaccount.config.loading import load_config
from crossaccount.config.model import ConsumerConfig, OrganizationScope, Sharing
from crossaccount.doors import Needs, door_of
from crossaccount.doors.base import Resource
from crossaccount.errors import PlanRefused
from crossaccount.policy.documents import Document, size
from crossaccount.sharing import plan
from crossaccount.sharing.changes import Basis
from crossaccount_sandbox.judge import read_case
from crossaccount_sandbox.judging.decision import judge
from crossaccount_sandbox.judging.request import Policies, Request

_ROOT = Path(__file__).resolve().parents[1]
_CASES = _ROOT / "tests" / "sandbox" / "judge_cases"
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_FOREIGN = 19_000  # bytes; half as many where a document may have no more than 10 KB


def judge_cases(pairs: int, seconds: float = 1.0) -> dict[str, Any]:
    """Decide the documented cases again and again on one core, as a server that has been running for a while does.

    Args:
        pairs: rounds.
        seconds: that each takes at least, of the processor.

    Returns:
        ``rounds``: decisions and seconds of each; how many ``cases`` there are.
    """
    asked = [
        (request, policies)
        for file in sorted(_CASES.glob("*.json"))
        for _, request, policies, _ in map(read_case, json.loads(file.read_text(encoding="utf-8")))
    ]
    _decide(asked, 0)
    return {"rounds": [_decide(asked, seconds) for _ in range(pairs)], "cases": len(asked)}


def _decide(asked: Sequence[tuple[Request, Policies]], seconds: float) -> dict[str, float]:
    """Decide all cases, at least once and for so long."""
    started, rounds = time.process_time(), 0
    while not rounds or time.process_time() - started < seconds:
        for request, policies in asked:
            judge(request, policies)
        rounds += 1
    return {"decisions": rounds * len(asked), "seconds": time.process_time() - started}


def plan_size(pairs: int, groups: int = 40, consumers: int = 200) -> dict[str, Any]:
    """Plan the share of many groups with many consumers into documents that are nearly full of others' statements.

    Returns:
        ``seconds``, each time: ``refused`` with the consumers' accounts, which no document has room for (the plan then says
        how many would fit), ``made`` with their organization; ``bytes`` of the largest document.
    """
    sharing = _sharing(consumers)
    by_organization = sharing.model_copy(
        update={"principals": "organization", "organization": OrganizationScope(id="o-benchmark00")}
    )
    asked = [_group(number) for number in range(groups)]
    found: dict[str, list[float]] = {"refused": [], "made": []}
    for _ in range(pairs):
        for name, config in (("refused", sharing), ("made", by_organization)):
            started = time.process_time()
            refused = sum(_planned(config, *one) for one in asked)
            found[name].append(time.process_time() - started)
            assert refused == (groups if name == "refused" else 0)
    largest = max(size(document) for document in asked[0][2].values() if document)
    return {"seconds": found, "bytes": largest, "groups": groups, "consumers": consumers}


def _planned(sharing: Sharing, group: str, needs: Needs, existing: Mapping[Resource, Document]) -> bool:
    """Plan for one group; whether it is refused."""
    try:
        made = plan.plan_share(
            sharing.model_copy(update={"model_package_group": group}), Basis(needs, existing, _NOW)
        )
    except PlanRefused:
        return True
    assert made.writes == len(existing)
    return False


def _sharing(consumers: int) -> Sharing:
    sharing = load_config(_ROOT / "configs" / "sandbox.yaml")
    like = sharing.consumers["staging"]
    return sharing.model_copy(
        update={"consumers": {f"consumer-{number}": _consumer(like, number) for number in range(consumers)}}
    )


def _consumer(like: ConsumerConfig, number: int) -> ConsumerConfig:
    account = str(600_000_000_000 + number)
    roles = {name: f"arn:aws:iam::{account}:role/{name}" for name in ("role", "execution_role")}
    return like.model_copy(update={"account": account, **roles})


def _group(number: int) -> tuple[str, Needs, dict[Resource, Document]]:
    """A group's name, what its versions need, and the documents as they stand."""
    name, owner = f"group-{number:02}", "111111111111"
    needs: Needs = {
        "repository": {f"repository-{number:02}": ()},
        "bucket": {f"bucket-{number:02}": (f"{name}/",)},
        "model-package-group": {name: ()},
    }
    resources = [Resource(kind, each, owner) for kind, names in needs.items() for each in names]
    return name, needs, {one: _foreign(one) for one in resources}


def _foreign(resource: Resource) -> Document:
    """A document of strangers' statements, as large as said above."""
    wanted = min(_FOREIGN, door_of(resource.kind).limit * _FOREIGN // 20_480)
    statements: list[dict[str, Any]] = []
    document = {"Version": "2012-10-17", "Statement": statements}
    while size(document) < wanted:
        account = 700_000_000_000 + len(statements)
        where = {} if resource.kind == "repository" else {"Resource": f"arn:aws:x:::{resource.name}/*"}
        statements.append(
            {
                "Sid": f"Theirs{len(statements)}",
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
                "Action": ["x:Read", "x:List"],
                **where,
            }
        )
    return document
