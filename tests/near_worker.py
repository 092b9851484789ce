"""A worker process with near copies: looks a session up for each line of its input.

`python -m tests.near_worker SOCKET` answers a line with `near` or `asked`, and `there` or `gone`.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from .daemon_worker import Worker


async def main() -> None:
    worker = Worker(Path(sys.argv[1]), near=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        hits = worker.accounts.near.hits
        session = await worker.session(bytes.fromhex(line))
        how = "near" if worker.accounts.near.hits > hits else "asked"
        sys.stdout.write(f"{how} {'gone' if session is None else 'there'}\n")
        sys.stdout.flush()
    await worker.aclose()


if __name__ == "__main__":
    asyncio.run(main())
