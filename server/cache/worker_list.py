"""The list of workers, and how many differ, as statistics have them: of a daemon or a storage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from .hello import CHANGES


class Worker(NamedTuple):
    """What is known of a worker.

    Attributes:
        name: Its own, such as `mcp-0`; None of one that says no hello, as the next two.
        pid: Its process id.
        version: Of the program.
        changes: As `Hello.changes`.
        settings: Digest of its live settings; None if it has not said it.
        secret_differs: Whether it works with another secret.
        more: Further values of its row.
    """

    name: str | None
    pid: int | None
    version: str | None
    changes: int | None
    settings: bytes | None
    secret_differs: bool
    more: dict[str, object]


def worker_list(workers: Iterable[Worker], settings: bytes) -> dict[str, object]:
    """Return counts and the list of workers, under the names of `docs/protocol.md`.

    Args:
        workers: All of them.
        settings: Digest of the live settings that theirs are compared with.
    """
    listed = list(workers)
    rows = [_row(one, settings) for one in listed]
    return {
        "workers": sum(one.settings is not None for one in listed),
        "workers_differing": sum(bool(row["settings_differ"]) for row in rows),
        "secrets_differ": sum(bool(row["secret_differs"]) for row in rows),
        "mixed": sum(bool(row["changes_differ"]) for row in rows),
        "versions": sorted(rows, key=lambda row: (str(row["name"]), str(row["pid"]))),
    }


def of_reports(reports: Iterable[Mapping[str, Any]], host: str) -> dict[str, object]:
    """Return the same of the workers on a shared storage.

    No host leads: settings are compared with those of most workers here, or of most anywhere if
    none runs here.

    Args:
        reports: What each process says of itself.
        host: The name of this host.
    """
    listed = list(reports)
    workers = [_reported(one) for one in listed]
    here = [one for one in workers if one.more["host"] == host] or workers
    common = Counter(one.settings for one in here if one.settings).most_common(1)
    settings = common[0][0] if common else b""
    tags = next((_tags(one) for one in listed if one.get("settings") == settings), {})
    for worker, one in zip(workers, listed, strict=True):
        worker.more["differing"] = _differing(tags, _tags(one))
    return worker_list(workers, settings)


def _tags(one: Mapping[str, Any]) -> Mapping[str, bytes]:
    """Return the tags of live settings by their variables; none of a version that has none."""
    tags = one.get("settings_tags")
    return tags if isinstance(tags, dict) else {}


def _differing(tags: Mapping[str, bytes], others: Mapping[str, bytes]) -> list[str]:
    """Return the settings that two workers have, each with another value."""
    return sorted(name for name, tag in tags.items() if others.get(name, tag) != tag)


def _reported(one: Mapping[str, Any]) -> Worker:
    return Worker(
        name=one.get("name"),
        pid=one.get("pid"),
        version=one.get("version"),
        changes=one.get("changes"),
        settings=one.get("settings"),
        secret_differs=bool(one.get("secret_differs")),
        more={"host": one.get("host")},
    )


def _row(worker: Worker, settings: bytes) -> dict[str, object]:
    return {
        "name": worker.name,
        "pid": worker.pid,
        "version": worker.version,
        **worker.more,
        "changes": worker.changes,
        "secret_differs": int(worker.secret_differs),
        "settings_differ": int(worker.settings not in {None, settings}),
        "changes_differ": int(worker.changes != CHANGES),
    }
