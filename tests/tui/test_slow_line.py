"""A run at full speed at the end of a slow line: keys get through, and in a pause everything is as it should be."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from scripts.busy_engine import ENGINE
from tests.tui.terminal import SlowTerminal

RATE = 100_000
WATCH = ("watch", "--strategy", "remdm-loop", "--steps", "100000", "--length", "1024")


@pytest.fixture
def person() -> Iterator[SlowTerminal]:
    person = SlowTerminal(RATE, [*WATCH, "--remote-command", " ".join(ENGINE)])
    yield person
    person.close()


def tokens(screen: str) -> list[str]:
    """What stands in the box on the left."""
    return [line.split("│")[1] for line in screen.splitlines() if line.startswith("│")]


def test_in_a_pause_the_last_step_is_on_screen_whole(person: SlowTerminal) -> None:
    person.wait(lambda screen: bool(re.search(r" [1-9]\d{2,}/", screen.splitlines()[0])))
    person.press(" ")
    person.wait(lambda screen: "paused" in screen.splitlines()[0])
    # until nothing more comes, however seldom the program has its turn
    quiet = 0
    while quiet < 4:
        before = len(person.raw)
        person.read(0.7)
        quiet = quiet + 1 if len(person.raw) == before else 0
    left_behind = tokens(person.screen())
    # a window before it, and gone again: everything is drawn anew
    person.press("?")
    person.wait(lambda screen: "esc closes" in screen)
    person.press("\x1b")
    person.wait(lambda screen: "esc closes" not in screen and tokens(screen) == left_behind)
