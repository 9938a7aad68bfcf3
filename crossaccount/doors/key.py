"""The door of a KMS key: a consumer decrypts the artifacts.

Source: GetKeyPolicy and PutKeyPolicy in the AWS KMS API reference; "Allowing users in other accounts to use a KMS key" and the
policy's size in the KMS developer guide.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial

from crossaccount import parallel
from crossaccount.arns import group_arn
from crossaccount.aws.access import Producer
from crossaccount.config.model import Sharing
from crossaccount.doors.base import Door, Parts, Resource, Surroundings, Token
from crossaccount.doors.reading import read_further
from crossaccount.errors import Conflict, DoorName
from crossaccount.policy import audience as audiences
from crossaccount.policy.audience import Audience
from crossaccount.policy.documents import Document, Statement, compact
from crossaccount.policy.strangers import administered
from crossaccount.registry.versions import Contents
from crossaccount.strict_json import parse_json


class KeyDoor(Door):
    """KMS keys, named by their ARNs. Every key has a policy: a key without a usable one is lost."""

    kind = "key"
    name = DoorName.KEY
    limit = 32_768
    place = re.compile(r"(arn:[a-z-]+:kms:.*)")
    missing_code = "NotFoundException"
    reads, writes, clears = "kms:GetKeyPolicy", "kms:PutKeyPolicy", "kms:PutKeyPolicy"
    proved_by_model = True

    def arn(self, config: Sharing, name: str) -> str:
        return name

    def is_right(self, config: Sharing, name: str) -> bool:
        """Whether the name is the ARN of one key of the producer, in the config's region."""
        prefix = f"arn:{config.partition}:kms:{config.region}:{config.producer.account}:key/"
        return name.startswith(prefix) and "*" not in name

    def needed(self, config: Sharing, contents: Contents) -> Mapping[str, Parts]:
        """The keys that the artifacts are encrypted under."""
        return dict.fromkeys(contents.keys, ())

    def statements(self, config: Sharing, name: str, parts: Parts, audience: Audience) -> list[Statement]:
        """Decrypting artifacts; the AWS page has no statement of its own for a key."""
        return least_privilege(group_arn(config), audience)

    def read(self, producer: Producer, name: str) -> tuple[Document | None, Token]:
        text = producer.kms.get_key_policy(KeyId=name, PolicyName="default")["Policy"]
        return parse_json(text), None

    def write(self, producer: Producer, name: str, document: Document, token: Token) -> None:
        """Replace the key's policy. KMS itself refuses one that would lock the caller out."""
        producer.kms.put_key_policy(KeyId=name, PolicyName="default", Policy=compact(document))

    def clear(self, producer: Producer, name: str, token: Token) -> None:
        """Refuse: a key is never left without a policy."""
        resource = Resource(self.kind, name, producer.account)
        raise Conflict(
            f"The policy of {resource} was emptied by another writer. A key is never left without one."
        )

    def surroundings(
        self, producer: Producer, documents: Mapping[Resource, Document | None]
    ) -> dict[Resource, Surroundings]:
        """The second policy of a key that is shared by AWS RAM, which alone may write it."""
        return dict(
            zip(
                documents,
                parallel.run_all([partial(_beside, producer, each) for each in documents]),
                strict=True,
            )
        )

    def objections(
        self, resource: Resource, existing: Document | None, desired: Document | None
    ) -> Iterator[tuple[str, str]]:
        """A key that would be lost, or out of its owner's reach."""
        owner = resource.account
        if desired is None:
            yield "It would be removed, and a key without a policy is lost.", ""
        elif administered(existing, owner) and not administered(desired, owner):
            yield (
                f"Nobody of account {owner}, its owner, could change it any more.",
                "Give the owner's administrators a statement of their own, without a Sid of ours.",
            )

    def execution_needs(self, config: Sharing, contents: Contents) -> Iterable[tuple[str, str]]:
        """Decrypting under every key that an artifact is encrypted under."""
        return [("kms:Decrypt", key) for key in contents.keys]


def _beside(producer: Producer, resource: Resource) -> Surroundings:
    """A key's policy named AWS_RAM.

    Source: GetKeyPolicy and PutKeyPolicy in the AWS KMS API reference.
    """
    name = "AWS_RAM policy"
    policy, unread = read_further(
        producer,
        name,
        f"{name} of {resource}",
        lambda: producer.kms.get_key_policy(KeyId=resource.name, PolicyName="AWS_RAM")["Policy"],
        "NotFoundException",
        "kms:GetKeyPolicy",
    )
    policies = {} if policy is None else {name: policy}
    return Surroundings(policies, (name,) if unread else (), findings=(unread,) if unread else ())


def least_privilege(group_arn: str, audience: Audience) -> list[Statement]:
    """Decrypting artifacts. In a key policy the resource ``*`` is the key itself."""
    actions = ["kms:Decrypt", "kms:DescribeKey"]
    return [audiences.statement(group_arn, "Decrypt", audience, Action=actions, Resource="*")]


KEY = KeyDoor()
