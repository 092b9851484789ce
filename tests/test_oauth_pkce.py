"""Challenges and verifiers, as RFC 7636 has them."""

import pytest

from server import base64url
from server.oauth.pkce import answers, read_challenge

# RFC 7636, appendix B.
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_the_verifier_of_the_rfc_matches_its_challenge():
    challenge = read_challenge(CHALLENGE)
    assert challenge is not None
    assert answers(VERIFIER, challenge)
    assert not answers(VERIFIER[:-1] + "l", challenge)


@pytest.mark.parametrize(
    "text", ["", VERIFIER[:-1], CHALLENGE + "=", CHALLENGE + "A", "é" * 43, CHALLENGE[:-1] + "N"]
)
def test_anything_but_a_sha_256_is_not_a_challenge(text):
    assert read_challenge(text) is None


@pytest.mark.parametrize(
    "verifier", ["", "a" * 42, "a" * 129, "a" * 42 + " ", "a" * 42 + "é", "a" * 43 + "\n"]
)
def test_a_malformed_verifier_matches_no_challenge(verifier):
    assert not answers(verifier, b"c" * 32)


def test_base64_for_urls_has_one_spelling():
    assert base64url.decode(base64url.encode(b"\xfb\xef\xff")) == b"\xfb\xef\xff"
    for other in ("++__", "--//", "QQ==", "QR", "Q", "QQ\n", " QQ", "Q Q", "\u212a\u212a"):
        assert base64url.decode(other) is None
