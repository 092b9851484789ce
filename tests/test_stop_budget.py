"""How long a stop may take, from the call that is cut off to the wait for everything."""

import configparser
import json
import re
import threading
import time

import pytest

from server.control import applying
from server.http import worker
from server.settings.places import ROOT
from server.supervision import foreground, rolling_restart
from server.tool_failure import KEY

from .fleet import PATIENCE, call_body, post, running_fleet
from .waiting import SLOW_MACHINE, wait_until

STOPWAITSECS = 10
"""supervisord's own default."""

HURRIED = """
import sys
from server import __main__
from server.http import worker
worker.DRAIN, worker.GRACE = 0.1, 1.0
sys.exit(__main__.main([]))
"""
"""A worker that gives running requests one second, not ten."""


def waits():
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"))
    parser.read(ROOT / "supervisord.conf")
    return {
        section: parser.getint(section, "stopwaitsecs", fallback=STOPWAITSECS)
        for section in parser.sections()
        if parser.has_option(section, "command")
    }


def test_a_worker_is_done_before_supervisord_kills_it():
    needed = worker.DRAIN + worker.GRACE + applying.STOP + worker.CLOSE
    assert needed + 1 < waits()["fcgi-program:mcp"]


def test_a_caller_of_stop_waits_until_supervisord_would_have_killed():
    # It looks at its processes once a second.
    assert waits()["fcgi-program:mcp"] + 2 < rolling_restart.STOPPED_WITHIN
    assert sum(waits().values()) + 2 < foreground.STOPPED_WITHIN


def test_the_unit_for_systemd_waits_as_long_as_the_foreground_does():
    text = (ROOT / "docs" / "deploy" / "oig-cloud-mcp.service").read_text()
    (seconds,) = re.findall(r"(?m)^TimeoutStopSec=(\d+)$", text)
    assert int(seconds) >= foreground.STOPPED_WITHIN


def call_and_stop(fleet, accept, body=None, grace=1.0):
    """Call a worker in a hurry, stop it once the login is under way; return the answer."""
    hurried = HURRIED.replace("1.0", str(grace))
    body = body or call_body() | {"id": 42}
    process = fleet.workers["hurried"] = fleet._start("hurried", ["-c", hurried], fleet.listener)
    fleet.wait_worker("hurried")
    answers = []
    caller = threading.Thread(target=lambda: answers.append(post(fleet.url, body, Accept=accept)))
    caller.start()
    wait_until("the login is under way", lambda: fleet.portal.logins()["attempts"] == 1)
    began = time.monotonic()
    process.terminate()
    process.wait(PATIENCE)
    caller.join(PATIENCE)
    assert time.monotonic() - began < 0.1 + grace + worker.CLOSE + SLOW_MACHINE
    (answer,) = answers
    return answer


def message_of(answer):
    if answer.headers["content-type"].startswith("text/event-stream"):
        (data,) = (x for x in answer.text.splitlines() if x.startswith("data: {"))
        return json.loads(data.removeprefix("data: "))
    return answer.json()


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_a_call_cut_off_by_the_stop_gets_an_explanation(accept):
    with running_fleet(0) as fleet:
        fleet.portal.fault("slow", latency=60, logins=1)
        answer = call_and_stop(fleet, accept)
        log = fleet.logs()
    assert answer.status_code == 503
    assert message_of(answer)["id"] == 42
    error = message_of(answer)["error"]
    assert "stopping" in error["message"]
    assert "list_changes" in error["message"]
    told = error["data"][KEY]
    assert (told["code"], told["retry_after_s"]) == ("cut_off", 5)
    assert "list_changes" not in told["message"]
    assert "cut off by the stop" in log
    assert "ASGI" not in log


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_a_call_that_ends_in_time_is_answered_by_a_stopping_worker(accept):
    with running_fleet(0) as fleet:
        fleet.portal.fault("slow", latency=0.6, logins=1)
        answer = call_and_stop(fleet, accept, grace=10.0)
    assert not message_of(answer)["result"]["isError"]


def messages_of(answer):
    if answer.headers["content-type"] == "text/event-stream":
        lines = (line for line in answer.text.splitlines() if line.startswith("data: "))
        return [json.loads(line.removeprefix("data: ")) for line in lines]
    return answer.json()


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_a_batch_cut_off_by_the_stop_answers_its_finished_messages(accept):
    ping = {"jsonrpc": "2.0", "method": "ping"}
    batch = [
        {**ping, "id": "first"},
        call_body() | {"id": "second"},
        {"jsonrpc": "2.0", "method": "notifications/cancelled"},
        {**ping, "id": "third"},
    ]
    with running_fleet(0) as fleet:
        fleet.portal.fault("slow", latency=60, logins=1)
        answer = call_and_stop(fleet, accept, batch)
        log = fleet.logs()
    assert answer.status_code == 200
    first, second, third = messages_of(answer)
    assert first == {"jsonrpc": "2.0", "id": "first", "result": {}}
    for message, identifier in ((second, "second"), (third, "third")):
        assert message["id"] == identifier
        assert message["error"]["data"][KEY]["code"] == "cut_off"
        assert "stopping" in message["error"]["message"]
    assert "3 of 4 messages were cut off by the stop" in log
    assert "ASGI" not in log
