"""The interface of every kind of change. Pure.

A change is absolute ("mode Home 2"), never a difference: made twice it has the same effect, and
undoing it is a change like any other.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from dataclasses import astuple, dataclass
from typing import ClassVar, Self

from ..codes import Code
from ..errors import ChangeRefused
from ..portal.writes import Write
from ..readings.box import Box, boxes_of
from ..readings.mode import FLEXIBILITY
from ..readings.unknown import NOT_SENT

STAYS = (
    "Nothing is timed: it begins as soon as the box has the change, in a minute or two, and stays "
    "so until it is changed again."
)

DIGEST_BYTES = 16
"""Bytes of SHA-256 that stand for the observed settings: a change of any is noticed."""


@dataclass(frozen=True, slots=True)
class Change(ABC):
    """One change of one box.

    Attributes:
        kind: Its name in tokens and in the journal.
        subject: How `before` and `after` begin; a sentence says it once.
        settings: The raw settings it is about: block and field of the portal's live answer. If one
            of them changes between plan and apply, the plan is void.
    """

    kind: ClassVar[str]
    subject: ClassVar[str] = ""
    settings: ClassVar[tuple[tuple[str, str], ...]]

    @abstractmethod
    def check(self, box: Box) -> None:
        """Return if this box can be changed so.

        Raises:
            ChangeRefused: It cannot, its present state is not known, or it is so already.
        """

    @abstractmethod
    def before(self, box: Box) -> str:
        """Say in words how the box is now; only after `check`."""

    @abstractmethod
    def after(self, box: Box) -> str:
        """Say in words how it will be."""

    @abstractmethod
    def explanation(self, box: Box, age_s: int | None = 0) -> str:
        """Say in plain words what the change does, how much and for how long.

        Args:
            box: How it is.
            age_s: Seconds since its last contact; None when that is not known.
        """

    def sentence(self, box: Box) -> str:
        """Return what the user agrees to: one line of ASCII that names the box and the change.

        A client shows it in its dialog, as an argument of the call that makes the change.
        """
        after = self.after(box).removeprefix(self.subject).lstrip(":, ")
        return f"box {box.id}: {self.before(box)} -> {after}"

    @abstractmethod
    def warnings(self, box: Box) -> list[str]:
        """Say in plain words what the user has to know before agreeing."""

    @abstractmethod
    def is_so(self, box: Box) -> bool | None:
        """Say whether the box is as wished; None when what it shows does not say."""

    def has_arrived(
        self,
        box: Box,
        back: Change | None,  # noqa: ARG002 - of some it depends on what was
        before: str,  # noqa: ARG002
        after: str,  # noqa: ARG002
    ) -> bool | None:
        """Say whether the box shows this change now; None when that is not known.

        Args:
            box: The box, read after the change was sent.
            back: What `back` returned before it was sent.
            before: What `before` returned then.
            after: What `after` returned then.
        """
        return self.is_so(box)

    @abstractmethod
    def back(self, box: Box) -> Change | None:
        """Return the change from this one to how the box is now; None when there is none."""

    def check_back(self, box: Box) -> None:  # noqa: B027 - most ways back do no harm
        """Return if this may be set as the way back from another change.

        Raises:
            ChangeRefused: It would do something that nobody means by undoing.
        """

    def needs(self) -> str | None:
        """Say when this can be set as the way back from another change; None for at any time."""
        return None

    def lost(self) -> str | None:
        """Say what this does not restore when it is the way back; None if nothing is lost."""
        return None

    @abstractmethod
    def writes(self, box: Box) -> tuple[Write, ...]:
        """Return the requests for the portal, in order."""

    def values(self) -> tuple[object, ...]:
        """Return what makes this change again by `of`: values that JSON can carry."""
        return astuple(self)

    @classmethod
    def of(cls, *values: object) -> Self:
        """Make the change of these values.

        Raises:
            ChangeRefused: They are none of this kind.
        """
        try:
            return cls(*values)
        except TypeError:
            raise ChangeRefused(
                Code.INVALID_CHANGE, "These values make no change of this kind."
            ) from None


def observed(change: Change, box: Box) -> bytes:
    """Return a digest of the raw settings a change is about, exactly as the portal sent them."""
    raw = [
        [box.block(block)[field]] if field in box.block(block) else []
        for block, field in change.settings
    ]
    text = json.dumps([box.id, box.raw_variant, raw], sort_keys=True)
    return hashlib.sha256(text.encode()).digest()[:DIGEST_BYTES]


def find_box(payload: object, box_id: str) -> Box | None:
    """Return the box of exactly this id from a live answer."""
    return next((box for box in boxes_of(payload) if box.id == box_id), None)


def whole(value: object, low: int, high: int, name: str, unit: str) -> int:
    """Return a whole number in a range.

    Raises:
        ChangeRefused: It is none, or outside.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ChangeRefused(
            Code.INVALID_CHANGE, f"{name} must be a whole number from {low} to {high}{unit}."
        )
    return value


def unknown(what: str, box: Box, reading: str, otherwise: str = NOT_SENT) -> ChangeRefused:
    """Return the refusal of a change whose present state is not known.

    Args:
        what: What is not known.
        box: The box.
        reading: Under this name the box may have noted why.
        otherwise: Why, if it has not.
    """
    why = box.reasons.get(reading, otherwise)
    return ChangeRefused(
        Code.STATE_UNKNOWN,
        f"The present {what} of this box is not known, so it is not changed. {why}",
    )


def already(what: str) -> ChangeRefused:
    """Return the refusal of a change that would change nothing."""
    return ChangeRefused(Code.NOTHING_TO_CHANGE, f"Nothing to change: {what}.")


def check_not_flexible(box: Box) -> int | None:
    """Return the supplementary modes' raw number, None if it is not sent.

    Raises:
        ChangeRefused: An aggregator controls the box, or what is sent of it cannot be read.
    """
    app = box.code("mode.supplementary", "box_prm2", "app")
    if app is None and box.reasons.get("mode.supplementary", NOT_SENT) != NOT_SENT:
        raise unknown("flexibility control", box, "mode.supplementary")
    if app is not None and app & FLEXIBILITY:
        raise ChangeRefused(
            Code.FLEXIBILITY_CONTROL,
            "The box is under flexibility control: an aggregator decides its modes now. They can "
            "be changed when that has ended.",
        )
    return app
