"""A plan file is compared and never obeyed: it can refuse a share, and cannot grant anything."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from crossaccount import doors
from crossaccount.config.loading import load_config
from crossaccount.doors.base import Resource
from crossaccount.errors import Conflict, InputError
from crossaccount.policy import documents
from crossaccount.registry.versions import Contents
from crossaccount.sharing import plan, plan_file
from crossaccount.sharing.changes import Basis, Plan

SHARING = load_config(Path(__file__).parents[2] / "configs" / "sandbox.yaml")
OWNER, STAGING, PRODUCTION, OUTSIDER = "111111111111", "222222222222", "333333333333", "444444444444"
NOW = datetime(2026, 11, 24, tzinfo=UTC)
NEEDS = doors.needs(SHARING, Contents()) | {
    "repository": {"trees": ()},
    "bucket": {"models": ("churn/",)},
}
REPOSITORY, BUCKET, REGISTRY = doors.resources(SHARING, NEEDS)
DENY = {"Sid": "Tls", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*"}
STRANGERS = {"Version": "2012-10-17", "Statement": [DENY]}
FRESH: dict[Resource, Any] = {REPOSITORY: None, BUCKET: STRANGERS, REGISTRY: None}
CONFIG = Path("configs/sandbox.yaml")


def planned(existing: dict[Resource, Any] = FRESH, prune: bool = False, **update: Any) -> Plan:
    return plan.plan_share(SHARING.model_copy(update=update), Basis(NEEDS, existing, NOW), prune)


def after(made: Plan) -> dict[Resource, Any]:
    return {change.resource: change.desired for change in made.changes}


def one_more() -> dict[Resource, Any]:
    """The documents with an account that another config has let in."""
    other = SHARING.consumers["staging"].model_copy(update={"account": OUTSIDER})
    return after(planned(consumers={"other": other}))


def written(folder: Path, made: Plan, prune: bool = False) -> plan_file.PlanFile:
    path = folder / "plan.json"
    plan_file.write(path, CONFIG, made, prune)
    return plan_file.read(path)


# Agreed to, and still so.


@pytest.mark.parametrize("prune", [False, True])
def test_a_file_comes_back_as_it_was_written(tmp_path: Path, prune: bool) -> None:
    made = planned(one_more(), prune)
    agreed = written(tmp_path, made, prune)
    assert agreed.source == tmp_path / "plan.json"
    assert (agreed.config, agreed.prune, agreed.hash) == (CONFIG, prune, made.digest)
    assert [one["resource"] for one in agreed.changes] == ["trees", "models", SHARING.model_package_group]
    assert plan_file.confirm(agreed, planned(one_more(), prune)) == made.digest


@pytest.mark.parametrize(
    "made",
    [planned(), planned(after(planned())), planned({REGISTRY: None}), Plan(())],
    ids=["a first share", "nothing to do", "one document", "no document"],
)
def test_a_plan_that_is_the_same_is_confirmed_with_its_hash(tmp_path: Path, made: Plan) -> None:
    assert plan_file.confirm(written(tmp_path, made), copy.deepcopy(made)) == made.digest


def test_a_document_that_is_only_written_in_another_way_is_the_same(tmp_path: Path) -> None:
    rewritten = {"Statement": {**DENY, "Principal": {"AWS": ["*"]}}, "Version": "2012-10-17"}
    agreed = written(tmp_path, planned())
    assert plan_file.confirm(agreed, planned({**FRESH, BUCKET: rewritten})) == planned().digest


# Stale: the words say what has changed.

STALE: dict[str, tuple[Plan, Plan, list[str]]] = {
    "a document that somebody wrote": (
        planned(),
        planned({**FRESH, REPOSITORY: {**STRANGERS, "Statement": [{**DENY, "Action": "ecr:*"}]}}),
        ["repository trees", "has changed since: none then"],
    ),
    "a document that somebody removed": (
        planned(),
        planned({**FRESH, BUCKET: None}),
        ["bucket models", f"has changed since: {documents.digest(STRANGERS)} then, none now"],
    ),
    "other versions in the config": (
        planned(),
        planned(versions=(1,)),
        ["model-package-group", "would now become another", "the config or the registry has changed"],
    ),
    "another consumer in the config": (
        planned(consumers={"staging": SHARING.consumers["staging"]}),
        planned(),
        ["repository trees", "bucket models", "model-package-group", "would now become another"],
    ),
    "a plan with prune, applied without": (
        planned(one_more(), prune=True),
        planned(one_more()),
        ["repository trees", "would now become another"],
    ),
    "a plan without prune, applied with": (
        planned(one_more()),
        planned(one_more(), prune=True),
        ["repository trees", "would now become another"],
    ),
    "a resource that is needed now": (
        Plan(planned().changes[1:]),
        planned(),
        ["The policy of repository trees (account 111111111111) is not in it."],
    ),
    "a resource that is needed no more": (
        planned(),
        Plan(planned().changes[1:]),
        ["The policy of repository trees is in it, and no longer needed."],
    ),
    "a plan that has been applied": (
        planned(),
        planned(after(planned())),
        ["has changed since"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STALE)
def test_a_stale_file_is_refused_and_says_what_has_changed(tmp_path: Path, name: str) -> None:
    then, now, words = STALE[name]
    with pytest.raises(Conflict) as refused:
        plan_file.confirm(written(tmp_path, then), now)
    said = str(refused.value)
    for word in [*words, "plan.json is stale", "Nothing was changed. Make a new plan."]:
        assert word in said


# Changed by hand: refused, and what would be applied is always the plan of now.


def grant_more(found: Any) -> None:
    found["changes"][0]["desired"]["Statement"][0]["Principal"] = {"AWS": [STAGING, PRODUCTION, OUTSIDER]}


def grant_everyone(found: Any) -> None:
    found["changes"][1]["desired"]["Statement"].append({**DENY, "Effect": "Allow"})


def drop_their_deny(found: Any) -> None:
    del found["changes"][1]["desired"]["Statement"][0]


def forget_what_stood(found: Any) -> None:
    found["changes"][1]["existing"] = None


def add_a_bucket(found: Any) -> None:
    found["changes"].append({**found["changes"][1], "resource": "secrets"})


def change_the_account(found: Any) -> None:
    found["changes"][1]["account"] = OUTSIDER


def leave_one_out(found: Any) -> None:
    del found["changes"][2]


def leave_all_out(found: Any) -> None:
    found["changes"] = []


def say_it_twice(found: Any) -> None:
    twin = copy.deepcopy(found["changes"][0])
    twin["desired"]["Statement"][0]["Principal"] = "*"
    found["changes"].insert(0, twin)


TAMPERED: list[Any] = [
    grant_more,
    grant_everyone,
    drop_their_deny,
    forget_what_stood,
    add_a_bucket,
    change_the_account,
    leave_one_out,
    leave_all_out,
    pytest.param(
        say_it_twice,
    ),
]


def altered(folder: Path, change: Callable[[Any], object]) -> plan_file.PlanFile:
    path = folder / "plan.json"
    plan_file.write(path, CONFIG, planned(), False)
    found = json.loads(path.read_text())
    change(found)
    path.write_text(json.dumps(found))
    return plan_file.read(path)


@pytest.mark.parametrize("change", TAMPERED)
def test_a_file_that_was_changed_by_hand_is_refused(tmp_path: Path, change: Callable[[Any], object]) -> None:
    now = planned()
    before = copy.deepcopy(now)
    with pytest.raises((Conflict, InputError)):
        plan_file.confirm(altered(tmp_path, change), now)
    assert now == before


def test_a_hash_that_was_changed_by_hand_confirms_no_other_plan(tmp_path: Path) -> None:
    other = planned(versions=(1,))
    agreed = altered(tmp_path, lambda found: found.update(hash=other.digest))
    assert plan_file.confirm(agreed, planned()) == planned().digest
    with pytest.raises(Conflict):
        plan_file.confirm(agreed, other)


def document(place: int, key: str, value: Any) -> Callable[[Any], object]:
    return lambda found: found["changes"][place].update({key: value})


def nested(depth: int) -> Any:
    found: Any = {"AWS": "*"}
    for _ in range(depth):
        found = {"a": found}
    return found


@pytest.mark.parametrize(
    "change",
    [
        document(0, "existing", "text"),
        document(0, "existing", 5),
        document(0, "existing", ["a"]),
        document(0, "desired", {"Statement": 5}),
        document(0, "desired", {"Statement": ["a"]}),
        document(0, "desired", {"Statement": [{"Principal": 5}]}),
        document(0, "desired", {"Statement": [{"Condition": []}]}),
        document(0, "desired", {"Statement": [{"Condition": {"Bool": 5}}]}),
        pytest.param(
            document(0, "resource", ["trees"]),
        ),
        pytest.param(
            document(0, "kind", {}),
        ),
    ],
)
def test_what_is_no_document_is_refused(tmp_path: Path, change: Callable[[Any], object]) -> None:
    with pytest.raises((InputError, Conflict)):
        plan_file.confirm(altered(tmp_path, change), planned())


@pytest.mark.parametrize("depth", [100, 900])
def test_a_document_without_bottom_is_refused(tmp_path: Path, depth: int) -> None:
    with pytest.raises((InputError, Conflict)):
        plan_file.confirm(altered(tmp_path, document(0, "desired", nested(depth))), planned())


# No plan at all.

GOOD: dict[str, Any] = {
    "format": "crossaccount-plan/1",
    "config": "c",
    "prune": False,
    "hash": "h",
    "changes": [],
}


def less(key: str) -> bytes:
    return json.dumps({name: value for name, value in GOOD.items() if name != key}).encode()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"not JSON", id="not JSON"),
        pytest.param(json.dumps(GOOD).encode()[:-1], id="cut off"),
        pytest.param(b"\xff\xfe\x00", id="no text"),
        pytest.param(b"null", id="null"),
        pytest.param(b"5", id="a number"),
        pytest.param(b'"crossaccount-plan/1"', id="a word"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"{}", id="an empty object"),
        pytest.param(b"[" * 100_000, id="brackets without end"),
        pytest.param(json.dumps({**GOOD, "format": "crossaccount-plan/2"}).encode(), id="another format"),
        pytest.param(json.dumps({**GOOD, "format": None}).encode(), id="no format"),
        *(pytest.param(less(key), id=f"without {key}") for key in GOOD),
        pytest.param(json.dumps({**GOOD, "changes": 5}).encode(), id="changes that are a number"),
        pytest.param(json.dumps({**GOOD, "changes": ["a"]}).encode(), id="a change that is a word"),
        pytest.param(json.dumps({**GOOD, "changes": [{}]}).encode(), id="an empty change"),
        pytest.param(json.dumps({**GOOD, "config": 5}).encode(), id="a config that is a number"),
        pytest.param(json.dumps(GOOD).replace("false", "NaN").encode(), id="NaN"),
        pytest.param(b'{"half": "\\ud800"}', id="half a character"),
        pytest.param(json.dumps({**GOOD, "hash": "x" * 21_000_000}).encode(), id="21 MB"),
    ],
)
def test_a_file_that_is_no_plan_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(content)
    with pytest.raises(InputError) as refused:
        plan_file.read(path)
    assert str(refused.value) == (
        f"--plan {path}: this is not a plan. Write one with crossaccount plan CONFIG --out FILE."
    )
    assert refused.value.exit_code == 2


def test_the_smallest_plan_is_read(tmp_path: Path) -> None:
    """What the table above takes away is what is missing."""
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(GOOD))
    assert plan_file.read(path) == plan_file.PlanFile(path, Path("c"), False, "h", ())


@pytest.mark.parametrize("value", ["false", "no", 0, 1, None, []])
def test_prune_is_true_or_false(tmp_path: Path, value: Any) -> None:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({**GOOD, "prune": value}))
    with pytest.raises(InputError):
        plan_file.read(path)


def test_what_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    loop = tmp_path / "loop.json"
    loop.symlink_to(loop)
    for path in (tmp_path, tmp_path / "missing.json", loop):
        with pytest.raises(InputError, match="cannot be read") as refused:
            plan_file.read(path)
        assert "crossaccount plan CONFIG --out FILE" in str(refused.value)


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing" / "plan.json"):
        with pytest.raises(InputError, match="cannot be written"):
            plan_file.write(path, CONFIG, planned(), False)
    assert list(tmp_path.iterdir()) == []
