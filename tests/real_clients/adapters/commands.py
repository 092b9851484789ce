"""Clients that are commands: a process for each request, with its output as the answer."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import re
import sys
import termios
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, PIPE

from lines import Connection

PATIENCE = 180
"""Seconds one command may take: twenty at once share the processor."""


TRUST = ("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE")
"""Variables that name further certificates to trust."""

PAGE = re.compile(r"https?://[^\s\x07\x1b]+/authorize\?[^\s\x07\x1b]+(?=[\s\x07\x1b])")
"""A whole address of a login page, as commands print it; some make a terminal's link of it."""


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
        process = await self._start(arguments, stdin=DEVNULL, stderr=PIPE)
        try:
            async with asyncio.timeout(PATIENCE):
                out, err = await process.communicate()
        finally:
            await _end(process)
        return _output(process, arguments, codes, out, err.decode(errors="replace"))

    async def run_with_login(
        self, *arguments: str, codes: tuple[int, ...] = (0,), apart: bool = True
    ) -> str:
        """Run it at a terminal, and open the pages whose addresses it writes there.

        Args:
            arguments: Its arguments.
            codes: Exit codes that come with an answer on its standard output.
            apart: Whether its standard output is no part of the terminal, and returned.

        Raises:
            CommandFailed: It ended with another code.
        """
        async with _terminal() as (inner, lines):
            process = await self._start(
                arguments, stdin=inner, stdout=PIPE if apart else inner, stderr=inner
            )
            os.close(inner)
            reading = asyncio.create_task(self._read(lines))
            try:
                async with asyncio.timeout(PATIENCE):
                    out, _ = await process.communicate()
                    said = await reading
            finally:
                reading.cancel()
                await _end(process)
        return _output(process, arguments, codes, out or b"", said)

    async def _start(
        self, arguments: tuple[str, ...], *, stdin: int, stderr: int, stdout: int = PIPE
    ) -> asyncio.subprocess.Process:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.where.folder),
            "NO_COLOR": "1",
            **{name: os.environ[name] for name in TRUST if name in os.environ},
            **self.variables,
        }
        return await asyncio.create_subprocess_exec(
            *("node", str(self.script), *arguments),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=environment,
            cwd=self.where.folder,
        )

    async def _read(self, terminal: asyncio.StreamReader) -> str:
        said = ""
        opened = set()
        # Its end is an error: nobody has the other side open any more.
        with contextlib.suppress(OSError):
            while some := await terminal.read(65536):
                said += some.decode(errors="replace")
                sys.stderr.write(some.decode(errors="replace"))
                for url in set(PAGE.findall(said)) - opened:
                    opened.add(url)
                    self.where.browse(url)
        return said


@contextlib.asynccontextmanager
async def _terminal() -> AsyncIterator[tuple[int, asyncio.StreamReader]]:
    """Give a new terminal: the end for a process, and what it writes."""
    outer, inner = pty.openpty()
    # An address is one line.
    termios.tcsetwinsize(inner, (50, 5000))
    lines = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), os.fdopen(outer, "rb", buffering=0)
    )
    try:
        yield inner, lines
    finally:
        transport.close()


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
        await process.wait()


def _output(
    process: asyncio.subprocess.Process,
    arguments: tuple[str, ...],
    codes: tuple[int, ...],
    out: bytes,
    said: str,
) -> str:
    if process.returncode not in codes:
        said = out.decode(errors="replace") + said
        raise CommandFailed(f"{arguments} ended with {process.returncode}: {said[-2000:]}")
    return out.decode()


def script_of(where: Connection, package: str, path: str) -> Path:
    """Return the file of a package in the client's environment."""
    return where.packages / "node_modules" / package / path


def headers_of(where: Connection, option: str) -> list[str]:
    """Return the options that have a command send the headers."""
    return [part for name, value in where.headers.items() for part in (option, f"{name}: {value}")]
