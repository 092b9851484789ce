"""The search for planted secrets finds each in whatever encoding it was written."""

import base64
import json
import random
import urllib.parse

import pytest

from drills.encodings import encodings
from drills.planted_secrets import Planted

SECRETS = ("pl4nt3d0123456789abcdef", 'pa"ss/w+rd ž😀', "??>>~~ÿÿ/+")

WRITTEN = {
    "plain": str.encode,
    "JSON": lambda text: json.dumps(text).encode(),
    "JSON, all escaped": lambda text: b"".join(
        b"\\u%04x" % unit for unit in memoryview(text.encode("utf-16-le")).cast("H")
    ),
    "percent": lambda text: urllib.parse.quote(text, safe="").encode(),
    "percent, all escaped": lambda text: b"".join(b"%%%02X" % byte for byte in text.encode()),
    "hex": lambda text: text.encode().hex().encode(),
    "HEX": lambda text: text.encode().hex().upper().encode(),
    "bytes of Python": lambda text: b"".join(b"\\x%02x" % byte for byte in text.encode()),
}


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("write", WRITTEN.values(), ids=WRITTEN)
def test_a_secret_is_found_in_each_encoding(write, secret):
    line = b"INFO called with " + write(secret) + b" by a client"
    assert any(form in line for form in encodings(secret))


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("before", range(6))
def test_a_secret_is_found_in_base64_wherever_it_begins_and_ends(before, secret, encode):
    chosen = random.Random(before)
    for after in range(4):
        whole = chosen.randbytes(before) + secret.encode() + chosen.randbytes(after)
        assert any(form in encode(whole) for form in encodings(secret))


def test_what_is_no_encoding_of_a_secret_is_no_hit():
    planted = Planted()
    planted.new("a password")
    other = Planted().new("another one")
    data = b"".join([other.encode(), base64.b64encode(other.encode()), bytes(64)])
    assert list(planted.found_in("a log", data)) == []


def test_a_hit_names_the_place_and_the_encoding():
    planted = Planted()
    header = base64.b64encode(f"a@example.com:{planted.new('a password')}".encode())
    assert list(planted.found_in("a log", b"Basic " + header)) == [
        "a password is in a log (base64)"
    ]
