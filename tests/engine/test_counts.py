"""A count is read aloud: the word follows its number."""

import pytest

from engine.debug.breakpoints import parse_condition
from engine.text.counts import counted


@pytest.mark.parametrize(
    ("number", "more", "words"),
    [
        (0, {}, "0 calls"), (1, {}, "1 call"), (2, {}, "2 calls"), (1.0, {"form": ".4g"}, "1 call"),
        (0.5, {"form": ".4g"}, "0.5 calls"), (2000, {"form": ","}, "2,000 calls"),
        (1, {"plural": "calls of all"}, "1 call"), (3, {"plural": "calls of all"}, "3 calls of all"),
    ],
)  # fmt: skip
def test_a_word_follows_its_number(number, more, words):
    assert counted(number, "call", **more) == words


@pytest.mark.parametrize("text", ["masked 1", "remasks 1", "step 1"])
def test_breakpoints_count_one(text):
    assert not [plural for plural in ("1 positions", "1 steps") if plural in parse_condition(text).sentence]
