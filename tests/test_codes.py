"""Every failure has a code, and every text that people may see is for anybody."""

import ast
import re
import string
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import mcp_types
import pytest

from server import errors
from server.codes import ADVICE, Code
from server.portal.failures import CERTIFICATE_FAILURES, FAILURES
from server.settings.places import ROOT
from server.tool_failure import KEY, ToolFailure

SOURCES = sorted((ROOT / "server").rglob("*.py"))
FAILING = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.SessionError)
}
CATCH_ALL = {Code.INTERNAL_ERROR, Code.OUTCOME_UNKNOWN}
TOOLS = (
    "check_auth",
    "log_out",
    "list_boxes",
    *(f"get_{name}" for name in ("live_data", "history", "notifications", "change")),
    "plan_change",
    "apply_change",
    "list_changes",
)
FOR_ASSISTANTS = re.compile(
    rf"\b({'|'.join(TOOLS)})\b|[Tt]he user\b|[Pp]resent (these|them)|\bbox_id\b|plan_token\b"
)
NOT_IDIOMATIC = re.compile(r"[Ww]hoever|nother call|whose data|[Cc]all says|any more as|\banew\b")


class Site(NamedTuple):
    """A place that makes a failure."""

    where: str
    name: str
    call: ast.Call

    @property
    def code(self) -> Code | None:
        fixed = getattr(FAILING.get(self.name), "kind", None)
        if fixed is not None:
            return fixed
        match self.call.args:
            case [ast.Attribute(value=ast.Name(id="Code"), attr=name), *_]:
                return Code[name]
        return None


@cache
def sites() -> list[Site]:
    return [site for path in SOURCES for site in sites_of(path)]


def sites_of(path: Path) -> Iterator[Site]:
    if path.name in {"errors.py", "tool_failure.py"} and path.parent.name == "server":
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            name = node.func.id
            if name in FAILING or name == "ToolFailure":
                yield Site(f"{path.relative_to(ROOT)}:{node.lineno}", name, node)


DOCUMENT = (ROOT / "docs" / "errors.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in DOCUMENT.split("## Codes", 1)[1].split("\n## ", 1)[0].strip().splitlines()[2:]
]
FAULTS = {
    *("the call", "the account holder", "the client", "the operator", "the server"),
    *("OIG Cloud", "nobody"),
}
REPEATS = {"yes, after the wait", "yes, once", "yes, otherwise", "no"}


def test_the_document_lists_every_code_with_the_advice_to_an_assistant():
    assert [(code, advice) for code, _, _, advice, _ in ROWS] == [
        (f"`{code}`", advice) for code, advice in ADVICE.items()
    ]
    assert all(meaning.endswith(".") for _, meaning, *_ in ROWS)
    assert {fault for _, _, fault, _, _ in ROWS} == FAULTS
    assert {repeat for *_, repeat in ROWS} == REPEATS
    assert KEY in DOCUMENT
    assert list(ADVICE) == list(Code)


def test_the_document_lists_the_json_rpc_errors_that_requests_may_get():
    table = DOCUMENT.split("## Requests that are not valid tool calls", 1)[1]
    assert [int(code) for code in re.findall(r"^\| (-32\d+) \|", table, re.MULTILINE)] == [
        mcp_types.PARSE_ERROR,
        mcp_types.INVALID_REQUEST,
        mcp_types.METHOD_NOT_FOUND,
        mcp_types.INVALID_PARAMS,
        mcp_types.HEADER_MISMATCH,
        mcp_types.UNSUPPORTED_PROTOCOL_VERSION,
        mcp_types.INTERNAL_ERROR,
    ]


def test_every_place_that_fails_has_a_code_of_its_own():
    dynamic = "server/tools/checked.py"
    without = [
        site.where
        for site in sites()
        if (site.code is None or site.code in CATCH_ALL)
        and not (site.where.startswith(dynamic) and site.name == "ToolFailure")
    ]
    assert without == []


def test_no_failure_uses_a_base_class_and_every_failure_is_covered():
    assert len(sites()) > 50
    assert not [site.where for site in sites() if site.name in {"SessionError", "OfOneKind"}]
    made = {site.name for site in sites()}
    classes = {name for name, kind in FAILING.items() if not kind.__subclasses__()}
    # The failures of the portal are also made from tables, which hold their classes.
    tables = (ROOT / "server" / "auth" / "sessions.py").read_text()
    tables += (ROOT / "server" / "portal" / "failures.py").read_text()
    assert not [name for name in classes - made if name not in tables]


def test_every_code_is_used():
    text = "".join(path.read_text() for path in SOURCES if path.name != "codes.py")
    assert not [code for code in Code if f"Code.{code.name}" not in text]


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_every_failure_gives_the_details_that_its_advice_needs():
    assert [site.where for site in sites() if not details_needed(site) <= details_given(site)] == []


def details_needed(site: Site) -> set[str]:
    return placeholders(ADVICE[site.code]) if site.code else set()


def details_given(site: Site) -> set[str | None]:
    given = {word.arg for word in site.call.keywords}
    return {"retry_after_s" if name == "retry_after" else name for name in given}


def spoken(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the texts of a module that results or failures may hold, and their places."""
    tree = ast.parse(path.read_text())
    silent: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            silent.add(id(node.value))  # a docstring
        if isinstance(node, ast.keyword) and node.arg == "description":
            silent |= {id(inner) for inner in ast.walk(node)}
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in DESCRIPTIONS:
            silent |= {id(inner) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in silent or not isinstance(node, ast.Constant):
            continue
        if isinstance(node.value, str) and " " in node.value:
            yield f"{path.relative_to(ROOT)}:{node.lineno}", node.value


DESCRIPTIONS = {"DESCRIPTION", *(name.upper() for name in TOOLS)}
DESCRIPTIONS |= {f"{name}_IN_BROWSER" for name in DESCRIPTIONS}
"""Texts for assistants by their purpose: what a tool does and when to call it."""

TALKING = (
    "auth/access",
    "auth/credential_headers",
    "auth/sessions",
    "control",
    "errors",
    "http/endpoint",
    "portal",
    "readings",
    "tools",
    "upstream",
)
"""Modules and packages whose texts get into results and failures. Others speak to operators, and
`tools/instructions` to assistants."""


@cache
def all_spoken() -> list[tuple[str, str]]:
    return [
        found
        for path in SOURCES
        if path.relative_to(ROOT / "server").with_suffix("").as_posix().startswith(TALKING)
        and path.name != "instructions.py"
        for found in spoken(path)
    ]


def test_no_result_or_failure_names_a_tool_or_gives_orders_to_an_assistant():
    assert len(all_spoken()) > 300
    assert [text for text in all_spoken() if FOR_ASSISTANTS.search(text[1])] == []


def test_no_result_or_failure_mentions_other_people():
    assert [text for text in all_spoken() if NOT_IDIOMATIC.search(text[1])] == []
    assert [text for text in ADVICE.values() if NOT_IDIOMATIC.search(text)] == []


@pytest.mark.parametrize(
    ("seconds", "whole"), [(0.0, 1), (0.2, 1), (1.0, 1), (27.01, 28), (3600.0, 3600)]
)
def test_the_wait_is_in_whole_seconds_in_both_message_and_details(seconds, whole):
    told = ToolFailure(Code.LOCKED, "Locked.", seconds)
    assert told.meta == {KEY: {"code": "locked", "message": "Locked.", "retry_after_s": whole}}
    assert told.text == f"Locked. Wait {whole} seconds before the next try."


def test_the_sentence_about_the_wait_is_added_once_and_only_if_there_is_a_wait():
    busy = ToolFailure(Code.PORTAL_ERROR, "It broke.", 60.0)
    assert busy.text == "It broke. Wait 60 seconds, then try again."
    lasting = ToolFailure(Code.JOURNAL_UNAVAILABLE, "It broke.")
    assert lasting.text == "It broke. Tell the user."
    assert "retry_after_s" not in lasting.meta[KEY]
    busy = ToolFailure(Code.NO_BOX, "It broke.", 60.0)
    assert busy.text.endswith("shows. Try again in 60 seconds.")


def test_every_failure_of_the_portal_names_the_time_that_its_advice_needs():
    meanings = [meaning for _, meaning in (*FAILURES, *CERTIFICATE_FAILURES)]
    assert len(meanings) > 8
    for meaning in meanings:
        needed = placeholders(ADVICE[meaning.error.kind])
        assert meaning.wait is not None or not needed, meaning.text


def test_every_failure_that_passes_with_time_says_to_wait():
    passing = {code: advice for code, _, _, advice, repeat in ROWS if repeat.endswith("the wait")}
    # Of a certificate there is not always a time; where there is one, the sentence is added.
    untold = [code for code, advice in passing.items() if "{retry_after_s}" not in advice]
    assert untold == [f"`{Code.PORTAL_TLS}`"]


@pytest.mark.parametrize("code", list(Code))
def test_every_code_has_advice_for_an_assistant_that_can_be_formatted(code):
    told = ToolFailure(code, "It happened.", 7.5, {"change_id": "1bf84f4d9abd9478"})
    assert told.text.startswith("It happened.")
    assert "{" not in told.text
    assert told.meta[KEY]["message"] == "It happened."
