"""A model's grid on the screen: cells and lines, what is marked, and the puzzle that a person gives."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from rich.cells import cell_len
from typer.testing import CliRunner

from engine.models import checkpoint
from engine.models.grid import GridConfig, GridDIT
from engine.recording import Recording
from engine.records import Change, GridLayout
from engine.sudoku.rules import LAYOUT
from engine.training.tokenizers import alphabet_tokenizer
from remdm_tui.app import WatchApp
from remdm_tui.cli import app, watch
from remdm_tui.exports import ExportRequest
from remdm_tui.exports.scene import Scene
from remdm_tui.link.replay import ReplayLink, replay_options
from remdm_tui.render.canvas import marked_grid
from remdm_tui.render.grid_face import GridFace
from remdm_tui.render.palette import palette
from remdm_tui.render.text_layout import TokenTexts
from remdm_tui.render.text_lines import LEAST, Split
from remdm_tui.render.token_codes import CONFLICT, FRAME, WRONG, codes_of
from remdm_tui.render.typeset import HIDDEN, Canvas, Type
from remdm_tui.render.typeset_grid import typeset_grid
from remdm_tui.watch.run_recording import RunRecording
from remdm_tui.widgets.token_grid import TokenGrid
from tests.tui.grids import PUZZLE, SOLUTION, GridLink
from tests.tui.test_app import settle, text_of, watching
from tests.waiting import seen

TEXTS = TokenTexts.of([*"123456789", "[MASK]"])
TYPE = Type.of(TEXTS, {state: palette().looks[state].fill for state in HIDDEN})
FACE = GridFace(LAYOUT)


def canvas_of(text, clues=""):
    """A grid as text, with dots for masks; cells that `clues` fills are locked."""
    tokens = np.array([9 if c == "." else int(c) - 1 for c in text], np.int32)
    locked = np.array([c != "." for c in clues.ljust(len(text), ".")])
    change = np.where(locked, Change.LOCKED, np.where(tokens == 9, Change.MASKED, Change.HELD)).astype(np.uint8)
    return Canvas(tokens, change, np.ones(len(text), np.float32), tokens)


def page_of(canvas, face=FACE):
    return typeset_grid(canvas, codes_of(canvas, TEXTS, range(0), None), TYPE, face)


def lines_of(page):
    return ["".join(page.texts[a:b]) for a, b in zip(page.firsts, page.firsts[1:], strict=False)]


def grid_app(link=None, **options):
    return watching(link or GridLink(), **{"length": 81, "prompt": PUZZLE} | options)


def test_a_grid_has_its_boxes_and_its_clues():
    lines = lines_of(page_of(canvas_of(PUZZLE, PUZZLE)))
    assert lines[0] == "┌─────────┬─────────┬─────────┐"
    assert lines[1] == "│[5][3] ░ │ ░ [7] ░ │ ░  ░  ░ │"
    assert lines[4] == "├─────────┼─────────┼─────────┤"
    assert lines[-1] == "└─────────┴─────────┴─────────┘"
    assert len(lines) == FACE.height == 13


@pytest.mark.parametrize("layout", [LAYOUT, GridLayout(4, 6, 2, 3), GridLayout(5, 7, 2, 3), GridLayout(1, 1, 1, 1)])
@pytest.mark.parametrize("roomy", [False, True])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_every_line_fills_the_grid_and_every_token_has_a_cell(layout, roomy, ascii_only):
    face = GridFace(layout, roomy=roomy, indent=3, ascii_only=ascii_only)
    length = layout.cells - layout.cells // 3
    page = page_of(canvas_of(("123.56789" * 9)[:length]), face)
    assert {cell_len(line) for line in lines_of(page)} == {face.width + 3}
    assert len(page.keys) == len(page.used) == len(page.rows) - 1 == face.height
    assert page.rows == sorted(page.rows)
    assert (len(page.ends), page.rows[-1]) == (length + 1, length)
    # as TokenGrid looks them up: the row of a position holds it, behind the first of the row
    for position in range(length):
        line = int(np.searchsorted(page.rows, position, side="right")) - 1
        x = page.ends[position] - page.ends[page.rows[line]]
        assert page.rows[line] // layout.columns == position // layout.columns
        assert lines_of(page)[line][x : page.ends[position + 1] - page.ends[page.rows[line]]].strip(" |│[]")
    if ascii_only:
        assert all(c.isascii() or c == "░" for line in lines_of(page) for c in line)


def test_the_face_is_as_large_as_fits():
    assert FACE.fitting(81, 60, 30) == replace(FACE, roomy=True, indent=5)
    assert FACE.fitting(81, 60, 18) == replace(FACE, indent=14)
    assert FACE.fitting(81, 31, 5) == FACE
    assert FACE.fitting(81, 30, 30) is None
    assert FACE.fitting(82, 60, 30) is None


@pytest.mark.parametrize(("width", "height"), [(80, 33), (142, 50), (60, 30), (38, 11), (40, 19), (20, 6)])
def test_grid_and_map_share_a_pane_without_one_covering_the_other(width, height):
    split = Split.around(FACE, width, height)
    face = FACE.fitting(81, split.width - 1, split.height)
    assert split.width <= width
    assert split.height <= height
    if split.beside:
        assert width - split.width - 1 >= LEAST[0]
        assert face is not None
        assert face.width == split.width - 1
    elif split.height < height:
        assert face is not None
        assert face.height == split.height


def test_what_repeats_and_what_differs_is_marked_beside_its_token():
    text = list(SOLUTION)
    text[2], text[80] = "5", "8"
    canvas = marked_grid(canvas_of("".join(text), PUZZLE), LAYOUT, np.array([int(c) - 1 for c in SOLUTION]))
    page = page_of(canvas)
    lines = lines_of(page)
    assert lines[1] == "│!5][3]!5≠│ 6 [7] 8 │ 9  1  2 │"
    codes = dict(zip(page.texts, page.codes, strict=True))
    assert (codes["!"], codes["≠"]) == (CONFLICT, WRONG)
    assert all(code == FRAME for text, code in zip(page.texts, page.codes, strict=True) if "│" in text)
    assert "8≠" in lines[-2]
    plain = lines_of(page_of(canvas, replace(FACE, ascii_only=True)))
    assert plain[1] == "|!5][3]!5#| 6 [7] 8 | 9  1  2 |"


async def test_a_grid_is_drawn_as_one_and_clicked_as_one():
    async with grid_app().run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert "│[5][3] ░ │ ░ [7] ░ │ ░  ░  ░ │" in text_of(pilot.app)
        grid, side = pilot.app.query_one(TokenGrid), pilot.app.main.panes.active_map
        assert side.region.x > grid.region.x
        assert side.region.y == grid.region.y
        await pilot.click(TokenGrid, offset=(5, 2))
        at = pilot.app.watching.debug.inspector.at
        assert at == 10
        await pilot.press("ctrl+down", "ctrl+down")
        assert pilot.app.watching.debug.inspector.at == 28
        await pilot.press("ctrl+up", "right_parenthesis")
        assert pilot.app.watching.debug.inspector.at == 20
        await pilot.press("escape")
        # a line between two boxes is no token
        await pilot.click(TokenGrid, offset=(5, 4))
        assert pilot.app.watching.debug.inspector.at is None


async def test_cells_that_are_wrong_are_marked_on_a_key_and_no_longer_on_the_next():
    pytest.importorskip("pycryptosat")
    async with grid_app().run_test(size=(80, 24)) as pilot:
        app = pilot.app
        await settle(pilot)
        await pilot.press(*["right"] * 20)
        await settle(pilot)
        assert "≠" not in text_of(app)
        assert "!" in text_of(app)
        await pilot.press("X")
        await settle(pilot)
        marked = text_of(app).count("≠")
        trace = app.watching.trace
        filled = (trace.change(20, 0) != Change.LOCKED) & (trace.tokens(20, 0) != 9)
        wrong = filled & (trace.tokens(20, 0) != [int(c) - 1 for c in SOLUTION])
        assert marked == wrong.sum() > 0
        assert app.watching.notice.text == f"{wrong.sum()} of {filled.sum()} filled cells wrong"
        assert "≠" in app.main.text.border_subtitle
        await pilot.press("X")
        await settle(pilot)
        assert "≠" not in text_of(app) + app.main.text.border_subtitle


@pytest.mark.parametrize(
    ("prompt", "sentence"),
    [
        ("", "No clue is locked, so the grid has many solutions"),
        ("5" + "." * 80, "The puzzle has several solutions: row 1, column"),
        ("12345678" + "." * 9 + "9", "The puzzle has no solution"),
        ("55" + "." * 79, "The locked cells conflict, so the grid has no solution"),
    ],
)
async def test_clues_without_an_only_solution_are_told(prompt, sentence):
    pytest.importorskip("pycryptosat")
    async with grid_app(prompt=prompt).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("X")
        assert pilot.app.watching.notice.text.startswith(sentence)
        assert not pilot.app.watching.debug.solution.wanted


async def test_text_has_no_solution():
    async with watching().run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("X")
        assert pilot.app.watching.notice.text == "Only a Sudoku has a solution to compare with"


async def test_a_replay_shows_the_same_grid(tmp_path):
    async with grid_app(record=tmp_path / "run").run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press(*["right"] * 12)
        await settle(pilot)
        live = text_of(pilot.app)
    recording = Recording.open(tmp_path / "run")
    assert recording.header.model.layout == LAYOUT
    app = WatchApp(
        replay_options(recording), lambda: ReplayLink(recording),
        recording=RunRecording(recording=recording),
    )  # fmt: skip
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("end")
        await settle(pilot)
        assert text_of(app) == live
        assert "┌─────────┬" in live
    lines = Scene.of(ExportRequest(recording, tmp_path / "picture.svg")).text(12)
    assert [cell_len("".join(text for text, _ in line)) for line in lines] == [31] * 13
    assert all("".join(text for text, _ in line) in live for line in lines)
    recording.close()


async def test_panes_show_a_grid_each():
    async with grid_app().run_test(size=(160, 45)) as pilot:
        await settle(pilot)
        await pilot.press(*["right"] * 4, "f", "c")
        await settle(pilot)
        panes = pilot.app.main.panes
        for number in panes.arrangement.shown:
            grid = panes.grids[number]
            assert any("┌─" in grid.render_line(y).text for y in range(grid.size.height))


def test_a_person_gives_a_puzzle_to_a_model_of_files(terminal, tmp_path):
    shape = GridConfig(vocab_size=10, hidden_size=16, n_heads=2, n_blocks=1, length=81, mask_id=9)
    tokenizer = alphabet_tokenizer("123456789").to_str()
    checkpoint.export_model(GridDIT(shape), tokenizer, tmp_path / "model", torch.float32, kind="grid")
    (tmp_path / "puzzle").write_text("53.......\n" + ".........\n" * 8)
    person = terminal("watch", "--model", str(tmp_path / "model"), "--puzzle", str(tmp_path / "puzzle"), "--paused")
    person.wait(lambda s: "│[5][3] ░ │" in s and "several solutions: row" in s)
    person.press("q")
    assert person.exit_code() == 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--puzzle", PUZZLE[1:]], "--puzzle: a puzzle has 81 cells, not 80"),
        (["--puzzle", PUZZLE, "--prompt", "sea"], "--puzzle is the prompt: leave out --prompt"),
    ],
)
def test_a_wrong_puzzle_is_refused_before_anything_is_loaded(options, sentence, monkeypatch):
    monkeypatch.setattr(watch, "has_terminal", lambda: True)
    found = CliRunner().invoke(app, ["watch", *options])
    assert found.exit_code == 2
    assert sentence in found.output


async def test_a_puzzle_takes_a_model_of_grids():
    async with watching(puzzle=True).run_test(size=(80, 24)) as pilot:
        await seen(pilot, lambda app: app.watching.state.over)
        assert "cannot solve a Sudoku" in pilot.app.watching.failure
    async with grid_app(puzzle=True).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert "│[5][3] ░ │" in text_of(pilot.app)
