"""What the server says to assistants, as a person at a terminal reads it."""

from __future__ import annotations

import re

import pytest

from client.wording import for_people
from server import access
from server.control import control, grid_export
from server.readings import freshness
from server.tools import control as reports

FOR_ASSISTANTS = re.compile(
    r"check_auth|(get|list|plan|apply)_(box|chang|live)\w+|box_id"
    r"|[Tt]he user|`(export|mode)|[Pp]resent "
)


TEXTS = [
    access.ENDED,
    f"This call says not whose data it wants. {access.HOW}",
    *(value for name, value in vars(control).items() if name.isupper() and isinstance(value, str)),
    *(str(control._under_way(7, change)) for change in (None, "1bf84f4d9abd9478")),
    *(getattr(reports, name) for name in ("PENDING", "APPLIED", "TARGET_SHOWN", "REFUSED")),
    *(getattr(reports, name) for name in ("GIVEN_UP", "UNCLEAR", "MISSED")),
    *reports.SEEN.values(),
    grid_export.FINABLE,
    *(str(freshness.warning(age, live=True)) for age in (None, 9999)),
    "This account has several boxes; say which one as box_id. Its boxes are: 1, 2.",
    "`export_limit_w` goes together with `export` limited.",
    "Change 1bf84f4d9abd9478 is still under way: undo it when get_change says how it ended.",
]


@pytest.mark.parametrize("text", TEXTS)
def test_nothing_meant_for_an_assistant_reaches_a_person(text):
    told = for_people(text.replace("{id}", "1bf84f4d9abd9478"))
    assert not FOR_ASSISTANTS.search(told), told


def test_a_change_that_is_under_way_is_named_with_the_command_that_looks():
    told = for_people(str(control._under_way(717, "1bf84f4d9abd9478")))
    assert "`oig-client change 1bf84f4d9abd9478` tells of it. Plan anew" in told


def test_what_is_not_known_stays_as_it_is():
    assert for_people("The portal is down. `x`") == "The portal is down. `x`"
