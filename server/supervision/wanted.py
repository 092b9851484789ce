"""What should run, and where: the settings for `serve`, `demo` and `check`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import ConfigurationError
from ..settings.given import Found, names_file
from ..settings.loading import find
from ..settings.other_variables import CLIENTS, CONFIG, PINNED, SUPERVISORD_CONF
from ..settings.places import ROOT
from ..settings.table import Settings
from .configuration import Folders, Layout, shipped
from .options import Options

LOCALHOST = "localhost"

DEMO = {"OIG_CONTROL": "on"}
"""Settings of a demo that nothing else says: its box is there to be tried out."""

SHARED_DEMO = {"OIG_LOGIN": "chat"}
"""The same with a shared storage, where there are no records: the demo logs in as in a chat."""


def secure_origin(settings: Settings, port: int) -> str | None:
    """Return scheme, host and port of the address that clients use; None where there is no TLS.

    1. OIG_PUBLIC_URL says it, whatever port leads here.
    2. Otherwise it is the first host that the certificate is for. A name that stands for many is
       none to call.
    3. Where nothing can be read off the file, the start says why; here it is `localhost`.
    """
    if settings.tls_cert is None:
        return None
    if settings.public_url is not None:
        return settings.public_url
    try:
        # Late: start_server.sh installs what it needs.
        from ..tls.key_pair import names, read_chain  # noqa: PLC0415

        hosts = names(read_chain(settings.tls_cert)[0])
    except (ConfigurationError, ImportError):
        hosts = ()
    host = next((host for host in hosts if "*" not in host), LOCALHOST)
    shown = f"[{host}]" if ":" in host else host
    return f"https://{shown}{'' if port == 443 else f':{port}'}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to run, and where.

    Args:
        found: The settings that were given.
        settings: All settings.
        layout: Host, port and number of workers.
        fallback: The same where no setting says more.
        usual: Values of other settings where nothing says more, and not those of `Settings`.
        folders: Where everything lies.
        environ: The environment, with the option `--config` in it.
    """

    found: Found
    settings: Settings
    layout: Layout
    fallback: Layout
    usual: Mapping[str, str]
    folders: Folders
    environ: Mapping[str, str]

    @classmethod
    def of(cls, options: Options, environ: Mapping[str, str]) -> Wanted:
        """Read the settings.

        Raises:
            ConfigurationError: One of them is wrong.
        """
        environ = options.environ(environ)
        found = find(environ, options.settings)
        usual = {}
        if options.command == "demo":
            usual = SHARED_DEMO if "OIG_CACHE_URL" in found.values else DEMO
        found = replace(found, values={**usual, **found.values})
        settings = found.settings(environ)
        # An edited supervisord.conf of a checkout counts for values that no setting gives.
        fallback = Layout.read(shipped(ROOT))
        if options.command == "demo":
            # What is tried out needs no caller from elsewhere.
            fallback = replace(fallback, host="127.0.0.1")
        layout = fallback
        for variable, field in (
            ("OIG_HOST", "host"),
            ("OIG_PORT", "port"),
            ("OIG_WORKERS", "workers"),
        ):
            if variable in found.values:
                layout = replace(layout, **{field: getattr(settings, field)})
        secure = secure_origin(settings, layout.port)
        daemon = settings.cache_url is None
        layout = replace(layout, secure=secure, public=settings.public_url, daemon=daemon)
        folders = Folders(ROOT, settings.state_dir, settings.log_dir)
        return cls(found, settings, layout, fallback, usual, folders, environ)

    def is_fixed(self, variable: str) -> bool:
        """Whether an option or the environment gives it, as they would at the next start too."""
        origin = self.found.origins.get(variable)
        return origin is not None and not origin.is_settings_file

    def handed_on(self) -> dict[str, str]:
        """Return the environment of all processes, for their whole life."""
        # A client's password is no business of processes that run for weeks.
        passed = {
            name: value
            for name, value in self.environ.items()
            if name not in CLIENTS and value.strip()
        }
        # Relative paths count from the user's folder, and the processes run in another.
        for name, value in passed.items():
            if names_file(name, value):
                passed[name] = str(Path(value.strip()).expanduser().absolute())
        explicit: tuple[tuple[str, object], ...] = (
            ("OIG_HOST", self.layout.host),
            ("OIG_PORT", self.layout.port),
            ("OIG_WORKERS", self.layout.workers),
            ("OIG_STATE_DIR", self.folders.state),
            ("OIG_LOG_DIR", self.folders.logs),
            *((variable, self.found.values[variable]) for variable in self.usual),
            (SUPERVISORD_CONF, self.folders.configuration),
        )
        for variable, what in explicit:
            passed.pop(f"{variable}_FILE", None)
            passed[variable] = str(what)
        passed[PINNED] = " ".join(
            f"{variable}={without_file}"
            for variable, without_file in (
                ("OIG_HOST", self.fallback.host),
                ("OIG_PORT", self.fallback.port),
                ("OIG_WORKERS", self.fallback.workers),
                ("OIG_STATE_DIR", ""),
                ("OIG_LOG_DIR", ""),
                *self.usual.items(),
            )
            if not self.is_fixed(variable)
        )
        if self.found.file is not None:
            passed[CONFIG] = str(self.found.file)
        # supervisord.conf looks for .venv first, then on the PATH.
        search = self.environ.get("PATH", os.defpath)
        passed["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{search}"
        return passed
