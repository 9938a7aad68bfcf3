"""The commands that set accounts up and look whether they are: ``roles`` and ``doctor``.

As ``commands``: each is a function from its options to the object that ``--json`` prints. Not here: how a flow is started.
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

from crossaccount.cli import live, output
from crossaccount.errors import InputError, NotReady


def roles(options: argparse.Namespace) -> dict[str, Any]:
    """Show what the accounts' stacks are told, or with ``--check`` in what the deployed roles differ from it."""
    from crossaccount.config.loading import load_config
    from crossaccount.setup import roles as wanted
    from crossaccount.setup import stack_files

    if options.check and options.out is not None:
        raise InputError("--out is for the parameters: leave it out with --check.")
    sharing = load_config(options.config)
    with live.reading(options, "reading what the versions are made of"):
        sides = wanted.sides(sharing, options.consumer, options.parameter or ())
    if options.check:
        with live.reading(options, "reading the roles of every account"):
            compared = wanted.compare(sides)
        _judged(options, lambda: wanted.judge(compared))
        output.write(options, wanted.text(compared))
        return {"roles": [each.to_json() for each in compared]}
    made = stack_files.files(sides)
    if options.out is not None:
        stack_files.write(options.out, made)
    output.write(options, stack_files.text(sides, options.out))
    stacks = {
        side.name: {"account": side.place.account, "stack": side.stack, "parameters": dict(side.parameters)}
        for side in sides
    }
    return {"stacks": stacks, "files": sorted(made) if options.out is not None else []}


def doctor(options: argparse.Namespace) -> dict[str, Any]:
    """See everything that can be known before a first share; AWS and Prefect are asked at once."""
    from crossaccount.cli import prefect_server
    from crossaccount.config.loading import load_config
    from crossaccount.parallel import run_both
    from crossaccount.setup import answers
    from crossaccount.setup import doctor as looking

    sharing = load_config(options.config)
    sharing.select(options.consumer)
    of_prefect = partial(prefect_server.ask, "tasks.readiness:look", sharing)
    with live.reading(options, "asking AWS and Prefect"):
        of_aws, further = run_both(
            partial(looking.look, sharing, options.config, options.consumer), of_prefect
        )
    found = [*of_aws, *further]
    _judged(options, lambda: answers.judge(found))
    output.write(options, answers.text(found))
    return answers.to_json(found)


def _judged(options: argparse.Namespace, judge: Any) -> None:
    """Write the table of what is not ready before its error."""
    try:
        judge()
    except NotReady as error:
        output.write(options, error.table)
        raise
