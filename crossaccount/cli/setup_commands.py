"""The commands that set accounts up and look whether they are: ``roles`` and ``doctor``.

As ``commands``: each is a function from its options to the object that ``--json`` prints. Not here: how a flow is started.
"""

from __future__ import annotations

import argparse
from typing import Any

from crossaccount.cli import output
from crossaccount.errors import InputError, NotReady


def roles(options: argparse.Namespace) -> dict[str, Any]:
    """Show what the accounts' stacks are told, or with ``--check`` in what the deployed roles differ from it."""
    from crossaccount.config.loading import load_config
    from crossaccount.setup import roles as wanted
    from crossaccount.setup import stack_files

    if options.check and options.out is not None:
        raise InputError("--out is for the parameters: leave it out with --check.")
    sharing = load_config(options.config)
    sides = wanted.sides(sharing, options.consumer, options.parameter or ())
    if options.check:
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


def _judged(options: argparse.Namespace, judge: Any) -> None:
    """Write the table of what is not ready before its error."""
    try:
        judge()
    except NotReady as error:
        output.write(options, error.table)
        raise
