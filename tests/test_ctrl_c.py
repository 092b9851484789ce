"""Ctrl-C in the moment before a question's answer is waited for."""

import sys

import pytest

pytest_plugins = ("tests.terminal",)

LATE = """
import ctypes, operator, select, signal, sys
from functools import partial

# In C from the signal to the sleep: Python cannot look at its signals in between.
interrupted = partial(ctypes.CDLL(None)["raise"], signal.SIGINT)

def late(sleeps):
    return lambda *given: list(map(operator.call, [interrupted, partial(sleeps, *given)]))[1]

class Input:
    def __init__(self, terminal):
        self.isatty, self.fileno = terminal.isatty, terminal.fileno
        self.readline = late(terminal.readline)

sys.stdin, select.select = Input(sys.stdin), late(select.select)
try:
    ASK
except KeyboardInterrupt:
    sys.exit(130)
"""

ASKER = "from client.asking import Asker; Asker({}, prompts=True)."

ASKING = {
    "cachectl": "from cachectl.prompt import ask; ask('Drop all?', 'Nothing was dropped.')",
    "a value": ASKER + "value('E-mail')",
    "a value that must be given": ASKER + "wanted('E-mail')",
    "a confirmation": ASKER + "value('Name', fresh=True)",
}


@pytest.mark.parametrize("ask", ASKING.values(), ids=ASKING)
def test_ctrl_c_just_before_a_prompt_takes_effect_without_further_input(terminal, ask):
    screen = terminal([sys.executable, "-c", LATE.replace("ASK", ask)])
    assert screen.wait() == 130, screen.text
    assert "Traceback" not in screen.text
