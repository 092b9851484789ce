"""All tests. They bring their own settings: none of the machine's or the user's file is read.

Run in the background by a shell, they have Ctrl-C all the same.
"""

import os
import signal

os.environ["OIG_CONFIG"] = os.devnull
# A shell has what it runs in the background ignore Ctrl-C, and so would all that is started here.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
