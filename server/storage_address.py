"""Where a Valkey or Redis server is, as a setting names it.

    redis://[[user]:password@]host[:6379][/database]
    rediss://...                                          over TLS
    unix://[[user]:password@]/path/to/socket[?db=0]
    redis+sentinel://[[user]:password@]host[:26379][,host...]/name[/database]
    rediss+sentinel://...

The part behind `?` takes `db`, `ssl_ca_certs` (a file, for an authority of one's own) and, for
Sentinels, `sentinel_username` and `sentinel_password`. Names are those of redis-py's own addresses.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Self
from urllib.parse import parse_qsl, unquote, urlsplit

PORT: Final = 6379
SENTINEL_PORT: Final = 26379

QUERIES: Final = frozenset({"db", "ssl_ca_certs"})
SENTINEL_QUERIES: Final = QUERIES | {"sentinel_username", "sentinel_password"}

WANTED: Final = (
    "must be the address of a Valkey or Redis server, such as redis://:password@valkey.lan:6379, "
    "or one that begins with rediss://, unix://, redis+sentinel:// or rediss+sentinel://"
)
CLUSTER: Final = (
    "must not lead to a Cluster, which cannot read keys of several slots together: use Sentinel"
)


@dataclass(frozen=True, slots=True)
class StorageAddress:
    """An address that was read. Neither `repr` nor `str` shows a password.

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
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    sentinel_user: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)

    @classmethod
    def read(cls, raw: str) -> Self:
        """Read an address.

        Raises:
            ValueError: It is none. The message says what it must be, and repeats nothing of it.
        """
        if raw.startswith(("redis+cluster:", "rediss+cluster:")):
            raise ValueError(CLUSTER)
        try:
            return cls._of(raw)
        except ValueError:
            raise ValueError(WANTED) from None

    @classmethod
    def _of(cls, raw: str) -> Self:
        parts = urlsplit(raw)
        login, _, place = parts.netloc.rpartition("@")
        user, _, password = login.partition(":")
        query = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
        scheme, _, kind = parts.scheme.partition("+")
        is_secure, path, primary = scheme == "rediss", unquote(parts.path), ""
        allowed = SENTINEL_QUERIES if kind else QUERIES
        if not is_secure:
            allowed -= {"ssl_ca_certs"}
        known = scheme in {"redis", "rediss"} and kind in {"", "sentinel"}
        ca_file = query.get("ssl_ca_certs")
        if (
            not (known or (scheme == "unix" and not kind and path.startswith("/") and not place))
            or query.keys() - allowed
            or (ca_file is not None and not ca_file.startswith("/"))
        ):
            raise ValueError(WANTED)
        database = "" if scheme == "unix" else path.removeprefix("/")
        if kind:
            primary, _, database = database.partition("/")
            if not primary:
                raise ValueError(WANTED)
        port = SENTINEL_PORT if kind else PORT
        places = place.split(",") if kind else [place]
        return cls(
            hosts=() if scheme == "unix" else tuple(_host(one, port) for one in places),
            path=path if scheme == "unix" else "",
            primary=primary,
            database=int(query.get("db") or database or 0),
            is_secure=is_secure,
            ca_file=ca_file,
            user=unquote(user) or None,
            password=unquote(password) or None,
            sentinel_user=query.get("sentinel_username"),
            sentinel_password=query.get("sentinel_password"),
        )

    def __str__(self) -> str:
        """Return the address without any login."""
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
    parts = urlsplit(f"//{place}")
    if not parts.hostname:
        raise ValueError(WANTED)
    return parts.hostname, parts.port or port
