"""Cases of failure and attack that the ordinary tests hold in full, each with its test."""

from __future__ import annotations

HELD: tuple[tuple[str, str], ...] = (
    (
        "a worker dies with the lease of a login that others wait for",
        "tests/test_resilience.py::test_the_lease_of_a_killed_worker_passes_to_another",
    ),
)
"""What is done, and the test that does it."""
