"""What the producer owns of the versions that a config shares, for the parameters of the stacks.

It is read in the producer's role, or where there is none yet with its profile as it is. Not here: how it is read (``group``), and the
parameters (``stack_parameters``).
"""

from dataclasses import replace
from typing import Any

from crossaccount.aws import access, sessions
from crossaccount.aws.access import Producer
from crossaccount.config.model import Sharing
from crossaccount.errors import CrossAccountError, Failed, Refused
from crossaccount.setup import group
from crossaccount.setup.asking import Asked, Side
from crossaccount.setup.stack_parameters import Holdings

_WAY_OUT = "Or give them: --parameter ArtifactBucket=BUCKET --parameter RepositoryName=NAME, and KeyArn and ArtifactPrefix where there are any."


def read(sharing: Sharing) -> Holdings:
    """The holdings of a config's producer, as its registry and its objects show them now.

    Raises:
        Refused, InputError, Failed: when neither the role nor the profile may read them, or one stack cannot name them.
    """
    try:
        return _read(access.open_producer(sharing))
    except Refused as refused:
        profile = sharing.producer.profile
        try:  # before its stack there is no role
            session: Any = sessions.profile_session("producer.profile", profile, sharing.region)
            return _read(Producer(sharing, session))
        except CrossAccountError:
            refused.add_note(f"So what the producer owns could not be read. {_WAY_OUT}")
            raise refused from None


def _read(producer: Producer) -> Holdings:
    config, asked = producer.config, Asked()
    with producer.explained():  # a refusal is explained here; what is read further says its own
        producer.sagemaker.list_model_packages(ModelPackageGroupName=config.model_package_group, MaxResults=1)
    caller = config.producer.role or ""
    side = Side(
        "producer",
        config.producer.profile or "",
        config.region,
        producer.session,
        config.producer.account,
        caller,
    )
    found = group.read_group(asked, side, config.model_package_group, config.listed).holdings
    if found is None or not found.repository:
        said = " ".join(str(each) for each in asked.findings)
        raise Failed(f"What the producer owns cannot be told. {said} {_WAY_OUT}")
    return replace(found, releases_key_arn=group.default_key(asked, side, config.producer.releases_bucket))
