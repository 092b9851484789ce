"""Environment variables with the prefix of settings that are not settings."""

from __future__ import annotations

CLIENTS = frozenset({"OIG_BASIC", "OIG_EMAIL", "OIG_MCP_URL", "OIG_PASSWORD", "OIG_PASSWORD_FILE"})
"""Variables of clients, which may be set in the same environment."""

CONFIG = "OIG_CONFIG"
"""Variable with the path of the settings file."""

SUPERVISORD_CONF = "OIG_SUPERVISORD_CONF"
"""Variable with the path of the configuration that `oig-cloud-mcp` has made of the settings, for
the processes that it starts. Without it, supervisord runs with supervisord.conf of the checkout."""

PINNED = "OIG_PINNED"
"""Variable with the settings that `oig-cloud-mcp` has put into the environment of the processes
that it starts, though neither the environment nor an option gave them: `NAME=value`, separated by
blanks. The value is the one in force where the settings file says nothing; none for the default of
`Settings`. So `cachectl reload` knows when a start would take a value other than the one in use."""
