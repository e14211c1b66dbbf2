"""Tests see a terminal without anybody's preferences; set before textual is imported."""

import os
import signal

for name in ("NO_COLOR", "TEXTUAL_THEME", "TEXTUAL_DRIVER"):
    os.environ.pop(name, None)
os.environ["TEXTUAL_ANIMATIONS"] = "none"
os.environ["TERM"] = "xterm-256color"
os.environ["COLORTERM"] = "truecolor"

# a shell's background job ignores SIGINT and so would every program that the tests interrupt
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
