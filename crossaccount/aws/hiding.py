"""Credentials are taken out of AWS's errors before anybody reads them; the errors of a session's clients pass through here.

Not here: where a session's credentials come from (``sessions``).
"""

import base64
import json
from collections import deque
from typing import Any
from urllib.parse import quote, quote_plus

from botocore.exceptions import HTTPClientError
from botocore.parsers import ResponseParserError, ResponseParserFactory
from botocore.session import Session

from crossaccount.aws.refusals import NoAnswer
from crossaccount.text import redacted


def hide_credentials(session: Session) -> None:
    """Have every client of a session hide the credentials of its requests: clients take over the session's event handlers."""
    redactor: Any = Redactor()
    session.register("before-sign", redactor.remember)
    session.register("after-call", redactor.redact_error)
    session.register("after-call-error", redactor.redact_exception)
    session.register_component("response_parser_factory", SilentParsers())


class SilentParsers(ResponseParserFactory):
    """botocore's parsers, without the errors that repeat an unreadable answer: half of it may be credentials."""

    def create_parser(self, protocol_name: str) -> Any:
        """As botocore's; an answer that cannot be read is a `NoAnswer`, which repeats nothing of it."""
        parser: Any = super().create_parser(protocol_name)
        parse = parser.parse

        def parse_silently(response: Any, shape: Any) -> Any:
            try:
                return parse(response, shape)
            except ResponseParserError:
                raise NoAnswer from None

        parser.parse = parse_silently
        return parser


class Redactor:
    """Takes the credentials that sign a session's requests out of AWS's errors.

    An error may repeat the request that it is about, credentials included: as they are, quoted for an address, or in
    base64.
    """

    def __init__(self) -> None:
        # Credentials are refreshed, and answers may be late.
        self._known: deque[tuple[str, ...]] = deque(maxlen=8)
        self._last: Any = None

    def remember(self, request_signer: Any, **_: Any) -> None:
        """Remember the credentials that a request is about to be signed with."""
        frozen = request_signer._credentials and request_signer._credentials.get_frozen_credentials()
        if frozen and frozen != self._last:
            spellings = _spellings(frozen.access_key, frozen.secret_key, frozen.token)
            if spellings not in self._known:
                self._known.append(spellings)
            self._last = frozen  # after it is known: other threads skip what is

    def redact_error(self, parsed: dict[str, Any], **_: Any) -> None:
        """Take credentials out of every part of an error; any other answer is left as it is."""
        error = parsed.get("Error")
        if isinstance(error, dict):
            parsed["Error"] = {key: self._redacted(value) for key, value in error.items()}

    def redact_exception(self, exception: Exception, **_: Any) -> None:
        """Cut an error of the connection from its causes, which repeat the bytes that came over it.

        Raises:
            NoAnswer: in place of an error that repeats them itself, or may.
        """
        exception.__cause__ = exception.__context__ = None
        if type(exception) is HTTPClientError or self._redacted(str(exception)) != str(exception):
            raise NoAnswer from None

    def _redacted(self, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        for spelling in (spelling for spellings in list(self._known) for spelling in spellings):
            value = value.replace(spelling, "****")
        return redacted(value)


def _spellings(*secrets: str | None) -> tuple[str, ...]:
    """Secrets in every way that they are written, the longest first."""
    spellings = set[str]()
    for secret in filter(None, secrets):
        encoded = base64.b64encode(secret.encode()).decode().rstrip("=")  # credentials have no + or / in it
        spellings |= {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), encoded}
        spellings |= {json.dumps(secret)[1:-1].replace("/", "\\/")}
    return tuple(sorted(spellings, key=len, reverse=True))
