"""What a shell completes: commands and options of the parser, YAML files for a config, and the consumers that the config names.

The shell starts the command for each Tab, with ``_ARGCOMPLETE`` in its environment. Not here: the options (``arguments``).
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import argcomplete
from argcomplete.completers import FilesCompleter, SuppressCompleter
from argcomplete.shell_integration import shellcode

from crossaccount.cli import arguments


def script(shell: str) -> str:
    """What a shell reads at its start, for example in ``~/.bashrc``; ``shell`` is one of `arguments.SHELLS`."""
    code: str = shellcode(["crossaccount"], shell=shell)
    return code.strip("\n")


def answer() -> None:
    """Write what may come next for the shell that asks, and end the process."""
    parser = arguments.make_parser()
    for action in _actions(parser):
        vars(action)["completer"] = _completer(action)
    argcomplete.autocomplete(parser, always_complete_options="long")


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Every option and argument of the parser and of its commands."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)
        elif action.choices is None and action.nargs != 0:
            yield action


def _completer(action: argparse.Action) -> Any:
    if action.dest == "config":
        return FilesCompleter(("yaml", "yml"))
    if action.dest in ("consumer", "record"):
        return _consumers
    return FilesCompleter() if action.type is Path else SuppressCompleter()


def _consumers(parsed_args: argparse.Namespace, **_: object) -> tuple[str, ...]:
    """The consumers of the config that stands in the line already; none before there is one."""
    from crossaccount.config.loading import read_consumer_names

    path = getattr(parsed_args, "config", None)
    return () if path is None else read_consumer_names(path)
