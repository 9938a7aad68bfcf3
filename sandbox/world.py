"""The sandbox's state beside moto's: accounts, keys, resource policies, the clock, what SageMaker holds.

Not here: any behaviour of a service.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.s3.models import s3_backends

from sandbox.attached import Attached, is_public
from sandbox.callers import Caller, Keys
from sandbox.operations import owner_of_bucket
from sandbox.principals import Account


def utc_now() -> datetime:
    """The time, aware of its zone."""
    return datetime.now(UTC)


@dataclass
class World:
    """Everything that one sandbox knows.

    Args:
        accounts: by their 12 digits.
        clock: the time that sessions and date conditions see.
        public_access: each account's own S3 Block Public Access settings; no entry for an account without any.
    """

    accounts: dict[str, Account]
    clock: Callable[[], datetime] = utc_now
    keys: Keys = field(default_factory=Keys)
    public_access: dict[str, dict[str, bool]] = field(default_factory=dict)
    attached: Attached = field(init=False)

    def __post_init__(self) -> None:
        """Resource policies may name these accounts' principals only."""
        self.attached = Attached(self.accounts)

    def session_end(self, seconds: int) -> datetime:
        """When a session that starts now and lasts ``seconds`` ends."""
        return self.clock() + timedelta(seconds=seconds)

    def context(self, region: str, owner: str) -> dict[str, Any]:
        """The condition keys of every request, whoever makes it.

        The sandbox speaks plain HTTP on the loopback interface, but stands for AWS's TLS endpoints:
        ``aws:SecureTransport`` is true.
        """
        now = self.clock()
        context = {
            "aws:CurrentTime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "aws:EpochTime": str(int(now.timestamp())),
            "aws:SecureTransport": "true",
            "aws:SourceIp": "127.0.0.1",
            "aws:RequestedRegion": region,
            "aws:ViaAWSService": "false",
            "aws:ResourceAccount": owner,
        }
        return context | _organization("aws:ResourceOrgID", self.accounts.get(owner))

    def caller_context(self, caller: Caller) -> dict[str, Any]:
        """The condition keys that describe the caller."""
        context = {
            "aws:PrincipalArn": caller.role_arn or caller.arn,
            "aws:PrincipalAccount": caller.account,
            "aws:PrincipalType": "AssumedRole" if caller.role_arn else "User",
            "aws:userid": caller.unique_id,
        }
        if caller.role_arn is None:
            context["aws:username"] = caller.arn.rpartition("/")[2]
        return context | _organization("aws:PrincipalOrgID", self.accounts.get(caller.account))

    def same_organization(self, one: str, other: str) -> bool:
        """True for one account, and for two accounts of one organization."""
        first, second = self.accounts.get(one), self.accounts.get(other)
        return one == other or bool(
            first and second and first.organization and first.organization == second.organization
        )

    @staticmethod
    def object_names(bucket: str) -> list[str]:
        """The keys of a bucket's objects; none for a bucket that does not exist."""
        owner = owner_of_bucket(bucket)
        return list(s3_backends[owner]["aws"].buckets[bucket].keys.keys()) if owner else []

    def blocks_public(self, bucket: str, setting: str) -> bool:
        """True when the bucket or its account turns on this setting of S3 Block Public Access: the stricter one wins.

        Args:
            bucket: its name.
            setting: ``BlockPublicPolicy``, ``RestrictPublicBuckets`` ...
        """
        owner = owner_of_bucket(bucket)
        if owner is None:
            return False
        block = s3_backends[owner]["aws"].buckets[bucket].public_access_block
        own = {} if block is None else block.to_config_dict()
        return bool(
            own.get(setting[0].lower() + setting[1:]) or self.public_access.get(owner, {}).get(setting)
        )

    def cuts_cross_account(self, resource: str) -> bool:
        """True when Block Public Access cuts off every other account, because the bucket's policy is public.

        Source: RestrictPublicBuckets in "Blocking public access to your Amazon S3 storage".
        """
        bucket = resource.removeprefix("arn:aws:s3:::").split("/")[0]
        if not self.blocks_public(bucket, "RestrictPublicBuckets"):
            return False
        document = self.attached.get(("bucket", f"arn:aws:s3:::{bucket}"))
        return document is not None and is_public(document)


def _organization(key: str, account: Account | None) -> dict[str, str]:
    return {key: account.organization} if account is not None and account.organization else {}
