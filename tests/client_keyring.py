"""Keyrings for the client's tests, chosen with PYTHON_KEYRING_BACKEND=tests.client_keyring.<class>.

A real one of the system would ask the person at the screen, and remember.
"""

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend
from keyring.backends.chainer import ChainerBackend
from keyring.errors import KeyringLocked, PasswordDeleteError


class InFile(KeyringBackend):
    """Keep secrets in the file that OIG_TEST_KEYRING names."""

    priority = 5

    def _read(self) -> dict[str, str]:
        path = Path(os.environ["OIG_TEST_KEYRING"])
        return json.loads(path.read_text()) if path.exists() else {}

    def _write(self, entries: dict[str, str]) -> None:
        Path(os.environ["OIG_TEST_KEYRING"]).write_text(json.dumps(entries))

    def get_password(self, service: str, username: str) -> str | None:
        return self._read().get(f"{service} {username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        self._write(self._read() | {f"{service} {username}": password})

    def delete_password(self, service: str, username: str) -> None:
        entries = self._read()
        if entries.pop(f"{service} {username}", None) is None:
            raise PasswordDeleteError
        self._write(entries)


class Plain(InFile):
    """Be no better than a file."""

    priority = 0.5  # type: ignore[assignment]


class Elsewhere(Plain):
    """Be a file beside that one."""

    def _write(self, entries: dict[str, str]) -> None:
        Path(os.environ["OIG_TEST_KEYRING"] + ".plain").write_text(json.dumps(entries))


class PlainChain(ChainerBackend):
    """Be what keyring makes of several backends: better than all of them, it says."""

    priority = 10  # type: ignore[assignment]
    backends = (Plain(), Plain())  # type: ignore[assignment]


class MixedChain(PlainChain):
    """Have something safe in it too, though not first."""

    backends = (Elsewhere(), InFile())  # type: ignore[assignment]


class Locked(InFile):
    """Let nobody in."""

    def get_password(self, service: str, username: str) -> str | None:
        raise KeyringLocked("the secret is hunter2")

    set_password = delete_password = get_password  # type: ignore[assignment]


class Forgetful(InFile):
    """Say yes and do nothing, as keyring's null backend does."""

    def set_password(self, service: str, username: str, password: str) -> None:
        pass


class Broken(InFile):
    """Fail in a way of its own, telling what it was given."""

    def set_password(self, service: str, username: str, password: str) -> None:
        raise LookupError(password)


def environment(kind: str, path: Path) -> dict[str, str]:
    """Return what makes a process use one of these, or keyring's own `fail`."""
    name = "keyring.backends.fail.Keyring" if kind == "fail" else f"tests.client_keyring.{kind}"
    return {"PYTHON_KEYRING_BACKEND": name, "OIG_TEST_KEYRING": str(path)}
