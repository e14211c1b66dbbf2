import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from remdm_tui.console.sanitize import sanitize
from remdm_tui.render.text_layout import LONGEST, TokenTexts, flow


@given(st.text())
def test_sanitized_text_has_no_character_that_acts(text):
    shown = sanitize(text, cells=True)
    assert all(c.isprintable() for c in shown)
    assert cell_len(shown) == sum(cell_len(c) for c in shown) >= len(shown) - shown.count("\0")
    assert len(shown) == len(text)


@given(st.text())
def test_ascii_mode_is_ascii(text):
    assert sanitize(text, cells=True, ascii_only=True).isascii()
    assert sanitize(text, cells=True, ascii_only=True).isprintable()


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [("\x1b[31m", "␛[31m"), ("a\u202eb", "a�b"), ("e\u0301", "e�"), ("\u200b", "�"), ("\n", "↵"), ("\x9b", "�")],
)
def test_what_acts_on_terminals_is_pictured(hostile, shown):
    assert sanitize(hostile, cells=True) == shown


def test_wide_characters_count_double():
    assert TokenTexts.of(["語"]).widths.tolist() == [2]


def test_a_long_token_is_cut():
    pieces = TokenTexts.of(["x" * 500])
    assert pieces.widths[0] == LONGEST
    assert pieces.texts[0].endswith("…")


def test_an_empty_token_is_visible():
    assert TokenTexts.of([""]).widths[0] == 1


@given(
    st.lists(st.tuples(st.integers(1, 12), st.booleans(), st.booleans()), max_size=80),
    st.integers(1, 40),
)
def test_rows_fit_and_hold_every_token_once(tokens, columns):
    widths = np.array([w for w, _, _ in tokens], dtype=np.int32)
    starts = np.array([s for _, s, _ in tokens], dtype=bool)
    breaks = np.array([b for _, _, b in tokens], dtype=bool)
    rows = flow([0, *np.cumsum(widths).tolist()], starts, breaks, columns)
    assert rows[0] == 0
    assert rows[-1] == len(tokens)
    assert (np.diff(rows) > 0).all()
    for first, last in itertools.pairwise(rows):
        assert widths[first:last].sum() <= columns or last == first + 1
        assert not breaks[first : last - 1].any()


def test_lines_break_between_words():
    pieces = TokenTexts.of([" beau", "ti", "ful", " day"])
    rows = flow([0, *np.cumsum(pieces.widths).tolist()], pieces.starts, pieces.breaks, 11)
    assert rows == [0, 3, 4]
