"""The shared storage as the commands see it, in place of the daemon: the same questions to it."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar

from server.account_limits import limits_of, policy_of
from server.cache.hello import CHANGES
from server.errors import CacheUnavailable, ConfigurationError
from server.keys.fingerprint import secret_tag
from server.keys.secret import read_secret
from server.settings.reloading import Reloading
from server.shared_storage import storage_of
from server.state.storage import StorageAway
from server.state.valkey_client import ValkeyClient
from server.state.valkey_connection import UnfitStorage
from server.state.valkey_reports import added_up
from server.state.vocabulary import Done, Erased, Forget

from .failures import Refused, Unreachable
from .units import amount, text

if TYPE_CHECKING:
    from server.settings.table import Settings
    from server.storage_address import StorageAddress

T = TypeVar("T")

ALL = 2**31
"""More rows than there are."""


class Met(NamedTuple):
    """What a server says of itself.

    Attributes:
        program: What it is, and of which version.
        pid: Its process id, on its own host.
        uptime: Seconds since its start.
    """

    program: str
    pid: int
    uptime: float


class SharedStorage:
    """A connection to the storage; a context manager. What is asked is asked as of the daemon.

    Args:
        settings: All settings.
        address: Where the storage is.
    """

    called = "shared storage"

    def __init__(self, settings: Settings, address: StorageAddress) -> None:
        self._settings = settings
        self._address = address
        self._runner = asyncio.Runner()

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
        return answer[: len(fields)]

    def hello(self) -> Met:
        """Ask the server what it is."""
        return self._run(self._met())

    def refuse_other_secret(self) -> None:
        """Make sure that the workers know accounts under the fingerprints that are made here.

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
                f"The secret {text(self._settings.secret_file)} is not the one that the workers "
                "work with, so they know no account by what is made of an e-mail here. Nothing was "
                "done. Set OIG_SECRET_FILE as the server has it, with one file on all hosts."
            )

    def refuse_processes(self) -> None:
        """Make sure that nobody works with it, on any host.

        Raises:
            Refused: Somebody does.
        """
        working = len(self._run(self._storage.members.all()))
        if working:
            raise Refused(
                f"{amount(working, 'worker')} of this or another host work with the shared storage "
                f"{self._address}, and would go on with the old secret. Nothing was replaced. Stop "
                "the servers of all hosts first"
            )

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

    async def _met(self) -> Met:
        about = await self._storage.members.server()
        name = about.get("server_name", "redis")
        version = about.get("valkey_version", about.get("redis_version"))
        return Met(f"{name} {version}", about["process_id"], about["uptime_in_seconds"])

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
            case ("reload",):
                self._client.reload()
                answer = {}
            case _:
                raise AssertionError(verb)
        await self._storage.ping()  # what was announced has been sent then
        if isinstance(answer, Erased):
            answer = answer._asdict()
        elif isinstance(answer, Done):
            answer = answer.count
        return answer if isinstance(answer, tuple) else (answer,)

    async def _stats(self) -> Mapping[str, object]:
        """Add up what the processes say, and count what all of them share."""
        upkeep, met = self._client.accounts.upkeep, await self._met()
        total = await added_up(self._storage)
        settings = Reloading(lambda: self._settings).digest
        workers = [
            {
                **one,
                "settings_differ": int(one["settings"] != settings),
                "secret_differs": int(one["secret_differs"]),
                "changes_differ": int(one["changes"] != CHANGES),
            }
            for one in total.get("versions", [])
        ]
        sessions, _ = await upkeep.list("sessions", 1)
        _, lockouts = await upkeep.list("lockouts", ALL)
        return {
            **total,
            "version": met.program,
            "pid": met.pid,
            "uptime": met.uptime,
            "sessions": sessions,
            "lockouts_active": sum(bool(row["retry_after"]) for row in lockouts),
            "workers": len(workers),
            "workers_differing": sum(one["settings_differ"] for one in workers),
            "secrets_differ": sum(one["secret_differs"] for one in workers),
            "mixed": sum(one["changes_differ"] for one in workers),
            "versions": sorted(workers, key=lambda one: (str(one["name"]), str(one["pid"]))),
        }
