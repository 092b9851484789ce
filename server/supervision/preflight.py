"""Checks settings, and the files that they name, before anything is started.

    python -m server.supervision.preflight

Exit codes: 0 nothing is wrong, 64 something is, and one line on standard error says what.
"""

from __future__ import annotations

import contextlib
import os
import sys

from ..cache.socket_file import prepare_folder
from ..errors import ConfigurationError
from ..keys.secret import load_secret
from ..settings.loading import find
from ..settings.named_files import refuse_special
from ..settings.table import Settings
from ..version import program_version
from .agreement import check_agreement

EXIT_CONFIGURATION = 64


def check(settings: Settings) -> None:
    """Look at all that daemon and workers look at when they start.

    As they do, it makes the folder and the secret if there are none yet; the secret not while
    running processes use one.

    Raises:
        ConfigurationError: They would not start; the text says why and what to do.
    """
    refuse_special(settings)
    folder = settings.cache_socket.parent
    try:
        prepare_folder(folder, tighten=settings.run_dir_is_ours and folder == settings.run_dir)
    except OSError as exc:
        raise ConfigurationError(f"The folder {folder} cannot be made: {exc.strerror}.") from None
    from ..auth.missing_secret import SecretMissing, make_unless_in_use  # noqa: PLC0415 - as below

    with contextlib.suppress(SecretMissing):  # no setting and no file is wrong
        load_secret(settings.secret_file, make_unless_in_use(settings.cache_socket))
    from ..portal.client import PortalClient  # noqa: PLC0415 - may not be installed until later
    from ..tls.key_pair import KeyPair, load  # noqa: PLC0415 - as above

    pair = KeyPair.of(settings)
    if pair is not None:
        load(pair)

    PortalClient.for_settings(settings, version=program_version())


def main() -> int:
    """Check the settings of this process; return the exit code."""
    try:
        found = find(os.environ)
        settings = found.settings(os.environ)
        check_agreement(os.environ, found, settings)
        check(settings)
    except ConfigurationError as exc:
        sys.stderr.write(f"{exc}\n")
        return EXIT_CONFIGURATION
    return 0


if __name__ == "__main__":
    sys.exit(main())
