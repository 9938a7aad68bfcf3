"""The sandbox's state beside moto's: accounts, keys, resource policies, the clock, what SageMaker and its neighbours hold.

Not here: any behaviour of a service.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from moto.s3.models import s3_backends

from crossaccount_sandbox.attached import Attached, PolicyKey
from crossaccount_sandbox.callers import Caller, Keys
from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.images import policy_of
from crossaccount_sandbox.principals import Account, Document, tags_of
from crossaccount_sandbox.public import is_public
from crossaccount_sandbox.resources import owner_of_bucket, registry_of
from crossaccount_sandbox.wire import Response

Place = tuple[str, str]  # account, region
Record = dict[str, Any]
ENFORCED, PREFERRED, WRITER = "BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"


def utc_now() -> datetime:
    """The time, aware of its zone."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Writer:
    """An account that uploaded an object; ``shared`` when it gave the bucket's owner full control of it."""

    account: str
    shared: bool


@dataclass
class Upload:
    """A multipart upload: who began it, of which object, when, and whether that was written or deleted since."""

    writer: Writer
    bucket: str
    key: str
    began: datetime
    crossed: bool = False


@dataclass(frozen=True)
class Restore:
    """A restore of an archived object: when its copy is there, and when that ends; an archive tier's object then stays."""

    ready: datetime
    ends: datetime | None


@dataclass
class Registry:
    """What SageMaker holds: a table for each kind of resource, by account and region and name."""

    groups: dict[tuple[Place, str], Record] = field(default_factory=dict)
    packages: dict[str, Record] = field(default_factory=dict)
    models: dict[tuple[Place, str], Record] = field(default_factory=dict)
    configs: dict[tuple[Place, str], Record] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass
class Promoted:
    """What AWS RAM was told to promote of what policies made: names by permissions' ARNs, policies' contents by shares' ARNs."""

    permissions: dict[str, str] = field(default_factory=dict)
    shares: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class OrganizationPolicies:
    """The policies of its organization that are attached to an account, by their ARNs; above it everything is allowed.

    Args:
        service_control: limit what the account's identities may do; empty allows everything.
        resource_control: deny access to the account's resources.
    """

    service_control: Mapping[str, Document] = field(default_factory=dict)
    resource_control: Mapping[str, Document] = field(default_factory=dict)


@dataclass(frozen=True)
class ContainerOutput:
    """What one container of an endpoint prints; kept when the endpoint is deleted.

    Args:
        endpoint: the endpoint's ARN.
        stream: the name of its log stream: variant, instance id and, of several containers, the container's name.
        path: a file of plain text, appended to while the container runs.
        began: when it was started.
        role: the ARN of the execution role.
    """

    endpoint: str
    stream: str
    path: Path
    began: datetime
    role: str


MANAGEMENT_ACCOUNT = "999999999999"  # of every organization here; it holds nothing else


def policy_arn(organization: str, kind: str, name: str) -> str:
    """The ARN of an organization's policy; ``kind`` is service_control or resource_control."""
    place = f"arn:aws:organizations::{MANAGEMENT_ACCOUNT}:policy/{organization}"
    return f"{place}/{kind}_policy/p-{name}"


@dataclass
class World:
    """Everything that one sandbox knows.

    Args:
        accounts: by their 12 digits.
        clock: the time that sessions and date conditions see.
        keys: the access keys that exist.
        public_access: each account's own S3 Block Public Access settings; no entry for an account without any.
        organization_policies: those of an account's organization that were arranged, by account.
        writers: who owns an object that is not its bucket's owner's, by bucket, key and version.
        tiers: the archive tier of an object of Intelligent-Tiering, by bucket, key and version.
        restores: the restores that were asked for, by bucket, key and version.
        issuers: the keys (JWKS) of OpenID Connect providers, by their URL; None for one that is out of reach.
        archived_images: ECR images in the storage class ARCHIVE, by registry, region, repository and digest.
        layers: the bytes of ECR's image layers, by digest; which repository has which is the emulation's to know.
        rotations: the days between the rotations of a KMS key, and since when, by its ARN; none for a key without.
        speed: how many of AWS's seconds pass in one, for what takes hours.
        uploads: the multipart uploads that are open, by their ids.
        registry: what SageMaker holds beside endpoints.
        promoted: what AWS RAM has promoted.
        endpoints: SageMaker's endpoints, by account and region and name in lower case.
        components: their inference components, in the same way.
        outputs: what the containers of endpoints print, in the order of their starts; several threads append to it.
        alarms: CloudWatch's alarms, by account and region and name.
        alarm_types: their types in the same way, ``MetricAlarm`` for one.
        alarm_history: what was changed of alarms, by account and region, the oldest first.
        targets: the scalable targets of Application Auto Scaling, by account and region and resource id.
        notifications: what the execution roles of asynchronous endpoints have published to SNS: TopicArn and Message.
        quotas: Service Quotas' values that were arranged, by account and name; None for one of which only AWS's default is shown.
        lock: held by who reads and writes ``registry``, ``alarms`` and ``targets``, see ``locked``.
    """

    accounts: dict[str, Account]
    clock: Callable[[], datetime] = utc_now
    keys: Keys = field(default_factory=Keys)
    public_access: dict[str, dict[str, bool]] = field(default_factory=dict)
    organization_policies: dict[str, OrganizationPolicies] = field(default_factory=dict)
    writers: dict[tuple[str, str, str], Writer] = field(default_factory=dict)
    tiers: dict[tuple[str, str, str], str] = field(default_factory=dict)
    restores: dict[tuple[str, str, str], Restore] = field(default_factory=dict)
    issuers: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    archived_images: set[tuple[str, str, str, str]] = field(default_factory=set)
    layers: dict[str, bytes] = field(default_factory=dict)
    rotations: dict[str, tuple[int, datetime]] = field(default_factory=dict)
    speed: float = 1.0
    uploads: dict[str, Upload] = field(default_factory=dict)
    registry: Registry = field(default_factory=Registry)
    promoted: Promoted = field(default_factory=Promoted)
    endpoints: dict[tuple[Place, str], Record] = field(default_factory=dict)
    components: dict[tuple[Place, str], Record] = field(default_factory=dict)
    outputs: list[ContainerOutput] = field(default_factory=list)
    alarms: dict[tuple[Place, str], Record] = field(default_factory=dict)
    alarm_types: dict[tuple[Place, str], str] = field(default_factory=dict)
    alarm_history: list[tuple[Place, Record]] = field(default_factory=list)
    targets: dict[tuple[Place, str], Record] = field(default_factory=dict)
    notifications: list[dict[str, str]] = field(default_factory=list)
    quotas: dict[tuple[str, str], float | None] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)
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
        return context | _organization("Resource", self.accounts.get(owner))

    def caller_context(self, caller: Caller) -> dict[str, Any]:
        """The condition keys that describe the caller."""
        context = {
            "aws:PrincipalArn": caller.role_arn or caller.arn,
            "aws:PrincipalAccount": caller.account,
            "aws:PrincipalType": "AssumedRole"
            if caller.role_arn
            else "FederatedUser"
            if caller.user_arn
            else "User",
            "aws:userid": caller.unique_id,
        }
        if caller.role_arn is None and caller.user_arn is None:
            context["aws:username"] = caller.arn.rpartition("/")[2]
        if caller.session_began is not None:
            context["aws:TokenIssueTime"] = caller.session_began.strftime("%Y-%m-%dT%H:%M:%SZ")
            context["aws:MultiFactorAuthPresent"] = (
                "false"  # nobody has a device here; a lasting key has no such key
            )
        context |= caller.federation
        if caller.source_identity is not None:
            context["aws:SourceIdentity"] = caller.source_identity
        # A session's tag takes the place of its role's with the same key, in whatever case that is written.
        named = {key.lower(): (key, value) for key, value in tags_of(caller.holder).items()}
        named |= {key.lower(): (key, value) for key, value in caller.tags.items()}
        context |= {f"aws:PrincipalTag/{key}": value for key, value in named.values()}
        return context | _organization("Principal", self.accounts.get(caller.account))

    def source_context(self, account: str, arn: str) -> dict[str, Any]:
        """The condition keys of what a service acts for: a resource, and the account and organization it is in.

        Source: "AWS global condition context keys" in the IAM user guide, the keys ``aws:Source...``.
        """
        context = {"aws:SourceAccount": account, "aws:SourceArn": arn}
        return context | _organization("Source", self.accounts.get(account))

    def service_control(self, account: str) -> list[list[Document]]:
        """The service control policies that limit an account's identities, by level; none where none were arranged."""
        policies = self.organization_policies.get(account, OrganizationPolicies()).service_control
        return [list(policies.values())] if policies else []

    def resource_control(self, action: str, account: str) -> list[list[Document]]:
        """The resource control policies that limit an action on an account's resources, by level.

        Source: "Resource control policies", the services that support them, in the Organizations user guide.
        """
        if action.partition(":")[0] not in ("s3", "sts", "kms", "ecr"):
            return []
        policies = self.organization_policies.get(account, OrganizationPolicies()).resource_control
        return [list(policies.values())] if policies else []

    def policy(self, key: PolicyKey) -> Document | None:
        """The policy that a resource is judged by, also of one that AWS itself owns; None without one."""
        own = self.attached.felt(key)
        return policy_of(key[1]) if own is None and key[0] == "repository" else own

    def further_policies(self, key: PolicyKey) -> list[Document]:
        """The policies that a resource is judged by beside its own.

        A repository has that of its registry, which ECR asks at every call, and a key the one that AWS RAM manages.

        Source: "Private registry permissions in Amazon ECR" in the Amazon ECR user guide; GetKeyPolicy in the AWS KMS API
        reference.
        """
        kind, arn = key
        beside = {"repository": registry_of(arn), "key": ("AWS_RAM", arn)}.get(kind)
        document = None if beside is None else self.attached.felt(beside)
        return [] if document is None else [document]

    def same_organization(self, account: str, other: str) -> bool:
        """True for one account, and for two accounts of one organization."""
        first, second = self.accounts.get(account), self.accounts.get(other)
        shared = first and second and first.organization and first.organization == second.organization
        return account == other or bool(shared)

    @staticmethod
    def object_names(bucket: str) -> list[str]:
        """The keys of a bucket's objects; none for a bucket that does not exist."""
        owner = owner_of_bucket(bucket)
        return list(s3_backends[owner]["aws"].buckets[bucket].keys.keys()) if owner else []

    def wrote(self, bucket: str, key: str, writer: Writer) -> None:
        """Note who uploaded the object that is now under this key, if it is to be that account's; it lies in no archive tier.

        Source: "Controlling ownership of objects" in the S3 user guide; a bucket without ownership controls is as with
        ``ObjectWriter``.
        """
        self.crossed(bucket, key)
        owner = owner_of_bucket(bucket)
        held = s3_backends[owner]["aws"].buckets[bucket]
        place = (bucket, key, held.keys[key].version_id)
        self.tiers.pop(place, None)
        self.restores.pop(place, None)
        given_up = held.ownership_rule == ENFORCED or (held.ownership_rule == PREFERRED and writer.shared)
        if writer.account == owner or given_up:
            self.writers.pop(place, None)
        else:
            self.writers[place] = writer

    def crossed(self, bucket: str, key: str) -> None:
        """Note that an object was written or deleted while there are multipart uploads of it."""
        for upload in list(self.uploads.values()):
            if (upload.bucket, upload.key) == (bucket, key):
                upload.crossed = True

    def writer(self, resource: str, version: str | None = None) -> Writer | None:
        """The other account that owns an object; None for an object that is its bucket's owner's.

        With ``BucketOwnerEnforced`` the bucket's owner owns everything; with another setting later on, what was another
        account's is so again.

        Args:
            resource: the object's ARN.
            version: None for the current one.
        """
        bucket, _, key = resource.removeprefix("arn:aws:s3:::").partition("/")
        owner = owner_of_bucket(bucket)
        held = s3_backends[owner]["aws"].buckets[bucket] if owner else None
        if held is None or held.ownership_rule == ENFORCED:
            return None
        current = held.keys.get(key)
        return self.writers.get((bucket, key, version or (current.version_id if current is not None else "")))

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
        on_bucket = own.get(setting[0].lower() + setting[1:])
        return bool(on_bucket or self.public_access.get(owner, {}).get(setting))

    def cuts_cross_account(self, resource: str) -> bool:
        """True when Block Public Access cuts off every other account, because the bucket's policy is public.

        Source: RestrictPublicBuckets in "Blocking public access to your Amazon S3 storage".
        """
        bucket = resource.removeprefix("arn:aws:s3:::").split("/")[0]
        if not self.blocks_public(bucket, "RestrictPublicBuckets"):
            return False
        document = self.attached.get(("bucket", f"arn:aws:s3:::{bucket}"))
        return document is not None and is_public(document)


def _organization(whose: str, account: Account | None) -> dict[str, Any]:
    """The condition keys of an account's place in its organization; none for an account without one."""
    if account is None or account.organization is None:
        return {}
    paths = {f"aws:{whose}OrgPaths": [account.path]} if account.path else {}
    return {f"aws:{whose}OrgID": account.organization, **paths}


Handler = Callable[[World, Call], Response]


def locked(handler: Handler) -> Handler:
    """The handler, called by one thread at a time."""

    def serialized(world: World, call: Call) -> Response:
        with world.lock:
            return handler(world, call)

    return serialized
