"""`python -m server.portal.aia HOST PORT`: fetch the certificates above a server's own.

Writes PEM to standard output, the server's own certificate first. It decides nothing and sees no
password: all it writes is a hint, to be verified by `trust.py`.

It is a process of its own because `aia-chaser` neither limits the length of what it downloads nor
the time of the whole, and a thread cannot be stopped; here both limits are the operating system's.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import resource
import signal
import socket
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path

from aia_chaser import AiaChaser, AiaChaserError  # type: ignore[import-untyped] # has no py.typed
from aia_chaser.utils.http_utils import RetryConfig  # type: ignore[import-untyped] # the same
from cryptography.hazmat.primitives.serialization import Encoding

from ..errors import ConfigurationError
from .trust import FETCH_SECONDS, Trust

CHAIN = 6
"""Certificates in a chain: OpenSSL and browsers see three or four, an endless one is an attack."""

MEMORY = 1024 * 1024 * 1024
"""Bytes of address space: twice what Python needs for this, and an end to an endless download."""

PAUSE = 5.0
"""Seconds without progress after which a connection to the server is given up."""


def main(argv: Sequence[str] | None = None) -> int:
    """Fetch and write. Return 0 when there is at least the server's own certificate."""
    arguments = _parser().parse_args(argv)
    signal.alarm(int(FETCH_SECONDS) + 1)  # should nobody be left to stop it
    with contextlib.suppress(ValueError, OSError):  # macOS knows the limit but does not set it
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    socket.setdefaulttimeout(PAUSE)
    try:
        known = {root.subject for root in Trust(arguments.ca_file).roots()}
    except ConfigurationError:
        return 1
    # Nothing is verified here: the certificate has to be seen before it can be judged, and
    # nothing but the handshake goes over this connection.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    chaser = AiaChaser(
        context,
        allow_private_ip=arguments.private_addresses,
        retry_config=RetryConfig(max_attempts=1),
    )
    written = 0
    # KeyError: version 3.6 looks up the issuer of a last certificate among its own roots.
    with contextlib.suppress(AiaChaserError, OSError, ValueError, KeyError):
        chain = chaser.aia_chase(arguments.host, arguments.port)
        for certificate in itertools.islice(chain, CHAIN):
            sys.stdout.buffer.write(certificate.public_bytes(Encoding.PEM))
            sys.stdout.buffer.flush()
            written += 1
            if certificate.issuer in known:
                break
    return 0 if written else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m server.portal.aia")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--ca-file", type=Path)
    parser.add_argument("--private-addresses", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
