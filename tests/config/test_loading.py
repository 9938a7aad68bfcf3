from __future__ import annotations

import copy
import os
import pickle
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from pydantic import ValidationError

from crossaccount.config.endpoint import Endpoint
from crossaccount.config.loading import load_config, parse_config
from crossaccount.config.model import ConsumerConfig, OrganizationScope, ProducerConfig, Sharing
from crossaccount.config.smoke import Smoke
from crossaccount.errors import ConfigError, Fault, InputError

CONFIGS = Path(__file__).parents[2] / "configs"

GOOD = """\
model_package_group: decision-trees-sample
region: us-east-1
preset: least-privilege
versions: approved
producer:
  account: "111111111111"
  role: arn:aws:iam::111111111111:role/crossaccount-producer
  external_id: producer-external-id
  profile: producer
  releases: s3://producer-models/releases/
consumers:
  staging:
    account: "222222222222"
    role: arn:aws:iam::222222222222:role/crossaccount-deployer
    external_id: staging-external-id
    profile: staging
    execution_role: arn:aws:iam::222222222222:role/crossaccount-execution
    endpoint:
      name: decision-trees-staging
      instance_type: ml.m5.large
      instance_count: 1
    smoke:
      - content_type: text/csv
        body: "5.1,3.5,1.4,0.2"
        expect: [0]
        accept: application/json
  production:
    account: "333333333333"
    role: arn:aws:iam::333333333333:role/crossaccount-deployer
    execution_role: arn:aws:iam::333333333333:role/crossaccount-execution
    endpoint: {name: decision-trees-production, instance_type: ml.m5.large}
"""


def edited(edits: dict[int, str]) -> str:
    """GOOD with whole lines (counted from 1) replaced; an empty text takes the line out."""
    lines = GOOD.splitlines(keepends=True)
    return "".join(edits.get(number, line) for number, line in enumerate(lines, 1))


def faults_of(text: str) -> tuple[Fault, ...]:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "good.yaml")
    return caught.value.faults


def beside(*lines: str) -> dict[int, str]:
    """Edits that write further lines below line 4."""
    return {4: "versions: approved\n" + "".join(f"{line}\n" for line in lines)}


RELEASES = "releases: s3://producer-models/releases/"
ORGANIZATION = ("principals: organization", "organization:", "  id: o-a1b2c3d4e5")


class Bad(NamedTuple):
    name: str
    edits: dict[int, str]
    key: str
    line: int
    words: tuple[str, ...]  # what is wrong, and the way out


BAD = [
    # model_package_group
    Bad("group is missing", {1: ""}, "model_package_group", 1,
        ("is missing", "Add it, for example model_package_group: decision-trees-sample")),
    Bad("group is empty", {1: "model_package_group:\n"}, "model_package_group", 1,
        ("has no value", "Write one")),
    Bad("group is an ARN",
        {1: "model_package_group: arn:aws:sagemaker:us-east-1:111111111111:model-package-group/churn\n"},
        "model_package_group", 1, ("is an ARN", "Write the name alone: churn.")),
    Bad("group has an underscore", {1: "model_package_group: decision_trees\n"}, "model_package_group", 1,
        ("'decision_trees'", "letters, digits and inner hyphens")),
    Bad("group ends in a newline", {1: 'model_package_group: "trees\\n"\n'}, "model_package_group", 1,
        ("'trees\\n'", "letters, digits and inner hyphens")),
    Bad("group is longer than 63", {1: f"model_package_group: a{'-' * 62}b\n"}, "model_package_group", 1,
        ("has 64 characters", "63 characters or fewer")),
    Bad("group is a number", {1: "model_package_group: 2026\n"}, "model_package_group", 1,
        ("2026 is a number", 'Put it in quotes: "2026"')),
    Bad("group is a list", {1: "model_package_group: [a]\n"}, "model_package_group", 1,
        ("is a list, but text is needed", "Write for example")),
    # region
    Bad("region is missing", {2: ""}, "region", 1, ("is missing", "Add it, for example region: us-east-1")),
    Bad("region has a typo", {2: "region: us-eats-1\n"}, "region", 2,
        ("'us-eats-1'", "Did you mean us-east-1?", "Write the region")),
    Bad("region is a zone", {2: "region: us-east-1a\n"}, "region", 2,
        ("'us-east-1a'", "Did you mean us-east-1?")),
    Bad("region is the global one", {2: "region: aws-global\n"}, "region", 2, ("'aws-global'", "us-east-1")),
    # preset and versions
    Bad("preset is unknown", {3: "preset: aws_docs\n"}, "preset", 3,
        ("'aws_docs'", "Did you mean aws-docs?", "Write least-privilege or aws-docs.")),
    Bad("versions is another word", {4: "versions: aproved\n"}, "versions", 4,
        ("'aproved'", "Did you mean approved?", "such as [1, 2]")),
    Bad("versions is one number", {4: "versions: 3\n"}, "versions", 4,
        ("3 is not a choice", "such as [1, 2]")),
    Bad("versions is an empty list", {4: "versions: []\n"}, "versions", 4,
        ("nothing would be shared", "Write approved")),
    Bad("a version is zero", {4: "versions: [1, 0]\n"}, "versions", 4,
        ("0 is not a version number", "from 1")),
    Bad("a version is text", {4: 'versions: [1, "2"]\n'}, "versions", 4,
        ("'2' is not a version number", "such as [1, 2]")),
    Bad("a version is true", {4: "versions: [true]\n"}, "versions", 4, ("true is not a version number",)),
    Bad("a version comes twice", {4: "versions: [2, 1, 2]\n"}, "versions", 4,
        ("version 2 is listed twice", "Name it once")),
    # producer
    Bad("producer is missing", dict.fromkeys(range(5, 11), ""), "producer", 1,
        ("is missing", "Add it, for example producer:")),
    Bad("producer is text", {**dict.fromkeys(range(6, 11), ""), 5: "producer: us\n"}, "producer", 5,
        ("'us' is text", "Write a mapping of these keys: account, role")),
    Bad("producer account has 11 digits", {6: '  account: "11111111111"\n'}, "producer.account", 6,
        ("it has 11 digits", "Write the 12 digits in quotes")),
    Bad("producer account has hyphens", {6: "  account: 1111-1111-1111\n"}, "producer.account", 6,
        ("'1111-1111-1111'", 'Write its 12 digits alone: "111111111111"')),
    Bad("producer account has a letter", {6: "  account: 11111111111a\n"}, "producer.account", 6,
        ("more than digits", "Write the 12 digits in quotes")),
    Bad("producer account has Arabic digits", {6: f'  account: "{chr(0x661) * 12}"\n'}, "producer.account", 6,
        ("is not an AWS account id", "Write the 12 digits in quotes")),
    Bad("producer role is in another account", {7: "  role: arn:aws:iam::999999999999:role/x\n"},
        "producer.role", 7, ("is a role of account 999999999999", "producer's account 111111111111",
         "Name a role of 111111111111.")),
    Bad("external id without a role", {7: ""}, "producer.external_id", 7,
        ("without a role", "Add producer.role, or delete external_id")),
    Bad("releases key is an alias", {10: f"  {RELEASES}\n  releases_kms_key: alias/releases\n"},
        "producer.releases_kms_key", 11, ("'alias/releases'", "is an alias", "describe-key")),
    Bad("releases key is an alias's ARN",
        {10: f"  {RELEASES}\n  releases_kms_key: arn:aws:kms:us-east-1:111111111111:alias/r\n"},
        "producer.releases_kms_key", 11, ("is an alias", "describe-key")),
    Bad("releases key is an id", {10: f"  {RELEASES}\n  releases_kms_key: 1234abcd-12ab-34cd-56ef-1234567890ab\n"},
        "producer.releases_kms_key", 11, ("is not the ARN of a KMS key", "key/KEY-ID")),
    Bad("releases key is a pattern", {10: f"  {RELEASES}\n  releases_kms_key: arn:aws:kms:us-east-1:111111111111:key/*\n"},
        "producer.releases_kms_key", 11, ("is not the ARN of a KMS key",)),
    Bad("releases key is a consumer's", {10: f"  {RELEASES}\n  releases_kms_key: arn:aws:kms:us-east-1:222222222222:key/k1\n"},
        "producer.releases_kms_key", 11, ("a key of account 222222222222", "Name a key of 111111111111")),
    Bad("releases key lies elsewhere", {10: f"  {RELEASES}\n  releases_kms_key: arn:aws:kms:eu-west-1:111111111111:key/k1\n"},
        "producer.releases_kms_key", 11, ("lies in eu-west-1", "Name a key in us-east-1")),
    Bad("external id has a space", {8: "  external_id: my id\n"}, "producer.external_id", 8,
        ("'my id'", "Use 2 to 1224 letters")),
    Bad("external id is too short", {8: "  external_id: x\n"}, "producer.external_id", 8,
        ("'x'", "Use 2 to 1224")),
    Bad("external id is a number", {8: "  external_id: 12345\n"}, "producer.external_id", 8,
        ("12345 is a number", 'Put it in quotes: "12345"')),
    Bad("profile is copied with its brackets", {9: '  profile: "[profile producer]"\n'}, "producer.profile",
        9, ("cannot name an AWS profile", "between the brackets")),
    Bad("releases is missing", {10: ""}, "producer.releases", 5,
        ("is missing", "releases: s3://BUCKET/releases/")),
    Bad("releases has no slash at the end", {10: "  releases: s3://producer-models/releases\n"},
        "producer.releases", 10, ('does not end in "/"', "Write 's3://producer-models/releases/'.")),
    Bad("releases is a bucket alone", {10: "  releases: s3://producer-models\n"}, "producer.releases", 10,
        ('does not end in "/"', "Write 's3://producer-models/'.")),
    Bad("releases is a web address", {10: "  releases: https://b.s3.amazonaws.com/x/\n"},
        "producer.releases", 10, ("is not an S3 address", "s3://BUCKET/releases/")),
    Bad("releases names an illegal bucket", {10: "  releases: s3://My_Models/releases/\n"},
        "producer.releases", 10, ("bucket 'My_Models'", "lower-case letters")),
    Bad("releases names a bucket like an address", {10: "  releases: s3://192.168.0.1/x/\n"},
        "producer.releases", 10, ("bucket '192.168.0.1'", "Write a bucket of 3 to 63")),
    Bad("releases names a reserved bucket", {10: "  releases: s3://models--x-s3/x/\n"}, "producer.releases",
        10, ("bucket 'models--x-s3'", "which S3 does not allow")),
    Bad("releases has a wildcard", {10: "  releases: s3://producer-models/*/\n"}, "producer.releases", 10,
        ("not safe in a grant", "Use at most 800 letters")),
    Bad("releases has a policy variable", {10: "  releases: s3://producer-models/${aws:username}/\n"},
        "producer.releases", 10, ("not safe in a grant",)),
    Bad("releases has an empty folder", {10: "  releases: s3://producer-models/a//b/\n"},
        "producer.releases", 10, ("empty", "Write a plain prefix")),
    Bad("producer has an unknown key", {9: "  profil: producer\n"}, "producer.profil", 9,
        ("is not a key", "Did you mean profile?", "The keys here are: account, role")),
    # consumers
    Bad("consumers is missing", dict.fromkeys(range(11, 32), ""), "consumers", 1, ("is missing", "Add it")),
    Bad("consumers is empty", {**dict.fromkeys(range(12, 32), ""), 11: "consumers: {}\n"}, "consumers", 11,
        ("names no consumer", "Add at least one")),
    Bad("consumers has no value", dict.fromkeys(range(12, 32), ""), "consumers", 11,
        ("null is empty", "Write a mapping from each consumer's name")),
    Bad("consumers is a list",
        {**dict.fromkeys(range(12, 32), ""), 11: 'consumers: [{account: "222222222222"}]\n'}, "consumers", 11,
        ("is a list", "Write the name as a key")),
    Bad("consumer name has a capital", {12: "  Staging:\n"}, "consumers.Staging", 12,
        ("'Staging'", "lower-case letters, digits and inner hyphens")),
    Bad("consumer has no body", dict.fromkeys(range(28, 32), ""), "consumers.production", 27,
        ("null is empty", "Write a mapping of these keys: account, role")),
    Bad("consumer is the producer",
        {13: '    account: "111111111111"\n', 14: "    role: arn:aws:iam::111111111111:role/d\n",
         17: "    execution_role: arn:aws:iam::111111111111:role/e\n"}, "consumers.staging.account", 13,
        ("is the producer's own account", "Name the account that deploys")),
    Bad("deployer role is missing", {14: ""}, "consumers.staging.role", 12,
        ("is missing", "role: arn:aws:iam::444455556666:role/crossaccount-deployer")),
    Bad("deployer role is in another account", {14: "    role: arn:aws:iam::333333333333:role/x\n"},
        "consumers.staging.role", 14, ("is a role of account 333333333333", "Name a role of 222222222222.")),
    Bad("deployer role is a session", {14: "    role: arn:aws:sts::222222222222:assumed-role/deployer/me\n"},
        "consumers.staging.role", 14, ("one session of a role", "arn:aws:iam::222222222222:role/deployer")),
    Bad("deployer role is a user", {14: "    role: arn:aws:iam::222222222222:user/me\n"},
        "consumers.staging.role", 14, ("is not the ARN of one IAM role", "Write it as arn:aws:iam::")),
    Bad("deployer role is the account root", {14: "    role: arn:aws:iam::222222222222:root\n"},
        "consumers.staging.role", 14, ("is not the ARN of one IAM role", "Write it as arn:aws:iam::")),
    Bad("deployer role is every role", {14: "    role: arn:aws:iam::222222222222:role/*\n"},
        "consumers.staging.role", 14, ("is not the ARN of one IAM role", "Write it as arn:aws:iam::")),
    Bad("deployer role has a wildcard in its path",
        {14: "    role: arn:aws:iam::222222222222:role/team-*/x\n"}, "consumers.staging.role", 14,
        ("is not the ARN of one IAM role", "Write it as arn:aws:iam::")),
    Bad("deployer role is a bare name", {14: "    role: crossaccount-deployer\n"}, "consumers.staging.role",
        14, ("is not an ARN", "Write the whole ARN")),
    Bad("deployer role is in another partition", {14: "    role: arn:aws-cn:iam::222222222222:role/x\n"},
        "consumers.staging.role", 14, ("partition aws-cn", "begins with arn:aws:, or correct the region")),
    Bad("execution role is missing", {17: ""}, "consumers.staging.execution_role", 12,
        ("is missing", "role that SageMaker runs the model with")),
    Bad("execution role is in another account",
        {17: "    execution_role: arn:aws:iam::333333333333:role/x\n"},
        "consumers.staging.execution_role", 17,
        ("is a role of account 333333333333, but a role that SageMaker may be passed must stand in the "
         "consumer's account 222222222222. Name a role of 222222222222.",)),
    Bad("consumer has an unknown key", {16: "    owner: me\n"}, "consumers.staging.owner", 16,
        ("is not a key", "The keys here are: account, role")),
    # endpoint
    Bad("endpoint is a name", {**dict.fromkeys(range(19, 22), ""), 18: "    endpoint: trees\n"},
        "consumers.staging.endpoint", 18,
        ("'trees' is text", "these keys: name, instance_type, instance_count")),
    Bad("endpoint is missing", dict.fromkeys(range(18, 22), ""), "consumers.staging.endpoint", 12,
        ("is missing", "Add it, for example endpoint: {name:")),
    Bad("endpoint name is missing", {19: ""}, "consumers.staging.endpoint.name", 18,
        ("is missing", "Add it")),
    Bad("endpoint name leaves no room", {19: f"      name: {'e' * 51}\n"}, "consumers.staging.endpoint.name",
        19, ("has 51 characters", "50 characters or fewer")),
    Bad("instance type has no ml", {20: "      instance_type: m5.large\n"},
        "consumers.staging.endpoint.instance_type", 20, ("'m5.large'", "family and size: ml.m5.large")),
    Bad("instance count is zero", {21: "      instance_count: 0\n"},
        "consumers.staging.endpoint.instance_count", 21, ("0 is out of bounds", "from 1 to 100")),
    Bad("instance count is 101", {21: "      instance_count: 101\n"},
        "consumers.staging.endpoint.instance_count",
        21, ("101 is out of bounds", "from 1 to 100")),
    Bad("instance count is text", {21: '      instance_count: "2"\n'},
        "consumers.staging.endpoint.instance_count",
        21, ("'2' is text", "without quotes")),
    Bad("instance count is true", {21: "      instance_count: true\n"},
        "consumers.staging.endpoint.instance_count",
        21, ("true is a true-or-false value", "whole number")),
    Bad("two consumers have the same endpoint",
        {28: '    account: "222222222222"\n', 29: "    role: arn:aws:iam::222222222222:role/d\n",
         30: "    execution_role: arn:aws:iam::222222222222:role/e\n",
         31: "    endpoint: {name: Decision-Trees-staging, instance_type: ml.m5.large}\n"},
        "consumers.production.endpoint.name", 31,
        ("is also the endpoint of consumer staging", "Give each its own endpoint name")),
    # smoke
    Bad("smoke has no value", dict.fromkeys(range(23, 27), ""), "consumers.staging.smoke", 22,
        ("null is empty", "Write a list")),
    Bad("smoke is a mapping", {**dict.fromkeys(range(24, 27), ""), 23: "      content_type: text/csv\n"},
        "consumers.staging.smoke", 22, ("is a mapping", "Write a list, each item after a hyphen")),
    Bad("a smoke item is text", {**dict.fromkeys(range(24, 27), ""), 23: "      - text/csv\n"},
        "consumers.staging.smoke[0]", 23, ("is text", "these keys: content_type, body, expect, accept")),
    Bad("smoke content type is no type", {23: "      - content_type: text csv\n"},
        "consumers.staging.smoke[0].content_type", 23, ("'text csv'", "for example text/csv")),
    Bad("smoke body is a list", {24: "        body: [[5.1, 3.5]]\n"}, "consumers.staging.smoke[0].body", 24,
        ("[[5.1, 3.5]] is a list", "Write it as text in single quotes")),
    Bad("smoke body is a number", {24: "        body: 5.1\n"}, "consumers.staging.smoke[0].body", 24,
        ("5.1 is a number", 'Put it in quotes: "5.1"')),
    Bad("smoke expects nothing", {25: ""}, "consumers.staging.smoke[0].expect", 23,
        ("is missing", "Add it, for example expect: [0]")),
    Bad("smoke expects what is no JSON number", {25: "        expect: [1e999]\n"},
        "consumers.staging.smoke[0].expect[0]", 25,
        ("'1e999' is not a number that JSON can carry", "in quotes")),
    # principals
    Bad("principals is another word", beside("principals: role"), "principals", 5,
        ("'role' is not a kind of principals", "Did you mean roles?", "Write accounts, roles or organization.")),
    Bad("principals is a list", beside("principals: [roles]"), "principals", 5,
        ('["roles"] is not a kind', "Write accounts, roles or organization.")),
    Bad("principals has no value", beside("principals:"), "principals", 5, ("null is not a kind", "Write accounts")),
    # the service principal
    Bad("the service principal is a word", beside('sagemaker_service_principal: "yes"'),
        "sagemaker_service_principal", 5, ("'yes' is text", "Write true or false, without quotes.")),
    Bad("the service principal is 1", beside("sagemaker_service_principal: 1"),
        "sagemaker_service_principal", 5, ("1 is a number", "Write true or false")),
    Bad("the service principal with the page's preset",
        {3: "preset: aws-docs\nsagemaker_service_principal: true\n"}, "sagemaker_service_principal", 4,
        ("is not in the AWS page's policies", "Delete it, or use least-privilege.")),
    # organization
    Bad("an organization without its key", beside("principals: organization"), "principals", 5,
        ("needs to know which one", "Add organization: {id: o-...}.")),
    Bad("an organization that nothing is given to", beside("organization: {id: o-a1b2c3d4e5}"),
        "organization", 5, ("nothing is given to", "Write principals: organization, or delete it.")),
    Bad("an organization beside roles", beside("principals: roles", "organization: {id: o-a1b2c3d4e5}"),
        "organization", 6, ("nothing is given to", "or delete it.")),
    Bad("the organization's id is an account", beside(*ORGANIZATION[:2], '  id: "111111111111"'),
        "organization.id", 7, ("is not the id of an AWS organization", "Write it as in o-a1b2c3d4e5")),
    Bad("the organization's id is too short", beside(*ORGANIZATION[:2], "  id: o-a1b2"),
        "organization.id", 7, ("'o-a1b2'", "describe-organization")),
    Bad("the organization's id has a star", beside(*ORGANIZATION[:2], '  id: "o-a1b2c3d4*"'),
        "organization.id", 7, ("is not the id", "Write it as in o-a1b2c3d4e5")),
    Bad("the organization's id is missing", beside(*ORGANIZATION[:2], "  role_names: [run]"),
        "organization.id", 6, ("is missing: id of the organization", "for example id: o-a1b2c3d4e5")),
    Bad("organization is an id", beside("principals: organization", "organization: o-a1b2c3d4e5"),
        "organization", 6, ("'o-a1b2c3d4e5' is text", "Write a mapping of these keys: id, paths, role_names.")),
    Bad("organization has an unknown key", beside(*ORGANIZATION, "  path: [x]"), "organization.path", 8,
        ("is not a key", "Did you mean paths?", "The keys here are: id, paths, role_names.")),
    Bad("a path is a unit's id", beside(*ORGANIZATION, "  paths: [ou-ab12-11111111]"), "organization.paths[0]",
        8, ("is not the path of an organizational unit", "each part followed by a slash")),
    Bad("a path has no slash at its end",
        beside(*ORGANIZATION, "  paths: [o-a1b2c3d4e5/r-ab12/ou-ab12-11111111]"), "organization.paths[0]", 8,
        ("is not the path", "each part followed by a slash: o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/")),
    Bad("a path has a star", beside(*ORGANIZATION, '  paths: ["o-a1b2c3d4e5/*"]'), "organization.paths[0]", 8,
        ("is not the path", "from the organization down")),
    Bad("a path is another organization's",
        beside(*ORGANIZATION, "  paths:", "    - o-a1b2c3d4e5/r-ab12/", "    - o-zzzzzzzzzz/r-ab12/"),
        "organization.paths[1]", 10,
        ("is a path of another organization than o-a1b2c3d4e5", "Write a path of o-a1b2c3d4e5.")),
    Bad("paths is one path", beside(*ORGANIZATION, "  paths: o-a1b2c3d4e5/r-ab12/"), "organization.paths", 8,
        ("is text", "Write a list, each item after a hyphen.")),
    Bad("a role name is an ARN", beside(*ORGANIZATION, "  role_names: [arn:aws:iam::222222222222:role/run]"),
        "organization.role_names[0]", 8, ("cannot name a role", "Write its name, with its path")),
    Bad("a role name has a star", beside(*ORGANIZATION, '  role_names: ["crossaccount-*"]'),
        "organization.role_names[0]", 8, ("cannot name a role", "for example crossaccount-execution")),
    Bad("a role name begins with a slash", beside(*ORGANIZATION, "  role_names: [/team/run]"),
        "organization.role_names[0]", 8, ("'/team/run' cannot name a role", "Write its name")),
    Bad("role names is one name", beside(*ORGANIZATION, "  role_names: run"), "organization.role_names", 8,
        ("is text", "Write a list, each item after a hyphen.")),
    Bad("roles with the page's preset", {3: "preset: aws-docs\nprincipals: roles\n"}, "principals", 4,
        ("is not in the AWS page's policies", "Delete it, or use least-privilege.")),
    Bad("an organization with the page's preset",
        {3: "preset: aws-docs\n" + "\n".join(ORGANIZATION) + "\n"}, "principals", 4,
        ("is not in the AWS page's policies", "or use least-privilege.")),
    # expires
    Bad("expires is a word", {16: "    expires: soon\n"}, "consumers.staging.expires", 16,
        ("'soon' is not a time", 'for example "2026-12-31T18:00:00Z"')),
    Bad("expires has no zone", {16: "    expires: 2026-12-31T18:00:00\n"}, "consumers.staging.expires", 16,
        ("It has no time zone: end it with Z.", "Write a date")),
    Bad("expires is no day of the year", {16: "    expires: 2026-02-30\n"}, "consumers.staging.expires", 16,
        ("'2026-02-30' is not a time", "Write a date")),
    Bad("expires has parts of a second", {16: "    expires: 2026-12-31T18:00:00.5Z\n"},
        "consumers.staging.expires", 16, ("is not a time", "Write a date, whose beginning in UTC is meant")),
    Bad("expires is a number", {16: "    expires: 2026\n"}, "consumers.staging.expires", 16,
        ("2026 is a number", 'Put it in quotes: "2026"')),
    Bad("expires is past all time", {16: "    expires: 0001-01-01T00:00:00+23:59\n"},
        "consumers.staging.expires", 16, ("is not a time", "Write a date")),
    Bad("expires is the producer's", {9: "  expires: 2026-12-31\n"}, "producer.expires", 9,
        ("is not a key that is known here", "The keys here are: account, role")),
    Bad("expires of an organization's consumer",
        {2: "region: us-east-1\n" + "\n".join(ORGANIZATION) + "\n", 16: "    expires: 2026-12-31\n"},
        "consumers.staging.expires", 19,
        ("cannot end one consumer's access", "Delete it, or choose other principals.")),
    Bad("expires with the page's preset", {3: "preset: aws-docs\n", 16: "    expires: 2026-12-31\n"},
        "consumers.staging.expires", 16,
        ("is not in the AWS page's policies", "Delete it, or use least-privilege.")),
    # the notation
    Bad("an unknown key at the top", {4: "version: approved\n"}, "version", 4,
        ("is not a key", "Did you mean versions?", "The keys here are: model_package_group")),
    Bad("a key that is a number", {4: "4: approved\n"}, "4", 4, ("is not a key", "The keys here are")),
    Bad("a key with a line break", {4: '"a\\nb": approved\n'}, "'a\\nb'", 4,
        ("is not a key", "The keys here are")),
    Bad("a key that is a list", {4: "? [a]\n: b\n"}, "", 4, ("a mapping as a key", "Write a plain word")),
    Bad("the same key twice", {3: "region: eu-west-1\n"}, "region", 3,
        ("is written twice, first in line 2", "Keep one of the two")),
    Bad("the same consumer twice", {27: "  staging:\n"}, "consumers.staging", 27,
        ("is written twice, first in line 12", "Keep one of the two")),
    Bad("a merge key", {18: "    endpoint: {<<: {name: a}, name: b, instance_type: ml.m5.large}\n",
                        **dict.fromkeys(range(19, 22), "")}, "consumers.staging.endpoint.'<<'", 18,
        ("merges another mapping", "Write the keys out")),
    Bad("a tag that would run code", {1: "model_package_group: !!python/object/apply:os.getcwd []\n"},
        "model_package_group", 1,
        ("carries the YAML tag '!!python/object/apply:os.getcwd'", "Delete the tag")),
    Bad("half of a character pair", {9: '  profile: "\\uD800"\n'}, "producer.profile", 9,
        ("half of a character pair", "Correct the escape")),
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD, ids=[bad.name for bad in BAD])
def test_a_bad_config_gives_one_fault_with_its_key_line_and_way_out(bad: Bad) -> None:
    faults = faults_of(edited(bad.edits))
    told = [fault for fault in faults if (fault.key, fault.line) == (bad.key, bad.line)]
    if not bad.name.startswith("a tag"):  # its value is a list, which is a second fault of the same key
        assert [(fault.key, fault.line) for fault in faults] == [(bad.key, bad.line)]
    for words in bad.words:
        assert words in told[0].message


@pytest.mark.parametrize("bad", BAD, ids=[bad.name for bad in BAD])
def test_every_message_is_one_readable_line_in_our_own_words(bad: Bad) -> None:
    for fault in faults_of(edited(bad.edits)):
        assert fault.message.isprintable()
        assert len(fault.message) < 400
        assert len(fault.value) <= 80
        for foreign in ("Input should", "Field required", "Extra inputs", "validation error", "pydantic"):
            assert foreign not in fault.message


def test_the_table_is_long_and_its_names_are_unique() -> None:
    assert len({bad.name for bad in BAD}) == len(BAD) >= 30


def test_all_faults_are_told_at_once_in_the_order_of_lines() -> None:
    text = edited(
        {
            2: "region: mars-1\n",
            6: "  account: 12\n",
            10: "  releases: s3://producer-models/releases\n",
            17: "    execution_role: arn:aws:iam::333333333333:role/x\n",
            21: "      instances: 1\n",
        }
    )
    assert [(fault.line, fault.key) for fault in faults_of(text)] == [
        (2, "region"),
        (6, "producer.account"),
        (10, "producer.releases"),
        (17, "consumers.staging.execution_role"),
        (21, "consumers.staging.endpoint.instances"),
    ]


def test_the_error_reads_as_one_line_for_each_fault() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(edited({2: "region: us-eats-1\n", 21: "      instance_count: 0\n"}), "configs/mine.yaml")
    first, second = str(caught.value).splitlines()
    assert first.startswith("configs/mine.yaml:2: region: 'us-eats-1' is not a region")
    assert second.startswith(
        "configs/mine.yaml:21: consumers.staging.endpoint.instance_count: 0 is out of bounds"
    )
    assert caught.value.exit_code == 2


def test_the_error_survives_pickling() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(edited({2: "region: us-eats-1\n"}))
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 our own bytes
    assert str(again) == str(caught.value)
    assert again.faults == caught.value.faults


def test_a_long_value_is_cut_and_an_unknown_value_is_not_shown() -> None:
    (long,) = faults_of(edited({2: f"region: {'x' * 5000}\n"}))
    assert len(long.value) == 80
    assert len(long.message) < 400
    (unknown,) = faults_of(edited({9: "  secret_access_key: hunter2hunter2\n"}))
    assert "hunter2" not in f"{unknown.value}{unknown.message}"


class Unreadable(NamedTuple):
    name: str
    content: bytes
    line: int | None
    words: tuple[str, ...]


def alias_bomb(levels: int) -> bytes:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for level in range(1, levels):
        lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]")
    return "\n".join(lines).encode()


UNREADABLE = [
    Unreadable("an empty file", b"", None, ("is empty", "configs/example.yaml")),
    Unreadable("comments alone", b"# nothing yet\n", None, ("is empty", "configs/example.yaml")),
    Unreadable("a null document", b"---\n", None, ("is empty", "configs/example.yaml")),
    Unreadable("a list", b"# c\n- a\n- b\n", 2, ("is a list", "configs/example.yaml")),
    Unreadable("a word", b"hello\n", 1, ("is text", "begins with model_package_group")),
    Unreadable("a syntax error", b"region: us-east-1\nproducer: {account\nconsumers: x\n", 3,
               ("is not valid YAML", "Check the indentation")),
    Unreadable("a tab", b"producer:\n\taccount: x\n", 2,
        ("is not valid YAML", "Indent with spaces, not with tabs")),
    Unreadable("an open quote", b'region: "us-east-1\n', 2, ("is not valid YAML", "the quotes")),
    Unreadable("two documents", b"region: a\n---\nregion: b\n", 2,
        ("is not valid YAML", "one configuration in one file")),
    Unreadable("an unknown alias", b"region: *nowhere\n", 1, ("is not valid YAML", "nowhere")),
    Unreadable("a control character", b"region: a\nproducer: \x07\n", 2, ("'\\x07'", "Delete it")),
    Unreadable("an impossible escape", b'region: "\\UFFFFFFFF"\n', None, ("does not allow", "Delete it")),
    Unreadable("Latin-1", "region: us\nprofile: Zürich\n".encode("latin-1"), 2,
        ("is not UTF-8", "encoding UTF-8")),
    Unreadable("UTF-16", GOOD.encode("utf-16"), 1, ("is not UTF-8", "encoding UTF-8")),
    Unreadable("more than 1 MB", GOOD.encode() + b"#" * 1_000_000, None,
        ("larger than 1 MB", "the right file")),
    Unreadable("an alias bomb", alias_bomb(12), None, ("its aliases", "Write the values out")),
    Unreadable("an alias of itself", b"a: &a [*a]\n", None, ("its aliases", "Write the values out")),
    Unreadable("brackets without end", b"a: " + b"[" * 100_000, None,
        ("nested more than 64", "plain configuration")),
    Unreadable("hyphens without end", b"- " * 100_000 + b"a", None,
        ("nested more than 64", "plain configuration")),
    Unreadable("a very long list", b"a: [" + b"1," * 300_000 + b"]", None,
        ("more than 20000 values", "plain")),
]  # fmt: skip


@pytest.mark.parametrize("bad", UNREADABLE, ids=[bad.name for bad in UNREADABLE])
def test_a_file_that_is_no_config_gives_one_fault_fast(bad: Unreadable, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(bad.content)
    start = time.perf_counter()
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert time.perf_counter() - start < 5
    (fault,) = caught.value.faults
    assert fault.key == ""
    assert fault.message.isprintable()
    if bad.line is not None:
        assert fault.line == bad.line
    for words in bad.words:
        assert words in fault.message
    assert str(caught.value).startswith(str(path))


def test_a_path_that_cannot_be_read_gives_one_fault(tmp_path: Path) -> None:
    locked = tmp_path / "loop.yaml"
    locked.symlink_to(locked)
    for path, words in (
        (tmp_path / "missing.yaml", "there is no such file. Give the path"),
        (tmp_path / "missing" / "deeper.yaml", "there is no such file. Give the path"),
        (tmp_path, "is a directory. Give the path of one YAML file"),
        (locked, "cannot be read"),
        ("a\0b", "is not a path"),
    ):
        with pytest.raises(ConfigError) as caught:
            load_config(path)
        (fault,) = caught.value.faults
        assert words in fault.message
        assert str(caught.value).startswith(f"{os.fspath(path)}: ")


# Good configs


def test_a_good_config_is_read_whole() -> None:
    sharing = parse_config(GOOD)
    assert sharing == Sharing(
        model_package_group="decision-trees-sample",
        region="us-east-1",
        preset="least-privilege",
        versions="approved",
        producer=ProducerConfig(
            account="111111111111",
            role="arn:aws:iam::111111111111:role/crossaccount-producer",
            external_id="producer-external-id",
            profile="producer",
            releases="s3://producer-models/releases/",
        ),
        consumers={
            "staging": ConsumerConfig(
                account="222222222222",
                role="arn:aws:iam::222222222222:role/crossaccount-deployer",
                external_id="staging-external-id",
                profile="staging",
                execution_role="arn:aws:iam::222222222222:role/crossaccount-execution",
                endpoint=Endpoint(
                    name="decision-trees-staging", instance_type="ml.m5.large", instance_count=1
                ),
                smoke=(Smoke(content_type="text/csv", body="5.1,3.5,1.4,0.2", expect=[0]),),
            ),
            "production": ConsumerConfig(
                account="333333333333",
                role="arn:aws:iam::333333333333:role/crossaccount-deployer",
                execution_role="arn:aws:iam::333333333333:role/crossaccount-execution",
                endpoint=Endpoint(name="decision-trees-production", instance_type="ml.m5.large"),
            ),
        },
    )
    assert sharing.partition == "aws"
    assert (sharing.producer.releases_bucket, sharing.producer.releases_prefix) == (
        "producer-models",
        "releases/",
    )


def test_what_is_optional_may_be_left_out() -> None:
    sharing = parse_config(edited(dict.fromkeys([3, 4, 7, 8, 9, 15, 16, 21, *range(22, 27)], "")))
    assert (sharing.preset, sharing.versions) == ("least-privilege", "approved")
    assert (sharing.producer.role, sharing.producer.external_id, sharing.producer.profile) == (
        None,
        None,
        None,
    )
    assert sharing.consumers["staging"].smoke == ()
    assert sharing.consumers["staging"].endpoint.instance_count == 1


@pytest.mark.parametrize(
    ("edits", "path", "value"),
    [
        ({4: "versions: [3, 1]\n"}, "versions", (3, 1)),
        ({3: "preset: aws-docs\n"}, "preset", "aws-docs"),
        ({6: "  account: 111111111111\n"}, "producer.account", "111111111111"),
        ({6: "  account: 011111111111\n", 7: "  role: arn:aws:iam::011111111111:role/x\n"},
         "producer.account", "011111111111"),
        ({7: "  role: arn:aws:iam::111111111111:role/team/ml/x\n"}, "producer.role",
         "arn:aws:iam::111111111111:role/team/ml/x"),
        ({9: "  profile: NO\n"}, "producer.profile", "NO"),
        ({9: "  profile:\n"}, "producer.profile", None),
        ({10: "  releases: s3://producer-models/\n"}, "producer.releases_prefix", ""),
        ({10: "  releases: s3://producer.models/a/b=1/\n"}, "producer.releases_bucket", "producer.models"),
    ],
)  # fmt: skip
def test_a_value_is_kept_as_it_is_meant(edits: dict[int, str], path: str, value: object) -> None:
    found: Any = parse_config(edited(edits))
    for name in path.split("."):
        found = getattr(found, name)
    assert found == value


@pytest.mark.parametrize(
    ("edits", "path", "value"),
    [
        ({}, "principals", "accounts"),
        (beside("principals: accounts"), "principals", "accounts"),
        (beside("principals: roles"), "principals", "roles"),
        (beside(*ORGANIZATION), "organization.id", "o-a1b2c3d4e5"),
        (beside(*ORGANIZATION), "organization.paths", ()),
        (beside(*ORGANIZATION), "organization.role_names", ()),
        ({}, "organization", None),
        (beside(*ORGANIZATION[:2], f"  id: o-{'a' * 32}"), "organization.id", f"o-{'a' * 32}"),
        (beside(*ORGANIZATION, "  paths: [o-a1b2c3d4e5/r-ab12/]"), "organization.paths",
         ("o-a1b2c3d4e5/r-ab12/",)),
        (beside(*ORGANIZATION, "  paths: [o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/ou-ab12-22222222/]"),
         "organization.paths", ("o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/ou-ab12-22222222/",)),
        (beside(*ORGANIZATION, "  role_names: [run, team/ml/run]"), "organization.role_names",
         ("run", "team/ml/run")),
        ({}, "sagemaker_service_principal", False),
        (beside("sagemaker_service_principal: true"), "sagemaker_service_principal", True),
        ({3: "preset: aws-docs\nprincipals: accounts\nsagemaker_service_principal: false\n"},
         "sagemaker_service_principal", False),
    ],
)  # fmt: skip
def test_who_is_let_in_is_kept_as_it_is_meant(edits: dict[int, str], path: str, value: object) -> None:
    found: Any = parse_config(edited(edits))
    for name in path.split("."):
        found = getattr(found, name)
    assert found == value


@pytest.mark.parametrize(
    ("written", "until"),
    [
        ("2026-12-31", "2026-12-31T00:00:00Z"),
        ('"2026-12-31"', "2026-12-31T00:00:00Z"),
        ("2026-12-31T18:00:00Z", "2026-12-31T18:00:00Z"),
        ("2026-12-31T18:00Z", "2026-12-31T18:00:00Z"),
        ("2026-12-31 18:00:00Z", "2026-12-31T18:00:00Z"),
        ("2026-12-31T18:00:00+02:00", "2026-12-31T16:00:00Z"),
        ("2026-12-31T23:30:00-01:00", "2027-01-01T00:30:00Z"),
        ("2020-01-01", "2020-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
    ],
)
def test_an_end_is_kept_in_utc(written: str, until: str) -> None:
    found = parse_config(edited({16: f"    expires: {written}\n"})).consumers
    assert found["staging"].until == until
    assert (found["production"].expires, found["production"].until) == (None, None)


def test_every_way_that_the_page_s_preset_does_not_know_is_told() -> None:
    text = edited(
        {
            3: "preset: aws-docs\nprincipals: roles\nsagemaker_service_principal: true\n",
            16: "    expires: 2026-12-31\n",
        }
    )
    assert [(fault.line, fault.key) for fault in faults_of(text)] == [
        (4, "principals"),
        (5, "sagemaker_service_principal"),
        (18, "consumers.staging.expires"),
    ]


@pytest.mark.parametrize("expect", [[0], {"a": [1.5, None]}, "setosa", 2026, 0.25, True, None, "2026-01-02"])
def test_any_json_value_may_be_expected(expect: object) -> None:
    (smoke,) = (
        parse_config(edited({25: f"        expect: {expect_text(expect)}\n"})).consumers["staging"].smoke
    )
    assert smoke.expect == expect
    assert type(smoke.expect) is type(expect)


def expect_text(expect: object) -> str:
    return (
        "2026-01-02"
        if expect == "2026-01-02"
        else yaml.safe_dump(expect, default_flow_style=True).split("\n...")[0]
    )


def test_consumers_may_share_an_account_under_two_endpoint_names() -> None:
    sharing = parse_config(GOOD.replace("333333333333", "222222222222"))
    assert {each.account for each in sharing.consumers.values()} == {"222222222222"}


def test_other_partitions_are_read() -> None:
    sharing = parse_config(GOOD.replace("arn:aws:", "arn:aws-cn:").replace("us-east-1", "cn-north-1"))
    assert sharing.partition == "aws-cn"


def test_aliases_and_a_byte_order_mark_are_read() -> None:
    text = GOOD.replace("    smoke:\n", "    smoke: &asked\n") + "    smoke: *asked\n"
    sharing = parse_config(text)
    assert sharing.consumers["staging"].smoke == sharing.consumers["production"].smoke


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(GOOD, encoding="utf-8-sig")
    assert load_config(path) == load_config(str(path)) == parse_config(GOOD)


def test_the_sandbox_config_says_what_the_sandbox_holds() -> None:
    sharing = load_config(CONFIGS / "sandbox.yaml")
    assert (sharing.model_package_group, sharing.region) == ("decision-trees-sample", "us-east-1")
    assert sharing.producer.account == "111111111111"
    assert {name: each.account for name, each in sharing.consumers.items()} == {
        "staging": "222222222222",
        "production": "333333333333",
    }
    assert sharing.consumers["staging"].smoke == ()
    assert sharing.consumers["production"].smoke[0].expect == [0, 0]


def test_the_example_names_every_key() -> None:
    data = yaml.safe_load((CONFIGS / "example.yaml").read_text(encoding="utf-8"))
    staging = data["consumers"]["staging"]
    for given, model in (
        (data, Sharing),
        (data["producer"], ProducerConfig),
        (staging, ConsumerConfig),
        (staging["endpoint"], Endpoint),
        (staging["smoke"][0], Smoke),
    ):
        assert list(given) == [key for key in model.model_fields if key != "organization"]
    load_config(CONFIGS / "example.yaml")


def test_the_example_s_organization_can_be_put_in() -> None:
    text = (CONFIGS / "example.yaml").read_text(encoding="utf-8")
    lines = [line.removeprefix("#   ") if line.startswith("#   ") else line for line in text.splitlines()]
    block = lines[lines.index("organization:") : lines.index("sagemaker_service_principal: false")]
    data = {**yaml.safe_load(text), **yaml.safe_load("\n".join(block)), "principals": "organization"}
    assert list(data["organization"]) == list(OrganizationScope.model_fields)
    del data["consumers"]["staging"]["expires"]
    assert parse_config(yaml.safe_dump(data)).organization is not None


def test_the_least_config_is_short_and_each_of_its_keys_is_explained() -> None:
    sharing = load_config(CONFIGS / "minimal.yaml")
    full = load_config(CONFIGS / "sandbox.yaml")
    assert sharing == full.model_copy(update={"consumers": {"staging": full.consumers["staging"]}})
    lines = (CONFIGS / "minimal.yaml").read_text(encoding="utf-8").splitlines()
    keys = [line for line in lines if line and not line.startswith("#")]
    assert len(keys) <= 20
    assert all(len(line.partition(" # ")[2].split()) >= 3 for line in keys)


@pytest.mark.parametrize(
    "key",
    [
        *("model_package_group", "region", "producer", "producer.account", "producer.releases", "consumers"),
        *("consumers.staging.account", "consumers.staging.role", "consumers.staging.execution_role"),
        *("consumers.staging.endpoint", "consumers.staging.endpoint.name"),
        "consumers.staging.endpoint.instance_type",
    ],
)
def test_the_least_config_is_the_least(key: str) -> None:
    """Its other keys are what its roles' trust and its profiles ask for."""
    data = yaml.safe_load((CONFIGS / "minimal.yaml").read_text(encoding="utf-8"))
    *parents, last = key.split(".")
    node = data
    for parent in parents:
        node = node[parent]
    del node[last]
    with pytest.raises(ConfigError) as refused:
        parse_config(yaml.safe_dump(data))
    assert key in [fault.key for fault in refused.value.faults]


# Frozen


def test_nothing_of_a_config_can_be_changed() -> None:
    sharing: Any = parse_config(GOOD)
    for model, field in (
        (sharing, "region"),
        (sharing.producer, "account"),
        (sharing.consumers["staging"], "role"),
        (sharing.consumers["staging"].endpoint, "name"),
        (sharing.consumers["staging"].smoke[0], "body"),
    ):
        with pytest.raises(ValidationError):
            setattr(model, field, "x")
    consumers = sharing.consumers
    changes: tuple[Callable[[], object], ...] = (
        lambda: consumers.__setitem__("x", 1),
        lambda: consumers.__delitem__("staging"),
        lambda: consumers.update(x=1),
        lambda: consumers.setdefault("x", 1),
        lambda: consumers.__ior__({"x": 1}),
        lambda: consumers.pop("staging"),
        lambda: consumers.popitem(),
        lambda: consumers.clear(),
    )
    for change in changes:
        with pytest.raises(TypeError, match="not changed after it was read"):
            change()
    assert sharing == parse_config(GOOD)


def test_a_config_pickles_and_copies() -> None:
    sharing = parse_config(GOOD)
    assert pickle.loads(pickle.dumps(sharing)) == sharing  # noqa: S301 our own bytes
    assert copy.deepcopy(sharing) == sharing


def test_a_config_goes_through_json() -> None:
    sharing = parse_config(GOOD)
    assert Sharing.model_validate_json(sharing.model_dump_json()) == sharing
    assert Sharing.model_validate(sharing.model_dump()) == sharing


def test_a_config_made_in_python_is_held_to_the_same_rules() -> None:
    data = parse_config(GOOD).model_dump(exclude_none=True)
    data["consumers"]["staging"]["execution_role"] = "arn:aws:iam::333333333333:role/x"
    with pytest.raises(
        ValidationError, match=r"consumers\.staging\.execution_role: .* Name a role of 222222222222"
    ):
        Sharing.model_validate(data)


def test_an_end_made_in_python_is_held_to_the_same_rules() -> None:
    data = parse_config(GOOD).model_dump(exclude_none=True)
    end = datetime(2026, 12, 31, 18, tzinfo=timezone(timedelta(hours=2)))
    data["consumers"]["staging"]["expires"] = end
    assert Sharing.model_validate(data).consumers["staging"].until == "2026-12-31T16:00:00Z"


# consumer()


def test_a_consumer_is_found_by_its_name() -> None:
    sharing = parse_config(GOOD)
    assert sharing.consumer("production") is sharing.consumers["production"]


def test_an_unknown_consumer_is_bad_input_that_lists_the_names_there_are() -> None:
    with pytest.raises(InputError) as caught:
        parse_config(GOOD).consumer("stagging")
    assert str(caught.value) == (
        "'stagging' is not a consumer of this configuration. Did you mean staging? "
        "Name one of these: staging, production."
    )
    assert caught.value.exit_code == 2


# The edge


def test_reading_opens_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    load_config(CONFIGS / "example.yaml")
    assert len(faults_of(edited({2: "region: nowhere\n"}))) == 1


def test_reading_needs_neither_boto3_nor_prefect() -> None:
    code = (
        "import sys; from crossaccount.config.loading import load_config; load_config(sys.argv[1]);"
        "print({'boto3', 'prefect'} & set(sys.modules))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(CONFIGS / "sandbox.yaml")],
        capture_output=True,
        text=True,
        check=True,
        cwd=CONFIGS.parent,
    )
    assert ran.stdout.strip() == "set()"
