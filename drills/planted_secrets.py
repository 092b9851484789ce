"""Marked secrets sent in every way there is, then looked for wherever anything stays or shows."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import secrets
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from .callers import Owner, called, owners
from .drill import Drill, Extent, Outcome
from .encodings import encodings
from .ground import Ground
from .supervised import RunningSystem, alive, family
from .waiting import PATIENCE, wait_until
from .worker_losses import ready_pids

MARK: Final = "pl4nt3d"

SHOWN: Final = (
    ("stats", "--json"),
    ("sessions", "--json"),
    ("lockouts", "--json"),
    ("journal", "--json"),
    ("connections", "--json"),
    ("stats",),
    ("sessions",),
    ("lockouts",),
)
"""What `cachectl` shows without changing anything."""


APPLIED: Final = ("box_id", "change", "plan_token")
"""What of a plan its apply is given."""


class Planted:
    """Makes secrets, and remembers them.

    Attributes:
        made: Each, by where it is put.
    """

    def __init__(self) -> None:
        self.made: dict[str, str] = {}

    def new(self, where: str) -> str:
        """Return a new secret for a place."""
        self.made[where] = f"{MARK}{secrets.token_hex(8)}"
        return self.made[where]

    def sessions(self, ids: list[str]) -> None:
        """Take the ids of the portal's sessions for secrets as well."""
        self.made |= {f"a session of the portal, number {n}": one for n, one in enumerate(ids)}

    def found_in(self, where: str, data: bytes) -> Iterator[str]:
        """Say which secrets are in some bytes, plain or encoded."""
        for place, secret in self.made.items():
            for form, encoding in encodings(secret).items():
                if form in data:
                    yield f"{place} is in {where} ({encoding})"
                    break


def _requests(planted: Planted, owner: Owner) -> Iterator[tuple[str, bytes, dict[str, str]]]:
    """Make requests that fail: path, body and headers."""
    new = planted.new

    def call(tool: str, **arguments: object) -> bytes:
        params = {"name": tool, "arguments": arguments}
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        return json.dumps(message).encode()

    pair = {"email": owner.email, "password": new("a wrong password in arguments")}
    yield "/mcp", call("check_auth", **pair), {}
    wrong = owner.logging_in(new("a wrong password in a header"))
    yield "/mcp", call("list_boxes"), {"Authorization": wrong}
    headers = {"X-OIG-Email": owner.email, "X-OIG-Password": new("a wrong password in X-OIG")}
    yield "/mcp", call("list_boxes"), headers
    broken = f"Basic {new('a header that is no base64')}!"
    yield "/mcp", call("list_boxes"), {"Authorization": broken}
    yield "/mcp", call("list_boxes"), {"Authorization": f"Bearer {new('an access token')}"}
    yield "/mcp", call("list_boxes", session="oig_" + new("a handle")), {}
    yield "/mcp", call("list_boxes", session=[new("a handle in a list")]), {}
    yield "/mcp", call("check_auth", email=owner.email, password=[new("a password in a list")]), {}
    yield "/mcp", call("check_auth", password=new("a password without e-mail")), {}
    yield "/mcp", call("apply_change", box_id="1", change="x", plan_token=new("a plan")), {}
    yield "/mcp", call("get_live_data", pasword=new("an argument misspelled")), {}
    yield f"/mcp?password={new('a query')}", call("list_boxes"), {}
    yield f"/mcp/{new('a path')}", call("list_boxes"), {}
    yield f"/token?code={new('a code in a query')}", b"", {}
    body = f"grant_type=refresh_token&refresh_token={new('a refresh token')}&client_id=x"
    yield "/token", body.encode(), {"Content-Type": "application/x-www-form-urlencoded"}
    yield "/mcp", call("list_boxes"), {"Cookie": f"PHPSESSID={new('a cookie')}"}
    yield "/mcp", call("list_boxes"), {"Mcp-Session-Id": new("a session of MCP")}
    yield "/mcp", f'{{"password": "{new("JSON cut off")}'.encode(), {}
    yield "/mcp", f'{{"jsonrpc": "2.0", "{new("JSON of no message")}": 1}}'.encode(), {}
    yield "/mcp", new("no JSON").encode() + b"\xff", {}
    yield "/mcp", new("a body of no kind").encode(), {"Content-Type": "text/plain"}
    yield "/mcp", new("a body compressed").encode(), {"Content-Encoding": "gzip"}


def _ask(system: RunningSystem, path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """Send a request; return all of the answer."""
    kinds = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    connection = http.client.HTTPConnection(system.host, system.port, timeout=PATIENCE)
    try:
        connection.request("POST", path, body, {**kinds, **headers})
        answer = connection.getresponse()
        return str(answer.headers).encode() + answer.read()
    except (http.client.HTTPException, OSError):
        return b""
    finally:
        connection.close()


def _garbage(system: RunningSystem, secret: str) -> None:
    """Send what is no HTTP, and hang up."""
    with socket.create_connection((system.host, system.port), PATIENCE) as one:
        one.sendall(b"\x16\x03\x01" + secret.encode() + b"\r\n\r\n")
        with contextlib.suppress(OSError):
            one.recv(1000)


def _files(system: RunningSystem) -> Iterator[tuple[str, bytes]]:
    for path in sorted((system.project / "var").rglob("*")):
        if path.is_file():
            yield path.name, path.read_bytes()


def _processes(system: RunningSystem) -> Iterator[tuple[str, bytes]]:
    for process in alive(family(os.getpid())):
        for name in ("cmdline", "environ"):
            with contextlib.suppress(OSError):
                yield f"{name} of a process", Path(f"/proc/{process.pid}/{name}").read_bytes()
    for pid in (system.pid("cache"), *ready_pids(system)):
        limits = Path(f"/proc/{pid}/limits").read_text()
        core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
        if core.split()[4:6] != ["0", "0"]:
            yield "a core dump, which is allowed", MARK.encode()


def searched(ground: Ground, extent: Extent) -> Outcome:
    """Plant secrets, let logins fail and workers die, and search for them."""
    hits: list[str] = []
    looked: set[str] = set()
    planted = Planted()
    with ground.system() as system:
        (owner,) = owners(system, "planted", 1)
        email, right = "planted@example.com", planted.new("a right password")
        system.portal("POST", "_admin/accounts", {"email": email, "password": right})
        answers: list[tuple[str, bytes]] = []
        mine = {"email": email, "password": right}
        opened = called(system, None, "check_auth", **mine)["structuredContent"]
        handle = planted.made["a handle in use"] = opened["session"]
        plan = called(system, None, "plan_change", mode="Home 2", session=handle)
        given = {name: plan["structuredContent"][name] for name in APPLIED}
        planted.made["a plan in use"] = given["plan_token"]
        called(system, None, "apply_change", **given, session=handle)
        for kind in ("html", "error", "drop", "truncated_gzip")[: extent.times]:
            fault = {"kind": kind, "logins": 1, "email": f"{kind}@example.com"}
            system.portal("POST", "_admin/faults", fault)
            pair = {"email": f"{kind}@example.com", "password": planted.new(f"a login with {kind}")}
            failed = called(system, None, "check_auth", **pair)
            answers.append(("an answer", json.dumps(failed).encode()))
        for path, body, headers in _requests(planted, owner):
            where = f"the answer to {path.partition('?')[0][:8]}"
            answers.append((where, _ask(system, path, body, headers)))
        _garbage(system, planted.new("no HTTP"))
        planted.sessions(system.portal("GET", "_admin/sessions")["sessions"])
        used = called(system, None, "get_live_data", session=handle)
        answers.append(("a reading", json.dumps(used).encode()))
        answers += [
            (f"cachectl {' '.join(words)}", (done.stdout + done.stderr).encode())
            for words in SHOWN[: 2 * extent.times]
            for done in [system.cachectl(*words)]
        ]
        aborted = ready_pids(system)[0]
        os.kill(aborted, signal.SIGABRT)
        os.kill(system.pid("cache"), signal.SIGHUP)
        wait_until("it is gone", lambda: aborted not in ready_pids(system))
        wait_until("both workers serve", lambda: len(ready_pids(system)) == system.workers)
        for where, data in (*answers, *_files(system), *_processes(system)):
            looked.add(where)
            hits += planted.found_in(where, data)
    missed = {
        "sessions.db",
        "journal.db",
        "mcp-0.log",
        "cache.log",
        "cmdline of a process",
    } - looked
    said = "; ".join(
        [f"{len(hits)} hits", *hits[:5], *(f"{one} was not searched" for one in missed)]
    )
    return Outcome(
        not hits and not missed,
        f"{said}; {len(looked)} places searched",
        f"{len(planted.made)} secrets",
    )


DRILLS = (
    Drill(
        "planted-secrets",
        "marked passwords, handles, plans and tokens are sent in headers, arguments, queries and "
        "broken bodies; logins fail, and a worker is aborted",
        "0 hits, plain or in base64, JSON, percent or hexadecimal, in answers, logs, files, "
        "databases, command lines, environments and the output of cachectl; no process may dump "
        "its core",
        Extent(times=4),
        Extent(times=1),
        searched,
    ),
)
