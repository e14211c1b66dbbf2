"""Orders by confidence, margin, entropy and chance, with LLaDA's and Dream's shares, against the authors' own runs."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.records import Change
from engine.sampling.session import Session
from engine.strategies import Prediction, Strategy, View, asks_network, describe, make_strategy, reads_of
from engine.strategies.entropy import EntropyOrder
from engine.strategies.low_confidence import LowConfidence
from engine.strategies.topk_margin import TopkMargin
from tests.engine.stats import ENOUGH, FAR_OFF
from tests.engine.toys import MASK, Toy
from tests.engine.zoo import ZooToy, likenesses, published, states

ALGORITHMS = {"maskgit_plus": "low-confidence", "topk_margin": "topk-margin", "entropy": "entropy"}
RANKED = tuple(ALGORITHMS.values())


def of_dream(run: dict[str, Any]) -> Strategy:
    if run["alg"] == "origin":
        return make_strategy("dream-origin", eps=run["eps"])
    knobs = {"shares": "dream", "eps": run["eps"], "alg_temp": run["alg_temp"] or 0.0, "confidence": "tempered"}
    return make_strategy(ALGORITHMS[run["alg"]], **knobs)


def name_of(run: dict[str, Any]) -> str:
    return ", ".join(
        f"{key} {value}" for key, value in run.items() if key in ("alg", "steps", "eps", "alg_temp", "top_k")
    )


class Truncated(ZooToy):
    """The published network whose logits but for the k largest are -inf, as Dream's top_k makes them."""

    def __init__(self, k: int) -> None:
        super().__init__()
        self._k = k

    def project(self, hidden: Tensor) -> Tensor:
        return hidden.masked_fill(hidden < hidden.topk(self._k, dim=-1).values[..., -1:], -torch.inf)


@pytest.mark.parametrize("run", published("dream"), ids=name_of)
def test_dreams_orders_step_through_its_states(run: dict[str, Any]) -> None:
    model = Truncated(run["top_k"]) if run["top_k"] else ZooToy()
    assert states(of_dream(run), model=model, steps=run["steps"], length=18, prompt=run["prompt"]) == run["states"]


def laws(name: str) -> list[dict[str, Any]]:
    return [one for one in published(name, laws=True) if one.get("top_k") is None]


@pytest.mark.parametrize("run", laws("dream"), ids=name_of)
def test_dreams_states_have_the_frequencies_of_its_own_code(run: dict[str, Any]) -> None:
    # Dream's nucleus keeps the token that crosses
    settings = {"temperature": run["temperature"], "top_p": run["top_p"] or 1.0, "nucleus": "inclusive"}
    length = run["length"] + len(run["prompt"])
    found = likenesses(of_dream(run), run, steps=run["steps"], length=length, **settings)
    assert min(found) > ENOUGH


@pytest.mark.parametrize("run", laws("llada"), ids=lambda run: f"{run['remasking']}, {run['steps']} steps")
def test_lladas_states_have_the_frequencies_of_its_own_code(run: dict[str, Any]) -> None:
    strategy = make_strategy("random" if run["remasking"] == "random" else "low-confidence")
    shape = {"steps": run["steps"], "length": run["gen_length"], "block_length": run["block_length"]}
    found = likenesses(strategy, run, temperature=run.get("temperature", 0.0), **shape)
    assert min(found) > ENOUGH


@pytest.mark.parametrize(
    ("name", "chosen", "wrong"),
    [
        ("llada", {"remasking": "random", "temperature": 1.0, "steps": 4}, ("low-confidence", {})),
        ("dream", {"alg": "maskgit_plus", "alg_temp": 0.2}, ("low-confidence", {"alg_temp": 1.0})),
        ("dream", {"alg": "entropy"}, ("topk-margin", {})),
        ("dream", {"alg": "origin", "eps": 0.2}, ("dream-origin", {})),
    ],
    ids=["random", "alg_temp", "entropy", "eps"],
)
def test_another_rule_has_other_frequencies(
    name: str, chosen: dict[str, Any], wrong: tuple[str, dict[str, Any]]
) -> None:
    run = next(one for one in laws(name) if chosen.items() <= one.items())
    length = run.get("gen_length") or run["length"] + len(run["prompt"])
    shares = {"shares": "dream"} if name == "dream" and wrong[0] != "dream-origin" else {}
    strategy = make_strategy(wrong[0], **shares, **wrong[1])
    found = likenesses(strategy, run, steps=run["steps"], length=length, temperature=run["temperature"])
    assert min(found) < FAR_OFF


def seen(t: float, s: float, revealed: list[int], **columns: list[float]) -> View:
    """Return a sequence of masks but for some positions, with the columns of its prediction given."""
    values = {name: torch.tensor([column], dtype=torch.float64) for name, column in columns.items()}
    like = next(iter(values.values()))
    masked = torch.ones(like.shape, dtype=torch.bool)
    masked[0, revealed] = False
    times = (torch.tensor([[x]], dtype=torch.float64) for x in (t, s, 1 - t, 1 - s))
    noise = values.pop("noise", None)
    prediction = Prediction.blank(like)._replace(**values)
    return View(*times, masked, ~masked, like, prediction=prediction, noise=noise)


def chosen(strategy: Strategy, view: View) -> list[int]:
    plan = strategy.plan(view)
    assert not plan.remask.any()
    where: Tensor = plan.unmask[0].nonzero()[:, 0]
    return [int(i) for i in where]


def test_the_three_measures_of_one_state_choose_three_positions() -> None:
    """p = (.5, .3, .2), (.48, .26, .26), (.46, .46, .08): in that order the largest, the widest and the narrowest.

    Their entropies are 1.0297, 1.0528 and .9165, their margins .2, .22 and 0; position 3 stands already.
    """
    view = seen(
        0.75, 0.5, [3], confidence=[0.5, 0.48, 0.46, 1.0], margin=[0.2, 0.22, 0.0, 1.0],
        entropy=[1.0297, 1.0528, 0.9165, 0.0],
    )  # fmt: skip
    assert [chosen(kind(), view) for kind in (LowConfidence, TopkMargin, EntropyOrder)] == [[0], [1], [2]]


@pytest.mark.parametrize("name", RANKED)
def test_equal_scores_are_revealed_from_the_left(name: str) -> None:
    even = [0.5] * 5
    view = seen(1.0, 0.6, [1], confidence=even, margin=even, entropy=even)
    assert chosen(make_strategy(name), view) == [0, 2]
    assert chosen(make_strategy(name, shares="dream"), view) == [0]


def test_lladas_shares_are_rounded_up_and_dreams_down_with_all_at_the_end() -> None:
    """Of 16 masks in 5 steps from t = 1 to .001, Dream's floor(M (1 - s/t)) is 3, 3, 3, 3 and then all of 4."""
    for shares, wanted in (("llada", [4, 3, 3, 3, 3]), ("dream", [3, 3, 3, 3, 4])):
        run = Session(Toy(), make_strategy("low-confidence", shares=shares), steps=5, length=16)
        assert [frame.count(Change.REVEALED) for frame in run] == wanted


def test_dream_reveals_nothing_while_its_share_is_below_one() -> None:
    run = Session(Toy(), make_strategy("entropy", shares="dream"), steps=32, length=16)
    assert [frame.count(Change.REVEALED) for frame in run][:17] == [0] * 17


@pytest.mark.parametrize("settings", [{"temperature": 1e-4}, {"temperature": 0, "top_p": 0.01}], ids=str)
@pytest.mark.parametrize("name", RANKED)
def test_confidence_after_a_low_temperature_or_top_p_ties_and_so_reveals_from_the_left(
    name: str, settings: dict[str, float]
) -> None:
    orders = {}
    for confidence in ("plain", "tempered"):
        strategy = make_strategy(name, confidence=confidence)
        run = Session(ZooToy(), strategy, steps=16, length=16, seed=1, **settings)
        orders[confidence] = [int((frame.change[0] == Change.REVEALED).argmax()) for frame in run]
    assert orders["tempered"] == list(range(16))
    assert orders["plain"] != orders["tempered"]


@pytest.mark.parametrize("eps", [0.0, 0.001, 0.2])
def test_dreams_times_run_evenly_towards_eps_and_the_last_step_ends_at_zero(eps: float) -> None:
    for strategy in (make_strategy("dream-origin", eps=eps), make_strategy("topk-margin", shares="dream", eps=eps)):
        times = strategy.grid(8).tolist()
        assert times == pytest.approx([1 - (1 - eps) * i / 8 for i in range(8)] + [0])
    assert make_strategy("topk-margin", eps=eps).grid(8).tolist() == make_strategy("mdlm").grid(8).tolist()


def test_a_draw_by_confidence_adds_gumbel_noise_to_its_quotient() -> None:
    """u = exp(-1/e) is Gumbel noise of 1, u = 1/e of 0: .2 / .5 + 1 beats .6 / .5, but .2 / .1 + 1 loses to .6 / .1."""
    one, zero = float(torch.tensor(-1.0).exp().neg().exp()), float(torch.tensor(-1.0).exp())
    view = seen(1.0, 0.5, [], confidence=[0.2, 0.6], noise=[one, zero])
    assert chosen(make_strategy("low-confidence", alg_temp=0.5), view) == [0]
    assert chosen(make_strategy("low-confidence", alg_temp=0.1), view) == [1]


def test_what_is_read_follows_the_knobs_and_the_defaults_are_listed() -> None:
    plain = make_strategy("low-confidence")
    assert reads_of(plain) == {"masked"}
    assert describe(LowConfidence).reads == ("masked",)
    assert reads_of(make_strategy("low-confidence", alg_temp=1, confidence="tempered")) == {
        "masked",
        "noise",
        "tempered",
    }
    assert reads_of(make_strategy("entropy", confidence="plain")) == {"masked", "spread"}
    for kind in (LowConfidence, TopkMargin, EntropyOrder):
        assert reads_of(kind) == reads_of(kind())


def test_random_asks_the_network_for_what_it_reveals_alone() -> None:
    model = Toy()
    frames = list(Session(model, make_strategy("random"), steps=8, length=4, batch=3, seed=2))
    assert not asks_network(make_strategy("random"))
    assert frames[-1].network_calls == model.encoded == 3 * 4
    assert [frame.count(Change.REVEALED) for frame in frames] == [3, 3, 3, 3, 0, 0, 0, 0]
    assert not (frames[-1].tokens == MASK).any()
    orders = {tuple(tuple(frame.change[row]) for frame in frames) for row in range(3)}
    assert len(orders) > 1


@pytest.mark.parametrize("name", [*RANKED, "random"])
def test_the_orders_never_remask_and_keep_their_quota(name: str) -> None:
    frames = list(Session(Toy(), make_strategy(name), steps=6, length=12, batch=4, seed=3))
    for before, frame in pairwise(frames):
        assert not frame.count(Change.REMASKED)
        assert ((before.tokens == MASK).sum(-1) - (frame.tokens == MASK).sum(-1) == 2).all()


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"shares": "even"}, "shares must be one of llada, dream, not 'even'"),
        ({"eps": 1}, "eps must lie in 0 to 0.9, not 1"),
        ({"alg_temp": -1}, "alg_temp must lie in 0 to 10, not -1"),
    ],
)
def test_a_bad_knob_is_refused(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_strategy("topk-margin", **knobs)
