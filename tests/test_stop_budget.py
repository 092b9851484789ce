"""How long a stop may take, from the call that is cut off to the wait for everything."""

import configparser
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor

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


ACCEPT = {"application/json": "demo@example.com", "text/event-stream": "demo2@example.com"}
"""Each way to be answered, asked for with a login of its own."""


def call_and_stop(fleet, body_for, grace=1.0):
    """Call a worker in a hurry in each way, and stop it once the logins are under way."""
    hurried = HURRIED.replace("1.0", str(grace))
    process = fleet.workers["hurried"] = fleet._start("hurried", ["-c", hurried], fleet.listener)
    fleet.wait_worker("hurried")
    with ThreadPoolExecutor(len(ACCEPT)) as pool:
        answers = [
            pool.submit(post, fleet.url, body_for(email), Accept=accept)
            for accept, email in ACCEPT.items()
        ]
        wait_until(
            "the logins are under way",
            lambda: fleet.portal.logins()["attempts"] == len(ACCEPT),
        )
        began = time.monotonic()
        process.terminate()
        process.wait(PATIENCE)
        found = [answer.result(PATIENCE) for answer in answers]
    assert time.monotonic() - began < 0.1 + grace + worker.CLOSE + SLOW_MACHINE
    return found


def call_of(email):
    return call_body(email) | {"id": 42}


def message_of(answer):
    if answer.headers["content-type"].startswith("text/event-stream"):
        (data,) = (x for x in answer.text.splitlines() if x.startswith("data: {"))
        return json.loads(data.removeprefix("data: "))
    return answer.json()


def test_a_call_cut_off_by_the_stop_gets_an_explanation():
    with running_fleet(0) as fleet:
        fleet.portal.fault("slow", latency=60, logins=2)
        answers = call_and_stop(fleet, call_of)
        log = fleet.logs()
    for answer in answers:
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


def test_a_call_that_ends_in_time_is_answered_by_a_stopping_worker():
    with running_fleet(0) as fleet:
        fleet.portal.fault("slow", latency=0.6, logins=2)
        answers = call_and_stop(fleet, call_of, grace=10.0)
    assert not any(message_of(answer)["result"]["isError"] for answer in answers)


def messages_of(answer):
    if answer.headers["content-type"] == "text/event-stream":
        lines = (line for line in answer.text.splitlines() if line.startswith("data: "))
        return [json.loads(line.removeprefix("data: ")) for line in lines]
    return answer.json()


def batch_of(email):
    ping = {"jsonrpc": "2.0", "method": "ping"}
    return [
        {**ping, "id": "first"},
        call_body(email) | {"id": "second"},
        {"jsonrpc": "2.0", "method": "notifications/cancelled"},
        {**ping, "id": "third"},
    ]


def test_a_batch_cut_off_by_the_stop_answers_its_finished_messages():
    with running_fleet(0) as fleet:
        fleet.portal.fault("slow", latency=60, logins=2)
        answers = call_and_stop(fleet, batch_of)
        log = fleet.logs()
    for answer in answers:
        assert answer.status_code == 200
        first, second, third = messages_of(answer)
        assert first == {"jsonrpc": "2.0", "id": "first", "result": {}}
        for message, identifier in ((second, "second"), (third, "third")):
            assert message["id"] == identifier
            assert message["error"]["data"][KEY]["code"] == "cut_off"
            assert "stopping" in message["error"]["message"]
    assert "3 of 4 messages were cut off by the stop" in log
    assert "ASGI" not in log
