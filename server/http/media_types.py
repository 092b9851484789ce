"""The types and codings of a request's body and of the answers it accepts (RFC 9110 8 and 12.5.1).

Names of types, codings and parameters are case-insensitive.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

Headers = Iterable[tuple[bytes, bytes]]

JSON = "application/json"
EVENTS = "text/event-stream"


def accepted(headers: Headers) -> tuple[bool, bool]:
    """Say whether a request takes JSON and whether it takes server-sent events.

    Args:
        headers: All of the request, names in lower case. No Accept among them means anything goes.
    """
    accept = _value(headers, b"accept")
    return (True, True) if accept is None else _accepted(accept)


def is_json(headers: Headers) -> bool:
    """Whether a body is declared as JSON; several declarations must all do so.

    Parameters are left aside: JSON defines none, and `charset` is sent by many (RFC 8259 11).
    """
    declared = _value(headers, b"content-type")
    return declared is not None and all(
        part.partition(";")[0].strip() == JSON for part in declared.split(",")
    )


def is_plain(headers: Headers) -> bool:
    """Whether a body comes as it is, in no content coding such as gzip."""
    return _codings(headers, b"content-encoding") <= {"", "identity"}


def is_framed_only(headers: Headers) -> bool:
    """Whether a body is at most sent in chunks, not compressed on the way (RFC 9112 6.1)."""
    return _codings(headers, b"transfer-encoding") <= {"", "chunked"}


def _codings(headers: Headers, name: bytes) -> set[str]:
    return {coding.strip() for coding in (_value(headers, name) or "").split(",")}


def _value(headers: Headers, name: bytes) -> str | None:
    """Return the values of a header as one list, in lower case; None without the header."""
    values = [value for key, value in headers if key == name]
    return b",".join(values).decode("latin-1").lower() if values else None


@lru_cache(maxsize=64)  # clients send one of a few
def _accepted(header: str) -> tuple[bool, bool]:
    refused: dict[str, bool] = {}
    for part in header.split(","):
        media, *parameters = (piece.strip() for piece in part.split(";"))
        refused[media] = any(_is_zero_weight(parameter) for parameter in parameters)
    return _takes(refused, JSON), _takes(refused, EVENTS)


def _takes(refused: dict[str, bool], media: str) -> bool:
    # The most specific range decides.
    for known in (media, f"{media.partition('/')[0]}/*", "*/*"):
        if known in refused:
            return not refused[known]
    return False


def _is_zero_weight(parameter: str) -> bool:
    name, _, value = parameter.partition("=")
    return name.strip() == "q" and bool(value.strip()) and not value.strip().strip("0.")
