"""The files of OIG_TLS_CERT and OIG_TLS_KEY: what is taken, and what is said of what is not."""

import datetime as dt
import os
import ssl
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)

from server.errors import ConfigurationError
from server.settings.loading import find
from server.settings.table import Settings
from server.tls.key_pair import KeyPair, doubts, load, names

from .certificates import Certified
from .tls_files import TlsFiles, put

NOW = dt.datetime.now(dt.UTC)


@pytest.fixture
def files(tmp_path):
    return TlsFiles.made(tmp_path)


def refusal(pair):
    with pytest.raises(ConfigurationError) as refused:
        load(pair)
    text = str(refused.value)
    assert "\n" not in text
    assert "BEGIN" not in text
    return text


def test_tls_1_2_and_1_3_are_offered_without_renegotiation_or_tickets(files):
    context = load(files.pair).context
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.maximum_version in {ssl.TLSVersion.MAXIMUM_SUPPORTED, ssl.TLSVersion.TLSv1_3}
    for option in (ssl.OP_NO_RENEGOTIATION, ssl.OP_NO_TICKET, ssl.OP_NO_COMPRESSION):
        assert context.options & option
    assert context.num_tickets == 0


def test_the_chain_is_that_of_the_file_in_its_order(files):
    server = files.root.server()
    put(files.pair.certificate, server.pem + files.root.pem)
    put(files.pair.key, server.key_pem)
    assert load(files.pair).chain == (server.certificate, files.root.certificate)


@pytest.mark.parametrize("kind", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_an_encrypted_key_is_refused_without_a_prompt(files, kind):
    server = files.renew()
    sealed = server.key.private_bytes(Encoding.PEM, kind, BestAvailableEncryption(b"pass word"))
    put(files.pair.key, sealed)
    told = refusal(files.pair)
    assert f"{files.pair.key} has a password" in told
    assert "openssl pkey" in told


@pytest.mark.parametrize(
    ("certificate", "key", "told"),
    [
        (b"", None, "cert.pem holds no certificate in PEM"),
        (b"hello\n", None, "cert.pem holds no certificate in PEM"),
        (b"\x30\x82\x01\x00\xff", None, "cert.pem is not UTF-8"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", None, "is damaged"),
        (b"x" * 1_100_000, None, "more than 1048576 bytes"),
        (None, b"", "key.pem holds no private key in PEM"),
        (
            None,
            b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            "damaged, or of a kind that it does not know",
        ),
    ],
)
def test_an_invalid_certificate_or_key_is_reported_with_its_file(files, certificate, key, told):
    if certificate is not None:
        put(files.pair.certificate, certificate)
    if key is not None:
        put(files.pair.key, key)
    assert told in refusal(files.pair)


def test_swapped_files_are_reported_as_such(files):
    assert "were the two files swapped?" in refusal(KeyPair(files.pair.key, files.pair.certificate))
    put(files.pair.key, files.pair.certificate.read_bytes())
    assert "holds a certificate and no key" in refusal(files.pair)


def test_a_key_of_another_certificate_and_a_chain_in_the_wrong_order_are_refused(files):
    server = files.root.server()
    put(files.pair.certificate, server.pem)
    assert "is not that of the first certificate" in refusal(files.pair)
    put(files.pair.certificate, files.root.pem + server.pem)
    put(files.pair.key, server.key_pem)
    assert "the server's own comes first" in refusal(files.pair)


def test_a_weak_key_is_reported(files, monkeypatch):
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    weak = Certified._make.__func__
    monkeypatch.setattr("tests.certificates.ec.generate_private_key", lambda _: short)
    server = weak(Certified, "weak", None, host="localhost")
    put(files.pair.certificate, server.pem)
    put(files.pair.key, server.key_pem)
    assert "for too weak" in refusal(files.pair)


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o660, 0o620, 0o601])
def test_a_key_that_others_can_read_or_a_group_can_change_is_refused(files, mode):
    files.pair.key.chmod(mode)
    told = refusal(files.pair)
    assert f"mode 0{mode:o}" in told
    assert f"chmod g-w,o= {files.pair.key}" in told


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640, 0o440])
def test_a_group_readable_key_of_root_is_accepted_as_acme_tools_create_it(files, mode):
    files.pair.key.chmod(mode)
    load(files.pair)


def test_symbolic_links_as_letsencrypt_uses_them_are_followed(files, tmp_path):
    live = tmp_path / "live"
    live.mkdir()
    for path in (files.pair.certificate, files.pair.key):
        (live / path.name).symlink_to(path)
    load(KeyPair(live / "cert.pem", live / "key.pem"))


@pytest.mark.parametrize("which", ["certificate", "key"])
def test_a_missing_or_irregular_file_is_reported_without_waiting(files, tmp_path, which):
    other = replace(files.pair, **{which: tmp_path / "none.pem"})
    assert "none.pem cannot be read: No such file" in refusal(other)
    os.mkfifo(tmp_path / "none.pem", 0o600)
    assert "none.pem cannot be read: it is no regular file" in refusal(other)


def test_a_key_owned_by_root_is_reported_with_the_command_that_makes_it_readable(
    files, monkeypatch
):
    def read(path, _flags):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("server.settings.value_file.os.open", read)
    told = refusal(files.pair)
    assert "cannot be read: Permission denied" in told
    assert "chgrp" in told


@pytest.mark.parametrize("given", ["OIG_TLS_CERT", "OIG_TLS_KEY"])
def test_a_certificate_without_a_key_or_the_reverse_is_refused(given):
    with pytest.raises(ConfigurationError, match=f"{given} is set and OIG_TLS_.* is not"):
        Settings.from_env({given: "/some/file.pem"})


@pytest.mark.parametrize("name", ["OIG_TLS_KEY", "OIG_TLS_KEY_FILE", "OIG_TLS_CERT_FILE"])
def test_a_key_given_in_place_of_its_path_is_never_repeated(files, name):
    environ = {"OIG_CONFIG": os.devnull, **files.settings}
    variable = name.removesuffix("_FILE")
    del environ[variable]
    content = files.pair.key.read_text()
    environ[name] = str(files.pair.key) if name.endswith("_FILE") else content
    with pytest.raises(ConfigurationError) as refused:
        find(environ).settings(environ)
    assert variable in str(refused.value)
    assert "must be the path of a PEM file" in str(refused.value)
    assert content.splitlines()[1] not in str(refused.value)


def sentences(certified, *others, now=NOW):
    return " ".join(doubts([one.certificate for one in (certified, *others)], now))


def test_a_valid_certificate_causes_no_warning():
    root = Certified.root()
    assert not sentences(root.server())
    assert not sentences(root.server(), root.issue("between", ca=True))
    assert not list(doubts([], NOW))


def test_expired_soon_expiring_and_future_certificates_are_reported():
    root = Certified.root()
    assert "has expired" in sentences(root.server(days=-1))
    assert "ends on" in sentences(root.server(days=13))
    assert "good from" in sentences(root.server(since=-1))


def test_a_short_lived_certificate_is_judged_by_its_own_lifetime():
    root = Certified.root()
    assert not sentences(root.server(since=0.3, days=0.2))
    assert "ends on" in sentences(root.server(since=0.45, days=0.05))


def test_a_certificate_without_a_host_is_reported():
    assert "names no host" in sentences(Certified.root().issue("nobody"))


def test_a_missing_chain_is_reported_for_authorities_that_have_one():
    root = Certified.root()
    alone = root.server(aia="http://ca.example/issuer.der")
    assert "fullchain.pem" in sentences(alone)
    assert not sentences(alone, root)


@pytest.mark.parametrize(
    ("host", "found"), [("oig.home.arpa", "oig.home.arpa"), ("192.168.1.7", "192.168.1.7")]
)
def test_the_hosts_of_a_certificate_are_read_from_it(host, found):
    assert names(Certified.root().server(host).certificate) == (found,)
