"""`check`: whether everything would start as the settings say, without starting it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import Field
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import ConfigurationError
from ..places import ROOT
from ..preflight import check
from ..settings import VARIABLES
from .configuration import Layout, shipped
from .control import Supervisord, SupervisordError
from .foreground import check_free
from .serve import Wanted, prepare, refuse_leftovers
from .typed import Typed

DEFAULT = "default"


class Row(NamedTuple):
    """One setting as `check --show` lists it.

    Args:
        variable: Its name.
        value: What holds, fit to be shown to others.
        origin: Where it comes from.
    """

    variable: str
    value: str
    origin: str


def inspect(wanted: Wanted, typed: Typed, say: Callable[[str], None]) -> None:
    """Look at settings, files, folders and the port.

    As a start does, it makes the folders and the secret if there are none yet.

    Args:
        wanted: What would be started.
        typed: How this program was started.
        say: Called with each line for the user.

    Raises:
        ConfigurationError: A setting or a file is wrong; the text says which.
        CannotStart: Another program has the port, or an earlier start has left something running.
    """
    layout, folders = wanted.layout, wanted.folders
    folders.check()
    _refuse_foreign(folders.state)
    prepare(folders)
    check(wanted.settings)
    for warning in warnings(wanted):
        say(f"Warning: {warning}")
    try:
        pid = Supervisord(folders.control).pid()
    except SupervisordError:
        refuse_leftovers(wanted, typed)
        check_free(layout.host, layout.port, "choose another with OIG_PORT")
        say(f"Settings and files are in order; {layout.url} is free.")
    else:
        say(f"Settings and files are in order; the server runs (supervisord, process {pid}).")


def rows(wanted: Wanted) -> Iterator[Row]:
    """Give all settings, in the order of their documentation."""
    shipped_layout = Layout.read(shipped(ROOT))
    for variable, field in VARIABLES.items():
        value: object = getattr(wanted.settings, field.name)
        origin = wanted.found.origins.get(variable)
        told = DEFAULT if origin is None else str(origin)
        if origin is None and hasattr(shipped_layout, field.name):
            has = getattr(shipped_layout, field.name)
            told = DEFAULT if has == value else str(ROOT / "supervisord.conf")
            value = has
        yield Row(variable, shown(value, field), told)


def shown(value: object, field: Field[Any]) -> str:
    """Return a setting's value as anybody may read it.

    Args:
        value: The value.
        field: The setting.
    """
    if value is None or value == ():
        return "none"
    if field.metadata["private"]:
        return f"({len(value)} entries)" if isinstance(value, tuple) else "(set)"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)


def warnings(wanted: Wanted) -> Iterator[str]:
    """Give what is no error and should be seen to."""
    file = wanted.found.file
    private = [
        variable
        for variable, origin in wanted.found.origins.items()
        if VARIABLES[variable].metadata["private"]
        and origin.is_settings_file
        and origin.value_file is None
    ]
    if file is None or not private:
        return
    mode = file.stat().st_mode
    if stat.S_ISREG(mode) and mode & (stat.S_IRGRP | stat.S_IROTH):
        yield (
            f"other users can read {file}, which holds {', '.join(private)}: chmod 600 {file}, or "
            "keep the value in a file of its own and name that in "
            f"{private[0]}_FILE."
        )


def _refuse_foreign(state: Path) -> None:
    """Refuse to make files for a server that runs as another user."""
    found = next(folder for folder in (state, *state.parents) if folder.exists())
    owner = found.stat().st_uid
    if found == state and owner != os.geteuid():
        raise ConfigurationError(
            f"The folder {state} belongs to user {owner}, and this is user {os.geteuid()}. Run "
            f"this as the user of the server: sudo -u '#{owner}'."
        )
