"""A Redis or Valkey server for the drills of a shared storage."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from benchmarks.redis_servers import DURABLE, RedisServer, redis_server
from benchmarks.result import NotMeasured

from .drill import NotRun


@contextlib.contextmanager
def shared_server(*options: str) -> Iterator[RedisServer]:
    """Run a server as a shared storage needs it, though its file is not synced for each write.

    Raises:
        NotRun: There is none.
    """
    try:
        with redis_server(*DURABLE[:3], "no", *options) as server:
            yield server
    except NotMeasured as exc:
        raise NotRun(str(exc)) from None
