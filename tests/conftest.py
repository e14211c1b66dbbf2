"""Tests see a terminal without anybody's preferences; set before textual is imported."""

import os

for name in ("NO_COLOR", "TEXTUAL_THEME", "TEXTUAL_DRIVER"):
    os.environ.pop(name, None)
os.environ["TEXTUAL_ANIMATIONS"] = "none"
os.environ["TERM"] = "xterm-256color"
os.environ["COLORTERM"] = "truecolor"
