"""The test cases of a command's result or error: each door, consumer and question is one, with its reason.

They are made of the plain data that ``--json`` prints. Not here: how they are written (``show.reports``), and to where (``reports``).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from crossaccount.errors import (
    AccessMissing,
    ConfigError,
    CrossAccountError,
    InputError,
    PlanRefused,
    PromotionFailed,
    Refused,
    VersionRecalled,
)
from crossaccount.show.reports import Case, Outcome
from crossaccount.text import counted, first_line, quote

_Data = Mapping[str, Any]
_OF_ACCESS = {"yes": Outcome.PASSED, "no": Outcome.FAILED, "cannot tell": Outcome.SKIPPED}
_OF_LIVE = {"recalled": Outcome.FAILED, "shared": Outcome.PASSED}
_OF_RESULT = {
    "promoted": Outcome.PASSED,
    "unchanged": Outcome.PASSED,
    "held": Outcome.SKIPPED,
    "skipped": Outcome.SKIPPED,
    "failed": Outcome.FAILED,
}


def of_result(command: str, result: _Data) -> tuple[Case, ...]:
    """The cases of a command that ended well."""
    of = {"check": _access, "promote": _promotion, "deploy": _deployment}[command]
    return tuple(of(result))


def of_error(command: str, error: CrossAccountError) -> tuple[Case, ...]:
    """The cases of a command that ended with an error made for a person; one at least has not passed."""
    cases = tuple(_of_error(command, error))
    if any(case.outcome in (Outcome.FAILED, Outcome.ERROR) for case in cases):
        return cases
    outcome = Outcome.ERROR if isinstance(error, InputError | ConfigError) else Outcome.FAILED
    return (*cases, Case("run", "came to its end", outcome, str(error)))


def verdict(error: CrossAccountError) -> str:
    """What an error comes to, in a few words."""
    match error:
        case Refused():
            return f"refused, {error.refusal.shut}"
        case ConfigError():
            return f"the config cannot be used, {counted(len(error.faults), 'fault')}"
        case InputError():
            return "bad input"
        case AccessMissing():
            return f"access is missing, in {counted(len(error.missing), 'place')}"
        case VersionRecalled():
            return "a version that was recalled is live"
        case PlanRefused():
            return "the plan cannot be carried out"
        case PromotionFailed():
            return "not every consumer serves the version"
        case _:
            return first_line(error)[:200]


def of_stop(reason: str) -> tuple[Case, ...]:
    """The case of a run that was stopped, or that met an error that nobody foresaw."""
    return (Case("run", "came to its end", Outcome.ERROR, reason),)


def _of_error(command: str, error: CrossAccountError) -> Iterator[Case]:
    outcome: Any = getattr(error, "outcome", None)
    if isinstance(error, ConfigError):
        for fault in error.faults:
            place = error.source if fault.line is None else f"{error.source}:{fault.line}"
            yield Case("config", fault.key or "the file", Outcome.ERROR, f"{place}: {fault.message}")
    elif isinstance(error, AccessMissing | VersionRecalled):
        yield from _access(error.audit)
    elif isinstance(error, PromotionFailed):
        yield from _promotion(error.promotion)
    elif isinstance(error, PlanRefused):
        for finding in error.findings:
            if finding.severity == "error":
                yield Case(
                    "plan", finding.subject, Outcome.FAILED, f"{finding.text} {finding.way_out}".rstrip()
                )
    elif isinstance(error, Refused):
        refusal = error.refusal
        reason = f"{refusal.shut.capitalize()}. {refusal.next_step}\n{error}"
        yield Case("access", f"{refusal.door}: {refusal.resource}", Outcome.FAILED, reason)
    elif command == "deploy" and outcome is not None:
        yield from _deployment(outcome)


def _access(audit: _Data) -> Iterator[Case]:
    for answer in audit["answers"]:
        name = f"{answer['door']}: {answer['resource']}"
        for_whom = f" It is for {' and '.join(answer['containers'])}." if answer["containers"] else ""
        yield Case(answer["consumer"], name, _OF_ACCESS[answer["verdict"]], answer["reason"] + for_whom)
    for each in audit["live"]:
        outcome = _OF_LIVE.get(each["standing"], Outcome.SKIPPED)
        yield Case(each["consumer"], f"endpoint: {each['endpoint']}", outcome, str(each.get("reason") or ""))
    for finding in audit["findings"]:
        if finding["severity"] == "error":
            reason = f"{finding['text']} {finding['way_out']}".rstrip()
            yield Case("findings", finding["subject"], Outcome.FAILED, reason)


def _deployment(deployment: _Data) -> Iterator[Case]:
    if deployment.get("dry_run"):
        for each in deployment["resources"]:
            reason = "A dry run: it is there already." if each["is_there"] else "A dry run: it would be made."
            yield Case(deployment["consumer"], f"{each['kind']} {each['name']}", Outcome.SKIPPED, reason)
        return
    yield from _proof(deployment["proof"])
    for removal in deployment["removals"]:
        outcome = Outcome.FAILED if removal["outcome"] == "left" else Outcome.PASSED
        reason = " ".join(filter(None, (removal["outcome"], removal.get("reason"))))
        yield Case(deployment["proof"]["consumer"], f"{removal['kind']} {removal['name']}", outcome, reason)


def _proof(proof: _Data) -> Iterator[Case]:
    consumer, version = proof["consumer"], proof["version"]
    images = ", ".join(proof["images"]) or "no image"
    unprovable = bool(proof["unprovable"])
    image = (
        Outcome.PASSED
        if proof["images_match"]
        else Outcome.SKIPPED
        if unprovable and proof["verified"]
        else Outcome.FAILED
    )
    yield Case(consumer, f"version {version} runs the Release's images", image, f"It runs {images}.")
    for number, answer in enumerate(proof["answers"], 1):
        where = f" of {answer['container']}" if answer["container"] else ""
        why = f" ({answer['why']})" if answer["why"] else ""
        reason = f"expected {quote(answer['expected'])}, got {quote(answer['got'])}{why}"
        outcome = Outcome.PASSED if answer["ok"] else Outcome.FAILED
        name = (
            f"version {version}, question {number}{where}: {answer['content_type']} {quote(answer['body'])}"
        )
        yield Case(consumer, name, outcome, reason, answer["latency_ms"] / 1000)
    if speed := proof["speed"]:
        text = f"median {speed['p50_ms']:.1f} ms (limit {speed['p50_limit_ms']}), 95 of 100 below {speed['p95_ms']:.1f} ms (limit {speed['p95_limit_ms']})"
        fast = _in_time(speed)
        yield Case(
            consumer, f"version {version} answers in time", Outcome.PASSED if fast else Outcome.FAILED, text
        )


def _in_time(speed: _Data) -> bool:
    pairs = (("p50_ms", "p50_limit_ms"), ("p95_ms", "p95_limit_ms"))
    return all(speed[limit] is None or speed[value] <= speed[limit] for value, limit in pairs)


def _promotion(promotion: _Data) -> Iterator[Case]:
    for part in promotion["consumers"]:
        left = f" Left behind: {', '.join(part['left'])}." if part["left"] else ""
        outcome = Outcome.FAILED if left else _OF_RESULT[part["result"]]
        name = f"stage {part['stage']}: {part['result']}, version {part['version']}"
        yield Case(part["consumer"], name, outcome, part["text"] + left, part["seconds"])
        for proof in part["proofs"]:
            yield from _proof(proof)
    for told in promotion["lifecycle"]:
        outcome = Outcome.FAILED if told["result"] == "failed" else Outcome.PASSED
        yield Case("registry", f"stage {told['promotion_stage']}: {told['result']}", outcome, told["text"])
