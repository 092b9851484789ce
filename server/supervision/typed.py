"""How the user has started this program, and how they can type its other commands."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..settings.places import ROOT

PROGRAM = "oig-cloud-mcp"

SCRIPT = "start_server.sh"

AS_SCRIPT = {"serve": "", "demo": " --demo", "restart-workers": " --restart-workers"}
"""Which options of start_server.sh correspond to which commands."""


MODULES = {
    "oig-client": "client",
    "supervisorctl": "supervisor.supervisorctl",
    PROGRAM: "server.supervision",
}
"""What python3 -m calls our programs and others, where it is not their name."""


@dataclass(frozen=True, slots=True)
class Typed:
    """What was typed.

    Args:
        name: What stands before errors, and in the usage.
        path: How the program is typed, ready for a shell.
        environ: The user's environment.
    """

    name: str
    path: str
    environ: Mapping[str, str]

    @classmethod
    def of(cls, argv0: str, environ: Mapping[str, str]) -> Typed:
        """Tell it from `sys.argv[0]`."""
        if Path(argv0).name != PROGRAM:
            module = f"{Path(sys.executable).name} -m server.supervision"
            return cls(module, module, environ)
        found = None if "UV" in environ else shutil.which(PROGRAM, path=environ.get("PATH"))
        on_path = found is not None and Path(found).absolute() == Path(argv0).absolute()
        return cls(PROGRAM, PROGRAM if on_path else shlex.quote(argv0), environ)

    @classmethod
    def script(cls, environ: Mapping[str, str]) -> Typed:
        """Return that of `start_server.sh`."""
        return cls(SCRIPT, f"./{SCRIPT}", environ)

    def command(self, verb: str) -> str:
        """Return how one of our commands is typed, such as `stop`."""
        if self.name != SCRIPT:
            return f"{self.path} {verb}"
        if verb in AS_SCRIPT:
            return f"{self.path}{AS_SCRIPT[verb]}"
        return f"{self.program(PROGRAM)} {verb}"

    def program(self, name: str) -> str:
        """Return how a program that was installed with this one is typed.

        Args:
            name: `oig-client`, `cachectl`, `oig-cloud-mcp` or `supervisorctl`.
        """
        program = Path(sys.executable).parent / name
        # uv run and uvx put their own folder on the PATH of this process alone, and say so by UV.
        found = None if "UV" in self.environ else shutil.which(name, path=self.environ.get("PATH"))
        if found is not None and Path(found) == program:
            return name
        if not program.exists():
            module = MODULES.get(name, name)
            return f"{shlex.quote(sys.executable)} -m {module}"
        # start_server.sh has left the user's folder for ours.
        if self.name == SCRIPT and self.environ.get("OLDPWD") == str(ROOT):
            program = program.relative_to(ROOT) if program.is_relative_to(ROOT) else program
        return shlex.quote(str(program))
