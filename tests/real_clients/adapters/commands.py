"""Clients that are commands: a process for each request, with its output as the answer."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE

from lines import Connection

PATIENCE = 180
"""Seconds one command may take: twenty at once share the processor."""


class CommandFailed(Exception):
    """A command ended with a code that is not one of its answers."""


@dataclass(frozen=True)
class Command:
    """A command that a package of the client's environment brings.

    Args:
        script: The script that Node.js runs.
        where: How to connect; the command's home is the folder given there.
        variables: Further environment variables.
    """

    script: Path
    where: Connection
    variables: dict[str, str]

    async def run(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> str:
        """Run it and return its output.

        Args:
            arguments: Its arguments.
            codes: Exit codes that come with an answer on its standard output.

        Raises:
            CommandFailed: It ended with another code.
        """
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.where.folder),
            "NO_COLOR": "1",
            **self.variables,
        }
        process = await asyncio.create_subprocess_exec(
            *("node", str(self.script), *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            env=environment,
            cwd=self.where.folder,
        )
        try:
            async with asyncio.timeout(PATIENCE):
                out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode not in codes:
            said = (out + err).decode(errors="replace")
            raise CommandFailed(f"{arguments} ended with {process.returncode}: {said[-2000:]}")
        return out.decode()


def script_of(where: Connection, package: str, path: str) -> Path:
    """Return the file of a package in the client's environment."""
    return where.packages / "node_modules" / package / path


def headers_of(where: Connection, option: str) -> list[str]:
    """Return the options that have a command send the headers."""
    return [part for name, value in where.headers.items() for part in (option, f"{name}: {value}")]
