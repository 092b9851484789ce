"""Addresses as failed logins are counted for them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.sources import UNKNOWN, source_of


@pytest.mark.parametrize(
    ("host", "source"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("not an address", UNKNOWN),
        ("", UNKNOWN),
        (None, UNKNOWN),
    ],
)
def test_an_address_is_written_in_one_way(host, source):
    assert source_of(host) == source


@given(st.text(max_size=100))
def test_any_text_becomes_a_short_source(host):
    assert 1 <= len(source_of(host)) <= 64


@given(st.ip_addresses())
def test_a_source_is_the_same_however_often_it_is_taken(address):
    assert source_of(str(address)) == source_of(str(address).upper())
