"""A step of fixed shapes asks nothing of a device that it would be waited for, and takes the step of the eager path.

The meta device stands for one that is not waited for: it has no values that could be counted or read.  Operations that
are recorded and replayed stand for its graphs: what the host has decided is written down in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from engine.models.causal_dit import CachedCausal
from engine.models.dit import DIT, DITConfig
from engine.models.folded import FoldedDIT
from engine.models.protocol import has_fixed_shapes
from engine.records import Edit, Frame, Settings
from engine.sampling import fixed_step, kernel, rng
from engine.sampling.batch import samples
from engine.sampling.fixed_step import Board
from engine.sampling.graphs import Graphs, TensorFunction
from engine.sampling.readout import BadLogitsError
from engine.sampling.rng import Purpose
from engine.sampling.session import Session, config_of
from engine.strategies import REGISTRY, Plan, Strategy, View, make_strategy, reads_of
from tests.engine.recorded import recording
from tests.engine.test_sampled_ids import ExactToy
from tests.engine.toys import MASK, RowToy, TimedToy, Toy

OFFLINE = [name for name, kind in REGISTRY.items() if reads_of(kind) <= {"held"}]
SMALL = DITConfig(vocab_size=20, hidden_size=32, n_blocks=2, n_heads=2, cond_dim=8, length=16, mask_id=19)
KNOBS = {"remdm-cap": {"eta": 0.2}, "remdm-rescale": {"eta": 0.4}, "remdm-loop": {"eta": 0.1}}
DRAWS = [
    {},
    {"top_p": 0.6, "nucleus": "inclusive", "temperature": 0.7},
    {"top_p": 1.0, "draw": "gumbel-float64"},
    {"draw": "gumbel-float32"},
    {"temperature": 0.0},
]


def made(name: str) -> Strategy:
    return make_strategy(name, **KNOBS.get(name, {}))


def same(ours: Sequence[Frame], theirs: Sequence[Frame]) -> None:
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        for column in ("tokens", "change", "held", "unmask", "remask"):
            np.testing.assert_array_equal(getattr(mine, column), getattr(other, column), column)
            assert getattr(mine, column).dtype == getattr(other, column).dtype
        for value in ("index", "t", "s", "alpha_t", "alpha_s", "excess", "network_calls", "settings", "final"):
            assert getattr(mine, value) == getattr(other, value), value


def both(strategy: Strategy, model: type[Toy] = Toy, **more: Any) -> Graphs:
    """Check that a run of recorded steps has the frames of one of eager steps; return what was recorded."""
    graphs, shape = recording(), {"steps": 9, "length": 7, "batch": 2, "seed": 5} | more
    same(list(Session(model(), strategy, graphs=graphs, **shape)), list(Session(model(), strategy, **shape)))
    assert graphs.refused is None
    return graphs


def test_the_fast_strategies_are_those_of_the_paper() -> None:
    assert {"mdlm", "remdm-cap", "remdm-rescale", "remdm-conf", "remdm-loop", "forward-backward", "dfm"} <= {*OFFLINE}


@pytest.mark.parametrize("name", OFFLINE)
def test_recorded_steps_are_the_eager_ones_and_few_are_recorded(name: str) -> None:
    graphs = both(made(name))
    assert 2 <= graphs.recorded <= 1 + len(fixed_step.BUCKETS)


@pytest.mark.parametrize("settings", DRAWS, ids=str)
def test_they_are_under_every_setting_of_the_draw(settings: dict[str, Any]) -> None:
    both(made("remdm-cap"), RowToy, **settings)


def test_they_are_with_a_prompt_and_the_noise_level() -> None:
    both(made("remdm-conf"), TimedToy, prompt=(3, MASK, 1))


def test_what_a_person_changes_on_the_way_is_followed() -> None:
    """The step that was launched ahead is dropped where it is no longer the next one."""

    def steered(graphs: Graphs | None) -> list[Frame]:
        session = Session(Toy(), made("remdm-conf"), steps=24, length=12, batch=2, seed=4, graphs=graphs)
        frames = [next(session) for _ in range(9)]
        session.set(strategy=make_strategy("remdm-cap", eta=0.2), top_p=0.5, temperature=1.5)
        frames += [next(session) for _ in range(3)]
        session.rewind(5)
        frames += [next(session) for _ in range(6)]
        frames.append(session.edit(Edit("force", 1, 5, (2,), 0.5)))
        session.fork(7)
        session.set(strategy=make_strategy("low-confidence"))
        frames += [next(session) for _ in range(3)]
        session.set(strategy=make_strategy("mdlm"))
        return [*frames, *session]

    same(steered(recording()), steered(None))


def test_a_step_is_asked_for_once_and_the_next_one_is_under_way() -> None:
    model = Toy()
    session = Session(model, made("mdlm"), steps=1, length=6, graphs=recording())
    next(session)
    # its own recording and replay; there is no step after it
    once = model.encoded
    session = Session(model, made("mdlm"), steps=6, length=6, graphs=recording())
    first = next(session)
    assert once > 0
    assert model.encoded > once
    assert session.index == first.index + 1 == 1


@pytest.mark.parametrize("name", OFFLINE)
@pytest.mark.parametrize("settings", DRAWS, ids=str)
def test_nothing_is_read_by_the_host(name: str, settings: dict[str, Any]) -> None:
    strategy, model = made(name), MetaToy()
    config = config_of(strategy, Settings(name, **settings))

    def meta(dtype: torch.dtype, *shape: int) -> Tensor:
        return torch.empty(shape, dtype=dtype, device="meta")

    long, real = torch.long, torch.float64
    board = Board(
        meta(long, 4, 9), meta(real, 4, 9), meta(torch.bool, 4, 9), meta(long, 4), meta(long, 4), meta(real, 4, 1),
        meta(real, 4, 1),
    )  # fmt: skip
    banned = meta(torch.bool, MASK + 1)
    for slots in (0, 4):
        with Together():
            turn, alpha_t = fixed_step.decide(strategy, model, 0, 0.0, board), strategy.alpha(board.t)
            outcome = fixed_step.carry_out(
                model, config.settings, 0, banned, slots, board, alpha_t, turn.reveal, turn.forget
            )
        assert outcome.tokens.device.type == outcome.failed.device.type == "meta"
        assert outcome.change.shape == (4, 9)


def test_the_eager_step_would_be_waited_for() -> None:
    p = torch.empty((4, 9), dtype=torch.float64, device="meta")
    with pytest.raises((NotImplementedError, RuntimeError)):
        kernel.nucleus_top(p, 0.5, "exclusive")


class Together(TorchDispatchMode):
    """Fails where an operation takes a number of the host as a tensor, which no graph of a device copies."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        devices = {x.device.type for x in tree_leaves((args, kwargs, made)) if isinstance(x, Tensor)}
        assert devices <= {"meta"}, f"{func} takes tensors of {devices}"
        return made


def test_a_number_of_the_host_is_found() -> None:
    x, number = torch.empty(3, device="meta"), torch.ones(())
    with Together(), pytest.raises(AssertionError, match="add"):
        x + number


class MetaToy(Toy):
    def __init__(self) -> None:
        super().__init__()
        self.place, self.left, self.whole = (x.to("meta") for x in (self.place, self.left, self.whole))


def test_keys_on_a_device_are_those_of_the_host() -> None:
    numbers, steps = [0, 1, 5, (1 << 40) + 3], [0, 7, 4095, 2]
    for seed in (0, 3, (1 << 63) + 11):
        for purpose in Purpose:
            found = rng.device_keys(seed, torch.tensor(numbers), torch.tensor(steps), purpose)
            assert found.tolist() == rng.keys_of(seed, numbers, steps, purpose).tolist()


def test_two_replays_of_a_recorded_step_draw_other_numbers() -> None:
    graphs, numbers = recording(), torch.arange(3)

    def uniforms(samples: Tensor, steps: Tensor) -> tuple[Tensor, ...]:
        keys = rng.device_keys(9, samples, steps, Purpose.TOKEN)
        return (rng.uniforms(keys[:, None], torch.arange(5)),)

    drawn = [graphs.run("uniforms", uniforms, numbers, torch.full((3,), step))[0] for step in (4, 5, 4)]
    assert graphs.recorded == 1
    assert not torch.equal(drawn[0], drawn[1])
    assert torch.equal(drawn[0], drawn[2])
    eager = torch.from_numpy(rng.keys_of(9, [0, 1, 2], [5] * 3, Purpose.TOKEN))
    assert torch.equal(drawn[1], rng.uniforms(eager[:, None], torch.arange(5)))


def test_revealed_positions_fill_the_first_slots_of_their_sequence() -> None:
    where = torch.tensor([[0, 1, 0, 1, 1], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]]).bool()
    slots, taken = fixed_step.slots_of(where, 4)
    assert slots.tolist() == [[1, 3, 4, 0], [0, 0, 0, 0], [0, 1, 2, 3]]
    assert taken.sum(-1).tolist() == [3, 0, 4]


def test_buckets_grow_and_end_at_the_length() -> None:
    assert [fixed_step.bucket(n, 100) for n in (0, 1, 4, 5, 17, 65, 100)] == [0, 4, 4, 16, 64, 100, 100]
    assert fixed_step.bucket(1500, 5000) == 2048


@pytest.mark.parametrize("nucleus", kernel.NUCLEI)
def test_the_nucleus_is_that_of_the_eager_path_ties_included(nucleus: str) -> None:
    noise = torch.Generator().manual_seed(3)
    p = torch.randint(1, 5, (200, 12), generator=noise).double()
    p /= p.sum(-1, keepdim=True)
    for top_p in (0.05, 0.4, 0.75, 0.99):
        expected = kernel.nucleus_top(p, top_p, nucleus)
        assert torch.equal(kernel.nucleus_unread(p, top_p, nucleus), expected)


@dataclass(frozen=True)
class Lost(Strategy):
    name = "lost"

    def plan(self, view: View) -> Plan:
        return Plan(view.alpha_t * torch.nan, view.alpha_t * 0)


class Blind(Toy):
    """A toy that says nothing of its third position."""

    def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
        hidden = super().encode(tokens, t)
        return hidden.index_fill(1, torch.tensor([2]), torch.nan)


def test_errors_are_those_of_the_eager_path() -> None:
    shape = {"steps": 8, "length": 6, "batch": 2}
    with pytest.raises(FloatingPointError, match="NaN"):
        next(Session(Toy(), Lost(), graphs=recording(), **shape))
    found = []
    for graphs in (recording(), None):
        session = Session(Blind(), make_strategy("mdlm"), graphs=graphs, **shape)
        with pytest.raises(BadLogitsError) as error:
            list(session)
        found.append((error.value.places, session.index))
    assert found[0] == found[1]


class Remembering(Toy):
    """A toy that is not to be recorded, as one that keeps what it computed for the texts it saw."""

    fixed_shapes = False


def test_a_network_that_does_not_say_that_its_shapes_are_fixed_is_not_recorded() -> None:
    graphs, strategy = recording(), make_strategy("left-to-right")
    shape = {"steps": 6, "length": 6, "graphs": graphs}
    for model in (Remembering(), ExactToy()):
        list(Session(model, strategy, **shape))
        list(samples(model, strategy, range(2), **shape))
    assert graphs.recorded == 0
    assert not has_fixed_shapes(CachedCausal)


def test_what_cannot_be_recorded_is_called_as_it_is() -> None:
    def refuse(function: TensorFunction, inputs: Sequence[Tensor]) -> TensorFunction:
        raise RuntimeError("not permitted while a stream is captured\nand more")

    graphs = Graphs(refuse)
    for _ in range(2):
        assert graphs.run("double", lambda x: (x * 2,), torch.ones(2))[0].tolist() == [2, 2]
    assert (graphs.refused, graphs.recorded) == ("not permitted while a stream is captured", 1)


def test_steps_of_a_folded_network_are_the_eager_ones() -> None:
    """Called as they are, not recorded: its tensors are made in inference mode."""
    torch.manual_seed(0)
    model = FoldedDIT(DIT(SMALL))
    torch.nn.init.normal_(model.head[0])
    graphs, shape = Graphs(lambda function, inputs: function), {"steps": 6, "length": 9, "batch": 2, "top_p": 0.7}
    ours, theirs = (
        [frame.tokens for frame in Session(model, make_strategy("remdm-conf"), graphs=given, **shape)]
        for given in (graphs, None)
    )
    assert np.array_equal(ours, theirs)
    done = samples(model, make_strategy("mdlm"), range(3), steps=6, length=9, width=2, graphs=graphs)
    assert all((sample.tokens != SMALL.mask_id).all() for sample in done)


def test_a_folded_network_computes_its_last_block_at_chosen_places() -> None:
    torch.manual_seed(0)
    model = DIT(SMALL)
    for name, parameter in model.named_parameters():
        if "adaLN" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    folded, tokens = FoldedDIT(model), torch.randint(20, (3, 16))
    places = torch.tensor([[0, 5, 5], [15, 2, 0], [7, 8, 9]])
    whole = folded.encode(tokens, torch.ones(3))
    expected = whole.gather(1, places[:, :, None].expand(-1, -1, 32))
    torch.testing.assert_close(folded.encode_at(tokens, torch.ones(3), places), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["mdlm", "remdm-conf"])
def test_packed_samples_and_their_costs_are_the_eager_ones(name: str) -> None:
    graphs, shape = recording(), {"steps": 9, "length": 6, "seed": 3, "width": 3}
    ours, theirs = (
        {done.number: done for done in samples(RowToy(), made(name), range(5), graphs=given, **shape)}
        for given in (graphs, None)
    )
    assert sorted(ours) == sorted(theirs) == list(range(5))
    for number, sample in theirs.items():
        assert torch.equal(ours[number].tokens, sample.tokens)
        assert ours[number].network_calls == sample.network_calls
    assert graphs.refused is None


def test_packed_samples_are_the_eager_ones_where_few_steps_reveal_and_with_prompts() -> None:
    """Sequences then wait for each other, and finish at other times."""
    shape = {"steps": 24, "length": 3, "seed": 3, "width": 2, "top_p": 0.8}
    prompts = {number: (number % 3, MASK) for number in range(3)}
    ours, theirs = (
        {(done.number, done.network_calls, *done.tokens.tolist())
         for done in samples(Toy(), made("remdm-cap"), range(3), prompts=prompts, graphs=graphs, **shape)}
        for graphs in (recording(), None)
    )  # fmt: skip
    assert ours == theirs


def test_a_packed_sample_without_numbers_is_given_up_where_the_eager_one_is() -> None:
    lost: list[list[Any]] = []
    for graphs in (recording(), None):
        lost.append([])
        kept = samples(
            Doubtful(), made("mdlm"), range(6), steps=9, length=4, width=3, failed=lost[-1].append, graphs=graphs
        )
        lost[-1].append({(done.number, tuple(done.tokens.tolist())) for done in kept})
    assert len(lost[0]) > 1
    assert lost[0][-1] == lost[1][-1]
    assert {*lost[0][:-1]} == {*lost[1][:-1]}


class Doubtful(Toy):
    """A toy that gives no numbers for texts in which a certain token stands."""

    def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
        hidden = super().encode(tokens, t)
        return hidden.masked_fill((tokens == 2).any(-1)[:, None, None], torch.nan)
