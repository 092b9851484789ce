"""Whom to believe to be OIG Cloud. Verification is never off.

The roots are those of the system's OpenSSL (`ssl.create_default_context`, so SSL_CERT_FILE and
SSL_CERT_DIR count as everywhere else), plus the certificates of OIG_CA_FILE.

The portal has been seen to send its own certificate without the intermediate one that signed it.
Browsers then fetch the missing one from the address that the certificate names (AIA, RFC 5280,
4.2.2.1), and so does `Trust.complete`. What is fetched - over plain http, from an address that
nobody has vouched for yet - is only a hint. It reaches OpenSSL after `cryptography` has verified
the whole chain by RFC 5280 (who may sign for whom, how long, for which names) up to a root trusted
before; and OpenSSL then verifies every connection itself, again up to such a root. The contexts
that `aia-chaser` makes are not used: it checks signatures and dates only, so that the owner of any
bought certificate could sign for the portal (tests/test_trust.py has the attack).

Fetching goes straight out, past any proxy; where only a proxy leads out, OIG_CA_FILE has to supply
the intermediate.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ipaddress
import logging
import re
import ssl
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigurationError
from ..settings.places import ROOT
from ..settings.value_file import MAX_BYTES, read

if TYPE_CHECKING:
    from cryptography import x509

log = logging.getLogger(__name__)

MISSING_ISSUER = frozenset({2, 20, 21})
"""OpenSSL's errors when a chain does not reach a root: the server may have sent too little."""

FETCH_SECONDS = 12.0
"""Seconds for fetching: it shares the 30 of a login with two connections to the portal."""

ONCE_IN = 60.0
"""Seconds for which the outcome of a fetch stands, so that a broken chain makes no storm of them.

A success needs no further limit. It lasts while OpenSSL accepts the chain; when the portal changes
to another one, verification fails and the next fetch follows from that.
"""

HASHED_NAME = re.compile(r"[0-9a-f]{8}\.\d+")
"""Names of the files that OpenSSL looks for in a folder of certificates."""


class Trust:
    """The TLS context for connections to the portal.

    Args:
        ca_file: Further trusted certificates (PEM), beside the system's.
        private_addresses: Whether certificates may be fetched from addresses that are not public.
            Not by default: the address to fetch from comes from that server, which could name a
            device in the local network.
        clock: Monotonic time in seconds.

    Raises:
        ConfigurationError: The file cannot be read or has no certificate, or there is no trusted
            certificate at all.
    """

    def __init__(
        self,
        ca_file: Path | None = None,
        *,
        private_addresses: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.context = ssl.create_default_context()
        # Some builds of Python leave the choice to OpenSSL's configuration.
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        # With this flag, the default from Python 3.13 on, a fetched intermediate would be a root.
        self.context.verify_flags &= ~ssl.VERIFY_X509_PARTIAL_CHAIN
        self._ca_file = ca_file
        self._private_addresses = private_addresses
        self._clock = clock
        self._task: asyncio.Task[bool] | None = None
        self._stands: tuple[bool, float] | None = None  # the last outcome, and until when
        if ca_file is not None:
            _load(self.context, ca_file)
        if not self.context.cert_store_stats()["x509_ca"] and not _hashed_files():
            raise ConfigurationError(
                "This machine has no trusted root certificates, so OIG Cloud cannot be told from "
                "an impostor. Install them (the package is usually called ca-certificates), or "
                "name a PEM file in OIG_CA_FILE."
            )

    def roots(self) -> list[x509.Certificate]:
        """Give all trusted certificates at which a chain may end."""
        from cryptography import utils, x509  # noqa: PLC0415 - as in `_fetch_and_verify`

        ders = self.context.get_ca_certs(binary_form=True)
        for file in _hashed_files():
            with contextlib.suppress(OSError, ValueError):
                ders.append(ssl.PEM_cert_to_DER_cert(file.read_text("ascii")))
        roots: list[x509.Certificate] = []
        with warnings.catch_warnings():
            # Some roots in use break RFC 5280 in small ways; they are the system's choice.
            warnings.simplefilter("ignore", utils.CryptographyDeprecationWarning)
            for der in dict.fromkeys(ders):
                with contextlib.suppress(ValueError):
                    one = x509.load_der_x509_certificate(der)
                    if one.subject == one.issuer:
                        roots.append(one)
        return roots

    async def complete(self, host: str, port: int) -> bool:
        """Fetch, verify and remember the intermediate certificates that a server did not send.

        One fetch at a time: a caller meanwhile waits for it, and a caller soon after is given
        its outcome.

        Args:
            host: Name or address of the server, in ASCII, as it is verified.
            port: Its port.

        Returns:
            Whether another connection may now succeed.
        """
        if self._task is None:
            if self._stands is not None and self._clock() < self._stands[1]:
                return self._stands[0]
            self._task = asyncio.create_task(self._complete(host, port))
        # Shielded, because others may wait for it, too, or come back for it later.
        return await asyncio.shield(self._task)

    async def aclose(self) -> None:
        """Stop waiting for a fetch; the fetch itself ends by its own limit."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _complete(self, host: str, port: int) -> bool:
        outcome = False
        try:
            outcome = await asyncio.to_thread(self._fetch_and_verify, host, port)
        finally:
            self._stands = (outcome, self._clock() + ONCE_IN)
            self._task = None
        return outcome

    def _fetch_and_verify(self, host: str, port: int) -> bool:
        # Imported here: where the portal sends its whole chain, OpenSSL alone verifies it.
        from cryptography import x509  # noqa: PLC0415
        from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415

        try:
            fetched = x509.load_pem_x509_certificates(self._fetch(host, port))
            missing = verified_intermediates(host, fetched, self.roots())
        except (OSError, ValueError, x509.verification.VerificationError):
            # Their messages quote the certificates of an unknown server.
            missing = []
        if not missing:
            log.warning(
                "the portal sends an incomplete certificate chain, and the missing certificate "
                "could not be fetched and verified; OIG_CA_FILE can supply it"
            )
            return False
        added = [certificate.public_bytes(Encoding.DER) for certificate in missing]
        for der in added:
            self.context.load_verify_locations(cadata=der)
        log.warning(
            "the portal sends an incomplete certificate chain; fetched and verified what was "
            "missing: %s",
            ", ".join(hashlib.sha256(der).hexdigest() for der in added),
        )
        return True

    def _fetch(self, host: str, port: int) -> bytes:
        """Let `aia.py` fetch, in a process of its own that can be stopped. Gives PEM."""
        arguments = [host, str(port)]
        if self._ca_file is not None:
            arguments += ["--ca-file", str(self._ca_file)]
        if self._private_addresses:
            arguments += ["--private-addresses"]
        try:
            return subprocess.run(  # noqa: S603 - our own module, no shell
                [sys.executable, "-m", "server.portal.aia", *arguments],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,  # a worker's own is the socket of all workers
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=FETCH_SECONDS,
                check=False,
            ).stdout
        except subprocess.TimeoutExpired as exc:
            return exc.stdout or b""  # what came in time may be enough


def verified_intermediates(
    host: str, fetched: Sequence[x509.Certificate], roots: Sequence[x509.Certificate]
) -> list[x509.Certificate]:
    """Give those certificates that lead from the first fetched one, the server's, to a root.

    Raises:
        VerificationError: There is no valid chain for this host.
        ValueError: There is no certificate, or no root.
    """
    if not fetched:
        raise ValueError("no certificate")
    from cryptography import x509  # noqa: PLC0415 - as in `_fetch_and_verify`
    from cryptography.x509 import verification  # noqa: PLC0415

    subject: verification.Subject
    try:
        subject = x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        subject = x509.DNSName(host)
    verifier = (
        verification.PolicyBuilder()
        .store(verification.Store(list(roots)))
        .build_server_verifier(subject)
    )
    chain = verifier.verify(fetched[0], list(fetched[1:]))
    return chain[1:-1]


def _load(context: ssl.SSLContext, ca_file: Path) -> None:
    try:
        # OpenSSL would wait for a FIFO, and read a device without end.
        if len(read(ca_file, MAX_BYTES + 1)) > MAX_BYTES:
            raise ConfigurationError(
                f"OIG_CA_FILE: {ca_file} has more than {MAX_BYTES} bytes: it is another file."
            )
        context.load_verify_locations(cafile=ca_file)
    except ssl.SSLError:
        reason = "holds no certificate in PEM form"
    except OSError as exc:
        reason = f"cannot be read ({exc.strerror})"
    else:
        return
    raise ConfigurationError(f"OIG_CA_FILE: {ca_file} {reason}.")


def _hashed_files() -> list[Path]:
    """Find the certificates that OpenSSL reads from a folder only when it needs them."""
    folder: str | None = ssl.get_default_verify_paths().capath
    if folder is None:
        return []
    with contextlib.suppress(OSError):
        return [file for file in Path(folder).iterdir() if HASHED_NAME.fullmatch(file.name)]
    return []
