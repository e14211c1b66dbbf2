"""PRISM and RemeDi: by hand, as the authors' code stepped, and refused where the model has no head."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.records import Settings
from engine.sampling import oracle
from engine.sampling.readout import Readout
from engine.sampling.session import Session, config_of
from engine.sampling.state import SamplerState
from engine.strategies import Prediction, Strategy, View, make_strategy, reads_of
from engine.strategies.ranking import count_of_steps, middle_first
from engine.strategies.remedi import kept
from tests.engine.toys import MASK, RowToy, Toy
from tests.engine.zoo import MASK as HOLE
from tests.engine.zoo import ZooToy, head, published, states


class ScoredZooToy(ZooToy):
    """The published network with its head, whose score travels as one more column of the logits."""

    def encode(self, tokens: Tensor, t: Tensor) -> Tensor:
        return torch.cat((super().encode(tokens, t), head(tokens)[:, :, None]), -1)

    def project(self, hidden: Tensor) -> Tensor:
        return hidden[:, :-1]

    def quality(self, hidden: Tensor) -> Tensor:
        return hidden[:, -1]


def view(t: float, s: float, masked: list[bool], **columns: list[float]) -> View:
    """Return a view of one sequence whose prediction has these columns, NaN in the others."""
    where = torch.tensor([masked])
    at, then = (torch.full((1, 1), time, dtype=torch.float64) for time in (t, s))
    blank = Prediction.blank(torch.zeros(where.shape, dtype=torch.float64))
    given = {name: torch.tensor([values], dtype=torch.float64) for name, values in columns.items()}
    return View(at, then, 1 - at, 1 - then, where, ~where, blank.confidence, blank._replace(**given))


def chosen(strategy: Strategy, seen: View) -> tuple[list[int], list[int]]:
    """Return the positions that a plan reveals and masks again."""
    plan = strategy.plan(seen)
    assert set(plan.unmask.unique().tolist()) | set(plan.remask.unique().tolist()) <= {0, 1}
    return tuple(part[0].nonzero()[:, 0].tolist() for part in plan[:2])  # type: ignore[return-value]


# -- PRISM


def test_prism_masks_the_lowest_scores_and_reveals_as_many_more() -> None:
    # step 1 of 4 with four remasks: one is masked; of five masks two are due, and one for the one masked
    seen = view(
        0.75, 0.5, [False, True, True, False, True, True, True, False],
        quality=[0.3, 9, 9, -1.0, 9, 9, 9, 0.2], confidence=[1, 0.5, 0.9, 1, 0.2, 0.9, 0.4, 1],
    )  # fmt: skip
    assert chosen(make_strategy("prism", num_remasking=4), seen) == ([1, 2, 5], [3])


def plain_prism(tokens: list[int], steps: int, count: int) -> list[list[int]]:
    """Return the states of one block by the page's formulas: reveals by a quota fixed before the first step."""
    found, masks = [tokens], len(tokens)
    shares = [masks // steps + (i < masks % steps) for i in range(steps)]
    nearest = sorted(range(steps), key=lambda i: abs(i - (steps - 1) / 2))
    remasks = [count // steps + (nearest.index(i) < count % steps) for i in range(steps)]
    for due, again in zip(shares, remasks, strict=True):
        logits = ZooToy().encode(torch.tensor([tokens]), torch.zeros(1))[0]
        p, score = torch.softmax(logits.double(), -1), head(torch.tensor([tokens]))[0].tolist()
        stands = sorted((i for i in range(masks) if tokens[i] != HOLE), key=lambda i: score[i])
        holes = sorted((i for i in range(masks) if tokens[i] == HOLE), key=lambda i: -float(p[i].max()))
        new = dict.fromkeys(stands[:again], HOLE) | {i: int(p[i].argmax()) for i in holes[: due + again]}
        if holes:
            tokens = [new.get(i, token) for i, token in enumerate(tokens)]
        found.append(tokens)
    return found


@pytest.mark.parametrize(("length", "steps", "count"), [(32, 8, 32), (30, 7, 40), (32, 16, 12), (24, 4, 30)])
def test_prism_steps_as_its_formula_written_out(length: int, steps: int, count: int) -> None:
    """With more remasks than tokens stand at first, more is revealed than masked, and the quota does not shrink."""
    session = Session(ScoredZooToy(), make_strategy("prism", num_remasking=count), steps=steps, length=length,
                      temperature=0)  # fmt: skip
    ours = [session.tokens[0].tolist(), *(frame.tokens[0].tolist() for frame in session if not frame.final)]
    theirs = plain_prism([HOLE] * length, steps, count)
    assert ours == theirs[: len(ours)]
    assert len(ours) > steps // 2


@pytest.mark.parametrize(
    ("total", "steps", "shares"),
    [(0, 3, [0, 0, 0]), (1, 4, [0, 1, 0, 0]), (3, 5, [0, 1, 1, 1, 0]), (6, 4, [1, 2, 2, 1]), (2, 1, [2])],
)
def test_what_is_over_goes_to_the_middle_steps(total: int, steps: int, shares: list[int]) -> None:
    times = [1 - i / steps for i in range(steps + 1)]
    found = [int(middle_first(*count_of_steps(view(t, s, [True])), total)) for t, s in pairwise(times)]
    assert found == shares


def prisms() -> list[Any]:
    """Return the runs of PRISM and of `remdm_conf`, whose published code ranks by the head too.

    Left out: `remdm`, whose score is a random number, and revealing at random, which ours does not.
    """
    found = [one for one in published("prism") if one["remasking_mode"] in ("PRISM", "remdm_conf")]
    names = ("remasking_mode", "steps", "block_length", "num_remasking")
    return [pytest.param(one, id=" ".join(str(one[name]) for name in names)) for one in found]


@pytest.mark.parametrize("run", prisms())
def test_prism_steps_through_the_states_of_its_authors(run: dict[str, Any]) -> None:
    prompt, length, size = run["prompt"], run["max_length"], run["block_length"]
    theirs = run["states"]
    if "_" in theirs[-1][: len(prompt) + size] and size < length:
        # the last step of a block masks tokens too, and theirs are left behind; ours fills them before the next block
        theirs = theirs[: run["steps"] // 2 + 1]
    ours = states(
        make_strategy("prism", num_remasking=run["num_remasking"]), model=ScoredZooToy(), steps=run["steps"],
        length=length, prompt=prompt, block_length=size,
    )  # fmt: skip
    assert ours[: len(theirs)] == theirs
    assert "_" not in ours[-1]


# -- RemeDi


def test_remedi_keeps_the_highest_scores_whatever_stands_there() -> None:
    # after step 1 of 2 four of eight stand; position 0 gives way to what is masked at 3
    seen = view(
        1.0, 0.5, [False, False, False, True, True, True, True, True],
        logit=[2.0, 5.0, 4.0, 3.0, 1.0, 0.0, 2.5, 0.5],
        confidence=[0.8, 0.5, 0.6, 0.4, 0.4, 0.4, 0.4, 0.4],
        current=[0.1, 0.5, 0.6, 0, 0, 0, 0, 0],
    )  # fmt: skip
    # log(.1 / .8) = -2.08 leaves -.08 for the token that stands at 0
    assert chosen(make_strategy("remedi"), seen) == ([3, 6], [0])


def test_remedi_reads_a_head_instead_if_it_is_told_to() -> None:
    seen = view(1.0, 0.5, [False, False, True, True], quality=[0.1, 0.9, 0.2, 0.8])
    strategy = make_strategy("remedi", score="quality")
    assert chosen(strategy, seen) == ([3], [0])
    assert reads_of(strategy) == {"committed", "quality"}
    assert reads_of(make_strategy("remedi")) == {"committed", "logit"}


@pytest.mark.parametrize(
    ("positions", "steps", "counts"), [(8, 4, [2, 4, 6, 8]), (7, 3, [2, 4, 7]), (3, 5, [0, 0, 1, 2, 3])]
)
def test_what_is_over_goes_to_the_last_steps(positions: int, steps: int, counts: list[int]) -> None:
    times = [1 - i / steps for i in range(steps + 1)]
    found = [int(kept(view(t, s, [True] * positions))) for t, s in pairwise(times)]
    assert found == counts


def plain_remedi(tokens: Tensor, steps: int) -> list[list[int]]:
    """Return the states of RemeDi on the toy, written out: the raw logits, one share more each step."""
    found, count = [tokens.tolist()], len(tokens)
    for step in range(steps):
        logits = Toy().encode(tokens[None], torch.zeros(1))[0, :, :MASK]
        score, best = logits.max(-1)
        stands = tokens != MASK
        score = torch.where(stands, logits.gather(-1, tokens.clamp(max=MASK - 1)[:, None])[:, 0], score)
        stay = score.sort(descending=True, stable=True).indices[: count * (step + 1) // steps]
        tokens = torch.full_like(tokens, MASK).index_copy(0, stay, torch.where(stands, tokens, best)[stay])
        found.append(tokens.tolist())
    return found


def test_remedi_steps_as_its_formula_written_out() -> None:
    session = Session(Toy(), make_strategy("remedi"), steps=6, length=24, temperature=0)
    ours = [session.tokens[0].tolist(), *(frame.tokens[0].tolist() for frame in session)]
    assert ours == plain_remedi(torch.full((24,), MASK), 6)


# -- the head


@pytest.mark.parametrize(
    "strategy", [make_strategy("prism"), make_strategy("remedi"), make_strategy("remedi", score="quality")]
)
def test_the_head_and_the_logits_are_what_the_dense_pass_gives(strategy: Strategy) -> None:
    noise, model = torch.Generator().manual_seed(3), RowToy()
    tokens = torch.randint(0, MASK + 1, (3, 9), generator=noise)
    held, t = torch.rand(3, 9, dtype=torch.float64, generator=noise), torch.full((3, 1), 0.5, dtype=torch.float64)
    masked = tokens == MASK
    now = View(t, t - 0.25, 1 - t, 1.25 - t, masked, ~masked, held)
    config = config_of(strategy, Settings(strategy.name, top_p=1.0))
    state = SamplerState(tokens, held, torch.zeros_like(masked), [0, 1, 2])
    got = Readout(model, 6).predict(config, state, [1, 1, 1], now).prediction
    plain = oracle.denoised(model, tokens, config.settings, 1 - t).view(3, 9, -1)
    want = oracle.dense_prediction(model, strategy, tokens, now, got.ids, plain, None)
    for name, a, b in zip(Prediction._fields, got, want, strict=True):
        torch.testing.assert_close(a, b, equal_nan=True, rtol=1e-9, atol=1e-12, msg=name)
    assert got.quality.isnan().all() != ("quality" in reads_of(strategy))
    assert got.logit.isnan().all() != ("logit" in reads_of(strategy))


@pytest.mark.parametrize("strategy", [make_strategy("prism"), make_strategy("remedi", score="quality")])
def test_a_model_without_a_head_is_refused_by_name(strategy: Strategy) -> None:
    message = (
        f"{strategy.name} needs a model with a trained head, and the model has none: choose --model demo, or train"
    )
    with pytest.raises(ValueError, match=message):
        Session(ZooToy(), strategy, steps=4, length=8)
    session = Session(ZooToy(), make_strategy("mdlm"), steps=4, length=8)
    with pytest.raises(ValueError, match=message):
        session.set(strategy=strategy)
