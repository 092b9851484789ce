"""One line per event, nothing secret."""

import io
import logging

import pydantic
import pytest

from server import log
from server.errors import PortalTimeout

PLANTED = "Planted-Passw0rd"


@pytest.fixture
def stream():
    root = logging.getLogger()
    before = root.handlers[:], root.level
    stream = io.StringIO()
    log.configure("worker-7", "INFO", stream)
    yield stream
    root.handlers[:], root.level = before
    logging.getLogger("server").setLevel(logging.NOTSET)


def test_a_line_has_time_level_process_and_text(stream):
    logging.getLogger("server.x").info("hello %d", 1)
    line = stream.getvalue()
    assert line.endswith("INFO worker-7: hello 1\n")
    assert line[10] == "T"


def test_an_exception_is_logged_as_types_and_places_without_its_text(stream):
    class Arguments(pydantic.BaseModel):
        email: str

    try:
        Arguments.model_validate({"password": PLANTED})
    except pydantic.ValidationError:
        logging.getLogger("mcp").exception("tool crashed")
    text = stream.getvalue()
    assert text.count("\n") == 1
    assert "ValidationError at " in text
    assert PLANTED not in text


def test_causes_and_groups_are_named(stream):
    group = ExceptionGroup("several", [PortalTimeout("no answer"), KeyError()])
    group.__cause__ = ValueError(PLANTED)
    logging.getLogger("server").error("failed", exc_info=group)
    text = stream.getvalue()
    assert "PortalTimeout: no answer" in text
    assert "caused by" in text
    assert PLANTED not in text


def test_a_line_break_cannot_forge_a_line(stream):
    logging.getLogger("server").warning("name %s", "x\n2026 ERROR forged\r")
    assert stream.getvalue().count("\n") == 1


def test_libraries_log_only_warnings_and_errors(stream):
    logging.getLogger("httpx2").info("POST with body")
    logging.getLogger("server.auth.sessions").info("ours")
    assert "body" not in stream.getvalue()
    assert "ours" in stream.getvalue()
