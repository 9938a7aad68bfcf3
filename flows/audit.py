"""The audit: whether the access that a config promises is there, from both sides as far as this machine reaches them."""

from __future__ import annotations

from prefect import flow

from crossaccount import config as configuration
from crossaccount import sessions
from crossaccount.audit import Audit
from crossaccount.errors import AccessMissing, Failed
from tasks import audit as steps


@flow(name="check-access", persist_result=False)
def check_access(config: str, consumer: str | None = None, probe: bool = True, repair: bool = False) -> Audit:
    """See whether every consumer of a config passes every door; nothing stays changed.

    Args:
        config: path of the reviewed YAML file.
        consumer: name of the only consumer to look at; all when it is left out.
        probe: make a model in each consumer's account and delete it: it takes seconds and costs nothing.
        repair: show the plan that mends what is missing.
    """
    sharing = configuration.load(config)
    wanted = [consumer] if consumer is not None else list(sharing.consumers)
    for name in wanted:
        configuration.consumer(sharing, name)
    with sessions.kept():
        producer = steps.check_documents(sharing, wanted)
        consumers = {name: steps.check_consumer(sharing, name, producer.versions, probe) for name in wanted}
        audit = steps.report(sharing, wanted, producer, consumers, repair)
    if audit.missing:
        raise AccessMissing(audit.missing, audit.text(), audit.to_json())
    if not audit.told:
        raise Failed(f"Nothing could be told from here.\n{audit.text()}")
    return audit
