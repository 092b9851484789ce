"""Logins in the operating system's keyring, one per server. Never anywhere else.

A keyring entry has the service `oig-client`, the server's URL as its user name, and e-mail and
password as its secret.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from .failures import NoKeyring
from .login import Login, server_name

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

T = TypeVar("T")

SERVICE = "oig-client"
SAFE = 1.0
"""Priority from which on a backend counts as a keyring: plain files and no-ops have less."""

WITHOUT = (
    "oig-client keeps a login nowhere else, certainly not in a plain file: without a keyring set "
    "OIG_EMAIL and OIG_PASSWORD, or give --email and --password-stdin."
)


class Vault:
    """The login stored for one server.

    Args:
        url: The server's URL; no other one is given the login.
        enabled: False to look at no keyring at all.
    """

    def __init__(self, url: str, *, enabled: bool = True) -> None:
        self._server = server_name(url)
        self.enabled = enabled

    def find(self) -> Login | None:
        """Return the login, None when none is stored.

        Raises:
            NoKeyring: The keyring cannot be read.
        """
        if not self.enabled:
            return None
        text = _asked(lambda ring: ring.get_password(SERVICE, self._server))
        return None if text is None else Login.unpacked(text)

    def keep(self, login: Login) -> str:
        """Keep a login in place of the one before; return the keyring's name.

        Raises:
            NoKeyring: There is none, or it did not store it.
        """
        self.need()
        _asked(lambda ring: ring.set_password(SERVICE, self._server, login.packed()))
        if self.find() != login:
            with suppress(NoKeyring):
                self.remove()
            raise NoKeyring(
                f"The keyring took the login but does not give it back. {WITHOUT}",
                kind="keyring_broken",
            )
        return _asked(lambda ring: str(ring.name))

    def remove(self) -> bool:
        """Remove the login; return whether there was one.

        Raises:
            NoKeyring: The keyring cannot be changed.
        """
        self.need()

        def remove(ring: KeyringBackend) -> bool:
            there = ring.get_password(SERVICE, self._server) is not None
            if there:
                ring.delete_password(SERVICE, self._server)
            return there

        return _asked(remove)

    def need(self) -> None:
        """Make sure that the keyring may be used.

        Raises:
            NoKeyring: --no-keyring was given.
        """
        if not self.enabled:
            raise NoKeyring(
                "--no-keyring forbids what this command is for. Leave it out.", kind="no_keyring"
            )


def _safe(ring: KeyringBackend) -> KeyringBackend:
    """Return the keyring to use.

    Raises:
        NoKeyringError: None is safe.
    """
    from keyring.backends.chainer import ChainerBackend  # noqa: PLC0415 - slow, as below
    from keyring.errors import NoKeyringError  # noqa: PLC0415

    # What keyring makes of several backends calls itself better than all of them, and may write
    # to a plain file; so its members are asked, the best first.
    members = ring.backends if isinstance(ring, ChainerBackend) else [ring]
    for member in members:
        if member.priority >= SAFE:
            return member
    raise NoKeyringError


def _asked(question: Callable[[KeyringBackend], T]) -> T:
    try:
        import keyring  # noqa: PLC0415 - a quarter of a second, and rarely needed
        from keyring import errors  # noqa: PLC0415
    except ImportError:
        raise NoKeyring(
            "The Python package keyring is not installed: the extra `keyring` of oig-client's "
            f"package brings it. {WITHOUT}",
            kind="no_keyring",
        ) from None
    try:
        return question(_safe(keyring.get_keyring()))
    except errors.NoKeyringError:
        raise NoKeyring(
            "This machine has no keyring that oig-client could use (no desktop session, or no "
            f"Secret Service, KWallet, macOS Keychain or Windows Credential Locker). {WITHOUT}",
            kind="no_keyring",
        ) from None
    except (errors.KeyringLocked, errors.InitError):
        raise NoKeyring(
            f"The keyring is locked and was not opened. Unlock it, then try again. {WITHOUT}",
            kind="keyring_locked",
        ) from None
    except Exception as exc:  # noqa: BLE001 - each backend raises errors of its own
        # Only the kind of error: its text may quote what was to be stored.
        raise NoKeyring(
            f"The keyring does not work ({type(exc).__name__}). PYTHON_KEYRING_BACKEND or the "
            f"file keyringrc.cfg may name a wrong one; `keyring diagnose` says more. {WITHOUT}",
            kind="keyring_broken",
        ) from None
