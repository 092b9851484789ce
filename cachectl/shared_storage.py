"""The shared storage for the commands, which ask it the same questions as the daemon."""

from __future__ import annotations

import asyncio
import hmac
import os
import socket
import sys
import time
from collections import Counter
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar

from server.account_limits import limits_of, policy_of
from server.cache.worker_list import of_reports
from server.errors import CacheUnavailable, ConfigurationError
from server.keys.fingerprint import secret_tag
from server.keys.secret import read_secret
from server.shared_storage import storage_of
from server.state.storage import StorageAway, Unreadable
from server.state.valkey_client import ValkeyClient
from server.state.valkey_connection import UnfitStorage
from server.state.valkey_reports import reports_of, sums, versions
from server.state.vocabulary import Done, Erased, Forget

from .failures import Refused, Unreachable
from .units import amount, text

if TYPE_CHECKING:
    from server.settings.table import Settings
    from server.storage_address import StorageAddress

T = TypeVar("T")

COUNT_SHARE = 0.1
"""Part of the time that counting sessions and locks may take while `stats --watch` runs."""

RELOAD_NAME_BYTES = 8

ROTATION_SECONDS = 60.0
"""How long replacing the secret may take: some seconds for each million of values."""


class ServerInfo(NamedTuple):
    """What a server reports about itself.

    Attributes:
        program: Its name and version.
        pid: Its process id, on its own host.
        uptime: Seconds since its start.
    """

    program: str
    pid: int
    uptime: float


class SharedStorage:
    """A connection to the storage, with the methods of one to the daemon; a context manager.

    Args:
        settings: All settings.
        address: The address of the storage.
    """

    called = "shared storage"
    order = ""  # uses are not counted there

    def __init__(self, settings: Settings, address: StorageAddress) -> None:
        self._settings = settings
        self._address = address
        self._runner = asyncio.Runner()
        self._totals: dict[str, int] = {}
        self._added: Counter[str] = Counter()
        self._count_at = 0.0
        self._skipped = 0

    def __enter__(self) -> Self:
        """Connect.

        Raises:
            Refused: The server must not be used as it is set up.
            Unreachable: It is away.
        """
        try:
            self._run(self._open())
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with self._runner:
            self._run(self._client.aclose())

    def call(
        self, verb: str, *args: bytes | str | int | None, fields: Sequence[type]
    ) -> tuple[Any, ...]:
        """Ask, and return the answer as the daemon's is.

        Args:
            verb: What to ask.
            args: Its arguments.
            fields: How many fields are wanted.

        Raises:
            Unreachable: The storage is away.
        """
        answer = self._run(self._asked(verb, args))
        self._say_skipped()
        return answer[: len(fields)]

    def hello(self) -> ServerInfo:
        """Ask the server what it is."""
        return self._run(self._server_info())

    def reload(self, seconds: float, pause: float) -> list[Mapping[str, Any]]:
        """Have the workers of all hosts read their settings again, and return their reports.

        Args:
            seconds: How long they may take.
            pause: Time between two looks at what they report.
        """
        return self._run(self._reloaded(seconds, pause))

    def refuse_other_secret(self) -> None:
        """Make sure that fingerprints of accounts made here are those of the workers.

        Raises:
            Refused: The secrets differ, or the one here is missing or unusable.
        """
        try:
            ours = secret_tag(read_secret(self._settings.secret_file))
        except ConfigurationError as exc:
            raise Refused(str(exc)) from None
        theirs = self._run(self._storage.members.secret())
        if theirs is not None and not hmac.compare_digest(ours, theirs):
            raise Refused(
                f"The secret {text(self._settings.secret_file)} is not the one of the shared "
                "storage, where no account is found by what is made of an e-mail here. Nothing was "
                "done. Set OIG_SECRET_FILE as the server has it, with one file on all hosts."
            )

    @contextmanager
    def rotating(self) -> Iterator[None]:
        """Make sure that no worker of any host uses it, and no other command replaces its secret.

        Raises:
            Refused: Some worker does.
        """
        members = self._storage.members
        if not self._run(members.begin_rotation(ROTATION_SECONDS)):
            raise Refused(
                f"Another rotate-secret works with the shared storage {self._address}. Nothing was "
                "replaced here. When it has ended, copy the secret from its host. One that was "
                f"killed counts for {ROTATION_SECONDS:.0f} s."
            )
        try:
            self._refuse_processes()
            yield
        finally:
            with suppress(Unreachable):  # else it ends by itself
                self._run(members.end_rotation())

    def _refuse_processes(self) -> None:
        working = len(self._run(self._storage.members.all()))
        if working:
            raise Refused(
                f"{amount(working, 'worker')} of this or another host work with the shared storage "
                f"{self._address}, and would go on with the old secret. Nothing was replaced. Stop "
                "the servers of all hosts first; a worker that was killed counts for 15 s."
            )

    def clear(self) -> None:
        """Delete everything that was stored under the old secret."""
        self._run(self._storage.clear())

    def set_secret(self, secret: bytes) -> None:
        """Make a secret the shared one of all hosts."""
        self._run(self._storage.members.set_secret(secret_tag(secret)))

    # How it works.

    async def _open(self) -> None:
        settings = self._settings
        self._storage = storage = storage_of(settings, self._address)
        self._client = ValkeyClient(storage, limits_of(settings), policy_of(settings))
        await storage.open()

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        try:
            return self._runner.run(coroutine)
        except (CacheUnavailable, StorageAway) as exc:
            why = self._storage.away or exc
            raise Unreachable(f"The shared storage {self._address} is away: {why}.") from None
        except UnfitStorage as exc:
            raise Refused(f"OIG_CACHE_URL leads to {self._address}: {exc}.") from None

    async def _server_info(self) -> ServerInfo:
        about = await self._storage.members.server()
        name = about.get("server_name", "redis")
        version = about.get("valkey_version", about.get("redis_version"))
        pid, uptime = about.get("process_id", 0), about.get("uptime_in_seconds", 0.0)
        return ServerInfo(f"{name} {version}", pid, uptime)

    async def _asked(self, verb: str, args: Sequence[Any]) -> tuple[Any, ...]:
        upkeep = self._client.accounts.upkeep
        answer: Any
        match verb, *args:
            case "stats", _:
                answer = await self._stats()
            case "list", what, limit:
                answer = await upkeep.list(what, limit)
            case "flush", what, *account:
                answer = await upkeep.flush(what, *account)
            case "unlock", what, name:
                answer = await upkeep.unlock(**{what: name})
            case "forget", "account", account, budget:
                answer = await self._client.call(Forget("account", account, budget=budget))
            case _:
                raise AssertionError(verb)
        if verb not in {"stats", "list"}:
            await self._add_counts()
        await self._storage.ping()  # so that all messages have been sent
        if isinstance(answer, Erased):
            answer = answer._asdict()
        elif isinstance(answer, Done):
            answer = answer.count
        return answer if isinstance(answer, tuple) else (answer,)

    async def _add_counts(self) -> None:
        """Leave what was counted here, for the statistics of all: this process ends at once."""
        counts = {
            name: count
            for name, count in self._client.accounts.upkeep.stats().items()
            if name.endswith("_total") and isinstance(count, int)
        }
        added, self._added = self._added, Counter(counts)
        with suppress(Unreadable):  # what was done is done, and counted nowhere
            await self._storage.operators.add(self._added - added)

    async def _reloaded(self, seconds: float, pause: float) -> list[Mapping[str, Any]]:
        name = os.urandom(RELOAD_NAME_BYTES)
        self._client.reload(name)
        deadline = time.monotonic() + seconds
        while True:
            reports = versions(await reports_of(self._storage))
            done = [(one.get("reloaded") or {}).get("asked") == name for one in reports]
            if all(done) or time.monotonic() > deadline:
                return [
                    {**one, "is_reloaded": is_done}
                    for one, is_done in zip(reports, done, strict=True)
                ]
            await asyncio.sleep(pause)

    def _say_skipped(self) -> None:
        """Say how many values could not be read, whenever there are more of them."""
        skipped = len(self._client.accounts.upkeep.walk.unreadable)
        if skipped > self._skipped:
            self._skipped = skipped
            sys.stderr.write(
                f"{amount(skipped, 'value')} on the shared storage {self._address} skipped: "
                "a newer version or another program wrote what cannot be read.\n"
            )

    async def _stats(self) -> Mapping[str, object]:
        """Add up the reports of the processes, and count what they share."""
        server, reports = await self._server_info(), await reports_of(self._storage)
        return {
            **sums([*reports, await self._storage.operators.read()]),
            "version": server.program,
            "pid": server.pid,
            "uptime": server.uptime,
            **await self._counted(),
            **of_reports(versions(reports), socket.gethostname()),
        }

    async def _counted(self) -> Mapping[str, int]:
        """Count sessions and locks, unless that was done a moment ago."""
        began = time.monotonic()
        if began >= self._count_at:
            self._totals = await self._client.accounts.upkeep.walk.totals()
            ended = time.monotonic()
            self._count_at = ended + (ended - began) / COUNT_SHARE
        return self._totals
