"""The sandbox answers as AWS was seen to answer: a table of facts that public projects recorded on live accounts.

Each fact is a situation, the call, and what is known of the answer. A fact that the sandbox does not share has its reason
beside it, and is counted: nine of ten must be shared, and every one without a reason.
"""

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

sys.path.insert(0, str(Path(__file__).parent))

import recorded_cloudformation
import recorded_cloudwatch
import recorded_ecr
import recorded_iam
import recorded_kms
import recorded_logs
import recorded_s3
import recorded_sagemaker
import recorded_sts
from facts import Fact, Setting

SERVICES = {
    "cloudformation": recorded_cloudformation.FACTS,
    "cloudwatch": recorded_cloudwatch.FACTS,
    "sts": recorded_sts.FACTS,
    "iam": recorded_iam.FACTS,
    "ecr": recorded_ecr.FACTS,
    "kms": recorded_kms.FACTS,
    "logs": recorded_logs.FACTS,
    "s3": recorded_s3.FACTS,
    "sagemaker": recorded_sagemaker.FACTS,
}
FACTS: dict[str, Fact] = {
    f"{service}: {name}": fact for service, facts in SERVICES.items() for name, fact in facts.items()
}
SHARED = {name: fact for name, fact in FACTS.items() if not fact.reason}
LEFT = {name: fact for name, fact in FACTS.items() if fact.reason}


@pytest.fixture(scope="module")
def setting(inner: Any) -> Setting:
    return Setting(inner)


def at(answer: Any, path: str) -> Any:
    for step in path.split("/"):
        answer = answer[int(step)] if isinstance(answer, list) else answer[step]
    return answer


def has(answer: Any, path: str) -> bool:
    try:
        at(answer, path)
    except (KeyError, IndexError):
        return False
    return True


def differences(setting: Setting, fact: Fact) -> list[str]:
    """Where the sandbox's answer is not AWS's."""
    try:
        answer = fact.call(setting)
        code, message = None, ""
    except ClientError as error:
        answer = error.response
        code, message = answer["Error"]["Code"], answer["Error"]["Message"]
    status = answer["ResponseMetadata"]["HTTPStatusCode"]
    found = []
    if (code, status) != (fact.code, fact.status):
        found.append(f"{code} {status}: {message}")
    elif code is not None and not re.fullmatch(fact.message, message, re.DOTALL):
        found.append(message)
    for path, wanted in fact.fields.items():
        value = at(answer, path) if has(answer, path) else None
        fits = wanted.fullmatch(str(value)) if isinstance(wanted, re.Pattern) else value == wanted
        if not fits:
            found.append(f"{path} is {value!r}")
    return [*found, *(f"has {path}" for path in fact.absent if has(answer, path))]


@pytest.mark.parametrize("name", SHARED)
def test_the_sandbox_answers_as_aws_was_seen_to(setting: Setting, name: str) -> None:
    assert differences(setting, SHARED[name]) == []


@pytest.mark.parametrize("name", LEFT)
def test_a_fact_with_a_reason_is_not_shared_yet(setting: Setting, name: str) -> None:
    assert differences(setting, LEFT[name]) != []


def test_nine_facts_of_ten_are_shared() -> None:
    assert len(SHARED) >= 0.9 * len(FACTS)
    assert [name for name, fact in FACTS.items() if not fact.source] == []
