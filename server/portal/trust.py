"""Whom to believe to be OIG Cloud. Verification is never off.

The roots are those of the system's OpenSSL (`ssl.create_default_context`), which also honours
SSL_CERT_FILE and SSL_CERT_DIR, plus the certificates of OIG_CA_FILE.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from ..errors import ConfigurationError

MISSING_ISSUER = frozenset({2, 20, 21})
"""OpenSSL's errors when a chain does not reach a root: the server may have sent too little."""


class Trust:
    """The TLS context for connections to the portal.

    Args:
        ca_file: Further trusted certificates (PEM), beside the system's.

    Raises:
        ConfigurationError: The file cannot be read or holds no certificate.
    """

    def __init__(self, ca_file: Path | None = None) -> None:
        self.context = ssl.create_default_context()
        if ca_file is not None:
            try:
                self.context.load_verify_locations(cafile=ca_file)
            except OSError as exc:  # ssl.SSLError is one
                reason = "holds no certificate in PEM form"
                if not isinstance(exc, ssl.SSLError):
                    reason = f"cannot be read ({exc.strerror})"
                raise ConfigurationError(f"OIG_CA_FILE: {ca_file} {reason}.") from None
