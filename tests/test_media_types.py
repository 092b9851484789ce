"""What any headers say of a body and of the answer that is taken."""

from hypothesis import given
from hypothesis import strategies as st

from server.http.request import accepted, is_framed_only, is_json, is_plain

NAMES = (b"accept", b"content-type", b"content-encoding", b"transfer-encoding")
SPELT = (b"application/json", b"gzip", b"identity", b"chunked", b"*/*", b"q=0", b",", b";", b" ")
VALUES = st.binary(max_size=40) | st.lists(st.sampled_from(SPELT), max_size=8).map(b"".join)


@given(st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=6))
def test_any_headers_are_judged_the_same_in_any_case(headers):
    shouted = [(name, value.upper()) for name, value in headers]
    for judge in (accepted, is_json, is_plain, is_framed_only):
        assert judge(headers) == judge(shouted)


@given(st.sampled_from(["gzip", "br", "zstd"]), st.lists(st.sampled_from(["identity", ""])))
def test_one_coding_among_others_is_seen(coding, others):
    value = ",".join([*others, coding]).encode()
    assert not is_plain([(b"content-encoding", value)])
    assert is_plain([])
