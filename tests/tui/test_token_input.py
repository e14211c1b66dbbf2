"""A hand on the canvas in a pause: what is typed, what is sent, and where the view stands then."""

from __future__ import annotations

import pytest
from textual.widgets import Input, Label

from engine.debug.findings import Ranked, TokenPrediction
from engine.records import Change, Edit
from remdm_tui.watch.token_input import prompt_text, prompt_tokens, spell, token_of
from tests.tui.scripted import WORDS, ScriptedLink
from tests.tui.test_app import banner, settle, watching
from tests.waiting import seen

PIECES = ("the", " the", " sea", "s", "e", " ", "[MASK]")
PREDICTION = TokenPrediction(3, 0, 1, 0, True, (Ranked(2, 0.5, True), Ranked(0, 0.25, False)), 1, 1.0, 0.5, ())


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("the", (0, 1.0)), ("sea", (2, 1.0)), ('" the"', (1, 1.0)), ("#1", (2, 0.5)), ("#2", (0, 0.25))],
)
def test_a_token_is_typed_or_taken_from_the_network(typed, meant):
    assert token_of(typed, PIECES, PREDICTION, 6) == meant


@pytest.mark.parametrize("typed", ["whale", "[MASK]", "#3", '"sea"', ""])
def test_what_is_no_token_is_refused(typed):
    with pytest.raises(ValueError, match=r"has no token|#1 to #2|type a token"):
        token_of(typed, PIECES, PREDICTION, 6)


def test_a_prompt_is_spelled_with_the_longest_tokens_that_fit():
    assert spell("the sea see", PIECES, 6) == (0, 2, 5, 3, 4, 4)
    with pytest.raises(ValueError, match="cannot encode 'x'"):
        spell("the x", (*PIECES[:5], "[MASK]", " "), 5)


def test_a_prompt_is_shown_as_it_is_typed_masks_included():
    tokens, locked = [0, 6, 6, 2, 6], [True, False, False, True, False]
    text = prompt_text(tokens, locked, PIECES)
    assert text == "the {mask*2} sea {mask}"
    assert prompt_tokens(text, PIECES, 6) == tuple(tokens)


async def steps(pilot, count=6):
    await settle(pilot)
    for _ in range(count):
        await pilot.press("right")
    await settle(pilot)


async def test_a_token_is_put_where_the_cursor_is_and_the_view_is_behind_it():
    link = ScriptedLink()
    async with watching(link).run_test(size=(120, 40)) as pilot:
        await steps(pilot)
        await pilot.press("v", "right_parenthesis", "F")
        await pilot.pause()
        await pilot.press(*"zebra", "enter")
        assert "no token" in str(pilot.app.screen.query_one(".error").render())
        pilot.app.screen.query_one(Input).value = "ship"
        await pilot.press("enter")
        await settle(pilot)
        assert link.altered == [Edit("force", 0, 1, (WORDS.index(" ship"),))]
        assert (len(link.trace), pilot.app.watching.player.position) == (7, 7)
        assert link.trace.edits() == [7]
        await pilot.press("right")
        await settle(pilot)
        assert (len(link.trace), pilot.app.watching.player.position) == (8, 8)


async def test_the_networks_tokens_are_offered_by_number():
    link = ScriptedLink()
    async with watching(link).run_test(size=(120, 40)) as pilot:
        await steps(pilot)
        await pilot.press("v", "o")
        await settle(pilot)
        await pilot.press("F")
        await pilot.pause()
        assert '#2 " sea"' in str(pilot.app.screen.query_one(".hint", Label).render())
        await pilot.press(*"#2", "enter")
        await settle(pilot)
        assert link.altered == [Edit("force", 0, 0, (1,), 0.25)]


async def test_an_edit_in_the_past_is_made_on_a_branch_of_its_own():
    link = ScriptedLink()
    async with watching(link).run_test(size=(120, 40)) as pilot:
        await steps(pilot)
        await pilot.press("left", "left", "v", "K")
        await settle(pilot)
        run_recording = pilot.app.watching.recording
        assert (len(run_recording.record(0)), len(run_recording.record(1))) == (6, 5)
        assert run_recording.record(1).change(5, 0)[0] == Change.LOCKED
        assert pilot.app.watching.player.position == 5
        await pilot.press("K")
        await seen(pilot, lambda app: "not for a script" in banner(app))
        assert link.altered[-1] == Edit("unlock", 0, 0)


async def test_a_run_that_plays_and_a_cursor_that_is_nowhere_are_reported():
    link = ScriptedLink()
    async with watching(link, steps=10_000).run_test(size=(120, 40)) as pilot:
        await steps(pilot)
        await pilot.press("u")
        await seen(pilot, lambda app: "No token selected" in banner(app))
        pilot.app.main.text.look_at(2)
        await pilot.press(*["less_than_sign"] * 7, "space", "u")
        await seen(pilot, lambda app: "Pause (space)" in banner(app) or link.altered)
        assert link.altered == []


async def test_the_prompt_can_be_another():
    link = ScriptedLink()
    async with watching(link, prompt="sea sea sea").run_test(size=(120, 40)) as pilot:
        await steps(pilot)
        await pilot.press("a")
        await pilot.pause()
        line = pilot.app.screen.query_one(Input)
        assert line.value == " sea sea sea"
        line.value = " a ship"
        await pilot.press("enter")
        await seen(pilot, lambda app: link.altered)
        assert link.altered == [Edit("prompt", 0, 0, (WORDS.index(" a"), WORDS.index(" ship")))]


HAN = "中".encode()
SPLIT, FRAGMENTS = ("the", " ", "\ufffd", "\ufffd", "[MASK]"), {2: HAN[:2], 3: HAN[2:]}


def test_a_prompt_with_split_characters_is_shown_and_spelled_whole():
    tokens, locked = [0, 1, 2, 3, 4], [True] * 4 + [False]
    text = prompt_text(tokens, locked, SPLIT, FRAGMENTS)
    assert text == "the 中{mask}"
    assert prompt_tokens(text, SPLIT, 4, FRAGMENTS) == tuple(tokens)
    with pytest.raises(ValueError, match="The tokenizer cannot encode"):
        spell("\ufffd", SPLIT, 4, FRAGMENTS)


def test_a_part_of_a_character_is_put_by_its_bytes():
    assert token_of(r"\xe4\xb8", SPLIT, None, 4, FRAGMENTS) == (2, 1.0)
    with pytest.raises(ValueError, match=r"is 2 tokens: set \\xe4\\xb8, \\xad"):
        token_of("中", SPLIT, None, 4, FRAGMENTS)
    with pytest.raises(ValueError, match="has no token"):
        token_of("\ufffd", SPLIT, None, 4, FRAGMENTS)
