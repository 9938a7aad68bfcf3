"""How the roles of a config are deployed: CloudFormation's parameters and commands, a StackSet for many consumers, and Terraform.

Pure but for writing the files. Not here: the parameters themselves (``stack_parameters``).

Source: "deploy", "create-stack-set" and "create-stack-instances" in the AWS CLI command reference; "Overriding parameter values on
stack instances" in the CloudFormation user guide; "Modules" in the Terraform language reference.
"""

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from crossaccount.errors import InputError
from crossaccount.setup import stack_parameters, templates, terraform
from crossaccount.setup.roles import Side

_CAPABILITY = ("--capabilities", "CAPABILITY_NAMED_IAM")


def deploy_command(side: Side, template: str) -> str:
    """The AWS CLI's command that deploys a side's stack."""
    overrides = [f"{name}={value}" for name, value in side.parameters.items()]
    return _aws(
        side,
        *("cloudformation", "deploy", "--stack-name", side.stack, "--template-file", template),
        *_CAPABILITY,
        "--parameter-overrides",
        *overrides,
    )


def _aws(side: Side, *words: str) -> str:
    profile = ("--profile", side.config.profile) if side.config.profile else ()
    return shlex.join(["aws", *words[:2], *profile, "--region", side.place.region, *words[2:]])


def common(consumers: Sequence[Side]) -> dict[str, str]:
    """The parameters of the StackSet: those of its first consumer, with which the others are compared."""
    return dict(consumers[0].parameters)


def overrides(consumers: Sequence[Side]) -> dict[str, dict[str, str]]:
    """For each consumer by name, the parameters that its stack has otherwise than the StackSet."""
    shared = common(consumers)
    return {
        side.name: {name: value for name, value in side.parameters.items() if shared[name] != value}
        for side in consumers
    }


def stack_set_commands(consumers: Sequence[Side], folder: str) -> list[str]:
    """The AWS CLI's commands of a StackSet for all consumers, run in the account that administers StackSets.

    IAM knows no regions, so each account gets one instance, in the config's region.
    """
    first, own = consumers[0], overrides(consumers)
    name = f"{first.stack}-consumers"
    region = ["--region", first.place.region]
    made = [
        *("aws", "cloudformation", "create-stack-set", *region, "--stack-set-name", name),
        *("--template-body", f"file://{folder}consumer.yaml", *_CAPABILITY),
        *("--parameters", f"file://{folder}stack-set.json"),
    ]
    commands = [shlex.join(made)]
    for side in consumers:
        given = (
            ["--parameter-overrides", f"file://{folder}stack-set-{side.name}.json"] if own[side.name] else []
        )
        words = [
            *("aws", "cloudformation", "create-stack-instances", *region, "--stack-set-name", name),
            *("--accounts", side.place.account, "--regions", side.place.region, *given),
        ]
        commands.append(shlex.join(words))
    return commands


def root_module(sides: Sequence[Side]) -> str:
    """A Terraform root module with a module for each side, beside copies of the two."""
    pieces = [
        'terraform {\n  required_version = ">= 1.5"\n  required_providers {\n    aws = {\n      source  = "hashicorp/aws"\n'
        '      version = ">= 5.0"\n    }\n  }\n}\n'
    ]
    for side in sides:
        declared = templates.read(side.template)["Parameters"]
        values = {
            terraform.variable(name): terraform.value(declared[name], text)
            for name, text in side.parameters.items()
        }
        own = _name(side)
        provider = {"alias": f'"{own}"', "region": f'"{side.place.region}"'}
        if side.config.profile:
            provider["profile"] = json.dumps(side.config.profile)
        provider["allowed_account_ids"] = f'["{side.place.account}"]'
        pieces.append(f'provider "aws" {{\n{_aligned(provider)}}}\n')
        head = f'  source    = "./{side.template}"\n  providers = {{ aws = aws.{own} }}\n\n'
        pieces.append(f'module "{own}" {{\n{head}{_aligned(values)}}}\n')
    return "\n".join(pieces)


def _name(side: Side) -> str:
    """A side's name in Terraform; a consumer called producer is no producer."""
    return side.name if side.key == "producer" else f"consumer-{side.name}"


def _aligned(values: Mapping[str, str]) -> str:
    width = max(map(len, values))
    return "".join(f"  {name:{width}} = {text}\n" for name, text in values.items())


def files(sides: Sequence[Side]) -> dict[str, str]:
    """Everything that ``--out`` writes, by path below its folder."""
    consumers = [side for side in sides if side.key != "producer"]
    made = {
        f"{side}.yaml": (templates.FOLDER / f"{side}.yaml").read_text(encoding="utf-8")
        for side in templates.SIDES
    }
    for side in sides:
        kind = "producer" if side.key == "producer" else f"consumer-{side.name}"
        made[f"{kind}.parameters.json"] = _text(stack_parameters.as_overrides(side.parameters))
    made["stack-set.json"] = _text(stack_parameters.as_list(common(consumers)))
    made |= {
        f"stack-set-{name}.json": _text(stack_parameters.as_list(own))
        for name, own in overrides(consumers).items()
        if own
    }
    commands = [deploy_command(side, f"{side.template}.yaml") for side in sides]
    made["commands.sh"] = "\n".join(
        [
            "# In this folder. A stack for each account:",
            *commands,
            "",
            "# Or, for the consumers, a StackSet, in the account that administers StackSets:",
            *(f"# {each}" for each in stack_set_commands(consumers, "")),
            "",
        ]
    )
    made["terraform/main.tf"] = root_module(sides)
    for side_name in templates.SIDES:
        made |= {f"terraform/{side_name}/{name}": text for name, text in terraform.files(side_name).items()}
    return made


def _text(parameters: Sequence[object]) -> str:
    return json.dumps(parameters, indent=2) + "\n"


def write(folder: Path, made: Mapping[str, str]) -> None:
    """Write the files; those of an earlier run are replaced, others are left.

    Raises:
        InputError: when the folder cannot be written.
    """
    try:
        for name, text in made.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"--out {folder}: it cannot be written: {error.strerror}.") from None


def text(sides: Sequence[Side], folder: Path | None) -> str:
    """What a person reads: the parameters of each stack and the command that deploys it, and the other ways."""
    lines = list[str]()
    for side in sides:
        width = max(map(len, side.parameters))
        lines.append(f"{side.name} ({side.place.account}): stack {side.stack} of {side.template}.yaml")
        lines += [f"  {name:{width}}  {value or '(empty)'}" for name, value in side.parameters.items()]
        lines += ["", deploy_command(side, _shown(templates.FOLDER / f"{side.template}.yaml")), ""]
    if folder is None:
        lines.append(
            "With --out DIR: the parameters as files, the files and commands of a StackSet, and a Terraform module."
        )
    else:
        lines += [
            f"Written to {folder}: parameters, templates, commands.sh, and terraform/. A StackSet for the consumers:",
            "",
        ]
        lines += stack_set_commands([side for side in sides if side.key != "producer"], f"{folder}/")
    lines.append("With --check: in what the deployed roles differ from these.")
    return "\n".join(lines)


def _shown(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
