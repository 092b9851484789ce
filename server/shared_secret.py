"""The secret of several hosts on a shared storage: one host makes it, all others get a copy.

A host with a secret of its own would seal what no other host can open, and be refused by itself. So
the storage has the tag of the secret of all, also while every host is stopped, and a host whose
file is missing makes another only where there is no tag.
"""

from __future__ import annotations

import grp
import hmac
import os
import pwd
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from .errors import ConfigurationError
from .keys.fingerprint import secret_tag
from .keys.secret import new_secret, put_secret, read_secret
from .settings.table import Settings
from .shared_settings import other_settings
from .shared_storage import Look, asked, look
from .state.storage import StorageAway
from .storage_address import StorageAddress

CLAIM_SECONDS: Final = 60.0
"""For how long no other host makes a secret while this one writes its own."""

PATIENCE_SECONDS: Final = 3.0
"""How long a missing file is waited for: another process of this host writes it, or writes it back,
which takes two seconds at most."""

POLL_SECONDS: Final = 0.1
"""How often it is looked for meanwhile."""

CURE: Final = (
    "{whose} If the storage was claimed with a wrong file by mistake, stop the server of the host "
    "that has it: where no worker works with the storage and no account is stored there, the next "
    "start of a host that has a file makes this the right one. If accounts are stored, or no host "
    "has the right file any more, stop the servers of all hosts and run cachectl rotate-secret: "
    "everybody logs in once more. To copy the right file, as root on this host: {copy}"
)
MISSING: Final = (
    "There is no secret at {path}, and the shared storage {address} is used with one. With another "
    "this host would refuse every call, so none is made. " + CURE
)
DIFFERS: Final = (
    "The secret {path} is not the one that the shared storage {address} is used with: this host "
    "would refuse every call. " + CURE
)
UNKNOWN: Final = (
    "There is no secret at {path}, and the shared storage {address} is away: {why}. So nobody can "
    "tell whether other hosts work with one, and none is made. Start again when the storage is "
    "there, or copy the file from another host, as root on this one: {copy}"
)
NONE_YET: Final = (
    "there is no secret at {path} yet, and the shared storage is used with none: a start here "
    "makes one, and all other hosts must have a copy. If another host has one already, copy that "
    "first, as root on this host: {copy}"
)
TAKEN_OVER: Final = (
    "the shared storage was claimed with another secret, but no worker works with it and no "
    "account is stored there: {}"
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
        try:
            if asked(settings, address, lambda it: it.members.agree(tag, CLAIM_SECONDS)):
                put_secret(path, content)  # or somebody has just put another there
                made = secret_tag(read_secret(path))
                # Unless a host that had a file took the storage over: then this one is refused.
                asked(settings, address, lambda it: it.members.replace_secret(tag, made))
                return
        except StorageAway as exc:
            if not os.path.lexists(path):
                raise ConfigurationError(_said(UNKNOWN, path, address, why=exc)) from None
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not os.path.lexists(path):
            if time.monotonic() > deadline:
                seen = _seen(settings, address)
                raise ConfigurationError(_said(MISSING, path, address, seen))
            time.sleep(POLL_SECONDS)

    return make


def look_at_storage(settings: Settings, *, only_looks: bool = False) -> Look | None:
    """Connect to the shared storage once, and compare its secret with the one of this host.

    1. The storage is away: nothing can be compared. Without a file here, a start would be refused.
    2. It knows no secret: a start here makes the one of this host that of all.
    3. It knows that of this host: in order.
    4. It knows another, or there is no file here, and it is in use: refused.
    5. It knows another and is not in use, so nothing is lost: it was claimed by mistake, and goes
       by the secret of this host from now on. A host that has just claimed it, and whose workers
       have not started yet, is refused at its start, or refuses all calls and says so.

    Args:
        settings: All settings.
        only_looks: Whether nothing may be changed, neither here nor on the server.

    Returns:
        What was seen; None if no shared storage is used.

    Raises:
        ConfigurationError: The storage must not be used as it is set up, or the secrets differ; the
            text says what to do.
    """
    address, path = settings.cache_url, settings.secret_file
    if address is None:
        return None
    try:
        seen = look(settings, address)
        if not os.path.lexists(path):
            return _without_file(seen, path)
        secret = read_secret(path)
        ours = secret_tag(secret)
        if seen.tag is None or hmac.compare_digest(seen.tag, ours):
            differs = other_settings(settings, secret, seen.reports)
            return seen if differs is None else seen.warned(differs)
        if not seen.is_used and only_looks:
            return seen.warned(TAKEN_OVER.format("a start here makes that of this host right."))
        if not seen.is_used and _is_taken_over(settings, seen, ours):
            return seen.warned(TAKEN_OVER.format("that of this host is the right one now."))
    except StorageAway as exc:
        if not os.path.lexists(path):
            raise ConfigurationError(_said(UNKNOWN, path, address, why=exc)) from None
        return Look.of_away(address, exc)
    raise ConfigurationError(_said(DIFFERS, path, address, seen))


def _without_file(seen: Look, path: Path) -> Look:
    if seen.tag is None:
        return seen.warned(_said(NONE_YET, path, seen.address))
    raise ConfigurationError(_said(MISSING, path, seen.address, seen))


def _is_taken_over(settings: Settings, seen: Look, ours: bytes) -> bool:
    """Make a secret that of all; False if another host was faster."""
    theirs = seen.tag or b""
    return asked(settings, seen.address, lambda it: it.members.replace_secret(theirs, ours))


def _seen(settings: Settings, address: StorageAddress) -> Look | None:
    try:
        return look(settings, address)
    except StorageAway:
        return None


def _said(
    text: str,
    path: Path,
    address: StorageAddress,
    seen: Look | None = None,
    why: StorageAway | None = None,
) -> str:
    hosts = () if seen is None else seen.hosts
    whose = "The right file is that of a host on which oig-cloud-mcp check does not say this."
    if hosts:
        whose = f"The right file is that of {' and '.join(hosts)}, whose workers work with it now."
    copy = copying(path)
    if os.path.lexists(path):
        whose += f" A copy over the one that is here leaves that as {path}~."
    return text.format(
        path=shlex.quote(str(path)), address=address, whose=whose, copy=copy, why=why
    )


def copying(path: Path) -> str:
    """Return the command that copies a secret here from another host, for its user.

    It is root's, since the user of a server that systemd runs can neither log in nor be logged in
    to.

    Args:
        path: The file, on both hosts.
    """
    uid, gid = os.geteuid(), os.getegid()
    try:
        user, group = pwd.getpwuid(uid).pw_name, grp.getgrgid(gid).gr_name
    except KeyError:
        user, group = str(uid), str(gid)
    keeping = " -b" if os.path.lexists(path) else ""
    file = shlex.quote(str(path))
    who = f"-o {shlex.quote(user)} -g {shlex.quote(group)}"
    remote = shlex.quote(f"cat {file}") if file != str(path) else f"cat {file}"
    return f"ssh root@HOST {remote} | install{keeping} -m 0600 {who} /dev/stdin {file}"
