"""Processes that are killed again and again, or cannot start: the rest goes on."""

import os
import re
import signal
import threading
from contextlib import contextmanager, suppress
from functools import partial

import httpx2

from server.supervision.supervisor_rpc import SupervisordError

from .fleet import NO_TLS, call_body
from .system import alive, breakable, family, prepared_system, started
from .waiting import PATIENCE, wait_until

KILLS = 8
"""Former versions gave a process up after six failures, and everything with it."""


@contextmanager
def watched(*bounds):
    """Give a system that is not running yet, with pauses of a fifth of a second at most."""
    with prepared_system(OIG_CALLS_PER_MINUTE="0") as system:
        breakable(system, "mcp-1")
        path = system.project / "supervisord.conf"
        command = " ".join(("supervision.watch --longest-pause 0.2", *bounds))
        path.write_text(path.read_text().replace("supervision.watch", command))
        yield system


def said(system, pattern):
    with suppress(FileNotFoundError):  # at the start
        return re.findall(rf"(?m)^\S+Z \w+ watch: {pattern}", system.log("supervisord"))
    return []


def tries(system, name):
    return len(said(system, f"{name} has failed to start"))


class Callers:
    """Calls without a pause, each over a connection of its own."""

    def __init__(self, url):
        self.url = url
        self.served = 0
        self.lost = 0
        self.refused = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(2)]

    def _call(self):
        while not self._stop.is_set():
            try:
                result = httpx2.post(
                    self.url, json=call_body(), trust_env=False, verify=NO_TLS, timeout=30
                )
            except httpx2.TransportError:
                self.lost += 1  # the worker that had it was killed
                continue
            answer = result.json()["result"]
            if answer["isError"]:
                self.refused.append(answer)
            else:
                self.served += 1

    def have_served(self, calls):
        return self.served > calls

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE)


def kill_again_and_again(system, name):
    """Kill a process whenever it runs; return when it has failed to start several times."""

    def kill():
        with suppress(SupervisordError):
            pid = system.pid(name)
            with suppress(ProcessLookupError):
                if pid:
                    os.kill(pid, signal.SIGKILL)
        return tries(system, name) >= KILLS

    wait_until(f"{name} has failed often", kill, 90)


def test_a_repeatedly_killed_process_takes_no_other_down():
    with watched() as system, started(system) as supervisord:
        system.wait_ready()
        for name in ("cache", "mcp-1"):
            others = {p.name: p.pid for p in system.control.processes() if p.name != name}
            with Callers(system.url) as callers:
                wait_until("calls", partial(callers.have_served, 10))
                kill_again_and_again(system, name)
                wait_until("calls", partial(callers.have_served, callers.served + 10))
            assert callers.refused == []
            # Only a worker that is killed can take a call with it.
            assert name == "mcp-1" or callers.lost == 0
            wait_until("it is back", partial(said, system, f"{name} runs again"))
            system.wait_ready()
            now = {p.name: p.pid for p in system.control.processes() if p.name != name}
            assert now == others
            # supervisord alone would have waited a second longer each time.
            line = rf"{name} has failed to start {KILLS} times in a row; the next try is in 0\.2 s"
            assert said(system, line)
        assert supervisord.poll() is None


def test_a_worker_that_cannot_start_is_retried_until_it_is_repaired_or_stopped():
    with watched() as system:
        broken = breakable(system, "mcp-1")
        broken.touch()
        with started(system):
            wait_until("it was tried again", lambda: tries(system, "mcp-1") >= 3)
            assert said(system, r'mcp-1 has failed .*mcp-1\.log ends with: "it is broken"')
            url = system.url.replace("/mcp", "/readyz")
            assert httpx2.get(url, trust_env=False, verify=NO_TLS).json() == {
                "status": "ready",
                "degraded": {},
            }

            # A watch that begins now does not know how often it has failed, and sees to it as well.
            watch = system.pid("watch")
            os.kill(watch, signal.SIGKILL)
            wait_until("another one watches", lambda: system.pid("watch") not in {0, watch})
            so_far = tries(system, "mcp-1")
            wait_until("it was tried again", lambda: tries(system, "mcp-1") >= so_far + 3)

            # An operator's stop is the end of the tries, and of no other's.
            system.supervisorctl("stop", "mcp:mcp-1")
            so_far = tries(system, "mcp-1")
            os.kill(system.pid("cache"), signal.SIGKILL)
            wait_until("the daemon is back", lambda: said(system, "cache runs again"))
            assert system.process("mcp-1").state == "STOPPED"
            assert tries(system, "mcp-1") == so_far

            broken.unlink()
            assert system.supervisorctl("start", "mcp:mcp-1").returncode == 0
            system.wait_ready()


def test_everything_ends_when_all_workers_fail_even_without_the_control_socket():
    with watched("--end-after", "4") as system, started(system) as running:
        system.wait_ready()
        wait_until("it listens", lambda: system.process("watch").state == "RUNNING")
        everything = family(running.pid)
        pids = [system.pid(name) for name in ("mcp-0", "mcp-1")]
        (system.run_dir / "supervisor.sock").unlink()
        breakable(system, "mcp-0").touch()
        os.kill(pids[0], signal.SIGKILL)
        # supervisord itself goes on with its tries, and the rest is not touched.
        wait_until("the loss is told", lambda: said(system, "supervisord does not answer"))
        so_far = tries(system, "mcp-0")
        wait_until("it was tried again", lambda: tries(system, "mcp-0") > so_far)
        assert running.poll() is None
        breakable(system, "mcp-1").touch()
        os.kill(pids[1], signal.SIGKILL)
        running.wait(60)
        wait_until("nothing is left", lambda: not alive(everything))
        (line,) = [line for line in system.log("supervisord").splitlines() if "Z ERROR " in line]
        assert "No worker has come up in the last 4 s: mcp-0, mcp-1 failed each time." in line
        assert f'{system.log_dir}/mcp-0.log, which ends with: "it is broken"' in line
        assert len(said(system, "supervisord does not answer")) == 1
