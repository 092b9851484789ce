"""Is the process alive, and can it do its work? For load balancers, start scripts and people.

Strangers may ask, too, and behind a proxy they look like any other caller: the answers contain
nothing that only the operator needs, such as paths and process ids.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse

from ..errors import CacheUnavailable
from ..version import PROGRAM

DIFFERS = (
    "This worker and the {} work with different secrets, and it refuses all calls; its log says "
    "more."
)

SETTINGS_DIFFER = (
    "This worker goes by other settings than {}; its log says more. An operator runs "
    "cachectl reload."
)

UNREACHABLE = (
    "The {} {}; the log of this worker says why. Until it is back, the "
    "worker serves what it has copies of, and a few logins."
)

SHARED = "shared storage"
"""What the workers of several hosts share, in place of a cache daemon."""

Probe = Callable[[Request], Awaitable[JSONResponse]]


async def healthz(_: Request) -> JSONResponse:
    """Answer 200: the process lives and serves requests.

    The name says what has the port when a second server is started.
    """
    return JSONResponse({"status": "ok", "program": PROGRAM})


def readyz(
    ping: Callable[[], Awaitable[object]],
    secret_differs: Callable[[], bool],
    settings_differ: Callable[[], bool],
    shared: str = "cache daemon",
) -> Probe:
    """Make the probe that answers 200 when a worker can do its work, and 503 when it cannot.

    1. The daemon or the storage cannot be asked: 503. The worker still serves, sessions it has seen
       and a few logins; of the reason strangers see what kind it is, and the log has the rest.
    2. The others work with another secret: 503, for the worker refuses all calls.
    3. The daemon goes by other live settings: 503, for the worker may let in whom it should not.
    4. Workers on a shared storage go by other live settings: 200, with a note. No host leads there,
       so all would answer 503, and a load balancer would have nobody left.

    Of other workers of this host it knows nothing more: one that fails takes no connections, so a
    balancer need not know, and an operator sees it in supervisord's log.

    Args:
        ping: Returns when the daemon or the storage answers; raises CacheUnavailable otherwise.
        secret_differs: Whether the others work with another secret.
        settings_differ: Whether they go by other live settings.
        shared: What the workers share.
    """

    async def probe(_: Request) -> JSONResponse:
        degraded: dict[str, str] = {}
        notes: dict[str, str] = {}
        try:
            await ping()
        except CacheUnavailable as exc:
            degraded["cache"] = UNREACHABLE.format(shared, exc.trouble)
        if secret_differs():
            degraded["secret"] = DIFFERS.format(shared)
        if settings_differ() and shared == SHARED:
            notes["settings"] = SETTINGS_DIFFER.format(f"others on the {shared}")
        elif settings_differ():
            degraded["settings"] = SETTINGS_DIFFER.format(f"the {shared}")
        body = {"degraded": degraded, **({"notes": notes} if notes else {})}
        if degraded:
            return JSONResponse({"status": "degraded", **body}, status_code=503)
        return JSONResponse({"status": "ready", **body})

    return probe
