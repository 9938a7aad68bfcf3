"""AWS's identifiers: accounts, regions, roles, buckets and names, each by the pattern that AWS states for it.

Not here: whether two of them agree (``agreement``), or exist.
"""

import ipaddress
import re
from collections.abc import Callable
from typing import Annotated, Literal

from crossaccount.config.values import PRINTABLE, Check, check_text, fault, texts
from crossaccount.regions import partitions
from crossaccount.text import did_you_mean, quote


def check_account(value: object) -> str:
    """Return an AWS account id, as text; raises a sentence for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    text = check_text(value, '"111122223333"')
    if re.fullmatch(r"[0-9]{12}", text):
        return text
    digits = re.sub(r"[^0-9]", "", text)
    if len(digits) == 12 and re.fullmatch(r"[0-9 -]+", text):
        raise fault(f'{quote(text)} is not an AWS account id. Write its 12 digits alone: "{digits}".')
    count = f"{len(text)} digits" if digits == text else "more than digits"
    raise fault(
        f"{quote(text)} is not an AWS account id: it has {count}, and an id is exactly 12 digits. "
        f'Write the 12 digits in quotes, for example "111122223333".'
    )


def _matching(pattern: str, example: str, refusal: str) -> Callable[[object], str]:
    """Make the check of text by a pattern; `refusal` ends the message about text that does not match."""

    def check(value: object) -> str:
        text = check_text(value, example)
        if re.fullmatch(pattern, text, re.ASCII):
            return text
        raise fault(f"{quote(text)} {refusal}")

    return check


# botocore, sagemaker: EntityName, ModelName
_ENTITY_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", re.ASCII)


def _entity_name(value: object, what: str, longest: int, example: str) -> str:
    text = check_text(value, example)
    if text.startswith("arn:"):
        name = text.rsplit("/", 1)[-1]
        way_out = name if _ENTITY_NAME.fullmatch(name) else example
        raise fault(
            f"{quote(text)} is an ARN, but the {what} is given by its name. Write the name alone: {way_out}."
        )
    if not _ENTITY_NAME.fullmatch(text):
        raise fault(
            f"{quote(text)} cannot name a {what}. Use letters, digits and inner hyphens only, for example {example}."
        )
    if len(text) > longest:
        raise fault(
            f"{quote(text)} has {len(text)} characters. Choose a name of {longest} characters or fewer."
        )
    return text


def _group_name(value: object) -> str:
    return _entity_name(value, "model package group", 63, "decision-trees-sample")


def check_endpoint_name(value: object) -> str:
    """Return the name of an endpoint that leaves room for its versions; raises a sentence for anything else."""
    # SageMaker's own limit is 63; the rest belongs to the "-v<version>" of models and endpoint configs.
    return _entity_name(value, "endpoint", 50, "decision-trees-staging")


def check_region(value: object) -> str:
    """Return the name of a region that botocore knows; raises a sentence for anything else."""
    text = check_text(value, "us-east-1")
    if text in partitions():
        return text
    near = did_you_mean(text, tuple(partitions()))
    raise fault(
        f"{quote(text)} is not a region that the installed botocore knows.{near} "
        f"Write the region of the model package group, as in us-east-1. For a newer region, upgrade botocore."
    )


_ROLE = re.compile(r"arn:(aws[a-z-]*):iam::([0-9]{12}):role/(?:[!-~]{0,510}/)?[A-Za-z0-9_+=,.@-]{1,64}")
_SESSION = re.compile(r"arn:(aws[a-z-]*):sts::([0-9]{12}):assumed-role/([A-Za-z0-9_+=,.@-]{1,64})/.*")


def check_role(value: object) -> str:
    """Return the ARN of one IAM role; raises a sentence for anything else."""
    example = "arn:aws:iam::111122223333:role/NAME"
    text = check_text(value, example)
    if _ROLE.fullmatch(text) and not re.search(r"[*?$]", text):
        return text
    if session := _SESSION.fullmatch(text):
        partition, account, name = session.groups()
        raise fault(
            f"{quote(text)} is one session of a role. Write the role's own ARN: "
            f"arn:{partition}:iam::{account}:role/{name} (with its path, if it has one)."
        )
    if text.startswith("arn:"):
        raise fault(f"{quote(text)} is not the ARN of one IAM role. Write it as {example}.")
    raise fault(f"{quote(text)} is not an ARN. Write the whole ARN of the role, as in {example}.")


def _profile(value: object) -> str:
    text = check_text(value, "producer")
    if text == text.strip() and text.isprintable() and not re.search(r"[\[\]]", text):
        return text
    raise fault(
        f"{quote(text)} cannot name an AWS profile. Write the name between the brackets of ~/.aws/config, "
        f'without "profile", or delete the key to use the ambient credentials.'
    )


_INSTANCE_TYPE = r"ml\.[a-z0-9-]+\.[a-z0-9]+"


def _instance_type(value: object) -> str:
    text = check_text(value, "ml.m5.large")
    if re.fullmatch(_INSTANCE_TYPE, text):
        return text
    way_out = (
        f"ml.{text}" if re.fullmatch(r"[a-z0-9-]+\.[a-z0-9]+", text) and text[:3] != "ml." else "ml.m5.large"
    )
    raise fault(
        f"{quote(text)} is not a SageMaker instance type. Write it with its family and size: {way_out}."
    )


def _alarm(value: object) -> str:
    text = check_text(value, "churn-errors")
    if text.startswith("arn:"):
        raise fault(
            f"{quote(text)} is an ARN, but an alarm is given by its name. Write what follows the last colon."
        )
    if len(text) <= 255 and text.isprintable():  # botocore, cloudwatch: AlarmName
        return text
    raise fault(f"{quote(text)} cannot name a CloudWatch alarm. Write its name, for example churn-errors.")


_ORGANIZATION_ID = r"o-[a-z0-9]{10,32}"  # botocore, organizations: OrganizationId
check_organization_id = _matching(
    _ORGANIZATION_ID,
    "o-a1b2c3d4e5",
    "is not the id of an AWS organization. Write it as in o-a1b2c3d4e5 (aws organizations describe-organization).",
)
_ORGANIZATION_PATH = r"o-[a-z0-9]{10,32}/r-[a-z0-9]{4,32}/(?:ou-[a-z0-9]{4,32}-[a-z0-9]{8,32}/)*"
_organization_path = _matching(
    _ORGANIZATION_PATH,
    "o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/",
    "is not the path of an organizational unit. Write it from the organization down, each part followed by a "
    "slash: o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/",
)
_ROLE_NAME = r"(?:[A-Za-z0-9_+=,.@-]{1,128}/){0,8}[A-Za-z0-9_+=,.@-]{1,64}"
_role_name = _matching(
    _ROLE_NAME,
    "crossaccount-execution",
    "cannot name a role. Write its name, with its path if it has one, for example crossaccount-execution.",
)
_EXTERNAL_ID = r"[A-Za-z0-9_+=,.@:/-]{2,1224}"  # botocore, sts: externalIdType
_external_id = _matching(
    _EXTERNAL_ID,
    "team-churn-2026",
    "cannot be an external id. Use 2 to 1224 letters, digits and the characters _ + = , . @ : / - as they stand in the role's trust policy.",
)
_KMS_KEY = r"[a-zA-Z0-9:/_-]{1,2048}"  # botocore, sagemaker: KmsKeyId
_kms_key = _matching(
    _KMS_KEY,
    "arn:aws:kms:us-east-1:111122223333:key/KEY-ID",
    "cannot name a KMS key. Write its ARN, as in arn:aws:kms:us-east-1:111122223333:key/KEY-ID.",
)


_KEY_ARN = re.compile(r"arn:(aws[a-z-]*):kms:([a-z0-9-]+):([0-9]{12}):key/[A-Za-z0-9-]{1,256}", re.ASCII)


def check_key_arn(value: object) -> str:
    """Return the ARN of one KMS key; raises a sentence for anything else, an alias too."""
    example = "arn:aws:kms:us-east-1:111122223333:key/KEY-ID"
    text = check_text(value, example)
    if _KEY_ARN.fullmatch(text):
        return text
    if "alias/" in text:
        raise fault(
            f"{quote(text)} is an alias, and a policy knows keys alone. Write the ARN of its key: aws kms describe-key --key-id ALIAS "
            "--query KeyMetadata.Arn."
        )
    raise fault(f"{quote(text)} is not the ARN of a KMS key. Write it as in {example}.")


def network_id(prefix: str) -> Check:
    """Make the check of an id such as sg-0a1b2c, by its prefix."""
    example, pattern = f"{prefix}-0a1b2c3d4e5f60718", rf"{prefix}-[0-9a-zA-Z]{{1,26}}"
    refusal = f"is not such an id. Write it as in {example}."
    return Check(_matching(pattern, example, refusal), schema=texts(pattern))


_BUCKET = re.compile(r"(?!xn--|sthree-|amzn-s3-demo-)[a-z0-9](?:[a-z0-9-]|\.(?!\.)){1,61}[a-z0-9]")
_RESERVED_ENDS = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")
# The same in one pattern, up to the slash after the bucket.
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_NO_BUCKET = (
    rf"{_OCTET}(?:\.{_OCTET}){{3}}(?:/|$)|[^/]*(?:{'|'.join(_RESERVED_ENDS).replace('.', '[.]')})(?:/|$)"
)
_ADDRESS = rf"s3://(?!{_NO_BUCKET}){_BUCKET.pattern}"
_FOLDER = r"(?!\.{1,2}/)[A-Za-z0-9!_.'()=-]+/"
_RELEASES_PATTERN = rf"{_ADDRESS}/(?=.{{0,800}}$)(?:{_FOLDER})*"


def _legal_bucket(name: str) -> bool:
    """Whether a name follows the naming rules of general purpose buckets (S3 user guide, bucketnamingrules)."""
    if not _BUCKET.fullmatch(name) or name.endswith(_RESERVED_ENDS):
        return False
    try:
        ipaddress.IPv4Address(name)
    except ValueError:
        return True
    return False


def _releases(value: object) -> str:
    example = "s3://BUCKET/releases/"
    text = check_text(value, example)
    if not text.startswith("s3://"):
        raise fault(f"{quote(text)} is not an S3 address. Write where releases are published as {example}.")
    bucket, slash, prefix = text.removeprefix("s3://").partition("/")
    if not _legal_bucket(bucket):
        raise fault(
            f"{quote(text)} names the bucket {quote(bucket)}, which S3 does not allow. "
            f"Write a bucket of 3 to 63 lower-case letters, digits, dots and hyphens, as in {example}."
        )
    if not slash or not text.endswith("/"):
        raise fault(f'{quote(text)} does not end in "/", so it is not a prefix. Write {quote(text + "/")}.')
    # The prefix becomes part of a policy's Resource: a wildcard in it would open more than it says.
    if len(prefix) > 800 or not re.fullmatch(r"[A-Za-z0-9!_.'()=/-]*", prefix):
        raise fault(
            f"{quote(text)} is too long or holds a character that is not safe in a grant. "
            f"Use at most 800 letters, digits and ! - _ . ' ( ) = in the prefix, as in {example}."
        )
    if prefix and any(part in ("", ".", "..") for part in prefix[:-1].split("/")):
        raise fault(
            f'{quote(text)} has an empty, "." or ".." folder in it. Write a plain prefix such as {example}.'
        )
    return text


def s3_address(kind: Literal["object", "prefix"], example: str) -> Check:
    """Make the check of an S3 address: of one object, or of a prefix for objects."""

    def check(value: object) -> str:
        text = check_text(value, example)
        bucket, _, key = text.removeprefix("s3://").partition("/")
        if not text.startswith("s3://") or not _legal_bucket(bucket):
            raise fault(f"{quote(text)} is not an address in S3. Write it as {example}.")
        if kind == "object" and (not key or key.endswith("/")):
            raise fault(f"{quote(text)} names no object. Write its whole key, as in {example}.")
        if len(text) > (512 if kind == "prefix" else 1024) or not text.isprintable():
            raise fault(f"{quote(text)} is too long or cannot be printed. Write it as {example}.")
        return text

    if kind == "object":
        return Check(check, schema=texts(rf"{_ADDRESS}/{PRINTABLE}*(?!/){PRINTABLE}", most=1024))
    return Check(check, schema=texts(rf"{_ADDRESS}(?:/{PRINTABLE}*)?", most=512))


_WHOLE_ACCOUNT = {"type": "integer", "minimum": 10**11, "maximum": 10**12 - 1}  # written without quotes
_ARN_OF_ROLE = _ROLE.pattern
_NAME = _ENTITY_NAME.pattern

AccountId = Annotated[
    str, Check(check_account, schema=lambda _: {"anyOf": [texts("[0-9]{12}"), _WHOLE_ACCOUNT]})
]
GroupName = Annotated[str, Check(_group_name, schema=texts(_NAME, most=63, never="^arn:"))]
EndpointName = Annotated[str, Check(check_endpoint_name, schema=texts(_NAME, most=50, never="^arn:"))]
Region = Annotated[str, Check(check_region, schema=lambda of_type: {**of_type, "enum": sorted(partitions())})]
RoleArn = Annotated[str, Check(check_role, schema=texts(_ARN_OF_ROLE, never="[*?$]"))]
RoleName = Annotated[str, Check(_role_name, schema=texts(_ROLE_NAME))]
ExternalId = Annotated[str, Check(_external_id, schema=texts(_EXTERNAL_ID))]
ProfileName = Annotated[str, Check(_profile, schema=texts(rf"(?! ){PRINTABLE}+(?<! )", never=r"[\[\]]"))]
OrganizationId = Annotated[str, Check(check_organization_id, schema=texts(_ORGANIZATION_ID))]
OrganizationPath = Annotated[str, Check(_organization_path, schema=texts(_ORGANIZATION_PATH))]
InstanceType = Annotated[str, Check(_instance_type, schema=texts(_INSTANCE_TYPE))]
AlarmName = Annotated[str, Check(_alarm, schema=texts(rf"{PRINTABLE}+", most=255, never="^arn:"))]
KmsKey = Annotated[str, Check(_kms_key, schema=texts(_KMS_KEY))]
KeyArn = Annotated[str, Check(check_key_arn, schema=texts(_KEY_ARN.pattern))]
ReleasesUri = Annotated[str, Check(_releases, schema=texts(_RELEASES_PATTERN))]
