"""A proof as a person reads it, in a terminal and in a Prefect artifact. Not here: the proof (``proof``)."""

import json
from collections.abc import Sequence
from typing import Any

from crossaccount.arns import console_url
from crossaccount.hosting.resources import Removal
from crossaccount.proof.asking import Answer, Speed
from crossaccount.proof.proof import Proof
from crossaccount.show import charts
from crossaccount.show.markdown import code
from crossaccount.text import harmless

_SAME = {True: "same ", False: "other", None: "?    "}
_MOST_SHOWN = 300  # characters of an answer, in a line
_FEWEST_DRAWN = 5  # latencies for a picture


def text(proof: Proof, removals: Sequence[Removal]) -> str:
    """The proof, and the fate of each resource, for a terminal."""
    verdict = "verified" if proof.verified else "NOT VERIFIED"
    lines = [
        f"{verdict}: version {proof.version} in account {proof.account} ({proof.consumer}), endpoint {proof.endpoint}",
        f"images {_images(proof, 'ARE NOT')}: {', '.join(proof.images) or 'none'}",
    ]
    lines += [f"NOTE {_line(proof.doubts)}"] if proof.doubts else []
    lines += [
        f"{'ok   ' if answer.ok else 'WRONG'} {answer.latency_ms:7.1f} ms  {_line(answer.content_type)}  expected {_line(answer.expected)}  got {_line(answer.got)}{_line(answer.reason)}{_how(answer)}"
        for answer in proof.answers
    ]
    lines += [
        f"{_SAME[each.same]} {_line(each.content_type)}  version {proof.beside} {_line(each.live)}  version {proof.version} {_line(each.shadow)}"
        for each in proof.compared
    ]
    lines += [f"{'ok   ' if proof.speed.ok else 'SLOW '} {_speed_text(proof.speed)}"] if proof.speed else []
    return "\n".join([*lines, *map(str, removals)])


def _got(answer: Answer) -> str:
    """What came, short enough that what is wrong with it can be seen too."""
    return f"{answer.got}" if not answer.reason else f"{str(answer.got)[:150]}{answer.reason}"


def _how(answer: Answer) -> str:
    """Which container answered, of several that are asked by themselves, and in how many parts an answer came."""
    notes = [f"by {answer.container}"] if answer.container else []
    if answer.parts is not None:
        first = "" if answer.first_part_ms is None else f", the first after {answer.first_part_ms:.1f} ms"
        notes.append(f"in {answer.parts} part{'' if answer.parts == 1 else 's'}{first}")
    return f" ({'; '.join(notes)})" if notes else ""


def _images(proof: Proof, not_those: str) -> str:
    """Whether the images are those of the Release, after "images"."""
    if proof.unprovable:
        return "CANNOT BE PROVED to be those of the Release"
    return f"{'are' if proof.images_match else not_those} those of the Release{_by_tag(proof)}"


def _by_tag(proof: Proof) -> str:
    return (
        f", by tag where AWS's own registries have them ({', '.join(proof.by_tag)}: no digest pins it)"
        if proof.by_tag
        else ""
    )


def _line(value: Any) -> str:
    """A text of a model or another account, in one line of a terminal."""
    line = " ".join(harmless(str(value)).split("\n"))
    return line if len(line) <= _MOST_SHOWN else f"{line[:_MOST_SHOWN]}..."


def _speed_text(speed: Speed) -> str:
    limits = {"median": (speed.p50_ms, speed.p50_limit_ms), "95 of 100": (speed.p95_ms, speed.p95_limit_ms)}
    parts = [
        f"{share} below {value:.1f} ms" + (f" (limit {limit:g} ms)" if limit is not None else "")
        for share, (value, limit) in limits.items()
    ]
    return f"{speed.calls} calls: {', '.join(parts)}"


def markdown(proof: Proof, stays: bool = True) -> str:
    """The proof for a Prefect artifact.

    Args:
        proof: the proof.
        stays: whether its endpoint does; a link to one that is gone leads nowhere.
    """
    verdict = "Verified" if proof.verified else "**Not verified**"
    rows = ["| answer | latency | content type | expected | got |", "|---|---|---|---|---|"]
    rows += [
        f"| {'as expected' if answer.ok else '**wrong**'} | {answer.latency_ms:.1f} ms | {code(answer.content_type)} | {code(str(answer.expected))} | {code(_got(answer))}{_how(answer)} |"
        for answer in proof.answers
    ]
    images = f"Images {_images(proof, '**are not**')}."
    images += f" **Note:** {proof.doubts}." if proof.doubts else ""
    if proof.speed:
        images += f" {'In time' if proof.speed.ok else '**Too slow**'}: {_speed_text(proof.speed)}."
    if proof.compared:
        rows += [
            "",
            f"| beside version {proof.beside} | its answer | answer of version {proof.version} |",
            "|---|---|---|",
        ]
        rows += [
            f"| {_SAME[each.same].strip()} | {code(str(each.live)[:_MOST_SHOWN])} | {code(str(each.shadow)[:_MOST_SHOWN])} |"
            for each in proof.compared
        ]
    data = [
        "",
        "<details><summary>All of it as JSON</summary>",
        "",
        "```json",
        json.dumps(proof.to_json(), indent=1),
        "```",
        "",
        "</details>",
    ]
    where = f"`{proof.endpoint}` of {proof.consumer} ({proof.account})"
    _, partition, service, region, *_ = proof.model_package_arn.split(":")
    if stays and (
        url := console_url(f"arn:{partition}:{service}:{region}:{proof.account}:endpoint/{proof.endpoint}")
    ):
        where = f"[{where}]({url})"
    where += "" if stays else ", which is removed"
    head = f"{verdict}: `{proof.model_package_arn}` at {where}. {images}"
    return "\n".join([head, "", *rows, *_picture(proof), *data])


def _picture(proof: Proof) -> list[str]:
    """The picture of the latencies, when they are enough to show more than the table."""
    speed = proof.speed
    measured = speed.measured_ms if speed else tuple(answer.latency_ms for answer in proof.answers)
    if len(measured) < _FEWEST_DRAWN:
        return []
    limits = {"median": speed.p50_limit_ms, "95 of 100": speed.p95_limit_ms} if speed else {}
    return ["", charts.latencies(measured, limits)]
