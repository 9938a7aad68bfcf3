"""Questions to an asynchronous endpoint: each is queued, and its answer, or its error, is read from S3 in bounded time.

Answers lie below a folder of their own, ``queues.FOLDER``, and stay there: how long is the lifecycle of the user's bucket. Not here: what an
answer says (``reading``), and the asking of other endpoints (``asking``).

Source: InvokeEndpointAsync in the SageMaker Runtime API reference; GetObject in the S3 API reference: a key that is not there is
NoSuchKey to who may list the bucket, and AccessDenied to everyone else.
"""

import io
import time
import uuid
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from crossaccount.arns import parse_s3
from crossaccount.aws import ways_out
from crossaccount.aws.access import Target
from crossaccount.aws.simulation import Simulated
from crossaccount.errors import DoorName, Failed, Refusal, Refused
from crossaccount.hosting import queues
from crossaccount.hosting.gateway import Patience
from crossaccount.proof.reading import BODY_LIMIT

INLINE_LIMIT = 128_000  # botocore, sagemaker-runtime: AsyncBodyBlob
_SPARE_SECONDS = 60.0  # beyond the waiting: for the calls themselves


@dataclass(frozen=True)
class Answered:
    """An answer: its content type, and its body to read."""

    content_type: str
    body: io.BytesIO


@dataclass(frozen=True)
class _Found:
    """What a look at an object's place shows: the object, or nothing; and whether S3 refused without a reason."""

    object: Answered | None = None
    unexplained: bool = False


def check_size(endpoint: str, shown: str, body: bytes) -> None:
    """See that a question's body can be sent in a call.

    Raises:
        Failed: for one that is larger than an asynchronous endpoint takes.
    """
    if len(body) > INLINE_LIMIT:
        raise Failed(
            f"The question {shown[:60]!r} has {len(body)} bytes, and the asynchronous endpoint {endpoint} takes {INLINE_LIMIT} in a call. Put "
            "it into S3, and name it in smoke.body_s3_uri."
        )


class Queue:
    """An asynchronous endpoint that questions are put to.

    Once a question has got no answer in time, the others are not asked: they would wait behind it.

    Args:
        target: the account.
        endpoint: its name.
        patience: how often to look for an answer; how long is the config's.
    """

    def __init__(self, target: Target, endpoint: str, patience: Patience | None = None) -> None:
        queue = target.consumer.endpoint.asynchronous
        assert queue is not None
        self._target = target
        self._endpoint = endpoint
        self._seconds = queue.answer_seconds
        self._patience = patience or Patience(float(queue.answer_seconds), first=0.1, longest=5.0)
        self._silent = ""

    @property
    def seconds(self) -> float:
        """The longest time that a question takes in all."""
        return self._seconds + _SPARE_SECONDS

    def invoke(self, body: bytes, content_type: str, accept: str = "", location: str = "") -> Answered:
        """Put one question, and wait for its answer.

        Args:
            body: of the question; not sent where there is a location.
            content_type: of the body.
            accept: the content types of the wanted answer; empty for none.
            location: the S3 object that is the body; empty for none. The execution role reads it.

        Raises:
            ValueError: for an error of the endpoint, with its text; and when nothing came in time.
            Refused: when AWS refuses the call or the reading; and when nothing came, and a role may not do its part.
        """
        if self._silent:
            raise ValueError(f"it was not asked, because {self._silent}")
        output, failure = self._send(body, content_type, accept, location)
        started, unexplained = time.monotonic(), False
        while True:
            for uri in filter(None, (output, failure)):
                found = self._look(uri)
                unexplained = unexplained or found.unexplained
                if found.object is not None:
                    return self._taken(found.object, uri, failure)
            waited = time.monotonic() - started
            if waited >= self._seconds:
                raise self._nothing(output, failure, unexplained)
            time.sleep(min(self._patience.pause(waited), self._seconds - waited))

    def _send(self, body: bytes, content_type: str, accept: str, location: str) -> tuple[str, str]:
        """Queue a question; where its answer will lie, and its error, empty where that is kept nowhere."""
        given: dict[str, Any] = {"InputLocation": location} if location else {"Body": body}
        if content_type:
            given["ContentType"] = content_type
        if accept:
            given["Accept"] = accept
        with self._target.explained("sagemaker:InvokeEndpointAsync", self._endpoint):
            told = self._target.client("sagemaker-runtime").invoke_endpoint_async(
                EndpointName=self._endpoint,
                InferenceId=f"crossaccount-{uuid.uuid4()}",
                S3OutputPathExtension=queues.FOLDER,
                InvocationTimeoutSeconds=self._seconds,
                RequestTTLSeconds=max(60, self._seconds),
                **given,
            )
        return told["OutputLocation"], told.get("FailureLocation") or ""

    def _look(self, uri: str) -> _Found:
        """What lies at a place now."""
        bucket, key = parse_s3(uri)
        with self._target.explained(
            "s3:GetObject", f"arn:{self._target.config.partition}:s3:::{bucket}/{key}"
        ):
            try:
                found = self._target.s3.get_object(Bucket=bucket, Key=key)
            except ClientError as error:
                code, text = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
                if code == "NoSuchKey":
                    return _Found()
                # What S3 says of a key that is not there; it gives no reason to other organizations.
                if code == "AccessDenied" and ("s3:ListBucket" in text or "because" not in text):
                    return _Found(unexplained="s3:ListBucket" not in text)
                raise
            return _Found(
                Answered(found.get("ContentType", ""), io.BytesIO(found["Body"].read(BODY_LIMIT + 1)))
            )

    @staticmethod
    def _taken(found: Answered, uri: str, failure: str) -> Answered:
        if uri != failure:
            return found
        raise ValueError(f"the endpoint failed: {found.body.read().decode('utf-8', 'replace').strip()}")

    def _nothing(self, output: str, failure: str, unexplained: bool) -> Exception:
        """Why nothing came, as far as it can be told: a role that may not do its part, or nothing that can be seen."""
        self._silent = f"the question before it had no answer within {self._seconds} s"
        for need, said in queues.lacking(self._target):
            if need.action != "sns:Publish":  # whoever may not tell a topic has answered all the same
                return Refused(self._refusal(need, said, output))
        kept = (
            f"and no error at {failure}"
            if failure
            else "and errors are kept nowhere (asynchronous.s3_failures)"
        )
        doubt = (
            " S3 refuses the deployer without a reason, so it may lie there all the same."
            if unexplained
            else ""
        )
        return ValueError(
            f"no answer lay at {output} within {self._seconds} s, {kept}.{doubt} What the endpoint says of it stands in the log stream data-log "
            f"of /aws/sagemaker/Endpoints/{self._endpoint}"
        )

    def _refusal(self, need: queues.Need, said: Simulated, output: str) -> Refusal:
        account, what = self._target.account, f"{need.action} on {need.resource}"
        step = (
            f"In account {account}, the policies of {need.role} must allow {what}. The templates in deployments/iam have every permission "
            "that is needed."
        )
        if said.denial is not None:
            step = ways_out.denied(said.denial, account, need.role, what, account)
        elif said.lacks:
            step = ways_out.lacking(said.lacks, account, need.role, what)
        if said.denial is None:  # its own policies alone were asked about
            step += f" Or a policy of {need.resource} itself allows it, and the answer was late: then raise asynchronous.answer_seconds."
        of_execution = need.role == self._target.consumer.execution_role
        return Refusal(
            door=DoorName.EXECUTION_ROLE if of_execution else DoorName.CALLER_POLICY,
            account=account,
            action=need.action,
            resource=need.resource,
            caller=need.role,
            aws_code="explicitDeny" if said.denial is not None else "implicitDeny",
            aws_message=f"(asked what the role may, once no answer had come to {output} within {self._seconds} s)",
            ruled_out=(),
            next_step=step,
            denied_by=said.denial,
        )
