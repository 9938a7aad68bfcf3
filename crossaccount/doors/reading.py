"""Reading a policy that is not written here, and saying so where that is not allowed.

Not here: which policies those are (each door's own module).
"""

from collections.abc import Callable

from botocore.exceptions import ClientError

from crossaccount.aws.access import Producer
from crossaccount.errors import Finding, Severity
from crossaccount.policy.documents import Document, sound
from crossaccount.strict_json import parse_json

_REFUSALS = ("AccessDenied", "AccessDeniedException")


def read_further(
    producer: Producer, name: str, subject: str, read: Callable[[], str], absent: str, action: str
) -> tuple[Document | None, Finding | None]:
    """A further policy, None where there is none; or else a note that it may not be read, or is not as AWS writes them.

    Args:
        producer: the producer's account.
        name: what it is called, for messages.
        subject: whose it is, for findings.
        read: gives its text.
        absent: the service's error where there is none.
        action: the permission that reading it needs.

    Raises:
        ClientError: when AWS refuses for another reason.
    """
    try:
        return sound(parse_json(read())), None
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == absent:
            return None, None
        if code not in _REFUSALS:
            raise
        text = f"The {name} could not be read ({code}): whom it lets in or keeps out cannot be told."
        way_out = f"Allow the producer's role {action}, as deployments/iam/producer.yaml does."
        return None, Finding(Severity.NOTE, subject, text, producer.way_out(error, way_out))
    except (ValueError, RecursionError) as error:
        text = f"The {name} cannot be read: {str(error)[:200]}. Whom it lets in or keeps out cannot be told."
        return None, Finding(Severity.NOTE, subject, text, "Look at it and correct it by hand.")
