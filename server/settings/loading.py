"""Where each setting comes from: an option, the environment, the settings file, or nowhere.

Everything that runs takes its settings from `load`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path

from ..errors import ConfigurationError
from . import settings_file
from .given import BY_FILE, ENVIRONMENT, OF_FILE, Found, Origin, refuse_relative
from .other_variables import CLIENTS, CONFIG, PINNED, SUPERVISORD_CONF
from .places import NAME, user_folder
from .table import VARIABLES, Settings
from .value_file import Read, UnusableFile, read, read_value

FILE_NAME = "settings.env"

SYSTEM_FOLDER = Path("/etc")
"""Where the settings of the whole machine are, in the server's own folder."""


def load(environ: Mapping[str, str]) -> Settings:
    """Return the settings of this process.

    Args:
        environ: Usually `os.environ`.

    Raises:
        ConfigurationError: The settings file or a setting is wrong; the text says which.
    """
    return find(environ).settings(environ)


def at_next_start(environ: Mapping[str, str]) -> Mapping[str, object]:
    """Return what a start would take now for each setting that the last start has pinned.

    1. The settings file gives it: what stands there now.
    2. It does not, or not any more: what the start would fall back to.

    Args:
        environ: Of a process that `oig-cloud-mcp` has started; of others, nothing is pinned.

    Raises:
        ConfigurationError: As `load`, also for a value in the file that what is pinned hides.
    """
    pinned = (one.partition("=") for one in environ.get(PINNED, "").split())
    without_file = {name: value for name, _, value in pinned if name in VARIABLES}
    found = find({name: value for name, value in environ.items() if name not in without_file})
    given = {name: value for name, value in without_file.items() if value}
    settings = replace(found, values={**given, **found.values}).settings(environ)
    return {name: getattr(settings, VARIABLES[name].name) for name in without_file}


PLACES = frozenset(
    {
        "OIG_STATE_DIR",
        "OIG_LOG_DIR",
        "OIG_RUN_DIR",
        "OIG_CACHE_SOCKET",
        "OIG_CACHE_URL",
        "OIG_SECRET_FILE",
        "OIG_SNAPSHOT_FILE",
        "OIG_JOURNAL",
        "OIG_GRANTS",
    }
)
"""Settings that say where a running server is found, and where its files are."""


def load_places(environ: Mapping[str, str], warn: Callable[[str], None]) -> Settings:
    """Return settings of which only `PLACES` are read, to look at a server or to stop it.

    A server runs with the settings of its start. Whatever was made wrong since then, also in a file
    that a setting names, must not prevent that.

    Args:
        environ: Usually `os.environ`.
        warn: Called with what is wrong with another setting.

    Raises:
        ConfigurationError: One of `PLACES` is wrong, or it cannot be found out.
    """
    try:
        return load(environ)
    except ConfigurationError as exc:
        found = find(environ, needed=PLACES)
        settings = found.settings(environ)
        warn(str(exc))
        return settings


def is_there(path: Path) -> bool:
    """Say whether there is something at a path, be it a link to nothing.

    Raises:
        OSError: That cannot be found out.
    """
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def find(
    environ: Mapping[str, str],
    options: Mapping[str, str] | None = None,
    *,
    needed: AbstractSet[str] | None = None,
    read: Read = read,
    exists: Callable[[Path], bool] = is_there,
    system: Path = SYSTEM_FOLDER,
) -> Found:
    """Collect what is given.

    Args:
        environ: Usually `os.environ`.
        options: Settings of the command line, by their variables.
        needed: Settings to collect; all unless given. Whatever is wrong with others is passed over.
        read: Gives the first bytes of a file.
        exists: Says whether there is a file; raises `OSError` when it cannot know.
        system: Folder of the machine's settings.

    Raises:
        ConfigurationError: A file cannot be found or read, a name is unknown, or a setting is given
            twice in one source.
    """
    values: dict[str, str] = {}
    origins: dict[str, Origin] = {}

    wrong = _judge(needed)

    def take(name: str, raw: str, origin: Origin) -> None:
        variable = BY_FILE.get(name, name)
        if needed is not None and variable not in needed:
            return
        if name in BY_FILE:
            path = _path(name, raw, origin)
            raw = _read_value(path, name, read)
            origin = Origin(origin.source, origin.line, path)
        values[variable], origins[variable] = raw, origin

    # From the weakest source to the strongest. An empty value is none, in each of them.
    file = chosen_file(environ, exists=exists, system=system)
    if file is not None:
        assigned = _assignments(file, read, wrong)
        given = {one.name: one for one in assigned if one.value.strip()}
        _refuse_both(given, f"the settings file {file}", wrong)
        for one in given.values():
            take(one.name, one.value, Origin(str(file), one.line))
    _refuse_unknown(environ, wrong)
    given_here = {name for name, raw in environ.items() if raw.strip() and name in _SETTINGS}
    _refuse_both(given_here, "the environment", wrong)
    for name in sorted(given_here):
        take(name, environ[name], Origin(ENVIRONMENT))
    for name, raw in (options or {}).items():
        take(name, raw, Origin(f"--{name.removeprefix('OIG_').lower()}"))
    return Found(file, values, origins, needed is None)


def chosen_file(
    environ: Mapping[str, str],
    *,
    exists: Callable[[Path], bool] = is_there,
    system: Path = SYSTEM_FOLDER,
) -> Path | None:
    """Return the settings file: OIG_CONFIG, or else the first of the usual ones that there is.

    Only one is read: a value that is gone from one file must not come back from another.

    Args:
        environ: Usually `os.environ`.
        exists: Says whether there is a file; raises `OSError` when it cannot know.
        system: Folder of the machine's settings.

    Raises:
        ConfigurationError: It cannot be found out whether there is one.
    """
    named = environ.get(CONFIG, "").strip()
    if named:
        return _path(CONFIG, named, Origin(ENVIRONMENT))
    own = user_folder(environ, "XDG_CONFIG_HOME", ".config")
    for folder in (own, system):
        if folder is None:
            continue
        file = folder / NAME / FILE_NAME
        # 1. There is one: it is used.
        # 2. There is none, or no folder for it: the next place.
        # 3. That is not known, as in a folder that is closed to this user. It may have the list
        #    of those who may use the server, without which everybody may.
        try:
            if exists(file):
                return file
        except OSError as exc:
            raise ConfigurationError(
                f"This user cannot tell whether there is a settings file {file}: {exc.strerror}. "
                f"Run this as the user of the server and let that user read the file, or name "
                f"another in {CONFIG} ({os.devnull}: none)."
            ) from None
    return None


_SETTINGS = frozenset(VARIABLES) | BY_FILE.keys()
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_IN_ENVIRONMENT = _SETTINGS | CLIENTS | {CONFIG, PINNED, SUPERVISORD_CONF}


def _assignments(
    file: Path, read: Read, wrong: settings_file.Wrong
) -> list[settings_file.Assignment]:
    try:
        content = read(file, settings_file.MAX_BYTES + 1)
    except OSError as exc:
        denied = isinstance(exc, PermissionError)
        cure = " Run this as the user of the server, and let that user read it." if denied else ""
        raise ConfigurationError(
            f"The settings file {file} cannot be read: {exc.strerror}.{cure}"
        ) from None
    assigned = []
    for one in settings_file.parse(content, str(file), wrong):
        where = f"{file}, line {one.line}"
        if one.name in _SETTINGS:
            assigned.append(one)
            continue
        text = f"there is no setting {one.name}.{_suggestion(one.name)}"
        if one.name in _IN_ENVIRONMENT:
            text = f"{one.name} is not a setting of the server and belongs in the environment."
        wrong(one.name, ConfigurationError(f"{where}: {text}"))
    return assigned


def _judge(needed: AbstractSet[str] | None) -> settings_file.Wrong:
    """Return what raises an error that is about a setting of these, and passes over others."""

    def wrong(about: str, error: ConfigurationError) -> None:
        if needed is None or any(_means(name, needed) for name in _NAME.findall(about)):
            raise error

    return wrong


def _refuse_unknown(environ: Mapping[str, str], wrong: settings_file.Wrong) -> None:
    for name in environ:
        if name.startswith("OIG_") and name not in _IN_ENVIRONMENT:
            wrong(name, ConfigurationError(f"There is no setting {name}.{_suggestion(name)}"))


def _means(name: str, needed: AbstractSet[str]) -> bool:
    """Say whether a name is one of these, of a file with one, or one of them misspelt."""
    if name in _SETTINGS:
        return BY_FILE.get(name, name) in needed
    return any(BY_FILE.get(near, near) in needed for near in _near(name))


def _suggestion(name: str) -> str:
    near = _near(name)
    return f" Did you mean {near[0]}?" if near else ""


def _near(name: str) -> list[str]:
    # Those with _FILE only for who wrote _FILE: they would crowd out what is meant.
    wanted = [*VARIABLES, CONFIG, *CLIENTS, *(BY_FILE if name.endswith(OF_FILE) else ())]
    import difflib  # noqa: PLC0415 - only for who mistypes a name

    return difflib.get_close_matches(name, wanted, n=1)


def _refuse_both(
    names: Mapping[str, object] | set[str], where: str, wrong: settings_file.Wrong
) -> None:
    for name in sorted(names):
        if name in BY_FILE and BY_FILE[name] in names:
            text = f"Both {BY_FILE[name]} and {name} are given in {where}. Leave one of them out."
            wrong(name, ConfigurationError(text))


def _path(name: str, raw: str, origin: Origin) -> Path:
    try:
        path = Path(raw).expanduser()
    except RuntimeError:
        raise ConfigurationError(f"{name} must be a path; the user after ~ is not known.") from None
    if origin.is_settings_file:
        refuse_relative(name, str(path), f" ({origin})")
    return path.absolute()


def _read_value(path: Path, name: str, read: Read) -> str:
    try:
        value = read_value(path, read)
    except UnusableFile as exc:
        raise ConfigurationError(f"{name}: {exc}.") from None
    if not value.strip():
        raise ConfigurationError(f"{name}: the file {path} is empty.")
    return value
