"""The command that deploys the stack of an account with the parameters that ``init`` has written beside the config.

It reads the parameters' file and no account. Not here: what is in that file (``stack_parameters``, ``initial``), and the other ways to
deploy the roles (``stack_files``).

Source: "deploy" of cloudformation in the AWS CLI command reference.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from crossaccount import shipped

_TEMPLATES = shipped.ROOT / "deployments" / "iam"


def parameters_file(config: Path, consumer: str = "") -> Path:
    """Where the parameters of a stack lie: the producer's for an empty name."""
    side = f"consumer-{consumer}" if consumer else "producer"
    return config.with_name(f"{config.stem}.{side}.parameters.json")


def given(text: str) -> dict[str, str]:
    """The parameters of a file.

    Raises:
        ValueError: for a file of something else.
    """
    data = json.loads(text)
    if not isinstance(data, list) or not all(isinstance(each, str) and "=" in each for each in data):
        raise ValueError("no list of texts as NAME=VALUE")
    return {name: value for name, _, value in (each.partition("=") for each in data)}


def command(profile: str | None, region: str, stack: str, template: str, parameters: Path) -> str:
    """The command of the AWS CLI that makes or updates a stack.

    Args:
        profile: of the AWS CLI; None for ambient credentials.
        region: the stack's.
        stack: its name.
        template: ``producer`` or ``consumer``.
        parameters: the file.
    """
    file = _TEMPLATES / f"{template}.yaml"
    here = Path("deployments", "iam", file.name)
    shown = here if here.exists() and here.samefile(file) else file
    words = [
        *("aws", "cloudformation", "deploy", *(("--profile", profile) if profile else ())),
        *("--region", region, "--stack-name", stack, "--template-file", str(shown)),
        *("--parameter-overrides", f"file://{parameters}", "--capabilities", "CAPABILITY_NAMED_IAM"),
    ]
    return shlex.join(words)


def command_as_written(config: Path, consumer: str, profile: str | None, region: str) -> str | None:
    """The command as ``init`` printed it, of the file that it wrote; None where there is no such file."""
    file = parameters_file(config, consumer)
    try:
        stack = given(file.read_text(encoding="utf-8"))["NamePrefix"]
    except (OSError, ValueError, KeyError):
        return None
    return command(profile, region, stack, "consumer" if consumer else "producer", file)
