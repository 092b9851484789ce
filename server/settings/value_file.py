"""Reads a file with the value of a setting, without blocking; errors name its path."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

Read = Callable[[Path, int], bytes]
"""Gives the first bytes of a file."""

MAX_BYTES = 1_048_576
"""Longest file that is taken: a bigger one is not what was meant."""


class UnusableFile(ValueError):
    """A file has no usable value; the text names its path and the reason, and no content."""


def read(path: Path, most: int) -> bytes:
    """Return the first bytes of a file, but never wait for them.

    Args:
        path: A regular file, or the null device.
        most: How many bytes.

    Raises:
        OSError: It cannot be read.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode) and path != Path(os.devnull):
            raise OSError(0, "it is no regular file")
        with os.fdopen(fd, "rb", closefd=False) as file:
            return file.read(most)
    finally:
        os.close(fd)


def read_value(path: Path, read: Read = read) -> str:
    """Return the content of a file.

    Raises:
        UnusableFile: It cannot be read, is no text or too long.
    """
    try:
        content = read(path, MAX_BYTES + 1)
        value = content.decode()
    except OSError as exc:
        raise UnusableFile(f"the file {path} cannot be read: {exc.strerror}") from None
    except UnicodeDecodeError:
        raise UnusableFile(f"the file {path} is not UTF-8") from None
    if len(content) > MAX_BYTES:
        raise UnusableFile(f"the file {path} has more than {MAX_BYTES} bytes")
    return value
