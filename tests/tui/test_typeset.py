"""From tokens to lines of runs."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from engine.records import Change
from remdm_tui.render.text_layout import LONGEST, MASK_WIDTH, TokenTexts
from remdm_tui.render.typeset import HIDDEN, Canvas, Type, typeset

PIECES = TokenTexts.of([" a", " word", "ing", ",", "\n", " 語", " extraordinary"])
TYPE = Type.of(PIECES, {int(Change.MASKED): "░", int(Change.REMASKED): "╳"})


def word(token: int, state: int, before: int) -> str:
    """One token as a person would draw it."""
    if state not in HIDDEN:
        return PIECES.texts[token]
    width = MASK_WIDTH if state == Change.MASKED else int(PIECES.widths[before])
    glyph = "░" if state == Change.MASKED else "╳"
    return " " + glyph * (width - 1) if width > 1 else glyph


@given(
    st.lists(st.tuples(st.integers(0, 6), st.sampled_from(list(Change)), st.integers(0, 6)), min_size=1, max_size=60),
    st.integers(4, 30),
)
def test_every_token_is_set_once_in_its_state_and_lines_are_as_long_as_they_say(tokens, columns):
    ids, states, before = (np.array(column) for column in zip(*tokens, strict=True))
    canvas = Canvas(ids.astype(np.int32), states.astype(np.uint8), np.zeros(len(ids), np.float32), before)
    page = typeset(canvas, canvas.change, TYPE, columns)
    words = [word(*map(int, one)) for one in zip(ids, states, before, strict=True)]
    assert "".join(page.texts) == "".join(words)
    drawn = [code for text, code in zip(page.texts, page.codes, strict=True) for _ in text]
    assert drawn == [int(state) for text, state in zip(words, states, strict=True) for _ in text]
    for line, (first, last) in enumerate(pairwise(page.firsts)):
        assert sum(map(cell_len, page.texts[first:last])) == page.used[line]
        assert all(a != b for a, b in pairwise(page.codes[first:last]))


def test_a_line_is_distinguished_from_another_by_what_is_drawn_in_it():
    held = np.full(4, Change.HELD, np.uint8)
    masked = np.full(4, Change.MASKED, np.uint8)
    tokens = np.array([1, 2, 0, 3], np.int32)
    keys = [
        typeset(Canvas(t, c, np.zeros(4, np.float32), tokens), c, TYPE, 80).keys
        for t, c in ((tokens, held), (tokens[::-1].copy(), held), (tokens, masked), (tokens[::-1].copy(), masked))
    ]
    assert keys[0] != keys[1]
    assert keys[0] != keys[2]
    assert keys[2] == keys[3], "a mask is a mask, whatever it hides"


def test_a_character_of_several_tokens_is_whole_at_the_first_until_one_is_masked():
    data = "中".encode()
    pieces = TokenTexts.of((" a", "\ufffd", "\ufffd", "[MASK]"), False, {1: data[:1], 2: data[1:]})
    type_ = Type.of(pieces, {int(Change.MASKED): "░", int(Change.REMASKED): "╳"})

    def shown(*tokens):
        ids = np.array(tokens, np.int32)
        change = np.where(ids == 3, Change.MASKED, Change.HELD).astype(np.uint8)
        return typeset(Canvas(ids, change, np.ones(len(ids), np.float32), ids), change, type_, 40)

    whole = shown(0, 1, 2, 0)
    assert (whole.texts, whole.ends) == ([" a中< a"], [0, 2, 4, 5, 7])
    assert shown(0, 1, 3).texts == [" a\ufffd", " ░░░"]


def test_a_remasked_part_keeps_the_width_of_its_whole_character():
    data = "中".encode()
    pieces = TokenTexts.of(("a", "\ufffd", "\ufffd", "[MASK]"), False, {1: data[:1], 2: data[1:]})
    type_ = Type.of(pieces, {int(Change.MASKED): "░", int(Change.REMASKED): "╳"})
    before, now = np.array([1, 2, 0], np.int32), np.array([3, 3, 0], np.int32)
    change = np.array([Change.REMASKED, Change.REMASKED, Change.HELD], np.uint8)
    page = typeset(Canvas(now, change, np.ones(3, np.float32), before), change, type_, 40)
    assert page.ends == [0, 2, 3, 4]


def test_a_long_text_of_parts_is_cut_as_a_token_is():
    pieces = TokenTexts.of(("\ufffd", "\ufffd"), False, {0: b"x" * 60 + b"\xe4", 1: b"\xb8\xad"})
    type_ = Type.of(pieces, {})
    place, width = type_.character("x" * 60 + "中")
    assert width <= LONGEST
    assert type_.texts[place].endswith("…")
