"""What a server asks for with a 401 or 403: the header `WWW-Authenticate`. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
PARAMETER = re.compile(rf'({WORD})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|({WORD}))', re.DOTALL)
SCHEME = re.compile(WORD)
TOKEN68 = re.compile(r"[A-Za-z0-9._~+/-]+=*(?=[ \t]*(?:,|$))")
BETWEEN = re.compile(r"[ \t]*,[ \t,]*|[ \t]+")
QUOTED = re.compile(r"\\(.)", re.DOTALL)

READ = "oig:read"
"""The scope that this server's challenges name, and no other server's."""
MOST = 8192
"""Characters of a header that are read."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way for a caller to authenticate to a server (RFC 9110, 11.6.1).

    Attributes:
        scheme: In lower case, such as `bearer`.
        parameters: By their names in lower case.
    """

    scheme: str
    parameters: Mapping[str, str]

    @property
    def error(self) -> str:
        """What was wrong with the token that came (RFC 6750, 3.1); empty when none came."""
        return self.parameters.get("error", "")

    @property
    def metadata(self) -> str:
        """Where the server says how to log in with a browser (RFC 9728, 5.1); or empty."""
        return self.parameters.get("resource_metadata", "")

    @property
    def ours(self) -> bool:
        """Whether a server of OIG Cloud asks so: the login is shown to no other."""
        return bool(self.metadata) and READ in self.parameters.get("scope", "").split()


def challenges(header: str) -> tuple[Challenge, ...] | None:
    """Read `WWW-Authenticate`; None when it does not have the form that it must have.

    Args:
        header: The value; of several headers of the name, all of them with commas between.
    """
    found: list[tuple[str, dict[str, str]]] = []
    rest = header[:MOST].strip(" \t,")
    while rest:
        if found and (parameter := PARAMETER.match(rest)):
            name, quoted, plain = parameter.groups()
            value = plain if quoted is None else QUOTED.sub(r"\1", quoted)
            if found[-1][1].setdefault(name.lower(), value) != value:
                return None  # twice, and nobody can say which counts
            rest = rest[parameter.end() :]
        elif scheme := SCHEME.match(rest):
            found.append((scheme[0].lower(), {}))
            rest = rest[scheme.end() :]
            if rest.startswith((" ", "\t")) and not PARAMETER.match(rest.lstrip()):
                lone = TOKEN68.match(rest.lstrip())
                rest = rest.lstrip()[lone.end() :] if lone else rest
        else:
            return None
        between = BETWEEN.match(rest)
        if rest and between is None:
            return None
        rest = rest[between.end() :] if between else rest
    return tuple(Challenge(scheme, parameters) for scheme, parameters in found)


def bearer(header: str) -> Challenge | None:
    """Return the first challenge for a token; None without one that can be read."""
    return next((one for one in challenges(header) or () if one.scheme == "bearer"), None)
