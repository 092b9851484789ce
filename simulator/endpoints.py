"""The simulated portal's paths by what they are for: faults and expired sessions go by this."""

from __future__ import annotations

from enum import StrEnum


class Endpoint(StrEnum):
    """What a request is for."""

    LOGIN = "login"  # Login.php
    LIVE = "live"  # json.php
    HISTORY = "history"  # json2.php
    NOTIFICATIONS = "notifications"  # Controller.Call.php
    WRITES = "writes"  # Device.Set.Value.php, ToGrid.Toggle.php, Battery.Format.Save.php
