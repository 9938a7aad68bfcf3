"""``python -m crossaccount_sandbox.judge CASES.json``: the judge of policies on cases of one's own.

With ``--operations`` in place of files: the table of what is asked for each operation. Not here: the decision
(``judging``) and the table (``checks.table``).
"""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from crossaccount_sandbox.judging.decision import judge
from crossaccount_sandbox.judging.request import Policies, Request


class MalformedCase(ValueError):
    """A file of cases that cannot be read; the message says which case and what is wrong with it."""


def main(arguments: Sequence[str]) -> int:
    """Judge every case of the given JSON files, one line of JSON each.

    Returns:
        0 when every answer is the expected one, 1 when one differs, 2 when a file or case cannot be read.
    """
    if list(arguments) == ["--operations"]:
        from crossaccount_sandbox.checks.table import (
            operations_table,
        )  # it starts the emulation, which cases do without

        sys.stdout.write(operations_table())
        return 0
    if not arguments:
        sys.stderr.write(
            "usage: python -m crossaccount_sandbox.judge CASES.json [MORE.json ...] | --operations\n"
        )
        return 2
    try:
        cases = [case for path in arguments for case in _read_cases(path)]
    except MalformedCase as error:
        sys.stderr.write(f"{error}\n")
        return 2
    same = True
    for name, request, policies, expected in cases:
        decision = judge(request, policies)
        ok = decision.result.value == expected
        same = same and ok
        line = {
            "name": name,
            "got": decision.result.value,
            "expected": expected,
            "ok": ok,
            "why": decision.why,
        }
        sys.stdout.write(json.dumps(line) + "\n")
    return 0 if same else 1


def _read_cases(path: str) -> list[tuple[str, Request, Policies, str]]:
    try:
        with open(path, encoding="utf-8") as file:
            cases = json.load(file)
    except OSError as error:
        raise MalformedCase(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise MalformedCase(f"{path}: is not JSON: {error}") from error
    if not isinstance(cases, list):
        raise MalformedCase(f"{path}: must hold a list of cases")
    read = []
    for index, case in enumerate(cases):
        try:
            read.append(read_case(case))
        except MalformedCase as error:
            raise MalformedCase(f"{path}: case {index}: {error}") from error
    return read


def read_case(case: object) -> tuple[str, Request, Policies, str]:
    """One case as data: its name, the request, the policies, the expected result.

    Raises:
        MalformedCase: a field is missing or of another type.
    """
    whole = _mapping(case, "the case")
    request = _mapping(whole.get("request"), "request")
    resource = _mapping(request.get("resource"), "request.resource")
    context = _mapping(request.get("context") or {}, "request.context")
    for key, value in context.items():
        if not all(isinstance(item, (str, bool, int, float, type(None))) for item in _as_list(value)):
            raise MalformedCase(f"request.context[{key!r}] must be a text or a list of texts")
    owner = resource.get("accountId")
    if owner is not None and not isinstance(owner, str):
        raise MalformedCase("request.resource.accountId must be a text")
    question = Request(
        _string(request, "principal", "request.principal"),
        _string(request, "action", "request.action"),
        _string(resource, "resource", "request.resource.resource"),
        owner or None,
        context,
    )
    policies = Policies(
        identity=_list(whole, "identityPolicies"),
        resource=whole.get("resourcePolicy"),
        boundaries=_list(whole, "permissionBoundaries") or None,
        session=_list(whole, "sessionPolicies") or whole.get("sessionPolicy"),
        scps=_levels(whole, "serviceControlPolicies"),
        rcps=_levels(whole, "resourceControlPolicies"),
    )
    expected = _mapping(whole.get("expected"), "expected")
    return (
        _string(whole, "name", "name"),
        question,
        policies,
        _string(expected, "response", "expected.response"),
    )


def _as_list(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise MalformedCase(f"{where} must be an object")
    return value


def _string(holder: Mapping[str, Any], key: str, where: str) -> str:
    value = holder.get(key)
    if not isinstance(value, str) or not value:
        raise MalformedCase(f"{where} must be a text")
    return value


def _list(holder: Mapping[str, Any], key: str) -> list[Any]:
    value = holder.get(key)
    if value is not None and not isinstance(value, list):
        raise MalformedCase(f"{key} must be a list")
    return value or []


def _levels(holder: Mapping[str, Any], key: str) -> list[list[Any]]:
    return [_list(_mapping(level, f"each level of {key}"), "policies") for level in _list(holder, key)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
