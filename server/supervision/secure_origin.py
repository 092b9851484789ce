"""Where clients reach a server that speaks TLS itself."""

from __future__ import annotations

from ..errors import ConfigurationError
from ..settings.table import Settings

LOCALHOST = "localhost"


def secure_origin(settings: Settings, port: int) -> str | None:
    """Return scheme, host and port of the address that clients use; None where there is no TLS.

    1. OIG_PUBLIC_URL says it, whatever port leads here.
    2. Otherwise it is the first host that the certificate is for. A name that stands for many is
       none to call.
    3. Where nothing can be read off the file, the start says why; here it is `localhost`.

    Args:
        settings: All settings.
        port: Where the server listens.
    """
    if settings.tls_cert is None:
        return None
    if settings.public_url is not None:
        return settings.public_url
    try:
        # Late: start_server.sh installs what they need.
        from ..tls.doubts import names  # noqa: PLC0415
        from ..tls.key_pair import read_chain  # noqa: PLC0415

        hosts = names(read_chain(settings.tls_cert)[0])
    except (ConfigurationError, ImportError):
        hosts = ()
    host = next((host for host in hosts if "*" not in host), LOCALHOST)
    shown = f"[{host}]" if ":" in host else host
    return f"https://{shown}{'' if port == 443 else f':{port}'}"
