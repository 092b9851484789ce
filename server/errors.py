"""The expected errors.

No message of these errors contains a password, a session id or a key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from .codes import Code

Detail = str | list[str]
"""What a failure may carry beside its message."""


class OigError(Exception):
    """Base of all errors raised on purpose."""


class ConfigurationError(OigError):
    """A setting, file or directory is unusable. The message names it and says what to do."""


class ProtocolError(OigError):
    """Bytes that are not a frame of the cache protocol."""


class LocalProtocolError(ProtocolError):
    """We were asked to send something the protocol does not allow."""


class RemoteProtocolError(ProtocolError):
    """The other side sent something the protocol does not allow; the connection must be closed."""


class CacheUnavailable(OigError):
    """The cache daemon is not reachable or did not answer in time.

    Attributes:
        trouble: What strangers may know of the reason.
    """

    trouble = "does not answer"


class CacheBusy(CacheUnavailable):
    """The cache daemon is there, but too much of this worker waits for it already."""


class VersionsDiffer(CacheUnavailable):
    """The cache daemon is there, but not of one version with all workers: no box is changed."""


class JournalUnavailable(OigError):
    """The journal of changes cannot be read or written: without it no box is changed."""


class GrantsUnavailable(OigError):
    """The record of connected clients cannot be used. What it contains is still valid."""


class GrantsBusy(GrantsUnavailable):
    """Another process writes the record of connected clients just now."""


class SessionExpired(OigError):
    """OIG Cloud does not know the session any more: log in again and repeat the read, once.

    Attributes:
        no_boxes: The sign was an empty list, which is also how an account without any box looks.
            Right after a fresh login it can only mean that.
    """

    def __init__(self, *, no_boxes: bool = False) -> None:
        super().__init__("The session at OIG Cloud has ended.")
        self.no_boxes = no_boxes


class SessionError(OigError):
    """A call fails. The code says which kind of failure it is, the message suits any reader.

    Args:
        code: What kind.
        message: What happened and whose fault it is. It names no tool and gives no orders to an
            assistant: those are the code's, in `codes.ADVICE`.
        retry_after: Seconds after which another try makes sense; None when waiting does not help.
        details: More that a program may need. Nothing secret, and no text of the caller's.
    """

    def __init__(
        self, code: Code, message: str, *, retry_after: float | None = None, **details: Detail
    ) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after = retry_after
        self.details: Mapping[str, Detail] = details


class OfOneKind(SessionError):
    """A failure whose class has one code, whatever its message."""

    kind: ClassVar[Code]

    def __init__(
        self, message: str, *, retry_after: float | None = None, **details: Detail
    ) -> None:
        super().__init__(self.kind, message, retry_after=retry_after, **details)


REJECTED = "OIG Cloud rejected this e-mail and password."

REJECTED_OR_NOT_SERVED = (
    "This e-mail and password were rejected, or the account is not served here. If they work at "
    "the portal, ask the person who runs this server."
)


class CredentialsRejected(OfOneKind):
    """OIG Cloud rejected this e-mail and password.

    Args:
        repeated: It did so for an earlier call, and was not asked again for this one.
        listed: This server serves listed accounts only. Then the text is that of `NotServed`.
    """

    kind = Code.CREDENTIALS_REJECTED

    def __init__(self, *, repeated: bool = False, listed: bool = False) -> None:
        self.repeated = repeated
        self.listed = listed
        super().__init__(REJECTED_OR_NOT_SERVED if listed else REJECTED)


class NotServed(CredentialsRejected):
    """The account is not on the allow-list. Text and code do not say so: that would show who is."""

    def __init__(self, *, repeated: bool = False) -> None:
        super().__init__(repeated=repeated, listed=True)


class SignInAgain(OfOneKind):
    """OIG Cloud rejected the credential of a grant, which was right when the grant was made."""

    kind = Code.SIGN_IN_AGAIN


class TooManyAttempts(OfOneKind):
    """The account is locked for this caller after wrong passwords."""

    kind = Code.LOCKED


class TooManyCalls(OfOneKind):
    """The account calls tools faster than one may."""

    kind = Code.TOO_MANY_CALLS


class TooManyLogins(SessionError):
    """This server cannot ask OIG Cloud now: too many wait, or it is being restarted."""


class AccessDenied(SessionError):
    """The call carries no credential, a handle that is not valid, or an account not let in."""


class NotPermitted(SessionError):
    """The grant behind the call has ended or may not do this, or its record cannot be used.

    Nothing was sent, and no other way to an answer may be tried in its place.
    """


class NotLoggedOut(OfOneKind):
    """Nothing was ended: the cache daemon cannot be asked."""

    kind = Code.CACHE_UNAVAILABLE


class InvalidArguments(OfOneKind):
    """Arguments that are missing, unknown, of the wrong form, or do not fit each other."""

    kind = Code.INVALID_ARGUMENTS


class BoxChoice(SessionError):
    """Which box is meant is not clear, or the account has none such. The message lists its own."""


class RangeError(OfOneKind):
    """The days asked for cannot be asked of the portal."""

    kind = Code.BAD_RANGE


class ChangeRefused(SessionError):
    """A change of a box is not planned or not made. Nothing was sent, unless the text says so."""


class CacheUnusable(OfOneKind):
    """The cache daemon gave something that this worker cannot use."""

    kind = Code.CACHE_UNUSABLE


MISMATCHED = (
    "This part of the server was started with another secret than the rest, so it opens nothing "
    "that was made there. Nothing was done."
)

MEND_SECONDS = 60.0
"""Retry-After of calls while secrets differ: an operator has to act."""


class SecretDiffers(OfOneKind):
    """What all workers share works with another secret than this one, which so refuses calls."""

    kind = Code.SECRET_DIFFERS


class PortalError(OfOneKind):
    """OIG Cloud could not be asked. Says nothing about the password.

    Attributes:
        reason: The word under which other workers learn of this failure over the cache protocol.
    """

    kind = Code.PORTAL_UNEXPECTED
    reason: ClassVar[str] = "unexpected"


class PortalUnreachable(PortalError):
    """No connection to the portal."""

    kind = Code.PORTAL_UNREACHABLE
    reason = "unreachable"


class PortalTimeout(PortalError):
    """The portal did not answer in time."""

    kind = Code.PORTAL_TIMEOUT
    reason = "timeout"


class PortalTLSError(PortalError):
    """The portal's certificate could not be verified; the password was not sent."""

    kind = Code.PORTAL_TLS
    reason = "tls"


class PortalServerError(PortalError):
    """The portal answered 5xx."""

    kind = Code.PORTAL_ERROR
    reason = "server_error"


class PortalBusy(PortalError):
    """The portal wants to be left alone for a while."""

    kind = Code.PORTAL_BUSY
    reason = "busy"


class PortalOverloaded(PortalBusy):
    """The portal cannot serve anybody for a while (503, RFC 9110 15.6.4)."""

    reason = "overloaded"


class PortalUnexpected(PortalError):
    """The portal answered something that is not its login protocol."""
