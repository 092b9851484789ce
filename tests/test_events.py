"""A JSON answer as one event, and what passes as it is."""

import json

import pytest

from server.http.events import as_event

JSON = [(b"content-type", b"application/json"), (b"content-length", b"2"), (b"x-other", b"1")]


async def sent_for(*messages):
    sent = []

    async def send(message):
        sent.append(message)

    wrapped = as_event(send)
    for message in messages:
        await wrapped(message)
    return sent


def start(status=200, headers=JSON):
    return {"type": "http.response.start", "status": status, "headers": headers}


def body(text, *, more=False):
    return {"type": "http.response.body", "body": text, "more_body": more}


async def test_an_answer_in_pieces_and_on_several_lines_is_one_event():
    first, event = await sent_for(start(), body(b'{"a":\n', more=True), body(b'"b\\nc"}'))
    headers = dict(first["headers"])
    assert headers[b"content-type"] == b"text/event-stream"
    assert headers[b"content-length"] == str(len(event["body"])).encode()
    assert headers[b"x-other"] == b"1"
    lines = event["body"].decode().split("\r\n")
    assert lines[0] == "event: message"
    assert lines[-2:] == ["", ""]
    # As a client reads it: the lines of one event belong together.
    text = "\n".join(line.removeprefix("data: ") for line in lines[1:-2])
    assert json.loads(text) == {"a": "b\nc"}


async def test_nothing_is_sent_before_the_answer_is_complete():
    assert await sent_for(start(), body(b"{", more=True)) == []


@pytest.mark.parametrize(
    "first",
    [start(404), start(202, []), start(200, [(b"content-type", b"text/event-stream")])],
)
async def test_an_answer_that_is_not_json_passes_unchanged(first):
    messages = [first, body(b"x", more=True), body(b"y")]
    assert await sent_for(*messages) == messages
