"""Presets with rows: what each is, and the grid that they make."""

from __future__ import annotations

import pytest

from engine.models.catalogue import BUILT_IN
from engine.strategies import REGISTRY, catalogue, make_strategy, values
from remdm_tui.settings import presets
from remdm_tui.settings.run_arguments import RunArguments
from remdm_tui.settings.sweeps import grid

TABLE = presets.read_preset("mini-table")


def made(*sweep: str, **chosen: object) -> dict[str, RunArguments]:
    return {cell.name: cell.arguments for cell in grid(RunArguments(preset="mini-table", **chosen), sweep, catalogue())}


@pytest.mark.parametrize("name", TABLE.rows)
def test_a_row_is_a_preset_that_holds_only_what_differs(name: str) -> None:
    row = presets.read_preset(f"mini-table/{name}")
    assert row.rows == {}
    assert (row.count, row.judge) == (TABLE.count, TABLE.judge)
    standard = values(make_strategy(row.strategy))
    assert [knob for knob, value in row.knobs.items() if standard[knob] == value] == []


def test_every_row_goes_over_the_presets_axes_but_those_that_it_does_without() -> None:
    cells = made()
    assert len(cells) == 1 + 8 * 6
    assert cells["ar"].options().model.name == "demo-ar"
    assert cells["sedd,steps=32"].options().model.name == "demo-sedd"
    found = cells["remdm-cap,steps=512"].options()
    assert (found.settings.strategy, found.settings.knobs["eta"], found.steps) == ("remdm-cap", 0.04, 512)


def test_an_axis_that_is_typed_goes_before_the_presets() -> None:
    cells = made("row=ar,dfm", "steps=4,8", "seed=1,2")
    assert list(cells) == [
        "ar,seed=1", "ar,seed=2",
        "dfm,steps=4,seed=1", "dfm,steps=4,seed=2", "dfm,steps=8,seed=1", "dfm,steps=8,seed=2",
    ]  # fmt: skip


def test_an_option_goes_before_the_presets_axis() -> None:
    assert list(made("row=dfm", steps=12)) == ["dfm"]


def test_one_row_can_be_named_and_is_swept_too() -> None:
    found = grid(RunArguments(preset="mini-table/dfm"), (), catalogue())
    assert [cell.name for cell in found] == [f"steps={n}" for n in (32, 64, 128, 256, 512, 1024)]


def test_what_a_row_lacks_is_reported_with_the_rows_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    others = {name: summary for name, summary in BUILT_IN.items() if name != "demo-sedd"}
    monkeypatch.setattr(
        "engine.models.catalogue.BUILT_IN", others
    )  # Not an item taken out, which would come back last.
    with pytest.raises(ValueError, match=r"row sedd: unknown model 'demo-sedd'.*without this row: --sweep row=ar,mdlm"):
        made()


@pytest.mark.parametrize(
    ("chosen", "sweep", "sentence"),
    [
        ("mini-table", ("row=nope",), "there is no row 'nope': choose one of ar, mdlm"),
        ("mini-table/nope", (), "preset mini-table: there is no row 'nope'"),
        ("owt-mdlm", ("row=ar",), "cannot sweep over 'row'"),
        ("owt-mdlm", ("preset=owt-dfm",), "presets are swept over or given by --preset: leave one out"),
        ("owt-mdlm/ar", (), "there is no row 'ar': choose one of none"),
    ],
)
def test_a_row_that_is_none_is_refused(chosen: str, sweep: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        grid(RunArguments(preset=chosen), sweep, catalogue())


def test_presets_are_swept_over_with_their_rows_and_axes() -> None:
    found = grid(RunArguments(), ("preset=mini-table,zoo", "row=dfm", "steps=4,8"), catalogue())
    assert [cell.name for cell in found] == [
        "mini-table,dfm,steps=4", "mini-table,dfm,steps=8", "zoo,dfm,steps=4", "zoo,dfm,steps=8",
    ]  # fmt: skip


def test_the_zoo_has_a_row_for_every_strategy() -> None:
    rows = presets.read_preset("zoo").rows
    assert list(rows) == list(REGISTRY)
    found = {name: presets.read_preset(f"zoo/{name}").strategy for name in rows}
    assert found == {name: name for name in REGISTRY}
