"""A run at full speed at the end of a slow line: keys get through, and in a pause everything is as it should be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import islice, takewhile

import pytest

from engine.records import Settings
from scripts.busy_engine import ENGINE, MASK, WORDS, frames, start_of
from tests.tui.terminal import SlowTerminal

RATE = 100_000
STEPS, LENGTH, SEED = 100_000, 1024, 3
WATCH = ("watch", "--strategy", "remdm-loop", "--steps", str(STEPS), "--length", str(LENGTH), "--seed", str(SEED))


@pytest.fixture
def person() -> Iterator[SlowTerminal]:
    person = SlowTerminal(RATE, [*WATCH, "--remote-command", " ".join(ENGINE)])
    yield person
    person.close()


def shown(screen: str) -> list[str]:
    """The words in the box on the left, above the map."""
    lines = takewhile(lambda line: "map: " not in line, screen.splitlines())
    return re.findall("[a-z]+", " ".join(line.split("│")[1] for line in lines if line.startswith("│")))


@cache
def expected(step: int) -> list[str]:
    """The words of a step, as the engine made them."""
    *_, frame = islice(frames(start_of(LENGTH, STEPS, SEED), STEPS, Settings("remdm-loop")), step)
    return [WORDS[token].strip() for token in frame.tokens[0] if token != MASK]


def is_whole(screen: str) -> bool:
    """Return whether the words on the screen are those of the step that its first line names."""
    found, now = re.search(r"paused (\d+)/", screen.splitlines()[0]), shown(screen)
    return found is not None and len(now) > 100 and now == expected(int(found[1]))[: len(now)]


def test_in_a_pause_the_step_on_screen_is_whole(person: SlowTerminal) -> None:
    person.wait(lambda screen: bool(re.search(r" [1-9]\d{2,}/", screen.splitlines()[0])))
    person.press(" ")
    # the line may still carry what was drawn before the key: in the end words and step agree
    person.wait(is_whole)
