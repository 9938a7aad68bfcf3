"""An account of a config as ``doctor`` looks at it: its part of the config, and the session of its profile.

Not here: what is asked of it (``doctor``, ``questions``, ``role_faults``).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossaccount.aws.refusals import explain
from crossaccount.config.model import ConsumerConfig, ProducerConfig, Sharing
from crossaccount.text import first_line

_SERVICES = {
    "producer": ("sts", "iam", "sagemaker", "s3", "s3control", "ecr", "kms"),
    "consumer": ("sts", "iam", "sagemaker", "sagemaker-runtime", "s3", "cloudwatch", "service-quotas"),
}


@dataclass(frozen=True)
class Account:
    """An account of the config: its part of it, and the session that its profile gives, or what came instead.

    ``path`` is the config's file, for commands that are named; ``consumers`` are those that are looked at; ``account`` and ``caller`` are the profile's own, once it was asked.
    """

    key: str
    config: ProducerConfig | ConsumerConfig
    sharing: Sharing
    path: Path
    consumers: tuple[str, ...] = ()
    session: Any = None
    account: str = ""
    caller: str = ""

    @property
    def is_producer(self) -> bool:
        """Whether it is the producer's."""
        return self.key == "producer"

    @property
    def template(self) -> str:
        """The template of its stack."""
        return "producer" if self.is_producer else "consumer"

    @property
    def name(self) -> str:
        """The consumer's name in the config."""
        return self.key.removeprefix("consumers.")

    @property
    def services(self) -> tuple[str, ...]:
        """The services that are asked there."""
        more = ("ram",) if self.is_producer and self.sharing.producer.discoverable else ()
        return (*_SERVICES[self.template], *more)

    @property
    def is_own(self) -> bool:
        """Whether the profile is of the account that the config names."""
        return self.account == self.config.account


def said(error: object) -> str:
    """What an error says in a line, in the product's words where it has some."""
    explained = explain(error) if isinstance(error, Exception) else None
    return first_line(explained or error).rstrip(".")
