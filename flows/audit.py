"""The audit's flow: see whether the access that a config promises is there, from both sides as far as this machine reaches them.

Not here: an answer's grounds (``crossaccount.audit``).
"""

from crossaccount.audit.answers import Audit
from crossaccount.aws import sessions
from crossaccount.errors import AccessMissing, Failed, VersionRecalled
from flows import forms
from flows.operations import operation
from tasks import alerts, dashboard, ending, summaries
from tasks import audit as steps
from tasks.steps import name_run


@operation("check-access")
def check_access(
    config: forms.ConfigFile, consumer: forms.OneConsumer = None, probe: bool = True, repair: bool = False
) -> Audit:
    """See whether every consumer of a config passes every door, and change nothing for good.

    Args:
        config: The reviewed file that promises the access.
        consumer: The only consumer to look at. Leave it empty for all.
        probe: Make a model in each consumer's account and delete it: it takes seconds and costs nothing.
        repair: Show the plan that repairs missing access.
    """
    sharing = forms.loaded(config)
    wanted = sharing.select(consumer)
    name_run(f"check {sharing.model_package_group} for {', '.join(wanted)}")
    with sessions.reuse():
        producer = steps.check_documents(sharing, wanted)
        consumers = {name: steps.check_consumer(sharing, name, producer.versions, probe) for name in wanted}
        audit = steps.report(sharing, wanted, producer, consumers, repair)
        ending.see(sharing, dashboard.of_audit(sharing, producer, consumers))
        ending.alert(
            sharing, [*alerts.of_missing(sharing, audit.missing), *alerts.of_expiring(sharing, wanted)]
        )
        summaries.tell_audit(sharing, wanted, audit)
    if audit.missing:
        missing = AccessMissing(audit.missing, audit.text(), audit.to_json())
        for recalled in audit.recalled:
            missing.add_note(f"A version that is recalled is live: {recalled}.")
        raise missing
    if audit.recalled:
        raise VersionRecalled(audit.recalled, audit.text(), audit.to_json())
    if not audit.is_conclusive:
        raise Failed(f"Nothing could be told from here.\n{audit.text()}")
    return audit
