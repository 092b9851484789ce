"""The cache daemon, and how late its loop was: `python -m benchmarks.watched_daemon`.

When it is stopped it writes JSON to standard output: for each nap of its loop when that began (the
machine's monotonic clock) and by how many seconds it was too long.
"""

from __future__ import annotations

import argparse
import json
import sys

from server.cache import __main__ as command
from server.cache import daemon
from server.cache.backing import SqliteBacking
from server.state.limits import Limits
from server.state.memory import MemoryStorage
from server.state.storage import Restored

from .naps import Naps


class Watched(daemon.Daemon):
    """A daemon whose loop is watched."""

    async def run(self) -> int:
        """Serve; return the exit code."""
        naps = Naps()
        async with naps.taken():
            code = await super().run()
        json.dump({"began": list(naps.began), "late": list(naps.late)}, sys.stdout)
        return code


def _memory_alone(limits: Limits, *, backing: SqliteBacking, restored: Restored) -> MemoryStorage:
    storage = MemoryStorage(limits, restored=restored)
    backing._file.close()  # noqa: SLF001 - there is no other way to have none
    return storage


def main() -> int:
    """Run it until a signal stops it; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.watched_daemon")
    parser.add_argument("--without-disk", action="store_true", help="write nothing to the disk")
    if parser.parse_args().without_disk:
        command.MemoryStorage = _memory_alone  # type: ignore[misc,assignment]
        SqliteBacking.start = lambda *_: None  # type: ignore[assignment,method-assign]
    daemon.Daemon = Watched  # type: ignore[misc]
    return command.main([])


if __name__ == "__main__":
    sys.exit(main())
