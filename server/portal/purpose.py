"""The purpose of a request to the portal, which decides a failure's text and an answer's limit."""

from __future__ import annotations

from dataclasses import dataclass

BODY_LIMIT = 65_536
"""Bytes read of a login's answer, before and after decompression: success has 14, a
page thousands."""

READ_LIMIT = 2_097_152
"""The same of data: a box sends some 5 000 bytes, a month of history some 500 000."""

PASSWORD_NOT_JUDGED = "This says nothing about the e-mail or password."  # noqa: S105 - a sentence


@dataclass(frozen=True, slots=True)
class Purpose:
    """A kind of request.

    Attributes:
        name: What the request is, in a sentence.
        unsent: What to say when the portal was not reached.
        unjudged: What to say when it was, but did not answer as it should; may be empty.
        limit: Bytes of the answer read at most, before and after decompression.
    """

    name: str
    unsent: str
    unjudged: str
    limit: int


LOGIN = Purpose("the login", "The password was not sent.", PASSWORD_NOT_JUDGED, BODY_LIMIT)
READ = Purpose("the request for data", "Nothing was sent.", "", READ_LIMIT)
