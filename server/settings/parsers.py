"""Parses the text of a setting into its value. A `ValueError` says what the value must be.

It begins with `must`, or says that something is not a number. The given text is not repeated: it
may be a secret that was put into the wrong variable.
"""

from __future__ import annotations

import ipaddress
import math
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from ..email_address import is_email
from ..origins import SCHEME, authority, canonical_origin
from ..sources import Network, network_of
from .value_file import UnusableFile, read_value

LONGEST = 30 * 86400.0
"""Longest time of a setting, in seconds: the cache protocol carries none above it."""

MOST_SPRAYED = 10_000
"""Largest budget of accounts per source, as `server.cache.spraying` says."""

NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
"""A number as settings have it."""

BLANK = " \t\r\n"
"""What may stand around a value."""

MAX_WORKERS = 64
"""More than any machine this is made for has use for: likely a mistyped port."""


NO_NETWORK = "must be addresses or networks such as 192.0.2.7 or 10.0.0.0/8"

WIDEST = {4: 8, 6: 16}
"""Shortest prefix by version of IP: nobody's own network is wider, unless it is private."""

PRIVATE = ipaddress.IPv6Network("fc00::/7")
"""Unique local addresses (RFC 4193)."""

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def path(raw: str) -> Path:
    """Read the path of a file or folder."""
    try:
        return Path(raw).expanduser().absolute()
    except RuntimeError:
        raise ValueError("must be a path; the user after ~ is not known here") from None


def pem_path(raw: str) -> Path:
    """Read the path of a PEM file."""
    # OIG_TLS_KEY_FILE is a file with the path of the key. If somebody put the key itself there, the
    # error would quote the key as a path that does not exist.
    if "\n" in raw or "-----" in raw:
        raise ValueError(
            "must be the path of a PEM file and not what such a file holds; OIG_TLS_CERT and "
            "OIG_TLS_KEY themselves name the files"
        )
    return path(raw)


def _names(raw: str) -> tuple[str, ...]:
    return tuple(part for part in raw.replace(",", " ").split() if part)


def hosts(raw: str) -> tuple[str, ...]:
    """Read host names."""
    given = _names(raw)
    if not all(map(authority, given)):
        raise ValueError("must be host names such as oig.example.org, without scheme and path")
    return given


def origins(raw: str) -> tuple[str, ...]:
    """Read origins of web pages."""
    given = tuple(canonical_origin(part.removesuffix("/")) for part in _names(raw))
    if not all(given):
        raise ValueError(
            "must be origins of web pages such as https://app.example.org or "
            "https://app.example.org:8443: each with scheme and host, without a path, and no * or "
            "null"
        )
    return cast("tuple[str, ...]", given)


def _named_networks(names: Iterable[str], why_not_all: str) -> tuple[Network, ...]:
    """Read addresses and networks.

    Args:
        names: As the operator wrote them.
        why_not_all: What would come of naming everybody, as the end of a sentence.

    Raises:
        ValueError: One is none, or they are everybody: `*`, a network of half the Internet, or
            halves that make a whole.
    """
    everybody = ValueError(f"must not name everybody: {why_not_all}")
    networks = []
    for name in names:
        if name == "*":
            raise everybody
        networks.append(_network(name))
    v4 = [one for one in networks if isinstance(one, ipaddress.IPv4Network)]
    v6 = [one for one in networks if isinstance(one, ipaddress.IPv6Network)]
    whole: list[Network] = [*ipaddress.collapse_addresses(v4), *ipaddress.collapse_addresses(v6)]
    for network in whole:
        private = isinstance(network, ipaddress.IPv6Network) and network.subnet_of(PRIVATE)
        if network.prefixlen < WIDEST[network.version] and not private:
            raise everybody
    return tuple(networks)


def _network(name: str) -> Network:
    try:
        network = network_of(name)
    except ValueError:
        raise ValueError(NO_NETWORK) from None
    if "%" in name:
        raise ValueError(NO_NETWORK)
    return network


def proxies(raw: str) -> tuple[str, ...]:
    """Read networks that are trusted."""
    trusted = _named_networks(
        _names(raw),
        "who is trusted may write any caller's address into X-Forwarded-For, and is then neither "
        "counted nor banned. Name the addresses of your own proxies",
    )
    return tuple(map(str, trusted))


def networks(raw: str) -> tuple[Network, ...]:
    """Read networks that many people share."""
    return _named_networks(
        _names(raw),
        "who calls from such a network may fail at any number of accounts, and has no limit of "
        "connections. Name the networks that many people share",
    )


def _is_file_of_emails(raw: str) -> bool:
    # A list of several lines is the content of OIG_ALLOWED_EMAILS_FILE, with a / in comments.
    return "\n" not in raw and ("@" not in raw or "/" in raw)


def emails(raw: str) -> tuple[str, ...]:
    """Read a list of e-mail addresses, or the path of a file with one."""
    file = path(raw) if _is_file_of_emails(raw) else None
    # One word that leads nowhere may be a secret put into the wrong variable: it is not repeated.
    if file is not None and not raw.startswith(("/", "~")) and not os.path.lexists(file):
        raise ValueError("must be e-mail addresses or a readable file of them")
    text = raw if file is None else read_value(file)
    found: list[str] = []
    for place, line in enumerate(text.splitlines(), 1):
        names = _names(line.split("#", 1)[0])
        if not all(map(is_email, names)):
            # What stands there may be a secret put into the wrong file: it is not repeated.
            if file is not None:
                raise UnusableFile(
                    f"line {place} of the file {file} holds something that is not an e-mail "
                    "address such as jana@example.cz"
                )
            where = f"; line {place} does not" if "\n" in raw else ""
            raise ValueError(
                f"must hold e-mail addresses such as jana@example.cz and nothing else{where}"
            )
        found.extend(names)
    return tuple(found)


def number(raw: str) -> float:
    """Read a number."""
    # int() and float() take more than people mean: 1_000, 1e3, inf, digits of other scripts, and
    # control characters around them.
    if NUMBER.fullmatch(raw) is None:
        raise ValueError("is not a number")
    return float(raw)


def positive(raw: str) -> float:
    """Read a number above 0."""
    try:
        value = number(raw)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise ValueError("must be a number above 0")
    return value


def seconds(raw: str) -> float:
    """Read a time of at most 30 days."""
    value = positive(raw)
    if value > LONGEST:
        raise ValueError("must be at most 2592000 (30 days)")
    return value


def whole(least: int, most: float, wrong: str) -> Callable[[str], int]:
    """Return what reads a whole number within bounds, and says `wrong` of others."""

    def read(raw: str) -> int:
        # Fifteen digits are more than any setting has, and float is exact for them.
        value = number(raw)
        if "." in raw or abs(value) >= 10**15:
            raise ValueError("is not a number")
        if not least <= value <= most:
            raise ValueError(wrong)
        return int(value)

    return read


count = whole(1, math.inf, "must be at least 1")
count_or_none = whole(0, math.inf, "must be at least 0")
accounts_or_none = whole(0, MOST_SPRAYED, f"must be from 1 to {MOST_SPRAYED}, or 0 for any number")
port = whole(1, 65535, "must be between 1 and 65535")
workers = whole(1, MAX_WORKERS, f"must be a number from 1 to {MAX_WORKERS}")


def one_of(*words: str) -> Callable[[str], str]:
    """Return what reads one of some words, in capitals or not."""
    said = f"must be {', '.join(words[:-1])} or {words[-1]}"

    def read(raw: str) -> str:
        for word in words:
            if raw.lower() == word.lower():
                return word
        raise ValueError(said)

    return read


log_level = one_of("DEBUG", "INFO", "WARNING", "ERROR")
switch = one_of("on", "off")
login = one_of("browser", "chat")


def host(raw: str) -> str:
    """Read the address to listen at."""
    if raw == "localhost":
        return "127.0.0.1"
    try:
        address = ipaddress.ip_address(raw)
    except ValueError:
        raise ValueError("must be an IPv4 address such as 0.0.0.0 or 127.0.0.1") from None
    if address.version != 4:
        raise ValueError(
            "must be an IPv4 address: supervisord can share no other. For IPv6 put a reverse proxy "
            "in front"
        )
    return str(address)


def public_url(raw: str) -> str:
    """Read the address that clients call."""
    origin = canonical_origin(raw.removesuffix("/"))
    scheme, _, host_and_port = (origin or "").partition("://")
    if origin is None or scheme not in {"http", "https"}:
        raise ValueError(
            "must be the address of the server for its clients, such as https://oig.example.org or "
            "https://oig.example.org:8443, without a path"
        )
    # 1. By http a password that is typed into a page can be read on its way, but not on this
    #    machine. 2. Clients compare the address to the letter: it stays in one spelling.
    name, _ = authority(host_and_port) or ("", "")
    if scheme == "http" and name.strip("[]") not in LOOPBACK:
        raise ValueError("must use https: passwords are typed there")
    return origin


NOT_OF_PROGRAMS = frozenset(
    {
        *("about", "blob", "data", "file", "filesystem", "ftp", "http", "https", "intent"),
        *("javascript", "mailto", "sms", "tel", "vbscript", "view-source", "ws", "wss"),
    }
)
"""Schemes that belong to no program of one owner: browsers and systems have a meaning for each."""


def login_redirects(raw: str) -> tuple[str, ...]:
    """Read hosts and schemes that an owner may be sent back to."""
    return tuple(map(_login_redirect, _names(raw)))


def _login_redirect(raw: str) -> str:
    # 1. `name:` is a scheme. 2. Anything else is a host, whose TLS port may be named.
    if raw.endswith(":"):
        scheme = raw[:-1].lower()
        if SCHEME.fullmatch(scheme) and scheme not in NOT_OF_PROGRAMS:
            return f"{scheme}:"
    else:
        origin = canonical_origin(f"https://{raw}")
        if origin is not None:
            return origin.removeprefix("https://")
    raise ValueError(
        "must be hosts such as chat.example.org or chat.example.org:8443 and schemes of programs "
        "such as com.example.app: with a colon behind them"
    )


def portal_url(raw: str) -> str:
    """Read the address of OIG Cloud."""
    wrong = ValueError("must be an address such as https://portal.oigpower.cz/")
    try:
        parts = urlsplit(raw)
        _ = parts.port  # raises for what is no port
    except ValueError:
        raise wrong from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise wrong
    if not raw.isprintable() or set(" ?#") & set(raw):
        raise wrong
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not contain a user or password")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ValueError("must use https: passwords are sent there")
    return raw if raw.endswith("/") else raw + "/"


def names_file(parse: Callable[[str], object], raw: str) -> bool:
    """Say whether a value that is read so is the path of a file or folder."""
    return parse in {path, pem_path} or (parse is emails and _is_file_of_emails(raw))
