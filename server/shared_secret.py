"""The secret of several hosts on a shared storage: one host makes it, all others get a copy.

A host with a secret of its own would seal what no other host can open, and be refused by itself. So
the storage has the tag of the secret of all, also while every host is stopped, and a host whose
file is missing makes another only where there is no tag.
"""

from __future__ import annotations

import hmac
import os
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from .errors import ConfigurationError
from .keys.fingerprint import secret_tag
from .keys.secret import new_secret, put_secret, read_secret
from .settings.table import Settings
from .shared_storage import asked
from .state.storage import StorageAway
from .storage_address import StorageAddress

CLAIM_SECONDS: Final = 60.0
"""For how long no other host makes a secret while this one writes its own."""

PATIENCE_SECONDS: Final = 3.0
"""How long a missing file is waited for: another process of this host writes it, or writes it back,
which takes two seconds at most."""

POLL_SECONDS: Final = 0.1
"""How often it is looked for meanwhile."""

COPY: Final = (
    "Copy the file from a host that has the right one, as the server's user: "
    "scp -p HOST:{path} {path}. If no host has it any more, stop the servers of all hosts and run "
    "cachectl rotate-secret here: everybody logs in once more."
)
MISSING: Final = (
    "There is no secret at {path}, and the shared storage {address} is used with one. With another "
    "this host would refuse every call, so none is made. " + COPY
)
DIFFERS: Final = (
    "The secret {path} is not the one that the shared storage {address} is used with: this host "
    "would refuse every call. " + COPY
)
UNKNOWN: Final = (
    "There is no secret at {path}, and the shared storage {address} is away: {why}. So nobody can "
    "tell whether other hosts work with one, and none is made. Start again when the storage is "
    "there, or copy the file from another host."
)


def make_first(settings: Settings, address: StorageAddress) -> Callable[[Path], None]:
    """Return what `load_secret` calls when there is no secret on this host.

    1. The storage knows no secret: this host makes one. Of two that start together the one that is
       named first does; to the other the storage then knows one.
    2. It knows one: the file is waited for, as other processes of this host may be about to write
       it. If they do not, it has to be copied.
    3. It is away: nobody knows.

    What is returned raises `ConfigurationError` in the cases 2 and 3.
    """

    def make(path: Path) -> None:
        content = new_secret()
        tag = secret_tag(content.strip())
        shown = {"path": shlex.quote(str(path)), "address": str(address)}
        try:
            if asked(settings, address, lambda it: it.members.agree(tag, CLAIM_SECONDS)):
                put_secret(path, content)  # or somebody has just put another there
                made = secret_tag(read_secret(path))
                asked(settings, address, lambda it: it.members.set_secret(made))
                return
        except StorageAway as exc:
            if not os.path.lexists(path):
                raise ConfigurationError(UNKNOWN.format(**shown, why=exc)) from None
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not os.path.lexists(path):
            if time.monotonic() > deadline:
                raise ConfigurationError(MISSING.format(**shown))
            time.sleep(POLL_SECONDS)

    return make


def look_at_storage(settings: Settings) -> str | None:
    """Connect to the shared storage once, and compare its secret with the one of this host.

    Returns:
        Why the storage is away; None if it is not, or none is used.

    Raises:
        ConfigurationError: The storage must not be used as it is set up, or the secrets differ; the
            text says what to do.
    """
    address, path = settings.cache_url, settings.secret_file
    if address is None:
        return None
    try:
        tag = asked(settings, address, lambda it: it.members.secret())
    except StorageAway as exc:
        return (
            f"the shared storage {address} is away: {exc}. Until it is there, workers have only "
            "what they have copies of, and a few logins."
        )
    if tag is not None and not hmac.compare_digest(tag, secret_tag(read_secret(path))):
        raise ConfigurationError(DIFFERS.format(path=shlex.quote(str(path)), address=address))
    return None
