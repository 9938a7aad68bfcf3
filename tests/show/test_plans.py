"""What a person and a machine are shown of a plan."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from crossaccount import doors
from crossaccount.config.loading import load_config
from crossaccount.doors import door_of
from crossaccount.doors.base import Resource
from crossaccount.errors import Denial, DoorName, Finding, Refusal, Refused, Severity
from crossaccount.policy import documents
from crossaccount.registry.versions import Contents
from crossaccount.sharing import plan, plan_file
from crossaccount.sharing.capacity import room
from crossaccount.sharing.changes import Basis, Change, Plan
from crossaccount.show import markdown, plans

SHARING = load_config(Path(__file__).parents[2] / "configs" / "sandbox.yaml")
OWNER, STAGING, PRODUCTION, OUTSIDER = "111111111111", "222222222222", "333333333333", "444444444444"
NOW = datetime(2026, 11, 24, tzinfo=UTC)
KEY_ARN = f"arn:aws:kms:us-east-1:{OWNER}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
NEEDS = doors.needs(SHARING, Contents(keys=(KEY_ARN,))) | {
    "repository": {"trees": ()},
    "bucket": {"models": ("churn/",)},
}
ALL = doors.resources(SHARING, NEEDS)
REPOSITORY, BUCKET, KEY, REGISTRY = ALL


def allow(account: str, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, **more}


KEY_POLICY = {"Version": "2012-10-17", "Statement": [allow(OWNER, Sid="Admin", Action="kms:*", Resource="*")]}
DENY = {"Sid": "Tls", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*"}
STRANGERS = {"Version": "2012-10-17", "Statement": [DENY, allow(OUTSIDER, Action="s3:GetObject")]}
FRESH: dict[Resource, Any] = {**dict.fromkeys(ALL), KEY: KEY_POLICY}


def shared(existing: dict[Resource, Any], **update: Any) -> Plan:
    return plan.propose_share(SHARING.model_copy(update=update), Basis(NEEDS, existing, NOW))


def after(made: Plan) -> dict[Resource, Any]:
    return {change.resource: change.desired for change in made.changes}


GRANTED = after(shared(FRESH))
NONE = Plan(())
FOUND = (
    Finding(Severity.NOTE, "bucket models", "A note."),
    Finding(Severity.ERROR, "bucket models", "An error.", "A way out."),
    Finding(Severity.WARNING, "bucket models", "A warning."),
)
COLOURS = re.compile("\033\\[[0-9;]*m")

READERS: dict[str, Callable[[Plan], str]] = {
    "text": plans.text,
    "text in colour": lambda made: plans.text(made, colour=True),
    "markdown": plans.markdown,
    "json": lambda made: json.dumps(plan_file.to_json(made)),
}


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_tells_every_resource_verb_account_and_the_hash(reader: str) -> None:
    made = shared({**FRESH, REPOSITORY: GRANTED[REPOSITORY]})
    shown = READERS[reader](made)
    for word in ("create", "update", "keep", "models", "trees", KEY_ARN, OWNER, STAGING, PRODUCTION):
        assert word in shown
    assert made.digest in shown


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_tells_what_was_found(reader: str) -> None:
    shown = READERS[reader](Plan((), FOUND))
    for finding in FOUND:
        assert finding.text in shown
        assert str(finding.severity) in shown
    assert "A way out." in shown


# For a terminal.


def test_a_plan_for_a_terminal() -> None:
    made = shared({**FRESH, BUCKET: STRANGERS})
    shown = plans.text(made)
    assert "update: policy of bucket models (account 111111111111)" in shown
    assert shown.endswith(f"4 of 4 policies would change. (plan {made.digest})")
    assert shown.count("gains access: 222222222222") == 4
    assert "loses access" not in shown
    assert not [line for line in shown.splitlines() if line.startswith("  -") and "Tls" in line]


def test_a_plan_that_changes_nothing_is_a_line_for_each_document() -> None:
    made = shared(GRANTED)
    shown = plans.text(made)
    assert shown.splitlines() == [
        *(f"keep: policy of {resource}" for resource in ALL),
        f"Nothing to do: every policy is as it should be. (plan {made.digest})",
    ]


def test_a_revocation_for_a_terminal() -> None:
    made = plan.plan_revoke(SHARING, Basis(NEEDS, GRANTED, NOW), {STAGING})
    shown = plans.text(made)
    assert shown.count("loses access: 222222222222") == 4
    assert "gains access" not in shown
    assert any(line.startswith("  -") and STAGING in line for line in shown.splitlines())


def test_a_document_that_goes_is_shown_with_every_line() -> None:
    made = plan.plan_revoke(SHARING, Basis(NEEDS, GRANTED, NOW), None)
    assert [change.verb for change in made.changes] == ["delete", "delete", "update", "delete"]
    block = plans.text(made).partition("delete: policy of bucket")[2].partition("update: ")[0]
    assert block.count("\n  -") == len(json.dumps(GRANTED[BUCKET], indent=2).splitlines())
    assert "\n  +" not in block


@pytest.mark.parametrize(
    "made", [shared({**FRESH, BUCKET: STRANGERS}), shared(GRANTED), NONE, Plan((), FOUND)]
)
def test_colour_paints_lines_and_changes_no_word(made: Plan) -> None:
    plain = plans.text(made)
    assert "\033" not in plain
    assert COLOURS.sub("", plans.text(made, colour=True)) == plain


def test_colours_tell_what_is_added_removed_and_grave() -> None:
    narrower = plan.propose_share(
        SHARING.model_copy(update={"versions": (1,)}), Basis(NEEDS, GRANTED, NOW), prune=True
    )
    painted = plans.text(narrower, colour=True).splitlines()
    changed = [line for line in painted if COLOURS.sub("", line).startswith(("  +", "  -"))]
    assert {line[2:7] for line in changed if line[7] == "+"} == {"\033[32m"}
    assert {line[2:7] for line in changed if line[7] == "-"} == {"\033[31m"}
    assert all(line.endswith("\033[0m") for line in changed)
    assert [line[:5] for line in plans.finding_lines(FOUND, colour=True)] == [
        "\033[31m",
        "\033[33m",
        "\033[36m",
    ]


def test_findings_are_told_with_those_that_weigh_most_first() -> None:
    assert plans.finding_lines(FOUND) == [
        "error: bucket models: An error. A way out.",
        "warning: bucket models: A warning.",
        "note: bucket models: A note.",
    ]
    assert plans.finding_lines(()) == []


@pytest.mark.parametrize("sid", ["Tls\nerror: all is lost", "Tls\033[2J", "Tls\rkeep: "])
def test_a_stranger_s_sid_cannot_write_on_the_terminal(sid: str) -> None:
    """AWS documents letters and digits for a Sid. That every service holds to it is an inference: text of others is shown
    as text."""
    found = shared({BUCKET: {"Version": "2012-10-17", "Statement": [{**DENY, "Sid": sid}]}}).findings
    assert found
    assert all(line.isprintable() for line in plans.finding_lines(found))


# For a Prefect artifact.


def test_a_plan_for_a_page() -> None:
    made = shared({**FRESH, REPOSITORY: GRANTED[REPOSITORY]})
    shown = plans.markdown(made, {"111111111111": "producer", "222222222222": "staging"})
    rows = [line for line in shown.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(ALL)
    assert {row.count("|") for row in rows} == {5}
    assert shown.count("```diff") == len(ALL) - 1
    assert shown.count("```") == 2 * shown.count("```diff")
    assert "| repository of producer (111111111111)<br>`trees` | keep |  |  |" in rows
    gained = "staging (222222222222), 333333333333"
    assert f"| bucket of producer (111111111111)<br>`models` | create | {gained} |  |" in rows


def test_a_page_quotes_what_was_found() -> None:
    shown = plans.markdown(Plan((), FOUND)).splitlines()
    assert [line for line in shown if line.startswith("> ")] == [
        f"> {line}" for line in plans.finding_lines(FOUND)
    ]


def test_a_stranger_s_text_does_not_end_a_page_s_diff() -> None:
    sid = "x\n```\n# Approved"
    shown = plans.markdown(
        shared({BUCKET: {"Version": "2012-10-17", "Statement": [allow(OUTSIDER, Sid=sid, Action="s3:*")]}})
    )
    assert [line for line in shown.splitlines() if line.startswith("```")] == ["```diff", "```"]
    assert "# Approved" not in shown.splitlines()


# For a machine.


def test_a_plan_for_a_machine() -> None:
    made = shared({**FRESH, BUCKET: STRANGERS})
    told = plan_file.to_json(made)
    assert json.loads(json.dumps(told)) == told
    assert (told["writes"], told["hash"]) == (4, made.digest)
    assert [one["kind"] for one in told["changes"]] == [str(one.kind) for one in ALL]
    document = after(made)[BUCKET]
    assert told["changes"][1] == {
        "kind": "bucket",
        "resource": "models",
        "account": OWNER,
        "verb": "update",
        "existing": STRANGERS,
        "existing_hash": documents.digest(STRANGERS),
        "desired": document,
        "desired_hash": documents.digest(document),
        "added": document["Statement"][2:],
        "changed": [],
        "removed": [],
        "gained": [STAGING, PRODUCTION],
        "lost": [],
        "bytes": documents.size(document),
        "limit": door_of("bucket").limit,
        "room_for_consumers": room(made.changes[1], made.group),
    }


def test_findings_for_a_machine() -> None:
    told = plan_file.to_json(Plan((), FOUND))
    assert told["findings"][1] == {
        "severity": "error",
        "subject": "bucket models",
        "text": "An error.",
        "way_out": "A way out.",
    }
    assert json.loads(json.dumps(told)) == told


def test_a_document_that_goes_has_no_bytes_and_no_room() -> None:
    told = plan_file.to_json(plan.plan_revoke(SHARING, Basis(NEEDS, GRANTED, NOW), None))["changes"][0]
    assert (told["verb"], told["desired"], told["desired_hash"], told["bytes"]) == ("delete", None, "none", 0)
    assert told["room_for_consumers"] is None


def test_what_changed_in_a_statement_that_stays_is_told_by_its_sid() -> None:
    one = SHARING.model_copy(update={"consumers": {"staging": SHARING.consumers["staging"]}})
    before = after(plan.plan_share(one, Basis(NEEDS, FRESH, NOW)))
    told = plan_file.to_json(shared(before))["changes"][0]
    sid = GRANTED[REPOSITORY]["Statement"][0]["Sid"]
    assert told["changed"] == [sid]
    assert [(each["Sid"], each["Principal"]) for each in told["added"]] == [
        (sid, {"AWS": f"arn:aws:iam::{PRODUCTION}:root"})
    ]
    assert told["removed"] == []


# The hash.


def test_equal_plans_have_equal_hashes_however_a_document_is_written() -> None:
    rewritten = copy.deepcopy(KEY_POLICY)
    rewritten["Statement"][0]["Principal"] = {"AWS": [OWNER]}
    assert shared(FRESH).digest == shared({**FRESH, KEY: rewritten}).digest
    assert shared(FRESH).digest == Plan(shared(FRESH).changes, FOUND).digest, "findings change nothing"


DIFFERENT = {
    "a document as it stands": shared({**FRESH, BUCKET: STRANGERS}),
    "fewer resources": Plan(shared(FRESH).changes[:-1]),
    "other versions": shared(FRESH, versions=(1,)),
    "other principals": shared(FRESH, principals="roles"),
    "another end": shared(
        FRESH,
        consumers={
            name: one.model_copy(update={"expires": NOW + timedelta(days=30)})
            for name, one in SHARING.consumers.items()
        },
    ),
    "nothing to do": shared(GRANTED),
    "the other direction": Plan(
        tuple(Change(one.resource, one.desired, one.existing) for one in shared(FRESH).changes)
    ),
    "no change": NONE,
}


def test_different_plans_have_different_hashes() -> None:
    digests = {shared(FRESH).digest, *(made.digest for made in DIFFERENT.values())}
    assert len(digests) == 1 + len(DIFFERENT)


def test_a_refusal_says_what_next_first_and_stays_one_table() -> None:
    refusal = Refusal(
        DoorName.BUCKET,
        OWNER,
        "s3:GetObject",
        "s3://models/a|b",
        "role",
        "AccessDenied",
        "no\nand | no",
        ("x",),
        "Do this.",
    )
    lines = markdown.refusal(refusal).splitlines()
    assert lines[0] == "**Do this.**"
    assert [line.count("|") - line.count("\\|") for line in lines[2:]] == [3] * 8
    assert f"bucket of account {OWNER}" in lines[4]
    assert not any("denied by" in line for line in lines)
    denied = replace(
        refusal, denied_by=Denial("service control policy", "arn:aws:organizations::9:policy/a|b")
    )
    lines = markdown.refusal(denied).splitlines()
    assert lines[5] == "| denied by | service control policy arn:aws:organizations::9:policy/a\\|b |"


def test_which_door_it_is_is_not_said_where_it_cannot_be_told() -> None:
    known = Refusal(DoorName.KEY, OWNER, "kms:Decrypt", "key", "role", "AccessDenied", "no", (), "Do this.")
    assert f"the key door of account {OWNER} is shut. Do this." in str(Refused(known))
    text = str(Refused(replace(known, door=DoorName.UNKNOWN)))
    assert "which door is shut cannot be told. Do this." in text
    assert "door of account" not in text
