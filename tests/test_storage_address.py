"""Addresses of Valkey and Redis servers: what each becomes, and that no password is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import ConfigurationError
from server.settings.table import Settings
from server.storage_address import StorageAddress

from .valkey_servers import client_at

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("redis://h", {"host": "h", "port": 6379, "db": 0, "password": None}),
        (
            "redis://:p%40w@[::1]:7000/3",
            {"host": "::1", "port": 7000, "db": 3, "password": "p@w"},
        ),
        ("rediss://me:pw@h:1?db=2", {"host": "h", "port": 1, "db": 2, "username": "me"}),
        ("rediss://h?ssl_ca_certs=/ca.pem", {"host": "h", "ssl_ca_certs": "/ca.pem"}),
        ("unix:///run/v.sock?db=4", {"path": "/run/v.sock", "db": 4}),
        ("unix://:pw@/run/v.sock", {"path": "/run/v.sock", "password": "pw"}),
        ("unix:///run/a%20b.sock", {"path": "/run/a b.sock"}),
        ("REDIS://:a@b:c@h", {"host": "h", "password": "a@b:c"}),
        ("redis://:%25+%2F@valkey.lan.:7/0", {"host": "valkey.lan.", "port": 7, "password": "%+/"}),
        ("redis://[fe80::1%25eth0]", {"host": "fe80::1%eth0"}),
    ],
)
def test_each_kind_is_understood(address, expected):
    options = client_at(address).connection_pool.connection_kwargs
    ssl = getattr(client_at(address).connection_pool.make_connection(), "ssl_context", None)
    found = {**options, "ssl_ca_certs": getattr(ssl, "ca_certs", None)}
    assert {name: found[name] for name in expected} == expected
    assert (ssl is not None) == address.startswith("rediss")


def test_sentinels_are_asked_for_the_primary_of_a_name():
    pool = client_at("redis+sentinel://:pw@a,b:1/main/2").connection_pool
    manager = pool.sentinel_manager
    places = [one.connection_pool.connection_kwargs for one in manager.sentinels]
    assert [(one["host"], one["port"]) for one in places] == [("a", 26379), ("b", 1)]
    assert pool.service_name == "main"
    assert pool.connection_kwargs["db"] == 2
    assert pool.connection_kwargs["password"] == "pw"
    # Sentinels have a password of their own, or none.
    assert [one["password"] for one in places] == [None, None]


@pytest.mark.parametrize(
    "address",
    [
        "redis://me:hunter2@h:1/2",
        "redis://hunter2@h",
        "rediss://:hunter2@[::1]?ssl_ca_certs=/ca.pem",
        "unix://:hunter2@/run/v.sock",
        "redis+sentinel://:hunter2@a,b:1/main?sentinel_password=hunter2",
    ],
)
def test_an_address_is_shown_without_its_passwords(address):
    read = StorageAddress.read(address)
    assert SECRET not in f"{read} {read!r} {Settings(cache_url=read)!r}"
    # What is shown leads to the same place.
    again = StorageAddress.read(str(read))
    assert (again.hosts, again.path, again.primary) == (read.hosts, read.path, read.primary)
    assert again.password is None


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("", "address of a Valkey"),
        ("hunter2", "address of a Valkey"),
        ("http://:hunter2@h", "address of a Valkey"),
        ("redis:/:hunter2@h", "address of a Valkey"),
        ("unix+sentinel:///hunter2", "address of a Valkey"),
        ("redis+cluster://:hunter2@h/main", "Cluster"),
        ("redis://:hunter2@h h", "no blank"),
        ("redis://:hunter2\n@h", "no blank"),
        ("redis://:hun#ter2@h", "no blank"),
        ("redis://:100%hunter2@h", "%25 for %"),
        ("redis://:%ffhunter2@h", "%25 for %"),
        ("redis://:@hunter2", "password after the colon"),
        ("redis://:hunter2@", "name a host"),
        ("redis://:hunter2@h:port", "name a host"),
        ("redis://:hunter2@h:", "name a host"),
        ("redis://:hunter2@h:0", "port from 1"),
        ("redis://:hunter2@h:70000", "port from 1"),
        ("redis://:hunter2@h:\u0661", "port from 1"),
        ("redis://:hunter2@::1", "[2001:db8::7]"),
        ("redis://:hunter2@[::1", "[2001:db8::7]"),
        ("redis://:hunter2@[valkey]", "[2001:db8::7]"),
        ("redis://:hunter2@[::1]6379", "[2001:db8::7]"),
        ("redis://:hunter2@h..h", "name a host"),
        ("redis://:hunter2@" + "h" * 64, "name a host"),
        ("redis://:hunter2@a,b", "name a host"),
        ("redis+sentinel://:hunter2@a,,b/main", "name a host"),
        ("redis://:hun/ter2@h", "%2F"),
        ("redis://:hunter2@h/db", "number as database"),
        ("redis://:hunter2@h/-1", "number as database"),
        ("redis://:hunter2@h/1_0", "number as database"),
        ("redis://:hunter2@h/1?db=1", "number as database, once"),
        ("redis://:hunter2@h?db=abc", "number as database"),
        ("redis://:hunter2@h?db=1&db=2", "nothing behind ? but db, each once"),
        ("redis://:hunter2@h?db=", "nothing behind ? but db"),
        ("redis://:hunter2@h?socket_timeout=hunter2", "nothing behind ? but db"),
        ("redis://:hunter2@h?ssl_ca_certs=/x", "nothing behind ? but db"),
        ("rediss://:hunter2@h?ssl_ca_certs=x", "full path of a file"),
        ("unix://:hunter2@run/v.sock", "full path"),
        ("unix://:hunter2@", "full path"),
        ("unix:///hunter2" + "v" * 100, "103 bytes"),
        ("unix:///run/%00hunter2", "full path"),
        ("redis+sentinel://:hunter2@h", "name the primary"),
        ("redis+sentinel://:hunter2@h/main/x", "number as database"),
    ],
)
def test_a_wrong_part_is_named_and_nothing_of_it_repeated(address, told):
    with pytest.raises(ValueError, match=r"^must ") as caught:
        StorageAddress.read(address)
    assert told in str(caught.value)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_wrong_one_stops_the_start_and_is_not_shown():
    with pytest.raises(ConfigurationError, match="OIG_CACHE_URL must be the address") as caught:
        Settings.from_env({"OIG_CACHE_URL": "redis//:hunter2@h"})
    assert SECRET not in str(caught.value)


@given(
    st.text() | st.text("aA0:@/?%#[],.=&db "),
    st.sampled_from(["redis://", "unix://", "rediss+sentinel://", ""]),
)
def test_whatever_is_given_becomes_an_address_or_is_refused_with_a_reason(text, start):
    try:
        read = StorageAddress.read(start + text)
    except ValueError as exc:
        assert str(exc).startswith("must ")  # noqa: PT017 - most texts are refused
    else:
        assert all(0 < port < 65536 for _, port in read.hosts)
        assert f"{read}".isprintable()
