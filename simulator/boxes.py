"""The boxes of the simulated portal's accounts: made when first asked for, the same each time."""

from __future__ import annotations

from .accounts import DEMO2_EMAIL, DEMO_EMAIL
from .box import Box
from .grain import grain, seed_of
from .plant import Plant, Setup

DEMO_BOX = "2210400017"
SECOND_BOX, QUEEN_BOX = "2210400025", "2210400033"
"""The two of demo2@example.com."""

BUILT_IN = {DEMO_EMAIL: (DEMO_BOX,), DEMO2_EMAIL: (SECOND_BOX, QUEEN_BOX)}

CHEAP_HOURS = Setup(hdo1_s=3600, hdo1_e=5 * 3600, hdo2_s=13 * 3600, hdo2_e=16 * 3600)
"""Low-tariff windows of most boxes, in which neither battery nor boiler does anything."""

BOXES_MAX = 3
"""Most boxes of one account: nobody has been seen with more than one."""


class Boxes:
    """All boxes, by account.

    Args:
        seed: Of everything that is left to chance.
    """

    def __init__(self, seed: int = 1) -> None:
        self._seed = seed
        self.reset()

    def reset(self) -> None:
        """Return to the boxes of the start, as they were at the start."""
        self._ids: dict[str, tuple[str, ...]] = dict(BUILT_IN)
        self._made: dict[str, Box] = {}
        self._owners = {box: email for email, ids in BUILT_IN.items() for box in ids}

    def give(self, email: str, count: int) -> tuple[str, ...]:
        """Give an account so many boxes, instead of those it had. Return their ids."""
        self._ids[email] = tuple(self._new_id(email, place) for place in range(count))
        self._owners.update(dict.fromkeys(self._ids[email], email))
        return self._ids[email]

    def ids_of(self, email: str) -> tuple[str, ...]:
        """Name the boxes of an account; one that was never given any has one."""
        return self._ids[email] if email in self._ids else self.give(email, 1)

    def of(self, email: str, now: float) -> list[Box]:
        """Give the boxes of an account, in the portal's order, as they are now."""
        return [self._box(box_id, now) for box_id in self.ids_of(email)]

    def find(self, box_id: str, now: float) -> Box | None:
        """Give the box of this id, whosever it is; None when there is none."""
        if box_id not in self._ids.get(self._owners.get(box_id, ""), ()):
            return None
        return self._box(box_id, now)

    def advance(self, now: float) -> None:
        """Let all boxes that have been asked for live until a Unix time."""
        for box in self._made.values():
            box.advance(now)

    def as_json(self) -> dict[str, list[str]]:
        """List the boxes of every account that has been asked for its own, and of the built-in."""
        return {email: list(ids) for email, ids in self._ids.items()}

    def _box(self, box_id: str, now: float) -> Box:
        box = self._made.get(box_id)
        if box is None:
            box = self._made[box_id] = _make(box_id, self._seed, now)
        box.advance(now)
        return box

    def _new_id(self, email: str, place: int) -> str:
        """Make an id of ten digits that nobody has; real ones have been seen to begin with 22."""
        number = seed_of(email) % 10**7 * 10 + place
        while self._owners.get(f"22{number:08}", email) != email:
            number = (number + 10) % 10**8
        return f"22{number:08}"


def _make(box_id: str, seed: int, now: float) -> Box:
    """Make a box: the built-in ones as documented, others by chance."""
    own = seed_of(f"{seed} {box_id}") % 1_000_000
    if box_id == QUEEN_BOX:
        plant = Plant(
            seed=own,
            panel_wp=(5400, 0),
            battery_wh=9600,
            battery_w=4000.0,
            own_w=190.0,
            boiler_w=0.0,
            queen=True,
            other_meter=False,
        )
        return Box(box_id, plant, Setup(app=1, floor=30, to_grid=0, feed_cap=3000, ssr0=0), now)
    if box_id == SECOND_BOX:
        plant = Plant(seed=own, boiler_w=0.0, battery_wh=9600, panel_wp=(4500, 2700))
        box = Box(box_id, plant, Setup(feed_cap=5000, ssr0=0), now)
        box.full, box.queen = True, False
        return box
    chance = 0.0 if box_id == DEMO_BOX else grain(own, 2)
    return Box(box_id, Plant(seed=own, own_w=200.0 + round(60 * chance)), CHEAP_HOURS, now)
