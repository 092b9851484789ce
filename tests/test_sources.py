"""Addresses as failed logins are counted for them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.sources import UNKNOWN, is_within, network_of, networks_of, source_of


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
def test_an_address_has_one_spelling(host, source):
    assert source_of(host) == source


@given(st.text(max_size=100))
def test_any_text_becomes_a_short_source(host):
    assert 1 <= len(source_of(host)) <= 64


@pytest.mark.parametrize(
    ("source", "networks"),
    [
        ("192.0.2.7", ("192.0.0.0/16", "192.0.2.0/24", "192.0.2.7/32")),
        ("2001:db8:1:2ff::/64", ("2001:db8::/32", "2001:db8:1::/48", "2001:db8:1:200::/56")),
        ("::/64", ("::/32", "::/48", "::/56")),
        (UNKNOWN, (UNKNOWN, UNKNOWN, UNKNOWN)),
        ("192.0.0.0/16", ("192.0.0.0/16", "192.0.0.0/16", "192.0.0.0/16")),
        ("::/0", ("::/0", "::/0", "::/0")),
    ],
)
def test_a_source_lies_in_a_network_of_its_provider_its_site_and_its_household(source, networks):
    assert networks_of(source) == networks


@given(st.ip_addresses())
def test_a_source_lies_within_its_networks_and_each_within_the_wider(address):
    source = source_of(str(address))
    provider, site, household = networks_of(source)
    for inner, outer in ((source, household), (household, site), (site, provider)):
        assert is_within(inner, [network_of(outer)])


@given(st.ip_addresses())
def test_a_source_does_not_depend_on_capital_letters(address):
    assert source_of(str(address)) == source_of(str(address).upper())


@pytest.mark.parametrize(
    ("source", "others", "within"),
    [
        ("192.0.2.7", ["192.0.2.0/24"], True),
        ("192.0.2.7", ["192.0.2.7"], True),
        ("192.0.2.7", ["198.51.100.0/24", "192.0.2.6/31"], True),
        ("192.0.2.7", ["192.0.2.8/29"], False),
        ("192.0.2.7", ["::ffff:192.0.2.0/120"], True),
        ("192.0.2.7", ["::/0"], False),
        ("192.0.2.7", [], False),
        ("2001:db8:1:2::/64", ["2001:db8::/32"], True),
        ("2001:db8:1:2::/64", ["2001:db8:1:2::/64"], True),
        ("2001:db8:1:2::/64", ["2001:db8:1:2::7"], True),
        ("2001:db8:1:2::/64", ["2001:db8:1:3::/64"], False),
        ("2001:db8:1:2::/64", ["0.0.0.0/0"], False),
        (UNKNOWN, ["0.0.0.0/0", "::/0"], False),
        ("handle", ["0.0.0.0/0", "::/0"], False),
    ],
)
def test_a_source_lies_in_a_network_or_not(source, others, within):
    assert is_within(source, tuple(map(network_of, others))) is within


@given(st.ip_addresses())
def test_every_address_lies_in_the_network_of_itself(address):
    source = source_of(str(address))
    assert is_within(source, (network_of(str(address)),))


@pytest.mark.parametrize("text", ["192.0.2.7/24", "example.com", "*", "", "192.0.2.0/33", "/8"])
def test_anything_but_a_network_is_refused(text):
    with pytest.raises(ValueError, match=r"not appear to be|has host bits set|Only one"):
        network_of(text)
