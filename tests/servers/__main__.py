"""Record what real model servers answer, each from an environment of its own: ``python tests/servers``; ``--only NAME`` records one.

A recording is kept as one file of ``recordings``: what was asked, and the status, the content type and the body that came back.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from bodies import Question, binary, of_bodies, of_output
from served import RECORDED, Served
from starting import Answer, ask, started

RECORDINGS = Path(__file__).parent / "recordings"
LONGEST = 160  # characters of an error that are kept
# An error may quote files, ports and addresses of the machine on which it was recorded.
OF_THE_MACHINE = re.compile(r"/[\w.~-]+/[\w.~-]+|Traceback|127\.0\.0\.1|localhost|0x[0-9a-f]{6,}")


def main(arguments: list[str]) -> int:
    """Record the servers that are chosen; 1 where one could not be."""
    parser = argparse.ArgumentParser(prog="python tests/servers", description=__doc__)
    names = [served.name for served in RECORDED]
    parser.add_argument(
        "--only", action="append", choices=names, metavar="NAME", help=f"of {', '.join(names)}"
    )
    chosen = parser.parse_args(arguments).only or names
    faults = 0
    for served in RECORDED:
        if served.name in chosen:
            try:
                count = record(served)
            except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
                print(f"{served.name}: not recorded: {error}", file=sys.stderr)
                faults += 1
            else:
                print(f"{served.name}: {count} answers", flush=True)
    return int(faults > 0)


def record(served: Served) -> int:
    """Write one server's recording; the number of its answers."""
    if not served.client.installed:
        served.client.install()
    answers = [one for output in served.outputs for one in of(served, output)]
    facts: dict[str, Any] = {"server": served.name, "packages": versions(served), "path": served.path}
    lines = ",\n".join(json.dumps(one, ensure_ascii=True) for one in answers)
    head = json.dumps(facts)[:-1]
    (RECORDINGS / f"{served.name}.json").write_text(f'{head}, "answers": [\n{lines}\n]}}\n')
    return len(answers)


def versions(served: Served) -> dict[str, str]:
    """The versions of the packages that the server is made of, and of Triton itself, which comes inside of one."""
    code = "import importlib.metadata, sys; print(*map(importlib.metadata.version, sys.argv[1:]))"
    command = [served.client.folder / "bin" / "python", "-c", code, *served.packages]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return dict(zip(served.packages, found, strict=True))


def of(served: Served, output: str) -> list[dict[str, Any]]:
    """What the server answers while its model gives this output."""
    own, one = served.own
    questions = of_output(own, one, served.accepts)
    if output == served.outputs[0]:
        questions = list(dict.fromkeys([*of_bodies(own), *questions]))
    if served.binary:
        named = ["label", "probability", "sure"] if output == "several" else ["answer"]
        questions.append(Question(binary(named), ""))
    with started(served.script, served.client.folder, output, served.health) as port:
        return [
            written(output, question, ask(port, served.path, question.body.raw, *kinds(question)))
            for question in questions
        ]


def kinds(question: Question) -> tuple[str, str]:
    """The content type and the Accept of a question."""
    return question.body.content_type, question.accept


def written(output: str, question: Question, answer: Answer) -> dict[str, Any]:
    """An answer as the recording has it, without what is the recording machine's own."""
    one: dict[str, Any] = {"output": output, "asked": question.body.name, "accept": question.accept}
    one |= {"content_type": question.body.content_type, **text_or_bytes("body", question.body.raw)}
    one |= {"status": answer.status, "answered": answer.content_type}
    if answer.status < 300:
        return one | text_or_bytes("answer", answer.body)
    text = answer.body.decode(errors="replace")
    first = text.partition("\n")[0] if "Traceback" in text else text
    return one | {"answer": "" if OF_THE_MACHINE.search(first) else first[:LONGEST]}


def text_or_bytes(name: str, raw: bytes) -> dict[str, str]:
    """Bytes under a name: as text where they are text, in base64 otherwise."""
    try:
        return {name: raw.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(raw).decode()}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
