"""The client, run in this process with a keyring in a file."""

from __future__ import annotations

import io
import sys

from client.__main__ import main

from .client_keyring import environment

OF_CLIENTS = ("OIG_EMAIL", "OIG_PASSWORD", "OIG_MCP_URL", "FORCE_COLOR", "NO_COLOR")


def client_runner(capsys, monkeypatch, keyring_file, *secrets):
    """Return what runs it and gives exit code, stdout and stderr, none of which shows a secret."""
    for name in OF_CLIENTS:
        monkeypatch.delenv(name, raising=False)

    def run(*argv, stdin=b"", ring="InFile", **environ):
        for name, value in (environment(ring, keyring_file) | environ).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("keyring.core._keyring_backend", None)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = main(argv)
        out, err = capsys.readouterr()
        assert not [secret for secret in (*secrets, "Traceback") if secret in out + err]
        for name in environ:
            monkeypatch.delenv(name, raising=False)
        return code, out, err

    return run
