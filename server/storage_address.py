"""The address of a Valkey or Redis server, as a setting has it.

    redis://[[user]:password@]host[:6379][/database]
    rediss://...                                          over TLS
    unix://[[user]:password@]/path/to/socket[?db=0]
    redis+sentinel://[[user]:password@]host[:26379][,host...]/name[/database]
    rediss+sentinel://...

The part behind `?` takes `db`, `ssl_ca_certs` (a file, for an authority of one's own) and, for
Sentinels, `sentinel_username` and `sentinel_password`. Names are those of redis-py's own addresses.
It is read more strictly than redis-py does: a part that would be passed over in silence is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv6Address
from typing import Final, Self
from urllib.parse import unquote

PORT: Final = 6379
SENTINEL_PORT: Final = 26379
HIGHEST_PORT: Final = 65535

SCHEMES: Final = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel")

WANTED: Final = (
    "must be the address of a Valkey or Redis server, such as redis://:password@valkey.lan:6379, "
    "or one that begins with rediss://, unix://, redis+sentinel:// or rediss+sentinel://"
)
CLUSTER: Final = (
    "must not lead to a Cluster, which cannot read keys of several slots together: use Sentinel"
)
SIGNS: Final = (
    "must have no blank, line break or # in it, and two hexadecimal digits after each %. In a "
    "password write them, and / ? @ : too, as % and two digits: %20 for a blank, %25 for %"
)
HOST: Final = (
    "must name a host before any /, such as valkey.lan, 192.0.2.7 or [2001:db8::7], and after it a "
    "port from 1 to 65535 or none. In a password write / as %2F"
)
EMPTY: Final = "must have a password after the colon before @"
PATH: Final = (
    "must name a socket by its full path, of 103 bytes at most, such as "
    "unix:///run/valkey/valkey.sock"
)
NO_NAME: Final = (
    "must name the primary as the Sentinels know it, such as redis+sentinel://a,b,c/oig, and at "
    "most a number of a database after it"
)
DATABASE: Final = "must have a number as database, once: 0 or more"
QUERY: Final = "must have nothing behind ? but {}, each once and with a value"
CA_FILE: Final = "must name ssl_ca_certs by the full path of a file"

MALFORMED: Final = re.compile(r"[\s#]|%(?![0-9A-Fa-f]{2})")
LABEL: Final = re.compile(r"[A-Za-z0-9_-]{1,63}")
LONGEST_NAME: Final = 253
LONGEST_PATH: Final = 103
"""Bytes that the path of a Unix socket may have on every system."""

DIGITS: Final = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class StorageAddress:
    """A parsed address. Neither `repr` nor `str` shows a user or password.

    Args:
        hosts: Host and port of the server, or of each Sentinel.
        path: The server's Unix socket, in place of a host.
        primary: What Sentinels call the server; empty without them.
        database: Its number.
        is_secure: Whether TLS is spoken.
        ca_file: Certificates of the authority; None for the system's.
        user: Whom to log in as; None for the default user.
        password: That user's.
        sentinel_user: The same for the Sentinels.
        sentinel_password: That user's.
    """

    hosts: tuple[tuple[str, int], ...] = ()
    path: str = ""
    primary: str = ""
    database: int = 0
    is_secure: bool = False
    ca_file: str | None = None
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    sentinel_user: str | None = field(default=None, repr=False)
    sentinel_password: str | None = field(default=None, repr=False)

    @classmethod
    def read(cls, raw: str) -> Self:
        """Read an address.

        Raises:
            ValueError: It is not an address. The message names the wrong part without repeating it.
        """
        if raw.startswith(("redis+cluster:", "rediss+cluster:")):
            raise ValueError(CLUSTER)
        if MALFORMED.search(raw) or not raw.isprintable():
            raise ValueError(SIGNS)
        scheme, separator, rest = raw.partition("://")
        if not separator or scheme.lower() not in SCHEMES:
            raise ValueError(WANTED)
        return cls._of(scheme.lower(), rest)

    @classmethod
    def _of(cls, scheme: str, rest: str) -> Self:
        scheme, _, kind = scheme.partition("+")
        is_secure, is_local = scheme == "rediss", scheme == "unix"
        rest, questioned, options = rest.partition("?")
        query = _query(options, is_secure=is_secure, kind=kind) if questioned else {}
        authority, slash, path = rest.partition("/")
        login, at, place = authority.rpartition("@")
        user, colon, password = login.partition(":")
        if at and colon and not password:
            raise ValueError(EMPTY)
        primary = database = ""
        if is_local:
            if place or not path:
                raise ValueError(PATH)
            hosts: tuple[tuple[str, int], ...] = ()
        elif kind:
            hosts = tuple(_host(one, SENTINEL_PORT) for one in place.split(","))
            primary, _, database = path.partition("/")
            if not primary:
                raise ValueError(NO_NAME)
        else:
            hosts, database = (_host(place, PORT),), path
        return cls(
            hosts=hosts,
            path=_socket(slash + path) if is_local else "",
            primary=_printable(primary, NO_NAME),
            database=_database(database, query.get("db")),
            is_secure=is_secure,
            ca_file=query.get("ssl_ca_certs"),
            user=_unescaped(user) or None,
            password=_unescaped(password) or None,
            sentinel_user=query.get("sentinel_username"),
            sentinel_password=query.get("sentinel_password"),
        )

    def __str__(self) -> str:
        """Return the address without user and password."""
        if self.path:
            return f"unix://{self.path}"
        scheme = "rediss" if self.is_secure else "redis"
        hosts = ",".join(
            f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts
        )
        return (
            f"{scheme}+sentinel://{hosts}/{self.primary}" if self.primary else f"{scheme}://{hosts}"
        )


def _host(place: str, port: int) -> tuple[str, int]:
    """Read a host, in brackets if it is an IPv6 address, and an optional port."""
    if place.startswith("["):
        host, bracket, after = place[1:].partition("]")
        host = _unescaped(host)
        try:
            IPv6Address(host)
        except AddressValueError:
            raise ValueError(HOST) from None
        colon, given = after[:1], after[1:]
        if not bracket or colon not in {"", ":"}:
            raise ValueError(HOST)
    else:
        host, colon, given = place.partition(":")
        labels = host.removesuffix(".").split(".")
        if len(host) > LONGEST_NAME or not all(map(LABEL.fullmatch, labels)):
            raise ValueError(HOST)
    if colon and not DIGITS.fullmatch(given):
        raise ValueError(HOST)
    number = int(given) if given else port
    if not 1 <= number <= HIGHEST_PORT:
        raise ValueError(HOST)
    return host, number


def _database(in_path: str, in_query: str | None) -> int:
    if in_path and in_query is not None:
        raise ValueError(DATABASE)
    given = in_query if in_query is not None else in_path or "0"
    if not DIGITS.fullmatch(given):
        raise ValueError(DATABASE)
    return int(given)


def _query(options: str, *, is_secure: bool, kind: str) -> Mapping[str, str]:
    """Read the query, after the question mark."""
    allowed = ["db"]
    if is_secure:
        allowed.append("ssl_ca_certs")
    if kind:
        allowed += ["sentinel_username", "sentinel_password"]
    wrong = ValueError(QUERY.format(", ".join(allowed)))
    read: dict[str, str] = {}
    for option in options.split("&"):
        name, _, value = option.partition("=")
        if name not in allowed or name in read or not value:
            raise wrong
        read[name] = _unescaped(value)
    if not _printable(read.get("ssl_ca_certs", "/"), CA_FILE).startswith("/"):
        raise ValueError(CA_FILE)
    return read


def _printable(text: str, wrong: str) -> str:
    """Return a path or name with its escapes decoded."""
    read = _unescaped(text)
    if not read.isprintable():
        raise ValueError(wrong)
    return read


def _socket(path: str) -> str:
    read = _printable(path, PATH)
    if len(read.encode()) > LONGEST_PATH:
        raise ValueError(PATH)
    return read


def _unescaped(text: str) -> str:
    """Return a part with its escapes decoded."""
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:  # it would be passed on with other characters
        raise ValueError(SIGNS) from None
