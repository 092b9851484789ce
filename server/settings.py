"""Every setting: its name, its default, what it means and which values it takes.

`settings_sources.py` says where values come from; nobody else looks there.
"""

from __future__ import annotations

import ipaddress
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Self, cast
from urllib.parse import urlsplit

from .email_address import is_email
from .errors import ConfigurationError
from .named_networks import named_networks
from .origins import SCHEME, authority, canonical_origin
from .places import ROOT as ROOT  # noqa: PLC0414 - so it is exported
from .places import usual
from .sources import Network
from .value_file import UnusableFile, read_value

SOCKET_PATH_MAX_BYTES = 103
"""Longest path of a Unix socket: sun_path is 104 bytes on macOS, 108 on Linux, one is the NUL."""

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

CLIENTS = frozenset({"OIG_BASIC", "OIG_EMAIL", "OIG_MCP_URL", "OIG_PASSWORD", "OIG_PASSWORD_FILE"})
"""Variables of clients, which may be set in the same environment."""

CONFIG = "OIG_CONFIG"
"""Variable with the path of the settings file."""

SUPERVISORD_CONF = "OIG_SUPERVISORD_CONF"
"""Variable with the path of the configuration that `oig-cloud-mcp` has made of the settings, for
the processes that it starts. Without it, supervisord runs with supervisord.conf of the checkout."""

PINNED = "OIG_PINNED"
"""Variable with the settings that `oig-cloud-mcp` has put into the environment of the processes
that it starts, though neither the environment nor an option gave them: `NAME=value`, separated by
blanks. The value is what holds where the settings file says nothing; none for what `Settings` says
then. So `cachectl reload` can tell when a start would take another value than the one that runs."""


def _text(raw: str) -> str:
    return raw


def _path(raw: str) -> Path:
    try:
        return Path(raw).expanduser().absolute()
    except RuntimeError:
        raise ValueError("must be a path; the user after ~ is not known here") from None


def _pem_path(raw: str) -> Path:
    # OIG_TLS_KEY_FILE is a file that holds the path of the key. Who means the key by it would have
    # the key told as a path that is not there.
    if "\n" in raw or "-----" in raw:
        raise ValueError(
            "must be the path of a PEM file and not what such a file holds; OIG_TLS_CERT and "
            "OIG_TLS_KEY themselves name the files"
        )
    return _path(raw)


def _names(raw: str) -> tuple[str, ...]:
    return tuple(part for part in raw.replace(",", " ").split() if part)


def _hosts(raw: str) -> tuple[str, ...]:
    hosts = _names(raw)
    if not all(map(authority, hosts)):
        raise ValueError("must be host names such as oig.example.org, without scheme and path")
    return hosts


def _origins(raw: str) -> tuple[str, ...]:
    origins = tuple(canonical_origin(part.removesuffix("/")) for part in _names(raw))
    if not all(origins):
        raise ValueError(
            "must be origins of web pages such as https://app.example.org or "
            "https://app.example.org:8443: each with scheme and host, without a path, and no * or "
            "null"
        )
    return cast("tuple[str, ...]", origins)


def _proxies(raw: str) -> tuple[str, ...]:
    networks = named_networks(
        _names(raw),
        "who is trusted may write any caller's address into X-Forwarded-For, and is then neither "
        "counted nor banned. Name the addresses of your own proxies",
    )
    return tuple(map(str, networks))


def _networks(raw: str) -> tuple[Network, ...]:
    return named_networks(
        _names(raw),
        "who calls from such a network may fail at any number of accounts, and has no limit of "
        "connections. Name the networks that many people share",
    )


def _is_file_of_emails(raw: str) -> bool:
    # A list of several lines is what OIG_ALLOWED_EMAILS_FILE holds; comments in it may have any /.
    return "\n" not in raw and ("@" not in raw or "/" in raw)


def _emails(raw: str) -> tuple[str, ...]:
    path = _path(raw) if _is_file_of_emails(raw) else None
    # One word that leads nowhere may be a secret put into the wrong variable: it is not repeated.
    if path is not None and not raw.startswith(("/", "~")) and not os.path.lexists(path):
        raise ValueError("must be e-mail addresses or a readable file of them")
    text = raw if path is None else read_value(path)
    emails: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        names = _names(line.split("#", 1)[0])
        if not all(map(is_email, names)):
            # What stands there may be a secret put into the wrong file: it is not repeated.
            if path is not None:
                raise UnusableFile(
                    f"line {number} of the file {path} holds something that is not an e-mail "
                    "address such as jana@example.cz"
                )
            where = f"; line {number} does not" if "\n" in raw else ""
            raise ValueError(
                f"must hold e-mail addresses such as jana@example.cz and nothing else{where}"
            )
        emails.extend(names)
    return tuple(emails)


def _number(raw: str) -> float:
    # int() and float() take more than people mean: 1_000, 1e3, inf, digits of other scripts, and
    # control characters around them.
    if NUMBER.fullmatch(raw) is None:
        raise ValueError("is not a number")
    return float(raw)


def _whole(raw: str) -> int:
    # Fifteen digits are more than any setting has, and float holds them exactly.
    value = _number(raw)
    if "." in raw or abs(value) >= 10**15:
        raise ValueError("is not a number")
    return int(value)


def _positive(raw: str) -> float:
    try:
        value = _number(raw)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise ValueError("must be a number above 0")
    return value


def _seconds(raw: str) -> float:
    value = _positive(raw)
    if value > LONGEST:
        raise ValueError("must be at most 2592000 (30 days)")
    return value


def _count(raw: str) -> int:
    value = _whole(raw)
    if value < 1:
        raise ValueError("must be at least 1")
    return value


def _accounts_or_none(raw: str) -> int:
    value = _whole(raw)
    if not 0 <= value <= MOST_SPRAYED:
        raise ValueError(f"must be from 1 to {MOST_SPRAYED}, or 0 for any number")
    return value


def _count_or_none(raw: str) -> int:
    value = _whole(raw)
    if value < 0:
        raise ValueError("must be at least 0")
    return value


def _port(raw: str) -> int:
    value = _whole(raw)
    if not 1 <= value <= 65535:
        raise ValueError("must be between 1 and 65535")
    return value


def _workers(raw: str) -> int:
    value = _whole(raw)
    if not 1 <= value <= MAX_WORKERS:
        raise ValueError(f"must be a number from 1 to {MAX_WORKERS}")
    return value


def _host(raw: str) -> str:
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


def _log_level(raw: str) -> str:
    value = raw.upper()
    if value not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
        raise ValueError("must be DEBUG, INFO, WARNING or ERROR")
    return value


def _switch(raw: str) -> str:
    value = raw.lower()
    if value not in {"on", "off"}:
        raise ValueError("must be on or off")
    return value


def _login(raw: str) -> str:
    value = raw.lower()
    if value not in {"browser", "chat"}:
        raise ValueError("must be browser or chat")
    return value


LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def _public_url(raw: str) -> str:
    origin = canonical_origin(raw.removesuffix("/"))
    scheme, _, host_and_port = (origin or "").partition("://")
    if origin is None or scheme not in {"http", "https"}:
        raise ValueError(
            "must be the address of the server for its clients, such as https://oig.example.org or "
            "https://oig.example.org:8443, without a path"
        )
    # 1. By http a password that is typed into a page can be read on its way, but not on this
    #    machine. 2. Clients compare the address to the letter: it is kept in its one spelling.
    host, _ = authority(host_and_port) or ("", "")
    if scheme == "http" and host.strip("[]") not in LOOPBACK:
        raise ValueError("must use https: passwords are typed there")
    return origin


NOT_OF_PROGRAMS = frozenset(
    {
        *("about", "blob", "data", "file", "filesystem", "ftp", "http", "https", "intent"),
        *("javascript", "mailto", "sms", "tel", "vbscript", "view-source", "ws", "wss"),
    }
)
"""Schemes that belong to no program of one owner: browsers and systems have a meaning for each."""


def _login_redirects(raw: str) -> tuple[str, ...]:
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


def _portal_url(raw: str) -> str:
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


_IS_PATH: Mapping[Callable[[str], object], Callable[[str], bool]] = {
    _path: lambda _: True,
    _pem_path: lambda _: True,
    _emails: _is_file_of_emails,
}


def _setting(
    variable: str,
    default: object,
    parse: Callable[[str], object],
    meaning: str,
    *,
    live: bool = False,
    private: bool = False,
) -> Any:
    metadata = {
        "variable": variable,
        "parse": parse,
        "meaning": meaning,
        "is_path": _IS_PATH.get(parse, lambda _: False),
        "live": live,
        "private": private,
    }
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of daemon and workers. Times are in seconds.

    Each field's metadata holds the name of its variable, its meaning, whether it is live (read
    again while the server runs), whether a value is the path of a file, and whether it is private
    (others must not see it). The table of docs/settings.md is compared with them by a test.
    """

    host: str = _setting(
        "OIG_HOST", "0.0.0.0", _host, "IPv4 address to listen at; 0.0.0.0 is each of this machine"
    )
    port: int = _setting("OIG_PORT", 8000, _port, "port to listen at")
    workers: int = _setting(
        "OIG_WORKERS", 2, _workers, "number of workers; with fewer than 2 a restart closes the port"
    )
    tls_cert: Path | None = _setting(
        "OIG_TLS_CERT",
        None,
        _pem_path,
        "certificate with its chain (PEM): workers speak TLS; read again when it is renewed",
    )
    tls_key: Path | None = _setting(
        "OIG_TLS_KEY", None, _pem_path, "its private key (PEM), closed to other users"
    )
    state_dir: Path = _setting(
        "OIG_STATE_DIR",
        lambda: usual(os.environ).state,
        _path,
        "folder of all that outlives a process; never cleared",
    )
    log_dir: Path = _setting("OIG_LOG_DIR", None, _path, "folder of all logs")
    portal_url: str = _setting(
        "OIG_PORTAL_URL",
        "https://portal.oigpower.cz/",
        _portal_url,
        "address of OIG Cloud; plain http only to this machine",
    )
    ca_file: Path | None = _setting(
        "OIG_CA_FILE", None, _path, "further trusted certificates (PEM), beside the system's"
    )
    run_dir: Path = _setting(
        "OIG_RUN_DIR", None, _path, "folder of socket, secret and snapshot (0700)"
    )
    cache_socket: Path = _setting("OIG_CACHE_SOCKET", None, _path, "socket of the cache daemon")
    secret_file: Path = _setting(
        "OIG_SECRET_FILE", None, _path, "secret that all workers share; made when missing"
    )
    snapshot_file: Path = _setting(
        "OIG_SNAPSHOT_FILE", None, _path, "sealed sessions kept over a restart of the daemon"
    )
    session_ttl: float = _setting(
        "OIG_SESSION_TTL", 43200.0, _seconds, "a session is dropped this long after its login"
    )
    session_idle: float = _setting(
        "OIG_SESSION_IDLE",
        600.0,
        _seconds,
        "check_auth looks first at a session that OIG Cloud has not answered for this long",
        live=True,
    )
    max_sessions: int = _setting(
        "OIG_MAX_SESSIONS",
        100_000,
        _count,
        "most sessions held; the least recently used goes",
        live=True,
    )
    wrong_per_source: int = _setting(
        "OIG_WRONG_PER_SOURCE",
        5,
        _count,
        "different wrong passwords per account and source before a lock",
        live=True,
    )
    wrong_per_account: int = _setting(
        "OIG_WRONG_PER_ACCOUNT", 20, _count, "the same per account, over all sources", live=True
    )
    wrong_accounts_per_source: int = _setting(
        "OIG_WRONG_ACCOUNTS_PER_SOURCE",
        20,
        _accounts_or_none,
        "accounts per hour at which a source may fail; 0 for any number",
        live=True,
    )
    shared_sources: tuple[Network, ...] = _setting(
        "OIG_SHARED_SOURCES",
        (),
        _networks,
        "networks of many people: no OIG_WRONG_ACCOUNTS_PER_SOURCE and no limit of connections",
    )
    lock_first: float = _setting(
        "OIG_LOCK_FIRST",
        30.0,
        _seconds,
        "length of the first lock; each further one is twice that",
        live=True,
    )
    lock_longest: float = _setting("OIG_LOCK_LONGEST", 3600.0, _seconds, "longest lock", live=True)
    rejected_memory: float = _setting(
        "OIG_REJECTED_MEMORY",
        60.0,
        _seconds,
        "the same wrong pair is answered from memory for this long",
        live=True,
    )
    known_source: float = _setting(
        "OIG_KNOWN_SOURCE",
        30 * 86400.0,
        _positive,
        "a source that logged in stays allowed while others lock the account",
        live=True,
    )
    logins_per_second: float = _setting(
        "OIG_LOGINS_PER_SECOND",
        2.0,
        _positive,
        "logins sent to the portal, all workers together",
        live=True,
    )
    login_burst: int = _setting(
        "OIG_LOGIN_BURST",
        10,
        _count,
        "logins that may go out at once after a quiet time",
        live=True,
    )
    logins_at_once: int = _setting(
        "OIG_LOGINS_AT_ONCE", 4, _count, "logins under way at the same time", live=True
    )
    allowed_hosts: tuple[str, ...] = _setting(
        "OIG_ALLOWED_HOSTS", (), _hosts, "names under which /mcp may be called, beside localhost"
    )
    allowed_origins: tuple[str, ...] = _setting(
        "OIG_ALLOWED_ORIGINS",
        (),
        _origins,
        "other web pages that may call /mcp, as https://host[:port]",
    )
    public_url: str | None = _setting(
        "OIG_PUBLIC_URL",
        None,
        _public_url,
        "address that clients call, as https://host[:port]; owners log in with a browser there",
    )
    login: str = _setting(
        "OIG_LOGIN",
        "browser",
        _login,
        "chat: no login by browser, neither at OIG_PUBLIC_URL nor for clients on this machine",
    )
    chat_hosts: tuple[str, ...] = _setting(
        "OIG_CHAT_HOSTS",
        (),
        _hosts,
        "further names of the server, under which there is no browser login",
    )
    chat_passwords: str = _setting(
        "OIG_CHAT_PASSWORDS",
        "on",
        _switch,
        "off: no e-mail and password in arguments of tools",
    )
    login_redirects: tuple[str, ...] = _setting(
        "OIG_LOGIN_REDIRECTS",
        (),
        _login_redirects,
        "further https hosts and schemes (name:) of clients that an owner may be sent back to",
    )
    client_documents: str = _setting(
        "OIG_CLIENT_DOCUMENTS",
        "on",
        _switch,
        "off: clients are not looked up at an address of theirs",
    )
    trusted_proxies: tuple[str, ...] = _setting(
        "OIG_TRUSTED_PROXIES",
        (),
        _proxies,
        "addresses whose X-Forwarded-For and X-Forwarded-Proto are believed",
    )
    calls_per_minute: int = _setting(
        "OIG_CALLS_PER_MINUTE",
        600,
        _count_or_none,
        "calls of tools per account and worker, half of them at once; 0 for no limit",
        live=True,
    )
    live_ttl: float = _setting(
        "OIG_LIVE_TTL",
        30.0,
        _seconds,
        "live data is shared for so long, and then asked for again",
        live=True,
    )
    history_ttl: float = _setting(
        "OIG_HISTORY_TTL", 300.0, _seconds, "the same for history and notifications", live=True
    )
    allowed_emails: tuple[str, ...] | None = _setting(
        "OIG_ALLOWED_EMAILS",
        None,
        _emails,
        "only these accounts may use the server: a list, or a file with one e-mail a line",
        live=True,
        private=True,
    )
    auth_log: Path = _setting(
        "OIG_AUTH_LOG",
        None,
        _path,
        "failed logins, one stable line each, for fail2ban",
    )
    control: str = _setting(
        "OIG_CONTROL", "off", _switch, "on: tools that change the box, as docs/control.md says"
    )
    journal: Path = _setting(
        "OIG_JOURNAL",
        None,
        _path,
        "journal of all changes made (SQLite, 0600); a record to keep, not a cache",
    )
    grants: Path = _setting(
        "OIG_GRANTS",
        None,
        _path,
        "connected clients of browser login (SQLite, 0600); do not back up",
    )
    simulator_port: int = _setting(
        "OIG_SIMULATOR_PORT", 8099, _port, "port of the portal simulator on this machine"
    )
    log_level: str = _setting(
        "OIG_LOG_LEVEL", "INFO", _log_level, "DEBUG, INFO, WARNING or ERROR", live=True
    )

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
    def from_env(cls, environ: Mapping[str, str], told: Mapping[str, str] | None = None) -> Self:
        """Take the settings from variables.

        Args:
            environ: Value of each variable. An empty one is the same as none. Others than settings
                are left alone, but that the usual places depend on HOME and XDG_STATE_HOME.
            told: Where a value comes from, as an error says it.

        Raises:
            ConfigurationError: A value is malformed.
        """
        values: dict[str, object] = {}
        for variable, f in VARIABLES.items():
            raw = environ.get(variable, "")
            if not raw.strip():
                continue
            where = (told or {}).get(variable, "")
            try:
                # Several lines stay as they are, since they are counted.
                values[f.name] = f.metadata["parse"](
                    raw if "\n" in raw.strip() else raw.strip(BLANK)
                )
            except UnusableFile as exc:
                raise ConfigurationError(f"{variable}{where}: {exc}.") from None
            except ValueError as exc:
                reason = str(exc) if str(exc).startswith("must") else "is not a number"
                # The value may be a secret put into the wrong variable: it is not repeated.
                raise ConfigurationError(f"{variable}{where} {reason}.") from None
        if "state_dir" not in values:
            places = usual(environ)
            values = {"log_dir": places.log, **values, "state_dir": places.state}
        return cls(**values)  # type: ignore[arg-type]


VARIABLES: Mapping[str, Field[Any]] = {f.metadata["variable"]: f for f in fields(Settings)}
"""The field of each setting, by the name of its variable."""
