"""What a view looks like on a screen."""

import io
from typing import Any

from rich.console import Console


def drawn(view: Any, width: int = 80, *, colour: bool = False) -> str:
    """Return a view as it is drawn, without the blanks at the ends of its lines."""
    file = io.StringIO()
    Console(
        file=file, width=width, force_terminal=colour, markup=False, emoji=False, highlight=False
    ).print(view)
    lines = [line.rstrip() for line in file.getvalue().splitlines()]
    assert max(map(len, lines)) <= width or colour
    return "\n".join(lines)
