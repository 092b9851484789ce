"""Who may import whom: the contracts of import-linter in pyproject.toml, kept and able to fail."""

import ast
import re
import sys
from copy import deepcopy
from pathlib import Path

import grimp
import pytest
from importlinter.api import read_configuration
from importlinter.contracts.acyclic_siblings import AcyclicSiblingsContract
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.contracts.layers import LayersContract
from importlinter.contracts.protected import ProtectedContract

from server.settings.places import ROOT

CONFIGURATION = read_configuration(str(ROOT / "pyproject.toml"))
SESSION = CONFIGURATION["session_options"]
PACKAGES = SESSION["root_packages"]
CONTRACTS = {one["id"]: one for one in CONFIGURATION["contracts_options"]}
TYPES = {
    one.type_name: one
    for one in (AcyclicSiblingsContract, ForbiddenContract, LayersContract, ProtectedContract)
}

PLANTED = {
    "programs": ("simulator.portal", "cachectl.daemon"),
    "client": ("client.api", "server.errors"),
    "server": ("server.records.journal", "server.control.workflow"),
    "circles": ("server.readings.numbers", "server.readings.live"),
    "wire": ("server.auth.sessions", "server.cache.wire"),
    "state": ("server.state.rounds", "server.cache.client"),
    "pure": ("server.readings.numbers", "asyncio"),
    "decisions": ("server.state.locks", "asyncio"),
    "watch": ("server.supervision.failures", "server.settings"),
    "document-fetch": ("server.oauth.document_fetch", "server.settings"),
    "https": ("server.tools.reading", "httpx2"),
    "html": ("server.tools.reading", "lxml"),
    "sqlite": ("server.auth.sessions", "sqlite3"),
    "msgpack": ("server.control.plan_token", "msgpack"),
    "cryptography": ("server.control.workflow", "cryptography"),
    "web": ("server.auth.sessions", "starlette"),
    "loop": ("server.http.worker", "uvloop"),
    "sdk": ("server.control.workflow", "mcp"),
    "models": ("server.auth.sessions", "pydantic"),
    "pages": ("server.tools.reading", "jinja2"),
    "terminal": ("server.log", "rich"),
    "schemas": ("server.tools.reading", "jsonschema"),
    "measuring": ("server.app", "psutil"),
    "valkey": ("server.state.accounts", "redis"),
}
"""Of each contract, an import that it must not let through."""


@pytest.fixture(scope="module")
def graph():
    return grimp.build_graph(*PACKAGES, include_external_packages=True, cache_dir=None)


def is_kept(contract_id, graph):
    options = dict(CONTRACTS[contract_id])
    contract = TYPES[options["type"]](options["name"], SESSION, options)
    check = contract.check(deepcopy(graph), verbose=False)
    if not check.kept:
        contract.render_broken_contract(check)
    return check.kept


@pytest.mark.parametrize("contract_id", CONTRACTS)
def test_every_import_contract_is_kept(contract_id, graph):
    assert is_kept(contract_id, graph), CONTRACTS[contract_id]["name"]


def test_every_contract_is_tested_with_a_wrong_import():
    assert list(PLANTED) == list(CONTRACTS)


@pytest.mark.parametrize("contract_id", PLANTED)
def test_a_wrong_import_breaks_the_contract(contract_id, graph):
    importer, imported = PLANTED[contract_id]
    planted = deepcopy(graph)
    planted.add_import(importer=importer, imported=imported, line_number=1, line_contents="")
    assert not is_kept(contract_id, planted)


def test_a_new_module_of_the_server_needs_a_layer(graph):
    grown = deepcopy(graph)
    grown.add_module("server.novelty")
    assert not is_kept("server", grown)


def test_every_third_party_package_has_a_contract_for_its_importers(graph):
    outside = {name for name in graph.modules if name.partition(".")[0] not in PACKAGES}
    protected = [
        name
        for one in CONTRACTS.values()
        if one["type"] == "protected"
        for name in one["protected_modules"]
    ]
    assert outside - sys.stdlib_module_names <= set(protected)
    assert len(protected) == len(set(protected))


def absolute_or_relative_wrongly(path):
    """Yield the imports of a file that are absolute inside its package, or relative across."""
    package = path.relative_to(ROOT).parts[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                own = [one.name for one in names if one.name.partition(".")[0] == package]
            case ast.ImportFrom(level=0, module=str(module)):
                own = [module] if module.partition(".")[0] == package else []
            case ast.ImportFrom(level=level):
                own = ["." * level] if level >= len(path.relative_to(ROOT).parts) else []
            case _:
                continue
        yield from (f"{path}:{node.lineno} {name}" for name in own)


def test_programs_and_commands_in_texts_name_existing_modules(graph):
    """Also those that tests start with -c, which no other test would miss."""
    texts = [*(ROOT / "tests").rglob("*.py"), *ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
    texts += [ROOT / "supervisord.conf", *ROOT.glob("docs/deploy/*")]
    invented = {"server.missing"}
    pattern = re.compile(rf"(?:\bfrom|\bimport|-m) ((?:{'|'.join(PACKAGES)})(?:\.\w+)+)")
    assert [
        f"{path}: {name}"
        for path in texts
        for name in pattern.findall(path.read_text(encoding="utf-8"))
        if name not in graph.modules | invented
    ] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_are_relative_inside_a_package_and_absolute_across(package):
    files = Path(ROOT / package).rglob("*.py")
    assert [wrong for path in files for wrong in absolute_or_relative_wrongly(path)] == []
