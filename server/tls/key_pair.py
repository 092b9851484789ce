"""The files of OIG_TLS_CERT and OIG_TLS_KEY: a certificate with its chain, and its key.

Any defect is reported in one line, without a byte of their content. Of a certificate that works,
`doubts` gives the warnings to the operator.
"""

from __future__ import annotations

import os
import re
import ssl
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import NoReturn, Self

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from ..as_user import user_name
from ..errors import ConfigurationError
from ..settings.table import Settings
from ..settings.value_file import UnusableFile, read_value

LABEL = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----")
"""The beginning of an item in PEM (RFC 7468 2)."""

CERTIFICATES = frozenset({"CERTIFICATE", "X509 CERTIFICATE"})

SOON = timedelta(days=14)
"""Time before its end from which a certificate deserves a word: renewal is overdue."""

OF_ITS_LIFE = 6
"""That time is at most one part in so many of a certificate's life: some are made for half a day,
and renewed when a third of that is left."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """Where certificate and key lie.

    Args:
        certificate: The server's certificate and those that lead to its authority, in this order.
        key: Its private key, without a password.
    """

    certificate: Path
    key: Path

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """Return the files that settings name; None where the workers speak no TLS."""
        if settings.tls_cert is None or settings.tls_key is None:
            return None
        return cls(settings.tls_cert, settings.tls_key)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A certificate and its key that are fit for use.

    Args:
        context: What connections are made with.
        chain: The certificates, the server's first.
    """

    context: ssl.SSLContext
    chain: tuple[x509.Certificate, ...]


def load(pair: KeyPair) -> Loaded:
    """Read both files.

    Raises:
        ConfigurationError: One cannot be used; the text names it, and says why and what to do.
    """
    chain = read_chain(pair.certificate)
    _check_key(pair.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # 1. Some builds of Python leave the versions to OpenSSL's configuration.
    # 2. A handshake in the middle of a connection only helps an attacker to load the server.
    # 3. Sessions that are taken up again would have to be known to all workers. Without tickets
    #    there is no stored key either that could decrypt earlier traffic.
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
    context.num_tickets = 0
    context.set_alpn_protocols(["http/1.1"])

    def no_password() -> NoReturn:
        raise _encrypted(pair.key)

    try:
        # Without a function for it, OpenSSL would ask for a password at the terminal.
        context.load_cert_chain(pair.certificate, pair.key, no_password)
    except ssl.SSLError as exc:
        reason = exc.reason or ""
        if "MISMATCH" in reason:
            raise ConfigurationError(
                f"OIG_TLS_KEY: the key {pair.key} is not that of the first certificate in "
                f"{pair.certificate}. Name two files of one certificate; the server's own comes "
                "first, and those of authorities follow it."
            ) from None
        weak = "TOO_SMALL" in reason or "TOO_WEAK" in reason
        why = "too weak" if weak else "damaged, or of a kind that it does not know"
        raise ConfigurationError(
            f"OIG_TLS_CERT and OIG_TLS_KEY: OpenSSL takes {pair.certificate} with {pair.key} for "
            f"{why} ({reason})."
        ) from None
    except OSError as exc:
        raise ConfigurationError(
            f"OIG_TLS_CERT and OIG_TLS_KEY: {pair.certificate} and {pair.key} cannot be read: "
            f"{exc.strerror}."
        ) from None
    return Loaded(context, chain)


def read_chain(path: Path) -> tuple[x509.Certificate, ...]:
    """Return the certificates of a file, in their order.

    Raises:
        ConfigurationError: There is none, or one is damaged.
    """
    text = _text("OIG_TLS_CERT", path)
    labels = LABEL.findall(text)
    if not CERTIFICATES & set(labels):
        found = (
            "holds a key and no certificate: were the two files swapped?"
            if any(label.endswith("PRIVATE KEY") for label in labels)
            else "holds no certificate in PEM."
        )
        raise ConfigurationError(f"OIG_TLS_CERT: the file {path} {found}")
    try:
        return tuple(x509.load_pem_x509_certificates(text.encode()))
    except (ValueError, x509.InvalidVersion):
        raise ConfigurationError(
            f"OIG_TLS_CERT: a certificate in {path} is damaged. Copy the file again."
        ) from None


def _check_key(path: Path) -> None:
    try:
        found = path.stat()
    except OSError:
        pass  # reading it says why
    else:
        _check_mode(path, found)
    text = _text("OIG_TLS_KEY", path)
    labels = [label for label in LABEL.findall(text) if label.endswith("PRIVATE KEY")]
    if not labels:
        content = "a certificate and no key" if LABEL.search(text) else "no private key in PEM"
        raise ConfigurationError(f"OIG_TLS_KEY: the file {path} holds {content}.")
    # PKCS #8 says so in the label, and older formats in a header.
    if labels[0].startswith("ENCRYPTED") or "Proc-Type: 4,ENCRYPTED" in text:
        raise _encrypted(path)


def _check_mode(path: Path, found: os.stat_result) -> None:
    # 1. Only the owner may read it, or a group as well: tools leave keys as root's, and a group is
    #    how the server's user gets at them.
    # 2. Anyone who can read it can impersonate this server.
    wrong = found.st_mode & (stat.S_IWGRP | stat.S_IRWXO)
    if stat.S_ISREG(found.st_mode) and wrong:
        raise ConfigurationError(
            f"OIG_TLS_KEY: the key {path} is open to other users (mode "
            f"{stat.S_IMODE(found.st_mode):04o}). Run as {user_name(found.st_uid)}: "
            f"chmod g-w,o= {path.resolve()}"
        )


def _text(variable: str, path: Path) -> str:
    try:
        return read_value(path)
    except UnusableFile as exc:
        cure = ""
        if isinstance(exc.__context__, PermissionError):
            cure = (
                " Let the server's user read it, as its group (chgrp, chmod g+r; also for the "
                "folders on the way, chmod g+x), or copy it at each renewal."
            )
        raise ConfigurationError(f"{variable}: {exc}.{cure}") from None


def _encrypted(path: Path) -> ConfigurationError:
    return ConfigurationError(
        f"OIG_TLS_KEY: the key {path} has a password, and the server must start without one. "
        "Write it without: openssl pkey -in OLD -out NEW, and close NEW to others (chmod 600)."
    )


def doubts(chain: Sequence[x509.Certificate], now: datetime) -> Iterator[str]:
    """Give what is doubtful about a certificate, a sentence or two each.

    Args:
        chain: The certificates as they are sent, the server's first; none, where there is no TLS.
        now: The time, with its offset.
    """
    if not chain:
        return
    own = chain[0]
    ends, begins = own.not_valid_after_utc, own.not_valid_before_utc
    if now >= ends:
        yield f"the certificate has expired on {ends:%Y-%m-%d}: clients refuse it. Renew it."
    elif now < begins:
        yield (
            f"the certificate is good from {begins:%Y-%m-%d %H:%M} UTC on, and refused before. "
            "Compare this machine's clock with the real time."
        )
    elif now >= ends - min(SOON, (ends - begins) / OF_ITS_LIFE):
        yield f"the certificate ends on {ends:%Y-%m-%d}. Renew it before that day."
    if not names(own):
        yield (
            "the certificate names no host (subjectAltName), and clients look nowhere else: they "
            "refuse it."
        )
    if _lacks_chain(chain):
        yield (
            "the file holds the server's certificate alone, without that of the authority that "
            "signed it: many clients refuse it. Name the file with both, often fullchain.pem."
        )


def names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the hosts that a certificate is for: names, then addresses."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    addresses = found.get_values_for_type(x509.IPAddress)
    return (*found.get_values_for_type(x509.DNSName), *map(str, addresses))


def is_for(host: str, public: str) -> bool:
    """Whether a host of a certificate is another one, or stands for it (RFC 6125 6.4.3).

    Args:
        host: As the certificate has it; `*.` stands for one label.
        public: A name or address.
    """
    first, _, rest = public.partition(".")
    return host.lower() in {public, f"*.{rest}"} and bool(first)


def _lacks_chain(chain: Sequence[x509.Certificate]) -> bool:
    """Whether an intermediate certificate is missing.

    The file does not show whether the issuer is a root that clients have. A certificate that says
    where to fetch its issuer comes from an authority with intermediates; a home-made authority
    says no such thing (RFC 5280 4.2.2.1).
    """
    own = chain[0]
    if len(chain) > 1 or own.issuer == own.subject:
        return False
    try:
        access = own.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    return any(one.access_method == AuthorityInformationAccessOID.CA_ISSUERS for one in access)
