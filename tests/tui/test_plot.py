import itertools

import numpy as np
import pytest

from engine.records import Change
from remdm_tui.render.palette import palette
from remdm_tui.render.plot import ascii_rows, bars, characters, dots


def test_a_rising_curve_rises():
    rows = characters(dots(np.linspace(0, 1, 100), 100, 1.0, 10, 2))
    assert rows[0].strip()
    assert rows[0].startswith(" ")
    assert rows[1].endswith(" ")


def test_half_a_run_fills_half_the_width():
    rows = characters(dots(np.ones(50), 100, 1.0, 10, 1))
    assert rows[0][:5].strip() == rows[0][:5]
    assert not rows[0][5:].strip()


def test_missing_values_are_left_out():
    assert not dots(np.full(5, np.nan), 5, 1.0, 5, 1).any()


def test_ascii_curves_are_ascii():
    layer = dots(np.linspace(0, 1, 9), 9, 1.0, 9, 3)
    assert all(row.isascii() for row in ascii_rows([layer, layer], ".*"))


@pytest.mark.parametrize("plain", [False, True])
def test_bars_keep_the_largest_value_of_a_column(plain):
    line = bars(np.array([0, 0, 9, 0, 1.0]), 5, 5, plain)
    assert [c == " " for c in line] == [True, True, False, True, False]
    assert bars(np.array([0, 9.0, 0, 0]), 4, 2, plain)[0] == bars(np.array([9.0]), 1, 1, plain)


@pytest.mark.parametrize("dark", [True, False])
@pytest.mark.parametrize("plain", [True, False])
def test_states_differ_without_colour(dark, plain):
    looks = palette(dark, plain).looks
    assert set(looks) == {int(state) for state in Change}
    cues = [(look.fill, look.style.without_color) for look in looks.values()]
    assert all(a != b for a, b in itertools.combinations(cues, 2))


@pytest.mark.parametrize("dark", [True, False])
def test_changed_tokens_stay_apart_for_colour_blind_vision(dark):
    looks = palette(dark).looks
    new = np.array(looks[Change.REVEALED].style.bgcolor.triplet, float)
    gone = np.array(looks[Change.REMASKED].style.bgcolor.triplet, float)
    # Viénot 1999: red and green collapse to their luminance mix; what is left must still differ
    weights = np.array([0.2126, 0.7152, 0.0722])
    assert abs(new[2] - gone[2]) + abs(weights @ (new - gone)) > 60
