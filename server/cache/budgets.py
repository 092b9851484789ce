"""The budgets of wrong passwords that the settings describe."""

from __future__ import annotations

from ..settings import Settings
from .counters import Policy


def policy_of(settings: Settings) -> Policy:
    """Return the budgets that the settings describe."""
    return Policy(
        per_source=settings.wrong_per_source,
        per_account=settings.wrong_per_account,
        first=settings.lock_first,
        longest=settings.lock_longest,
        known_for=settings.known_source,
        accounts_per_source=settings.wrong_accounts_per_source,
        shared=settings.shared_sources,
    )
