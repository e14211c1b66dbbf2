"""The position inspector: the cursor, the search, the story and the network's opinion."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from rich.cells import cell_len
from textual.geometry import Offset
from textual.widgets import Input

from engine import wire
from engine.debug.findings import Ranked, TokenPrediction
from engine.debug.inspect import story
from engine.records import Change, ModelInfo
from remdm_tui.render.palette import palette
from remdm_tui.render.text_layout import TokenTexts
from remdm_tui.render.typeset import BLANK, Canvas, Type
from remdm_tui.watch.inspector import RankReader, StoryReader, find, matches, named_parts, neighbour
from remdm_tui.widgets.inspector import story_text
from remdm_tui.widgets.token_grid import TokenGrid
from tests.engine.recordings import recorded
from tests.tui.scripted import ScriptedLink
from tests.tui.test_app import banner, settle, watching
from tests.waiting import seen

PIECES = ("The", " sea", " was", " calm", "_")


def panel(app):
    return str(app.main.text.inspector.render()) if app.main.text.inspector.display else ""


def marked(app):
    """The text of the cell under the cursor, as it is drawn."""
    grid = app.query_one(TokenGrid)
    return [s.text for y in range(grid.size.height) for s in grid.render_line(y) if s.style.reverse]


async def played(pilot, steps=20):
    await settle(pilot)
    for _ in range(steps):
        await pilot.press("right")
    await settle(pilot)


async def test_a_pane_that_was_just_opened_has_no_token_to_keep_in_sight():
    async with watching(ScriptedLink()).run_test(size=(120, 40)) as pilot:
        await played(pilot, 1)
        main = pilot.app.main
        main.text.look_at(19)
        main.panes.active._page = BLANK
        main.text.keep_in_sight(4)
        assert not main.panes.active.holds(0)
        assert main.panes.active.across(19, 1) == 19


async def test_a_click_looks_at_the_position_under_it_and_escape_no_more():
    link = ScriptedLink()
    async with watching(link).run_test(size=(120, 40)) as pilot:
        await played(pilot)
        await pilot.click(TokenGrid, offset=Offset(14, 2))
        await settle(pilot)
        at = pilot.app.watching.debug.inspector.at
        texts = {link.words[link.trace.tokens(20, 0)[at]].replace("\n", "↵")}
        assert len(marked(pilot.app)) == 1
        assert marked(pilot.app)[0] in texts | {" ░░░", *(" " + "╳" * n for n in range(9))}
        await seen(pilot, lambda app: "░" in marked(app)[0] or "revealed as" in panel(app))
        await pilot.press("escape")
        await seen(pilot, lambda app: not app.main.text.inspector.display and marked(app) == [])


async def test_the_cursor_moves_over_positions_and_lines():
    async with watching().run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        debug = pilot.app.watching.debug
        await pilot.press("v", "right_parenthesis", "right_parenthesis")
        assert debug.inspector.at == 2
        await pilot.press("ctrl+down")
        below = debug.inspector.at
        assert below > 10
        await pilot.press("ctrl+up", "left_parenthesis", "left_parenthesis", "left_parenthesis")
        assert debug.inspector.at == 0
        await settle(pilot)
        await pilot.press("v")
        assert debug.inspector.at is None


@pytest.mark.parametrize("x", range(0, 30, 3))
async def test_every_cell_belongs_to_the_token_that_is_drawn_there(x):
    grid = TokenGrid()
    tokens = np.array([0, 1, 2, 4, 3, 1], np.int32)
    change = np.array([1, 1, 1, 0, 2, 1], np.uint8)
    grid.use_pieces(TokenTexts.of(PIECES))
    grid._canvas = canvas = Canvas(tokens, change, np.ones(6, np.float32), tokens)
    from remdm_tui.render.typeset import typeset

    grid._page = typeset(canvas, change, grid._type, 80)
    line = "The" + " sea" + " was" + " ░░░" + " calm" + " sea"
    ends = [3, 7, 11, 15, 20, 24]
    assert len(line) == ends[-1]
    expected = next((i for i, end in enumerate(ends) if x < end), 5)
    assert grid._at(0, x) == expected


async def test_changes_of_a_position_are_gone_to_in_turn():
    link = ScriptedLink()
    async with watching(link, steps=40).run_test(size=(120, 40)) as pilot:
        await played(pilot, 40)
        app = pilot.app
        steps = {
            position: [s for s in range(1, 41) if link.trace.change(s, 0)[position] in (2, 3)] for position in range(64)
        }
        position = max(steps, key=lambda p: len(steps[p]))
        app.main.text.look_at(position)
        for step in reversed(steps[position]):
            at = app.watching.player.position
            await pilot.press("left_square_bracket")
            if step < at:
                assert app.watching.player.position == step
        await pilot.press("left_square_bracket")
        await seen(pilot, lambda app: "does not change before" in banner(app))
        await pilot.press("right_square_bracket")
        assert app.watching.player.position == steps[position][1]


async def test_a_text_is_searched_for_and_where_there_is_none_the_line_stays():
    link = ScriptedLink()
    async with watching(link).run_test(size=(120, 40)) as pilot:
        await played(pilot)
        await pilot.press("slash")
        await pilot.pause()
        await pilot.press(*"zebra", "enter")
        assert "does not occur" in str(pilot.app.screen.query_one(".error").render())
        pilot.app.screen.query_one(Input).value = "SEA"
        await pilot.press("enter")
        await settle(pilot)
        at = pilot.app.watching.debug.inspector.at
        assert link.words[link.trace.tokens(20, 0)[at]] == " sea"


def test_a_text_is_found_over_several_tokens_round_the_end_and_not_under_masks():
    tokens = np.array([0, 1, 2, 3, 1], np.int32)
    change = np.full(5, Change.HELD, np.uint8)
    assert find("sea was", tokens, change, PIECES, -1) == 1
    assert find("sea", tokens, change, PIECES, 1) == 4
    assert find("sea", tokens, change, PIECES, 4) == 1
    assert find("/^ s/", tokens, change, PIECES, 1) == 4
    change[[1, 4]] = Change.MASKED
    assert find("sea", tokens, change, PIECES, -1) is None
    with pytest.raises(ValueError, match="pattern"):
        find("/(/", tokens, change, PIECES, -1)


def footer(app):
    return {key.description for key in app.main.query("FooterKey")}


def yellow(app):
    """The cells that are drawn as matches of a search."""
    grid = app.query_one(TokenGrid)
    lines = [s for y in range(grid.size.height) for s in grid.render_line(y)]
    return sum(len(s.text) for s in lines if s.style.bold and s.style.italic)


async def test_matches_stay_marked_and_are_gone_through_until_escape():
    link = ScriptedLink()
    async with watching(link).run_test(size=(160, 40)) as pilot:
        await played(pilot, 32)
        app, debug = pilot.app, pilot.app.watching.debug
        tokens = link.trace.tokens(32, 0)
        sea = [i for i, token in enumerate(tokens) if link.words[token] == " sea"]
        assert len(sea) > 1
        await pilot.press("slash")
        await seen(pilot, lambda app: app.screen is not app.main and app.screen.query(Input))
        await pilot.press("space", *"sea", "enter")
        await seen(pilot, lambda app: app.screen is app.main and debug.inspector.at == sea[0])
        await seen(pilot, lambda app: banner(app) == f"match 1 of {len(sea)}: n next, N previous, esc ends the search")
        await seen(pilot, lambda app: yellow(app) == 4 * len(sea))
        await seen(pilot, lambda app: {"Next match", "Previous match", "End search"} <= footer(app))
        assert "Next seed" not in footer(app)
        await pilot.press("n")
        assert debug.inspector.at == sea[1]
        await pilot.press("N", "N")
        assert debug.inspector.at == sea[-1]
        app.main.text.panes.active.focus()
        await pilot.press("n")
        assert debug.inspector.at == sea[0]
        assert len(link.seeds) == 1
        app.main.set_focus(None)
        await pilot.press("escape")
        await seen(pilot, lambda app: yellow(app) == 0 and "Next seed" in footer(app))
        assert debug.inspector.at == sea[0]
        await pilot.press("n")
        await seen(pilot, lambda app: len(link.seeds) == 2)


async def test_a_search_that_finds_nothing_in_a_step_says_so():
    link = ScriptedLink()
    async with watching(link).run_test(size=(120, 40)) as pilot:
        await played(pilot, 32)
        pilot.app.main.text.finder.search("sea")
        await pilot.press("home", "n")
        await seen(pilot, lambda app: banner(app) == "'sea' does not occur in this step")
        assert len(link.seeds) == 1


def test_a_match_over_several_tokens_covers_all_of_them():
    tokens, change = np.array([0, 1, 2, 3, 1], np.int32), np.full(5, Change.HELD, np.uint8)
    found = matches("sea was", tokens, change, PIECES)
    assert found.starts == (1,)
    assert found.covered.tolist() == [False, True, True, False, False]
    assert matches("/sea/", tokens, change, PIECES).starts == (1, 4)
    assert not matches("", tokens, change, PIECES).covered.any()


async def test_the_networks_prediction_is_requested_once_and_shows_where_the_nucleus_ends():
    async with watching().run_test(size=(120, 40)) as pilot:
        await played(pilot, 4)
        await pilot.press("v", "o")
        await seen(pilot, lambda app: "entropy 1.25 nats" in panel(app))
        lines = panel(pilot.app).splitlines()
        cut = next(i for i, line in enumerate(lines) if "nucleus: 3" in line)
        assert [float(lines[i].split('"')[2].split()[0]) for i in (cut - 1, cut + 1)] == [0.125, 0.0625]
        assert any(("mdlm" in line and "remasks 0" in line) or "reveals 0.25" in line for line in lines)
        assert any("the position is locked" in line for line in lines)
        await pilot.press("o")
        await seen(pilot, lambda app: "entropy" not in panel(app))


def test_the_story_that_is_shown_is_that_of_the_frames(tmp_path):
    trace = recorded(tmp_path / "run", steps=40)
    frames = [trace.frame(i) for i in range(1, 41)]
    reader = StoryReader()
    for position in range(12):
        found_story = reader.story(trace, 1, position, first=0, playing=False, wait=10)
        assert repr(found_story) == repr(story(frames, 1, position, seed=0))
        text = story_text(found_story, (*"abcde", "_"), 40, (60, 6), ascii_only=True).plain
        assert f"{found_story.moments[-1].step}  " in text
        assert text.isascii()
        assert len(text.splitlines()) <= 6


def test_while_it_plays_a_story_that_takes_long_is_not_read_again(tmp_path):
    trace = recorded(tmp_path / "run", steps=40)
    reader = StoryReader()
    found_story = reader.story(trace, 1, 3, first=0, playing=False, wait=10)
    reader._seconds = 1.0
    last = trace.frame(40)
    trace.append(type(last)(**{**vars(last), "index": 40}))
    assert reader.story(trace, 1, 3, first=0, playing=True, wait=1) is found_story
    assert reader.story(trace, 1, 3, first=0, playing=False, wait=10) is not found_story


def test_a_character_of_several_tokens_is_found_and_named_whole():
    data = "中".encode()
    pieces, fragments = ("a", "\ufffd", "\ufffd"), {1: data[:1], 2: data[1:]}
    model = ModelInfo("toy", 0, "float32", "cpu", 3, 0, None, False, pieces, fragments=fragments)
    tokens, held = np.array([0, 1, 2, 0], np.int32), np.full(4, Change.HELD, np.uint8)
    assert find("中a", tokens, held, pieces, -1, fragments) == 1
    assert find("/中/", tokens, held, pieces, -1, fragments) == 1
    assert find("\ufffd", tokens, held, pieces, -1, fragments) is None
    assert named_parts(model, tokens, 2, {0, 1, 2}) == {1: r"\xe4", 2: r'"中" \xb8\xad'}


def test_neighbours_wrap_around():
    assert [neighbour([2, 5, 9], at, 1) for at in (None, 1, 2, 5, 9)] == [2, 2, 5, 9, 2]
    assert [neighbour([2, 5, 9], at, -1) for at in (None, 10, 9, 3, 2)] == [9, 9, 5, 2, 9]
    assert neighbour([], 3, 1) is None


async def test_remasked_positions_of_the_step_are_gone_to_in_turn():
    link = ScriptedLink()
    async with watching(link, steps=40).run_test(size=(120, 40)) as pilot:
        await played(pilot, 40)
        app, debug = pilot.app, pilot.app.watching.debug
        gone = {s: np.flatnonzero(link.trace.change(s, 0) == Change.REMASKED).tolist() for s in range(1, 41)}
        step = max(gone, key=lambda s: len(gone[s]))
        app.controls.seek(step)
        await settle(pilot)
        walked = []
        for _ in range(len(gone[step]) + 1):
            await pilot.press("N")
            walked.append(debug.inspector.at)
        assert walked == [*gone[step], gone[step][0]]
        await pilot.press("number_sign")
        assert debug.inspector.at == gone[step][-1]
        await seen(pilot, lambda app: "remasked" in panel(app))
        quiet = next(s for s in range(40, 0, -1) if not gone[s] and any(gone[later] for later in range(1, s)))
        app.controls.seek(quiet)
        await pilot.press("number_sign")
        before = max(s for s in range(1, quiet) if gone[s])
        await seen(pilot, lambda app: banner(app) == f"No token is remasked in this step. Step {before} remasks")
        assert not app.main.banner.has_class("error")


async def test_next_remask_pauses_a_run_that_plays():
    async with watching(steps=400).run_test(size=(120, 40)) as pilot:
        await played(pilot, 10)
        record = pilot.app.watching.trace
        step = next(s for s in range(1, 11) if (record.change(s, 0) == Change.REMASKED).any())
        player = pilot.app.watching.player
        pilot.app.watching.player = type(player)(step, player.recorded, True, 0.001)
        pilot.app.main.text.action_remasked(1)
        assert not pilot.app.watching.player.playing
        assert pilot.app.watching.position == step


async def test_a_paused_reveal_says_the_rank_of_its_token_and_asks_once():
    link = ScriptedLink()
    requests = []
    look = link.look

    def counted(sample, position, step=None, top=20):
        requests.append((sample, position, step))
        look(sample, position, step, top)
        # the prediction ranks the token that was revealed as its second
        event = link.events.pop()
        token = int(link.trace.tokens(step + 1, sample)[position])
        ranked = (Ranked(0, 0.5, True), Ranked(token, 0.25, True), Ranked(3, 0.1, False))
        prediction = replace(event.prediction, masked=True, top=ranked, nucleus=2)
        link.events.append(wire.Looked(1, 0, prediction))

    link.look = counted
    async with watching(link).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press(*["right"] * 6)
        await seen(pilot, lambda app: app.watching.position == 6)
        step = next(s for s in range(6, 0, -1) if (link.trace.change(s, 0) == Change.REVEALED).any())
        at = int(np.flatnonzero(link.trace.change(step, 0) == Change.REVEALED)[0])
        pilot.app.controls.seek(step)
        pilot.app.main.text.look_at(at)
        await seen(pilot, lambda app: "rank 2 of 2 in the nucleus" in str(app.main.text.inspector.render()))
        await pilot.press("left", "right")
        await settle(pilot)
        assert requests == [(0, at, step - 1)]


def test_a_prediction_without_the_token_says_nothing():
    reader = RankReader()
    ranked = (Ranked(1, 0.5, True),)
    reader.take(0, TokenPrediction(3, 0, 2, 9, True, ranked, 1, 1.0, math.nan, ()), 7)
    assert reader.ranks == {}


def drafted(app):
    """The cells of the text that show a draft."""
    grid, style = app.query_one(TokenGrid), palette().draft
    rows = (grid.render_line(y) for y in range(grid.size.height))
    return "".join(s.text for row in rows for s in row if s.style.italic and s.style.color == style.color)


async def test_drafts_stand_in_the_masks_and_are_asked_for_once_a_step_while_they_are_wanted():
    app = watching(length=48, steps=48)
    async with app.run_test(size=(120, 40)) as pilot:
        await played(pilot, 6)
        link, grid = app.watching.link, app.query_one(TokenGrid)
        assert link.drafted == []
        cells = [grid.cell_of(position) for position in range(48)]
        await pilot.press("O")
        await settle(pilot)
        assert link.drafted == [(0, 6)]
        assert "one network call for each step" in banner(app)
        assert " sea" in drafted(app)
        assert [grid.cell_of(position) for position in range(48)] == cells
        await pilot.press("left")
        await settle(pilot)
        await pilot.press("v")
        await settle(pilot)
        assert link.drafted == [(0, 6), (0, 5)]
        assert drafted(app)
        await pilot.press("O", "left")
        await settle(pilot)
        assert link.drafted == [(0, 6), (0, 5)]
        assert not drafted(app)


async def test_a_run_that_plays_asks_for_no_drafts():
    app = watching(length=48, steps=48)
    async with app.run_test(size=(120, 40)) as pilot:
        await played(pilot, 2)
        await pilot.press("O", "space")
        await settle(pilot, lambda app: app.watching.player.done)
        await settle(pilot)
        steps = [step for _, step in app.watching.link.drafted]
        assert len(steps) <= 2
        assert set(steps) <= {2, 48}


async def test_entropy_colours_the_masks_and_drafts_that_are_refused_end():
    app = watching(length=48, steps=48)
    async with app.run_test(size=(120, 40)) as pilot:
        await played(pilot, 6)
        app.main.panes.colour_by("entropy")
        await settle(pilot)
        link, canvas = app.watching.link, app.query_one(TokenGrid)._canvas
        assert link.drafted == [(0, 6)]
        masked = np.flatnonzero(np.isin(canvas.change, (Change.MASKED, Change.REMASKED)))
        assert canvas.levels[masked].tolist()[:5] == [0, 1, 2, 2, 3]
        assert app.main.panes.active_map.cells.mode.name == "state"
        await pilot.press("C")
        await settle(pilot)
        assert not banner(app)
        await pilot.press("O")
        await settle(pilot)
        link.events.append(wire.Rejected("there is no step 5", "Draft"))
        await seen(pilot, lambda app: "there is no step 5" in banner(app))
        assert not app.watching.debug.drafts.wanted


def test_a_draft_takes_the_cells_of_a_mask():
    texts = Type.of(TokenTexts.of([" a", " whatever", "語語語", "x"]), {})
    assert [cell_len(texts.texts[texts.draft(token)]) for token in range(4)] == [4] * 4
    assert texts.texts[texts.draft(1)] == " wh…"
