"""The part of the map that is on screen: every cell shows what it says, and zoom and pan stay inside the run."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from remdm_tui.render import viewport
from remdm_tui.render.viewport import Viewport, cells_at, cells_of, edges, item_at, pan, place_at, resized, reveal, zoom


@st.composite
def views(draw: st.DrawFn) -> Viewport:
    positions, steps = draw(st.integers(1, 300)), draw(st.integers(1, 600))
    view = Viewport.whole(positions, steps)
    for by in draw(st.lists(st.sampled_from([0.5, 2.0, 3.0]), max_size=4)):
        view = zoom(view, by, draw(st.integers(0, positions - 1)), draw(st.integers(0, steps - 1)))
    return view


def inside(view: Viewport) -> bool:
    rows = view.top >= 0 and view.rows >= 1 and view.top + view.rows <= view.positions
    return rows and view.left >= 0 and view.columns >= 1 and view.left + view.columns <= view.steps


@given(st.integers(0, 50), st.integers(1, 90), st.integers(1, 90))
def test_every_item_is_in_the_cells_that_show_it_and_in_no_other(first: int, count: int, cells: int) -> None:
    begins = edges(first, count, cells).tolist()
    ends = [max(begin + 1, following) for begin, following in zip(begins, [*begins[1:], first + count], strict=True)]
    for item in range(first, first + count):
        slow = [cell for cell in range(cells) if begins[cell] <= item < ends[cell]]
        assert list(cells_of(first, count, cells, item)) == slow
        assert slow
    assert not cells_of(first, count, cells, first - 1)
    assert not cells_of(first, count, cells, first + count)
    assert [item_at(first, count, cells, cell) for cell in range(cells)] == begins


@given(views(), st.sampled_from([0.25, 0.5, 2.0, 5.0]), st.data())
def test_a_zoom_keeps_its_place_on_screen_and_stays_in_the_run(view: Viewport, by: float, data: st.DataObject) -> None:
    position = data.draw(st.integers(view.top, view.top + view.rows - 1))
    step = data.draw(st.integers(view.left, view.left + view.columns - 1))
    closer = zoom(view, by, position, step)
    assert inside(closer)
    assert (position, step) in closer
    assert closer.rows <= view.rows if by > 1 else closer.rows >= view.rows


@given(views(), st.integers(-400, 400), st.integers(-700, 700))
def test_pan_moves_and_stays_in_the_run(view: Viewport, rows: int, columns: int) -> None:
    moved = pan(view, rows, columns)
    assert inside(moved)
    assert (moved.rows, moved.columns) == (view.rows, view.columns)


@given(views(), st.data())
def test_reveal_shows_a_place_and_moves_no_more_than_it_must(view: Viewport, data: st.DataObject) -> None:
    position, step = data.draw(st.integers(0, view.positions - 1)), data.draw(st.integers(0, view.steps - 1))
    moved = reveal(view, position, step)
    assert inside(moved)
    assert (position, step) in moved
    assert moved == view or (position, step) not in view


@given(views(), st.integers(1, 300), st.integers(1, 600))
def test_a_view_of_everything_stays_one_when_the_run_grows(view: Viewport, positions: int, steps: int) -> None:
    other = resized(view, positions, steps)
    assert inside(other)
    assert not view.is_whole or other.is_whole
    assert view.columns < view.steps or other.columns == steps


@given(views(), st.integers(1, 60), st.integers(1, 60), st.data())
def test_a_cell_leads_to_a_place_that_it_shows(view: Viewport, rows: int, columns: int, data: st.DataObject) -> None:
    y, x = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, columns - 1))
    position, step = place_at(view, (rows, columns), y, x)
    ys, xs = cells_at(view, (rows, columns), position, step)
    assert y in ys
    assert x in xs


def test_the_closest_zoom_still_shows_a_few_positions_and_steps() -> None:
    view = Viewport.whole(128, 257)
    for _ in range(12):
        view = zoom(view, 2, 5, 250)
    assert (view.rows, view.columns) == viewport.CLOSEST
    assert view.factor > 30
    assert zoom(Viewport.whole(2, 3), 2, 0, 0) == Viewport.whole(2, 3)
