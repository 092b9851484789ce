"""Every result of every tool comes twice, as text and as structure, and both say the same."""

from __future__ import annotations

import json
from datetime import datetime

from .all_told import results
from .control_house import House
from .listed_tools import listed_tools

AT = datetime.fromisoformat("2026-06-17T18:34:45Z")


async def test_the_text_of_every_result_is_its_structured_content_as_compact_json(tmp_path):
    house = House(tmp_path, at=AT.timestamp())
    try:
        told = await results(house)
    finally:
        await house.aclose()
    succeeded = {name: one for name, one in told.items() if not one["is_error"]}
    assert {name.partition(" ")[0] for name in succeeded} == set(listed_tools())
    for name, one in succeeded.items():
        (content,) = one["content"]
        compact = json.dumps(one["structured_content"], ensure_ascii=False, separators=(",", ":"))
        assert content["text"] == compact, name
