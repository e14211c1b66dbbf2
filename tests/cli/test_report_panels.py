"""What a report draws: places, bounds, Pareto fronts, ticks."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remdm_tui.reports.canvas import HEIGHT, draw_panel
from remdm_tui.reports.collect import collect
from remdm_tui.reports.looks import looks
from remdm_tui.reports.panels import AXES, Value, combined, front, panels
from remdm_tui.reports.plots import pictures, spread_apart
from remdm_tui.reports.records import Group
from remdm_tui.reports.scales import Scale, scale, ticks
from remdm_tui.reports.tables import detail, overview
from tests.cli.evaluations import results, sweep, write


@pytest.mark.filterwarnings("error")
def test_a_legend_of_many_series_has_room_below_the_panels(tmp_path: Path) -> None:
    drawn = panels(group_of(sweep(tmp_path)), AXES["calls"])[:1]
    (few, _), (many, _) = (_size(pictures(drawn, looks(n), [f"series {i}" for i in range(n)])["png"]) for n in (2, 32))
    assert many > few + 16 * 20


def _size(png: bytes) -> tuple[int, int]:
    """Return height and width in pixels."""
    return int.from_bytes(png[20:24]), int.from_bytes(png[16:20])


def group_of(root: Path) -> Group:
    (group,) = collect([root]).groups
    return group


points = st.lists(st.tuples(st.integers(1, 6).map(float), st.integers(0, 6).map(float)), min_size=1, max_size=12)


@given(points, st.sampled_from(["lower", "higher"]))
def test_the_front_is_what_no_other_point_dominates(found: list[tuple[float, float]], better: str) -> None:
    sign = 1 if better == "lower" else -1

    def beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
        return one != other and one[0] <= other[0] and sign * one[1] <= sign * other[1]

    slow = {p for p in found if not any(beats(other, p) for other in found)}
    assert front(found, better) == slow  # type: ignore[arg-type]


def test_gen_ppl_is_never_drawn_without_entropy(tmp_path: Path) -> None:
    group = group_of(sweep(tmp_path))
    for axis in AXES.values():
        assert [panel.quantity.key for panel in panels(group, axis)] == ["gen_ppl", "entropy", "mauve"]


def test_what_was_not_measured_has_no_panel(tmp_path: Path) -> None:
    for n in (128, 256):
        write(tmp_path / str(n), results(steps=n, mauve=None))
    assert [panel.quantity.key for panel in panels(group_of(tmp_path), AXES["steps"])] == ["gen_ppl", "entropy"]


def test_a_setting_alone_is_not_drawn(tmp_path: Path) -> None:
    write(tmp_path / "a", results())
    assert panels(group_of(tmp_path), AXES["calls"]) == ()


def test_only_costs_have_a_front(tmp_path: Path) -> None:
    group = group_of(sweep(tmp_path))
    marked = {
        (axis.key, panel.quantity.key)
        for axis in AXES.values()
        for panel in panels(group, axis)
        if any(dot.front for line in panel.lines for dot in line.dots)
    }
    assert marked == {(cost, quality) for cost in ("calls", "seconds") for quality in ("gen_ppl", "mauve")}


def test_one_seed_keeps_its_interval_and_several_have_their_range() -> None:
    assert combined([Value(2.0, 1.0, 4.0)]) == Value(2.0, 1.0, 4.0)
    assert combined([Value(2.0, 0.0, 9.0), Value(4.0, 0.0, 9.0)]) == Value(3.0, 2.0, 4.0)


def test_a_setting_with_several_seeds_has_a_row_for_each_and_one_for_their_mean(tmp_path: Path) -> None:
    for seed, perplexity in ((1, 40.0), (2, 42.0)):
        write(tmp_path / str(seed), results(seed=seed, perplexity=perplexity))
    group = group_of(tmp_path)
    rows = detail(group.series[0], group).rows
    assert [row[1].text for row in rows] == ["1", "2", "mean"]
    assert rows[-1][3].whole == "41.0 ±1.41"


def test_the_overview_has_a_row_for_each_series_and_a_column_for_each_number_of_steps(tmp_path: Path) -> None:
    sweep(tmp_path, ("mdlm", "dfm"), (128, 256))
    write(tmp_path / "more", results("dfm", 512))
    tables = overview(group_of(tmp_path))
    assert [table.title for table in tables] == ["gen PPL", "entropy", "MAUVE"]
    assert [column.title for column in tables[0].columns] == ["series", "T=128", "T=256", "T=512"]
    assert [[cell.text for cell in row] for row in tables[1].rows] == [
        ["dfm", "5.510", "5.440", "5.370"], ["mdlm", "5.510", "5.500", "–"],
    ]  # fmt: skip


@given(
    st.floats(1e-3, 1e4), st.floats(1.001, 1e4), st.booleans(), st.integers(3, 9)
)  # fmt: skip
def test_ticks_lie_in_the_scale_and_are_not_too_many(low: float, ratio: float, logarithmic: bool, most: int) -> None:
    span = Scale(low, low * ratio, logarithmic)
    found = ticks(span, most)
    assert len(found) <= most
    assert found == sorted(set(found))
    assert all(-1e-9 <= span(v) <= 1 + 1e-9 for v in found)


@given(st.lists(st.floats(0.1, 1e6), min_size=1, max_size=5), st.booleans())
def test_a_scale_puts_every_value_inside(values: list[float], logarithmic: bool) -> None:
    span = scale(values, logarithmic)
    assert all(0 < span(v) < 1 for v in values)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=8))
def test_names_are_moved_a_gap_apart_and_stay_in_order(places: list[float]) -> None:
    moved = spread_apart(sorted(places), 10.0, 0.0, 200.0)
    assert all(later - earlier >= 10 - 1e-6 for earlier, later in pairwise(moved))
    assert all(-1e-6 <= place <= 200 + 1e-6 for place in moved)


def test_names_that_have_room_stay_where_they_are() -> None:
    assert spread_apart([0.0, 50.0, 100.0], 10.0, 0.0, 100.0) == [0.0, 50.0, 100.0]


def test_looks_differ_in_more_than_colour() -> None:
    found = looks(40)
    assert len({(look.marker, look.dashes) for look in found}) == 40
    assert len({look.letter for look in found}) == 40


@pytest.mark.parametrize("ground", ["light", "dark"])
def test_colours_have_a_contrast_of_three_to_one_with_their_ground(ground: str) -> None:
    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear))

    other = luminance({"light": "#fdfdfc", "dark": "#15161a"}[ground])
    for look in looks(7):
        own = luminance(getattr(look, ground))
        assert (max(own, other) + 0.05) / (min(own, other) + 0.05) >= 3


def test_a_letter_is_where_its_setting_is(tmp_path: Path) -> None:
    for n in (128, 256, 512):
        write(tmp_path / str(n), results(steps=n, perplexity=100 / n))
    lines = draw_panel(panels(group_of(tmp_path), AXES["steps"])[0], looks(1), 60).plain.split("\n")
    assert len(lines) == HEIGHT + 4
    assert {len(line) for line in lines} == {60}
    places = [(row, column) for row, line in enumerate(lines[1:-3]) for column, c in enumerate(line) if c == "A"]
    assert [row for row, _ in places] == sorted(row for row, _ in places)
    gaps = [later - earlier for (_, earlier), (_, later) in pairwise(places)]
    assert len(places) == 3
    assert math.isclose(*gaps, abs_tol=1)
    numbers = lines[-2]
    for (_, column), label in zip(places, ("128", "256", "512")):
        assert abs(numbers.index(label) + 1 - column) <= 1
