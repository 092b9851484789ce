"""Everything that can go wrong on purpose, by whose fault it is.

OigError
|-- ConfigurationError          the operator's: a setting, a file, a directory; the process stops
|-- ProtocolError               bytes on the cache socket that are not the protocol
|   |-- LocalProtocolError      we were about to send them
|   `-- RemoteProtocolError     the peer sent them
|-- CacheUnavailable            the cache daemon is not there or does not answer
|-- JournalUnavailable          the journal of changes cannot be read or written
|-- SessionExpired              OIG Cloud does not know the session any more; a new login mends it
`-- SessionError                no session for this caller; the text is meant for them
    |-- CredentialsRejected     OIG Cloud does not accept this e-mail and password
    |-- TooManyAttempts         locked after wrong passwords; `retry_after` seconds to wait
    |-- TooManyLogins           the shared login pace is used up; `retry_after` seconds to wait
    |-- AccessDenied            the call does not say whose data it wants, or may not have it
    |-- BoxChoice               which box is meant is not clear, or the account has none such
    |-- RangeError              the days asked for cannot be asked of the portal
    |-- ChangeRefused           a change of a box that is not made, and why
    `-- PortalError             OIG Cloud could not be asked; nobody's password is wrong
        |-- PortalUnreachable   no connection: DNS, refused, reset
        |-- PortalTimeout       no answer in time
        |-- PortalTLSError      the certificate could not be verified; nothing was sent
        |-- PortalServerError   5xx
        |-- PortalBusy          429, or 503 with Retry-After; `retry_after` in seconds
        `-- PortalUnexpected    an answer that is no login: HTML, odd status, no cookie

No message of any of these holds a password, a session id or a key.
"""

from __future__ import annotations

from typing import ClassVar


class OigError(Exception):
    """Base of all errors raised on purpose."""


class ConfigurationError(OigError):
    """A setting, file or directory is unusable. The message names it and says what to do."""


class ProtocolError(OigError):
    """Bytes that are not a frame of the cache protocol."""


class LocalProtocolError(ProtocolError):
    """We were asked to send something the protocol does not allow."""


class RemoteProtocolError(ProtocolError):
    """The peer sent something the protocol does not allow; the connection must be closed."""


class CacheUnavailable(OigError):
    """The cache daemon is not reachable or did not answer in time."""


class JournalUnavailable(OigError):
    """The journal of changes cannot be read or written: without it no box is changed."""


class SessionExpired(OigError):
    """OIG Cloud does not know the session any more: log in anew and repeat the read, once.

    Attributes:
        no_boxes: The sign was an empty list, which is also how an account without any box looks.
            Right after a fresh login it can only mean that.
    """

    def __init__(self, *, no_boxes: bool = False) -> None:
        super().__init__("The session at OIG Cloud has ended.")
        self.no_boxes = no_boxes


class SessionError(OigError):
    """No session can be given; the message is written for the caller.

    Args:
        message: What happened, whose fault it is, what to do now.
        retry_after: Seconds after which another try makes sense; None when waiting does not help.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class CredentialsRejected(SessionError):
    """OIG Cloud rejected this e-mail and password.

    Attributes:
        repeated: It did so for another call a moment ago, and was not asked again for this one.
    """

    def __init__(self, *, repeated: bool = False) -> None:
        self.repeated = repeated
        super().__init__(
            "OIG Cloud rejected this e-mail and password. Check both by logging in to the portal "
            "in a browser; do not try the same pair again."
        )


class TooManyAttempts(SessionError):
    """The account is locked for this caller after wrong passwords."""


class TooManyLogins(SessionError):
    """More logins are waiting than the shared pace allows."""


class AccessDenied(SessionError):
    """The call carries no credential, a handle that is not valid, or an account not let in."""


class BoxChoice(SessionError):
    """Which box is meant is not clear, or the account has none such. The message lists its own."""


class RangeError(SessionError):
    """The days asked for cannot be asked of the portal."""


class ChangeRefused(SessionError):
    """A change of a box is not planned or not made. Nothing was sent, unless the text says so."""


class PortalError(SessionError):
    """OIG Cloud could not be asked. Says nothing about the password.

    Attributes:
        reason: The code under which other workers learn of this failure over the cache protocol.
    """

    reason: ClassVar[str] = "unexpected"


class PortalUnreachable(PortalError):
    """No connection to the portal."""

    reason = "unreachable"


class PortalTimeout(PortalError):
    """The portal did not answer in time."""

    reason = "timeout"


class PortalTLSError(PortalError):
    """The portal's certificate could not be verified; the password was not sent."""

    reason = "tls"


class PortalServerError(PortalError):
    """The portal answered 5xx."""

    reason = "server_error"


class PortalBusy(PortalError):
    """The portal wants to be left alone for a while (429 or 503, RFC 9110 15.6.4)."""

    reason = "busy"


class PortalUnexpected(PortalError):
    """The portal answered something that is not its login protocol."""

    reason = "unexpected"
