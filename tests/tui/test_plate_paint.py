"""The map in characters: what stands in a cell can be told by colour, and without it by the sign."""

from __future__ import annotations

import numpy as np
import pytest

from remdm_tui.render import plate_paint as paint
from remdm_tui.render.plate import State
from remdm_tui.render.plate_modes import LEVEL, LOST, MODES

G = paint.GROUND
KEPT = paint.PROMPT - 1


def colour(state: State, share: float) -> int:
    worst, shares = np.array([[state]], np.uint8), np.array([[share]], np.float32)
    return int(paint.colours_of(worst, shares, MODES["state"])[0, 0])


def drawn(marks: paint.Marks, colours: list[list[int]]) -> tuple[list[str], list[list[int]], list[list[int]]]:
    made = marks.paint(np.array(colours, np.uint8))
    return ["".join(map(chr, row)) for row in made.signs.tolist()], made.front.tolist(), made.back.tolist()


def test_the_ground_blends_from_masked_to_kept_and_events_are_on_it() -> None:
    shades = [colour(State.KEPT if share else State.MASKED, share) for share in np.linspace(0, 1, 50)]
    assert shades == sorted(shades)
    assert (shades[0], shades[-1]) == (G, KEPT)
    # neither end is taken by what is not quite there
    assert colour(State.KEPT, 0.001) > G
    assert colour(State.KEPT, 0.999) < KEPT
    assert colour(State.UNREAD, np.nan) == paint.NONE
    assert colour(State.LOCKED, 1) == paint.PROMPT
    assert colour(State.LOCKED, 0.5) < KEPT
    assert colour(State.REVEALED, 0.3) == paint.REVEALED
    assert colour(State.EDITED, 0.3) == paint.EDITED
    assert colour(State.REMASKED, 0.3) == paint.REMASKED


def test_a_scale_has_the_texts_colours() -> None:
    worst = np.array([[0, 1, LEVEL, LEVEL + 5, LOST]], np.uint8)
    share = np.zeros((1, 5), np.float32)
    bright, dark = paint.SCALE + 5, paint.SCALE
    unsure = paint.colours_of(worst, share, MODES["confidence"])
    assert unsure.tolist() == [[paint.NONE, G, bright, dark, paint.REMASKED]]
    young = paint.colours_of(worst, share, MODES["age"])
    assert young[0, 2:4].tolist() == [dark, bright]


def test_half_blocks_show_two_positions_each_in_its_own_colour() -> None:
    signs, front, back = drawn(paint.HALF, [[G, G, 0, 5], [G, 9, 5, 0]])
    assert signs == [" ▀▄▀"]
    assert back == [[G, 9, 0, 0]]
    assert front[0][1:] == [G, 5, 5]


def test_quadrants_show_where_the_event_is() -> None:
    new, lost = paint.REVEALED, paint.REMASKED
    signs, front, back = drawn(paint.QUADRANT, [[G, new, lost, G, lost, new], [G, G, G, new, lost, lost]])
    assert signs == ["▝▚ "]
    assert front[0][:2] == [new, lost]
    assert back[0] == [G, G, lost]


def test_braille_shows_events_as_dots_on_the_shade_of_the_whole_cell() -> None:
    new = paint.REVEALED
    signs, front, back = drawn(paint.BRAILLE, [[G, new], [G, G], [KEPT, G], [G, new]])
    assert signs == [chr(0x2800 + 0x08 + 0x80)]
    assert (front, back) == ([[new]], [[G]])
    signs, _, back = drawn(paint.BRAILLE, [[KEPT, KEPT]] * 4)
    assert (signs, back) == ([" "], [[KEPT]])


@pytest.mark.parametrize("marks", [paint.ASCII, paint.SIGNS], ids=["ascii", "signs"])
def test_without_colour_every_state_has_its_own_sign(marks: paint.Marks) -> None:
    states = [paint.NONE, G, G + 3, KEPT, paint.PROMPT, paint.REVEALED, paint.EDITED, paint.REMASKED]
    (signs,), _, _ = drawn(marks, [states])
    assert len(set(signs)) == len(states)
    assert marks is paint.SIGNS or signs.isascii()
    levels = list(range(paint.SCALE, paint.COLOURS))
    (signs,), _, _ = drawn(marks, [levels])
    assert signs == "123456"


@pytest.mark.parametrize("marks", [*paint.BLOCKS, paint.ASCII, paint.SIGNS], ids=lambda marks: marks.name)
def test_a_mark_lies_on_the_whole_of_a_cell_or_on_one_of_its_positions(marks: paint.Marks) -> None:
    rng = np.random.default_rng(1)
    plain = rng.integers(0, paint.COLOURS, (4 * marks.rows, 6 * marks.columns)).astype(np.uint8)
    there = plain.copy()
    there[:, 2 * marks.columns : 3 * marks.columns] += paint.MARKED
    one, other = marks.paint(plain), marks.paint(there)
    signs = other.signs != one.signs
    assert not signs.any()
    colours = np.maximum(other.front, other.back) >= paint.MARKED
    assert colours[:, 2].all()
    assert not np.delete(colours, 2, axis=1).any()


@pytest.mark.parametrize("dark", [True, False])
def test_every_colour_differs_from_the_page_and_from_its_mark(dark: bool) -> None:
    page = (0x12, 0x12, 0x14) if dark else (0xFF, 0xFF, 0xFF)
    table = paint.colour_table(dark, page)
    plain, marked = table[: paint.COLOURS], table[paint.MARKED :]
    assert len(marked) == paint.COLOURS <= paint.MARKED
    assert all(one != other for one, other in zip(plain, marked, strict=True))
    states = plain[: paint.SCALE]
    assert len(set(states)) == len(states)
