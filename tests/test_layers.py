"""Who may import whom: docs/architecture.md draws it, this enforces it."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from server.settings import ROOT

PACKAGES = ("server", "simulator", "cachectl", "client", "evals")

# What each module or package may import beside the standard library and its own modules. The
# longest name that fits a module counts. A name stands for everything below it.
MAY_IMPORT = {
    "server": set(),
    "server.__main__": {
        "server.app",
        "server.errors",
        "server.http.exemptions",
        "server.http.listening",
        "server.http.exposure",
        "server.auth.held_secret",
        "server.log",
        "server.process",
        "server.reloading",
        "server.settings",
        "server.settings_sources",
        "server.supervision.agreement",
        "server.supervision.peers",
        "server.tls",
        "server.http.worker",
    },
    "server.http.exposure": {"server.settings"},
    "server.reloading": {"server.cache.limits", "server.settings"},
    "server.following": {"server.errors", "server.reloading"},
    "server.app": {
        "server.upstream.portal_reader",
        "server.auth.access",
        "server.auth.call_rate",
        "server.http.exemptions",
        "server.http.fair_queue",
        "server.http.under_way",
        "server.http.capabilities",
        "server.auth.allow_list",
        "server.cache.budgets",
        "server.control",
        "server.oauth.admission",
        "server.oauth.bearer",
        "server.oauth.mode",
        "server.oauth.tokens",
        "server.records",
        "server.auth.failed_logins",
        "server.keys.fingerprint",
        "server.following",
        "server.http.forwarded",
        "server.auth.handles",
        "server.upstream.liveness",
        "server.http.refusals",
        "server.upstream.single_flight",
        "server.http.body",
        "server.http.endpoint",
        "server.errors",
        "server.http.guard",
        "server.http.health",
        "server.instructions",
        "server.log",
        "server.oauth",
        "server.portal.client",
        "server.reloading",
        "server.keys.secret_use",
        "server.auth.held_secret",
        "server.auth.sealing",
        "server.auth.sessions",
        "server.settings",
        "server.upstream.shape_watch",
        "server.store",
        "server.tools",
        "server.version",
        "mcp",
        "starlette",
        "httpx2",
    },
    "server.http.worker": {
        "server.http.accepting",
        "server.http.closing_port",
        "server.http.connection",
        "server.http.listening",
        "server.pid_file",
        "server.http.room",
        "server.http.shares",
        "server.tls",
        "uvicorn",
        "starlette.types",
    },
    "server.tls": {
        "server.tls.secured",
        "server.as_user",
        "server.http.connection",
        "server.errors",
        "server.settings",
        "server.value_file",
        "cryptography",
    },
    "server.tls.secured": set(),
    "server.tls.doubts": {"cryptography"},
    "server.http.closing_port": set(),
    "server.http.listening": set(),
    "server.http.accepting": {"server.http.listening"},
    "server.http.connection": {
        "server.http.departure",
        "server.http.guard",
        "server.http.lingering",
        "server.http.login_wait",
        "server.http.proof",
        "server.http.room",
        "server.http.shares",
        "server.http.upgrades",
        "starlette.types",
        "uvicorn",
    },
    "server.http.room": {"server.http.eviction", "server.http.shares", "uvicorn"},
    "server.http.eviction": {"server.sources"},
    "server.http.proof": set(),
    "server.http.departure": set(),
    "server.http.login_wait": set(),
    "server.http.shares": {"server.sources"},
    "server.http.exemptions": {"server.sources"},
    "server.http.fair_queue": {"server.http.login_wait", "server.sources", "starlette.types"},
    "server.http.under_way": {"server.http.guard", "server.http.shares", "starlette.types"},
    "server.auth.call_rate": {"server.errors"},
    "server.http.json_tokens": set(),
    "server.http.upgrades": {"httptools", "uvicorn"},
    "server.http.lingering": set(),
    "server.settings": {
        "server.email_address",
        "server.errors",
        "server.named_networks",
        "server.origins",
        "server.places",
        "server.sources",
        "server.value_file",
    },
    "server.places": {"server.errors"},
    "server.value_file": set(),
    "server.named_files": {"server.errors", "server.settings"},
    "server.settings_file": {"server.errors"},
    "server.settings_sources": {
        "server.errors",
        "server.named_files",
        "server.places",
        "server.settings",
        "server.settings_file",
        "server.value_file",
    },
    "server.email_address": set(),
    "server.named_networks": {"server.sources"},
    "server.origins": set(),
    # Browser login: what decides about it knows nothing of tools, and nothing of settings.
    "server.oauth": set(),
    "server.oauth.admission": {
        "server.errors",
        "server.auth.authorized",
        "server.oauth.bearer",
        "server.oauth.metadata",
        "server.oauth.mode",
        "starlette.types",
    },
    "server.auth.authorized": {
        "server.codes",
        "server.errors",
        "server.records.grant",
        "server.auth.sealing",
        "server.sources",
    },
    "server.oauth.base64url": set(),
    "server.oauth.bearer": {
        "server.errors",
        "server.auth.authorized",
        "server.oauth.mode",
        "server.oauth.tokens",
        "server.records.grant",
        "server.records.grants",
        "cryptography",
    },
    "server.oauth.discovery": {
        "server.oauth.metadata",
        "server.oauth.methods",
        "server.oauth.mode",
        "starlette",
    },
    "server.oauth.forms": {
        "server.http.body",
        "server.http.media_types",
        "server.oauth.oauth_error",
        "starlette",
    },
    "server.oauth.json_answers": {"server.oauth.oauth_error", "starlette"},
    "server.oauth.methods": {
        "server.oauth.json_answers",
        "server.oauth.mode",
        "server.oauth.oauth_error",
        "starlette",
    },
    "server.oauth.registration": {
        "server.oauth.clients",
        "server.oauth.forms",
        "server.oauth.json_answers",
        "server.oauth.methods",
        "server.oauth.oauth_error",
        "server.http.refusal_log",
        "starlette",
    },
    # The one place that knows all endpoints.
    "server.oauth.routes": {"server.http.guard", "server.oauth", "starlette.types"},
    "server.oauth.client_documents": {
        "server.oauth.clients",
        "server.oauth.document_fetch",
        "server.oauth.lookups",
        "server.places",
    },
    "server.oauth.lookups": {"server.oauth.clients", "server.http.refusal_log", "server.sources"},
    "server.oauth.clients": {"server.oauth.base64url", "server.origins", "server.visible"},
    # A process of its own, which reads what strangers have it read: it knows next to nothing.
    "server.oauth.document_fetch": {
        "server.oauth.clients",
        "server.oauth.public_address",
    },
    "server.oauth.public_address": {"server.sources"},
    "server.oauth.exchange": {
        "server.oauth.clients",
        "server.oauth.mode",
        "server.oauth.oauth_error",
        "server.oauth.pkce",
        "server.oauth.scopes",
        "server.oauth.tokens",
        "server.records.grant",
        "server.records.grants",
    },
    "server.oauth.oauth_error": set(),
    "server.oauth.token_endpoints": {
        "server.errors",
        "server.oauth.exchange",
        "server.oauth.forms",
        "server.oauth.json_answers",
        "server.oauth.methods",
        "server.oauth.mode",
        "starlette",
    },
    "server.oauth.metadata": {"server.oauth.mode", "server.oauth.pkce", "server.oauth.scopes"},
    "server.oauth.mode": {
        "server.http.forwarded",
        "server.origins",
        "server.sources",
        "starlette.types",
    },
    "server.oauth.page": {
        "server.oauth.clients",
        "server.oauth.language",
        "server.oauth.texts",
        "server.readings.clock",
        "jinja2",
        "markupsafe",
        "starlette",
    },
    "server.oauth.language": {
        "server.oauth.texts",
        "server.oauth.texts_cs",
        "server.oauth.texts_en",
    },
    "server.oauth.texts": set(),
    "server.oauth.texts_cs": {"server.oauth.texts"},
    "server.oauth.texts_en": {"server.oauth.texts"},
    "server.oauth.visit": {
        "server.errors",
        "server.suppression",
        "server.oauth.forms",
        "server.oauth.methods",
        "server.oauth.oauth_error",
        "server.oauth.mode",
        "server.oauth.page",
        "server.oauth.language",
        "server.origins",
        "starlette",
    },
    "server.oauth.sign_in": {
        "server.auth.caller",
        "server.auth.credential_headers",
        "server.auth.access",
        "server.email_address",
        "server.errors",
        "server.http.forwarded",
        "server.oauth.texts",
        "server.http.proof",
        "server.auth.sealing",
        "server.sources",
        "starlette",
    },
    "server.oauth.authorization": {
        "server.oauth.base64url",
        "server.oauth.clients",
        "server.oauth.metadata",
        "server.oauth.mode",
        "server.oauth.pkce",
        "server.oauth.scopes",
        "server.oauth.tokens",
    },
    "server.oauth.authorize": {
        "server.auth.caller",
        "server.auth.access",
        "server.email_address",
        "server.errors",
        "server.oauth",
        "server.records",
        "starlette",
    },
    "server.oauth.connections": {
        "server.auth.access",
        "server.email_address",
        "server.errors",
        "server.oauth",
        "server.records",
        "starlette",
    },
    "server.oauth.pkce": {"server.oauth.base64url"},
    "server.oauth.scopes": set(),
    "server.oauth.tokens": {
        "server.oauth.base64url",
        "server.oauth.pkce",
        "server.auth.sealing",
        "cryptography",
    },
    "server.codes": set(),
    "server.errors": {"server.codes"},
    "server.tool_failure": {"server.codes", "server.errors"},
    "server.log": {"server.errors"},
    "server.process": set(),
    "server.pid_file": set(),
    "server.version": set(),
    "server.auth.bounded_file": set(),
    "server.auth.failed_logins": {
        "server.auth.bounded_file",
        "server.errors",
        "server.keys.fingerprint",
        "server.sources",
        "server.suppression",
    },
    "server.suppression": set(),
    "server.upstream.shape_watch": {"server.portal.shape"},
    "server.auth.handles": {"server.auth.sealing", "cryptography"},
    "server.auth.access": {
        "server.auth.call_rate",
        "server.auth.caller",
        "server.codes",
        "server.errors",
        "server.auth.handles",
        "server.auth.sealing",
        "server.auth.sessions",
    },
    "server.auth.caller": {
        "server.http.proof",
        "server.oauth.authorized",
        "server.auth.sealing",
        "server.auth.sessions",
    },
    "server.auth.credential_headers": {
        "server.codes",
        "server.email_address",
        "server.errors",
        "server.auth.sealing",
    },
    "server.upstream.sealed_answers": {
        "server.cache.limits",
        "server.errors",
        "server.auth.sealing",
        "server.store",
    },
    "server.upstream.baselines": {
        "server.cache.limits",
        "server.readings",
        "server.upstream.sealed_answers",
        "server.auth.sealing",
        "server.store",
    },
    "server.upstream.kept_energy": {
        "server.cache.limits",
        "server.readings",
        "server.upstream.sealed_answers",
        "server.auth.sealing",
        "server.store",
    },
    "server.upstream.energy_reader": {
        "server.upstream.portal_reader",
        "server.auth.caller",
        "server.auth.access",
        "server.errors",
        "server.portal.failures",
        "server.portal.purpose",
        "server.readings",
        "server.upstream.single_flight",
    },
    "server.upstream.portal_reader": {
        "server.auth.caller",
        "server.auth.sealing",
        "server.readings.baseline",
        "server.readings.energy_day",
        "server.store",
        "server.upstream.baselines",
        "server.upstream.kept_energy",
        "server.upstream.sealed_answers",
        "server.upstream.single_flight",
        "server.auth.access",
    },
    "server.upstream.single_flight": {
        "server.auth.caller",
        "server.auth.access",
        "server.cache.limits",
        "server.cache.outcomes",
        "server.detached",
        "server.errors",
        "server.upstream.sealed_answers",
        "server.auth.sealing",
        "server.auth.sessions",
        "server.store",
    },
    "server.upstream.liveness": {
        "server.upstream.portal_reader",
        "server.auth.caller",
        "server.auth.access",
        "server.errors",
        "server.upstream.single_flight",
    },
    "server.control": {
        "server.upstream.portal_reader",
        "server.auth.caller",
        "server.auth.access",
        "server.cache.outcomes",
        "server.codes",
        "server.detached",
        "server.errors",
        "server.keys.fingerprint",
        "server.portal.writes",
        "server.readings",
        "server.records",
        "server.auth.sealing",
        "server.store",
        "server.upstream.single_flight",
        "cryptography",
    },
    "server.records": {
        "server.as_user",
        "server.errors",
        "server.keys.fingerprint",
        "server.portal.writes",
    },
    "server.as_user": {"server.places"},
    "server.keys.secret": {"server.as_user", "server.errors"},
    "server.keys.secret_use": {"server.errors", "server.keys.secret"},
    "server.auth.held_secret": {
        "server.cache.blocking",
        "server.cache.credentials",
        "server.errors",
        "server.keys.secret",
    },
    "server.keys.rotation": {"server.errors", "server.keys.secret"},
    "server.keys.fingerprint": set(),
    "server.detached": set(),
    "server.sources": set(),
    "server.http.forwarded": {"server.sources", "starlette.types"},
    "server.visible": set(),
    "server.auth.sealing": {"server.keys.fingerprint", "cryptography"},
    "server.http.guard": {"server.origins", "server.http.refusal_log", "starlette.types"},
    "server.http.refusal_log": {"server.suppression"},
    "server.http.events": {"starlette.types"},
    "server.http.body": {"starlette.types"},
    "server.http.media_types": set(),
    "server.http.envelope": {"mcp_types", "pydantic", "pydantic_core"},
    "server.http.batch": {
        "server.codes",
        "server.http.envelope",
        "server.tool_failure",
        "mcp_types",
        "starlette.types",
    },
    "server.http.refusals": {"server.http.envelope", "mcp", "mcp_types", "pydantic"},
    "server.http.capabilities": {"mcp", "mcp_types"},
    "server.http.endpoint": {
        "server.http.batch",
        "server.http.body",
        "server.codes",
        "server.http.departure",
        "server.http.envelope",
        "server.http.events",
        "server.http.guard",
        "server.http.json_tokens",
        "server.http.media_types",
        "server.oauth.admission",
        "server.auth.authorized",
        "server.http.shares",
        "server.tool_failure",
        "starlette.types",
        "mcp_types",
        "pydantic_core",
    },
    "server.http.health": {"server.errors", "server.store", "server.version", "starlette"},
    "server.auth.allow_list": {"server.errors", "server.keys.fingerprint", "server.auth.padding"},
    "server.auth.padding": set(),
    "server.auth.sessions": {
        "server.auth.allow_list",
        "server.cache.outcomes",
        "server.codes",
        "server.detached",
        "server.errors",
        "server.keys.fingerprint",
        "server.auth.handles",
        "server.auth.sealing",
        "server.store",
    },
    "server.tools": {
        "server.upstream.portal_reader",
        "server.auth.caller",
        "server.auth.credential_headers",
        "server.upstream.energy_reader",
        "server.auth.access",
        "server.upstream.liveness",
        "server.codes",
        "server.control",
        "server.email_address",
        "server.errors",
        "server.http.forwarded",
        "server.auth.authorized",
        "server.http.proof",
        "server.readings",
        "server.records.record",
        "server.auth.sealing",
        "server.sources",
        "server.tool_failure",
        "server.upstream.single_flight",
        "server.visible",
        "mcp",
        "mcp_types",
        "pydantic",
    },
    "server.readings": {"server.codes", "server.errors", "server.visible", "pydantic", "lxml"},
    "server.portal": {
        "server.errors",
        "server.places",
        "server.settings",
        "server.value_file",
        "httpx2",
        "cryptography",
        "aia_chaser",
    },
    "server.portal.simulator": set(),
    "simulator": {
        "server.errors",
        "server.log",
        "server.settings",
        "server.settings_sources",
        "starlette",
        "uvicorn",
    },
    "server.store": {
        "server.cache.budgets",
        "server.cache.client",
        "server.cache.engine",
        "server.cache.guesses",
        "server.cache.hello",
        "server.cache.limits",
        "server.cache.outcomes",
        "server.cache.spelling",
        "server.cache.throttle",
        "server.errors",
        "server.http.exemptions",
        "server.http.login_wait",
        "server.settings",
        "server.http.shares",
        "server.sources",
        "server.version",
    },
    "server.cache": {
        "server.cache",
        "server.errors",
        "server.keys.fingerprint",
        "server.log",
        "server.pid_file",
        "server.process",
        "server.reloading",
        "server.keys.secret",
        "server.keys.secret_use",
        "server.settings",
        "server.settings_sources",
        "server.sources",
        "uvloop",
        "server.version",
    },
    "server.cache.outcomes": set(),
    "server.cache.epoch": set(),
    "server.cache.hello": {"server.cache.limits"},
    "server.cache.outdated": set(),
    "server.cache.spelling": {"server.cache.limits"},
    "server.cache.wire": {
        "server.cache.epoch",
        "server.cache.hello",
        "server.cache.limits",
        "server.cache.outcomes",
        "server.cache.spelling",
        "server.errors",
        "server.sources",
        "msgpack",
    },
    "server.cache.snapshot": {"server.cache", "server.errors", "msgpack"},
    "server.cache.quick": {
        "server.cache.limits",
        "server.cache.spelling",
        "server.cache.wire",
        "server.sources",
    },
    "server.cache.multiplexer": {
        "server.cache.outcomes",
        "server.cache.quick",
        "server.cache.wire",
        "server.errors",
    },
    "server.cache.credentials": set(),
    "server.cache.client": {
        "server.cache.multiplexer",
        "server.cache.credentials",
        "server.cache.epoch",
        "server.cache.hello",
        "server.cache.limits",
        "server.cache.outcomes",
        "server.cache.spelling",
        "server.cache.wire",
        "server.errors",
    },
    "server.cache.blocking": {"server.cache.credentials", "server.cache.wire", "server.errors"},
    "server.supervision.preflight": {
        "server.cache.socket_file",
        "server.errors",
        "server.auth.held_secret",
        "server.named_files",
        "server.portal.client",
        "server.keys.secret",
        "server.settings",
        "server.settings_sources",
        "server.supervision.agreement",
        "server.tls.key_pair",
        "server.version",
    },
    "server.supervision": {
        "server.as_user",
        "server.cache.blocking",
        "server.cache.socket_file",
        "server.records",
        "server.errors",
        "server.http.exposure",
        "server.pid_file",
        "server.places",
        "server.supervision.preflight",
        "server.settings",
        "server.settings_sources",
        "server.http.guard",
        "server.supervision.configuration",
        "server.supervision.supervisor_rpc",
        "server.tls",
        "server.version",
        "server.visible",
    },
    "server.supervision.agreement": {
        "server.errors",
        "server.places",
        "server.settings",
        "server.settings_sources",
        "server.supervision.configuration",
    },
    "server.supervision.configuration": {"server.errors", "server.settings"},
    # These run when everything else does not: nothing but the standard library is below them.
    "server.supervision.supervisor_rpc": set(),
    "server.supervision.failures": set(),
    "server.supervision.watch": {
        "server.pid_file",
        "server.supervision.supervisor_rpc",
        "server.supervision.failures",
    },
    "cachectl": {
        "server.as_user",
        "server.cache.blocking",
        "server.cache.credentials",
        "server.cache.snapshot",
        "server.cache.socket_file",
        "server.cache.wire",
        "server.records",
        "server.email_address",
        "server.errors",
        "server.keys.fingerprint",
        "server.log",
        "server.readings.clock",
        "server.keys.rotation",
        "server.keys.secret",
        "server.settings",
        "server.settings_sources",
        "server.sources",
        "server.version",
        "rich",
    },
    "evals": {
        "simulator",
        "server.app",
        "server.cache",
        "server.errors",
        "server.places",
        "server.portal",
        "server.reloading",
        "server.keys.secret",
        "server.settings",
        "server.tool_failure",
        "server.visible",
        "httpx2",
        "starlette.types",
    },
    "client": {
        "anyio",
        "httpx2",
        "keyring",
        "mcp",
        "mcp_types",
        "plotext",
        "prompt_toolkit",
        "pydantic",
        "rich",
    },
}

# These decide, and leave doing to others: no sockets, no clock of their own, no files.
PURE = {
    "server.cache.answers",
    "server.cache.checks",
    "server.cache.engine",
    "server.cache.epoch",
    "server.cache.fetches",
    "server.cache.hello",
    "server.cache.guesses",
    "server.cache.held",
    "server.cache.holds",
    "server.cache.known",
    "server.cache.leases",
    "server.cache.limits",
    "server.cache.lines",
    "server.cache.logins",
    "server.cache.outcomes",
    "server.cache.quick",
    "server.cache.service",
    "server.cache.spelling",
    "server.cache.spraying",
    "server.cache.throttle",
    "server.cache.unseen",
    "server.cache.wire",
    "server.codes",
    "server.email_address",
    "server.http.envelope",
    "server.http.eviction",
    "server.http.exposure",
    "server.keys.fingerprint",
    "server.http.json_tokens",
    "server.named_networks",
    "server.oauth.authorization",
    "server.auth.authorized",
    "server.oauth.base64url",
    "server.oauth.clients",
    "server.oauth.metadata",
    "server.oauth.mode",
    "server.oauth.oauth_error",
    "server.oauth.pkce",
    "server.oauth.scopes",
    "server.oauth.language",
    "server.oauth.texts",
    "server.oauth.texts_cs",
    "server.oauth.texts_en",
    "server.oauth.tokens",
    "server.origins",
    "server.settings_file",
    "server.portal.fields",
    "server.portal.reads",
    "server.portal.shape",
    "server.records.grant",
    "server.http.shares",
    "server.tool_failure",
    "server.sources",
    "server.supervision.failures",
    "server.suppression",
    "server.visible",
    "cachectl.render",
    "cachectl.stats_report",
    "evals.answer",
    "evals.fields",
    "evals.invariants",
    "evals.readers",
    "evals.report",
    "evals.scenario",
    "evals.transcript",
    "evals.verdict",
    "cachectl.connections_report",
    "cachectl.forgotten_report",
    "cachectl.rotation_report",
}
# Not `time` and `os`: a clock and a source of randomness are arguments, whose defaults are theirs.
DOING = {"asyncio", "io", "logging", "pathlib", "socket", "subprocess", "sys", "threading"}


@dataclass(frozen=True)
class Import:
    importer: str
    imported: str
    line: int
    level: int
    at_run_time: bool

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.imported}"


def module_files() -> dict[str, Path]:
    files = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            files[".".join(parts).removesuffix(".__init__")] = path
    return files


FILES = module_files()


def imports_of(module: str) -> Iterator[Import]:
    path = FILES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    only_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names, level = [alias.name for alias in node.names], 0
        elif isinstance(node, ast.ImportFrom):
            level = node.level
            base = package.split(".")[: len(package.split(".")) - level + 1] if level else []
            whole = ".".join([*base, *([node.module] if node.module else [])])
            # `from . import log` imports the module server.log, not only something of server.
            below = [f"{whole}.{alias.name}" for alias in node.names]
            names = [name if name in FILES else whole for name in below]
        else:
            continue
        for name in dict.fromkeys(names):
            yield Import(module, name, node.lineno, level, id(node) not in only_types)


IMPORTS = [found for module in FILES for found in imports_of(module)]


def within(name: str, ancestor: str) -> bool:
    return name == ancestor or name.startswith(f"{ancestor}.")


def rule_for(module: str) -> str:
    return max((name for name in MAY_IMPORT if within(module, name)), key=len)


def test_no_module_imports_what_its_layer_may_not():
    forbidden = []
    for found in IMPORTS:
        rule = rule_for(found.importer)
        own = rule_for(found.imported) == rule if found.imported in FILES else False
        standard = found.imported.split(".")[0] in sys.stdlib_module_names
        # The empty __init__ of a package comes along with everything in it.
        bare = found.imported in PACKAGES
        if not (own or standard or bare) and not any(
            within(found.imported, allowed) for allowed in MAY_IMPORT[rule]
        ):
            forbidden.append(str(found))
    assert not forbidden, "\n".join(forbidden)


@pytest.mark.parametrize("importer", ["server.app", "server.__main__"])
def test_a_worker_never_loads_the_simulator(importer):
    seen, waiting = set(), [importer]
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        waiting += [i.imported for i in IMPORTS if i.importer == module and i.imported in FILES]
    assert not [module for module in seen if within(module, "simulator")]


def test_the_client_knows_nothing_of_the_server():
    assert [
        str(i) for i in IMPORTS if within(i.importer, "client") and within(i.imported, "server")
    ] == []


READINGS = {module for module in FILES if within(module, "server.readings")}


@pytest.mark.parametrize("module", sorted(PURE | READINGS))
def test_what_decides_does_nothing_itself(module):
    assert [str(i) for i in imports_of(module) if i.imported.split(".")[0] in DOING] == []


def test_imports_are_relative_inside_a_package_and_absolute_across():
    wrong = []
    for found in IMPORTS:
        if found.imported in FILES:
            same = found.imported.split(".")[0] == found.importer.split(".")[0]
            if same != (found.level > 0):
                wrong.append(str(found))
    assert not wrong, "\n".join(wrong)


def test_no_imports_go_in_a_circle():
    graph: dict[str, set[str]] = {module: set() for module in FILES}
    for found in IMPORTS:
        if found.at_run_time and found.imported in FILES and found.imported != found.importer:
            graph[found.importer].add(found.imported)
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_every_rule_is_about_something_that_exists():
    assert [name for name in MAY_IMPORT if name not in FILES] == []
    assert [name for name in PURE if name not in FILES] == []
