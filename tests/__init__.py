"""All tests. Run in the background by a shell, they have Ctrl-C all the same."""

import signal

# Such a shell has what it starts ignore SIGINT, and so would the programs that the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
