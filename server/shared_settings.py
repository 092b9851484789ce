"""Whether this host goes by the settings of the other hosts on a shared storage."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterable
from functools import partial

from .keys.fingerprint import setting_tag
from .settings.reloading import Reloading
from .settings.table import Settings
from .state.valkey_reports import Facts


def other_settings(settings: Settings, secret: bytes, reports: Iterable[Facts]) -> str | None:
    """Return a warning of the settings that most workers of other hosts have with another value.

    Workers of this host are left out: until it is restarted or reloads, they have the former ones.

    Args:
        settings: Those of this host, as its next start reads them.
        secret: That of all hosts, with which the tags of settings are made.
        reports: What workers say of themselves.

    Returns:
        The names and no value; None if all are the same, or nothing is known of other hosts.
    """
    here = socket.gethostname()
    others = [one for one in reports if one.get("host") != here]
    tagged = [tags for one in others if isinstance(tags := one.get("settings_tags"), dict)]
    ours = Reloading(lambda: settings).tags(partial(setting_tag, secret))
    differing = Counter(
        name for tags in tagged for name, tag in ours.items() if tags.get(name, tag) != tag
    )
    names = sorted(name for name, count in differing.items() if 2 * count > len(tagged))
    if not names:
        return None
    return (
        f"this host has other settings than most workers of other hosts: {', '.join(names)}. "
        "Give all hosts the same."
    )
