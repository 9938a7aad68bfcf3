"""Retries where botocore gives up: a disturbance of a minute, of AWS or of the network to it, ends no call.

botocore gives a call ten attempts, with pauses of 13 s on average, and a client 35 retries of server errors until calls succeed
again. Not here: errors after which one looks before one writes again (``sharing.apply``, ``release.store``), and waits that
outlast more than this (``hosting.gateway``).

Source: "Retry behavior" in the AWS SDKs and Tools reference; the event needs-retry in botocore, and its retries.standard.
"""

import random
from typing import Any
from urllib.parse import urlsplit

from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    ConnectionError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ReadTimeoutError,
)
from botocore.retries.standard import (
    RetryContext,
    RetryEventAdapter,
    StandardRetryConditions,
    ThrottledRetryableChecker,
)
from botocore.session import Session

from crossaccount.aws.refusals import NoAnswer

# All accounts share a client, and several of them ask several questions at once.
CLIENTS = Config(retries={"mode": "standard", "total_max_attempts": 10}, max_pool_connections=256)
# Eleven more pauses, of 66 s together at least.
_ATTEMPTS = 21
_TIMED_OUT_ATTEMPTS = 3  # each has taken a minute
_LONGEST_PAUSE = 8.0
_LEAST_OF_A_PAUSE = (
    0.75  # the rest is left to chance: callers that failed together do not come again together
)
# Numbers of things that one may have, which no wait changes; botocore takes it for throttling.
_LIMIT = "LimitExceededException"


class Persistence:
    """Retries of the sessions that share it, beyond botocore's own.

    A host that has never answered, and cannot be connected to, is not waited for longer than botocore does, nor is an AWS whose
    disturbance has outlasted a call, until it answers again. Questions to a model (``sagemaker-runtime``) have a time of their own.
    """

    def __init__(self) -> None:
        self._reached = set[str]()
        self._outlasted = False
        self._adapter = RetryEventAdapter()
        self._conditions = StandardRetryConditions(_ATTEMPTS)

    def attach(self, session: Session) -> None:
        """Have every client of a session retry so, also those that its own credentials are fetched with."""
        session.set_default_client_config(CLIENTS)
        # The general name comes after botocore's own handlers, and the first answer counts.
        pause: Any = self.pause
        session.register("needs-retry", pause)

    def pause(self, **event: Any) -> float | None:
        """The seconds until a call is made again; None for an error that does not pass by itself, and for an answer."""
        if event["operation"].service_model.service_name == "sagemaker-runtime":
            return None
        response, caught, attempts = event["response"], event["caught_exception"], event["attempts"]
        # As a first attempt, so that the conditions look at the error alone.
        context = self._adapter.create_retry_context(**{**event, "attempts": 1})
        host = urlsplit(event["request_dict"]["url"]).netloc
        if response is not None:
            self._reached.add(host)
        if context.get_error_code() == _LIMIT or not self._conditions.is_retryable(context):
            if response is not None:
                self._outlasted = False
            return None
        timed_out = isinstance(caught, ReadTimeoutError | ConnectTimeoutError)
        if attempts >= (_TIMED_OUT_ATTEMPTS if timed_out else _ATTEMPTS):
            self._outlasted = True
        is_there = host in self._reached or not isinstance(caught, EndpointConnectionError)
        return _pause_after(attempts) if is_there and not self._outlasted else None


def _pause_after(attempts: int) -> float:
    """Seconds, twice as many after each attempt."""
    longest = min(2.0 ** (attempts - 2), _LONGEST_PAUSE)
    return longest * random.uniform(_LEAST_OF_A_PAUSE, 1)  # noqa: S311 - no secret


def passes(error: Exception) -> bool:
    """Whether an error passes by itself: no answer came, AWS was told to be asked less, or it failed at its own end.

    What was asked for may have been done all the same.
    """
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        throttled = ThrottledRetryableChecker().is_retryable(RetryContext(1, parsed_response=error.response))
        is_limit = error.response["Error"].get("Code") == _LIMIT
        return status >= 500 or status == 429 or (throttled and not is_limit)
    return isinstance(error, ConnectionError | HTTPClientError | NoAnswer)
