"""The secret that all workers and `cachectl` share, in a file that only its owner can read."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..as_user import as_owner, as_user, user_name
from ..errors import ConfigurationError

MIN_BYTES = 32
"""Shortest secret taken: as long as the fingerprints made with it."""

MAX_BYTES = 65_536
"""Longest file read: anything bigger is the wrong file."""

REPLACE = (
    "Or have a new one made, with which every user logs in once more: stop the whole server, "
    "delete the file, and start it again. While the server runs, it writes back the secret that "
    "it uses."
)
"""How to get a new secret without a rotation; `secret_use.py` says why only so."""


def read_secret(path: Path) -> bytes:
    """Read the secret, without the white space around it.

    Args:
        path: The file; 64 hex digits if we made it, any text of 32 bytes or more if a person did.

    Raises:
        ConfigurationError: There is none, others could have read or written it, or it is no
            secret. Nothing of the content is in the message.
    """
    return read_content(path).strip()


def read_content(path: Path) -> bytes:
    """Read the secret's file, with the white space around the secret.

    Raises:
        ConfigurationError: As for `read_secret`.
    """
    content = _read(path)
    if content is None:
        raise ConfigurationError(
            f"There is no secret at {path}: no server has run here yet. "
            "Start one, or set OIG_SECRET_FILE to the secret that it uses."
        )
    return content


def load_secret(path: Path, make: Callable[[Path], None] | None = None) -> bytes:
    """Read the secret; make it, and the folder it lies in, if there is none yet.

    Any number of processes may do so at once: all of them return the same bytes.

    Args:
        path: The file.
        make: What is called when there is none, in place of `make_secret`.

    Raises:
        ConfigurationError: As for `read_secret`, or the file cannot be made.
    """
    content = _read(path)
    if content is None:
        (make or make_secret)(path)
        content = read_content(path)
    return content.strip()


def open_secret(path: Path, flags: int) -> int:
    """Open the secret's file for one of those who work with it.

    Args:
        path: The file.
        flags: `O_RDONLY` or `O_RDWR`.

    Raises:
        FileNotFoundError: There is none.
        ConfigurationError: It cannot be opened.
    """
    try:
        # Not blocking: a FIFO in its place must be refused, not waited for.
        return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError as exc:
        if exc.errno == errno.ELOOP:
            raise ConfigurationError(
                f"The secret {path} is a symbolic link. Set OIG_SECRET_FILE to the file itself."
            ) from None
        raise ConfigurationError(
            f"The secret {path} cannot be read: {exc.strerror}. {_unreadable(path)}"
        ) from None


def _unreadable(path: Path) -> str:
    """Say who can read a secret that this user cannot."""
    us = os.geteuid()
    # 1. Root has put it back for this user, in whose folder it lies.
    # 2. It is another user's, or in a folder of one.
    # 3. Its mode shuts out this user too, or that is not known.
    owner = _owner(path)
    if owner not in {None, us} and _owner(path.parent) == us:
        return f"It belongs to {user_name(owner or 0)}. Run as root: chown {us} {path}"
    if owner == us:
        return "It must belong to the user who runs this."
    return as_owner(path)


def _owner(place: Path) -> int | None:
    try:
        return place.lstat().st_uid
    except OSError:
        return None


def leads_to(path: Path, fd: int) -> bool:
    """Say whether the file at `path` is the one that is open as `fd`."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(fd))
    except (FileNotFoundError, NotADirectoryError):
        return False


def _read(path: Path) -> bytes | None:
    try:
        fd = open_secret(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        _check(path, os.fstat(fd))
        content = os.read(fd, MAX_BYTES + 1)
    except OSError as exc:
        raise ConfigurationError(
            f"The secret {path} cannot be read: {exc.strerror}. Restore it from a backup. {REPLACE}"
        ) from None
    finally:
        os.close(fd)
    if len(content) > MAX_BYTES:
        raise ConfigurationError(
            f"The secret {path} is longer than {MAX_BYTES} bytes. "
            "Set OIG_SECRET_FILE to the right file."
        )
    if len(content.strip()) < MIN_BYTES:
        raise ConfigurationError(
            f"The secret {path} is shorter than {MIN_BYTES} bytes. Write a longer one. {REPLACE}"
        )
    return content


def _check(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise ConfigurationError(
            f"The secret {path} is not a regular file. Set OIG_SECRET_FILE to one."
        )
    if found.st_uid not in {os.geteuid(), 0}:
        raise ConfigurationError(
            f"The secret {path} belongs to another user, {user_name(found.st_uid)}. "
            f"{_cure(path, found.st_uid)}"
        )
    if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigurationError(
            f"The secret {path} is open to other users (mode {stat.S_IMODE(found.st_mode):04o}): "
            f"chmod 600 {path}"
        )


def _cure(path: Path, owner: int) -> str:
    """Say what to do about a secret of another user."""
    # 1. The folder is another user's as well: so is the server, and to take its secret away would
    #    stop it.
    # 2. The folder is ours: our server's secret was put there by somebody else, or root looks at
    #    the secret of a server that has it among root's files.
    run_it = as_user(owner)
    if path.parent.stat().st_uid != os.geteuid():
        return run_it
    return f"{run_it}. If the server runs as this user: chown {os.geteuid()} {path}"


class SecretMissing(ConfigurationError):
    """There is no secret, and this process makes none."""


def make_none(path: Path) -> None:
    """Make no secret, for `load_secret`.

    Raises:
        SecretMissing: Always.
    """
    raise SecretMissing(f"There is no secret at {path}.")


def make_secret(path: Path) -> None:
    """Put a new secret at `path` unless somebody was faster.

    Raises:
        ConfigurationError: It cannot be made.
    """
    put_secret(path, new_secret())


def put_secret(path: Path, content: bytes) -> bool:
    """Put a file with this content at `path`, and its folder; False if something is there.

    Raises:
        ConfigurationError: It cannot be made.
    """
    # The name appears with the whole content behind it, or not at all; and unlike a rename, a link
    # never replaces what a faster process has put there.
    with file_beside(path, content) as new:
        try:
            os.link(new, path)
        except FileExistsError:
            return False
    return True


def new_secret() -> bytes:
    """Return the content of a file with a new secret."""
    return os.urandom(MIN_BYTES).hex().encode() + b"\n"


@contextmanager
def file_beside(path: Path, content: bytes) -> Iterator[Path]:
    """Give a file with this content beside `path`; it is gone afterwards, unless it was moved.

    Raises:
        ConfigurationError: It cannot be made, or not be put at `path` in the block.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(fd, "wb", buffering=0) as file:
                file.write(content)
                os.fsync(fd)
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as exc:
        raise ConfigurationError(
            f"The secret {path} cannot be made: {exc.strerror}. Set OIG_SECRET_FILE to a file "
            "on a local disk, in a folder that only you can enter."
        ) from None
