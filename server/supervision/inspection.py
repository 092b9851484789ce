"""`check`: tests without starting anything whether everything would start with these settings."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Callable, Iterator
from dataclasses import Field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import GrantsUnavailable, JournalUnavailable
from ..http.exposure import past_proxy, unproxied
from ..records.grants import GrantStore
from ..records.journal import Journal
from ..settings.given import names_file
from ..settings.places import ROOT
from ..settings.table import VARIABLES
from ..visible import escaped
from .configuration import Layout, shipped
from .foreground import check_free
from .leftovers import Search
from .options import Typed
from .preflight import check, unused
from .running import still_stopping
from .serve import refuse_leftovers
from .supervisor_rpc import Supervisord, SupervisordError, SupervisordStopping
from .wanted import Wanted
from .writable import prepare

DEFAULT = "default"


class Row(NamedTuple):
    """One setting as `check --show` lists it.

    Args:
        variable: Its name.
        value: The value in force, fit to be shown to others.
        origin: Where it comes from.
    """

    variable: str
    value: str
    origin: str


def inspect(wanted: Wanted, typed: Typed, say: Callable[[str], None]) -> None:
    """Look at settings, files, folders, the port, and a shared storage; make and change nothing.

    Raises:
        ConfigurationError: A setting or a file is wrong; the text says which.
        CannotStart: Another program has the port, or an earlier start has left something running.
        SupervisordStopping: The server stops just now.
    """
    layout, folders = wanted.layout, wanted.folders
    folders.check()
    prepare(folders, layout.workers, only_looks=True)
    seen = check(wanted.settings, only_looks=True)
    for warning in (*(() if seen is None else seen.warnings), *warnings(wanted)):
        say(f"Warning: {warning}")
    try:
        pid = Supervisord(folders.control).pid()
    except SupervisordStopping:
        raise still_stopping(Search.of(folders, wanted.settings)) from None
    except SupervisordError:
        refuse_leftovers(wanted, typed)
        check_free(layout.host, layout.port, "choose another with OIG_PORT")
        say(f"Settings and files are in order; {layout.url} is free.{layout.elsewhere}")
    else:
        say(f"Settings and files are in order; the server runs (supervisord, process {pid}).")
    if seen is not None and seen.away is None:
        say(str(seen))


def rows(wanted: Wanted) -> Iterator[Row]:
    """Give all settings, in the order of their documentation."""
    shipped_layout = Layout.read(shipped(ROOT))
    for variable, field in VARIABLES.items():
        value: object = getattr(wanted.settings, field.name)
        origin = wanted.found.origins.get(variable)
        whence = DEFAULT if origin is None else str(origin)
        if origin is None and hasattr(shipped_layout, field.name):
            has = getattr(shipped_layout, field.name)
            whence = DEFAULT if has == value else str(ROOT / "supervisord.conf")
            value = has
        yield Row(variable, escaped(shown(value, field)), escaped(whence))


def shown(value: object, field: Field[Any]) -> str:
    """Return a setting's value without anything personal or secret."""
    if value is None or value == ():
        return "none"
    if field.metadata["private"]:
        return f"({len(value)} entries)" if isinstance(value, tuple) else "(set)"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)


def warnings(wanted: Wanted) -> Iterator[str]:
    """Give the warnings: no errors, but they need attention."""
    for file, private in _private_files(wanted).items():
        try:
            found = reached_by_others(file)
        except OSError:
            continue  # the settings could be read, so it has just been moved
        if found is not None:
            inline = file == wanted.found.file
            apart = f", or keep it in a file of its own and name that in {private}_FILE"
            yield (
                f"all users of this machine can read {escaped(str(file))}, which holds {private}. "
                f"{closing(file, found)}{apart if inline else ''}."
            )
    for name, file in wanted.found.files(wanted.settings).items():
        try:
            place = written_by_others(file)
        except OSError:
            continue  # as above
        if place is not None:
            yield (
                f"others than its owner can change {place}, and so {name}. Run as its owner or "
                f"as root: chmod go-w {shlex.quote(str(place))}"
            )
    yield from unused(wanted.found, wanted.settings)
    proxies = (unproxied(wanted.settings), past_proxy(wanted.settings, wanted.environ))
    yield from filter(None, proxies)
    yield from _of_certificate(wanted)
    for record in (Journal(wanted.settings.journal), GrantStore(wanted.settings.grants)):
        try:
            record.latest(1)
        except (JournalUnavailable, GrantsUnavailable) as exc:
            yield str(exc)


def _of_certificate(wanted: Wanted) -> Iterator[str]:
    from ..http.guard import Names  # noqa: PLC0415 - may not be installed until later
    from ..tls.key_pair import KeyPair, doubts, is_for, load, names  # noqa: PLC0415 - as above

    pair = KeyPair.of(wanted.settings)
    if pair is None:
        return
    chain = load(pair).chain
    for doubt in doubts(chain, datetime.now(UTC)):
        yield f"{escaped(str(pair.certificate))}: {doubt}"
    served = Names(wanted.settings.served_hosts)
    hosts = names(chain[0])
    if hosts and not any(map(served.allows_host, hosts)):
        yield (
            f"the certificate is for {escaped(', '.join(hosts))}, and the server answers under "
            "none of these names: set OIG_PUBLIC_URL, or add them to OIG_ALLOWED_HOSTS."
        )
    public = wanted.settings.public_host
    if hosts and public is not None and not any(is_for(host, public) for host in hosts):
        yield (
            f"the certificate is for {escaped(', '.join(hosts))}, and OIG_PUBLIC_URL names "
            f"{public}: clients refuse it there."
        )


def _private_files(wanted: Wanted) -> dict[Path, str]:
    """Return the files with what others must not see, each with the setting."""
    files = {}
    for variable, origin in wanted.found.origins.items():
        if not VARIABLES[variable].metadata["private"]:
            continue
        raw = wanted.found.values[variable].strip()
        # The value is the content of a named file, or a path, or written in a source.
        if origin.value_file is not None:
            files[origin.value_file] = variable
        elif names_file(variable, raw):
            files[Path(raw).expanduser().absolute()] = variable
        elif origin.is_settings_file and wanted.found.file is not None:
            files[wanted.found.file] = variable
    return files


def reached_by_others(file: Path) -> os.stat_result | None:
    """Return what a file is if every user of this machine can read it; None if not.

    A link counts as what it leads to.

    Raises:
        OSError: It cannot be looked at.
    """
    target = file.resolve(strict=True)
    found = target.stat()
    if not (stat.S_ISREG(found.st_mode) and found.st_mode & stat.S_IROTH):
        return None
    open_to_all = all(folder.stat().st_mode & stat.S_IXOTH for folder in target.parents)
    return found if open_to_all else None


def written_by_others(file: Path) -> Path | None:
    """Return what others can write to, the file or its folder; None if neither.

    Args:
        file: Its path. A link counts as what it leads to.

    Raises:
        OSError: It cannot be looked at.
    """
    target = file.resolve(strict=True)
    if not stat.S_ISREG(target.stat().st_mode):
        return None
    # 1. Everybody may write, and can get there.
    # 2. A group may. Our own is no other: many systems give each user a group, and a umask of 002.
    # 3. In a folder, who may write puts another file in the place of this one; not where the
    #    sticky bit is set, as in /tmp.
    for place in (target, target.parent):
        found = place.stat()
        if place == target.parent and found.st_mode & stat.S_ISVTX:
            continue
        reached = all(folder.stat().st_mode & stat.S_IXOTH for folder in place.parents)
        if found.st_mode & stat.S_IWOTH and reached:
            return place
        if found.st_mode & stat.S_IWGRP and found.st_gid not in {os.getegid(), 0}:
            return place
    return None


def closing(file: Path, found: os.stat_result) -> str:
    """Say how a file is closed to others, so that this user can read it afterwards."""
    # 1. This user reads it as its owner, as one of its group, or as root.
    # 2. This user is one of the others.
    group = {os.getegid(), *os.getgroups()}
    name = shlex.quote(str(file))
    if os.geteuid() in {0, found.st_uid} or (
        found.st_gid in group and found.st_mode & stat.S_IRGRP
    ):
        return f"Run: chmod o-r {name}"
    return f"Run as root: chgrp {os.getegid()} {name} && chmod g+r,o-r {name}"
