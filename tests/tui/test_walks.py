"""What a person can find out, and in how few keys: the real command, the demo model, every key counted."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.tui.terminal import Terminal, with_forked_engine

ENTER = "\r"


class Walker:
    """A person who counts keys.

    Parts of the screen are drawn one after the other: wait for all that is compared.
    """

    def __init__(self, *arguments: str, columns: int = 120) -> None:
        self.terminal = Terminal(["watch", *arguments], columns=columns, command=with_forked_engine())
        self.keys = 0

    def press(self, *keys: str) -> None:
        self.keys += len(keys)
        for key in keys:
            self.terminal.press(key)

    def type(self, name: str) -> None:
        """Type a name, which counts as none of the keys."""
        self.terminal.press(name)

    def see(self, *patterns: str) -> str:
        """Wait until all patterns are on screen."""
        return self.terminal.wait(lambda screen: all(re.search(pattern, screen) for pattern in patterns))

    def read(self, pattern: str) -> str:
        """Wait until a sentence is in the panels on the left, over as many lines as it takes."""
        return self.terminal.wait(lambda screen: bool(re.search(pattern, text_panel(screen))))


@pytest.fixture
def walk() -> Iterator[type[Walker]]:
    walkers: list[Walker] = []

    class Begun(Walker):
        def __init__(self, *arguments: str, columns: int = 120) -> None:
            super().__init__(*arguments, columns=columns)
            walkers.append(self)

    yield Begun
    for one in walkers:
        one.terminal.close()


def text_panel(screen: str) -> str:
    """Return what stands in the panels on the left, its lines joined without their borders."""
    return " ".join(" ".join(line[1:81].strip(" │►") for line in screen.splitlines()).split())


def test_one_key_says_why_a_token_was_remasked_in_a_running_watch(walk: type[Walker]) -> None:
    # so many remasks that every step has one
    person = walk("--strategy", "remdm-rescale", "--eta", ".9", "--steps", "400", "--length", "96", "--seed", "3")
    person.see(r"playing [2-9]\d/400")
    person.press("N")
    person.see(r"position \d+ -", r"remasked, was")
    why = r"u = \.\d+ < sigma = \.\d+ \(rescale: eta \.9 \* sigma_max [.\d]+; [.\d]+ expected\)"
    person.read(why)
    person.see(r"^.* paused \d+/400")
    assert person.keys <= 3


def test_two_keys_and_a_name_compare_two_strategies_to_their_final_figures(walk: type[Walker]) -> None:
    person = walk("--strategy", "remdm-cap", "--steps", "16", "--length", "48", "--seed", "1")
    person.see(r"done 16/16")
    person.press("c")
    person.see(r"compare with")
    person.type("low-confidence")
    person.press(ENTER)
    person.see(r"B low-confidence")
    person.press(" ")
    # below both panes: calls of the network and the entropy of the text
    figures = r"\d+ calls, entropy \d\.\d\d"
    person.see(r"done 16/16", rf"{figures} .* {figures} ")
    assert person.keys <= 6


def test_no_key_leads_to_the_token_and_the_step_of_a_breakpoint(walk: type[Walker]) -> None:
    person = walk("--steps", "64", "--length", "64", "--seed", "2", "--eta", ".2", "--break", "remasked > 2")
    screen = person.see(r"stopped at step \d+: remasked > 2")
    step = int(re.search(r"stopped at step (\d+)", screen)[1])  # type: ignore[index]
    # the header names what stopped it
    person.see(rf"^.* ■ remasked > 2 .* paused {step}/64", r"position \d+ -", rf"► +{step}  remasked, was")
    assert person.keys == 0


def test_two_keys_bring_back_a_run_that_n_left(walk: type[Walker]) -> None:
    person = walk("--steps", "12", "--length", "32", "--seed", "7")
    person.see(r"done 12/12")
    person.press("n")
    person.see(r"seed 8", r"done 12/12")
    person.keys = 0
    person.press("U")
    person.see(r"runs - enter opens")
    person.press(ENTER)
    person.see(r"run 1, seed 7, read-only", r"done 12/12", r"seed 7")
    assert person.keys <= 3
