"""What others' statements let a member do at a door: tables of statements, and the answers with their grounds."""

from __future__ import annotations

import itertools
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossaccount.policy.callers import Caller
from crossaccount.policy.globs import examples, glob
from crossaccount.policy.standing import Answer, Clause, Doorway, Judgement, Passage, judge, shut_out

A, OWNER, OUTSIDER = "222222222222", "111111111111", "444444444444"
ORGANIZATION, SAGEMAKER = "o-a1b2c3d4e5", "sagemaker.amazonaws.com"
NOW = datetime(2026, 11, 24, tzinfo=UTC)
B = "arn:aws:s3:::models"
OPEN, SHUT, CANNOT_TELL = Answer.OPEN, Answer.SHUT, Answer.CANNOT_TELL
ROLE = f"arn:aws:iam::{A}:role/run"


def way(*passages: tuple[str, str], **more: Any) -> Doorway:
    return Doorway(tuple(Passage(*each) for each in passages), OWNER, "aws", "us-east-1", NOW, **more)


BUCKET = way(
    ("s3:GetObject", f"{B}/churn/*"), ("s3:GetObject", f"{B}/releases/churn/*"), ("s3:ListBucket", B)
)
REPOSITORY = way(
    ("ecr:BatchGetImage", "arn:aws:ecr:us-east-1:111111111111:repository/churn"), services=(SAGEMAKER,)
)
KEY_ARN = "arn:aws:kms:us-east-1:111111111111:key/1234abcd-12ab-34cd-56ef-1234567890ab"
KEY = way(("kms:Decrypt", KEY_ARN), ("kms:DescribeKey", KEY_ARN))


def clauses(*statements: dict[str, Any], policy: str = "", variables: bool = True) -> list[Clause]:
    return [
        Clause(str(each.get("Sid", f"statement {place}")), each, policy, variables)
        for place, each in enumerate(statements, 1)
    ]


def allow(**changes: Any) -> dict[str, Any]:
    whole = {"Effect": "Allow", "Principal": {"AWS": A}, "Action": "*", "Resource": "*", **changes}
    return {key: value for key, value in whole.items() if value is not None}


def deny(**changes: Any) -> dict[str, Any]:
    return allow(**{"Effect": "Deny", "Principal": "*", "Sid": "Never", **changes})


def judged(door: Doorway, *statements: dict[str, Any], member: str = A) -> Judgement:
    return judge([member], clauses(*statements), door)[member]


def where(operator: str, key: str, value: Any) -> dict[str, Any]:
    return {"Condition": {operator: {key: value}}}


# What a statement is about: actions and resources.
ABOUT: list[tuple[Doorway, dict[str, Any], Answer, str]] = [
    (BUCKET, allow(), OPEN, ""),
    (BUCKET, allow(Action="s3:*"), OPEN, ""),
    (BUCKET, allow(Action=["S3:getobject", "s3:List*"]), OPEN, ""),
    (BUCKET, allow(Action="s3:GetObject", Resource=f"{B}/*"), OPEN, ", for s3:GetObject alone"),
    (BUCKET, allow(Action="s3:GetObjectTagging"), SHUT, ""),
    (BUCKET, allow(Action="s3:PutObject"), SHUT, ""),
    (BUCKET, allow(Action="ecr:*"), SHUT, ""),
    (BUCKET, allow(Action=None, NotAction="s3:Get*"), OPEN, ", for s3:ListBucket alone"),
    (BUCKET, allow(Action=None, NotAction="s3:*"), SHUT, ""),
    (BUCKET, allow(Resource=f"{B}/hr/*"), SHUT, ""),
    (BUCKET, allow(Resource=f"{B}/public/*", Principal="*"), SHUT, ""),
    (BUCKET, allow(Resource=f"{B}/churn/1/*"), OPEN, ", for s3:GetObject alone, for a part of the resources"),
    (
        BUCKET,
        allow(Resource=f"{B}/*/model.tar.gz"),
        OPEN,
        ", for s3:GetObject alone, for a part of the resources",
    ),
    (BUCKET, allow(Resource=[f"{B}/hr/*", B]), OPEN, ", for s3:ListBucket alone"),
    (BUCKET, allow(Resource="arn:aws:s3:::models?/*"), SHUT, ""),
    (BUCKET, allow(Resource=None, NotResource=f"{B}/churn/*"), OPEN, ", for a part of the resources"),
    (BUCKET, allow(Resource=None, NotResource=[f"{B}*"]), SHUT, ""),
    (BUCKET, allow(Resource=f"{B}/${{aws:PrincipalAccount}}/*"), SHUT, ""),
    (BUCKET, allow(Resource=f"{B}/${{aws:PrincipalTag/team}}/*"), CANNOT_TELL, ""),
    (BUCKET, allow(Resource=f"{B}/${{aws:PrincipalTag/team, 'churn'}}/*"), CANNOT_TELL, ""),
    (BUCKET, allow(Resource=f"{B}/churn${{*}}/*"), SHUT, ""),
    (REPOSITORY, allow(Resource=None), OPEN, ""),
    (REPOSITORY, allow(Action="ecr:BatchGetImage", Resource=None), OPEN, ""),
    (REPOSITORY, allow(Action="ecr:DescribeImages", Resource=None), SHUT, ""),
    (REPOSITORY, allow(Resource="arn:aws:ecr:*:111111111111:repository/ch*"), OPEN, ""),
    (REPOSITORY, allow(Resource="arn:aws:ecr:*:111111111111:repository/other"), SHUT, ""),
    (KEY, allow(Action="kms:Describe*"), OPEN, ", for kms:DescribeKey alone"),
    (KEY, allow(Action="kms:*", Resource=KEY_ARN), OPEN, ""),
]


@pytest.mark.parametrize(("door", "statement", "answer", "terms"), ABOUT)
def test_what_a_statement_is_about(
    door: Doorway, statement: dict[str, Any], answer: Answer, terms: str
) -> None:
    found = judged(door, statement)
    assert (found.answer, found.terms) == (answer, terms)
    assert [each.label for each in found.by] == ([] if answer is SHUT else ["statement 1"])


# Principals: who of the account comes through, in the words of a plan.
WHO: list[tuple[dict[str, Any], Answer, str]] = [
    ({"Principal": {"AWS": ROLE}}, OPEN, f", as {ROLE}"),
    ({"Principal": {"AWS": [ROLE, A]}}, OPEN, ""),
    (
        {"Principal": {"AWS": f"arn:aws:sts::{A}:assumed-role/run/me"}},
        OPEN,
        f", as arn:aws:sts::{A}:assumed-role/run/me",
    ),
    ({"Principal": {"AWS": f"arn:aws:iam::{A}:user/me"}}, OPEN, f", as arn:aws:iam::{A}:user/me"),
    (
        {"Principal": {"AWS": f"arn:aws:sts::{A}:federated-user/me"}},
        OPEN,
        f", as arn:aws:sts::{A}:federated-user/me",
    ),
    ({"Principal": {"AWS": "AROAEXAMPLEEXAMPLE"}}, SHUT, ""),
    ({"Principal": {"AWS": "AIDAEXAMPLEEXAMPLE"}}, SHUT, ""),
    ({"Principal": {"AWS": "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity E1"}}, SHUT, ""),
    (
        {"Principal": {"CanonicalUser": "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"}},
        CANNOT_TELL,
        "",
    ),
    ({"Principal": {"Federated": "accounts.google.com"}}, CANNOT_TELL, ""),
    ({"Principal": {"Federated": f"arn:aws:iam::{OUTSIDER}:saml-provider/x"}}, SHUT, ""),
    ({"Principal": {"Federated": f"arn:aws:iam::{A}:saml-provider/x"}}, CANNOT_TELL, ""),
    ({"Principal": {}}, SHUT, ""),
    ({"Principal": None}, SHUT, ""),
    ({"Principal": None, "NotPrincipal": {"AWS": ROLE}}, OPEN, ", not for every principal of it"),
    (
        {"Principal": "*", **where("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:role/r*")},
        OPEN,
        ", as arn:aws:iam::*:role/r*",
    ),
    (
        {"Principal": {"AWS": A}, **where("StringNotLike", "aws:PrincipalArn", "*:role/*")},
        OPEN,
        ", not for every principal of it",
    ),
    ({"Principal": "*", **where("ArnLike", "aws:PrincipalArn", "*")}, CANNOT_TELL, ""),
]


@pytest.mark.parametrize(("statement", "answer", "terms"), WHO)
def test_who_of_an_account_comes_through(statement: dict[str, Any], answer: Answer, terms: str) -> None:
    found = judged(KEY, allow(**statement))
    assert (found.answer, found.terms) == (answer, terms)


# Conditions that hold, do not, or cannot be judged, each beside the account as the principal.
CONDITIONS: list[tuple[str, str, Any, Answer]] = [
    ("StringEquals", "aws:PrincipalAccount", A, OPEN),
    ("StringEquals", "aws:PrincipalAccount", "${aws:PrincipalAccount}", OPEN),
    ("StringEquals", "aws:PrincipalAccount", "${aws:username}", CANNOT_TELL),
    ("StringNotEqualsIfExists", "aws:PrincipalAccount", OUTSIDER, OPEN),
    ("ForAllValues:StringEquals", "aws:PrincipalAccount", A, OPEN),
    ("ForAnyValue:StringNotEquals", "aws:PrincipalAccount", A, SHUT),
    ("ForAnyValue:StringEqualsIfExists", "aws:SourceAccount", A, CANNOT_TELL),
    ("StringEqualsIfExists", "aws:SourceAccount", OUTSIDER, OPEN),
    ("ForAllValues:StringEquals", "aws:SourceAccount", OUTSIDER, OPEN),
    ("StringNotEquals", "aws:SourceAccount", OUTSIDER, OPEN),
    ("StringEquals", "aws:SourceAccount", A, SHUT),
    ("Null", "aws:SourceArn", "true", OPEN),
    ("Null", "aws:SourceArn", True, OPEN),
    ("Null", "aws:PrincipalArn", "true", SHUT),
    ("Null", "aws:PrincipalOrgID", "false", CANNOT_TELL),
    ("Bool", "aws:PrincipalIsAWSService", "false", OPEN),
    ("Bool", "aws:PrincipalIsAWSService", True, SHUT),
    ("Bool", "aws:SecureTransport", True, OPEN),
    ("Bool", "aws:SecureTransport", "false", CANNOT_TELL),
    ("Bool", "aws:MultiFactorAuthPresent", "true", CANNOT_TELL),
    ("StringEquals", "aws:RequestedRegion", "us-east-1", OPEN),
    ("StringEquals", "aws:RequestedRegion", "eu-west-1", SHUT),
    ("StringEquals", "aws:ResourceAccount", OWNER, OPEN),
    ("StringEquals", "kms:CallerAccount", A, OPEN),
    ("StringEquals", "kms:CallerAccount", OUTSIDER, SHUT),
    ("StringEquals", "kms:ViaService", "s3.us-east-1.amazonaws.com", OPEN),
    ("StringEquals", "kms:ViaService", "ec2.us-east-1.amazonaws.com", CANNOT_TELL),
    ("StringEquals", "kms:EncryptionContext:aws:s3:arn", f"{B}/churn/1", CANNOT_TELL),
    ("StringEquals", "s3:DataAccessPointAccount", A, SHUT),
    ("StringEquals", "aws:PrincipalOrgID", ORGANIZATION, CANNOT_TELL),
    ("StringNotEquals", "aws:PrincipalOrgID", ORGANIZATION, CANNOT_TELL),
    ("StringEquals", "aws:SourceVpce", "vpce-1", CANNOT_TELL),
    ("StringEquals", "aws:PrincipalOrgnisation", "x", CANNOT_TELL),
    ("StringAlmostEquals", "aws:PrincipalAccount", A, CANNOT_TELL),
    ("ForSomeValues:StringEquals", "aws:PrincipalAccount", A, CANNOT_TELL),
    ("NumericEquals", "aws:PrincipalAccount", int(A), OPEN),
    ("NumericLessThan", "aws:PrincipalAccount", "many", CANNOT_TELL),
    ("NumericLessThan", "aws:PrincipalAccount", "nan", CANNOT_TELL),
    ("DateLessThan", "aws:CurrentTime", "2026-11-23T00:00:00Z", SHUT),
    ("DateLessThan", "aws:CurrentTime", "2026-11-25", OPEN),
    ("DateGreaterThanEquals", "aws:currenttime", "2020", OPEN),
    ("DateGreaterThan", "aws:CurrentTime", "2027-01-01T00:00:00+01:00", CANNOT_TELL),
    ("NumericLessThan", "aws:EpochTime", "1500000000", SHUT),
    ("DateNotEquals", "aws:EpochTime", "soon", CANNOT_TELL),
    ("BinaryEquals", "aws:PrincipalAccount", "QUJD", CANNOT_TELL),
]


@pytest.mark.parametrize(("operator", "key", "value", "answer"), CONDITIONS)
def test_a_condition_holds_or_not_or_cannot_be_judged(
    operator: str, key: str, value: Any, answer: Answer
) -> None:
    assert judged(KEY, allow(**where(operator, key, value))).answer is answer


def test_a_variable_is_a_text_in_documents_of_2008() -> None:
    statement = allow(
        Principal="*", **where("StringEquals", "aws:PrincipalAccount", "${aws:PrincipalAccount}")
    )
    old, new = (judge([A], clauses(statement, variables=each), KEY)[A].answer for each in (False, True))
    assert (old, new) == (SHUT, OPEN)


# Several statements: a Deny beside the Allow of the account.
DENIED: list[tuple[dict[str, Any], Answer, list[str]]] = [
    (deny(), SHUT, ["Never"]),
    (deny(Action="s3:Put*"), OPEN, ["statement 1"]),
    (deny(Action="s3:GetObject"), OPEN, ["statement 1"]),
    (deny(Resource=f"{B}/hr/*"), OPEN, ["statement 1"]),
    (deny(Resource=None, NotResource=f"{B}/hr/*"), SHUT, ["Never"]),
    (deny(Resource=f"{B}/churn/*"), OPEN, ["statement 1"]),
    (deny(Resource=[B, f"{B}/churn/*", f"{B}/releases/*"]), SHUT, ["Never"]),
    (deny(Principal={"AWS": OUTSIDER}), OPEN, ["statement 1"]),
    (deny(Principal={"AWS": ROLE}), OPEN, ["statement 1"]),
    (deny(Principal=None, NotPrincipal={"AWS": OWNER}), SHUT, ["Never"]),
    (deny(Principal=None, NotPrincipal={"AWS": [A, ROLE]}), CANNOT_TELL, ["Never"]),
    (deny(**where("StringNotEquals", "aws:PrincipalOrgID", ORGANIZATION)), CANNOT_TELL, ["Never"]),
    (deny(**where("Bool", "aws:SecureTransport", False)), OPEN, ["statement 1"]),
    (deny(**where("NumericLessThanIfExists", "S3:TLSVersion", 1.2)), OPEN, ["statement 1"]),
    (deny(**where("NumericLessThan", "s3:TlsVersion", "1.3")), CANNOT_TELL, ["Never"]),
    (deny(**where("DateGreaterThan", "aws:CurrentTime", "2020-01-01")), SHUT, ["Never"]),
    (deny(**where("DateGreaterThan", "aws:CurrentTime", "2030-01-01")), OPEN, ["statement 1"]),
    (deny(**where("DateLessThan", "aws:CurrentTime", "2030-01-01")), CANNOT_TELL, ["Never"]),
    (deny(**where("StringNotEquals", "aws:PrincipalAccount", [OWNER, A])), OPEN, ["statement 1"]),
    (deny(**where("NotIpAddress", "aws:SourceIp", "10.0.0.0/8")), CANNOT_TELL, ["Never"]),
    (
        deny(
            Condition={
                "NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"},
                "StringEquals": {"aws:PrincipalAccount": OUTSIDER},
            }
        ),
        OPEN,
        ["statement 1"],
    ),
]


@pytest.mark.parametrize(("denial", "answer", "by"), DENIED)
def test_a_deny_shuts_what_it_covers(denial: dict[str, Any], answer: Answer, by: list[str]) -> None:
    found = judged(BUCKET, allow(), denial)
    assert (found.answer, [each.label for each in found.by]) == (answer, by)


def test_several_denies_shut_together_what_none_does_alone() -> None:
    parts = [deny(Resource=each) for each in (B, f"{B}/churn/*", f"{B}/releases/*")]
    assert judged(BUCKET, allow(), *parts).answer is SHUT
    for left in itertools.combinations(parts, 2):
        assert judged(BUCKET, allow(), *left).answer is OPEN


# Members that are no accounts, and services that come on behalf of one.
MEMBERS: list[tuple[str, dict[str, Any], Answer]] = [
    (f"organization {ORGANIZATION}", {"Principal": "*"}, OPEN),
    (
        f"organization {ORGANIZATION}",
        {"Principal": "*", **where("StringEquals", "aws:PrincipalOrgID", ORGANIZATION)},
        OPEN,
    ),
    (
        f"organization {ORGANIZATION}",
        {"Principal": "*", **where("StringEquals", "aws:PrincipalOrgID", "o-other00000")},
        SHUT,
    ),
    (f"organization {ORGANIZATION}", {"Principal": {"AWS": A}}, CANNOT_TELL),
    (f"organization {ORGANIZATION}", {"Principal": {"Service": SAGEMAKER}}, SHUT),
    (ROLE, {"Principal": {"AWS": ROLE}}, OPEN),
    (ROLE, {"Principal": {"AWS": A}}, OPEN),
    (ROLE, {"Principal": {"AWS": f"{ROLE}2"}}, SHUT),
    (A, {"Principal": {"Service": SAGEMAKER}}, OPEN),
    (A, {"Principal": {"Service": SAGEMAKER}, **where("StringEquals", "aws:SourceAccount", A)}, OPEN),
    (A, {"Principal": {"Service": SAGEMAKER}, **where("StringEquals", "aws:SourceAccount", OUTSIDER)}, SHUT),
    (
        A,
        {"Principal": {"Service": SAGEMAKER}, **where("StringEquals", "aws:SourceOrgID", "o-x")},
        CANNOT_TELL,
    ),
    (A, {"Principal": {"Service": "lambda.amazonaws.com"}}, SHUT),
    (f"{SAGEMAKER} for {A}", {"Principal": {"Service": SAGEMAKER}}, OPEN),
    (f"{SAGEMAKER} for {A}", {"Principal": {"AWS": A}}, SHUT),
    (
        f"{SAGEMAKER} for organization {ORGANIZATION}",
        {"Principal": {"Service": SAGEMAKER}, **where("StringEquals", "aws:SourceOrgID", ORGANIZATION)},
        OPEN,
    ),
    ("Federated accounts.google.com", {"Principal": {"AWS": A}}, CANNOT_TELL),
    ("Federated accounts.google.com", {"Effect": "Deny", "Principal": {"AWS": A}}, SHUT),
]


@pytest.mark.parametrize(("member", "statement", "answer"), MEMBERS)
def test_members_that_are_no_accounts_and_services(
    member: str, statement: dict[str, Any], answer: Answer
) -> None:
    assert judged(REPOSITORY, allow(Resource=None, **statement), member=member).answer is answer


def test_an_account_of_the_config_is_in_its_organization() -> None:
    statement = allow(Principal="*", **where("StringEquals", "aws:PrincipalOrgID", ORGANIZATION))
    known = way(("kms:Decrypt", KEY_ARN), organization=ORGANIZATION)
    other = way(("kms:Decrypt", KEY_ARN), organization="o-other00000")
    assert [judged(each, statement).answer for each in (KEY, known, other)] == [CANNOT_TELL, OPEN, SHUT]


GROUNDS: list[tuple[list[dict[str, Any]], str]] = [
    ([], "no statement of others lets it in"),
    ([allow(Sid="Theirs")], "Theirs lets it in"),
    ([allow(Sid="")], " lets it in"),
    ([allow(Sid="Theirs"), deny()], "Never denies it"),
    (
        [
            allow(
                Sid="Theirs",
                Principal="*",
                **where("StringEquals", "aws:PrincipalOrgID", [ORGANIZATION, "o-b"]),
            )
        ],
        f"Theirs lets in organization {ORGANIZATION}, o-b, whose members are not ours to list",
    ),
    (
        [allow(Sid="Theirs", **where("IpAddress", "aws:SourceIp", "10.0.0.0/8"))],
        "Theirs lets in by a condition on aws:SourceIp (10.0.0.0/8), which cannot be judged from here",
    ),
    (
        [allow(Sid="Theirs"), deny(**where("StringNotEquals", "aws:SourceVpce", "vpce-1"))],
        "Never denies by a condition on aws:SourceVpce (vpce-1), which cannot be judged from here",
    ),
]


@pytest.mark.parametrize(("statements", "reason"), GROUNDS)
def test_the_ground_is_said(statements: list[dict[str, Any]], reason: str) -> None:
    assert judged(KEY, *statements).reason == reason


def test_another_policy_is_named_and_one_that_was_not_read_leaves_a_doubt() -> None:
    theirs = clauses(allow(Sid="Theirs"), policy="registry policy")
    assert judge([A], theirs, REPOSITORY)[A].reason == "Theirs of the registry policy lets it in"
    unread = way(("kms:Decrypt", KEY_ARN), unread=("AWS_RAM policy",))
    found = judge([A], [], unread)[A]
    assert (found.answer, found.reason) == (CANNOT_TELL, "the AWS_RAM policy could not be read")
    assert judge([A], theirs, unread)[A].answer is OPEN


def test_a_door_that_the_service_shuts_to_other_accounts_is_shut() -> None:
    cut = way(("s3:GetObject", f"{B}/*"), cut_off="Block Public Access shuts every other account out")
    assert judged(cut, allow(Principal="*")).answer is SHUT
    doubtful = way(("s3:GetObject", f"{B}/*"), doubtful="the account's block could not be asked")
    assert judged(doubtful, allow(Principal="*")).answer is CANNOT_TELL
    assert judged(doubtful).answer is SHUT


def test_statements_that_are_too_wild_are_no_answer() -> None:
    wild = ["*".join(letters) for letters in itertools.permutations("abcdefg", 7)][:400]
    found = judged(BUCKET, *(allow(Resource=f"{B}/*{each}*") for each in wild))
    assert found.answer is CANNOT_TELL


def test_a_deny_is_told_for_each_caller() -> None:
    one, two = (Caller(A, f"arn:aws:iam::{A}:role/{name}") for name in ("one", "two"))
    (clause,) = clauses(deny(Principal={"AWS": one.arn}))
    assert shut_out(clause, [one, two], KEY) == {one: True, two: False}
    (doubtful,) = clauses(deny(**where("StringEquals", "aws:PrincipalTag/x", "y")))
    assert shut_out(doubtful, [one], KEY) == {one: None}
    (elsewhere,) = clauses(deny(Action="kms:Encrypt"))
    assert shut_out(elsewhere, [one], KEY) == {one: False}


# Patterns, against every text of a small alphabet.

PATTERNS = st.text("ab*?", max_size=5)
TEXTS = ["".join(letters) for length in range(7) for letters in itertools.product("abz", repeat=length)]


def fits(pattern: str, text: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), text) is not None


@settings(max_examples=150, deadline=None)
@given(PATTERNS, st.lists(PATTERNS, max_size=3))
def test_examples_tell_patterns_apart_as_all_texts_do(within: str, telling: list[str]) -> None:
    found = examples(glob(within), [glob(each) for each in telling])
    assert found is not None
    for text in found:
        assert fits(within, text)
        assert [glob(each).fits(text) for each in telling] == [fits(each, text) for each in telling]
    kinds = {tuple(fits(each, text) for each in telling) for text in found}
    assert {tuple(fits(each, text) for each in telling) for text in TEXTS if fits(within, text)} <= kinds
