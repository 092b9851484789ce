"""Replaces the secret by a new one while no process uses it.

Every key, seal, handle and plan is derived from the secret, and each process reads it once. Two
secrets in use at the same time would make two servers that refuse each other's handles. So a
process that uses the secret has a shared lock on its file for life (`secret_use.py`), and
replacing the secret needs the exclusive lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from ..errors import ConfigurationError
from .secret import file_beside, leads_to, new_secret, open_secret, read_secret


class SecretInUse(ConfigurationError):
    """A process works with this secret, so it cannot be replaced now."""


@contextlib.contextmanager
def unused_secret(path: Path) -> Iterator[None]:
    """Keep everybody from using the secret.

    Raises:
        SecretInUse: Somebody does.
        ConfigurationError: There is none, or it is not ours alone.
    """
    read_secret(path)
    fd = open_secret(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SecretInUse(f"A part of the server uses the secret {path}.") from None
        if not leads_to(path, fd):
            raise SecretInUse(f"The secret {path} has just been replaced.")
        yield
    finally:
        os.close(fd)


def replace_secret(path: Path) -> None:
    """Put a new secret in the place of the old one, and destroy that.

    At any moment the path leads to a whole secret, the old or the new one. For use under
    `unused_secret`.

    Raises:
        ConfigurationError: It cannot be written; the old one is still in place.
    """
    with file_beside(path, new_secret()) as new:
        path.chmod(0o600)
        old = open_secret(path, os.O_RDWR)
        try:
            new.replace(path)
            _sync(path.parent)
            with contextlib.suppress(OSError):  # it is unlinked in any case
                _destroy(old)
        finally:
            os.close(old)


def _destroy(fd: int) -> None:
    # Another hard link may lead there. What the file system has copied elsewhere is out of reach.
    os.pwrite(fd, bytes(os.fstat(fd).st_size), 0)
    os.fsync(fd)
    os.ftruncate(fd, 0)


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
