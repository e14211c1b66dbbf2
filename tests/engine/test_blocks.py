"""Semi-autoregressive blocks: the same law as the dense update block by block, and nothing moves outside a block."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle, pairwise
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

import engine
from engine.records import Change, Frame, Settings
from engine.sampling import oracle
from engine.sampling.batch import samples
from engine.sampling.blocks import split
from engine.sampling.session import Session
from engine.strategies import REGISTRY, Strategy, make_strategy
from engine.wire import Stepped
from tests.engine.stats import ENOUGH, FAR_OFF, same_distribution
from tests.engine.test_oracle import lively
from tests.engine.test_session import frames_of, same
from tests.engine.toys import MASK, BrokenToy, RowToy, TimedToy, Toy

SHAPE: dict[str, Any] = {"steps": 14, "length": 12, "prompt": [2, 0], "block_length": 4}
COUNT = 6000
DFM = make_strategy("dfm")
"""leaves masks to the clean-up"""


class Window:
    """A model of one block: what stands before it is fixed, what comes after it is masked."""

    vocab_size, mask_id, max_length = Toy.vocab_size, MASK, None

    def __init__(self, model: Toy, before: Tensor, after: int, block_clock: bool = False) -> None:
        self.model, self.before, self.after, self.block_clock = model, before, after, block_clock
        self.time_conditioned = model.time_conditioned

    def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
        canvas = torch.cat((self.before, tokens, torch.full((len(tokens), self.after), MASK)), 1)
        noise = t if self.block_clock else (canvas == MASK).double().mean(1)
        start = self.before.shape[1]
        return self.model.encode(canvas, noise)[:, start : start + tokens.shape[1]]

    def project(self, hidden: Tensor) -> Tensor:
        return hidden


def number(states: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """One number for each trajectory, [COUNT]: a hash, for base 6 would need more digits than 64 bits have."""
    digits = np.concatenate(states, 1).astype(np.uint64)
    weights = np.random.default_rng(0).integers(0, 2**63, digits.shape[1], dtype=np.uint64) | np.uint64(1)
    return (digits * weights).sum(1).astype(np.int64)


def fast(model: Toy, strategy: Strategy, length: int, block_length: int, steps: int) -> NDArray[np.int64]:
    """Whole trajectories by the engine."""
    session = Session(
        model, strategy, steps=steps, length=length, block_length=block_length, batch=COUNT, seed=3, prompt=[1]
    )
    frames = frames_of(session)
    return number([frame.tokens for frame in frames if not frame.final] + [frames[-1].tokens])


def dense(
    model: Toy,
    strategy: Strategy,
    blocks: Sequence[tuple[int, int]],
    block_clock: bool = False,
    sees_later: bool = True,
) -> NDArray[np.int64]:
    """The same by the oracle, which is run on one (length, steps) block after the other."""
    settings, noise = Settings(strategy.name), torch.Generator().manual_seed(4)
    done, states = torch.full((COUNT, 1), 1), []
    for i, (length, steps) in enumerate(blocks):
        later = sum(size for size, _ in blocks[i + 1 :])
        window = Window(model, done, later if sees_later else 0, block_clock)
        tokens = torch.full((COUNT, length), MASK)
        held = torch.full((COUNT, length), torch.nan, dtype=torch.float64)
        t = s = torch.ones(COUNT, 1, dtype=torch.float64)
        for times in pairwise(strategy.grid(steps).tolist()):
            t, s = (torch.full((COUNT, 1), time, dtype=torch.float64) for time in times)
            tokens, held, _ = oracle.step(window, strategy, settings, tokens, held, t, s, noise)
            states.append(torch.cat((done, tokens, torch.full((COUNT, later), MASK)), 1).numpy())
        logits = window.encode(tokens, s[:, 0])
        logits[:, :, MASK] = -torch.inf
        done = torch.cat((done, torch.where(tokens == MASK, logits.argmax(-1), tokens)), 1)
    return number([*states, done.numpy()])


@pytest.mark.parametrize("name", ["mdlm", "remdm-cap", "remdm-conf", "remdm-loop", "dfm", "low-confidence"])
def test_blocks_are_distributed_as_the_dense_update_in_each_block(name: str) -> None:
    strategy = lively(name)
    got = fast(Toy(), strategy, length=4, block_length=2, steps=5)
    assert same_distribution(got, dense(Toy(), strategy, [(2, 3), (1, 2)])) > ENOUGH


def test_in_blocks_the_network_gets_how_much_of_the_canvas_is_masked() -> None:
    strategy, blocks = make_strategy("mdlm"), [(2, 2), (2, 2)]
    got = fast(TimedToy(), strategy, length=5, block_length=2, steps=4)
    assert same_distribution(got, dense(TimedToy(), strategy, blocks)) > ENOUGH
    assert same_distribution(got, dense(TimedToy(), strategy, blocks, block_clock=True)) < FAR_OFF


@pytest.mark.parametrize(
    ("blocks", "options"),
    [([(2, 2), (1, 3)], {}), ([(3, 5)], {}), ([(1, 3), (2, 2)], {}), ([(2, 3), (1, 2)], {"sees_later": False})],
    ids=["other steps", "no blocks", "other blocks", "later masks unseen"],
)
def test_another_distribution_in_blocks_is_distinguished(
    blocks: list[tuple[int, int]], options: dict[str, bool]
) -> None:
    strategy = lively("remdm-cap")
    got = fast(Toy(), strategy, length=4, block_length=2, steps=5)
    assert same_distribution(got, dense(Toy(), strategy, blocks, **options)) < FAR_OFF


# a strategy sees no more of the length than the one block that it makes, so that each is shown one of them
@pytest.mark.parametrize(("name", "block_length"), list(zip(REGISTRY, cycle((0, 10, 12, 500)), strict=False)))
def test_a_block_as_long_as_the_canvas_is_no_block(name: str, block_length: int) -> None:
    strategy, shape = make_strategy(name), {**SHAPE, "batch": 2}
    plain, got = (
        frames_of(Session(TimedToy(), strategy, **{**shape, "block_length": size})) for size in (None, block_length)
    )
    assert len(got) == len(plain)
    assert all(same(a, b) for a, b in zip(plain, got, strict=True))


@pytest.mark.parametrize("name", REGISTRY)
def test_nothing_moves_outside_the_block(name: str) -> None:
    session = Session(Toy(), lively(name), **{**SHAPE, "batch": 3})
    before = session.tokens.numpy().copy()
    blocks = []
    for frame in session:
        first = 2 + 4 * frame.block
        outside = np.ones(12, dtype=bool)
        outside[first : first + 4] = False
        assert np.array_equal(frame.tokens[:, outside], before[:, outside])
        assert (before[:, :first] != MASK).all()
        assert (frame.tokens[:, first + 4 :] == MASK).all()
        assert (frame.unmask[:, outside] == 0).all()
        assert (frame.remask[:, outside] == 0).all()
        assert (frame.change[:, first + 4 :] == Change.MASKED).all()
        assert (frame.change[:, 2:first] == Change.HELD).all()
        blocks.append(frame.block)
        before = frame.tokens
    assert blocks == sorted(blocks)
    assert set(blocks) == {0, 1, 2}
    assert not (before == MASK).any()


def test_each_block_runs_its_share_of_the_steps_from_one_to_zero() -> None:
    frames = frames_of(Session(Toy(), make_strategy("mdlm"), **SHAPE))
    assert [frame.index for frame in frames] == list(range(14))
    for block, steps in enumerate([5, 5, 4]):
        here = [frame for frame in frames if frame.block == block]
        grid = [i / steps for i in range(steps, -1, -1)]
        assert [frame.t for frame in here] == grid[:-1]
        assert [frame.s for frame in here] == grid[1:]
        assert [frame.alpha_s for frame in here] == pytest.approx([1 - s for s in grid[1:]])


def test_a_frame_names_its_block_across_the_wire() -> None:
    for frame in Session(Toy(), make_strategy("mdlm"), **SHAPE):
        assert Stepped.of(1, frame).frame().block == frame.block


def test_a_block_cleans_up_its_own_masks() -> None:
    frames = frames_of(Session(Toy(), DFM, steps=12, length=60, block_length=20))
    final = [frame for frame in frames if frame.final]
    assert [frame.block for frame in final] == [0, 1, 2]
    for frame in final:
        assert frame.count(Change.REVEALED) > 0
        assert np.array_equal(frame.masked[0], np.arange(60) >= 20 * (frame.block + 1))


@pytest.mark.parametrize("name", REGISTRY)
def test_samples_in_blocks_and_their_cost_are_those_of_a_session(name: str) -> None:
    strategy = lively(name)
    shape = {**SHAPE, "block_length": 3, "steps": 9}
    together = Session(Toy(), strategy, batch=3, seed=9, **shape)
    frames_of(together)
    alone = [frames_of(Session(Toy(), strategy, first=number, seed=9, **shape))[-1] for number in range(3)]
    for width in (1, 2):
        model = RowToy()
        got = {done.number: done for done in samples(model, strategy, range(3), seed=9, width=width, **shape)}
        assert sorted(got) == list(range(3))
        for number, done in got.items():
            assert torch.equal(done.tokens, together.tokens[number])
            assert np.array_equal(done.tokens.numpy(), alone[number].tokens[0])
            assert done.network_calls == alone[number].network_calls
        assert sum(done.network_calls for done in got.values()) == model.encoded


@pytest.mark.parametrize("name", ["remdm-cap", "dfm", "low-confidence"])
def test_rewinding_across_a_boundary_replays_exactly(name: str) -> None:
    session = Session(TimedToy(), lively(name), **SHAPE)
    first = frames_of(session)
    edges = [index for index, (a, b) in enumerate(pairwise(first), 1) if a.block != b.block]
    assert len(edges) == 2
    # the first frames of a block, the last before it, and the two ends
    for index in sorted({0, len(first) - 1, *(edge + near for edge in edges for near in (-1, 0, 1))}, reverse=True):
        session.rewind(index)
        again = frames_of(session)
        assert len(again) == len(first) - index
        assert all(same(a, b) and a.block == b.block for a, b in zip(first[index:], again, strict=True))


def test_a_strategy_set_at_a_boundary_is_replayed() -> None:
    """dfm ends a block before t = 0, so that a strategy set there may take a further step in it."""
    session = Session(Toy(), DFM, steps=24, length=6, block_length=3)
    dfm = frames_of(session)
    edge = next(frame.index for frame in dfm if frame.block == 1)
    session.rewind(edge)
    session.set(strategy=make_strategy("mdlm"))
    branch = [*dfm[:edge], *frames_of(session)]
    assert branch[edge].block == 0
    session.rewind(0)
    again: list[Frame] = frames_of(session)
    assert len(again) == len(branch)
    assert all(same(a, b) for a, b in zip(branch, again, strict=True))


def test_an_error_at_a_boundary_leaves_the_session_where_it_was() -> None:
    strategy = make_strategy("low-confidence")
    whole = frames_of(Session(Toy(), strategy, **SHAPE))
    model = BrokenToy(good=5)
    session = Session(model, strategy, **SHAPE)
    got = []
    with pytest.raises(RuntimeError, match="out of memory"):
        got.extend(session)
    assert session.index == 0 or whole[session.index].block == 1
    got = frames_of(Session(Toy(), strategy, **SHAPE), session.index)
    model.broken = False
    got += frames_of(session)
    assert all(same(a, b) for a, b in zip(whole, got, strict=True))


def llada(model: Toy, prompt: list[int], length: int, block_length: int, steps: int) -> list[int]:
    """LLaDA's generation as it is published: greedy, low-confidence, block after block, one loop a step."""
    x = prompt + [MASK] * length
    count = length // block_length
    for block in range(count):
        first = len(prompt) + block * block_length
        for step in range(steps // count):
            logits = model.encode(torch.tensor([x]), torch.ones(1))[0].double()
            sure = []
            for i in range(first, first + block_length):
                if x[i] == MASK:
                    p = torch.softmax(logits[i, :MASK], 0)
                    sure.append((-float(p.max()), i, int(p.argmax())))
            left = steps // count - step
            for _, i, token in sorted(sure)[: -(-len(sure) // left)]:
                x[i] = token
    return x


@pytest.mark.parametrize(("block_length", "steps"), [(32, 32), (8, 32), (8, 16), (8, 4), (16, 8), (32, 4)])
def test_greedy_low_confidence_is_the_published_recipe(block_length: int, steps: int) -> None:
    shape: dict[str, Any] = {"steps": steps, "length": 35, "prompt": [1, 4, 2]}
    expected = llada(Toy(), [1, 4, 2], 32, block_length, steps)
    greedy = {"temperature": 0.0, "top_p": 1.0}
    got = engine.sample(Toy(), make_strategy("low-confidence"), block_length=block_length, **shape, **greedy)
    assert got[0].tolist() == expected
    one = engine.sample(Toy(), make_strategy("low-confidence"), **shape, **greedy)
    assert (one[0].tolist() == expected) is (block_length == 32)


@pytest.mark.parametrize("steps", [3, 12])
def test_greedy_candidates_are_ranked_by_the_networks_own_probability(steps: int) -> None:
    strategy, settings = make_strategy("low-confidence"), Settings("low-confidence", temperature=0.0)
    tokens, held = torch.full((1, 12), MASK), torch.full((1, 12), torch.nan, dtype=torch.float64)
    session = Session(Toy(), strategy, steps=steps, length=12, temperature=0.0)
    for frame in session:
        t, s = (torch.tensor([[time]], dtype=torch.float64) for time in (frame.t, frame.s))
        tokens, held, _ = oracle.step(Toy(), strategy, settings, tokens, held, t, s, torch.Generator())
        assert np.array_equal(frame.tokens, tokens.numpy())


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"block_length": -1}, "block_length must be at least 1, or 0 for one block, not -1"),
        ({"block_length": 2, "steps": 4}, "4 steps cannot be shared out over 5 blocks of 2 tokens: take at least 5"),
    ],
    ids=str,
)
def test_blocks_that_cannot_be_are_refused(bad: dict[str, Any], message: str) -> None:
    for start in (Session, engine.sample):
        with pytest.raises(ValueError, match=message):
            start(Toy(), DFM, **{**SHAPE, **bad})


@pytest.mark.parametrize(
    ("steps", "length", "prompt", "size"), [(64, 40, 5, 7), (9, 9, 0, 1), (5, 4, 4, 3), (7, 3, 1, 9)]
)
def test_blocks_tile_the_canvas_and_share_out_all_steps(steps: int, length: int, prompt: int, size: int) -> None:
    blocks = split(steps, length, prompt, size)
    assert (blocks.edges[0], blocks.edges[-1]) == (prompt, length)
    sizes = [b - a for a, b in pairwise(blocks.edges)]
    assert all(n == size for n in sizes[:-1])
    assert sizes[-1] <= size
    assert sum(blocks.steps) == steps
    assert min(blocks.steps) >= 1
    assert max(blocks.steps) - min(blocks.steps) <= 1
    assert list(blocks.steps) == sorted(blocks.steps, reverse=True)
