"""The values given for settings, and their sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import ConfigurationError
from . import parsers
from .named_files import refuse_shared
from .table import VARIABLES, Settings

ENVIRONMENT = "environment"

OF_FILE = "_FILE"
"""Suffix of a variable whose value is the path of a file with a setting's value."""

BY_FILE = {f"{name}{OF_FILE}": name for name in VARIABLES if not name.endswith(OF_FILE)}
"""Such as OIG_PORT_FILE for OIG_PORT. OIG_CA_FILE and OIG_SECRET_FILE are settings themselves."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a setting comes from.

    Args:
        source: `environment`, an option such as `--port`, or the path of the settings file.
        line: Line in the settings file; 0 elsewhere.
        value_file: File with the value, if the source names one.
    """

    source: str
    line: int = 0
    value_file: Path | None = None

    @property
    def is_settings_file(self) -> bool:
        """Whether it is in the settings file."""
        return self.line > 0

    def __str__(self) -> str:
        where = f"{self.source}, line {self.line}" if self.line else self.source
        return where if self.value_file is None else f"{self.value_file} ({where})"


@dataclass(frozen=True, slots=True)
class Found:
    """All settings that somebody has given.

    Args:
        file: The settings file; None if there is none.
        values: Text of each, by its variable.
        origins: Where each comes from.
        whole: Whether all were collected, and not only some that were needed.
    """

    file: Path | None
    values: Mapping[str, str]
    origins: Mapping[str, Origin]
    whole: bool = True

    def settings(self, environ: Mapping[str, str]) -> Settings:
        """Check them and return them with the defaults of all others.

        Args:
            environ: Usually `os.environ`: the user's folders are named there.

        Raises:
            ConfigurationError: One is malformed, or two lead to one file.
        """
        where = {name: f" ({origin})" for name, origin in self.origins.items() if _is_named(origin)}
        for name, origin in self.origins.items():
            if origin.is_settings_file and origin.value_file is None:
                refuse_relative(name, self.values[name], where[name])
        others = {name: value for name, value in environ.items() if not name.startswith("OIG_")}
        settings = Settings.from_env({**others, **self.values}, where)
        if self.whole:
            refuse_shared(settings, self.files(settings))
        return settings

    def files(self, settings: Settings) -> dict[str, Path]:
        """Return the files that are read, by the setting that names them."""
        files = {} if self.file is None else {"the settings file": self.file}
        for name, origin in self.origins.items():
            raw = self.values[name].strip()
            if origin.value_file is not None:
                files[f"{name}{OF_FILE}"] = origin.value_file
            elif name == "OIG_ALLOWED_EMAILS" and names_file(name, raw):
                files[name] = Path(raw).expanduser().absolute()
        named = {
            "OIG_CA_FILE": settings.ca_file,
            "OIG_TLS_CERT": settings.tls_cert,
            "OIG_TLS_KEY": settings.tls_key,
        }
        return files | {name: path for name, path in named.items() if path is not None}


def _is_named(origin: Origin) -> bool:
    """Whether an error says where the value comes from: not of what was typed just now."""
    return origin.is_settings_file or origin.value_file is not None


def refuse_relative(name: str, raw: str, where: str) -> None:
    """Return if a value of a settings file means the same to all processes.

    Raises:
        ConfigurationError: It is a relative path: they run in several folders.
    """
    if names_file(name, raw) and not raw.startswith(("/", "~")):
        raise ConfigurationError(f"{name}{where} must be an absolute path.")


def names_file(name: str, raw: str) -> bool:
    """Whether the value of this variable is the path of a file or folder."""
    if name in BY_FILE:
        return True
    return name in VARIABLES and parsers.names_file(VARIABLES[name].metadata["parse"], raw)
