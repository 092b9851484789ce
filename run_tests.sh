#!/usr/bin/env bash
# Installs what is missing, then checks everything: format, lint, types, tests.
# Arguments go to pytest: ./run_tests.sh -k throttle
# With --real-clients first, only published clients are driven, as docs/clients.md says; with --load
# only crowds of callers.
set -uo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")" || exit 1

# A Python to begin with. Debian keeps the part that makes environments in a package of its own.
if ! python3 -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "Installing python3 and python3-venv"
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq && apt-get install -qq -y --no-install-recommends python3 python3-venv \
            || echo "run_tests.sh: apt-get failed; going on with what is there" >&2
    fi
fi
./start_server.sh --setup --dev || exit

# Programs that pip does not know, to test what docs/ says about them. Debian's packages are unpacked
# and not installed: as a service fail2ban would begin to ban on this machine, and nginx to serve.
# unpack COMMAND TESTED PACKAGE...: into .venv/PACKAGE, the first one's folder, unless COMMAND is there.
unpack() {
    local command=$1 tested=$2 package=$3
    shift 2
    if command -v "$command" >/dev/null || [ -e ".venv/$package" ]; then return; fi
    if command -v apt-get dpkg-deb >/dev/null; then
        echo "Fetching $*, to test $tested"
        local folder
        folder=$(mktemp -d)
        (
            cd "$folder" || exit
            apt-get download -qq "$@" 2>/dev/null \
                || { [ "$(id -u)" = 0 ] && apt-get update -qq && apt-get download -qq "$@"; } || exit
            for deb in *.deb; do dpkg-deb -x "$deb" root || exit; done
        ) >/dev/null 2>&1 && mv "$folder/root" ".venv/$package"
        rm -r "$folder"
    fi
    if [ ! -e ".venv/$package" ]; then
        echo "run_tests.sh: $tested is not tested: there is no $command, and apt-get could not fetch" \
            "it. Install the package $package." >&2
    fi
}
unpack fail2ban-regex docs/fail2ban fail2ban
unpack nginx docs/deploy/nginx.conf nginx
unpack caddy docs/deploy/Caddyfile caddy
unpack redis-server server/state/valkey.py redis-server redis-tools liblzf1 libjemalloc2 libatomic1
unpack systemd-analyze docs/deploy/oig-cloud-mcp.service systemd libsystemd-shared
unpack nft docs/deploy/nftables.conf nftables libnftables1 libnftnl11 libmnl0 libxtables12 libjansson4

PATH=$PWD/.venv/bin:$PATH
# The tests bring their own settings.
for name in ${!OIG_*}; do unset "$name"; done
# Every process of the tests would compile all it imports again.
unset PYTHONDONTWRITEBYTECODE

if [ "${1-}" = --real-clients ]; then
    shift
    # Chromium needs much that it does not bring, so it is installed; it is no service.
    if ! command -v chromium >/dev/null; then
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
            echo "Installing chromium, to test the pages of the browser login"
            export DEBIAN_FRONTEND=noninteractive
            { apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium; } \
                >/dev/null 2>&1
        fi
        command -v chromium >/dev/null || echo "run_tests.sh: the pages of the browser login are" \
            "not tested: there is no chromium. Install the package chromium." >&2
    fi
    # A client's tests stay together: they share its connection, and restart the workers it talks to.
    exec pytest -m real_clients -n 2 --dist loadgroup tests/real_clients "$@"
fi

# pytest compiles what it collects. It does so once, while the checks below leave a processor idle:
# of the processes that run the tests, each would compile everything, since they begin at once.
if [ ! -e tests/__pycache__ ]; then pytest --collect-only -q "$@" >/dev/null 2>&1 & fi

if [ "${1-}" = --load ]; then
    shift
    exec pytest -m load -n 2 --dist loadfile "$@"
fi

failed=()
check() {
    echo "--- $*"
    "$@" || failed+=("$*")
}
check ruff format --check
check ruff check
check mypy
# oig-client runs on Windows as well.
check mypy --platform win32 -p client
wait

echo "--- pytest"
# A file's tests stay together: many share a server. Files begin in the order of tests/conftest.py.
# Four at a time on two processors: many wait for processes most of the time.
pytest -n 4 --dist loadfile --no-loadscope-reorder "$@"
code=$?
if [ "$code" = 0 ] && [ ${#failed[@]} -gt 0 ]; then
    printf 'run_tests.sh: failed: %s\n' "${failed[@]}" >&2
    code=1
fi
exit "$code"
