"""The worker's side of `hello`: compares versions, secrets and epochs with the daemon's."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable
from typing import Final

from ..state.vocabulary import Hit
from .hello import Hello, Welcome
from .verbs import Reply, Scalar

DIFFERENT: Final = (
    "Not all parts of this server are of one version, and until they are no box is changed. "
    "`cachectl stats` shows the versions."
)
"""Why a change is refused while a server is upgraded."""

SECRETS_DIFFER: Final = (
    "This worker and the cache daemon at %s work with different secrets: one of them was started "
    "while another one was in the file (OIG_SECRET_FILE). Until they agree this worker refuses "
    "every handle, login and plan; what the daemon holds is left as it is. Put the right file in "
    "its place, then restart the whole server: docs/operations.md, The secret."
)

logger = logging.getLogger(__name__)


class Handshake:
    """Says hello at the start of each connection, and compares the answer.

    `missed` is called when something may have been dropped while there was no connection.

    Attributes:
        secret_differs: Whether the daemon met last has another secret.
        other_version: Whether the daemon asked last speaks another version of the protocol.
        drops: The daemon's count of drops on purpose, as last heard.
        near: Whether this process keeps near copies and the daemon met last names what changes.
        digest: Returns the digest of this process's live settings; None if nobody compares them.
        on_settings: Called with whether they differ, each time the daemon got the digest.
    """

    def __init__(self, hello: Hello, where: object, missed: Callable[[], object]) -> None:
        self.secret_differs = False
        self.other_version = False
        self.drops = 0
        self.near = False
        self.digest: Callable[[], bytes] | None = None
        self.on_settings: Callable[[bool], None] = lambda _differ: None
        self._hello = hello
        self._where = where
        self._missed = missed
        self._origin: bytes | None = None
        self._agreed = True

    def said(self) -> tuple[Scalar, ...]:
        """Return the arguments of this process's `hello`."""
        return self._hello if self.digest is None else self._hello._replace(settings=self.digest())

    def heard(self, reply: Reply | Hit) -> Welcome | None:
        """Compare the answer to `hello`; None if it is none.

        1. A daemon of another protocol version refuses everything. Readings go on as without one.
        2. One with another secret can open nothing of this worker's, and refuses what is made
           with it.
        3. One without a secret makes no difference: it says hello again when it has one.
        """
        if not isinstance(reply, Reply):
            return None
        if reply.status == "error" and reply.fields[0] == "version":
            self.other_version = True
            self._compare_versions(agrees=False, program="another")
            return None
        welcome = Welcome.read(reply.fields) if reply.status == "ok" else None
        if welcome is None:
            return None
        self.other_version = False
        self.near = bool(self._hello.near and welcome.near)
        self._compare_versions(agrees=welcome.agrees, program=welcome.program)
        self._compare_secrets(welcome.tag)
        self._compare_epochs(welcome.origin, welcome.drops)
        if self.digest is not None:
            self.on_settings(bool(welcome.settings_differ))
        return welcome

    def _compare_versions(self, *, agrees: bool, program: str) -> None:
        if self._agreed and not agrees:
            logger.warning("%s The cache daemon is of version %s.", DIFFERENT, program)
        self._agreed = agrees

    def _compare_secrets(self, theirs: bytes | None) -> None:
        own = self._hello.tag
        differs = theirs is not None and own is not None and not hmac.compare_digest(theirs, own)
        if differs and not self.secret_differs:
            logger.error(SECRETS_DIFFER, self._where)
        elif self.secret_differs and not differs:
            logger.info("this worker and the cache daemon work with the same secret again")
        self.secret_differs = differs

    def _compare_epochs(self, origin: bytes, drops: int) -> None:
        known = None if self._origin is None else (self._origin, self.drops)
        self._origin, self.drops = origin, drops
        # Sessions opened before any daemon was met are as good as those of the first epoch.
        if known != (origin, drops) and not (known is None and drops == 0):
            self._missed()
