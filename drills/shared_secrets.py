"""Marked secrets sent to workers over a shared storage, then looked for in all that it writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks.redis_servers import RedisServer
from server.keys.secret import make_secret

from .callers import Owner, code_of
from .drill import Drill, Extent, Outcome
from .fleet import Fleet, running_fleet
from .ground import Ground
from .near_copies import Worker
from .planted_secrets import Planted
from .promises import GUESSES
from .shared_server import shared_server

SETTINGS: Final[dict[str, Any]] = {"OIG_LOGIN": "chat", "OIG_WRONG_ACCOUNTS_PER_SOURCE": "0"}

USER: Final = "workers"

DUMP: Final = "dump.rdb"


def _written(server: RedisServer) -> Iterator[tuple[str, bytes]]:
    """Yield what the server has written, a dump of all values with it, and what it shows."""
    folder = server.socket.parent
    with server.asked() as client:
        client.save()
        yield "the slow log", repr(client.slowlog_get(1000)).encode()
        yield "the list of clients", repr(client.client_list()).encode()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.name, path.read_bytes()


def _used(fleet: Fleet, planted: Planted, times: int) -> Iterator[tuple[str, bytes]]:
    """Log in, read, guess and log out as some owners; yield the answers."""
    worker = Worker(fleet.listener.getsockname()[1])
    try:
        for number in range(times):
            owner = Owner(f"shared-{number}@example.com", "")
            right = planted.new(f"a right password of {owner.email}")
            fleet.portal.add_account(owner.email, right)
            opened = worker.ask(owner.logging_in(right), "check_auth")
            assert code_of(opened) is None, opened
            handle = opened["structuredContent"]["session"]
            planted.made[f"a handle of {owner.email}"] = handle
            for tool in ("get_live_data", "list_boxes", "get_notifications"):
                read = worker.ask(None, tool, session=handle)
                assert code_of(read) is None, read
                yield f"the answer to {tool}", json.dumps(read).encode()
            for _ in range(GUESSES):
                wrong = planted.new(f"wrong password {len(planted.made)}")
                refused = worker.ask(owner.logging_in(wrong), "check_auth")
                yield "the answer to a guess", json.dumps(refused).encode()
            if number % 2:
                ended = worker.ask(None, "log_out", session=handle)
                assert code_of(ended) is None, ended
    finally:
        worker.close()


def searched(_ground: Ground, extent: Extent) -> Outcome:
    """Plant secrets over a shared storage whose own password is one as well."""
    planted = Planted()
    hits: list[str] = []
    looked: dict[str, int] = {}
    # Its log has each command within a second, and slow is whatever takes a microsecond.
    options = ("--dbfilename", DUMP, "--slowlog-log-slower-than", "0")
    with shared_server(*options) as server, running_fleet(0, daemon=False, **SETTINGS) as fleet:
        make_secret(fleet.folder / "secret")
        password = planted.new("the password of the storage")
        address = fleet.folder / "state" / "address"
        address.write_text(f"unix://{USER}:{password}@{server.socket}")
        address.chmod(0o600)
        with server.asked() as client:
            client.acl_setuser(
                *(USER, True),
                passwords=[f"+{password}"],
                keys=["*"],
                channels=["*"],
                categories=["+@all"],
            )
        fleet.environment["OIG_CACHE_URL_FILE"] = str(address)
        fleet.start_worker("worker-0")
        fleet.wait_worker("worker-0")
        answers = list(_used(fleet, planted, extent.times))
        planted.sessions(fleet.portal.admin.get("_admin/sessions").json()["sessions"])
        process = fleet.workers["worker-0"].pid
        shown = [
            (f"{name} of the worker", Path(f"/proc/{process}/{name}").read_bytes())
            for name in ("cmdline", "environ")
        ]
        for where, data in (
            *_written(server),
            *shown,
            ("the log", fleet.logs().encode()),
            *answers,
        ):
            looked[where] = len(data)
            hits += planted.found_in(where, data)
    missed = [one for one in (DUMP, "the slow log", "the log") if not looked.get(one)]
    missed += [] if any(one.endswith(".aof") for one in looked) else ["the log of commands"]
    said = [f"{len(hits)} hits", *hits[:3], *(f"{one} was not searched" for one in missed)]
    return Outcome(
        not hits and not missed,
        f"{'; '.join(said)}; {len(looked)} places searched",
        f"{len(planted.made)} secrets",
    )


DRILLS = (
    Drill(
        "planted-secrets-valkey",
        "marked passwords and handles are used over a shared storage that wants one itself; then "
        "it dumps all that it has",
        "0 hits, plain or encoded, in its dump, its log of commands, its slow log and its list of "
        "clients, in answers, and in a worker's log, command line and environment; nor any session "
        "of the portal",
        Extent(times=6),
        Extent(times=1),
        searched,
        place="aside",
    ),
)
