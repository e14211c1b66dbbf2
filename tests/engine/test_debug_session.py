"""Branches and edits: what a fork shares with its parent, and that a person's hand replays."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch

from engine.records import Branch, Change, Edit, Frame
from engine.sampling.session import Session
from engine.strategies import REGISTRY, make_strategy
from tests.engine.test_session import frames_of, same
from tests.engine.toys import MASK, Toy

CAP = make_strategy("remdm-cap", eta=0.2)
SHAPE: dict[str, Any] = {"steps": 16, "length": 12, "batch": 3, "seed": 2, "prompt": [1, 2]}
BLOCKS: dict[str, Any] = {**SHAPE, "block_length": 5}


def made(shape: dict[str, Any] = SHAPE, strategy: str = "remdm-cap") -> Session:
    return Session(Toy(), make_strategy(strategy), **shape)


def all_same(a: list[Frame], b: list[Frame]) -> bool:
    return len(a) == len(b) and all(same(x, y) and x.edit == y.edit for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize(
    "shape", [SHAPE, BLOCKS, {**SHAPE, "steps": 7, "stride": 4, "strides": 2}], ids=["one", "blocks", "windows"]
)
@pytest.mark.parametrize("name", REGISTRY)
def test_a_branch_with_unchanged_knobs_equals_its_parent_bit_for_bit(name: str, shape: dict[str, Any]) -> None:
    session = made(shape, name)
    whole = frames_of(session)
    for index in (7, len(whole)):
        session.switch(0)
        session.fork(index)
        assert session.index == index
        assert all_same([*session.frames, *session], whole)


def test_a_branch_repeats_what_was_set_and_edited_later_in_its_parent_until_something_is_set() -> None:
    session = made()
    frames_of(session, 5)
    session.set(strategy=make_strategy("mdlm"))
    session.edit(Edit("force", position=4, tokens=(3,)))
    whole = [*session.frames, *session]
    assert [f.settings.strategy for f in whole[4:7]] == ["remdm-cap", "mdlm", "mdlm"]
    session.fork(2)
    assert all_same([*session.frames, *session], whole)
    session.switch(0)
    session.fork(2)
    session.set(top_p=0.5)
    rest = frames_of(session)
    assert {f.settings.strategy for f in rest} == {"remdm-cap"}
    assert not any(f.edit for f in rest)


def test_a_changed_knob_changes_the_branch_alone_and_both_can_be_gone_on_with() -> None:
    session, whole = made(), frames_of(made())
    frames_of(session, 9)
    assert session.fork(6) == 1
    session.set(strategy=make_strategy("remdm-cap", eta=0.9))
    other = frames_of(session, 4)
    assert all_same(list(session.frames[:6]), whole[:6])
    assert not np.array_equal(other[-1].tokens, whole[9].tokens)
    session.switch(0)
    assert (session.index, session.branch) == (9, 0)
    assert all_same([*session.frames, *session], whole)
    session.switch(1)
    assert session.index == 10
    assert all_same(list(session.frames[6:]), other)
    assert session.branches == (Branch(0), Branch(1, 0, 6))


def test_branches_share_their_flips() -> None:
    """The difference between two branches is the knob's doing: where a plan gives the same answer, so do the dice."""
    session = made({**SHAPE, "batch": 40})
    frames_of(session, 6)
    session.fork()
    session.set(strategy=make_strategy("remdm-cap", eta=0.5))
    more = next(session)
    session.switch(0)
    less = next(session)
    remasked, also = less.change == Change.REMASKED, more.change == Change.REMASKED
    assert remasked.any()
    assert not (remasked & ~also).any()


def test_a_branch_can_have_any_free_number() -> None:
    session = made()
    frames_of(session, 3)
    assert session.fork(2, branch=7) == 7
    assert session.fork() == 8
    for bad, reason in (({"branch": 7}, "there is a branch 7 already"), ({"index": 9}, "a step in 0 to 2, not 9")):
        with pytest.raises(ValueError, match=reason):
            session.fork(**bad)
    with pytest.raises(ValueError, match="there is no branch 5: choose one of 0, 7, 8"):
        session.switch(5)
    assert session.branch == 8


EDITS = [
    Edit("mask", position=5),
    Edit("mask", 1, 5),
    Edit("force", position=4, tokens=(3,)),
    Edit("force", 2, 4, (3,), 0.25),
    Edit("lock", position=5),
    Edit("unlock", position=1),
    Edit("prompt", tokens=(0, 4)),
    Edit("prompt", tokens=(0, 4, 3, 2)),
    Edit("prompt", 0, tokens=(4,)),
    Edit("prompt"),
]


def all_revealed(shape: dict[str, Any] = SHAPE) -> Session:
    """A session in mid-run that has a token at position 5 of every sample."""
    session = made(shape)
    for frame in session:
        if (frame.tokens[:, 4:6] != MASK).all() and frame.index > 5:
            break
    return session


@pytest.mark.parametrize("edit", EDITS, ids=str)
def test_an_edit_is_a_frame_that_does_what_it_says_and_replays(edit: Edit) -> None:
    session = all_revealed()
    index, before = session.index, session.tokens.numpy().copy()
    frame = session.edit(edit)
    assert (frame.index, frame.edit, frame.s, frame.network_calls) == (
        index,
        edit,
        frame.t,
        session.frames[-2].network_calls,
    )
    rows = [0, 1, 2] if edit.sample is None else [edit.sample]
    touched = np.zeros(before.shape, bool)
    touched[np.ix_(rows, range(4) if edit.kind == "prompt" else [edit.position])] = True
    assert np.array_equal(frame.tokens[~touched], before[~touched])
    rest = frames_of(session)
    assert not (rest[-1].tokens == MASK).any()
    whole = list(session.frames)
    for at in (0, index, index + 1):
        session.rewind(at)
        assert all_same([*session.frames, *session], whole)
    session.fork(2)
    assert all_same([*session.frames, *session], whole)


def test_a_token_that_is_masked_by_hand_is_revealed_again() -> None:
    session = all_revealed()
    frame = session.edit(Edit("mask", 1, 5))
    assert frame.change[1, 5] == Change.REMASKED
    assert frame.tokens[1, 5] == MASK
    assert np.isnan(frame.held[1, 5])
    assert frame.change[0, 5] == Change.HELD
    assert frames_of(session)[-1].tokens[1, 5] != MASK


def test_a_token_put_by_hand_has_the_confidence_it_is_given() -> None:
    frame = all_revealed().edit(Edit("force", 2, 4, (3,), 0.25))
    assert (frame.tokens[2, 4], frame.change[2, 4], frame.held[2, 4]) == (3, Change.REVEALED, 0.25)


@pytest.mark.parametrize("shape", [SHAPE, BLOCKS], ids=["one", "blocks"])
def test_what_is_locked_stays_and_what_is_unlocked_does_not(shape: dict[str, Any]) -> None:
    session = made(shape)
    session.set(strategy=make_strategy("remdm-cap", eta=1.0))
    for frame in session:
        if (frame.tokens[:, 4] != MASK).all():
            break
    kept = session.tokens[:, 4].clone()
    assert (session.edit(Edit("lock", position=4)).change[:, 4] == Change.LOCKED).all()
    rest = frames_of(session)
    assert all((frame.change[:, 4] == Change.LOCKED).all() for frame in rest)
    assert torch.equal(session.tokens[:, 4], kept)
    session.rewind(len(session.frames) - len(rest))
    session.edit(Edit("unlock", position=4))
    after = frames_of(session)
    assert not any((frame.change[:, 4] == Change.LOCKED).any() for frame in after)
    if shape is SHAPE:
        assert any((frame.change[:, 4] == Change.REMASKED).any() for frame in after)


def test_a_prompt_can_become_longer_shorter_or_another() -> None:
    session = made()
    longer = session.edit(Edit("prompt", tokens=(0, 4, 3, 2)))
    assert longer.tokens[:, :5].tolist() == [[0, 4, 3, 2, MASK]] * 3
    assert (longer.change[:, :4] == Change.LOCKED).all()
    shorter = session.edit(Edit("prompt", 1, tokens=(4,)))
    assert shorter.tokens[:, :5].tolist() == [[0, 4, 3, 2, MASK], [4, MASK, MASK, MASK, MASK], [0, 4, 3, 2, MASK]]
    assert shorter.change[1, :4].tolist() == [Change.LOCKED, *[Change.REMASKED] * 3]


def test_the_flips_after_an_edit_are_those_there_would_have_been() -> None:
    """An edit takes no step, so no randomness moves on."""
    plain, session = made(), made()
    frames_of(session, 5)
    frames_of(plain, 5)
    row = session.tokens[0].tolist()
    at = next(i for i, token in enumerate(row) if token != MASK and i > 1)
    session.edit(Edit("lock", 0, at))
    session.edit(Edit("unlock", 0, at))
    for ours, theirs in zip(session, plain, strict=True):
        assert np.array_equal(ours.tokens, theirs.tokens)
        assert (ours.t, ours.s) == (theirs.t, theirs.s)


def test_an_ended_run_goes_on_after_a_token_was_masked() -> None:
    session = made()
    whole = frames_of(session)
    assert next(session, None) is None
    session.edit(Edit("mask", 0, 5))
    last = frames_of(session)
    assert [frame.final for frame in last] == [True]
    assert last[0].tokens[0, 5] != MASK
    session.rewind(0)
    assert all_same(frames_of(session)[: len(whole)], whole)


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (Edit("mask", position=1), "position 1 is locked: unlock it first"),
        (Edit("force", position=0, tokens=(3,)), "position 0 is locked"),
        (Edit("mask", position=12), "there is no position 12: positions are 0 to 11"),
        (Edit("mask", 3, 5), "there is no sample 3: samples are 0 to 2"),
        (Edit("force", position=4), "one token is put at a position, not 0"),
        (Edit("force", position=4, tokens=(MASK,)), f"token {MASK} is the mask or outside the vocabulary of 6"),
        (Edit("force", position=4, tokens=(99,)), "token 99 is the mask or outside"),
        (Edit("force", position=4, tokens=(1,), held=0.0), "a token's probability must lie above 0"),
        (Edit("lock", position=1), "position 1 is locked already"),
        (Edit("unlock", position=5), "position 5 is not locked"),
        (Edit("prompt", tokens=(1,) * 13), "the prompt has 13 tokens and the canvas 12"),
        (Edit("prompt", tokens=(1, -1)), "token -1 is the mask or outside"),
    ],
    ids=str,
)
def test_an_edit_that_cannot_be_done_is_refused_and_changes_nothing(edit: Edit, reason: str) -> None:
    session, other = all_revealed(), all_revealed()
    with pytest.raises(ValueError, match=re.escape(reason)):
        session.edit(edit)
    assert all_same(frames_of(session), frames_of(other))


def test_a_mask_can_neither_be_masked_nor_locked() -> None:
    session = made()
    with pytest.raises(ValueError, match="position 5 is masked already"):
        session.edit(Edit("mask", position=5))
    with pytest.raises(ValueError, match="position 5 is masked: put a token there before it is locked"):
        session.edit(Edit("lock", position=5))


def test_a_finished_block_is_not_opened_by_hand() -> None:
    session = made(BLOCKS)
    for frame in session:
        if frame.block == 1:
            break
    with pytest.raises(ValueError, match="position 3 lies in a block that is finished"):
        session.edit(Edit("mask", position=3))
    with pytest.raises(ValueError, match="in blocks the prompt keeps its 2 tokens"):
        session.edit(Edit("prompt", tokens=(1, 2, 3)))
    session.edit(Edit("prompt", tokens=(3, 4)))
    session.edit(Edit("force", position=3, tokens=(2,)))
    assert not (frames_of(session)[-1].tokens == MASK).any()


def test_a_model_that_predicts_from_the_left_alone_gets_no_holes() -> None:
    class Causal(Toy):
        causal = True

    session = Session(Causal(), make_strategy("left-to-right"), steps=12, length=12)
    frames_of(session, 6)
    with pytest.raises(ValueError, match="predicts from the left alone: put or lock tokens, but mask none again"):
        session.edit(Edit("mask", position=2))
    session.edit(Edit("force", position=2, tokens=(1,)))


def test_the_state_before_any_step_can_be_looked_at() -> None:
    session = made(BLOCKS)
    whole = frames_of(session)
    assert [session.before(frame.index)[2:4] for frame in whole if not frame.final] == [
        (frame.t, frame.s) for frame in whole if not frame.final
    ]
    for index in (0, 4, len(whole)):
        state = session.before(index).state
        session.fork(index)
        assert torch.equal(session.tokens, state.tokens)
        session.switch(0)
    with pytest.raises(ValueError, match=f"steps of this branch are 0 to {len(whole)}, not 99"):
        session.before(99)
