"""The door of an S3 bucket: a consumer reads the artifacts, and the Releases. Every call says which account must own the bucket.

Source: GetBucketPolicy, PutBucketPolicy, DeleteBucketPolicy, HeadBucket (a bucket's region), GetBucketOwnershipControls and
GetPublicAccessBlock in the Amazon S3 API reference; the policy's size in the S3 user guide; "Deploy a Model Version from a
Different Account" in the SageMaker developer guide.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from crossaccount import parallel
from crossaccount.arns import group_arn
from crossaccount.aws.access import Producer
from crossaccount.config.model import Sharing
from crossaccount.doors.base import Door, Parts, Resource, Surroundings, Token
from crossaccount.errors import DoorName, Finding, Obstacle, Severity
from crossaccount.policy import audience as audiences
from crossaccount.policy.audience import Audience
from crossaccount.policy.documents import Document, Statement, compact, listed, scalar, statements
from crossaccount.policy.strangers import is_public
from crossaccount.registry.artifacts import Artifact
from crossaccount.registry.storage import gives_reason
from crossaccount.registry.versions import Contents
from crossaccount.strict_json import parse_json

_NAME = re.compile(r"[A-Za-z0-9._-]{3,255}")  # also one from before S3 had stricter rules
_ASKABLE = re.compile(r"[A-Za-z0-9._-]{1,255}")  # botocore sends no request about any other name


class BucketDoor(Door):
    """S3 buckets; the parts of one that are needed are key prefixes, or whole keys."""

    kind = "bucket"
    name = DoorName.BUCKET
    limit = 20_480
    place = re.compile(r"(?:arn:[a-z-]+:s3:::|s3://)([^/]+).*")
    missing_code = "NoSuchBucket"
    reads, writes, clears = "s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"

    def arn(self, config: Sharing, name: str) -> str:
        return f"arn:{config.partition}:s3:::{name}"

    def is_right(self, config: Sharing, name: str) -> bool:
        """Whether S3 takes a bucket of this name. No name says who owns it: every call on it does."""
        return _NAME.fullmatch(name) is not None

    def needed(self, config: Sharing, contents: Contents) -> Mapping[str, Parts]:
        """The folders of the artifacts, and that of the group's Releases.

        When all approved versions are shared and their folders lie in one folder with the group's name, that folder is
        granted: the document does not grow with them.
        """
        prefixes: dict[str, set[str]] = {}
        for artifact in contents.artifacts:
            if artifact.fault:
                raise Obstacle(artifact.uri, artifact.fault, "")
            if not _ASKABLE.fullmatch(artifact.bucket):
                raise Obstacle(
                    artifact.uri,
                    f"{artifact.bucket!r} cannot name a bucket.",
                    "Register the version with a location in a bucket, as in s3://BUCKET/KEY.",
                )
            if not artifact.key or (artifact.is_prefix and not artifact.key.endswith("/")):
                raise Obstacle(
                    artifact.uri,
                    "The artifact is neither an object nor a folder: a grant for it would open more than the artifact.",
                    "Register the version with an object's key, or with a prefix that ends in a slash.",
                )
            prefixes.setdefault(artifact.bucket, set()).add(artifact.folder or artifact.key)
        if config.versions == "approved":
            group = config.model_package_group
            prefixes = {bucket: _widened(folders, group) for bucket, folders in prefixes.items()}
        releases = f"{config.producer.releases_prefix}{config.model_package_group}/"
        prefixes.setdefault(config.producer.releases_bucket, set()).add(releases)
        return {bucket: tuple(sorted(folders)) for bucket, folders in prefixes.items()}

    def statements(self, config: Sharing, name: str, parts: Parts, audience: Audience) -> list[Statement]:
        """Reading what lies under the prefixes, or in the AWS page's preset everything in the bucket."""
        if config.preset == "aws-docs":
            return page(self.arn(config, name), audience)
        return least_privilege(group_arn(config), self.arn(config, name), parts, audience)

    def parts_of(self, config: Sharing, name: str, statement: Statement) -> Parts:
        """The prefixes and keys whose objects may be read."""
        if "s3:GetObject" not in listed(statement.get("Action", [])):
            return ()
        start = f"{self.arn(config, name)}/"
        patterns = [str(each).removeprefix(start) for each in listed(statement.get("Resource", []))]
        return tuple(_unescaped(each.removesuffix("*") if each.endswith("/*") else each) for each in patterns)

    def covers(self, part: str, other: str) -> bool:
        """Whether the one is the other, or a prefix that it lies under."""
        return part == other or (part.endswith("/") and other.startswith(part))

    def read(self, producer: Producer, name: str) -> tuple[Document | None, Token]:
        try:
            text = producer.s3.get_bucket_policy(Bucket=name, ExpectedBucketOwner=producer.account)["Policy"]
        except ClientError as error:
            if not _has_none(error):
                raise
            return None, None
        return parse_json(text), None

    def write(self, producer: Producer, name: str, document: Document, token: Token) -> None:
        producer.s3.put_bucket_policy(
            Bucket=name, Policy=compact(document), ExpectedBucketOwner=producer.account
        )

    def clear(self, producer: Producer, name: str, token: Token) -> None:
        # S3 says the same whether there is a policy or none; what takes its place may not.
        try:
            producer.s3.delete_bucket_policy(Bucket=name, ExpectedBucketOwner=producer.account)
        except ClientError as error:
            if not _has_none(error):
                raise

    def obstacles(self, producer: Producer, resource: Resource, contents: Contents) -> list[Finding]:
        """Objects that another account owns; an obstacle for a bucket that is not there, not the producer's, or elsewhere."""
        name, region = resource.name, producer.region
        try:
            head = producer.s3.head_bucket(Bucket=name, ExpectedBucketOwner=producer.account)
        except ClientError as error:
            raise _unreachable(producer, name, error) from None
        if (actual := head.get("BucketRegion", region)) != region:
            raise Obstacle(
                f"bucket {name}",
                f"It lies in {actual}, and SageMaker in {region} takes models from its own region alone.",
                f"Copy the artifacts into a bucket in {region}, and register the version anew.",
            )
        return self.uploads(producer, name, contents)

    def uploads(self, producer: Producer, name: str, contents: Contents) -> list[Finding]:
        """Objects of the contents that another account owns, in a bucket that is the producer's and in its region."""
        inside = [artifact for artifact in contents.artifacts if artifact.bucket == name]
        if not inside or _owns_all(producer, name):
            return []
        owner = producer.s3.get_bucket_acl(Bucket=name, ExpectedBucketOwner=producer.account)["Owner"]["ID"]
        asked = [partial(_uploaded_by_other, producer, artifact, owner) for artifact in inside]
        return [finding for finding in parallel.run_all(asked) if finding is not None]

    def surroundings(
        self, producer: Producer, documents: Mapping[Resource, Document | None]
    ) -> dict[Resource, Surroundings]:
        """What S3 Block Public Access makes of public statements of others: asked only where there are some.

        Source: "Blocking public access to your Amazon S3 storage" in the S3 user guide. The account's setting adds to the
        bucket's.
        """
        public = {
            resource: [each.get("Sid") or "without a Sid" for each in statements(document) if is_public(each)]
            for resource, document in documents.items()
        }
        asked = [resource for resource in documents if public[resource]]
        if not asked:
            return {}
        of_account = _account_block(producer)
        blocks = parallel.run_all([partial(_bucket_block, producer, resource.name) for resource in asked])
        return {
            resource: _blocked(resource, ", ".join(public[resource]), of_bucket, of_account)
            for resource, of_bucket in zip(asked, blocks, strict=True)
        }

    def execution_needs(self, config: Sharing, contents: Contents) -> Iterable[tuple[str, str]]:
        """Reading every artifact, and listing where one is a prefix."""
        for artifact in contents.artifacts:
            bucket = self.arn(config, artifact.bucket)
            yield "s3:GetObject", f"{bucket}/{artifact.key}"
            if artifact.is_prefix:
                yield "s3:ListBucket", bucket


def least_privilege(
    group_arn: str, bucket_arn: str, prefixes: Sequence[str], audience: Audience
) -> list[Statement]:
    """Reading what lies under the prefixes, and listing it: without listing, a missing object reads as a refusal."""
    patterns = [_literal(prefix) + ("*" if prefix.endswith("/") else "") for prefix in prefixes]
    objects = [f"{bucket_arn}/{pattern}" for pattern in patterns]
    listing = {
        "Action": "s3:ListBucket",
        "Resource": bucket_arn,
        "Condition": {"StringLike": {"s3:prefix": scalar(patterns)}},
    }
    return [
        audiences.statement(group_arn, "Read", audience, Action="s3:GetObject", Resource=scalar(objects)),
        audiences.statement(group_arn, "List", audience, **listing),
    ]


def page(bucket_arn: str, audience: Audience) -> list[Statement]:
    """The AWS page's policy of a bucket."""
    return [audiences.page_statement("AddPerm", audience, Action="s3:*", Resource=f"{bucket_arn}/*")]


def _has_none(error: ClientError) -> bool:
    return error.response["Error"]["Code"] == "NoSuchBucketPolicy"


def _literal(key: str) -> str:
    """A key as a policy writes it, where a wildcard character of the key stands for itself."""
    return re.sub(r"[*?$]", lambda wildcard: f"${{{wildcard[0]}}}", key)


def _unescaped(pattern: str) -> str:
    """The key that `_literal` wrote."""
    return re.sub(r"\$\{([*?$])\}", r"\1", pattern)


def _widened(folders: set[str], group: str) -> set[str]:
    """The one folder that holds all these version folders, where it is the group's by name; else the folders themselves.

    A folder of another name stays unopened: what else lies in it may be anybody's.
    """
    if len(folders) < 2 or not all(folder.endswith("/") for folder in folders):
        return folders
    parents = {folder.rstrip("/").rpartition("/")[0] for folder in folders}
    parent = parents.pop()
    return {f"{parent}/"} if not parents and group in parent.split("/") else folders


def _unreachable(producer: Producer, bucket: str, error: ClientError) -> Exception:
    """The reason why a bucket cannot be looked at: HEAD gives a number and no reason.

    Raises:
        ClientError: with S3's reason, when it is the caller who may not look.
    """
    subject, owner = f"bucket {bucket}", producer.account
    if error.response["Error"]["Code"] in ("404", "NoSuchBucket"):
        way_out = "Create or restore it, or register the version anew."
        return Obstacle.missing(subject, "It does not exist.", way_out)
    way_out = f"Its owner must share it; or copy the artifacts into a bucket of {owner}, and register the version anew."
    other = f"It belongs to another account than the producer, {owner}{_likely_owner(bucket, owner)}."
    # The same question without the owner: an answer means that the bucket is another account's.
    try:
        producer.s3.head_bucket(Bucket=bucket)
    except ClientError:
        pass
    else:
        return Obstacle(subject, other, way_out)
    # An answer gives a reason only where it has a body, and then to callers of the bucket's own account or organization alone.
    try:
        producer.s3.list_objects_v2(Bucket=bucket, ExpectedBucketOwner=owner, MaxKeys=1)
    except ClientError as refused:
        if refused.response["Error"]["Code"] != "AccessDenied" or gives_reason(refused):
            raise
        return Obstacle(
            subject,
            f"S3 refuses it without a reason, as it does for a bucket of another account than the producer, {owner}"
            f"{_likely_owner(bucket, owner)}.",
            f"{way_out} If it is one of {owner}, its policy or an organization's denies s3:ListBucket.",
        )
    return error


def _likely_owner(bucket: str, producer: str) -> str:
    """Whose a bucket is as far as its name says, in words that follow the producer's account; empty where it says nothing.

    Source: the names of SageMaker's own buckets in the SageMaker Python SDK (JumpStart, the sample files).
    """
    if re.match(r"jumpstart-(private-)?cache-|sagemaker-sample-|sagemaker-example-files", bucket):
        return " (its name is that of a bucket of AWS)"
    numbers = [number for number in re.findall(r"(?<!\d)\d{12}(?!\d)", bucket) if number != producer]
    return f" (its name says {numbers[0]})" if numbers else ""


def _owns_all(producer: Producer, bucket: str) -> bool:
    """Whether the bucket's owner owns every object in it, whoever uploaded it.

    Source: "Controlling ownership of objects" in the S3 user guide.
    """
    try:
        answer = producer.s3.get_bucket_ownership_controls(
            Bucket=bucket, ExpectedBucketOwner=producer.account
        )
    except ClientError as error:
        if error.response["Error"]["Code"] == "OwnershipControlsNotFoundError":
            return False
        raise
    return all(
        rule["ObjectOwnership"] == "BucketOwnerEnforced" for rule in answer["OwnershipControls"]["Rules"]
    )


def _uploaded_by_other(producer: Producer, artifact: Artifact, owner: str) -> Finding | None:
    """A finding for an object of the artifact that another than the bucket's owner (a canonical user id) owns."""
    pages = producer.s3.get_paginator("list_objects_v2").paginate(
        Bucket=artifact.bucket,
        Prefix=artifact.key,
        ExpectedBucketOwner=producer.account,
        FetchOwner=True,
        PaginationConfig={}
        if artifact.is_prefix
        else {"MaxItems": 1},  # an object's key comes before longer ones
    )
    for entry in (entry for page in pages for entry in page.get("Contents", [])):
        if (artifact.is_prefix or entry["Key"] == artifact.key) and entry["Owner"]["ID"] != owner:
            return Finding(
                Severity.ERROR,
                f"s3://{artifact.bucket}/{entry['Key']}",
                "Another account uploaded it and still owns it, so the bucket's policy says nothing about it.",
                f"Set the object ownership of {artifact.bucket} to BucketOwnerEnforced, or copy the object onto itself as its bucket's owner.",
            )
    return None


def _block(ask: Callable[..., Any], **parameters: str) -> Any:
    """A setting of Block Public Access, by the call that asks for it; empty where there is none."""
    try:
        return ask(**parameters)["PublicAccessBlockConfiguration"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchPublicAccessBlockConfiguration":
            return {}
        raise


def _bucket_block(producer: Producer, bucket: str) -> Any:
    ask = producer.s3.get_public_access_block
    return _block(ask, Bucket=bucket, ExpectedBucketOwner=producer.account)


def _blocked(resource: Resource, sids: str, of_bucket: Any, of_account: Any) -> Surroundings:
    """What the settings make of a policy with public statements; ``of_account`` is None where it could not be asked."""
    blocks = [of_bucket, of_account or {}]
    restricts, refuses = (
        any(block.get(setting) for block in blocks)
        for setting in ("RestrictPublicBuckets", "BlockPublicPolicy")
    )
    subject, way_out = f"policy of {resource}", f"Remove or narrow the statement {sids}."
    public = f"The statement {sids} is public"
    shuts = "Block Public Access (RestrictPublicBuckets) then shuts every other account out"
    stops = "Block Public Access (BlockPublicPolicy) then refuses every change of the policy"
    effects = [text for text, is_so in ((shuts, restricts), (stops, refuses)) if is_so]
    if effects:
        found = Finding(Severity.ERROR, subject, f"{public}, and {', and '.join(effects)}.", way_out)
    else:
        unasked = (
            "" if of_account is not None else " Whether the account blocks public access could not be asked."
        )
        found = Finding(Severity.WARNING, subject, f"{public}.{unasked}", way_out)
    return Surroundings(
        cut_off=f"the statement {sids} is public, and {shuts}" if restricts else "",
        doubtful=""
        if of_account is not None
        else "whether the account blocks public access could not be asked",
        findings=(found,),
        unwritable=(found,) if refuses else (),
    )


def _account_block(producer: Producer) -> Any:
    """The account's own setting; None when it could not be asked."""
    try:
        return _block(producer.s3control.get_public_access_block, AccountId=producer.account)
    except (ClientError, BotoCoreError):
        return None


BUCKET = BucketDoor()
