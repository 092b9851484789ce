"""The command line of `oig-cloud-mcp`, and how the user can type its other commands."""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import NoReturn

from ..settings.other_variables import CONFIG
from ..settings.parsers import MAX_WORKERS
from ..settings.places import ROOT
from ..version import program_version

EPILOG = """\
Settings come from options, from the environment (OIG_...), or from one settings file: that of
--config or OIG_CONFIG, or else ~/.config/oig-cloud-mcp/settings.env, or else
/etc/oig-cloud-mcp/settings.env. `check --show` says what holds, and why.

exit codes:
  0    done, or stopped on request; for status: everything is ready
  1    it did not start or did not stay; for check: it would not; for status: something is not ready
  2    wrong usage
  3    for status and restart-workers: nothing is running
  64   a wrong setting
  130  interrupted on the way
  141  nobody reads the output any more
"""

EXIT_NOT_RUNNING = 3

PROGRAM = "oig-cloud-mcp"

SCRIPT = "start_server.sh"

AS_SCRIPT = {"serve": "", "demo": " --demo", "restart-workers": " --restart-workers"}
"""Which options of start_server.sh correspond to which commands."""

OTHER_PROGRAMS_WORDS = {"start": "serve", "run": "serve", "restart": "restart-workers"}
"""What other programs call our commands."""

MODULES = {
    "oig-client": "client",
    "supervisorctl": "supervisor.supervisorctl",
    PROGRAM: "server.supervision",
}
"""What python3 -m calls our programs and others, where it is not their name."""


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for.

    Args:
        command: Such as `serve`.
        settings: Settings that were given as options, by their variables.
        config: The settings file that was named.
        show: Whether `check` lists all settings.
    """

    command: str
    settings: dict[str, str]
    config: Path | None = None
    show: bool = False

    def environ(self, environ: Mapping[str, str]) -> Mapping[str, str]:
        """Return the environment with the option `--config` in it."""
        if self.config is None:
            return environ
        return {**environ, CONFIG: str(self.config.expanduser().absolute())}


def parse(argv: list[str], prog: str) -> Options:
    """Return what a command line asks for; exits with 2 when it is wrong."""
    parser = _Parser(
        prog=prog,
        description="Run the MCP server for OIG Cloud.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_version(parser)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, meaning, shape in (
        ("demo", "run it in this terminal with a simulator of the portal, to try it out", True),
        ("serve", "run it in this terminal against the real OIG Cloud; Ctrl-C stops it", True),
        ("stop", "stop what runs, and return when it has stopped", False),
        ("status", "say what runs and whether it is ready", False),
        ("restart-workers", "restart the workers one by one; no request is refused", False),
        ("check", "check settings and files, and start nothing", True),
    ):
        command = commands.add_parser(name, help=meaning, description=meaning, allow_abbrev=False)
        add_config(command)
        if shape:
            add_shape(command)
        if name == "check":
            command.add_argument(
                "--show", action="store_true", help="list all settings and where they come from"
            )
        add_version(command)
    given = parser.parse_args(argv)
    return Options(
        command=given.command,
        settings=shape_of(given),
        config=given.config,
        show=getattr(given, "show", False),
    )


class _Parser(argparse.ArgumentParser):
    """One that suggests the command that is nearest to a wrong one."""

    def error(self, message: str) -> NoReturn:
        _, wrong, rest = message.partition("invalid choice: ")
        if wrong:
            word, _, choices = rest.rpartition(" (choose from ")
            typed, known = word.strip("'\""), re.findall(r"[a-z-]+", choices)
            near = get_close_matches(typed, known, n=1)
            meant = OTHER_PROGRAMS_WORDS.get(typed) or (near[0] if near else None)
            message = f"there is no command {typed}. "
            message += f"Did you mean {meant}? " if meant else ""
            message += f"Commands: {', '.join(known)}"
        super().error(message)


def add_version(parser: argparse.ArgumentParser) -> None:
    """Add `--version`."""
    parser.add_argument("--version", action=_Version, help="say which version this is")


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the settings file."""
    parser.add_argument(
        "--config", type=_file, metavar="FILE", help="settings file, instead of the usual one"
    )


def add_shape(parser: argparse.ArgumentParser) -> None:
    """Add the options that stand for OIG_HOST, OIG_PORT and OIG_WORKERS."""
    parser.add_argument("--host", type=_not_empty, help="IPv4 address to listen at")
    parser.add_argument("--port", type=_number(1, 65535), help="port to listen at")
    parser.add_argument("--workers", type=_number(1, MAX_WORKERS), help="number of workers")


def shape_of(given: argparse.Namespace) -> dict[str, str]:
    """Return what was given of those, by the settings' variables."""
    names = ("host", "port", "workers")
    values = {name: getattr(given, name, None) for name in names}
    return {
        f"OIG_{name.upper()}": str(value) for name, value in values.items() if value is not None
    }


class _Version(argparse.Action):
    """Looks the version up only when it is asked for: that takes a while."""

    def __init__(self, option_strings: list[str], dest: str, help: str | None = None) -> None:  # noqa: A002
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        sys.stdout.write(f"oig-cloud-mcp {program_version()}\n")
        parser.exit()


def _not_empty(raw: str) -> str:
    # Of a setting, nothing means its default. An option is typed to say something: what is empty
    # comes from a shell's variable that was not set, and the default host is open to everybody.
    if not raw.strip():
        raise argparse.ArgumentTypeError("must not be empty")
    return raw


def _file(raw: str) -> Path:
    return Path(_not_empty(raw))


def _number(least: int, most: int) -> type[int]:
    def parse(raw: str) -> int:
        value = int(raw) if raw.isascii() and raw.isdecimal() else -1
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"must be a number from {least} to {most}")
        return value

    return parse  # type: ignore[return-value]


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
