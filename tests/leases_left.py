"""What must not remain once all callers are gone."""

from server.cache.leases import Leases


def assert_nothing_is_left(leases: Leases) -> None:
    waiting = leases._waiting
    tables = (
        leases._leases,
        leases._orphans,
        leases._answers,
        waiting.flights,
        waiting._tickets,
        waiting._by_holder,
        *waiting.lines._ready,
        *(line._all for line in waiting.lines._ready),
        waiting.lines._parked,
        waiting.unseen._tickets,
        waiting.unseen._places,
        waiting.unseen._by_budget,
        waiting.unseen._by_source,
        waiting.unseen._woken,
    )
    assert not any(tables), tables
