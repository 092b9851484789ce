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
    "This worker goes by other settings than the cache daemon; its log says more. An operator runs "
    "cachectl reload."
)

UNREACHABLE = (
    "The {} does not answer; the log of this worker says why. Until it is back, the "
    "worker serves what it has copies of, and a few logins."
)

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
    """Make the probe that answers 200 when the cache daemon answers, and 503 otherwise.

    And 503 when the daemon works with another secret, for then the worker refuses all calls; and
    when it goes by other live settings, for then the worker may let in whom it should not.

    Args:
        ping: Returns when the cache daemon answers, and raises CacheUnavailable if it does not.
        secret_differs: Whether it works with another secret.
        settings_differ: Whether it goes by other live settings.
        shared: What the workers share.

    A worker without the daemon still serves: sessions it has seen, and a few logins. Why it is not
    reached is for the log. Of other workers it knows nothing: one that fails takes no connections,
    so a balancer need not know, and an operator sees it in supervisord's log.
    """

    async def probe(_: Request) -> JSONResponse:
        degraded: dict[str, str] = {}
        try:
            await ping()
        except CacheUnavailable:
            degraded["cache"] = UNREACHABLE.format(shared)
        if secret_differs():
            degraded["secret"] = DIFFERS.format(shared)
        if settings_differ():
            degraded["settings"] = SETTINGS_DIFFER
        if degraded:
            return JSONResponse({"status": "degraded", "degraded": degraded}, status_code=503)
        return JSONResponse({"status": "ready", "degraded": {}})

    return probe
