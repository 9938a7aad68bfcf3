"""The whole story against a separate sandbox: refused, planned, shared, deployed and proved, shut again, revoked.

It runs the product's own flows, on a separate Prefect server, and stops at the first step that does not go exactly as it
should. It is a first sight of the product, not a test suite. Not here: how a flow is started, which the command hands in.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError

from crossaccount import called
from crossaccount.config.loading import load_config
from crossaccount.config.model import Sharing
from crossaccount.errors import DoorName, Failed, Refused
from crossaccount.sharing import gather
from crossaccount.show import plans
from crossaccount.stage import processes


@dataclass
class Story:
    """The steps so far; ``quiet`` keeps stdout free."""

    quiet: bool
    steps: list[dict[str, Any]] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def say(self, text: str = "") -> None:
        """Print one line for the person who watches."""
        print(text, file=sys.stderr if self.quiet else sys.stdout, flush=True)

    def wait(self, text: str) -> None:
        """Print what the next seconds are spent on."""
        self.say(f"    ... {text}")

    def tell(self, title: str, outcome: str, detail: str = "") -> None:
        """Tell one step that went as it should."""
        self.steps.append({"step": title, "outcome": outcome})
        self.say(f"\n[{len(self.steps)}] {title}  ({time.monotonic() - self.started:.0f} s)")
        if detail:
            self.say("\n".join(f"    {line}" for line in detail.splitlines()))
        self.say(f"    -> {outcome}")


def tell(run: Callable[..., Any], quiet: bool = False) -> dict[str, Any]:
    """Tell the story.

    Args:
        run: runs a flow: called with its entrypoint and its arguments.
        quiet: keep stdout free, for one JSON object.

    Returns:
        The steps, each with its outcome, and the seconds the story took.

    Raises:
        InputError: when the sandbox is not installed.
        Failed: at the first step that does not go as it should.
    """
    processes.sandbox_command()  # refused before anything is started
    story = Story(quiet)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="crossaccount-demo-")))
        story.say("Starting an emulated AWS and a Prefect server: usually 10 to 30 seconds ...")
        port = processes.free_port()
        os.environ.update(processes.prefect_settings(folder, port))
        os.environ["PREFECT_LOGGING_LEVEL"] = "CRITICAL"  # the story tells the refusals itself
        stack.enter_context(processes.prefect_server(folder, port, {"PREFECT_SERVER_UI_ENABLED": "false"}))
        ready = stack.enter_context(processes.sandbox())
        os.environ.update(ready["env"])
        story.wait(
            f"the emulated AWS is up ({time.monotonic() - story.started:.0f} s); the Prefect server makes its database"
        )
        processes.wait_for(f"{os.environ['PREFECT_API_URL']}/health", "The Prefect server")
        story.wait(
            f"the Prefect server is up ({time.monotonic() - story.started:.0f} s); the first deployment loads the flows"
        )
        _chapters(story, ready, run)
    seconds = round(time.monotonic() - story.started, 1)
    story.say(f"\nThe story went as it should: {len(story.steps)} steps in {seconds} s.")
    story.say(_NEXT.format(command=called.program(), config=ready["config"]))
    return {"steps": story.steps, "seconds": seconds}


_NEXT = """
What to try next:
  {command} ui        the same in a browser: forms, plans, proofs
  {command} sandbox   the emulated AWS by itself; paste the export lines that it prints into another shell, and there:
  {command} plan {config}
  {command} files     where the example config and the roles' templates are
  {command} init      a config for accounts of your own, read from them; docs/first-day.md shows each step"""


def _chapters(story: Story, ready: dict[str, Any], run: Callable[..., Any]) -> None:
    path = ready["config"]
    sharing = load_config(path)

    def deploy() -> Any:
        return run("flows.consumer:deploy_model", path, "staging", None, False)

    _refused(story, "Before sharing, the consumer is refused", deploy, DoorName.REGISTRY)
    plan = gather.make_plan(sharing)
    story.tell("The plan", f"{plan.writes} documents would change", plans.text(plan))
    story.wait("sharing: each policy is written and read back")
    shared = run("flows.producer:share_models", path)
    story.tell("The share", "every policy was read back; the Releases are published", shared.table())
    _expect(gather.make_plan(sharing).writes == 0, "A second plan has nothing left to do.")
    story.wait("deploying: the endpoint comes up, is asked, and is taken down again")
    deployment = deploy()
    _expect(deployment.proof.verified, "The deployment is proved.")
    removed = all(removal.outcome == "removed" for removal in deployment.removals)
    _expect(removed, "Every resource was removed.")
    outcome = "predictions equal those the producer recorded; torn down"
    story.tell("The deployment", outcome, deployment.table())
    story.tell("The outsider, which no config names", _outsider(ready, sharing))
    for door in (DoorName.REGISTRY, DoorName.REPOSITORY, DoorName.BUCKET):
        _shut(ready, sharing, door)
        _refused(story, f"With the {door} shut, the consumer is refused", deploy, door)
        _expect(gather.make_plan(sharing).writes == 1, f"The plan opens only the {door}.")
        run("flows.producer:share_models", path)
    run("flows.producer:revoke_access", path, "staging")
    _refused(story, "Revoked, the consumer is refused again", deploy, DoorName.REGISTRY)


def _refused(story: Story, title: str, deploy: Callable[[], Any], door: DoorName) -> None:
    try:
        deploy()
    except Refused as error:
        sentence = f"The {door} door is named, not the {error.refusal.door} door: {error}"
        _expect(error.refusal.door is door, sentence)
        story.tell(title, f"refused at the {door} door of account {error.refusal.account}", str(error))
        return
    raise Failed(f"{title}: it was not refused.")


def _expect(holds: bool, sentence: str) -> None:
    if not holds:
        raise Failed(f"The story did not go as it should. This does not hold: {sentence}")


def _outsider(ready: dict[str, Any], sharing: Sharing) -> str:
    """Try three doors as the outsider's administrator, who may do anything that the outsider's account can allow."""
    group, region, owner = sharing.model_package_group, sharing.region, sharing.producer.account
    package = f"arn:aws:sagemaker:{region}:{owner}:model-package/{group}/2"
    admin = _admin(ready, "outsider")
    attempts: dict[str, Callable[[], Any]] = {
        "registry": lambda: admin("sagemaker").describe_model_package(
            ModelPackageName=package, IncludedData="MetadataOnly"
        ),
        "repository": lambda: admin("ecr").batch_get_image(
            registryId=owner, repositoryName=group, imageIds=[{"imageTag": "1"}]
        ),
        "bucket": lambda: admin("s3").list_objects_v2(Bucket=sharing.producer.releases_bucket),
    }
    for name, attempt in attempts.items():
        try:
            attempt()
        except ClientError as error:
            is_denied = error.response["Error"]["Code"].startswith("AccessDenied")
            _expect(is_denied, f"The {name} refuses the outsider.")
        else:
            raise Failed(f"The outsider was let in at the {name} door.")
    return "refused at the registry, the repository and the bucket"


def _admin(ready: dict[str, Any], account: str) -> Callable[[str], Any]:
    key = ready["accounts"][account]
    session: Any = boto3.Session(key["access_key_id"], key["secret_access_key"], region_name=ready["region"])
    return lambda service: session.client(service, endpoint_url=ready["endpoint_url"])


def _shut(ready: dict[str, Any], sharing: Sharing, door: DoorName) -> None:
    """Close one door behind the product's back, as someone in the producer account might."""
    admin = _admin(ready, "producer")
    group = sharing.model_package_group
    if door is DoorName.REGISTRY:
        admin("sagemaker").delete_model_package_group_policy(ModelPackageGroupName=group)
    elif door is DoorName.REPOSITORY:
        admin("ecr").delete_repository_policy(repositoryName=group)
    else:
        admin("s3").delete_bucket_policy(Bucket=sharing.producer.releases_bucket)
