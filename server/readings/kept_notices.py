"""The list of notifications as it is kept beside the answer that it was made of. Pure.

It is read as of when the portal gave it, so nothing in it depends on the call. In one part are
those that mention a bypass, for readings that look at no others; in the other one are all.
"""

from __future__ import annotations

from datetime import datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict

from .bypass_mentions import mentions_bypass
from .kept import Kept
from .notifications import Dated, Feed, Notification, notifications


class _Notice(BaseModel):
    """A notification; its texts only if they mention a bypass, for nobody reads them otherwise."""

    model_config = ConfigDict(frozen=True)

    shown: Notification
    moments: tuple[AwareDatetime, ...]
    texts: tuple[str, str] | None


class _Notices(BaseModel):
    model_config = ConfigDict(frozen=True)

    notices: tuple[_Notice, ...]
    unread: int


def kept(markup: str, at: datetime) -> Kept:
    """Read a list; give the notifications that mention a bypass, and all.

    Args:
        markup: The HTML of the list.
        at: When the portal gave it, with a zone.
    """
    read = notifications(markup, at)
    notices = tuple(map(_notice, read))
    telling = tuple(one for one in notices if one.texts is not None)
    return Kept(_written(telling, read.unread), _written(notices, read.unread))


def feed(written: bytes) -> Feed:
    """Read a part of what is kept."""
    read = _Notices.model_validate_json(written)
    dated = (Dated(one.shown, one.moments, one.texts or ("", "")) for one in read.notices)
    return Feed(dated, read.unread)


def _notice(one: Dated) -> _Notice:
    mentions = any(map(mentions_bypass, one.texts))
    return _Notice(shown=one.shown, moments=one.moments, texts=one.texts if mentions else None)


def _written(notices: tuple[_Notice, ...], unread: int) -> bytes:
    return _Notices(notices=notices, unread=unread).model_dump_json().encode()
