#!/usr/bin/env bash
# Installs what is missing into .venv, then runs the whole server in this terminal: --help says more.
# Then it does as oig-cloud-mcp does. Here is only the search for a Python to begin with.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
cd -- "$here"
export OLDPWD

for python in .venv/bin/python3 python3 python3.14 python3.13 python3.12 python3.11; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        exec "$python" -m server.supervision.start_server "$@"
    fi
done
echo "start_server.sh: Python 3.11 or newer is needed, and none is on the PATH." >&2
exit 1
