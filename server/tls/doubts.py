"""Warnings to the operator about a certificate that works. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

SOON = timedelta(days=14)
"""Time before its end from which a certificate deserves a word: renewal is overdue."""

OF_ITS_LIFE = 6
"""That time is at most one part in so many of a certificate's life: some are made for half a day,
and renewed when a third of that is left."""


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
