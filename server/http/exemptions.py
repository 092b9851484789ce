"""The address by which a caller's share is limited, and the callers without a limit."""

from __future__ import annotations

from collections.abc import Iterable

from ..settings.table import Settings
from ..sources import Network, address_of, is_grant, is_within, network_of, source_of

REMEMBERED = 1024
"""Addresses whose source is known and need not be looked up again."""


class Exemptions:
    """Tells the source of an address.

    Exempt are this machine itself, the trusted proxies and networks that are known to be shared:
    many callers stand behind each of them.

    Args:
        proxies: Addresses and networks of the trusted proxies.
        shared: Networks of many people.
    """

    def __init__(self, proxies: Iterable[str] = (), shared: Iterable[Network] = ()) -> None:
        self._proxies = [network_of(one) for one in proxies]
        self._shared = tuple(shared)
        self._known: dict[str, str | None] = {}

    @classmethod
    def of(cls, settings: Settings) -> Exemptions:
        """Return those of the settings."""
        return cls(settings.trusted_proxies, settings.shared_sources)

    def source(self, host: str | None) -> str | None:
        """Return the source that a caller is counted under; None for an exempt one.

        Args:
            host: Address of the caller: of the connection, or as a trusted proxy forwarded it. Or
                a grant, which is a source already.
        """
        if host is None:
            return None  # a Unix socket: this machine
        if is_grant(host):
            return host
        if host not in self._known:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[host] = self._source(host)
        return self._known[host]

    def _source(self, host: str) -> str | None:
        address, source = address_of(host), source_of(host)
        if address is None:
            return source
        exempt = (
            address.is_loopback
            or any(address in proxy for proxy in self._proxies)
            or is_within(source, self._shared)
        )
        return None if exempt else source
