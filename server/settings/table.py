"""Every setting: its name, its default, what it means and which values it takes.

`loading.py` alone knows the sources of values.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from ..errors import ConfigurationError
from ..origins import authority
from ..sources import Network
from ..storage_address import StorageAddress
from . import parsers
from .places import usual
from .value_file import UnusableFile

SOCKET_PATH_MAX_BYTES = 103
"""Longest path of a Unix socket: sun_path is 104 bytes on macOS, 108 on Linux, one is the NUL."""


def variable(setting: Field[Any]) -> str:
    """Return the name under which a setting is given."""
    return f"OIG_{setting.name.upper()}"


def _setting(
    default: object,
    parse: Callable[[str], object],
    meaning: str,
    *,
    live: bool = False,
    private: bool = False,
) -> Any:
    metadata = {"parse": parse, "meaning": meaning, "live": live, "private": private}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of daemon and workers. Times are in seconds.

    A field is given by the variable of its name: `live_ttl` by OIG_LIVE_TTL. Its metadata has its
    meaning, its parser, whether it is live (read again while the server runs), and whether it is
    private (others must not see it). The table of docs/settings.md is compared with them by a test.
    """

    host: str = _setting(
        "0.0.0.0", parsers.host, "IPv4 address to listen on; 0.0.0.0 means all of this machine's"
    )
    port: int = _setting(8000, parsers.port, "port to listen on")
    workers: int = _setting(
        2, parsers.workers, "number of workers; with fewer than 2 a restart closes the port"
    )
    tls_cert: Path | None = _setting(
        None,
        parsers.pem_path,
        "certificate with its chain (PEM): workers speak TLS; read again when it is renewed",
    )
    tls_key: Path | None = _setting(
        None, parsers.pem_path, "its private key (PEM), closed to other users"
    )
    state_dir: Path = _setting(
        lambda: usual(os.environ).state,
        parsers.path,
        "folder of all persistent state; never cleared",
    )
    log_dir: Path = _setting(None, parsers.path, "folder of all logs")
    portal_url: str = _setting(
        "https://portal.oigpower.cz/",
        parsers.portal_url,
        "address of OIG Cloud; plain http only to this machine",
    )
    ca_file: Path | None = _setting(
        None, parsers.path, "additional trusted certificates (PEM), besides the system's"
    )
    run_dir: Path = _setting(None, parsers.path, "folder of socket, secret and sessions (0700)")
    cache_socket: Path = _setting(None, parsers.path, "socket of the cache daemon")
    cache_url: StorageAddress | None = _setting(
        None,
        StorageAddress.read,
        "Valkey or Redis server that the workers of all hosts share, in place of the cache daemon",
        private=True,
    )
    secret_file: Path = _setting(
        None, parsers.path, "secret that all workers share; created when missing"
    )
    snapshot_file: Path = _setting(
        None,
        parsers.path,
        "sessions left by 0.1.0, read once; `sessions.db`, which replaces it, is beside it",
    )
    session_ttl: float = _setting(
        43200.0, parsers.seconds, "a session is dropped this long after its login"
    )
    session_idle: float = _setting(
        600.0,
        parsers.seconds,
        "check_auth first tests a session that has had no answer from OIG Cloud for this long",
        live=True,
    )
    max_sessions: int = _setting(
        100_000,
        parsers.count,
        "maximum number of cached sessions; the least recently used is evicted",
        live=True,
    )
    wrong_per_source: int = _setting(
        5,
        parsers.count,
        "different wrong passwords per account and source before a lock",
        live=True,
    )
    wrong_per_account: int = _setting(
        20, parsers.count, "the same per account, over all sources", live=True
    )
    wrong_accounts_per_source: int = _setting(
        20,
        parsers.accounts_or_none,
        "accounts per hour at which a source may fail; 0 disables the limit",
        live=True,
    )
    shared_sources: tuple[Network, ...] = _setting(
        (),
        parsers.networks,
        "networks of many people: exempt from OIG_WRONG_ACCOUNTS_PER_SOURCE and connection limits",
    )
    lock_first: float = _setting(
        30.0, parsers.seconds, "length of the first lock; each further one is twice that", live=True
    )
    lock_longest: float = _setting(3600.0, parsers.seconds, "longest lock", live=True)
    rejected_memory: float = _setting(
        60.0,
        parsers.seconds,
        "the same wrong pair is answered from memory for this long",
        live=True,
    )
    known_source: float = _setting(
        30 * 86400.0,
        parsers.positive,
        "how long a source that logged in is exempt from locks that others cause",
        live=True,
    )
    logins_per_second: float = _setting(
        2.0, parsers.positive, "logins sent to the portal, across all workers", live=True
    )
    login_burst: int = _setting(
        10, parsers.count, "logins that may be sent at once after an idle period", live=True
    )
    logins_at_once: int = _setting(4, parsers.count, "logins under way at the same time", live=True)
    allowed_hosts: tuple[str, ...] = _setting(
        (), parsers.hosts, "names under which /mcp may be called, besides localhost"
    )
    allowed_origins: tuple[str, ...] = _setting(
        (), parsers.origins, "other web pages that may call /mcp, as https://host[:port]"
    )
    public_url: str | None = _setting(
        None,
        parsers.public_url,
        "address that clients call, as https://host[:port]; owners log in with a browser there",
    )
    login: str = _setting(
        "browser",
        parsers.login,
        "chat: no browser login, neither at OIG_PUBLIC_URL nor for clients on this machine",
    )
    chat_hosts: tuple[str, ...] = _setting(
        (), parsers.hosts, "additional names of the server, without browser login"
    )
    chat_passwords: str = _setting(
        "on", parsers.switch, "off: tools accept no e-mail and password as arguments"
    )
    login_redirects: tuple[str, ...] = _setting(
        (),
        parsers.login_redirects,
        "additional https hosts and schemes (name:) to which a login may redirect",
    )
    client_documents: str = _setting(
        "on", parsers.switch, "off: no metadata document of a client is fetched"
    )
    trusted_proxies: tuple[str, ...] = _setting(
        (), parsers.proxies, "proxies whose X-Forwarded-For and X-Forwarded-Proto are trusted"
    )
    calls_per_minute: int = _setting(
        600,
        parsers.count_or_none,
        "tool calls per account and worker, half of them at once; 0 disables the limit",
        live=True,
    )
    live_ttl: float = _setting(
        30.0, parsers.seconds, "live data is shared for this long, then requested again", live=True
    )
    history_ttl: float = _setting(
        300.0, parsers.seconds, "the same for history and notifications", live=True
    )
    allowed_emails: tuple[str, ...] | None = _setting(
        None,
        parsers.emails,
        "only these accounts may use the server: a list, or a file with one e-mail per line",
        live=True,
        private=True,
    )
    fast_lane: str = _setting(
        "on", parsers.switch, "off: the MCP SDK answers every tool call, at half the rate or less"
    )
    near_cache: str = _setting(
        "on", parsers.switch, "off: workers ask the cache daemon on every call"
    )
    auth_log: Path = _setting(
        None, parsers.path, "log of failed logins, one stable line each, for fail2ban"
    )
    control: str = _setting(
        "off", parsers.switch, "on: tools that change the box, as docs/control.md says"
    )
    journal: Path = _setting(
        None,
        parsers.path,
        "journal of all changes made (SQLite, 0600); a permanent record, not a cache",
    )
    grants: Path = _setting(
        None, parsers.path, "connected clients of browser login (SQLite, 0600); do not back up"
    )
    simulator_port: int = _setting(
        8099, parsers.port, "port of the portal simulator on this machine"
    )
    log_level: str = _setting("INFO", parsers.log_level, "DEBUG, INFO, WARNING or ERROR", live=True)

    def __post_init__(self) -> None:
        # Each follows the folder it lies in, which stands before it.
        for name, folder, file in (
            ("log_dir", "state_dir", "log"),
            ("run_dir", "state_dir", "run"),
            ("journal", "state_dir", "journal.db"),
            ("grants", "state_dir", "grants.db"),
            ("auth_log", "log_dir", "auth.log"),
            ("cache_socket", "run_dir", "cache.sock"),
            ("secret_file", "run_dir", "secret"),
            ("snapshot_file", "run_dir", "sessions.snapshot"),
        ):
            if getattr(self, name) is None:
                object.__setattr__(self, name, getattr(self, folder) / file)
        length = len(str(self.cache_socket).encode())
        if length > SOCKET_PATH_MAX_BYTES:
            raise ConfigurationError(
                f"The path of the cache socket has {length} bytes and a Unix socket allows "
                f"{SOCKET_PATH_MAX_BYTES}: {self.cache_socket}. Set OIG_CACHE_SOCKET to a shorter "
                "one, in a folder that only you can enter."
            )
        if (self.tls_cert is None) != (self.tls_key is None):
            given, missing = ("OIG_TLS_CERT", "OIG_TLS_KEY")
            if self.tls_cert is None:
                given, missing = missing, given
            raise ConfigurationError(f"{given} is set and {missing} is not: set both or neither.")
        if self.lock_first > self.lock_longest:
            raise ConfigurationError("OIG_LOCK_FIRST must not be longer than OIG_LOCK_LONGEST.")
        if self.public_host in {name for name, _ in filter(None, map(authority, self.chat_hosts))}:
            raise ConfigurationError(
                "OIG_CHAT_HOSTS names the host of OIG_PUBLIC_URL, where there would be no browser "
                "login then. Give the server a second name for clients without it."
            )

    @property
    def logs_in_at_localhost(self) -> bool:
        """Whether owners log in with a browser at this machine's own names of loopback."""
        return self.login == "browser" and self.public_url is None

    @property
    def only_browser(self) -> bool:
        """Whether nobody gets in by a password that an assistant has asked for."""
        return self.login == "browser" and self.public_url is not None and not self.chat_hosts

    @property
    def public_host(self) -> str | None:
        """The host of OIG_PUBLIC_URL, as `origins.authority` returns it; None without it."""
        if self.public_url is None:
            return None
        read = authority(self.public_url.partition("://")[2])
        return read and read[0]

    @property
    def served_hosts(self) -> tuple[str, ...]:
        """All names under which the server may be called, beside localhost."""
        public = () if self.public_host is None else (self.public_host,)
        return (*self.allowed_hosts, *self.chat_hosts, *public)

    @property
    def served_origins(self) -> tuple[str, ...]:
        """All origins whose pages may call the server, beside the address of the request."""
        return (*self.allowed_origins, *(() if self.public_url is None else (self.public_url,)))

    @property
    def run_dir_is_ours(self) -> bool:
        """Whether the folder is the program's own, and not one that was named for it.

        Such a folder is closed to other users, where a named one may be open on purpose and is
        refused.
        """
        return self.run_dir == self.state_dir / "run"

    @classmethod
    def from_env(cls, environ: Mapping[str, str], origins: Mapping[str, str] | None = None) -> Self:
        """Take the settings from variables.

        Args:
            environ: Value of each variable. An empty one is the same as none. Others than settings
                are left alone, but that the usual places depend on HOME and XDG_STATE_HOME.
            origins: Where a value comes from, as an error says it.

        Raises:
            ConfigurationError: A value is malformed.
        """
        values: dict[str, object] = {}
        for name, one in VARIABLES.items():
            raw = environ.get(name, "")
            if not raw.strip():
                continue
            where = (origins or {}).get(name, "")
            try:
                # Several lines stay as they are, since they are counted.
                lines = raw if "\n" in raw.strip() else raw.strip(parsers.BLANK)
                values[one.name] = one.metadata["parse"](lines)
            except UnusableFile as exc:
                raise ConfigurationError(f"{name}{where}: {exc}.") from None
            except ValueError as exc:
                reason = str(exc) if str(exc).startswith("must") else "is not a number"
                # The value may be a secret put into the wrong variable: it is not repeated.
                raise ConfigurationError(f"{name}{where} {reason}.") from None
        if "state_dir" not in values:
            places = usual(environ)
            values = {"log_dir": places.log, **values, "state_dir": places.state}
        return cls(**values)  # type: ignore[arg-type]


VARIABLES: Mapping[str, Field[Any]] = {variable(one): one for one in fields(Settings)}
"""The field of each setting, by the name of its variable."""
