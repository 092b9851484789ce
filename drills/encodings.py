"""The encodings in which a secret may end up where it should not be. Pure."""

from __future__ import annotations

import base64
import json
import urllib.parse
from collections.abc import Iterator
from typing import Final

URL_ALPHABET: Final = bytes.maketrans(b"+/", b"-_")


def encodings(secret: str) -> dict[bytes, str]:
    """Return the bytes to search for, each with the name of its encoding, the plain ones first.

    Escapes are those of every character, and those of what must be escaped. Hexadecimal digits are
    those of either case.
    """
    found: dict[bytes, str] = {}
    for name, data in _encoded(secret):
        found.setdefault(data, name)
    return found


def _encoded(secret: str) -> Iterator[tuple[str, bytes]]:
    data = secret.encode()
    yield "plain", data
    for part in _base64(data):
        yield "base64", part
        yield "base64", part.translate(URL_ALPHABET)
    yield "JSON", json.dumps(secret)[1:-1].encode()
    yield "percent", urllib.parse.quote(secret, safe="").encode()
    for digits in ("02x", "02X"):
        hexadecimal = [format(byte, digits) for byte in data]
        yield "hexadecimal", "".join(hexadecimal).encode()
        yield "percent", "".join(f"%{pair}" for pair in hexadecimal).encode()
        yield "bytes of Python", "".join(f"\\x{pair}" for pair in hexadecimal).encode()
        units = secret.encode("utf-16-be").hex(" ", 2).split()
        escaped = [unit.upper() if digits.endswith("X") else unit for unit in units]
        yield "JSON", "".join(f"\\u{unit}" for unit in escaped).encode()


def _base64(data: bytes) -> Iterator[bytes]:
    """Encode bytes that come after 0, 1 or 2 others: the digits that the others have no part in."""
    for before in range(3):
        digits = base64.b64encode(bytes(before) + data)
        # Six bits a digit: the first that holds none of the others, and those that are full.
        yield digits[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]
