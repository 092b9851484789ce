"""Documents name what there is, and all of it: settings, commands, options, tools, verbs, codes."""

import re
import string
from collections.abc import Iterator
from typing import Any

import pytest

import cachectl.options
import client.options
import server.supervision.options
from cachectl.help_texts import EXAMPLES
from client.exit_codes import ExitCode
from client.options import EPILOG as CLIENT_EPILOG
from server.cache.verbs import ARGUMENTS, FIELDS, NOTICES
from server.settings.given import BY_FILE
from server.settings.other_variables import CLIENTS, CONFIG, SUPERVISORD_CONF
from server.settings.places import ROOT
from server.settings.table import VARIABLES, Settings
from server.supervision.options import EPILOG as SERVER_EPILOG

from .listed_tools import listed_tools

PAGES = {path.name: path.read_text() for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]}
PRESENT = "\n".join(text for name, text in PAGES.items() if name != "changelog.md")
"""All documents but the one that tells of what there was."""


def names_in(text: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", text))


def spans(text: str) -> list[str]:
    """What stands between backticks, which close in the paragraph or cell where they open."""
    text = re.sub(r"(?ms)^```.*?^```", "", text)
    parts = re.split(r"\n\s*\n|\n[-|]", text)
    return [" ".join(span.split()) for part in parts for span in re.findall(r"`([^`]+)`", part)]


# -- settings


def default_of(setting):
    value = getattr(Settings(), setting.name)
    if value in (None, ()):
        return "none"
    text = str(value).removesuffix(".0") if isinstance(value, float) else str(value)
    return f"`{text.replace(f'{ROOT}/', '')}`"


def test_the_settings_document_lists_every_setting_with_its_default_and_meaning():
    rows = re.findall(r"^\| `(OIG_\w+)` \| (.+?) \| (.+?) \|$", PAGES["settings.md"], re.MULTILINE)
    assert rows == [
        (name, default_of(one), one.metadata["meaning"]) for name, one in VARIABLES.items()
    ]


@pytest.mark.parametrize("name", sorted({*CLIENTS, CONFIG, SUPERVISORD_CONF}))
def test_every_other_variable_that_is_read_is_documented(name):
    assert re.search(rf"\b{name}\b", PRESENT)


def test_no_document_names_a_setting_that_does_not_exist():
    known = {*VARIABLES, *BY_FILE, *CLIENTS, CONFIG, SUPERVISORD_CONF}
    text = "\n".join([*PAGES.values(), (ROOT / "supervisord.conf").read_text()])
    assert set(re.findall(r"\bOIG_[A-Z_]+[A-Z]\b", text)) <= known


# -- commands, their options and exit codes

PARSERS = {
    "oig-client": client.options.parse,
    "cachectl": cachectl.options.parse,
    "oig-cloud-mcp": lambda words: server.supervision.options.parse(words, "oig-cloud-mcp"),
}
EXIT_CODES = {
    "oig-client": (CLIENT_EPILOG, PAGES["oig-client.md"]),
    "cachectl": (EXAMPLES, PAGES["operations.md"].split("## cachectl", 1)[1]),
    "oig-cloud-mcp": (SERVER_EPILOG, PAGES["operations.md"]),
}
NO_COMMAND = {"oig-cloud-mcp secret 1"}
"""Texts that begin with the name of a program and are no call of it."""


@pytest.fixture
def help_of(capsys):
    def ask(program: str, *words: str) -> str:
        try:
            return PARSERS[program]([*words, "--help"]).help_text
        except SystemExit:
            return capsys.readouterr().out

    return ask


def commands_in(text: str) -> list[str]:
    """The commands that a help lists, before what it says of exit codes and examples."""
    listed = re.split(r"(?m)^(?:exit codes|examples)", text)[0]
    return re.findall(r"^ {2,4}([a-z][a-z-]+)(?:  |$)", listed, re.MULTILINE)


def options_in(text: str) -> set[str]:
    return set(re.findall(r"^ +(?:-\w(?: \w+)?, )?(--[a-z-]+)", text, re.MULTILINE))


def calls_of(program: str) -> Iterator[list[str]]:
    """The words after a program's name, wherever a document calls it."""
    blocks = re.findall(r"(?ms)^```sh\n(.*?)^```", PRESENT)
    lines = [line.partition("#")[0] for block in blocks for line in block.splitlines()]
    for line in [*lines, *spans(PRESENT)]:
        if line not in NO_COMMAND:
            for words in re.findall(rf"(?:^|[ /]){program} ([^|;&]+)", line):
                if words.strip():
                    yield words.split()


@pytest.mark.parametrize("program", PARSERS)
def test_every_command_and_option_of_a_program_is_documented(program, help_of):
    commands = commands_in(help_of(program))
    assert len(commands) > 5
    called = {words[0] for words in calls_of(program)}
    assert [one for one in commands if one not in called] == []
    options = {one for command in commands for one in options_in(help_of(program, command))}
    options |= options_in(help_of(program))
    assert {one for one in options if not re.search(rf"{one}(?![\w-])", PRESENT)} <= {"--help"}


@pytest.mark.parametrize("program", PARSERS)
def test_no_document_calls_a_program_with_invalid_arguments(program, help_of):
    overall = help_of(program)
    commands = commands_in(overall)
    for words in calls_of(program):
        given = {word.partition("=")[0] for word in words if word.startswith("--")}
        plain = [word for word in words if not word.startswith("-")]
        if given:
            command = next((word for word in words if word in commands), None)
            inner = ["end"] if command == "connections" and "end" in words else []
            taken = help_of(program, command, *inner) if command else ""
            assert given <= options_in(overall) | options_in(taken) | {"--help"}, words
        elif plain:
            assert plain[0] in commands or not plain[0][0].islower(), words


OF_OTHER_PROGRAMS = {"--cacert", "--compile-bytecode", "--strict", "--upgrade"}
"""Of curl, uv and TypeScript."""


def test_no_document_names_an_option_that_does_not_exist():
    folders = ("server", "simulator", "cachectl", "client", "evals", "benchmarks", "drills")
    sources = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    texts = [path.read_text() for path in [*sources, *ROOT.glob("*.sh")]]
    known = set(re.findall(r"--[a-z][a-z-]+", "\n".join(texts)))
    alone = {span.split()[0] for span in spans(PRESENT) if re.match(r"--[a-z]", span)}
    assert {option.partition("=")[0] for option in alone} - OF_OTHER_PROGRAMS <= known


@pytest.mark.parametrize("program", EXIT_CODES)
def test_the_documents_list_the_exit_codes_of_each_programs_help(program):
    told, page = EXIT_CODES[program]
    told = told.split("exit codes:", 1)[1].split("\n\n", 1)[0]
    codes = {int(code) for code in re.findall(r"(?:^| {3,}| {2})(\d+)  ", told, re.MULTILINE)}
    sentence = " ".join(page.split("Exit codes: ", 1)[1].split("\n\n", 1)[0].split())
    assert codes <= {int(code) for code in re.findall(r"(?:^|[,;] )(\d+) ", sentence)}
    if program == "oig-client":
        assert codes == set(ExitCode)


# -- tools


def test_the_table_of_the_readme_lists_every_tool():
    rows = "".join(re.findall(r"^\| (`[a-z_`, ]+`) \|", PAGES["README.md"], re.MULTILINE))
    assert names_in(rows) == set(listed_tools())


BY_PASSWORD = {"check_auth", "log_out"}


def properties_of(schema: Any) -> Iterator[str]:
    """All names that a schema gives to what it describes, however deep."""
    if isinstance(schema, dict):
        yield from schema.get("properties", ())
        schema = list(schema.values())
    if isinstance(schema, list):
        for inner in schema:
            yield from properties_of(inner)


@pytest.mark.parametrize("tool", listed_tools())
def test_the_document_of_a_tool_names_all_its_arguments_and_results(tool):
    page = "control.md" if "change" in tool else "reading.md"
    text = PAGES["tools.md"] + (PAGES[page] if tool not in BY_PASSWORD else "")
    words = {word for span in spans(text) for word in re.findall(r"\w+", span)}
    words |= set(re.findall(r'"(\w+)"', text))
    one = listed_tools()[tool]
    named = {*properties_of(one.parameters), *properties_of(one.output_schema)}
    assert sorted(named - words) == []


# -- the wire

PROTOCOL = PAGES["protocol.md"]


def test_the_protocol_document_names_no_verb_that_does_not_exist():
    assert re.findall(r"^### ([a-z]+)$", PROTOCOL, re.MULTILINE) == list(ARGUMENTS)


@pytest.mark.parametrize(("title", "names"), [("## For workers", FIELDS), ("### Notices", NOTICES)])
def test_the_protocol_document_names_no_status_or_notice_that_does_not_exist(title, names):
    section = PROTOCOL.split(f"\n{title}\n", 1)[1].split("\n### ", 1)[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == list(names)


# -- all else

OF_OTHERS = {
    "caddy and nginx": {
        *("lb_retry_match", "lb_try_duration", "non_idempotent", "proxy_next_upstream"),
        "reverse_proxy",
    },
    "Codex": {"http_headers", "mcp_servers"},
    "an example in CONTRIBUTING.md": {"get_last_report"},
    "made of parts in the simulator": {"from_grid_wh", "other_wh"},
    "an example of a unit": {"energy_wh"},
}
"""Names that no source of the project has as one word, by whose they are."""


@pytest.fixture(scope="module")
def words_of_sources():
    folders = ("server", "simulator", "cachectl", "client", "evals", "benchmarks", "tests")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    texts = [path.read_text() for path in files if path.name != "test_documented_names.py"]
    return {path.stem for path in files} | set(re.findall(r"\w+", "\n".join(texts)))


@pytest.mark.parametrize("page", [name for name in PAGES if name != "changelog.md"])
def test_no_document_quotes_a_name_missing_from_the_sources(page, words_of_sources):
    allowed = words_of_sources.union(*OF_OTHERS.values())
    quoted = re.findall(rf"\b[a-z]+(?:_[a-z{string.digits}]+)+\b", "\n".join(spans(PAGES[page])))
    assert sorted(set(quoted) - allowed) == []
