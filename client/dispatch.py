"""Which function carries out which command of the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from . import accounts, commands
from .options import Options
from .session import Session


def _config(session: Session, options: Options) -> None:
    from .setup.command import configure  # noqa: PLC0415 - the other commands do without

    configure(session, options)


def _doctor(session: Session, options: Options) -> int:
    from .doctor.command import examine  # noqa: PLC0415 - as above

    return examine(session, options)


def _boxes(session: Session, options: Options) -> None:
    from .battery.command import boxes  # noqa: PLC0415 - as above

    boxes(session, options)


def _live(session: Session, options: Options) -> None:
    from .battery.command import live  # noqa: PLC0415 - as above

    live(session, options)


def _status(session: Session, options: Options) -> int:
    from .battery.command import status  # noqa: PLC0415 - as above

    return status(session, options)


def _history(session: Session, options: Options) -> None:
    from .battery.command import history  # noqa: PLC0415 - as above

    history(session, options)


def _energy(session: Session, options: Options) -> None:
    from .battery.command import energy  # noqa: PLC0415 - as above

    energy(session, options)


def _notifications(session: Session, options: Options) -> None:
    from .battery.command import notifications  # noqa: PLC0415 - as above

    notifications(session, options)


def _control(name: str) -> Callable[[Session, Options], int | None]:
    def carry_out(session: Session, options: Options) -> int | None:
        from .control import command  # noqa: PLC0415 - as above

        done: int | None = getattr(command, name)(session, options)
        return done

    return carry_out


COMMANDS: Mapping[str, Callable[[Session, Options], int | None]] = {
    "tools": lambda session, options: commands.tools(session, options.email),
    "describe": lambda session, options: commands.describe(session, options.tool, options.email),
    "call": lambda session, options: commands.call(
        session, options.tool, options.words, options.email, yes=options.yes
    ),
    "check-auth": lambda session, options: commands.check_auth(session, options.email),
    "login": lambda session, options: accounts.login(session, options.email),
    **dict.fromkeys(
        ("logout", "log-out"), lambda session, options: accounts.logout(session, options.email)
    ),
    "boxes": _boxes,
    "live": _live,
    "status": _status,
    "history": _history,
    "energy": _energy,
    "notifications": _notifications,
    **{name: _control(name) for name in ("plan", "apply", "change", "changes")},
    "config": _config,
    "doctor": _doctor,
}
"""Each returns an exit code, or None for 0."""
