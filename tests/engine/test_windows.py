"""Windows that slide on by a stride: the law of one dense run after the other, and texts longer than the model."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

import engine
from engine.records import Change, Settings
from engine.sampling import oracle
from engine.sampling.batch import AbandonedSample, samples
from engine.sampling.blocks import slide
from engine.sampling.readout import BadLogitsError
from engine.sampling.session import Session
from engine.strategies import REGISTRY, Strategy, make_strategy
from tests.engine.stats import ENOUGH, FAR_OFF, same_distribution
from tests.engine.test_blocks import Window, number
from tests.engine.test_oracle import lively
from tests.engine.test_session import frames_of, same
from tests.engine.toys import MASK, RowToy, TimedToy, Toy

COUNT = 6000
SHAPE: dict[str, Any] = {"steps": 6, "length": 8, "stride": 3, "strides": 2, "prompt": [2, 0]}


class Short(RowToy):
    """A toy of eight positions."""

    max_length = 8

    def __init__(self) -> None:
        super().__init__()
        self.widths: set[int] = set()

    def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
        self.widths.add(tokens.shape[1])
        return super().encode(tokens, t)


def fast(model: Toy, strategy: Strategy) -> NDArray[np.int64]:
    session = Session(model, strategy, steps=3, length=3, stride=1, strides=2, prompt=[1], batch=COUNT, seed=3)
    return number([frames_of(session)[-1].tokens])


def dense(model: Toy, strategy: Strategy, overlap: int = 2) -> NDArray[np.int64]:
    """The same by the oracle: each window's new tokens behind the overlap with the one before."""
    settings, noise = Settings(strategy.name), torch.Generator().manual_seed(4)
    done = torch.full((COUNT, 1), 1)
    for kept, new in ((1, 2), (overlap, 1), (overlap, 1)):
        window = Window(model, done[:, -kept:], 0)
        tokens = torch.full((COUNT, new), MASK)
        held = torch.full((COUNT, new), torch.nan, dtype=torch.float64)
        s = torch.ones(COUNT, 1, dtype=torch.float64)
        for times in pairwise(strategy.grid(3).tolist()):
            t, s = (torch.full((COUNT, 1), time, dtype=torch.float64) for time in times)
            tokens, held, _ = oracle.step(window, strategy, settings, tokens, held, t, s, noise)
        logits = window.encode(tokens, s[:, 0])
        logits[:, :, MASK] = -torch.inf
        done = torch.cat((done, torch.where(tokens == MASK, logits.argmax(-1), tokens)), 1)
    return number([done.numpy()])


@pytest.mark.parametrize("name", ["mdlm", "remdm-cap", "remdm-conf", "dfm", "low-confidence"])
def test_windows_are_distributed_as_the_dense_update_in_each_window(name: str) -> None:
    assert same_distribution(fast(Toy(), lively(name)), dense(Toy(), lively(name))) > ENOUGH


def test_the_network_gets_how_much_of_its_window_is_masked() -> None:
    strategy = make_strategy("mdlm")
    assert same_distribution(fast(TimedToy(), strategy), dense(TimedToy(), strategy)) > ENOUGH


def test_another_overlap_is_distinguished() -> None:
    strategy = lively("remdm-cap")
    assert same_distribution(fast(Toy(), strategy), dense(Toy(), strategy, overlap=1)) < FAR_OFF


@pytest.mark.parametrize("name", REGISTRY)
def test_a_text_grows_beyond_the_model_and_what_is_there_stays(name: str) -> None:
    model = Short()
    session = Session(model, lively(name), batch=3, **SHAPE)
    assert session.tokens.shape == (3, 14)
    before = session.tokens.numpy().copy()
    for frame in session:
        first, end = ((2, 8), (8, 11), (11, 14))[frame.block]
        outside = np.ones(14, bool)
        outside[first:end] = False
        assert np.array_equal(frame.tokens[:, outside], before[:, outside])
        assert (frame.change[:, end:] == Change.MASKED).all()
        before = frame.tokens
    assert not (before == MASK).any()
    assert model.widths == {8}


@pytest.mark.parametrize("name", REGISTRY)
def test_samples_in_windows_and_their_cost_are_those_of_a_session(name: str) -> None:
    shape = {**SHAPE, "steps": 4}
    alone = [frames_of(Session(Short(), lively(name), first=number, seed=9, **shape))[-1] for number in range(3)]
    for width in (1, 2):
        found = list(samples(Short(), lively(name), range(3), seed=9, width=width, **shape))
        assert sorted(done.number for done in found) == [0, 1, 2]
        for done in found:
            assert np.array_equal(done.tokens.numpy(), alone[done.number].tokens[0])
            assert done.network_calls == alone[done.number].network_calls


def test_rewinding_into_an_earlier_window_replays_exactly() -> None:
    session = Session(TimedToy(), lively("remdm-cap"), **SHAPE)
    first = frames_of(session)
    for index in (0, 5, 7, 12):
        session.rewind(index)
        assert all(same(a, b) for a, b in zip(first[index:], frames_of(session), strict=True))


def test_samples_come_out_at_their_full_length() -> None:
    assert engine.sample(Short(), make_strategy("mdlm"), count=2, **SHAPE).shape == (2, 14)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"stride": 8}, "a stride must lie in 1 to 7, so that windows of 8 overlap, not 8"),
        ({"stride": 0}, "a stride must lie in 1 to 7, so that windows of 8 overlap, not 0"),
        ({"strides": 0}, "strides must be at least 1, not 0"),
        ({"stride": None}, "strides take a stride: by how many positions the window slides"),
        ({"block_length": 2}, "take either a block_length or a stride, not both"),
    ],
    ids=str,
)
def test_windows_that_cannot_be_are_refused(bad: dict[str, Any], message: str) -> None:
    for start in (Session, engine.sample):
        with pytest.raises(ValueError, match=message):
            start(Toy(), make_strategy("mdlm"), **{**SHAPE, **bad})


def test_windows_tile_the_canvas() -> None:
    blocks = slide(5, 8, 2, 3, 2)
    assert blocks.edges == (2, 8, 11, 14)
    assert blocks.steps == (5, 5, 5)
    seen = blocks.seen([0, 2], "cpu")
    assert seen is not None
    assert seen.tolist() == [list(range(8)), list(range(6, 14))]


class Poisoned(Toy):
    """A toy that gives NaN at position 4 of a text whose first token is 1."""

    def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
        hidden = super().encode(tokens, t)
        hidden[tokens[:, 0] == 1, 4] = torch.nan
        return hidden


@pytest.mark.parametrize("name", ["mdlm", "remdm-cap", "low-confidence"])
@pytest.mark.parametrize("width", [1, 5])
def test_a_sample_that_the_network_fails_is_given_up_and_the_others_are_what_they_were(name: str, width: int) -> None:
    shape: dict[str, Any] = {"steps": 9, "length": 7, "seed": 5, "top_p": 1.0}
    given_up: list[AbandonedSample] = []
    got = list(samples(Poisoned(), lively(name), range(12), width=width, failed=given_up.append, **shape))
    whole = {done.number: done for done in samples(Toy(), lively(name), range(12), width=8, **shape)}
    lost = {failed.number for failed in given_up}
    assert 0 < len(lost) < 12
    assert lost | {done.number for done in got} == set(range(12))
    assert len(got) + len(given_up) == 12
    for done in got:
        assert torch.equal(done.tokens, whole[done.number].tokens)
        assert done.network_calls == whole[done.number].network_calls
    for failed in given_up:
        assert failed.position == 4
        session = Session(Poisoned(), lively(name), first=failed.number, **shape)
        with pytest.raises(BadLogitsError, match=f"sample {failed.number}, step {failed.step}, position 4"):
            frames_of(session)
        assert session.index == failed.step
