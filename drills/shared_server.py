"""A Redis server for the drills of a shared storage: the machine's, or that of run_tests.sh."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.redis_servers import DURABLE, RedisServer, redis_server
from benchmarks.result import NotMeasured

from .drill import NotRun

UNPACKED = Path(sys.prefix) / "redis-server"
"""Where run_tests.sh unpacks it."""


@contextlib.contextmanager
def shared_server(*options: str) -> Iterator[RedisServer]:
    """Run a server as a shared storage needs it, though its file is not synced for each write.

    Raises:
        NotRun: There is none.
    """
    if shutil.which("redis-server") is None and UNPACKED.exists():
        libraries = {str(path.parent) for path in UNPACKED.rglob("lib*.so*")}
        os.environ["PATH"] += f"{os.pathsep}{UNPACKED / 'usr/bin'}"
        os.environ["LD_LIBRARY_PATH"] = os.pathsep.join(sorted(libraries))
    try:
        with redis_server(*DURABLE[:3], "no", *options) as server:
            yield server
    except NotMeasured as exc:
        raise NotRun(str(exc)) from None
