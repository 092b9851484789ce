"""Values on the command line, as argparse reads them: each raises its error on a wrong one."""

from __future__ import annotations

import argparse
import math
import os
from pathlib import Path

from server.email_address import is_email

MAX_ROWS = 2000
"""Most rows the daemon gives in one answer, as docs/protocol.md says."""

MAX_SOCKET_PATH = 103
"""Longest path that a Unix socket can have everywhere."""

NEIGHBOURS = "/64"
"""How the source of an IPv6 address ends, as lists show it."""


def path(raw: str) -> Path:
    """Read the path of a socket."""
    if not raw:
        raise argparse.ArgumentTypeError("must not be empty")
    path = Path(raw).expanduser().absolute()
    if len(os.fsencode(path)) > MAX_SOCKET_PATH:
        raise argparse.ArgumentTypeError(f"is longer than {MAX_SOCKET_PATH} bytes")
    return path


def interval(raw: str) -> float:
    """Read a number of seconds between two looks."""
    try:
        seconds = float(raw)
    except ValueError:
        seconds = math.nan
    if not 0.1 <= seconds <= 86400:
        raise argparse.ArgumentTypeError("must be a number of seconds from 0.1 to 86400")
    return seconds


def limit(raw: str) -> int:
    """Read how many rows to show."""
    # A leading + or an underscore is harmless, a word is not a number: int() decides.
    try:
        rows = int(raw)
    except ValueError:
        rows = 0
    if not 1 <= rows <= MAX_ROWS:
        raise argparse.ArgumentTypeError(f"must be a number from 1 to {MAX_ROWS}")
    return rows


def email(raw: str) -> str:
    """Read an e-mail."""
    email = raw.strip()
    if not is_email(email):
        # Not repeated: it may be a password that slipped into the wrong place.
        raise argparse.ArgumentTypeError("is not an e-mail address such as jana@example.cz")
    return email


def beginning(raw: str) -> str:
    """Read the beginning of a connection's id."""
    text = raw.strip().lower()
    if not 8 <= len(text) <= 32 or set(text) - set("0123456789abcdef"):
        # Not repeated: it may be an e-mail or a token.
        raise argparse.ArgumentTypeError("must be 8 to 32 hex digits, as `connections` lists it")
    return text


def change(raw: str) -> str:
    """Read the id of a change."""
    text = raw.strip().lower()
    if len(text) != 16 or set(text) - set("0123456789abcdef"):
        raise argparse.ArgumentTypeError("must be 16 hex digits, as `journal` lists it")
    return text


def source(raw: str) -> str:
    """Read the source of calls, as lists show it."""
    from server.sources import UNKNOWN, source_of  # noqa: PLC0415 - only one command needs it

    text = raw.strip()
    address = text.removesuffix(NEIGHBOURS)
    source = source_of(address)
    listed = address == text or source.endswith(NEIGHBOURS)
    if text.lower() == UNKNOWN:
        raise argparse.ArgumentTypeError(
            "is not an address: whose address is unknown counts as the proxy; give the proxy's"
        )
    if source == UNKNOWN or not listed:
        raise argparse.ArgumentTypeError("is not an address such as 192.0.2.7 or 2001:db8::7")
    return source
