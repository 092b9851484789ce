"""What upstream makes of answers, for stand-ins that give these: made each time, and never kept."""

from __future__ import annotations

from datetime import date
from typing import Any

from server.readings import kept_notices
from server.upstream.kept_readings import KeptReading, Make


class MadeReadings:
    """Beside the methods of a stand-in that return answers."""

    async def history_reading(
        self: Any, granted: Any, name: str, first: date, last: date, _shape: Any, make: Make
    ) -> KeptReading:
        return KeptReading.made(await self.history(granted, name, first, last), make)

    async def notices(self: Any, granted: Any) -> KeptReading:
        return KeptReading.made(await self.notifications(granted), kept_notices.kept)

    async def cached_notices(self: Any, granted: Any) -> KeptReading | None:
        cached = await self.cached_notifications(granted)
        return None if cached is None else KeptReading.made(cached, kept_notices.kept)

    async def live_reading(self: Any, _granted: Any, _name: str) -> KeptReading | None:
        return None

    def answers_at_hand(self: Any, _granted: Any) -> dict[str, Any]:
        return {}

    async def keep_live(self: Any, *_: Any) -> None:
        """Keep nothing."""
