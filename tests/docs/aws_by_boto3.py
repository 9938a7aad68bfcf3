"""In the place of the AWS CLI where there is none: ``aws cloudformation deploy`` by boto3, with the same options and files.

Not here: anything else that the AWS CLI does; ``make clients`` tries the real one.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import boto3


def main() -> None:
    parser = argparse.ArgumentParser(prog="aws")
    parser.add_argument("service", choices=["cloudformation"])
    parser.add_argument("operation", choices=["deploy"])
    for name in ("profile", "region", "stack-name", "template-file", "parameter-overrides", "capabilities"):
        parser.add_argument(f"--{name}", required=True)
    options = parser.parse_args()
    given = json.loads(Path(options.parameter_overrides.removeprefix("file://")).read_text())
    pairs = [text.split("=", 1) for text in given]
    cloudformation = boto3.Session(profile_name=options.profile, region_name=options.region).client(
        "cloudformation"
    )
    cloudformation.create_stack(
        StackName=options.stack_name,
        TemplateBody=Path(options.template_file).read_text(),
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in pairs],
        Capabilities=[options.capabilities],
    )
    cloudformation.get_waiter("stack_create_complete").wait(
        StackName=options.stack_name, WaiterConfig={"Delay": 1}
    )
    print(f"Successfully created/updated stack - {options.stack_name}")


if __name__ == "__main__":
    main()
