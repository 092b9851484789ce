"""Answers of the portal, damaged: every field replaced by everything that it is not.

Each goes the whole way from bytes to a result. What it says is what the portal sent, or unknown:
never zero, never a number that the portal did not send.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date
from random import Random
from typing import Any, Final

from server.errors import PortalError, SessionExpired
from server.portal.purpose import READ_LIMIT
from server.portal.reads import read_box_data, read_list, read_series
from server.portal.responses import Answer
from server.readings import boxes
from server.readings.energy_from_history import energy_days
from server.readings.energy_money import Prices
from server.readings.energy_report import energy_report
from server.readings.history import history
from server.readings.kept_notices import feed, kept
from server.readings.live import live_data
from server.readings.model import Reading
from server.readings.notice_board import notice_board
from server.readings.notifications import notifications
from server.readings.series import SeriesName
from server.readings.status import status
from server.readings.troubles import Heard

from .fuzzing import Fuzzed, Mended, fuzzed
from .mutation import WRONG, Path, damaged, paths, replaced
from .payloads import FULL, NOW, SLIM, command, folder, listed, live, series

DAY: Final = date(2026, 6, 9)

Kind = str
Input = tuple[Kind, bytes]

ROWS: Final[Mapping[SeriesName, list[Any]]] = {
    "solar": [231.5, 229.5, 700, 1311, 977],
    "battery": [51.5, 17.5, 61, 23.5],
    "grid": [231.5, 977, 1311, 433],
    "load": [501, 433, 389],
}
"""An item of each series, without a zero."""

PLACES: Final = 24
"""Items of a series: one an hour."""

FREE: Final = {"count", "missing", "minutes_per_point", "hours"}
"""Numbers that count what is known, or follow from a whole box: a wrong field may change them."""

NOTICES: Final = listed(
    folder("Bypass zapnut", body="Automaticky"), folder("Box online", "8. 6. 2026 | 7:00", level=1)
)


def _nested(opening: bytes, closing: bytes, size: int) -> bytes:
    return opening * (size // len(opening) // 2) + closing * (size // len(closing) // 2)


def _bombs() -> Iterator[bytes]:
    size = READ_LIMIT - 64
    yield _nested(b"[", b"]", size)
    yield _nested(b'{"a":', b"}", size)
    yield b'{"%s": {"actual": {"bat_p": %s}}}' % (FULL.encode(), b"9" * size)
    yield b'{"%s": {"actual": {"bat_p": 1e%s}}}' % (FULL.encode(), b"9" * 300)
    yield b'{"items": [%s null]}' % (b"[]," * (size // 4))
    yield b'{"items": [%s null]}' % (b'{"values":[1]},' * (size // 16))
    yield b'{"%s": 1' % FULL.encode() + b', "a": 1' * (size // 10) + b"}"
    yield b"\xff" * size
    yield b'"' + b"\\ud800" * (size // 7) + b'"'


def _list_bombs() -> Iterator[bytes]:
    size = READ_LIMIT // 8
    yield command("<div>" * (size // 5))
    yield command('<div class="folder-list">' + '<div class="folder">' * (size // 20))
    yield command('<div class="folder-list">' + '<div class="folder"><b>' + "&amp;" * (size // 5))
    yield command(listed(*[folder("x")] * (size // 200)))


def sent() -> dict[str, Any]:
    """Return a live answer whose readings are not zero, wherever a zero could be taken for none."""
    whole = live()
    whole[SLIM]["boiler_prms"]["p_set"] = 1900
    return whole


def payloads(count: int, seed: int) -> Iterator[Input]:
    """Make hostile answers: at first each field with each wrong value, in no order, then more.

    Args:
        count: How many.
        seed: Of the order, and of what is damaged twice.
    """
    chance = Random(seed)
    whole = sent()
    if count > len(list(_bombs())) * 100:
        yield from (("live", one) for one in _bombs())
        yield from (("any history", one) for one in _bombs())
        yield from (("list", one) for one in (*_bombs(), *_list_bombs()))
    places = [one for one in paths(whole) if one]
    each = [(at, by) for at in places for by in (*WRONG, ...)]
    chance.shuffle(each)
    items = {name: series([row] * PLACES) for name, row in ROWS.items()}
    for number in range(count):
        match number % 8:
            case 0 | 1 | 2 | 3:
                at, by = each[(number // 8 * 4 + number % 8) % len(each)]
                yield "live", _sent(replaced(whole, at, by))
            case 4:
                box = whole
                for _ in range(chance.randrange(2, 12)):
                    at, by = chance.choice(each)
                    if _is_there(box, at):
                        box = replaced(box, at, by)
                yield "live", _sent(box)
            case 5 | 6:
                name = chance.choice(list(items))
                at = chance.choice([one for one in paths(items[name]) if one])
                yield f"history {name}", _sent(replaced(items[name], at, chance.choice(WRONG)))
            case _:
                yield "list", _damaged_list(chance)


def _is_there(value: Any, at: Path) -> bool:
    return at in set(paths(value))


def _sent(value: Any) -> bytes:
    """Return a value as JSON, in which NaN and halves of characters stand as a portal may write."""
    return json.dumps(value).encode()


def _damaged_list(chance: Random) -> bytes:
    whole = NOTICES.encode()
    return command(damaged(whole, chance, (whole,)).decode(errors="replace"))


class Judge:
    """Reads answers, and compares each number with those that the portal sent."""

    def __init__(self) -> None:
        whole = live()
        slow = {
            box: {n: b for n, b in blocks.items() if n != "actual"} for box, blocks in whole.items()
        }
        self._live = {
            box: [dict(numbers(live_data(payload, box, NOW, []))) for payload in (whole, slow)]
            for box in (FULL, SLIM)
        }
        self._series = {
            name: dict(numbers(_history(name, series([row] * PLACES))))
            for name, row in ROWS.items()
        }

    def read(self, one: Input) -> bool:
        """Read an answer as the tools do; return whether it was data at all.

        Raises:
            Mended: It says a number that the portal did not send.
        """
        kind, body = one
        answer = Answer(200, body)
        what, _, name = kind.partition(" ")
        try:
            match what:
                case "live":
                    self._read_live(read_box_data(answer, NOW.timestamp()))
                case "history":
                    self._read_history(name, read_series(answer, NOW.timestamp()))
                case "any":
                    found = read_series(answer, NOW.timestamp())
                    _shown(_history("grid", found))
                    _report(dict.fromkeys(ROWS, found))
                case _:
                    _read_list(read_list(answer, NOW.timestamp()))
        except (PortalError, SessionExpired):
            return False
        return True

    def _read_live(self, payload: object) -> None:
        for box, sent in self._live.items():
            reading = live_data(payload, box, NOW, [])
            for path, value in numbers(reading):
                known = {one.get(path) for one in sent}
                # 1. Known of the whole answer: as there. 2. Else, as of a boiler left out, no zero.
                is_made_up = value == 0 if None in known else value not in known
                if path.split(".")[-1] not in FREE and is_made_up:
                    raise Mended(f"{path} of {box} is {value}, as nobody sent it")
            _shown(status(payload, box, NOW, heard="unread", changes=(), fetched_at=NOW))
        notices = notifications(NOTICES, NOW)
        _shown(boxes.list_boxes(payload, NOW))
        _shown(notice_board(boxes.listed(payload, NOW, notices), notices, limit=5))

    def _read_history(self, name: Any, payload: object) -> None:
        reading = _history(name, payload)
        sent = self._series[name]
        for path, value in numbers(reading):
            if ".mean." in path and path.startswith("quantities") and value != sent.get(path):
                raise Mended(f"{path} of {name} is {value}, as nobody sent it")
            if not value and sent.get(path) and path.split(".")[-1] not in FREE:
                raise Mended(f"{path} of {name} is 0, as nobody sent it")
        _report({name: payload})


def _history(name: Any, payload: object) -> Reading:
    return history(name, payload, DAY, DAY, NOW, max_points=PLACES, wanted="all", detailed=True)


def _report(answers: Mapping[SeriesName, object]) -> None:
    days = energy_days(answers, DAY, DAY, NOW)
    if days is not None:
        _shown(energy_report(days, "hour", FULL, Prices(6.5, 2.0, "CZK")))


def _read_list(markup: str) -> None:
    found = feed(kept(markup, NOW).text)
    for one in found:
        _shown(one.shown)
    _shown(notice_board(boxes.listed(live(), NOW, found), found, limit=50))
    _shown(status(live(), FULL, NOW, heard=Heard(found, NOW), changes=(), fetched_at=NOW))


def _shown(reading: Reading) -> Any:
    """Return a result as a caller gets it: JSON, and JSON has no NaN."""
    return json.loads(reading.model_dump_json(), parse_constant=_no_number)


def _no_number(name: str) -> None:
    raise Mended(f"{name} is told for a number")


def numbers(reading: Reading) -> Iterator[tuple[str, float]]:
    """Yield all numbers of a result with their names."""
    yield from _numbers(_shown(reading), "")


def _numbers(value: Any, name: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _numbers(part, f"{name}.{key}".lstrip("."))
    elif isinstance(value, list):
        for place, part in enumerate(value):
            yield from _numbers(part, f"{name}.{place}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield name, value


def fuzz_payloads(count: int, seed: int = 3) -> Fuzzed:
    """Read so many hostile answers of the portal."""
    return fuzzed(payloads(count, seed), Judge().read)
