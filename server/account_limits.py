"""Limits of accounts and budgets of wrong passwords, from the settings."""

from __future__ import annotations

from .settings.table import Settings
from .state.limits import Limits, Policy


def policy_of(settings: Settings) -> Policy:
    """Return the budgets of wrong passwords that the settings describe."""
    return Policy(
        per_source=settings.wrong_per_source,
        per_account=settings.wrong_per_account,
        first=settings.lock_first,
        longest=settings.lock_longest,
        known_for=settings.known_source,
        accounts_per_source=settings.wrong_accounts_per_source,
        shared=settings.shared_sources,
    )


def limits_of(settings: Settings) -> Limits:
    """Return the limits of accounts that the settings describe."""
    return Limits(
        sessions=settings.max_sessions,
        logins_at_once=settings.logins_at_once,
        logins_per_second=settings.logins_per_second,
        login_burst=settings.login_burst,
        rejected_memory=settings.rejected_memory,
    )
