"""Each check of lint finds the fault in a run that was made to have it, and nothing in one that has it not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.lint import DRAWN_CHECKS, RUN_CHECKS, lint_recording, note
from engine.recording import Recorder, Recording
from engine.records import Settings
from tests.engine.lint_runs import MASK, frames_of, outcomes, reveal_in, written
from tests.engine.recordings import header, recorded, session_of, start_of

TOKENS = [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4]
SHUFFLED = [int(n) for n in np.random.default_rng(1).permutation(len(TOKENS))]


def test_a_strategy_that_is_to_remask_and_never_does_is_found(tmp_path: Path) -> None:
    session = session_of("remdm-cap")
    start = start_of(session)
    frames = [replace(f, settings=Settings("remdm-cap", {"eta": 0.0})) for f in session_of("mdlm")]
    off = outcomes(written(tmp_path / "off.remdm", start, frames))["never-remasks"]
    assert (off.found, off.figure, off.threshold) == (True, 0, 1)
    assert "0.0 expected" in off.message
    recorded(tmp_path / "on.remdm", "remdm-cap", steps=48, batch=4)
    on = outcomes(tmp_path / "on.remdm")["never-remasks"]
    assert not on.found
    assert on.figure > 0


def test_a_strategy_that_promises_no_remask_and_a_run_that_goes_on_are_not_asked(tmp_path: Path) -> None:
    recorded(tmp_path / "mdlm.remdm", "mdlm")
    assert "never-remasks" not in outcomes(tmp_path / "mdlm.remdm")
    session = session_of("remdm-cap")
    start = start_of(session)
    assert "never-remasks" not in outcomes(written(tmp_path / "part.remdm", start, [next(iter(session))]))


@pytest.mark.parametrize(("eta", "asked"), [(0.0, False), (0.5, True)])
def test_a_strategy_whose_knobs_forbid_remasks_is_not_asked(tmp_path: Path, eta: float, asked: bool) -> None:
    session = session_of("p2")
    start = start_of(session)
    frames = [replace(f, settings=Settings("p2", {"eta": eta})) for f in session_of("mdlm")]
    assert ("never-remasks" in outcomes(written(tmp_path / "x.remdm", start, frames))) == asked


def test_an_unknown_sampler_says_by_a_knob_that_it_remasks(tmp_path: Path) -> None:
    states = reveal_in(SHUFFLED, TOKENS)
    found_by = outcomes(written(tmp_path / "a.remdm", *frames_of(states, knobs={"remasks": True})))
    assert found_by["never-remasks"].found
    assert "never-remasks" not in outcomes(written(tmp_path / "b.remdm", *frames_of(states)))


def test_ties_that_go_leftmost_are_found(tmp_path: Path) -> None:
    left = reveal_in(range(len(TOKENS)), TOKENS)
    found = outcomes(written(tmp_path / "tied.remdm", *frames_of(left, held=1.0)))["leftmost-ties"]
    assert found.found
    assert found.figure == 1
    assert "correlate by 1.00" in found.message


@pytest.mark.parametrize("order", ["shuffled, tied", "leftmost, untied"])
def test_ties_in_another_order_and_an_order_without_ties_are_none(tmp_path: Path, order: str) -> None:
    tied = order == "shuffled, tied"
    states = reveal_in(SHUFFLED if tied else range(len(TOKENS)), TOKENS)
    p = 1.0 if tied else np.linspace(0.1, 0.9, len(TOKENS))
    found = outcomes(written(tmp_path / "x.remdm", *frames_of(states, held=p)))["leftmost-ties"]
    assert not found.found


def test_ties_in_blocks_are_compared_within_a_block(tmp_path: Path) -> None:
    # the blocks come from left to right by construction, and each is filled from the right
    half = len(TOKENS) // 2
    states = reveal_in([*reversed(range(half)), *reversed(range(half, len(TOKENS)))], TOKENS)
    start, frames = frames_of(states, held=1.0)
    frames = [replace(frame, block=int(frame.index >= half)) for frame in frames]
    head = replace(header(start), run=replace(header(start).run, block_length=half))
    recorder = Recorder.create(tmp_path / "blocks.remdm", head, start)
    for frame in frames:
        recorder.frame(0, frame)
    recorder.close()
    found = outcomes(tmp_path / "blocks.remdm")["leftmost-ties"]
    assert not found.found
    assert "correlate by -1.00" in found.message


def test_left_to_right_is_not_asked_whether_ties_go_leftmost(tmp_path: Path) -> None:
    recorded(tmp_path / "x.remdm", "left-to-right", length=20, batch=1)
    assert "leftmost-ties" not in outcomes(tmp_path / "x.remdm")


def flips(times: int) -> list[list[int]]:
    """A run in which position 1 loses its token and gets it back, so many times."""
    states = reveal_in([0, 1], [0, 1, 2])
    for _ in range(times):
        states += [[0, MASK, MASK], [0, 1, MASK]]
    return [*states, [0, 1, 2]]


def test_a_position_that_is_remasked_again_and_again_is_found_with_its_story(tmp_path: Path) -> None:
    found = outcomes(written(tmp_path / "x.remdm", *frames_of(flips(7))))["flip-flop"]
    assert (found.found, found.figure, found.threshold) == (True, 7, 4)
    (one,) = found.positions
    assert (one.sample, one.position, one.times, one.returns) == (0, 1, 7, 7)
    assert one.story.startswith("2 'b' p 0.50, 3 masked, 4 'b' p 0.50, 5 masked")
    assert one.story.endswith("and 3 more")


def test_a_few_remasks_of_a_position_are_none(tmp_path: Path) -> None:
    found = outcomes(written(tmp_path / "x.remdm", *frames_of(flips(4))))["flip-flop"]
    assert not found.found
    assert found.positions == ()


def test_as_many_remasks_as_chance_gives_are_none(tmp_path: Path) -> None:
    # the plan says that every revealed token is remasked with probability .9 at every step
    found = outcomes(written(tmp_path / "x.remdm", *frames_of(flips(7), remask=0.9)))["flip-flop"]
    assert not found.found
    assert found.threshold > 7


def test_at_most_ten_positions_are_told(tmp_path: Path) -> None:
    states = [[MASK] * 12]
    for _ in range(6):
        states += [[0] * 12, [MASK] * 12]
    found = outcomes(written(tmp_path / "x.remdm", *frames_of([*states, [0] * 12])))["flip-flop"]
    assert found.found
    assert len(found.positions) == 10
    assert "12 positions" in found.message


def test_edits_back_and_forth_count(tmp_path: Path) -> None:
    states = [[MASK], [0], [1], [0], [1], [0], [1], [0]]
    found = outcomes(written(tmp_path / "x.remdm", *frames_of(states)))["flip-flop"]
    assert found.found
    assert found.figure == 6


def test_a_marginal_that_is_off_is_found(tmp_path: Path) -> None:
    # it says that it is mdlm and reveals everything at once
    session = session_of("mdlm", length=60, batch=4)
    start = start_of(session)
    good = list(session_of("mdlm", length=60, batch=4))
    assert not outcomes(written(tmp_path / "good.remdm", start, good))["marginal"].found
    masked = start.tokens
    early = replace(good[0], tokens=np.zeros_like(masked), change=np.full(masked.shape, 2, np.uint8))
    found = outcomes(written(tmp_path / "bad.remdm", start, [early]))["marginal"]
    assert found.found
    assert found.message.startswith("from step 1:")


def test_clamps_that_no_formula_implies_are_found(tmp_path: Path) -> None:
    bad = outcomes(written(tmp_path / "bad.remdm", *frames_of(flips(1), excess=0.25)))["clamps"]
    assert bad.found
    assert "by 0.25 at most" in bad.message
    recorded(tmp_path / "fb.remdm", "forward-backward")
    implied = outcomes(tmp_path / "fb.remdm")["clamps"]
    assert (implied.found, implied.figure) == (False, 0)


@pytest.mark.parametrize(("certain", "finds"), [(20, True), (10, False)])
def test_a_nucleus_of_one_token_is_found(tmp_path: Path, certain: int, finds: bool) -> None:
    p = np.where(np.arange(len(TOKENS)) < certain, 1.0, 0.3)
    found = outcomes(written(tmp_path / "x.remdm", *frames_of(reveal_in(SHUFFLED, TOKENS), held=p)))
    one = found["one-token-nucleus"]
    assert one.found == finds
    assert one.figure == certain / len(TOKENS)


@pytest.mark.parametrize(("end", "finds"), [(10, True), (3, False)])
def test_a_flood_of_one_token_is_found(tmp_path: Path, end: int, finds: bool) -> None:
    tokens = [*TOKENS[: 20 - end], *([2] * end)]
    found = outcomes(written(tmp_path / "x.remdm", *frames_of(reveal_in(SHUFFLED, tokens))))["flood"]
    assert found.found == finds
    assert ("most of 'c'" in found.message) == finds


def two_branches(path: Path, second: str, token: int) -> Path:
    """A run with a branch from its first step on, under another strategy, whose last token is `token`."""
    start, frames = frames_of(reveal_in([0, 1], [0, 1]))
    recorder = Recorder.create(path, header(start), start)
    for frame in frames:
        recorder.frame(0, frame)
    branch = recorder.branch(0, 1)
    other = frames_of(reveal_in([0, 1], [0, token]), second)[1][1]
    recorder.frame(branch, other)
    recorder.close()
    return path


@pytest.mark.parametrize(
    ("second", "token", "finds"), [("other", 1, True), ("other", 3, False), ("someone's", 1, None)]
)
def test_two_samplers_with_the_same_texts_are_found(
    tmp_path: Path, second: str, token: int, finds: bool | None
) -> None:
    recording = Recording.open(two_branches(tmp_path / "x.remdm", second, token))
    found = [one.found for one in lint_recording(recording) if one.check == "identical"]
    recording.close()
    # the first step of the branch is its parent's
    assert found == ([] if finds is None else [finds])


def test_every_check_is_described() -> None:
    for check in (*RUN_CHECKS.values(), *DRAWN_CHECKS.values()):
        assert check.title
        assert check.figure
        assert check.advice.endswith(".")


def test_the_note_says_what_was_found_in_one_line(tmp_path: Path) -> None:
    bad = outcomes(written(tmp_path / "x.remdm", *frames_of(flips(7), excess=0.25)))
    assert note(bad.values()).startswith("lint: 2 findings (flip-flop, clamps): position 1 of sample 0 lost")
    recorded(tmp_path / "good.remdm", "remdm-cap", steps=48, batch=4)
    assert note(outcomes(tmp_path / "good.remdm").values()) == ""


@pytest.mark.parametrize("strategy", ["mdlm", "remdm-cap", "remdm-conf", "remdm-loop", "forward-backward", "dfm"])
def test_a_clean_run_has_no_finding(tmp_path: Path, strategy: str) -> None:
    recorded(tmp_path / "x.remdm", strategy, steps=64, length=32, batch=4)
    found = [one for one in outcomes(tmp_path / "x.remdm").values() if one.found and one.check != "flood"]
    assert found == []


def test_a_recording_without_a_step_is_refused(tmp_path: Path) -> None:
    start, _ = frames_of(flips(1))
    with pytest.raises(ValueError, match="no recorded step"):
        outcomes(written(tmp_path / "x.remdm", start, []))
